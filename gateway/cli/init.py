"""`limen init --state AAA DIR`: make a node."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--state AAA DIR` and what may be known before the first start."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="the node's folder; made here, must not hold anything")
    parser.add_argument("--state", required=True, metavar="AAA", help="the state's code, three capital letters")
    parser.add_argument(
        "--sandbox", action="store_true", help="a node for a sandbox (`limen sandbox`): no live state will speak to it"
    )
    parser.add_argument("--agency", action="append", metavar="CODE", help="an agency that may ask (default: BORDER)")
    parser.add_argument(
        "--host",
        action="append",
        metavar="NAME",
        help="a name or address by which others reach this machine: peers are then let in from outside (default: none)",
    )
    for listener in ("peers", "home", "auditors", "metrics"):
        parser.add_argument(f"--{listener}", metavar="HOST:PORT", help=f"where the {listener} listener binds")
    parser.add_argument("--baseline", metavar="FILE", type=Path, help="the region's signed baseline bundle")
    parser.add_argument("--baseline-key", metavar="FILE", type=Path, help="who signs it: a public key in PEM")
    parser.add_argument(
        "--clock-file", metavar="FILE", type=Path, help="for demonstrations: a file that holds the clock's shift"
    )


def run(args: argparse.Namespace) -> int:
    """As `gateway.cli.acts.init`."""
    from gateway.cli.acts import init

    return init.run(args)
