"""`limen epoch`: the life of the keys that peers' tables are made under."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node
from gateway.terms import Role


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, `rotate`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser(
        "list", help="epochs of every peer, and when each ends", description="Print every epoch whose key is there."
    )
    node.add_config(listing)

    rotate = verbs.add_parser(
        "rotate",
        help="new keys before their time: two persons sign",
        description="Give peers new keys. Both keys serve until the peers have the new tables, so that no check\n"
        "fails; the old ones are destroyed a day later. The next epoch opens by itself a day before one\n"
        "ends: this is for when it must be earlier.",
        epilog="Each of the two signs the same order first (--sign OUT --key FILE); whoever runs the node then\n"
        "enters both (--signature A --signature B). A signature holds for the epochs in force as they are.",
    )
    rotate.add_argument("--peer", action="append", default=[], metavar="AAA", help="only this one (default: everyone)")
    rotate.add_argument("--decision", required=True, metavar="REF", help="by which decision; it names no person")
    rotate.add_argument(
        "--emergency",
        action="store_true",
        help="a key may be known: destroy the old ones at once; checks are unreachable until peers have new tables",
    )
    rotate.add_argument("--sign", type=Path, metavar="OUT", help="sign the order, and enter nothing")
    rotate.add_argument(
        "--role", default=Role.SUPERVISOR.value, metavar="ROLE", help="supervisor or policy.officer (supervisor)"
    )
    rotate.add_argument("--key", type=Path, metavar="FILE", help="your key file")
    rotate.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase")
    rotate.add_argument(
        "--signature", type=Path, action="append", default=[], metavar="FILE", help="the two persons' (twice)"
    )
    node.add_config(rotate)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import epoch

    return epoch.run(args)
