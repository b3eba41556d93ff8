"""`limen config show`: every setting and where its value came from."""

from __future__ import annotations

import argparse

from gateway import config
from gateway.cli import node
from gateway.cli.main import OK
from gateway.cli.output import emit, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`show [--origin]`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("show", help="print every setting", description="Every setting as this node would use it.")
    show.add_argument("--origin", action="store_true", help="say where each value came from")
    node.add_config(show)


def run(args: argparse.Namespace) -> int:
    """Print the tree. No secret stands in it."""
    loaded = node.loaded(args)
    values = config.shown(loaded.config)
    if not args.origin:
        emit(args, values, (f"{key} = {value}" for key, value in values.items()))
        return OK
    rows = [{"setting": key, "value": value, "origin": str(loaded.origins[key])} for key, value in values.items()]
    emit(args, rows, table(rows, ("setting", "value", "origin")))
    return OK
