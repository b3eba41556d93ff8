"""Files of a list: one record or many, and what is said of every row."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from gateway_adapters.watchlist_csv import Defaults

from gateway.app import lists
from gateway.errors import InputRefused
from gateway.flows.listing import Difference
from gateway.rpc.doors import Became
from gateway.terms import ListId, PeerId
from tests.support.entries import NOW_NS

PAN = PeerId("PAN")
WORDS = Defaults(PAN, "PAN", "NATIONAL", "J-2026-17", "national immigration act", date(2027, 12, 31))
SECRET = "GEHEIMNISS"
RECORD = {
    "entry_id": "M1",
    "category": "MISSING_CHILD",
    "surname": "SOLARI",
    "given": "INES",
    "aliases": ["I. SOLARI", "INES SOLARI PAZ"],
    "dob": "2015-04-02",
    "nationality": ["PAN", "COL"],
}


def read(value: Any, form: str = "json", list_id: ListId = ListId.PERSONS) -> lists.Read:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lists.read(data, form, list_id, WORDS, NOW_NS)


def test_a_record_as_an_object_is_the_row_of_the_same_columns() -> None:
    header = b"entry_id,category,surname,given,aliases,dob,nationality\n"
    row = b"M1,MISSING_CHILD,SOLARI,INES,I. SOLARI|INES SOLARI PAZ,2015-04-02,PAN|COL\n"
    (from_json,), (from_csv,) = read(RECORD).entries, read(header + row, "csv").entries
    assert from_json.encode() == from_csv.encode()
    assert read([RECORD]).entries[0].encode() == from_json.encode()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "JSON"),
        (b'{"entry_id": "A", "entry_id": "B"}', "JSON"),
        (b'\xff{"entry_id": "A"}', "JSON"),
        ("text", "JSON"),
        ([["M1"]], "JSON"),
        ({**RECORD, "dob": 2015}, "JSON"),
        ({**RECORD, "aliases": [f"A|{SECRET}"]}, "JSON"),
        ({**RECORD, SECRET: "x"}, "COLUMN"),
    ],
)
def test_what_is_no_record_is_refused_as_a_whole(value: Any, code: str) -> None:
    with pytest.raises(InputRefused) as caught:
        read(value)
    assert caught.value.code == code and SECRET not in str(caught.value)


def test_a_record_of_the_other_list_is_refused_by_its_category() -> None:
    (remark,) = read(RECORD, list_id=ListId.DOCUMENTS).refused
    assert (remark.line, remark.column, remark.code) == (1, "category", "OTHER_LIST")


def test_a_format_without_a_reader_is_refused() -> None:
    with pytest.raises(InputRefused) as caught:
        read(b"x", "xlsx")
    assert caught.value.code == "FORMAT"


def test_every_row_is_reported_and_none_by_its_content() -> None:
    rows = [
        RECORD,
        {**RECORD, "entry_id": "M2", "surname": SECRET, "dob": "2015-99"},
        {**RECORD, "entry_id": "M3", "dob": "2015-01-01"},
        {**RECORD, "entry_id": "M4", "valid_until": "2020-01-01", "dob": ""},
        {**RECORD, "entry_id": "M5"},
    ]
    reading = read(rows)
    first, third, fourth, fifth = reading.entries
    report = lists.report(reading, Difference(added=(first, fourth), changed=(third,), withdrawn=(), unchanged=1))
    assert [(row.line, row.became, row.code) for row in report.rows] == [
        (1, Became.ADDED, ""),
        (2, Became.REFUSED, "DATE_MONTH"),
        (3, Became.CHANGED, "DOB_PLACEHOLDER"),
        (4, Became.ADDED, "DOB_EMPTY"),
        (4, Became.ADDED, "EXPIRED"),
        (5, Became.UNCHANGED, ""),
    ]
    assert (report.added, report.changed, report.unchanged) == (2, 1, 1)
    assert [row.refused for row in report.rows] == [False, True, False, False, False, False]
    assert SECRET not in repr(report) and "SOLARI" not in repr(report)
    assert fifth.entry_id == "M5"


def test_a_snapshot_with_a_refused_row_is_refused_whole() -> None:
    reading = read([RECORD, {**RECORD, "entry_id": "M2", "sex": "Q"}])
    with pytest.raises(InputRefused) as caught:
        lists.whole(reading)
    assert (caught.value.line, caught.value.code) == (2, "SEX")
    lists.whole(read(RECORD))
