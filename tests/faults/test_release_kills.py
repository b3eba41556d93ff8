"""A node that dies anywhere between question and document: one charge, one salt, and no answer that is not stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import GatewayError, InputRefused
from gateway.flows import make_release, release
from gateway.statistics.bounding import Bounded
from gateway.statistics.plan import Plan
from gateway.terms.release import ReleaseState
from tests.flows.releases import COST, TICK_NS, Dies, Drawn, Party, ask_of, asked, owner
from tests.flows.world import HND

pytestmark = pytest.mark.asyncio

COMMITS = 5
"""Of one release: the question with its charge, the intent, the document, a look before the tick, and what is given."""


@dataclass
class Draws:
    """Another noise in every draw, so that two of them would be seen."""

    made: list[int] = field(default_factory=list)
    dies_at: int = 0

    def __call__(self, plan: Plan, bounded: Bounded) -> Drawn:
        self.made.append(len(self.made) + 1)
        if len(self.made) == self.dies_at:
            raise Dies
        return Drawn(tuple(count + 1000 * len(self.made) for count in bounded.counts), bounded.lost)


async def go(pan: Party) -> bytes:
    """From the question to the document, as a peer and the node's processes go about it."""
    ask = ask_of(asked())
    await release.request(ask, HND, pan.world())
    await make_release.run(pan.job())
    await release.get(ask, HND, pan.world())
    pan.clock.pass_ns(TICK_NS)
    standing = await release.get(ask, HND, pan.world())
    assert standing.state is ReleaseState.READY
    return standing.document


async def until_done(pan: Party) -> tuple[bytes, int]:
    """Start again until it is through; how often it was started."""
    for number in range(1, 10):
        try:
            return await go(pan), number
        except Dies:
            pan.uow.dies = None
    raise AssertionError("it never ends")


def judge(pan: Party, document: bytes, salts: set[bytes]) -> None:
    assert pan.spent() == COST
    (row,) = pan.store.releases()
    assert (row.cost, row.code) == (COST, "")
    assert row.message is not None
    assert salts <= {row.salt}
    assert pan.store.release_delivery(row.reference, row.snapshot, HND) is not None
    charged = [one for one in pan.store.entries if one.kind == "release.charged"]
    assert len(charged) == 1
    outcomes = [one for one in pan.store.entries if one.kind == "release.made" and one.phase.value == "outcome"]
    assert len(outcomes) == 1


async def test_the_number_of_commits_is_what_it_was() -> None:
    pan = await owner()
    await go(pan)
    assert pan.uow.commits == COMMITS


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
async def test_killed_at_any_commit_it_ends_with_one_charge_and_one_document(number: int, side: str) -> None:
    pan = await owner()
    draws = pan.draw = Draws()
    pan.uow.dies = (number, side)
    salts: set[bytes] = set()
    count = pan.engine.bounded_counts

    def counted(spec: Any, domain: Any, source: Any, salt: bytes) -> Bounded:
        salts.add(salt)
        return count(spec, domain, source, salt)

    pan.engine.bounded_counts = counted  # type: ignore[method-assign]
    document, starts = await until_done(pan)
    assert starts == 2, "it died once"
    assert len(salts) == 1
    judge(pan, document, salts)
    assert len(draws.made) <= 2
    assert await go(pan) == document, "what was given once is given for ever"
    assert len(draws.made) <= 2


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
async def test_nobody_is_told_what_is_not_stored(number: int, side: str) -> None:
    pan = await owner()
    pan.draw = Draws()
    pan.uow.dies = (number, side)
    ask = ask_of(asked())
    given: list[bytes] = []
    for _ in range(3):
        try:
            given.append(await go(pan))
        except Dies:
            pan.uow.dies = None
        for row in pan.store.releases():
            pan.clock.pass_ns(TICK_NS)
            try:
                standing = await release.get(ask, HND, pan.world())
            except GatewayError:
                continue
            if standing.state is ReleaseState.READY:
                kept = pan.store.release_delivery(row.reference, row.snapshot, HND)
                assert kept is not None
                assert kept.body == standing.document
                given.append(standing.document)
    assert len(set(given)) == 1


@pytest.mark.parametrize("place", ["count", "draw", "sign"])
async def test_killed_while_it_is_made_it_is_made_again_from_the_same_salt(place: str) -> None:
    pan = await owner()
    draws = pan.draw = Draws(dies_at=1 if place == "draw" else 0)
    sign = pan.keys.sign
    left = [1]

    def once() -> None:
        if left:
            left.pop()
            raise Dies

    async def signing(fields: Any, body: bytes) -> Any:
        once()
        return await sign(fields, body)

    if place == "count":
        pan.engine.before = once
    if place == "sign":
        pan.keys.sign = signing  # type: ignore[assignment, method-assign]
    document, starts = await until_done(pan)
    assert starts == 2
    judge(pan, document, set())
    assert len(draws.made) == (1 if place == "count" else 2)


async def test_what_ends_the_process_every_time_is_given_up_and_holds_up_no_other() -> None:
    pan = await owner()
    bad, good = ask_of(asked()), ask_of(asked("detections"), 2)
    await release.request(bad, HND, pan.world())
    pan.clock.pass_ns(1)
    await release.request(good, HND, pan.world())

    def count(spec: Any, domain: Any, source: Any, salt: bytes) -> Bounded:
        if spec.keep == 1:
            raise Dies
        return engine(spec, domain, source, salt)

    engine = pan.engine.bounded_counts
    pan.engine.bounded_counts = count  # type: ignore[method-assign]
    ends = 0
    for _ in range(10):
        try:
            await make_release.run(pan.job())
        except Dies:
            ends += 1
    pan.clock.pass_ns(TICK_NS)
    assert ends == make_release.ATTEMPTS_MAX
    assert (await release.get(good, HND, pan.world())).state is ReleaseState.READY
    given_up = await release.get(bad, HND, pan.world())
    assert (given_up.state, given_up.code) == (ReleaseState.FAILED, "ATTEMPTS")


async def test_two_jobs_at_once_leave_one_document() -> None:
    pan = await owner()
    pan.draw = Draws()
    await release.request(ask_of(asked()), HND, pan.world())

    first = pan.store.waiting_releases()
    assert await make_release.run(pan.job()) == 1
    (made,) = pan.store.releases()
    late = pan.job()
    object.__setattr__(late, "book", _Stale(pan, first))
    assert await make_release.run(late) == 0, "the second one's numbers are dropped"
    assert pan.store.releases() == [made]

    def unreadable() -> None:
        raise InputRefused("the events cannot be read", code="EVENTS")

    pan.engine.before = unreadable
    assert await make_release.run(late) == 0, "nor has it failed"
    assert pan.store.releases() == [made]


class _Stale:
    """A book that still shows what waited before."""

    def __init__(self, pan: Party, waiting: list[Any]) -> None:
        self._pan = pan
        self._waiting = waiting

    def waiting_releases(self) -> list[Any]:
        return self._waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pan.store, name)
