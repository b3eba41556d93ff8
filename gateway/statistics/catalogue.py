"""The statistics that exist. Nothing else is computed: a question outside this table is refused unread."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import InputRefused, Malformed
from gateway.primitives import cbor
from gateway.statistics.bounding import BoundingSpec, Unit
from gateway.statistics.domain import Dimension, KeyDomain
from gateway.statistics.noise import MICRO, judge_epsilon

QUERY_BYTES_MAX: Final = 1 << 12
_QUERY: Final = b"limen/statistic-query/1\n"
MONTH: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])\Z")
_YEAR = re.compile(r"20[0-9]{2}\Z")
DATASET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Statistic:
    """One declared statistic. `measures` gives (keep, cell_max) of a unit; every release takes one of them."""

    code: str
    title: str
    measures: Mapping[str, tuple[int, int]]
    dimensions: tuple[str, ...]
    """Those that a query may name, in the order of the cells; `month` is always the first."""
    default_dimensions: tuple[str, ...]
    default_epsilon_micro: int


S_IBC: Final = Statistic(
    code="S-IBC",
    title="Irregular border crossings: detections, and distinct persons",
    measures={"detections": (2, 2), "persons": (1, 1)},
    dimensions=("month", "route", "nationality", "protection"),
    default_dimensions=("month", "route", "nationality"),
    default_epsilon_micro=MICRO,
)

STATISTICS: Final[Mapping[str, Statistic]] = {S_IBC.code: S_IBC}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: one statistic, one measure, one month (`2023-08`) or one year (`2023`).

    Equal queries over an equal snapshot are one release, whoever asks.

    Raises:
        InputRefused: no such statistic, measure, dimension or period; epsilon outside [0.01, 10].
    """

    statistic: str
    measure: str
    dataset: str
    period: str
    dimensions: tuple[str, ...] = S_IBC.default_dimensions
    epsilon_micro: int = MICRO
    suppress: bool = False
    """True: cells under the threshold of the plan are marked instead of shown. Decided on noisy values only."""

    def __post_init__(self) -> None:
        row = STATISTICS.get(self.statistic)
        if row is None:
            raise InputRefused("there is no such statistic", field="statistic", code="STATISTIC")
        if self.measure not in row.measures:
            raise InputRefused("write one of " + ", ".join(row.measures), field="measure", code="MEASURE")
        if not DATASET_NAME.match(self.dataset):
            raise InputRefused("is not a data set's name", field="dataset", code="DATASET")
        if not (MONTH.match(self.period) or _YEAR.match(self.period)):
            raise InputRefused("write a month as 2023-08 or a year as 2023", field="period", code="PERIOD")
        wanted = tuple(name for name in row.dimensions if name in self.dimensions)
        if self.dimensions != wanted or not wanted or wanted[0] != "month":
            raise InputRefused("write month and then some of " + ", ".join(row.dimensions[1:]) + ", in this order",
                               field="dimensions", code="DIMENSIONS")  # fmt: skip
        judge_epsilon(self.epsilon_micro)

    @property
    def months(self) -> tuple[str, ...]:
        """The months asked about."""
        if MONTH.match(self.period):
            return (self.period,)
        return tuple(f"{self.period}-{month:02}" for month in range(1, 13))

    def unit(self, *, by_person: bool = True) -> Unit:
        """A month's person, or a year's; by key where the events have no reference to persons."""
        return unit_of(self.period, by_person=by_person)

    def spec(self, *, by_person: bool = True) -> BoundingSpec:
        """The bound of the measure."""
        keep, cell_max = STATISTICS[self.statistic].measures[self.measure]
        return BoundingSpec(self.unit(by_person=by_person), keep, cell_max)

    def domain(self, declared: Mapping[str, Dimension]) -> KeyDomain:
        """The cells, from what the data set's owner declared.

        Raises:
            InputRefused: a dimension or a month that was not declared.
        """
        chosen: list[Dimension] = []
        for name in self.dimensions:
            known = declared.get(name)
            if known is None:
                raise InputRefused("the data set declares no values for it", field=name, code="DOMAIN_UNKNOWN")
            if name == "month":
                if not set(self.months) <= set(known.values):
                    raise InputRefused("the data set does not cover the period", field="period", code="DOMAIN_UNKNOWN")
                known = Dimension(name, self.months, known.uncollected & set(self.months))
            chosen.append(known)
        return KeyDomain(tuple(chosen))

    def facts(self) -> dict[str, Any]:
        """As plain values; `encode` and `digest` are over these."""
        return {
            "statistic": self.statistic, "measure": self.measure, "dataset": self.dataset, "period": self.period,
            "dimensions": list(self.dimensions), "epsilon_micro": self.epsilon_micro, "suppress": self.suppress,
        }  # fmt: skip

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode(self.facts())

    @property
    def digest(self) -> bytes:
        """SHA-256, 32 bytes: the name under which a release is stored beside its snapshot."""
        return hashlib.sha256(_QUERY + self.encode()).digest()


def unit_of(period: str, *, by_person: bool) -> Unit:
    """Whose presence the noise hides in a month (`2023-08`) or a year (`2023`)."""
    if MONTH.match(period):
        return Unit.PERSON_MONTH if by_person else Unit.KEY_MONTH
    return Unit.PERSON_PERIOD if by_person else Unit.KEY_PERIOD


_FIELDS: Final[Mapping[str, type]] = {
    "statistic": str, "measure": str, "dataset": str, "period": str, "dimensions": list, "epsilon_micro": int,
    "suppress": bool,
}  # fmt: skip


def read_facts(facts: object) -> Query:
    """A query from its facts. Raises Malformed for another shape, InputRefused for another statistic."""
    if not isinstance(facts, dict) or facts.keys() != _FIELDS.keys():
        raise Malformed("query", "is not a statistic's query")
    for name, kind in _FIELDS.items():
        if type(facts[name]) is not kind:
            raise Malformed(f"query.{name}", "has another type")
    if not all(type(name) is str for name in facts["dimensions"]):
        raise Malformed("query.dimensions", "has another type")
    return Query(**{**facts, "dimensions": tuple(facts["dimensions"])})


def decode(data: bytes) -> Query:
    """A query from its canonical bytes. Raises Malformed or InputRefused."""
    return read_facts(cbor.decode(data, field="query", limit=QUERY_BYTES_MAX))
