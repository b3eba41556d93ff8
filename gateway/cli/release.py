"""`limen release`: private statistics, of our own events and of other states'. What a release hides is one person."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node

PURPOSE = "RISK.IBC"
WAIT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`plan`, `request`, `get`, `list`, `budget`, `export`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    plan = verbs.add_parser(
        "plan",
        help="what a release would cost and how good it would be; free",
        description="Say what a release would cost and how good it would be. Free, and no event is read.",
    )
    request = verbs.add_parser(
        "request",
        help="have a release made; charged unless it was made before",
        description="Have a release made, at the owner's next tick. Charged once: the same question over the same\n"
        "events is the same release, whoever asks. Exit 7 where not enough is left.",
    )
    for one in (plan, request):
        one.add_argument("--dataset", required=True, metavar="NAME", help="the owner's data set")
        one.add_argument("--period", required=True, metavar="PERIOD", help="a month as 2026-08, or a year as 2026")
        one.add_argument("--statistic", default="S-IBC", metavar="CODE", help="S-IBC")
        one.add_argument("--measure", default="persons", metavar="WORD", help="persons (default) or detections")
        one.add_argument(
            "--by", default="route,nationality", metavar="NAMES", help="dimensions (route,nationality); month always"
        )
        one.add_argument("--epsilon", default="1", metavar="NUMBER", help="from 0.01 to 10: more is nearer and dearer")
        one.add_argument("--suppress", action="store_true", help="mark small cells instead of showing them")
        _add_who(one)

    get = verbs.add_parser(
        "get", help="read a release", description="Read a release that was asked for; the same bytes every time."
    )
    get.add_argument("--cells", type=int, default=20, metavar="N", help="cells to show (20); --json has them all")
    _add_reference(get)

    listing = verbs.add_parser("list", help="what was asked for", description="What was asked for, here and of others.")
    node.add_booth(listing)
    budget = verbs.add_parser("budget", help="what is left", description="What was spent of our data sets and is left.")
    node.add_booth(budget)

    export = verbs.add_parser("export", help="a release as a file", description="Write a release as a file.")
    export.add_argument("--format", choices=("csv", "html", "sdmx-csv"), required=True)
    export.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where to (default: standard output)")
    _add_reference(export)


def _add_reference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="ref_ and 64 hexadecimal digits, as `request` says")
    parser.add_argument(
        "--wait", type=float, nargs="?", const=WAIT_S, default=0.0, metavar="S", help=f"until it is made ({WAIT_S:g} s)"
    )
    _add_who(parser)


def _add_who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="owner", default="", metavar="AAA", help="whose events (default: our own)")
    parser.add_argument("--basis", required=True, metavar="ACT", help="the legal basis, as the agreement names it")
    parser.add_argument("--purpose", default=PURPOSE, metavar="CODE", help=f"{PURPOSE}")
    node.add_booth(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import release

    return release.run(args)
