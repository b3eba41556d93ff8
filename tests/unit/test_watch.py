"""Values that people replace while the node runs, and what is decided again when they moved."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.app.watch import Watched, again_if_moved
from gateway.errors import PolicyDenied, VersionMoved


def test_looks_at_the_same_time_make_a_value_once(tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text("1")
    made: list[str] = []

    async def make() -> str:
        made.append(file.read_text())
        await asyncio.sleep(0)
        return made[-1]

    watched: Watched[str] = Watched(make, lambda: (file,), lambda said: None)

    async def looks() -> list[bool]:
        await watched.refresh(first=True)
        file.unlink()
        file.write_text("22")
        return await asyncio.gather(*(watched.refresh() for _ in range(5)))

    found = asyncio.run(looks())
    assert sorted(found) == [False, False, False, False, True]
    assert made == ["1", "22"] and watched() == "22"


def test_what_the_rules_moved_under_is_decided_once_more() -> None:
    rules = ["old", "new"]
    decided: list[str] = []

    async def act() -> str:
        decided.append(rules[0])
        if rules[0] == "old":
            raise VersionMoved("the baseline bundle in force is another")
        return rules[0]

    async def catch_up() -> None:
        rules.pop(0)

    assert asyncio.run(again_if_moved(act, catch_up)) == "new"
    assert decided == ["old", "new"]


def test_a_second_move_is_told_and_another_refusal_is_not_tried_again() -> None:
    tries = 0

    async def moving() -> None:
        nonlocal tries
        tries += 1
        raise VersionMoved("again")

    async def denied() -> None:
        nonlocal tries
        tries += 1
        raise PolicyDenied(("role",))

    async def catch_up() -> None:
        return None

    with pytest.raises(VersionMoved):
        asyncio.run(again_if_moved(moving, catch_up))
    assert tries == 2
    with pytest.raises(PolicyDenied):
        asyncio.run(again_if_moved(denied, catch_up))
    assert tries == 3
