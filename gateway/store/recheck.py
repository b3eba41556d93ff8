"""The whole log hashed again from its rows: what a disk changed in silence is found, and named by its entry.

A writer reads the tail when it starts. This reads everything: each leaf against its tile, each tile against the row
above, and every published checkpoint against the tree. It needs no key and changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit import merkle, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import VerificationFailed
from gateway.store import db as database
from gateway.store.db import Database
from gateway.store.reader import read_hashes


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What held: so many entries and checkpoints, and the root of all entries."""

    size: int
    checkpoints: int
    root: bytes


_BLOCK: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class _Stored:
    db: Database

    def hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        return list(read_hashes(self.db, level, start, stop))


def recheck(store_dir: Path) -> Rechecked:
    """Hash everything. Beside a running writer it sees one moment of the log.

    Raises:
        ConfigRefused: there is no store.
        VerificationFailed: step `root`, at the first entry that does not fit, or `store` where rows cannot be read.
    """
    db = database.reader_of(store_dir)
    try:
        db.execute("BEGIN")
        (origin,) = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
        edge = tiles.Edge()
        for leaf in _leaves(db):
            for level, number, hashes, root in edge.append(merkle.leaf_hash(leaf)):
                _judge_tile(db, level, number, hashes, root)
        _judge_no_more(db, edge.size)
        tree = tiles.Tree(_Stored(db), edge.size)
        if tree.root() != edge.root():
            raise VerificationFailed("root", "the tiles do not make the leaves' root")
        count = 0
        for size, digest in db.execute("SELECT size, digest FROM checkpoint ORDER BY size"):
            if size > edge.size or Checkpoint(origin, size, tree.root(size)).digest != digest:
                raise VerificationFailed("root", "a published checkpoint is not of this log", position=size)
            count += 1
        return Rechecked(edge.size, count, edge.root())
    except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError, TypeError) as cause:
        raise VerificationFailed("store", f"the database does not hold together: {cause}") from None
    finally:
        db.close()


def _leaves(db: Database) -> Iterator[bytes]:
    number = 0
    # In blocks: a server's driver holds all rows of a statement in memory.
    while rows := db.execute(
        "SELECT seq, bytes FROM leaf WHERE seq >= ? ORDER BY seq LIMIT ?", (number, _BLOCK)
    ).fetchall():
        for seq, leaf in rows:
            if seq != number:
                raise VerificationFailed("root", "an entry is missing", position=number)
            yield leaf
            number += 1


def _judge_tile(db: Database, level: int, number: int, hashes: list[bytes], root: bytes) -> None:
    row = db.execute("SELECT root, hashes FROM tile WHERE level = ? AND number = ?", (level, number)).fetchone()
    first = number * tiles.WIDTH ** (level + 1)
    if row is None:
        raise VerificationFailed("root", f"tile {level}/{number} is missing", position=first)
    if row == (root, b"".join(hashes)):
        return
    stored = tiles.split_tile(row[1])
    spoiled = [at for at, one in enumerate(hashes) if at >= len(stored) or stored[at] != one]
    place = spoiled[0] * tiles.WIDTH**level if spoiled else 0
    raise VerificationFailed("root", f"tile {level}/{number} is not its leaves'", position=first + place)


def _judge_no_more(db: Database, size: int) -> None:
    for level, number in db.execute("SELECT level, max(number) FROM tile GROUP BY level"):
        if (number + 1) * tiles.WIDTH ** (level + 1) > size:
            raise VerificationFailed("root", f"tile {level}/{number} is beyond the last entry", position=size)


__all__ = ["Rechecked", "recheck"]
