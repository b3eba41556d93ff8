"""S1: a whole private release of 10 million events against the plain count of distinct persons of the same table.

One row an event; 864 cells (24 months, 12 routes, 3 sexes); the groups a person falls into have the heavy tail of real
tables: 2.6 in the mean, 34 at most. The release keeps 3 cells a person, at epsilon 1: bounding, counting, the check of
the noise library's own accounting, noise and document. Both sides run in DuckDB with the same threads, each time in a
process of its own, in turn; memory is the largest resident size of that process. S1.one: one cell a person and row.
S6: the noise that was drawn, its standard deviation against the one that is declared.
The short form has 100,000 events.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median, pstdev
from typing import Any, Final

import duckdb

from gateway.engines.duckdb import THREADS, DuckDbEngine
from gateway.statistics import mechanism, release
from gateway.statistics.bounding import BoundingSpec, Source, Unit
from gateway.statistics.budget import Account, AccountKey
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import Dimension, KeyDomain
from gateway.statistics.noise import MICRO, laplace
from gateway.statistics.plan import Plan, plan

Row = dict[str, Any]

IDS: Final = ("S1", "S1.memory", "S1.one", "S6")

EVENTS: Final = 10_000_000
SMOKE: Final = 100_000
ROUNDS: Final = 3
KEEP: Final = 3
MONTHS: Final = tuple(f"20{year}-{month:02}" for year in (23, 24) for month in range(1, 13))
DOMAIN: Final = KeyDomain(
    (
        Dimension("month", MONTHS),
        Dimension("route", tuple(f"R{number:02}" for number in range(12))),
        Dimension("sex", ("F", "M", "X")),
    )
)


def run(smoke: bool) -> list[Row]:
    """The rows of S1 and S6. The short form asserts nothing about speed, but a release is made in both."""
    events, rounds = (SMOKE, 1) if smoke else (EVENTS, ROUNDS)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="limen-") as folder:
        for name, many, limit in (("S1", True, 2.5), ("S1.one", False, 5.0)):
            path = Path(folder) / "events.parquet"
            generate(path, events, many=many)
            ours, plain = [], []
            for _ in range(rounds):
                plain.append(_child("plain", path))
                ours.append(_child("release", path))
            wall, floor = (median(one["wall"] for one in side) for side in (ours, plain))
            kind = "2.6 cells a person" if many else "one cell a person and row"
            rows.append(
                _row(name, wall / floor, "x of plain DuckDB, wall", limit,
                     f"{wall:.2f} s against {floor:.2f} s; {events:,} events, {kind}", smoke)
            )  # fmt: skip
            if many:
                rows.append(
                    _row("S1.memory", max(one["rss"] for one in ours), "GB resident at most", 1.2,
                         f"plain: {max(one['rss'] for one in plain):.2f} GB; {THREADS} threads", smoke)
                )  # fmt: skip
    noise = laplace(KEEP, MICRO)
    drawn = mechanism.noised(noise, [0] * (10_000 if smoke else 1_000_000))
    off = abs(pstdev(drawn) / (noise.sd_micro / MICRO) - 1) * 100
    rows.append(_row("S6", off, "% off the declared deviation", 1, f"{len(drawn):,} draws, unseeded", smoke))
    return rows


def generate(path: Path, events: int, *, many: bool) -> None:
    """A Parquet file of events. Everything is a hash of numbers: the same on every machine with this DuckDB."""
    # 2.4 persons in ten events, few of them with many; one's events fall into 1 to 34 groups of one's own.
    owner = f"({round(events * 0.24)} * pow((hash(i, 1) % 1000003) / 1000003.0, 1.5))::BIGINT" if many else "i"
    group = "hash(i, 2) % least(34, 1 + pow((1 + hash(owner, 3) % 1000) / 1001.0, -1.5)::BIGINT)" if many else "0"
    with duckdb.connect(":memory:", config={"threads": str(THREADS), "memory_limit": "2GB"}) as connection:
        connection.execute(
            f"""
            COPY (
                SELECT hash(owner) AS person,
                       '20' || (23 + hash(owner, place, 4) % 2) || '-'
                           || lpad((1 + hash(owner, place, 5) % 12)::VARCHAR, 2, '0') AS month,
                       'R' || lpad((hash(owner, place, 6) % 12)::VARCHAR, 2, '0') AS route,
                       ['F', 'M', 'X'][1 + (hash(owner, 7) % 3)::INTEGER] AS sex
                FROM (SELECT i, owner, {group} AS place FROM (SELECT i, {owner} AS owner FROM range({events}) t(i)))
            ) TO '{path}' (FORMAT parquet)
            """
        )


def made_plan() -> Plan:
    """864 cells, three a person. The catalogue's own statistic gives the rest of the document."""
    base = Query("S-IBC", "persons", "bench", "2023")
    whole = plan(base, DOMAIN)
    spec, noise = BoundingSpec(Unit.PERSON_PERIOD, KEEP), laplace(KEEP, MICRO)
    return Plan(base, DOMAIN, spec, noise, whole.loss_noise, whole.micro_rho, whole.epsilon_micro, whole.delta, 0)


def released(path: Path, spill: Path) -> bytes:
    """One whole release: everything but the charge."""
    one = made_plan()
    salt = bytes(32)
    engine = DuckDbEngine(spill)
    bounded = engine.bounded_counts(one.spec, one.domain, Source(str(path), "parquet"), salt)
    noisy = mechanism.draw(one, bounded)
    return release.document(
        one, noisy.values, noisy.lost, release_id="rel_bench", owner="PAN", snapshot=bytes(32), salt=salt,
        account=Account(AccountKey("bench", one.spec.unit, "2023"), 10 * MICRO, one.micro_rho), audit_index=0,
        released_ns=0, software={"duckdb": duckdb.__version__, "opendp": mechanism.VERSION},
    )  # fmt: skip


def plain(path: Path) -> int:
    """The count without privacy."""
    with duckdb.connect(":memory:", config={"threads": str(THREADS)}) as connection:
        found = connection.execute(
            "SELECT month, route, sex, count(DISTINCT person), count(*) FROM read_parquet(?) GROUP BY ALL", [str(path)]
        ).fetchall()
    return len(found)


def _child(side: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.statistics", side, str(path)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _row(name: str, value: float, unit: str, goal: float, against: str, smoke: bool) -> Row:
    shown = float(round(Fraction(value), 2))
    return {"id": name, "value": shown, "unit": unit, "goal": f"<= {goal}", "met": None if smoke else value <= goal,
            "against": against}  # fmt: skip


def _main(side: str, path: Path) -> None:
    began = time.perf_counter()
    if side == "plain":
        plain(path)
    else:
        released(path, path.parent / "spill")
    wall = time.perf_counter() - began
    print(json.dumps({"wall": wall, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
