"""Each night a peer's log is held against its messages; what it signed for and has not any more is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from gateway.app.door import Door
from gateway.audit import merkle
from gateway.audit.leaf import Leaf
from gateway.errors import CapabilityMissing, PeerUnreachable, TooMany
from gateway.federation import envelope
from gateway.flows import nightly
from gateway.flows.nightly import Compared
from gateway.primitives import cbor, ed25519
from gateway.terms import RequestId
from gateway.terms.exchange import PairHead, PairHeadRequest
from tests.flows import world as w
from tests.flows.world import HND, PAN, UTO, State, World
from tests.support.entries import entry

pytestmark = pytest.mark.asyncio


async def tick(state: State) -> None:
    """The writer's checkpoint, with where each pair stands as its last entry."""
    await state.store.put_heads()
    await state.checkpoint()


async def region() -> World:
    """PAN has put questions to HND and HND has answered; UTO was asked too."""
    world = await World.of(PAN, HND, UTO)
    for owner in (HND, UTO):
        await world[owner].enlist(entry(originator=owner))
        await world[owner].publish(PAN)
        await world[PAN].fetch(owner, (w.WATCH,))
    for given in ("ANA", "EVA", "IDA"):
        await world[PAN].ask(w.traveller(w.person("VARGA", given, "1980-03-05")))
    for state in world.states.values():
        await tick(state)
    # A message and the tree that must have its entry are never closer than what two clocks may differ.
    world.clock.pass_ns(2 * nightly.CLOCK_NS)
    for state in world.states.values():
        await tick(state)
    return world


async def compare(world: World, by: State | None = None) -> Compared:
    return await nightly.compare(HND, (by or world[PAN]).comparing())


def logged(world: World, code: Any = PAN) -> list[Leaf]:
    leaves = map(Leaf.parse, world[code].store.leaves(0, world[code].store.size()))
    return [leaf for leaf in leaves if leaf.kind in ("pair.compared", "pair.told")]


async def test_of_an_honest_peer_every_entry_that_it_named_is_there_and_the_entry_says_so() -> None:
    world = await region()
    result = await compare(world)
    assert (result.outcome, result.unchecked) == ("same", 0)
    assert result.asked >= 3, "each answer named its entry"
    (leaf,) = logged(world)
    assert (leaf.kind, leaf.peer, leaf.public["fault"]) == ("pair.compared", HND, "")
    assert "named" not in leaf.public and "statement" not in leaf.public
    (told,) = logged(world, HND)
    assert (told.kind, told.peer, told.public["asked"]) == ("pair.told", PAN, result.asked)


async def test_the_other_side_compares_the_questions_that_it_got() -> None:
    world = await region()
    result = await nightly.compare(PAN, world[HND].comparing())
    assert (result.outcome, result.asked >= 3) == ("same", True)


async def test_a_second_night_goes_on_from_where_the_first_ended() -> None:
    world = await region()
    first = await compare(world)
    await world[PAN].ask(w.traveller(w.person("VARGA", "ANA", "1980-03-05")))
    world.clock.pass_ns(2 * nightly.CLOCK_NS)
    await tick(world[HND])
    second = await compare(world)
    assert (second.outcome, second.count > first.count, second.size > first.size) == ("same", True, True)
    assert second.asked > first.asked


async def test_what_was_answered_after_the_newest_checkpoint_accuses_nobody_and_is_counted() -> None:
    world = await region()
    await world[PAN].ask(w.traveller(w.person("VARGA", "ANA", "1980-03-05")))
    result = await compare(world)
    assert (result.outcome, result.unchecked > 0) == ("same", True)


async def test_nothing_is_told_of_a_third_state_and_an_opening_is_not_for_another() -> None:
    world = await region()
    told, _ = await world[PAN].wire.pair_head(HND, [], timeout_s=1)
    other, _ = await world[UTO].wire.pair_head(HND, [], timeout_s=1)
    assert (told.count > 0, other.count, other.head, other.siblings) == (True, 0, b"", ())
    assert not {told.head, *told.siblings} & {other.head}


async def test_only_the_asked_pairs_entries_are_given_by_their_hash() -> None:
    world = await region()
    hashes = {merkle.leaf_hash(one): Leaf.parse(one) for one in world[HND].store.leaves(0, world[HND].store.size())}
    told, _ = await world[PAN].wire.pair_head(HND, list(range(1, 33)), timeout_s=1)
    found = [hashes[one] for one in told.hashes if one]
    assert found and {one.peer for one in found} == {PAN}
    assert told.hashes[told.count - 1] == told.head
    assert set(told.hashes[told.count :]) == {b""}


def kept(leaf: Leaf, name: str) -> bytes:
    value = leaf.public[name]
    assert isinstance(value, bytes)
    return value


Bend = Callable[[PairHead], PairHead]


def without(told: PairHead) -> PairHead:
    """An owner that took its entries away says that there are none."""
    return dataclasses.replace(told, hashes=(b"",) * len(told.hashes))


def other(told: PairHead) -> PairHead:
    """An owner that rewrote its entries gives the hashes that they have now."""
    return dataclasses.replace(told, hashes=(bytes(32), *told.hashes[1:]))


def shorter(told: PairHead) -> PairHead:
    return dataclasses.replace(told, count=0, head=b"", salt=b"", siblings=())


def invented(told: PairHead) -> PairHead:
    return dataclasses.replace(told, count=told.count + 1)


def unproved(told: PairHead) -> PairHead:
    return dataclasses.replace(told, proof=(*told.proof[:-1], bytes(32)))


@pytest.mark.parametrize(
    ("bend", "fault"),
    [(without, "missing"), (other, "changed"), (shorter, "missing"), (invented, "proof"), (unproved, "proof")],
)
async def test_what_a_peer_signed_for_and_has_not_any_more_is_found_and_kept_as_its_own_word(
    bend: Bend, fault: str
) -> None:
    world = await region()
    world.line(PAN, HND).pair_head = bend
    result = await compare(world)
    assert result.fault == fault
    leaf = logged(world)[-1]
    assert leaf.public["fault"] == fault
    key = world[HND].public["message"]
    header, signature, body = cbor.decode(kept(leaf, "statement"))
    ed25519.verify(key, envelope.to_sign(header), signature)
    assert envelope.decode(header).body_hash == envelope.body_hash(body)
    if fault != "proof":
        header, signature = cbor.decode(kept(leaf, "named"))
        ed25519.verify(key, envelope.to_sign(header), signature)
        read = envelope.decode(header).entry
        assert read is not None and read.pair_seq == leaf.public["number"]


async def test_a_log_that_was_rolled_back_is_found_by_where_it_stood_the_night_before() -> None:
    world = await region()
    before = await world[PAN].wire.pair_head(HND, [], timeout_s=1)
    await world[PAN].ask(w.traveller(w.person("VARGA", "ANA", "1980-03-05")))
    await tick(world[HND])
    assert (await compare(world)).outcome == "same"
    world.line(PAN, HND).pair_head = lambda told: dataclasses.replace(before[0], hashes=(b"",) * len(told.hashes))
    assert (await compare(world)).fault == "rolled_back"


async def test_a_peer_of_an_older_release_is_told_as_that_and_as_nothing_else() -> None:
    world = await region()
    world.line(PAN, HND).refusal = CapabilityMissing("a method that it does not serve")
    result = await compare(world)
    assert (result.outcome, result.fault) == ("CAPABILITY_MISSING", "")
    assert logged(world)[-1].public["reason"] == "CAPABILITY_MISSING"


async def test_a_peer_that_does_not_answer_leaves_no_entry_and_is_asked_again() -> None:
    world = await region()
    world.line(PAN, HND).down = True
    with pytest.raises(PeerUnreachable):
        await compare(world)
    assert logged(world) == []
    assert world[PAN].store.compared(HND) is None


async def test_nothing_is_told_where_the_entry_cannot_be_written() -> None:
    world = await region()
    size = world[HND].store.size()
    world[HND].store.commit = _refuses  # type: ignore[assignment, method-assign]
    with pytest.raises(PeerUnreachable):
        await compare(world)
    assert world[HND].store.size() == size


async def _refuses(*_: Any) -> Any:
    from gateway.errors import AuditUnavailable

    raise AuditUnavailable("the log takes nothing")


async def test_of_many_entries_some_are_drawn_that_the_peer_cannot_foresee() -> None:
    one, two = (nightly._drawn(list(range(1, 1000)), seed) for seed in (b"a" * 32, b"b" * 32))
    assert len(one) == len(two) == nightly.NUMBERS_MAX
    assert one != two


async def test_what_is_kept_of_a_comparison_reads_back() -> None:
    result = Compared(7, "limen/HND/log", 256, 9, bytes(32), 5, 1, "missing")
    assert Compared.decode(result.encode()) == result


async def test_under_one_checkpoint_a_peer_is_told_once_since_reading_back_costs() -> None:
    world = await region()
    told: list[str] = []

    class Call:
        peer = PAN

    telling = nightly.TellingWorld(world[HND].store, world[HND].store)
    unused: Any = None
    door = Door(unused, unused, unused, unused, unused, unused, telling)
    call: Any = Call
    asked = PairHeadRequest(RequestId(bytes(16)), (1,))
    for _ in range(2):
        try:
            await door.pair_head(asked, call)
            told.append("told")
        except TooMany:
            told.append("refused")
    await tick(world[HND])
    await door.pair_head(asked, call)
    assert told == ["told", "refused"]
