"""The rules about people who ask. Counters in memory, under a key of the day that is destroyed with it (T11).

What is counted lies nowhere but here: a restart and the end of a UTC day forget it. Each process of a node counts what
went through it. A piece of a question costs a constant amount for each of its travellers, whatever was asked before.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.alerts.alert import Fired, Rule
from gateway.alerts.declared import Declared
from gateway.terms.ids import OfficerId

DAY_NS: Final = 24 * 3600 * 10**9
MINUTE_NS: Final = 60 * 10**9

BLOCK: Final = 100
"""Document numbers that lie this near are of one block. Two layers of blocks, half a block apart, leave no edge."""

DIGITS_MAX: Final = 15
"""The last digits of a number that count; what stands before them is its prefix."""

SUBJECTS_MAX: Final = 200_000
OTHERS_MAX: Final = 100_000
"""Counters kept of each sort; the oldest are forgotten first, and so an abuse spread over more is not seen."""

ASKINGS_MAX: Final = 64
"""Askings about one subject that are remembered."""

_EMPTY_WORDS: Final = frozenset(
    {"test", "none", "null", "nil", "na", "tbd", "unknown", "check", "case", "asdf", "qwerty", "abc", "abcd", "123"}
)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a rule fires; `settings.alerts` has the same words."""

    officer_repeats: int = 5
    unit_repeats: int = 8
    block_numbers: int = 12
    burst_per_minute: int = 60
    case_questions: int = 40
    shift_questions: int = 1_000
    words_cases: int = 10
    pair_releases: int = 10
    pair_percent: int = 90


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, or a piece of a long one; `is_first` says that it is the question's first piece.

    `subjects` are each traveller's match keys, `numbers` the documents' issuers and numbers. `unit` is the system it
    came from, `shift` says that its reference may be a shift's: who works at a line of travellers. `seq` is the log's
    number of the question's first entry.
    """

    officer: OfficerId
    unit: str
    shift: bool
    case_ref: str = field(repr=False)
    justification: str = field(repr=False)
    subjects: tuple[tuple[bytes, ...], ...] = field(repr=False)
    numbers: tuple[tuple[str, str], ...] = field(repr=False)
    is_first: bool
    seq: int
    at_ns: int


class _Kept(OrderedDict[bytes, list[int]]):
    """Counters of one sort, the oldest forgotten first."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def of(self, tag: bytes) -> list[int]:
        """The numbers under a tag, to be added to."""
        found = self.get(tag)
        if found is None:
            found = self[tag] = []
            if len(self) > self._most:
                self.popitem(last=False)
        return found


class Detector:
    """`chance` draws the key of a day, 32 bytes. `declared` gives the officers' circles as they stand."""

    def __init__(
        self, thresholds: Thresholds, chance: Callable[[int], bytes], declared: Callable[[], Declared]
    ) -> None:
        self._limits = thresholds
        self._chance = chance
        self._declared = declared
        self._day = -1
        self._forget(-1)

    def _forget(self, day: int) -> None:
        """Another day: its key, and nothing of the day before."""
        self._day = day
        self._key = self._chance(32)
        self._subjects = _Kept(SUBJECTS_MAX)
        self._blocks = _Kept(OTHERS_MAX)
        self._references = _Kept(OTHERS_MAX)
        self._names: dict[str, int] = {}
        self._minute: dict[OfficerId, tuple[int, int]] = {}
        self._told: set[tuple[Rule, bytes]] = set()

    def saw(self, asked: Asked) -> list[Fired]:
        """Every rule that this question, or piece of one, makes fire."""
        day = asked.at_ns // DAY_NS
        if day > self._day:
            self._forget(day)
        fired: list[Fired] = []
        own = sum(self._declared().is_own(asked.officer, inputs) for inputs in asked.subjects)
        if own:
            fired.append(self._fired(Rule.OWN_CIRCLE, asked, own))
        fired += self._same_subject(asked)
        fired += self._sequence(asked)
        if asked.is_first:
            fired += self._burst(asked)
            fired += self._reference(asked)
        return fired

    # -- The rules ----------------------------------------------------------------------------------------------------

    def _same_subject(self, asked: Asked) -> Iterator[Fired]:
        officer, unit = self._number(asked.officer), self._number("/" + asked.unit)
        often, wide = 0, 0
        for inputs in asked.subjects:
            mine, units = 0, 0
            for one in inputs:
                # An asking is one number: who and from where.
                askings = self._subjects.of(self._tag(b"s", one))
                if len(askings) < ASKINGS_MAX:
                    askings.append(officer << 32 | unit)
                times = sum(asking >> 32 == officer for asking in askings)
                if self._at(times, self._limits.officer_repeats):
                    mine = max(mine, times)
                seen = len({asking & 0xFFFFFFFF for asking in askings})
                if seen >= self._limits.unit_repeats and self._once(Rule.MANY_UNITS, b"%d" % seen, one):
                    units = max(units, seen)
            often, wide = max(often, mine), max(wide, units)
        if often:
            yield self._fired(Rule.SAME_SUBJECT, asked, often)
        if wide:
            # Nobody in particular: each may have had a reason.
            yield Fired(Rule.MANY_UNITS, (), wide, asked.seq, asked.at_ns)

    def _sequence(self, asked: Asked) -> Iterator[Fired]:
        most = 0
        for issuer, number in asked.numbers:
            head, value = _split(number)
            if value is None:
                continue
            for layer in (0, BLOCK // 2):
                place = (value + layer) // BLOCK
                block = self._blocks.of(self._tag(b"b%d" % layer, asked.officer, issuer, head, str(place)))
                # Where in the block, so that one number asked about twice is one.
                where = (value + layer) % BLOCK
                if where not in block:
                    block.append(where)
                    if self._at(len(block), self._limits.block_numbers):
                        most = max(most, len(block))
        if most:
            yield self._fired(Rule.SEQUENCE, asked, most)

    def _burst(self, asked: Asked) -> Iterator[Fired]:
        minute = asked.at_ns // MINUTE_NS
        held, count = self._minute.get(asked.officer, (minute, 0))
        count = count + 1 if held == minute else 1
        self._minute[asked.officer] = (minute, count)
        if self._at(count, self._limits.burst_per_minute):
            yield self._fired(Rule.BURST, asked, count)

    def _reference(self, asked: Asked) -> Iterator[Fired]:
        if is_empty(asked.case_ref):
            yield self._fired(Rule.REFERENCE, asked, 1)
            return
        plain = _plain(asked.case_ref)
        used = self._references.of(self._tag(b"r", asked.officer, plain))
        used[:] = [used[0] + 1 if used else 1]
        if self._at(used[0], self._limits.shift_questions if asked.shift else self._limits.case_questions):
            yield self._fired(Rule.REFERENCE, asked, used[0])
        words = _plain(asked.justification)
        if words:
            cases = self._references.of(self._tag(b"w", asked.officer, words))
            # 32 bits of the reference's tag: enough to tell a few dozen references of one officer apart.
            case = int.from_bytes(self._tag(b"c", plain)[:4], "big")
            if case not in cases and len(cases) < ASKINGS_MAX:
                cases.append(case)
                if self._at(len(cases), self._limits.words_cases):
                    yield self._fired(Rule.REFERENCE, asked, len(cases))

    # -- What they rest on --------------------------------------------------------------------------------------------

    def _tag(self, sort: bytes, *parts: bytes | str) -> bytes:
        """What stands for something under the key of the day."""
        joined = bytearray(sort)
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            joined += len(data).to_bytes(4, "big") + data
        return hashlib.blake2b(joined, digest_size=16, key=self._key).digest()

    def _number(self, name: str) -> int:
        """A small number for an officer or a unit, for this day."""
        return self._names.setdefault(name, len(self._names))

    def _once(self, rule: Rule, *parts: bytes) -> bool:
        """True the first time that this is told today."""
        key = (rule, self._tag(b"o", *parts))
        if key in self._told or len(self._told) >= OTHERS_MAX:
            return False
        self._told.add(key)
        return True

    @staticmethod
    def _at(count: int, limit: int) -> bool:
        """True when the limit is reached, and at each further multiple."""
        return count >= limit and count % limit == 0

    @staticmethod
    def _fired(rule: Rule, asked: Asked, count: int) -> Fired:
        return Fired(rule, (asked.officer,), count, asked.seq, asked.at_ns)


def is_empty(reference: str) -> bool:
    """True for a reference that refers to nothing: no letter or digit, one sign again and again, or a filler word."""
    signs = "".join(sign for sign in reference.casefold() if sign.isalnum())
    return len(set(signs)) < 2 or signs in _EMPTY_WORDS


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _split(number: str) -> tuple[str, int | None]:
    """A document number's prefix and its last run of digits."""
    digits = len(number) - len(number.rstrip("0123456789"))
    digits = min(digits, DIGITS_MAX)
    if digits < 3:
        return number, None
    return number[: len(number) - digits], int(number[len(number) - digits :])


# -- Pairs ------------------------------------------------------------------------------------------------------------

PAIR_WINDOW_NS: Final = 30 * DAY_NS
APPROVERS_MIN: Final = 3
"""Fewer persons who approve, and the same two must always meet: that is a matter of staff, not of conduct."""


@dataclass(frozen=True, slots=True)
class Approved:
    """One release that two persons signed."""

    preparer: OfficerId
    approver: OfficerId
    at_ns: int


def same_pairs(approvals: Iterable[Approved], limits: Thresholds, now_ns: int) -> list[Fired]:
    """Those who prepared at least so many releases in 30 days and had nearly all approved by the same person, although
    others approve as well."""
    recent = [one for one in approvals if now_ns - PAIR_WINDOW_NS <= one.at_ns <= now_ns]
    if len({one.approver for one in recent}) < APPROVERS_MIN:
        return []
    pairs = Counter((one.preparer, one.approver) for one in recent)
    prepared = Counter(one.preparer for one in recent)
    return [
        Fired(Rule.SAME_PAIR, (preparer, approver), count, -1, now_ns)
        for (preparer, approver), count in sorted(pairs.items())
        if count >= limits.pair_releases and 100 * count >= limits.pair_percent * prepared[preparer]
    ]
