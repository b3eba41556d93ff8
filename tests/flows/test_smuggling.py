"""T8: an auditor makes a question again out of the log, and finds every slot that nobody declared.

The auditor holds a private key, the asker's leaves and payloads, and the owner's leaves; no gateway helps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from gateway.audit.leaf import Leaf
from gateway.errors import VerificationFailed
from gateway.federation import envelope
from gateway.flows import check
from gateway.policy import catalogue
from gateway.pseudonym import batch, matchkeys
from gateway.rpc.convert import peers as convert
from gateway.terms import KeyType, ListId, PeerId, Purpose, RequestId, Role
from gateway.terms.exchange import CheckRequest
from gateway.terms.ids import AgencyId, EpochId
from tests.flows import world as w
from tests.flows.world import HND, PAN, UTO, World
from tests.support.entries import entry

pytestmark = pytest.mark.asyncio

T = TypeVar("T")

ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12", "UTO")
IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
PAPERS = w.passport("VEN", "T55637667")


def remade(asker: PeerId, intent: Leaf, told: dict[str, Any]) -> list[CheckRequest]:
    """Every request of a leg, from its intent and nothing else."""
    public: dict[str, Any] = dict(intent.public)
    purpose, size = Purpose(public["purpose"]), public["class"]
    return [
        CheckRequest(
            leg_id=RequestId(public["leg"]),
            batch=number,
            batches=public["batches"],
            asker=asker,
            owner=PeerId(intent.peer),
            agency=AgencyId(public["agency"]),
            role=Role(public["role"]),
            purpose=purpose,
            legal_basis=public["basis"],
            list_id=ListId(public["list"]),
            group=catalogue.group_of(purpose),
            epoch=EpochId(public["epoch"]),
            key_types=tuple(KeyType(name) for name in public["key_types"].split(",")),
            known_version=public["version"],
            blinded=batch.blinded_elements(told["keys"][number * size : (number + 1) * size], seed, size),
            seed_commitment=batch.seed_commitment(seed),
            pair_seq=intent.pair_seq,
            baseline_digest=public["baseline"],
            national_digest=public["national"],
            permit_expires_ns=public["permit_expires_ns"],
        )
        for number, seed in enumerate(told["seeds"])
    ]


def audited(world: World, owner: PeerId) -> list[tuple[bytes, bytes]]:
    """For each batch of the last leg: the hash of the request made again, and the hash in the owner's log."""
    asker = world[PAN]
    intent = [one for one in asker.leaves("check.ask") if (one.peer, one.phase.value) == (owner, "intent")][-1]
    requests = remade(PAN, intent, asker.opened(intent))
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
