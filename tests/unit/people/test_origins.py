"""Whom a person may have fled from (T2), and who may be a child (T21)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.people import codes, dates
from gateway.people.names import Name
from gateway.people.origins import candidate_origins
from gateway.people.person import Document, Person, could_be_child, document_number
from gateway.terms import Hidden, ProtectionTag

PEERS = ("PAN", "HND", "MEX", "GTM", "VEN", "UTO", "DEU", "SWE")
ON = date(2026, 11, 25)


def person(*nationalities: str, birth: str = "1980", other: tuple[str, ...] = (), **more: object) -> Person:
    return Person(
        names=Hidden((Name("ERIKSSON", "ANNA"),)),
        birth=Hidden(dates.parse(birth)),
        nationalities=nationalities,
        other_births=Hidden(tuple(dates.parse(text) for text in other)),
        **more,  # type: ignore[arg-type]
    )


def document(issuer: str, nationality: str = "") -> Document:
    return Document(issuer, document_number("L898902C3"), nationality)


def told(who: Person | None, *documents: Document, declared: tuple[str, ...] = ()) -> set[str]:
    """The peers that are no candidate origin."""
    origins = candidate_origins(who, documents, declared)
    return {peer for peer in PEERS if not origins.includes(peer)}


def test_every_state_named_anywhere_is_a_candidate() -> None:
    everywhere = person("VEN", "HND", birth_country="UTO", residence_countries=("MEX",))
    assert told(everywhere, document("PAN", "VEN"), declared=("SWE",)) == {"GTM", "DEU"}


@pytest.mark.parametrize("nationality", ["XXA", "XXB", "XXC", "XXX"])
def test_without_a_nationality_it_may_be_every_peer_but_the_documents_issuer(nationality: str) -> None:
    assert told(person(nationality), document("PAN", nationality)) == {"PAN"}
    assert told(None, document("PAN", nationality)) == {"PAN"}
    assert told(person(nationality)) == set()


def test_a_state_that_is_named_counts_though_it_issued_a_refugees_document() -> None:
    assert told(person("XXB", birth_country="PAN"), document("PAN", "XXB")) == set()
    assert told(person("XXB"), document("PAN", "XXB"), declared=("PAN",)) == set()
    assert told(person("XXB"), document("PAN", "XXB"), document("VEN", "VEN")) == {"PAN"}


def test_an_unknown_nationality_is_every_peer_and_the_issuer_first_of_all() -> None:
    # A passport of VEN whose nationality nobody typed: VEN is the likeliest origin of all.
    assert told(person(), document("VEN")) == set()
    assert told(None, document("VEN")) == set()
    assert told(person()) == set()


@pytest.mark.parametrize("code", ["VNE", "QAA", "UNO", "UNK", "EUE"])
def test_a_code_that_names_no_state_protects_from_everybody(code: str) -> None:
    assert told(person(code)) == set()
    assert told(person("VEN", birth_country=code)) == set()
    assert told(person("VEN"), declared=(code,)) == set()


def test_codes_of_the_zone_are_the_states_that_peers_know() -> None:
    assert told(person("D")) == {peer for peer in PEERS if peer != "DEU"}
    assert candidate_origins(person("RKS"), ()).includes("XKX")
    for code in ("GBD", "GBN", "GBO", "GBP", "GBS"):
        assert candidate_origins(person(code), ()).includes("GBR")
    assert candidate_origins(person("DEU"), ()).includes("D")


codes_drawn = st.sampled_from([*PEERS, "XXA", "XXB", "XXC", "XXX", "D", "VNE", "UNO"])


@given(
    st.lists(codes_drawn, max_size=3),
    st.lists(st.tuples(st.sampled_from(PEERS), codes_drawn | st.just("")), max_size=3),
    st.sampled_from(PEERS),
)
def test_more_knowledge_of_origins_never_opens_a_state_that_it_names(
    nationalities: list[str], papers: list[tuple[str, str]], extra: str
) -> None:
    documents = [document(issuer, nationality) for issuer, nationality in papers]
    origins = candidate_origins(person(*nationalities), documents, (extra,))
    assert origins.includes(extra)
    for code in nationalities:
        if codes.names_a_state(code):
            assert origins.includes(code)
    for issuer, nationality in papers:
        if nationality not in codes.NO_NATIONALITY:
            assert origins.includes(issuer)
    unknown = any(not codes.names_a_state(code) for code in nationalities)
    if unknown:
        outside = {peer for peer in PEERS if not origins.includes(peer)}
        assert outside <= {issuer for issuer, nationality in papers if nationality in codes.NO_NATIONALITY}


def test_a_refugees_nationality_is_a_tag_whoever_builds_the_person() -> None:
    assert person("XXB").tags == person("XXC").tags == {ProtectionTag.REFUGEE}
    assert person("XXA").tags == person("XXX").tags == frozenset()
    assert person("XXB", tags=frozenset({ProtectionTag.WITNESS})).tags == set(
        {ProtectionTag.WITNESS, ProtectionTag.REFUGEE}
    )


@pytest.mark.parametrize(
    ("birth", "other", "child"),
    [
        ("2008-11-25", (), False),
        ("2008-11-26", (), True),
        ("2008", (), True),
        ("2007", (), False),
        ("2008-01-01", (), True),
        ("2006~", (), True),
        ("2005~", (), False),
        ("2005/2009", (), True),
        ("", (), True),
        ("1980", ("2010",), True),
        ("", ("1980",), False),
    ],
)
def test_who_could_be_a_child(birth: str, other: tuple[str, ...], child: bool) -> None:
    assert could_be_child(person(birth=birth, other=other), ON) is child


def test_persons_and_documents_show_nothing_of_themselves() -> None:
    shown = f"{person('UTO', birth='1974-08-12')!r} {document('UTO')!r}"
    assert not any(secret in shown for secret in ("ERIKSSON", "ANNA", "1974", "L898902C3"))


@pytest.mark.parametrize("number", ["", "<<<", "A" * 25, "...."])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(InputRefused):
        document_number(number)


def test_the_normal_form_of_a_number_and_nothing_else_makes_a_document() -> None:
    assert document_number(" ab-12.34/c ").open() == "AB1234C"
    for wrong in ("ab1234", "AB 12", ""):
        with pytest.raises(InputRefused):
            Document("UTO", Hidden(wrong))


@pytest.mark.parametrize("code", ["pan", "PA", "PANA", "P1N", "DE", ""])
def test_what_is_no_code_is_refused(code: str) -> None:
    assert not codes.is_code(code)
    with pytest.raises(InputRefused):
        Document(code, Hidden("L1"))


def test_the_table_of_codes() -> None:
    assert len(codes.ISO_3166) == 249
    assert {"UTO", "XXA", "XXB", "XXC", "XXX", "D", "GBN", "UNO", "UNK", "EUE", "RKS", "XPO", "XOM"} <= codes.DEFINED
    assert all(codes.is_code(code) for code in codes.DEFINED)
    assert not codes.ISO_3166 & codes.ORGANISATIONS
