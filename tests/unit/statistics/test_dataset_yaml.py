"""The reader of declarations, and the skeleton it can read back."""

from __future__ import annotations

import pytest
from gateway_adapters import dataset_yaml
from gateway_adapters.dataset_yaml import Amount, read, skeleton

from gateway.errors import InputRefused

DECLARED = """
dataset: limen/dataset/1
name: PAN-crossings
dimensions:
  month: {from: 2025-11, to: 2026-02, uncollected: [2025-12]}
  route: [RIVER, COAST]
  nationality: {values: [VEN, _U]}
caps:
  month: {epsilon: 6.75}
  year: {micro_rho: 1040000}
shares:
  HND: {micro_rho: 520000}
"""


def test_a_declaration_is_read() -> None:
    found = read(DECLARED.encode())
    month, route, nationality = found.dimensions
    assert month.values == ("2025-11", "2025-12", "2026-01", "2026-02")
    assert month.uncollected == {"2025-12"}
    assert (route.values, nationality.values) == (("RIVER", "COAST"), ("VEN", "_U"))
    assert found.caps == {"month": Amount(epsilon_micro=6_750_000), "year": Amount(micro_rho=1_040_000)}
    assert (found.name, found.shares["HND"].micro_rho, found.planned_releases) == ("PAN-crossings", 520_000, 1)


@pytest.mark.parametrize(
    ("old", "new", "field", "code"),
    [
        ("limen/dataset/1", "limen/dataset/2", "dataset", "DATASET"),
        ("name: PAN-crossings", "nam: X", None, "DATASET_FIELD"),
        ("name: PAN-crossings", "name: [X]", "name", "DATASET_FIELD"),
        ("[RIVER, COAST]", "RIVER", "route", "DATASET_FIELD"),
        ("[RIVER, COAST]", "{from: 2026-01, to: 2026-02}", "route", "DATASET_FIELD"),
        ("to: 2026-02", "to: 2025-01", "month", "PERIOD"),
        ("to: 2026-02", "to: 2026-13", "month", "PERIOD"),
        ("to: 2026-02", "to: 9", "month", "PERIOD"),
        ("{epsilon: 6.75}", "6.75", "caps", "CAP"),
        ("{epsilon: 6.75}", "{epsilon: 1e3}", "caps", "CAP"),
        ("{epsilon: 6.75}", "{epsilon: 1, micro_rho: 2}", "caps", "CAP"),
        ("{micro_rho: 520000}", "{micro_rho: -1}", "shares", "DATASET_FIELD"),
        ("name: PAN-crossings", "name: &a X", None, "YAML"),
    ],
)
def test_what_a_declaration_cannot_say(old: str, new: str, field: str | None, code: str) -> None:
    assert old in DECLARED
    with pytest.raises(InputRefused) as refused:
        read(DECLARED.replace(old, new).encode())
    assert (refused.value.field, refused.value.code) == (field, code)


def test_a_skeleton_reads_back_and_holds_values_of_public_lists_only() -> None:
    text = skeleton("X", "2026-01", "2026-12", by_route=False, protection=True)
    found = read(text.encode())
    assert [one.name for one in found.dimensions] == ["month", "route", "nationality", "protection"]
    assert found.dimensions[1].values == ("ALL",)
    assert found.dimensions[2].values == dataset_yaml.NATIONALITIES
    assert {"VEN", "UTO", "XXA", "_U"} - set(found.dimensions[2].values) == {"UTO"}
    assert found.dimensions[3].values[0] == "NONE"
    with_routes = skeleton("X", "2026-01", "2026-12", by_route=True, protection=False)
    assert read(with_routes.encode()).dimensions[1].values == ()
    with pytest.raises(InputRefused):
        skeleton("X", "2026-01", "soon", by_route=True, protection=True)
