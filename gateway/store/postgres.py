"""The node's database on a PostgreSQL server: the same statements, tables and promises as on SQLite (decision 23).

The store's modules speak SQLite's dialect, in short plain statements; what PostgreSQL says otherwise is rewritten here,
once for each statement, so that both databases run the same code and pass the same suite. Errors come as those of the
standard library's sqlite3, whose names are PEP 249's: the store's modules know one set.

A store folder with a `postgres.toml` says where the server is; `limen node database` writes it. One writer has the
database at a time, by an advisory lock of its session; a second is refused.
"""

from __future__ import annotations

import re
import sqlite3
import ssl
import tomllib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gateway.errors import ConfigRefused

FILE: Final = "postgres.toml"
"""The file's name in the store folder."""

FILE_BYTES_MAX: Final = 1 << 16
PORT: Final = 5432
VERSION_MIN: Final = 15
"""The oldest major release that the suite runs on."""

TIMEOUT_S: Final = 30.0
"""How long one statement may take to be answered. A server that is silent for longer is gone."""

LOCK_WAIT_MS: Final = 5_000
"""How long a writer waits for the one before it to be gone, milliseconds."""

TOGETHER: Final = 16
"""Rows in one statement: each statement is a journey to the server and back."""

_NOT_AVAILABLE: Final = "55P03"
"""SQLSTATE of a lock that was waited for too long."""

STATEMENTS_MAX: Final = 256
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_LOST: Final = "08000"
"""SQLSTATE of a lost connection."""


# -- Where it is ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """What `postgres.toml` says. Either `socket`, the folder of the server's Unix socket, or `host` with `ca_file`:
    over a network only TLS with a server certificate of this authority. Paths are relative to the file."""

    database: str
    user: str
    socket: str = ""
    host: str = ""
    port: int = PORT
    ca_file: str = ""
    password_file: str = ""
    schema: str = "limen"
    folder: Path = field(default=Path(), compare=False)

    def encode(self) -> str:
        """The file."""
        lines = []
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name != "folder" and value not in ("", PORT):
                lines.append(f"{one.name} = {value}" if isinstance(value, int) else f"{one.name} = {_quoted(value)}")
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read(file: Path) -> Place:
    """Where the server is. Raises ConfigRefused, which names the file and the key and repeats no value."""
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as cause:
        raise ConfigRefused(f"{file} cannot be read: {cause.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigRefused(f"{file} is longer than {FILE_BYTES_MAX} bytes: it is no description of a database")
    try:
        held = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise ConfigRefused(f"{file} is not TOML ({cause})") from None
    known = {one.name: one.type for one in fields(Place) if one.name != "folder"}
    for name, value in held.items():
        if name not in known:
            raise ConfigRefused(f"{file}: {name} is no key of it; the keys are {', '.join(known)}")
        if type(value) is not (int if name == "port" else str):
            raise ConfigRefused(f"{file}: {name} is not a {'number' if name == 'port' else 'text'}")
    for name in ("database", "user"):
        if not held.get(name):
            raise ConfigRefused(f"{file}: {name} is missing")
    if bool(held.get("socket")) == bool(held.get("host")):
        raise ConfigRefused(f"{file}: give either socket, the folder of the server's socket, or host with ca_file")
    if held.get("host") and not held.get("ca_file"):
        raise ConfigRefused(f"{file}: ca_file is missing: over a network the store is reached by TLS alone")
    if not _NAME.match(held.get("schema", "limen")):
        raise ConfigRefused(f"{file}: schema is not a plain name of small letters, digits and _")
    if not 0 < held.get("port", PORT) < 1 << 16:
        raise ConfigRefused(f"{file}: port is not between 1 and 65535")
    return Place(**held, folder=file.parent)


def _connected(place: Place) -> Any:
    """A session of the driver's. Raises ConfigRefused where there is no driver or no server, without the password."""
    try:
        from pg8000 import native  # type: ignore[import-untyped]  # it has no types
    except ImportError:
        raise ConfigRefused(
            'this installation has no PostgreSQL driver: install "limen-gateway[postgres]", or bring the store back to '
            "SQLite where it is installed"
        ) from None
    password = None
    try:
        if place.password_file:
            password = (place.folder / place.password_file).read_text("utf-8").splitlines()[0]
        encrypted = ssl.create_default_context(cafile=str(place.folder / place.ca_file)) if place.host else None
    except (OSError, IndexError, UnicodeDecodeError) as cause:
        told = getattr(cause, "strerror", None) or "it has no line"
        raise ConfigRefused(f"{place.folder / FILE}: a file that it names cannot be used: {told}") from None
    where = place.host or place.socket
    try:
        return native.Connection(
            place.user,
            host=place.host or None,
            port=place.port,
            database=place.database,
            password=password,
            unix_sock=f"{place.socket}/.s.PGSQL.{place.port}" if place.socket else None,
            ssl_context=encrypted,
            timeout=TIMEOUT_S,
            application_name="limen",
        )
    except (native.Error, OSError) as cause:
        raise ConfigRefused(
            f"the database server at {where} does not let us in ({_told(cause)}): is it running, and are database, "
            f"user and password of {place.folder / FILE} right?"
        ) from None


def _told(cause: Exception) -> str:
    """What the server or the system says, on one line: its code and message, never a row's values."""
    if cause.args and isinstance(cause.args[0], dict):
        parts = cause.args[0]
        return f"{parts.get('C', '?')} {parts.get('M', '')}".strip()
    return " ".join(str(cause).split()) or type(cause).__name__


# -- The connection ---------------------------------------------------------------------------------------------------


class Rows:
    """The rows of one statement, as a cursor of sqlite3 gives them."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


@dataclass(slots=True)
class _Prepared:
    text: str
    statement: Any
    meta: bool


class Connection:
    """`db.Database` over a session with the server. Bound to one thread at a time, as one of sqlite3 is."""

    def __init__(self, place: Place, *, read_only: bool) -> None:
        self._place = place
        self._read_only = read_only
        self._held: OrderedDict[str, _Prepared] = OrderedDict()
        self._keys: dict[str, tuple[list[str], list[str]]] = {}
        self._in_transaction = False
        self._is_lost = False
        self._session: Any = None
        self._open()

    def _open(self) -> None:
        self._held.clear()
        self.close()
        self._session = _connected(self._place)
        self._is_lost = False
        (version,) = self._plain("SHOW server_version_num")[0]
        if int(version) // 10_000 < VERSION_MIN:
            self.close()
            raise ConfigRefused(f"the database server is older than PostgreSQL {VERSION_MIN}")
        (encoding,) = self._plain("SHOW server_encoding")[0]
        if encoding != "UTF8":
            self.close()
            raise ConfigRefused("the database's encoding is not UTF8: make one with ENCODING 'UTF8'")
        self._plain(f"SET search_path TO {self._place.schema}")
        if self._read_only:
            self._plain("SET default_transaction_read_only = on")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or may be: of a session that is gone nobody knows, and undoing it fails."""
        return self._in_transaction or self._is_lost

    def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        try:
            if session is not None:
                session.close()
        except Exception:
            # A session that is gone cannot be ended any more.
            return

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run one statement of the store's. Raises the errors of sqlite3 (PEP 249)."""
        word = sql.split(None, 1)[0]
        if word in _TRANSACTION:
            return self._turn(sql, word)
        if self._is_lost and not self._in_transaction and self._read_only:
            # A reader has nothing to lose: the server may have been started anew.
            self._open_again()
        prepared = self._prepared(sql)
        return self._run(prepared, parameters)

    def executemany(self, sql: str, rows: Any, /) -> Rows:
        """Run one statement for each row; rows that are only put in go several to a statement."""
        count, at, rows = 0, 0, list(rows)
        head, is_plain, marks = sql.partition(" VALUES ")
        if is_plain and head.startswith("INSERT INTO ") and marks.strip("(?, )") == "" and not _META.search(sql):
            together = f"{head} VALUES {', '.join([marks] * TOGETHER)}"
            while len(rows) - at >= TOGETHER:
                values = [one for row in rows[at : at + TOGETHER] for one in row]
                count += self._run(self._prepared(together), values).rowcount
                at += TOGETHER
        for row in rows[at:]:
            count += self._run(self._prepared(sql), row).rowcount
        return Rows([], count)

    def script(self, text: str) -> None:
        """Statements of a migration, without parameters."""
        self._plain(text)

    def stream(self, sql: str, count: int) -> Iterator[Any]:
        """The rows of a statement without parameters, so many in memory at a time, within an open transaction."""
        meta = bool(_META.search(sql))
        self._plain(f"DECLARE streamed NO SCROLL CURSOR FOR {sql}")
        while rows := self._plain(f"FETCH {count} FROM streamed"):
            for row in rows:
                yield (row[0], _meant(row[1])) if meta else tuple(row)
        self._plain("CLOSE streamed")

    def _open_again(self) -> None:
        try:
            self._open()
        except ConfigRefused as cause:
            raise sqlite3.OperationalError(str(cause)) from None

    def _turn(self, sql: str, word: str) -> Rows:
        if word == "BEGIN":
            kind = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if self._read_only else ""
            self._plain(f"BEGIN{kind}")
            self._in_transaction = True
            return Rows([], 0)
        # PostgreSQL answers COMMIT of a transaction that failed by undoing it; the driver makes an error of that.
        self._plain(sql)
        if word in ("COMMIT", "ROLLBACK") and " TO " not in sql:
            self._in_transaction = False
        return Rows([], 0)

    def _plain(self, sql: str) -> list[Any]:
        try:
            return list(self._session.run(sql) or ())
        except Exception as cause:
            raise self._error(cause) from None

    def _prepared(self, sql: str) -> _Prepared:
        found = self._held.get(sql)
        if found is not None:
            self._held.move_to_end(sql)
            return found
        text = statement(sql, self._table)
        try:
            made = self._session.prepare(text)
        except Exception as cause:
            raise self._error(cause) from None
        found = self._held[sql] = _Prepared(text, made, bool(_META.search(sql)))
        if len(self._held) > STATEMENTS_MAX:
            _, oldest = self._held.popitem(last=False)
            oldest.statement.close()
        return found

    def _run(self, prepared: _Prepared, parameters: Sequence[Any]) -> Rows:
        given = {f"p{n}": int(one) if type(one) is bool else one for n, one in enumerate(parameters, 1)}
        if prepared.meta and given and prepared.text.startswith("INSERT"):  # (name, value)
            given[f"p{len(given)}"] = _kept(given[f"p{len(given)}"])
        try:
            rows = prepared.statement.run(**given) or []
        except Exception as cause:
            raise self._error(cause) from None
        columns = prepared.statement.columns or ()
        odd = [n for n, one in enumerate(columns) if one["type_oid"] in (_BOOLEAN, _NUMERIC)]
        if odd:
            rows = [tuple(_number(one) if n in odd else one for n, one in enumerate(row)) for row in rows]
        elif prepared.meta and [one["name"] for one in columns] == ["value"]:
            rows = [(_meant(row[0]),) for row in rows]
        else:
            rows = [tuple(row) for row in rows]
        count = prepared.statement._context.row_count
        return Rows(rows, count)

    def _table(self, name: str) -> tuple[list[str], list[str]]:
        """A table's columns in order, and those of its primary key."""
        if name not in self._keys:
            columns = self._plain(
                "SELECT attname FROM pg_attribute WHERE attrelid = "
                f"'{self._place.schema}.{name}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            )
            keys = self._plain(
                "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = "
                f"ANY (i.indkey) WHERE i.indrelid = '{self._place.schema}.{name}'::regclass AND i.indisprimary"
            )
            self._keys[name] = [str(one) for (one,) in columns], [str(one) for (one,) in keys]
        return self._keys[name]

    def _error(self, cause: Exception) -> Exception:
        parts = cause.args[0] if cause.args and isinstance(cause.args[0], dict) else None
        code = str(parts.get("C", "")) if parts else _LOST
        told = _told(cause)
        if parts is None and not isinstance(cause, OSError) and type(cause).__name__ != "InterfaceError":
            return sqlite3.ProgrammingError(told)  # the driver could not send what it was given
        if code.startswith(("08", "57P")):
            self._is_lost = True
            return sqlite3.OperationalError(f"the database server is gone ({told})")
        for start, kind in _KINDS:
            if code.startswith(start):
                return kind(told)
        return sqlite3.OperationalError(told)


_TRANSACTION: Final = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})

_BOOLEAN: Final = 16
_NUMERIC: Final = 1700

_KINDS: Final[Sequence[tuple[str, type[sqlite3.Error]]]] = (
    ("23", sqlite3.IntegrityError),
    ("22", sqlite3.ProgrammingError),
    ("42", sqlite3.ProgrammingError),
)
"""SQLSTATE classes: a constraint; a value or a statement that does not fit."""


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, (bool, Decimal)) else value


# `meta` keeps texts, numbers and bytes in one column; SQLite's columns remember what they were given.
_META: Final = re.compile(r"\b(?:INTO|FROM) meta\b")


def _kept(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"b" + value
    return b"i%d" % value if isinstance(value, int) else b"t" + str(value).encode()


def _meant(value: bytes) -> Any:
    tag, rest = value[:1], value[1:]
    return rest if tag == b"b" else int(rest) if tag == b"i" else rest.decode()


# -- The dialect ------------------------------------------------------------------------------------------------------

_PLACE: Final = re.compile(r"'[^']*'|\?(\d*)")
_INSERT: Final = re.compile(r"INSERT OR (REPLACE|IGNORE) INTO (\w+)\s*(?:\(([^)]*)\))?\s*(VALUES|SELECT)", re.S)


def statement(sql: str, table: Any) -> str:
    """A statement of the store's as PostgreSQL takes it, with parameters `:p1`, `:p2`. `table` gives a table's columns
    and the columns of its primary key."""
    ending = ""
    match = _INSERT.match(sql.strip())
    if match:
        kind, name, listed, word = match.groups()
        named = f" ({listed})" if listed else ""
        sql = f"INSERT INTO {name}{named} {word}{sql.strip()[match.end() :]}"
        ending = " ON CONFLICT DO NOTHING"
        if kind == "REPLACE":
            columns, keys = table(name)
            given = [one.strip() for one in listed.split(",")] if listed else columns
            others = [
                f"{one} = EXCLUDED.{one}" if one in given else f"{one} = DEFAULT" for one in columns if one not in keys
            ]
            what = f"UPDATE SET {', '.join(others)}" if others else "NOTHING"
            ending = f" ON CONFLICT ({', '.join(keys)}) DO {what}"
    count = 0

    def placed(found: re.Match[str]) -> str:
        nonlocal count
        if found[0].startswith("'"):
            return found[0]
        count += 1
        return f":p{found[1] or count}"

    return _PLACE.sub(placed, sql.replace("x''", "CAST('' AS BYTEA)")) + ending


ORDERED: Final = "release_request"
"""The one table whose rows' order of coming is asked for (`rowid`)."""

_TRIGGER: Final = re.compile(
    r"CREATE TRIGGER (\w+) BEFORE (DELETE|UPDATE) ON (\w+)\s+(?:WHEN (.*?)\s+)?"
    r"BEGIN SELECT RAISE\(ABORT, ('[^']*')\); END;",
    re.S,
)
_WORDS: Final = (
    (re.compile(r"--[^\n]*"), ""),
    (re.compile(r"\)\s*WITHOUT ROWID"), ")"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    # SQLite compares texts byte by byte, whatever the server's language.
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"\bx''"), r"'\\x'"),
    (re.compile(r"\bIS NOT (?=OLD\.|NEW\.)"), "IS DISTINCT FROM "),
)


def migration(script: str) -> str:
    """A numbered script of the store's as PostgreSQL takes it."""
    for pattern, text in _WORDS:
        script = pattern.sub(text, script)
    script = re.sub(
        rf"(CREATE TABLE {ORDERED} \(.*?)(\n\);)",
        r"\1,\n    rowid BIGINT GENERATED ALWAYS AS IDENTITY\2",
        script,
        flags=re.S,
    )
    return _TRIGGER.sub(_trigger, script)


def _trigger(found: re.Match[str]) -> str:
    name, act, table, when, told = found.groups()
    cut = (
        f"CREATE TRIGGER {name}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}();\n"
        if act == "DELETE"
        else ""
    )
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        f"BEGIN RAISE EXCEPTION {told} USING ERRCODE = '23000'; END $$;\n"
        f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH ROW"
        f"{f' WHEN ({when})' if when else ''} EXECUTE FUNCTION {name}();\n{cut}"
    )


# -- Opening ----------------------------------------------------------------------------------------------------------


def open_writer(place: Place, scripts: Sequence[tuple[int, str]]) -> Connection:
    """The one writing session: its schema is there and of the newest form afterwards.

    Raises:
        ConfigRefused: no server, another writer, settings under which a commit may be lost, or a newer form.
    """
    db = Connection(place, read_only=False)
    try:
        ((fsync,), (pages,)) = db._plain("SHOW fsync")[0], db._plain("SHOW full_page_writes")[0]
        if (fsync, pages) != ("on", "on"):
            raise ConfigRefused("the database server runs with fsync or full_page_writes off: it would lose entries")
        db._plain("SET synchronous_commit = on")
        _hold(db)
        if db._plain(f"SELECT 1 FROM pg_namespace WHERE nspname = '{place.schema}'") == []:
            db._plain(f"CREATE SCHEMA {place.schema}")
        db._plain("CREATE TABLE IF NOT EXISTS form (number BIGINT NOT NULL)")
        held, newest = form(db), scripts[-1][0]
        if held > newest:
            raise ConfigRefused(f"the store has form {held}, this program knows {newest}: use the newer program")
        for number, script in scripts:
            if number > held:
                db.script(
                    f"BEGIN;\n{migration(script)}\nDELETE FROM form;\nINSERT INTO form VALUES ({number});\nCOMMIT;"
                )
    except sqlite3.Error as cause:
        db.close()
        raise ConfigRefused(f"the store is not usable: {cause}") from cause
    except BaseException:
        db.close()
        raise
    return db


def _hold(db: Connection) -> None:
    """Be the one writer. The session of one that was killed ends a moment after it."""
    db._plain(f"SET lock_timeout = {LOCK_WAIT_MS}")
    try:
        db._plain(f"SELECT pg_advisory_lock(hashtextextended('limen/{db._place.schema}', 0))")
    except sqlite3.OperationalError as cause:
        if str(cause).startswith(_NOT_AVAILABLE):
            raise ConfigRefused("another writer has this database: stop it first, a log has one") from None
        raise
    db._plain("SET lock_timeout = 0")


def drop(place: Place) -> None:
    """Remove a log's schema with all that is in it. Raises ConfigRefused where the server does not do it."""
    db = Connection(place, read_only=False)
    try:
        db.script(f"DROP SCHEMA {place.schema} CASCADE")
    except sqlite3.Error as cause:
        raise ConfigRefused(
            f"the database is in the store folder again, but the server still has the old one ({cause}): "
            f"DROP SCHEMA {place.schema} CASCADE"
        ) from None
    finally:
        db.close()


def form(db: Connection) -> int:
    """The number of the last migration, 0 for an empty database."""
    rows = db._plain("SELECT max(number) FROM form")
    return int(rows[0][0] or 0)
