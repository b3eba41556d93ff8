"""How much of one person may be in a table, and which part is kept.

Of each person (and month, where the unit says so) the engine counts what falls into each cell, at most `cell_max` a
cell, and gives every counted piece the keyed hash of (person, cell, number). The `keep` smallest are kept. The choice
depends on the person's own rows and a secret salt only, so that taking one person away changes at most `l0` cells by at
most `linf`, and `keep` in all; a rule that looked at others would not have that (reference: stability, ADR 17).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

SALT_BYTES: Final = 32
LOSS_MAX: Final = 8
"""Most that one unit counts in the estimate of what bounding lost."""

KEEP_MAX: Final = 1_000
_SALT_DOMAIN: Final = b"limen/salt/1\n"

RULE: Final = "k smallest keyed hashes of (unit, cell, number)"


class Unit(StrEnum):
    """Whose presence the noise hides: one person within one state, in one month or in the whole period."""

    PERSON_MONTH = "person-month"
    PERSON_PERIOD = "person-period"
    KEY_MONTH = "key-month"
    """As PERSON_MONTH, where a file has no reference to persons: two keys of one person count as two."""
    KEY_PERIOD = "key-period"

    @property
    def is_monthly(self) -> bool:
        """True where each month of a person stands alone."""
        return self in (Unit.PERSON_MONTH, Unit.KEY_MONTH)


@dataclass(frozen=True, slots=True)
class BoundingSpec:
    """At most `keep` pieces of a unit in the table, at most `cell_max` of them in one cell."""

    unit: Unit
    keep: int
    cell_max: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.cell_max <= self.keep <= KEEP_MAX:
            raise ValueError("1 <= cell_max <= keep <= 1000")

    @property
    def l0(self) -> int:
        """Most cells that one unit touches."""
        return self.keep

    @property
    def linf(self) -> int:
        """Most that one unit adds to a cell."""
        return self.cell_max

    @property
    def l1(self) -> int:
        """Most that one unit adds in all."""
        return self.keep

    @property
    def l2_squared(self) -> int:
        """Largest sum of squares that one unit adds: full cells first."""
        full, rest = divmod(self.keep, self.cell_max)
        return full * self.cell_max**2 + rest**2

    @property
    def loss_max(self) -> int:
        """Most that one unit counts as lost."""
        return max(LOSS_MAX, self.keep)

    def facts(self) -> dict[str, Any]:
        """As it stands in a release."""
        return {"unit": self.unit, "l0": self.l0, "linf": self.linf, "l1": self.l1, "loss_max": self.loss_max,
                "clamp": [0, self.cell_max], "rule": RULE}  # fmt: skip


SNAPSHOT_COLUMNS: Final = ("person", "month", "route", "nationality", "protection")
"""The normal form of events, in order: an unsigned 64-bit pseudonym, `YYYY-MM`, and three keys that may be empty."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an engine reads events: one row an event.

    `csv` has a header and exactly `SNAPSHOT_COLUMNS`; `parquet` may have others. `columns` gives the file's column of
    each dimension, where it is not the dimension's own name. `month` must be there for a monthly unit.
    """

    path: str
    form: str = "csv"
    columns: Mapping[str, str] | None = None
    person: str = "person"
    month: str = "month"


@dataclass(frozen=True, slots=True)
class Bounded:
    """What an engine returns: exact integers, never to leave the process before noise."""

    counts: tuple[int, ...]
    lost: int
    """Pieces that the bound or the domain left out, each unit's share clamped to [0, loss_max]."""


def salt_commitment(salt: bytes) -> bytes:
    """SHA-256 that binds the release to its secret salt, 32 bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt has 32 bytes")
    return hashlib.sha256(_SALT_DOMAIN + salt).digest()
