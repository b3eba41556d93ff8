"""docs/errors.md is what the catalogue says."""

from __future__ import annotations

import subprocess
import sys

from gateway.errors import CATALOGUE
from tests.extras import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text("utf-8")


def test_the_page_is_the_one_that_the_catalogue_makes() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_errors.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_refusal_has_its_line() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [kind.row.reason for kind in CATALOGUE]
    assert all(len(row.split(" | ")) == 7 for row in rows)
