"""How long a desk has: what the officer is told is what the case is due by."""

from __future__ import annotations

import pytest

from gateway.disclosure import profiles
from gateway.people import messages
from gateway.terms.words import RecordKind


@pytest.mark.parametrize("kind", list(RecordKind))
def test_the_limit_that_is_shown_is_the_one_that_holds(kind: RecordKind) -> None:
    assert profiles.answer_ns(kind, "") == messages.KINDS[kind].limit_s * 10**9
    assert profiles.answer_ns(kind, "LIFE") <= profiles.answer_ns(kind, "")


@pytest.mark.parametrize("kind", list(RecordKind))
def test_every_kind_has_a_template_and_a_category(kind: RecordKind) -> None:
    assert profiles.fields_of(kind) and profiles.SUBJECT_CATEGORY[kind]
    assert profiles.conditions(kind)
