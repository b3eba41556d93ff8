"""The catalogue in words: nothing of it is left out, and the guards in words are the guards there are."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.policy import catalogue, floors, wording
from gateway.policy.floors import Candidates
from gateway.policy.purposes import PRIORITIES, PURPOSES, PurposeRow
from gateway.terms.ids import PeerId, Purpose
from gateway.terms.words import AsylumState, ProtectionTag


def test_the_fields_activities_and_priorities_are_all_named() -> None:
    assert len(wording.activities()) == 25
    assert len(PRIORITIES) == 5
    assert {code for row in PURPOSES for code in row.priorities} == set(PRIORITIES)
    assert all(wording.serving(name) for name in wording.activities())


def test_an_activity_is_found_whatever_its_letters() -> None:
    assert [row.code for row in wording.serving("READMISSION")] == ["READ.IDENT"]
    assert wording.serving("tea") == ()
    assert "Readmission" in wording.near("readmision")
    assert set(wording.near("family")) == {name for name in wording.activities() if "amily" in name}
    assert wording.near("zzzz") == ()


def test_every_operation_and_decision_has_words() -> None:
    assert {name for row in PURPOSES for name in row.operations} <= wording.OPERATIONS.keys()
    assert {word for row in PURPOSES for word in row.operations.values()} == wording.DECISIONS.keys()


@pytest.mark.parametrize("row", PURPOSES, ids=lambda row: row.code)
def test_nothing_of_a_row_is_left_out(row: PurposeRow) -> None:
    assert sorted(sum(wording.askers(row), ())) == sorted(row.requester_roles)
    assert sorted(sum(wording.bases(row), ())) == sorted(row.legal_basis)
    made, later = wording.keys(row)
    assert {name.partition("/")[0] for name in made} | set(later) == set(row.match_keys)
    assert not any(catalogue.is_model(text) for text in wording.bases(row)[0])


def test_the_guards_in_words_are_the_guards_in_code() -> None:
    given = {
        floors.guard(
            Purpose(row.code), PeerId("UTO"), origins=Candidates(states), protected=protected, child=child, tags=tags,
            asylum=asylum,
        )
        for row, states, protected, child, tags, asylum in product(
            PURPOSES, (frozenset(), frozenset({"UTO"})), (False, True), (False, True),
            ((), *((tag,) for tag in ProtectionTag)), AsylumState,
        )
    }  # fmt: skip
    assert given - {""} == wording.FLOORS.keys()
