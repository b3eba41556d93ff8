"""E2: what durable audit entries add to the gateway's own steps: rate and CPU against the bare echo of the same rounds.

The listener of E1 waits in each call for one entry, or for two, one after the other, to be durable, as an answering
gateway does. The writer is a process of its own on tmpfs under `fsync_shim.c`, a disk of 1 ms, so that the figures
hardly depend on the machine's disk; CPU is that of listener and writer together. E2.commits counts transactions an
entry, with that disk and with this machine's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop

from bench import audit, echo, pipeline
from gateway.rpc.server import Seen
from gateway.store import writer
from gateway.store.client import WriterClient
from gateway.terms import PeerId

Row = dict[str, Any]

LATENCY_US: Final = 1000
RATE_GOALS: Final = {(1, 16): 0.70, (1, 64): 0.80, (2, 16): 0.55, (2, 64): 0.70}
CPU_GOALS: Final = {1: 1.45, 2: 1.7}
WORDS: Final = {1: "one entry", 2: "two entries, one after the other"}

IDS: Final = ("E2", *(f"E2.{entries}.c{count}" for entries, count in RATE_GOALS), "E2.1.cpu", "E2.2.cpu",
              "E2.commits", "E2.commits.disk")  # fmt: skip


def run(smoke: bool) -> list[Row]:
    """The rows of E2. The short form asserts nothing about speed. Skipped, visibly, without a C compiler."""
    compiler = shutil.which("cc")
    memory = Path("/dev/shm")
    if compiler is None or not memory.is_dir():
        why = "no C compiler" if compiler is None else "no tmpfs at /dev/shm"
        return [_row("E2", None, "", "", f"skipped: {why}")]
    with tempfile.TemporaryDirectory(prefix="limen-") as folder:
        shim = audit.built_shim(compiler, Path(folder))
        with tempfile.TemporaryDirectory(prefix="limen-", dir=memory) as store:
            shimmed = uvloop.run(
                _measure(
                    Path(folder),
                    Path(store),
                    {"LD_PRELOAD": str(shim), "FSYNC_SHIM_US": str(LATENCY_US)},
                    counts=(16, 64),
                    rounds=1 if smoke else 7,
                    calls=200 if smoke else 2000,
                )
            )
        own = uvloop.run(
            _measure(
                Path(folder),
                Path(folder) / "disk",
                {},
                counts=(16,),
                rounds=1 if smoke else 3,
                calls=200 if smoke else 1000,
            )
        )
    rows = []
    for (entries, count), goal in RATE_GOALS.items():
        rates = shimmed.rates[entries, count]
        against = f"the bare echo's rate at c={count}, {median(shimmed.echo_rates[count]):.0f}/s; disk of 1 ms"
        rows.append(
            _row(f"E2.{entries}.c{count}", median(rates), f"share of its rate, {WORDS[entries]}", f">= {goal}", against)
        )
    echo_us = median(shimmed.echo_ns) / 1e3
    for entries, goal in CPU_GOALS.items():
        unit = f"echoes of CPU a call, listener and writer, {WORDS[entries]}"
        against = f"bare mTLS echo, {echo_us:.0f} us, c=16"
        rows.append(_row(f"E2.{entries}.cpu", median(shimmed.cpu[entries]), unit, f"<= {goal}", against))
    for name, held, disk in (
        ("E2.commits", shimmed, "a disk of 1 ms"),
        ("E2.commits.disk", own, "this machine's disk"),
    ):
        rows.append(_row(name, median(held.commits), "commits an entry, c=16, both kinds", "<= 0.4", disk))
    return rows


def _row(name: str, value: float | None, unit: str, goal: str, against: str) -> Row:
    met: bool | None = None
    if value is not None:
        bound = float(goal.split()[1])
        met = value <= bound if goal.startswith("<=") else value >= bound
    return {
        "id": name,
        "value": None if value is None else round(value, 3),
        "unit": unit,
        "goal": goal,
        "met": met,
        "against": against,
    }


@dataclass(slots=True)
class _Found:
    """By entries a call and calls in progress; ratios within a round."""

    rates: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)
    commits: list[float] = field(default_factory=list)
    echo_rates: dict[int, list[float]] = field(default_factory=dict)
    echo_ns: list[float] = field(default_factory=list)


async def _measure(
    folder: Path, store: Path, env: dict[str, str], *, counts: tuple[int, ...], rounds: int, calls: int
) -> _Found:
    world = pipeline.World.make(folder)
    found = _Found()
    async with contextlib.AsyncExitStack() as stack:
        writer_pid = await stack.enter_async_context(_writer(store, env))
        status = WriterClient(store / "run" / writer.SOCKET, audit.recipients())
        stack.push_async_callback(status.close)
        bare = await stack.enter_async_context(echo.running(folder, pipeline.CHANNELS))
        listeners = {}
        for entries in CPU_GOALS:
            listener = pipeline.serving(world, "bench.durable", str(store), str(entries))
            listeners[entries] = await stack.enter_async_context(listener)
            await echo.load(listeners[entries][1], calls // 2, 16)
        await echo.load(bare.ask, calls // 2, 16)
        for _ in range(rounds):
            for count in counts:
                echo_ns, echo_rate = await _loaded([bare.pid], bare.ask, calls, count)
                found.echo_rates.setdefault(count, []).append(echo_rate)
                if count == 16:
                    found.echo_ns.append(echo_ns)
                for entries, (pid, ask) in listeners.items():
                    before = (await status.status())["commits"]
                    cpu_ns, rate = await _loaded([pid, writer_pid], ask, calls, count)
                    commits = (await status.status())["commits"] - before
                    found.rates.setdefault((entries, count), []).append(rate / echo_rate)
                    if count == 16:
                        found.cpu.setdefault(entries, []).append(cpu_ns / echo_ns)
                        found.commits.append(commits / (entries * calls))
    return found


async def _loaded(pids: list[int], ask: echo.Ask, calls: int, count: int) -> tuple[float, float]:
    """(CPU of these processes a call in ns, calls a second)."""
    before, began = echo.cpu_ns(pids), time.perf_counter()
    await echo.load(ask, calls, count)
    took_s = time.perf_counter() - began
    return (echo.cpu_ns(pids) - before) / calls, calls / took_s


@contextlib.asynccontextmanager
async def _writer(store: Path, env: dict[str, str]) -> AsyncIterator[int]:
    """The process id of a writer that serves a new log."""
    writer.create(audit.config(store))
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.audit", "serve", str(store)], cwd=echo.ROOT, env={**os.environ, **env}
    )
    try:
        until = time.monotonic() + 20
        while not (store / "run" / writer.SOCKET).exists():
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("the writer did not start")
            await asyncio.sleep(0.02)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


# -- The listener -----------------------------------------------------------------------------------------------------


class _Logged(pipeline.Steps):
    """The listener of E1 with durable entries before the reply leaves."""

    uow: WriterClient
    entries: int

    async def _serve(
        self, path: str, body: bytes, context: Any, caller: PeerId, now_ns: int, deadline_ns: int, seen: Seen
    ) -> bytes:
        reply = await super()._serve(path, body, context, caller, now_ns, deadline_ns, seen)
        for _ in range(self.entries):
            await self.uow.commit([audit.entry("answer")])
        return reply


async def _serve(store: Path, entries: int, folder: Path) -> int:
    _Logged.uow = WriterClient(store / "run" / writer.SOCKET, audit.recipients())
    _Logged.entries = entries
    return await pipeline.serve_gateway(pipeline.World(folder), _Logged)


if __name__ == "__main__":
    uvloop.run(pipeline.until_told(_serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
