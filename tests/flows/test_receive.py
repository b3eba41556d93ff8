"""Receiving a table: what an owner cannot do unseen (docs/protocol/matching.md, the table)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway import ports
from gateway.errors import AuditUnavailable, GatewayError, NotFoundOrNotPermitted, PeerUnreachable, VerificationFailed
from gateway.flows import publish
from gateway.pseudonym import table as tables
from gateway.terms import ListId
from gateway.terms.exchange import Manifest
from tests.flows import world as w
from tests.flows.world import HND, PAN, UTO, WATCH, WATCH_GROUP, State, World
from tests.support.entries import entry

pytestmark = pytest.mark.asyncio

IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12")


async def holding() -> tuple[World, State, ports.SignedManifest]:
    """PAN holds HND's table of version 1, and HND has made version 2."""
    world = await World.exchanging(PAN, HND, listed={HND: [entry(originator=HND, person=IVAN)]})
    first = held(world)
    await world[HND].enlist(entry(entry_id="W2", originator=HND, person=ROSA))
    await world[HND].publish(PAN, purposes=[WATCH])
    return world, world[PAN], first


def held(world: World) -> ports.SignedManifest:
    found = world[PAN].copies.current(HND, ListId.PERSONS, WATCH_GROUP)
    assert found is not None
    return found


async def receive(world: World) -> bool:
    return await publish.receive(HND, WATCH_GROUP, ListId.PERSONS, world[PAN].receiving())


async def refused(world: World, step: str, kept: ports.SignedManifest) -> None:
    """The fault is in the log, the table in use stays, and checks go on with it."""
    count = len(world[PAN].logged("table.received"))
    with pytest.raises(VerificationFailed) as caught:
        await receive(world)
    assert caught.value.step == step
    (fault,) = world[PAN].logged("table.received")[count:]
    assert (fault.peer, fault.public["fault"]) == (HND, step)
    # What the entry names by its hash can be shown, with what it contradicts.
    proof = world[PAN].copies.proofs[-1]
    assert (proof.step, proof.owner, proof.held) == (step, HND, kept)
    assert hashlib.sha256(proof.shown.message.body).digest() == fault.public["manifest_hash"]
    assert held(world) == kept
    answer = await world[PAN].ask(w.traveller(IVAN))
    assert len(answer.hits) == 1


async def test_a_new_table_is_logged_before_it_is_used_and_fetched_once() -> None:
    world, pan, _ = await holding()
    world.journal.clear()
    assert await receive(world) is True
    assert world.journal[-1] == "PAN logs table.received event"
    assert held(world).manifest.version == 2
    one = pan.leaves("table.received")[-1]
    assert (one.public["fault"], one.public["version"]) == ("", 2)
    assert one.public["manifest_hash"] == hashlib.sha256(held(world).message.body).digest()
    # The owner's log holds the same hash: an auditor compares the two.
    assert one.public["manifest_hash"] == world[HND].leaves("table.published")[-1].public["manifest_hash"]
    world.journal.clear()
    assert await receive(world) is False
    assert [line for line in world.journal if "Chunk" in line or "logs" in line] == []


async def test_without_its_entry_a_table_is_not_used() -> None:
    world, pan, first = await holding()
    pan.uow.fails_at = {pan.uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await receive(world)
    assert held(world) == first
    assert await receive(world) is True


async def test_an_older_table_is_a_rollback() -> None:
    world, _, first = await holding()
    await receive(world)
    world.line(PAN, HND).manifest = first
    await refused(world, "version", held(world))


async def test_two_tables_under_one_version_are_seen() -> None:
    world, _, _ = await holding()
    await receive(world)
    kept = held(world)
    world.line(PAN, HND).manifest = await world[HND].signed(replace(kept.manifest, table_hash=b"x" * 32))
    await refused(world, "version", kept)


BENT: dict[str, tuple[str, Callable[[Manifest], Manifest]]] = {
    "chain": ("previous", lambda one: replace(one, previous=b"x" * 32)),
    "another peer's": ("scope", lambda one: replace(one, scope=replace(one.scope, peer=UTO))),
    "another list's": ("scope", lambda one: replace(one, scope=replace(one.scope, list_id=ListId.DOCUMENTS))),
    "another group's": ("scope", lambda one: replace(one, scope=replace(one.scope, group=w.DOCUMENT_GROUP))),
    "another owner's": ("scope", lambda one: replace(one, scope=replace(one.scope, owner=UTO))),
    "expired": ("expiry", lambda one: replace(one, made_ns=1, expires_ns=2)),
    "a chunk's hash": ("chunk", lambda one: replace(one, chunk_hashes=(b"x" * 32,))),
    "the table's hash": ("table", lambda one: replace(one, table_hash=b"x" * 32)),
    "the size": ("table", lambda one: replace(one, padded_count=2048)),
}


@pytest.mark.parametrize("how", BENT)
async def test_a_manifest_that_its_owner_signed_and_that_does_not_hold_is_a_fault(how: str) -> None:
    step, bend = BENT[how]
    world, _, first = await holding()
    current = world[HND].published.current(PAN, ListId.PERSONS, WATCH_GROUP)
    assert current is not None
    world.line(PAN, HND).manifest = await _signed_for_pan(world[HND], bend(current.manifest))
    await refused(world, step, first)


async def _signed_for_pan(owner: State, made: Manifest) -> ports.SignedManifest:
    """Whatever it says, it is addressed to PAN: else it would not even reach the flow."""
    body, fields = owner.sender.manifest(made, max(made.made_ns, 1))
    return ports.SignedManifest(made, await owner.keys.sign(fields | {"receiver": PAN}, body))


@pytest.mark.parametrize(
    "bend",
    [lambda chunk: chunk[:-1], lambda chunk: chunk + b"\0", lambda chunk: bytes([chunk[0] ^ 1]) + chunk[1:]],
    ids=["cut", "lengthened", "a bit"],
)
async def test_a_chunk_that_is_not_the_manifests_is_a_fault(bend: Callable[[bytes], bytes]) -> None:
    world, _, first = await holding()
    world.line(PAN, HND).chunk = bend
    await refused(world, "chunk", first)


def _unsorted(table: bytes) -> bytes:
    head, size = tables.HEADER_BYTES, tables.ENTRY_BYTES
    return table[:head] + table[head + size : head + 2 * size] + table[head : head + size] + table[head + 2 * size :]


@pytest.mark.parametrize(
    "bend",
    [
        _unsorted,
        lambda table: b"lemon table 1\n\0\0" + table[16:],
        lambda table: table[: -tables.ENTRY_BYTES],
        lambda table: table[:16] + (9).to_bytes(8, "big") + table[24:],
        lambda table: table[: tables.HEADER_BYTES],
    ],
    ids=["order", "magic", "cut", "version", "empty"],
)
async def test_a_file_that_is_no_table_is_a_fault_although_it_is_signed(bend: Callable[[bytes], bytes]) -> None:
    world, _, first = await holding()
    await world[HND].bend_table(PAN, bend)
    await refused(world, "table", first)


@pytest.mark.parametrize("trouble", [{"down": True}, {"refusal": NotFoundOrNotPermitted("moved on")}], ids=str)
async def test_an_owner_that_does_not_answer_leaves_the_table_in_use_and_no_entry(trouble: dict[str, Any]) -> None:
    world, pan, first = await holding()
    for name, value in trouble.items():
        setattr(world.line(PAN, HND), name, value)
    count = len(pan.logged("table.received"))
    with pytest.raises(GatewayError) as caught:
        await receive(world)
    assert isinstance(caught.value, PeerUnreachable | NotFoundOrNotPermitted)
    assert (held(world), len(pan.logged("table.received"))) == (first, count)


async def test_an_owner_that_moves_on_in_the_middle_ends_the_attempt_and_nothing_of_it_is_kept() -> None:
    world, _, first = await holding()
    later = await world[HND].bent(PAN, lambda table: table)
    line = world.line(PAN, HND)

    def move_on() -> None:
        world[HND].published.put(PAN, *later)

    line.during = lambda: setattr(line, "during", move_on)
    with pytest.raises(NotFoundOrNotPermitted):
        await receive(world)
    assert held(world) == first
    assert await receive(world) is True
