"""What DuckDB returns: a unit changes L0 cells by Linf at most, all are treated alike, and nothing is fetched."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engines import duckdb
from gateway.engines.duckdb import DuckDbEngine
from gateway.errors import InputRefused
from gateway.statistics.bounding import Bounded, BoundingSpec, Source, Unit
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import Dimension, KeyDomain
from tests.support import events

DOMAIN = KeyDomain(
    (
        Dimension("month", ("2023-01", "2023-02")),
        Dimension("route", ("EAST", "WEST", "_U")),
        Dimension("nationality", ("VEN", "HTI", "ECU", "CUB")),
    )
)

Row = tuple[int, str, str, str, str]

ROWS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(("2023-01", "2023-02", "2023-03", "")),
        st.sampled_from(("EAST", "WEST", "SOUTH", "")),
        st.sampled_from(("VEN", "HTI", "ECU", "CUB", "XXX", "")),
        st.just("NONE"),
    ),
    max_size=60,
)
SPECS = st.builds(
    lambda unit, cell_max, more: BoundingSpec(unit, cell_max + more, cell_max),
    st.sampled_from((Unit.PERSON_MONTH, Unit.PERSON_PERIOD)),
    st.integers(1, 3),
    st.integers(0, 3),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDbEngine:
    return DuckDbEngine(tmp_path_factory.mktemp("engine") / "spill")


def count(engine: DuckDbEngine, folder: Path, rows: list[Row], spec: BoundingSpec, salt: bytes = bytes(32)) -> Bounded:
    return engine.bounded_counts(spec, DOMAIN, Source(str(events.write(folder / "rows.csv", rows))), salt)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, spec=SPECS, salt=st.binary(min_size=32, max_size=32), gone=st.integers(0, 5))
def test_taking_one_unit_away_changes_at_most_what_the_bound_says(
    engine: DuckDbEngine, tmp_path: Path, rows: list[Row], spec: BoundingSpec, salt: bytes, gone: int
) -> None:
    months: tuple[str | None, ...] = ("2023-01", "2023-02") if spec.unit.is_monthly else (None,)
    whole = count(engine, tmp_path, rows, spec, salt)
    for month in months:
        rest = [row for row in rows if row[0] != gone or month not in (None, row[1])]
        less = count(engine, tmp_path, rest, spec, salt)
        change = [before - after for before, after in zip(whole.counts, less.counts, strict=True)]
        assert all(0 <= one <= spec.linf for one in change)
        assert sum(map(bool, change)) <= spec.l0
        assert sum(change) <= spec.l1
        assert sum(one * one for one in change) <= spec.l2_squared
        assert 0 <= whole.lost - less.lost <= spec.loss_max


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, spec=SPECS)
def test_a_bound_that_nobody_meets_counts_everything(
    engine: DuckDbEngine, tmp_path: Path, rows: list[Row], spec: BoundingSpec
) -> None:
    wide = BoundingSpec(spec.unit, 200, 1 if spec.cell_max == 1 else 100)
    found = count(engine, tmp_path, rows, wide)
    inside = [
        (person, DOMAIN.cell((month, route or "_U", nationality)))
        for person, month, route, nationality, _ in rows
        if month in ("2023-01", "2023-02") and route != "SOUTH" and nationality not in ("", "XXX")
    ]
    pieces = list(set(inside)) if wide.cell_max == 1 else inside
    assert found.counts == tuple(sum(cell == number for _, cell in pieces) for number in range(DOMAIN.size))


def test_equal_arguments_give_equal_numbers_and_another_salt_another_choice(
    engine: DuckDbEngine, tmp_path: Path
) -> None:
    rows = [(person, "2023-01", route, nationality, "NONE") for person in range(200) for route in ("EAST", "WEST")
            for nationality in ("VEN", "HTI", "ECU", "CUB")]  # fmt: skip
    spec = BoundingSpec(Unit.PERSON_MONTH, 2)
    first = count(engine, tmp_path, rows, spec)
    assert first == count(engine, tmp_path, rows, spec)
    assert first == count(engine, tmp_path, rows[::-1], spec)
    assert first.counts != count(engine, tmp_path, rows, spec, bytes([1]) * 32).counts
    assert sum(first.counts) == 400
    assert first.lost == 200 * 6


def test_the_choice_is_fair_to_every_cell(engine: DuckDbEngine, tmp_path: Path) -> None:
    persons = 20_000
    rows = [(person * 7919, "2023-01", route, nationality, "NONE") for person in range(persons)
            for route in ("EAST", "WEST") for nationality in ("VEN", "HTI", "ECU", "CUB")]  # fmt: skip
    found = count(engine, tmp_path, rows, BoundingSpec(Unit.PERSON_MONTH, 3), b"fair" * 8).counts
    taken = [one for one in found if one]
    expected = persons * 3 / 8
    # Seven degrees of freedom: above 40 once in a million.
    assert len(taken) == 8
    assert sum((one - expected) ** 2 / (expected * 5 / 8) for one in taken) < 40


def test_several_passes_give_the_numbers_of_one(
    engine: DuckDbEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(person, "2023-01", route, "VEN", "NONE") for person in range(500) for route in ("EAST", "WEST", "SOUTH")]
    spec = BoundingSpec(Unit.PERSON_MONTH, 1)
    whole = count(engine, tmp_path, rows, spec)
    monkeypatch.setattr(duckdb, "_UNIT_BYTES", 10_000_000)
    assert count(engine, tmp_path, rows, spec) == whole


def test_an_empty_file_gives_zeros(engine: DuckDbEngine, tmp_path: Path) -> None:
    found = count(engine, tmp_path, [], BoundingSpec(Unit.PERSON_MONTH, 2, 2))
    assert found == Bounded((0,) * DOMAIN.size, 0)


def test_a_missing_file_and_a_broken_row_tell_no_content(engine: DuckDbEngine, tmp_path: Path) -> None:
    spec = BoundingSpec(Unit.PERSON_MONTH, 1)
    with pytest.raises(InputRefused):
        engine.bounded_counts(spec, DOMAIN, Source(str(tmp_path / "none.csv")), bytes(32))
    path = tmp_path / "broken.csv"
    path.write_text("person,month,route,nationality,protection\nCANARY,2023-01,EAST,VEN,NONE\n")
    with pytest.raises(InputRefused) as refusal:
        engine.bounded_counts(spec, DOMAIN, Source(str(path)), bytes(32))
    assert "CANARY" not in str(refusal.value)
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__


def test_the_spill_folder_is_private_and_emptied_at_start(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir(mode=0o755)
    (spill / "left.tmp").write_text("what a crash left")
    DuckDbEngine(spill)
    assert list(spill.iterdir()) == []
    assert stat.S_IMODE(spill.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(spill)
    with pytest.raises(InputRefused):
        DuckDbEngine(tmp_path / "link")


def test_no_extension_is_fetched_and_the_settings_are_locked(engine: DuckDbEngine) -> None:
    with engine._connect() as connection:
        settings_ = dict(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
        for name in ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions",
                     "allow_unsigned_extensions"):  # fmt: skip
            assert settings_[name] == "false"
        assert settings_["lock_configuration"] == "true"
        with pytest.raises(Exception, match="locked"):
            connection.execute("SET autoload_known_extensions = true")


@pytest.mark.parametrize(
    ("state", "period", "measure", "total"),
    [("MEX", "2023", "detections", 10_757), ("MEX", "2023", "persons", 8_566), ("PAN", "2023-08", "persons", 3_166)],
)
def test_the_synthetic_regions_bounded_totals(
    engine: DuckDbEngine, tmp_path: Path, state: str, period: str, measure: str, total: int
) -> None:
    path, report = events.synthetic(state, tmp_path)
    query = Query("S-IBC", measure, "crossings", period)
    domain = query.domain(events.declared(report))
    found = engine.bounded_counts(query.spec(), domain, Source(str(path)), bytes(32))
    assert report.refused == 0
    assert sum(found.counts) == total
    if (state, measure) == ("MEX", "detections"):
        assert (report.rows, found.lost) == (11_514, 11_514 - 10_757)
    if state == "PAN":
        assert found.counts[domain.cell(("2023-08", "IRREGULAR_ENTRY", "VEN"))] == 2_469
