"""`limen node`: back a node up, bring one back, move its database, look what an older release left, begin a new log."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli import node, passphrase

LEAF_DAYS = 365
"""As `federation.certificates` issues them."""

REASONS = ("older_copy", "damaged", "lock_lost", "other")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`backup`, `restore`, `renew`, `upgrade`, `decide`, `recover`, `recheck`, `database`."""
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
    renew = verbs.add_parser(
        "renew",
        help="the node's certificates anew, by the state's anchor",
        description="Issue the node's certificates anew for the keys it has: what peers know it by stays. The anchor\n"
        "is offline; bring it for this one command. A running node takes the new ones up by itself.",
    )
    renew.add_argument("--anchor", type=Path, required=True, metavar="DIR", help="anchor.crt and anchor.key")
    renew.add_argument("--days", type=int, default=LEAF_DAYS, metavar="N", help=f"how long they hold ({LEAF_DAYS})")
    node.add_config(renew)
    upgrade = verbs.add_parser(
        "upgrade",
        help="what this release finds in the node that an older one made",
        description="What an older release left that this one has more to say of: the store's form, mandates that the\n"
        "national rules lack. Each with the command that mends it. Reads, and changes nothing; exit 1 where there is\n"
        "something to do.",
    )
    upgrade.add_argument("--check", action="store_true", required=True, help="say it; a node is upgraded by its start")
    node.add_config(upgrade)
    decide = verbs.add_parser(
        "decide",
        help="sign that a log which cannot go on is followed by a new one",
        description="Sign, as a supervisor, what is left of the log and that a new one begins. Changes nothing.",
    )
    passphrase.add_key(decide, told="the supervisor's key file")
    decide.add_argument("-o", dest="out", type=Path, required=True, metavar="FILE", help="where the signature goes")
    recover = verbs.add_parser(
        "recover",
        help="begin a new log under a new origin, by two persons",
        description="Put a log aside that is shorter or other than what was signed, and begin a new one. The node\n"
        "must not run. Two supervisors have signed the same facts with `limen node decide`.",
    )
    recover.add_argument(
        "--signature", type=Path, action="append", default=[], metavar="FILE", help="two, of two persons"
    )
    for verb in (decide, recover):
        verb.add_argument("--reason", choices=REASONS, required=True, help="why the log cannot go on")
        verb.add_argument("--decision", required=True, metavar="REF", help="the act's reference")
        node.add_config(verb)
    recheck = verbs.add_parser(
        "recheck",
        help="hash the whole log again: did the disk change anything",
        description="Hash every entry again and compare with tiles and checkpoints. Needs no key and changes\n"
        "nothing; names the first entry that does not fit (exit 6). About 200,000 entries a second.",
    )
    node.add_config(recheck)
    database = verbs.add_parser(
        "database",
        help="move the store onto a PostgreSQL server, or back",
        description="Move the stopped node's database. The log goes on as it is: every entry is hashed again at the\n"
        "new place before the old one is given up. FILE is TOML: database, user, and socket, or host with ca_file;\n"
        "port, password_file and schema where they are not the usual ones (docs/postgresql.md).",
    )
    where = database.add_mutually_exclusive_group(required=True)
    where.add_argument("--server", type=Path, metavar="FILE", help="onto the server that this file describes")
    where.add_argument("--file", action="store_true", help="back into the store folder; the server keeps nothing")
    node.add_config(database)
    for verb in (backup, restore):
        verb.add_argument(
            "--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase (default: a prompt)"
        )


def run(args: argparse.Namespace) -> int:
    """As `gateway.cli.acts.backup`, `recover` and `recheck`."""
    if args.verb == "recheck":
        from gateway.cli.acts import recheck

        return recheck.run(args)
    if args.verb == "database":
        from gateway.cli.acts import database

        return database.run(args)
    if args.verb in ("decide", "recover"):
        from gateway.cli.acts import recover

        return recover.run(args)
    if args.verb == "renew":
        from gateway.cli.acts import renew

        return renew.run(args)
    if args.verb == "upgrade":
        from gateway.cli.acts import upgrade

        return upgrade.run(args)
    from gateway.cli.acts import backup

    return backup.backup(args) if args.verb == "backup" else backup.restore(args)
