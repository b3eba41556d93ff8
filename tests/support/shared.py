"""Measured data that lies beside the repository and not in it. Where it is absent, a test says so and is skipped."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

VARIABLE = "LIMEN_SHARED"
"""Names the folder; without it, `shared` beside the repository."""


def folder(name: str) -> Path | None:
    """The data set's folder, or None."""
    found = Path(os.environ.get(VARIABLE) or ROOT.parent / "shared") / "data" / name
    return found if found.is_dir() else None


def require(name: str) -> Path:
    """The data set's folder; a test without it is skipped, and says what it would have needed."""
    found = folder(name)
    if found is None:
        pytest.skip(f"measured data are not here: {name}; {VARIABLE} names the folder that has data/{name}")
    return found


def rows(path: Path) -> Iterator[dict[str, str]]:
    """A CSV file's rows. Nothing in it is a missing value: some names are "NA"."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
