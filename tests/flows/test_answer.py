"""Answering a peer's batch: policy, then log, then answer (docs/flows/answer.md)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway import ports
from gateway.errors import (
    AuditUnavailable,
    BaselineOutdated,
    EpochRefused,
    GatewayError,
    Malformed,
    PeerSuspended,
    PolicyDenied,
    QuotaExhausted,
    RequestReused,
    VersionMoved,
)
from gateway.federation import envelope
from gateway.flows import answer
from gateway.policy import catalogue
from gateway.policy.decision import Deny
from gateway.pseudonym import batch, oprf
from gateway.rpc.convert import peers as convert
from gateway.terms import BATCH_CLASSES, KeyType, ListId, PeerId, Purpose, RequestId, Role
from gateway.terms.exchange import Came, CheckRequest, SignedMessage
from gateway.terms.ids import AgencyId, EpochId, PurposeGroup
from tests.flows import world as w
from tests.flows.world import HND, PAN, WATCH, WATCH_GROUP, State, World
from tests.support.entries import DAY_NS, entry

pytestmark = pytest.mark.asyncio


async def exchange(**rules: Any) -> World:
    """PAN holds HND's table."""
    return await World.exchanging(PAN, HND, listed={HND: [entry(originator=HND)]}, **rules)


def request(world: World, class_size: int = 8, seed: bytes = b"s" * 32, **changes: Any) -> CheckRequest:
    """PAN's batch of dummies to HND, as its flow would make it."""
    held = world[PAN].copies.current(HND, ListId.PERSONS, WATCH_GROUP)
    assert held is not None
    versions = world[PAN].policy.versions()
    values: dict[str, Any] = {
        "leg_id": RequestId(b"L" * 16),
        "batch": 0,
        "batches": 1,
        "asker": PAN,
        "owner": HND,
        "agency": AgencyId("SNM"),
        "role": Role.BORDER_FRONTLINE,
        "purpose": WATCH,
        "legal_basis": "bilateral agreement",
        "list_id": ListId.PERSONS,
        "group": WATCH_GROUP,
        "epoch": held.manifest.scope.epoch,
        "key_types": catalogue.key_types_of(WATCH),
        "known_version": 1,
        "blinded": batch.blinded_elements([], seed, class_size),
        "seed_commitment": batch.seed_commitment(seed),
        "pair_seq": 1,
        "baseline_digest": versions.baseline,
        "national_digest": versions.national,
        "permit_expires_ns": world.clock.now_ns() + 10**9,
    }
    return CheckRequest(**(values | changes))


async def answered(owner: State, asked: CheckRequest) -> SignedMessage:
    body = convert.encode_check_request(asked)
    return await answer.answer(asked, Came(envelope.body_hash(body)), owner.answering())


def used(owner: State) -> int:
    day = owner.world.clock.now_ns() // DAY_NS
    return owner.store.quota_used(PAN, ListId.PERSONS, WATCH_GROUP, day)


async def refused(owner: State, asked: CheckRequest, error: type[GatewayError]) -> GatewayError:
    """The batch is refused; the refusal is the only entry, and nothing was evaluated or charged."""
    owner.world.journal.clear()
    before = used(owner)
    with pytest.raises(error) as caught:
        await answered(owner, asked)
    assert owner.world.journal == [f"{HND} logs check.refused event"]
    assert owner.store.entries[-1].public["reason"] == error.row.reason
    assert owner.store.entries[-1].peer == PAN
    assert used(owner) == before
    return caught.value


# -- Policy, log, answer ----------------------------------------------------------------------------------------------


async def test_the_intent_is_durable_before_anything_is_evaluated_and_the_outcome_before_the_reply_leaves() -> None:
    world = await exchange()
    await world[PAN].ask(w.traveller(w.person("MALDONADO", "ROSA")))
    assert world.journal == [
        "PAN logs check.ask intent",
        "PAN to HND: Check",
        "HND logs check.answer intent",
        "HND evaluates",
        "HND logs check.answer outcome",
        "HND to PAN: Check",
        "PAN logs check.ask outcome",
    ]


@pytest.mark.parametrize("number", [1, 2])
async def test_a_commit_that_fails_lets_no_answer_leave(number: int) -> None:
    world = await exchange()
    owner = world[HND]
    owner.uow.fails_at = {owner.uow.commits + number}
    with pytest.raises(AuditUnavailable):
        await answered(owner, request(world))
    assert ("HND evaluates" in world.journal) == (number == 2)
    assert world.journal[-1] == "HND cannot log"
    assert owner.store.find(PAN, convert.CHECK, RequestId(b"L" * 16), 0) is None


async def test_a_refusal_that_cannot_be_logged_is_not_told() -> None:
    world = await exchange()
    owner = world[HND]
    owner.rule(lambda question: Deny(("purpose_not_agreed",)))
    owner.uow.fails_at = {owner.uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await answered(owner, request(world))


async def test_what_the_owners_rules_deny_is_told_with_its_reasons_and_logged() -> None:
    world = await exchange()
    world[HND].rule(lambda question: Deny(("agreement_not_in_force", "purpose_not_agreed")))
    refusal = await refused(world[HND], request(world), PolicyDenied)
    assert getattr(refusal, "reasons") == ("agreement_not_in_force", "purpose_not_agreed")  # noqa: B009
    assert world[HND].store.entries[-1].public["reasons"] == "agreement_not_in_force,purpose_not_agreed"


async def test_no_question_of_the_rules_holds_anything_of_a_person() -> None:
    world = await exchange()
    rules = world[HND].rule(w.everything)
    await world[PAN].ask(w.traveller(w.person("MALDONADO", "ROSA"), w.passport("VEN", "T99")))
    (question,) = rules.asked
    assert (question.asker, question.owner, question.class_size) == (PAN, HND, 8)
    assert "MALDONADO" not in repr(question) and "T99" not in repr(question)


# -- Gates ------------------------------------------------------------------------------------------------------------


async def test_a_suspended_peer_is_refused_at_the_next_call_before_the_rules_are_asked() -> None:
    world = await exchange()
    rules = world[HND].rule(w.everything)
    await world[HND].store.commit([], [ports.Change("peer.suspend", {"peer": PAN, "suspended": True})])
    await refused(world[HND], request(world), PeerSuspended)
    assert rules.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"group": PurposeGroup("DOCUMENT")},
        {"list_id": ListId.DOCUMENTS},
        {"purpose": Purpose("DOC.STATUS"), "group": PurposeGroup("WATCH")},
        {"purpose": Purpose("FAM.LINK")},
        {"purpose": Purpose("MISS.CHILD")},
    ],
    ids=str,
)
async def test_a_purpose_reaches_only_its_own_groups_list_whatever_the_rules_say(wrong: dict[str, Any]) -> None:
    world = await exchange()
    rules = world[HND].rule(w.everything)
    refusal = await refused(world[HND], request(world, **wrong), PolicyDenied)
    assert getattr(refusal, "reasons") == ("purpose_group",)  # noqa: B009
    assert rules.asked == []


async def test_a_batch_for_another_state_is_refused() -> None:
    world = await exchange()
    await refused(world[HND], request(world, owner=PeerId("UTO")), PolicyDenied)


async def test_another_regional_baseline_is_refused_by_name() -> None:
    world = await exchange()
    await refused(world[HND], request(world, baseline_digest=b"x" * 32), BaselineOutdated)


async def test_only_the_epoch_in_force_is_evaluated_and_only_until_it_ends() -> None:
    world = await exchange()
    owner = world[HND]
    await refused(owner, request(world, epoch=EpochId("20260101-00000000")), EpochRefused)
    held = owner.store.epoch(PAN)
    assert held is not None
    world.clock.pass_ns(held[1] - world.clock.now_ns() - 1)
    await answered(owner, request(world))
    world.clock.pass_ns(1)
    await refused(owner, request(world, leg_id=RequestId(b"M" * 16)), EpochRefused)


async def test_a_key_type_that_is_not_the_purposes_is_refused_whatever_the_rules_say() -> None:
    world = await exchange()
    world[HND].rule(w.everything)
    for wrong in ((KeyType.MET2_YEAR_1,), (*catalogue.key_types_of(WATCH), KeyType.MET2_YEAR_1)):
        refusal = await refused(world[HND], request(world, key_types=wrong), PolicyDenied)
        assert "key_type" in getattr(refusal, "reasons")  # noqa: B009


async def test_another_peers_epoch_is_refused() -> None:
    world = await exchange()
    owner = world[HND]
    theirs = {"peer": PeerId("UTO"), "epoch": "20270101-00000001", "expires_ns": 1 << 62}
    for name in ("epoch.put", "epoch.open"):
        await owner.store.commit([], [ports.Change(name, theirs)])
        await refused(owner, request(world, epoch=EpochId("20270101-00000001")), EpochRefused)


async def test_a_pending_and_a_retired_epoch_are_evaluated_until_they_end() -> None:
    world = await exchange()
    owner = world[HND]
    active, following = request(world).epoch, EpochId("20270101-00000001")
    now = world.clock.now_ns()
    await owner.keys.open_epoch(PAN, following)
    begin = {"peer": PAN, "epoch": following, "expires_ns": now + 3 * DAY_NS}
    await owner.store.commit([], [ports.Change("epoch.open", begin)])
    await answered(owner, request(world, epoch=following, leg_id=RequestId(b"1" * 16)))
    await owner.store.commit(
        [], [ports.Change("epoch.activate", {"peer": PAN, "epoch": following, "until_ns": now + DAY_NS})]
    )
    world.clock.pass_ns(DAY_NS - 1)
    await answered(owner, request(world, epoch=active, leg_id=RequestId(b"2" * 16)))
    world.clock.pass_ns(1)
    await refused(owner, request(world, epoch=active, leg_id=RequestId(b"3" * 16)), EpochRefused)
    await answered(owner, request(world, epoch=following, leg_id=RequestId(b"4" * 16)))


async def test_an_epoch_whose_key_was_destroyed_is_not_evaluated() -> None:
    world = await exchange()
    await world[HND].keys.destroy(PAN)
    with pytest.raises(EpochRefused):
        await answered(world[HND], request(world))
    assert [one.phase.value for one in world[HND].logged("check.answer")] == ["intent"]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("moved", ["bundle", "peer"])
async def test_a_yes_that_moved_before_its_commit_stores_and_tells_nothing(number: int, moved: str) -> None:
    world = await exchange()
    owner = world[HND]
    change = {
        "bundle": ports.Change("policy.activate", {"layer": "national", "digest": b"n" * 32, "sequence": 2}),
        "peer": ports.Change("peer.suspend", {"peer": PAN, "suspended": True}),
    }[moved]
    at = owner.uow.commits + number

    async def move() -> None:
        await owner.store.commit([], [change])

    owner.uow.before_commit = lambda: w.now(move()) if owner.uow.commits == at else None
    with pytest.raises(VersionMoved if moved == "bundle" else PeerSuspended):
        await answered(owner, request(world))
    assert ("HND evaluates" in world.journal) == (number == 2)
    assert "HND logs check.answer outcome" not in world.journal
    assert owner.store.find(PAN, convert.CHECK, RequestId(b"L" * 16), 0) is None


# -- The batch --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [bytes(32), b"\xff" * 32, bytes(31) + b"\x80", (2**255 - 18).to_bytes(32, "little"), b"\x01" + bytes(31)],
    ids=["identity", "ones", "bit 255", "not reduced", "odd"],
)
async def test_a_batch_with_one_bad_point_is_paid_for_and_not_evaluated(point: bytes) -> None:
    world = await exchange()
    good = request(world).blinded
    with pytest.raises(Malformed):
        await answered(world[HND], request(world, blinded=good[:-32] + point))
    assert used(world[HND]) == 8
    assert "HND logs check.answer outcome" not in world.journal


async def test_one_point_in_every_slot_is_a_batch() -> None:
    world = await exchange()
    message = await answered(world[HND], request(world, blinded=request(world).blinded[:32] * 8))
    evaluated = oprf.split(convert.check_reply(message.body, bytes(64)).evaluated)
    assert len(evaluated) == 8 and len(set(evaluated)) == 1


@pytest.mark.parametrize("size", BATCH_CLASSES[:2])
async def test_a_reply_is_as_long_as_its_class_says(size: int) -> None:
    world = await exchange()
    lengths = set()
    for number in range(3):
        seed = bytes([number]) * 32
        asked = request(world, size, seed, leg_id=RequestId(seed[:16]))
        lengths.add(len((await answered(world[HND], asked)).body))
    assert len(lengths) == 1


# -- Replays ----------------------------------------------------------------------------------------------------------


async def test_the_same_bytes_again_get_the_stored_reply_and_are_charged_once() -> None:
    world = await exchange()
    owner = world[HND]
    first = await answered(owner, request(world))
    world.journal.clear()
    assert await answered(owner, request(world)) == first
    assert world.journal == []
    assert used(owner) == 8


async def test_a_replay_passes_every_gate_again() -> None:
    world = await exchange()
    owner = world[HND]
    await answered(owner, request(world))
    owner.rule(lambda question: Deny(("agreement_not_in_force",)))
    await refused(owner, request(world), PolicyDenied)
    owner.rule(w.everything)
    held = owner.store.epoch(PAN)
    assert held is not None
    await owner.store.commit([], [ports.Change("epoch.put", {"peer": PAN, "epoch": "20270101-00000000",
                                                             "expires_ns": held[1]})])  # fmt: skip
    await refused(owner, request(world), EpochRefused)
    await owner.store.commit([], [ports.Change("peer.suspend", {"peer": PAN, "suspended": True})])
    await refused(owner, request(world), PeerSuspended)


async def test_other_bytes_under_an_id_that_was_answered_are_refused() -> None:
    world = await exchange()
    await answered(world[HND], request(world))
    await refused(world[HND], request(world, seed=b"t" * 32), RequestReused)


async def test_other_bytes_under_an_id_that_was_charged_are_refused_although_nothing_was_answered() -> None:
    world = await exchange()
    owner = world[HND]
    owner.uow.fails_at = {owner.uow.commits + 2}
    with pytest.raises(AuditUnavailable):
        await answered(owner, request(world))
    await refused(owner, request(world, seed=b"t" * 32), RequestReused)
    # The same bytes go on where the log failed, and pay nothing more.
    await answered(owner, request(world))
    assert used(owner) == 8


async def test_a_request_that_races_with_itself_is_charged_once() -> None:
    world = await exchange()
    replies = await asyncio.gather(*(answered(world[HND], request(world)) for _ in range(5)))
    points = {convert.check_reply(reply.body, bytes(64)).evaluated for reply in replies}
    assert len(points) == 1
    assert used(world[HND]) == 8


async def test_two_requests_that_race_for_one_id_give_one_answer() -> None:
    world = await exchange()
    asked = [request(world, seed=bytes([number]) * 32) for number in range(4)]
    results = await asyncio.gather(*(answered(world[HND], one) for one in asked), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["RequestReused"] * 3 + ["SignedMessage"]
    assert world.journal.count("HND evaluates") == 1


# -- Quota ------------------------------------------------------------------------------------------------------------


async def test_fifty_batches_at_once_never_exceed_the_allowance() -> None:
    world = await exchange()
    owner = world[HND]
    owner.rule(lambda question: w.everything(question, slots_per_day=20 * 8))
    asked = [request(world, leg_id=RequestId(bytes([number]) * 16)) for number in range(50)]
    results = await asyncio.gather(*(answered(owner, one) for one in asked), return_exceptions=True)
    names = [type(result).__name__ for result in results]
    assert (names.count("SignedMessage"), names.count("QuotaExhausted")) == (20, 30)
    assert used(owner) == 160
    assert world.journal.count("HND evaluates") == 20
    assert [one.public["reason"] for one in owner.logged("check.refused")] == ["QUOTA_EXHAUSTED"] * 30


async def test_the_first_batch_past_the_allowance_is_refused_until_the_next_day() -> None:
    world = await exchange()
    owner = world[HND]
    owner.rule(lambda question: w.everything(question, slots_per_day=39))
    message = await answered(owner, request(world))
    assert convert.check_reply(message.body, bytes(64)).quota_left == 31
    await refused(owner, request(world, 32, leg_id=RequestId(b"M" * 16)), QuotaExhausted)
    world.clock.pass_ns(DAY_NS)
    await answered(owner, request(world, 32, leg_id=RequestId(b"N" * 16)))
    assert used(owner) == 32


async def test_no_permit_charges_beyond_the_floors_own_limit() -> None:
    world = await exchange()
    world[HND].rule(w.everything)
    message = await answered(world[HND], request(world))
    assert convert.check_reply(message.body, bytes(64)).quota_left == 2_000_000 - 8


async def test_the_first_of_several_batches_pays_for_all_and_no_more_are_taken() -> None:
    world = await exchange()
    owner = world[HND]
    await refused(owner, request(world, batch=1, batches=2), QuotaExhausted)
    await answered(owner, request(world, batch=0, batches=2))
    assert used(owner) == 16
    await answered(owner, request(world, batch=1, batches=2))
    assert used(owner) == 16
    # A leg that declared two batches of 8 has no room for one of 32, nor for a third.
    await refused(owner, request(world, batch=2, batches=3), QuotaExhausted)
    await answered(owner, request(world, batch=0, batches=2, leg_id=RequestId(b"M" * 16)))
    await refused(owner, request(world, 32, batch=1, batches=2, leg_id=RequestId(b"M" * 16)), QuotaExhausted)


# -- The log ----------------------------------------------------------------------------------------------------------


async def test_both_leaves_name_the_request_and_the_outcome_names_reply_and_intent() -> None:
    world = await exchange()
    owner = world[HND]
    asked = request(world)
    message = await answered(owner, asked)
    intent, outcome = owner.leaves("check.answer")
    for one in (intent, outcome):
        assert one.public["request_hash"] == envelope.body_hash(convert.encode_check_request(asked))
        assert one.public["seed_commitment"] == batch.seed_commitment(b"s" * 32)
    assert outcome.public["reply_hash"] == envelope.body_hash(message.body)
    assert outcome.public["intent_seq"] == intent.seq
    assert convert.check_reply(message.body, bytes(64)).pair_seq == intent.pair_seq


async def test_a_refusal_names_the_peers_own_number_of_the_request() -> None:
    world = await exchange()
    await refused(world[HND], replace(request(world, pair_seq=41), baseline_digest=b"x" * 32), BaselineOutdated)
    assert world[HND].store.entries[-1].public["peer_seq"] == 41
