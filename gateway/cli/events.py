"""`limen events`: crossing or case events, from which statistics are made. They stay here; releases leave."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import inputs, node, passphrase
from gateway.terms import Role

FORMATS = ("csv",)
"""File formats there is a reader for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`sign`, `load`, `list`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    sign = verbs.add_parser("sign", help="sign events before they are loaded", description="Sign events for a load.")
    _add_file(sign)
    passphrase.add_key(sign, told="the person's key file")
    sign.add_argument("--role", default=Role.ANALYST_NATIONAL.value, metavar="ROLE", help="in which role")
    sign.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="where the signature goes")

    load = verbs.add_parser(
        "load",
        help="take events as a data set",
        description="Take events as a data set. What is kept of a row: month, route, nationality, protection status\n"
        "and a keyed hash of the person. The declaration says the cells and what may be spent, before anybody asks.",
    )
    _add_file(load)
    load.add_argument("--signature", type=Path, action="append", default=[], metavar="FILE", help="two, of two persons")
    load.add_argument("--preview", action="store_true", help="say what would be taken, change nothing, sign nothing")

    show = verbs.add_parser("list", help="the data sets there are", description="The data sets in force.")
    node.add_config(show)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--format", choices=FORMATS, default="csv")
    parser.add_argument("--dataset", type=Path, required=True, metavar="FILE", help="the declaration, YAML")
    parser.add_argument("--map", type=Path, required=True, metavar="FILE", help="which column is what, YAML")
    parser.add_argument("--decision", default="", metavar="REF", help="the act's reference")
    parser.add_argument("--basis", default="", metavar="ACT", help="the legal basis of making statistics of them")
    node.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    inputs.require_statistics()
    from gateway.cli.acts import events

    return events.run(args)
