"""A state whose gateway is down, and comes back."""

from __future__ import annotations

import time

from gateway.cli.acts.demo.run import SETTLE_S, Run
from gateway.cli.report.record import Learned


def down(run: Run, *, fast: bool) -> None:
    """Stop Panama's node, ask, and start it again."""
    traveller = run.region.traveller("peer_down")

    def down() -> tuple[str, bool]:
        run.nodes.stop("PAN")
        ran, got, ok = run.compare(traveller, traveller.expected)
        return f"complete {got.get('complete')}, unreachable {got.get('unreachable')} (exit {ran.code})", ok

    run.step(
        "A peer is down",
        traveller.story,
        run.command("peer_down"),
        "exit 5, PAN named, never nothing",
        down,
        (Learned("officer in HND", "that nothing may be read out of PAN's silence"),),
        between=("HND", "PAN"),
    )
    if fast:
        return

    def back() -> tuple[str, bool]:
        run.nodes.start("PAN")
        until = time.monotonic() + SETTLE_S
        while True:
            ran, got, ok = run.compare(traveller, traveller.recovered)
            if ok or time.monotonic() > until:
                hits = [f"{hit['kind']} by {hit['class']}" for hit in got.get("hits", [])]
                return f"{got.get('outcome')}: {', '.join(hits)} (exit {ran.code})", ok
            time.sleep(0.2)

    run.step(
        "The peer is back",
        "The same question again.",
        run.command("peer_down"),
        "the hit",
        back,
        between=("HND", "PAN"),
    )
