"""Domain, query, plan, budget and document: exact, canonical, and honest about what is not shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused, Malformed
from gateway.primitives import cbor
from gateway.statistics import budget, catalogue, release
from gateway.statistics.bounding import Bounded, BoundingSpec, Unit, salt_commitment
from gateway.statistics.budget import Account, AccountKey, Charged, Exhausted, Share, charge
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import Dimension, KeyDomain
from gateway.statistics.noise import MICRO, Kind, choose
from gateway.statistics.plan import Plan, plan
from gateway.statistics.release import CellStatus

DECLARED = {
    "month": Dimension("month", ("2023-07", "2023-08")),
    "route": Dimension("route", ("EAST", "WEST"), frozenset({"WEST"})),
    "nationality": Dimension("nationality", ("VEN", "HTI", "XXX", "_U")),
    "protection": Dimension("protection", ("NONE", "ASYLUM_SEEKER")),
}
QUERY = Query("S-IBC", "persons", "crossings", "2023-08")
KEY = AccountKey("crossings", "person-month", "2023-08")


def made(query: Query = QUERY) -> Plan:
    return plan(query, query.domain(DECLARED))


def document(query: Query = QUERY, first: int = -2) -> bytes:
    one = made(query)
    return release.document(
        one,
        tuple(range(first, first + one.domain.size)),
        3,
        release_id="rel_" + "00" * 16,
        owner="PAN",
        snapshot=bytes(32),
        salt=bytes(32),
        account=Account(KEY, 2 * MICRO, one.micro_rho),
        audit_index=7,
        released_ns=1,
        software={"limen": "0.1.0"},
    )


def test_cells_are_numbered_row_by_row() -> None:
    domain = QUERY.domain(DECLARED)
    assert domain.size == 8
    assert [domain.cell(domain.key(cell)) for cell in range(8)] == list(range(8))
    assert domain.key(1) == ("2023-08", "EAST", "HTI")
    with pytest.raises(KeyError):
        domain.cell(("2023-08", "SOUTH", "VEN"))


def test_a_domain_of_more_than_a_million_cells_is_refused() -> None:
    many = tuple(f"V{number}" for number in range(1001))
    with pytest.raises(InputRefused) as refusal:
        KeyDomain((Dimension("a", many), Dimension("b", many)))
    assert refusal.value.code == "DOMAIN_SIZE"


def test_the_domains_digest_changes_with_each_value_and_the_order() -> None:
    digests = {
        KeyDomain((Dimension("a", values, left),)).digest
        for values, left in ((("X", "Y"), frozenset[str]()), (("Y", "X"), frozenset()), (("X", "Y"), frozenset("X")))
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    "change",
    [{"statistic": "S-ALL"}, {"measure": "rows"}, {"period": "2023-13"}, {"period": "all"}, {"dataset": "../x"},
     {"dimensions": ("route", "month")}, {"dimensions": ("route",)}, {"dimensions": ("month", "name")},
     {"epsilon_micro": 0}, {"epsilon_micro": 11 * MICRO}],
)  # fmt: skip
def test_a_question_outside_the_catalogue_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputRefused):
        catalogue.read_facts({**QUERY.facts(), **{k: list(v) if type(v) is tuple else v for k, v in change.items()}})


def test_a_month_that_was_not_declared_is_refused() -> None:
    with pytest.raises(InputRefused):
        replace(QUERY, period="2024-08").domain(DECLARED)
    with pytest.raises(InputRefused):
        replace(QUERY, period="2023").domain(DECLARED)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_as_query_and_as_release(data: bytes) -> None:
    with pytest.raises((Malformed, InputRefused)):
        catalogue.decode(data)
    with pytest.raises(Malformed):
        release.decode(data)


def test_a_query_has_one_encoding() -> None:
    assert catalogue.decode(QUERY.encode()) == QUERY
    assert catalogue.decode(QUERY.encode()).digest == QUERY.digest
    assert replace(QUERY, measure="detections").digest != QUERY.digest


def test_the_cost_of_the_template() -> None:
    """Epsilon 1 for the cells and a fifth of it for the estimate of the loss: 1/2 + 1/50 as rho."""
    one = made()
    assert (one.noise.kind, one.noise.scale, one.micro_rho) == (Kind.LAPLACE, Fraction(1), 520_000)
    assert one.epsilon_micro == 1_200_000
    assert made(replace(QUERY, measure="detections")).noise.scale == 2


def test_the_mechanism_follows_the_periods_plan() -> None:
    few, wide = BoundingSpec(Unit.PERSON_MONTH, 3), BoundingSpec(Unit.PERSON_MONTH, 18)
    assert choose(few, MICRO, 4).kind is Kind.LAPLACE
    assert choose(few, MICRO, 5).kind is Kind.GAUSSIAN
    assert choose(wide, MICRO, 1).kind is Kind.GAUSSIAN
    assert float(choose(few, MICRO, 5).scale) == pytest.approx(9.34, abs=0.01)


@given(cell_max=st.integers(1, 5), more=st.integers(0, 7))
def test_the_largest_square_is_that_of_every_way_to_fill_the_cells(cell_max: int, more: int) -> None:
    spec = BoundingSpec(Unit.PERSON_MONTH, cell_max + more, cell_max)

    def best(left: int) -> int:
        return max((take * take + best(left - take) for take in range(1, min(left, cell_max) + 1)), default=0)

    assert spec.l2_squared == best(spec.keep)


@given(cap=st.integers(1, 10**6), costs=st.lists(st.integers(1, 10**6), max_size=20))
def test_the_account_is_never_overdrawn_and_loses_nothing(cap: int, costs: list[int]) -> None:
    account, granted = Account(KEY, cap), 0
    for cost in costs:
        done = charge(account, cost)
        if isinstance(done, Charged):
            account, granted = done.account, granted + cost
        else:
            assert cost > account.left == done.left
    assert account.spent == granted <= cap


def test_a_share_is_a_limit_inside_the_account() -> None:
    done = charge(Account(KEY, 100), 60, Share("HND", 70))
    assert isinstance(done, Charged) and done.share is not None
    assert (done.account.spent, done.share.spent) == (60, 60)
    assert charge(done.account, 20, done.share) == Exhausted("share", 20, 10)
    assert charge(done.account, 50, Share("MEX", 70)) == Exhausted("account", 50, 40)
    with pytest.raises(ValueError):
        charge(done.account, 0)
    assert budget.Account(KEY, 10**7, 520_000).epsilon_micro > MICRO


def test_the_document_says_everything_and_negatives_stay() -> None:
    data = document()
    assert document() == data
    found = release.decode(data)
    assert cbor.encode(dict(found.facts)) == data
    cells = found.cells()
    assert (cells[0].status, cells[0].noisy) == (CellStatus.RELEASED, -2)
    assert {cell.status for cell in cells if cell.key[1] == "WEST"} == {CellStatus.NOT_COLLECTED}
    assert found.facts["salt_commitment"] == salt_commitment(bytes(32))
    assert found.facts["balance"]["left_micro_rho"] == 2 * MICRO - 520_000
    assert found.facts["error"] == {
        "sd_micro": 1_356_962, "half_width_95": 3, "covers": "noise only; see bias for what the bound left out",
    }  # fmt: skip
    assert found.facts["bias"]["kept_per_mille"] == 800
    assert json.loads(json.dumps(release.to_json(data)))["cells"][0] == {
        "month": "2023-08", "route": "EAST", "nationality": "VEN", "status": "released", "noisy": -2,
    }  # fmt: skip


def test_no_float_is_anywhere_in_the_document() -> None:
    def floats(value: object) -> bool:
        if isinstance(value, dict):
            return any(floats(one) for one in value.values())
        return any(map(floats, value)) if isinstance(value, list) else isinstance(value, float)

    assert not floats(dict(release.decode(document()).facts)) and not floats(made().facts())


def test_suppression_is_declared_and_never_a_zero() -> None:
    query = replace(QUERY, suppress=True)
    threshold = made(query).threshold
    assert threshold == 3  # ceil(ln 8)
    cells = release.decode(document(query)).cells()
    assert [cell.noisy for cell in cells[:4]] == [None] * 4
    assert {cell.status for cell in cells[:4]} == {CellStatus.BELOW_THRESHOLD}


def test_a_state_gets_no_cells_about_its_own_nationals_protection() -> None:
    query = replace(QUERY, dimensions=("month", "route", "nationality", "protection"))
    whole = document(query, 0)
    seen = release.for_recipient(whole, "VEN")
    assert release.for_recipient(whole, "VEN") == seen
    for cell, before in zip(release.decode(seen).cells(), release.decode(whole).cells(), strict=True):
        if cell.key[2] in ("VEN", "XXX", "_U"):
            assert (cell.status, cell.noisy) == (CellStatus.WITHHELD, None)
        else:
            assert cell == before
    assert release.decode(seen).facts["omissions"] == [release.PROTECTED_OMISSION]
    assert release.decode(release.for_recipient(document(), "VEN")).facts["omissions"] == []
    without = release.for_recipient(document(replace(QUERY, dimensions=("month", "protection"))), "VEN")
    assert {cell.status for cell in release.decode(without).cells()} == {CellStatus.WITHHELD}


def test_a_document_whose_parts_do_not_fit_is_refused() -> None:
    facts = dict(release.decode(document()).facts)
    for change in (
        {"statuses": bytes(7)}, {"query_digest": bytes(32)}, {"domain_digest": bytes(32)}, {"schema": "limen/0"},
        {"statuses": bytes(8)}, {"values": {"noisy": [None] * 8, "consistent": "noisy"}}, {"more": 1},
    ):  # fmt: skip
        with pytest.raises(Malformed):
            release.decode(cbor.encode({**facts, **change}))


def test_a_table_of_another_size_is_not_noised() -> None:
    from gateway.statistics import mechanism

    with pytest.raises(ValueError):
        mechanism.draw(made(), Bounded((1,), 0))


def test_the_neighbour_of_the_whole_path_differs_by_the_declared_sensitivity() -> None:
    """With noise of zero, a unit less changes the document's numbers by the bound, and nothing else in it."""
    one = made(replace(QUERY, measure="detections"))
    common: dict[str, Any] = {
        "release_id": "rel_1", "owner": "PAN", "snapshot": bytes(32), "salt": bytes(32), "audit_index": 1,
        "released_ns": 1, "software": {}, "account": Account(KEY, MICRO, one.micro_rho),
    }  # fmt: skip

    def facts(values: tuple[int, ...], lost: int) -> Mapping[str, Any]:
        return release.decode(release.document(one, values, lost, **common)).facts

    with_unit, without = facts((5, 3, 0, 0, 0, 0, 0, 0), 6), facts((4, 2, 0, 0, 0, 0, 0, 0), 0)
    differing = {name for name in with_unit if with_unit[name] != without[name]}
    assert differing == {"values", "bias"}
    change = [a - b for a, b in zip(with_unit["values"]["noisy"], without["values"]["noisy"], strict=True)
              if a is not None]  # fmt: skip
    assert sum(change) <= with_unit["bound"]["l1"] and max(change) <= with_unit["bound"]["linf"]
