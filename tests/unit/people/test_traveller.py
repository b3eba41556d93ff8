"""A traveller as an officer gives one: zone lines, fields, JSON, a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from gateway_adapters.traveller import FIELDS, Seen, read_csv, read_one, read_stream

from gateway.cli.document import as_json
from gateway.errors import InputRefused
from gateway.people import mrz
from gateway.terms import ProtectionTag

ON = date(2026, 11, 25)
SPECIMENS = json.loads((Path(__file__).parents[2] / "vectors/mrz/specimens.json").read_text())
VALID = [case for case in SPECIMENS if case["valid"]]
TD3 = "\n".join(SPECIMENS[0]["lines"])
FIELDS_OF = {
    "surname": "ERIKSSON", "given_names": "ANNA MARIA", "birth_date": "1974-08-12", "sex": "F", "nationality": "UTO",
    "document_number": "L898902C3", "issuer": "UTO",
}  # fmt: skip
SECRET = "geheimniss"


def plain(seen: Seen) -> tuple[Any, ...]:
    """What was read, opened to compare it."""
    person = seen.person
    return (
        None if person is None else (
            [name.tokens() for name in person.names.open()], person.birth.open(), person.sex, person.nationalities,
            person.birth_country, person.residence_countries, person.tags,
        ),
        [(paper.issuer, paper.number.open(), paper.nationality) for paper in seen.documents],
    )  # fmt: skip


def test_zone_fields_and_json_are_one_traveller() -> None:
    lines = "\n".join(f"{name}: {value}" for name, value in FIELDS_OF.items())
    forms = [TD3, TD3.replace("\n", "\r\n") + "\n", lines, "\ufeff" + lines, json.dumps(FIELDS_OF)]
    read = [plain(read_one(form.encode(), ON)) for form in forms]
    assert all(one == read[0] for one in read)
    ((_, seen),) = read_stream((json.dumps(FIELDS_OF) + "\n").encode(), ON)
    assert plain(seen) == read[0]
    ((_, seen),) = read_stream(json.dumps({"mrz": SPECIMENS[0]["lines"]}).encode(), ON)
    assert plain(seen) == read[0]
    ((_, seen),) = read_csv(f"{','.join(FIELDS_OF)}\n{','.join(FIELDS_OF.values())}\n".encode())
    assert plain(seen) == read[0]


@pytest.mark.parametrize("case", VALID, ids=[case["id"] for case in VALID])
def test_what_document_read_prints_is_taken_as_it_is(case: dict[str, Any]) -> None:
    printed = json.dumps(as_json(mrz.parse(case["lines"], ON)))
    assert plain(read_one(printed.encode(), ON)) == plain(read_one("\n".join(case["lines"]).encode(), ON))


@pytest.mark.parametrize("case", [c for c in SPECIMENS if not c["valid"]], ids=lambda case: case["id"])
def test_a_misread_zone_asks_about_nobody(case: dict[str, Any]) -> None:
    reading = mrz.parse(case["lines"], ON)
    for form in ("\n".join(case["lines"]), json.dumps(as_json(reading))):
        with pytest.raises(InputRefused) as refused:
            read_one(form.encode(), ON)
        assert "ERIKSSON" not in str(refused.value).upper()


def test_a_typed_refugees_nationality_protects() -> None:
    seen = read_one(b"surname: ERIKSSON\nnationality: XXB\ndocument_number: A1\nissuer: PAN", ON)
    assert seen.person is not None and seen.person.tags == {ProtectionTag.REFUGEE}
    assert seen.documents[0].is_protection


def test_of_two_nationalities_the_document_states_neither() -> None:
    seen = read_one(json.dumps(FIELDS_OF | {"nationality": ["XXB", "UTO"], "residence_country": ["CHL"]}).encode(), ON)
    assert seen.documents[0].nationality == ""
    assert seen.person is not None and seen.person.nationalities == ("XXB", "UTO")


def test_a_document_alone_or_a_name_alone_is_enough() -> None:
    assert read_one(b"document_number: A-1\nissuer: VEN", ON).person is None
    assert read_one(b"given_names: ANA", ON).documents == ()


def one(text: str) -> None:
    read_one(text.encode(), ON)


def stream(text: str) -> None:
    list(read_stream(text.encode(), ON))


def listed(text: str) -> None:
    list(read_csv(text.encode()))


@pytest.mark.parametrize(
    ("read", "text", "line", "field", "code"),
    [
        (one, "", None, None, "EMPTY"),
        (one, " \n ", None, None, "EMPTY"),
        (one, f"{SECRET}: anna", None, None, "FIELD"),
        (one, f"surname: x\n{SECRET}", 2, None, "LINE"),
        (one, "surname: x\nsurname: y", 2, None, "FIELD"),
        (one, f"surname: x\nsex: {SECRET}", None, "sex", "SEX"),
        (one, f"surname: x\nbirth_date: {SECRET}", None, "birth_date", "DATE_FORM"),
        (one, f"surname: x\nnationality: {SECRET}", None, "nationality", "STATE_CODE"),
        (one, f"surname: x\nbirth_country: {SECRET}", None, "birth_country", "STATE_CODE"),
        (one, f"document_number: {SECRET}", None, "issuer", "NO_ISSUER"),
        (one, f"document_number: {SECRET * 3}\nissuer: VEN", None, "document_no", "NUMBER"),
        (one, "nationality: VEN", None, None, "NO_TRAVELLER"),
        (one, "{", 1, None, "JSON"),
        (one, "[" * 100_000, None, None, ""),
        (one, '{"surname": 5}', 1, "surname", "TYPE"),
        (one, '{"surname": ["x"]}', 1, "surname", "TYPE"),
        (one, '{"nationality": [5]}', 1, "nationality", "TYPE"),
        (one, '{"surname": "\\ud800"}', 1, "name", "NAME_LETTERS"),
        (one, f"{TD3}\n{TD3}", None, None, "ONE"),
        (stream, '{"surname": "x"}\n[]', 2, None, "JSON"),
        (stream, '{"mrz": "P<UTO"}', 1, "mrz", "MRZ"),
        (stream, '{"mrz": ["P<UTO", "x"], "surname": "x"}', 1, "mrz", "MRZ"),
        (stream, '{"mrz": ["P<UTO", "L89"]}', 1, "mrz", "LINE_LENGTH"),
        (listed, "", None, None, "EMPTY"),
        (listed, f"surname,{SECRET}\n", 1, None, "FIELD"),
        (listed, "surname,surname\n", 1, None, "FIELD"),
        (listed, f"surname,sex\n{SECRET}\n", 2, None, "CELLS"),
        (listed, f"surname,sex\nx,F\n\n{SECRET},Q\n", 4, "sex", "SEX"),
        (listed, 'surname\n"x', 2, None, "CSV"),
    ],
)
def test_what_is_no_traveller_is_refused_by_its_place(
    read: Callable[[str], None], text: str, line: int | None, field: str | None, code: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        read(text)
    if code:
        assert (refused.value.line, refused.value.field, refused.value.code) == (line, field, code)
    assert SECRET not in str(refused.value).lower()


def test_bytes_that_are_no_text_are_refused() -> None:
    for data in (b"\xff\xfe\0", b"x" * ((4 << 20) + 1)):
        for reader in (lambda d: read_one(d, ON), lambda d: list(read_stream(d, ON)), lambda d: list(read_csv(d))):
            with pytest.raises(InputRefused):
                reader(data)


def test_a_misspelt_field_is_helped_with() -> None:
    with pytest.raises(InputRefused, match="did you mean surname"):
        read_one(b"surnme: x", ON)
    assert "surname" in FIELDS
