"""A state's list as CSV: every row is accepted, refused, or accepted with a warning, with its line and the reason.

Columns: `entry_id`, `category`, and as far as the category needs them `owner`, `surname`, `given`, `aliases`, `dob`,
`sex`, `nationality`, `document_no`, `document_issuer`, `valid_until`, `handling`, `originator`, `provenance`,
`decision_ref`, `legal_basis`, `protection`, `birth_country`, `residence_country`, `contact`, `urgency`. Several
aliases, birth dates, nationalities, residences or protections stand in one cell, parted by `|`. What a file has no
column for comes from the load's own options. A report names line, column and code, never the content.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.errors import InputRefused
from gateway.people import codes, dates
from gateway.people.dates import PartialDate
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex, document_number
from gateway.terms import Handling, Hidden, ListId, PeerId, ProtectionTag, RecordKind
from gateway_adapters import csv_rows

FILE_BYTES_MAX: Final = 64 << 20
ROWS_MAX: Final = 500_000
CELL_CHARACTERS_MAX: Final = 6_000
ALIASES_MAX: Final = 50
"""Real lists have entries with 45."""
BIRTHS_MAX: Final = 10

REQUIRED: Final = ("entry_id", "category")
COLUMNS: Final = frozenset(
    {
        "entry_id", "owner", "category", "surname", "given", "aliases", "dob", "sex", "nationality", "document_no",
        "document_issuer", "valid_until", "handling", "originator", "provenance", "decision_ref", "legal_basis",
        "protection", "birth_country", "residence_country", "contact", "urgency",
    }
)  # fmt: skip

_Warn = Callable[[str, str, str], None]
"""column, code, why."""

CATEGORIES: Final = {
    "WANTED_ARREST": (RecordKind.WANTED_ARREST, ListId.PERSONS),
    "REFUSE_ENTRY": (RecordKind.REFUSE_ENTRY, ListId.PERSONS),
    "SMUGGLER_SUSPECT": (RecordKind.SMUGGLER_SUSPECT, ListId.PERSONS),
    "MISSING_CHILD": (RecordKind.MISSING_CHILD, ListId.PERSONS),
    "NATIONAL": (RecordKind.NATIONAL, ListId.PERSONS),
    "LOST_STOLEN_DOC": (RecordKind.LOST_STOLEN, ListId.DOCUMENTS),
    "LOST_STOLEN": (RecordKind.LOST_STOLEN, ListId.DOCUMENTS),
    "REVOKED_DOC": (RecordKind.REVOKED, ListId.DOCUMENTS),
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the load says for rows that do not say it themselves. Empty means: the row must."""

    owner: PeerId
    originator: str = ""
    provenance: str = ""
    decision: str = ""
    legal_basis: str = ""
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One accepted row, judged value by value. `line` is where its row starts in the file, from 1."""

    line: int
    entry_id: str
    list_id: ListId
    kind: RecordKind
    handling: Handling
    originator: PeerId
    provenance: str
    decision: str
    legal_basis: str
    valid_until: date
    person: Person | None
    documents: tuple[Document, ...]
    contact: int
    tags: frozenset[ProtectionTag]
    urgency: int = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """What the reader says of a row: `refused`, or a warning about an accepted one."""

    line: int
    column: str
    code: str
    why: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """Every row of the file is in `rows` or among the refused remarks; some are in both `rows` and the warnings."""

    rows: tuple[Row, ...]
    remarks: tuple[Remark, ...]

    @property
    def refused(self) -> tuple[Remark, ...]:
        """Rows that were not taken."""
        return tuple(remark for remark in self.remarks if remark.refused)


def read(data: bytes, defaults: Defaults) -> Reading:
    """Read a whole file.

    Raises:
        InputRefused: not UTF-8, no header, an unknown or missing column, a broken quote, too large. Nothing is taken.
    """
    return read_cells(_cells(data), defaults)


def read_cells(lines: Iterable[tuple[int, Mapping[str, str]]], defaults: Defaults) -> Reading:
    """Judge (line, cells by column) pairs, whatever file they came from. Columns are the format's own."""
    rows: list[Row] = []
    remarks: list[Remark] = []
    seen: dict[str, int] = {}
    for line, cells in lines:
        warnings: list[Remark] = []
        try:
            row = _row(line, cells, defaults, warnings)
            if row.entry_id in seen:
                raise InputRefused(f"the entry id stands in line {seen[row.entry_id]} already", line=line,
                                   field="entry_id", code="DUPLICATE")  # fmt: skip
        except InputRefused as refusal:
            remarks.append(Remark(line, refusal.field or "", refusal.code or "REFUSED", refusal.why, True))
            continue
        seen[row.entry_id] = line
        rows.append(row)
        remarks.extend(warnings)
    return Reading(tuple(rows), tuple(remarks))


def _cells(data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    if len(data) > FILE_BYTES_MAX:
        raise InputRefused(f"the file has more than {FILE_BYTES_MAX >> 20} MiB", code="FILE_SIZE")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data[: cause.start].count(b"\n") + 1
        raise InputRefused("the file is not UTF-8", line=line, code="ENCODING") from None
    if "\0" in text:
        raise InputRefused("the file has a zero byte", line=text[: text.index("\0")].count("\n") + 1, code="ENCODING")
    return csv_rows.rows(io.StringIO(text, newline=""), _judge_header, rows_max=ROWS_MAX, lower=True)


def _judge_header(header: list[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise InputRefused(
                f"column {header.index(name) + 1} is not one of the format's; the first line names the columns",
                line=1, code="COLUMN",
            )  # fmt: skip
    for name in REQUIRED:
        if name not in header:
            raise InputRefused(f"the column {name} is missing", line=1, field=name, code="COLUMN")
    if len(set(header)) != len(header):
        raise InputRefused("a column stands twice", line=1, code="COLUMN")


def _row(line: int, cells: Mapping[str, str], defaults: Defaults, warnings: list[Remark]) -> Row:
    if "" in cells:
        raise InputRefused(cells[""], line=line, code="CELLS")
    for name, cell in cells.items():
        if len(cell) > CELL_CHARACTERS_MAX:
            raise InputRefused("the cell is too long", line=line, field=name, code="LONG")

    def warn(column: str, code: str, why: str) -> None:
        warnings.append(Remark(line, column, code, why, False))

    def take(name: str, default: str = "") -> str:
        return cells.get(name, "") or default

    owner = take("owner", defaults.owner)
    if owner != defaults.owner:
        raise InputRefused("the row belongs to another state's list", field="owner", code="OWNER")
    category = take("category").upper()
    if category not in CATEGORIES:
        raise InputRefused("no such category", field="category", code="CATEGORY")
    kind, list_id = CATEGORIES[category]
    if not take("entry_id"):
        raise InputRefused("is required", field="entry_id", code="NO_ENTRY_ID")
    originator = take("originator", defaults.originator)
    if not originator:
        raise InputRefused("an entry without originator is not taken", field="originator", code="NO_ORIGINATOR")
    if not codes.is_code(originator):
        raise InputRefused("is not a state code", field="originator", code="ORIGINATOR")
    _known((originator,), "originator", warn)
    for name, value in (("provenance", defaults.provenance), ("decision_ref", defaults.decision),
                        ("legal_basis", defaults.legal_basis)):  # fmt: skip
        if not take(name, value):
            raise InputRefused("is required", field=name, code=f"NO_{name.upper()}")
    return Row(
        line=line,
        entry_id=take("entry_id"),
        list_id=list_id,
        kind=kind,
        handling=_handling(take("handling", "APPROVAL")),
        originator=PeerId(originator),
        provenance=take("provenance", defaults.provenance),
        decision=take("decision_ref", defaults.decision),
        legal_basis=take("legal_basis", defaults.legal_basis),
        valid_until=_valid_until(take("valid_until"), defaults),
        person=_person(cells, warn) if list_id is ListId.PERSONS else None,
        documents=_documents(cells, defaults, list_id, warn),
        contact=_contact(take("contact", "1")),
        tags=_tags(take("protection")),
        urgency=_urgency(take("urgency", "1")),
    )


def _handling(text: str) -> Handling:
    try:
        return Handling[text.upper()]
    except KeyError:
        raise InputRefused("write APPROVAL or FOUR_EYES", field="handling", code="HANDLING") from None


def _contact(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) < 1 << 16):
        raise InputRefused("write a desk's number from 1 to 65535", field="contact", code="CONTACT")
    return int(text)


def _urgency(text: str) -> int:
    if text not in {"1", "2", "3"}:
        raise InputRefused("write 1 (routine), 2 (urgent) or 3 (immediate)", field="urgency", code="URGENCY")
    return int(text)


def _valid_until(text: str, defaults: Defaults) -> date:
    if not text and defaults.valid_until is not None:
        return defaults.valid_until
    if not text:
        raise InputRefused("an entry without validity is not taken", field="valid_until", code="NO_VALIDITY")
    try:
        day = dates.parse(text)
    except InputRefused:
        day = dates.UNKNOWN
    if day.precision is not dates.Precision.DAY or day.circa:
        raise InputRefused("write a date as YYYY-MM-DD", field="valid_until", code="VALIDITY")
    return date(day.year, day.month, day.day)


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _tags(text: str) -> frozenset[ProtectionTag]:
    try:
        return frozenset(ProtectionTag(part.upper()) for part in _parts(text))
    except ValueError:
        raise InputRefused("no such protection tag", field="protection", code="TAG") from None


def _person(cells: Mapping[str, str], warn: _Warn) -> Person:
    if not cells.get("surname") and not cells.get("given"):
        raise InputRefused("a name is required", field="surname", code="NO_NAME")
    # "NA" is a name, not a missing value.
    names = [_name(cells.get("surname", ""), cells.get("given", ""), "surname")]
    if not names[0].tokens():
        raise InputRefused("the name has no letters that can be matched", field="surname", code="NAME_LETTERS")
    aliases = _parts(cells.get("aliases", ""))
    if len(aliases) > ALIASES_MAX:
        raise InputRefused(f"more than {ALIASES_MAX} aliases", field="aliases", code="TOO_MANY")
    for alias in aliases:
        # An alias is a whole name: its order of names does not matter to any match key.
        name = _name(alias, "", "aliases")
        if name.tokens():
            names.append(name)
        else:
            warn("aliases", "ALIAS_LETTERS", "an alias has no letters that can be matched and was left out")
    births = _births(cells.get("dob", ""), warn)
    sex = cells.get("sex", "").upper()
    if sex not in {"", "M", "F", "X"}:
        raise InputRefused("write M, F, X or nothing", field="sex", code="SEX")
    person = Person(
        names=Hidden(tuple(names)),
        birth=Hidden(births[0]),
        sex=Sex(sex or "X"),
        nationalities=_parts(cells.get("nationality", "")),
        birth_country=cells.get("birth_country", ""),
        residence_countries=_parts(cells.get("residence_country", "")),
        other_births=Hidden(births[1:]),
    )
    _known(person.nationalities, "nationality", warn)
    _known(person.residence_countries, "residence_country", warn)
    _known((person.birth_country,), "birth_country", warn)
    return person


def _name(surname: str, given: str, column: str) -> Name:
    try:
        return Name(surname, given)
    except InputRefused as refusal:
        raise InputRefused(refusal.why, field=column, code=refusal.code) from None


def _known(states: tuple[str, ...], column: str, warn: _Warn) -> None:
    """A code of three letters that nobody has defined is taken, but as an origin it counts as unknown (T2)."""
    if any(code and not codes.is_defined(code) for code in states):
        warn(column, "STATE_UNKNOWN", "the code of a state is not in the table of Doc 9303")


def _births(text: str, warn: _Warn) -> tuple[PartialDate, ...]:
    try:
        births = tuple(dates.parse(part) for part in _parts(text)) or (dates.UNKNOWN,)
    except InputRefused as refusal:
        raise InputRefused(refusal.why, field="dob", code=refusal.code) from None
    if len(births) > BIRTHS_MAX:
        raise InputRefused(f"more than {BIRTHS_MAX} birth dates", field="dob", code="TOO_MANY")
    if births == (dates.UNKNOWN,):
        warn("dob", "DOB_EMPTY", "without a birth year only the document can match")
    elif any(birth.precision is dates.Precision.DAY and not birth.circa and birth.full is None for birth in births):
        warn("dob", "DOB_PLACEHOLDER", "1 January is taken as the year only")
    return births


def _documents(cells: Mapping[str, str], defaults: Defaults, list_id: ListId, warn: _Warn) -> tuple[Document, ...]:
    number, issuer = cells.get("document_no", ""), cells.get("document_issuer", "")
    if not number:
        if list_id is ListId.DOCUMENTS:
            raise InputRefused("a document number is required", field="document_no", code="NO_DOCUMENT")
        return ()
    if not issuer:
        raise InputRefused("a document needs its issuing state", field="document_issuer", code="NO_ISSUER")
    if not codes.is_code(issuer):
        raise InputRefused("is not a state code", field="document_issuer", code="ISSUER")
    if list_id is ListId.DOCUMENTS and not codes.same_state(issuer, defaults.owner):
        raise InputRefused("only the issuing state lists a document", field="document_issuer", code="NOT_ISSUER")
    _known((issuer,), "document_issuer", warn)
    return (Document(issuer=issuer, number=document_number(number)),)
