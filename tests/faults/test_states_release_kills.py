"""A process killed between any two steps of a private statistic, at the owner: paid once, and one document for ever."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.region import events
from gateway.cli.acts.nodes import Ran
from gateway.terms import PeerId
from tests.support.states import States

SLOW = pytest.mark.slow

ASKER, OWNER, MONTH = "HND", "PAN", "2026-03"

POINTS = (
    "statistics.release.made.intent.after",
    "statistics.release.made.outcome.before",
    *(
        pytest.param(point, marks=SLOW)
        for point in (
            "gateway.release.charged.event.before",
            "gateway.release.charged.event.after",
            "statistics.release.made.intent.before",
            "statistics.release.made.outcome.after",
            "gateway.release.sent.event.before",
            "gateway.release.sent.event.after",
            "writer.written",
            "writer.committed",
        )
    ),
)

_NUMBERS = itertools.count(1)
"""Every test asks another question: the same at another epsilon is another one."""


@pytest.fixture(scope="module")
def desks(states: States) -> Iterator[States]:
    """The owner has events, and the asker a share that no test exhausts."""
    states.nodes.statisticians(ASKER, OWNER)
    made = events.make(OWNER, persons=500)
    folder = states.root / "killed-events"
    folder.mkdir()
    told = {
        "events.csv": made.events_csv,
        "map.yaml": made.map_yaml,
        "dataset.yaml": events.declaration(OWNER, month_cap=10**9, shares={ASKER: 10**9}),
    }
    for name, text in told.items():
        (folder / name).write_text(text)
    ran = states.nodes.load_events(OWNER, *(folder / name for name in told))
    assert ran.code == 0, ran.err
    yield states
    states.whole()


def insist(states: States, verb: str, *more: str) -> Ran:
    """As a person does: ask, and where no answer came, ask again."""
    last = ""
    for _ in range(40):
        try:
            ran = states.nodes.release(ASKER, "analyst-1", verb, *more, source=OWNER)
        except RuntimeError as away:
            last = str(away)
        else:
            if ran.code == 0:
                return ran
            assert ran.code != 7, "the share is large enough for everything that is paid once"
            last = ran.err
        time.sleep(0.5)
    raise AssertionError(f"{verb}: {last}")


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_neither_loses_nor_doubles_a_release(desks: States, point: str) -> None:
    states = desks
    size = states.size(OWNER)
    question = ("--dataset", f"{OWNER}-crossings", "--period", MONTH, "--epsilon", f"0.{100 + next(_NUMBERS)}")
    states.nodes.desk(ASKER, "analyst-1")
    before = spent(states)
    file = states.arm(OWNER, point)
    reference = str(insist(states, "request", *question).json["reference"])
    document = insist(states, "get", reference, "--wait").out
    assert not file.exists(), "nothing got to the point"
    states.whole(ASKER)

    assert insist(states, "request", *question).json["cost_micro_rho"] == 0
    assert insist(states, "get", reference, "--wait").out == document, "what was given once is given for ever"
    with states.reading(OWNER) as reader:
        (row,) = [one for one in reader.releases() if reference.endswith(one.reference.hex())]
        given = reader.release_delivery(row.reference, row.snapshot, PeerId(ASKER))
    assert row.message is not None
    assert given is not None
    assert spent(states) - before == row.cost
    charged: list[Any] = states.leaves(OWNER, size, "release.charged")
    assert len(charged) == 1
    outcomes = [leaf for leaf in states.leaves(OWNER, size, "release.made") if leaf.phase == "outcome"]
    assert len(outcomes) == 1
    with states.reading(ASKER) as reader:
        copy = reader.release_copy(PeerId(OWNER), row.reference, row.snapshot)
    assert copy is not None
    assert copy.message == given


@SLOW
def test_the_log_verifies_after_all_of_it(desks: States, tmp_path: Path) -> None:
    ran = desks.audit(OWNER, tmp_path)
    assert ran.code == 0, ran.err
    assert ran.json["ok"] is True


def spent(states: States) -> int:
    """What was ever spent of the month."""
    with states.reading(OWNER) as reader:
        return reader.release_account(f"{OWNER}-crossings", "person-month", MONTH)
