"""`limen audit`: what an auditor does. `verify` and `show` need no node, no network and no configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`head`, `export`, `card`, `verify`, `show`, `bundle`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    head = verbs.add_parser("head", help="the newest checkpoint", description="Print the newest checkpoint.")
    node.add_config(head)

    exporting = verbs.add_parser(
        "export", help="write the log to a folder", description="Write the log to a new folder."
    )
    exporting.add_argument("path", type=Path, metavar="DIR", help="a new folder")
    exporting.add_argument(
        "--cosignatures", type=int, metavar="K", help="up to a checkpoint with so many (default: at least one)"
    )
    exporting.add_argument("--no-payloads", action="store_true", help="leaves only, without the sealed payloads")
    node.add_config(exporting)

    card = verbs.add_parser("card", help="make a trust card", description="Make an auditor's card of public keys.")
    card.add_argument("--federation", type=Path, required=True, metavar="FILE", help="the signed list of members")
    card.add_argument("--state", required=True, metavar="AAA", help="whose log the card is for")
    card.add_argument("--quorum", type=int, metavar="K", help="witnesses needed (default: more than half)")
    card.add_argument("--seen", type=Path, metavar="DIR", help="an export verified before: the log must extend it")
    card.add_argument("--register", type=Path, metavar="FILE", help="the agency's register: only its persons count")
    card.add_argument("--register-key", metavar="HEX", help="the public key that the register is signed with")
    card.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where to (default: standard output)")

    check = verbs.add_parser(
        "verify",
        help="verify an export, a bundle or a proof offline",
        description="Verify an export, or entries of one, offline.",
    )
    check.add_argument("path", type=Path, metavar="PATH", help="a folder of `limen audit export`, a bundle or a proof")
    check.add_argument("--trust", type=Path, required=True, metavar="CARD", help="the card of public keys")
    check.add_argument("--witnessed", type=Path, action="append", default=[], metavar="NOTE", help="a witness's copy")
    check.add_argument("--reader-key", type=Path, metavar="FILE", help="supervisor's or auditor's key: opens payloads")

    show = verbs.add_parser("show", help="read an export's entries", description="Print entries of an export.")
    show.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` wrote")
    show.add_argument("--reader-key", type=Path, metavar="FILE", help="opens what is sealed to this reader")
    show.add_argument("--kind", metavar="KIND", help="only entries of this kind")
    show.add_argument("--seq", type=int, metavar="N", help="only the entry of this number")
    show.add_argument("--peer", metavar="AAA", help="only entries about this peer")
    show.add_argument("--proof", type=Path, metavar="FILE", help="write that one entry as a C2SP tlog-proof")

    bundling = verbs.add_parser(
        "bundle",
        help="some entries with their proofs, as one file",
        description="Verify an export and write some of its entries with their proofs.",
    )
    bundling.add_argument("path", type=Path, metavar="DIR", help="what `limen audit export` wrote")
    bundling.add_argument("--trust", type=Path, required=True, metavar="CARD", help="the card of public keys")
    bundling.add_argument(
        "--entry", type=int, nargs="+", required=True, metavar="N", help="the entries, by their numbers"
    )
    bundling.add_argument(
        "--open", nargs="+", default=[], metavar="FIELD", help="sealed fields that stand in the file in clear"
    )
    bundling.add_argument("--reader-key", type=Path, metavar="FILE", help="opens them: supervisor's or auditor's key")
    bundling.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="the file to write")


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import audit

    return audit.run(args)
