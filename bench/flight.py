"""E4: a flight of 300 travellers, three match keys each, in one call: what the gateway adds to the bare evaluation.

Honduras's requests of class 1,280 under API.PRESCREEN go straight to Panama's peers' listener, one after the other:
signature, identity, both policy layers, quota, two durable entries, verifiable evaluation, stored reply. Counted is the
CPU of every thread of every process of Panama's node; against it stands the same batch evaluated and proved with
nothing around it, timed in the same rounds.
"""

from __future__ import annotations

from statistics import median
from typing import Any, Final

import uvloop

from bench import echo, node
from gateway.terms import Purpose, Role

Row = dict[str, Any]

IDS: Final = ("E4", "E4.batch")

CLASS_SIZE: Final = 1280
"""The padded size of 300 travellers with three keys each (900)."""

ROUNDS: Final = 9
CALLS: Final = 6


def run(smoke: bool) -> list[Row]:
    """The rows of E4. The short form asserts nothing about speed, but every reply is verified in both."""
    nodes = node.made(node.ENTRIES).nodes
    with node.environment(node.INSTALLED):
        try:
            nodes.start()
            generator = node.Generator.of(
                nodes,
                asker="HND",
                owner="PAN",
                purpose=Purpose("API.PRESCREEN"),
                role=Role.TARGETING_CENTRE,
                class_size=CLASS_SIZE,
            )
            pids = list(nodes["PAN"].pids().values())
            return uvloop.run(_measure(generator, pids, *((1, 1) if smoke else (ROUNDS, CALLS))))
        finally:
            nodes.stop()


async def _measure(generator: node.Generator, pids: list[int], rounds: int, calls: int) -> list[Row]:
    evaluate = node.evaluation(CLASS_SIZE)
    ratios: list[float] = []
    bare: list[float] = []
    async with generator.connected() as method:

        async def ask() -> None:
            (request,) = generator.requests(1)
            call = method(request)
            body = await call
            generator.verify(request, body, await call.trailing_metadata())

        await ask()
        for _ in range(rounds):
            own_ns = median(evaluate() for _ in range(calls))
            before = echo.cpu_ns(pids)
            for _ in range(calls):
                await ask()
            ratios.append((echo.cpu_ns(pids) - before) / calls / own_ns)
            bare.append(own_ns)
    batch_ms = median(bare) / 1e6
    against = f"the same batch with nothing around it, {batch_ms:.0f} ms of CPU"
    return [
        node.row("E4", median(ratios), "times the bare batch, CPU of all processes", against, goal=1.15),
        node.row("E4.batch", batch_ms, f"ms of CPU, {CLASS_SIZE:,} elements evaluated and proved", "for information"),
    ]
