"""The harness of tests that need more than one process: what lies between nodes, and where nodes are found.

Part A: a TCP proxy that stalls, cuts, delays, spoils and records what two programs say to each other; free ports; port
files. All of it works beside blocking tests: `proxied` runs the proxy's loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gateway.cli.acts.nodes import free_ports as free_ports

LOOPBACK: Final = "127.0.0.1"
"""Never `localhost`: certificates of tests carry this address, and a resolver may answer with ::1."""

_READ_BYTES: Final = 65536
_POLL_S: Final = 0.01


# --- part A: the proxy ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one direction's bytes. Counts are in each connection's own bytes of that direction, from 0.

    `delay_s` holds every piece back so long; `stalled` holds all of them back until the plan is changed;
    `cut_after` lets so many bytes through and then resets both sides; `garbage` stands in the stream in front of byte
    `garbage_at`; `flip_at` turns the lowest bit of that byte.
    """

    delay_s: float = 0.0
    stalled: bool = False
    cut_after: int | None = None
    garbage: bytes = b""
    garbage_at: int = 0
    flip_at: int | None = None


CLEAN: Final = Plan()
"""Let everything through."""


@dataclass(slots=True)
class Capture:
    """What one connection's two ends sent, before any plan touched it: `up` by the caller, `down` by the server."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)


class Proxy:
    """A TCP proxy in front of `(host, port)`, listening on a free loopback port. Use with `async with`.

    `up` and `down` (caller to server, server to caller) may be changed at any time, from any thread; a change is seen
    by connections in progress at their next piece. `refusing` closes new connections at once, as a stopped node does.
    """

    def __init__(self, host: str, port: int, *, up: Plan = CLEAN, down: Plan = CLEAN) -> None:
        self.target = (host, port)
        self.captures: list[Capture] = []
        self.refusing = False
        self._plans = {"up": up, "down": down}
        self._connections: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._reset_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def up(self) -> Plan:
        """The plan from the caller to the server."""
        return self._plans["up"]

    @up.setter
    def up(self, plan: Plan) -> None:
        self._change("up", plan)

    @property
    def down(self) -> Plan:
        """The plan from the server to the caller."""
        return self._plans["down"]

    @down.setter
    def down(self, plan: Plan) -> None:
        self._change("down", plan)

    @property
    def sent(self) -> int:
        """Bytes the callers sent, over all connections."""
        return sum(len(capture.up) for capture in self.captures)

    @property
    def received(self) -> int:
        """Bytes the server sent, over all connections."""
        return sum(len(capture.down) for capture in self.captures)

    def saw(self, planted: bytes) -> bool:
        """True where the bytes stand anywhere in what was recorded (a canary)."""
        return any(planted in capture.up or planted in capture.down for capture in self.captures)

    def forget(self) -> None:
        """Start recording anew; connections in progress go on into captures that are no longer listed."""
        self.captures = []

    def cut(self) -> None:
        """Reset every connection in progress, from any thread."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _change(self, direction: str, plan: Plan) -> None:
        self._plans[direction] = plan

        def wake() -> None:
            self._changed.set()
            self._changed = asyncio.Event()

        self._loop.call_soon_threadsafe(wake)

    def _reset_all(self) -> None:
        for ends in list(self._connections):
            for end in ends:
                _reset(end)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            _reset(writer)
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        capture = Capture()
        self.captures.append(capture)
        ends = (writer, server_writer)
        self._connections.add(ends)
        try:
            await asyncio.gather(
                self._pump("up", reader, server_writer, capture.up),
                self._pump("down", server_reader, writer, capture.down),
            )
        except (_Cut, OSError):
            for end in ends:
                _reset(end)
        finally:
            self._connections.discard(ends)
            for end in ends:
                end.close()

    async def _pump(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray
    ) -> None:
        at = 0
        while piece := await reader.read(_READ_BYTES):
            record += piece
            while self._plans[direction].stalled:
                await self._changed.wait()
            plan = self._plans[direction]
            if plan.delay_s:
                await asyncio.sleep(plan.delay_s)
            passed, is_cut = _bent(piece, at, plan)
            at += len(piece)
            writer.write(passed)
            await writer.drain()
            if is_cut:
                raise _Cut
        if writer.can_write_eof():
            writer.write_eof()


class _Cut(Exception):
    """The plan ends this connection."""


def _bent(piece: bytes, at: int, plan: Plan) -> tuple[bytes, bool]:
    """What passes of a piece that starts at byte `at`, and whether the connection ends after it."""
    is_cut = plan.cut_after is not None and at + len(piece) >= plan.cut_after
    if plan.cut_after is not None and is_cut:
        piece = piece[: max(0, plan.cut_after - at)]
    if plan.flip_at is not None and at <= plan.flip_at < at + len(piece):
        place = plan.flip_at - at
        piece = piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]
    if plan.garbage and at <= plan.garbage_at < at + len(piece):
        place = plan.garbage_at - at
        piece = piece[:place] + plan.garbage + piece[place:]
    return piece, is_cut


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a process that was killed does, not with an orderly FIN."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport = writer.transport
    transport.abort()


@contextlib.contextmanager
def proxied(host: str, port: int, *, up: Plan = CLEAN, down: Plan = CLEAN) -> Iterator[Proxy]:
    """A proxy that runs in a thread of its own, for tests that block."""
    proxy = Proxy(host, port, up=up, down=down)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(10)
        try:
            yield proxy
        finally:
            asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


# --- part A: ports ------------------------------------------------------------


def free_port() -> int:
    """One port that was free a moment ago."""
    return free_ports(1)[0]


def wait_for(
    found: Callable[[], bool],
    *,
    what: str,
    timeout_s: float = 10.0,
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
) -> None:
    """Return as soon as `found()` is true.

    Raises:
        TimeoutError: it was not in time; names `what`.
        RuntimeError: `process` ended meanwhile, so waiting is of no use.
    """
    until = time.monotonic() + timeout_s
    while not found():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what}: the process ended with {process.returncode}")
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(_POLL_S)


def wait_for_port_file(
    path: Path,
    *,
    timeout_s: float = 10.0,
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
) -> int:
    """The port that a process wrote to `path`: digits and a newline (`gateway.config`). Errors of `wait_for`."""
    seen: list[int] = []

    def written() -> bool:
        try:
            text = path.read_text("ascii")
        except FileNotFoundError:
            return False
        # A file without its newline is still being written.
        if text.endswith("\n") and text.strip().isdigit():
            seen.append(int(text))
        return bool(seen)

    wait_for(written, what=f"port file {path.name}", timeout_s=timeout_s, process=process)
    return seen[0]


def wait_for_listener(
    port: int,
    *,
    timeout_s: float = 10.0,
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
) -> None:
    """Return once something accepts connections on the loopback port. Errors of `wait_for`."""

    def accepts() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    wait_for(accepts, what=f"listener on port {port}", timeout_s=timeout_s, process=process)
