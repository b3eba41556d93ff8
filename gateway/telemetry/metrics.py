"""What a node counts, for Prometheus. No label holds anything of a person, an officer or a question (T4, T15).

Labels are closed sets: doors, methods of the contract, statuses, reasons of the catalogue, member states. A home
client's name is no label.

Calls are counted in plain numbers on the process's one event loop and become Prometheus's families when they are asked
for: counting a call so costs a tenth of a registry's own counters.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.terms.call import CallSeen

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram's buckets; one more has none."""

_BOUNDS_NS: Final = tuple(int(bound * 1e9) for bound in SECONDS)
_STATE = re.compile(r"[A-Z]{3}\Z")


class _Place:
    """One method at one door."""

    __slots__ = ("buckets", "bytes_in", "bytes_out", "total_ns")

    def __init__(self) -> None:
        self.buckets = [0] * (len(SECONDS) + 1)
        self.total_ns = 0
        self.bytes_in = 0
        self.bytes_out = 0


class Metrics(Collector):
    """One process's numbers, in a registry of their own."""

    def __init__(self, release: str) -> None:
        self._calls: dict[tuple[str, str, str, str, str], int] = {}
        self._places: dict[tuple[str, str], _Place] = {}
        self._gauges: dict[str, Gauge] = {}
        self._families: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        info = Gauge("limen_release_info", "The release, as a label.", ("release",), registry=self.registry)
        info.labels(release).set(1)

    def observe(self, call: CallSeen) -> None:
        """Count one call."""
        # A home client's name has a slash, a state's never.
        peer = call.caller if len(call.caller) == 3 and _STATE.match(call.caller) else ""
        key = (call.listener, call.method, peer, call.status, call.reason)
        self._calls[key] = self._calls.get(key, 0) + 1
        place = self._places.get((call.listener, call.method))
        if place is None:
            place = self._places[(call.listener, call.method)] = _Place()
        place.buckets[bisect_left(_BOUNDS_NS, call.duration_ns)] += 1
        place.total_ns += call.duration_ns
        place.bytes_in += call.request_bytes
        place.bytes_out += call.reply_bytes

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A number that is read when it is asked for. `name` gets the prefix `limen_`."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"limen_{name}", meaning, registry=self.registry)
        self._gauges[name].set_function(value)

    def gauges(self, name: str, meaning: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
        """Numbers by one label of a closed set, read when they are asked for. `name` gets the prefix `limen_`."""
        self._families[f"limen_{name}"] = (meaning, label, values)

    def exposition(self) -> bytes:
        """Prometheus's text form."""
        return generate_latest(self.registry)

    def describe(self) -> Iterator[Metric]:
        """No family is announced before it is collected."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The families, as they stand."""
        calls = CounterMetricFamily(
            "limen_calls",
            "Calls by door, method, other state, status and reason.",
            labels=("door", "method", "peer", "status", "reason"),
        )
        for key, count in self._calls.items():
            calls.add_metric(key, count)
        yield calls
        seconds = HistogramMetricFamily(
            "limen_call_seconds", "Time of a call at this node, in seconds.", labels=("door", "method")
        )
        bodies = CounterMetricFamily("limen_call_bytes", "Bytes of bodies.", labels=("door", "method", "direction"))
        for (door, method), place in self._places.items():
            running = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, SECONDS), "+Inf"), place.buckets, strict=True):
                running += count
                buckets.append((bound, running))
            seconds.add_metric((door, method), buckets, place.total_ns / 1e9)
            bodies.add_metric((door, method, "in"), place.bytes_in)
            bodies.add_metric((door, method, "out"), place.bytes_out)
        yield seconds
        yield bodies
        for name, (meaning, label, values) in self._families.items():
            family = GaugeMetricFamily(name, meaning, labels=(label,))
            for word, value in values().items():
                family.add_metric((word,), value)
            yield family
