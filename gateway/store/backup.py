"""A consistent copy of a running node's database, and what must change in a copy before a node runs on it.

The copy is made by a reader (`VACUUM INTO`): one snapshot, whatever the writer does meanwhile, and without pages that
were freed. A database on a server is copied into a file of the same kind, so that there is one kind of backup. A copy
knows which epochs were open but not their seeds, which are in no backup; so a restored database says that every epoch
has ended, and the next tick opens new ones (T15).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gateway.audit import checkpoint, note
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import ConfigRefused, Malformed
from gateway.store import db as database
from gateway.store import moving, postgres
from gateway.store.lock import LockRecord
from gateway.store.reader import Reader


@dataclass(frozen=True, slots=True)
class Copied:
    """The copy's origin, and the newest checkpoint that was published when it was made."""

    origin: str
    head: Checkpoint


def copy(store_dir: Path, folder: Path) -> Copied:
    """Copy the database of a running or a stopped node into an empty folder, under the database's own name.

    Raises:
        ConfigRefused: there is no database, it was never signed for, or the copy cannot be written.
    """
    source, target = store_dir / database.FILE, folder / database.FILE
    if not database.is_there(store_dir):
        raise ConfigRefused(f"there is no store in {store_dir}; nothing to back up")
    if (store_dir / postgres.FILE).exists():
        moving.copy(store_dir, target)
        return _look(target)
    db = sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA busy_timeout = 5000")
        db.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as cause:
        target.unlink(missing_ok=True)
        raise ConfigRefused(f"the store cannot be copied: {cause}") from None
    finally:
        db.close()
    target.chmod(0o600)
    return _look(target)


def revive(path: Path, lock_dir: Path, digest: bytes) -> Copied:
    """Make a copied database one that a node may start on: no epoch in force, and a lock record that says so.

    `path` is the database in its place, `digest` names the backup it came from. The lock record gets the newest
    published checkpoint and the mark of a restored log: nothing is signed before a witness has said what it has seen.

    Raises:
        ConfigRefused: the copy is not usable, or a lock record of a log that went on lies there.
    """
    held = LockRecord(lock_dir)
    try:
        if held.read() is not None:
            raise ConfigRefused(f"there is a lock record in {lock_dir}: a log goes on there; choose another place")
        found = _look(path)
        db = database.open_writer(path)
        try:
            db.execute("UPDATE epoch SET expires_ns = 0")
            db.execute("UPDATE epoch_beside SET state = 'retired', expires_ns = 0")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            db.close()
        held.mark(digest.hex())
        held.swap(None, found.head)
    finally:
        held.close()
    return found


def _look(path: Path) -> Copied:
    """What a copy says of itself, its pages checked."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise ConfigRefused(f"the copy of the store is damaged: {verdict}")
    except sqlite3.Error as cause:
        raise ConfigRefused(f"the copy of the store is damaged: {cause}") from None
    finally:
        db.close()
    reader = Reader(path.parent)
    try:
        newest = reader.last_checkpoint()
        if newest is None:
            raise ConfigRefused("the log has no checkpoint yet: start the node, wait a moment, and back it up then")
        head = checkpoint.parse(note.parse(newest[0]).text)
        return Copied(reader.origin(), head)
    except Malformed as cause:
        raise ConfigRefused(f"the copy's checkpoint cannot be read: {cause}") from None
    finally:
        reader.close()


__all__ = ["Copied", "copy", "revive"]
