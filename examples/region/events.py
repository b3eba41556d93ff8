"""Make crossing events for a state of the region: invented persons, known truth, the same bytes for the same seed.

    python -m examples.region.events --out DIR [--state PAN] [--seed N] [--persons N]

writes DIR/events.csv, DIR/events.yaml (its column map), DIR/domain.json (the cells that the state declares),
DIR/dataset.yaml (the same as the declaration that is loaded, with what may be spent) and
DIR/truth.json, which the demonstration alone may see: by month, route and nationality the detections and the persons.
A person has one nationality and is seen one to five times in the year, most of them once.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.region.draws import Draws

DEFAULT_SEED: Final = 20231101
DEFAULT_PERSONS: Final = 4_000
YEAR: Final = 2026
MONTHS: Final = tuple(f"{YEAR}-{month:02}" for month in range(1, 13))
ROUTES: Final = ("RIVER", "COAST", "HIGHWAY")
NATIONALITIES: Final = ("VEN", "COL", "ECU", "HTI", "CUB", "NIC", "HND", "UTO", "XXA")
PROTECTIONS: Final = (("", 90), ("ASYLUM_SEEKER", 7), ("UNACCOMPANIED_CHILD", 2), ("TRAFFICKING_VICTIM", 1))
MONTH_CAP: Final = 1_040_000
YEAR_CAP: Final = 520_000
"""Two releases of each month and one of the year, at epsilon 1."""

COLUMNS: Final = ("event_id", "person_ref", "event_date", "route", "nationality", "protection")

_NATIONALS: Final = (34, 8, 16, 14, 8, 6, 6, 7, 1)
_ROUTE_WEIGHTS: Final = (60, 25, 15)
_SEEN: Final = (78, 14, 5, 2, 1)
"""Of a hundred persons, how many are seen once, twice, ..."""


@dataclass(frozen=True, slots=True)
class Events:
    """The five files' contents."""

    events_csv: str
    map_yaml: str
    domain_json: str
    truth_json: str
    dataset_yaml: str


def make(state: str, seed: int = DEFAULT_SEED, persons: int = DEFAULT_PERSONS) -> Events:
    """The events of one state's year."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    detections: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    number = 0
    for person in range(persons):
        draws = Draws("events", seed, state, person)
        nationality = NATIONALITIES[_weighted(draws, _NATIONALS)]
        protection = PROTECTIONS[_weighted(draws, [weight for _, weight in PROTECTIONS])][0]
        cells: set[str] = set()
        first = draws.between(1, 12)
        for again in range(1 + _weighted(draws, _SEEN)):
            # Most are seen again in the same month: that is what a bound of two a month leaves out.
            month = first if again == 0 or draws.percent(70) else draws.between(1, 12)
            route = ROUTES[_weighted(draws, _ROUTE_WEIGHTS)]
            day = draws.between(1, 28)
            number += 1
            writer.writerow(
                (f"{state}-{number:06}", f"{state}-P{person:06}", f"{YEAR}-{month:02}-{day:02}", route, nationality,
                 protection)
            )  # fmt: skip
            cell = "/".join((f"{YEAR}-{month:02}", route, nationality))
            detections[cell] += 1
            cells.add(cell)
        seen.update(cells)
    cells_truth = {cell: {"detections": detections[cell], "persons": seen[cell]} for cell in sorted(detections)}
    truth = {"state": state, "events": number, "persons": persons, "cells": cells_truth}
    domain = {"dataset": f"{state}-crossings", "month": MONTHS, "route": ROUTES, "nationality": (*NATIONALITIES, "_U"),
              "protection": ("NONE", *(name for name, _ in PROTECTIONS if name))}  # fmt: skip
    return Events(out.getvalue(), MAP, _json(domain), _json(truth), declaration(state))


def declaration(
    state: str, *, month_cap: int = MONTH_CAP, shares: Mapping[str, int] | None = None, year_cap: int = YEAR_CAP
) -> str:
    """The state's declaration: the cells, what may be spent of each month and year, and each peer's share of it, all in
    micro-rho."""
    return "\n".join(
        [
            "dataset: limen/dataset/1",
            f"name: {state}-crossings",
            "dimensions:",
            f"  month: {{from: {MONTHS[0]}, to: {MONTHS[-1]}}}",
            f"  route: [{', '.join(ROUTES)}]",
            f"  nationality: [{', '.join((*NATIONALITIES, '_U'))}]",
            f"  protection: [{', '.join(('NONE', *(name for name, _ in PROTECTIONS if name)))}]",
            "caps:",
            f"  month: {{micro_rho: {month_cap}}}",
            f"  year: {{micro_rho: {year_cap}}}",
            "shares:" if shares else "shares: {}",
            *(f"  {peer}: {{micro_rho: {share}}}" for peer, share in (shares or {}).items()),
            "planned_releases: 2",
            "",
        ]
    )


MAP: Final = """map: limen/event-map/1
person_ref: person_ref
date: event_date
nationality: nationality
route: route
protection: protection
"""


def _weighted(draws: Draws, weights: Sequence[int]) -> int:
    place = draws.below(sum(weights))
    for number, weight in enumerate(weights):
        place -= weight
        if place < 0:
            return number
    raise AssertionError("the weights are summed above")


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; 0."""
    parser = argparse.ArgumentParser(prog="python -m examples.region.events", description="Make crossing events.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--state", default="PAN")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--persons", type=int, default=DEFAULT_PERSONS)
    asked = parser.parse_args(arguments)
    made = make(asked.state, asked.seed, asked.persons)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("events.csv", made.events_csv), ("events.yaml", made.map_yaml),
                       ("domain.json", made.domain_json), ("truth.json", made.truth_json),
                       ("dataset.yaml", made.dataset_yaml)):  # fmt: skip
        (asked.out / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
