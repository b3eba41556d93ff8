"""A process's eyes on itself: every call counted and written down once."""

from __future__ import annotations

import sys
from typing import TextIO

from gateway import __version__
from gateway.ports import Clock
from gateway.telemetry.lines import Lines
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.terms.call import CallSeen
from gateway.terms.ids import PeerId


class Telemetry:
    """What listeners, clients and timers are given. Writes to standard error unless told another stream."""

    content_type = CONTENT_TYPE

    def __init__(self, state: PeerId, clock: Clock, stream: TextIO | None = None) -> None:
        self._state = state
        self._clock = clock
        self.metrics = Metrics(__version__)
        self.lines = Lines(stream if stream is not None else sys.stderr)

    def seen(self, call: CallSeen) -> None:
        """One call has ended."""
        self.metrics.observe(call)
        self.lines.observe(call)

    def complain(self, sentence: str) -> None:
        """Something an operator should read. The sentence names states, files and rules, never a person."""
        self.lines.event(self._clock.now_ns(), "notice", state=self._state, why=sentence)

    def close(self) -> None:
        """Write what has not been written yet."""
        self.lines.flush()

    def exposition(self) -> bytes:
        """The metrics in Prometheus's text form."""
        return self.metrics.exposition()
