"""An exported log verifies; every mutation of it is found, and found where it is."""

from __future__ import annotations

import base64
import contextlib
import random
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import checkpoint, cosign, export, merkle, note, tiles, trust
from gateway.audit.leaf import Leaf
from gateway.audit.verify import STEPS, inspect, verify
from gateway.errors import GatewayError, InputRefused, Malformed, VerificationFailed
from gateway.primitives import cbor
from tests.unit.audit.both import both
from tests.unit.audit.log import CARD, LOG, LOG_KEY, ORIGIN, READERS, WITNESS_KEYS, WITNESSES, Made

LEGS = 200


@cache
def made() -> Made:
    return Made(LEGS)


@cache
def exported() -> export.MemoryFolder:
    return made().export()


def copy() -> export.MemoryFolder:
    return export.MemoryFolder(exported())


def fails(folder: export.Folder, **more: object) -> VerificationFailed:
    with pytest.raises(VerificationFailed) as caught:
        verify(folder, CARD, **more)  # type: ignore[arg-type]
    return caught.value


def size() -> int:
    return made().store.size()


def rebuilt(leaves: list[bytes], folder: export.MemoryFolder, *, signed_by: list[str] | None = None) -> None:
    """What somebody with the disk can do: put these leaves into the folder with tiles that fit; with the log's key and
    `signed_by`, sign them too."""
    for path in [path for path in folder if path.startswith("tile/")]:
        del folder[path]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    for level, number, width in tiles.widths(len(leaves)):
        span = 256**level
        row = [merkle.root_of(hashes[n * span : (n + 1) * span]) for n in range(number * 256, number * 256 + width)]
        folder[tiles.path(level, number, width)] = b"".join(row)
        if level == 0:
            folder[tiles.entries_path(number, width)] = tiles.encode_bundle(leaves[number * 256 :][:width])
    if signed_by is not None:
        head = checkpoint.Checkpoint(ORIGIN, len(leaves), merkle.root_of(hashes))
        folder["checkpoint"] = note.sign(head.encode(), LOG_KEY, LOG.sign) + b"".join(
            cosign.line(head.encode(), 1, WITNESS_KEYS[name], WITNESSES[name].sign) for name in signed_by
        )


def changed(leaf: bytes, **fields: object) -> bytes:
    return cbor.encode(cbor.decode(leaf) | fields)


def chained(leaves: list[bytes]) -> list[bytes]:
    """The same leaves by an operator who takes care that each pair's chain holds."""
    last: dict[str, bytes] = {}
    made_anew = []
    for data in leaves:
        peer = cbor.decode(data)["peer"]
        if peer:
            data = changed(data, pair_hash=last.get(peer, bytes(32)))
            last[peer] = merkle.leaf_hash(data)
        made_anew.append(data)
    return made_anew


def test_an_honest_export_verifies_step_by_step() -> None:
    report = verify(exported(), CARD, reader_key=READERS["supervisor"])
    assert [step.step for step in report.steps] == list(STEPS)
    assert (report.ok, report.origin, report.size) == (True, ORIGIN, size())
    assert [name for name, _ in report.cosignatures] == ["HND", "UTO"]
    details = {step.step: step.detail for step in report.steps}
    assert details["pairs"].startswith(f"{LEGS} outcomes follow")
    assert details["payloads"].startswith(f"{2 * LEGS} as logged")
    assert details["commitments"].startswith(f"{2 * LEGS} payloads opened")
    assert details["receipts"].startswith("1 ")
    assert details["history"] == f"extends {LEGS // 40} earlier heads"
    document = report.as_json()
    assert set(document) == {"ok", "origin", "size", "root", "cosignatures", "steps", "erased", "proved", "not_proved"}
    assert base64.b64decode(document["root"]) == made().store.tree().root()
    assert report.proved and any("true" in sentence for sentence in report.not_proved)


def test_the_home_auditor_opens_it_too_and_the_desk_sees_the_guard_only() -> None:
    assert verify(exported(), CARD, reader_key=READERS["auditor"]).ok
    assert fails(exported(), reader_key=READERS["desk"]).step == "commitments"
    assert fails(exported(), reader_key=bytes([99]) * 32).step == "commitments"


def test_an_export_without_payloads_verifies_and_says_so() -> None:
    report = verify(made().export(payloads=False), CARD)
    assert {step.step: step.detail for step in report.steps}["payloads"] == "not in this export"


def _position_of(path: str, data: bytes, at: int) -> int:
    """Which entry a byte of an entry bundle or of a leaf tile belongs to."""
    number = int(path.split(".p/")[0].rsplit("/", 1)[1]) * 256
    if not path.startswith("tile/entries/"):
        return number + at // 32
    place = 0
    while True:
        stop = place + 2 + int.from_bytes(data[place : place + 2], "big")
        if at < stop:
            return number
        place, number = stop, number + 1


def _flips() -> list[tuple[str, int, int]]:
    chance = random.Random(20261125)
    folder = exported()
    paths = [path for path in folder if path.startswith(("tile/", "payloads/", "checkpoint"))]
    picks = []
    for _ in range(320):
        path = chance.choice(paths)
        picks.append((path, chance.randrange(len(folder[path])), chance.randrange(8)))
    return picks


@pytest.mark.parametrize(("path", "at", "bit"), _flips())
def test_a_flipped_bit_is_found_where_it_is(path: str, at: int, bit: int) -> None:
    folder = copy()
    data = bytearray(folder[path])
    data[at] ^= 1 << bit
    folder[path] = bytes(data)
    try:
        fault = fails(folder)
    except Malformed as why:
        assert path == "checkpoint" and why.field in ("note", "checkpoint")
        return
    if path == "checkpoint":
        assert fault.step in ("signature", "quorum")
    elif path.startswith("payloads/"):
        assert fault.step == "payloads" and fault.position is not None
        first = int(path.rsplit("/", 1)[1]) * 256
        assert first <= fault.position < first + 256 or fault.position >= size()
    elif path.startswith(("tile/0/", "tile/entries/")):
        assert (fault.step, fault.position) == ("root", _position_of(path, exported()[path], at))
    else:
        assert fault.step == "root" and fault.position is not None


@pytest.mark.parametrize("seed", range(40))
def test_a_removed_inserted_or_reordered_entry_is_found_where_it_is(seed: int) -> None:
    chance = random.Random(seed)
    leaves = made().store.leaves(0, size())
    at = chance.randrange(1, size() - 2)
    mutations: tuple[Callable[[list[bytes]], object], ...] = (
        lambda rows: rows.pop(at),
        lambda rows: rows.insert(at, rows[at - 1]),
        lambda rows: rows.insert(at, changed(rows[at], seq=at)),
        lambda rows: rows.__setitem__(slice(at, at + 2), [rows[at + 1], rows[at]]),
        lambda rows: rows.__setitem__(at, changed(rows[at], time_ns=5)),
    )
    for mutate in mutations:
        # The copyist leaves the tiles alone: the first entry that does not hash to its place.
        naive = copy()
        mutated = list(leaves)
        mutate(mutated)
        keep = {path: data for path, data in naive.items() if path.startswith("tile/") and "entries" not in path}
        rebuilt(mutated[: size()], naive)
        naive.update(keep)
        fault = fails(naive)
        assert fault.step == "root"
        assert fault.position in (at, at + 1)
        # One who can rebuild the tiles: the signed root differs, and the leaves' own numbers or times tell where.
        clever = copy()
        rebuilt(mutated, clever)
        fault = fails(clever)
        assert fault.step == "root"
        assert fault.position is not None and at - 80 * 3 <= fault.position <= at + 1


def test_a_renumbered_removal_is_found_by_the_signed_root_and_bracketed_by_earlier_heads() -> None:
    leaves = made().store.leaves(0, size())
    at = 400
    # Everything behind it is renumbered, so only pair numbers and intents could still tell: take a filler.
    while Leaf.parse(leaves[at]).kind != "filler":
        at += 1
    renumbered = [*leaves[:at], *(changed(leaf, seq=n) for n, leaf in enumerate(leaves[at + 1 :], at))]
    folder = copy()
    rebuilt(renumbered, folder)
    fault = fails(folder)
    assert fault.step == "root" and fault.position is not None and at - 121 <= fault.position <= at + 4


def test_a_cut_tail_is_found_against_what_was_seen_before() -> None:
    older = Made(LEGS - 60)
    folder = older.export()
    assert verify(folder, CARD).ok
    head = checkpoint.parse(note.parse(exported()["checkpoint"]).text)
    for card, witnessed in (
        (trust.Card(CARD.logs, CARD.quorum, (head,)), []),
        (CARD, [exported()["checkpoint"]]),
    ):
        with pytest.raises(VerificationFailed) as caught:
            verify(folder, card, witnessed=witnessed)
        assert (caught.value.step, caught.value.position) == ("history", older.store.size())


def test_entries_cut_off_under_the_old_checkpoint_are_found() -> None:
    folder = copy()
    rebuilt(made().store.leaves(0, 300), folder)
    fault = fails(folder)
    assert (fault.step, fault.position) == ("root", 300)


def test_a_log_rewritten_whole_by_its_operator_lacks_the_quorum_and_contradicts_its_history() -> None:
    leaves = made().store.leaves(0, size())
    at = 301
    while Leaf.parse(leaves[at]).kind != "filler":
        at += 1
    # The operator has the log's key, so tiles, root and signature fit; witnesses cannot be made to sign it.
    rewritten = list(leaves)
    rewritten[at] = changed(leaves[at], kind="node.stopped")
    folder = copy()
    rebuilt(rewritten, folder, signed_by=[])
    fault = fails(folder)
    assert fault.step == "quorum"
    assert fault.position is not None and at - 121 <= fault.position <= at
    steps = {step.step: step for step in inspect(folder, CARD).steps}
    assert steps["signature"].ok and steps["root"].ok and not steps["history"].ok

    # Without the history, a note from a witness's own hand is enough, even where no quorum is asked for.
    folder["history"] = b""
    easy = trust.card(LOG_KEY, WITNESS_KEYS, 0)
    assert verify(folder, easy).ok
    with pytest.raises(VerificationFailed) as caught:
        verify(folder, easy, witnessed=[exported()["checkpoint"]])
    assert caught.value.step == "history"


def test_a_stolen_quorum_is_still_caught_by_another_copy() -> None:
    folder = copy()
    leaves = made().store.leaves(0, size())
    rebuilt([*leaves[:-1], changed(leaves[-1], retention="1y")], folder, signed_by=["HND", "UTO"])
    assert fails(folder, witnessed=[exported()["checkpoint"]]).step == "history"


def test_wrong_orders_and_false_times_are_found_even_if_signed() -> None:
    leaves = made().store.leaves(0, size())
    outcome = next(n for n, leaf in enumerate(leaves) if n > 300 and Leaf.parse(leaf).phase.value == "outcome")
    public = dict(Leaf.parse(leaves[outcome]).public)
    for step, at, leaf in (
        ("time", 350, changed(leaves[350], time_ns=1)),
        ("pairs", outcome, changed(leaves[outcome], public=public | {"intent_seq": outcome + 1})),
        ("pairs", outcome, changed(leaves[outcome], public=public | {"purpose": "DOC.STATUS"})),
        ("sequence", outcome, changed(leaves[outcome], pair_seq=1)),
        ("sequence", 350, changed(leaves[350], surname="MARTA")),
        ("sequence", 350, changed(leaves[350], seq=351)),
    ):
        folder = copy()
        folder["history"] = b""
        rebuilt(chained([*leaves[:at], leaf, *leaves[at + 1 :]]), folder, signed_by=["HND", "UTO"])
        fault = fails(folder)
        assert (fault.step, fault.position) == (step, at)


def test_the_chain_of_a_pair_names_the_entry_that_is_another() -> None:
    leaves = made().store.leaves(0, size())
    outcome = next(n for n, leaf in enumerate(leaves) if n > 300 and Leaf.parse(leaf).phase.value == "outcome")
    folder = copy()
    folder["history"] = b""
    other = changed(leaves[outcome], time_ns=Leaf.parse(leaves[outcome]).time_ns - 1)
    rebuilt([*leaves[:outcome], other, *leaves[outcome + 1 :]], folder, signed_by=["HND", "UTO"])
    fault = fails(folder)
    assert (fault.step, fault.position) == ("sequence", outcome)


def before_the_chain(leaves: list[bytes]) -> list[bytes]:
    """The same entries in the form before."""
    fields = [cbor.decode(leaf) for leaf in leaves]
    return [
        cbor.encode({name: one[name] for name in one if name != "pair_hash"} | {"schema": "limen.leaf/1"})
        for one in fields
    ]


def test_a_log_of_the_form_before_verifies_and_so_does_one_that_goes_on_in_the_new_form() -> None:
    leaves = made().store.leaves(0, size())
    old = before_the_chain(leaves)
    for first in (len(leaves), 200):
        folder = copy()
        folder["history"] = b""
        last: dict[str, bytes] = {}
        mixed = old[:first] + leaves[first:]
        for n, data in enumerate(mixed):
            peer = cbor.decode(data)["peer"]
            if peer:
                mixed[n] = data if n < first else changed(data, pair_hash=last.get(peer, bytes(32)))
                last[peer] = merkle.leaf_hash(mixed[n])
        rebuilt(mixed, folder, signed_by=["HND", "UTO"])
        assert verify(folder, CARD).ok
        if first < len(leaves):
            rebuilt([*mixed[:300], *old[300:301], *mixed[301:]], folder, signed_by=["HND", "UTO"])
            assert "form before" in fails(folder).why


def test_a_release_s_outcome_is_about_the_query_and_the_events_of_its_intent() -> None:
    leaves = list(made().store.leaves(0, size()))
    payloads = [n for n, leaf in enumerate(leaves) if n > 300 and not Leaf.parse(leaf).sealed]
    first, second = payloads[:2]
    about = {"query_digest": b"Q" * 32, "snapshot": b"S" * 32, "dataset": "border", "cost_micro_rho": 520_000}
    told = {"intent_seq": first, "release_hash": b"R" * 32, "shown_ns": 1}
    leaves[first] = changed(leaves[first], kind="release.made", phase="intent", public=about, commitments={})
    for other, step in (({}, ""), ({"query_digest": b"q" * 32}, "pairs"), ({"snapshot": b"s" * 32}, "pairs")):
        public = about | told | other
        leaves[second] = changed(leaves[second], kind="release.made", phase="outcome", public=public, commitments={})
        folder = copy()
        folder["history"] = b""
        rebuilt(leaves, folder, signed_by=["HND", "UTO"])
        if step:
            fault = fails(folder)
            assert (fault.step, fault.position) == (step, second)
        else:
            report = inspect(folder, CARD)
            assert all(one.ok is not False for one in report.steps if one.step == "pairs"), report


def test_payloads_may_go_after_their_term_and_not_before() -> None:
    folder = copy()
    path = export.payloads_path(1)
    kept = export.split_records(folder[path], "payloads")
    folder[path] = export.records(kept[1:])
    fault = fails(folder)
    assert (fault.step, fault.position) == ("payloads", int.from_bytes(kept[0][:8], "big"))
    del folder[path]
    assert fails(folder).position == int.from_bytes(kept[0][:8], "big")
    swapped = [kept[0][:8] + kept[1][8:], kept[1][:8] + kept[0][8:], *kept[2:]]
    folder[path] = export.records(swapped)
    assert fails(folder).position == int.from_bytes(kept[0][:8], "big")


def test_a_receipt_that_no_entry_names_is_found() -> None:
    folder = copy()
    folder["receipts"] = export.records([export.Receipt("HND", b"another", b"h", b"s").encode()])
    assert fails(folder).step == "receipts"
    folder["receipts"] = b"\0\0\0\4ab"
    assert fails(folder).step == "receipts"


@pytest.mark.parametrize("pair", [False, True])
def test_receipts_that_were_taken_out_are_missed(pair: bool) -> None:
    whole = made().pair("HND") if pair else exported()
    assert whole["format"].endswith(b"payloads\nreceipts 1\n")
    for left in (None, b""):
        folder = export.MemoryFolder(whole)
        del folder["receipts"]
        if left is not None:
            folder["receipts"] = left
        verdict = both(folder, CARD)
        assert (verdict.ok, verdict.step) == (False, "receipts")
        assert verdict.details["receipts"] == "the export says 1 messages and 0 are here"
    old = export.MemoryFolder(whole)
    old["format"] = whole["format"].removesuffix(b"receipts 1\n")
    assert both(old, CARD).ok
    for wrong in (b"receipts\n", b"receipts 01\n", b"receipts 1", b"receipts 1\nreceipts 1\n"):
        old["format"] = whole["format"].removesuffix(b"receipts 1\n") + wrong
        with pytest.raises(Malformed):
            verify(old, CARD)


def test_another_logs_card_does_not_fit() -> None:
    other = trust.card(note.Verifier("hnd.example/log", note.LOG_KEY, LOG.public), WITNESS_KEYS, 2)
    with pytest.raises(VerificationFailed) as caught:
        verify(exported(), other)
    assert caught.value.step == "signature"


def test_what_is_not_an_export_is_malformed() -> None:
    for path, data in (("format", b"zip"), ("checkpoint", b"nothing")):
        folder = copy()
        folder[path] = data
        with pytest.raises(Malformed):
            verify(folder, CARD)
    with pytest.raises(Malformed):
        verify(export.MemoryFolder(), CARD)


def test_a_card_survives_its_text() -> None:
    head = checkpoint.Checkpoint(ORIGIN, 5, bytes(32))
    card = trust.Card(CARD.logs, CARD.quorum, (head,))
    assert trust.Card.parse(card.encode()) == card
    assert trust.Card.parse("# a comment\n\n" + card.encode().replace(" ", " \t ")) == card


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "log"),
        (1, "log nonsense\nquorum none"),
        (1, f"log {WITNESS_KEYS['HND'].vkey}\nquorum none"),
        (2, f"log {LOG_KEY.vkey}\nlog {LOG_KEY.vkey}\nquorum none"),
        (1, f"witness none {WITNESS_KEYS['HND'].vkey}"),
        (1, "group a 1 b\nquorum a"),
        (2, f"witness a {WITNESS_KEYS['HND'].vkey}\ngroup g 2 a\nquorum g"),
        (2, f"witness a {WITNESS_KEYS['HND'].vkey}\ngroup g any a a\nquorum g"),
        (2, "quorum none\nquorum none"),
        (1, "quorum nobody"),
        (1, "seen origin -1 AAAA\nquorum none"),
        (None, "# nothing"),
    ],
)
def test_a_wrong_card_is_refused_with_its_line(line: int | None, text: str) -> None:
    with pytest.raises(InputRefused) as caught:
        trust.Card.parse(text)
    assert caught.value.line == line


def test_a_file_that_is_no_card_is_not_read_aloud() -> None:
    with pytest.raises(InputRefused) as caught:
        trust.Card.parse("CANARY,1974-08-12,X73000004\n")
    assert "CANARY" not in str(caught.value) and caught.value.line == 1


@pytest.mark.parametrize("seed", range(30))
def test_garbage_in_any_file_is_an_error_of_the_catalogue(seed: int) -> None:
    chance = random.Random(seed)
    for path in exported():
        folder = copy()
        folder[path] = chance.randbytes(chance.randrange(200))
        with pytest.raises(GatewayError):
            verify(folder, CARD)


@given(st.text(max_size=300))
def test_any_text_is_a_card_or_refused(text: str) -> None:
    with contextlib.suppress(InputRefused):
        trust.Card.parse(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert export.records(export.split_records(data, "records")) == data
    with contextlib.suppress(Malformed):
        assert export.Receipt.parse(data).encode() == data
