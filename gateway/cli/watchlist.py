"""`limen watchlist`: this state's own lists. A change is an act of two persons, with a decision behind it (T9)."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node, passphrase
from gateway.terms import ListId, Role

FORMATS = ("csv",)
"""File formats there is a reader for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`sign`, `load`, `list`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    sign = verbs.add_parser("sign", help="sign a file before it is loaded", description="Sign a file for a load.")
    _add_file(sign)
    passphrase.add_key(sign, told="the person's key file")
    sign.add_argument("--role", default=Role.LIST_OFFICER.value, metavar="ROLE", help="in which role")
    sign.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="where the signature goes")

    load = verbs.add_parser("load", help="enter a file into a list", description="Enter a file into a list.")
    _add_file(load)
    load.add_argument("--signature", type=Path, action="append", default=[], metavar="FILE", help="two, of two persons")
    load.add_argument("--preview", action="store_true", help="say what would change, change nothing")

    show = verbs.add_parser("list", help="count what is on the lists", description="Count what is on the lists.")
    node.add_config(show)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--format", choices=FORMATS, default="csv")
    parser.add_argument("--list", dest="list_id", choices=[item.value for item in ListId], required=True)
    parser.add_argument("--mode", choices=("snapshot", "delta"), default="delta", help="snapshot withdraws the rest")
    parser.add_argument("--originator", default="", metavar="AAA", help="for rows that name none: whose information")
    parser.add_argument("--provenance", default="", metavar="LABEL", help="for rows that name none: the source system")
    parser.add_argument("--decision", default="", metavar="REF", help="for rows that name none: the act's reference")
    parser.add_argument("--basis", default="", metavar="ACT", help="the legal basis of the listing")
    parser.add_argument("--valid-until", default="", metavar="DATE", help="for rows that name none: the last day")
    node.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import watchlist

    return watchlist.run(args)
