"""`limen passengers read`: a carrier's PAXLST message, as a flight and its travellers."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`read FILE|-`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    read = verbs.add_parser("read", help="PAXLST to fields", description="Read a passenger or crew list (PAXLST).")
    read.add_argument("file", metavar="FILE", help="the message; - for standard input")
    read.add_argument("--on", default="", metavar="YYYY-MM-DD", help="the day of reading (default: today)")


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import passengers

    return passengers.run(args)
