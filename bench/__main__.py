"""`python -m bench`: every figure with its goal, as JSON lines and a table.

    python -m bench [--only ID[,ID]] [--smoke] [--write]

Each module of this package with a `run(smoke) -> list[dict]` is a bench; its rows have `id, value, unit, goal, met,
against`. A module may name its rows in `IDS` (`E1`, `E1.p50`), so that `--only E1` runs no other; one that says
`ON_REQUEST` runs only when it is named. `--smoke` is the short form: does it still work, whatever the speed. `--write`
puts the rows into the table of docs/benchmarks.md. JSON goes to standard output, the table to standard error.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import bench

Row = dict[str, Any]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN = "<!-- table: made by `python -m bench --write` -->"
END = "<!-- end of table -->"
FIELDS = ("id", "value", "unit", "goal", "met", "against")


def modules() -> Iterator[ModuleType]:
    """Every bench, by name."""
    for found in sorted(pkgutil.iter_modules(bench.__path__), key=lambda found: found.name):
        if found.name != "__main__":
            module = importlib.import_module(f"bench.{found.name}")
            if hasattr(module, "run"):
                yield module


def wanted(row_id: str, only: Sequence[str]) -> bool:
    """`--only E1` takes `E1` and `E1.p50`; nothing named takes all."""
    return not only or any(row_id == one or row_id.startswith(f"{one}.") for one in only)


def may_make(module: ModuleType, only: Sequence[str]) -> bool:
    """False where the module says which rows it makes and none is wanted, or where no id stands anywhere in it."""
    if not only:
        return not getattr(module, "ON_REQUEST", False)
    ids: Sequence[str] | None = getattr(module, "IDS", None)
    if ids is not None:
        return any(wanted(row_id, only) for row_id in ids)
    text = Path(str(module.__file__)).read_text("utf-8")
    return any(re.search(rf"\b{re.escape(one.partition('.')[0])}\b", text) for one in only)


def lines_of(made: Sequence[Row]) -> dict[str, str]:
    """The rows for people, in Markdown, by id."""
    met = {True: "yes", False: "**no**", None: ""}
    return {
        row["id"]: f"| {row['id']} | {row['value']} | {row['unit']} | {row['goal'] or ''} | {met[row['met']]} "
        f"| {row['against']} |"
        for row in made
    }


def table(lines: Mapping[str, str]) -> str:
    """The whole table."""
    head = ["| figure | value | unit | goal | met | against |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(lines[row_id] for row_id in sorted(lines, key=_order))])


def _order(row_id: str) -> tuple[str, int, str]:
    """E2 before E10."""
    head, _, rest = row_id.partition(".")
    number = "".join(char for char in head if char.isdigit())
    return head.rstrip("0123456789"), int(number or 0), rest


def machine() -> str:
    """What the figures were made on. A load above what the benches make themselves is other work beside them."""
    kernel, load = platform.release(), os.getloadavg()[2]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {kernel}, CPython {platform.python_version()}, "
        f"load {load:.0f} over the last 15 minutes"
    )


def write(made: Sequence[Row]) -> None:
    """Put the rows into the page's table; figures that were not made again stay as they stand."""
    text = PAGE.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE}: the marks of the table are missing")
    kept = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    kept.pop("figure", None)
    whole = table({**kept, **lines_of(made)})
    PAGE.write_text(f"{before}{BEGIN}\n\nMade on: {machine()}.\n\n{whole}\n\n{END}{after}", "utf-8")


def main(arguments: Sequence[str]) -> int:
    """0 when every bench ran, whatever it measured; 1 when one failed; 2 when no figure has that id."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Every figure with its goal.")
    parser.add_argument("--only", metavar="ID", default="", help="one figure, such as A2, or several: A2,E3")
    parser.add_argument("--smoke", action="store_true", help="the short form: does it still work")
    parser.add_argument("--write", action="store_true", help="put the rows into the table of docs/benchmarks.md")
    args = parser.parse_args(arguments)
    if args.write and args.smoke:
        parser.error("--write takes no short form")
    only = [one for one in args.only.split(",") if one]
    made: list[Row] = []
    failed = False
    for module in modules():
        if not may_make(module, only):
            continue
        try:
            for row in module.run(args.smoke):
                if wanted(row["id"], only):
                    print(json.dumps({name: row[name] for name in FIELDS}), flush=True)
                    made.append(row)
        except Exception:
            # One bench that fails does not hide the others' figures.
            traceback.print_exc()
            failed = True
    if not made and not failed:
        parser.error(f"no figure has the id {args.only}")
    print(f"\n{table(lines_of(made))}", file=sys.stderr)
    if args.write:
        write(made)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
