"""`limen agreement`: what two states sign, drafted and checked."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`new`, `check`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    new = verbs.add_parser(
        "new",
        help="draft an agreement of two states",
        description="Draft an agreement over every purpose that is offered, to be edited, checked and signed.",
    )
    new.add_argument("states", nargs=2, metavar="AAA", help="the two states")
    new.add_argument("--agency", action="append", default=[], metavar="AAA:CODE", help="an agency of a state")
    new.add_argument("--days", type=int, default=365, metavar="N")
    new.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE")
    node.add_config(new)

    check = verbs.add_parser(
        "check",
        help="read an agreement and say everything that is wrong with it",
        description="Read an agreement and say everything that is wrong with it, each fault with its line, or what it\n"
        "permits, in words. Needs no node.",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--on", default="", metavar="DATE", help="the day to judge by (today)")


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import agreement

    return agreement.run(args)
