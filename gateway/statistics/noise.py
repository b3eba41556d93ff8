"""Which noise, how wide and at what cost, in exact numbers. Touches no data and draws nothing.

Losses are integers: micro-epsilon asked for, micro-rho charged (zCDP), always rounded against us. A release without
delta enters the ledger as rho = epsilon^2 / 2. The noise library's own `map()` must say the same (`mechanism.verify`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from gateway.errors import InputRefused
from gateway.statistics.bounding import BoundingSpec

MICRO: Final = 1_000_000
DELTA: Final = Fraction(1, 10**8)
"""Chance of which (epsilon, delta) speaks."""

EPSILON_MICRO_MIN: Final = 10_000
EPSILON_MICRO_MAX: Final = 10 * MICRO
GAUSSIAN_RELEASES: Final = 5
GAUSSIAN_L0: Final = 18
"""From so many releases in the period, or cells a person, Gaussian noise is the smaller for equal privacy."""

_GRID: Final = 1 << 10
"""Scales are multiples of 1/1024, so that they are exact in the noise library's binary numbers."""


class Kind(StrEnum):
    """Exact samplers over the integers."""

    LAPLACE = "discrete_laplace"
    GAUSSIAN = "discrete_gaussian"


@dataclass(frozen=True, slots=True)
class Noise:
    """One mechanism on integers: b of exp(-|x|/b), or sigma of exp(-x^2 / 2 sigma^2)."""

    kind: Kind
    scale: Fraction

    def epsilon_micro(self, l1: int) -> int | None:
        """Pure loss for a sensitivity, rounded up; None for Gaussian noise, which has none."""
        return math.ceil(l1 * MICRO / self.scale) if self.kind is Kind.LAPLACE else None

    def micro_rho(self, l1: int, l2_squared: int) -> int:
        """zCDP loss, rounded up."""
        if self.kind is Kind.LAPLACE:
            return math.ceil((l1 / self.scale) ** 2 / 2 * MICRO)
        return math.ceil(Fraction(l2_squared * MICRO, 2) / self.scale**2)

    @property
    def sd_micro(self) -> int:
        """Standard deviation, in millionths, rounded to the nearest."""
        scale = float(self.scale)
        if self.kind is Kind.GAUSSIAN:
            # The discrete Gaussian's is never larger, and within a millionth of it from sigma 0.8 on.
            return round(scale * MICRO)
        alpha = math.exp(-1 / scale)
        return round(math.sqrt(2 * alpha) / (1 - alpha) * MICRO)

    def half_width(self, level: Fraction = Fraction(95, 100)) -> int:
        """Smallest w such that the noise is within +-w with at least this probability."""
        scale, outside = float(self.scale), 1 - float(level)
        if self.kind is Kind.LAPLACE:
            alpha = math.exp(-1 / scale)
            width = max(0, math.ceil(math.log(outside * (1 + alpha) / 2) / math.log(alpha) - 1 - 1e-12))
            return width
        reach = math.ceil(12 * scale) + 2
        weights = [math.exp(-(x * x) / (2 * scale * scale)) for x in range(reach)]
        whole = 2 * math.fsum(weights) - 1
        inside = weights[0]
        for width in range(1, reach + 1):
            if inside >= (1 - outside) * whole:
                return width - 1
            inside += 2 * weights[width] if width < reach else 0
        return reach


def judge_epsilon(epsilon_micro: int) -> None:
    """Raises InputRefused outside [0.01, 10]."""
    if not EPSILON_MICRO_MIN <= epsilon_micro <= EPSILON_MICRO_MAX:
        raise InputRefused("epsilon is from 0.01 to 10", field="epsilon", code="EPSILON")


def choose(spec: BoundingSpec, epsilon_micro: int, planned_releases: int) -> Noise:
    """The mechanism for a loss of at most `epsilon_micro` (with Gaussian noise: at `DELTA`)."""
    judge_epsilon(epsilon_micro)
    if planned_releases < GAUSSIAN_RELEASES and spec.l0 < GAUSSIAN_L0:
        return laplace(spec.l1, epsilon_micro)
    rho = rho_for(epsilon_micro)
    variance = spec.l2_squared * MICRO / (2 * rho)
    scale = Fraction(math.ceil(math.sqrt(variance) * _GRID), _GRID)
    return Noise(Kind.GAUSSIAN, scale)


def laplace(l1: int, epsilon_micro: int) -> Noise:
    """Discrete Laplace noise of pure loss at most `epsilon_micro` for a sensitivity."""
    return Noise(Kind.LAPLACE, Fraction(math.ceil(Fraction(l1 * MICRO, epsilon_micro) * _GRID), _GRID))


def epsilon_for(micro_rho: int, delta: Fraction = DELTA) -> int:
    """Micro-epsilon of a zCDP loss at delta, rounded up (Canonne, Kamath, Steinke 2020, proposition 12)."""
    if micro_rho == 0:
        return 0
    rho, log_delta = micro_rho / MICRO, math.log(delta)

    def loss(order: float) -> float:
        above = order - 1
        return order * rho + (above * math.log1p(-1 / order) - math.log(order) - log_delta) / above

    low, high = math.log(1e-6), math.log(1e7)
    for _ in range(200):  # the loss is unimodal in log(order - 1)
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if loss(1 + math.exp(left)) < loss(1 + math.exp(right)):
            high = right
        else:
            low = left
    return math.ceil(max(0.0, loss(1 + math.exp(low))) * MICRO)


def rho_for(epsilon_micro: int, delta: Fraction = DELTA) -> int:
    """Largest micro-rho whose micro-epsilon at delta is at most this.

    Raises:
        InputRefused: not even one micro-rho is within it.
    """
    low, high = 0, 100 * MICRO
    while low < high:
        middle = (low + high + 1) // 2
        if epsilon_for(middle, delta) <= epsilon_micro:
            low = middle
        else:
            high = middle - 1
    if low == 0:
        raise InputRefused("epsilon is too small for Gaussian noise", field="epsilon", code="EPSILON")
    return low
