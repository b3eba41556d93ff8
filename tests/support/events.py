"""The synthetic region's events in the normal form, and event tables made for tests."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gateway_adapters import event_csv

from gateway.statistics.bounding import SNAPSHOT_COLUMNS
from gateway.statistics.domain import Dimension
from tests.support import shared

MAP: Final = Path(__file__).with_name("synthetic_region.yaml")
KEY: Final = bytes(range(32))
MONTHS: Final = tuple(f"2023-{month:02}" for month in range(1, 13))


def synthetic(state: str, folder: Path) -> tuple[Path, event_csv.Report]:
    """The state's events, read through the column map into a file of `folder`."""
    source, columns = raw(state, folder)
    path = folder / f"{state}.csv"
    with path.open("wb") as file, source.open("rb") as events:
        report = event_csv.normalise(events, event_csv.read_map(columns.read_bytes()), KEY, file.write)
    return path, report


def raw(state: str, folder: Path) -> tuple[Path, Path]:
    """The region's events joined with whose they are, and the state's column map, in files of `folder`."""
    data = shared.require("synthetic_region")
    persons = {row["event_id"]: row["truth_person"] for row in shared.rows(data / "truth_event_person.csv")}
    source, columns = folder / "joined.csv", folder / f"{state}.yaml"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in shared.rows(data / "events.csv"):
            joined = {**row, "truth_person": persons[row["event_id"]]}
            if writer is None:
                writer = csv.DictWriter(file, list(joined))
                writer.writeheader()
            writer.writerow(joined)
    columns.write_bytes(MAP.read_bytes().replace(b"STATE", state.encode()))
    return source, columns


def declared(report: event_csv.Report) -> dict[str, Dimension]:
    """A domain for tests. An owner declares his from public lists, never from the data."""
    return {
        "month": Dimension("month", MONTHS),
        "route": Dimension("route", report.routes),
        "nationality": Dimension("nationality", report.nationalities),
    }


def write(path: Path, rows: Iterable[tuple[int, str, str, str, str]]) -> Path:
    """A normal form of these rows."""
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SNAPSHOT_COLUMNS)
        writer.writerows(rows)
    return path
