"""The asking end of a node's internal socket: pipelined, reconnecting, bounded in time."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any, cast

from gateway import errors
from gateway.errors import GatewayError
from gateway.ipc.frames import Frames, frame


class Gone(Exception):
    """The other process did not answer: it is gone, it restarted under the call, or it is too slow."""


_BY_REASON = {kind.row.reason: kind for kind in errors.CATALOGUE}


class Channel:
    """One connection to a process of the same node. Safe for concurrent calls on one event loop.

    `wait_s` is how long a call queues for a restarting process before `Gone` (ARCHITECTURE: 2 s for the writer).
    A call that was sent and then lost its connection is never sent again: its outcome is unknown, so it is `Gone`.
    """

    def __init__(self, path: Path, *, wait_s: float = 2.0) -> None:
        self._path = path
        self._wait_s = wait_s
        self._ids = itertools.count(1)
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()

    async def call(self, operation: str, argument: Any, *, timeout_s: float = 10.0) -> Any:
        """Ask and wait for the result.

        Raises:
            GatewayError: the other process refused, as the class of the catalogue it named.
            Gone: no answer.
        """
        link = self._link
        if link is None or link.transport.is_closing():
            link = await self._connected()
        loop = asyncio.get_running_loop()
        call_id = next(self._ids)
        future: asyncio.Future[Any] = loop.create_future()
        link.transport.write(frame([call_id, operation, argument]))
        link.waiting[call_id] = future
        timer = loop.call_later(timeout_s, _late, future, f"{self._path.name}: {operation}")
        try:
            return await future
        finally:
            timer.cancel()
            link.waiting.pop(call_id, None)

    async def close(self) -> None:
        """Drop the connection; waiting calls end as `Gone`."""
        link, self._link = self._link, None
        if link is not None:
            link.transport.abort()

    async def _connected(self) -> _Link:
        async with self._connecting:
            if self._link is not None and not self._link.transport.is_closing():
                return self._link
            loop = asyncio.get_running_loop()
            until = loop.time() + self._wait_s
            while True:
                try:
                    _, link = await loop.create_unix_connection(lambda: _Link(self._path.name), str(self._path))
                    break
                except OSError as cause:
                    if loop.time() >= until:
                        raise Gone(f"{self._path.name}: no process") from cause
                    await asyncio.sleep(0.02)
            self._link = link
            return link


class _Link(asyncio.Protocol):
    """An open connection and the calls that wait for an answer on it."""

    transport: asyncio.Transport

    def __init__(self, name: str) -> None:
        self._name = name
        self._frames = Frames()
        self.waiting: dict[int, asyncio.Future[Any]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for call_id, reason, value in self._frames.feed(data):
                future = self.waiting.get(call_id)
                if future is None or future.done():
                    continue
                if reason is None:
                    future.set_result(value)
                else:
                    future.set_exception(error_of(reason, value))
        except (ValueError, LookupError, TypeError):
            # Not what a process of ours says.
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Gone(f"{self._name}: connection lost"))


def _late(future: asyncio.Future[Any], what: str) -> None:
    if not future.done():
        future.set_exception(Gone(f"{what}: no answer in time"))


def error_of(reason: str, details: Any) -> GatewayError:
    """The error that `server.error_parts` took apart."""
    kind = _BY_REASON.get(reason, GatewayError)
    if kind is errors.PolicyDenied:
        return errors.PolicyDenied(tuple(details[0]))
    if kind is errors.VerificationFailed:
        return errors.VerificationFailed(details[0], details[1], position=details[2])
    if kind is errors.Malformed:
        return errors.Malformed(details[0], details[1])
    if kind is errors.InputRefused:
        return errors.InputRefused(details[1], line=details[2], field=details[0] or None)
    return kind(*details)
