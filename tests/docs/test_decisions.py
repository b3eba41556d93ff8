"""Decisions are numbered without gaps, in one form, and listed; changes are told in the form that was promised."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.extras import ROOT

ADR = ROOT / "docs" / "adr"
DECISIONS = sorted(path for path in ADR.glob("*.md") if path.name != "README.md")


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_in_form(page: Path) -> None:
    content = page.read_text("utf-8")
    assert re.match(rf"# {int(page.name[:4])}\. \S", content)
    assert re.search(r"^Status: (?:accepted|replaced by \[\d+\]\([\w.-]+\)), \d+\.\d+\.\d+$", content, re.MULTILINE)
    assert re.findall(r"^## (.+)$", content, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(content.splitlines()) < 60, "short: one page"


def test_the_index_lists_every_decision_under_its_title() -> None:
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|$", (ADR / "README.md").read_text("utf-8"), re.MULTILINE)
    titles = [page.read_text("utf-8").splitlines()[0].split(". ", 1)[1] for page in DECISIONS]
    assert rows == [
        (str(n), title, page.name) for n, (title, page) in enumerate(zip(titles, DECISIONS, strict=True), 1)
    ]


def test_the_changelog_is_in_form_and_knows_this_version() -> None:
    content = (ROOT / "CHANGELOG.md").read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    releases = re.findall(r"^## \[(.+?)\]", content, re.MULTILINE)
    assert releases[0] == "Unreleased" or releases[0] == version
    assert version in releases or "Unreleased" in releases
    kinds = set(re.findall(r"^### (.+)$", content, re.MULTILINE))
    assert kinds and kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
