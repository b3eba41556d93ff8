"""Two logs held against each other: whatever one side withholds, adds, changes or moves shows, and is laid to it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

from gateway.audit import merkle
from gateway.audit.entry import Phase
from gateway.audit.export import Receipt
from gateway.audit.leaf import NO_ENTRY, Leaf
from gateway.federation import envelope
from gateway.flows import reconcile
from gateway.flows.reconcile import Log, Result, What, Written, compare
from gateway.primitives import cbor, ed25519
from gateway.terms import PeerId
from tests.flows import world as w
from tests.flows.cases import desks
from tests.flows.world import HND, PAN, UTO, World
from tests.support.entries import entry

Leaves = dict[PeerId, list[bytes]]
"""Each side's entries about the other, in order."""


async def _happen() -> tuple[Leaves, dict[PeerId, bytes], tuple[Receipt, ...]]:
    """Tables both ways, checks both ways, one that does not arrive, one that is refused, and a case to its end."""
    pair = await desks()
    world = pair.asker.state.world
    pan, hnd = world[PAN], world[HND]
    await pan.enlist(entry(originator=PAN))
    await pan.publish(HND)
    await hnd.fetch(PAN, (w.WATCH,))
    for given in ("ANA", "EVA", "IDA"):
        await pan.checkpoint()
        await pan.ask(w.traveller(w.person("VARGA", given, "1980-03-05")))
        await hnd.ask(w.traveller(w.person("MENDEZ", "LUIS", "1971-01-02")))
    world.line(PAN, HND).down = True
    await pan.ask(w.traveller(w.person("VARGA", "EVA", "1980-03-05")))
    world.line(PAN, HND).down = False
    number = await pair.approved()
    await pair.owner.send(number)
    await pair.asker.do("desk-1", "outcome", number, code="NOT_FOUND")
    await pair.asker.send(number)
    # What binds the rest: the newest message of each side.
    await pan.ask(w.traveller(w.person("VARGA", "ANA", "1980-03-05")))
    await hnd.ask(w.traveller(w.person("MENDEZ", "LUIS", "1971-01-02")))
    leaves = {}
    for state, other in ((pan, HND), (hnd, PAN)):
        all_ = state.store.leaves(0, state.store.size())
        leaves[state.code] = [data for data in all_ if Leaf.parse(data).peer == other]
    copies = [one for state in (pan, hnd) for one in state.store.copies()]
    receipts = [Receipt(one.other, one.message.body, one.message.header, one.message.signature) for one in copies]
    return leaves, {code: world[code].public["message"] for code in (PAN, HND)}, tuple(receipts)


@cache
def happened() -> tuple[Leaves, dict[PeerId, bytes], tuple[Receipt, ...]]:
    return asyncio.run(_happen())


def side(code: PeerId, leaves: list[bytes]) -> Log:
    written = [Written(Leaf.parse(data), merkle.leaf_hash(data)) for data in leaves]
    return Log(code, written, [happened()[1][code]], happened()[2])


def reconciled(changed: Mapping[PeerId, list[bytes]] = {}) -> Result:
    leaves = happened()[0] | dict(changed)
    return compare(side(PAN, leaves[PAN]), side(HND, leaves[HND]))


def chained(leaves: list[bytes]) -> list[bytes]:
    """The same entries by an operator who takes care that numbers and chain hold."""
    before, anew = NO_ENTRY, []
    for number, data in enumerate(leaves, 1):
        data = cbor.encode(cbor.decode(data) | {"pair_seq": number, "pair_hash": before})
        before = merkle.leaf_hash(data)
        anew.append(data)
    return anew


def edited(data: bytes, **public: Any) -> bytes:
    fields = cbor.decode(data)
    return cbor.encode(fields | {"public": fields["public"] | public})


def test_of_an_honest_pair_nothing_is_found() -> None:
    result = reconciled()
    assert result.findings == ()
    assert result.matched >= 20
    # Only what did not arrive stands alone.
    leaves = {code: {Leaf.parse(one).seq: Leaf.parse(one) for one in rows} for code, rows in happened()[0].items()}
    alone = [leaves[PeerId(code)][seq] for code, seq in result.open]
    assert [(one.kind, one.phase) for one in alone] == [("check.ask", Phase.INTENT)]
    assert all(result.bound[code] > 0.8 * len(rows) for code, rows in happened()[0].items())


def test_the_order_of_the_two_does_not_matter() -> None:
    leaves = happened()[0]
    one, other = side(PAN, leaves[PAN]), side(HND, leaves[HND])
    assert compare(one, other) == compare(other, one)


Change = Callable[[list[bytes], int], list[bytes]]


def withhold(leaves: list[bytes], at: int) -> list[bytes]:
    return [*leaves[:at], *leaves[at + 1 :]]


def add(leaves: list[bytes], at: int) -> list[bytes]:
    return [*leaves[: at + 1], *leaves[at:]]


def move(leaves: list[bytes], at: int) -> list[bytes]:
    return [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]


def alter(leaves: list[bytes], at: int) -> list[bytes]:
    """Any public field: all of them are hashed."""
    public = cbor.decode(leaves[at])["public"]
    name = next((name for name in ("purpose", "basis", "list", "act") if name in public), next(iter(public)))
    return [*leaves[:at], edited(leaves[at], **{name: "X"}), *leaves[at + 1 :]]


@pytest.mark.parametrize("change", [withhold, add, move, alter])
@pytest.mark.parametrize("code", [PAN, HND])
def test_each_change_of_each_entry_is_found_where_it_is_and_laid_to_its_side(code: PeerId, change: Change) -> None:
    leaves = happened()[0][code]
    bound = reconciled().bound[code]
    kinds = set()
    # The entry that the newest message names is bound itself; a later one binds nothing yet.
    for at in range(bound - 1):
        kinds.add(Leaf.parse(leaves[at]).kind)
        result = reconciled({code: chained(change(leaves, at))})
        seq = Leaf.parse(leaves[at]).seq
        assert result.findings, (at, kinds)
        assert {found.fault for found in result.findings} == {code}, (at, result.findings)
        places = [(found.position, found.until) for found in result.findings]
        # A copy stands behind its original.
        slack = 1 if change is add else 0
        assert any(low - slack <= seq <= high for low, high in places), (at, seq, result.findings)
        proofs = [found for found in result.findings if found.header]
        assert proofs
        for found in proofs:
            key = happened()[1][PeerId(found.signer)]
            ed25519.verify(key, b"limen/envelope/1\x00" + found.header, found.signature)
    wanted = {"check.ask", "check.answer", "case.sent", "case.taken", "case.act", "table.published", "table.received"}
    assert kinds >= wanted


def test_a_cut_tail_is_found_as_far_as_a_message_binds_it() -> None:
    leaves = happened()[0][PAN]
    bound = reconciled().bound[PAN]
    result = reconciled({PAN: leaves[: bound - 1]})
    assert {(found.fault, found.what) for found in result.findings} >= {(PAN, What.WITHHELD)}
    assert {found.fault for found in result.findings} == {PAN}


def of(code: PeerId, kind: str, phase: Phase = Phase.EVENT) -> int:
    leaves = [Leaf.parse(data) for data in happened()[0][code]]
    return max(n for n, one in enumerate(leaves) if (one.kind, one.phase) == (kind, phase))


@pytest.mark.parametrize(
    ("code", "kind", "phase", "fields"),
    [
        (HND, "check.answer", Phase.INTENT, {"class": 32}),
        (HND, "check.answer", Phase.INTENT, {"peer_seq": 1}),
        (HND, "check.answer", Phase.INTENT, {"request_hash": b"h" * 64}),
        (HND, "check.answer", Phase.INTENT, {"signed": cbor.encode([b"", b"s"])}),
        (HND, "check.answer", Phase.OUTCOME, {"reply_hash": b"h" * 64}),
        (HND, "check.answer", Phase.OUTCOME, {"request_hash": b"h" * 64}),
        (HND, "case.taken", Phase.EVENT, {"signed": b"\x00"}),
        (PAN, "check.ask", Phase.INTENT, {"class": 32}),
        (PAN, "check.ask", Phase.OUTCOME, {"replies": cbor.encode([])}),
        (PAN, "check.ask", Phase.OUTCOME, {"replies": b"\x00"}),
        (PAN, "check.ask", Phase.OUTCOME, {"request_hashes": b"h" * 64}),
    ],
)
def test_what_was_written_otherwise_at_once_is_found_too(
    code: PeerId, kind: str, phase: Phase, fields: dict[str, Any]
) -> None:
    """The newest entry of its kind: nothing later binds it, so only its own words can tell."""
    leaves, at = happened()[0][code], of(code, kind, phase)
    result = reconciled({code: chained([*leaves[:at], edited(leaves[at], **fields), *leaves[at + 1 :]])})
    assert result.findings and {found.fault for found in result.findings} == {code}, result.findings
    seq = Leaf.parse(leaves[at]).seq
    assert any(found.position <= seq <= found.until for found in result.findings), result.findings


def test_an_entry_under_another_s_message_is_found() -> None:
    """An owner invents a question that nobody put: it has no signature for it, and an old one is over other bytes."""
    leaves = happened()[0][HND]
    at = of(HND, "check.answer", Phase.INTENT)
    invented = edited(leaves[at], request_hash=b"x" * 64)
    result = reconciled({HND: chained([*leaves, invented])})
    (found,) = result.findings
    assert (found.what, found.fault, found.position) == (What.ADDED, HND, Leaf.parse(leaves[at]).seq)
    # The same bytes twice, after they were answered.
    result = reconciled({HND: chained([*leaves, leaves[at]])})
    assert {(found.what, found.fault) for found in result.findings} == {(What.ADDED, HND)}


def test_a_crash_before_the_outcome_and_a_lost_message_are_nobody_s_fault() -> None:
    leaves = happened()[0]
    # HND asked last and PAN answered: both logs end with that outcome.
    asked, answered = of(HND, "check.ask", Phase.OUTCOME), of(PAN, "check.answer", Phase.OUTCOME)
    assert (asked, answered) == (len(leaves[HND]) - 1, len(leaves[PAN]) - 1)
    assert reconciled({HND: leaves[HND][:-1]}).findings == ()
    assert reconciled({HND: leaves[HND][:-1], PAN: leaves[PAN][:-1]}).findings == ()
    assert reconciled({HND: leaves[HND][:-1], PAN: leaves[PAN][:-2]}).findings == ()
    # Here the answer did leave: HND holds it, signed.
    (found, *_) = reconciled({PAN: leaves[PAN][:-1]}).findings
    assert (found.what, found.fault) == (What.WITHHELD, PAN)


def test_what_no_signature_decides_is_told_without_blame() -> None:
    """A table that one side says it received, of which the other's log knows nothing and no signed copy is there."""
    leaves = happened()[0][HND]
    at = of(HND, "table.received")
    forged = edited(leaves[at], manifest_hash=b"m" * 32)
    result = reconciled({HND: chained([*leaves, forged])})
    (found,) = result.findings
    assert (found.what, found.fault) == (What.UNMATCHED, "")


def test_entries_of_a_release_before_messages_named_entries_are_compared_by_their_hashes() -> None:
    """An older peer's log has neither headers nor replies; its honest log gives no finding."""

    def older(data: bytes) -> bytes:
        fields = cbor.decode(data)
        public = {name: value for name, value in fields["public"].items() if name not in ("signed", "replies")}
        return cbor.encode(fields | {"public": public})

    leaves = {code: chained([older(data) for data in rows]) for code, rows in happened()[0].items()}
    result = compare(side(PAN, leaves[PAN]), side(HND, leaves[HND]))
    assert {(found.what, found.fault) for found in result.findings} <= {(What.UNMATCHED, "")}
    assert not [found for found in result.findings if "check" in found.said]
    # Nobody can be blamed, and a withheld answer shows all the same.
    at = of(HND, "check.answer", Phase.OUTCOME)
    cut = chained([*leaves[HND][:at], *leaves[HND][at + 1 :]])
    more = compare(side(PAN, leaves[PAN]), side(HND, cut))
    assert len(more.findings) > len(result.findings)


def test_a_key_that_the_list_of_members_does_not_have_blames_nobody() -> None:
    leaves = happened()[0]
    one = dataclasses.replace(side(PAN, leaves[PAN]), keys=[bytes(range(32))])
    result = compare(one, side(HND, leaves[HND]))
    assert {found.fault for found in result.findings} == {""}


def test_of_a_third_state_nothing_is_needed() -> None:
    assert UTO not in {Leaf.parse(data).peer for rows in happened()[0].values() for data in rows}
    assert World is not None and reconcile.CHECK.endswith("/Check")


# -- Copies that end at different times, and logs that were shown to somebody else ----------------------------------


def ended(code: PeerId, count: int, **more: Any) -> Log:
    """The side's copy after so many of its entries, made when the last of them was written."""
    whole = side(code, happened()[0][code])
    entries = whole.entries[:count]
    return dataclasses.replace(whole, entries=entries, until_ns=entries[-1].leaf.time_ns, **more)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here happens within a second: so may the two clocks differ."""
    monkeypatch.setattr(reconcile, "CLOCK_NS", 0)


@pytest.mark.parametrize("code", [PAN, HND])
def test_a_copy_that_was_made_earlier_is_no_ones_fault(code: PeerId) -> None:
    other = HND if code == PAN else PAN
    newest = 0
    for count in range(1, len(happened()[0][code]) + 1):
        result = compare(ended(code, count), side(other, happened()[0][other]))
        assert result.findings == (), (count, result.findings)
        assert result.newer[other] == 0
        newest = max(newest, result.newer[code])
    assert newest > 5, "they are told"
    assert result.newer[code] == 0 or result.bound[code] > 0


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("code", [PAN, HND])
def test_a_tail_that_was_cut_from_a_log_which_goes_on_is_withheld(code: PeerId) -> None:
    """The operator takes entries away and lets fillers follow: the copy's last entry is newer than the messages."""
    other = HND if code == PAN else PAN
    whole = side(code, happened()[0][code])
    bound = reconciled().bound[code]
    later = max(one.leaf.time_ns for log in (whole, side(other, happened()[0][other])) for one in log.entries) + 1
    cut = dataclasses.replace(whole, entries=whole.entries[: bound - 1], until_ns=later)
    result = compare(cut, side(other, happened()[0][other]))
    assert {found.fault for found in result.findings} == {code}
    assert {found.what for found in result.findings} <= {What.WITHHELD}


def named(code: PeerId) -> set[bytes]:
    """The checkpoints that a side's messages name in the other's log."""
    result: set[bytes] = set()
    for data in happened()[0][HND if code == PAN else PAN]:
        public = Leaf.parse(data).public
        messages = [reconcile._message(public.get("signed"))]
        messages += reconcile._messages(public["replies"]) if "replies" in public else []
        headers = [envelope.decode(signed) for signed, _ in messages if signed]
        result |= {header.checkpoint for header in headers if header.sender == code}
    return result - {envelope.NO_CHECKPOINT}


def test_a_message_that_names_a_checkpoint_of_another_log_proves_a_fork() -> None:
    shown = named(PAN)
    assert len(shown) >= 2, "the messages name checkpoints"
    hnd = side(HND, happened()[0][HND])
    honest = dataclasses.replace(side(PAN, happened()[0][PAN]), checkpoints=frozenset(shown))
    assert compare(honest, hnd).findings == ()
    forked = dataclasses.replace(honest, checkpoints=frozenset(shown) - {max(shown)})
    found = compare(forked, hnd).findings
    assert found and {(one.what, one.fault, one.signer) for one in found} == {(What.FORKED, PAN, PAN)}
    for one in found:
        ed25519.verify(happened()[1][PAN], b"limen/envelope/1\x00" + one.header, one.signature)
        assert envelope.decode(one.header).checkpoint == max(shown)


def test_a_checkpoint_from_before_the_copys_log_or_behind_its_end_is_not_judged() -> None:
    hnd = side(HND, happened()[0][HND])
    pan = dataclasses.replace(side(PAN, happened()[0][PAN]), checkpoints=frozenset())
    assert compare(pan, hnd).findings
    assert compare(dataclasses.replace(pan, since_ns=1 << 62), hnd).findings == ()
    assert compare(dataclasses.replace(pan, until_ns=0), hnd).findings == ()
