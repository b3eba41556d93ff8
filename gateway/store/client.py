"""The unit of work as other processes see it: prepared here, written by the writer.

Commitments and sealing are made in the caller's process, so that the writer, which every call waits for, does no more
than it must, and never sees a secret field. Units that are ready at the same moment travel in one frame.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.audit import leaf
from gateway.audit.entry import Entry
from gateway.audit.seal import Recipients, Sealer
from gateway.errors import AuditUnavailable
from gateway.ipc import Channel, Gone
from gateway.ipc.channel import error_of
from gateway.ports import Change, Committed

UNITS_MAX: Final = 16
"""Most units in one frame: the writer takes these apart while the next ones are prepared."""

FRAME_BYTES: Final = 8 << 20
"""A frame is sent once its units are this large."""

_Units = list[tuple[list[Any], asyncio.Future[Committed]]]

SESSION_S: Final = 60.0
"""A sealing session is dropped after this time even if it is not spent: less to find in memory."""


class WriterClient:
    """`ports.UnitOfWork` over the writer's socket `path`. One event loop.

    `recipients` are the people payloads are sealed to. A writer that is gone is waited for 2 s, then AuditUnavailable.
    """

    def __init__(self, path: Path, recipients: Recipients, *, wait_s: float = 2.0, timeout_s: float = 10.0) -> None:
        self._channel = Channel(path, wait_s=wait_s)
        self._recipients = recipients
        self._timeout_s = timeout_s
        self._sealer: Sealer | None = None
        self._session_ends = 0.0
        self._units: _Units = []
        self._bytes = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def commit(self, entries: Sequence[Entry], changes: Sequence[Change] = ()) -> Committed:
        """`ports.UnitOfWork.commit`. Raises InputRefused for an entry outside the catalogue; then nothing was sent."""
        prepared = [leaf.prepare(entry, secrets.token_bytes(32), self._session()) for entry in entries]
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Committed] = loop.create_future()
        if not self._units:
            loop.call_soon(self._send)
        self._units.append((pack(prepared, changes), done))
        self._bytes += sum(len(entry.sealed) + 1024 for entry in prepared)
        if len(self._units) >= UNITS_MAX or self._bytes >= FRAME_BYTES:
            self._send()
        return await done

    async def witness(
        self, origin: str, old_size: int, size: int, root: bytes, noted: bytes, proof: Sequence[bytes] | None = None
    ) -> None:
        """Check `old_size` against the head cosigned last and remember the new head, atomically (C2SP tlog-witness).

        Raises:
            VerificationFailed: step of `audit.witness`; for a conflict `position` is the size held (409).
            AuditUnavailable: nothing may be signed.
        """
        proof_list = None if proof is None else list(proof)
        await self._call("witness", [origin, old_size, size, root, noted, proof_list])

    async def status(self) -> dict[str, Any]:
        """Numbers for operators: size, checkpoint size, commits, entries."""
        status: dict[str, Any] = await self._call("status", None)
        return status

    async def publish_checkpoint(self, *, timeout_s: float = 30.0) -> bytes:
        """Wait until a checkpoint covers what is committed now, and return its note. The timer is not hurried (T14)."""
        noted: bytes = await self._call("publish_checkpoint", None, timeout_s=timeout_s)
        return noted

    async def confirm(self, their_size: int) -> None:
        """Tell a restored log that a witness has seen `their_size` entries of it, and no others than it has."""
        await self._call("confirm", their_size)

    async def end(self, why: str) -> None:
        """Tell a restored log that a witness has seen more of it: it has ended."""
        await self._call("end", why)

    async def close(self) -> None:
        """Drop the connection."""
        await self._channel.close()

    async def _call(self, operation: str, argument: Any, *, timeout_s: float | None = None) -> Any:
        try:
            return await self._channel.call(operation, argument, timeout_s=timeout_s or self._timeout_s)
        except Gone as gone:
            raise AuditUnavailable(f"the node's log does not answer ({gone}); `limen serve` runs it") from gone

    def _session(self) -> Sealer:
        now = asyncio.get_running_loop().time()
        if self._sealer is None or self._sealer.is_spent or now >= self._session_ends:
            self._sealer = Sealer(self._recipients, secrets.token_bytes(32))
            self._session_ends = now + SESSION_S
        return self._sealer

    def _send(self) -> None:
        if not self._units:
            return
        units, self._units, self._bytes = self._units, [], 0
        try:
            asked = self._channel.post("commit", [unit for unit, _ in units], timeout_s=self._timeout_s)
        except Exception as error:
            _fail(units, error)
            return
        if asked is not None:
            asked.add_done_callback(lambda ended: _settle(units, ended))
            return
        # No connection yet: that takes waiting.
        task = asyncio.get_running_loop().create_task(self._deliver(units))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, units: _Units) -> None:
        try:
            results = await self._call("commit", [unit for unit, _ in units])
        except Exception as error:
            _fail(units, error)
            return
        _done(units, results)


def _settle(units: _Units, ended: asyncio.Future[Any]) -> None:
    error = ended.exception()
    if error is None:
        _done(units, ended.result())
    else:
        _fail(units, AuditUnavailable(str(error)) if isinstance(error, Gone) else error)


def _done(units: _Units, results: Sequence[tuple[str | None, Any]]) -> None:
    for (_, done), (reason, value) in zip(units, results, strict=True):
        if done.done():
            continue
        if reason is None:
            done.set_result(Committed(*map(tuple, value)))
        else:
            done.set_exception(error_of(reason, value))


def _fail(units: _Units, error: BaseException) -> None:
    for _, done in units:
        if not done.done():
            done.set_exception(error)


def pack(prepared: Sequence[leaf.Prepared], changes: Sequence[Change]) -> list[Any]:
    """A unit as it travels."""
    return [
        [[p.kind, p.phase, p.peer, p.retention, p.public, p.commitments, p.sealed] for p in prepared],
        [[change.name, dict(change.args)] for change in changes],
    ]
