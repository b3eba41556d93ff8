"""The threat model names every requirement, and modules and tests that exist; it claims nothing without a test."""

from __future__ import annotations

import re

import pytest

from tests.extras import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
ROWS = {
    match[1]: [cell.strip() for cell in match[0].strip("|").split("|")]
    for match in re.finditer(r"^\| \*\*(T\d+)\*\* \|.*\|$", PAGE, re.MULTILINE)
}


def test_every_requirement_has_its_row() -> None:
    assert list(ROWS) == [f"T{number}" for number in range(1, 22)]
    assert all(len(cells) == 5 for cells in ROWS.values())


@pytest.mark.parametrize("name", ROWS)
def test_what_a_row_names_exists(name: str) -> None:
    _, _, modules, tests, _ = ROWS[name]
    for cell, folder in ((modules, "gateway/"), (tests, "tests/")):
        for path in re.findall(r"`([^`]+)`", cell):
            assert path.startswith(folder), path
            assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("name", ROWS)
def test_a_row_claims_no_more_than_it_shows(name: str) -> None:
    _, _, modules, tests, state = ROWS[name]
    assert re.match(r"built$|in part: \S|not built yet$", state), state
    if state == "not built yet":
        assert (modules, tests) == ("none", "none")
    else:
        assert "`gateway/" in modules
        assert "`tests/" in tests or (state.startswith("in part") and tests == "none of its own yet")


def test_attackers_are_met_by_known_requirements() -> None:
    section = PAGE.split("## Who attacks", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"\bT\d+\b", section))
    assert named <= set(ROWS) and len(named) > 15


def test_paths_in_the_text_exist() -> None:
    for path in re.findall(r"`((?:gateway|tests|docs)/[^`]+)`", PAGE):
        assert (ROOT / path).exists(), path
