"""`limen node database`: the store onto a PostgreSQL server, or back into its folder."""

from __future__ import annotations

import argparse

from gateway.cli import node
from gateway.cli.main import OK
from gateway.cli.output import emit
from gateway.store import moving, postgres


def run(args: argparse.Namespace) -> int:
    """Move it, and say what was hashed again."""
    settings = node.load(args)
    store, lock = settings.paths.store, settings.paths.lock
    if args.file:
        held, where = moving.to_file(store, lock), f"in {store}"
    else:
        held, where = moving.to_server(store, lock, postgres.read(args.server)), "on the server"
    emit(
        args,
        {"database": "sqlite" if args.file else "postgresql", "entries": held.size, "root": held.root.hex()},
        [f"the store is {where}: {held.size} entries, the same root; start the node"],
    )
    return OK
