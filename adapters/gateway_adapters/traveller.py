"""A traveller as an officer has one: the lines of a document's zone, or fields as `key: value` lines or JSON.

JSON field names are those of `limen document read --json`. Nothing here keeps or prints what it read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
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
        return from_fields(dict(_pairs(text)), None)
    zones = mrz.split(text)
    if len(zones) != 1:
        raise InputRefused(f"{len(zones)} documents were given; a check takes one, or --stream", code="ONE")
    return from_zone(zones[0], on, 1)


def read_stream(data: bytes, on: date) -> Iterator[tuple[int, Seen]]:
    """One JSON object a line: fields, or `{"mrz": ["...", "..."]}`. Yields line number and traveller."""
    for number, line in enumerate(_text(data).splitlines(), 1):
        if line.strip():
            value = _object(line, number)
            lines = value.get("mrz")
            if lines is None:
                yield number, from_fields(value, number)
            elif isinstance(lines, list) and all(isinstance(part, str) for part in lines) and len(value) == 1:
                yield number, from_zone(lines, on, number)
            else:
                raise InputRefused("mrz is a list of lines and stands alone", line=number, field="mrz", code="MRZ")


def read_csv(data: bytes, on: date) -> Iterator[tuple[int, Seen]]:
    """A passenger list as CSV, with the field names as its header. Yields line number and traveller."""
    reader = csv.DictReader(io.StringIO(_text(data), newline=""), strict=True)
    try:
        for row in reader:
            if None in row or any(value is None for value in row.values()):
                raise InputRefused("more or fewer cells than columns", line=reader.line_num, code="CELLS")
            yield reader.line_num, from_fields({key: value for key, value in row.items() if value}, reader.line_num)
    except csv.Error:
        raise InputRefused("the line is not CSV", line=reader.line_num, code="CSV") from None


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


def from_fields(fields: dict[str, Any], line: int | None) -> Seen:
    """A traveller from named fields. `nationality` and `residence_country` may be lists."""
    for name, value in fields.items():
        if name not in FIELDS:
            raise InputRefused("is not a field; see `limen check --help`", line=line, field=_shown(name), code="FIELD")
        if isinstance(value, list):
            if name not in {"nationality", "residence_country"} or not all(isinstance(part, str) for part in value):
                raise InputRefused("is not text", line=line, field=name, code="TYPE")
        elif not isinstance(value, str):
            raise InputRefused("is not text", line=line, field=name, code="TYPE")
    try:
        return _seen(fields)
    except InputRefused as refusal:
        raise InputRefused(refusal.why, line=line, field=refusal.field, code=refusal.code) from None


def _seen(fields: dict[str, Any]) -> Seen:
    nationalities = _many(fields.get("nationality"))
    documents: tuple[Document, ...] = ()
    if fields.get("document_number"):
        if not fields.get("issuer"):
            raise InputRefused("a document needs its issuing state", field="issuer", code="NO_ISSUER")
        documents = (
            Document(
                issuer=fields["issuer"],
                number=document_number(fields["document_number"]),
                nationality=nationalities[0] if nationalities else "",
            ),
        )
    person = None
    if fields.get("surname") or fields.get("given_names"):
        sex = str(fields.get("sex", "")).upper()
        if sex not in {"", "F", "M", "X"}:
            raise InputRefused("write F, M or X", field="sex", code="SEX")
        person = Person(
            names=Hidden((Name(fields.get("surname", ""), fields.get("given_names", "")),)),
            birth=Hidden(dates.parse(fields.get("birth_date", ""))),
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
    return (value,) if isinstance(value, str) else tuple(value)


def _shown(name: str) -> str:
    """A wrong field's name may be a value typed in the wrong place, so only plain words are repeated."""
    return name if name.isascii() and name.replace("_", "").isalpha() and name.islower() and len(name) < 30 else "?"


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise InputRefused("write `field: value`", line=number, code="LINE")
        yield name.strip().lower(), value.strip()


def _object(text: str, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
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
