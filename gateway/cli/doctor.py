"""`limen doctor`: what is wrong with this node, and what to do about it."""

from __future__ import annotations

import argparse

from gateway.cli import node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`[--ports] [--offline]`."""
    parser.add_argument("--ports", action="store_true", help="print the form for the firewall and stop")
    parser.add_argument("--offline", action="store_true", help="do not connect to peers")
    node.add_config(parser)


def run(args: argparse.Namespace) -> int:
    """As `gateway.cli.acts.doctor`."""
    from gateway.cli.acts import doctor

    return doctor.run(args)
