"""No field of a question may be missing, empty or of another type and the answer still be yes (rego.md section 6).

`allow if count(deny) == 0` would stay yes with a basis, a role or a list taken away: a rule that mentions an absent
field vanishes. The positive rules here must not.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from gateway.opa.engine import EmbeddedEngine
from gateway.policy import decision
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage, document
from gateway.terms.ids import Purpose
from tests.policies import world

ABSENT: Final = object()
VALUES: Final[dict[str, Any]] = {
    "absent": ABSENT,
    "null": None,
    "empty array": [],
    "empty object": {},
    "zero": 0,
    "empty text": "",
    "true": True,
}

UNCHANGED: Final = {
    ("has_case", "true", Stage.ASK): "a case was given",
    ("has_case", "true", Stage.ANSWER): "a case was given",
    ("has_case", "true", Stage.LIST): "a decision was named",
    ("signers", "zero", Stage.ASK): "nobody signs a question",
    ("signers", "zero", Stage.ANSWER): "nobody signs a question",
    ("signers", "zero", Stage.PUBLISH): "nobody signs a table's making; its list was signed",
    ("class_size", "zero", Stage.PUBLISH): "there is no batch",
    ("class_size", "zero", Stage.LIST): "there is no batch",
    ("key_types", "empty array", Stage.PUBLISH): "all keys of the agreement are published",
    ("legal_basis", "empty text", Stage.PUBLISH): "the transfer's basis is the agreement's own",
    ("issuers", "empty array", Stage.ASK): "no document is listed",
    ("issuers", "empty array", Stage.ANSWER): "no document is listed",
    ("issuers", "empty array", Stage.PUBLISH): "no document is listed",
}
"""The mutations that leave a good question as it was, and why that value is right. No other may pass."""


def decided(engine: EmbeddedEngine, question: Question, asked: dict[str, Any]) -> Permit | Deny:
    """The two layers' answer to a document that no `Question` could make."""
    assert engine._layers is not None
    text = json.dumps(asked)
    baseline, national = (layer.answer(text) for layer in engine._layers)
    return decision.combine(baseline, national, question, engine._versions)


def mutated(asked: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    rest = {name: kept for name, kept in asked.items() if name != field}
    return rest if value is ABSENT else rest | {field: value}


@pytest.mark.parametrize(("stage", "purpose"), world.GOOD)
def test_no_mutation_of_a_good_question_is_permitted(stage: Stage, purpose: Purpose) -> None:
    engine = world.engine()
    question = world.good(stage, purpose)
    good = document(question)
    assert isinstance(decided(engine, question, good), Permit)
    passed = set()
    tried = 0
    for field in good:
        for name, value in VALUES.items():
            changed = mutated(good, field, value)
            tried += 1
            if isinstance(decided(engine, question, changed), Permit):
                # Whatever passes must be the good question itself, type for type.
                assert json.dumps(changed, sort_keys=True) == json.dumps(good, sort_keys=True), (field, name)
                passed.add((field, name, stage))
    # Where DOCUMENTS are listed, `issuers` is not empty, so that one is the other purpose's alone.
    expected = {case for case in UNCHANGED if case[2] is stage}
    if stage is Stage.LIST and purpose == world.WATCH:
        expected.add(("issuers", "empty array", stage))
    assert passed == expected
    assert tried == len(good) * len(VALUES) >= 112
    assert engine.faults == 0


@pytest.mark.parametrize(("stage", "purpose"), world.GOOD)
def test_no_pair_of_missing_fields_is_permitted(stage: Stage, purpose: Purpose) -> None:
    engine = world.engine()
    question = world.good(stage, purpose)
    good = document(question)
    for first in good:
        for second in good:
            changed = mutated(mutated(good, first, ABSENT), second, ABSENT)
            assert isinstance(decided(engine, question, changed), Deny), (first, second)


def test_an_empty_question_is_refused() -> None:
    engine = world.engine()
    for nothing in ({}, {"schema": "limen.question/1"}):
        assert isinstance(decided(engine, world.good(), nothing), Deny)
