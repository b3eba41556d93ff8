"""Repeatable draws: the same bytes on every machine and every release of Python.

`random.Random` keeps its promise for `random()` only, so the region draws from SHAKE-128 over a label instead. Each row
has a stream of its own, named by seed, state and number: a larger region begins with the smaller one's rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_DRAW_BYTES: Final = 4
_FIRST_BYTES: Final = 256


class Draws:
    """One stream. Not for secrets: whoever knows the label knows every draw."""

    def __init__(self, *label: str | int) -> None:
        self._source = hashlib.shake_128("/".join(str(part) for part in label).encode())
        self._stream = self._source.digest(_FIRST_BYTES)
        self._at = 0

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound - 1`, even to within 1 in 2^32 / bound."""
        if self._at + _DRAW_BYTES > len(self._stream):
            self._stream = self._source.digest(2 * len(self._stream))
        word = int.from_bytes(self._stream[self._at : self._at + _DRAW_BYTES], "big")
        self._at += _DRAW_BYTES
        return word * bound >> 32

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def percent(self, chance: float) -> bool:
        """True in `chance` of a hundred."""
        return self.below(10_000) < chance * 100

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def weighted(self, choices: Sequence[tuple[T, int]]) -> T:
        """One of them, as often as its weight says."""
        place = self.below(sum(weight for _, weight in choices))
        for choice, weight in choices:
            place -= weight
            if place < 0:
                return choice
        raise AssertionError("weights are positive")
