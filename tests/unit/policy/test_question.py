"""A question is read as it is written, and anything else is refused by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.opa import golden
from gateway.policy import catalogue
from gateway.policy.question import Question, Stage, document, parse

GOOD = [
    golden.question(stage, purpose, "UTO", "UTO" if stage is Stage.LIST else "XOM")
    for purpose in catalogue.OFFERED
    for stage in catalogue.stages_of(purpose)
]
PLAIN = document(GOOD[0])


@pytest.mark.parametrize("question", GOOD, ids=lambda asked: f"{asked.stage} {asked.purpose}")
def test_every_kind_of_question_reads_back(question: Question) -> None:
    assert parse(json.loads(json.dumps(document(question)))) == question


@pytest.mark.parametrize("field", sorted(PLAIN))
def test_every_field_is_due(field: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        parse({name: value for name, value in PLAIN.items() if name != field})
    assert refusal.value.field == field


@pytest.mark.parametrize("field", sorted(PLAIN))
@pytest.mark.parametrize("value", [None, 1.5, -1, {}, [1], "line\nbreak", "x" * 300, 2**63])
def test_no_field_takes_nonsense_or_repeats_it(field: str, value: Any) -> None:
    with pytest.raises(InputRefused) as refusal:
        parse(PLAIN | {field: value})
    assert refusal.value.field == field and "xxx" not in str(refusal.value)


def test_a_field_of_somebody_elses_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputRefused) as refusal:
        parse(PLAIN | {"Mercedes Ruiz": "1990-01-01"})
    assert "Ruiz" not in str(refusal.value) and "1990" not in str(refusal.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_anything_is_read_or_refused(value: Any) -> None:
    with pytest.raises(InputRefused):
        parse(value)


@given(st.dictionaries(st.sampled_from(sorted(PLAIN)), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_any_change_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        found = parse(PLAIN | changes)
    except InputRefused as refusal:
        assert refusal.code == "QUESTION"
    else:
        assert document(found) == PLAIN | changes
