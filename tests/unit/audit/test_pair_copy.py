"""A folder that shows one pair: all of its entries, nothing of others, and both verifiers find what was done to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest

from gateway.audit import export, merkle, pairs
from gateway.audit.leaf import Leaf
from gateway.audit.trust import card
from gateway.audit.verify import inspect
from gateway.errors import Malformed, NotFoundOrNotPermitted
from gateway.primitives import cbor
from tests.unit.audit.both import Verdict, both
from tests.unit.audit.log import CARD, LOG_KEY, READERS, WITNESS_KEYS, Made

LEGS = 60


@cache
def made() -> Made:
    return Made(LEGS)


@cache
def _pair() -> export.MemoryFolder:
    return made().pair("HND")


def copy() -> export.MemoryFolder:
    return export.MemoryFolder(_pair())


def entries(folder: export.MemoryFolder) -> list[bytes]:
    return export.split_records(folder["entries"], "entries")


def leaf_of(record: bytes) -> Leaf:
    return Leaf.parse(cbor.decode(record)[0])


def test_all_entries_of_a_pair_and_no_others_are_proved_by_both() -> None:
    folder = copy()
    leaves = [Leaf.parse(data) for data in made().store.leaves(0, made().store.size())]
    of_pair = [leaf.seq for leaf in leaves if leaf.peer == "HND"]
    assert [leaf_of(record).seq for record in entries(folder)] == of_pair
    assert both(folder, CARD).ok
    report = inspect(folder, CARD, reader_key=READERS["supervisor"])
    assert report.ok and f"{len(of_pair)} entries are all" in report.proved[0]
    # Nothing of the other pair: neither a leaf, nor a payload, nor its name.
    whole = b"".join(folder.values())
    for data in made().store.leaves(0, made().store.size()):
        if Leaf.parse(data).peer == "UTO":
            assert data not in whole and merkle.leaf_hash(data) not in folder["heads"]
    assert b"UTO" not in b"".join(cbor.decode(record)[0] for record in entries(folder))


def test_without_payloads_too() -> None:
    folder = made().pair("HND", payloads=False)
    assert "payloads" not in folder and both(folder, CARD).ok


Change = Callable[[list[bytes], random.Random], int]


def leave_out(records: list[bytes], chance: random.Random) -> int:
    at = chance.randrange(len(records) - 1)
    del records[at]
    return leaf_of(records[at]).seq


def cut(records: list[bytes], chance: random.Random) -> int:
    del records[chance.randrange(1, len(records)) :]
    return leaf_of(records[-1]).seq + 1


def add_again(records: list[bytes], chance: random.Random) -> int:
    at = chance.randrange(len(records))
    records.insert(at, records[at])
    return leaf_of(records[at]).seq


def reorder(records: list[bytes], chance: random.Random) -> int:
    at = chance.randrange(len(records) - 1)
    records[at], records[at + 1] = records[at + 1], records[at]
    return leaf_of(records[at + 1]).seq


def alter(records: list[bytes], chance: random.Random) -> int:
    at = chance.randrange(len(records))
    data, proof = cbor.decode(records[at])
    leaf = cbor.decode(data)
    records[at] = cbor.encode([cbor.encode(leaf | {"time_ns": leaf["time_ns"] + 1}), proof])
    return int(leaf["seq"])


@pytest.mark.parametrize("change", [leave_out, cut, add_again, reorder, alter])
def test_what_was_done_to_the_entries_is_found_at_its_place(change: Change) -> None:
    for seed in range(40):
        folder = copy()
        records = entries(folder)
        place = change(records, random.Random(seed))
        folder["entries"] = export.records(records)
        folder["format"] = b"limen.pair/1\nHND\nno payloads\n"
        folder["receipts"] = b""
        verdict = both(folder, CARD)
        assert not verdict.ok and verdict.position == place, (seed, verdict)


def test_another_end_than_the_log_s_is_found() -> None:
    for change in ("salt", "sibling", "proof", "leaf"):
        folder = copy()
        leaf, proof, salt, beside = cbor.decode(folder["heads"])
        if change == "salt":
            salt = bytes(32)
        elif change == "sibling":
            beside[3] = bytes(32)
        elif change == "proof":
            proof[0] = bytes(32)
        else:
            leaf = cbor.encode(cbor.decode(leaf) | {"public": {"root": bytes(32)}})
        folder["heads"] = cbor.encode([leaf, proof, salt, beside])
        assert not both(folder, CARD).ok, change
    del folder["heads"]
    verdict = both(folder, CARD)
    assert (verdict.step, verdict.ok) == ("tail", False)


def test_the_name_of_another_pair_over_the_same_entries_is_found() -> None:
    folder = copy()
    folder["format"] = folder["format"].replace(b"HND", b"UTO")
    assert not both(folder, CARD).ok


def test_a_quorum_is_asked_for_and_payloads_are_the_logged_ones() -> None:
    folder = copy()
    folder["checkpoint"] = folder["checkpoint"].split(b"\xe2\x80\x94 hnd")[0]
    assert both(folder, CARD).step == "quorum"
    assert both(folder, card(LOG_KEY, WITNESS_KEYS, 0)).ok
    folder = copy()
    kept = export.split_records(folder["payloads"], "payloads")
    seq = int.from_bytes(kept[5][:8], "big")
    folder["payloads"] = export.records([*kept[:5], kept[5][:8] + b"other", *kept[6:]])
    assert (both(folder, CARD).step, both(folder, CARD).position) == ("payloads", seq)
    folder["payloads"] = export.records([*kept[:5], *kept[6:]])
    assert (both(folder, CARD).step, both(folder, CARD).position) == ("payloads", seq)


def test_any_spoiled_file_is_refused_or_found_and_never_a_crash() -> None:
    chance = random.Random(7)
    names = sorted(name for name in _pair() if name not in ("payloads",))
    for _ in range(300):
        folder = copy()
        name = chance.choice(names)
        spoiled = bytearray(folder[name])
        if not spoiled:
            continue
        for _ in range(chance.randrange(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        if bytes(spoiled) == folder[name]:
            continue
        folder[name] = bytes(spoiled)
        verdict: Verdict = both(folder, CARD)
        # A witness's line under a name that the card does not know says nothing, and no verifier has a message's key.
        assert not verdict.ok or name in ("checkpoint", "receipts"), (name, verdict)


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(NotFoundOrNotPermitted, match="no entry names XXX"):
        dict(made().pair("XXX"))
    with pytest.raises(Malformed):
        made().pair("hnd")
    fresh = Made(2)
    fresh.store._checkpoints.clear()
    with pytest.raises(NotFoundOrNotPermitted):
        fresh.pair("HND")


def test_entries_read_back_with_their_payloads() -> None:
    read = list(export.read_pair(_pair()))
    assert [leaf.seq for leaf, _ in read] == [leaf_of(record).seq for record in entries(_pair())]
    assert all(bool(payload) == bool(leaf.sealed) for leaf, payload in read)
    assert pairs.KIND not in {leaf.kind for leaf, _ in read}
