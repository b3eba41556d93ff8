"""Doc 9303 zones: the 28 specimens, and any text at all."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.people import mrz
from gateway.people.dates import Precision

SPECIMENS = json.loads((Path(__file__).parents[2] / "vectors/mrz/specimens.json").read_text())
ON = date(2026, 11, 25)


@pytest.mark.parametrize("case", SPECIMENS, ids=[case["id"] for case in SPECIMENS])
def test_every_specimen_reads_as_it_says(case: dict[str, Any]) -> None:
    reading = mrz.parse(case["lines"], ON)
    assert reading.valid is case["valid"], reading.faults
    want = case["fields"]
    if not want:
        return
    assert reading.format == case["format"]
    assert reading.surname.open() == want["surname"]
    assert reading.given_names.open() == want["given"]
    assert reading.document_number.open() == want["doc"]
    assert reading.issuer == want["issuer"]
    assert reading.nationality == want["nationality"]
    assert reading.sex.value == want["sex"].replace("<", "X")
    assert reading.optional.open() == want.get("optional", reading.optional.open())
    birth = reading.birth.open()
    said = "".join(
        f"{part % 100:02}" if part else "<<" for part in (birth.year, birth.month, birth.day)
    )
    assert said == want["dob"]
    assert (reading.expiry.iso or "").replace("-", "")[2:] == want["expiry"]


def test_all_28_specimens_are_there() -> None:
    assert len(SPECIMENS) == 28


def test_a_child_is_not_a_century_old() -> None:
    case = next(case for case in SPECIMENS if case["id"] == "century-pivot-child")
    assert mrz.parse(case["lines"], ON).birth.open().year == 2012


def test_an_unknown_day_is_a_month() -> None:
    case = next(case for case in SPECIMENS if case["id"] == "dob-day-unknown")
    assert mrz.parse(case["lines"], ON).birth.open().precision is Precision.MONTH


def test_a_fault_names_its_place_and_not_the_text() -> None:
    case = next(case for case in SPECIMENS if case["id"] == "bad-doc-cd")
    reading = mrz.parse(case["lines"], ON)
    assert ("CHECK_DOCUMENT_NUMBER", 2, 10) in [(f.code, f.line, f.column) for f in reading.faults]
    assert "ERIKSSON" not in repr(reading) and "L898902" not in repr(reading)


@given(st.lists(st.text(max_size=50), min_size=0, max_size=5))
def test_any_lines_read_or_are_refused(lines: list[str]) -> None:
    try:
        mrz.parse(lines, ON)
    except InputRefused:
        pass


@given(st.lists(st.text("ABCXYZ0123456789<V", min_size=44, max_size=44), min_size=2, max_size=2))
def test_any_zone_of_the_right_shape_gives_a_reading(lines: list[str]) -> None:
    reading = mrz.parse(lines, ON)
    assert reading.format in {"TD3", "MRVA"}
    assert reading.valid == (not reading.faults)


@pytest.mark.parametrize("case", [case for case in SPECIMENS if case["valid"]], ids=lambda case: case["id"])
def test_any_changed_digit_of_the_number_is_caught(case: dict[str, Any]) -> None:
    reading = mrz.parse(case["lines"], ON)
    line, first = (0, 5) if reading.format == "TD1" else (1, 0)
    text = case["lines"][line]
    changed = "1" if text[first + 3] != "1" else "2"
    lines = [*case["lines"]]
    lines[line] = text[: first + 3] + changed + text[first + 4 :]
    assert not mrz.parse(lines, ON).valid
