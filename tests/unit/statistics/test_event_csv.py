"""The reader of events: by a map, streaming, clear about lines, silent about content."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from gateway_adapters import event_csv
from gateway_adapters.event_csv import EventMap, check, doubts, normalise, read_map, suggest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.statistics.bounding import SNAPSHOT_COLUMNS

MAP = b"""
map: limen/event-map/1
person_ref: who
date: day
nationality: nat
route: border
protection: status
where: {state: [PAN]}
"""
KEY = bytes(range(32))
HEADER = "who,day,nat,border,status,state,name\n"


def taken(text: str, data: bytes = MAP, key: bytes = KEY) -> tuple[list[str], event_csv.Report]:
    out = io.BytesIO()
    report = normalise(io.BytesIO(text.encode()), read_map(data), key, out.write)
    assert report.digest == hashlib.sha256(out.getvalue()).digest()
    return out.getvalue().decode().splitlines(), report


def test_only_what_is_counted_remains() -> None:
    lines, report = taken(
        HEADER
        + "CANARY1,2023-08-17,VEN,RIVER 3,ASYLUM_SEEKER,PAN,CANARY2\n"
        + "CANARY1,2023-08-18,d,,,PAN,CANARY2\n"
        + "CANARY1,2023-08-18,VEN,,,HND,CANARY2\n"
    )
    assert lines[0] == ",".join(SNAPSHOT_COLUMNS) == ",".join(event_csv.COLUMNS)
    first, second = (line.split(",") for line in lines[1:])
    assert first[1:] == ["2023-08", "RIVER 3", "VEN", "ASYLUM_SEEKER"]
    assert second[1:] == ["2023-08", "", "DEU", "NONE"]
    assert first[0] == second[0] and 0 <= int(first[0]) < 1 << 64
    assert (report.rows, report.outside, report.refused, report.by_person) == (2, 1, 0, True)
    assert "CANARY" not in "".join(lines) and "-17" not in "".join(lines)


def test_another_key_makes_other_pseudonyms() -> None:
    text = HEADER + "A,2023-08-17,VEN,R,,PAN,\n"
    assert taken(text)[0] != taken(text, key=bytes(32))[0]
    assert taken(text)[0] == taken(text)[0]


def test_remarks_name_line_and_column_and_never_the_content() -> None:
    _, report = taken(
        HEADER
        + "A,CANARY,VEN,R,,PAN,\n"
        + "A,2023-08-01,CANARY,R,,PAN,\n"
        + "A,2023-08-01,VEN,CANARY;,,PAN,\n"
        + "A,2023-08-01,VEN,R,CANARY,PAN,\n"
        + ",2023-08-01,VEN,R,,PAN,CANARY\n"
        + "A,2023-08-01,VEN,R,,PAN\n"
        + 'A,1823-08-01,VEN,R,,PAN,"two\nlines"\n'
        + "A,2023-08-01,VEN,R,,PAN,\n"
    )
    assert [(remark.line, remark.column, remark.code) for remark in report.remarks] == [
        (2, "day", "DATE"), (3, "nat", "NATIONALITY"), (4, "border", "ROUTE"), (5, "status", "TAG"),
        (6, "who", "PERSON"), (7, "", "CELLS"), (8, "day", "DATE"),
    ]  # fmt: skip
    assert report.rows == 1 and report.refused == 7
    assert "CANARY" not in repr(report)


def test_none_is_a_word_for_no_tag_and_stands_alone() -> None:
    row = "A,2023-08-01,VEN,R,{},PAN,\n"
    lines, report = taken(HEADER + "".join(row.format(tag) for tag in ("", "NONE", "none", "NONE|REFUGEE")))
    assert [line.split(",")[4] for line in lines[1:]] == ["NONE", "NONE", "NONE"]
    assert [(remark.line, remark.code) for remark in report.remarks] == [(5, "TAG")]


def test_without_a_reference_the_unit_is_the_key_and_a_row_without_any_stands_alone() -> None:
    data = MAP.replace(b"person_ref: who", b"person_keys: [who, name]")
    lines, report = taken(
        HEADER
        + "x1,2023-08-01,VEN,R,,PAN,VEN\n"
        + "X1,2023-08-01,VEN,R,,PAN,VEN\n"
        + "X1,2023-08-01,VEN,R,,PAN,HTI\n"
        + ",2023-08-01,VEN,R,,PAN,\n"
        + ",2023-08-01,VEN,R,,PAN,\n",
        data,
    )
    persons = [line.split(",")[0] for line in lines[1:]]
    assert persons[0] == persons[1] and len(set(persons)) == 4
    assert not report.by_person


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "EMPTY"),
        ("who,day\n", "COLUMN"),
        (HEADER.replace("name", "who"), "COLUMN"),
        (HEADER + 'A,"2023-08-01\n', "CSV"),
        (HEADER + "A,2023\0-08-01,VEN,R,,PAN,\n", "ENCODING"),
    ],
)
def test_a_file_that_is_no_such_file(text: str, code: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        taken(text)
    assert refusal.value.code == code


def test_a_file_that_is_not_utf8_names_the_line() -> None:
    with pytest.raises(InputRefused) as refusal:
        check(io.BytesIO(HEADER.encode() + b"\xff"), read_map(MAP))
    assert (refusal.value.code, refusal.value.line) == ("ENCODING", 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"map: limen/event-map/2", "MAP"),
        (MAP + b"more: x", "MAP_FIELD"),
        (MAP + b"date: day", "YAML"),
        (MAP.replace(b"nationality: nat", b""), "MAP_FIELD"),
        (MAP.replace(b"person_ref: who", b""), "MAP_PERSON"),
        (MAP + b"person_keys: [a]", "MAP_PERSON"),
        (MAP + b"route_constant: X", "MAP_ROUTE"),
        (MAP.replace(b"[PAN]", b"PAN"), "MAP_FIELD"),
        (MAP + b"date_form: '%c'", "MAP_DATE"),
        (b"map: &a x\ndate: *a", "YAML"),
        (b"map: !!python/object/apply:os.getcwd []", "YAML"),
        (b"[" * 60_000, "YAML"),
        (b"\xff", "ENCODING"),
        (b"a" * (65 << 10), "FILE_SIZE"),
    ],
)
def test_a_map_that_is_not_taken(data: bytes, code: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        read_map(data)
    assert refusal.value.code == code


@given(st.binary(max_size=300))
def test_foreign_bytes_as_a_map_and_as_events(data: bytes) -> None:
    with pytest.raises(InputRefused):
        read_map(data)
    try:
        report = check(io.BytesIO(HEADER.encode() + data), read_map(MAP))
    except InputRefused:
        return
    assert report.rows + report.outside + report.refused <= data.count(b"\n") + data.count(b"\r") + 1


def test_what_is_suggested_is_a_map() -> None:
    header = ["event_id", "state", "event_date", "nationality", "document_no", "document_issuer", "protection"]
    found = read_map(suggest(header).encode())
    assert found == EventMap(
        date="event_date", nationality="nationality", person_keys=("document_no", "document_issuer"),
        route_constant="ALL", protection="protection",
    )  # fmt: skip
    assert read_map(suggest(["Person ID", "Date", "Citizenship", "Border point"]).encode()).person_ref == "Person ID"
    assert event_csv.header_of(io.BytesIO("\ufeffa, b\n1,2".encode())) == ["a", "b"]


def test_the_synthetic_regions_map_is_one(tmp_path: Path) -> None:
    from tests.support import events

    assert read_map(events.MAP.read_bytes()).by_person


def test_a_column_of_kinds_is_pointed_at_and_leaves_the_map_as_it_is() -> None:
    header = ["event_id", "event_type", "event_date", "nationality", "document_no", "document_issuer"]
    text = suggest(header)
    assert "# where: {event_type: [IRREGULAR_ENTRY]}" in text and read_map(text.encode()).where == {}
    uncommented = text.replace("# where", "where")
    assert read_map(uncommented.encode()).where == {"event_type": frozenset({"IRREGULAR_ENTRY"})}
    assert doubts(header) == (
        "a column seems to say what kind of event a row is: without `where` every row is counted",
    )


def test_another_file_than_one_of_events_is_doubted() -> None:
    (doubt,) = doubts(["surname", "given_names", "birth_date", "document_number"])
    assert "date or nationality" in doubt
    assert doubts(["person_ref", "date", "nationality", "border_point"]) == ()
