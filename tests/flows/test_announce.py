"""A change that does not wait for the tick: found by a peer's next check, of one size for everybody, and in a chain."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gateway import ports
from gateway.audit.entry import Phase
from gateway.errors import AuditUnavailable, VerificationFailed
from gateway.flows import listing, publish
from gateway.flows.check import CheckAnswer
from gateway.flows.listing import Difference
from gateway.policy import catalogue
from gateway.pseudonym import delta, schedule
from gateway.rpc.convert import peers as convert
from gateway.terms import KeyType, ListId, PeerId, Purpose, RecordKind, Role
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PurposeGroup
from gateway.watchlist.entry import ListEntry
from tests.flows import world as w
from tests.flows.test_listing import load, withdrawal
from tests.flows.world import DOCUMENT_GROUP, HND, PAN, STATUS, UTO, World
from tests.support.entries import document, entry, lost, tagged

pytestmark = pytest.mark.asyncio

CHILD = Purpose("MISS.CHILD")
CHILD_GROUP = PurposeGroup("CHILD")
BOTH = (STATUS, CHILD)
PAPER = lost("PAN", entry_id="D1", documents=(document("PAN", "PA7300123"),))
GIRL = w.person("SOLARI", "INES", "2015-04-02", "UTO")
MISSING = entry(entry_id="M1", kind=RecordKind.MISSING_CHILD, person=GIRL)


async def region(*listed: ListEntry, peers: tuple[PeerId, ...] = (HND, UTO)) -> World:
    """PAN's tables of documents and of children lie with its peers."""
    world = await World.of(PAN, *peers)
    await world[PAN].enlist(*listed)
    await fold(world)
    world.journal.clear()
    world.sent.clear()
    return world


async def fold(world: World) -> None:
    """The tick: new tables, and everybody fetches them."""
    peers = [code for code in world.states if code != PAN]
    await world[PAN].publish(*peers, purposes=BOTH)
    for peer in peers:
        await world[peer].fetch(PAN, BOTH)


async def entered(world: World, *rows: ListEntry, list_id: ListId = ListId.DOCUMENTS, **more: Any) -> Difference:
    return await listing.load(load(*rows, list_id=list_id, **more), world[PAN].listing())


async def withdrawn(world: World, entry_id: str, list_id: ListId = ListId.DOCUMENTS) -> Difference:
    return await listing.load(withdrawal(entry_id, list_id=list_id), world[PAN].listing())


async def ask(world: World, number: str = "PA7300123", peer: PeerId = HND) -> CheckAnswer:
    return await world[peer].ask(w.traveller(None, document("PAN", number)), purpose=STATUS, owners=[PAN])


async def ask_child(world: World, peer: PeerId = HND, **more: Any) -> CheckAnswer:
    officer = world[peer].officer(Role.CHILD_PROTECTION, Role.BORDER_FRONTLINE)
    return await world[peer].ask(w.traveller(GIRL), purpose=CHILD, officer=officer, owners=[PAN], **more)


def kinds(answer: CheckAnswer) -> list[RecordKind]:
    assert answer.complete
    return [hit.kind for hit in answer.hits]


def made(world: World, peer: PeerId = HND, group: PurposeGroup = DOCUMENT_GROUP) -> list[ports.SignedDelta]:
    list_id = ListId.DOCUMENTS if group == DOCUMENT_GROUP else ListId.PERSONS
    epoch = world[PAN].store.epoch(peer)
    assert epoch is not None
    held = world[PAN].store.deltas(peer, list_id, group, epoch[0], 0, 100)
    return [ports.SignedDelta(convert.delta(message.body), message) for _, message in held]


def rows_told(world: World, peer: PeerId) -> list[int]:
    """How many true rows each of the owner's entries about the peer seals."""
    state = world[PAN]
    return [state.opened(leaf)["rows"] for leaf in state.leaves("delta.published") if leaf.peer == peer]


# -- Seen at once -----------------------------------------------------------------------------------------------------


async def test_a_document_reported_stolen_is_found_by_the_next_check() -> None:
    world = await region()
    assert kinds(await ask(world)) == []
    assert (await entered(world, PAPER)).immediate
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    assert kinds(await ask(world, "PA7300124")) == []


async def test_a_withdrawn_one_is_found_no_more_at_once() -> None:
    world = await region(PAPER)
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    assert (await withdrawn(world, "D1")).immediate
    assert kinds(await ask(world)) == []


async def test_the_newest_word_on_a_document_counts() -> None:
    world = await region()
    for _ in range(2):
        await entered(world, PAPER)
        assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
        await withdrawn(world, "D1")
        assert kinds(await ask(world)) == []
    await entered(world, replace(PAPER, kind=RecordKind.REVOKED))
    assert kinds(await ask(world)) == [RecordKind.REVOKED]
    assert [one.delta.number for one in made(world)] == [1, 2, 3, 4, 5]


async def test_what_another_entry_says_of_the_document_stays() -> None:
    graver = lost("PAN", entry_id="D2", kind=RecordKind.REVOKED, urgency=3, documents=PAPER.documents)
    world = await region(PAPER)
    await entered(world, graver)
    assert kinds(await ask(world)) == [RecordKind.REVOKED]
    await withdrawn(world, "D2")
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    await withdrawn(world, "D1")
    assert kinds(await ask(world)) == []


async def test_a_number_that_was_corrected_is_found_under_the_new_one_only() -> None:
    world = await region(PAPER)
    await entered(world, replace(PAPER, documents=(document("PAN", "PA7300199"),)))
    assert kinds(await ask(world)) == []
    assert kinds(await ask(world, "PA7300199")) == [RecordKind.LOST_STOLEN]


async def test_a_missing_child_is_found_by_the_next_check() -> None:
    world = await region()
    assert kinds(await ask_child(world)) == []
    assert (await entered(world, MISSING, list_id=ListId.PERSONS)).immediate
    assert kinds(await ask_child(world)) == [RecordKind.MISSING_CHILD]
    await withdrawn(world, "M1", ListId.PERSONS)
    assert kinds(await ask_child(world)) == []


async def test_a_wanted_person_waits_for_the_tick() -> None:
    world = await region()
    change = await entered(world, entry(person=w.person("KOVACH", "IVAN", "1979-02-11")), list_id=ListId.PERSONS)
    assert not change.immediate
    assert world[PAN].leaves("delta.published") == []


async def test_a_change_too_large_for_deltas_waits_for_the_tick() -> None:
    world = await region()
    many = [lost("PAN", entry_id=f"D{n}", documents=(document("PAN", f"PA{n:07}"),)) for n in range(1025)]
    assert not (await entered(world, *many)).immediate
    assert made(world) == []
    assert (await entered(world, *many[:3], PAPER)).immediate


async def test_several_deltas_carry_a_change_of_many_rows() -> None:
    world = await region()
    many = [lost("PAN", entry_id=f"D{n}", documents=(document("PAN", f"PA{n:07}"),)) for n in range(70)]
    await entered(world, *many)
    assert [one.delta.number for one in made(world)] == [1, 2]
    assert kinds(await ask(world, "PA0000003")) == kinds(await ask(world, "PA0000069")) == [RecordKind.LOST_STOLEN]


async def test_the_next_table_has_it_and_the_deltas_behind_it_are_read_no_more() -> None:
    world = await region()
    await entered(world, PAPER)
    await fold(world)
    held = world[HND].copies.current(PAN, ListId.DOCUMENTS, DOCUMENT_GROUP)
    assert held is not None and held.manifest.delta_number == 1
    assert held.manifest.delta_hash == hashlib.sha256(made(world)[0].message.body).digest()
    world.sent.clear()
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    assert [one.method for one in world.sent if one.method == convert.GET_DELTAS] == []
    await withdrawn(world, "D1")
    assert kinds(await ask(world)) == []
    await fold(world)
    assert kinds(await ask(world)) == []


async def test_who_still_holds_the_table_before_reads_on_from_there() -> None:
    world = await region()
    await entered(world, PAPER)
    await world[PAN].publish(HND, UTO, purposes=BOTH)
    other = lost("PAN", entry_id="D2", documents=(document("PAN", "PA7300124"),))
    await entered(world, other)
    assert kinds(await ask(world)) == kinds(await ask(world, "PA7300124")) == [RecordKind.LOST_STOLEN]


async def test_a_change_between_reading_the_list_and_the_table_is_read_over_it() -> None:
    world = await region()
    heads = publish._heads((HND,), world[PAN].book)
    await entered(world, PAPER)
    assert heads != publish._heads((HND,), world[PAN].book)
    await fold(world)
    await withdrawn(world, "D1")
    assert kinds(await ask(world)) == []


async def test_a_peer_whose_table_has_ended_gets_the_change_with_its_next_one() -> None:
    world = await region()
    epoch = world[PAN].store.epoch(HND)
    assert epoch is not None
    ended = {"peer": HND, "epoch": epoch[0], "expires_ns": world.clock.now_ns()}
    await world[PAN].store.commit([], [ports.Change("epoch.put", ended)])
    assert not (await entered(world, PAPER)).immediate
    assert (len(made(world, UTO)), len(made(world, HND))) == (1, 0)
    await fold(world)
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]


async def test_who_has_no_table_has_no_deltas() -> None:
    world = await World.of(PAN, HND)
    assert not (await entered(world, PAPER)).immediate
    assert world[PAN].leaves("delta.published") == []


# -- The same for everybody -------------------------------------------------------------------------------------------


async def test_who_may_be_told_nothing_gets_as_many_bytes() -> None:
    world = await region()
    await entered(world, replace(PAPER, originator=UTO))
    (told,), (untold,) = made(world, HND), made(world, UTO)
    assert len(told.delta.rows) == len(untold.delta.rows) == delta.DELTA_BYTES == 4096
    assert len(told.message.body) == len(untold.message.body)
    assert (rows_told(world, HND), rows_told(world, UTO)) == ([1], [0])
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]
    assert kinds(await ask(world, peer=UTO)) == []
    sealed = {len(world[PAN].store.payload(leaf.seq) or b"") for leaf in world[PAN].leaves("delta.published")}
    assert len(sealed) == 1


async def test_after_a_delta_everybody_gets_a_new_table_also_who_was_told_nothing() -> None:
    world = await region()
    await entered(world, replace(PAPER, originator=UTO))
    fresh = await world[PAN].publish(HND, UTO, purposes=BOTH)
    assert [(one.peer, one.group) for one in fresh] == [(HND, DOCUMENT_GROUP), (UTO, DOCUMENT_GROUP)]


async def test_no_row_of_a_delta_can_be_found_again_in_the_next_table() -> None:
    world = await region()
    await entered(world, PAPER)
    await fold(world)
    rows = made(world)[0].delta.rows
    table = world[PAN].table(HND, ListId.DOCUMENTS)
    tags = {table[at : at + 16] for at in range(64, len(table), 64)}
    assert tags.isdisjoint(rows[at : at + 16] for at in range(0, len(rows), 64))


async def test_nothing_of_a_table_can_be_found_again_in_the_next() -> None:
    world = await region(PAPER)
    tables = [world[PAN].table(HND, ListId.DOCUMENTS)]
    await entered(world, lost("PAN", entry_id="D2", documents=(document("PAN", "PA7300124"),)))
    await fold(world)
    tables.append(world[PAN].table(HND, ListId.DOCUMENTS))
    first, second = ({table[at : at + 16] for at in range(64, len(table), 64)} for table in tables)
    assert first.isdisjoint(second) and len(first) == len(second)


async def test_a_hit_and_a_miss_say_the_same_to_the_owner() -> None:
    world = await region()
    await entered(world, PAPER)
    await ask(world)
    await entered(world, lost("PAN", entry_id="D2", documents=(document("PAN", "PA7300125"),)))
    seen = []
    for number in ("PA7300123", "PA7300124"):
        world.sent.clear()
        await ask(world, number)
        await entered(world, lost("PAN", entry_id=f"E{number}", documents=(document("PAN", f"X{number}"),)))
        seen.append([(one.sender, one.method, len(one.message.body)) for one in world.sent])
    assert seen[0] == seen[1]
    assert [method for _, method, _ in seen[0]].count(convert.GET_DELTAS) == 2


async def test_a_cover_leg_fetches_deltas_as_a_real_one() -> None:
    world = await region()
    await entered(world, MISSING, list_id=ListId.PERSONS)
    real = await ask_child(world)
    await entered(world, replace(MISSING, entry_id="M2", person=w.person("OTRA", "ANA", "2014-05-06", "COL")),
                  list_id=ListId.PERSONS)  # fmt: skip
    world.sent.clear()
    guarded = await ask_child(world, protection_declared=True, declared_origins=frozenset({"PAN"}))
    assert (kinds(real), kinds(guarded)) == ([RecordKind.MISSING_CHILD], [])
    assert [one.method for one in world.sent].count(convert.GET_DELTAS) == 2


# -- Protected (T10) --------------------------------------------------------------------------------------------------


async def test_a_protected_child_is_told_to_all_but_the_state_it_fled_from() -> None:
    world = await region()
    await entered(world, replace(MISSING, history=tagged()), list_id=ListId.PERSONS)
    assert kinds(await ask_child(world)) == [RecordKind.MISSING_CHILD]
    assert kinds(await ask_child(world, UTO)) == []
    assert [len(made(world, peer, CHILD_GROUP)) for peer in (HND, UTO)] == [1, 1]
    assert rows_told(world, UTO) == [0]


async def test_a_tag_that_is_set_is_no_change_that_anybody_sees() -> None:
    world = await region()
    await entered(world, MISSING, list_id=ListId.PERSONS)
    change = await entered(world, replace(MISSING, history=tagged()), list_id=ListId.PERSONS)
    assert len(change.changed) == 1
    assert [len(made(world, peer, CHILD_GROUP)) for peer in (HND, UTO)] == [1, 1]
    assert kinds(await ask_child(world, UTO)) == [RecordKind.MISSING_CHILD]


async def test_a_tag_set_with_another_change_takes_nothing_away_at_once() -> None:
    world = await region()
    await entered(world, MISSING, list_id=ListId.PERSONS)
    await entered(world, replace(MISSING, urgency=3, history=tagged()), list_id=ListId.PERSONS)
    assert rows_told(world, UTO)[-1] == 0
    assert kinds(await ask_child(world, UTO)) == kinds(await ask_child(world)) == [RecordKind.MISSING_CHILD]


# -- The log ----------------------------------------------------------------------------------------------------------


async def test_a_delta_is_made_in_the_commit_of_the_change() -> None:
    world = await region()
    commits = world[PAN].uow.commits
    await entered(world, PAPER)
    assert world[PAN].uow.commits == commits + 1
    assert (
        world.journal
        == ["PAN logs list.loaded event", "PAN logs list.entry event"] + ["PAN logs delta.published event"] * 2
    )
    await ask(world)
    (received,) = world[HND].leaves("delta.received")
    (published,) = [leaf for leaf in world[PAN].leaves("delta.published") if leaf.peer == HND]
    assert received.public["delta_hash"] == published.public["delta_hash"]
    assert (received.public["fault"], received.public["number"]) == ("", 1)
    outcomes = [n for n, line in enumerate(world.journal) if line == "HND logs check.ask outcome"]
    assert world.journal.index("HND logs delta.received event") < outcomes[0]
    assert [leaf.phase for leaf in world[HND].leaves("check.ask")] == [Phase.INTENT, Phase.OUTCOME]


async def test_without_the_log_there_is_neither_change_nor_delta() -> None:
    world = await region()
    world[PAN].uow.fails_at = {world[PAN].uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await entered(world, PAPER)
    assert made(world) == [] and list(world[PAN].store.all(ListId.DOCUMENTS)) == []


async def test_two_acts_at_once_both_stand_in_one_chain() -> None:
    world = await region()
    state = world[PAN]
    other = lost("PAN", entry_id="D2", documents=(document("PAN", "PA7300124"),))
    acts: list[ListEntry] = [other]

    def meanwhile() -> None:
        if acts:
            w.now(listing.load(load(acts.pop(), list_id=ListId.DOCUMENTS), state.listing()))

    state.uow.before_commit = meanwhile
    await entered(world, PAPER)
    assert [one.delta.number for one in made(world)] == [1, 2]
    assert kinds(await ask(world)) == kinds(await ask(world, "PA7300124")) == [RecordKind.LOST_STOLEN]


async def test_a_suspended_peer_gets_no_delta_and_holds_up_nobody() -> None:
    world = await region()
    await world[PAN].store.commit([], [ports.Change("peer.suspend", {"peer": UTO, "suspended": True})])
    await entered(world, PAPER)
    assert (len(made(world, HND)), len(made(world, UTO))) == (1, 0)


# -- Hostile owners ---------------------------------------------------------------------------------------------------


async def unreachable(world: World, number: str = "PA7300123") -> None:
    answer = await ask(world, number)
    assert (answer.hits, answer.unreachable) == ((), (PAN,))


def flipped(messages: list[SignedMessage]) -> list[SignedMessage]:
    first, *rest = messages
    return [replace(first, body=first.body[:-9] + bytes([first.body[-9] ^ 1]) + first.body[-8:]), *rest]


async def test_a_flipped_delta_is_no_delta() -> None:
    world = await region()
    await entered(world, PAPER)
    world.line(HND, PAN).deltas = flipped
    await unreachable(world)
    world.line(HND, PAN).deltas = lambda deltas: deltas
    assert kinds(await ask(world)) == [RecordKind.LOST_STOLEN]


@pytest.mark.parametrize("how", ["skipped", "replayed", "swapped", "of another peer"])
async def test_a_broken_chain_is_evidence_and_nothing_is_read_from_it(how: str) -> None:
    world = await region()
    await entered(world, PAPER)
    if how == "replayed":
        await ask(world)
    await withdrawn(world, "D1")
    first, second = (one.message for one in made(world))
    bent = {
        "skipped": [second],
        "replayed": [first],
        "swapped": [second, first],
        "of another peer": [one.message for one in made(world, UTO)],
    }[how]
    world.line(HND, PAN).deltas = lambda deltas: bent
    await unreachable(world)
    faults = [str(leaf.public["fault"]) for leaf in world[HND].leaves("delta.received")]
    if how == "of another peer":
        # Its signature is for another receiver: it is refused before it is anybody's.
        assert faults == []
    else:
        assert faults[-1] == "not the next number"


async def test_a_chain_that_forks_is_evidence() -> None:
    world = await region()
    await entered(world, PAPER)
    await ask(world)
    await withdrawn(world, "D1")
    state = world[PAN]
    second = made(world)[1].delta
    body, fields = state.sender.delta(replace(second, previous=bytes(32)), second.made_ns)
    forked = await state.keys.sign(fields, body)
    world.line(HND, PAN).deltas = lambda deltas: [forked]
    await unreachable(world)
    assert world[HND].leaves("delta.received")[-1].public["fault"] == "does not follow the one before"


async def test_a_delta_that_is_claimed_and_not_given_makes_the_owner_unreachable() -> None:
    world = await region(PAPER)
    world.line(HND, PAN).reply = lambda reply: replace(reply, delta_number=1)
    await unreachable(world)
    world.line(HND, PAN).reply = lambda reply: replace(reply, delta_number=1 << 40)
    await unreachable(world)


async def test_a_table_of_another_history_than_the_deltas_is_refused() -> None:
    world = await region()
    await entered(world, PAPER)
    await ask(world)
    state = world[PAN]
    await state.publish(HND, purposes=(STATUS,))
    held = state.published.current(HND, ListId.DOCUMENTS, DOCUMENT_GROUP)
    assert held is not None
    table = state.table(HND, ListId.DOCUMENTS)
    state.published.put(HND, await state.signed(replace(held.manifest, delta_hash=bytes(32))), table)
    with pytest.raises(VerificationFailed):
        await world[HND].fetch(PAN, (STATUS,))
    assert world[HND].leaves("table.received")[-1].public["fault"] == "delta"


async def test_a_table_that_goes_back_behind_its_deltas_is_refused() -> None:
    world = await region()
    await entered(world, PAPER)
    await fold(world)
    state = world[PAN]
    held = state.published.current(HND, ListId.DOCUMENTS, DOCUMENT_GROUP)
    assert held is not None
    blob = state.table(HND, ListId.DOCUMENTS)
    blob = blob[:16] + (held.manifest.version + 1).to_bytes(8, "big") + blob[24:]
    size = held.manifest.chunk_bytes
    older = replace(
        held.manifest,
        version=held.manifest.version + 1,
        previous=hashlib.sha256(held.message.body).digest(),
        table_hash=hashlib.sha256(blob).digest(),
        chunk_hashes=tuple(hashlib.sha256(blob[at : at + size]).digest() for at in range(0, len(blob), size)),
        delta_number=0,
        delta_hash=bytes(32),
    )
    state.published.put(HND, await state.signed(older), blob)
    with pytest.raises(VerificationFailed):
        await world[HND].fetch(PAN, (STATUS,))


async def test_a_row_that_does_not_open_shows_as_nothing_and_in_the_sealed_log_only() -> None:
    world = await region(PAPER)
    await withdrawn(world, "D1")
    await entered(world, PAPER)
    state = world[PAN]
    first, second = (one.delta for one in made(world))
    (y,) = await state.keys.derive(second.scope, [_input(PAPER)])
    tag, _ = schedule.delta_row(y, 2)
    at = second.rows.index(tag) + 16
    spoiled = replace(second, rows=second.rows[:at] + bytes([second.rows[at] ^ 1]) + second.rows[at + 1 :])
    body, fields = state.sender.delta(spoiled, second.made_ns)
    signed = await state.keys.sign(fields, body)
    world.line(HND, PAN).deltas = lambda deltas: [deltas[0], signed]
    assert kinds(await ask(world)) == []
    assert "0:unreadable" in world[HND].opened(world[HND].leaves("check.ask")[-1])["hits"]
    assert first.number == 1


def _input(one: ListEntry) -> bytes:
    (key,) = publish.keys_of(one, frozenset({KeyType.DOC_1}))
    return key.input.open()


async def test_the_table_s_own_tag_is_not_a_delta_s() -> None:
    world = await region()
    await entered(world, PAPER)
    scope = made(world)[0].delta.scope
    (y,) = await world[PAN].keys.derive(scope, [_input(PAPER)])
    held = world[HND].copies.current(PAN, ListId.DOCUMENTS, DOCUMENT_GROUP)
    assert held is not None
    assert schedule.label_row(y, held.manifest.version)[0] not in made(world)[0].delta.rows
    assert schedule.delta_row(y, 1)[0] in made(world)[0].delta.rows
    assert schedule.delta_row(y, 2)[0] != schedule.delta_row(y, 1)[0]


async def test_the_groups_that_do_not_wait_are_documents_and_children() -> None:
    assert set(catalogue.IMMEDIATE) == {DOCUMENT_GROUP, CHILD_GROUP}
    assert all(group in {place.group for place in catalogue.tables()} for group in catalogue.IMMEDIATE)
