"""Opening the node's database: settings, and numbered migrations that only go forward. SQLite, unless the store folder
says that it is on a PostgreSQL server (`postgres.FILE`)."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, Protocol

from gateway.errors import ConfigRefused
from gateway.store import postgres, wal

FILE: Final = "node.db"
"""The database's name in the store folder."""

WAL_PAGES: Final = 16384
"""Write-ahead log pages (4 KiB each) between copies back into the database: 64 MiB. Copying costs two fsyncs, so a
small number would double the fsyncs of small commits."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite answers to bytes that are no database, or no longer one."""

_NAME: Final = re.compile(r"(\d{4})_\w+\.sql\Z")


class Rows(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left, one by one."""


class Database(Protocol):
    """What the store's modules ask of a connection: statements in SQLite's dialect, and the errors of sqlite3."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or may be."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Run one statement for each row."""

    def close(self) -> None:
        """Let go."""


def is_there(folder: Path) -> bool:
    """Whether a store folder has a database, or says where it is."""
    return (folder / FILE).exists() or (folder / postgres.FILE).exists()


def writer_of(folder: Path) -> Database:
    """The one writing connection of a store folder. Raises ConfigRefused, as both databases' `open_writer`."""
    if (folder / postgres.FILE).exists():
        return postgres.open_writer(postgres.read(folder / postgres.FILE), migrations())
    return open_writer(folder / FILE)


def reader_of(folder: Path) -> Database:
    """A connection to a store folder's database that cannot write. Raises ConfigRefused, as `open_reader`."""
    if (folder / postgres.FILE).exists():
        return postgres.Connection(postgres.read(folder / postgres.FILE), read_only=True)
    return open_reader(folder / FILE)


def form_of(db: Database) -> int:
    """The number of the database's last migration."""
    if isinstance(db, postgres.Connection):
        return postgres.form(db)
    (held,) = db.execute("PRAGMA user_version").fetchone()
    return int(held)


def judge_tail(db: Database, folder: Path) -> None:
    """Did SQLite leave out more than a write that was torn? PostgreSQL judges its own journal by checksums.

    Raises VerificationFailed (step "tail").
    """
    if isinstance(db, sqlite3.Connection):
        _, taken, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        wal.judge(folder / FILE, max(0, taken))


def bound(db: Database, pages: int) -> None:
    """Let the database grow to so many pages of 4 KiB. A server's room is its administrator's to bound."""
    if isinstance(db, sqlite3.Connection):
        db.execute(f"PRAGMA max_page_count = {pages}")


def scrub(db: Database) -> None:
    """Take erased bytes out of where the database still keeps them, outside of any transaction.

    SQLite's write-ahead log is emptied; where a reader is busy it stays, until the next erasure. PostgreSQL's dead rows
    are vacuumed; its journal and its backups keep what was sealed, which nobody opens once its record key is destroyed.
    """
    if isinstance(db, postgres.Connection):
        with contextlib.suppress(sqlite3.OperationalError):
            db.script("VACUUM payload")
        return
    db.execute("PRAGMA busy_timeout = 20")
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    db.execute("PRAGMA busy_timeout = 5000")


def migrations() -> list[tuple[int, str]]:
    """Every numbered script, `(number, SQL)`, in order."""
    found: list[tuple[int, str]] = []
    for file in resources.files("gateway.store").joinpath("sql").iterdir():
        match = _NAME.match(file.name)
        if match:
            found.append((int(match[1]), file.read_text("utf-8")))
    return sorted(found)


def open_writer(path: Path) -> sqlite3.Connection:
    """The one writing connection. Every commit is an fsync; transactions are begun by hand.

    Raises:
        ConfigRefused: the database is newer than this program, or is not a database.
    """
    db = sqlite3.connect(path, isolation_level=None, cached_statements=256, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA foreign_keys = ON")
        migrate(db)
    except sqlite3.DatabaseError as cause:
        db.close()
        raise ConfigRefused(f"the store is not usable: {cause}") from cause
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write.

    Raises:
        ConfigRefused: there is no database; and from any later statement, that what is there is damaged.
    """
    if not path.exists():
        raise ConfigRefused(f"there is no store at {path}; `limen init` makes one")
    db = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, cached_statements=256, factory=_Reading
    )
    db.execute("PRAGMA query_only = ON")
    db.execute("PRAGMA busy_timeout = 5000")
    return db


def _told(cause: sqlite3.DatabaseError) -> Exception:
    """Bytes that are no database, or no longer one, in words; anything else as it is."""
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
        return cause
    return ConfigRefused(
        f"the store's {FILE} is damaged ({cause}): stop the node and bring it back from a backup with "
        "`limen node restore`"
    )


class _Rows(sqlite3.Cursor):
    """Rows of a reader; damage may come to light with any of them. Written out: a wrapper would cost every check."""

    def execute(self, *given: Any) -> _Rows:
        try:
            super().execute(*given)
        except sqlite3.DatabaseError as cause:
            raise _told(cause) from None
        return self

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.DatabaseError as cause:
            raise _told(cause) from None

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as cause:
            raise _told(cause) from None

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.DatabaseError as cause:
            raise _told(cause) from None


class _Reading(sqlite3.Connection):
    """A connection of a reader's."""

    def execute(self, *given: Any) -> sqlite3.Cursor:
        return self.cursor(_Rows).execute(*given)


def migrate(db: sqlite3.Connection) -> None:
    """Bring the database to the newest form, each script in a transaction of its own.

    Raises:
        ConfigRefused: the database has seen a newer program; going back is not possible.
    """
    scripts = migrations()
    (held,) = db.execute("PRAGMA user_version").fetchone()
    newest = scripts[-1][0]
    if held > newest:
        raise ConfigRefused(f"the store has form {held}, this program knows {newest}: use the newer program")
    for number, script in scripts:
        if number > held:
            db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
