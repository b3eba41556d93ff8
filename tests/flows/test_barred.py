"""T1 over the publishing flow: nobody finds what it was not told, in any byte ever sent to it or to anybody else.

Thirty peers. Each is given the most it can ever get: the owner's evaluation of the barred entries' true keys under its
own key. Then every byte of every table, manifest and reply is searched.
"""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flows.publish import keys_of
from gateway.policy import catalogue
from gateway.pseudonym import schedule
from gateway.terms import KeyType, ListId, PeerId, RecordKind
from gateway.terms.exchange import KeyScope
from gateway.watchlist.entry import ListEntry
from gateway.watchlist.publish import may_tell
from tests.flows import world as w
from tests.flows.world import PAN, WATCH, WATCH_GROUP, World
from tests.support.entries import PEERS, codes, document, entry, histories, person

OTHERS = tuple(peer for peer in PEERS if peer != PAN)
KINDS = tuple(kind.name for kind in catalogue.kinds_of_group(WATCH_GROUP))


@st.composite
def lists(draw: st.DrawFn) -> list[ListEntry]:
    """Entries of persons who share no key."""
    return [
        entry(
            entry_id=f"W{number}",
            kind=draw(st.sampled_from([RecordKind.WANTED_ARREST, RecordKind.REFUSE_ENTRY, RecordKind.MISSING_CHILD])),
            originator=draw(st.sampled_from([PAN, PAN, PeerId("HND"), PeerId("VEN")])),
            provenance=draw(st.sampled_from(["NATIONAL", "NATIONAL", "NATIONAL", "SIS"])),
            valid_until=draw(st.sampled_from([date(2026, 12, 31), date(2026, 12, 31), date(2026, 11, 1)])),
            person=person(*draw(st.lists(codes, max_size=2)), birth=f"19{60 + number}-03-0{1 + number}"),
            documents=(document(draw(codes), f"T{number}", draw(st.sampled_from(["", "VEN", "XXB"]))),),
            history=draw(histories()),
        )
        for number in range(draw(st.integers(2, 4)))
    ]


@settings(max_examples=3)
@given(lists(), lists())
def test_no_barred_entry_is_found_in_any_byte_ever_sent_to_anybody(
    first: list[ListEntry], second: list[ListEntry]
) -> None:
    w.now(_published(first, second[:1]))


async def _published(first: list[ListEntry], later: list[ListEntry]) -> None:
    world = await World.of(PAN, policy=lambda code: w.allow_all())
    pan = world[PAN]
    sent: list[bytes] = []
    listed = first
    for version, batch in enumerate((first, [_renamed(one) for one in later]), 1):
        listed = first if version == 1 else [*first, *batch]
        await pan.enlist(*batch)
        await pan.publish(*OTHERS, purposes=[WATCH])
        for peer in OTHERS:
            held = pan.published.current(peer, ListId.PERSONS, WATCH_GROUP)
            assert held is not None
            sent += [pan.table(peer), held.message.body, held.message.header]
    everything = b"".join(sent)
    told = barred = 0
    for peer in OTHERS:
        epoch = pan.store.epoch(peer)
        assert epoch is not None
        scope = KeyScope(PAN, ListId.PERSONS, WATCH_GROUP, epoch[0], peer)
        held = pan.published.current(peer, ListId.PERSONS, WATCH_GROUP)
        assert held is not None
        for one in listed:
            keys = [key.input.open() for key in keys_of(one, frozenset(KeyType))]
            outputs = await pan.keys.derive(scope, keys)
            tags = [schedule.label_row(y, held.manifest.version)[0] for y in outputs]
            if may_tell(one, peer, kinds=KINDS, owner=PAN, now_ns=world.clock.now_ns()) is None:
                told += 1
                assert all(pan.published.find(peer, held.manifest, tag) for tag in tags)
            else:
                barred += 1
                rows = [schedule.label_row(y, number)[0] for y in outputs for number in (1, 2)]
                assert not any(tag in everything for tag in (*rows, *map(schedule.tag, outputs)))
    assert told + barred == len(OTHERS) * len(listed)
    # One size for all, in each version.
    assert len({len(pan.table(peer)) for peer in OTHERS}) == 1


def _renamed(one: ListEntry) -> ListEntry:
    """Somebody else, for the second version."""
    assert one.person is not None
    return entry(
        entry_id="LATER",
        person=w.person("LATER", "SOMEBODY", "1955-05-05", *one.person.nationalities),
        documents=(document("VEN", "LATER1"),),
        history=one.history,
    )
