"""A table is a disclosure: decided by entry, logged, then served, and taken back (docs/flows/publish.md)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from gateway import ports
from gateway.errors import AuditUnavailable, EpochRefused, PolicyDenied, VersionMoved
from gateway.federation import envelope
from gateway.flows import publish
from gateway.people.person import Person
from gateway.policy.decision import Deny
from gateway.pseudonym import table as tables
from gateway.rpc.convert import peers as convert
from gateway.store.tables import MemoryTables
from gateway.terms import ListId, Outcome, PeerId, ProtectionTag, RecordKind
from gateway.terms.exchange import Manifest
from gateway.watchlist.entry import ListEntry, TagChange
from tests.flows import world as w
from tests.flows.world import DOCUMENT_GROUP, GTM, HND, OFFERED, PAN, STATUS, UTO, WATCH_GROUP, State, World
from tests.support.entries import DAY_NS, entry, lost

pytestmark = pytest.mark.asyncio

ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12", "UTO")
IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
PROTECTED = (TagChange(ProtectionTag.ASYLUM_SEEKER, True, 1, "desk"),)


def wanted(number: int, person: Person = IVAN, **changes: Any) -> ListEntry:
    return entry(**({"entry_id": f"W{number}", "originator": HND, "person": person} | changes))


async def owner(*listed: ListEntry, peers: tuple[PeerId, ...] = (PAN,)) -> tuple[World, State]:
    """HND with a list, published to its peers."""
    world = await World.of(HND, *peers)
    await world[HND].enlist(*listed)
    await world[HND].publish(*peers)
    return world, world[HND]


def made(state: State, peer: PeerId = PAN, list_id: ListId = ListId.PERSONS) -> ports.SignedManifest:
    found = state.published.current(peer, list_id, WATCH_GROUP if list_id is ListId.PERSONS else DOCUMENT_GROUP)
    assert found is not None
    return found


def manifest(state: State, peer: PeerId = PAN, list_id: ListId = ListId.PERSONS) -> Manifest:
    return made(state, peer, list_id).manifest


def tags(state: State, peer: PeerId = PAN) -> set[bytes]:
    table = state.table(peer)
    return {table[at : at + 16] for at in range(tables.HEADER_BYTES, len(table), tables.ENTRY_BYTES)}


async def test_between_two_ticks_only_first_tables_are_made() -> None:
    world = await World.of(HND, PAN, GTM)
    hnd = world[HND]
    await hnd.enlist(wanted(1))
    await hnd.publish(PAN)
    before = manifest(hnd)
    await hnd.enlist(wanted(2))
    first = await publish.publish([PAN, GTM], hnd.publishing(*OFFERED), first_only=True)
    assert {one.peer for one in first} == {GTM} and {one.version for one in first} == {1}
    assert manifest(hnd) == before
    # The tick makes what is due for everybody; a first table was the same as it would have made.
    assert {one.peer for one in await hnd.publish(PAN, GTM)} == {PAN}


# -- What is made -----------------------------------------------------------------------------------------------------


async def test_a_peer_gets_one_table_for_each_list_it_has_an_agreement_for() -> None:
    _, hnd = await owner(wanted(1), lost("HND", originator=HND))
    for list_id, group in ((ListId.PERSONS, WATCH_GROUP), (ListId.DOCUMENTS, DOCUMENT_GROUP)):
        one = manifest(hnd, PAN, list_id)
        assert (one.scope.owner, one.scope.peer, one.scope.group, one.version) == (HND, PAN, group, 1)
        assert one.previous == bytes(32)
        assert one.transfer_basis.startswith("AGR-HND-PAN")
    keys = {manifest(hnd, PAN, list_id).public_key for list_id in ListId}
    assert len(keys) == 2
    assert {one.manifest.scope.peer for one in hnd.published.all()} == {PAN}


async def test_the_manifest_is_a_standing_document_that_its_peer_can_show_to_anybody() -> None:
    _, hnd = await owner(wanted(1))
    message = made(hnd).message
    envelope.verify(
        message, method=envelope.MANIFEST, sender=HND, receiver=PAN, keys=[hnd.public["message"]], now_ns=None
    )  # fmt: skip
    assert convert.manifest(message.body) == manifest(hnd)
    assert hashlib.sha256(hnd.table(PAN)).digest() == manifest(hnd).table_hash


async def test_every_peers_table_has_one_size_whatever_it_is_not_told() -> None:
    barred = [
        wanted(number, w.person(f"NAME{'ABCDEFGH'[number]}", "X", "1984-08-12", "UTO"), history=PROTECTED)
        for number in range(8)
    ]
    _, hnd = await owner(*barred, wanted(9, originator=GTM), peers=(PAN, UTO, GTM))
    told = {peer: hnd.opened(one)["told"] for one in hnd.leaves("table.published")
            if (peer := one.peer) and one.public["list"] == "PERSONS"}  # fmt: skip
    assert told == {PAN: 9, UTO: 1, GTM: 8}
    assert len({len(hnd.table(PeerId(peer))) for peer in told}) == 1
    assert len({manifest(hnd, PeerId(peer)).padded_count for peer in told}) == 1
    for field in ("padded_count", "chunk_bytes", "key_types", "version", "expires_ns"):
        assert len({getattr(manifest(hnd, PeerId(peer)), field) for peer in told}) == 1
    # Nobody can compare what the tables were made from.
    assert len({manifest(hnd, PeerId(peer)).source for peer in told}) == 3


async def test_the_size_follows_the_whole_list_and_not_what_one_peer_is_told() -> None:
    world = await World.of(HND, PAN, UTO)
    many = [
        replace(
            wanted(number, w.person(f"AB{''.join('ABCDEFGHIJ'[int(d)] for d in str(number))}", "X", "1980", "UTO")),
            history=PROTECTED,
        )
        for number in range(1030)
    ]
    await world[HND].enlist(*many)
    await world[HND].publish(UTO)
    one = manifest(world[HND], UTO)
    assert one.padded_count == tables.padded_count(1030) > tables.COUNT_MIN
    assert len(world[HND].table(UTO)) == tables.HEADER_BYTES + one.padded_count * tables.ENTRY_BYTES
    (leaf,) = [each for each in world[HND].leaves("table.published") if each.public["list"] == "PERSONS"]
    assert world[HND].opened(leaf) == {"told": 0, "withheld": ["origin:1030"]}


async def test_only_what_may_be_told_is_told() -> None:
    listed = [
        wanted(1),
        wanted(2, w.person("SIS", "A"), provenance="SIS"),
        wanted(3, w.person("EURODAC", "A"), provenance="Eurodac"),
        wanted(4, w.person("OLD", "A"), valid_until=date(2026, 11, 24)),
        wanted(5, w.person("TOLD BACK", "A"), originator=PAN),
        wanted(6, w.person("CHILD", "A", "2010")),
        wanted(7, w.person("SMUGGLER", "A"), kind=RecordKind.SMUGGLER_SUSPECT),
        wanted(8, w.person("MISSING", "A"), kind=RecordKind.MISSING_CHILD),
        lost("PAN", entry_id="D1", originator=HND, documents=(w.passport("PAN", "X1"),)),
        lost("HND", entry_id="D2", originator=HND, documents=(w.passport("HND", "X2"),)),
    ]
    world, hnd = await owner(*listed)
    await world[PAN].fetch(HND)
    persons, documents = hnd.leaves("table.published")
    assert hnd.opened(persons) == {
        "told": 1, "withheld": ["child:1", "expired:1", "originator:1", "provenance:2"],
    }  # fmt: skip
    assert hnd.opened(documents) == {"told": 1, "withheld": ["not_the_issuer:1"]}
    for one in listed[1:8]:
        assert one.person is not None
        assert (await world[PAN].ask(w.traveller(replace(one.person, nationalities=("VEN",))))).hits == ()
    assert len((await world[PAN].ask(w.traveller(IVAN))).hits) == 1
    for number, found in (("X1", 0), ("X2", 1)):
        answer = await world[PAN].ask(
            w.traveller(None, w.passport("PAN" if found == 0 else "HND", number)), purpose=STATUS
        )
        assert len(answer.hits) == found


async def test_two_entries_with_one_key_are_one_row_and_the_graver_ones_label() -> None:
    for first, second in ((1, 2), (2, 1)):
        world, _ = await owner(wanted(first), wanted(second, kind=RecordKind.REFUSE_ENTRY))
        await world[PAN].fetch(HND)
        (hit,) = (await world[PAN].ask(w.traveller(IVAN))).hits
        assert hit.kind is RecordKind.WANTED_ARREST


# -- Versions ---------------------------------------------------------------------------------------------------------


async def test_a_list_that_did_not_change_makes_no_new_version_and_no_entry() -> None:
    world, hnd = await owner(wanted(1))
    world.journal.clear()
    assert await hnd.publish(PAN) == []
    world.clock.pass_ns(20 * DAY_NS)
    assert await hnd.publish(PAN) == []
    assert world.journal == []


async def test_a_change_makes_the_next_version_which_names_the_one_before() -> None:
    _, hnd = await owner(wanted(1))
    first = made(hnd)
    await hnd.enlist(wanted(2, ROSA))
    (one,) = await hnd.publish(PAN)
    assert (one.version, one.told) == (2, 2)
    assert manifest(hnd).version == 2
    assert manifest(hnd).previous == hashlib.sha256(first.message.body).digest()


async def test_a_change_that_a_peer_is_not_told_makes_no_version_for_it() -> None:
    _, hnd = await owner(wanted(1), peers=(PAN, UTO))
    await hnd.enlist(wanted(2, ROSA, history=PROTECTED))
    assert [(one.peer, one.version) for one in await hnd.publish(PAN, UTO)] == [(PAN, 2)]


async def test_no_row_of_a_table_comes_again_in_the_next_version() -> None:
    _, hnd = await owner(wanted(1))
    first = tables.TableView(hnd.table(PAN))
    await hnd.enlist(wanted(1, kind=RecordKind.REFUSE_ENTRY))
    await hnd.publish(PAN)
    second = tables.TableView(hnd.table(PAN))
    # Neither a (key, nonce) for a second label, nor a tag by which a peer could tell what stayed from noise.
    assert first.table_id != second.table_id and first.version != second.version
    tags = [{view.tag_at(n) for n in range(len(view))} for view in (first, second)]
    assert tags[0].isdisjoint(tags[1])


async def test_a_withdrawn_entry_and_an_expired_one_never_hit_again() -> None:
    world, hnd = await owner(wanted(1), wanted(2, ROSA, valid_until=date(2026, 11, 25)))
    await world[PAN].fetch(HND)
    asked = (w.traveller(IVAN), w.traveller(replace(ROSA, nationalities=("VEN",))))
    assert len((await world[PAN].ask(*asked)).hits) == 2
    await hnd.store.commit([], [ports.Change("entry.withdraw", {"list": "PERSONS", "entry_id": "W1", "at_ns": 1})])
    world.clock.pass_ns(DAY_NS)
    (one,) = await hnd.publish(PAN)
    assert (one.told, one.withheld) == (0, {"expired": 1})
    await world[PAN].fetch(HND)
    assert (await world[PAN].ask(*asked)).hits == ()
    world.clock.pass_ns(31 * DAY_NS)
    await hnd.publish(PAN)
    await world[PAN].fetch(HND)
    assert (await world[PAN].ask(*asked)).outcome is Outcome.NOTHING_TO_REPORT


# -- Order ------------------------------------------------------------------------------------------------------------


async def test_an_epoch_is_in_the_log_before_its_key_is_used_and_a_table_before_it_is_served() -> None:
    world = await World.of(HND, PAN)
    await world[HND].enlist(wanted(1))
    await world[HND].publish(PAN)
    assert world.journal == [
        "HND logs epoch.opened event",
        "HND logs table.published event",
        "HND logs table.published event",
    ]
    for number, name in ((1, "the epoch"), (2, "the table")):
        world = await World.of(HND, PAN)
        await world[HND].enlist(wanted(1))
        world[HND].uow.fails_at = {number}
        with pytest.raises(AuditUnavailable):
            await world[HND].publish(PAN)
        assert world[HND].published.all() == [], name


async def test_rules_that_move_while_a_table_is_made_stop_it() -> None:
    world = await World.of(HND, PAN)
    await world[HND].enlist(wanted(1))
    await world[HND].store.commit(
        [], [ports.Change("policy.activate", {"layer": "national", "digest": b"n" * 32, "sequence": 2})]
    )
    with pytest.raises(VersionMoved):
        await world[HND].publish(PAN)
    assert world[HND].published.all() == []


async def test_a_peer_that_is_suspended_or_denied_gets_nothing() -> None:
    world = await World.of(HND, PAN, UTO)
    await world[HND].enlist(wanted(1))
    await world[HND].store.commit([], [ports.Change("peer.suspend", {"peer": PAN, "suspended": True})])
    world[HND].rule(lambda question: Deny(("no_agreement",)))
    assert await world[HND].publish(PAN, UTO) == []
    assert world[HND].published.all() == [] and world.journal == []


async def test_the_leaf_says_what_left_and_under_what_and_how_many_only_to_the_readers() -> None:
    _, hnd = await owner(wanted(1), wanted(2, ROSA, provenance="SIS"))
    one = hnd.leaves("table.published")[0]
    assert (one.peer, one.public["version"], one.public["basis"]) == (PAN, 1, manifest(hnd).transfer_basis)
    assert one.public["manifest_hash"] == hashlib.sha256(made(hnd).message.body).digest()
    assert one.public["table_hash"] == manifest(hnd).table_hash
    assert not {"told", "withheld"} & set(one.public)
    assert hnd.opened(one) == {"told": 1, "withheld": ["provenance:1"]}
    assert hnd.opened(one, "desk") == {}


# -- Epochs and withdrawal -------------------------------------------------------------------------------------------


async def test_the_end_of_an_epoch_brings_a_new_key_and_a_table_without_a_row_of_the_old() -> None:
    world, hnd = await owner(wanted(1))
    await world[PAN].fetch(HND)
    before, rows = manifest(hnd), tags(hnd)
    world.clock.pass_ns(before.expires_ns - world.clock.now_ns())
    answer = await world[PAN].ask(w.traveller(IVAN))
    assert (answer.unreachable, answer.complete) == ((HND,), False)
    await hnd.publish(PAN)
    after = manifest(hnd)
    assert after.scope.epoch != before.scope.epoch and after.public_key != before.public_key
    assert rows.isdisjoint(tags(hnd))
    assert await world[PAN].fetch(HND) == [True, True]
    assert len((await world[PAN].ask(w.traveller(IVAN))).hits) == 1


async def test_each_peers_key_goes_alone() -> None:
    _, hnd = await owner(wanted(1), peers=(PAN, UTO))
    assert await hnd.keys.destroy(PAN) == 1
    with pytest.raises(EpochRefused):
        await hnd.keys.public_key(manifest(hnd, PAN).scope)
    assert await hnd.keys.public_key(manifest(hnd, UTO).scope) == manifest(hnd, UTO).public_key


async def test_a_withdrawn_peer_is_answered_no_more_from_the_next_call_on_and_both_sides_tables_go() -> None:
    world, hnd = await owner(wanted(1), peers=(PAN, UTO))
    await world[PAN].enlist(entry(entry_id="P1", person=ROSA))
    await world[PAN].publish(HND)
    await hnd.fetch(PAN)
    await world[PAN].fetch(HND)
    assert len((await world[PAN].ask(w.traveller(IVAN), owners=[HND])).hits) == 1
    world.journal.clear()
    assert await publish.withdraw(PAN, hnd.publishing(), hnd.copies) == 1
    assert world.journal == ["HND logs peer.suspended event", "HND logs keys.destroyed event"]
    assert {one.manifest.scope.peer for one in hnd.published.all()} == {UTO}
    assert hnd.copies.all() == []
    with pytest.raises(PolicyDenied) as caught:
        await world[PAN].ask(w.traveller(IVAN), owners=[HND])
    assert caught.value.reasons == ("peer_suspended",)
    assert world.journal.count("HND evaluates") == 0


async def test_a_withdrawal_that_cannot_be_logged_destroys_nothing() -> None:
    _, hnd = await owner(wanted(1))
    hnd.uow.fails_at = {hnd.uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await publish.withdraw(PAN, hnd.publishing(), hnd.copies)
    assert len(hnd.published.all()) == 2
    await hnd.keys.public_key(manifest(hnd).scope)


async def test_a_peer_that_is_admitted_again_gets_tables_that_go_on_with_the_versions_it_holds() -> None:
    world, hnd = await owner(wanted(1))
    await world[PAN].fetch(HND)
    await publish.withdraw(PAN, hnd.publishing(), hnd.copies)
    await hnd.store.commit(
        [],
        [
            ports.Change("peer.suspend", {"peer": PAN, "suspended": False}),
            ports.Change("epoch.put", {"peer": PAN, "epoch": "00000000-00000000", "expires_ns": 0}),
        ],
    )
    assert [(one.list_id, one.version) for one in await hnd.publish(PAN)] == [
        (ListId.PERSONS, 2), (ListId.DOCUMENTS, 2),
    ]  # fmt: skip
    assert await world[PAN].fetch(HND) == [True, True]
    assert len((await world[PAN].ask(w.traveller(IVAN))).hits) == 1


# -- Crashes ----------------------------------------------------------------------------------------------------------


class Losing(MemoryTables):
    """Tables of a process that is killed between the log and the file, `left` times."""

    def __init__(self, left: int = 0) -> None:
        super().__init__()
        self.left = left

    def put(self, other: PeerId, signed: ports.SignedManifest, table: bytes) -> None:
        if self.left:
            self.left -= 1
            raise KeyboardInterrupt
        super().put(other, signed, table)


async def test_a_crash_after_the_log_and_before_the_file_costs_a_version_and_nothing_else() -> None:
    world = await World.of(HND, PAN)
    hnd, pan = world[HND], world[PAN]
    hnd.published, pan.copies = losing, keeping = Losing(), Losing()
    await hnd.enlist(wanted(1))
    await hnd.publish(PAN)
    await pan.fetch(HND)
    await hnd.enlist(wanted(2, ROSA))
    losing.left = 1
    with pytest.raises(KeyboardInterrupt):
        await hnd.publish(PAN)
    assert await pan.fetch(HND) == [False, False]
    assert [one.version for one in await hnd.publish(PAN)] == [3]
    # And the same at the one who receives it.
    keeping.left = 1
    with pytest.raises(KeyboardInterrupt):
        await pan.fetch(HND)
    assert await pan.fetch(HND) == [True, False]
    held = pan.copies.current(HND, ListId.PERSONS, WATCH_GROUP)
    assert held is not None and held.manifest.version == 3
    assert len((await pan.ask(w.traveller(IVAN))).hits) == 1
