"""`limen officer`: persons, their keys and roles; a token of ten minutes for checks."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node, passphrase
from gateway.terms.words import Role

VALID_DAYS = 365


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`enrol`, `login`, `list`, `retire`, `declare`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    roles = ", ".join(role.value for role in Role)

    enrol = verbs.add_parser(
        "enrol",
        help="enter a person in the register",
        description="Enter a person and the public half of the person's key in the register.",
        epilog=f"roles: {roles}",
    )
    enrol.add_argument("--officer", required=True, metavar="NUMBER", help="the personnel number")
    enrol.add_argument("--agency", metavar="CODE", help="the person's agency (default: the node's only one)")
    enrol.add_argument("--role", action="append", required=True, metavar="ROLE", help="what the person does")
    enrol.add_argument("--days", type=int, default=VALID_DAYS, metavar="N", help=f"how long it holds ({VALID_DAYS})")
    passphrase.add_key(enrol, told="the person's key file; made here where it does not exist")
    _add_register_key(enrol)
    node.add_config(enrol)

    login = verbs.add_parser(
        "login", help="get a token for checks", description="Prove the person's key and get a token of ten minutes."
    )
    passphrase.add_key(login, told="the person's key file")
    node.add_booth(login)

    listing = verbs.add_parser("list", help="print the register", description="Everyone ever enrolled.")
    node.add_config(listing)

    retire = verbs.add_parser("retire", help="end a person's validity", description="End a person's validity now.")
    retire.add_argument("--officer", required=True, metavar="NUMBER", help="the personnel number")
    _add_register_key(retire)
    node.add_config(retire)

    declare = verbs.add_parser(
        "declare",
        help="whom a person may not look up: their own and their relatives' keys, hashed",
        description="Declare an officer and the officer's relatives: an alert is raised where the officer asks about\n"
        "one of them. They come by standard input, one JSON object a line as `limen check --stream` takes them;\n"
        "only keyed hashes are kept. What was declared of the officer before is replaced.",
    )
    declare.add_argument("--officer", required=True, metavar="NUMBER", help="the personnel number")
    declare.add_argument("--nobody", action="store_true", help="forget what was declared")
    node.add_config(declare)


def _add_register_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--register-key", type=Path, metavar="FILE", help="who signs the register (default: handover/register.key)"
    )


def run(args: argparse.Namespace) -> int:
    """As `gateway.cli.acts.officer`."""
    from gateway.cli.acts import officer

    return officer.run(args)
