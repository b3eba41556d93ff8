"""Doc 9303 zones: the 28 specimens, and any text at all."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from gateway_adapters import mrz as scans
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.people import mrz
from gateway.people.dates import Precision
from gateway.terms import ProtectionTag

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
    said = "".join(f"{part % 100:02}" if part else "<<" for part in (birth.year, birth.month, birth.day))
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
    with contextlib.suppress(InputRefused):
        assert mrz.parse(lines, ON).valid is False


@given(st.lists(st.text("ABCXYZ0123456789<V", min_size=44, max_size=44), min_size=2, max_size=2))
def test_any_zone_of_the_right_shape_gives_a_reading(lines: list[str]) -> None:
    reading = mrz.parse(lines, ON)
    assert reading.format in {"TD3", "MRVA"}
    assert reading.valid == (not reading.faults)
    for fault in reading.faults:
        assert 1 <= fault.line <= 2 and 1 <= fault.column <= 44


@pytest.mark.parametrize("case", [case for case in SPECIMENS if case["valid"]], ids=lambda case: case["id"])
def test_any_changed_digit_of_the_number_is_caught(case: dict[str, Any]) -> None:
    reading = mrz.parse(case["lines"], ON)
    line, first = (0, 5) if reading.format == "TD1" else (1, 0)
    text = case["lines"][line]
    changed = "1" if text[first + 3] != "1" else "2"
    lines = [*case["lines"]]
    lines[line] = text[: first + 3] + changed + text[first + 4 :]
    assert not mrz.parse(lines, ON).valid


def made(birth: str = "740812", *, nationality: str = "UTO", issuer: str = "UTO", name: str = "ERIKSSON<<ANNA",
         expiry: str = "300415", number: str = "L898902C3", optional: str = "") -> list[str]:  # fmt: skip
    """A TD3 zone with right check digits over whatever stands in it."""
    number, optional = f"{number:<<9}", f"{optional:<<14}"
    second = number + mrz.check_digit(number) + f"{nationality:<<3}" + birth + mrz.check_digit(birth) + "F"
    second += expiry + mrz.check_digit(expiry) + optional + mrz.check_digit(optional)
    over = second[0:10] + second[13:20] + second[21:43]
    return [f"P<{issuer:<<3}{name:<<39}", second + mrz.check_digit(over)]


def test_check_digits_are_those_of_the_specification() -> None:
    # Doc 9303 part 3, section 4.9 and its examples: weights 7, 3, 1; A is 10, < is 0.
    assert mrz.check_digit("520727") == "3"
    assert mrz.check_digit("AB2134<<<") == "5"
    assert mrz.check_digit("L898902C3") == "6"


@pytest.mark.parametrize(
    ("birth", "on", "iso"),
    [
        ("261125", date(2026, 11, 25), "2026-11-25"),
        ("261126", date(2026, 11, 25), "1926-11-26"),
        ("26<<<<", date(2026, 1, 1), "2026"),
        ("27<<<<", date(2026, 1, 1), "1927"),
        ("2612<<", date(2026, 11, 25), "1926-12"),
        ("000229", date(2026, 11, 25), "2000-02-29"),
        ("120415", date(2011, 1, 1), "1912-04-15"),
        ("<<<<<<", date(2026, 1, 1), None),
    ],
)
def test_a_birth_is_the_latest_that_is_not_in_the_future(birth: str, on: date, iso: str | None) -> None:
    reading = mrz.parse(made(birth), on)
    assert reading.valid and reading.birth.open().iso == iso


@pytest.mark.parametrize("birth", ["<<0812", "74<<12", "7408<1", "741301", "740230", "7408AB", "990229"])
def test_a_date_that_is_none_is_a_fault_in_its_place(birth: str) -> None:
    reading = mrz.parse(made(birth), ON)
    assert [(fault.code, fault.line, fault.column) for fault in reading.faults] == [("BIRTH_DATE", 2, 14)]
    assert reading.birth.open().precision is Precision.UNKNOWN
    assert reading.checks["birth_date"]


@pytest.mark.parametrize(
    ("expiry", "iso"), [("300415", "2030-04-15"), ("991231", "1999-12-31"), ("760101", "2076-01-01")]
)
def test_an_expiry_is_within_fifty_years_ahead(expiry: str, iso: str) -> None:
    assert mrz.parse(made(expiry=expiry), ON).expiry.iso == iso


def test_every_misread_character_but_those_ten_apart_is_caught() -> None:
    # 7, 3 and 1 have no factor in common with 10, so one wrong value shows unless it is wrong by ten.
    value = {char: place for place, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {"<": 0}
    lines = made(optional="ZE184226B")
    for column in (*range(10), *range(13, 20), *range(21, 44)):
        for char in value:
            if (value[char] - value[lines[1][column]]) % 10:
                changed = lines[1][:column] + char + lines[1][column + 1 :]
                assert not mrz.parse([lines[0], changed], ON).valid, column + 1


def test_a_name_field_without_a_filler_at_its_end_may_be_cut() -> None:
    full = "NILAVADHANANANDA<<CHAYAPA<DEJTHAMRONG<K"
    assert len(full) == 39
    assert mrz.parse(made(name=full), ON).truncated
    assert not mrz.parse(made(), ON).truncated


def test_a_name_with_a_digit_is_a_fault_at_the_digit() -> None:
    reading = mrz.parse(made(name="ERIKSS0N<<ANNA"), ON)
    assert [(fault.code, fault.line, fault.column) for fault in reading.faults] == [("NAME", 1, 12)]


@pytest.mark.parametrize("nationality", ["XXB", "XXC"])
def test_a_refugees_document_protects_its_holder(nationality: str) -> None:
    reading = mrz.parse(made(nationality=nationality, issuer="PAN"), ON)
    assert reading.person().tags == {ProtectionTag.REFUGEE}
    assert reading.document().is_protection
    assert not mrz.parse(made(nationality="XXA"), ON).person().tags


def test_faults_come_in_the_order_of_the_zone() -> None:
    lines = made("741301", name="ERIKSS0N<<ANNA")
    lines[1] = lines[1][:-1] + ("1" if lines[1][-1] != "1" else "2")
    faults = mrz.parse(lines, ON).faults
    assert [fault.code for fault in faults] == ["NAME", "BIRTH_DATE", "CHECK_COMPOSITE"]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["P<UTO", "L89"], ("LINE_LENGTH", 1, 6)),
        (["A" * 44], ("LINE_COUNT", 1, 0)),
        (["A" * 44] * 3, ("LINE_LENGTH", 1, 31)),
        (["A" * 30] * 2, ("LINE_LENGTH", 1, 31)),
        (["P<UTOé" + "<" * 38, "A" * 44], ("CHARACTER", 1, 6)),
    ],
)
def test_lines_that_are_no_zone_say_where(lines: list[str], fault: tuple[str, int, int]) -> None:
    found = mrz.parse(lines, ON).faults
    assert [(one.code, one.line, one.column) for one in found] == [fault]


def test_zones_are_parted_by_empty_lines_or_by_their_length() -> None:
    td1 = ["I" * 30] * 3
    td3 = ["P" * 44] * 2
    assert mrz.split("\n".join([*td3, *td3])) == [td3, td3]
    assert mrz.split("\r\n".join([*td1, *td1, *td3])) == [td1, td1, td3]
    assert mrz.split("\n\n" + "\n".join(td3) + "\n \n" + "\n".join(td1) + "\n") == [td3, td1]
    # A first line that is too short does not tear the zone apart.
    assert mrz.split("\n".join(["I" * 29, "I" * 30, "I" * 30])) == [["I" * 29, "I" * 30, "I" * 30]]


def test_a_text_without_a_zone_is_refused() -> None:
    for text in ("", "\n \n", "A" * (mrz.TEXT_CHARACTERS_MAX + 1)):
        with pytest.raises(InputRefused):
            mrz.split(text)


@given(st.text(max_size=400))
def test_any_text_is_split_into_what_parse_takes(text: str) -> None:
    with contextlib.suppress(InputRefused):
        for zone in mrz.split(text):
            assert 1 <= len(zone) <= 3
            with contextlib.suppress(InputRefused):
                mrz.parse(zone, ON)


def test_the_reader_of_scans_gives_every_zone() -> None:
    data = "\n\n".join("\n".join(case["lines"]) for case in SPECIMENS).encode()
    readings = scans.read(data, ON)
    assert [reading.valid for reading in readings] == [case["valid"] for case in SPECIMENS]
    with pytest.raises(InputRefused):
        scans.read(b"\xff\xfe", ON)
