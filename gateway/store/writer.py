"""The writer process: one owner of the node's database, its log's only sequencer.

Everything that waits is one transaction (group commit); inside it a savepoint a unit, so that a refusal undoes one unit
and no other. The next tree is computed on a copy and takes its place only after COMMIT. An error from COMMIT ends the
process, because neither it nor we know what the disk holds; the next start reads that from the disk.

Order of a checkpoint: leaves durable, fillers and pair heads durable, lock record swapped, signed, stored, shown. Each
step can be the last before a power cut, and the next start goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from gateway import ipc
from gateway.audit import checkpoint, leaf, merkle, note, pairs, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.kinds import RETENTION_NS
from gateway.audit.leaf import Leaf, Prepared
from gateway.audit.period import PERIOD_NS
from gateway.errors import (
    AuditUnavailable,
    ConfigRefused,
    GatewayError,
    InputRefused,
    Malformed,
    NotFoundOrNotPermitted,
    VerificationFailed,
)
from gateway.ipc.channel import error_of
from gateway.ipc.server import error_parts
from gateway.ports import Clock
from gateway.primitives import cbor
from gateway.store import db as database
from gateway.store import postgres, succession
from gateway.store.changes import CHANGES
from gateway.store.db import Database
from gateway.store.holds import ORDER
from gateway.store.lock import ENDED, HEAD, LockRecord
from gateway.store.periods import PeriodKeys
from gateway.store.reader import HEADS, HEADS_BEFORE, agreed, read_hashes

_NO_HEAD: Final = pairs.Head(0, leaf.NO_ENTRY)

BATCH_MAX: Final = 1024
"""Most units in one transaction."""

LINGER_S: Final = 0.0005
"""How long after a commit the next one may wait for the callers it has just answered, where commits are fast."""

LINGER_SHARE: Final = 0.75
"""The same as a share of the last commit's duration, where they are slow: a second sync would cost all of it."""

GAP_SHARE: Final = 0.4
"""A wait in which nobody has come for this share of a commit is over."""

RETURNING_MIN: Final = 0.3
"""Below this share of callers who come back at once, waiting is not worth it; every sixteenth commit tries again."""

NAP_S: Final = 0.0001
NAP_SHARE: Final = 0.04
"""How long the loop sleeps between two looks at the sockets, at least, and as a share of a commit."""

STEP_NS: Final = 2 * 10**9
"""A wall clock that moved this much against the monotonic one has stepped; the log says so."""

AGREE_NS: Final = 15 * 60 * 10**9
"""After a step, clock and witnesses agree where they are this close."""

_DUE: Final = "due_ns <= ? AND NOT EXISTS (SELECT 1 FROM hold WHERE seq BETWEEN hold.first AND hold.last)"

STEPPED: Final = "clock.step"
"""The row of `meta` with the number of the newest entry of that kind."""

REPLY_ROWS_NS: Final = 8 * 24 * 3600 * 10**9
"""How long an erased reply's id stays refused."""

SOCKET: Final = "writer.sock"
"""The socket's name in the run folder."""

EXIT_COMMIT: Final = 70
"""Exit code after an error from COMMIT (sysexits: EX_SOFTWARE)."""

_CALLERS_FAULT: Final = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, sqlite3.IntegrityError, sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)  # fmt: skip
"""What arguments of the wrong shape raise: one caller's mistake, and no reason to refuse the others."""

SignNote = Callable[[bytes], Awaitable[bytes]]
"""Checkpoint text to signed note: the key process."""


class Points(Protocol):
    """Named places a test may stop the process at. The product passes `NO_POINTS`; nothing else switches it on."""

    def reach(self, name: str) -> None:
        """Called at each place, in order of the protocol above."""


class _NoPoints:
    def reach(self, name: str) -> None:
        """Nothing."""


NO_POINTS: Final[Points] = _NoPoints()


@dataclass(frozen=True, slots=True)
class WriterConfig:
    """Where the log lives and how it behaves.

    `store_dir` and `lock_dir` belong on different storage; `periods_dir` holds the keys of payloads at rest.
    `run_dir` holds the socket. `origin` is the log's name in every checkpoint. Checkpoints leave every
    `checkpoint_every_s` seconds, their sizes multiples of `round_to`: filler leaves make the difference, and at least
    one block a checkpoint, so that a witness cannot tell a quiet hour from a busy one (T14). `erase_every_s` is how
    often payloads past their term are destroyed. `pages_max` bounds the database, in pages of 4 KiB, 0 for no bound.
    """

    store_dir: Path
    lock_dir: Path
    periods_dir: Path
    run_dir: Path
    origin: str
    checkpoint_every_s: float = 10.0
    round_to: int = 16
    erase_every_s: float = 600.0
    pages_max: int = 0
    release: str = ""
    points: Points = NO_POINTS

    def __post_init__(self) -> None:
        if self.round_to < 1 or self.checkpoint_every_s <= 0:
            raise ConfigRefused("checkpoints need a positive interval and a block of at least 1")


def is_to_be_begun(config: WriterConfig) -> bool:
    """Whether there is no database yet: none in the folder, and none on a server that a log was begun on."""
    on_server = (config.store_dir / postgres.FILE).exists()
    return not (config.store_dir / database.FILE).exists() and not (on_server and (config.lock_dir / HEAD).exists())


def create(config: WriterConfig) -> None:
    """Make an empty log. A writer never does this by itself: an empty disk must not be taken for a new log.

    Raises:
        ConfigRefused: there is a store or a lock record already.
    """
    path = config.store_dir / database.FILE
    if path.exists():
        raise ConfigRefused(f"there is a store at {path} already")
    lock = LockRecord(config.lock_dir)
    try:
        if lock.read() is not None:
            raise ConfigRefused(f"there is a lock record in {config.lock_dir} already: a log was begun before")
        config.store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not database.is_there(config.store_dir):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        db = database.writer_of(config.store_dir)
        try:
            if db.execute("SELECT 1 FROM meta").fetchone() is not None:
                raise ConfigRefused("the database has a log already: name another schema for a new one")
            db.execute("INSERT INTO meta VALUES ('origin', ?)", (config.origin,))
        finally:
            db.close()
        lock.swap(None, Checkpoint(config.origin, 0, merkle.EMPTY_ROOT))
    finally:
        lock.close()


async def run(config: WriterConfig, clock: Clock, sign_note: SignNote) -> None:
    """Open the log, serve until SIGTERM or SIGINT, close in order. Raises as `Log` does at start."""
    log = Log(config, clock)
    writer = Writer(log, config, clock, sign_note)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await writer.start()
    try:
        await stop.wait()
    finally:
        await writer.stop()


@dataclass(slots=True)
class Unit:
    """Entries and changes that stand or fall together."""

    entries: Sequence[Prepared]
    changes: Sequence[tuple[str, Mapping[str, Any]]]
    result: tuple[str | None, Any] = ("INTERNAL", ["not decided"])


@dataclass(slots=True)
class _Next:
    """The log as it will be after this transaction."""

    edge: tiles.Edge
    pairs: dict[str, pairs.Head]
    last_ns: int
    wall_ns: int
    mono_ns: int
    leaves: list[tuple[int, bytes]] = field(default_factory=list)
    payloads: list[tuple[int, bytes, int, str, int]] = field(default_factory=list)
    done: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    doomed: bool = False
    """Whether record keys are to be destroyed after it."""


class Log:
    """The database and the tree, without any waiting: what one thread does in one transaction.

    `fatal` is called when COMMIT fails and must not return.

    Raises (at construction):
        ConfigRefused: no store, another writer, a store of another log or of a newer program.
        VerificationFailed: the store is not the continuation of what was signed (step "lock", "tail" or "origin").
    """

    def __init__(self, config: WriterConfig, clock: Clock, fatal: Callable[[str], NoReturn] | None = None) -> None:
        self._config = config
        self._clock = clock
        self._fatal = fatal or _end_process
        self._points = config.points
        self.commits = 0
        self._lock = LockRecord(config.lock_dir)
        self._periods = PeriodKeys(config.periods_dir, config.origin)
        try:
            folder = config.store_dir
            if not database.is_there(folder):
                raise ConfigRefused(
                    f"there is no store at {folder / database.FILE}; `limen init` makes one, a backup restores one"
                )
            self._db = database.writer_of(folder)
            try:
                # Before anything is written.
                database.judge_tail(self._db, folder)
                if config.pages_max:
                    database.bound(self._db, config.pages_max)
                self._recover()
                self._close_old_payloads()
                self._finish_forgetting()
            except sqlite3.OperationalError as cause:
                # A disk that takes or gives nothing says nothing of the log.
                self._db.close()
                raise ConfigRefused(f"the store is not usable: {cause}") from cause
            except (sqlite3.Error, UnicodeDecodeError, TypeError) as cause:
                # Rows that SQLite cannot read, or reads as something else than was written.
                self._db.close()
                raise VerificationFailed("tail", f"the store does not hold together: {cause}") from cause
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            self._lock.close()
            raise
        self._wall_ns = clock.now_ns()
        self._mono_ns = clock.monotonic_ns()

    # Start

    def _recover(self) -> None:
        """Read the tail, rebuild the right edge, and compare with what was signed."""
        db = self._db
        row = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
        if row is None or row[0] != self._config.origin:
            raise VerificationFailed("origin", "the store is another log's")
        (last,) = db.execute("SELECT max(seq) FROM leaf").fetchone()
        size = 0 if last is None else last + 1
        self._edge = self._rebuilt_edge(size)
        self._pairs = self._rebuilt_pairs(size)
        self._pair_key = self._held_pair_key()
        self._last_ns = 0
        if size:
            (tail,) = db.execute("SELECT bytes FROM leaf WHERE seq = ?", (size - 1,)).fetchone()
            try:
                read = Leaf.parse(tail)
            except Malformed as why:
                raise VerificationFailed("tail", f"the last leaf cannot be read: {why}", position=size - 1) from None
            if read.seq != size - 1:
                raise VerificationFailed("tail", "the last leaf has another number", position=size - 1)
            self._last_ns = read.time_ns
        self._judge_lock(size)

    def _rebuilt_pairs(self, size: int) -> dict[str, pairs.Head]:
        """Where each pair stands. A store of the form before has no hashes: they are read from the leaves once."""
        rows = self._db.execute("SELECT peer, seq, head FROM pair").fetchall()
        heads = {peer: pairs.Head(count, head) for peer, count, head in rows}
        lacking = {peer for peer, head in heads.items() if not head.hash}
        for seq in range(size - 1, -1, -1):
            if not lacking:
                break
            (data,) = self._db.execute("SELECT bytes FROM leaf WHERE seq = ?", (seq,)).fetchone()
            peer = Leaf.parse(data).peer
            if peer in lacking:
                lacking.remove(peer)
                heads[peer] = pairs.Head(heads[peer].count, merkle.leaf_hash(data))
        return heads

    def _held_pair_key(self) -> bytes:
        """The key that hides other pairs in `pair.heads`; drawn once for a store."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'pair_key'").fetchone()
        if row is not None:
            return bytes(row[0])
        key = secrets.token_bytes(32)
        self._db.execute("INSERT INTO meta VALUES ('pair_key', ?)", (key,))
        return key

    def _rebuilt_edge(self, size: int) -> tiles.Edge:
        levels: list[Sequence[bytes]] = []
        level, row = 0, size
        try:
            while row:
                start = row // tiles.WIDTH * tiles.WIDTH
                levels.append(read_hashes(self._db, level, start, row) if row > start else [])
                if row > start:
                    # A store cut or patched by hand: tiles beyond the leaves, or a full tile missing.
                    beyond = self._db.execute(
                        "SELECT 1 FROM tile WHERE level = ? AND number >= ?", (level, row // tiles.WIDTH)
                    ).fetchone()
                    if beyond is not None:
                        raise ValueError(f"tile row {level} is longer than the log")
                level, row = level + 1, row // tiles.WIDTH
            if size >= tiles.WIDTH:
                self._judge_last_tile(size // tiles.WIDTH - 1)
        except ValueError as why:
            raise VerificationFailed("tail", str(why)) from None
        return tiles.Edge(levels, size)

    def _judge_last_tile(self, number: int) -> None:
        start = number * tiles.WIDTH
        stored = b"".join(read_hashes(self._db, 0, start, start + tiles.WIDTH))
        rows = self._db.execute(
            "SELECT bytes FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq", (start, start + tiles.WIDTH)
        )
        if stored != b"".join(merkle.leaf_hash(one) for (one,) in rows):
            raise ValueError("the last full tile is not its leaves'")

    def _judge_lock(self, size: int) -> None:
        head = self._lock.read()
        folder = self._config.lock_dir
        self.restored = self._lock.restored
        if self.restored.startswith(ENDED):
            raise VerificationFailed("lock", self.restored.removeprefix(ENDED))
        if head is None:
            raise VerificationFailed(
                "lock", f"the lock record in {folder} is gone: nothing says where this log stood; restore it"
            )
        if head.origin != self._config.origin:
            raise VerificationFailed("lock", f"the lock record in {folder} is another log's")
        if head.size > size:
            raise VerificationFailed(
                "lock",
                f"the store has {size} entries but {head.size} were signed: it was restored from an older copy. "
                "Going on would fork the log. Restore the newest copy, or begin a new log (`limen node recover`)",
                position=size,
            )
        if self._root(head.size, size) != head.root:
            raise VerificationFailed(
                "lock", f"the first {head.size} entries are not those that were signed", position=head.size
            )
        row = self._db.execute("SELECT size, digest FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        if row is not None and row[0] > head.size:
            raise VerificationFailed(
                "lock", f"a checkpoint of {row[0]} was published but the lock record says {head.size}: it is older"
            )
        if row is not None:
            shown = Checkpoint(self._config.origin, row[0], self._root(row[0], size))
            if shown.digest != row[1]:
                raise VerificationFailed("tail", "the log is not the one of its last checkpoint", position=row[0])
        self.head = head

    def _root(self, size: int, total: int) -> bytes:
        return tiles.Tree(_Stored(self._db), total).root(size)

    # One transaction

    def commit(self, units: Sequence[Unit], also: Callable[[Database], object] | None = None) -> None:
        """Apply every unit, each whole or not at all, in one transaction; results are in the units afterwards.

        `also` is housekeeping of the writer's own that belongs to the same transaction.

        Raises:
            AuditUnavailable: the database took none of it (a full disk, say); the log stands as before.
        """
        self.begin()
        self.apply(units, also)
        self.finish()

    def begin(self) -> None:
        """Open a transaction, in three steps so that units can be applied while others are still on their way.

        After an error of any step nothing of the transaction is left. Raises AuditUnavailable.
        """
        wall, mono = self._clock.now_ns(), self._clock.monotonic_ns()
        step = (wall - self._wall_ns) - (mono - self._mono_ns)
        self._next = _Next(self._edge.copy(), {}, max(wall, self._last_ns), wall, mono)
        with self._or_nothing():
            self._db.execute("BEGIN IMMEDIATE")
            self._points.reach("begun")
            if abs(step) > STEP_NS:
                (seq,) = self._place(self._next, [_plain("clock.step", {"step_ms": step // 10**6})])[0]
                self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (STEPPED, seq))

    def apply(self, units: Sequence[Unit], also: Callable[[Database], object] | None = None) -> None:
        """Apply units within the open transaction. Their results hold only after `finish`. Raises AuditUnavailable."""
        with self._or_nothing():
            for unit in units:
                self._apply(unit, self._next)
            if also is not None:
                also(self._db)
            self._write(self._next)

    def finish(self) -> None:
        """Make the transaction durable."""
        with self._or_nothing():
            self._points.reach("written")
        self._commit()
        self.commits += 1
        self._points.reach("committed")
        # Only now is the next tree the tree.
        self._edge = self._next.edge
        self._pairs.update(self._next.pairs)
        self._last_ns = self._next.last_ns
        self._wall_ns, self._mono_ns = self._next.wall_ns, self._next.mono_ns
        if self._next.doomed:
            self._points.reach("erased")
            database.scrub(self._db)
            # What is durable is not undone by a key that resists: the next run or start destroys it.
            with contextlib.suppress(AuditUnavailable):
                self._finish_forgetting()

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as cause:
            self._undo()
            raise AuditUnavailable(f"the database took nothing: {cause}") from cause
        except BaseException:
            self._undo()
            raise

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except BaseException as cause:
            self._fatal(f"COMMIT failed, what the disk holds is not known: {cause}")

    def _apply(self, unit: Unit, next_: _Next) -> None:
        # Entries alone change nothing before all of them are placed, so they need no savepoint.
        saved = bool(unit.changes)
        if saved:
            self._db.execute("SAVEPOINT unit")
        try:
            for name, args in unit.changes:
                change = CHANGES.get(name)
                if change is None:
                    raise InputRefused("no such change", field=name)
                change(self._db, args)
                if name == ORDER:
                    if args["until_ns"] > self._agreed()[0]:
                        raise InputRefused("that time has not come", field="until_ns", code="NOT_COSIGNED")
                    next_.doomed = True
            unit.result = (None, self._place(next_, unit.entries))
        except (GatewayError, *_CALLERS_FAULT) as refusal:
            if saved:
                self._db.execute("ROLLBACK TO unit")
            if not isinstance(refusal, GatewayError):
                refusal = InputRefused(f"the unit has the wrong shape: {type(refusal).__name__}")
            unit.result = error_parts(refusal)
        if saved:
            self._db.execute("RELEASE unit")

    def _place(self, next_: _Next, entries: Sequence[Prepared]) -> list[list[Any]]:
        """Give each entry its number, time and place in its pair, and hash it into the next tree."""
        edge, now = next_.edge, next_.last_ns
        seqs: list[int] = []
        counts: list[int] = []
        hashes: list[bytes] = []
        placed: list[tuple[bytes, tuple[Any, ...]]] = []
        heads: dict[str, pairs.Head] = {}
        # Anything can refuse only here, before the first entry of the unit is placed.
        for offset, entry in enumerate(entries):
            leaf.judge_prepared(entry)
            seq = edge.size + offset
            peer = entry.peer
            if peer:
                last = heads.get(peer) or next_.pairs.get(peer) or self._pairs.get(peer) or _NO_HEAD
                data = leaf.encode(entry, seq, now, last.count + 1, last.hash)
                hash_ = merkle.leaf_hash(data)
                heads[peer] = pairs.Head(last.count + 1, hash_)
                counts.append(last.count + 1)
            else:
                data = leaf.encode(entry, seq, now, 0, b"")
                hash_ = merkle.leaf_hash(data)
                counts.append(0)
            stored: tuple[Any, ...] = ()
            if entry.sealed:
                class_ = entry.retention
                period, closed = self._periods.close(class_, now, seq, entry.sealed)
                stored = (seq, closed, now + RETENTION_NS[class_], class_, period)
            placed.append((data, stored))
            hashes.append(hash_)
        for (data, stored), hash_ in zip(placed, hashes, strict=True):
            seq = edge.size
            seqs.append(seq)
            next_.leaves.append((seq, data))
            if stored:
                next_.payloads.append(stored)
            for level, number, row, root in edge.append(hash_):
                next_.done.append((level, number, root, b"".join(row)))
        next_.pairs.update(heads)
        return [seqs, counts, [now] * len(seqs), hashes]

    def _write(self, next_: _Next) -> None:
        db = self._db
        for statement, rows in (
            ("INSERT INTO leaf VALUES (?, ?)", next_.leaves),
            ("INSERT INTO payload VALUES (?, ?, ?, ?, ?)", next_.payloads),
            ("INSERT INTO tile VALUES (?, ?, ?, ?)", next_.done),
        ):
            if rows:
                db.executemany(statement, rows)
                rows.clear()
        if next_.pairs:
            heads = [(peer, head.count, head.hash) for peer, head in next_.pairs.items()]
            db.executemany("INSERT OR REPLACE INTO pair VALUES (?, ?, ?)", heads)

    def _undo(self) -> None:
        # SQLite may have rolled back by itself (a full disk); then there is nothing left to undo.
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error as cause:
                self._fatal(f"ROLLBACK failed: {cause}")

    # Checkpoints

    @property
    def size(self) -> int:
        """Leaves that are durable."""
        return self._edge.size

    def agree(self) -> Checkpoint:
        """Round the size up and put the head into the lock record: from here on it is ours to sign.

        Fillers make the size a multiple of the block, and the last entry says where each pair stands.
        """
        if self.head.size == self.size and self._unpublished():
            return self.head  # Agreed on before a crash or a missing key process, and never shown.
        block = self._config.round_to
        # Only within the transaction is it known whether it has an entry of its own to add (a clock step).
        self.begin()
        missing = -self._next.edge.size % block or block
        size = self._next.edge.size + missing
        root = pairs.root(self._pairs, self._pair_key, size - 1)
        with self._or_nothing():
            self._keep_heads(size)
        self.apply([Unit([*[_plain("filler", {})] * (missing - 1), _plain(pairs.KIND, {"root": root})], ())])
        self.finish()
        self._points.reach("filled")
        head = Checkpoint(self._config.origin, self.size, self._edge.root())
        self._lock.swap(self.head, head)
        self.head = head
        self._points.reach("locked")
        return head

    def _keep_heads(self, size: int) -> None:
        """What the tree of this size says of every pair, for those who ask after the checkpoint is published; and what
        the one before said, for it is the published one until then."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (HEADS,)).fetchone()
        if row is not None:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (HEADS_BEFORE, row[0]))
        value = cbor.encode([size, [[peer, head.count, head.hash] for peer, head in sorted(self._pairs.items())]])
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (HEADS, value))

    def _unpublished(self) -> bool:
        if self.head.size == 0:
            return False
        row = self._db.execute("SELECT 1 FROM checkpoint WHERE size = ?", (self.head.size,)).fetchone()
        return row is None

    def publish(self, head: Checkpoint, noted: bytes) -> None:
        """Store the signed note; readers see it from here on. Raises VerificationFailed when it is not of this head."""
        if note.parse(noted).text != head.encode():
            raise VerificationFailed("checkpoint", "the signed note has another text")
        self._points.reach("signed")
        self._simple(
            "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?)",
            (head.size, noted, head.digest, self._clock.now_ns()),
        )
        self._points.reach("published")

    def _simple(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(statement, values)
        except sqlite3.Error as cause:
            self._undo()
            raise AuditUnavailable(f"the database took nothing: {cause}") from cause
        self._commit()
        self.commits += 1

    # Housekeeping

    def forget(self) -> None:
        """Erase replies past their 24 h, keep their ids refused for a week more, and drop old charges."""
        now = self._clock.now_ns()
        day = now // (24 * 3600 * 10**9)
        for statement, value in (
            ("UPDATE reply SET body = NULL, header = NULL, signature = NULL WHERE body IS NOT NULL AND expires_ns <= ?",
             now),
            ("UPDATE home_reply SET sealed = NULL WHERE sealed IS NOT NULL AND expires_ns <= ?", now),
            ("DELETE FROM reply WHERE expires_ns <= ?", now - REPLY_ROWS_NS),
            ("DELETE FROM home_reply WHERE expires_ns <= ?", now - REPLY_ROWS_NS),
            ("DELETE FROM charge WHERE day < ?", day - 8),
            ("DELETE FROM charge_batch WHERE day < ?", day - 8),
            ("DELETE FROM quota WHERE day < ?", day - 400),
        ):  # fmt: skip
            self._simple(statement, (value,))

    def _agreed(self) -> tuple[int, int]:
        """(time that destruction goes by, UTC ns; size of the checkpoint that says so); zeros where nothing may go.

        The time is the earlier of the wall clock and what a majority of our witnesses has cosigned, so a clock set
        forward destroys nothing (T13). After a step of the clock, a checkpoint from after it must be cosigned at a time
        that agrees with the clock.
        """
        db = self._db
        found = agreed(db)
        if found is None:
            return 0, 0
        now, (size, cosigned_ns) = self._clock.now_ns(), found
        stepped = db.execute("SELECT value FROM meta WHERE name = ?", (STEPPED,)).fetchone()
        if stepped is not None and (size <= stepped[0] or abs(now - cosigned_ns) > AGREE_NS):
            return 0, 0
        return min(now, cosigned_ns), size

    def erase_due(self) -> int:
        """Destroy payloads past their term, with the keys of every copy of them; returns how many.

        Rows and entries go in one transaction that also says which keys are to be destroyed; where the process ends
        before they are, the next start does it.
        """
        until, size = self._agreed()
        groups = self._db.execute(
            f"SELECT class, period, min(seq), max(seq), count(*) FROM payload WHERE {_DUE} GROUP BY class, period",
            (until,),
        ).fetchall()
        entries = [
            _plain(
                "payloads.erased",
                {
                    "class": class_, "period": period, "first": first, "last": last, "count": count,
                    "ground": "term", "until_ns": until, "checkpoint": size,
                },
            )
            for class_, period, first, last, count in groups
        ]  # fmt: skip

        def also(db: Database) -> None:
            db.executemany("INSERT INTO doomed VALUES (?, ?, ?, ?)", [group[:4] for group in groups])
            db.execute(f"DELETE FROM payload WHERE {_DUE}", (until,))

        if groups:
            self.commit([Unit(entries, ())], also)
            self._points.reach("erased")
            database.scrub(self._db)
        self._finish_forgetting()
        self._sweep_periods()
        self._sweep_formers(until, size)
        return sum(group[4] for group in groups)

    def _finish_forgetting(self) -> None:
        """Destroy the record keys of what was erased. Raises AuditUnavailable; then the next run or start does it."""
        try:
            self._periods.clear()
            for class_, period, first, last in self._db.execute("SELECT * FROM doomed").fetchall():
                kept = self._db.execute(
                    "SELECT seq FROM payload WHERE class = ? AND period = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                    (class_, period, first, last),
                )
                self._periods.forget(class_, period, first, last, [seq for (seq,) in kept])
                self._points.reach("forgotten")
                self._simple(
                    "DELETE FROM doomed WHERE class = ? AND period = ? AND first = ? AND last = ?",
                    (class_, period, first, last),
                )
        except OSError as cause:
            raise AuditUnavailable(f"a period key cannot be destroyed: {cause}") from cause

    def _sweep_periods(self) -> None:
        """Destroy the keys of periods that are over and have no payload left."""
        try:
            for class_, start in self._periods:
                if (
                    start + PERIOD_NS[class_] <= self._last_ns
                    and not self._db.execute(
                        "SELECT 1 FROM payload WHERE class = ? AND period = ? LIMIT 1", (class_, start)
                    ).fetchone()
                ):
                    self._periods.destroy(class_, start)
        except OSError as cause:
            raise AuditUnavailable(f"a period key cannot be destroyed: {cause}") from cause

    def _sweep_formers(self, until: int, size: int) -> None:
        """Destroy the period keys of the logs before this one, each after the term of the last payload it can close.

        Their databases lie aside unchanged: without the keys nobody reads what is sealed in them. The entry comes
        first; where the process ends before the key is gone, the next run enters it again.
        """
        db = self._db
        in_force = {bytes(row[0]) for row in db.execute("SELECT hold_id FROM hold").fetchall()}
        for number, former in succession.formers(self._config.origin).items():
            try:
                keys = PeriodKeys(self._config.periods_dir, former)
                due = [(one, start) for one, start in keys if start + PERIOD_NS[one] + RETENTION_NS[one] <= until]
                held = succession.held_back(self._config.store_dir, number, in_force) if due else ()
                for class_, start in due:
                    if held is None or (class_, start) in held:
                        continue
                    said = {
                        "former": former, "class": class_, "period": start, "until_ns": until, "checkpoint": size,
                    }  # fmt: skip
                    self.commit([Unit([_plain("former.erased", said)], ())])
                    self._points.reach("erased")
                    keys.destroy(class_, start)
                keys.clear()
            except (OSError, ConfigRefused) as cause:
                raise AuditUnavailable(f"a period key of {former} cannot be destroyed: {cause}") from cause

    def _close_old_payloads(self) -> None:
        """Put payloads from before there were period keys under theirs, each under that of its own time."""
        rows = self._db.execute("SELECT seq FROM payload WHERE class = ''").fetchall()
        for (seq,) in rows:
            data, sealed = self._db.execute(
                "SELECT bytes, sealed FROM leaf JOIN payload USING (seq) WHERE seq = ?", (seq,)
            ).fetchone()
            old = Leaf.parse(data)
            period, stored = self._periods.close(old.retention, old.time_ns, seq, sealed)
            self._simple(
                "UPDATE payload SET sealed = ?, class = ?, period = ? WHERE seq = ?",
                (stored, old.retention, period, seq),
            )
        if rows:
            database.scrub(self._db)

    def status(self) -> dict[str, Any]:
        """Numbers for operators."""
        return {
            "origin": self._config.origin,
            "size": self.size,
            "checkpoint_size": self.head.size,
            "commits": self.commits,
            "time_ns": self._last_ns,
            "restored": self.restored,
        }

    def confirm(self, their_size: int) -> None:
        """A witness has seen no more of a restored log than there is: go on. The log says so first."""
        digest = bytes.fromhex(self.restored)
        restored = _plain("node.restored", {"digest": digest, "size": self.head.size, "their_size": their_size})
        lost = self._lost_payloads()
        entries = [
            _plain(
                "payloads.lost",
                {"class": class_, "period": period, "first": seqs[0], "last": seqs[-1], "count": len(seqs)},
            )
            for (class_, period), seqs in lost.items()
        ]

        def also(db: Database) -> None:
            db.executemany("DELETE FROM payload WHERE seq = ?", [(seq,) for seqs in lost.values() for seq in seqs])

        self.commit([Unit([restored, *entries], ())], also)
        self._lock.mark("")
        self.restored = ""

    def _lost_payloads(self) -> dict[tuple[str, int], list[int]]:
        """Payloads whose record keys are not there, by class and period: no backup has them (T15)."""
        lost: dict[tuple[str, int], list[int]] = {}
        for class_, period, seq in self._db.execute("SELECT class, period, seq FROM payload ORDER BY seq"):
            if not self._periods.has(class_, period, seq):
                lost.setdefault((class_, period), []).append(seq)
        return lost

    def end(self, why: str) -> None:
        """A witness has seen more of a restored log than there is: never go on, after a restart neither."""
        self._lock.mark(ENDED + " ".join(why.split()))

    def close(self) -> None:
        """Close database and lock record."""
        self._db.close()
        self._lock.close()


@dataclass(frozen=True, slots=True)
class _Stored:
    """`tiles.Hashes` over the writer's own connection."""

    db: Database

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        return read_hashes(self.db, level, start, stop)


def _plain(kind: str, public: Mapping[str, Any]) -> Prepared:
    """One of the writer's own entries: no secret fields, no peer."""
    return Prepared(kind, "event", "", "3y", dict(public), b"\xa0", b"")


def _end_process(why: str) -> NoReturn:
    os.write(2, f"writer: {why}\n".encode())
    os._exit(EXIT_COMMIT)


class Company:
    """How long a transaction should wait for whom. Arithmetic on times and counts only.

    Callers wait for their answer before they ask again, so besides those who came during the last commit
    (`_arrived`), its own (`_last`) are expected back; which share of them really comes (`_returning`) is learned.
    """

    __slots__ = ("_arrived", "_commits", "_gap_s", "_last", "_returning", "_seen", "_seen_at", "_until", "nap_s")

    def __init__(self) -> None:
        self._last = self._arrived = self._seen = self._commits = 0
        self._returning = 1.0
        self._until = self._gap_s = self._seen_at = 0.0
        self.nap_s = NAP_S

    def ended(self, units: int, start: float, end: float, arrived: int) -> None:
        """A commit of so many units took from `start` to `end`, in seconds; so many came meanwhile."""
        self._last, self._arrived = units, arrived
        self._seen, self._seen_at = arrived, end
        self._commits += 1
        self._until = end + max(LINGER_S, LINGER_SHARE * (end - start))
        self._gap_s = max(LINGER_S / 2, GAP_SHARE * (end - start))
        self.nap_s = max(NAP_S, NAP_SHARE * (end - start))

    def began(self, queued: int, now: float) -> None:
        """So many units are in the next transaction, and there is nothing more to do for them."""
        self._seen, self._seen_at = queued, now
        # Work that was done meanwhile is no waiting.
        self._until = max(self._until, now + self._gap_s)

    def is_awaited(self, queued: int, now: float) -> bool:
        """True while waiting promises more than it costs."""
        if now >= self._until or self._last + self._arrived <= 1:
            return False
        returning = self._returning
        if returning < RETURNING_MIN:
            if self._commits % 16:
                return False
            returning = 1.0
        if queued > self._seen:
            self._seen, self._seen_at = queued, now
        return now - self._seen_at < self._gap_s and queued < self._arrived + self._last * returning

    def came(self, queued: int) -> None:
        """The wait is over with so many units."""
        if self._last:
            back = max(0, queued - self._arrived) / self._last
            self._returning += 0.25 * (min(1.0, back) - self._returning)


class Writer:
    """The socket, the queue and the timers around a `Log`. Runs on one event loop, commits inline.

    Inline, because every caller waits for the same fsync anyway, and a thread in between costs each commit two hops.
    """

    def __init__(self, log: Log, config: WriterConfig, clock: Clock, sign_note: SignNote) -> None:
        self._log = log
        self._config = config
        self._clock = clock
        self._sign_note = sign_note
        self._queue: deque[tuple[Unit, _Frame]] = deque()
        self._ready = asyncio.Event()
        self._company = Company()
        self._turn = asyncio.Lock()
        self._published: asyncio.Condition = asyncio.Condition()
        self._note: bytes = b""
        self._note_size = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._server: ipc.Server | None = None
        self.last_fault = ""

    async def start(self) -> None:
        """Log the start, listen, and start the timers."""
        self._log.commit([Unit([_plain("node.started", {"release": self._config.release})], ())])
        self._config.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._server = await ipc.serve(self._config.run_dir / SOCKET, self._handle)
        self._tasks = [
            asyncio.create_task(self._commits()),
            asyncio.create_task(self._checkpoints()),
            asyncio.create_task(self._housekeeping()),
        ]
        for task in self._tasks:
            task.add_done_callback(_must_not_end)

    async def stop(self) -> None:
        """Take no more, commit what waits, log the stop, close."""
        if self._server is not None:
            self._server.close()
        while True:
            # Nobody is within a transaction while we hold the turn.
            async with self._turn:
                if not self._queue:
                    for task in self._tasks:
                        task.cancel()
                    break
            await asyncio.sleep(0.001)
        # The last answers are on their way out of the loop.
        await asyncio.sleep(0.01)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.cut()
        self._log.commit([Unit([_plain("node.stopped", {})], ())])
        self._log.close()

    async def _handle(self, operation: str, argument: Any) -> Any:
        if operation == "status":
            return {**self._log.status(), "fault": self.last_fault}
        if self._log.restored:
            return await self._confirm(operation, argument)
        if operation == "commit":
            return await self._enqueue([_unit(packed) for packed in argument])
        if operation == "witness":
            origin, old_size, size, root, noted, proof = argument
            args = {"origin": origin, "old_size": old_size, "size": size, "root": root, "note": noted, "proof": proof}
            ((reason, details),) = await self._enqueue([Unit((), [("witness.put", args)])])
            if reason is not None:
                raise error_of(reason, details)
            return None
        if operation == "publish_checkpoint":
            return await self._next_checkpoint()
        raise NotFoundOrNotPermitted("no such operation")

    async def _confirm(self, operation: str, argument: Any) -> None:
        """All that a restored log takes: what a witness has seen of it. No entry, no answer."""
        if operation == "confirm":
            async with self._turn:
                self._log.confirm(int(argument))
        elif operation == "end":
            self._log.end(str(argument))
        else:
            raise AuditUnavailable("the log was restored: it takes nothing before a witness has said what it has seen")

    async def _enqueue(self, units: list[Unit]) -> list[tuple[str | None, Any]]:
        if not units:
            return []
        frame = _Frame(len(units), asyncio.get_running_loop().create_future())
        self._queue.extend((unit, frame) for unit in units)
        self._ready.set()
        await frame.done
        return [unit.result for unit in units]

    async def _commits(self) -> None:
        while True:
            await self._ready.wait()
            batch: list[tuple[Unit, _Frame]] = []
            async with self._turn:
                start = time.monotonic()
                try:
                    self._log.begin()
                    await self._gather(batch)
                    start = time.monotonic()
                    self._log.finish()
                    self.last_fault = ""
                except AuditUnavailable as fault:
                    self.last_fault = str(fault)
                    for unit, _ in batch:
                        unit.result = error_parts(fault)
                end = time.monotonic()
                # What came during the commit is in the sockets; counted before the answers bring the others back.
                await self._drain()
                self._company.ended(len(batch), start, end, len(self._queue))
                if not self._queue:
                    self._ready.clear()
                for _, frame in batch:
                    frame.left -= 1
                    if frame.left == 0 and not frame.done.done():
                        frame.done.set_result(None)
            await asyncio.sleep(0)

    async def _gather(self, batch: list[tuple[Unit, _Frame]]) -> None:
        """Apply what waits, and wait a moment for those who were in the last transaction: most of them will be back.

        Without that callers fall into groups that each wait for the others' syncs. Napping holds the loop still; what
        arrives meanwhile waits in the socket and is read in one go. `batch` has whatever was taken from the queue.
        """
        waiting = False
        while True:
            fresh = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX - len(batch)))]
            batch += fresh
            self._log.apply([unit for unit, _ in fresh])
            if not waiting:
                waiting = True
                self._company.began(len(batch), time.monotonic())
            if len(batch) >= BATCH_MAX or not self._company.is_awaited(len(batch), time.monotonic()):
                break
            time.sleep(self._company.nap_s)
            await self._drain()
        self._company.came(len(batch))

    async def _drain(self) -> None:
        """Let the loop read: bytes to task, task to queue."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def _checkpoints(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._config.checkpoint_every_s
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due = max(due + self._config.checkpoint_every_s, loop.time())
            if self._log.restored:
                continue
            try:
                async with self._turn:
                    head = self._log.agree()
                noted = await self._sign_note(head.encode())
                async with self._turn:
                    self._log.publish(head, noted)
            except GatewayError as fault:
                # No key process, a full disk: the next tick tries again; the log itself is unharmed.
                self.last_fault = str(fault)
                continue
            async with self._published:
                self._note, self._note_size = noted, head.size
                self._published.notify_all()

    async def _next_checkpoint(self) -> bytes:
        wanted = self._log.size
        async with self._published:
            await self._published.wait_for(lambda: self._note_size >= wanted)
            return self._note

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(self._config.erase_every_s)
            if self._log.restored:
                continue
            try:
                async with self._turn:
                    self._log.forget()
                    self._log.erase_due()
            except AuditUnavailable as fault:
                self.last_fault = str(fault)


def _must_not_end(task: asyncio.Task[None]) -> None:
    # A loop that died would leave callers waiting for ever; the process is restarted instead.
    if not task.cancelled():
        _end_process(f"{task.get_coro()!r} ended: {task.exception()!r}")


@dataclass(slots=True)
class _Frame:
    """Units that came together; answered when the last is decided."""

    left: int
    done: asyncio.Future[None]


def _unit(packed: Any) -> Unit:
    try:
        entries, changes = packed
        return Unit([Prepared(*fields) for fields in entries], [(name, args) for name, args in changes])
    except (TypeError, ValueError):
        raise Malformed("unit", "not a unit of work") from None


__all__ = ["NO_POINTS", "Log", "Points", "Unit", "Writer", "WriterConfig", "checkpoint", "create", "run"]
