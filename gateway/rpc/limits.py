"""How much one caller may use of this node, so that none can stop the service of the others (T19).

Every caller has its own meter: a token bucket of calls, a budget of refusals, and a count of calls in progress. A
caller that spends its budget of refusals is cut before anything of its calls is read or verified.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from gateway.errors import TooMany

CALLERS_MAX: Final = 4_096
"""Meters kept. Callers are identified before they get one, so that a flood of strangers cannot push others out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`total` and `concurrent` are calls in progress, of all callers and of one; `burst` calls at once above the
    average; `errors_per_minute` refusals before calls are cut unread; `deadline_s_max` the longest a call may take
    whatever its caller allows."""

    calls_per_s: float = 50
    burst: int = 100
    concurrent: int = 32
    errors_per_minute: float = 120
    total: int = 256
    deadline_s_max: float = 60


class Meter:
    """One caller's use. Times are monotonic nanoseconds."""

    __slots__ = ("_calls", "_errors", "_limits", "_seen_ns", "running")

    def __init__(self, limits: Limits, now_ns: int) -> None:
        self._limits = limits
        self._calls = float(limits.burst)
        self._errors = limits.errors_per_minute
        self._seen_ns = now_ns
        self.running = 0

    def enter(self, now_ns: int) -> None:
        """Begin a call. Raises TooMany; a call that was cut is not counted as running."""
        limits = self._limits
        passed_s = max(0, now_ns - self._seen_ns) / 1e9
        self._seen_ns = now_ns
        self._calls = min(float(limits.burst), self._calls + passed_s * limits.calls_per_s)
        self._errors = min(limits.errors_per_minute, self._errors + passed_s * limits.errors_per_minute / 60)
        if self._errors < 1:
            raise TooMany("its budget of refusals is spent")
        if self.running >= limits.concurrent:
            raise TooMany("too many calls in progress")
        if self._calls < 1:
            raise TooMany("too many calls a second")
        self._calls -= 1
        self.running += 1

    def leave(self, *, refused: bool) -> None:
        """End a call that entered."""
        self.running -= 1
        if refused:
            self._errors -= 1


class Meters:
    """The meters of one listener, by caller."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.running = 0
        self._meters: OrderedDict[str, Meter] = OrderedDict()

    def of(self, caller: str, now_ns: int) -> Meter:
        """The caller's meter; the one unused for longest makes room."""
        meter = self._meters.get(caller)
        if meter is None:
            meter = self._meters[caller] = Meter(self.limits, now_ns)
            if len(self._meters) > CALLERS_MAX:
                self._drop_idle()
        else:
            self._meters.move_to_end(caller)
        return meter

    def _drop_idle(self) -> None:
        for caller, meter in self._meters.items():
            if meter.running == 0:
                del self._meters[caller]
                return
