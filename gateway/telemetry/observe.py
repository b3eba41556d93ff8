"""A process's eyes on itself: every call counted and written down once."""

from __future__ import annotations

import asyncio
import sys
from typing import Final, TextIO

from gateway import __version__
from gateway.ports import Clock
from gateway.telemetry.lines import Lines
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.terms.call import CallSeen
from gateway.terms.ids import PeerId

GATHER_S: Final = 0.05
"""Calls of a running loop are counted and written together, after at most this long: one by one costs five times as
much and a write a call."""


class Telemetry:
    """What listeners, clients and timers are given. Writes to standard error unless told another stream."""

    content_type = CONTENT_TYPE

    def __init__(self, state: PeerId, clock: Clock, stream: TextIO | None = None) -> None:
        self._state = state
        self._clock = clock
        self._waiting: list[CallSeen] = []
        self.metrics = Metrics(__version__)
        self.lines = Lines(stream if stream is not None else sys.stderr)

    def seen(self, call: CallSeen) -> None:
        """One call has ended."""
        self._waiting.append(call)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_later(GATHER_S, self.close)
            except RuntimeError:
                self.close()

    def complain(self, sentence: str) -> None:
        """Something an operator should read. The sentence names states, files and rules, never a person."""
        self.close()
        self.lines.event(self._clock.now_ns(), "notice", state=self._state, why=sentence)

    def close(self) -> None:
        """Count and write what has not been yet."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            for call in waiting:
                self.metrics.observe(call)
            self.lines.calls(waiting)

    def exposition(self) -> bytes:
        """The metrics in Prometheus's text form, with every call that has ended."""
        self.close()
        return self.metrics.exposition()
