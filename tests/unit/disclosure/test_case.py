"""A case moves by its table and no other way; its bytes are canonical; slots and tickets tell nothing by their size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.disclosure import case as cases
from gateway.disclosure import codes, profiles, slots
from gateway.disclosure.case import FINAL, MOVES, Case, Event, Outbound, Side, Signature, State, Step, can, decode, move
from gateway.disclosure.ticket import Ticket
from gateway.errors import InputRefused, Malformed, PolicyDenied
from gateway.terms import MatchClass, PeerId, Purpose, RecordKind

NOW_NS = 1_790_000_000 * 10**9


def a_case(**changes: Any) -> Case:  # noqa: ANN401 (a case's fields)
    made = Case(
        case_id=bytes(range(16)),
        side=Side.OWNER,
        peer=PeerId("HND"),
        purpose=Purpose("SEC.WATCH"),
        legal_basis="agreement",
        agency="INM",
        role="border.frontline",
        list_id="PERSONS",
        kind=RecordKind.WANTED_ARREST,
        match=MatchClass.DOCUMENT,
        state=State.UNDER_REVIEW,
        version=1,
        made_ns=NOW_NS,
        fields=("names", "sex"),
        sealed=(b"one", b"two"),
        reasons=b"sealed",
        signatures=(Signature("act", b"statement", b"signature", b"key"),),
        history=(Step(Event.OPENED, NOW_NS),),
    )
    return replace(made, **changes)


cases_of = st.builds(
    a_case,
    side=st.sampled_from(Side),
    state=st.sampled_from(State),
    version=st.integers(1, 1 << 60),
    outbound=st.sampled_from(Outbound),
    assigned=st.text(max_size=20),
    screened=st.booleans(),
    released=st.lists(st.text(max_size=9), max_size=4).map(tuple),
    ticket=st.binary(max_size=40),
)


@given(cases_of)
def test_a_case_is_read_as_it_was_written(one: Case) -> None:
    assert decode(one.encode()) == one
    assert decode(one.encode()).encode() == one.encode()


@pytest.mark.parametrize("read", [decode, Ticket.decode, lambda data: slots.read(("names",), [data, data])])
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(data)


@given(st.data())
def test_a_changed_case_is_refused_or_says_what_its_bytes_say(data: st.DataObject) -> None:
    body = bytearray(a_case().encode())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        assert decode(bytes(body)).encode() == bytes(body)


@given(st.sampled_from(Side), st.sampled_from(State), st.sampled_from(Event))
def test_what_is_not_in_the_table_does_not_happen(side: Side, state: State, event: Event) -> None:
    before = a_case(side=side, state=state)
    if (side, state, event) not in MOVES:
        assert not can(before, event)
        with pytest.raises(PolicyDenied) as denied:
            move(before, event, NOW_NS)
        assert denied.value.reasons == ("case_state",)
        return
    after = move(before, event, NOW_NS + 1, "PAN-1")
    assert (after.state, after.version) == (MOVES[side, state, event], before.version + 1)
    assert after.history[-1] == Step(event, NOW_NS + 1, "PAN-1")


def test_nothing_is_released_but_by_two_moves_of_persons() -> None:
    released = (State.GRANTED, State.PARTLY_GRANTED)
    into = {
        place
        for place, after in MOVES.items()
        if place[0] is Side.OWNER and after in released and place[1] is not after
    }
    assert into == {
        (Side.OWNER, State.AWAITING_SECOND_APPROVAL, Event.APPROVE),
        (Side.OWNER, State.AWAITING_SECOND_APPROVAL, Event.APPROVE_PART),
    }
    prepared = {event for (side, state, event), after in MOVES.items()
                if after is State.AWAITING_SECOND_APPROVAL and state is not after}  # fmt: skip
    assert prepared == {Event.PREPARE}


def test_time_never_releases() -> None:
    assert {after for (_, _, event), after in MOVES.items() if event is Event.EXPIRE} == {
        State.DISMISSED,
        State.NO_REPLY,
    }


def test_what_is_over_stays_over_but_for_the_others_word_and_for_what_was_wrong() -> None:
    for (_, state, event), after in MOVES.items():
        if state in FINAL and event not in (Event.CORRECT, Event.RECALL):
            assert (event, after) == (Event.CLOSE, State.CLOSED)
    begun = {(state, after) for (side, state, event), after in MOVES.items()
             if side is Side.OWNER and event in (Event.CORRECT, Event.RECALL) and state in FINAL}  # fmt: skip
    assert begun == {(State.CLOSED, State.CORRECTION_DUE), (State.CLOSED, State.CORRECTION_PENDING)}


def test_nothing_is_corrected_but_by_two_moves_of_persons() -> None:
    into = {(state, event) for (side, state, event), after in MOVES.items()
            if side is Side.OWNER and after is State.CORRECTED and state is not after}  # fmt: skip
    assert into == {(State.CORRECTION_PENDING, Event.APPROVE), (State.CORRECTION_PENDING, Event.APPROVE_PART)}
    pending = {event for (_, _, event), after in MOVES.items() if after is State.CORRECTION_PENDING}
    assert pending == {Event.CORRECT, Event.OUTCOME, Event.ASSIGN, Event.HAND_OVER, Event.TAKE}


@pytest.mark.parametrize("side", list(Side))
def test_every_state_that_is_not_the_first_is_reached(side: Side) -> None:
    first = State.CANDIDATE if side is Side.ASKER else State.UNDER_REVIEW
    reached = {first}
    while True:
        more = {after for (one, state, _), after in MOVES.items() if one is side and state in reached} - reached
        if not more:
            break
        reached |= more
    assert {state for (one, state, _) in MOVES if one is side} <= reached


def test_a_case_does_not_show_what_it_holds() -> None:
    shown = repr(a_case(ticket=b"canary", entry_id="canary", reasons=b"canary", sealed=(b"canary",)))
    assert "canary" not in shown


# -- Slots and profiles -----------------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(profiles.PERSON_FIELDS), min_size=1, unique=True),
    st.lists(st.text(st.characters(categories=["L", "N"]), max_size=200), max_size=8),
)
def test_slots_are_of_one_size_and_read_as_they_were_laid_out(asked: list[str], values: list[str]) -> None:
    told = {asked[0]: tuple(values)}
    plain = slots.lay_out(asked, told, {"basis": ("FACT",)})
    assert len({len(one) for one in plain}) == 1 and len(plain) == len(asked) + 1
    opened = slots.read(asked, plain)
    assert [(name, found.open()) for name, found in opened.fields] == ([(asked[0], tuple(values))] if values else [])
    assert opened.marks == {"basis": ("FACT",)}


def test_a_refusal_is_as_long_as_a_disclosure() -> None:
    refused = slots.lay_out(profiles.PERSON_FIELDS, {}, {})
    told = slots.lay_out(
        profiles.PERSON_FIELDS, {name: ("value " * 5,) for name in profiles.PERSON_FIELDS}, {"basis": ("FACT",)}
    )
    assert [len(one) for one in refused] == [len(one) for one in told]


def test_slots_of_other_fields_are_refused() -> None:
    plain = slots.lay_out(("names", "sex"), {"names": ("A",)}, {})
    for asked in (("names",), ("sex", "names"), ("names", "sex", "contact")):
        with pytest.raises(Malformed):
            slots.read(asked, plain)


@pytest.mark.parametrize("kind", list(RecordKind))
def test_each_kind_has_a_template_with_classes_and_marks(kind: RecordKind) -> None:
    fields = profiles.fields_of(kind)
    assert profiles.chosen(kind, fields[::-1]) == fields
    assert set(profiles.classes(fields)) <= set(profiles.CLASS_OF.values())
    assert profiles.SUBJECT_CATEGORY[kind] and profiles.BASIS[kind] and profiles.RELIABILITY[kind]
    assert profiles.PURPOSE_ONLY in profiles.conditions(kind)
    for wrong in ((), ("photo",), (fields[0], fields[0])):
        with pytest.raises(InputRefused):
            profiles.chosen(kind, wrong)


def test_a_document_s_disclosure_has_nothing_of_a_holder() -> None:
    for kind in (RecordKind.LOST_STOLEN, RecordKind.REVOKED):
        assert not {"names", "birth_date", "sex", "nationality"} & set(profiles.fields_of(kind))


def test_a_ground_of_rights_is_shown_as_another() -> None:
    assert codes.OUTSIDE == {"R09": "R06"}
    assert cases.SCHEMA == "limen.case/1"
