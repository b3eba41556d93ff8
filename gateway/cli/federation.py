"""`limen federation`: from members' cards to a signed list in force."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node

LIFE_DAYS = 90


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`show`, `card`, `make`, `sign`, `verify`, `accept`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    show = verbs.add_parser("show", help="print a list of members", description="Print a list of members.")
    show.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: the one this node has in force")
    node.add_config(show)

    card = verbs.add_parser("card", help="make this state's own card", description="Make this state's own card.")
    card.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where to (default: standard output)")
    card.add_argument(
        "--endpoint", action="append", metavar="HOST:PORT", help="where peers reach this node (default: the listener's)"
    )
    card.add_argument("--next-certificate", type=Path, metavar="FILE", help="the gateway's next certificate, PEM")
    node.add_config(card)

    make = verbs.add_parser("make", help="make a list of cards", description="Make an unsigned list of members.")
    make.add_argument("cards", nargs="+", type=Path, metavar="CARD", help="each member's card")
    make.add_argument("--version", type=int, required=True, metavar="N", help="above every version before")
    make.add_argument("--threshold", type=int, required=True, metavar="K", help="signatures needed, more than half")
    make.add_argument(
        "--baseline", required=True, metavar="FILE", help="the regional baseline's bundle, or its SHA-256"
    )
    make.add_argument("--days", type=int, default=LIFE_DAYS, metavar="N", help=f"how long it holds ({LIFE_DAYS})")
    make.add_argument("--suspend", action="append", default=[], metavar="AAA", help="list this state as suspended")
    make.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="where to; must not exist")
    node.add_config(make)

    sign = verbs.add_parser("sign", help="add this state's signature", description="Add a signature to a list.")
    sign.add_argument("file", type=Path, metavar="FILE", help="the list; the signature is added to it")
    sign.add_argument("--state", required=True, metavar="AAA", help="who signs")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="the authority's federation.key")

    verify = verbs.add_parser("verify", help="check a list", description="Check signatures, version and expiry.")
    verify.add_argument("file", type=Path, metavar="FILE", help="the list")
    verify.add_argument("--previous", type=Path, metavar="FILE", help="the list before it (default: the node's)")
    node.add_config(verify)

    accept = verbs.add_parser("accept", help="put a list in force here", description="Verify a list and use it.")
    accept.add_argument("file", type=Path, metavar="FILE", help="the list")
    node.add_config(accept)


def run(args: argparse.Namespace) -> int:
    """As `gateway.cli.acts.federation`."""
    from gateway.cli.acts import federation

    return federation.run(args)
