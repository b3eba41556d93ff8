"""`limen document read`: the machine readable zone of travel documents, as fields."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli import inputs
from gateway.cli.main import OK
from gateway.cli.output import emit
from gateway.errors import InputRefused
from gateway.people import mrz

INPUT_BYTES_MAX = 256 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`read FILE|-`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    read = verbs.add_parser("read", help="zone lines to fields", description="Read machine readable zones.")
    read.add_argument("file", metavar="FILE", help="the zones, parted by empty lines; - for standard input")
    read.add_argument("--on", default="", metavar="YYYY-MM-DD", help="the day of reading (default: today)")


def run(args: argparse.Namespace) -> int:
    """Print every zone. Exit 0 when all are valid, 8 when one is not."""
    on = inputs.day(args.on)
    with inputs.about(args.file):
        readings = [mrz.parse(lines, on) for lines in mrz.split(text_of(args.file))]
        if len(readings) > 1 and not any(reading.format for reading in readings):
            raise InputRefused("there is no machine readable zone", code="MRZ_EMPTY")
    shown = [as_json(reading) for reading in readings]
    lines: list[str] = []
    for entry in shown:
        lines += [f"{name.replace('_', ' '):<17} {_said(value)}" for name, value in entry.items() if name != "errors"]
        lines += [f"error             {e['code']} in line {e['line']}, column {e['column']}" for e in entry["errors"]]
        lines.append("")
    emit(args, shown, lines[:-1])
    return OK if all(reading.valid for reading in readings) else InputRefused.row.exit_code


def as_json(reading: mrz.Reading) -> dict[str, Any]:
    """The promised document (SURFACE, JSON shapes). What could not be read is null."""
    birth = reading.birth.open()
    # An empty field of a zone that could be read is empty; of one that could not, unknown.
    empty = "" if reading.format else None
    return {
        "format": reading.format or None,
        "surname": reading.surname.open() or empty,
        "given_names": reading.given_names.open() or empty,
        "document_code": reading.document_code or empty,
        "document_number": reading.document_number.open() or empty,
        "issuer": reading.issuer or empty,
        "nationality": reading.nationality or empty,
        "birth_date": {"value": birth.iso, "precision": birth.precision.value},
        "sex": reading.sex.value if reading.format else None,
        "expiry_date": reading.expiry.iso,
        "optional": reading.optional.open() or empty,
        "truncated": reading.truncated,
        "checks": reading.checks,
        "valid": reading.valid,
        "errors": [{"code": fault.code, "line": fault.line, "column": fault.column} for fault in reading.faults],
    }


def text_of(name: str) -> str:
    """The text of a file or of standard input. Raises InputRefused when it is not text, or too long."""
    data = inputs.data_of(name, INPUT_BYTES_MAX)
    if len(data) > INPUT_BYTES_MAX:
        raise InputRefused("the input is too long for machine readable zones", code="SIZE")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputRefused("the input is not text", code="ENCODING") from None


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items()) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
