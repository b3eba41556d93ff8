"""An auditor's index of a log: which entries say what, and keyed tags for what is sealed (`audit.search`).

It lies with the auditor and never on the node. Words are numbers of a table, so that a row is some tens of bytes; a
tag has a list of the entries it stands in, in order, so that finding by officer, case, record or subject reads that
list and nothing else. What the index is of (log, size, root, reader's key) stands in it: another log's, or one that
this log does not extend, is refused.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.audit import search
from gateway.audit.kinds import RETENTION_NS
from gateway.audit.search import LISTS, WORDS, Outcome, Query, Row, What, shown
from gateway.errors import InputRefused

FORMAT: Final = 1

ABOUT: Final = {"origin": str, "size": int, "root": bytes, "mark": bytes}
"""What an index says of itself."""

IN_MEMORY: Final = ":memory:"

_SCHEMA: Final = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, {", ".join(f"{name} INTEGER NOT NULL" for name in WORDS)},
    intent_seq INTEGER NOT NULL, open INTEGER NOT NULL, officer INTEGER NOT NULL, case_ref INTEGER NOT NULL
);
CREATE INDEX entry_open ON entry (seq) WHERE open = 1;
CREATE TABLE tag (id INTEGER PRIMARY KEY, what TEXT NOT NULL, tag BLOB NOT NULL, UNIQUE (what, tag));
CREATE TABLE posting (tag INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, seq)) WITHOUT ROWID;
CREATE TABLE link (number BLOB PRIMARY KEY, tags BLOB NOT NULL) WITHOUT ROWID;
"""

_COLUMNS: Final = ("seq", "time_ns", *WORDS, "intent_seq")
_ENTRY: Final = f"INSERT INTO entry VALUES ({', '.join('?' * (len(_COLUMNS) + 3))})"

_NUMBER_MAX: Final = (1 << 63) - 1

_SHOWN: Final = (What.OFFICER, What.CASE)
"""Of an entry's tags, those that are shown with it: the first of each."""

NOBODY: Final = 0
"""Stands where an entry names no officer, or nobody can read whom."""


def _no_index(path: Path | None) -> InputRefused:
    return InputRefused(f"{path}: is not an index of a log, or is damaged; give a new name, or remove it")


def _begins_well(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(16)
    return begin in (b"", b"SQLite format 3\0")


class Finder:
    """An index, in a file or in memory. Not safe to share between threads.

    `path` is None for memory. Raises InputRefused where the file is no index, or one of a newer program.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        # SQLite takes a few bytes of anything for an empty database, and writes over them.
        if path is not None and path.exists() and not _begins_well(path):
            raise _no_index(path)
        try:
            self._db = sqlite3.connect(IN_MEMORY if path is None else path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._open()
            self._words: dict[str, int] = {text: id_ for id_, text in self._db.execute("SELECT id, text FROM word")}
            if (about := self.about()) and {name: type(value) for name, value in about.items()} != ABOUT:
                raise sqlite3.DatabaseError
        except (sqlite3.Error, UnicodeDecodeError):
            raise _no_index(path) from None
        self._texts = {id_: text for text, id_ in self._words.items()}
        self.links: MutableMapping[bytes, bytes] = _Links(self._db)

    def _open(self) -> None:
        (held,) = self._db.execute("PRAGMA user_version").fetchone()
        if held == 0 and self._db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            self._db.executescript(f"BEGIN;\n{_SCHEMA}\nPRAGMA user_version = {FORMAT};\nCOMMIT;")
        elif held != FORMAT:
            raise sqlite3.DatabaseError

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Whatever is done with the index is done within. Raises InputRefused where the file is found to be damaged."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError):
            raise _no_index(self.path) from None

    # What it is of

    def about(self) -> Mapping[str, Any]:
        """`origin`, `size`, `root` and `mark` (of the reader's key, b"" without one); nothing in a new index."""
        return dict(self._db.execute("SELECT name, value FROM about"))

    def size(self) -> int:
        """How many entries it holds."""
        (last,) = self._db.execute("SELECT max(seq) FROM entry").fetchone()
        return last + 1 if type(last) is int else 0

    # Building

    @contextlib.contextmanager
    def building(self, about: Mapping[str, Any]) -> Iterator[None]:
        """All that is added within stands, with what the index is now of; or nothing of it does."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, entries: Iterable[tuple[Row, Sequence[tuple[What, bytes]]]]) -> None:
        """The next entries, in order, within `building`. An outcome closes its intent.

        Raises:
            InputRefused: a number of an entry is larger than any log's.
        """
        rows: list[tuple[int, ...]] = []
        postings: list[tuple[int, int]] = []
        closed: list[tuple[int]] = []
        for row, tags in entries:
            first = dict.fromkeys(_SHOWN, NOBODY)
            for what, tag in tags:
                id_ = self._tag(what, tag)
                postings.append((id_, row.seq))
                if first.get(what) == NOBODY:
                    first[what] = id_
            if max(row.time_ns, row.intent_seq) > _NUMBER_MAX:
                raise InputRefused(f"entry {row.seq} has a time or a number that no log has; verify the export")
            words = (self._word(getattr(row, name)) for name in WORDS)
            is_open = int(row.outcome == Outcome.BEGUN)
            rows.append((row.seq, row.time_ns, *words, row.intent_seq, is_open, *first.values()))
            if row.intent_seq >= 0:
                closed.append((row.intent_seq,))
        self._db.executemany(_ENTRY, rows)
        self._db.executemany("INSERT OR IGNORE INTO posting VALUES (?, ?)", sorted(postings))
        self._db.executemany("UPDATE entry SET open = 0 WHERE seq = ?", closed)

    def forget(self) -> int:
        """Drop the keyed tags of entries whose payload's term has passed by the newest entry's time, within `building`;
        how many. A tag is of what was sealed, and lasts no longer (docs/adr/0021)."""
        newest = self.last_ns()
        gone = 0
        for name, term in RETENTION_NS.items():
            word = self._words.get(name)
            bound = self._at(newest - term)
            if word is None or bound == 0:
                continue
            gone += self._db.execute(
                "DELETE FROM posting WHERE seq < ? AND tag IN (SELECT id FROM tag WHERE what <> ?)"
                " AND (SELECT retention FROM entry WHERE entry.seq = posting.seq) = ?",
                (bound, What.NUMBER.value, word),
            ).rowcount
            self._db.execute(
                "UPDATE entry SET officer = 0, case_ref = 0 WHERE seq < ? AND retention = ? AND (officer OR case_ref)",
                (bound, word),
            )
        if gone:
            unused = "NOT EXISTS (SELECT 1 FROM posting WHERE posting.tag = tag.id)"
            self._db.execute(f"DELETE FROM tag WHERE {unused}")
            self._db.execute(
                "DELETE FROM link WHERE substr(tags, 1, 16) NOT IN (SELECT tag FROM tag WHERE what = ?)",
                (What.SUBJECT.value,),
            )
        return gone

    def _word(self, text: str) -> int:
        held = self._words.get(text)
        if held is None:
            held = self._words[text] = len(self._words) + 1
            self._texts[held] = text
            self._db.execute("INSERT INTO word VALUES (?, ?)", (held, text))
        return held

    def _tag(self, what: What, tag: bytes) -> int:
        found = self._tag_id(what, tag)
        if found is None:
            found = self._db.execute("INSERT INTO tag (what, tag) VALUES (?, ?)", (what.value, tag)).lastrowid
        return int(found or 0)

    def _tag_id(self, what: What, tag: bytes) -> int | None:
        row = self._db.execute("SELECT id FROM tag WHERE what = ? AND tag = ?", (what.value, tag)).fetchone()
        return None if row is None else int(row[0])

    # Finding

    def find(
        self, query: Query, limit: int, *, below: int | None = None, above: int | None = None, oldest: bool = False
    ) -> list[Row]:
        """At most `limit` entries that answer, newest first or oldest first; only those before `below` or after `above`
        where a page goes on from another."""
        where = self._where(query)
        if where is None:
            return []
        conditions, values = where
        place = _place(query)
        if below is not None:
            conditions, values = [*conditions, f"{place} < ?"], [*values, below]
        if above is not None:
            conditions, values = [*conditions, f"{place} > ?"], [*values, above]
        columns = ", ".join(f"e.{name}" for name in _COLUMNS)
        # The list of the rarest tag leads; CROSS JOIN keeps SQLite from leading with the table of entries instead.
        rows = self._db.execute(
            f"SELECT {columns} FROM {self._source(query)} WHERE {' AND '.join(conditions) or '1'}"
            f" ORDER BY {place} {'ASC' if oldest else 'DESC'} LIMIT ?",
            (*values, limit),
        )
        return [self._row(row) for row in rows]

    def count(self, query: Query, by: Sequence[str]) -> list[tuple[tuple[str, ...], int]]:
        """How many entries answer, by each combination of these groups (`search.GROUPS`), most first."""
        where = self._where(query)
        if where is None:
            return []
        conditions, values = where
        groups = ", ".join("e.time_ns / 86400000000000" if name == "month" else f"e.{name}" for name in by) or "1"
        totals: dict[tuple[str, ...], int] = {}
        for *keys, number in self._db.execute(
            f"SELECT {groups}, count(*) FROM {self._source(query)}"
            f" WHERE {' AND '.join(conditions) or '1'} GROUP BY {groups}",
            values,
        ):
            key = tuple(self._group(name, value) for name, value in zip(by, keys, strict=False))
            totals[key] = totals.get(key, 0) + number
        return sorted(totals.items(), key=lambda one: (-one[1], one[0]))

    def tags(self, seq: int) -> dict[What, bytes]:
        """The officer's and the case's tag of one entry, as far as it has them."""
        row = self._db.execute("SELECT officer, case_ref FROM entry WHERE seq = ?", (seq,)).fetchone() or ()
        held = zip(_SHOWN, row, strict=False)
        return {what: self._tag_of(id_) for what, id_ in held if id_ != NOBODY}

    def _tag_of(self, id_: int) -> bytes:
        row = self._db.execute("SELECT tag FROM tag WHERE id = ?", (id_,)).fetchone()
        if row is None or type(row[0]) is not bytes:
            raise sqlite3.DatabaseError
        return bytes(row[0])

    def _text(self, id_: int) -> str:
        held = self._texts.get(id_)
        if type(held) is not str:
            raise sqlite3.DatabaseError
        return held

    def last_ns(self) -> int:
        """The time of the newest entry, UTC ns; 0 in an empty index."""
        row = self._db.execute("SELECT time_ns FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        return row[0] if row is not None and type(row[0]) is int else 0

    def _source(self, query: Query) -> str:
        if not query.tags:
            return "entry e"
        return "posting p CROSS JOIN entry e ON e.seq = p.seq"

    def _where(self, query: Query) -> tuple[list[str], list[Any]] | None:
        """Conditions and their values; None where nothing can answer."""
        conditions: list[str] = []
        values: list[Any] = []
        for name, wanted in query.words.items():
            if wanted:
                ids = self._ids(name, wanted)
                if not ids:
                    return None
                conditions.append(f"e.{name} IN ({', '.join('?' * len(ids))})")
                values += ids
        if query.policy:
            ids = [id_ for text, id_ in self._words.items() if any(text.startswith(one) for one in query.policy)]
            if not ids:
                return None
            marks = ", ".join("?" * len(ids))
            conditions.append(f"(e.baseline IN ({marks}) OR e.national IN ({marks}) OR e.agreement IN ({marks}))")
            values += ids * 3
        first, last = query.first, query.last
        if query.since_ns is not None:
            first = max(first or 0, self._at(query.since_ns))
        if query.until_ns is not None:
            until = self._at(query.until_ns) - 1
            last = until if last is None else min(last, until)
        if first is not None:
            conditions.append(f"{_place(query)} >= ?")
            values.append(first)
        if last is not None:
            conditions.append(f"{_place(query)} <= ?")
            values.append(last)
        if query.unpaired:
            conditions.append("e.open = 1")
        return self._tagged(query, conditions, values)

    def _tagged(self, query: Query, conditions: list[str], values: list[Any]) -> tuple[list[str], list[Any]] | None:
        lists: list[tuple[int, list[int]]] = []
        for what, tags in query.tags:
            ids = [id_ for tag in tags if (id_ := self._tag_id(what, tag)) is not None]
            if not ids:
                return None
            lists.append((self._length(ids), ids))
        for number, (_, ids) in enumerate(sorted(lists)):
            marks = ", ".join("?" * len(ids))
            if number:
                conditions.append(f"EXISTS (SELECT 1 FROM posting q WHERE q.seq = e.seq AND q.tag IN ({marks}))")
                values += ids
            elif len(ids) == 1:
                conditions.insert(0, "p.tag = ?")
                values.insert(0, ids[0])
            else:
                # An entry stands once, whichever of the tags it has.
                least = f"SELECT min(o.tag) FROM posting o WHERE o.seq = p.seq AND o.tag IN ({marks})"
                conditions.insert(0, f"p.tag = ({least})")
                conditions.insert(0, f"p.tag IN ({marks})")
                values[:0] = ids * 2
        return conditions, values

    def _length(self, ids: Sequence[int]) -> int:
        """About how many entries have one of these tags: counted up to a bound, which is enough to choose by."""
        marks = ", ".join("?" * len(ids))
        (found,) = self._db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM posting WHERE tag IN ({marks}) LIMIT 1000)", list(ids)
        ).fetchone()
        return int(found)

    def _ids(self, name: str, wanted: Sequence[str]) -> list[int]:
        if name in LISTS:
            return [id_ for text, id_ in self._words.items() if not set(wanted).isdisjoint(text.split(","))]
        return [self._words[text] for text in wanted if text in self._words]

    def _at(self, time_ns: int) -> int:
        """The number of the first entry at or after a time; they are in the order of time."""
        low, high = 0, self.size()
        while low < high:
            middle = (low + high) // 2
            row = self._db.execute("SELECT time_ns FROM entry WHERE seq = ?", (middle,)).fetchone()
            if row is None or type(row[0]) is not int:
                raise sqlite3.DatabaseError
            low, high = (middle + 1, high) if row[0] < time_ns else (low, middle)
        return low

    def _row(self, row: Sequence[int]) -> Row:
        seq, time_ns, *ids, intent_seq = row
        if {type(seq), type(time_ns), type(intent_seq)} != {int} or not 0 <= time_ns <= _NUMBER_MAX:
            raise sqlite3.DatabaseError
        return search.row(seq, time_ns, [self._text(id_) for id_ in ids], intent_seq)

    def _group(self, name: str, value: int) -> str:
        if name == "month":
            return f"{datetime.fromtimestamp(value * 86_400, UTC):%Y-%m}"
        if name == "officer":
            if value == NOBODY:
                return ""
            return shown(What.OFFICER, self._tag_of(value))
        return self._text(value)


def _place(query: Query) -> str:
    """The column that says an entry's number: of the list that leads."""
    return "p.seq" if query.tags else "e.seq"


class _Links(MutableMapping[bytes, bytes]):
    """The table of links as a mapping."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __getitem__(self, number: bytes) -> bytes:
        row = self._db.execute("SELECT tags FROM link WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise KeyError
        return bytes(row[0])

    def __setitem__(self, number: bytes, tags: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO link VALUES (?, ?)", (number, tags))

    def __delitem__(self, number: bytes) -> None:
        self._db.execute("DELETE FROM link WHERE number = ?", (number,))

    def __iter__(self) -> Iterator[bytes]:
        return iter([row[0] for row in self._db.execute("SELECT number FROM link")])

    def __len__(self) -> int:
        (number,) = self._db.execute("SELECT count(*) FROM link").fetchone()
        return int(number)


__all__ = ["Finder"]
