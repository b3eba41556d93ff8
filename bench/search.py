"""A10: finding entries by officer, case and subject in an auditor's index of ten million.

The index is the product's (`gateway.store.finder`), filled another way: eight entries go in as any do, and SQL repeats
them with officers, cases and subjects spread over them; to make and open ten million leaves would take an hour. Half of
the entries name an officer (of 5,000) and a case (of 500,000), one in a hundred a subject (of 50,000) with two tags. A
search is what `limen audit search` asks the index: the newest fifty that answer, with their tags, half of the time with
a kind and a time besides. The file lies in the system's cache.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.node import row
from gateway.audit.search import Query, Row, Tagger, What
from gateway.store.finder import Finder

IDS: Final = ("A10", "A10.cpu", "A10.officer", "A10.case", "A10.subject")

ENTRIES: Final = 10_000_000
OFFICERS, CASES, SUBJECTS = 5_000, 500_000, 50_000
PAGE: Final = 50
FIRST_NS: Final = 1_700_000_000 * 10**9
STEP_NS: Final = 3 * 10**9
"""Ten million entries are about a year."""

_KINDS: Final = (
    "check.ask",
    "check.ask",
    "check.answer",
    "check.answer",
    "case.act",
    "case.read",
    "filler",
    "audit.read",
)
_NAMING: Final = (0, 4, 5, 7)
"""Of eight entries, those that name an officer and a case."""


_LOOKED_FOR: Final = (What.OFFICER, What.CASE, What.SUBJECT)


def run(smoke: bool) -> list[dict[str, Any]]:
    """The rows of A10. The short form has few entries, and asserts nothing about speed."""
    entries, searches = (20_000, 20) if smoke else (ENTRIES, 1_000)
    with tempfile.TemporaryDirectory(prefix="limen-bench-") as folder:
        path = Path(folder) / "index"
        tagger = Tagger(bytes(32))
        fill(path, entries, tagger)
        finder = Finder(path)
        took = {
            what: _searched(finder, what, tagger, entries, searches) for what in (What.OFFICER, What.CASE, What.SUBJECT)
        }
        finder.close()
        size = path.stat().st_size >> 20
    against = f"{entries} entries, index of {size} MiB, {searches} searches each"
    walls, cpus = ([one[place] for held in took.values() for one in held] for place in (0, 1))
    made = [
        row("A10", _p99(walls), "ms, p99, all", against, goal=100.0),
        row("A10.cpu", _p99(cpus), "ms of CPU, p99, all", "what remains of it where the machine does other things too"),
    ]
    for what, held in took.items():
        wall = _p99([one for one, _ in held])
        made.append(row(f"A10.{what.value}", wall, f"ms, p99, by {what.value}", "for information"))
    return made


def _p99(took_s: Sequence[float]) -> float:
    return round(sorted(took_s)[int(len(took_s) * 0.99)] * 1000, 2)


def _searched(finder: Finder, what: What, tagger: Tagger, entries: int, count: int) -> list[tuple[float, float]]:
    chance = random.Random(what.value)
    took: list[tuple[float, float]] = []
    met = 0
    for number in range(count):
        tags = _tags(what, tagger, chance)
        more: dict[str, Any] = {}
        if number % 2:
            more = {"words": {"kind": ("check.ask",)}, "since_ns": FIRST_NS + chance.randrange(entries) * STEP_NS}
        began, used = time.perf_counter(), time.process_time()
        for found in finder.find(Query(tags=[(what, tags)], **more), PAGE + 1):
            finder.tags(found.seq)
            met += 1
        took.append((time.perf_counter() - began, time.process_time() - used))
    if entries >= ENTRIES and met < count // 2:
        raise RuntimeError("most searches find nothing: the index is not what this bench takes it for")
    return took


def _tags(what: What, tagger: Tagger, chance: random.Random) -> tuple[bytes, ...]:
    if what is What.SUBJECT:
        number = chance.randrange(SUBJECTS)
        return tagger.tag(what, f"document {number}"), tagger.tag(what, f"name {number}")
    return (tagger.tag(what, str(chance.randrange(OFFICERS if what is What.OFFICER else CASES))),)


def fill(path: Path, entries: int, tagger: Tagger) -> None:
    """An index of so many entries."""
    finder = Finder(path)
    with finder.building({"origin": "bench", "size": entries, "root": bytes(32), "mark": tagger.mark}):
        finder.add(
            (
                Row(n, FIRST_NS + n, kind, "event", "HND" if n % 3 else "UTO", "done", "SNM", purpose="SEC.WATCH",
                    basis="agreement art. 4", retention="3y"),
                (),
            )
            for n, kind in enumerate(_KINDS)
        )  # fmt: skip
    finder.close()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    tags = [(What.OFFICER, str(n)) for n in range(OFFICERS)] + [(What.CASE, str(n)) for n in range(CASES)]
    tags += [(What.SUBJECT, f"{kind} {n}") for kind in ("document", "name") for n in range(SUBJECTS)]
    db.executemany(
        "INSERT INTO tag VALUES (?, ?, ?)",
        ((n, what.value, tagger.tag(what, value)) for n, (what, value) in enumerate(tags, 1)),
    )
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(entry)")]
    given = {
        "seq": "n",
        "time_ns": f"{FIRST_NS} + n * {STEP_NS}",
        "officer": f"iif(n % 8 IN {_NAMING}, 1 + (n / 8 * 761 + n % 8 * 131) % {OFFICERS}, 0)",
        "case_ref": f"iif(n % 8 IN {_NAMING}, {OFFICERS} + 1 + (n / 8 * 40503 + n % 8 * 77) % {CASES}, 0)",
    }
    db.execute(
        f"WITH RECURSIVE series(n) AS (SELECT 8 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {entries})"
        f" INSERT INTO entry SELECT {', '.join(given.get(name, f't.{name}') for name in columns)}"
        " FROM series JOIN entry t ON t.seq = n % 8"
    )
    for name in ("officer", "case_ref"):
        db.execute(f"INSERT INTO posting SELECT {name}, seq FROM entry WHERE {name} <> 0 ORDER BY 1, 2")
    first = OFFICERS + CASES + 1
    for offset in (0, SUBJECTS):
        db.execute(
            f"INSERT INTO posting SELECT {first + offset} + (seq / 100 * 7919) % {SUBJECTS}, seq FROM entry"
            " WHERE seq % 100 = 0 ORDER BY 1, 2"
        )
    db.execute("COMMIT")
    db.close()
