"""`limen map`: which column of a file of events is what."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`suggest`, `check`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    suggest = verbs.add_parser(
        "suggest",
        help="propose a map from the header, and a declaration to be finished",
        description="Propose a column map from a file's header, and a declaration of a data set to be finished.\n"
        "Of the file only the header is read: values come from public lists, the months from you.",
    )
    suggest.add_argument("file", type=Path, metavar="FILE")
    suggest.add_argument("--name", default="events", metavar="NAME", help="what the data set is called (events)")
    suggest.add_argument("--from", dest="first", default="", metavar="YYYY-MM", help="the first month it covers")
    suggest.add_argument("--to", dest="last", default="", metavar="YYYY-MM", help="the last month it covers")
    suggest.add_argument(
        "-o",
        dest="out",
        type=Path,
        metavar="DIR",
        help="write map.yaml and dataset.yaml there instead of printing them",
    )

    check = verbs.add_parser(
        "check",
        help="read a file by a map and report, keep nothing",
        description="Read a file by a map and report what would be refused, by line and column, never by content.",
    )
    check.add_argument("map", type=Path, metavar="MAP")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--lines", type=int, default=20, metavar="N", help="refused lines to show (20)")


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    inputs.require_statistics()
    from gateway.cli.acts import event_map

    return event_map.run(args)
