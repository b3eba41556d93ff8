"""Values made from files that people replace while the node runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

from gateway.errors import GatewayError, PolicyUnavailable, VersionMoved

T = TypeVar("T")
Stamp = tuple[tuple[int, int], ...]


class Watched(Generic[T]):
    """A value made by `make` from `paths`. A file that cannot be used leaves the old value in force (`complain` says
    so once), so that a mistake in a new file does not stop a running node. Where it is a policy server that does not
    follow yet (PolicyUnavailable), the file may be right: it is tried again at each look."""

    def __init__(
        self, make: Callable[[], Awaitable[T]], paths: Callable[[], tuple[Path, ...]], complain: Callable[[str], None]
    ) -> None:
        self._make = make
        self._paths = paths
        self._complain = complain
        self._stamp: Stamp = ()
        self._said = ""
        self._value: T | None = None
        self._making = asyncio.Lock()

    def __call__(self) -> T:
        """The value in force. `refresh` has been awaited before."""
        if self._value is None:
            raise RuntimeError("asked before it was made")
        return self._value

    async def refresh(self, *, first: bool = False) -> bool:
        """Make the value again if its files changed. True when a new one is in force; the first time it must be."""
        async with self._making:
            return await self._refresh(first)

    async def _refresh(self, first: bool) -> bool:
        stamp = self._stamps()
        if stamp == self._stamp:
            return False
        try:
            self._value = await self._make()
        except GatewayError as error:
            if first:
                raise
            if not isinstance(error, PolicyUnavailable):
                self._stamp = stamp
                self._said = ""
            if str(error) != self._said:
                self._complain(str(error))
                self._said = str(error)
            return False
        self._stamp, self._said = stamp, ""
        return True

    def _stamps(self) -> Stamp:
        found = []
        for path in self._paths():
            try:
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_ino))
            except OSError:
                found.append((0, 0))
        return tuple(found)


async def again_if_moved(doing: Callable[[], Awaitable[T]], catch_up: Callable[[], Awaitable[object]]) -> T:
    """Do it, and once more where the rules in force moved under it.

    New rules are in the log a moment before this process decides by them, and longer where another process of the node
    was the first to see them. Deciding again by the rules in force is what the refusal asks for (T5).
    """
    try:
        return await doing()
    except VersionMoved:
        await catch_up()
        return await doing()
