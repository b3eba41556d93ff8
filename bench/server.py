"""A2.server: a commit of the log on a PostgreSQL server against the same on SQLite, on this machine's disk.

Made where a server's programs are installed (`sh .ci/extras postgres`), and only when it is named.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from gateway.store import writer
from tests import extras
from tests.faults.writer_child import Clock, config
from tests.support import postgres as servers

Row = dict[str, Any]

IDS: Final = ("A2.server.1", "A2.server.64")
ON_REQUEST: Final = True

ROUNDS: Final = 5
COMMITS: Final = 200


def run(smoke: bool) -> list[Row]:
    """How many times as long a commit takes there: medians of the same run, in turns."""
    if extras.find("postgres") is None:
        return []
    rows = []
    for entries in (1, 64):
        held: dict[str, list[float]] = {"sqlite": [], "server": []}
        for _ in range(1 if smoke else ROUNDS):
            for kind, spent in held.items():
                spent.append(_median_s(kind, entries, 20 if smoke else COMMITS))
        here, there = (statistics.median(held[kind]) for kind in ("sqlite", "server"))
        rows.append(
            {
                "id": f"A2.server.{entries}",
                "value": round(there / here, 2),
                "unit": f"x of SQLite, a commit of {entries}, wall",
                "goal": None,
                "met": None,
                "against": f"{there * 1e3:.2f} ms against {here * 1e3:.2f} ms, by the socket",
            }
        )
    return rows


def _median_s(kind: str, entries: int, commits: int) -> float:
    folder = Path(tempfile.mkdtemp(prefix="limen-bench-"))
    try:
        if kind == "server":
            (folder / "store").mkdir()
            servers.running().place(folder / "store")
        writer.create(config(folder))
        log = writer.Log(config(folder), Clock())
        filler = writer._plain("filler", {})
        spent = []
        for _ in range(commits):
            start = time.perf_counter()
            log.commit([writer.Unit([filler], ()) for _ in range(entries)])
            spent.append(time.perf_counter() - start)
        log.close()
        return statistics.median(spent)
    finally:
        shutil.rmtree(folder)
