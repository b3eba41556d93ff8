"""T8: an auditor makes a question again out of the log, and finds every slot that nobody declared.

The auditor holds a private key, the asker's leaves and payloads, and the owner's leaves; no gateway helps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from gateway.audit import checkpoint, note, trust
from gateway.audit.leaf import Leaf
from gateway.errors import Malformed, VerificationFailed
from gateway.federation import envelope
from gateway.flows import check, sampling
from gateway.flows.sampling import Said
from gateway.pseudonym import batch, matchkeys
from gateway.rpc.convert import peers as convert
from gateway.terms import KeyType, PeerId
from tests.flows import world as w
from tests.flows.world import HND, PAN, UTO, World
from tests.support.entries import entry
from tests.unit.audit.log import CARD, LOG_KEY, WITNESS_KEYS, Made

pytestmark = pytest.mark.asyncio

T = TypeVar("T")

ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12", "UTO")
IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
PAPERS = w.passport("VEN", "T55637667")


def audited(world: World, owner: PeerId) -> list[tuple[bytes, bytes]]:
    """For each batch of the last leg: the hash of the request made again, and the hash in the owner's log."""
    asker = world[PAN]
    intent = [one for one in asker.leaves("check.ask") if (one.peer, one.phase.value) == (owner, "intent")][-1]
    requests = sampling.remake(PAN, intent, asker.opened(intent))
    answers = [one for one in world[owner].leaves("check.answer") if one.phase.value == "intent"]
    hashes = {one.public["seed_commitment"]: one.public["request_hash"] for one in answers}
    return [
        (envelope.body_hash(convert.encode_check_request(one)), bytes(hashes[one.seed_commitment]))  # type: ignore[arg-type]
        for one in requests
    ]


async def asking(**listed: Any) -> World:
    return await World.exchanging(
        PAN, HND, UTO, listed={HND: [entry(originator=HND, person=ROSA)], UTO: [entry(originator=UTO, person=ROSA)]}
    )


@pytest.mark.parametrize("words", [{}, {"protection_declared": True}], ids=["plain", "guarded"])
async def test_the_request_is_made_again_to_the_byte_and_both_logs_hold_its_hash(words: dict[str, Any]) -> None:
    world = await asking()
    await world[PAN].ask(w.traveller(ROSA, PAPERS), w.traveller(IVAN), **words)
    for owner in (HND, UTO):
        ((mine, theirs),) = audited(world, owner)
        assert mine == theirs == envelope.body_hash(world.checks(owner)[-1].message.body)
        outcome = [one for one in world[PAN].leaves("check.ask") if one.peer == owner][-1]
        assert outcome.public["request_hashes"] == mine


async def test_a_leg_that_ended_without_a_reply_is_made_again_all_the_same() -> None:
    world = await asking()
    world.line(PAN, HND).reply = lambda reply: replace(reply, proof=bytes(64))
    answer = await world[PAN].ask(w.traveller(ROSA))
    assert answer.unreachable == (HND,)
    ((mine, theirs),) = audited(world, HND)
    assert mine == theirs


class Smuggler:
    """ports.Compute of a gateway that puts a key of its own beside the declared ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def run(self, fn: Callable[..., T], *values: Any, heavy: bool = False) -> T:
        if fn is batch.blinded_elements:
            inputs, *rest = values
            return fn([*inputs, self._key], *rest)
        return fn(*values)


async def test_a_key_that_was_smuggled_into_a_dummys_slot_is_found() -> None:
    world = await asking()
    (key, *_) = matchkeys.for_asking(IVAN, (), frozenset({KeyType.NAME_YEAR_1}))
    around = replace(world[PAN].asking(owners=[HND]), compute=Smuggler(key.input.open()))
    await check.ask(world[PAN].inquiry(w.traveller(ROSA)), world[PAN].officer(), around)
    ((mine, theirs),) = audited(world, HND)
    assert mine != theirs
    # The owner was shown a seed's commitment before it answered: another seed that fits the points comes too late.
    intent = world[PAN].leaves("check.ask")[0]
    told = world[PAN].opened(intent)
    committed = world.checks(HND)[-1].request().seed_commitment
    with pytest.raises(VerificationFailed):
        batch.recompute(b"x" * 32, told["keys"], 8, committed)


async def test_keys_and_seeds_that_are_changed_in_the_log_afterwards_are_not_those_committed_to() -> None:
    world = await asking()
    await world[PAN].ask(w.traveller(ROSA, PAPERS))
    intent = world[PAN].leaves("check.ask")[0]
    told = world[PAN].opened(intent)
    assert len(told["keys"]) == 5 and len(told["seeds"]) == 1
    forged = replace(intent, commitments={**intent.commitments, "keys": intent.commitments["seeds"]})
    with pytest.raises(VerificationFailed):
        world[PAN].opened(forged)


async def test_the_supervisor_reads_the_question_and_the_protection_desk_does_not() -> None:
    world = await asking()
    await world[PAN].ask(w.traveller(ROSA, PAPERS))
    intent, outcome = (one for one in world[PAN].leaves("check.ask") if one.peer == HND)
    assert world[PAN].opened(intent, "supervisor")["keys"] == world[PAN].opened(intent)["keys"]
    assert world[PAN].opened(outcome, "supervisor")["hits"] == world[PAN].opened(outcome)["hits"] != []
    assert set(world[PAN].opened(intent, "desk")) == {"guarded", "why"}
    assert world[PAN].opened(outcome, "desk") == {}


def looked(world: World, owner: PeerId) -> list[sampling.Look]:
    """The whole sample: every question to the owner."""
    asker = world[PAN]
    answers = [one for one in world[owner].leaves("check.answer") if one.phase.value == "intent"]
    intents = sampling.questions(asker.leaves("check.ask"), owner)
    assert sampling.undeclared(intents, answers) == []
    return [sampling.look(PAN, one, asker.opened(one), answers, convert.encode_check_request) for one in intents]


async def test_a_sample_is_the_same_in_both_logs_and_a_smuggled_slot_is_named() -> None:
    world = await asking()
    await world[PAN].ask(w.traveller(ROSA, PAPERS))
    await world[PAN].ask(w.traveller(IVAN), protection_declared=True)
    world.line(PAN, HND).down = True
    await world[PAN].ask(w.traveller(IVAN))
    world.line(PAN, HND).down = False
    assert [one.said for one in looked(world, HND)] == [Said.SAME, Said.SAME, Said.NOT_ASKED]
    (key, *_) = matchkeys.for_asking(IVAN, (), frozenset({KeyType.NAME_YEAR_1}))
    around = replace(world[PAN].asking(owners=[HND]), compute=Smuggler(key.input.open()))
    await check.ask(world[PAN].inquiry(w.traveller(ROSA)), world[PAN].officer(), around)
    *_, last = looked(world, HND)
    assert last.said is Said.SMUGGLED
    answers = [one for one in world[HND].leaves("check.answer") if one.phase.value == "intent"]
    assert last.owner_seq == answers[-1].seq


async def test_a_question_that_the_askers_log_never_declared_is_named() -> None:
    world = await asking()
    await world[PAN].ask(w.traveller(ROSA, PAPERS))
    intents = sampling.questions(world[PAN].leaves("check.ask"), HND)
    answers = [one for one in world[HND].leaves("check.answer") if one.phase.value == "intent"]
    assert sampling.undeclared([], answers) == answers and sampling.undeclared(intents, answers) == []


async def test_what_is_erased_cannot_be_looked_at_and_what_is_no_question_is_malformed() -> None:
    world = await asking()
    await world[PAN].ask(w.traveller(ROSA, PAPERS))
    (intent,) = sampling.questions(world[PAN].leaves("check.ask"), HND)
    assert sampling.look(PAN, intent, None, [], convert.encode_check_request).said is Said.ERASED
    for told in ({}, {"keys": 5, "seeds": []}, {"keys": [b"x"], "seeds": [b""]}):
        with pytest.raises(Malformed):
            sampling.remake(PAN, intent, told)
    assert sampling.questions(world[PAN].leaves("check.ask"), HND, intent.seq) == []


async def test_the_sample_follows_from_the_witnesses_signatures_behind_its_announcement() -> None:
    made = await asyncio.to_thread(Made, 80)
    noted = [held for _, held in made.store.cosigned_checkpoints(made.store.size())]
    sizes = [checkpoint.parse(note.parse(one).text).size for one in noted]
    # Those under way have one cosignature, only the last has the quorum of two.
    assert len(sizes) > 2 and sampling.seed_after(0, noted, CARD) == sampling.seed_after(sizes[-1] - 1, noted, CARD)
    easy = trust.card(LOG_KEY, WITNESS_KEYS, 1)
    seeds = {sampling.seed_after(size - 1, noted, easy) for size in sizes}
    assert len(seeds) == len(sizes)
    with pytest.raises(VerificationFailed, match="no checkpoint behind"):
        sampling.seed_after(sizes[-1], noted, CARD)
    leaves = [Leaf.parse(data) for data in made.store.leaves(0, made.store.size())]
    found = sampling.questions(leaves, "HND")
    one, other = (sampling.draw(seed, found, 10) for seed in sorted(seeds)[:2])
    assert len(one) == 10 and one != other and one == sorted(one, key=lambda leaf: leaf.seq)
    assert sampling.draw(b"s" * 32, found, 10_000) == found
