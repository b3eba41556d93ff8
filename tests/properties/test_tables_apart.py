"""T1: no entry barred from a peer is found by that peer in any byte ever sent to it or to anybody else.

Thirty peers, each with a key of its own; every table really made, with real keys; every peer evaluates the barred
entries' true keys, which is the most it can ever get, and looks in every table there is.
"""

from __future__ import annotations

import hashlib
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import VerificationFailed
from gateway.flows.publish import keys_of, label_of
from gateway.pseudonym import label, oprf, schedule, table
from gateway.terms import EpochId, KeyType, ListId, PeerId, PurposeGroup, RecordKind
from gateway.terms.exchange import KeyScope
from gateway.watchlist.entry import ListEntry
from gateway.watchlist.publish import may_tell
from tests.support.entries import NOW_NS, PEERS, codes, document, entry, histories, person

OWNER = PeerId("PAN")
OTHERS = [peer for peer in PEERS if peer != OWNER]
EPOCH = EpochId("20261125-00000000")
ALL_KEYS = frozenset(KeyType)
VERSION = 1


def key_of(peer: PeerId) -> bytes:
    """The owner's key for the peer: an independent seed each."""
    scope = KeyScope(OWNER, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, peer)
    return oprf.derive_key_pair(hashlib.sha256(f"seed {peer}".encode()).digest(), schedule.info(scope))[0]


KEYS = {peer: key_of(peer) for peer in OTHERS}


@st.composite
def listed(draw: st.DrawFn, number: int) -> ListEntry:
    """An entry of a person of its own: no two entries share a key."""
    issuer, nationality = draw(codes), draw(codes)
    return entry(
        entry_id=f"WPAN{number:04}",
        kind=draw(st.sampled_from([RecordKind.WANTED_ARREST, RecordKind.REFUSE_ENTRY])),
        originator=draw(st.sampled_from([OWNER, PeerId("HND"), PeerId("VEN")])),
        provenance=draw(st.sampled_from(["NATIONAL", "NATIONAL", "NATIONAL", "SIS"])),
        valid_until=draw(st.sampled_from([date(2026, 12, 31), date(2026, 12, 31), date(2026, 11, 1)])),
        person=person(*draw(st.lists(codes, max_size=2)), birth=f"19{50 + number}-03-0{1 + number % 9}"),
        documents=(document(issuer, f"T{number:08}", draw(st.sampled_from(["", nationality]))),),
        history=draw(histories()),
    )


@st.composite
def lists(draw: st.DrawFn) -> list[ListEntry]:
    return [draw(listed(number)) for number in range(draw(st.integers(3, 8)))]


def tag(y: bytes) -> bytes:
    """Where a label stands."""
    return schedule.label_row(y, VERSION)[0]


@settings(max_examples=8)
@given(lists())
def test_no_peer_finds_what_it_was_not_told_anywhere(entries: list[ListEntry]) -> None:
    tables: dict[PeerId, bytes] = {}
    outputs: dict[tuple[PeerId, str], list[bytes]] = {}
    barred: list[tuple[PeerId, ListEntry]] = []
    for peer in OTHERS:
        table_id = hashlib.sha256(f"table {peer}".encode()).digest()[:16]
        rows: list[tuple[bytes, bytes]] = []
        for one in entries:
            made = oprf.evaluate_batch(KEYS[peer], [key.input.open() for key in keys_of(one, ALL_KEYS)])
            outputs[peer, one.entry_id] = made
            if may_tell(one, peer, kinds=("WANTED_ARREST", "REFUSE_ENTRY"), owner=OWNER, now_ns=NOW_NS) is None:
                handle = schedule.handle(bytes(32), peer, EPOCH, one.entry_id)
                rows += [(tag(y), label.seal_label(y, table_id, VERSION, label_of(one, handle))) for y in made]
            else:
                barred.append((peer, one))
        tables[peer] = table.build(
            rows, table_id=table_id, version=VERSION, padded_count=table.padded_count(len(rows)), filler_seed=bytes(32)
        )
    views = {peer: table.TableView(blob) for peer, blob in tables.items()}

    # The padded size tells nobody how much it was not told.
    assert len({len(blob) for blob in tables.values()}) == 1
    everything = b"".join(tables.values())
    for peer, one in barred:
        for y in outputs[peer, one.entry_id]:
            assert all(view.find(tag(y)) is None for view in views.values())
            assert tag(y) not in everything and schedule.tag(y) not in everything
    told = {(peer, one.entry_id) for peer in OTHERS for one in entries} - {(p, one.entry_id) for p, one in barred}
    for peer, entry_id in told:
        for y in outputs[peer, entry_id]:
            sealed = views[peer].find(tag(y))
            assert sealed is not None
            assert label.open_label(y, views[peer].table_id, VERSION, sealed).kind in RecordKind
            # Another peer's table does not help, and another peer's evaluation does not open this one.
            for other in OTHERS[:3]:
                if other != peer:
                    assert views[other].find(tag(y)) is None
                    for theirs in outputs[other, entry_id]:
                        try:
                            label.open_label(theirs, views[peer].table_id, VERSION, sealed)
                        except VerificationFailed:
                            continue
                        raise AssertionError("another peer's evaluation opened a label")
