"""What was disclosed and turns out wrong is corrected, by two persons, at everybody who was given it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from gateway.disclosure.case import Event, Outbound
from gateway.errors import (
    AuditUnavailable,
    InputRefused,
    NotFoundOrNotPermitted,
    PeerUnreachable,
    PolicyDenied,
    VerificationFailed,
    VersionMoved,
)
from gateway.flows import deliver, disclose
from gateway.flows.casework import Decision, version_of
from gateway.people import dates
from gateway.terms import Hidden, ProtectionTag
from gateway.terms.exchange import Came
from gateway.watchlist.entry import ListEntry, TagChange
from tests.flows.cases import WANTED, Desks, desks
from tests.flows.world import HND
from tests.support.entries import NOW_NS, entry, person

pytestmark = pytest.mark.asyncio


def born(day: str) -> ListEntry:
    """The record with this date of birth."""
    assert WANTED.person is not None
    return replace(WANTED, person=replace(WANTED.person, birth=Hidden(dates.parse(day))))


RIGHT = born("1980-03-06")


async def disclosed(*released: str) -> tuple[Desks, bytes]:
    pair = await desks()
    number = await pair.approved(*released)
    await pair.owner.send(number)
    return pair, number


async def corrected(pair: Desks, number: bytes) -> None:
    """Two persons correct; the message waits."""
    await pair.owner.do("desk-1", "correct", number)
    await pair.owner.do("desk-2", "approve", number)


async def seen(pair: Desks, number: bytes) -> dict[str, tuple[str, ...]]:
    view = await disclose.show(number, pair.asker.officer("desk-1"), pair.asker.world())
    return {name: values.open() for name, values in view.disclosed}


def where(pair: Desks, number: bytes) -> tuple[str, str]:
    return pair.owner.where(number), pair.asker.where(number)


async def test_the_recipient_s_fields_are_replaced_and_its_people_look_again() -> None:
    pair, number = await disclosed()
    assert (await seen(pair, number))["birth_date"] == ("1980-03-05 (day)",)
    await pair.owner.put(RIGHT)
    await corrected(pair, number)
    assert where(pair, number) == ("CORRECTED", "GRANTED")
    await pair.owner.send(number)
    assert where(pair, number) == ("DELIVERED", "CORRECTED")
    assert (await seen(pair, number))["birth_date"] == ("1980-03-06 (day)",)
    case = pair.asker.case(number)
    assert case.record_version == version_of(RIGHT.encode()) and case.history[-1].event == "CORRECT"
    assert disclose.waits_here(case) and case.due_ns
    # They say anew what came of it, and the owner hears it.
    await pair.asker.do("desk-1", "outcome", number, code="SAME_PERSON")
    await pair.asker.send(number)
    assert where(pair, number) == ("CLOSED", "CLOSED")


async def test_a_case_that_is_closed_is_corrected_as_well() -> None:
    pair, number = await disclosed("names", "birth_date")
    await pair.asker.do("desk-1", "outcome", number, code="SAME_PERSON")
    await pair.asker.send(number)
    assert where(pair, number) == ("CLOSED", "CLOSED")
    await pair.owner.put(RIGHT)
    await corrected(pair, number)
    await pair.owner.send(number)
    assert where(pair, number) == ("DELIVERED", "CORRECTED")
    assert set(await seen(pair, number)) == {"names", "birth_date"}
    await pair.asker.do("desk-1", "outcome", number, code="DIFFERENT_PERSON")
    await pair.asker.send(number)
    assert where(pair, number) == ("CLOSED", "CLOSED") and pair.owner.case(number).outcome == "DIFFERENT_PERSON"
    assert await seen(pair, number) == {}


async def test_every_earlier_recipient_has_a_correction_due() -> None:
    pair = await desks()
    first, second = await pair.approved(), await pair.approved("names")
    refused = await pair.opened()
    await pair.owner.do("desk-1", "refuse", refused, code="R03")
    for number in (first, second, refused):
        await pair.owner.send(number)
    await pair.owner.put(RIGHT)
    await pair.owner.do("desk-1", "correct", first)
    assert [pair.owner.where(number) for number in (first, second, refused)] == [
        "CORRECTION_PENDING", "CORRECTION_DUE", "DELIVERED",
    ]  # fmt: skip
    due = await disclose.inbox(pair.owner.officer("desk-2"), pair.owner.world(), due=True)
    assert {case.case_id for case in due} == {first, second}
    await pair.owner.do("desk-2", "approve", first)
    await corrected(pair, second)
    for number in (first, second):
        await pair.owner.send(number)
        assert where(pair, number) == ("DELIVERED", "CORRECTED")
    recalls = [leaf for leaf in pair.owner.state.leaves("case.act") if leaf.public["act"] == "recall"]
    assert [leaf.public["case_id"] for leaf in recalls] == [second]


async def test_one_person_corrects_nothing() -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    await pair.owner.do("desk-1", "correct", number)
    with pytest.raises(PolicyDenied) as denied:
        await pair.owner.do("desk-1", "approve", number)
    assert denied.value.reasons == ("second_person",)
    with pytest.raises(VerificationFailed):
        await pair.owner.do("desk-2", "approve", number, by="desk-1")
    with pytest.raises(PolicyDenied):
        await pair.owner.do("boss", "correct", number)
    await deliver.send(number, pair.owner.world())
    assert where(pair, number) == ("CORRECTION_PENDING", "GRANTED") and len(pair.owner.post.bodies) == 1


async def test_what_did_not_change_or_is_held_by_nobody_is_not_corrected() -> None:
    pair, number = await disclosed()
    with pytest.raises(InputRefused) as refused:
        await pair.owner.do("desk-1", "correct", number)
    assert refused.value.code == "UNCHANGED"
    await pair.asker.do("desk-1", "outcome", number, code="DIFFERENT_PERSON")
    await pair.asker.send(number)
    await pair.owner.put(RIGHT)
    with pytest.raises(PolicyDenied):
        await pair.owner.do("desk-1", "correct", number)
    other = await pair.opened()
    await pair.owner.do("desk-1", "refuse", other, code="R03")
    await pair.owner.send(other)
    with pytest.raises(PolicyDenied):
        await pair.owner.do("desk-1", "correct", other)
    with pytest.raises(PolicyDenied):
        await pair.asker.do("desk-1", "correct", number)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_partition_delays_a_correction_and_neither_loses_nor_doubles_it(lost: bool) -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    await corrected(pair, number)
    pair.owner.post.down, pair.owner.post.lost = not lost, int(lost)
    with pytest.raises(PeerUnreachable):
        await pair.owner.send(number)
    assert pair.owner.case(number).outbound is Outbound.DECISION and pair.owner.where(number) == "CORRECTED"
    pair.owner.post.down = False
    await pair.owner.send(number)
    await pair.owner.send(number)
    assert where(pair, number) == ("DELIVERED", "CORRECTED")
    assert [step.event for step in pair.asker.case(number).history].count(Event.CORRECT) == 1


async def test_an_older_message_that_comes_again_replaces_nothing() -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    await corrected(pair, number)
    kept: list[Decision] = []

    def keep(message: Decision) -> Decision:
        kept.append(message)
        return message

    pair.owner.post.bend = keep
    await pair.owner.send(number)
    await pair.owner.put(born("1980-03-07"))
    await corrected(pair, number)
    await pair.owner.send(number)
    assert (await seen(pair, number))["birth_date"] == ("1980-03-07 (day)",)
    await deliver.receive_correction(HND, kept[0], Came(b"h" * 64), pair.asker.world())
    assert (await seen(pair, number))["birth_date"] == ("1980-03-07 (day)",)


async def test_an_outcome_that_crosses_a_correction_is_kept_and_the_correction_goes() -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    await pair.owner.do("desk-1", "correct", number)
    await pair.asker.do("desk-1", "outcome", number, code="SAME_PERSON")
    await pair.asker.send(number)
    assert where(pair, number) == ("CORRECTION_PENDING", "CLOSED")
    assert pair.owner.case(number).outcome == "SAME_PERSON"
    await pair.owner.do("desk-2", "approve", number)
    await pair.owner.send(number)
    assert where(pair, number) == ("DELIVERED", "CORRECTED")


async def test_who_found_another_person_meanwhile_gets_no_correction() -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    await corrected(pair, number)
    await pair.asker.do("desk-1", "outcome", number, code="DIFFERENT_PERSON")
    await pair.asker.send(number)
    assert where(pair, number) == ("CLOSED", "CLOSED") and pair.owner.case(number).outbound is Outbound.NONE


async def test_a_correction_is_decided_again_when_it_leaves() -> None:
    plain = entry(originator=HND, person=person("VEN", residence_countries=("PAN",)))
    pair = await desks(plain)
    number = await pair.approved()
    await pair.owner.send(number)
    right = replace(plain, decision="J-2026-99")
    await pair.owner.put(right)
    await corrected(pair, number)
    await pair.owner.put(replace(right, decision="J-2026-100"))
    with pytest.raises(VersionMoved):
        await pair.owner.send(number)
    case = pair.owner.case(number)
    assert case.state.value == "CORRECTION_DUE" and case.released and case.outbound is Outbound.NONE
    await corrected(pair, number)
    await pair.owner.put(replace(right, history=(TagChange(ProtectionTag.WITNESS, True, NOW_NS, "SRC"),)))
    with pytest.raises(NotFoundOrNotPermitted):
        await pair.owner.send(number)
    assert where(pair, number) == ("FROZEN", "GRANTED") and len(pair.owner.post.bodies) == 1


BENDS: dict[str, Callable[[Decision], Any]] = {
    "one signature": lambda told: replace(told, signatures=told.signatures[:1]),
    "one person twice": lambda told: replace(told, signatures=(told.signatures[0],) * 2),
    "another version": lambda told: replace(told, record_version=told.record_version ^ 2),
    "fewer slots": lambda told: replace(told, sealed=told.sealed[:-1]),
}


@pytest.mark.parametrize("how", BENDS)
async def test_a_correction_that_two_persons_did_not_sign_is_not_taken(how: str) -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    await corrected(pair, number)
    pair.owner.post.bend = BENDS[how]
    await pair.owner.send(number)
    assert pair.asker.where(number) == "GRANTED"
    assert (await seen(pair, number))["birth_date"] == ("1980-03-05 (day)",)
    assert [leaf.public["message"] for leaf in pair.asker.state.leaves("case.dropped")] == ["correction"]


@pytest.mark.parametrize("step", ["correct", "approve", "send", "receive"])
async def test_without_a_log_nothing_is_corrected_and_a_later_try_brings_it(step: str) -> None:
    pair, number = await disclosed()
    await pair.owner.put(RIGHT)
    tries: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "correct": lambda: pair.owner.do("desk-1", "correct", number),
        "approve": lambda: pair.owner.do("desk-2", "approve", number),
        "send": lambda: pair.owner.send(number),
    }
    for name, attempt in tries.items():
        desk = pair.asker if step == "receive" else pair.owner
        if name == step or (step, name) == ("receive", "send"):
            desk.state.uow.fails_at = {desk.state.uow.commits + 1}
            with pytest.raises(AuditUnavailable):
                await attempt()
            assert pair.asker.where(number) == "GRANTED"
        await attempt()
    assert where(pair, number) == ("DELIVERED", "CORRECTED")
