"""`limen serve`: run a node until SIGTERM."""

from __future__ import annotations

import argparse

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--processes`, `--production`."""
    parser.add_argument("--processes", type=int, metavar="N", help="gateway processes that answer (default: 1)")
    parser.add_argument(
        "--production", action="store_true", help="refuse every setting that is unsafe outside a demonstration"
    )
    node.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import serve

    return serve.run(args)
