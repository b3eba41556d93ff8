"""`limen protection`: who is behind a record and must be shielded. Set by one person, cleared by two (T10)."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node, passphrase
from gateway.terms import ListId, ProtectionTag, Role

LISTS = [item.value for item in ListId]
TAGS = [item.value for item in ProtectionTag]
ACTS = ("set", "clear", "show")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`sign`, `set`, `clear`, `show`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    sign = verbs.add_parser(
        "sign",
        help="sign an act upon a record's tags before it is made",
        description="Sign that a tag is set or cleared, or that you look at a record's history. A signature holds for "
        "the history as it is now: once somebody has added a line, sign again.",
    )
    _add_record(sign)
    sign.add_argument("--act", choices=ACTS, required=True)
    _add_words(sign, required=False)
    passphrase.add_key(sign, told="the person's key file")
    sign.add_argument("--role", default=Role.PROTECTION_OFFICER.value, metavar="ROLE", help="in which role")
    sign.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="where the signature goes")

    for verb, told, more in (
        ("set", "protect: one person is enough", "It counts at once, and no rule can forbid it."),
        (
            "clear",
            "end a protection: two persons, 24 h later",
            "A protection officer and a list officer sign. The tag guards for 24 h more, and its history stays.",
        ),
    ):
        act = verbs.add_parser(verb, help=told, description=f"{told[0].upper()}{told[1:]}. {more}")
        _add_record(act)
        _add_words(act, required=True)
        _add_signature(act, "two, of two persons" if verb == "clear" else "the person's")

    show = verbs.add_parser(
        "show",
        help="a record's tags and their whole history",
        description="What guards a record now, and every line of the history. Looking is logged with the person.",
    )
    _add_record(show)
    _add_signature(show, "the person's, made with --act show")


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("list_id", choices=LISTS, metavar="LIST", help=" or ".join(LISTS))
    parser.add_argument("entry_id", metavar="ENTRY_ID")
    node.add_config(parser)


def _add_words(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--tag", choices=TAGS, required=required, default="", metavar="TAG", help=", ".join(TAGS))
    parser.add_argument("--source", required=required, default="", metavar="CODE", help="who knows it, as a code")
    parser.add_argument("--decision", required=required, default="", metavar="REF", help="the reference of the act")
    parser.add_argument("--basis", required=required, default="", metavar="ACT", help="the legal basis")


def _add_signature(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument("--signature", type=Path, action="append", default=[], metavar="FILE", help=told)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import protection

    return protection.run(args)
