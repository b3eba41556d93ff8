"""Match keys: asker and owner meet in equal bytes, or not at all."""

from __future__ import annotations

import time

from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, document_number
from gateway.primitives.lp import lp, split
from gateway.pseudonym import matchkeys
from gateway.terms import Hidden, KeyType

ALL = frozenset(KeyType)


def person(*names: tuple[str, str], births: tuple[str, ...] = ("1991-05-22",)) -> Person:
    first, *others = [dates.parse(text) for text in births]
    return Person(
        names=Hidden(tuple(Name(*name) for name in names)),
        birth=Hidden(first),
        other_births=Hidden(tuple(others)),
    )


def inputs(who: Person | None, *documents: Document, types: frozenset[KeyType] = ALL) -> list[tuple[bytes, ...]]:
    return [split(key.input.open()) for key in matchkeys.for_asking(who, documents, types)]


def document(issuer: str, number: str) -> Document:
    return Document(issuer, document_number(number))


def test_the_keys_of_the_protocols_example() -> None:
    # docs/protocol/matching.md and tests/vectors/psi1.json.
    made = inputs(
        person(("KASOULIDIS WAKUSHIMA", "MEWES")),
        document("VEN", "T55637667"),
        types=ALL - {KeyType.MET2_YEAR_1},
    )
    assert made == [
        (b"doc/1", b"VEN", b"T55637667"),
        (b"name_year/1", b"KASOULIDIS MEWES WAKUSHIMA", b"1991"),
        (b"met2_dob/1", b"KSLTS", b"MWS", b"19910522"),
        (b"met2_dob/1", b"KSLTS", b"WKXM", b"19910522"),
        (b"met2_dob/1", b"MWS", b"WKXM", b"19910522"),
    ]


def test_the_order_of_names_makes_no_difference() -> None:
    assert inputs(person(("GARCIA LOPEZ", "ANA"))) == inputs(person(("ANA", "LOPEZ GARCIA")))


def test_a_key_carries_its_type_and_one_kind_only() -> None:
    for key in matchkeys.for_asking(person(("GARCIA LOPEZ", "ANA")), (document("VEN", "1"),), ALL):
        assert split(key.input.open())[0].decode() == key.key_type.value


def test_types_that_are_not_granted_are_not_made() -> None:
    who, paper = person(("GARCIA LOPEZ", "ANA")), document("VEN", "1")
    for key_type in KeyType:
        made = {parts[0] for parts in inputs(who, paper, types=frozenset({key_type}))}
        assert made == {key_type.value.encode()}
    assert inputs(who, paper, types=frozenset()) == []


YEARLY = {b"name_year/1", b"met2_year/1"}


def test_the_loosest_key_is_two_sounds_and_a_year() -> None:
    only = frozenset({KeyType.MET2_YEAR_1})
    years = inputs(person(("GARCIA LOPEZ", "ANA"), births=("2009-01-01", "2010")), types=only)
    assert {parts[1:] for parts in years} == {
        (left, right, year)
        for left, right in ((b"AN", b"KRX"), (b"AN", b"LPS"), (b"KRX", b"LPS"))
        for year in (b"2009", b"2010")
    }


def test_the_first_of_january_is_a_year() -> None:
    assert {parts[0] for parts in inputs(person(("GARCIA", "ANA"), births=("1991-01-01",)))} == YEARLY
    assert {parts[0] for parts in inputs(person(("GARCIA", "ANA"), births=("1991-05-22~",)))} == YEARLY
    assert inputs(person(("GARCIA", "ANA"), births=("",))) == []


def test_the_owner_expands_aliases_dates_and_ranges() -> None:
    listed = inputs(person(("GARCIA", "ANA"), ("GARSIA", "ANNA"), births=("1960/1962", "1964-03-05")))
    years = [parts for parts in listed if parts[0] == b"name_year/1"]
    assert [(name, year) for _, name, year in years] == [
        (name, year) for name in (b"ANA GARCIA", b"ANNA GARSIA") for year in (b"1960", b"1961", b"1962", b"1964")
    ]
    # Both spellings sound alike: one key, not two.
    assert [parts[1:] for parts in listed if parts[0] == b"met2_dob/1"] == [(b"AN", b"KRX", b"19640305")]


def test_no_key_comes_twice() -> None:
    listed = inputs(person(("GARCIA", "ANA"), ("ANA", "GARCIA"), ("GARCIA ANA", "")), document("D", "1"),
                    document("DEU", "1"))  # fmt: skip
    assert len(listed) == len(set(listed)) == 4


def test_two_numbers_of_two_states_do_not_meet() -> None:
    assert inputs(None, document("VEN", "123456789")) != inputs(None, document("COL", "123456789"))
    assert inputs(None, document("D", "C01X00T47")) == inputs(None, document("DEU", "c01x-00t47"))


def test_parts_cannot_be_shifted_from_one_to_the_next() -> None:
    assert lp("doc/1", "VEN", "AB1") != lp("doc/1", "VENA", "B1")


def test_a_name_of_one_token_has_no_pair() -> None:
    assert [parts[0] for parts in inputs(person(("ARKFREITH", "")))] == [b"name_year/1"]


def test_a_long_name_has_28_pairs_at_most() -> None:
    tokens = "ALFA BRAVO CHARLI DELTA ECHO FOXTROT GOLF HOTEL INDIA JULIET KILO LIMA"
    assert len(tokens.split()) == 12
    assert sum(parts[0] == b"met2_dob/1" for parts in inputs(person((tokens, "")))) == 28


def test_keys_of_a_long_list_are_made_in_seconds() -> None:
    # 10,000 entries here, so 10^5 in ten times that; the bound is far above what a slow machine takes.
    people = [
        person((f"SURNAME{n % 977} FAMILY{n % 31}", f"GIVEN{n % 503}"), (f"ALIAS{n % 71}", f"OTHER{n % 13}"))
        for n in range(10_000)
    ]
    started = time.process_time()
    count = sum(len(matchkeys.for_asking(one, (), ALL)) for one in people)
    assert count >= 40_000
    assert time.process_time() - started < 15
