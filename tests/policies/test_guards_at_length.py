"""Whatever a signed bundle permits: a million random persons, states and questions never get past the floors (T6)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.policy import catalogue, floors
from gateway.policy.decision import Deny
from gateway.policy.floors import Candidates
from gateway.policy.question import Question, Stage
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import AsylumState, KeyType, ListId, ProtectionTag, Role
from tests.policies import world
from tests.policies.test_allow_all import OPERATIONS, raw

STATES = ("UTO", "XOM", "ZZZ", "PAN", "HND")
CODES = tuple(catalogue.CATALOGUE)
CLOSED = (AsylumState.NONE, AsylumState.FINALLY_REFUSED)


def guard_persons(cases: int, seed: int) -> tuple[int, int]:
    """How many random persons were asked about and how many were not; fails on the first that should not have been."""
    chance = random.Random(seed)  # cases, not keys
    real = guarded = 0
    for _ in range(cases):
        purpose = Purpose(chance.choice(CODES))
        owner = PeerId(chance.choice(STATES))
        origins = Candidates(
            frozenset(chance.sample(STATES, chance.randrange(3))), chance.random() < 0.2, chance.choice(STATES)
        )
        protected = chance.random() < 0.3
        child = chance.random() < 0.3
        best_interest = chance.random() < 0.5
        tags = chance.sample(list(ProtectionTag), chance.randrange(3))
        asylum = chance.choice(list(AsylumState))
        reason = floors.guard(
            purpose,
            owner,
            origins=origins,
            protected=protected,
            child=child,
            tags=tags,
            asylum=asylum,
            best_interest=best_interest,
        )
        if reason:
            guarded += 1
            continue
        real += 1
        shielded = protected or bool(tags)
        from_there = owner in origins.states or (origins.all_but_issuer and owner != origins.issuer)
        assert not (shielded and from_there), (purpose, owner, origins, tags)
        if purpose == "READ.IDENT":
            assert not shielded and asylum in CLOSED, (asylum, tags)
            assert not child or best_interest
        elif child or ProtectionTag.UNACCOMPANIED_CHILD in tags:
            assert purpose in ("MISS.CHILD", "DOC.STATUS"), (purpose, tags)
        if purpose.split(".")[0] in ("SEC", "SMUG", "PNR", "READ", "RISK"):
            assert ProtectionTag.FAMILY_REUNIFICATION not in tags
            assert ProtectionTag.REGULARISATION not in tags
    return real, guarded


def hold_questions(cases: int, seed: int) -> tuple[int, int]:
    """How many random questions passed the floors under a permit for everything, and how many did not."""
    chance = random.Random(seed)  # cases, not keys
    good = [world.good(stage, purpose) for stage, purpose in world.GOOD]
    passed = refused = 0
    for _ in range(cases):
        # Near a good question, so that many pass: up to four fields are drawn anew.
        base = chance.choice(good)
        fields = {name: getattr(base, name) for name in Question.__slots__}
        drawn: dict[str, Callable[[], Any]] = {
            "stage": lambda: chance.choice(list(Stage)),
            "purpose": lambda: Purpose(chance.choice(CODES)),
            "operation": lambda: chance.choice(OPERATIONS),
            "legal_basis": lambda: chance.choice(["", "bilateral agreement", "EU Dir. 2003/86"]),
            "list_id": lambda: chance.choice([None, *ListId]),
            "key_types": lambda: tuple(chance.sample(list(KeyType), chance.randrange(len(KeyType)))),
            "class_size": lambda: chance.choice([0, 8, 9, 1280]),
            "asker": lambda: PeerId(chance.choice(STATES)),
            "owner": lambda: PeerId(chance.choice(STATES)),
            "agency": lambda: AgencyId(chance.choice(["SNM", "INM"])),
            "role": lambda: chance.choice(list(Role)),
            "has_case": lambda: chance.random() < 0.5,
            "signers": lambda: chance.randrange(-1, 4),
            "issuers": lambda: chance.choice([(), ("PAN",), ("HND",)]),
        }
        for name in chance.sample(sorted(drawn), chance.randrange(5)):
            fields[name] = drawn[name]()
        question = Question(**fields)
        permit = floors.hold(question, raw(question))
        if isinstance(permit, Deny):
            refused += 1
            continue
        passed += 1
        purpose = question.purpose
        assert purpose in catalogue.OFFERED
        assert question.list_id in (catalogue.lists_of(purpose) or (None,))
        assert set(permit.key_types) <= {key.value for key in catalogue.key_types_of(purpose)}
        if question.stage is Stage.LIST:
            assert question.signers >= 2 and question.asker == question.owner
            assert question.role is Role.LIST_OFFICER and question.has_case
        else:
            assert question.operation == catalogue.check_operation(purpose)
            assert set(permit.kinds) <= {k.name for k in catalogue.kinds_of_group(catalogue.group_of(purpose))}
            home = question.asker == question.owner
            assert not home or (catalogue.is_aggregate(purpose) and question.role is Role.ANALYST_NATIONAL)
    return passed, refused


@pytest.mark.parametrize("run", [guard_persons, hold_questions])
def test_two_thousand_cases_never_get_past_the_floors(run: Callable[[int, int], tuple[int, int]]) -> None:
    assert min(run(2_000, 1)) > 100


@pytest.mark.slow
@pytest.mark.parametrize("run", [guard_persons, hold_questions])
def test_a_million_cases_never_get_past_the_floors(run: Callable[[int, int], tuple[int, int]]) -> None:
    assert min(run(1_000_000, 2)) > 50_000
