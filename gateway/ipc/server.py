"""The answering end of a node's internal socket."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Self, cast

from gateway.errors import BudgetExhausted, GatewayError
from gateway.ipc.frames import Frames, frame

PATH_BYTES_MAX: Final = 107
"""Longest socket path Linux takes, bytes (unix(7), sun_path without its terminator)."""

Handler = Callable[[str, Any], Awaitable[Any]]


class Server:
    """A listening socket and its connections. As a context it ends both."""

    def __init__(self, listening: asyncio.AbstractServer, connections: set[_Connection]) -> None:
        self._listening = listening
        self._connections = connections

    def close(self) -> None:
        """Take no more connections; those there are go on."""
        self._listening.close()

    def cut(self) -> None:
        """End every connection once what was written to it has left."""
        for connection in self._connections:
            connection.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        self.cut()


async def serve(path: Path, handler: Handler, *, uid: int | None = None) -> Server:
    """Listen on `path` (mode 0600) and answer each frame with `handler(operation, argument)`.

    Calls of one connection run concurrently. A `GatewayError` travels back by its reason; any other exception becomes
    INTERNAL without text and is re-raised to the loop's exception handler. Callers of another uid are cut at once.

    Raises:
        ValueError: the path is too long for a socket.
    """
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise ValueError(f"socket path has more than {PATH_BYTES_MAX} bytes; choose a shorter run directory")
    allowed = os.getuid() if uid is None else uid
    path.unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    connections: set[_Connection] = set()
    old = os.umask(0o177)
    try:
        listening = await loop.create_unix_server(
            lambda: _Connection(handler, allowed, connections, loop), path=str(path)
        )
    finally:
        os.umask(old)
    return Server(listening, connections)


class _Connection(asyncio.Protocol):
    """One caller's connection.

    A protocol and no stream: a node's every check comes through here six times, and a stream's reader costs as much as
    the frame it reads.
    """

    transport: asyncio.Transport

    def __init__(
        self, handler: Handler, allowed: int, connections: set[_Connection], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._handler = handler
        self._allowed = allowed
        self._connections = connections
        self._loop = loop
        self._frames = Frames()
        # The loop itself holds tasks only weakly.
        self._running: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if _peer_uid(self.transport) != self._allowed:
            self.transport.abort()
            return
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self not in self._connections:
            return
        try:
            for call_id, operation, argument in self._frames.feed(data):
                task = self._loop.create_task(self._answer(call_id, operation, argument))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        except ValueError:
            self._connections.discard(self)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)

    async def _answer(self, call_id: int, operation: str, argument: Any) -> None:
        try:
            reply = frame([call_id, None, await self._handler(operation, argument)])
        except GatewayError as error:
            reply = frame([call_id, *error_parts(error)])
        except Exception as error:
            self._loop.call_exception_handler({"message": f"ipc {operation}", "exception": error})
            reply = frame([call_id, "INTERNAL", [type(error).__name__]])
        if not self.transport.is_closing():
            self.transport.write(reply)


def error_parts(error: GatewayError) -> tuple[str, list[Any]]:
    """An error as it travels: its reason and the private details; `channel.error_of` puts it together again."""
    return error.row.reason, _details(error)


def _details(error: GatewayError) -> list[Any]:
    reasons = getattr(error, "reasons", None)
    if reasons is not None:
        return [list(reasons)]
    if isinstance(error, BudgetExhausted):
        return [error.of, error.cost_micro_rho, error.left_micro_rho, error.left_epsilon_micro]
    if hasattr(error, "step"):
        return [error.step, getattr(error, "why", ""), getattr(error, "position", None)]
    if hasattr(error, "why"):
        return [getattr(error, "field", None) or "", error.why, getattr(error, "line", None)]
    return [str(error)]


def _peer_uid(transport: asyncio.Transport) -> int:
    sock: socket.socket = transport.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)
