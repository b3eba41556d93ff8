"""E6 and E7: a node that answers with two gateway processes: what a call costs, and what a caller sees of changes.

E6 asks Panama's peers' listener over eight connections, 32 calls at a time, once served by one gateway process and once
by two. Where there are four cores or more the rates are compared; on fewer the processes share cores with the load
generator, so the CPU of a check (every thread of every process of the node) is compared instead.

E7 keeps two gateway processes under a steady load while the policy is replaced, the listeners' certificates are
replaced, and the gateway processes are restarted one after the other (SIGHUP to `limen serve`); it counts the calls
that failed. The caller is one that asks again once, with the same bytes, where a connection ended under a call, as a
gateway does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, Final

import grpc
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench import echo, node
from gateway.cli.acts.nodes import Nodes
from gateway.terms.exchange import SignedMessage

Row = dict[str, Any]

IDS: Final = ("E6", "E6.rate", "E7", "E7.calls")

CONNECTIONS: Final = 8
CONCURRENT: Final = 32
CORES_MIN: Final = 4
"""From so many on rates are compared: fewer leave no core for a second process beside the load generator."""

LOAD_PER_S: Final = 40.0
SETTLE_S: Final = 3.0
"""How long the load goes on after each change: a node looks for changed files every second."""


def run(smoke: bool) -> list[Row]:
    """The rows of E6 and E7. The short form asserts nothing about speed."""
    nodes = node.made(node.ENTRIES).nodes
    rounds, calls = (1, 64) if smoke else (5, 640)
    costs: dict[int, list[float]] = {1: [], 2: []}
    rates: dict[int, list[float]] = {1: [], 2: []}
    with node.environment(node.INSTALLED):
        try:
            nodes.start("HND")
            for _ in range(rounds):
                for processes in costs:
                    with node.environment({"LIMEN_SERVE_PROCESSES": str(processes)}):
                        nodes.start("PAN")
                        try:
                            cost, rate = uvloop.run(_loaded(nodes, calls))
                        finally:
                            nodes.stop("PAN")
                    costs[processes].append(cost)
                    rates[processes].append(rate)
            with node.environment({"LIMEN_SERVE_PROCESSES": "2"}):
                nodes.start("PAN")
                asked, failed = uvloop.run(_changed(nodes))
        finally:
            nodes.stop()
    one, two = ({count: median(values) for count, values in held.items()} for held in (costs, rates))
    cost, rate = one[2] / one[1], two[2] / two[1]
    cores = os.cpu_count() or 1
    against = f"one process: {one[1] / 1e3:.0f} us of CPU a check, {two[1]:.0f} a second; {cores} cores for all"
    first = (
        _at_least("E6", rate, "times the rate of one gateway process", against, 1.7)
        if cores >= CORES_MIN
        else node.row("E6", cost, "times the CPU a check of one gateway process", against)
    )
    return [
        first,
        node.row("E6.rate", rate, "times the rate of one gateway process", "for information"),
        node.row("E7", failed, "calls failed: policy, certificates, processes replaced", f"{asked} calls", goal=0),
        node.row("E7.calls", asked, f"calls, {LOAD_PER_S:.0f} a second", "for information"),
    ]


def _at_least(name: str, value: float, unit: str, against: str, goal: float) -> Row:
    return {**node.row(name, value, unit, against), "goal": f">= {goal:g}", "met": value >= goal}


async def _loaded(nodes: Nodes, calls: int) -> tuple[float, float]:
    """(CPU ns a check, checks a second)."""
    generator = node.Generator.of(nodes, asker="HND", owner="PAN")
    pids = list(nodes["PAN"].pids().values())
    async with _asking(generator) as ask:
        warm = generator.requests(calls // 4)
        await echo.load(lambda number: ask(warm[number]), len(warm), CONCURRENT)
        requests = generator.requests(calls)
        before, began = echo.cpu_ns(pids), time.perf_counter()
        await echo.load(lambda number: ask(requests[number]), calls, CONCURRENT)
        return (echo.cpu_ns(pids) - before) / calls, calls / (time.perf_counter() - began)


@asynccontextmanager
async def _asking(generator: node.Generator) -> AsyncIterator[Callable[[SignedMessage], Awaitable[None]]]:
    async with generator.connected(CONNECTIONS) as method:

        async def ask(request: SignedMessage) -> None:
            try:
                call = method(request)
                body = await call
            except grpc.aio.AioRpcError as ended:
                if ended.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                call = method(request)
                body = await call
            generator.verify(request, body, await call.trailing_metadata())

        yield ask


async def _changed(nodes: Nodes) -> tuple[int, int]:
    """(calls, calls that failed)."""
    generator = node.Generator.of(nodes, asker="HND", owner="PAN")
    done = asyncio.Event()
    failures: list[str] = []
    asked = 0
    async with _asking(generator) as ask:

        async def one() -> None:
            (request,) = generator.requests(1)
            try:
                await ask(request)
            except (grpc.aio.AioRpcError, RuntimeError) as error:
                failures.append(str(error.code() if isinstance(error, grpc.aio.AioRpcError) else error))

        async def steady() -> None:
            nonlocal asked
            running: set[asyncio.Task[None]] = set()
            while not done.is_set():
                asked += 1
                running.add(asyncio.create_task(one()))
                running = {task for task in running if not task.done()}
                await asyncio.sleep(1 / LOAD_PER_S)
            await asyncio.gather(*running)

        load = asyncio.create_task(steady())
        try:
            for change in (_replace_policy, _renew_certificates, _restart_in_turn):
                await asyncio.to_thread(change, nodes)
                await asyncio.sleep(SETTLE_S)
        finally:
            done.set()
            await load
    for failure in sorted(set(failures)):
        print(f"E7: {failures.count(failure)} calls: {failure}", file=sys.stderr)
    return asked, len(failures)


def _replace_policy(nodes: Nodes) -> None:
    """The state's rules, built and signed again: a higher sequence number."""
    nodes.activate("PAN")


def _renew_certificates(nodes: Nodes) -> None:
    """The listeners' certificates again over the keys they have, so that the pins stay."""
    root = nodes["PAN"].folder
    signer = serialization.load_pem_private_key((root / "anchor" / "anchor.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    for name in ("gateway", "home", "auditors"):
        path = root / "tls" / f"{name}.crt"
        old = x509.load_pem_x509_certificate(path.read_bytes())
        new = x509.CertificateBuilder(
            old.issuer,
            old.subject,
            old.public_key(),
            x509.random_serial_number(),
            old.not_valid_before_utc,
            old.not_valid_after_utc,
            list(old.extensions),
        ).sign(signer, hashes.SHA256())
        part = path.with_suffix(".part")
        part.write_bytes(new.public_bytes(serialization.Encoding.PEM))
        part.replace(path)


def _restart_in_turn(nodes: Nodes) -> None:
    """SIGHUP, and wait until the supervisor says that both were replaced."""
    panama = nodes["PAN"]
    before = panama.pids()
    assert panama.process is not None
    panama.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        now = panama.pids()
        if all(now.get(name, before[name]) != before[name] for name in ("gateway", "gateway-2")):
            return
        time.sleep(0.05)
    raise RuntimeError("the gateway processes were not replaced")
