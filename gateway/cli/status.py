"""`limen status`: is the node up, what is in force, which peers, which tables. Asked at the workstation's door."""

from __future__ import annotations

import argparse

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--watch`; the node's own workstation folder where `--config` names a node."""
    parser.add_argument("--watch", action="store_true", help="again every 2 seconds, until interrupted")
    node.add_booth(parser)
    node.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import status

    return status.run(args)
