"""The gateway's verifier and the auditor's one file over the same files: they must say the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from examples import limen_verify as one
from gateway.audit import checkpoint, export, note, trust
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.persons import APPROVE, PREPARE
from gateway.audit.verify import inspect
from gateway.errors import Malformed
from gateway.federation import statement
from gateway.primitives import cbor, ed25519
from gateway.store.memory import MemoryStore
from gateway.terms import PeerId, Role
from tests.unit.audit.log import CARD, Made

CASE = bytes(range(16))
RECIPIENT = b"r" * 32
SEEDS = (b"1" * 32, b"2" * 32)


@dataclass(frozen=True)
class Verdict:
    """What both say. `refused`: not an export at all."""

    ok: bool
    refused: bool = False
    step: str = ""
    position: int | None = None
    steps: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


class Held(one.Export):
    """An export in memory for the one file."""

    def __init__(self, folder: export.MemoryFolder) -> None:
        super().__init__("")
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        return self._folder.read(name)


def both(folder: export.MemoryFolder, trusted: trust.Card, witnessed: tuple[bytes, ...] = ()) -> Verdict:
    """The one verdict of both; a difference in what failed or where is a failed test."""
    audit = one.audit_of(Held(folder), one.Card(trusted.encode().encode()), list(witnessed), lambda _, __: None)
    try:
        report = inspect(folder, trusted, witnessed=witnessed)
    except Malformed:
        try:
            audit.run()
        except one.Refused:
            return Verdict(False, refused=True)
        raise AssertionError("the gateway's verifier alone says that this is no export") from None
    audit.run()
    theirs, ours = report.as_json(), audit.document()
    for name in ("ok", "origin", "size", "root", "cosignatures", "erased"):
        assert ours[name] == theirs[name], name
    places = [[(s["step"], s["ok"], s.get("position")) for s in said["steps"]] for said in (theirs, ours)]
    assert places[0] == places[1], [
        (left, right["detail"]) for left, right in zip(theirs["steps"], ours["steps"], strict=True) if not right["ok"]
    ]
    fault, verdict = report.fault(), audit.verdict()
    details = {s["step"]: s["detail"] for s in ours["steps"]}
    if fault is None or verdict is None:
        assert fault is None and verdict is None and ours["proved"]
        return Verdict(True, details=details)
    assert (fault.step, fault.position) == (verdict[0], verdict[1].position)
    failed = tuple(s["step"] for s in ours["steps"] if not s["ok"])
    return Verdict(False, False, fault.step, fault.position, failed, details)


def _signed(seed: bytes, word: str, **more: Any) -> list[Any]:  # noqa: ANN401
    """[act, key, statement, signature] of a person."""
    facts = statement.case(
        case_id=CASE, state=PeerId("PAN"), peer=PeerId("HND"), purpose="SEC.WATCH", legal_basis="agreement", **more
    )
    act = statement.CASE_ACTS[word]
    made = statement.make(act, facts, role=Role.DESK_NATIONAL, signed_ns=5, seed=seed)
    return [act, ed25519.public(seed), made.statement, made.signature]


ANSWERED = b"q" * 64
VERSIONS: dict[str, Scalar] = {"baseline": b"b" * 32, "national": b"n" * 32}


def grounds() -> list[Entry]:
    """Rules in force, and a peer's batch that was answered."""
    public: dict[str, Scalar] = {
        "purpose": "SEC.WATCH", "basis": "agreement", "agency": "INM", "list": "PERSONS", "class": 8, "batches": 1,
        "agreement": "PAN-HND", **VERSIONS, "role": "border.secondary", "batch": 0, "peer_seq": 1,
        "request_hash": ANSWERED, "seed_commitment": bytes(32), "epoch": "e",
    }  # fmt: skip
    rules = [
        Entry("policy.activated", Phase.EVENT, public={"layer": layer, "digest": digest, "sequence": 1})
        for layer, digest in VERSIONS.items()
    ]
    return [*rules, Entry("check.answer", Phase.INTENT, "HND", public=public)]


def answer(intent: Entry, seq: int) -> Entry:
    """The outcome of the batch whose intent has this number."""
    more: dict[str, Scalar] = {"intent_seq": seq, "reply_hash": bytes(64), "table_version": 1}
    return Entry("check.answer", Phase.OUTCOME, "HND", public={**intent.public, **more})


def releases() -> list[Entry]:
    """A statistic that is charged, made (the number of its intent is still to be told) and given twice."""
    about: dict[str, Scalar] = {"query_digest": b"d" * 32, "snapshot": b"s" * 32}
    made: dict[str, Scalar] = {**about, "dataset": "crossings", "cost_micro_rho": 520_000}
    charge: dict[str, Scalar] = {**made, "unit": "event", "period": "2026-10", "salt_commitment": bytes(32)}
    given: dict[str, Scalar] = {
        **about, "purpose": "RISK.IBC", "basis": "agreement", "agency": "INM", "role": "analyst.national",
        "release_hash": b"h" * 32, "request_hash": bytes(64), "agreement": "PAN-HND", **VERSIONS,
    }  # fmt: skip
    more: dict[str, Scalar] = {"release_hash": b"g" * 32, "shown_ns": 1}
    return [
        Entry("release.charged", Phase.EVENT, "HND", public=charge),
        Entry("release.made", Phase.INTENT, public=made),
        Entry("release.made", Phase.OUTCOME, public={**made, **more, "intent_seq": -1}),
        *[Entry("release.sent", Phase.EVENT, "HND", public=given, secret={"officer": ""})] * 2,
    ]


def cases() -> list[Entry]:
    """Two persons enrolled, and a case in which they disclose two fields."""
    about: dict[str, Any] = {"case_id": CASE, "side": "owner", "purpose": "SEC.WATCH"}
    over: dict[str, Any] = {"fields": ("names", "sex"), "recipient": RECIPIENT, "record_version": 7}
    versions = VERSIONS
    entries = [
        Entry(
            "officer.enrolled", Phase.EVENT,
            public={"agency": "SNM", "roles": "desk", "key_thumbprint": sha256(ed25519.public(seed)).digest()},
            secret={"officer": "P-7", "by": "P-1"},
        )
        for seed in SEEDS
    ]  # fmt: skip
    entries.append(
        Entry(
            "case.taken", Phase.EVENT, "HND",
            public={**about, "message": "open", "state": "UNDER_REVIEW", "request_hash": bytes(64),
                    "answered": ANSWERED},
            secret={"entry_id": "e-1", "code": ""},
        )
    )  # fmt: skip
    signed = {
        "confirm": _signed(SEEDS[0], "confirm"),
        "refuse": _signed(SEEDS[1], "refuse"),
        "prepare": _signed(SEEDS[0], "prepare", **over),
        "approve": _signed(SEEDS[1], "approve", **over),
    }
    for version, (word, (_, signer, said, signature)) in enumerate(signed.items()):
        entries.append(
            Entry(
                "case.act", Phase.EVENT, "HND",
                public={**about, "act": word, "state": "APPROVED", "version": version, "fields": "names,sex",
                        "statement": said, "signature": signature, "signer": signer, **versions},
                secret={"officer": "P-7", "code": "", "words": "", "to": ""},
            )
        )  # fmt: skip
    entries.append(
        Entry(
            "case.sent", Phase.EVENT, "HND",
            public={**about, "message": "decision", "state": "GRANTED", "fields": "names,sex", "recipient": RECIPIENT,
                    "record_version": 7, "persons": cbor.encode([signed["prepare"], signed["approve"]]), **versions},
        )
    )  # fmt: skip
    assert [act for act, *_ in (signed["prepare"], signed["approve"])] == [PREPARE, APPROVE]
    return entries


async def enter(store: MemoryStore, entries: list[Entry]) -> None:
    """Log these one by one; an intent's outcome is told its number, and an answer follows its intent at once."""
    for entry in entries:
        if entry.public.get("intent_seq") == -1:
            entry = replace(entry, public={**entry.public, "intent_seq": store.size() - 1})
        (seq,) = (await store.commit([entry])).seqs
        if (entry.kind, entry.phase) == ("check.answer", Phase.INTENT):
            await store.commit([answer(entry, seq)])


class MadeWithCases:
    """A log of some three hundred entries with checks, a case and its persons, made once."""

    LEGS = 90

    @staticmethod
    @cache
    def made() -> Made:
        made = Made(MadeWithCases.LEGS)

        async def more() -> None:
            await enter(made.store, [*grounds(), *cases(), *releases()])
            await made.store.commit([Entry("filler", Phase.EVENT)] * 5)
            await made.sign(["HND", "UTO"])

        asyncio.run(more())
        return made

    @staticmethod
    @cache
    def _export() -> export.MemoryFolder:
        return MadeWithCases.made().export()

    @staticmethod
    def copy() -> export.MemoryFolder:
        """An export to spoil."""
        return export.MemoryFolder(MadeWithCases._export())

    @staticmethod
    def older() -> export.MemoryFolder:
        """The same log's export at an earlier time."""
        return _older()

    @staticmethod
    def leaves() -> list[bytes]:
        """Every leaf."""
        store = MadeWithCases.made().store
        return list(store.leaves(0, store.size()))

    @staticmethod
    def head() -> checkpoint.Checkpoint:
        """The newest head."""
        return checkpoint.parse(note.parse(MadeWithCases._export()["checkpoint"]).text)


@cache
def _older() -> export.MemoryFolder:
    return Made(MadeWithCases.LEGS - 20).export()


@cache
def card() -> trust.Card:
    """An auditor who was here before, with the persons of the register."""
    persons = frozenset(sha256(ed25519.public(seed)).digest() for seed in SEEDS)
    return replace(CARD, seen=(MadeWithCases.head(),), persons=persons)


def written(folder: export.MemoryFolder, to: Path) -> Path:
    """The export on disk."""
    for name, data in folder.items():
        file = to / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return to
