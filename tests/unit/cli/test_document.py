"""`limen document read`: the promised document for every specimen, from a file and from standard input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.acts.nodes import limen

SPECIMENS = json.loads((Path(__file__).parents[2] / "vectors/mrz/specimens.json").read_text())
FIELDS = {
    "format", "surname", "given_names", "document_number", "issuer", "nationality", "birth_date", "sex", "expiry_date",
    "optional", "checks", "valid", "errors",
}  # fmt: skip


@pytest.mark.parametrize("case", SPECIMENS, ids=[case["id"] for case in SPECIMENS])
def test_every_specimen_as_the_promised_document(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "zone.txt"
    file.write_text("\n".join(case["lines"]) + "\n")
    ran = limen("document", "read", str(file), "--on", "2026-11-25", "--json")
    (entry,) = ran.json
    assert set(entry) >= FIELDS
    assert entry["valid"] is case["valid"]
    assert ran.code == (0 if case["valid"] else 8)
    if case["fields"]:
        assert entry["given_names"] == case["fields"]["given"]
        assert entry["surname"] == case["fields"]["surname"]
        assert entry["document_number"] == case["fields"]["doc"]
    if not case["valid"]:
        assert {"code", "line", "column"} <= set(entry["errors"][0])
    assert not ran.err


def test_several_zones_come_on_standard_input() -> None:
    text = "\n\n".join("\n".join(case["lines"]) for case in SPECIMENS[:3])
    ran = limen("document", "read", "-", "--json", stdin=text.encode())
    assert [entry["format"] for entry in ran.json] == ["TD3", "TD1", "TD2"]


def test_a_file_without_a_zone_is_one_sentence_and_exit_8(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("\n\n")
    ran = limen("document", "read", str(file))
    assert (ran.code, ran.out) == (8, "")
    assert ran.err.count("\n") == 1 and "machine readable zone" in ran.err
