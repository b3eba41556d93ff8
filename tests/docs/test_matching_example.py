"""Every byte string in docs/protocol/matching.md is in the vectors, and its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.pseudonym.label import LABEL_BYTES, SEALED_BYTES
from gateway.pseudonym.table import COUNT_MIN, ENTRY_BYTES, HEADER_BYTES
from gateway.terms import BATCH_CLASSES, Action, Handling, KeyType, RecordKind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol" / "matching.md").read_text("utf-8")
VECTORS = (ROOT / "tests" / "vectors" / "psi1.json").read_text("ascii")


def row(of: str) -> str:
    found = re.search(rf"^\|[^|]*\| {of} \|(.*)\|$", PAGE, re.MULTILINE)
    assert found is not None
    return found[1].lower()


def test_the_example_is_the_vectors() -> None:
    shown = re.findall(r"\b[0-9a-f]{16,}\b", PAGE)
    assert len(shown) >= 10
    for hexadecimal in shown:
        assert hexadecimal in VECTORS


def test_the_labels_codes_are_the_vocabulary() -> None:
    for name, words in (("kind", RecordKind), ("action", Action), ("handling", Handling)):
        numbers = [int(number) for number in re.findall(r"\b(\d) ", row(name))]
        assert numbers == [int(word) for word in words]
    for kind in RecordKind:
        assert kind.name.split("_")[0].lower() in row("kind")


def test_key_types_classes_and_sizes_are_the_codes() -> None:
    for key_type in KeyType:
        assert f"| `{key_type.value}` |" in PAGE
    classes = ", ".join(f"{size:,}" for size in BATCH_CLASSES[:-1]) + f" or {BATCH_CLASSES[-1]:,} slots"
    assert classes in PAGE
    assert (LABEL_BYTES, SEALED_BYTES, ENTRY_BYTES, HEADER_BYTES, COUNT_MIN) == (32, 48, 64, 64, 1024)
