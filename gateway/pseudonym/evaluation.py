"""What the match keys find and what they find wrongly, measured on files whose truth is known.

Nothing is encrypted here: keys are compared as they are, which is what the oblivious hashing computes without showing
them. Read at home only, on data that may be read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.people.person import Document, Person
from gateway.pseudonym.matchkeys import for_asking
from gateway.terms.words import KeyType

Z_95: Final = 1.959963984540054
"""The normal distribution's quantile of an interval of 95 %."""

Whom = tuple[str, Person | None, tuple[Document, ...]]
"""A name for the record, and whom it is about."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole with its interval of 95 % (Wilson's score, 1927; it holds for small counts too)."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """The share; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end; all of it where nothing was counted."""
        if not self.whole:
            return 0.0, 1.0
        n, p, z2 = self.whole, self.value, Z_95**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Measured:
    """One set of key types over all pairs of a traveller and an entry.

    `recall`: true pairs that were found. `precision`: found pairs that are true. `false_rate`: pairs of different
    persons that were found.
    """

    key_types: tuple[KeyType, ...]
    recall: Share
    precision: Share
    false_rate: Share


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The whole: each key type alone, then all together. `keys` and `keys_max`: in all, and of one traveller."""

    travellers: int
    entries: int
    keys: int
    keys_max: int
    alone: tuple[Measured, ...]
    together: Measured


def measure(
    travellers: Iterable[Whom],
    entries: Iterable[Whom],
    truth: Collection[tuple[str, str]],
    key_types: Collection[KeyType],
) -> Evaluation:
    """Meet every traveller with every entry by their keys. `truth`: (traveller, entry) of one and the same person."""
    types = frozenset(key_types)
    index: Mapping[bytes, set[str]] = defaultdict(set)
    listed = 0
    for name, person, documents in entries:
        listed += 1
        for key in for_asking(person, documents, types):
            index[key.input.open()].add(name)
    found: dict[tuple[str, str], set[KeyType]] = defaultdict(set)
    asked = keys = keys_max = 0
    for name, person, documents in travellers:
        made = for_asking(person, documents, types)
        asked, keys, keys_max = asked + 1, keys + len(made), max(keys_max, len(made))
        for key in made:
            for entry in index.get(key.input.open(), ()):
                found[name, entry].add(key.key_type)
    true = frozenset(truth)
    others = asked * listed - len(true)

    def of(chosen: frozenset[KeyType]) -> Measured:
        pairs = {pair for pair, by in found.items() if by & chosen}
        right = len(pairs & true)
        wrong = len(pairs) - right
        return Measured(tuple(sorted(chosen)), Share(right, len(true)), Share(right, len(pairs)), Share(wrong, others))

    return Evaluation(asked, listed, keys, keys_max, tuple(of(frozenset({one})) for one in sorted(types)), of(types))
