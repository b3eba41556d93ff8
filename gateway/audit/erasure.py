"""Whether a payload that is not there was erased lawfully, from what the log itself says of erasures.

An erasure is an entry without the data: class, period, range of entries, ground, and the time it went by, which a
witness has cosigned. A payload that no such entry names, or that one names before its term was over, was not erased
lawfully, whoever holds the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from gateway.audit.kinds import MINIMUM_NS, RETENTION_NS
from gateway.audit.leaf import Leaf
from gateway.audit.period import period_of

ERASED: Final = "payloads.erased"
LOST: Final = "payloads.lost"
ORDERED: Final = "erasure.ordered"

_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Range:
    """What one entry says is gone: entries `first` to `last` of a class and period that have no payload any more."""

    first: int
    last: int
    until_ns: int
    """The time it went by; 0 where the payloads were lost."""
    date: str
    wait_ns: int
    """How old a payload of the class has to be."""
    held: tuple[tuple[int, int], ...] = ()
    """Ranges that were held then."""


@dataclass(slots=True)
class Erased:
    """What was erased lawfully on one day under one class."""

    retention: str
    date: str
    first: int
    last: int
    count: int = 0

    def __str__(self) -> str:
        return (
            f"{self.count} erased lawfully under class {self.retention} on {self.date} "
            f"(entries {self.first} to {self.last})"
        )

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "class": self.retention, "date": self.date, "first": self.first, "last": self.last, "count": self.count,
        }  # fmt: skip


@dataclass(slots=True)
class Erasures:
    """The erasures of one log as it goes on. `cosigned` says until when the card's witnesses have cosigned a size, UTC
    ns; None where the card names no witness."""

    cosigned: Mapping[int, int] | None = None
    erased: dict[tuple[str, str], Erased] = field(default_factory=dict)
    lost: int = 0
    unsaid: int = 0
    """Missing after their term; the entries that say why are not in this copy."""
    _ranges: dict[_Place, list[_Range]] = field(default_factory=dict)
    _ordered: dict[str, list[_Range]] = field(default_factory=dict)
    _holds: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _missing: list[tuple[int, Leaf]] = field(default_factory=list)
    _stepped: int = -1
    _restored: int = -1

    def fault(self, seq: int, leaf: Leaf, *, is_signed: bool) -> str:
        """Why entry `seq` does not hold, or ""; those that are not about erasing do. What persons decided counts only
        where it `is_signed`."""
        if leaf.kind == "clock.step":
            self._stepped = seq
        elif leaf.kind == "node.restored":
            self._restored = seq
        elif leaf.kind == "hold.set" and is_signed:
            first, last = leaf.public["first"], leaf.public["last"]
            if type(first) is int and type(last) is int:
                self._holds[_of(leaf, "hold_id")] = (first, last)
        elif leaf.kind == "hold.lifted" and is_signed:
            self._holds.pop(_of(leaf, "hold_id"), None)
        elif leaf.kind in (ERASED, LOST) or (leaf.kind == ORDERED and is_signed):
            return self._range(seq, leaf)
        return ""

    def missing(self, seq: int, leaf: Leaf) -> None:
        """The payload of entry `seq` is not there."""
        self._missing.append((seq, leaf))

    def past(self, time_ns: int) -> list[tuple[int, str]]:
        """As `faults`, of a copy that has no entries about erasing: only whether the term was over at this time."""
        why = "the payload is missing before its term"
        early = [(seq, why) for seq, leaf in self._missing if leaf.due_ns > time_ns]
        self.unsaid = len(self._missing) - len(early)
        return early

    def faults(self) -> list[tuple[int, str]]:
        """(entry, why) of each missing payload that was not erased lawfully. Counts the others."""
        return [(seq, why) for seq, leaf in self._missing if (why := self._judge(seq, leaf))]

    def _range(self, seq: int, leaf: Leaf) -> str:
        said = leaf.public
        retention, period = said["class"], said.get("period", 0)
        first, last, until = said["first"], said["last"], said.get("until_ns", 0)
        if not (
            type(retention) is str
            and retention in RETENTION_NS
            and type(period) is type(first) is type(last) is type(until) is int
            and 0 <= first <= last < seq
        ):
            return "an erasure that names no class, period and entries before it"
        if leaf.kind == LOST:
            if last >= self._restored:
                return "payloads are said to be lost, and the node was not restored after them"
        else:
            size = said["checkpoint"]
            if until > leaf.time_ns:
                return "payloads were destroyed by a time that had not come"
            if type(size) is not int or not self._stepped < size <= seq:
                return "payloads were destroyed after a step of the clock that no witness had seen"
            if self.cosigned is not None and self.cosigned.get(size, 0) < until:
                return "payloads were destroyed, and no witness of the card had cosigned that their time had come"
        date = f"{datetime.fromtimestamp(leaf.time_ns // 10**9, UTC):%Y-%m-%d}"
        held = tuple(self._holds.values())
        if leaf.kind == ORDERED:
            one = _Range(first, last, until, date, MINIMUM_NS[retention], held)
            self._ordered.setdefault(retention, []).append(one)
        else:
            one = _Range(first, last, until, date, RETENTION_NS[retention], held)
            self._ranges.setdefault((retention, period), []).append(one)
        return ""

    def _judge(self, seq: int, leaf: Leaf) -> str:
        early = ""
        lost = False
        for one in (
            *self._ranges.get((leaf.retention, period_of(leaf.retention, leaf.time_ns)), ()),
            *self._ordered.get(leaf.retention, ()),
        ):
            if not one.first <= seq <= one.last:
                continue
            if not one.until_ns:
                lost = True
            elif any(first <= seq <= last for first, last in one.held):
                early = early or f"the payload was destroyed on {one.date}, while it was held"
            elif one.until_ns >= leaf.time_ns + one.wait_ns:
                found = self.erased.setdefault((leaf.retention, one.date), Erased(leaf.retention, one.date, seq, seq))
                found.first, found.last = min(found.first, seq), max(found.last, seq)
                found.count += 1
                return ""
            else:
                early = early or f"the payload was destroyed on {one.date}, before class {leaf.retention} allows"
        if lost:
            self.lost += 1
            return ""
        return early or "the payload is missing, and no entry says that it was erased"


def _of(leaf: Leaf, name: str) -> bytes:
    value = leaf.public[name]
    return value if type(value) is bytes else b""
