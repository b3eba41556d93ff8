"""A traveller as an officer has one: the lines of a document's zone, or fields as `key: value` lines or JSON.

JSON field names are those of `limen document read --json`, whose objects are taken as they are. Nothing here keeps or
prints what it read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.people import dates, mrz
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex, document_number
from gateway.terms import Hidden

TEXT_BYTES_MAX: Final = 4 << 20
FIELDS: Final = frozenset(
    {
        "surname", "given_names", "birth_date", "sex", "nationality", "document_number", "issuer", "birth_country",
        "residence_country",
    }
)  # fmt: skip


_READ_AND_DROPPED: Final = frozenset(
    {"format", "document_code", "expiry_date", "optional", "truncated", "checks", "valid", "errors"}
)
"""What else `limen document read` says of a zone. No key is made of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One traveller: the person as far as known, and the documents shown."""

    person: Person | None
    documents: tuple[Document, ...]


def read_one(data: bytes, on: date) -> Seen:
    """One traveller from zone lines, `key: value` lines or one JSON object.

    Raises:
        InputRefused: none of these, a wrong check digit, or an unknown field. Names line and field only.
    """
    text = _text(data).strip()
    if not text:
        raise InputRefused("nothing was given; write the document's lines or `surname: ...` lines", code="EMPTY")
    if text.startswith("{"):
        return from_fields(_object(text, 1), 1)
    first = text.split("\n", 1)[0]
    if ":" in first:
        return from_fields(_pairs(text), None)
    zones = mrz.split(text)
    if len(zones) != 1:
        raise InputRefused(f"{len(zones)} documents were given; a check takes one, or --stream", code="ONE")
    return from_zone(zones[0], on, 1)


def read_stream(data: bytes, on: date) -> Iterator[tuple[int, Seen]]:
    """One JSON object a line: fields, or `{"mrz": ["...", "..."]}`. Yields line number and traveller."""
    for number, line in stream_lines(data):
        yield number, read_line(line, number, on)


def stream_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """The lines that say something, each with its number from 1. Raises InputRefused where the input is no text."""
    for number, line in enumerate(_text(data).splitlines(), 1):
        if line.strip():
            yield number, line


def read_line(line: str, number: int, on: date) -> Seen:
    """The traveller of a stream's line. Raises InputRefused, which names the line."""
    value = _object(line, number)
    lines = value.get("mrz")
    if lines is None:
        return from_fields(value, number)
    if isinstance(lines, list) and all(isinstance(part, str) for part in lines) and len(value) == 1:
        return from_zone(lines, on, number)
    raise InputRefused("mrz is a list of lines and stands alone", line=number, field="mrz", code="MRZ")


def read_csv(data: bytes) -> Iterator[tuple[int, Seen]]:
    """A passenger list as CSV, with field names as its header. Yields line number and traveller."""
    reader = csv.reader(io.StringIO(_text(data), newline=""), strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if header is None:
                header = _header(cells)
            elif len(cells) != len(header):
                if cells:
                    raise InputRefused(f"{len(cells)} cells under {len(header)} columns", line=line, code="CELLS")
            elif any(cell.strip() for cell in cells):
                yield line, from_fields({name: cell.strip() for name, cell in zip(header, cells, strict=True)}, line)
    except csv.Error:
        raise InputRefused("the line is not CSV", line=reader.line_num, code="CSV") from None
    if header is None:
        raise InputRefused("the list is empty", code="EMPTY")


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for place, name in enumerate(header, 1):
        if name not in FIELDS:
            raise InputRefused(f"column {place} is not a field; see `limen check --help`", line=1, code="FIELD")
    if len(set(header)) != len(header):
        raise InputRefused("a column stands twice", line=1, code="FIELD")
    return header


def from_zone(lines: list[str], on: date, line: int) -> Seen:
    """A traveller from one zone. A zone with any fault is refused: a misread digit would ask about someone else."""
    reading = mrz.parse(lines, on)
    if reading.faults:
        fault = reading.faults[0]
        raise InputRefused(
            f"the zone is misread in its line {fault.line}, column {fault.column} ({fault.code}); scan again or "
            "type the fields",
            line=line,
            field="mrz",
            code=fault.code,
        )
    return Seen(reading.person(), (reading.document(),))


def from_fields(fields: Mapping[str, Any], line: int | None) -> Seen:
    """A traveller from named fields. `nationality` and `residence_country` may be lists; null is as if left out."""
    taken: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _READ_AND_DROPPED:
            if name == "valid" and value is not True:
                raise InputRefused("the zone was misread; scan again or type the fields", line=line, code="MRZ")
            continue
        if name not in FIELDS:
            raise _unknown(name, line)
        if name == "birth_date" and isinstance(value, dict):
            value = value.get("value")
        if value is None:
            continue
        if isinstance(value, list):
            if name not in {"nationality", "residence_country"} or not all(isinstance(part, str) for part in value):
                raise InputRefused("is not text", line=line, field=name, code="TYPE")
        elif not isinstance(value, str):
            raise InputRefused("is not text", line=line, field=name, code="TYPE")
        taken[name] = value
    try:
        return _seen(taken)
    except InputRefused as refusal:
        raise InputRefused(refusal.why, line=line, field=refusal.field, code=refusal.code) from None


def _seen(fields: Mapping[str, Any]) -> Seen:
    nationalities = _many(fields.get("nationality"))
    documents: tuple[Document, ...] = ()
    if fields.get("document_number"):
        if not fields.get("issuer"):
            raise InputRefused("a document needs its issuing state", field="issuer", code="NO_ISSUER")
        documents = (
            Document(
                issuer=fields["issuer"],
                number=document_number(fields["document_number"]),
                # Of several nationalities nobody knows which one the document states; its issuer then counts (T2).
                nationality=nationalities[0] if len(nationalities) == 1 else "",
            ),
        )
    person = None
    if fields.get("surname") or fields.get("given_names"):
        sex = str(fields.get("sex", "")).upper()
        if sex not in {"", "F", "M", "X"}:
            raise InputRefused("write F, M or X", field="sex", code="SEX")
        try:
            birth = dates.parse(fields.get("birth_date", ""))
        except InputRefused as refusal:
            raise InputRefused(refusal.why, field="birth_date", code=refusal.code) from None
        person = Person(
            names=Hidden((Name(fields.get("surname", ""), fields.get("given_names", "")),)),
            birth=Hidden(birth),
            sex=Sex(sex or "X"),
            nationalities=nationalities,
            birth_country=fields.get("birth_country", ""),
            residence_countries=_many(fields.get("residence_country")),
        )
    if person is None and not documents:
        raise InputRefused("give a name or a document", code="NO_TRAVELLER")
    return Seen(person, documents)


def _many(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) else tuple(part for part in value if part)


def _unknown(name: str, line: int | None) -> InputRefused:
    """A wrong field's name may be a value typed in the wrong place, so it is not repeated."""
    near = get_close_matches(name.lower()[:40], sorted(FIELDS), n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]}?" if near else ": they are " + ", ".join(sorted(FIELDS))
    return InputRefused(f"there is a field that is not one of a traveller's{hint}", line=line, code="FIELD")


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon:
            raise InputRefused("write `field: value`", line=number, code="LINE")
        if name in pairs:
            raise InputRefused("a field stands twice", line=number, code="FIELD")
        pairs[name] = value.strip()
    return pairs


def _object(text: str, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InputRefused("is not one JSON object", line=line, code="JSON") from None
    if not isinstance(value, dict):
        raise InputRefused("is not one JSON object", line=line, code="JSON")
    return value


def _text(data: bytes) -> str:
    if len(data) > TEXT_BYTES_MAX:
        raise InputRefused("the input is too long", code="SIZE")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InputRefused("the input is not UTF-8", code="ENCODING") from None
