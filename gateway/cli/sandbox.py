"""`limen sandbox`: a state of published test travellers, each with a fixed outcome; for training and for integrators.

Point a home system at it, or a node of your own made with `limen init --sandbox`. Live nodes and a sandbox's refuse
each other. Everybody in it is invented. docs/sandbox.md has the travellers and what must come out.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the ports, and who else is let in."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", default=Path("sandbox"),
        help="where it is made, or was: the same folder starts again as it was (default: ./sandbox)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, default=7450, metavar="N", help="30 ports from here on are used (7450); 0: any free ones"
    )
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--travellers", action="store_true", help="print the travellers and what comes out; start nothing")
    act.add_argument(
        "--admit", type=Path, metavar="CARD", help="let your own sandbox node in: its `limen federation card`"
    )


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import sandbox

    return sandbox.run(args)
