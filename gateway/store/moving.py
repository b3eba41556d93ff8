"""The node's database from one kind to the other, row by row and in one transaction; and a backup's copy of one that is
on a server.

The log goes on where it was: the lock record is not touched, and what was copied is hashed again as a whole before the
old place is given up. A process that ends in between leaves the old place in force.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from gateway.audit import merkle
from gateway.errors import ConfigRefused
from gateway.store import db as database
from gateway.store import postgres
from gateway.store.db import Database
from gateway.store.lock import LockRecord
from gateway.store.postgres import Place
from gateway.store.recheck import Rechecked, recheck

BLOCK: Final = 1 << 12
"""Rows in memory at a time."""


def to_server(store_dir: Path, lock_dir: Path, place: Place) -> Rechecked:
    """Put the database of a stopped node onto a server, into a schema that has no log yet.

    Raises:
        ConfigRefused: the node runs, it is there already, no such server, a log there, or a disk without room.
        VerificationFailed: the old log or the copy does not hold together; the old place stays in force.
    """
    lock = LockRecord(lock_dir)
    try:
        file = store_dir / postgres.FILE
        if file.exists():
            _leave(store_dir)  # What a process that ended after the step that counts had left to do.
            raise ConfigRefused(f"{file} says that the database is on a server already")
        # A node that was never started has nothing to move.
        is_new = not (store_dir / database.FILE).exists() and lock.read() is None
        before = Rechecked(0, 0, merkle.EMPTY_ROOT) if is_new else recheck(store_dir)
        placed = replace(
            place,
            ca_file=_whole(place, place.ca_file),
            password_file=_whole(place, place.password_file),
            folder=store_dir,
        )
        target = postgres.open_writer(placed, database.migrations())
        with closing(target):
            if target.execute("SELECT 1 FROM meta").fetchone() is not None:
                raise ConfigRefused(f"the schema {place.schema} there has a log already: name another one")
            if not is_new:
                with closing(database.open_reader(store_dir / database.FILE)) as source:
                    _copy(source, target)
        draft = store_dir / ".moving"
        draft.mkdir(mode=0o700, parents=True, exist_ok=True)
        described = draft / postgres.FILE
        described.touch(mode=0o600)
        described.write_text(placed.encode(), "utf-8")
        _sync(described)
        if not is_new:
            _judge(before, draft)
        os.replace(draft / postgres.FILE, file)
        _sync(store_dir)
        draft.rmdir()
        _leave(store_dir)
        return before
    except sqlite3.Error as cause:
        raise ConfigRefused(f"the database cannot be moved: {cause}") from None
    finally:
        lock.close()


def to_file(store_dir: Path, lock_dir: Path) -> Rechecked:
    """Bring the database of a stopped node back from its server, where nothing of it is left.

    Raises:
        ConfigRefused: the node runs, it is not on a server, no such server, or a disk without room.
        VerificationFailed: the log on the server or the copy does not hold together; the old place stays in force.
    """
    lock = LockRecord(lock_dir)
    try:
        file = store_dir / postgres.FILE
        if not file.exists():
            raise ConfigRefused(f"{store_dir} has its database itself; there is none on a server")
        place = postgres.read(file)
        before = recheck(store_dir)
        draft = store_dir / ".moving"
        draft.mkdir(mode=0o700, exist_ok=True)
        copy(store_dir, draft / database.FILE)
        _judge(before, draft)
        os.replace(draft / database.FILE, store_dir / database.FILE)
        draft.rmdir()
        _sync(store_dir)
        file.unlink()
        _sync(store_dir)
        postgres.drop(place)
        return before
    except sqlite3.Error as cause:
        raise ConfigRefused(f"the database cannot be moved: {cause}") from None
    finally:
        lock.close()


def copy(store_dir: Path, target: Path) -> None:
    """One moment of a server's database as a SQLite file of its own, whatever the writer does meanwhile.

    Raises:
        ConfigRefused: no such server, or the file cannot be written; then there is none.
    """
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(database.open_writer(target)) as made, closing(database.reader_of(store_dir)) as source:
            _copy(source, made)
            made.execute("PRAGMA journal_mode = DELETE").fetchone()
    except BaseException as cause:
        for suffix in ("", "-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        if isinstance(cause, sqlite3.Error):
            raise ConfigRefused(f"the store cannot be copied: {cause}") from None
        raise


def _copy(source: Database, target: Database) -> None:
    one_is_sqlite = source if isinstance(source, sqlite3.Connection) else cast(sqlite3.Connection, target)
    tables = [name for (name,) in one_is_sqlite.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    source.execute("BEGIN")
    target.execute("BEGIN IMMEDIATE")
    for table in sorted(tables):
        columns = [row[1] for row in one_is_sqlite.execute(f"PRAGMA table_info({table})")]
        listed, marks = ", ".join(columns), ", ".join("?" * len(columns))
        ordered = " ORDER BY rowid" if table == postgres.ORDERED else ""
        rows = _rows(source, f"SELECT {listed} FROM {table}{ordered}")
        while block := list(itertools.islice(rows, BLOCK)):
            target.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", block)
    target.execute("COMMIT")
    source.execute("ROLLBACK")


def _rows(source: Database, sql: str) -> Iterator[Any]:
    if isinstance(source, postgres.Connection):
        return source.stream(sql, BLOCK)
    return iter(source.execute(sql))


def _judge(before: Rechecked, folder: Path) -> None:
    """Nothing but the same log takes the old one's place."""
    after = recheck(folder)
    if after != before:
        raise ConfigRefused("the copy is not the log that was there: is something else writing to it?")


def _whole(place: Place, path: str) -> str:
    """A path of the description, whatever folder the description is put into."""
    return str((place.folder / path).resolve()) if path else ""


def _leave(store_dir: Path) -> None:
    """Remove the SQLite database that has moved away."""
    for suffix in ("", "-wal", "-shm"):
        (store_dir / f"{database.FILE}{suffix}").unlink(missing_ok=True)
    _sync(store_dir)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["copy", "to_file", "to_server"]
