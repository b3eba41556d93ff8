"""Dates as records and documents hold them: with a precision, and never more exact than they are.

A placeholder is not a day: 1 January stands for "year only" in real lists (3 to 8 % of full dates against 0.27 %
expected), so no match key takes it for a day (docs/protocol/matching.md).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gateway.errors import InputRefused

YEAR_MIN = 1850
YEAR_MAX = 2199
RANGE_YEARS_MAX = 10
"""Widest range of birth years that an entry expands into keys."""

CIRCA_YEARS = 2
"""How far an approximate date may be off, for the question whether someone could be a child (T21)."""


class Precision(StrEnum):
    """How much of a date is known."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    RANGE = "range"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date as far as it is known. `year_last` is the end of a RANGE of years; 0 stands for an unknown part.

    `circa` says that the source itself calls it approximate. Kept inside `Hidden` wherever it is a person's.
    """

    precision: Precision
    year: int = 0
    month: int = 0
    day: int = 0
    year_last: int = 0
    circa: bool = False

    def __post_init__(self) -> None:
        if self.precision is Precision.UNKNOWN:
            return
        if not YEAR_MIN <= self.year <= YEAR_MAX:
            raise InputRefused("the year is outside 1850 to 2199", field="date", code="DATE_YEAR")
        if self.precision is Precision.RANGE and not self.year <= self.year_last <= self.year + RANGE_YEARS_MAX:
            raise InputRefused("a range of years runs forward, ten years at most", field="date", code="DATE_RANGE")
        if self.precision in (Precision.MONTH, Precision.DAY) and not 1 <= self.month <= 12:
            raise InputRefused("there is no such month", field="date", code="DATE_MONTH")
        if self.precision is Precision.DAY and not 1 <= self.day <= calendar.monthrange(self.year, self.month)[1]:
            raise InputRefused("there is no such day", field="date", code="DATE_DAY")

    @property
    def years(self) -> tuple[int, ...]:
        """Every year it may be; empty when unknown."""
        if self.precision is Precision.UNKNOWN:
            return ()
        if self.precision is Precision.RANGE:
            return tuple(range(self.year, self.year_last + 1))
        return (self.year,)

    @property
    def full(self) -> tuple[int, int, int] | None:
        """Year, month, day where the day is known and is not the placeholder 1 January; else None."""
        if self.precision is not Precision.DAY or self.circa or (self.month, self.day) == (1, 1):
            return None
        return self.year, self.month, self.day

    @property
    def iso(self) -> str | None:
        """ISO 8601 as far as known: `1974-08-12`, `1974-08`, `1974`, `1974/1976`, or None."""
        match self.precision:
            case Precision.DAY:
                return f"{self.year:04}-{self.month:02}-{self.day:02}"
            case Precision.MONTH:
                return f"{self.year:04}-{self.month:02}"
            case Precision.YEAR:
                return f"{self.year:04}"
            case Precision.RANGE:
                return f"{self.year:04}/{self.year_last:04}"
            case Precision.UNKNOWN:
                return None

    def latest(self) -> date | None:
        """The last day it may be. The placeholder 1 January counts as the whole year, an approximate date as two years
        more (T21)."""
        if self.precision is Precision.UNKNOWN:
            return None
        if self.circa:
            return date((self.year_last or self.year) + CIRCA_YEARS, 12, 31)
        if self.precision is Precision.DAY and (self.month, self.day) != (1, 1):
            return date(self.year, self.month, self.day)
        if self.precision is Precision.MONTH:
            return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])
        return date(self.year_last or self.year, 12, 31)


UNKNOWN = PartialDate(Precision.UNKNOWN)

# [0-9] and not \d, which takes the digits of every script.
_FORMS = (
    (re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z"), Precision.DAY),
    (re.compile(r"([0-9]{4})-([0-9]{2})\Z"), Precision.MONTH),
    (re.compile(r"([0-9]{4})/([0-9]{4})\Z"), Precision.RANGE),
    (re.compile(r"([0-9]{4})\Z"), Precision.YEAR),
)


def parse(text: str, *, circa: bool = False) -> PartialDate:
    """Read ISO 8601 as far as known; empty text is unknown. A `~` at the end says approximate (ISO 8601-2, EDTF).

    Raises:
        InputRefused: any other form, or no such day. The text is not repeated.
    """
    if not text:
        return UNKNOWN
    if text.endswith("~"):
        text, circa = text[:-1], True
    for form, precision in _FORMS:
        found = form.match(text)
        if found is None:
            continue
        parts = [int(part) for part in found.groups()]
        if precision is Precision.RANGE:
            if parts[0] == parts[1]:
                return PartialDate(Precision.YEAR, parts[0], circa=circa)
            return PartialDate(precision, parts[0], year_last=parts[1], circa=circa)
        year, month, day = (*parts, 0, 0)[:3]
        return PartialDate(precision, year, month, day, circa=circa)
    raise InputRefused(
        "write a date as YYYY-MM-DD, YYYY-MM, YYYY or YYYY/YYYY, with ~ behind it where it is approximate",
        field="date",
        code="DATE_FORM",
    )


def years_between(born: date, on: date) -> int:
    """Full years from `born` to `on`."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
