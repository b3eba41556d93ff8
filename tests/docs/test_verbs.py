"""The verbs: `make help` tells all of them, and what the documents tell people to type exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.tracked import pages
from tests.extras import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
VERBS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))


def test_every_verb_says_what_it_does() -> None:
    declared = set(re.findall(r"^\.PHONY: ([a-z-]+)$", MAKEFILE, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert declared == targets == VERBS
    assert {"demo", "test", "lint", "types", "imports", "proto", "policies", "vectors", "docs", "bench"} <= VERBS


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed; sh setup.sh does the same")
def test_make_help_prints_them() -> None:
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", printed, re.MULTILINE)) == VERBS


@pytest.mark.parametrize("page", pages(), ids=str)
def test_verbs_in_the_documents_exist(page: Path) -> None:
    told = re.findall(r"(?:^|`|\$ )\s*make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert set(told) <= VERBS
