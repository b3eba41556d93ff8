"""The page for list officers says every column and category that the reader takes, and no other."""

from __future__ import annotations

import re

from gateway_adapters.watchlist_csv import CATEGORIES, COLUMNS

from tests.extras import ROOT

PAGE = (ROOT / "docs" / "lists.md").read_text("utf-8")


def rows(name: str) -> list[list[str]]:
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", PAGE, re.DOTALL)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()[2:]]


def test_every_column_is_told() -> None:
    told = [name for row in rows("columns") for name in re.findall(r"`([a-z_]+)`", row[0])]
    assert sorted(told) == sorted(COLUMNS)


def test_every_category_is_told_with_its_list_and_kind() -> None:
    told = {
        name: (row[1], row[2].strip("| `")) for row in rows("categories") for name in re.findall(r"`([A-Z_]+)`", row[0])
    }
    assert told == {name: (list_id.value, kind.name) for name, (kind, list_id) in CATEGORIES.items()}
