"""What commands print: text for people, one JSON document for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def emit(args: argparse.Namespace, document: Any, lines: Iterable[str]) -> None:
    """Print the document with `--json`, else the lines. Call it once: standard output holds nothing else."""
    args.emitted = True
    if args.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in lines:
            print(line)


def note(args: argparse.Namespace, line: str) -> None:
    """A remark for a person, on standard error; silent with `-q`."""
    if not args.quiet:
        print(line, file=sys.stderr)


def utc(at_ns: int) -> str:
    """A time as text, to the second (ISO 8601)."""
    return f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> list[str]:
    """Rows as aligned columns under their names."""
    if not rows:
        return []
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in columns]
    out = ["  ".join(name.upper().ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip()]
    out += [
        "  ".join(row[name].ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip() for row in rows
    ]
    return out
