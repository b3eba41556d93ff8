"""The measure of every speed: a bare grpc.aio + uvloop echo over mutual TLS, 1 KB, a process of its own.

Its CPU is the run time of all its threads (`schedstat`), so that gRPC's own threads count. Whoever measures against it
loads it in the same rounds, with the same client, number of connections and calls in progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

from gateway.federation import certificates
from gateway.federation.certificates import KeyPair
from gateway.rpc import tls
from gateway.terms import PeerId

ROOT: Final = Path(__file__).parents[1]
BYTES: Final = 1024
METHOD: Final = "/bench.Echo/Echo"
STATE: Final = PeerId("XEC")

Ask = Callable[[int], Awaitable[object]]
"""One call. The argument counts the calls of a load from 0."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The running server, and one call to it."""

    pid: int
    ask: Ask


@contextlib.asynccontextmanager
async def running(folder: Path, connections: int) -> AsyncIterator[Echo]:
    """Start the server with its files in `folder`, and connect so many times."""
    now_ns = time.time_ns()
    anchor = certificates.make_anchor(STATE, now_ns)
    leaf = certificates.issue_leaf(anchor, STATE, "gateway", now_ns)
    for name, data in (("anchor", anchor.certificate_pem), ("key", leaf.key_pem), ("crt", leaf.certificate_pem)):
        (folder / f"echo.{name}").write_bytes(data)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.echo", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    channels: list[grpc.aio.Channel] = []
    try:
        assert process.stdout is not None
        port = int(await asyncio.to_thread(process.stdout.readline))
        channels = connected(f"127.0.0.1:{port}", leaf, anchor.certificate_pem, connections)
        methods: list[Any] = [channel.unary_unary(METHOD) for channel in channels]
        body = bytes(BYTES)
        yield Echo(process.pid, lambda number: methods[number % connections](body, timeout=30))
    finally:
        for channel in channels:
            await channel.close()
        # The end of its standard input ends it.
        process.communicate()


def connected(address: str, leaf: KeyPair, anchor_pem: bytes, count: int) -> list[grpc.aio.Channel]:
    """Channels to one address with a connection each; channels would share one otherwise."""
    credentials = tls.channel_credentials(leaf, anchor_pem)
    options = [*tls.channel_options(1 << 20), ("grpc.use_local_subchannel_pool", 1)]
    return [grpc.aio.secure_channel(address, credentials, options=options) for _ in range(count)]


async def load(ask: Ask, calls: int, concurrent: int) -> list[int]:
    """So many calls, so many at a time; returns how long each took, ns."""
    numbers = iter(range(calls))
    took: list[int] = []

    async def one() -> None:
        for number in numbers:
            began = time.perf_counter_ns()
            await ask(number)
            took.append(time.perf_counter_ns() - began)

    await asyncio.gather(*(one() for _ in range(concurrent)))
    return took


async def paced(ask: Ask, calls: int, per_s: float) -> list[int]:
    """So many calls at a fixed rate, whether or not earlier ones have ended; returns how long each took, ns."""
    began_s = time.perf_counter()
    took: list[int] = []

    async def one(number: int) -> None:
        due_s = began_s + number / per_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        # From when it was due: a client that is late itself must not hide a slow server.
        await ask(number)
        took.append(int((time.perf_counter() - due_s) * 1e9))

    await asyncio.gather(*(one(number) for number in range(calls)))
    return took


def cpu_ns(pids: Iterable[int]) -> int:
    """Run time of every thread of these processes so far, ns."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text("ascii").split()[0])
    return total


def quantile(values: Sequence[int], share: float) -> int:
    """The value below which this share of the others lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _serve(folder: Path) -> None:
    async def answer(body: bytes, context: Any) -> bytes:
        return body

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
            return method

    method: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Handler(),))
    key, certificate, anchor = ((folder / f"echo.{name}").read_bytes() for name in ("key", "crt", "anchor"))
    credentials = grpc.ssl_server_credentials([(key, certificate)], anchor, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
