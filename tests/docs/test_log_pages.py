"""docs/audit-events.md is the catalogue's page, and docs/protocol/log.md says what code and vectors do."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from gateway.audit import leaf, seal, verify, witness
from gateway.audit.kinds import CATALOGUE
from tests.extras import ROOT

EVENTS = (ROOT / "docs" / "audit-events.md").read_text("utf-8")
LOG = (ROOT / "docs" / "protocol" / "log.md").read_text("utf-8")
VECTORS = json.loads((ROOT / "tests" / "vectors" / "log1.json").read_text("ascii"))


def test_the_page_is_the_one_that_the_catalogue_makes() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_audit_events.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_kind_has_its_numbered_section() -> None:
    titles = re.findall(r"^## (\d+)\. (\S+) \((\w+)\)$", EVENTS, re.MULTILINE)
    assert titles == [(str(kind.number), kind.name, kind.phase.value) for kind in CATALOGUE]


def test_the_example_is_the_vectors() -> None:
    whole = json.dumps(VECTORS, ensure_ascii=False)
    shown = re.findall(r"\b[0-9a-f]{16,}\b", LOG)
    assert len(shown) >= 4
    for hexadecimal in shown:
        assert hexadecimal in whole
    for head, tail in re.findall(r"h'([0-9a-f]{8})\.\.\.([0-9a-f]{8})'", LOG):
        assert re.search(rf"{head}[0-9a-f]+{tail}", whole)
    noted = VECTORS["checkpoint"]["note"] + VECTORS["checkpoint"]["cosignature"]
    for line in (*noted.splitlines(), *VECTORS["trust_card"].splitlines()):
        assert f"    {line}\n" in LOG or not line


def test_names_and_sizes_are_the_codes() -> None:
    for word in (leaf.SCHEMA, seal.SCHEMA, f"{leaf.LEAF_BYTES_MAX:,} bytes", f"{seal.SESSION_RECORDS_MAX} records"):
        assert word in LOG
    steps = re.findall(r"^\| (\w+) \| .* \| .* \|$", LOG, re.MULTILINE)
    assert [step for step in steps if step in verify.STEPS] == list(verify.STEPS)
    for step in (witness.OLD_SIZE, witness.BAD_REQUEST, witness.PROOF):
        assert f"`{step}`" in LOG
