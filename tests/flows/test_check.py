"""Asking other states: what an officer learns, and what never reads as nothing (docs/flows/check.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from gateway import ports
from gateway.errors import (
    AuditUnavailable,
    BaselineOutdated,
    CapabilityMissing,
    EpochRefused,
    GatewayError,
    InputRefused,
    NotFoundOrNotPermitted,
    PeerSuspended,
    PolicyDenied,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
    VersionMoved,
)
from gateway.flows import check
from gateway.flows.publish import keys_of
from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Person
from gateway.policy.decision import Deny
from gateway.primitives import aead
from gateway.pseudonym import label, matchkeys, oprf, schedule
from gateway.pseudonym import table as tables
from gateway.pseudonym.key import MatchKey
from gateway.terms import Action, Hidden, KeyType, ListId, MatchClass, Outcome, RecordKind, RequestId, Role
from gateway.terms.exchange import CheckReply
from gateway.terms.ids import EpochId, OfficerId
from tests.flows import world as w
from tests.flows.world import GTM, HND, PAN, STATUS, UTO, WATCH, WATCH_GROUP, World
from tests.support.entries import DAY_NS, entry, lost

pytestmark = pytest.mark.asyncio

ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12")
IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
PAPERS = w.passport("VEN", "T55637667")

WANTED = entry(entry_id="W1", originator=HND, person=ROSA, documents=(PAPERS,), contact=3)
REFUSED_ENTRY = entry(entry_id="R1", originator=UTO, person=ROSA, kind=RecordKind.REFUSE_ENTRY)
STOLEN = lost("HND", entry_id="D1", originator=HND, documents=(w.passport("HND", "H1234567"),))


async def two(*listed: Any, **rest: Any) -> World:
    """PAN and HND, which lists Rosa."""
    return await World.exchanging(PAN, HND, listed={HND: listed or (WANTED,)}, **rest)


async def three(**rest: Any) -> World:
    """PAN, HND and UTO; both others list Rosa."""
    return await World.exchanging(PAN, HND, UTO, listed={HND: [WANTED], UTO: [REFUSED_ENTRY]}, **rest)


# -- What is found ----------------------------------------------------------------------------------------------------


async def test_a_document_that_is_listed_is_a_hit_and_says_what_to_do_and_whom_to_call() -> None:
    world = await two()
    answer = await world[PAN].ask(w.traveller(None, PAPERS))
    (hit,) = answer.hits
    assert (answer.outcome, answer.complete, answer.refused) == (Outcome.HIT, True, ())
    assert (hit.owner, hit.match, hit.kind, hit.action) == (
        HND, MatchClass.DOCUMENT, RecordKind.WANTED_ARREST, Action.WAIT_FOR_OWNER,
    )  # fmt: skip
    assert (hit.contact, hit.traveller) == (3, 0)
    assert hit.reference.startswith("HND-") and "W1" not in hit.reference


async def test_a_person_is_found_by_name_and_date_in_another_spelling_and_order() -> None:
    world = await two()
    by_year = await world[PAN].ask(w.traveller(w.person("PAZ MALDONADO", "Rosa", "1984")))
    by_sound = await world[PAN].ask(w.traveller(w.person("MALDONADU", "ROSSA", "1984-08-12")))
    assert [hit.match for hit in by_year.hits] == [MatchClass.NAME_AND_YEAR]
    assert [hit.match for hit in by_sound.hits] == [MatchClass.NAME_SOUND_AND_DATE]


async def test_two_keys_that_meet_one_entry_are_one_hit_of_the_stronger_class() -> None:
    world = await two()
    (hit,) = (await world[PAN].ask(w.traveller(ROSA, PAPERS))).hits
    assert hit.match is MatchClass.DOCUMENT
    (by_name,) = (await world[PAN].ask(w.traveller(ROSA))).hits
    assert by_name.match is MatchClass.NAME_AND_YEAR
    assert by_name.reference == hit.reference


async def test_two_owners_who_list_one_person_are_two_hits_under_references_that_differ() -> None:
    world = await three()
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert [hit.owner for hit in answer.hits] == [HND, UTO]
    assert len({hit.reference.partition("-")[2] for hit in answer.hits}) == 2


async def test_hits_name_the_traveller_by_place_in_the_question() -> None:
    world = await two(WANTED, entry(entry_id="W2", originator=HND, person=IVAN))
    answer = await world[PAN].ask(w.traveller(IVAN), w.traveller(w.person("NOBODY", "ANN")), w.traveller(ROSA))
    assert [hit.traveller for hit in answer.hits] == [0, 2]


async def test_somebody_nobody_lists_is_nothing_to_report_and_complete() -> None:
    world = await three()
    answer = await world[PAN].ask(w.traveller(w.person("NOBODY", "ANN"), w.passport("COL", "X1")))
    assert (answer.outcome, answer.hits, answer.complete) == (Outcome.NOTHING_TO_REPORT, (), True)


async def test_a_hit_whose_validity_ended_after_the_table_was_made_is_not_shown() -> None:
    world = await two(entry(originator=HND, person=ROSA, valid_until=date(2026, 11, 25)))
    assert len((await world[PAN].ask(w.traveller(ROSA))).hits) == 1
    world.clock.pass_ns(DAY_NS)
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.hits, answer.complete) == ((), True)


async def test_an_owner_the_person_may_have_fled_from_asks_for_a_screening_first() -> None:
    world = await two()
    for nationality, screened in (("VEN", False), ("HND", True), ("XXX", True)):
        (hit,) = (await world[PAN].ask(w.traveller(replace(ROSA, nationalities=(nationality,))))).hits
        assert hit.screening_required is screened


# -- The status of a document -----------------------------------------------------------------------------------------


async def test_a_lost_document_shows_its_kind_and_nothing_of_a_holder() -> None:
    world = await two(WANTED, STOLEN)
    (hit,) = (await world[PAN].ask(w.traveller(None, w.passport("HND", "h-123 4567")), purpose=STATUS)).hits
    assert (hit.kind, hit.action) == (RecordKind.LOST_STOLEN, Action.HOLD_DOCUMENT_SECOND_LINE)


async def test_a_document_that_is_not_listed_is_nothing_to_report_which_is_no_statement_of_validity() -> None:
    world = await two(WANTED, STOLEN)
    answer = await world[PAN].ask(w.traveller(None, w.passport("HND", "H7654321")), purpose=STATUS)
    assert (answer.outcome, answer.complete, answer.refused) == (Outcome.NOTHING_TO_REPORT, True, ())


async def test_the_lists_of_two_purposes_do_not_meet() -> None:
    world = await two(WANTED, STOLEN)
    assert (await world[PAN].ask(w.traveller(None, w.passport("HND", "H1234567")))).hits == ()
    assert (await world[PAN].ask(w.traveller(None, PAPERS), purpose=STATUS)).hits == ()


async def test_the_status_of_a_document_is_asked_without_the_name_beside_it() -> None:
    world = await two(WANTED, STOLEN)
    await world[PAN].ask(w.traveller(ROSA, PAPERS), purpose=STATUS)
    (intent, _) = world[PAN].leaves("check.ask")
    assert len(world[PAN].opened(intent)["keys"]) == 1


# -- Order ------------------------------------------------------------------------------------------------------------


async def test_every_leg_is_in_the_log_before_the_first_byte_leaves_and_again_before_the_answer_is_told() -> None:
    world = await three()
    await world[PAN].ask(w.traveller(ROSA))
    journal = world.journal
    intents = [place for place, line in enumerate(journal) if line == "PAN logs check.ask intent"]
    sent = [place for place, line in enumerate(journal) if line.startswith("PAN to ")]
    outcomes = [place for place, line in enumerate(journal) if line == "PAN logs check.ask outcome"]
    assert intents == [0, 1]
    assert len(sent) == 2 and min(sent) == 2
    assert outcomes == [len(journal) - 2, len(journal) - 1]
    assert world[PAN].uow.commits - 2 == len(world[PAN].logged("table.received"))


async def test_without_its_intent_in_the_log_nothing_is_asked() -> None:
    world = await two()
    world[PAN].uow.fails_at = {world[PAN].uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await world[PAN].ask(w.traveller(ROSA))
    assert world.sent == []


async def test_without_its_outcome_in_the_log_nothing_is_told_and_nothing_kept() -> None:
    world = await two()
    world[PAN].uow.fails_at = {world[PAN].uow.commits + 2}
    request_id = RequestId(b"q" * 16)
    with pytest.raises(AuditUnavailable):
        await world[PAN].ask(w.traveller(ROSA), request_id=request_id)
    assert world[PAN].store.home_reply(request_id) is None


async def test_the_answer_leaves_on_a_tick_counted_from_arrival() -> None:
    world = await two()
    world.line(PAN, HND).during = lambda: world.clock.pass_ns(23_456_789)
    arrived = world.clock.monotonic
    await world[PAN].ask(w.traveller(ROSA))
    assert world.clock.waited_until == [arrived + 30_000_000]


async def test_rules_that_move_before_anything_is_sent_stop_the_question() -> None:
    world = await two()
    await world[PAN].store.commit(
        [], [ports.Change("policy.activate", {"layer": "national", "digest": b"n" * 32, "sequence": 2})]
    )
    with pytest.raises(VersionMoved):
        await world[PAN].ask(w.traveller(ROSA))
    assert world.sent == []


async def test_a_peer_suspended_between_decision_and_sending_is_not_asked() -> None:
    world = await three()
    around = world[PAN].asking()
    await world[PAN].store.commit([], [ports.Change("peer.suspend", {"peer": UTO, "suspended": True})])
    with pytest.raises(VersionMoved):
        await check.ask(world[PAN].inquiry(w.traveller(ROSA)), world[PAN].officer(), around)
    assert world.sent == []
    assert [hit.owner for hit in (await world[PAN].ask(w.traveller(ROSA))).hits] == [HND]


# -- Our own rules ----------------------------------------------------------------------------------------------------


async def test_a_question_our_own_rules_deny_reveals_nothing_and_is_logged_for_each_owner() -> None:
    world = await three()
    world[PAN].rule(lambda question: Deny(("purpose_not_agreed",)))
    with pytest.raises(PolicyDenied) as caught:
        await world[PAN].ask(w.traveller(ROSA))
    assert caught.value.reasons == ("purpose_not_agreed",)
    assert world.sent == []
    denied = world[PAN].leaves("check.denied")
    assert [(one.peer, one.public["reasons"]) for one in denied] == [
        (HND, "purpose_not_agreed"), (UTO, "purpose_not_agreed"),
    ]  # fmt: skip
    assert world[PAN].opened(denied[0]) == {"officer": "P-77", "case": "shift 12"}


async def test_a_denial_that_cannot_be_logged_is_not_told() -> None:
    world = await two()
    world[PAN].rule(lambda question: Deny(("purpose_not_agreed",)))
    world[PAN].uow.fails_at = {world[PAN].uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await world[PAN].ask(w.traveller(ROSA))


async def test_an_owner_our_rules_leave_out_is_named_and_the_others_are_asked() -> None:
    world = await three()
    rules = world[PAN].policy
    world[PAN].rule(
        lambda question: Deny(("no_agreement",)) if question.owner == UTO else w.now(rules.decide(question))
    )
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert answer.refused == ((UTO, ("no_agreement",)),)
    assert [hit.owner for hit in answer.hits] == [HND]
    assert world.checks(UTO) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"purpose": "SEC.DISCREET"},
        {"purpose": "FAM.LINK"},
        {"purpose": "NO.SUCH"},
        {"legal_basis": ""},
        {"legal_basis": "a basis of no agreement"},
        {"legal_basis": "EU Dir. 2003/86 (as model)"},
    ],
    ids=str,
)
async def test_the_shipped_rules_permit_nothing_but_what_is_agreed(asked: dict[str, Any]) -> None:
    world = await two()
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(ROSA, PAPERS), **asked)
    assert world.sent == []


async def test_the_owner_is_told_the_first_role_that_the_rules_permit_and_no_other() -> None:
    world = await two()
    me = world[PAN]
    await me.ask(w.traveller(ROSA), officer=me.officer(Role.LIST_OFFICER, Role.BORDER_SECONDLINE))
    assert world.checks(HND)[0].request().role is Role.BORDER_SECONDLINE
    with pytest.raises(PolicyDenied):
        await me.ask(w.traveller(ROSA), officer=me.officer(Role.LIST_OFFICER, Role.OPERATOR))
    with pytest.raises(PolicyDenied):
        await me.ask(w.traveller(ROSA), officer=replace(me.officer(), roles=()))


async def test_a_suspended_peer_is_refused_aloud_and_not_asked() -> None:
    world = await three()
    await world[PAN].store.commit([], [ports.Change("peer.suspend", {"peer": UTO, "suspended": True})])
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.refused, [hit.owner for hit in answer.hits]) == (((UTO, ("peer_suspended",)),), [HND])
    assert world.checks(UTO) == []
    assert [(one.peer, one.public["reasons"]) for one in world[PAN].logged("check.denied")] == [(UTO, "peer_suspended")]


async def test_an_officers_allowance_of_the_day_is_charged_before_anything_is_asked() -> None:
    world = await three()
    pan, who = world[PAN], w.traveller(ROSA)
    for _ in range(2):
        await pan.ask(who, checks_per_day=2)
    world.journal.clear()
    with pytest.raises(QuotaExhausted):
        await pan.ask(who, checks_per_day=2)
    assert world.journal == ["PAN logs check.denied event"] * 2
    assert {one.public["reasons"] for one in pan.logged("check.denied")} == {"quota_exhausted"}
    # Another officer has an allowance of his own, and tomorrow there is a new one.
    await pan.ask(who, checks_per_day=2, officer=replace(pan.officer(), officer=OfficerId("P-78")))
    world.clock.pass_ns(DAY_NS)
    await pan.ask(who, checks_per_day=2)
    with pytest.raises(QuotaExhausted):
        await pan.ask(who, who, who, who, travellers_per_day=4)


async def test_fifty_questions_at_once_never_exceed_an_officers_allowance_and_a_replay_is_free() -> None:
    world = await two()
    asked = [world[PAN].inquiry(w.traveller(ROSA)) for _ in range(50)]
    around = replace(world[PAN].asking(), checks_per_day=5)
    results = await asyncio.gather(
        *(check.ask(one, world[PAN].officer(), around) for one in asked), return_exceptions=True
    )
    names = [type(result).__name__ for result in results]
    assert (names.count("CheckAnswer"), names.count("QuotaExhausted")) == (5, 45)
    assert len(world.checks(HND)) == 5
    place = names.index("CheckAnswer")
    assert await check.ask(asked[place], world[PAN].officer(), around) == results[place]


async def test_with_no_peer_there_is_no_answer() -> None:
    world = await two()
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(ROSA), owners=[])


# -- What cannot be asked ---------------------------------------------------------------------------------------------


async def test_a_question_needs_travellers_a_case_and_something_to_ask_about() -> None:
    world = await two(WANTED, STOLEN)
    for travellers, words in (
        ((), {}),
        ((w.traveller(ROSA),) * 1001, {}),
        ((w.traveller(ROSA),), {"case_ref": ""}),
        ((w.traveller(w.person("ROSA", birth="")),), {}),
        ((w.traveller(ROSA),), {"purpose": STATUS}),
    ):
        with pytest.raises(InputRefused):
            await world[PAN].ask(*travellers, **words)
    assert world.sent == [] and world[PAN].logged("check.ask") == []


async def test_words_that_the_log_has_no_room_for_are_refused_before_anything_is_asked() -> None:
    world = await two()
    with pytest.raises(InputRefused) as caught:
        await world[PAN].ask(w.traveller(ROSA), justification=Hidden("\U0001f6c2" * 1024))
    assert caught.value.field == "justification"
    assert world.sent == []


async def test_travellers_without_a_key_take_no_room_in_the_log() -> None:
    # Sixty names without a birth date, which could all be children, beside one document.
    world = await two()
    nameless = [w.traveller(w.person(f"NAME{'ABCDEFGHIJ'[n % 10] * (n // 10 + 1)}", birth="")) for n in range(60)]
    answer = await world[PAN].ask(*nameless, w.traveller(None, PAPERS))
    assert [hit.traveller for hit in answer.hits] == [60]


# -- What never reads as nothing --------------------------------------------------------------------------------------


def _flip(reply: CheckReply, at: int) -> CheckReply:
    proof = bytearray(reply.proof)
    proof[at // 8] ^= 1 << at % 8
    return replace(reply, proof=bytes(proof))


def _swap(reply: CheckReply) -> CheckReply:
    points = oprf.split(reply.evaluated)
    return replace(reply, evaluated=b"".join((points[1], points[0], *points[2:])))


HOSTILE: dict[str, Callable[[CheckReply], CheckReply]] = {
    "first bit of the proof": lambda reply: _flip(reply, 0),
    "last bit of the proof": lambda reply: _flip(reply, 511),
    "two points swapped": _swap,
    "one point twice": lambda reply: replace(reply, evaluated=reply.evaluated[:32] * 8),
    "the identity": lambda reply: replace(reply, evaluated=bytes(32) + reply.evaluated[32:]),
    "bit 255": lambda reply: replace(
        reply, evaluated=reply.evaluated[:31] + bytes([reply.evaluated[31] | 0x80]) + reply.evaluated[32:]
    ),
    "a proof of zeros": lambda reply: replace(reply, proof=bytes(64)),
    "another epoch": lambda reply: replace(reply, epoch=EpochId("20270101-00000000")),
    "a larger class": lambda reply: replace(reply, evaluated=reply.evaluated * 4),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_a_reply_that_does_not_hold_voids_the_whole_leg(how: str) -> None:
    world = await two()
    world.line(PAN, HND).reply = HOSTILE[how]
    answer = await world[PAN].ask(w.traveller(ROSA, PAPERS))
    assert (answer.hits, answer.unreachable, answer.complete) == ((), (HND,), False)
    outcome = world[PAN].logged("check.ask")[-1]
    assert (outcome.public["reply"], outcome.secret["hits"]) == ("unreachable", [])


async def test_a_peer_that_is_down_late_or_without_a_table_is_unreachable_and_the_others_still_tell() -> None:
    world = await three()
    world.line(PAN, UTO).down = True
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.unreachable, [hit.owner for hit in answer.hits]) == ((UTO,), [HND])
    world.line(PAN, UTO).down, world.line(PAN, UTO).stalled = False, True
    answer = await world[PAN].ask(w.traveller(ROSA), timeout_s=0.2, owners=[UTO])
    assert (answer.unreachable, answer.outcome, answer.complete) == ((UTO,), Outcome.NOTHING_TO_REPORT, False)
    assert world[PAN].logged("check.ask")[-1].public["reason"] == "late"
    world[PAN].copies.drop(HND)
    answer = await world[PAN].ask(w.traveller(ROSA), owners=[HND])
    assert (answer.unreachable, answer.complete) == ((HND,), False)


async def test_a_table_past_its_end_is_none() -> None:
    world = await two()
    held = world[PAN].copies.current(HND, ListId.PERSONS, WATCH_GROUP)
    assert held is not None
    world.clock.pass_ns(held.manifest.expires_ns - world.clock.now_ns())
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.unreachable, world.sent) == ((HND,), [])


async def test_a_peer_without_a_key_type_in_common_is_unreachable() -> None:
    world = await two()
    held = world[PAN].copies.current(HND, ListId.PERSONS, WATCH_GROUP)
    assert held is not None
    made = replace(held.manifest, key_types=(), version=2)
    world[PAN].copies.put(HND, await world[HND].signed(made), world[HND].table(PAN))
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.unreachable, world.sent) == ((HND,), [])


@pytest.mark.parametrize(
    "told",
    [EpochRefused("e"), CapabilityMissing("c"), NotFoundOrNotPermitted("n"), RequestReused("r"), VersionMoved("v")],
    ids=lambda told: type(told).__name__,
)
async def test_a_peer_that_cannot_answer_is_unreachable_and_the_others_still_tell(told: GatewayError) -> None:
    world = await three()
    world.line(PAN, UTO).refusal = told
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.unreachable, answer.refused) == ((UTO,), ())
    assert [hit.owner for hit in answer.hits] == [HND]


@pytest.mark.parametrize(
    ("told", "reasons"),
    [
        (PolicyDenied(("quota", "role")), ("quota", "role")),
        (PeerSuspended("s"), ("peer_suspended",)),
        (QuotaExhausted("q"), ("quota_exhausted",)),
        (BaselineOutdated("b"), ("baseline_outdated",)),
    ],
    ids=str,
)
async def test_a_peer_that_refuses_is_named_with_its_reason(told: GatewayError, reasons: tuple[str, ...]) -> None:
    world = await three()
    world.line(PAN, UTO).refusal = told
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert (answer.refused, answer.unreachable) == (((UTO, reasons),), ())
    assert [hit.owner for hit in answer.hits] == [HND]
    with pytest.raises(PolicyDenied) as caught:
        await world[PAN].ask(w.traveller(ROSA), owners=[UTO])
    assert caught.value.reasons == reasons


async def test_a_table_that_changed_under_the_question_is_unreachable() -> None:
    world = await two()
    await world[HND].enlist(entry(entry_id="W9", originator=HND, person=IVAN))
    await world[HND].publish(PAN, purposes=[WATCH])

    def fetch() -> None:
        line.during = lambda: None
        fetching.append(asyncio.ensure_future(world[PAN].fetch(HND, [WATCH])))

    fetching: list[asyncio.Future[list[bool]]] = []
    line = world.line(PAN, HND)
    # The owner takes its time, so that the new table is in place before the answer comes back.
    line.during = fetch
    world[HND].uow.before_commit = lambda: None
    asking = asyncio.ensure_future(world[PAN].ask(w.traveller(ROSA, PAPERS)))
    while not fetching:
        await asyncio.sleep(0)
    answer = await asking
    assert await fetching[0] == [True]
    assert (answer.hits, answer.unreachable) == ((), (HND,))
    assert len((await world[PAN].ask(w.traveller(ROSA, PAPERS))).hits) == 1


def _again(table: bytes, outputs: Sequence[bytes], relabel: Callable[[bytes, bytes], bytes]) -> bytes:
    """A first version's rows of these outputs as a second one has them, each with the label that `relabel` makes."""
    rows = [table[at : at + tables.ENTRY_BYTES] for at in range(tables.HEADER_BYTES, len(table), tables.ENTRY_BYTES)]
    for y in outputs:
        old, new = (schedule.label_row(y, version)[0] for version in (1, 2))
        (place,) = [number for number, row in enumerate(rows) if row[:16] == old]
        rows[place] = new + relabel(y, rows[place][16:])
    return table[: tables.HEADER_BYTES] + b"".join(sorted(rows))


async def _outputs(world: World, *keys: MatchKey) -> list[bytes]:
    held = world[PAN].copies.current(HND, ListId.PERSONS, WATCH_GROUP)
    assert held is not None
    return await world[HND].keys.derive(held.manifest.scope, [key.input.open() for key in keys])


async def test_a_spoiled_label_shows_nowhere_but_sealed_so_that_no_owner_can_make_one_person_incomplete() -> None:
    world = await two()
    outputs = await _outputs(world, *keys_of(WANTED, frozenset(KeyType)))
    # Every label changed by a bit, every tag as it should be.
    spoil = lambda y, sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])  # noqa: E731
    await world[HND].bend_table(PAN, lambda table: _again(table, outputs, spoil))
    assert await world[PAN].fetch(HND, [WATCH]) == [True]
    world.sent.clear()
    answer = await world[PAN].ask(w.traveller(ROSA, PAPERS))
    assert (answer.hits, answer.unreachable, answer.complete) == ((), (), True)
    found = [(one.sender, one.receiver) for one in world.sent]
    world.sent.clear()
    await world[PAN].ask(w.traveller(w.person("NOBODY", "ANN")))
    assert [(one.sender, one.receiver) for one in world.sent] == found == [(PAN, HND), (HND, PAN)]
    assert [one.public["reply"] for one in world[PAN].logged("check.ask") if "reply" in one.public] == [
        "answered", "answered",
    ]  # fmt: skip
    outcomes = [one for one in world[PAN].logged("check.ask") if "reply" in one.public]
    met, missed = (one.secret["hits"] for one in outcomes)
    assert isinstance(met, list) and met and set(met) == {"0:unreadable"}, "the home auditor sees what was met"
    assert missed == []


async def test_a_label_of_a_kind_nobody_knows_is_no_mark_that_its_owner_can_read() -> None:
    world = await two()
    outputs = await _outputs(world, *matchkeys.for_asking(None, [PAPERS], frozenset({KeyType.DOC_1})))

    def bend(table: bytes) -> bytes:
        def unknown(y: bytes, _: bytes) -> bytes:
            key, nonce, aad = label._binding(y, tables.TableView(table).table_id, 2)
            return aead.seal(key, nonce, aad, b"\x63" + bytes(31))

        return _again(table, outputs, unknown)

    await world[HND].bend_table(PAN, bend)
    await world[PAN].fetch(HND, [WATCH])
    answer = await world[PAN].ask(w.traveller(None, PAPERS))
    assert (answer.hits, answer.unreachable, answer.complete) == ((), (), True)


# -- Replays at home --------------------------------------------------------------------------------------------------

AGAIN = {"request_id": RequestId(b"q" * 16), "reply_key": Hidden(b"k" * 32)}


async def test_the_same_question_again_gets_the_same_answer_without_asking_anybody() -> None:
    world = await three()
    first = await world[PAN].ask(w.traveller(ROSA, PAPERS), **AGAIN)
    world.journal.clear()
    arrived = world.clock.monotonic = world.clock.monotonic + 3
    assert await world[PAN].ask(w.traveller(ROSA, PAPERS), **AGAIN) == first
    assert world.journal == []
    # On the tick of its own arrival, like every answer.
    assert (world.clock.waited_until[-1] - arrived) % 10_000_000 == 0


async def test_an_incomplete_answer_stays_incomplete_when_it_is_asked_for_again() -> None:
    world = await three()
    world.line(PAN, UTO).down = True
    world.line(PAN, HND).refusal = QuotaExhausted("q")
    first = await world[PAN].ask(w.traveller(ROSA), **AGAIN)
    world.line(PAN, UTO).down = False
    assert await world[PAN].ask(w.traveller(ROSA), **AGAIN) == first
    assert (first.unreachable, first.refused) == ((UTO,), ((HND, ("quota_exhausted",)),))


async def test_other_words_under_the_same_id_are_refused() -> None:
    world = await two()
    await world[PAN].ask(w.traveller(ROSA), **AGAIN)
    for words in ({"case_ref": "another"}, {"reply_key": Hidden(b"x" * 32)}):
        with pytest.raises(RequestReused):
            await world[PAN].ask(w.traveller(ROSA), **(AGAIN | words))


async def test_a_stored_answer_opens_under_the_clients_own_key_only() -> None:
    world = await two()
    asked = world[PAN].inquiry(w.traveller(ROSA), **AGAIN)
    await check.ask(asked, world[PAN].officer(), world[PAN].asking())
    forged = replace(asked, reply_key=Hidden(b"x" * 32))
    with pytest.raises(VerificationFailed):
        await check.ask(forged, world[PAN].officer(), world[PAN].asking())


async def test_a_stored_answer_has_one_size_for_a_hit_and_a_miss_and_shows_nothing_of_it() -> None:
    world = await three()
    sizes = set()
    for number, who in enumerate((ROSA, w.person("NOBODY", "ANN"))):
        request_id = RequestId(bytes([number]) * 16)
        answer = await world[PAN].ask(w.traveller(who), request_id=request_id)
        stored = world[PAN].store.home_reply(request_id)
        assert stored is not None
        sizes.add(len(stored[1]))
        assert all(hit.reference.encode() not in stored[1] for hit in answer.hits)
    assert len(sizes) == 1


async def test_a_replay_passes_the_gates_again_and_owners_that_they_stop_are_told_of_no_more() -> None:
    world = await three()
    first = await world[PAN].ask(w.traveller(ROSA), **AGAIN)
    assert {hit.owner for hit in first.hits} == {HND, UTO}
    rules = world[PAN].policy
    world[PAN].rule(
        lambda question: Deny(("no_agreement",)) if question.owner == UTO else w.now(rules.decide(question))
    )
    again = await world[PAN].ask(w.traveller(ROSA), **AGAIN)
    assert ([hit.owner for hit in again.hits], again.refused) == ([HND], ((UTO, ("no_agreement",)),))
    world[PAN].policy = rules
    await world[PAN].store.commit([], [ports.Change("peer.suspend", {"peer": HND, "suspended": True})])
    assert [hit.owner for hit in (await world[PAN].ask(w.traveller(ROSA), **AGAIN)).hits] == [UTO]
    world[PAN].rule(lambda question: Deny(("role",)))
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(ROSA), **AGAIN)


async def test_one_question_that_races_with_itself_has_one_stored_answer() -> None:
    world = await two()
    asked = world[PAN].inquiry(w.traveller(ROSA), **AGAIN)
    answers = await asyncio.gather(*(check.ask(asked, world[PAN].officer(), world[PAN].asking()) for _ in range(3)))
    assert answers[0] == answers[1] == answers[2]


# -- Several batches --------------------------------------------------------------------------------------------------


def many(count: int) -> list[check.Traveller]:
    """Travellers with two keys each: a document, and a name with a year."""
    letters = "ABCDEFGHIJ"
    return [
        w.traveller(
            Person(
                names=Hidden((Name(f"FLIGHT {''.join(letters[int(digit)] for digit in str(number))}"),)),
                birth=Hidden(dates.parse("1980")),
                nationalities=("VEN",),
            ),
            w.passport("VEN", f"V{number:06}"),
        )
        for number in range(count)
    ]


async def test_more_than_1280_keys_are_batches_of_one_leg_with_one_charge() -> None:
    flight = many(641)
    last = flight[-1]
    world = await two(
        entry(entry_id="A", originator=HND, documents=(w.passport("VEN", "V000000"),), person=IVAN),
        entry(entry_id="B", originator=HND, person=last.person),
    )
    answer = await world[PAN].ask(*flight)
    assert [(hit.traveller, hit.match) for hit in answer.hits] == [
        (0, MatchClass.DOCUMENT), (640, MatchClass.NAME_AND_YEAR),
    ]  # fmt: skip
    batches = [sent.request() for sent in world.checks(HND)]
    assert [(one.batch, one.batches, one.class_size) for one in batches] == [(0, 2, 1280), (1, 2, 1280)]
    assert len({one.leg_id for one in batches}) == 1
    assert len({one.seed_commitment for one in batches}) == 2
    assert len(set(oprf.split(batches[0].blinded + batches[1].blinded))) == 2560
    day = world.clock.now_ns() // DAY_NS
    assert world[HND].store.quota_used(PAN, ListId.PERSONS, WATCH_GROUP, day) == 2560
    assert world[PAN].store.kinds_logged().count(("check.ask", "intent")) == 1
    assert world[HND].store.kinds_logged().count(("check.answer", "outcome")) == 2


async def test_a_later_batch_that_fails_voids_the_hits_of_the_first() -> None:
    flight = many(641)
    world = await two(entry(originator=HND, person=IVAN, documents=(w.passport("VEN", "V000000"),)))
    line = world.line(PAN, HND)
    line.during = lambda: setattr(line, "down", True)
    answer = await world[PAN].ask(*flight)
    assert (answer.hits, answer.unreachable, len(world.replies(HND))) == ((), (HND,), 1)


# -- Sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("travellers", "size"), [(1, 8), (4, 8), (5, 32), (16, 32), (17, 320)])
async def test_only_padded_classes_cross_a_border(travellers: int, size: int) -> None:
    world = await two()
    await world[PAN].ask(*many(travellers))
    (sent,) = world.checks(HND)
    assert sent.request().class_size == size


async def test_a_hit_leaves_no_trace_of_its_own_in_what_is_sent_or_logged() -> None:
    world = await World.exchanging(PAN, HND, GTM, listed={HND: [WANTED]})
    for who in (ROSA, w.person("MALDONADO PAZ", "OLGA", "1984-08-12")):
        await world[PAN].ask(w.traveller(who, PAPERS if who is ROSA else w.passport("VEN", "T00000000")))
    for state in (PAN, HND, GTM):
        sizes = [
            (
                one.kind,
                one.phase,
                one.peer,
                sorted(one.public),
                sorted(one.commitments),
                len(world[state].store.payload(one.seq) or b""),
            )
            for one in (world[state].leaves("check.ask") + world[state].leaves("check.answer"))
        ]
        half = len(sizes) // 2
        assert sizes and sorted(sizes[:half]) == sorted(sizes[half:])
    lengths = [(sent.sender, sent.receiver, len(sent.message.body)) for sent in world.sent]
    assert sorted(lengths[:4]) == sorted(lengths[4:])
