"""A data set's declaration: what it takes, what it refuses, and that its bytes are canonical."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import InputRefused, Malformed
from gateway.primitives import cbor
from gateway.statistics import dataset
from gateway.statistics.bounding import Unit
from gateway.statistics.dataset import Declaration
from gateway.statistics.domain import Dimension
from gateway.terms.ids import PeerId

DECLARED = Declaration(
    name="PAN-crossings",
    dimensions=(
        Dimension("month", ("2026-01", "2026-02"), frozenset({"2026-02"})),
        Dimension("route", ("RIVER", "COAST")),
        Dimension("nationality", ("VEN", "_U")),
    ),
    caps={"month": 2_000_000},
    shares={PeerId("HND"): 600_000},
    planned_releases=2,
)


def test_a_declaration_reads_back_from_its_bytes() -> None:
    again = dataset.decode(DECLARED.encode())
    assert again == DECLARED
    assert (again.encode(), again.digest) == (DECLARED.encode(), DECLARED.digest)


def test_accounts_and_shares_are_those_declared() -> None:
    account = DECLARED.account(Unit.PERSON_MONTH, "2026-01", 520_000)
    assert (account.key.dataset, account.left) == ("PAN-crossings", 1_480_000)
    assert DECLARED.account(Unit.KEY_MONTH, "2026-01").cap == 2_000_000
    assert DECLARED.share(PeerId("HND")).cap == 600_000
    assert DECLARED.share(PeerId("UTO")).cap == 0
    with pytest.raises(InputRefused) as refused:
        DECLARED.account(Unit.PERSON_PERIOD, "2026")
    assert refused.value.code == "NO_CAP"


def test_a_cap_lowered_below_what_was_spent_leaves_nothing() -> None:
    assert replace(DECLARED, caps={"month": 1}).account(Unit.PERSON_MONTH, "2026-01", 520_000).left == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "a b"}, "DATASET"),
        ({"dimensions": DECLARED.dimensions[1:]}, "DIMENSIONS"),
        ({"dimensions": (DECLARED.dimensions[0], *DECLARED.dimensions[:0:-1])}, "DIMENSIONS"),
        ({"dimensions": (Dimension("month", ("2026",)),)}, "PERIOD"),
        ({"caps": {}}, "CAP"),
        ({"caps": {"week": 1}}, "CAP"),
        ({"caps": {"month": 0}}, "CAP"),
        ({"shares": {PeerId("hn"): 1}}, "SHARE"),
        ({"shares": {PeerId("HND"): -1}}, "CAP"),
        ({"planned_releases": 0}, "RELEASES"),
    ],
)
def test_what_cannot_be_declared(change: dict[str, Any], code: str) -> None:
    with pytest.raises(InputRefused) as refused:
        replace(DECLARED, **change)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "limen.dataset/2"},
        {"more": 1},
        {"name": 7},
        {"caps": [1]},
        {"shares": {"HND": "1"}},
        {"planned_releases": True},
        {"dimensions": []},
        {"caps": {"month": 0}},
    ],
)
def test_other_bytes_are_refused(change: dict[str, object]) -> None:
    facts = cbor.decode(DECLARED.encode())
    with pytest.raises(Malformed):
        dataset.decode(cbor.encode({**facts, **change}))
