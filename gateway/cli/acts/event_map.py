"""`limen map`: propose a column map, and try one on a file. Nothing of the file's content is ever printed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway_adapters import dataset_yaml, event_csv
from gateway_adapters.dataset_yaml import Amount
from gateway_adapters.event_csv import Report

from gateway.cli.inputs import about, bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note
from gateway.errors import InputRefused
from gateway.keyring import files
from gateway.statistics.dataset import Declaration
from gateway.statistics.domain import Dimension
from gateway.statistics.noise import rho_for
from gateway.terms import PeerId


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return _suggest(args) if args.verb == "suggest" else _check(args)


def _suggest(args: argparse.Namespace) -> int:
    with opened(args.file) as source, about(args.file):
        header = event_csv.header_of(source)
    columns = event_csv.suggest(header)
    for doubt in event_csv.doubts(header):
        note(args, f"{args.file}: {doubt}")
    first, last = _month(args.first, "first", "--from"), _month(args.last, "last", "--to")
    declared = dataset_yaml.skeleton(
        args.name,
        first,
        last,
        by_route="\nroute: " in columns,
        protection="\nprotection: " in columns,
    )
    document: dict[str, Any] = {"columns": len(header), "map": columns, "dataset": declared}
    if args.out is None:
        emit(args, document, [f"# map.yaml\n{columns}", f"# dataset.yaml\n{declared}".rstrip("\n")])
        return OK
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("map.yaml", columns), ("dataset.yaml", declared)):
        path = args.out / name
        if path.exists():
            raise Refused(f"{path}: is there already; it is yours to change")
        files.replace(path, text.encode("utf-8"), mode=0o644)
    emit(args, document, [f"{args.out / 'map.yaml'}, {args.out / 'dataset.yaml'}: read both, and finish them"])
    return OK


def _month(given: str, which: str, flag: str) -> str:
    """A month of the data set's. It is asked for, because reading it from the events would publish it."""
    if given:
        return given
    if not sys.stdin.isatty():
        raise Refused(
            f"say which months the data set covers: {flag} YYYY-MM; it is declared, never read from the events"
        )
    return input(f"The {which} month it covers, as 2026-01: ").strip()


def _check(args: argparse.Namespace) -> int:
    columns = columns_of(args.map)
    with opened(args.file) as source, about(args.file):
        report = event_csv.check(source, columns)
    document = report_document(report)
    emit(args, document, told(report, args.lines))
    if report.refused and not report.rows:
        note(args, f"every row was refused ({report.refused})")
        return InputRefused.row.exit_code
    return OK


def columns_of(path: Path) -> event_csv.EventMap:
    """The column map in a file. Raises InputRefused naming it."""
    with about(path):
        return event_csv.read_map(bytes_of(path))


def declaration_of(read: dataset_yaml.DatasetFile) -> Declaration:
    """What a declaration's file says. Raises InputRefused."""
    return Declaration(
        name=read.name,
        dimensions=tuple(Dimension(one.name, one.values, one.uncollected) for one in read.dimensions),
        caps={period: _micro_rho(amount) for period, amount in read.caps.items()},
        shares={PeerId(peer): _micro_rho(amount) for peer, amount in read.shares.items()},
        planned_releases=read.planned_releases,
    )


def _micro_rho(amount: Amount) -> int:
    return rho_for(amount.epsilon_micro) if amount.epsilon_micro else amount.micro_rho


def opened(path: Path) -> Any:  # noqa: ANN401 (a binary file)
    """The file of events. Raises InputRefused."""
    try:
        return path.open("rb")
    except OSError as cause:
        raise InputRefused(f"{path}: cannot be read ({cause.strerror})", code="FILE") from None


def report_document(report: Report) -> dict[str, Any]:
    """A report for programs: numbers, lines, columns and codes."""
    return {
        "rows": report.rows,
        "outside": report.outside,
        "refused": report.refused,
        "unit": "person" if report.by_person else "key",
        "remarks": [{"line": one.line, "column": one.column, "code": one.code} for one in report.remarks],
    }


def told(report: Report, lines: int) -> Iterator[str]:
    """A report for people."""
    unit = "the person" if report.by_person else "the key (a document): a person with two counts as two"
    yield f"{report.rows:,} rows can be counted, {report.outside:,} left out by `where`, {report.refused:,} refused"
    yield f"the unit of privacy is {unit}"
    codes = Counter((one.code, one.column) for one in report.remarks)
    for (code, column), count in codes.most_common():
        yield f"  {code}{f' in column {column}' if column else ''}: {count}"
    for one in report.remarks[:lines]:
        where = f", column {one.column}" if one.column else ""
        yield f"  line {one.line}{where}: refused {one.code}: {one.why}"
    if report.refused > min(lines, len(report.remarks)):
        yield f"  and {report.refused - min(lines, len(report.remarks))} more refused rows"
