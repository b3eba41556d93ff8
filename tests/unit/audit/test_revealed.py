"""What was sealed and given to an auditor stands on two signatures for that entry, or both verifiers find it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.audit.entry import Entry, Phase, Scalar
from gateway.federation import statement
from gateway.primitives import cbor, ed25519
from gateway.terms import PeerId, Role
from tests.unit.audit.both import SEEDS, Verdict, both, cases, enter, grounds
from tests.unit.audit.log import CARD, Made

SEQ = 1


def person(seed: bytes, act: str = statement.REVEAL, **changed: Any) -> list[Any]:  # noqa: ANN401
    facts = statement.reveal(state=PeerId("PAN"), entry=SEQ, leaf=bytes(32), purpose="lawfulness") | changed
    signed = statement.make(statement.REVEAL, facts, role=Role.AUDITOR, signed_ns=1, seed=seed)
    return [act, ed25519.public(seed), signed.statement, signed.signature]


def judged(persons: bytes) -> Verdict:
    public: dict[str, Scalar] = {"entry": SEQ, "kind": "check.ask", "purpose": "lawfulness", "persons": persons}
    entry = Entry("audit.revealed", Phase.EVENT, public=public, secret={"officers": ["P-1", "P-2"]})
    made = Made(0)

    async def log() -> None:
        await enter(made.store, [*grounds(), *cases(), entry])
        await made.sign(["HND", "UTO"])

    asyncio.run(log())
    return both(made.export(), CARD)


def test_two_persons_who_signed_for_the_entry_hold() -> None:
    assert judged(cbor.encode([person(seed) for seed in SEEDS])).ok


@pytest.mark.parametrize(
    "persons",
    [
        cbor.encode([person(SEEDS[0])]),
        cbor.encode([person(SEEDS[0]), person(SEEDS[0])]),
        cbor.encode([person(SEEDS[0]), person(b"9" * 32)]),
        cbor.encode([person(SEEDS[0]), person(SEEDS[1], entry=SEQ + 1)]),
        cbor.encode([person(SEEDS[0]), person(SEEDS[1], purpose="integrity")]),
        cbor.encode([person(SEEDS[0]), person(SEEDS[1], act="limen/case/approve/1")]),
        cbor.encode([person(SEEDS[0]), [*person(SEEDS[1])[:3], bytes(64)]]),
        cbor.encode([]),
        cbor.encode([1]),
        b"\xff",
        b"",
    ],
    ids=["one", "the same", "a stranger", "another entry", "another purpose", "another act", "no signature", "none",
         "a number", "no CBOR", "nothing"],
)  # fmt: skip
def test_anything_else_is_found_at_its_place_by_both(persons: bytes) -> None:
    found = judged(persons)
    assert found.step == "persons" and found.position is not None
