"""A state's crossing or case events as CSV, read by a column map, into the normal form that engines count.

The map is YAML: which column is what. Nothing else of the file is read, and of what is read only a month, a route, a
nationality, a protection status and a keyed hash of the person remain:

    map: limen/event-map/1
    person_ref: person_id        # or, where the file has none: person_keys: [document_no, document_issuer]
    date: event_date
    date_form: "%Y-%m-%d"        # this is the default
    nationality: nationality
    route: border_point          # or: route_constant: RIVER
    protection: protection       # may be left out
    where:                       # rows with other values are no part of the data set
      state: [PAN]

With `person_keys` the unit of privacy is the key: a person with two documents counts as two, and a row without any key
counts alone. Remarks name line, column and code, never the content.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

from gateway.errors import InputRefused
from gateway.people import codes
from gateway.terms import ProtectionTag
from gateway_adapters import csv_rows, plain_yaml

SCHEMA: Final = "limen/event-map/1"
FILE_BYTES_MAX: Final = 8 << 30
ROWS_MAX: Final = 1 << 26
"""More units would make equal 64-bit pseudonyms likelier than a release says."""

CELL_CHARACTERS_MAX: Final = 6_000
COLUMNS_MAX: Final = 500
REMARKS_MAX: Final = 1_000
"""Remarks kept; the rest are only counted."""

KEY_BYTES: Final = 32
COLUMNS: Final = ("person", "month", "route", "nationality", "protection")
"""The normal form's header."""

UNPROTECTED: Final = "NONE"

_FIELDS: Final = frozenset(
    {"map", "person_ref", "person_keys", "date", "date_form", "nationality", "route", "route_constant", "protection",
     "where"}
)  # fmt: skip
_ROUTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/() -]{0,63}\Z")
_FORM = re.compile(r"(?:%[YmdHMSyjbBT]|[-/. :T])+\Z")
_PERSON: Final = b"limen/event-unit"


@dataclass(frozen=True, slots=True)
class EventMap:
    """Which column is what. Exactly one of `person_ref` and `person_keys`, and of `route` and `route_constant`."""

    date: str
    nationality: str
    person_ref: str = ""
    person_keys: tuple[str, ...] = ()
    date_form: str = "%Y-%m-%d"
    route: str = ""
    route_constant: str = ""
    protection: str = ""
    where: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def by_person(self) -> bool:
        """True where the unit of privacy is the person and not a key."""
        return bool(self.person_ref)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file must have."""
        named = (self.person_ref, *self.person_keys, self.date, self.nationality, self.route, self.protection,
                 *self.where)  # fmt: skip
        return tuple(dict.fromkeys(name for name in named if name))


@dataclass(frozen=True, slots=True)
class Remark:
    """A row that was refused: where and why, never what."""

    line: int
    column: str
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was made of a file. `digest` is the SHA-256 of the normal form, header included."""

    rows: int
    outside: int
    """Rows that `where` leaves out."""
    refused: int
    remarks: tuple[Remark, ...]
    digest: bytes
    by_person: bool
    months: tuple[str, ...]
    routes: tuple[str, ...]
    nationalities: tuple[str, ...]
    """What occurs, for the owner who declares a key domain. It is data: it never leaves the node."""


def read_map(data: bytes) -> EventMap:
    """Read a column map.

    Raises:
        InputRefused: not YAML of the plain kind (no anchors, no tags), an unknown or missing field.
    """
    found = plain_yaml.read(data, "the map")
    if not isinstance(found, dict) or found.get("map") != SCHEMA:
        raise InputRefused(f"the first field says map: {SCHEMA}", field="map", code="MAP")
    for name in found:
        if name not in _FIELDS:
            raise InputRefused("a field is not one of the map's: " + ", ".join(sorted(_FIELDS)), code="MAP_FIELD")

    def text(name: str, default: str = "") -> str:
        value = found.get(name, default)
        if not isinstance(value, str) or len(value) > 200:
            raise InputRefused("write one column's name", field=name, code="MAP_FIELD")
        return value

    def texts(value: Any, name: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise InputRefused("write a list, as [A, B]", field=name, code="MAP_FIELD")
        return tuple(value)

    where = found.get("where", {})
    if not isinstance(where, dict):
        raise InputRefused("write a column and a list of values in each line", field="where", code="MAP_FIELD")
    made = EventMap(
        date=text("date"),
        nationality=text("nationality"),
        person_ref=text("person_ref"),
        person_keys=texts(found["person_keys"], "person_keys") if "person_keys" in found else (),
        date_form=text("date_form", "%Y-%m-%d"),
        route=text("route"),
        route_constant=text("route_constant"),
        protection=text("protection"),
        where={str(name): frozenset(texts(values, "where")) for name, values in where.items()},
    )
    for name in ("date", "nationality"):
        if not getattr(made, name):
            raise InputRefused("the map does not say which column it is", field=name, code="MAP_FIELD")
    if bool(made.person_ref) == bool(made.person_keys):
        raise InputRefused("write person_ref, or person_keys where the file has no reference to persons",
                           field="person_ref", code="MAP_PERSON")  # fmt: skip
    if bool(made.route) == bool(made.route_constant):
        raise InputRefused("write route or route_constant", field="route", code="MAP_ROUTE")
    if made.route_constant and not _ROUTE.match(made.route_constant):
        raise InputRefused("is letters, digits and _.:/()-", field="route_constant", code="MAP_ROUTE")
    if not _FORM.match(made.date_form):
        raise InputRefused("write a form such as %d/%m/%Y", field="date_form", code="MAP_DATE")
    return made


def normalise(source: BinaryIO, event_map: EventMap, key: bytes, write: Callable[[bytes], object]) -> Report:
    """Stream a file into the normal form. Bad rows are left out and remarked; the caller judges whether that will do.

    `key` (32 bytes) is the node's own for this data set: equal references get equal pseudonyms, and nobody without it
    can make or reverse one. `write` gets the normal form piece by piece.

    Raises:
        InputRefused: not UTF-8, no header, a column of the map is missing, a broken quote, too large.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    digest = hashlib.sha256()
    buffer: list[str] = [",".join(COLUMNS) + "\n"]
    seen: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    rows = outside = refused = 0
    remarks: list[Remark] = []

    def flush() -> None:
        piece = "".join(buffer).encode("ascii")
        digest.update(piece)
        write(piece)
        buffer.clear()

    for line, cells in _rows(source, event_map):
        try:
            row = _row(line, cells, event_map, key)
        except InputRefused as refusal:
            refused += 1
            if len(remarks) < REMARKS_MAX:
                remarks.append(Remark(line, refusal.field or "", refusal.code, refusal.why))
            continue
        if row is None:
            outside += 1
            continue
        rows += 1
        for one, value in zip(seen, row[1:4], strict=True):
            one.add(value)
        buffer.append(",".join(row) + "\n")
        if len(buffer) >= 10_000:
            flush()
    flush()
    months, routes, nationalities = (tuple(sorted(one)) for one in seen)
    return Report(rows, outside, refused, tuple(remarks), digest.digest(), event_map.by_person, months, routes,
                  nationalities)  # fmt: skip


def check(source: BinaryIO, event_map: EventMap) -> Report:
    """What `normalise` would say of the file; nothing is kept."""
    return normalise(source, event_map, bytes(KEY_BYTES), lambda piece: None)


_KINDS: Final = ("eventtype", "eventkind", "typeofevent", "event", "movement", "movementtype", "type", "kind")


def suggest(header: Sequence[str]) -> str:
    """A map for a file with these columns, as YAML to be read and mended by a person."""
    names = {re.sub(r"[^a-z]", "", name.lower()): name for name in header if name}

    def find(*words: str) -> str:
        return next((names[word] for word in words if word in names), "")

    lines = [f"map: {SCHEMA}"]
    person = find(*_PERSONS)
    keys = [name for name in (find(*_NUMBERS), find(*_ISSUERS)) if name]
    if person:
        lines.append(f"person_ref: {_scalar(person)}")
    elif keys:
        lines += ["# No reference to persons was recognised: the unit of privacy is the document.",
                  f"person_keys: [{', '.join(map(_scalar, keys))}]"]  # fmt: skip
    else:
        lines.append("person_ref: ''  # which column says whose event it is?")
    for name, words in (("date", _DATES), ("nationality", _NATIONALITIES)):
        found = find(*words)
        lines.append(f"{name}: {_scalar(found)}" if found else f"{name}: ''  # which column?")
    route = find(*_ROUTES)
    lines.append(f"route: {_scalar(route)}" if route else "route_constant: ALL  # no column of routes was recognised")
    protection = find(*_PROTECTIONS)
    if protection:
        lines.append(f"protection: {_scalar(protection)}")
    kind = find(*_KINDS)
    if kind:
        lines += [f"# {_scalar(kind)} seems to say what kind of event a row is. Without `where` every row is counted:",
                  f"# where: {{{_scalar(kind)}: [IRREGULAR_ENTRY]}}"]  # fmt: skip
    return "\n".join(lines) + "\n"


def doubts(header: Sequence[str]) -> tuple[str, ...]:
    """What a person should know of a file before its suggested map is used: one sentence each."""
    names = {re.sub(r"[^a-z]", "", name.lower()) for name in header}
    found = []
    missing = [told for told, words in (("date", _DATES), ("nationality", _NATIONALITIES)) if names.isdisjoint(words)]
    if missing:
        found.append(f"no column of {' or '.join(missing)} was recognised: is this a file of events?")
    if not names.isdisjoint(_KINDS):
        found.append("a column seems to say what kind of event a row is: without `where` every row is counted")
    return tuple(found)


def header_of(source: BinaryIO) -> list[str]:
    """The first line's columns. Raises InputRefused where there is none."""
    for cells in csv.reader(io.StringIO(_decoded(source.readline(1 << 16), 1).lstrip("\ufeff"))):
        return [cell.strip() for cell in cells]
    raise InputRefused("the file is empty", code="EMPTY")


def _row(line: int, cells: Mapping[str, str], event_map: EventMap, key: bytes) -> tuple[str, ...] | None:
    if "" in cells:
        raise InputRefused(cells[""], code="CELLS")
    if any(cells[name] not in allowed for name, allowed in event_map.where.items()):
        return None
    for name in event_map.columns:
        if len(cells[name]) > CELL_CHARACTERS_MAX:
            raise InputRefused("the cell is too long", field=name, code="LONG")
    try:
        day = datetime.strptime(cells[event_map.date], event_map.date_form)
    except ValueError:
        raise InputRefused("is not a date of the map's form", field=event_map.date, code="DATE") from None
    if not 2000 <= day.year <= 2099:
        raise InputRefused("is not a date of this century", field=event_map.date, code="DATE")
    nationality = cells[event_map.nationality].upper()
    if nationality and not codes.is_code(nationality):
        raise InputRefused("is not a state code", field=event_map.nationality, code="NATIONALITY")
    route = event_map.route_constant or cells[event_map.route]
    if route and not _ROUTE.match(route):
        raise InputRefused("is letters, digits and _.:/()-", field=event_map.route, code="ROUTE")
    protection = _protection(cells.get(event_map.protection, ""), event_map.protection)
    person = _person(line, cells, event_map, key)
    return str(person), f"{day.year:04}-{day.month:02}", route, codes.iso(nationality), protection


def _person(line: int, cells: Mapping[str, str], event_map: EventMap, key: bytes) -> int:
    if event_map.person_ref:
        kind, values = b"ref", [cells[event_map.person_ref]]
        if not values[0]:
            raise InputRefused("says of no person whose event it is", field=event_map.person_ref, code="PERSON")
    else:
        kind, values = b"key", [cells[name].upper() for name in event_map.person_keys]
        if not values[0]:
            kind, values = b"row", [str(line)]
    hashed = hashlib.blake2b(kind, digest_size=8, key=key, person=_PERSON)
    for value in values:
        raw = value.encode()
        hashed.update(len(raw).to_bytes(4, "big") + raw)
    return int.from_bytes(hashed.digest(), "big")


def _protection(text: str, column: str) -> str:
    parts = [part.strip().upper() for part in text.split("|") if part.strip()]
    if parts == [UNPROTECTED]:
        return UNPROTECTED
    try:
        tags = [ProtectionTag(part) for part in parts]
    except ValueError:
        raise InputRefused("no such protection tag", field=column, code="TAG") from None
    # One event has one place in the table: the first of its tags in the vocabulary's order.
    return next((tag for tag in ProtectionTag if tag in tags), UNPROTECTED)


def _rows(source: BinaryIO, event_map: EventMap) -> Iterator[tuple[int, dict[str, str]]]:
    return csv_rows.rows(_lines(source), lambda header: _judge_header(header, event_map), rows_max=ROWS_MAX)


def _judge_header(header: list[str], event_map: EventMap) -> None:
    if len(header) > COLUMNS_MAX or len(set(header)) != len(header):
        raise InputRefused(f"a column stands twice, or there are more than {COLUMNS_MAX}", line=1, code="COLUMN")
    for name in event_map.columns:
        if name not in header:
            raise InputRefused("the file has no such column; see `limen map check`", line=1, field=name, code="COLUMN")


def _lines(source: BinaryIO) -> Iterable[str]:
    size = 0
    for number, raw in enumerate(iter(lambda: source.readline(1 << 20), b""), 1):
        size += len(raw)
        if size > FILE_BYTES_MAX:
            raise InputRefused(f"the file has more than {FILE_BYTES_MAX >> 30} GiB", line=number, code="FILE_SIZE")
        text = _decoded(raw, number)
        yield text.removeprefix("\ufeff") if number == 1 else text


def _decoded(raw: bytes, line: int) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InputRefused("the file is not UTF-8", line=line, code="ENCODING") from None
    if "\0" in text:
        raise InputRefused("the file has a zero byte", line=line, code="ENCODING")
    return text


def _scalar(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else "'" + name.replace("'", "''") + "'"


_PERSONS = ("personref", "personid", "person", "truthperson", "travellerid", "subjectid")
_NUMBERS = ("documentno", "documentnumber", "passportno", "passportnumber", "docno")
_ISSUERS = ("documentissuer", "issuingstate", "issuer")
_DATES = ("eventdate", "date", "crossingdate", "detectiondate", "fecha")
_NATIONALITIES = ("nationality", "citizenship", "nacionalidad", "nat")
_ROUTES = ("route", "border", "borderpoint", "bordersection", "crossingpoint", "ruta")
_PROTECTIONS = ("protection", "protectionstatus")
