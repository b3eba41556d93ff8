"""The lock record: the last head we agreed to sign, kept on other storage than the log.

A checkpoint is signed only after its head replaced the previous one here by compare-and-swap. A store that was restored
from an older copy, or a second writer, therefore finds a head here that it cannot extend, and signs nothing: a log that
forks by mistake would look to every witness like a log that lies.

A restored log has a mark beside its head (`RESTORED`). While it stands nothing is written or signed: a witness must say
first how much of the log it has seen (`flows.witness.known`). Where one has seen more than the backup has, the mark
says so for good, and the log has ended.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from gateway.audit import checkpoint
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import ConfigRefused, Malformed, VerificationFailed

HEAD: Final = "head"
RESTORED: Final = "restored"
"""The mark of a restored log: one line, the backup's digest or, where the log has ended, `ENDED` and why."""

ENDED: Final = "ended: "
_GUARD: Final = "writer"


class LockRecord:
    """The head in `folder`, held by one process at a time (flock on `folder/writer`)."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigRefused when another writer holds it, or nobody can."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._guard = os.open(folder / _GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise ConfigRefused(f"the lock record in {folder} cannot be held: {cause.strerror}") from cause
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._guard)
            raise ConfigRefused(f"another writer holds {folder}; stop it first") from None

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._guard)

    def read(self) -> Checkpoint | None:
        """The head signed last, or None where there never was one. Raises ConfigRefused for anything unreadable."""
        try:
            return checkpoint.parse((self._folder / HEAD).read_bytes())
        except FileNotFoundError:
            return None
        except (Malformed, OSError) as cause:
            raise ConfigRefused(f"the lock record in {self._folder} cannot be read: {cause}") from cause

    @property
    def restored(self) -> str:
        """What the mark of a restored log says; empty where there is none. Raises ConfigRefused."""
        return restored(self._folder)

    def mark(self, line: str) -> None:
        """Set the mark durably, or with an empty line take it away."""
        if line:
            self._put(RESTORED, f"{line}\n".encode())
        else:
            (self._folder / RESTORED).unlink(missing_ok=True)
            self._sync()

    def swap(self, old: Checkpoint | None, new: Checkpoint) -> None:
        """Replace `old` by `new` durably, or do nothing.

        Raises:
            VerificationFailed: the record is not `old`: another log has gone on from it.
        """
        if self.read() != old:
            raise VerificationFailed("lock", "the lock record was changed by somebody else")
        self._put(HEAD, new.encode())

    def _put(self, name: str, data: bytes) -> None:
        part = self._folder / f"{name}.part"
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / name)
        self._sync()

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def restored(folder: Path) -> str:
    """The mark in a folder, which anybody may read without holding the record. Raises ConfigRefused."""
    try:
        return (folder / RESTORED).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigRefused(f"the mark in {folder} cannot be read: {cause}") from cause


def is_restored(folder: Path) -> bool:
    """Whether the log whose lock record is in `folder` waits for a witness."""
    return (folder / RESTORED).exists()
