"""DuckDB as the engine: bounding and counting in one statement, beside the file, in the job process.

Nothing is fetched: extensions are neither installed nor loaded, secrets are not kept, the configuration is locked
before the first query. What does not fit into memory is spilled into a private folder that is emptied at every start.
"""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Final

import duckdb

from gateway.errors import InputRefused
from gateway.statistics.bounding import SALT_BYTES, SNAPSHOT_COLUMNS, Bounded, BoundingSpec, Source
from gateway.statistics.domain import UNKNOWN, KeyDomain

VERSION: Final = version("duckdb")
MEMORY_MB: Final = 1024
THREADS: Final = 2
SPILL_MB: Final = 8192
_UNIT_BYTES: Final = 400
"""What a person's kept cells need while they are chosen, bytes, measured generously."""


class DuckDbEngine:
    """`spill` is a folder of this engine's own: it is made private, and emptied now."""

    def __init__(self, spill: Path, *, memory_mb: int = MEMORY_MB, threads: int = THREADS) -> None:
        if spill.is_symlink():
            raise InputRefused("the spill folder is a link", code="SPILL")
        if spill.exists():
            shutil.rmtree(spill)
        spill.mkdir(mode=0o700, parents=True)
        os.chmod(spill, 0o700)  # mkdir's mode is cut by the umask only, but a parent may have set defaults
        self._spill = spill
        self._memory_mb = memory_mb
        self._threads = threads

    def bounded_counts(self, spec: BoundingSpec, domain: KeyDomain, source: Source, salt: bytes) -> Bounded:
        """Exact bounded counts of every cell. Deterministic in its arguments: a retry gives the same numbers.

        An empty file gives zeros. Rows outside the domain count in `lost`, within each unit's share.

        Raises:
            InputRefused: the file is not there or has not the columns; nothing of its content is told.
        """
        if len(salt) != SALT_BYTES:
            raise ValueError("a salt has 32 bytes")
        if source.form not in _READ:
            raise InputRefused("an engine reads csv or parquet", field="form", code="FORM")
        with self._connect() as connection:
            try:
                for place, dimension in enumerate(domain.dimensions):
                    connection.execute(f"CREATE TEMP TABLE d{place} (value VARCHAR, place INTEGER)")
                    connection.execute(
                        f"INSERT INTO d{place} SELECT unnest(?::VARCHAR[]), unnest(range(?))",
                        [list(dimension.values), len(dimension.values)],
                    )
                rows: list[tuple[int | None, int]] = []
                passes = self._passes(connection, source)
                for part in range(passes):
                    text = _statement(spec, domain, source, salt, passes, part)
                    rows += connection.execute(text, [source.path]).fetchall()
            except duckdb.Error:
                # The library's own text quotes the row.
                raise InputRefused("the events cannot be read; load the file again", code="EVENTS") from None
        counts, lost = [0] * domain.size, 0
        for cell, count in rows:
            if cell is None:
                lost += int(count)
            else:
                counts[cell] += int(count)
        return Bounded(tuple(counts), lost)

    def _passes(self, connection: duckdb.DuckDBPyConnection, source: Source) -> int:
        """How often the file is read, each time for other persons: what is kept of a person is held in memory."""
        found = connection.execute(
            f"SELECT approx_count_distinct({_quoted(source.person)}) FROM {_READ[source.form]}", [source.path]
        ).fetchone()
        persons = int(found[0]) if found else 0
        room = self._memory_mb << 20
        # Near the limit a pass spills and slows; several are made small enough not to.
        return 1 if persons * _UNIT_BYTES <= room else -(-2 * persons * _UNIT_BYTES // room)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "allow_unsigned_extensions": "false",
                "allow_persistent_secrets": "false",
                "enable_external_file_cache": "false",
                "memory_limit": f"{self._memory_mb}MB",
                "threads": str(self._threads),
                "temp_directory": str(self._spill),
                "max_temp_directory_size": f"{SPILL_MB}MB",
                "preserve_insertion_order": "false",
            },
        )
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET lock_configuration = true")
        return connection


def _statement(spec: BoundingSpec, domain: KeyDomain, source: Source, salt: bytes, passes: int, part: int) -> str:
    """The one statement; its value is the path. Column names are quoted; what else varies is a number."""
    columns = dict(source.columns or {name: name for name in domain.names})
    cell, joins = "0", []
    for place, dimension in enumerate(domain.dimensions):
        key = f"coalesce(nullif(e.{_quoted(columns[dimension.name])}::VARCHAR, ''), '{UNKNOWN}')"
        # Another month is no part of the question; any other key outside the domain is a loss.
        kind = "JOIN" if dimension.name == "month" else "LEFT JOIN"
        joins.append(f"{kind} d{place} ON d{place}.value = {key}")
        cell = f"({cell}) * {len(dimension.values)} + d{place}.place"
    month = f", e.{_quoted(source.month)}::VARCHAR AS month" if spec.unit.is_monthly else ""
    unit = "person, month" if spec.unit.is_monthly else "person"
    seeds = ", ".join(f"{int.from_bytes(salt[at : at + 8], 'big')}::UBIGINT" for at in range(0, SALT_BYTES, 8))
    return _TEXT.format(
        unit=unit,
        person=_quoted(source.person),
        month=month,
        cell=cell,
        read=_READ[source.form],
        joins=" ".join(joins),
        where=f"WHERE hash(e.{_quoted(source.person)}::UBIGINT, 1) % {passes} = {part}" if passes > 1 else "",
        pieces=_DISTINCT if spec.cell_max == 1 else _COUNTED.format(unit=unit, cell_max=spec.cell_max),
        # The outer hash spreads what the inner one merely combines.
        order=f"hash(hash({unit}, cell, piece, {seeds}))",
        keep=spec.keep,
        loss_max=spec.loss_max,
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_READ: Final = {
    "parquet": "read_parquet(?)",
    "csv": "read_csv(?, auto_detect=false, header=true, delim=',', quote='\"', escape='\"', columns={"
    + ", ".join(f"'{name}': '{'UBIGINT' if name == 'person' else 'VARCHAR'}'" for name in SNAPSHOT_COLUMNS)
    + "})",
}

_DISTINCT: Final = "SELECT *, 1 AS piece, 1 AS weight FROM held"
"""Where a cell holds a unit once, a piece is the unit in a cell, however often it was seen there."""

_COUNTED: Final = """
    SELECT {unit}, cell, piece, CASE piece WHEN 1 THEN seen ELSE 0 END AS weight
    FROM (
        SELECT *, unnest(range(1, CASE WHEN cell IS NULL THEN 2 ELSE least(seen, {cell_max}) + 1 END)) AS piece
        FROM held
    )
"""
"""Every event is a piece; those above the cell's limit and those outside the cells count only as lost."""

_TEXT: Final = """
WITH held AS (
    SELECT {unit}, cell, count(*) AS seen
    FROM (SELECT e.{person}::UBIGINT AS person{month}, ({cell})::INTEGER AS cell FROM {read} e {joins} {where})
    GROUP BY {unit}, cell
), pieces AS ({pieces}
), units AS MATERIALIZED (
    SELECT coalesce(arg_min(cell, {order}, {keep}) FILTER (cell IS NOT NULL), []) AS cells, sum(weight) AS pieces
    FROM pieces GROUP BY {unit}
)
SELECT cell, count(*) FROM (SELECT unnest(cells) AS cell FROM units) GROUP BY cell
UNION ALL
SELECT NULL, coalesce(sum(least(pieces, {loss_max}) - len(cells)), 0) FROM units
"""
