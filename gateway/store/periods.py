"""The folder of period keys: apart from the database, in no backup, and the place where destruction happens (T15).

One file for each (retention class, period), named by both, 0600. The writer alone changes them; an export reads them. A
file is replaced whole and durably before the old one is overwritten, so that a crash leaves one of the two.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.audit.kinds import RETENTION_NS
from gateway.audit.period import PERIOD_NS, Gone, PeriodKey, period_of
from gateway.errors import AuditUnavailable, ConfigRefused, Malformed

SUFFIX: Final = ".period"


class PeriodKeys:
    """The keys of one log in `folder`. Keeps what it has read; the `PeriodKeys` of another process see no later change.

    A log that follows another one counts from 0 again, so the keys of each stand apart, by the origin's digest.
    """

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder = folder / hashlib.sha256(origin.encode()).hexdigest()[:16]
        self._held: dict[tuple[str, int], PeriodKey | None] = {}

    def close(self, retention: str, time_ns: int, seq: int, payload: bytes) -> tuple[int, bytes]:
        """(start of the period, the payload as it is stored). The period's first payload draws its key, durably.

        Raises:
            AuditUnavailable: the key cannot be kept or read, so nothing may be stored under it.
        """
        start = period_of(retention, time_ns)
        try:
            key = self._key(retention, start)
            if key is None:
                key = PeriodKey.fresh(secrets.token_bytes(32))
                self._put(retention, start, key)
            return start, key.close(seq, payload)
        except (OSError, ConfigRefused, Gone) as cause:
            raise AuditUnavailable(f"the period key of class {retention} cannot be used: {cause}") from cause

    def open(self, retention: str, start: int, seq: int, stored: bytes) -> bytes | None:
        """The payload, or None where its key is not there any more.

        Raises:
            VerificationFailed: these are not the bytes that were stored.
            ConfigRefused: a key's file cannot be read.
        """
        key = self._key(retention, start)
        try:
            return None if key is None else key.open(seq, stored)
        except Gone:
            return None

    def has(self, retention: str, start: int, seq: int) -> bool:
        """Whether the record's key is left. Raises ConfigRefused."""
        key = self._key(retention, start)
        return key is not None and key.has(seq)

    def forget(self, retention: str, start: int, first: int, last: int, keep: Sequence[int]) -> None:
        """Destroy the record keys `first` to `last` of a period, except those of `keep`. Raises OSError."""
        key = self._key(retention, start)
        if key is None:
            return
        left = key.forget(first, last, keep)
        if left.is_empty:
            self.destroy(retention, start)
        else:
            self._put(retention, start, left)

    def destroy(self, retention: str, start: int) -> None:
        """Destroy the period's key: whatever is still under it is unreadable, wherever it is. Raises OSError."""
        path = self._path(retention, start)
        with contextlib.suppress(FileNotFoundError):
            _overwrite(path)
            path.unlink()
            _sync(self._folder)
        self._held[(retention, start)] = None

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """The (class, start) of every key that is there. Raises ConfigRefused for a file of another name."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            retention, _, start = path.name.removesuffix(SUFFIX).rpartition("-")
            if retention not in RETENTION_NS or not start.isascii() or not start.isdigit():
                raise ConfigRefused(f"{path}: is no period key's name")
            yield retention, int(start) * PERIOD_NS[retention]

    def _key(self, retention: str, start: int) -> PeriodKey | None:
        place = (retention, start)
        if place not in self._held:
            path = self._path(retention, start)
            try:
                self._held[place] = PeriodKey.decode(path.read_bytes())
            except FileNotFoundError:
                self._held[place] = None
            except (OSError, Malformed) as cause:
                raise ConfigRefused(f"{path}: the period key cannot be read ({cause})") from None
        return self._held[place]

    def _put(self, retention: str, start: int, key: PeriodKey) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(retention, start)
        part, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.encode())
            file.flush()
            os.fsync(file.fileno())
        # A second name keeps the old bytes in reach, to be overwritten once the new ones are in their place.
        old.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(path, old)
        part.replace(path)
        _sync(self._folder)
        self._held[(retention, start)] = key
        self.clear(old)

    def clear(self, *paths: Path) -> None:
        """Overwrite and remove what a replacement leaves behind: these, or all that a crash left. Raises OSError."""
        for path in paths or sorted((*self._folder.glob(".*.part"), *self._folder.glob(".*.old"))):
            with contextlib.suppress(FileNotFoundError):
                _overwrite(path)
                path.unlink()

    def _path(self, retention: str, start: int) -> Path:
        return self._folder / f"{retention}-{start // PERIOD_NS[retention]}{SUFFIX}"


def _overwrite(path: Path) -> None:
    """Zeros over the bytes. A disk that writes elsewhere may keep the old ones until it reuses their place."""
    with path.open("r+b") as file:
        held = os.fstat(file.fileno())
        # A crash may have left two names for the bytes that are still in use.
        if held.st_nlink > 1:
            return
        file.write(bytes(held.st_size))
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["SUFFIX", "PeriodKeys"]
