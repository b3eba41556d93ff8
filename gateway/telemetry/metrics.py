"""What a node counts, for Prometheus. No label holds anything of a person, an officer or a question (T4, T15).

Labels are closed sets: doors, methods of the contract, statuses, reasons of the catalogue, member states. A home
client's name is no label.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.terms.call import CallSeen

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_STATE = re.compile(r"[A-Z]{3}\Z")


class Metrics:
    """One process's numbers, in a registry of their own."""

    def __init__(self, release: str) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._calls = Counter(
            "limen_calls",
            "Calls by door, method, other state, status and reason.",
            ("door", "method", "peer", "status", "reason"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "limen_call_seconds",
            "Time of a call at this node, in seconds, by door and method.",
            ("door", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._bytes = Counter(
            "limen_call_bytes", "Bytes of bodies, by door and direction.", ("door", "direction"), registry=self.registry
        )
        self._gauges: dict[str, Gauge] = {}
        Gauge("limen_release_info", "The release, as a label.", ("release",), registry=self.registry).labels(
            release
        ).set(1)
        # Looking a child up by its labels costs more than counting: each is looked up once.
        self._call_of: dict[tuple[str, str, str, str, str], Counter] = {}
        self._of_door: dict[tuple[str, str], tuple[Histogram, Counter, Counter]] = {}

    def observe(self, call: CallSeen) -> None:
        """Count one call."""
        peer = call.caller if _STATE.match(call.caller) else ""
        key = (call.listener, call.method, peer, call.status, call.reason)
        count = self._call_of.get(key)
        if count is None:
            count = self._call_of[key] = self._calls.labels(*key)
        count.inc()
        place = (call.listener, call.method)
        kept = self._of_door.get(place)
        if kept is None:
            kept = self._of_door[place] = (
                self._seconds.labels(*place),
                self._bytes.labels(call.listener, "in"),
                self._bytes.labels(call.listener, "out"),
            )
        seconds, bytes_in, bytes_out = kept
        seconds.observe(call.duration_ns / 1e9)
        bytes_in.inc(call.request_bytes)
        bytes_out.inc(call.reply_bytes)

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A number that is read when it is asked for. `name` gets the prefix `limen_`."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"limen_{name}", meaning, registry=self.registry)
        self._gauges[name].set_function(value)

    def exposition(self) -> bytes:
        """Prometheus's text form."""
        return generate_latest(self.registry)
