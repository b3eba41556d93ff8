"""What home systems and auditors send: encoded, it is decoded again; any bytes parse, or are refused as they should."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from hashlib import sha512
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused, Malformed
from gateway.federation import statement
from gateway.flows.auditing import Reading
from gateway.flows.check import CheckAnswer, Hit, Inquiry, Traveller
from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex, document_number
from gateway.ports import PolicyVersions
from gateway.rpc.convert import audit, home
from gateway.rpc.doors import Became, ListFile, LoadReport, NodeStatus, Origin, PeerState, RowReport
from gateway.terms import Hidden, ListId, MatchClass, Outcome, PeerId, ProtectionTag, Purpose, RequestId, Role
from gateway.terms.ids import OfficerId
from gateway.terms.words import Action, RecordKind
from gateway.wire.v1 import home_pb2
from tests.unit.rpc import terms

TODAY = date(2026, 5, 4)
ZONE = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
"""The specimen of Doc 9303 part 4, appendix A."""


def opened(traveller: Traveller) -> Any:  # noqa: ANN401 (a comparable copy of hidden values)
    person = traveller.person
    about = None
    if person is not None:
        about = (
            tuple((name.surname, name.given_names) for name in person.names.open()),
            person.birth.open(),
            person.sex,
            person.nationalities,
            person.birth_country,
            person.residence_countries,
            person.tags,
        )
    papers = [(one.issuer, one.number.open(), one.nationality, one.code, one.expiry) for one in traveller.documents]
    return about, papers


def a_traveller() -> Traveller:
    return Traveller(
        Person(
            names=Hidden((Name("Eriksson", "Anna Maria"), Name("Эрикссон", "Анна"))),
            birth=Hidden(dates.parse("1974-08", circa=True)),
            sex=Sex.FEMALE,
            nationalities=("UTO", "XXA"),
            birth_country="D",
            residence_countries=("HND",),
            tags=frozenset({ProtectionTag.ASYLUM_SEEKER, ProtectionTag.WITNESS}),
        ),
        (Document("UTO", document_number("L898902C3"), "XXB", "P", "2030-04-15"),),
    )


def an_inquiry(**changes: Any) -> Inquiry:  # noqa: ANN401
    made = Inquiry(
        request_id=RequestId(bytes(range(16))),
        purpose=Purpose("SEC.WATCH"),
        legal_basis="PAN-HND agreement, article 4",
        case_ref="SHIFT-2026-05-04-A",
        justification=Hidden("second look at the booth"),
        travellers=(a_traveller(), Traveller(None, a_traveller().documents)),
        protection_declared=True,
        declared_origins=frozenset({"UTO"}),
        reply_key=Hidden(b"r" * 32),
        digest=bytes(64),
    )
    return replace(made, **changes)


def decoded(body: bytes) -> Inquiry:
    return home.inquiry(body, sha512(body).digest(), TODAY)


def test_a_question_arrives_as_it_was_put() -> None:
    put = an_inquiry()
    body = home.encode_inquiry(put)
    back = decoded(body)
    assert [opened(one) for one in back.travellers] == [opened(one) for one in put.travellers]
    assert (back.reply_key.open(), back.justification.open()) == (put.reply_key.open(), put.justification.open())
    assert back.digest == sha512(body).digest()
    for name in ("request_id", "purpose", "legal_basis", "case_ref", "protection_declared", "declared_origins"):
        assert getattr(back, name) == getattr(put, name)


@given(
    st.lists(st.tuples(terms.texts, st.text(max_size=0) | terms.texts), min_size=1, max_size=4),
    st.sampled_from(["", "1974", "1974-08", "1974-08-12", "1974/1976"]),
    st.booleans(),
)
def test_names_in_any_script_and_dates_of_any_precision_arrive(
    names: list[tuple[str, str]], birth: str, circa: bool
) -> None:
    try:
        person = Person(Hidden(tuple(Name(*name) for name in names)), Hidden(dates.parse(birth, circa=circa)))
    except InputRefused:
        return
    put = Traveller(person)
    back = decoded(home.encode_inquiry(an_inquiry(travellers=(put,)))).travellers[0]
    assert opened(back) == opened(put)


def wire(**changes: Any) -> home_pb2.CheckTravellersRequest:  # noqa: ANN401
    made = home_pb2.CheckTravellersRequest.FromString(home.encode_inquiry(an_inquiry()))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_zone_is_read_with_the_day_s_century_and_fields_are_added() -> None:
    asked = wire()
    del asked.travellers[:]
    asked.travellers.add(mrz=ZONE, residence_countries=["PAN"], nationalities=["SWE"])
    (back,) = decoded(asked.SerializeToString()).travellers
    about, papers = opened(back)
    assert about[0] == (("ERIKSSON", "ANNA MARIA"),)
    assert about[1] == dates.parse("1974-08-12")
    assert (about[3], about[5]) == (("UTO", "SWE"), ("PAN",))
    assert papers == [("UTO", "L898902C3", "UTO", "P", "2012-04-15")]


def test_a_misread_zone_is_refused_by_traveller_and_code_without_its_text() -> None:
    asked = wire()
    asked.travellers.add(mrz=ZONE.replace("7408122", "7408123"))
    with pytest.raises(InputRefused) as refused:
        decoded(asked.SerializeToString())
    assert (refused.value.line, refused.value.field) == (3, "mrz")
    assert "ERIKSSON" not in str(refused.value)
    assert "7408" not in str(refused.value)


@pytest.mark.parametrize("protection", [0, 3])
def test_whether_protection_was_declared_must_be_said(protection: int) -> None:
    with pytest.raises(Malformed) as refused:
        decoded(wire(protection=protection).SerializeToString())
    assert refused.value.field == "protection"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_id", b""),
        ("purpose", ""),
        ("legal_basis", ""),
        ("case_reference", ""),
        ("justification", "x" * 1025),
        ("reply_key", bytes(31)),
    ],
)
def test_a_question_with_a_field_out_of_bounds_is_refused_by_that_field(field: str, value: object) -> None:
    with pytest.raises(Malformed) as refused:
        decoded(wire(**{field: value}).SerializeToString())
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("traveller", "code"),
    [
        ({}, "NO_TRAVELLER"),
        ({"nationalities": ["UTO"]}, "NO_TRAVELLER"),
        ({"documents": [{"issuer": "UT", "number": "1"}]}, "ISSUER"),
        ({"documents": [{"issuer": "UTO", "number": "---"}]}, "NUMBER"),
        ({"names": [{"surname": "A" * 100, "given_names": "B" * 100}]}, "NAME_LONG"),
        ({"names": [{"surname": "A"}], "birth_date": {"value": "1974-02-30", "precision": 1}}, "DATE_DAY"),
        ({"names": [{"surname": "A"}], "birth_date": {"value": "1974", "precision": 1}}, "DATE_PRECISION"),
        ({"names": [{"surname": "A"}], "nationalities": ["UT"]}, "STATE_CODE"),
    ],
)
def test_a_traveller_nobody_can_ask_about_is_refused_by_number_and_code(traveller: dict[str, Any], code: str) -> None:
    asked = wire()
    asked.travellers.append(home_pb2.Traveller(**traveller))
    with pytest.raises(InputRefused) as refused:
        decoded(asked.SerializeToString())
    assert (refused.value.line, refused.value.code) == (3, code)


def test_a_question_has_one_to_a_thousand_travellers() -> None:
    asked = wire()
    one = asked.travellers[1]
    asked.travellers.extend([one] * 998)
    assert len(decoded(asked.SerializeToString()).travellers) == 1000
    asked.travellers.append(one)
    with pytest.raises(Malformed):
        decoded(asked.SerializeToString())
    del asked.travellers[:]
    with pytest.raises(Malformed):
        decoded(asked.SerializeToString())


# -- Answers ----------------------------------------------------------------------------------------------------------

hits = st.builds(
    Hit,
    reference=st.from_regex(r"[A-Z]{3}-[0-9a-f]{16}", fullmatch=True),
    owner=terms.states,
    match=st.sampled_from(list(MatchClass)),
    kind=st.sampled_from(list(RecordKind)),
    action=st.sampled_from(list(Action)),
    contact=st.integers(0, 65_535),
    traveller=st.integers(0, 999),
    screening_required=st.booleans(),
)
answers = st.builds(
    CheckAnswer,
    request_id=terms.ids,
    hits=st.lists(hits, max_size=3).map(tuple),
    unreachable=st.lists(terms.states, unique=True, max_size=3).map(tuple),
    refused=st.lists(
        st.tuples(terms.states, st.lists(st.from_regex(r"[a-z_]{1,20}", fullmatch=True), max_size=2).map(tuple)),
        max_size=3,
    ).map(tuple),
)


@given(answers)
def test_an_answer_arrives_as_it_was_given(answer: CheckAnswer) -> None:
    assert home.answer(home.encode_answer(answer), answer.request_id) == answer


NOTHING = CheckAnswer(RequestId(bytes(16)), (), (PeerId("HND"),), ())


@pytest.mark.parametrize("change", [{"complete": True}, {"outcome": 1}, {"outcome": 0}, {"request_id": b"x" * 16}])
def test_an_answer_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    said = home_pb2.CheckTravellersResponse.FromString(home.encode_answer(NOTHING))
    for name, value in change.items():
        setattr(said, name, value)
    assert NOTHING.outcome is Outcome.NOTHING_TO_REPORT
    with pytest.raises(Malformed):
        home.answer(said.SerializeToString(), NOTHING.request_id)


def test_a_login_a_status_and_a_report_arrive() -> None:
    officer = OfficerId("A-17")
    assert home.challenge_request(home.encode_challenge_request(officer)) == officer
    assert home.challenge(home.encode_challenge(b"c" * 32, 5)) == (b"c" * 32, 5)
    assert home.login(home.encode_login(officer, b"c" * 32, b"s" * 64)) == (officer, b"c" * 32, b"s" * 64)
    assert home.token(home.encode_token("a.b.c", 5)) == ("a.b.c", 5)
    for policy in (None, PolicyVersions(b"b" * 32, b"n" * 32)):
        peers = (PeerState(PeerId("HND"), True, {"PERSONS/WATCH": 3}), PeerState(PeerId("UTO"), False))
        status = NodeStatus(PeerId("PAN"), "0.1.0", True, 7, policy, 42, 2, 5, False, peers)
        assert home.status(home.encode_status(status)) == status
    report = LoadReport(1, 2, 3, 4, (RowReport(5, True, "NO_ORIGINATOR", "originator", Became.REFUSED),), True)
    assert home.report(home.encode_report(report)) == report


def a_load() -> ListFile:
    signed = statement.make("limen/listing/1", {}, role=Role.LIST_OFFICER, signed_ns=5, seed=b"p" * 32)
    return ListFile(
        request_id=RequestId(bytes(16)),
        list_id=ListId.PERSONS,
        format="csv",
        snapshot=True,
        origin=Origin("HND", ("HND-COURT", "HND"), "2026/17", "Act 7, article 3"),
        file=Hidden(b"surname,given_names\n"),
        signatures=(signed, signed),
    )


def test_a_list_file_arrives_with_origin_and_signatures() -> None:
    put = a_load()
    back = home.load(home.encode_load(put))
    assert back.file.open() == put.file.open()
    for name in ("request_id", "list_id", "format", "snapshot", "origin", "signatures"):
        assert getattr(back, name) == getattr(put, name)


READING = Reading(0, 10, "integrity", ("kind", "unpaired"))
SIGNED = statement.make(
    statement.REVEAL, {"entry": 3}, role=Role.AUDITOR, signed_ns=1_700_000_000 * 10**9, seed=bytes(32)
)


# -- Any bytes --------------------------------------------------------------------------------------------------------

DECODERS: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "inquiry": (home.encode_inquiry(an_inquiry()), decoded),
    "challenge_request": (home.encode_challenge_request(OfficerId("A-17")), home.challenge_request),
    "challenge": (home.encode_challenge(b"c" * 32, 5), home.challenge),
    "login": (home.encode_login(OfficerId("A-17"), b"c" * 32, b"s" * 64), home.login),
    "token": (home.encode_token("a.b.c", 5), home.token),
    "answer": (home.encode_answer(NOTHING), lambda body: home.answer(body, NOTHING.request_id)),
    "load": (home.encode_load(a_load()), home.load),
    "report": (
        home.encode_report(LoadReport(1, 2, 3, 4, (RowReport(5, True, "C", "c", Became.REFUSED),))),
        home.report,
    ),
    "status_request": (b"", home.status_request),
    "status": (
        home.encode_status(
            NodeStatus(
                PeerId("PAN"), "0.1.0", True, 7, None, 42, 1, 5, True, (PeerState(PeerId("HND"), True, {"A/B": 1}),)
            )
        ),
        home.status,
    ),
    "checkpoint_request": (b"", audit.checkpoint_request),
    "checkpoint": (audit.encode_checkpoint(b"note"), audit.checkpoint),
    "entries_request": (audit.encode_entries_request(READING), audit.entries_request),
    "entries": (audit.encode_entries([b"leaf", b"leaf"]), lambda body: audit.entries(body, 10)),
    "reveal_request": (audit.encode_reveal_request(3, "integrity", [SIGNED, SIGNED]), audit.reveal_request),
    "revealed": (audit.encode_revealed(b"leaf", b"payload"), audit.revealed),
    "inclusion_request": (audit.encode_inclusion_request(3, 4), audit.inclusion_request),
    "inclusion": (audit.encode_inclusion([bytes(32)]), audit.inclusion),
    "consistency_request": (audit.encode_consistency_request(3, 4), audit.consistency_request),
    "consistency": (audit.encode_consistency([bytes(32)] * 2), audit.consistency),
}


@pytest.mark.parametrize("name", DECODERS)
@given(body=st.binary(max_size=400))
def test_any_bytes_parse_or_are_refused(name: str, body: bytes) -> None:
    with contextlib.suppress(Malformed, InputRefused):
        DECODERS[name][1](body)


@pytest.mark.parametrize("name", [name for name in DECODERS if DECODERS[name][0]])
@given(data=st.data())
def test_a_damaged_message_parses_or_is_refused(name: str, data: st.DataObject) -> None:
    good, decode = DECODERS[name]
    decode(good)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(Malformed, InputRefused):
        decode(bad)


@pytest.mark.parametrize(
    ("body", "decode"),
    [
        (audit.encode_entries_request(replace(READING, count=0)), audit.entries_request),
        (audit.encode_entries_request(replace(READING, count=1001)), audit.entries_request),
        (audit.encode_entries_request(replace(READING, filters=("P-77",))), audit.entries_request),
        (audit.encode_entries_request(replace(READING, filters=("kind",) * 25)), audit.entries_request),
        (audit.encode_entries_request(replace(READING, purpose="x" * 33)), audit.entries_request),
        (audit.encode_reveal_request(3, "integrity", [SIGNED]), audit.reveal_request),
        (audit.encode_reveal_request(3, "integrity", [SIGNED] * 3), audit.reveal_request),
        (audit.encode_revealed(b"leaf", b""), audit.revealed),
        (audit.encode_inclusion_request(4, 4), audit.inclusion_request),
        (audit.encode_inclusion_request(0, 0), audit.inclusion_request),
        (audit.encode_consistency_request(5, 4), audit.consistency_request),
        (audit.encode_consistency_request(0, 4), audit.consistency_request),
        (audit.encode_inclusion([bytes(31)]), audit.inclusion),
        (audit.encode_inclusion([bytes(32)] * 65), audit.inclusion),
        (audit.encode_entries([b"x"] * 3), lambda body: audit.entries(body, 2)),
        (audit.encode_entries([]), lambda body: audit.entries(body, 2)),
        (audit.encode_entries([b""]), lambda body: audit.entries(body, 2)),
    ],
)
def test_an_auditor_s_message_out_of_bounds_is_malformed(body: bytes, decode: Callable[[bytes], Any]) -> None:
    with pytest.raises(Malformed):
        decode(body)
