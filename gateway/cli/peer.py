"""`limen peer`: the other states, what was handed to them and what came from them."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`invite`, `accept`, `list`, `copies`, `faults`, `test`, `revoke`, `readmit`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    invite = verbs.add_parser(
        "invite", help="offer a state to become peers; makes a file and words", description="Invite a state."
    )
    invite.add_argument("state", metavar="AAA", help="the state you invite")
    invite.add_argument("--days", type=int, default=7, metavar="N", help="how long it holds (7)")
    accept = verbs.add_parser(
        "accept",
        help="take an invitation, an answer or a list that came",
        description="Take the other side's file: an invitation, the answer to yours, or a list of members to sign.",
    )
    accept.add_argument("file", type=Path, metavar="FILE", help="what came")
    accept.add_argument("--words", metavar="WORDS", help="the words heard by telephone (default: a prompt)")
    for one in (invite, accept):
        one.add_argument(
            "--endpoint", action="append", metavar="HOST:PORT", help="where peers reach us (default: the listener's)"
        )
        one.add_argument("--key", type=Path, metavar="FILE", help="federation.key (default: anchor/federation.key)")
        one.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where to write (default: a name that says)")
        node.add_config(one)
    listing = verbs.add_parser("list", help="the members, as this node sees them", description="Print the members.")
    node.add_config(listing)
    copies = verbs.add_parser(
        "copies", help="tables handed out and received", description="Print every table handed out and received."
    )
    node.add_config(copies)
    faults = verbs.add_parser(
        "faults",
        help="what owners signed and should not have",
        description="Print every table that an owner signed and that was refused here: an older one, another\n"
        "under the same version, one that does not follow, or with other bytes than were signed. Each is kept as a\n"
        "file with both signed manifests: who has the owner's public key can judge the two.",
    )
    node.add_config(faults)
    test = verbs.add_parser(
        "test",
        help="call a peer, step by step",
        description="Go one step after another towards a peer: name, port, TLS, identity, a signed message, clock,\n"
        "versions, baseline, and what both sides' rules would say. No traveller, no charge.",
    )
    test.add_argument("state", metavar="AAA")
    test.add_argument("--purpose", metavar="CODE", help="what to ask the rules; a no is then a failure (exit 3)")
    test.add_argument(
        "--basis", default="bilateral agreement", metavar="TEXT", help="its legal basis (bilateral agreement)"
    )
    test.add_argument("--agency", metavar="CODE", help="who would ask (default: the first of ours)")
    test.add_argument("--role", metavar="ROLE", help="in which role (default: one that the purpose allows)")
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
    if args.verb in ("invite", "accept"):
        from gateway.cli.acts import peering

        return peering.invite(args) if args.verb == "invite" else peering.accept(args)
    if args.verb == "test":
        from gateway.cli.acts import probing

        return probing.run(args)
    from gateway.cli.acts import peer

    return peer.run(args)
