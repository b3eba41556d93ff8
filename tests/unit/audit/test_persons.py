"""A disclosure in the log stands on two persons, each with a key of their own; one signature less, and it is named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pytest

from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.leaf import Leaf
from gateway.audit.persons import APPROVE, DOMAIN, PREPARE, Persons
from gateway.audit.trust import Card
from gateway.errors import InputRefused
from gateway.federation import statement
from gateway.primitives import cbor, ed25519
from gateway.store.memory import MemoryStore
from gateway.terms import PeerId, Role
from tests.unit.audit.log import CARD

pytestmark = pytest.mark.asyncio

CASE = bytes(range(16))
RECIPIENT = b"r" * 32
ONE, TWO, OPERATOR = (letter * 32 for letter in (b"1", b"2", b"o"))


def signed(seed: bytes, act: str, **changes: Any) -> list[Any]:  # noqa: ANN401 (facts)
    """[act, key, statement, signature] as an entry holds it."""
    facts = statement.case(
        case_id=CASE,
        state=PeerId("PAN"),
        peer=PeerId("HND"),
        purpose="SEC.WATCH",
        legal_basis="agreement",
        fields=("names", "sex"),
        recipient=RECIPIENT,
        record_version=7,
    )
    made = statement.make(act, {**facts, **changes}, role=Role.DESK_NATIONAL, signed_ns=5, seed=seed)
    return [act, ed25519.public(seed), made.statement, made.signature]


@dataclass
class Log:
    """A state's log, and what an auditor finds in it."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(lambda: 1))

    async def enrol(self, seed: bytes, *, retired: bool = False) -> None:
        public: dict[str, Scalar] = {"agency": "SNM", "key_thumbprint": sha256(ed25519.public(seed)).digest()}
        if retired:
            await self.store.commit([Entry("officer.retired", Phase.EVENT, public=public)])
        else:
            await self.store.commit([Entry("officer.enrolled", Phase.EVENT, public={**public, "roles": "desk"})])

    async def sent(self, *persons: list[Any], **changes: Any) -> None:  # noqa: ANN401
        public: dict[str, Scalar] = {
            "case_id": CASE,
            "side": "owner",
            "purpose": "SEC.WATCH",
            "message": "decision",
            "state": "GRANTED",
            "fields": "names,sex",
            "recipient": RECIPIENT,
            "record_version": 7,
            "persons": cbor.encode(list(persons)),
            "baseline": bytes(32),
            "national": bytes(32),
        }
        await self.store.commit([Entry("case.sent", Phase.EVENT, "HND", public={**public, **changes})])

    def faults(self, *known: bytes) -> list[str]:
        persons = Persons(frozenset(sha256(ed25519.public(seed)).digest() for seed in known))
        found = [persons.fault(Leaf.parse(data)) for data in self.store.leaves(0, self.store.size())]
        return [why for why in found if why]


async def two_enrolled() -> Log:
    log = Log()
    await log.enrol(ONE)
    await log.enrol(TWO)
    return log


async def test_two_persons_over_the_same_facts_hold() -> None:
    log = await two_enrolled()
    await log.sent(signed(ONE, PREPARE), signed(TWO, APPROVE))
    assert log.faults() == []
    # Retired since: what they signed before still stands.
    await log.enrol(ONE, retired=True)
    await log.sent(signed(ONE, PREPARE), signed(TWO, APPROVE))
    assert log.faults() == []


async def test_a_person_whom_the_operator_enrolled_himself_counts_only_until_the_card_names_the_register_s() -> None:
    log = await two_enrolled()
    await log.enrol(OPERATOR)
    await log.sent(signed(ONE, PREPARE), signed(OPERATOR, APPROVE))
    assert log.faults() == []
    (why,) = log.faults(ONE, TWO)
    assert "register does not know" in why
    await log.sent(signed(ONE, PREPARE), signed(TWO, APPROVE))
    assert len(log.faults(ONE, TWO)) == 1


async def test_a_card_names_persons() -> None:
    card = replace(CARD, persons=frozenset({b"p" * 32, b"q" * 32}))
    assert Card.parse(card.encode()) == card and Card.parse(CARD.encode()).persons == frozenset()
    for wrong in ("person", "person abc", f"person {'G' * 64}", f"person {'ab' * 33}"):
        with pytest.raises(InputRefused):
            Card.parse(CARD.encode() + wrong + "\n")


async def test_a_refusal_needs_nobody_s_second_word() -> None:
    log = await two_enrolled()
    await log.sent(state="REFUSED", fields="")
    assert log.faults() == []


@pytest.mark.parametrize(
    "persons",
    [
        [],
        [signed(ONE, PREPARE)],
        [signed(ONE, PREPARE), signed(ONE, APPROVE)],
        [signed(ONE, PREPARE), signed(OPERATOR, APPROVE)],
        [signed(ONE, PREPARE), [APPROVE, ed25519.public(TWO), *signed(OPERATOR, APPROVE)[2:]]],
        [signed(ONE, PREPARE), signed(TWO, APPROVE, fields=["names"])],
        [signed(ONE, PREPARE), signed(TWO, APPROVE, recipient=b"x" * 32)],
        [signed(ONE, PREPARE), signed(TWO, APPROVE, record_version=8)],
        [signed(ONE, PREPARE), signed(TWO, APPROVE, case=bytes(16))],
        [signed(ONE, PREPARE), signed(TWO, APPROVE, peer="UTO")],
        [signed(ONE, PREPARE), [*signed(TWO, APPROVE)[:3], bytes(64)]],
        [signed(ONE, PREPARE), [APPROVE, 5, b"", b""]],
    ],
    ids=["nobody", "one", "one twice", "the operator", "the operator under another's key", "other fields",
         "another recipient", "another version", "another case", "another peer", "no signature", "nonsense"],
)  # fmt: skip
async def test_anything_less_is_named(persons: list[list[Any]]) -> None:
    log = await two_enrolled()
    await log.sent(*persons)
    assert len(log.faults()) == 1


async def test_an_act_carries_its_own_person_s_signature() -> None:
    log = await two_enrolled()
    _, key, said, signature = signed(ONE, "limen/case/confirm/1")
    public = {
        "case_id": CASE, "side": "asker", "purpose": "SEC.WATCH", "act": "confirm", "state": "CONFIRMED", "version": 2,
        "fields": "", "statement": said, "signature": signature, "signer": key, "baseline": b"", "national": b"",
    }  # fmt: skip
    await log.store.commit([Entry("case.act", Phase.EVENT, "HND", public=public)])
    assert log.faults() == []
    for change in ({"act": "dismiss"}, {"case_id": bytes(16)}, {"signer": ed25519.public(TWO)}):
        await log.store.commit([Entry("case.act", Phase.EVENT, "HND", public={**public, **change})])
    assert len(log.faults()) == 3


async def test_the_domain_is_the_one_persons_sign_under() -> None:
    assert DOMAIN == statement.DOMAIN
    assert statement.CASE_ACTS["prepare"] == PREPARE and statement.CASE_ACTS["approve"] == APPROVE


# -- A new log in the place of one that cannot go on -------------------------------------------------------------------

BEGUN: dict[str, Any] = {
    "former": "limen/PAN/log", "size": 32, "root": b"R" * 32, "held": 16, "origin": "limen/PAN/log/2",
    "reason": "older_copy", "decision": "D-7",
}  # fmt: skip


def decided(seed: bytes, **changes: Any) -> list[Any]:  # noqa: ANN401
    facts = statement.recovery(state=PeerId("PAN"), **{**BEGUN, **changes})
    made = statement.make(statement.RECOVERY, facts, role=Role.SUPERVISOR, signed_ns=5, seed=seed)
    return [statement.RECOVERY, ed25519.public(seed), made.statement, made.signature]


async def begun(log: Log, *persons: list[Any], **changes: Any) -> Log:  # noqa: ANN401
    public = {**BEGUN, "persons": cbor.encode(list(persons)), **changes}
    await log.store.commit([Entry("log.begun", Phase.EVENT, public=public)])
    return log


async def test_a_new_log_begins_with_two_persons_word() -> None:
    log = await begun(Log(), decided(ONE), decided(TWO))
    assert log.faults() == log.faults(ONE, TWO) == []


async def test_a_beginning_of_one_person_or_of_other_facts_is_a_fault() -> None:
    for persons, changes in (
        ([decided(ONE)], {}),
        ([decided(ONE), decided(ONE)], {}),
        ([decided(ONE), decided(TWO, held=15)], {}),
        ([decided(ONE), decided(TWO)], {"size": 31}),
        ([decided(ONE), decided(TWO)], {"root": bytes(32)}),
        ([decided(ONE), [statement.RECOVERY, ed25519.public(TWO), *decided(ONE)[2:]]], {}),
        ([decided(ONE), [PREPARE, *decided(TWO)[1:]]], {}),
        ([], {}),
    ):  # fmt: skip
        log = await begun(Log(), *persons, **changes)
        assert len(log.faults()) == 1, (persons, changes)
    assert (await begun(Log(), decided(ONE), decided(OPERATOR))).faults(ONE, TWO) == [
        "signed with a key that the log enrols and the trust card's register does not know"
    ]


async def test_a_log_begins_once() -> None:
    log = await begun(await two_enrolled(), decided(ONE), decided(TWO))
    assert log.faults() == ["a log begins with the entry that says so, and nowhere else"]
