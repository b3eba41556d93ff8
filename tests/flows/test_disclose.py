"""A case between two desks: people sign, two of them release, and each message is decided anew when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.disclosure.case import Outbound, Signature, State
from gateway.disclosure.ticket import Ticket
from gateway.errors import (
    AuditUnavailable,
    GatewayError,
    InputRefused,
    NotFoundOrNotPermitted,
    NotIdentified,
    PeerUnreachable,
    PolicyDenied,
    VerificationFailed,
    VersionMoved,
    WitnessesSilent,
)
from gateway.federation import officers, statement
from gateway.federation.officers import Register
from gateway.flows import check, deliver, disclose
from gateway.flows.casework import Decision, Handles, OpenCase
from gateway.policy.decision import Deny
from gateway.ports import Change
from gateway.primitives import ed25519
from gateway.terms import Handling, ListId, ProtectionTag, Purpose, PurposeGroup, RecordKind, Role
from gateway.terms.exchange import Came, KeyScope
from gateway.terms.ids import EpochId, OfficerId
from gateway.watchlist.entry import TagChange
from tests.flows.cases import WANTED, Desks, desks, seed
from tests.flows.world import GTM, HND, PAN
from tests.support.entries import DAY_NS, NOW_NS, entry, person

pytestmark = pytest.mark.asyncio

OF_HND = entry(originator=HND, person=person("HND"))
"""Somebody who may have fled from the state that is asked."""


async def shown(pair: Desks, number: bytes, who: str = "desk-1") -> disclose.View:
    return await disclose.show(number, pair.asker.officer(who), pair.asker.world())


async def test_a_release_by_two_reaches_the_one_who_asked_and_its_outcome_comes_back() -> None:
    pair = await desks()
    number = await pair.approved()
    await pair.owner.send(number)
    assert (pair.owner.where(number), pair.asker.where(number)) == ("DELIVERED", "GRANTED")
    view = await shown(pair, number)
    told = {name: values.open() for name, values in view.disclosed}
    assert told["names"] == ("KASOULIDIS, MEWES",) and told["birth_date"] == ("1980-03-05 (day)",)
    assert "PURPOSE_ONLY" in view.conditions and view.marks["basis"] == "FACT" and view.withheld == ()
    assert (await shown(pair, number, "desk-2")).disclosed == ()
    await pair.asker.do("desk-1", "outcome", number, code="SAME_PERSON")
    await pair.asker.send(number)
    assert (pair.owner.where(number), pair.asker.where(number)) == ("CLOSED", "CLOSED")
    assert pair.owner.case(number).outcome == "SAME_PERSON"


async def test_a_part_names_the_classes_of_the_rest_and_is_as_long_as_the_whole() -> None:
    whole, part = await desks(), await desks()
    one, other = await whole.approved(), await part.approved("names", "sex")
    await whole.owner.send(one)
    await part.owner.send(other)
    view = await shown(part, other)
    assert {name for name, _ in view.disclosed} == {"names", "sex"}
    assert view.withheld == ("IDENTITY", "NATIONALITY", "DOCUMENT", "ACTION", "CONTACT")
    sizes = [{len(slot) for slot in pair.asker.case(n).sealed} for pair, n in ((whole, one), (part, other))]
    assert sizes[0] == sizes[1] and len(sizes[0]) == 1


async def test_no_message_of_a_case_names_anybody_beneath_its_encryption() -> None:
    pair = await desks()
    number = await pair.approved()
    await pair.owner.send(number)
    await pair.asker.do("desk-1", "outcome", number, code="SAME_PERSON")
    await pair.asker.send(number)
    passed = b"".join([*pair.asker.post.bodies, *pair.owner.post.bodies]).upper()
    told = dict((await shown(pair, number)).disclosed)
    assert len(pair.asker.post.bodies) == 2 and len(pair.owner.post.bodies) == 1
    names = [part for one in told["names"].open() for part in one.replace(",", " ").split()]
    assert len(names) >= 2 and not [name for name in names if name.encode() in passed]
    assert b"1980-03-05" not in passed and WANTED.entry_id.encode() not in passed


@pytest.mark.parametrize(("code", "seen"), [("R01", "R01"), ("R09", "R06")])
async def test_a_refusal_is_coded_and_says_nothing_of_rights(code: str, seen: str) -> None:
    pair = await desks()
    number = await pair.opened()
    await pair.owner.do("desk-1", "refuse", number, code=code)
    await pair.owner.send(number)
    assert pair.asker.case(number).refusal == seen and pair.asker.where(number) == "REFUSED"
    assert b"R09" not in b"".join(pair.owner.post.bodies)


async def test_one_person_releases_nothing_and_nobody_signs_for_another() -> None:
    pair = await desks()
    number = await pair.opened()
    await pair.owner.do("desk-1", "prepare", number, "names")
    with pytest.raises(PolicyDenied, match="second_person"):
        await pair.owner.do("desk-1", "approve", number)
    with pytest.raises(VerificationFailed, match="another person"):
        await pair.owner.do("desk-2", "approve", number, by="desk-1")
    with pytest.raises(NotFoundOrNotPermitted):
        await pair.owner.do("booth-2", "approve", number)
    assert pair.owner.where(number) == "AWAITING_SECOND_APPROVAL"
    assert pair.owner.post.bodies == []


async def test_a_second_signature_made_by_the_operator_does_not_count() -> None:
    pair = await desks()
    number = await pair.opened()
    await pair.owner.do("desk-1", "prepare", number, "names")
    case = pair.owner.case(number)
    facts = pair.owner.facts("approve", case, (), "")
    true = pair.owner.sign("desk-2", "approve", case, **facts)
    mine = pair.owner.sign("desk-1", "approve", case, **facts)
    for forged in (replace(true, signature=mine.signature), replace(true, signature=bytes(64))):
        asked = disclose.Act("approve", case.version, signatures=(forged,))
        with pytest.raises(GatewayError):
            await disclose.act(number, asked, pair.owner.officer("desk-2"), pair.owner.world())
    assert pair.owner.where(number) == "AWAITING_SECOND_APPROVAL"


@pytest.mark.parametrize("how", ["own key", "one person", "none", "other fields", "borrowed key"])
async def test_an_approval_that_the_operator_wrote_into_the_store_does_not_leave(how: str) -> None:
    pair = await desks()
    number = await pair.opened()
    await pair.owner.do("desk-1", "prepare", number, "names")
    case = pair.owner.case(number)
    facts = pair.owner.facts("approve", case, (), "")
    if how == "other fields":
        facts["fields"], facts["withheld"] = ("names", "sex"), ()
    word = statement.CASE_ACTS["approve"]
    told = statement.case(
        case_id=number, state=HND, peer=PAN, purpose=case.purpose, legal_basis=case.legal_basis, **facts
    )
    seeds = {"one person": seed(HND, "desk-1"), "other fields": seed(HND, "desk-2")}
    forger = seeds.get(how, b"o" * 32)
    made = statement.make(word, told, role=Role.DESK_NATIONAL, signed_ns=pair.clock.now_ns(), seed=forger)
    shown_key = seed(HND, "desk-2") if how == "borrowed key" else forger
    forged = Signature(word, made.statement, made.signature, ed25519.public(shown_key))
    signatures = case.signatures if how == "none" else (*case.signatures, forged)
    written = replace(
        case, state=State.GRANTED, outbound=Outbound.DECISION, version=case.version + 1, signatures=signatures
    )
    kept = pair.owner.state.store._tables.cases
    kept[number] = {**kept[number], "body": written.encode(), "version": written.version}
    with pytest.raises((VerificationFailed, NotIdentified)):
        await pair.owner.send(number)
    assert pair.owner.post.bodies == [] and pair.asker.where(number) == "ACKNOWLEDGED"
    assert pair.owner.where(number) == "UNDER_REVIEW"
    # People look again, and then it goes.
    await pair.owner.do("desk-1", "prepare", number, "names")
    await pair.owner.do("desk-2", "approve", number)
    await pair.owner.send(number)
    assert pair.owner.where(number) == "DELIVERED"


async def test_who_has_left_since_had_signed() -> None:
    pair = await desks()
    number = await pair.approved()
    left = officers.retire(pair.owner.register, OfficerId("desk-2"), pair.clock.now_ns() + 1, b"r" * 32)
    pair.owner.register = Register([*pair.owner.register.lines, left])
    await pair.owner.send(number)
    assert pair.owner.where(number) == "DELIVERED"


async def test_what_was_prepared_can_be_taken_back_until_it_is_approved() -> None:
    pair = await desks()
    number = await pair.opened()
    with pytest.raises(PolicyDenied, match="case_state"):
        await pair.owner.do("desk-1", "withdraw", number)
    await pair.owner.do("desk-1", "prepare", number, "names")
    taken = await pair.owner.do("desk-2", "withdraw", number)
    assert (taken.state, taken.released, taken.prepared_by) == (State.UNDER_REVIEW, (), "")
    assert taken.outbound is Outbound.NONE and pair.asker.where(number) == "ACKNOWLEDGED"
    with pytest.raises(PolicyDenied, match="case_state"):
        await pair.owner.do("boss", "approve", number)
    # Whoever took it back may approve what another prepares then.
    await pair.owner.do("desk-1", "prepare", number, "names")
    await pair.owner.do("desk-2", "approve", number)
    with pytest.raises(PolicyDenied, match="case_state"):
        await pair.owner.do("desk-1", "withdraw", number)
    await pair.owner.send(number)
    assert pair.asker.where(number) == "PARTLY_GRANTED"


async def test_four_eyes_are_of_two_roles() -> None:
    pair = await desks(replace(WANTED, handling=Handling.FOUR_EYES))
    number = await pair.opened()
    await pair.owner.do("desk-1", "prepare", number, "names")
    with pytest.raises(PolicyDenied, match="second_person"):
        await pair.owner.do("desk-2", "approve", number)
    assert (await pair.owner.do("boss", "approve", number)).outbound is Outbound.DECISION


@pytest.mark.parametrize(
    ("who", "act", "code", "error"),
    [
        ("protection", "confirm", "", NotFoundOrNotPermitted),
        ("child", "confirm", "", NotFoundOrNotPermitted),
        ("boss", "confirm", "", PolicyDenied),
        ("desk-1", "request", "", PolicyDenied),
        ("desk-1", "approve", "", PolicyDenied),
        ("desk-1", "outcome", "SAME_PERSON", PolicyDenied),
    ],
)
async def test_who_may_not_or_may_not_yet_is_refused(who: str, act: str, code: str, error: type[Exception]) -> None:
    pair = await desks()
    number = await pair.hit()
    with pytest.raises((error, InputRefused, VerificationFailed)):
        await pair.asker.do(who, act, number, code=code)
    assert pair.asker.where(number) == "CANDIDATE" and pair.asker.post.bodies == []


async def test_an_act_on_what_has_moved_since_it_was_seen_is_refused() -> None:
    pair = await desks()
    number = await pair.hit()
    await pair.asker.do("desk-1", "confirm", number)
    with pytest.raises(VersionMoved):
        await pair.asker.do("desk-1", "dismiss", number, version=1)


async def test_what_is_said_of_a_child_is_opened_for_child_protection_only() -> None:
    pair = await desks()
    number = await pair.approved()
    await pair.owner.send(number)
    child = replace(pair.asker.case(number), kind=RecordKind.MISSING_CHILD, version=pair.asker.case(number).version + 1)
    await pair.asker.state.store.commit([], [check.put(child)])
    assert (await shown(pair, number)).disclosed == ()
    guardian = replace(pair.asker.officer("desk-1"), roles=(Role.CHILD_PROTECTION,))
    assert (await disclose.show(number, guardian, pair.asker.world())).disclosed != ()


# -- Opening (T12) ----------------------------------------------------------------------------------------------------


def _ticket(**changes: Any) -> Callable[[OpenCase], OpenCase]:
    def bend(message: OpenCase) -> OpenCase:
        return replace(message, ticket=replace(Ticket.decode(message.ticket), **changes).encode())

    return bend


def _slot(message: OpenCase) -> OpenCase:
    ticket = Ticket.decode(message.ticket)
    return replace(message, ticket=replace(ticket, slot=(ticket.slot + 1) % 8).encode())


BENDS: dict[str, Callable[[OpenCase], OpenCase]] = {
    "token": _ticket(token=bytes(32)),
    "blind": _ticket(blind=(7).to_bytes(32, "little")),
    "blind zero": _ticket(blind=bytes(32)),
    "blind not canonical": _ticket(blind=b"\xff" * 32),
    "slot": _slot,
    "handle": _ticket(handle=bytes(8)),
    "tag": _ticket(tag=bytes(16)),
    "leg": _ticket(leg_id=bytes(16)),
    "batch": _ticket(batch=3),
    "hash": _ticket(request_hash=bytes(64)),
    "request": _ticket(request=b"garbage"),
    "purpose": lambda message: replace(message, purpose=Purpose("DOC.STATUS")),
    "basis": lambda message: replace(message, legal_basis="another"),
    "fields": lambda message: replace(message, fields=("names", "photo")),
    "key": lambda message: replace(message, reply_key=b"k" * 32),
    "one person": lambda message: replace(message, signatures=message.signatures[:1]),
    "case": lambda message: replace(message, case_id=b"x" * 16),
}


@pytest.mark.parametrize("what", list(BENDS))
async def test_what_does_not_hold_looks_like_any_other_refusal_and_opens_nothing(what: str) -> None:
    pair = await desks()
    number = await pair.requested()
    pair.asker.post.bend = BENDS[what]
    await pair.asker.send(number)
    # The asker learns no more than from a record that was withdrawn.
    assert (pair.asker.where(number), pair.asker.case(number).refusal) == ("REFUSED", "R11")
    assert list(pair.owner.state.store.cases()) == []
    (dropped,) = pair.owner.state.logged("case.dropped")
    assert set(dropped.public) == {"case_id", "message", "request_hash", "signed"}


@pytest.mark.parametrize("cause", ["late", "withdrawn", "tagged", "wrong peer", "policy"])
async def test_other_causes_look_the_same(cause: str) -> None:
    pair = await desks()
    number = await pair.requested()
    if cause == "late":
        pair.clock.pass_ns(DAY_NS + 10**12)
        # The asker's own case ends first; a hostile asker sends all the same.
    elif cause == "withdrawn":
        await pair.owner.state.store.commit(
            [], [Change("entry.withdraw", {"list": "PERSONS", "entry_id": "WPAN0000", "at_ns": NOW_NS})]
        )
    elif cause == "tagged":
        line = TagChange(ProtectionTag.WITNESS, True, NOW_NS, "SRC")
        await pair.owner.put(replace(WANTED, person=person("PAN"), history=(line,)))
    elif cause == "policy":
        pair.owner.state.rule(lambda question: Deny(("purpose_not_offered",)))
    elif cause == "wrong peer":
        message: list[OpenCase] = []
        pair.asker.post.bend = lambda one: message.append(one) or one  # type: ignore[func-returns-value]
        pair.asker.post.lost = 1
        with pytest.raises(PeerUnreachable):
            await pair.asker.send(number)
        with pytest.raises(NotFoundOrNotPermitted, match="no such case"):
            await deliver.receive_open(GTM, replace(message[0], case_id=b"g" * 16), Came(b"h" * 64), pair.owner.world())
        return
    await pair.asker.send(number)
    assert (pair.asker.where(number), pair.asker.case(number).refusal) == ("REFUSED", "R11")
    assert list(pair.owner.state.store.cases()) == []


async def test_an_opening_derives_the_handles_of_new_entries_only_and_forgets_those_withdrawn() -> None:
    pair = await desks()
    handles, book = Handles(), pair.owner.state.store
    asked: list[int] = []

    class Counting:
        async def handles(self, scope: KeyScope, entry_ids: Sequence[str]) -> list[bytes]:
            asked.append(len(entry_ids))
            return await pair.owner.state.keys.handles(scope, entry_ids)

    world = replace(pair.owner.world(), keys=Counting())  # type: ignore[arg-type]
    scope = KeyScope(HND, ListId.PERSONS, PurposeGroup("WATCH"), EpochId("20261102-00000001"), PAN)
    for number in range(3):
        await pair.owner.put(entry(entry_id=f"W{number}", originator=HND))
    (wanted,) = await pair.owner.state.keys.handles(scope, ["W1"])
    assert await handles.entry_id(wanted, scope, ListId.PERSONS, world) == "W1"
    assert await handles.entry_id(wanted, scope, ListId.PERSONS, world) == "W1"
    await pair.owner.put(entry(entry_id="W9", originator=HND))
    assert await handles.entry_id(bytes(8), scope, ListId.PERSONS, world) is None
    total = len(book.entry_ids(ListId.PERSONS))
    assert asked == [total - 1, 1]
    # Another epoch's handles are others.
    later = replace(scope, epoch=EpochId("20261202-00000002"))
    assert await handles.entry_id(wanted, later, ListId.PERSONS, world) is None
    assert asked == [total - 1, 1, total]


async def test_a_token_opens_one_case_however_often_it_comes() -> None:
    pair = await desks()
    number = await pair.requested()
    kept: list[OpenCase] = []
    pair.asker.post.bend = lambda one: kept.append(one) or one  # type: ignore[func-returns-value]
    pair.asker.post.lost = 2
    for _ in range(2):
        with pytest.raises(PeerUnreachable):
            await pair.asker.send(number)
    await pair.asker.send(number)
    assert pair.asker.where(number) == "ACKNOWLEDGED" and len(list(pair.owner.state.store.cases())) == 1
    # Under another number, also with the persons' words about that number: the token is used.
    case = replace(pair.asker.case(number), case_id=b"n" * 16)
    signed = (
        pair.asker.sign("desk-1", "confirm", case, code="M1"),
        pair.asker.sign("desk-1", "request", case, fields=case.fields),
    )
    again = replace(kept[0], case_id=case.case_id, signatures=signed)
    with pytest.raises(NotFoundOrNotPermitted):
        await deliver.receive_open(PAN, again, Came(b"h" * 64), pair.owner.world())
    # Other words under the number of the case that is open.
    with pytest.raises(NotFoundOrNotPermitted):
        await deliver.receive_open(PAN, replace(kept[0], fields=("names",)), Came(b"h" * 64), pair.owner.world())
    assert len(list(pair.owner.state.store.cases())) == 1


async def test_a_request_that_comes_again_does_not_show_that_the_record_was_tagged_or_withdrawn() -> None:
    pair = await desks()
    number = await pair.requested()
    kept: list[OpenCase] = []
    pair.asker.post.bend = lambda one: kept.append(one) or one  # type: ignore[func-returns-value]
    await pair.asker.send(number)
    line = TagChange(ProtectionTag.WITNESS, True, NOW_NS, "SRC")
    await pair.owner.put(replace(WANTED, person=person("PAN"), history=(line,)))
    pair.clock.pass_ns(2 * DAY_NS)
    assert await deliver.receive_open(PAN, kept[0], Came(b"h" * 64), pair.owner.world()) > 0


async def test_a_candidate_origin_hears_nothing_before_a_screening() -> None:
    pair = await desks(OF_HND)
    number = await pair.hit("HND")
    with pytest.raises(PolicyDenied, match="screening"):
        await pair.asker.do("desk-1", "confirm", number)
    with pytest.raises(PolicyDenied, match="role"):
        await pair.asker.do("desk-1", "screen", number, code="CLEAR")
    await pair.asker.do("protection", "screen", number, code="PROTECTED")
    assert pair.asker.where(number) == "DISMISSED" and pair.asker.case(number).ticket == b""
    assert pair.asker.post.bodies == [] and list(pair.owner.state.store.cases()) == []

    pair = await desks(OF_HND)
    number = await pair.hit("HND")
    await pair.asker.do("protection", "screen", number, code="CLEAR")
    assert (await pair.asker.do("desk-1", "confirm", number)).state.value == "CONFIRMED"


# -- Deciding again at the moment of sending (T5) ---------------------------------------------------------------------


async def test_a_tag_set_after_the_approval_freezes_and_the_peer_sees_silence() -> None:
    pair = await desks(entry(originator=HND, person=person("VEN", residence_countries=("PAN",))))
    number = await pair.approved()
    listed = entry(originator=HND, person=person("VEN", residence_countries=("PAN",)))
    await pair.owner.put(replace(listed, history=(TagChange(ProtectionTag.WITNESS, True, NOW_NS, "SRC"),)))
    with pytest.raises(NotFoundOrNotPermitted):
        await pair.owner.send(number)
    assert pair.owner.where(number) == "FROZEN" and pair.owner.post.bodies == []
    pair.clock.pass_ns(DAY_NS + 1)
    await disclose.expire(pair.asker.world())
    assert pair.asker.where(number) == "NO_REPLY"


async def test_a_record_that_changed_goes_back_to_people() -> None:
    pair = await desks()
    number = await pair.approved()
    await pair.owner.put(replace(WANTED, decision="J-2026-99"))
    with pytest.raises(VersionMoved):
        await pair.owner.send(number)
    assert pair.owner.where(number) == "UNDER_REVIEW" and pair.owner.post.bodies == []


async def test_rules_that_changed_after_the_approval_stop_it() -> None:
    pair = await desks()
    number = await pair.approved()
    rules, pair.owner.state.policy = pair.owner.state.policy, pair.owner.state.rule(lambda question: Deny(("role",)))
    with pytest.raises(PolicyDenied):
        await pair.owner.send(number)
    assert pair.owner.where(number) == "GRANTED" and pair.owner.post.bodies == []
    pair.owner.state.policy = rules
    await pair.owner.send(number)
    assert pair.owner.where(number) == "DELIVERED"


@pytest.mark.parametrize("what", ["record", "case"])
async def test_what_changes_between_decision_and_entry_stops_the_message(what: str) -> None:
    pair = await desks()
    number = await pair.approved()
    ledger = pair.owner.state.uow

    def change() -> None:
        ledger.before_commit = lambda: None
        tables = pair.owner.state.store._tables
        if what == "record":
            tables.listed["PERSONS", "WPAN0000"] = replace(WANTED, decision="J-2").encode()
        else:
            tables.cases[number] = {**tables.cases[number], "version": tables.cases[number]["version"] + 1}

    ledger.before_commit = change
    with pytest.raises(VersionMoved):
        await pair.owner.send(number)
    assert pair.owner.post.bodies == []


async def test_another_recipient_than_was_signed_for_gets_nothing() -> None:
    pair = await desks()
    number = await pair.approved()
    world = replace(pair.owner.world(), case_key_of=lambda code: b"k" * 32)
    with pytest.raises(VersionMoved):
        await deliver.send(number, world)
    assert pair.owner.where(number) == "UNDER_REVIEW" and pair.owner.post.bodies == []


# -- Lines and logs that fail -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [False, True])
async def test_a_partition_delays_and_neither_loses_nor_doubles(lost: bool) -> None:
    pair = await desks()
    number = await pair.approved()
    pair.owner.post.down, pair.owner.post.lost = not lost, int(lost)
    with pytest.raises(PeerUnreachable):
        await pair.owner.send(number)
    assert pair.owner.case(number).outbound is Outbound.DECISION
    pair.owner.post.down = False
    await pair.owner.send(number)
    events = [step.event.value for step in pair.asker.case(number).history]
    assert events.count("GRANT") == 1 and pair.owner.where(number) == "DELIVERED"


@pytest.mark.parametrize("refused", [False, True])
async def test_a_decision_waits_until_witnesses_have_seen_the_log(refused: bool) -> None:
    pair = await desks()
    number = await (pair.opened() if refused else pair.approved())
    if refused:
        await pair.owner.do("desk-1", "refuse", number, code="R05")
    bodies = list(pair.owner.post.bodies)
    pair.owner.witnessed = False
    with pytest.raises(WitnessesSilent):
        await pair.owner.send(number)
    assert pair.owner.post.bodies == bodies and pair.owner.case(number).outbound is Outbound.DECISION
    pair.owner.witnessed = True
    await pair.owner.send(number)
    assert pair.owner.where(number) == "DELIVERED"


@pytest.mark.parametrize("step", ["open", "decision", "close"])
async def test_without_a_log_nothing_leaves_and_a_later_try_brings_it_all(step: str) -> None:
    """The log fails at each commit of the step in turn, on each side."""
    for side in ("asker", "owner"):
        for number_of_commit in (1, 2, 3):
            pair = await desks()
            if step == "open":
                number, sender = await pair.requested(), pair.asker
            else:
                number, sender = await pair.approved(), pair.owner
            if step == "close":
                await pair.owner.send(number)
                await pair.asker.do("desk-1", "outcome", number, code="NOT_FOUND")
                sender = pair.asker
            ledger = getattr(pair, side).state.uow
            ledger.fails_at = {ledger.commits + number_of_commit}
            try:
                await sender.send(number)
            except AuditUnavailable:
                if getattr(pair, side) is sender and number_of_commit == 1:
                    assert sender.post.bodies[1 if step == "close" else 0 :] == []
                ledger.fails_at = set()
                await sender.send(number)
            want = {"open": ("ACKNOWLEDGED", "UNDER_REVIEW"), "decision": ("GRANTED", "DELIVERED"),
                    "close": ("CLOSED", "CLOSED")}[step]  # fmt: skip
            assert (pair.asker.where(number), pair.owner.where(number)) == want


async def test_a_withdrawal_crosses_a_decision_and_both_sides_end() -> None:
    pair = await desks()
    number = await pair.approved()
    await pair.asker.do("desk-1", "withdraw", number)
    await pair.owner.send(number)
    await pair.asker.send(number)
    assert (pair.asker.where(number), pair.owner.where(number)) == ("CLOSED", "CLOSED")
    assert pair.asker.case(number).sealed == ()


# -- A hostile owner --------------------------------------------------------------------------------------------------


def _decision(**changes: Any) -> Callable[[Decision], Decision]:
    return lambda message: replace(message, **changes)


@pytest.mark.parametrize(
    "bend",
    [
        lambda message: replace(message, signatures=message.signatures[:1]),
        lambda message: replace(message, signatures=(message.signatures[0],) * 2),
        lambda message: replace(message, sealed=message.sealed[:-1]),
        lambda message: replace(message, sealed=(message.sealed[0] + b"x", *message.sealed[1:])),
        lambda message: replace(message, record_version=message.record_version + 1),
        _decision(refusal="R09"),
        _decision(refusal="R99"),
        _decision(refusal="R01"),
    ],
)
async def test_a_decision_that_two_persons_did_not_sign_is_not_taken(bend: Callable[[Decision], Decision]) -> None:
    pair = await desks()
    number = await pair.approved()
    pair.owner.post.bend = bend
    await pair.owner.send(number)
    assert pair.asker.where(number) == "ACKNOWLEDGED" and pair.asker.case(number).sealed == ()


async def test_what_nobody_follows_ends_by_itself_and_releases_nothing() -> None:
    pair = await desks()
    left, asked = await pair.hit(), await pair.opened()
    await pair.owner.do("desk-1", "prepare", asked, "names")
    pair.clock.pass_ns(DAY_NS + 1)
    with pytest.raises(PolicyDenied, match="case_state"):
        await pair.owner.do("desk-2", "approve", asked)
    await asyncio.gather(disclose.expire(pair.asker.world()), disclose.expire(pair.owner.world()))
    assert (pair.asker.where(left), pair.asker.case(left).ticket) == ("DISMISSED", b"")
    assert (pair.asker.where(asked), pair.owner.where(asked)) == ("NO_REPLY", "NO_REPLY")


async def test_an_inbox_reads_no_more_cases_than_it_shows_and_asks_the_store_for_the_rest() -> None:
    pair = await desks()
    numbers = [await pair.hit() for _ in range(4)]
    await pair.asker.do("desk-1", "confirm", numbers[0])
    world, read, asked = pair.asker.world(), list[bytes](), list[dict[str, Any]]()

    class Counted:
        """The store, and what is taken of it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(pair.asker.state.store, name)

        def cases(self, due: bool = False, **narrowed: Any) -> Iterator[bytes]:
            asked.append({"due": due, **narrowed})
            for body in pair.asker.state.store.cases(due, **narrowed):
                read.append(body)
                yield body

    world = replace(world, book=Counted())
    officer = pair.asker.officer("desk-1")
    assert len(await disclose.inbox(officer, world, most=2)) == 2 and len(read) == 2
    read.clear()
    (mine,) = await disclose.inbox(officer, world, mine=True)
    assert mine.case_id == numbers[0] and len(read) == 1
    assert len(await disclose.inbox(officer, world, states=("CANDIDATE",))) == 3
    assert asked == [
        {"due": False, "officer": "", "states": ()},
        {"due": False, "officer": "desk-1", "states": ()},
        {"due": False, "officer": "", "states": ("CANDIDATE",)},
    ]
