"""Turns: nobody waits for another's queue, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from gateway.keyring.turns import Turns

pytestmark = pytest.mark.asyncio


async def test_who_asks_once_is_served_among_the_first_whatever_the_others_have_waiting() -> None:
    turns, order = Turns(), list[str]()

    def work(name: str) -> Callable[[], str]:
        def do() -> str:
            order.append(name)
            return name

        return do

    flood = [asyncio.create_task(turns.take("UTO", work(f"UTO{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(turns.take(who, work(who))) for who in ("HND", "SLV", "")]
    assert await asyncio.gather(*flood, *others) == [*(f"UTO{n}" for n in range(50)), "HND", "SLV", ""]
    assert {order.index(who) for who in ("HND", "SLV", "")} <= set(range(6))
    assert [name for name in order if name.startswith("UTO")] == [f"UTO{n}" for n in range(50)]


async def test_a_failure_is_its_callers_alone() -> None:
    turns = Turns()

    def fail() -> None:
        raise ValueError("mine")

    results = await asyncio.gather(turns.take("A", fail), turns.take("A", lambda: 1), return_exceptions=True)
    assert isinstance(results[0], ValueError) and results[1] == 1
    assert await turns.take("A", lambda: 2) == 2


async def test_work_whose_caller_has_gone_is_left_out() -> None:
    turns, done = Turns(), list[int]()
    tasks = [asyncio.create_task(turns.take("A", partial(done.append, number))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert done == [0]
    assert await turns.take("A", lambda: 4) == 4
