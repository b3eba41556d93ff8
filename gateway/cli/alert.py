"""`limen alert`: what the node and its people should be looked at for. For supervisors, never about themselves."""

from __future__ import annotations

import argparse

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, `show`, `assign`, `close`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    listing = verbs.add_parser(
        "list", help="alerts that nobody has closed, newest first", description="The alerts; the reading is logged."
    )
    listing.add_argument("--closed", action="store_true", help="closed ones too")
    node.add_booth(listing)

    show = verbs.add_parser("show", help="one alert", description="One alert; the reading is logged.")
    _add_alert(show)

    assign = verbs.add_parser(
        "assign", help="give it to a supervisor", description="Give an alert to a supervisor that it is not about."
    )
    assign.add_argument("--to", required=True, metavar="NUMBER", help="the supervisor's personnel number")
    _add_alert(assign)

    close = verbs.add_parser("close", help="say what came of it", description="Close an alert with a reason.")
    close.add_argument(
        "--reason", required=True, choices=("lawful", "mistake", "misuse", "technical"), help="what came of it"
    )
    _add_alert(close)

    for acting in (assign, close):
        acting.add_argument(
            "--words", metavar="FILE", help="in your words, from a file or - for standard input; sealed in the log"
        )


def _add_alert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alert", metavar="ALERT", help="its number: alert_ and 32 hexadecimal digits")
    node.add_booth(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import alert

    return alert.run(args)
