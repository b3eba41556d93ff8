"""`limen passengers read`: what a carrier's message says, and what is wrong with it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from gateway_adapters import paxlst

from gateway.cli import inputs
from gateway.cli.main import OK
from gateway.cli.output import emit


def run(args: argparse.Namespace) -> int:
    """Print flight, legs, travellers and warnings. Exit 8 for a file that is no such message."""
    with inputs.about(args.file):
        shown = document(paxlst.read(inputs.data_of(args.file, paxlst.MESSAGE_BYTES_MAX), inputs.day(args.on)))
    who = "crew" if shown["flight"]["crew"] else "passengers"
    lines = [f"{shown['flight']['number']}, {len(shown['travellers'])} {who}"]
    lines += [f"{leg['origin']} to {leg['destination']}, {leg['departure']}" for leg in shown["legs"]]
    lines += [f"warning: {one['code']} in segment {one['segment']}" for one in shown["warnings"]]
    lines += [
        " ".join(str(part) for part in (one["surname"], one["given_names"], one["birth_date"]["value"] or "-"))
        for one in shown["travellers"]
    ]
    emit(args, shown, lines)
    return OK


def document(message: paxlst.Message) -> dict[str, Any]:
    """The promised document (SURFACE, JSON shapes)."""
    return {
        "flight": {"number": message.flight, "carrier": message.carrier, "crew": message.crew},
        "legs": [asdict(leg) for leg in message.legs],
        "travellers": [one.fields.open() for one in message.listed],
        "warnings": [asdict(one) for one in message.warnings],
    }
