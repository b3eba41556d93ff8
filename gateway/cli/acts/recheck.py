"""`limen node recheck`: the whole log hashed again, beside a running node or after it has stopped."""

from __future__ import annotations

import argparse
import base64

from gateway.cli import node
from gateway.cli.main import OK
from gateway.cli.output import emit
from gateway.store import recheck


def run(args: argparse.Namespace) -> int:
    """Exit 6 at the first entry that does not fit."""
    settings = node.load(args)
    held = recheck.recheck(settings.paths.store)
    root = base64.b64encode(held.root).decode("ascii")
    emit(
        args,
        {"size": held.size, "checkpoints": held.checkpoints, "root": root},
        [f"{held.size:,} entries and {held.checkpoints:,} checkpoints hold; the root is {root}."],
    )
    return OK


__all__ = ["run"]
