"""Reading the log at the node: a purpose first, then an entry, then leaves; what is sealed for two persons only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from gateway.audit import persons, seal
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Leaf, open_fields
from gateway.errors import AuditUnavailable, NotFoundOrNotPermitted, PolicyDenied
from gateway.federation import statement
from gateway.federation.officers import Act as RegisterAct
from gateway.federation.officers import Enrolled, Line, Register
from gateway.federation.statement import PersonalSignature
from gateway.flows import auditing
from gateway.flows.auditing import AuditWorld, Reading
from gateway.primitives import cbor, ed25519
from gateway.terms import PeerId, Role
from gateway.terms.ids import AgencyId, OfficerId
from tests.unit.audit import log

PAN = PeerId("PAN")
NOW_NS = 1_700_000_100 * 10**9
SEEDS = {name: bytes([number]) * 32 for number, name in enumerate(("AUD-1", "AUD-2", "SUP-1", "B-1"), 1)}
ROLES = {"AUD-1": Role.AUDITOR, "AUD-2": Role.AUDITOR, "SUP-1": Role.SUPERVISOR, "B-1": Role.BORDER_FRONTLINE}


class Clock:
    def now_ns(self) -> int:
        return NOW_NS


def register() -> Register:
    enrolled = [
        Enrolled(OfficerId(name), AgencyId("SNM"), (ROLES[name],), ed25519.public(seed), 0, 1 << 62)
        for name, seed in SEEDS.items()
    ]
    return Register([Line(n, RegisterAct.ENROLLED, one, 0, b"", b"") for n, one in enumerate(enrolled)])


@pytest.fixture
def made() -> log.Made:
    return log.Made(3)


def world(made: log.Made) -> AuditWorld:
    clock: Any = Clock()
    return AuditWorld(PAN, made.store, made.store, clock, register)


def signed(made: log.Made, who: str, seq: int, role: Role | None = None, **changed: Any) -> PersonalSignature:
    leaf = made.store.leaf(seq)
    assert leaf is not None
    facts = statement.reveal(state=PAN, entry=seq, leaf=sha256(leaf).digest(), purpose="lawfulness") | changed
    return statement.make(statement.REVEAL, facts, role=role or ROLES[who], signed_ns=NOW_NS, seed=SEEDS[who])


def reveal(made: log.Made, seq: int, signatures: Sequence[PersonalSignature]) -> tuple[bytes, bytes]:
    return asyncio.run(auditing.reveal(seq, "lawfulness", signatures, "court", world(made)))


def logged(made: log.Made) -> Leaf:
    data = made.store.leaf(made.store.size() - 1)
    assert data is not None
    return Leaf.parse(data)


def told(made: log.Made, leaf: Leaf) -> dict[str, Any]:
    payload = made.store.payload(leaf.seq)
    assert payload is not None
    return open_fields(leaf, seal.Opener(log.READERS["supervisor"]).open(payload).secret)


def test_a_reading_is_logged_with_its_purpose_before_anything_is_told(made: log.Made) -> None:
    size = made.store.size()
    read = asyncio.run(auditing.read(Reading(1, 4, "integrity", ("kind", "officer")), "court", world(made)))
    assert read == made.store.leaves(1, 5)
    entry = logged(made)
    assert entry.kind == "audit.read" and made.store.size() == size + 1
    assert entry.public == {"first": 1, "count": 4, "purpose": "integrity", "filter": "kind,officer"}
    assert told(made, entry)["officer"] == "court"


@pytest.mark.parametrize("purpose", ["", "curiosity", "INTEGRITY"])
def test_without_a_purpose_that_the_law_knows_nothing_is_read_and_the_attempt_stays(
    made: log.Made, purpose: str
) -> None:
    with pytest.raises(PolicyDenied) as denied:
        asyncio.run(auditing.read(Reading(0, 4, purpose), "court", world(made)))
    assert denied.value.reasons == ("purpose_unknown",)
    entry = logged(made)
    assert entry.kind == "audit.denied"
    assert entry.public == {"purpose": "", "what": "entries", "reasons": "purpose_unknown"}


def test_only_what_is_published_is_shown(made: log.Made) -> None:
    size = made.store.size()
    asyncio.run(made.store.commit([Entry("filler", Phase.EVENT)]))
    assert len(asyncio.run(auditing.read(Reading(0, 1000, "integrity"), "court", world(made)))) == size
    for start, count in ((size, 1), (-1, 1), (0, 0)):
        with pytest.raises(NotFoundOrNotPermitted):
            asyncio.run(auditing.read(Reading(start, count, "integrity"), "court", world(made)))


def test_without_an_entry_there_is_no_answer(made: log.Made) -> None:
    class Shut:
        async def commit(self, *given: object) -> Any:
            raise AuditUnavailable("x")

    shut: Any = Shut()
    with pytest.raises(AuditUnavailable):
        asyncio.run(auditing.read(Reading(0, 1, "integrity"), "court", replace(world(made), uow=shut)))
    with pytest.raises(AuditUnavailable):
        asyncio.run(
            auditing.reveal(
                1,
                "lawfulness",
                [signed(made, "AUD-1", 1), signed(made, "SUP-1", 1)],
                "c",
                replace(world(made), uow=shut),
            )
        )


def test_two_persons_open_one_entry_and_the_log_shows_their_signatures(made: log.Made) -> None:
    seq = 1
    leaf, payload = reveal(made, seq, [signed(made, "AUD-1", seq), signed(made, "SUP-1", seq)])
    assert leaf == made.store.leaf(seq) and payload == made.store.payload(seq)
    entry = logged(made)
    assert (entry.kind, entry.public["entry"], entry.public["kind"]) == ("audit.revealed", seq, "check.ask")
    assert told(made, entry)["officers"] == ["AUD-1", "SUP-1"]
    # A verifier comes to the same without the register, from the log's enrolments alone.
    judge = persons.Persons(enrolled={sha256(ed25519.public(seed)).digest() for seed in SEEDS.values()})
    assert judge.fault(entry) == ""
    assert reveal(made, seq, [signed(made, "AUD-1", seq), signed(made, "AUD-2", seq)])[1] == payload


@pytest.mark.parametrize(
    "who",
    [
        ("AUD-1",),
        ("AUD-1", "AUD-1"),
        ("SUP-1", "SUP-1"),
        ("AUD-1", "B-1"),
        ("AUD-1", "SUP-1", "AUD-2"),
    ],
)
def test_anything_but_two_persons_in_their_roles_is_refused_and_logged(made: log.Made, who: tuple[str, ...]) -> None:
    with pytest.raises(PolicyDenied) as denied:
        reveal(made, 1, [signed(made, name, 1) for name in who])
    assert denied.value.reasons == ("signers",)
    assert (logged(made).kind, logged(made).public["what"]) == ("audit.denied", "reveal")


@pytest.mark.parametrize(
    "changed", [{"entry": 4}, {"leaf": bytes(32)}, {"purpose": "integrity"}, {"state": "HND"}, {"more": 1}]
)
def test_a_signature_for_another_entry_purpose_or_state_is_none(made: log.Made, changed: dict[str, Any]) -> None:
    with pytest.raises(PolicyDenied):
        reveal(made, 1, [signed(made, "AUD-1", 1), signed(made, "SUP-1", 1, **changed)])


def test_two_supervisors_are_not_enough_without_an_auditor(made: log.Made) -> None:
    as_supervisor = signed(made, "AUD-1", 1, role=Role.SUPERVISOR)
    with pytest.raises(PolicyDenied):
        reveal(made, 1, [as_supervisor, signed(made, "SUP-1", 1)])


def test_nothing_sealed_is_given_of_an_entry_that_has_nothing_sealed_or_is_not_published(made: log.Made) -> None:
    for seq in (0, made.store.size() + 3):
        with pytest.raises(NotFoundOrNotPermitted):
            asyncio.run(auditing.reveal(seq, "lawfulness", [], "court", world(made)))


@pytest.mark.parametrize("spoiled", ["one", "same", "entry", "purpose", "act", "stranger", "bytes"])
def test_a_verifier_finds_a_revealing_that_two_persons_did_not_sign(made: log.Made, spoiled: str) -> None:
    reveal(made, 1, [signed(made, "AUD-1", 1), signed(made, "SUP-1", 1)])
    entry = logged(made)
    known = {sha256(ed25519.public(SEEDS[name])).digest() for name in SEEDS if spoiled != "stranger" or name != "SUP-1"}
    both = cbor.decode(bytes(entry.public["persons"]))  # type: ignore[arg-type]
    public = dict(entry.public)
    match spoiled:
        case "one":
            public["persons"] = cbor.encode(both[:1])
        case "same":
            public["persons"] = cbor.encode([both[0], both[0]])
        case "act":
            public["persons"] = cbor.encode([["limen/case/approve/1", *both[0][1:]], both[1]])
        case "entry":
            public["entry"] = 2
        case "purpose":
            public["purpose"] = "integrity"
        case "bytes":
            public["persons"] = b"\xff"
    assert persons.Persons(enrolled=known).fault(replace(entry, public=public)) != ""
