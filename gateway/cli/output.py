"""What commands print: text for people, one JSON document for programs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
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


def harmless(text: str) -> str:
    """Text of an unknown hand, for a terminal: what is no printable character is a question mark."""
    return "".join(char if char.isprintable() else "?" for char in text)


class Bar:
    """How far something long is, on a terminal's standard error; silent with `-q`, with `--json` and in a pipe."""

    _WIDTH = 40
    _EVERY_S = 0.1

    def __init__(self, args: argparse.Namespace, what: str) -> None:
        self._shown = sys.stderr.isatty() and not args.quiet and not args.json
        self._what = what
        self._last = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, done: int, of: int) -> None:
        """So many of so many are done."""
        now = time.monotonic()
        if self._shown and of and now - self._last > self._EVERY_S:
            self._last = now
            full = self._WIDTH * done // of
            sys.stderr.write(f"\r[{'#' * full}{'.' * (self._WIDTH - full)}] {done} of {of} {self._what}")
            sys.stderr.flush()


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
