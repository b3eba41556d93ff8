"""`limen watchlist evaluate`: what the match keys find and miss, measured on files whose truth is known."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

from gateway_adapters import csv_rows, traveller
from gateway_adapters.watchlist_csv import Defaults

from gateway.app.lists import FORMATS
from gateway.cli.inputs import about, bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, table
from gateway.errors import InputRefused
from gateway.policy import catalogue
from gateway.pseudonym.evaluation import Measured, Share, Whom, measure
from gateway.terms import PeerId, Purpose, peer_id

ROWS_MAX: Final = 1_000_000

NEVER: Final = date(9999, 12, 31)
"""An entry that names no end is measured all the same."""

NO_FINDING: Final = "a hit by name is a question for a person, never a finding"


def run(args: argparse.Namespace) -> int:
    """Measure and tell."""
    try:
        owner = peer_id(args.owner)
    except ValueError:
        raise Refused("--owner: write whose list it is, a state's three letters") from None
    purpose = Purpose(args.purpose)
    key_types = catalogue.key_types_of(purpose)
    if not key_types:
        raise Refused("--purpose: there is no purpose of this name, or it is asked by no key")
    entries, refused = _entries(args.list, args.format, owner)
    travellers = list(_travellers(args.travellers))
    truth = _truth(args.truth, {name for name, _, _ in travellers}, {name for name, _, _ in entries})
    found = measure(travellers, entries, truth, key_types)
    rows = [*found.alone, *([found.together] if len(found.alone) > 1 else [])]
    emit(
        args,
        {
            "purpose": str(purpose),
            "travellers": found.travellers,
            "entries": found.entries,
            "entries_refused": refused,
            "true_pairs": len(truth),
            "keys_a_traveller": round(found.keys / max(1, found.travellers), 3),
            "keys_max": found.keys_max,
            "by_key_types": [_document(row) for row in rows],
        },
        [
            f"{found.travellers} travellers, {found.entries} entries"
            f"{f' ({refused} rows refused)' if refused else ''}, {len(truth)} true pairs; "
            f"{found.keys / max(1, found.travellers):.2f} keys a traveller, {found.keys_max} at most",
            "",
            *table([_line(row) for row in rows], ("keys", "recall", "precision", "false hits", "per million pairs")),
            "",
            f"Intervals of 95 %. {NO_FINDING[0].upper()}{NO_FINDING[1:]}.",
        ],
    )
    return OK


def _document(row: Measured) -> dict[str, Any]:
    return {
        "key_types": [key_type.value for key_type in row.key_types],
        **{
            name: {"part": share.part, "whole": share.whole, "value": share.value, "interval_95": list(share.interval)}
            for name, share in (("recall", row.recall), ("precision", row.precision), ("false_hits", row.false_rate))
        },
        "false_hits_per_million_pairs": row.false_rate.value * 1e6,
    }


def _line(row: Measured) -> dict[str, str]:
    low, high = row.false_rate.interval
    return {
        "keys": ", ".join(key_type.value for key_type in row.key_types),
        "recall": _percent(row.recall),
        "precision": _percent(row.precision),
        "false hits": str(row.false_rate.part),
        "per million pairs": f"{row.false_rate.value * 1e6:.2f} ({low * 1e6:.2f} to {high * 1e6:.2f})",
    }


def _percent(share: Share) -> str:
    if not share.whole:
        return "none to count"
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%} to {high:.1%})"


def _entries(path: Path, form: str, owner: PeerId) -> tuple[list[Whom], int]:
    """The list's entries, and how many rows were refused."""
    defaults = Defaults(owner, str(owner), "NATIONAL", "evaluation", "evaluation", NEVER)
    with about(path):
        reading = FORMATS[form](bytes_of(path), defaults)
    if not reading.rows:
        first = next(iter(reading.refused), None)
        why = f"; line {first.line}: {first.column + ': ' if first.column else ''}{first.why}" if first else ""
        raise InputRefused(f"{path}: holds no entry that can be taken{why}", code="FILE")
    return [(row.entry_id, row.person, row.documents) for row in reading.rows], len(reading.refused)


def _travellers(path: Path) -> Iterator[Whom]:
    """Travellers by the fields of `limen check`, each under an `id`."""
    for line, cells in _rows(path, {"id", *traveller.FIELDS}, {"id"}):
        fields = {name: value for name, value in cells.items() if name != "id" and value}
        with about(path):
            seen = traveller.from_fields(fields, line)
        yield cells["id"], seen.person, seen.documents


def _truth(path: Path, travellers: Collection[str], entries: Collection[str]) -> set[tuple[str, str]]:
    """The pairs of one and the same person. One that names nobody of the two files would be counted as missed."""
    pairs: set[tuple[str, str]] = set()
    for line, cells in _rows(path, {"traveller", "entry"}, {"traveller", "entry"}):
        for column, known in (("traveller", travellers), ("entry", entries)):
            with about(path):
                if cells[column] not in known:
                    raise InputRefused("stands in neither file", line=line, field=column, code="TRUTH")
        pairs.add((cells["traveller"], cells["entry"]))
    return pairs


def _rows(path: Path, columns: Collection[str], required: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file. Raises InputRefused naming file, line and column, never a cell."""

    def judge(header: list[str]) -> None:
        for place, name in enumerate(header, 1):
            if name not in columns:
                raise InputRefused(f"column {place} is none of {', '.join(sorted(columns))}", line=1, code="COLUMN")
        missing = sorted(set(required) - set(header))
        if missing or len(set(header)) != len(header):
            why = f"the column {missing[0]} is missing" if missing else "a column stands twice"
            raise InputRefused(why, line=1, code="COLUMN")

    with about(path):
        try:
            text = bytes_of(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputRefused("is not text in UTF-8", code="FILE") from None
        found = list(csv_rows.rows(text.splitlines(keepends=True), judge, rows_max=ROWS_MAX, lower=True))
        for line, cells in found:
            if "" in cells:
                raise InputRefused(cells[""], line=line, code="CSV")
    return found
