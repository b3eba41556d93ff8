"""A new log in the place of one that cannot go on: what stays, what is begun anew, what is put aside.

A log whose database is an older copy, damaged or another one must not go on: it would fork. What a node needs besides
its log (lists, cases, quotas, what was answered) does not have to go with it. Of the former log nothing is deleted: its
files lie in `ended-<number>` of the store and of the lock folder, for auditors.

What the former database says may be older than what happened. So nothing that only ever rises is lowered, and what was
spent of privacy is taken to be spent whole: every account of releases is full, and no data set is in force before two
persons load one again. Epochs have ended, officers and bundles enter the new log at its start.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit import merkle
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import ConfigRefused, VerificationFailed
from gateway.store import db as database
from gateway.store import postgres, wal
from gateway.store.lock import HEAD, RESTORED, LockRecord

_LOG_TABLES: Final = ("leaf", "tile", "payload", "pair", "checkpoint", "cosignature", "doomed")
_TRIGGERS: Final = ("leaf_is_kept", "tile_is_kept")
_ANEW: Final = (
    "DELETE FROM officer",
    "DELETE FROM dataset",
    "UPDATE epoch SET expires_ns = 0",
    "UPDATE epoch_beside SET state = 'retired', expires_ns = 0",
    # The same bundle again is an entry of the new log, and an older one is still refused.
    "UPDATE policy SET digest = x'', sequence = sequence - 1",
    # Peers hold tables that the copy does not know of, and take none with a lower number.
    "UPDATE manifest SET version = version + 1000000",
    "UPDATE release_account SET spent = cap",
    "UPDATE release_share SET spent = cap",
    "UPDATE alert SET seq = 0",
    # They speak of the former log's entries and trees.
    "DELETE FROM meta WHERE name IN ('clock.step', 'pair_heads', 'pair_heads_before')",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a log. `head` is what was signed for last, None where nothing says it; `held` counts entries."""

    origin: str
    head: Checkpoint | None
    held: int
    is_readable: bool


def standing(store_dir: Path, lock_dir: Path, origin: str) -> Standing:
    """Look at the log of this origin without changing anything. Raises ConfigRefused while a writer holds it."""
    if (store_dir / postgres.FILE).exists():
        raise ConfigRefused(
            "the log's database is on a server: bring it to this machine first, `limen node database --file`"
        )
    lock = LockRecord(lock_dir)
    try:
        try:
            head = lock.read()
        except ConfigRefused:
            head = None
        held = _held(store_dir / database.FILE, origin)
        return Standing(origin, head if head and head.origin == origin else None, held or 0, held is not None)
    finally:
        lock.close()


def _held(path: Path, origin: str) -> int | None:
    """How many entries a database has; None where it is not that log's or cannot be read."""
    if not path.exists():
        return None
    try:
        # Nothing is written; but only a connection that could write reads a write-ahead log that nobody has open.
        with closing(sqlite3.connect(path)) as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
            _, taken, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            with contextlib.suppress(VerificationFailed):
                wal.judge(path, max(0, taken))  # Which puts a damaged one aside.
            (last,) = db.execute("SELECT max(seq) FROM leaf").fetchone()
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    if row is None or row[0] != origin or verdict != "ok":
        return None
    return 0 if last is None else int(last) + 1


def begin(store_dir: Path, lock_dir: Path, former: Standing, origin: str, number: int) -> None:
    """Put the former log aside and an empty one of `origin` in its place. May be repeated after a crash.

    Raises:
        ConfigRefused: a writer runs, or the files are not the former log's.
    """
    lock = LockRecord(lock_dir)
    try:
        path, ended = store_dir / database.FILE, store_dir / f"ended-{number - 1}"
        made = store_dir / f"log-{number}.db"
        if _origin(path) != origin:
            if not made.exists():
                _make(path if former.is_readable else None, made, origin)
            ended.mkdir(mode=0o700, exist_ok=True)
            for suffix in ("", "-wal", "-shm", wal.DAMAGED):
                file = store_dir / f"{database.FILE}{suffix}"
                if file.exists():
                    file.rename(ended / file.name)
            made.rename(path)
            _sync(store_dir)
        held = lock_dir / f"ended-{number - 1}"
        held.mkdir(mode=0o700, exist_ok=True)
        for name in (HEAD, RESTORED):
            if (lock_dir / name).exists() and not (held / name).exists():
                (lock_dir / name).rename(held / name)
        if lock.read() is None:
            lock.swap(None, Checkpoint(origin, 0, merkle.EMPTY_ROOT))
    finally:
        lock.close()


def formers(origin: str) -> dict[int, str]:
    """The logs that the one of this origin follows, by their number."""
    base, _, number = origin.rpartition("/")
    if not base or not number.isascii() or not number.isdigit():
        return {}
    return {one: base if one == 1 else f"{base}/{one}" for one in range(1, int(number))}


def held_back(store_dir: Path, number: int, in_force: Collection[bytes]) -> Collection[tuple[str, int]] | None:
    """The (class, period) pairs of a former log that a hold still in force keeps; None where nobody can say which.

    `in_force` are the ids of the holds in the database now: they came with it, and none was lifted.
    """
    if not in_force:
        return ()
    path = store_dir / f"ended-{number}" / database.FILE
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            ranges = [
                row[1:] for row in db.execute("SELECT hold_id, first, last FROM hold") if bytes(row[0]) in in_force
            ]
            return {
                (class_, period)
                for first, last in ranges
                for class_, period in db.execute(
                    "SELECT DISTINCT class, period FROM payload WHERE seq BETWEEN ? AND ?", (first, last)
                )
            }
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def _origin(path: Path) -> str:
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(path)) as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
            return str(row[0]) if row else ""
    except (sqlite3.Error, UnicodeDecodeError):
        return ""


def _make(source: Path | None, made: Path, origin: str) -> None:
    """The new database, complete under its own name before it takes the place."""
    draft = made.with_name(f".{made.name}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if source is not None:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(draft)) as new:
            old.backup(new)
    db = database.open_writer(draft)
    try:
        db.execute("BEGIN IMMEDIATE")
        bodies = [
            db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (name,)).fetchone()[0]
            for name in _TRIGGERS
        ]
        for name in _TRIGGERS:
            db.execute(f"DROP TRIGGER {name}")
        for table in _LOG_TABLES:
            db.execute(f"DELETE FROM {table}")
        for statement in (*bodies, *_ANEW):
            db.execute(statement)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('origin', ?)", (origin,))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as cause:
        raise ConfigRefused(f"the new log cannot be made: {cause}") from cause
    finally:
        db.close()
    draft.rename(made)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["Standing", "begin", "standing"]
