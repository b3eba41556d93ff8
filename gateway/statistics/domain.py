"""The cells of a statistic, declared before anybody looks at the data.

A cell that no event falls into is published like any other, so the keys themselves tell nothing. Cells are numbered row
by row: the last dimension changes fastest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from gateway.errors import InputRefused, Malformed
from gateway.primitives import cbor

CELLS_MAX: Final = 1_000_000
DIMENSIONS_MAX: Final = 8
UNKNOWN: Final = "_U"
"""What an empty key is read as, in every engine alike. In a domain without it such a row is outside."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_VALUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/() -]{0,63}\Z")
_DOMAIN: Final = b"limen/key-domain/1\n"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One key. `uncollected` are values that the source never records: their cells say so instead of a number."""

    name: str
    values: tuple[str, ...]
    uncollected: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyDomain:
    """Every cell of a release, in order.

    Raises:
        InputRefused: no dimension, a value twice or with other signs than letters, digits, space and `_.:/()-`, or
            more than a million cells.
    """

    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        names = [dimension.name for dimension in self.dimensions]
        if not 1 <= len(names) <= DIMENSIONS_MAX or len(set(names)) != len(names):
            raise InputRefused(f"a key domain has 1 to {DIMENSIONS_MAX} dimensions of different names", code="DOMAIN")
        for dimension in self.dimensions:
            if not _NAME.match(dimension.name):
                raise InputRefused("a dimension's name is small letters, digits and _", code="DOMAIN")
            values = dimension.values
            if not values or len(set(values)) != len(values) or not all(_VALUE.match(value) for value in values):
                raise InputRefused("the values are empty, double or not plain", field=dimension.name, code="DOMAIN")
            if not dimension.uncollected <= set(values):
                raise InputRefused("an uncollected value is not declared", field=dimension.name, code="DOMAIN")
        if self.size > CELLS_MAX:
            raise InputRefused(f"a key domain has at most {CELLS_MAX} cells", code="DOMAIN_SIZE")

    @property
    def size(self) -> int:
        """Number of cells."""
        return prod(len(dimension.values) for dimension in self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions' names in order."""
        return tuple(dimension.name for dimension in self.dimensions)

    def key(self, cell: int) -> tuple[str, ...]:
        """The cell's value in each dimension."""
        if not 0 <= cell < self.size:
            raise IndexError(f"no cell {cell}")
        found: list[str] = []
        for dimension in reversed(self.dimensions):
            cell, place = divmod(cell, len(dimension.values))
            found.append(dimension.values[place])
        return tuple(reversed(found))

    def cell(self, key: tuple[str, ...]) -> int:
        """The number of a key's cell. Raises KeyError for a value outside the domain."""
        number = 0
        for dimension, value in zip(self.dimensions, key, strict=True):
            if value not in dimension.values:
                raise KeyError(dimension.name)
            number = number * len(dimension.values) + dimension.values.index(value)
        return number

    def is_collected(self, cell: int) -> bool:
        """False where the source does not record what the cell would count."""
        key = self.key(cell)
        return all(value not in one.uncollected for one, value in zip(self.dimensions, key, strict=True))

    def facts(self) -> list[dict[str, Any]]:
        """The domain as plain values, as it stands in a release."""
        return [
            {"name": one.name, "values": list(one.values), "uncollected": sorted(one.uncollected)}
            for one in self.dimensions
        ]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical facts, 32 bytes."""
        return hashlib.sha256(_DOMAIN + cbor.encode(self.facts())).digest()


def read(facts: object) -> KeyDomain:
    """The domain again from its facts. Raises Malformed for anything else."""
    try:
        if not isinstance(facts, list):
            raise TypeError
        return KeyDomain(
            tuple(
                Dimension(str(one["name"]), tuple(map(str, one["values"])), frozenset(map(str, one["uncollected"])))
                for one in facts
            )
        )
    except (TypeError, KeyError, InputRefused):
        raise Malformed("domain", "is not a key domain") from None
