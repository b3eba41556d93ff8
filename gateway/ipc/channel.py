"""The asking end of a node's internal socket: pipelined, reconnecting, bounded in time."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import cbor2

from gateway import errors
from gateway.errors import GatewayError
from gateway.ipc.server import frame, read_frame


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
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def call(self, operation: str, argument: Any, *, timeout_s: float = 10.0) -> Any:
        """Ask and wait for the result.

        Raises:
            GatewayError: the other process refused, as the class of the catalogue it named.
            Gone: no answer.
        """
        writer = await self._connected()
        call_id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        try:
            writer.write(frame([call_id, operation, argument]))
            await writer.drain()
            return await asyncio.wait_for(future, timeout_s)
        except (ConnectionError, TimeoutError, RuntimeError) as cause:
            raise Gone(f"{self._path.name}: {operation}") from cause
        finally:
            self._waiting.pop(call_id, None)

    async def close(self) -> None:
        """Drop the connection; waiting calls end as `Gone`."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and not self._writer.is_closing():
            return self._writer
        async with self._connecting:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            until = asyncio.get_running_loop().time() + self._wait_s
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(self._path))
                    break
                except OSError as cause:
                    if asyncio.get_running_loop().time() >= until:
                        raise Gone(f"{self._path.name}: no process") from cause
                    await asyncio.sleep(0.02)
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader, writer))
            return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                call_id, reason, value = await read_frame(reader)
                future = self._waiting.get(call_id)
                if future is None or future.done():
                    continue
                if reason is None:
                    future.set_result(value)
                else:
                    future.set_exception(error_of(reason, value))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, cbor2.CBORDecodeError):
            pass
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
                for future in self._waiting.values():
                    if not future.done():
                        future.set_exception(Gone(f"{self._path.name}: connection lost"))


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
