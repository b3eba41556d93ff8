"""`limen node`: back a node up, and bring one back."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`backup`, `restore`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    backup = verbs.add_parser(
        "backup",
        help="one sealed file of all that must survive, while the node runs",
        description="Write one file, sealed under a passphrase: settings, keys, certificates, policy, list of\n"
        "members, register, log and lists. Never in it: epoch seeds, tables, what belongs off the node.",
    )
    backup.add_argument("place", type=Path, metavar="FILE|DIR", help="a new file, or a folder to put one in")
    node.add_config(backup)
    restore = verbs.add_parser(
        "restore",
        help="make a node's folder from a backup",
        description="Make a node from a backup. It signs nothing until a witness has said what it has seen of its\n"
        "log, never goes on where that is more than the backup has, and opens new epochs.",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="the backup")
    restore.add_argument("folder", type=Path, metavar="DIR", help="the node's new folder; must not hold anything")
    for verb in (backup, restore):
        verb.add_argument(
            "--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase (default: a prompt)"
        )


def run(args: argparse.Namespace) -> int:
    """As `gateway.cli.acts.backup`."""
    from gateway.cli.acts import backup

    return backup.backup(args) if args.verb == "backup" else backup.restore(args)
