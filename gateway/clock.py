"""ports.Clock: the system's clock, and one shifted by a file for demonstrations and tests."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from gateway.errors import ConfigRefused


class SystemClock:
    """The machine's time. A wall clock that is set back stands still here until it has caught up (T13)."""

    def __init__(self) -> None:
        self._last = 0

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970; never goes back within a process."""
        self._last = max(self._last, self._wall_ns())
        return self._last

    def monotonic_ns(self) -> int:
        """For deadlines and ticks only."""
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Return at the given monotonic time, not before."""
        # A loop, because the event loop's timer may fire up to its resolution early.
        while (left := monotonic_ns - time.monotonic_ns()) > 0:
            await asyncio.sleep(left / 1e9)

    def _wall_ns(self) -> int:
        return time.time_ns()


class VirtualClock(SystemClock):
    """The system's clock plus the shift in a file: decimal nanoseconds, negative for the past.

    All processes of a demonstration name the same file, so they share one time, and rewriting it (`set_shift`) moves
    them all at their next reading. TLS does not follow: certificates are judged by the system's clock.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._shift_ns = 0
        self._reload()

    def _wall_ns(self) -> int:
        self._reload()
        return time.time_ns() + self._shift_ns

    def _reload(self) -> None:
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._shift_ns = int(self._file.read_text("ascii"))
                self._stamp = stamp
        except (OSError, ValueError):
            # Before the first good reading there is no time to give; afterwards the last shift holds.
            if self._stamp is None:
                raise ConfigRefused(
                    f"{self._file}: the virtual clock needs a file with its shift in nanoseconds"
                ) from None


def set_shift(file: Path, shift_ns: int) -> None:
    """Write the virtual clock's shift; readers see the old one or the new one, never half of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(f"{shift_ns}\n", "ascii")
    draft.replace(file)
