"""`limen demo`: five states as real processes on this machine, every step narrated and checked.

Four exchange; Utopia, a state some travellers fled from, is a member and lists some of them. All persons are invented.
The exit code is 0 only if every step came out as said; `report.html` is built from the run.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--keep`, `--fast`, `--out`."""
    parser.add_argument("--keep", action="store_true", help="leave the nodes' folders where they ran")
    parser.add_argument(
        "--fast", action="store_true", help="three states, short lists, and no restart of a stopped state"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="copy each state's folder and its exported log there, with the report"
    )


def run(args: argparse.Namespace) -> int:
    """Do it. What it needs is imported only now: help answers at once."""
    from gateway.cli.acts import demo

    return demo.run(args)
