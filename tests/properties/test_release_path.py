"""The whole path of a release with the real engine: the accounting against what one person really changes.

With the noise left out, two tables that differ by one unit give documents that differ in as many cells, by as much, as
the plan says: the loss that is charged is the loss that is caused. Then the same with the real noise.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engines.duckdb import DuckDbEngine
from gateway.flows import make_release, release
from gateway.statistics import mechanism, plan
from gateway.statistics import release as documents
from gateway.statistics.bounding import Bounded, BoundingSpec, Source
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import KeyDomain
from gateway.statistics.plan import Plan
from gateway.terms.release import ReleaseState
from tests.flows.releases import TICK_NS, Drawn, Party, Row, ask_of, asked, declared, no_noise, owner
from tests.flows.world import HND
from tests.support import events

ROWS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(("2023-07", "2023-08", "2023-08", "2023-09", "")),
        st.sampled_from(("EAST", "WEST", "SOUTH", "")),
        st.sampled_from(("HND", "VEN", "XXX", "")),
        st.sampled_from(("ASYLUM_SEEKER", "NONE", "")),
    ),
    max_size=40,
)
QUERIES = st.builds(
    lambda measure, dimensions: asked(measure, dimensions=dimensions),
    st.sampled_from(("persons", "detections")),
    st.sampled_from((("month", "route", "nationality"), ("month", "nationality", "protection"), ("month",))),
)


class OverFile:
    """The real engine over one file, whatever source the job names."""

    def __init__(self, engine: DuckDbEngine, path: Path) -> None:
        self._engine = engine
        self._path = path

    def bounded_counts(self, spec: BoundingSpec, domain: KeyDomain, _: Source, salt: bytes) -> Bounded:
        return self._engine.bounded_counts(spec, domain, Source(str(self._path)), salt)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DuckDbEngine:
    return DuckDbEngine(tmp_path_factory.mktemp("engine") / "spill")


async def _made(engine: DuckDbEngine, path: Path, rows: list[Row], query: Query) -> tuple[Party, documents.Release]:
    """The owner's whole document, and the owner. The salt is the same in every run, as a retry's is."""
    pan = await owner()
    pan.engine = OverFile(engine, events.write(path, rows))  # type: ignore[assignment]
    await release.request(ask_of(query), HND, pan.world())
    assert await make_release.run(pan.job()) == 1
    (row,) = pan.store.releases()
    assert row.message is not None
    return pan, documents.decode(row.message.body)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, query=QUERIES, gone=st.integers(0, 4))
def test_one_unit_changes_what_the_charge_says_and_no_more(
    engine: DuckDbEngine, tmp_path: Path, rows: list[Row], query: Query, gone: int
) -> None:
    # The unit is a person in a month; the period is one month, so that a person is one unit.
    less = [row for row in rows if row[0] != gone]
    with_one, whole = asyncio.run(_made(engine, tmp_path / "with.csv", rows, query))
    without, rest = asyncio.run(_made(engine, tmp_path / "without.csv", less, query))
    spec = query.spec()
    changes = [(left.noisy or 0) - (right.noisy or 0) for left, right in zip(whole.cells(), rest.cells(), strict=True)]
    assert sum(change != 0 for change in changes) <= spec.l0
    assert max(map(abs, changes), default=0) <= spec.linf
    assert sum(map(abs, changes)) <= spec.l1
    assert sum(change * change for change in changes) <= spec.l2_squared
    assert abs(whole.facts["bias"]["lost"] - rest.facts["bias"]["lost"]) <= spec.loss_max
    # Everything else depends on the question alone.
    data = {"values", "statuses", "bias"}
    assert {name: one for name, one in whole.facts.items() if name not in data} == {
        name: one for name, one in rest.facts.items() if name not in data
    }
    assert with_one.spent() == without.spent() == whole.facts["loss"]["micro_rho"]
    assert with_one.store.kinds_logged() == without.store.kinds_logged()


def test_what_is_charged_is_what_the_noise_library_says() -> None:
    for measure in ("persons", "detections"):
        query = asked(measure)
        made = plan.plan(query, query.domain(declared().declared))
        mechanism.verify(made)
        assert made.micro_rho == math.ceil((1 + 1 / 25) / 2 * 1_000_000)


def test_with_the_real_noise_the_numbers_are_near_and_the_negatives_stay(tmp_path: Path) -> None:
    rows = [(person, "2023-08", "EAST", "VEN", "NONE") for person in range(500)]
    drawn: list[tuple[Plan, Bounded, mechanism.Noisy]] = []

    def draw(made: Plan, bounded: Bounded) -> Drawn:
        noisy = mechanism.draw(made, bounded)
        drawn.append((made, bounded, noisy))
        return Drawn(noisy.values, noisy.lost)

    async def test() -> list[int | None]:
        pan = await owner()
        engine = DuckDbEngine(tmp_path / "spill")
        pan.engine = OverFile(engine, events.write(tmp_path / "rows.csv", rows))  # type: ignore[assignment]
        pan.draw = draw
        await release.request(ask_of(asked()), HND, pan.world())
        assert await make_release.run(pan.job()) == 1
        pan.clock.pass_ns(TICK_NS)
        standing = await release.get(ask_of(asked()), HND, pan.world())
        assert standing.state is ReleaseState.READY
        return [cell.noisy for cell in documents.decode(standing.document).cells()]

    shown = asyncio.run(test())
    ((made, bounded, noisy),) = drawn
    assert list(noisy.values) == shown
    assert max(abs(left - right) for left, right in zip(noisy.values, bounded.counts, strict=True)) < 60
    assert bounded.counts == no_noise(made, bounded).values
    assert sum(bounded.counts) == 500
