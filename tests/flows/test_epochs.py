"""A change of keys: no check fails by it, the old key is gone a day later, and two persons may order it before its time
(docs/protocol/matching.md, epochs)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import ports
from gateway.errors import (
    AuditUnavailable,
    EpochRefused,
    InputRefused,
    NotIdentified,
    PolicyDenied,
    VerificationFailed,
    VersionMoved,
)
from gateway.federation import statement
from gateway.federation.officers import Act, Enrolled, Line, Register
from gateway.federation.statement import PersonalSignature
from gateway.flows import epochs, publish
from gateway.flows.epochs import Rotation
from gateway.primitives import ed25519
from gateway.terms import AgencyId, ListId, OfficerId, Outcome, PeerId, RecordKind, Role
from gateway.terms.exchange import OVERLAP_NS, Epoch
from gateway.terms.ids import EpochId
from gateway.terms.words import EpochState
from tests.flows import world as w
from tests.flows.test_announce import PAPER, ask, entered, fold, kinds, region
from tests.flows.test_publish import IVAN, manifest, owner, tags, wanted
from tests.flows.world import HND, PAN, UTO, State, World
from tests.support.entries import DAY_NS

pytestmark = pytest.mark.asyncio

ROLES = {"C1": Role.SUPERVISOR, "C2": Role.POLICY_OFFICER, "B1": Role.BORDER_FRONTLINE}
SEEDS = {who: bytes((place,)) * 32 for place, who in enumerate(ROLES, 1)}
REGISTER = Register(
    [
        Line(
            place,
            Act.ENROLLED,
            Enrolled(OfficerId(who), AgencyId("SNM"), (ROLES[who],), ed25519.public(seed), 0, 1 << 62),
            0,
            b"",
            b"",
        )
        for place, (who, seed) in enumerate(SEEDS.items())
    ]
)


def order(*peers: PeerId, is_emergency: bool = False) -> Rotation:
    return Rotation(peers, is_emergency, "K-2027/3")


def signed(ordered: Rotation, state: State, *who: str, **changes: Any) -> list[PersonalSignature]:
    facts = epochs.facts(ordered, state.code, state.store.epochs()) | changes
    now_ns = state.world.clock.now_ns()
    return [
        statement.make(statement.ROTATION, facts, role=ROLES[one], signed_ns=now_ns, seed=SEEDS[one]) for one in who
    ]


async def rotate(state: State, *peers: PeerId, is_emergency: bool = False) -> list[Epoch]:
    ordered = order(*peers, is_emergency=is_emergency)
    return await epochs.rotate(ordered, signed(ordered, state, "C1", "C2"), REGISTER, state.publishing())


def states(state: State, peer: PeerId = PAN) -> list[str]:
    return sorted(one.state.value for one in state.store.epochs() if one.peer == peer)


async def hits(world: World, asker: PeerId = PAN) -> int:
    """Of a check about the listed man. An owner that is unreachable, or that refused, is no answer."""
    answer = await world[asker].ask(w.traveller(IVAN), owners=[HND])
    assert (answer.unreachable, answer.refused) == ((), ())
    return len(answer.hits)


async def met(*peers: PeerId) -> tuple[World, State]:
    """HND's list names one man, and its peers hold their tables."""
    world, hnd = await owner(wanted(1), peers=peers or (PAN,))
    for peer in peers or (PAN,):
        await world[peer].fetch(HND)
    return world, hnd


# -- No check fails ---------------------------------------------------------------------------------------------------


async def test_checks_are_answered_at_every_step_of_a_change_of_keys() -> None:
    world, hnd = await met()
    before = manifest(hnd)
    assert await hits(world) == 1
    (made,) = await rotate(hnd, PAN)
    assert (states(hnd), await hits(world)) == (["active", "pending"], 1)
    await hnd.publish(PAN)
    after = manifest(hnd)
    # The peer still holds the table before, and asks under it.
    assert (states(hnd), await hits(world)) == (["active", "retired"], 1)
    assert await world[PAN].fetch(HND) == [True, True]
    assert (after.scope.epoch, await hits(world)) == (made.epoch, 1)
    assert before.public_key != after.public_key


async def test_a_peer_that_is_slow_to_fetch_is_answered_for_a_day_and_no_longer() -> None:
    world, hnd = await met()
    await rotate(hnd, PAN)
    await hnd.publish(PAN)
    world.clock.pass_ns(OVERLAP_NS - 1)
    await hnd.publish(PAN)
    assert await hits(world) == 1
    world.clock.pass_ns(1)
    answer = await world[PAN].ask(w.traveller(IVAN), owners=[HND])
    assert (answer.unreachable, answer.complete) == ((HND,), False)
    await world[PAN].fetch(HND)
    assert await hits(world) == 1


async def test_the_next_epoch_opens_by_itself_a_day_before_one_ends() -> None:
    world, hnd = await met()
    (first,) = hnd.store.epochs()
    world.clock.pass_ns(first.expires_ns - OVERLAP_NS - world.clock.now_ns() - 1)
    await hnd.publish(PAN)
    assert states(hnd) == ["active"]
    world.clock.pass_ns(1)
    await hnd.publish(PAN)
    assert (states(hnd), await hits(world)) == (["active", "retired"], 1)
    await world[PAN].fetch(HND)
    world.clock.pass_ns(OVERLAP_NS)
    await hnd.publish(PAN)
    assert (states(hnd), await hits(world)) == (["active"], 1)


async def test_of_a_short_epoch_half_its_life_is_the_overlap() -> None:
    for days, hours in ((1, 12), (2, 24), (30, 24)):
        one = Epoch(PAN, EpochId("20270101-00000000"), EpochState.ACTIVE, days * DAY_NS)
        begins = days * DAY_NS - hours * DAY_NS // 24
        assert (one.is_ending(begins, days * DAY_NS), one.is_ending(begins - 1, days * DAY_NS)) == (True, False)


async def test_each_peer_has_its_own_change_of_keys() -> None:
    world, hnd = await met(PAN, UTO)
    other = manifest(hnd, UTO).scope.epoch
    await rotate(hnd, PAN)
    await hnd.publish(PAN, UTO)
    assert (states(hnd, PAN), states(hnd, UTO)) == (["active", "retired"], ["active"])
    assert manifest(hnd, UTO).scope.epoch == other
    assert (await hits(world, PAN), await hits(world, UTO)) == (1, 1)


async def test_what_is_reported_while_keys_change_is_found_under_both() -> None:
    world = await region()
    pan = world[PAN]
    await rotate(pan, HND)
    # Between the order and the new table, and again while the peer has not fetched it.
    assert (await entered(world, PAPER)).immediate
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    await pan.publish(HND, UTO)
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    await fold(world)
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]


async def test_a_change_between_reading_the_list_and_the_new_epochs_table_is_read_over_it() -> None:
    world = await region()
    pan = world[PAN]
    (made,) = await rotate(pan, HND)
    await entered(world, PAPER)
    chain = [pan.store.delta_number(HND, ListId.DOCUMENTS, "DOCUMENT", one.epoch) for one in pan.store.epochs()
             if one.peer == HND]  # fmt: skip
    assert chain == [1, 1] and made.epoch in {one.epoch for one in pan.store.epochs()}


# -- What nobody can do -----------------------------------------------------------------------------------------------


async def test_tables_of_two_epochs_share_no_tag_and_the_old_key_is_gone_after_the_overlap() -> None:
    world, hnd = await met()
    before, rows = manifest(hnd), tags(hnd)
    await rotate(hnd, PAN)
    await hnd.publish(PAN)
    assert rows.isdisjoint(tags(hnd))
    handles = [await hnd.keys.handles(one.scope, ["W1"]) for one in (before, manifest(hnd))]
    assert handles[0] != handles[1]
    await hnd.keys.public_key(before.scope)
    world.clock.pass_ns(OVERLAP_NS)
    await hnd.publish(PAN)
    with pytest.raises(EpochRefused):
        await hnd.keys.public_key(before.scope)
    await hnd.keys.public_key(manifest(hnd).scope)
    (gone,) = hnd.leaves("keys.destroyed")
    assert (gone.public["epoch"], gone.public["seeds"]) == (before.scope.epoch, 1)


async def test_an_epoch_whose_agreement_lapsed_has_no_successor_and_its_key_goes_all_the_same() -> None:
    world, hnd = await met()
    scope = manifest(hnd).scope
    (held,) = hnd.store.epochs()
    world.clock.pass_ns(held.expires_ns - world.clock.now_ns())
    await publish.publish([], hnd.publishing())
    assert hnd.store.epochs() == []
    with pytest.raises(EpochRefused):
        await hnd.keys.public_key(scope)


async def test_an_emergency_ends_the_old_keys_at_once() -> None:
    world, hnd = await met()
    before = manifest(hnd)
    await rotate(hnd, PAN, is_emergency=True)
    with pytest.raises(EpochRefused):
        await hnd.keys.public_key(before.scope)
    stale: list[PeerId] = []
    answer = await world[PAN].ask(w.traveller(IVAN), owners=[HND], stale=stale.append)
    assert (answer.unreachable, answer.complete, answer.outcome) == ((HND,), False, Outcome.NOTHING_TO_REPORT)
    # Which is why the asker fetches what the owner has for it by now.
    assert stale == [HND]
    await publish.publish([PAN], hnd.publishing(*w.OFFERED), first_only=True)
    await world[PAN].fetch(HND)
    assert (states(hnd), await hits(world)) == (["active"], 1)


async def test_an_emergency_in_the_middle_of_a_change_of_keys_ends_both() -> None:
    world, hnd = await met()
    (planned,) = await rotate(hnd, PAN)
    (made,) = await rotate(hnd, PAN, is_emergency=True)
    assert [(one.epoch, one.state) for one in hnd.store.epochs()] == [(made.epoch, EpochState.PENDING)]
    assert planned.epoch != made.epoch
    await hnd.publish(PAN)
    await world[PAN].fetch(HND)
    assert await hits(world) == 1


# -- Two persons ------------------------------------------------------------------------------------------------------


async def test_one_person_changes_no_key() -> None:
    _, hnd = await met()
    ordered = order(PAN)
    for signatures, refusal in (
        ([], PolicyDenied),
        (signed(ordered, hnd, "C1"), PolicyDenied),
        (signed(ordered, hnd, "C1", "C1"), VerificationFailed),
        (signed(ordered, hnd, "C1", "B1"), NotIdentified),
        (signed(ordered, hnd, "C1", "C2", emergency=True), VerificationFailed),
        (signed(ordered, hnd, "C1", "C2", epochs="PAN/20200101-00000000"), VerificationFailed),
    ):
        with pytest.raises(refusal):
            await epochs.rotate(ordered, signatures, REGISTER, hnd.publishing())
    assert (states(hnd), hnd.leaves("epoch.rotated")) == (["active"], [])


async def test_a_signature_serves_once() -> None:
    _, hnd = await met()
    ordered = order(PAN)
    signatures = signed(ordered, hnd, "C1", "C2")
    await epochs.rotate(ordered, signatures, REGISTER, hnd.publishing())
    with pytest.raises(VersionMoved):
        await epochs.rotate(ordered, signatures, REGISTER, hnd.publishing())
    await hnd.publish(PAN)
    with pytest.raises(VerificationFailed):
        await epochs.rotate(ordered, signatures, REGISTER, hnd.publishing())


async def test_the_log_names_the_epochs_the_decision_and_both_signatures() -> None:
    _, hnd = await met()
    await rotate(hnd, PAN)
    (leaf,) = hnd.leaves("epoch.rotated")
    held = next(one for one in hnd.store.epochs() if one.state is EpochState.ACTIVE)
    assert leaf.public["epochs"] == f"PAN/{held.epoch}"
    assert (leaf.public["decision"], leaf.public["emergency"]) == ("K-2027/3", False)
    assert hnd.opened(leaf)["officers"] == ["C1", "C2"]


async def test_a_peer_without_an_epoch_has_nothing_to_change() -> None:
    _, hnd = await met()
    with pytest.raises(InputRefused):
        epochs.facts(order(UTO), hnd.code, hnd.store.epochs())


# -- Crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_emergency", [False, True])
async def test_a_change_of_keys_that_breaks_off_at_any_commit_is_finished_by_the_next_run(is_emergency: bool) -> None:
    """The log fails at one commit after the other, as where a process is killed there; then the job runs again."""
    for place in range(1, 12):
        world, hnd = await met()
        before = manifest(hnd)
        hnd.uow.fails_at = {hnd.uow.commits + place}
        broken = False
        try:
            await rotate(hnd, PAN, is_emergency=is_emergency)
            await hnd.publish(PAN)
        except AuditUnavailable:
            broken = True
        hnd.uow.fails_at = set()
        if not is_emergency:
            assert await hits(world) == 1
        if not hnd.leaves("epoch.rotated"):
            await rotate(hnd, PAN, is_emergency=is_emergency)
        await hnd.publish(PAN)
        await world[PAN].fetch(HND)
        assert await hits(world) == 1
        assert manifest(hnd).scope.epoch != before.scope.epoch
        assert "pending" not in states(hnd)
        world.clock.pass_ns(OVERLAP_NS)
        await hnd.publish(PAN)
        assert states(hnd) == ["active"]
        with pytest.raises(EpochRefused):
            await hnd.keys.public_key(before.scope)
        if not broken:
            return
    raise AssertionError("more commits than are tried")


async def test_a_key_that_was_destroyed_before_a_kill_is_no_obstacle() -> None:
    world, hnd = await met()
    (held,) = hnd.store.epochs()
    world.clock.pass_ns(held.expires_ns - world.clock.now_ns())
    assert await hnd.keys.destroy(PAN, held.epoch) == 1
    await hnd.store.commit([], [ports.Change("epoch.end", {"peer": PAN, "at_ns": world.clock.now_ns()})])
    assert [one.epoch for one in await epochs.end(hnd.publishing())] == [held.epoch]
    assert hnd.store.epochs() == []
