"""`limen peer`: the other states, what was handed to them and what came from them."""

from __future__ import annotations

import argparse

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, `copies`, `test`, `revoke`, `readmit`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="the members, as this node sees them", description="Print the members.")
    node.add_config(listing)
    copies = verbs.add_parser(
        "copies", help="tables handed out and received", description="Print every table handed out and received."
    )
    node.add_config(copies)
    test = verbs.add_parser("test", help="call a peer, step by step", description="Call a peer and say what it is.")
    test.add_argument("state", metavar="AAA")
    node.add_config(test)
    for verb, words in (
        ("revoke", "stop answering a peer at once; destroy its keys and tables"),
        ("readmit", "answer a peer again, under a new epoch"),
    ):
        one = verbs.add_parser(verb, help=words, description=words[0].upper() + words[1:] + ".")
        one.add_argument("state", metavar="AAA")
        node.add_config(one)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import peer

    return peer.run(args)
