"""The asking end of a node's internal socket: pipelined, reconnecting, bounded in time."""

from __future__ import annotations

import asyncio
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
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()

    async def call(self, operation: str, argument: Any, *, timeout_s: float = 10.0) -> Any:
        """Ask and wait for the result.

        Raises:
            GatewayError: the other process refused, as the class of the catalogue it named.
            Gone: no answer.
        """
        asked = self.post(operation, argument, timeout_s=timeout_s)
        if asked is None:
            asked = (await self._connected()).ask(operation, argument, timeout_s)
        return await asked

    def post(self, operation: str, argument: Any, *, timeout_s: float = 10.0) -> asyncio.Future[Any] | None:
        """Ask now, without a task that waits: the future ends as `call` does. None where there is no connection yet."""
        link = self._link
        if link is None or link.transport.is_closing():
            return None
        return link.ask(operation, argument, timeout_s)

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
        self._loop = asyncio.get_running_loop()
        self._last_id = 0
        self._waiting: dict[int, tuple[asyncio.Future[Any], float]] = {}
        # One timer for all calls: a timer for each costs as much as the frame.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def ask(self, operation: str, argument: Any, timeout_s: float) -> asyncio.Future[Any]:
        """Send a call; the future has its result, what the other process refused with, or Gone."""
        call_id = self._last_id = self._last_id + 1
        until = self._loop.time() + timeout_s
        self.transport.write(frame([call_id, operation, argument]))
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[call_id] = (future, until)
        if self._timer is None or until < self._timer_at:
            self._set_timer(until)
        return future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for call_id, reason, value in self._frames.feed(data):
                future, _ = self._waiting.pop(call_id, (None, 0.0))
                # Its caller may have gone meanwhile, or it was answered too late.
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
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, {}
        for future, _ in waiting.values():
            _end(future, f"{self._name}: connection lost")

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._late)

    def _late(self) -> None:
        self._timer = None
        now = self._loop.time()
        for call_id in [call_id for call_id, (_, until) in self._waiting.items() if until <= now]:
            _end(self._waiting.pop(call_id)[0], f"{self._name}: no answer in time")
        if self._waiting:
            self._set_timer(min(until for _, until in self._waiting.values()))


def _end(future: asyncio.Future[Any], why: str) -> None:
    if not future.done():
        future.set_exception(Gone(why))


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
    if kind is errors.BudgetExhausted:
        of, cost, left, epsilon = details
        return errors.BudgetExhausted(of, cost, left, epsilon)
    return kind(*details)
