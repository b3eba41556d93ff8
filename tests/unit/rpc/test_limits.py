"""One caller's meter: what it may do, what it spends, and that time gives it back."""

from __future__ import annotations

import pytest

from gateway.errors import TooMany
from gateway.rpc.limits import CALLERS_MAX, Limits, Meter, Meters

S = 10**9


def test_a_burst_is_taken_and_then_the_average() -> None:
    meter = Meter(Limits(calls_per_s=2, burst=3), 0)
    for _ in range(3):
        meter.enter(0)
        meter.leave(refused=False)
    with pytest.raises(TooMany):
        meter.enter(0)
    meter.enter(S // 2)
    with pytest.raises(TooMany):
        meter.enter(S // 2)
    meter.enter(100 * S)


def test_a_pause_gives_back_no_more_than_the_burst() -> None:
    meter = Meter(Limits(calls_per_s=1000, burst=2), 0)
    for _ in range(2):
        meter.enter(3600 * S)
    with pytest.raises(TooMany):
        meter.enter(3600 * S)


def test_calls_in_progress_are_bounded_and_a_cut_call_is_not_one() -> None:
    meter = Meter(Limits(concurrent=2), 0)
    meter.enter(0)
    meter.enter(0)
    for _ in range(5):
        with pytest.raises(TooMany):
            meter.enter(0)
    meter.leave(refused=False)
    meter.enter(0)
    assert meter.running == 2


def test_refusals_are_spent_and_come_back_with_time() -> None:
    meter = Meter(Limits(errors_per_minute=2), 0)
    for _ in range(2):
        meter.enter(0)
        meter.leave(refused=True)
    with pytest.raises(TooMany, match="refusals"):
        meter.enter(0)
    with pytest.raises(TooMany, match="refusals"):
        meter.enter(29 * S)
    meter.enter(31 * S)


def test_a_clock_that_stands_still_gives_nothing_back() -> None:
    meter = Meter(Limits(calls_per_s=1, burst=1), 5 * S)
    meter.enter(5 * S)
    meter.leave(refused=False)
    with pytest.raises(TooMany):
        meter.enter(4 * S)


def test_callers_do_not_share_a_meter_and_idle_ones_make_room() -> None:
    meters = Meters(Limits(burst=1))
    busy = meters.of("PAN", 0)
    busy.enter(0)
    assert meters.of("PAN", 0) is busy
    for number in range(CALLERS_MAX + 10):
        meters.of(f"client {number}", 0).enter(0)
        meters.of(f"client {number}", 0).leave(refused=False)
    assert meters.of("PAN", 0) is busy
