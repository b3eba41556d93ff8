"""E8: a node that holds 10^5 entries: how soon it is ready, and how much memory its processes keep.

Panama lists 70,000 persons and 30,000 documents of the invented region, loaded in files as people load them, and its
tables for Honduras are made and fetched before anything is measured. Then the node is started at the ticks of `limen
init`: ready is when `limen serve` says so, with listeners open and all processes answering. Memory is taken after
checks have been answered, while no job runs: what is resident of each process, summed, so that pages which processes
share count for each; E8.pss divides those among them. Loading and making the tables takes minutes and is told for
information.
The short form holds 300 entries.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from bench import node
from gateway.cli.acts.nodes import Nodes

Row = dict[str, Any]

IDS: Final = ("E8", "E8.ready", "E8.memory", "E8.pss", "E8.load", "E8.tables")

ENTRIES: Final = 100_000
STARTS: Final = 5
SETTLED_S: Final = 3.0
CHECKS: Final = 50


def run(smoke: bool) -> list[Row]:
    """The rows of E8. The short form asserts nothing about speed or size."""
    entries, starts = (node.ENTRIES, 1) if smoke else (ENTRIES, STARTS)
    made = node.made(entries)
    nodes = made.nodes
    ready = []
    try:
        with node.environment(node.INSTALLED):
            nodes.start("HND")
            for _ in range(starts):
                nodes.stop("PAN")
                began = time.monotonic()
                nodes.start("PAN")
                ready.append(time.monotonic() - began)
        uvloop.run(_asked(nodes))
        time.sleep(SETTLED_S)
        held = {name: _memory(pid) for name, pid in nodes["PAN"].pids().items()}
    finally:
        nodes.stop()
    rss, pss = (sum(one[place] for one in held.values()) for place in (0, 1))
    each = ", ".join(f"{name} {one[0]:.0f}" for name, one in sorted(held.items()))
    holds = f"a node with {entries:,} entries and their tables"
    return [
        node.row("E8.ready", median(ready), "s from start to ready", f"{holds}, {starts} starts", goal=2),
        node.row("E8.memory", rss, "MB resident, all processes", f"{holds}: {each}", goal=250),
        node.row("E8.pss", pss, "MB, shared pages divided among processes", "for information"),
        node.row("E8.load", made.load_s, "s to load the files", "for information"),
        node.row("E8.tables", made.tables_s, "s until the peer holds the tables", "for information"),
    ]


async def _asked(nodes: Nodes) -> None:
    """A few checks, so that what calls need is in memory."""
    generator = node.Generator.of(nodes, asker="HND", owner="PAN")
    async with generator.connected() as ask:
        for request in generator.requests(CHECKS):
            await ask(request)


def _memory(pid: int) -> tuple[float, float]:
    """(RSS, PSS) of a process, MB."""
    found = {"Rss:": 0.0, "Pss:": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        name, *rest = line.split()
        if name in found:
            found[name] = int(rest[0]) * 1024 / 1e6
    return found["Rss:"], found["Pss:"]
