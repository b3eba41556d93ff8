"""`limen case`: the follow-up of a hit, by people on both sides. What counts is signed by the person's own key (T7)."""

from __future__ import annotations

import argparse

from gateway.cli import node, passphrase
from gateway.cli.verbs import PLAIN, SIGNED
from gateway.disclosure import codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, `show`, and a verb for each act."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    listing = verbs.add_parser("list", help="the inbox, soonest due first", description="The inbox.")
    listing.add_argument("--mine", action="store_true", help="only what is assigned or offered to me")
    listing.add_argument("--due", action="store_true", help="only what waits for this desk")
    listing.add_argument("--state", action="append", default=[], metavar="WORD", help="only cases in this state")
    node.add_booth(listing)

    show = verbs.add_parser("show", help="one case", description="One case; the reading is logged.")
    _add_case(show)

    made = {}
    for verb, told in {**SIGNED, **PLAIN}.items():
        made[verb] = verbs.add_parser(verb, help=told, description=_description(verb, told))
        _add_case(made[verb])
    for verb in SIGNED:
        passphrase.add_key(made[verb], told="the person's key file")
        made[verb].add_argument("--role", metavar="ROLE", help="in which role (default: the act's usual one)")
        made[verb].add_argument(
            "--words", metavar="FILE", help="reasons in your words, from a file or - for standard input"
        )

    made["confirm"].add_argument("--measure", dest="code", metavar="CODE", help="the offence or measure this is about")
    made["request"].add_argument("--urgency", dest="code", metavar="CODE", help="why it cannot wait, such as CUSTODY")
    made["request"].add_argument("--field", action="append", default=[], metavar="NAME", help="default: all there are")
    made["prepare"].add_argument("--field", action="append", default=[], metavar="NAME", help="default: all asked for")
    for verb, needed in (("dismiss", False), ("refuse", True), ("outcome", True), ("screen", True)):
        made[verb].add_argument("--code", required=needed, metavar="CODE", help="the reason's or the result's code")
    for verb in ("assign", "hand-over"):
        made[verb].add_argument("--to", required=True, metavar="NUMBER", help="the officer's personnel number")


def _description(verb: str, told: str) -> str:
    """What the act is, and each code it takes with what that means."""
    listed = codes.OF_ACT.get(verb, {})
    width = max(map(len, listed), default=0)
    lines = [f"  {code:<{width}}  {words}" for code, words in listed.items()]
    return "\n".join([f"{told[0].upper()}{told[1:]}.", *(["", "CODE is one of:", *lines] if lines else [])])


def _add_case(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", metavar="CASE", help="its number: case_ and 32 hexadecimal digits")
    node.add_booth(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import case

    return case.run(args)
