"""Payloads that are not there: both verifiers say which were erased lawfully, and place the others."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest

from gateway.audit import checkpoint, export, note
from gateway.audit.cosign import line
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.kinds import DAY_NS
from gateway.audit.period import period_of
from gateway.federation import statement
from gateway.ports import Change
from gateway.primitives import cbor, ed25519
from gateway.store.memory import MemoryStore
from gateway.terms import PeerId, Role
from tests.unit.audit.both import SEEDS, both
from tests.unit.audit.log import CARD, LOG, LOG_KEY, ORIGIN, WITNESS_KEYS, WITNESSES, Chance, recipients

BEGAN = 1_700_000_000 * 10**9
TERM = 30 * DAY_NS
SEQ = 1
"""The entry whose payload goes."""


class Clock:
    def __init__(self) -> None:
        self.wall = BEGAN

    def __call__(self) -> int:
        return self.wall


class Node:
    """A log in which 0 and 2 are fillers and 1 has a payload of class 30d."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock, origin=ORIGIN, recipients=recipients(), chance=Chance(bytes(32)))
        self.put(Entry("filler", Phase.EVENT))
        self.put(
            Entry(
                "check.denied", Phase.EVENT, "HND", retention="30d", sealed_bytes=256,
                public={"purpose": "SEC.WATCH", "basis": "B", "agency": "SNM", "reasons": "role"},
                secret={"officer": "P-1", "case": "C-1"},
            )
        )  # fmt: skip
        self.put(Entry("filler", Phase.EVENT))

    def put(self, *entries: Entry) -> None:
        asyncio.run(self.store.commit(entries))

    def sign(self, at_ns: int = 0) -> int:
        size = self.store.size()
        head = checkpoint.Checkpoint(ORIGIN, size, self.store.tree().root())
        self.store.put_checkpoint(size, note.sign(head.encode(), LOG_KEY, LOG.sign), head.digest)
        for name, key in WITNESS_KEYS.items():
            one = line(head.encode(), (at_ns or self.clock.wall) // 10**9, key, WITNESSES[name].sign)
            put = {"size": size, "name": key.name, "witness": name, "line": one}
            asyncio.run(self.store.commit([], [Change("cosignature.put", put)]))
        return size

    def erase(self, **other: Any) -> int:  # noqa: ANN401
        """The entry that says it, honest but for `other`. Returns its number."""
        said: dict[str, Scalar] = {
            "class": "30d", "period": period_of("30d", BEGAN), "first": SEQ, "last": SEQ, "count": 1, "ground": "term",
            "until_ns": self.clock.wall, "checkpoint": self.store.size(), **other,
        }  # fmt: skip
        self.put(Entry("payloads.erased", Phase.EVENT, public=said))
        return self.store.size() - 1

    def enrol(self) -> None:
        for seed in SEEDS:
            key = sha256(ed25519.public(seed)).digest()
            public: dict[str, Scalar] = {"agency": "SNM", "roles": "supervisor", "key_thumbprint": key}
            self.put(Entry("officer.enrolled", Phase.EVENT, public=public, secret={"officer": "P-7", "by": "P-1"}))

    def decide(self, kind: str, act: str, signers: tuple[bytes, ...] = SEEDS, **facts: Any) -> int:  # noqa: ANN401
        """An entry that two persons signed. What is only the entry's stands in `more`. Returns its number."""
        more = facts.pop("more", {})
        said = statement.retention(state=PeerId("PAN"), authority="Court 3", decision="D-1", **facts)
        name = statement.RETENTION_ACTS[act]
        persons = []
        for seed in signers:
            made = statement.make(name, said, role=Role.SUPERVISOR, signed_ns=5, seed=seed)
            persons.append([name, ed25519.public(seed), made.statement, made.signature])
        public = {**{n: v for n, v in said.items() if n != "state"}, "persons": cbor.encode(persons), **more}
        self.put(Entry(kind, Phase.EVENT, public=public, secret={"officers": ["P-7"]}))
        return self.store.size() - 1

    def hold(self) -> int:
        return self.decide("hold.set", "hold", hold_id=bytes(16), first=0, last=SEQ, review_ns=7)

    def order(self, signers: tuple[bytes, ...] = SEEDS, **more: Any) -> int:  # noqa: ANN401
        when = {"until_ns": self.clock.wall, "checkpoint": self.store.size()} | more
        facts: dict[str, Any] = {"class": "30d", "first": SEQ, "last": SEQ, "ground": "court"}
        return self.decide("erasure.ordered", "erase", signers, **facts, more=when)

    def copy(self, *, gone: bool = True) -> export.MemoryFolder:
        self.put(Entry("filler", Phase.EVENT))
        self.sign()
        folder = export.MemoryFolder(export.files(self.store))
        if gone:
            name = export.payloads_path(0)
            kept = [one for one in export.split_records(folder[name], "payloads") if one[:8] != SEQ.to_bytes(8, "big")]
            folder[name] = export.records(kept)
        return folder


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_payload_that_went_at_its_term_was_erased_lawfully(node: Node) -> None:
    node.clock.wall += TERM
    node.sign()
    node.erase()
    verdict = both(node.copy(), CARD)
    assert verdict.ok
    assert verdict.details["payloads"].endswith("1 erased lawfully under class 30d on 2023-12-14 (entries 1 to 1)")


def test_a_payload_that_is_still_there_is_no_fault(node: Node) -> None:
    node.clock.wall += TERM
    node.sign()
    node.erase()
    assert both(node.copy(gone=False), CARD).ok


@pytest.mark.parametrize("early", [10**9, DAY_NS, TERM])
def test_destruction_before_the_term_is_found_at_its_entry(node: Node, early: int) -> None:
    node.clock.wall += TERM - early
    node.sign()
    node.erase()
    verdict = both(node.copy(), CARD)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)
    assert "before class 30d allows" in verdict.details["payloads"]


def test_a_payload_that_nothing_names_is_found_however_old(node: Node) -> None:
    node.clock.wall += 10 * TERM
    verdict = both(node.copy(), CARD)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)


@pytest.mark.parametrize(
    "other",
    [
        {"class": "3y"}, {"period": 0}, {"first": 2, "last": 2}, {"first": 0, "last": 0},
        {"class": "forever"}, {"first": "1"}, {"period": b""}, {"until_ns": True},
    ],
    ids=str,
)  # fmt: skip
def test_an_erasure_of_something_else_excuses_nothing(node: Node, other: dict[str, Any]) -> None:
    node.clock.wall += TERM
    node.sign()
    node.erase(**other)
    verdict = both(node.copy(), CARD)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)


@pytest.mark.parametrize("other", [{"first": -1}, {"first": 2, "last": 1}, {"last": 99}, {"checkpoint": 99}], ids=str)
def test_an_erasure_that_cannot_be_is_a_fault_of_its_own(node: Node, other: dict[str, Any]) -> None:
    node.clock.wall += TERM
    node.sign()
    seq = node.erase(**other)
    verdict = both(node.copy(gone=False), CARD)
    assert (verdict.step, verdict.position) == ("payloads", seq)


def test_a_clock_set_forward_alone_destroys_nothing_lawfully(node: Node) -> None:
    size = node.sign()
    node.clock.wall += TERM
    seq = node.erase(checkpoint=size)
    verdict = both(node.copy(gone=False), CARD)
    assert (verdict.step, verdict.position) == ("payloads", seq)
    # Nor by a time that has not come for the log itself.
    later = Node()
    size = later.sign(BEGAN + TERM)
    seq = later.erase(checkpoint=size, until_ns=BEGAN + TERM)
    assert both(later.copy(), CARD).position == SEQ


def test_destruction_after_a_step_of_the_clock_needs_a_checkpoint_from_after_it(node: Node) -> None:
    node.clock.wall += TERM
    size = node.sign()
    node.put(Entry("clock.step", Phase.EVENT, public={"step_ms": 5000}))
    seq = node.erase(checkpoint=size)
    assert both(node.copy(gone=False), CARD).position == seq
    size = node.sign()
    node.erase(checkpoint=size)
    assert both(node.copy(gone=False), CARD).position == seq


def test_what_a_restored_node_lost_is_said_and_is_no_erasure(node: Node) -> None:
    said: dict[str, Scalar] = {"class": "30d", "period": period_of("30d", BEGAN), "first": 1, "last": 1, "count": 1}
    node.put(
        Entry("node.restored", Phase.EVENT, public={"digest": bytes(32), "size": 3, "their_size": 3}),
        Entry("payloads.lost", Phase.EVENT, public=said),
    )
    assert both(node.copy(), CARD).ok


def test_nothing_is_lost_where_no_node_was_restored(node: Node) -> None:
    said: dict[str, Scalar] = {"class": "30d", "period": period_of("30d", BEGAN), "first": 1, "last": 1, "count": 1}
    node.put(Entry("payloads.lost", Phase.EVENT, public=said))
    verdict = both(node.copy(), CARD)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)


def test_what_was_destroyed_while_it_was_held_is_found(node: Node) -> None:
    node.enrol()
    node.hold()
    node.clock.wall += TERM
    node.sign()
    node.erase()
    verdict = both(node.copy(), CARD)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)
    assert "while it was held" in verdict.details["payloads"]


def test_a_hold_that_was_lifted_holds_nothing(node: Node) -> None:
    node.enrol()
    node.hold()
    node.decide("hold.lifted", "lift", hold_id=bytes(16))
    node.clock.wall += TERM
    node.sign()
    node.erase()
    assert both(node.copy(), CARD).ok


def test_an_order_of_two_persons_is_lawful_after_the_minimum_and_not_before(node: Node) -> None:
    # The minimum of a class of 30 days is its term.
    node.enrol()
    node.clock.wall += TERM
    node.sign()
    node.order()
    assert both(node.copy(), CARD).ok
    early = Node()
    early.enrol()
    early.clock.wall += TERM - DAY_NS
    early.sign()
    early.order()
    verdict = both(early.copy(), CARD)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)


@pytest.mark.parametrize("signers", [(), SEEDS[:1], (SEEDS[0], SEEDS[0]), (SEEDS[0], b"3" * 32)], ids=len)
def test_an_order_or_hold_without_two_enrolled_persons_is_none(node: Node, signers: tuple[bytes, ...]) -> None:
    node.enrol()
    node.clock.wall += TERM
    node.sign()
    seq = node.order(signers)
    verdict = both(node.copy(), CARD)
    assert {"payloads", "persons"} <= set(verdict.steps)
    assert (verdict.step, verdict.position) == ("payloads", SEQ)
    verdict = both(node.copy(gone=False), CARD)
    assert (verdict.step, verdict.position) == ("persons", seq)


@pytest.mark.parametrize("other", [{"last": 2}, {"first": 0}, {"class": "3y"}, {"decision": "D-2"}], ids=str)
def test_persons_sign_for_what_the_entry_says(node: Node, other: dict[str, Any]) -> None:
    node.enrol()
    node.clock.wall += TERM
    node.sign()
    seq = node.order(**other)
    verdict = both(node.copy(gone=False), CARD)
    assert (verdict.step, verdict.position) == ("persons", seq)


# -- Rules put in force by two persons (the same node, the same two verifiers) ----------------------------------------

RULES: dict[str, Scalar] = {"layer": "national", "digest": b"d" * 32, "sequence": 7, "impact": b"i" * 32}


def activate(node: Node, signers: tuple[bytes, ...] = SEEDS, **more: Any) -> None:  # noqa: ANN401
    said = statement.activation(state=PeerId("PAN"), **RULES)  # type: ignore[arg-type]
    persons = []
    for seed in signers:
        made = statement.make(statement.ACTIVATION, said, role=Role.POLICY_OFFICER, signed_ns=5, seed=seed)
        persons.append([statement.ACTIVATION, ed25519.public(seed), made.statement, made.signature])
    public = {**RULES, "persons": cbor.encode(persons), **more}
    node.put(Entry("policy.activated", Phase.EVENT, public=public, secret={"officers": []}))


def test_rules_that_two_persons_signed_for_hold_by_both_verifiers(node: Node) -> None:
    node.enrol()
    activate(node)
    assert both(node.copy(gone=False), CARD).ok


@pytest.mark.parametrize(
    ("signers", "more"),
    [
        (SEEDS[:1], {}),
        ((SEEDS[0], SEEDS[0]), {}),
        ((), {}),
        ((SEEDS[0], b"z" * 32), {}),
        (SEEDS, {"digest": b"x" * 32}),
        (SEEDS, {"impact": b"x" * 32}),
        (SEEDS, {"sequence": 8}),
        (SEEDS, {"layer": "baseline"}),
        (SEEDS, {"persons": b"no"}),
    ],
)
def test_rules_that_two_persons_did_not_sign_for_are_found_by_both(
    node: Node, signers: tuple[bytes, ...], more: dict[str, Any]
) -> None:
    node.enrol()
    activate(node, signers, **more)
    verdict = both(node.copy(gone=False), CARD)
    assert (verdict.ok, verdict.step) == (False, "persons")
