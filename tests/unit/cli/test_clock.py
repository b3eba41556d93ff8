"""Time at the edge: never back within a process, shifted by a file where a demonstration wants it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.clock import SystemClock, VirtualClock, set_shift
from gateway.errors import ConfigRefused

DAY_NS = 86400 * 10**9


def test_the_system_clock_is_the_systems() -> None:
    before = time.time_ns()
    assert before <= SystemClock().now_ns() <= time.time_ns()


@pytest.mark.asyncio
async def test_sleeping_never_ends_early() -> None:
    clock = SystemClock()
    until = clock.monotonic_ns() + 3_000_000
    await clock.sleep_until(until)
    assert clock.monotonic_ns() >= until
    await clock.sleep_until(until)


def test_the_virtual_clock_follows_its_file_forwards_and_stands_still_backwards(tmp_path: Path) -> None:
    file = tmp_path / "shift"
    set_shift(file, -30 * DAY_NS)
    clock = VirtualClock(file)
    first = clock.now_ns()
    assert abs(time.time_ns() - 30 * DAY_NS - first) < 10**9

    set_shift(file, DAY_NS)
    later = clock.now_ns()
    assert abs(time.time_ns() + DAY_NS - later) < 10**9

    set_shift(file, 0)
    assert clock.now_ns() == later


def test_a_lost_or_broken_file_leaves_the_last_shift(tmp_path: Path) -> None:
    file = tmp_path / "shift"
    set_shift(file, DAY_NS)
    clock = VirtualClock(file)
    file.write_text("soon")
    assert abs(time.time_ns() + DAY_NS - clock.now_ns()) < 10**9
    file.unlink()
    assert abs(time.time_ns() + DAY_NS - clock.now_ns()) < 10**9


@pytest.mark.parametrize("text", [None, "", "soon"])
def test_without_a_good_file_there_is_no_virtual_clock(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "shift"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigRefused, match="shift in nanoseconds"):
        VirtualClock(file)
