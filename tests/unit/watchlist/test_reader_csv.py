"""A state's list as CSV: every row is accounted for, and a malformed file is refused as a whole."""

from __future__ import annotations

from datetime import date

import pytest
from gateway_adapters import watchlist_csv
from gateway_adapters.watchlist_csv import COLUMNS, Defaults, Reading, Row, read

from gateway.errors import InputRefused
from gateway.people.dates import Precision
from gateway.terms import Handling, ListId, PeerId, ProtectionTag, RecordKind
from gateway.watchlist import entry as entries

PAN = PeerId("PAN")
FULL = Defaults(PAN, "PAN", "NATIONAL", "J-2026-17", "penal code, art. 12", date(2026, 12, 31))
HEADER = (
    "entry_id,owner,category,surname,given,aliases,dob,sex,nationality,document_no,document_issuer,valid_until,handling"
)
"""The columns of the shared data."""

SECRET = "GEHEIMNISS"
"""A value that no message may repeat."""


def one(row: str, header: str = HEADER, defaults: Defaults = FULL) -> Row:
    (taken,) = read(f"{header}\n{row}\n".encode(), defaults).rows
    return taken


def refusal(row: str, header: str = HEADER, defaults: Defaults = FULL) -> tuple[int, str, str]:
    reading = read(f"{header}\n{row}\n".encode(), defaults)
    assert reading.rows == ()
    (remark,) = reading.refused
    assert SECRET not in repr(remark)
    return remark.line, remark.column, remark.code


def test_a_row_says_what_it_says() -> None:
    row = one(
        "W1,PAN,WANTED_ARREST,GARCIA LOPEZ,ANA,ANNA GARCIA|A. LOPEZ,1991-05-22,F,VEN|COL,"
        "t-5563 7667,VEN,2027-01-31,FOUR_EYES"
    )
    assert (row.line, row.entry_id, row.list_id, row.kind) == (2, "W1", ListId.PERSONS, RecordKind.WANTED_ARREST)
    assert (row.handling, row.valid_until, row.contact, row.urgency) == (Handling.FOUR_EYES, date(2027, 1, 31), 1, 1)
    assert (row.originator, row.provenance, row.decision, row.legal_basis) == (
        "PAN", "NATIONAL", "J-2026-17", "penal code, art. 12",
    )  # fmt: skip
    assert row.person is not None
    assert [name.tokens() for name in row.person.names.open()] == [
        ("ANA", "GARCIA", "LOPEZ"), ("ANNA", "GARCIA"), ("A", "LOPEZ"),
    ]  # fmt: skip
    assert row.person.birth.open().iso == "1991-05-22"
    assert row.person.nationalities == ("VEN", "COL")
    assert [(paper.issuer, paper.number.open()) for paper in row.documents] == [("VEN", "T55637667")]


def test_a_lost_document_has_no_holder() -> None:
    row = one("D1,PAN,LOST_STOLEN_DOC,,,,,,,A1234567,PAN,2027-01-31,APPROVAL")
    assert (row.list_id, row.kind, row.person) == (ListId.DOCUMENTS, RecordKind.LOST_STOLEN, None)
    assert one("D1,,revoked_doc,,,,,,,A1,PAN,,").kind is RecordKind.REVOKED


def test_na_is_a_name() -> None:
    row = one("W1,,REFUSE_ENTRY,NA,NA,,1980,,,,,,")
    assert row.person is not None and row.person.names.open()[0].tokens() == ("NA",)


def test_optional_columns_say_what_the_file_knows() -> None:
    cells = {
        "entry_id": "W1",
        "category": "REFUSE_ENTRY",
        "surname": "GARCIA",
        "dob": "1980/1982|1984~",
        "originator": "HND",
        "provenance": "BILATERAL",
        "decision_ref": "H-1",
        "legal_basis": "treaty",
        "valid_until": "2027-01-01",
        "protection": "ASYLUM_SEEKER|witness",
        "birth_country": "UTO",
        "residence_country": "CHL|PER",
        "contact": "3",
        "urgency": "2",
    }
    row = one(",".join(cells.values()), ",".join(cells), Defaults(PAN))
    assert (row.originator, row.provenance, row.decision, row.legal_basis) == ("HND", "BILATERAL", "H-1", "treaty")
    assert row.tags == {ProtectionTag.ASYLUM_SEEKER, ProtectionTag.WITNESS}
    assert (row.contact, row.urgency) == (3, 2)
    assert row.person is not None
    assert (row.person.birth_country, row.person.residence_countries) == ("UTO", ("CHL", "PER"))
    births = row.person.births()
    assert [birth.precision for birth in births] == [Precision.RANGE, Precision.YEAR]
    assert births[1].circa


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (f",,REFUSE_ENTRY,{SECRET},,,1980,,,,,,", ("entry_id", "NO_ENTRY_ID")),
        (f"W1,HND,REFUSE_ENTRY,{SECRET},,,1980,,,,,,", ("owner", "OWNER")),
        (f"W1,,{SECRET},X,,,1980,,,,,,", ("category", "CATEGORY")),
        ("W1,,REFUSE_ENTRY,,,,1980,,,,,,", ("surname", "NO_NAME")),
        ("W1,,REFUSE_ENTRY,12345,,,1980,,,,,,", ("surname", "NAME_LETTERS")),
        (f"W1,,REFUSE_ENTRY,{SECRET * 13},,,1980,,,,,,", ("surname", "NAME_LONG")),
        (f"W1,,REFUSE_ENTRY,X,,{SECRET * 13},1980,,,,,,", ("aliases", "NAME_LONG")),
        (f"W1,,REFUSE_ENTRY,X,,{'|'.join([SECRET] * 51)},1980,,,,,,", ("aliases", "TOO_MANY")),
        (f"W1,,REFUSE_ENTRY,X,,,{SECRET},,,,,,", ("dob", "DATE_FORM")),
        ("W1,,REFUSE_ENTRY,X,,,1980-02-30,,,,,,", ("dob", "DATE_DAY")),
        ("W1,,REFUSE_ENTRY,X,,,1980|1981|1982|1983|1984|1985|1986|1987|1988|1989|1990,,,,,,", ("dob", "TOO_MANY")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,{SECRET},,,,,", ("sex", "SEX")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,,{SECRET},,,,", ("nationality", "STATE_CODE")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,,,{SECRET},,,", ("document_issuer", "NO_ISSUER")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,,,A1,{SECRET},,", ("document_issuer", "ISSUER")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,,,{SECRET * 3},PAN,,", ("document_no", "NUMBER")),
        ("W1,,REFUSE_ENTRY,X,,,1980,,,---,PAN,,", ("document_no", "NUMBER")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,,,,,{SECRET},", ("valid_until", "VALIDITY")),
        ("W1,,REFUSE_ENTRY,X,,,1980,,,,,20261231,", ("valid_until", "VALIDITY")),
        ("W1,,REFUSE_ENTRY,X,,,1980,,,,,2026-12,", ("valid_until", "VALIDITY")),
        (f"W1,,REFUSE_ENTRY,X,,,1980,,,,,,{SECRET}", ("handling", "HANDLING")),
        ("D1,,LOST_STOLEN_DOC,,,,,,,,PAN,,", ("document_no", "NO_DOCUMENT")),
        ("D1,,LOST_STOLEN_DOC,,,,,,,A1,VEN,,", ("document_issuer", "NOT_ISSUER")),
        (f"W1,,REFUSE_ENTRY,{SECRET}", ("", "CELLS")),
        (f"W1,,REFUSE_ENTRY,{SECRET},,,1980,,,,,,,", ("", "CELLS")),
        (f"W1,,REFUSE_ENTRY,{'X' * 6001},,,1980,,,,,,", ("surname", "LONG")),
    ],
    ids=lambda part: part[1] if isinstance(part, tuple) else "",
)
def test_a_row_that_is_not_taken_says_line_column_and_code(row: str, place: tuple[str, str]) -> None:
    assert refusal(row) == (2, *place)


@pytest.mark.parametrize(
    ("missing", "code"),
    [("originator", "NO_ORIGINATOR"), ("provenance", "NO_PROVENANCE"), ("decision_ref", "NO_DECISION_REF"),
     ("legal_basis", "NO_LEGAL_BASIS"), ("valid_until", "NO_VALIDITY")],
)  # fmt: skip
def test_nothing_is_listed_without_what_listing_needs(missing: str, code: str) -> None:
    given = {"originator": "PAN", "provenance": "NATIONAL", "decision_ref": "J-1", "legal_basis": "art. 12",
             "valid_until": "2027-01-01"} | {missing: ""}  # fmt: skip
    row = "W1,REFUSE_ENTRY,X,1980," + ",".join(given.values())
    assert refusal(row, "entry_id,category,surname,dob," + ",".join(given), Defaults(PAN)) == (2, missing, code)


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        ("W1,,REFUSE_ENTRY,X,,,,,,,,,", "dob", "DOB_EMPTY"),
        ("W1,,REFUSE_ENTRY,X,,,1980-01-01,,,,,,", "dob", "DOB_PLACEHOLDER"),
        ("W1,,REFUSE_ENTRY,X,,123|Y,1980,,,,,,", "aliases", "ALIAS_LETTERS"),
        ("W1,,REFUSE_ENTRY,X,,,1980,,VNE,,,,", "nationality", "STATE_UNKNOWN"),
        ("W1,,REFUSE_ENTRY,X,,,1980,,,A1,VNE,,", "document_issuer", "STATE_UNKNOWN"),
    ],
)
def test_a_row_may_be_taken_with_a_warning(row: str, column: str, code: str) -> None:
    reading = read(f"{HEADER}\n{row}\n".encode(), FULL)
    assert len(reading.rows) == 1 and reading.refused == ()
    assert [(remark.line, remark.column, remark.code) for remark in reading.remarks] == [(2, column, code)]


def test_a_row_that_comes_twice_is_taken_once() -> None:
    rows = ["W1,,REFUSE_ENTRY,X,,,1980,,,,,,", "W2,,REFUSE_ENTRY,X,,,bad,,,,,,", "W2,,REFUSE_ENTRY,X,,,1980,,,,,,",
            "W1,,REFUSE_ENTRY,Y,,,1981,,,,,,"]  # fmt: skip
    reading = read("\n".join([HEADER, *rows]).encode(), FULL)
    assert [(row.line, row.entry_id) for row in reading.rows] == [(2, "W1"), (4, "W2")]
    assert [(remark.line, remark.code) for remark in reading.refused] == [(3, "DATE_FORM"), (5, "DUPLICATE")]


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    text = f'\ufeff{HEADER}\r\n\r\nW1,,REFUSE_ENTRY,"X\r\nY",,,1980,,,,,,\r\n\r\nW2,,REFUSE_ENTRY,Z,,,bad,,,,,,\r\n'
    reading = read(text.encode(), FULL)
    assert [row.line for row in reading.rows] == [3]
    assert [remark.line for remark in reading.refused] == [6]


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "EMPTY", None),
        (b"entry_id,category\n\xff\xfe", "ENCODING", 2),
        ("entry_id,category\nW1,é".encode("latin-1"), "ENCODING", 2),
        ("entry_id,category\nW1,X".encode("utf-16"), "ENCODING", 1),
        (b"entry_id,category\nW1,\0", "ENCODING", 2),
        (b"entry_id;category\nW1;X", "COLUMN", 1),
        (b"entry_id,category,note\nW1,X,Y", "COLUMN", 1),
        (b"entry_id,category,category\n", "COLUMN", 1),
        (b"entry_id,surname\n", "COLUMN", 1),
        (b'entry_id,category\nW1,"X', "CSV", 2),
        (b'entry_id,category\nW1,"X"Y', "CSV", 2),
        (b"entry_id,category\nW1," + b"X" * 140_000, "CSV", 2),
    ],
)
def test_a_malformed_file_is_refused_whole(data: bytes, code: str, line: int | None) -> None:
    with pytest.raises(InputRefused) as refused:
        read(data, FULL)
    assert (refused.value.code, refused.value.line) == (code, line)


def test_a_file_too_large_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"W{n},,REFUSE_ENTRY,X,,,1980,,,,,,\n" for n in range(12))
    monkeypatch.setattr(watchlist_csv, "ROWS_MAX", 10)
    with pytest.raises(InputRefused, match="10 rows"):
        read(f"{HEADER}\n{rows}".encode(), FULL)
    monkeypatch.setattr(watchlist_csv, "FILE_BYTES_MAX", 1 << 20)
    with pytest.raises(InputRefused, match="1 MiB"):
        read(bytes((1 << 20) + 1), FULL)


def test_a_list_with_no_entries_is_a_list() -> None:
    assert read(HEADER.encode(), FULL) == Reading((), ())


def test_the_readers_limits_are_the_lists() -> None:
    # The reader knows people and not lists, so it has its own numbers.
    assert (watchlist_csv.ALIASES_MAX, watchlist_csv.BIRTHS_MAX) == (entries.ALIASES_MAX, entries.BIRTHS_MAX)
    assert {kind: list_id for kind, list_id in watchlist_csv.CATEGORIES.values()} == dict(entries.LIST_OF)
    assert set(HEADER.split(",")) <= COLUMNS
