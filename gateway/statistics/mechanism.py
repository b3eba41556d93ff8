"""The noise itself. The only importer of OpenDP, whose exact samplers draw from the system and cannot be seeded.

No part of OpenDP's front ends is used: it gets whole numbers and gives whole numbers. It never sees a query.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import Any, Final

import opendp.prelude as dp

from gateway.errors import VerificationFailed
from gateway.statistics.bounding import Bounded
from gateway.statistics.noise import DELTA, MICRO, Kind, Noise, epsilon_for
from gateway.statistics.plan import Plan

dp.enable_features("contrib")

VERSION: Final = version("opendp")
CELL_MAX: Final = 1 << 53
"""Counts are brought within +-this, so that noise never meets the end of 64 bits."""

_TOLERANCE: Final = Fraction(1, 10**9)


@dataclass(frozen=True, slots=True)
class Noisy:
    """What may leave: a number a cell, and the estimate of the pieces that were lost. Negatives are as they fell."""

    values: tuple[int, ...]
    lost: int


def verify(plan: Plan) -> None:
    """Hold our closed formulas against OpenDP's `map()` and its conversion to (epsilon, delta).

    Raises:
        VerificationFailed: they differ by more than rounding, or ours is the smaller. Nothing is drawn.
    """
    _compare(plan.noise, plan.spec.l1, plan.spec.l2_squared)
    _compare(plan.loss_noise, plan.spec.loss_max, plan.spec.loss_max**2)
    ours = epsilon_for(plan.micro_rho)
    theirs = converted(plan.micro_rho)
    if abs(theirs - ours) > max(2, ours // 1000):
        raise VerificationFailed("noise", "the conversion to epsilon differs from the noise library's")


def converted(micro_rho: int, delta: Fraction = DELTA) -> int:
    """OpenDP's own micro-epsilon of a zCDP loss at delta, rounded up: what is shown beside a balance."""
    if micro_rho == 0:
        return 0
    scale = math.sqrt(MICRO / (2 * micro_rho))
    measurement: Any = dp.c.make_zCDP_to_approxDP(_measurement(Kind.GAUSSIAN, scale))
    return math.ceil(float(measurement.map(1.0).epsilon(float(delta))) * MICRO)


def draw(plan: Plan, bounded: Bounded) -> Noisy:
    """Add the plan's noise, once, to every cell and to the loss. The charge must be durable before this is called.

    Raises:
        VerificationFailed: see `verify`.
        ValueError: another number of cells than the plan's.
    """
    if len(bounded.counts) != plan.domain.size:
        raise ValueError("another number of cells than the domain's")
    verify(plan)
    return Noisy(tuple(noised(plan.noise, bounded.counts)), noised(plan.loss_noise, (bounded.lost,))[0])


def noised(noise: Noise, counts: Sequence[int]) -> list[int]:
    """Each count with noise of its own, in one vector."""
    held = [max(-CELL_MAX, min(CELL_MAX, count)) for count in counts]
    drawn: list[int] = _measurement(noise.kind, _exact(noise.scale))(held)
    return drawn


def _compare(noise: Noise, l1: int, l2_squared: int) -> None:
    measurement = _measurement(noise.kind, _exact(noise.scale))
    if noise.kind is Kind.LAPLACE:
        theirs, ours = Fraction(measurement.map(l1)), l1 / noise.scale
    else:
        theirs, ours = Fraction(measurement.map(math.sqrt(l2_squared))), Fraction(l2_squared, 2) / noise.scale**2
    if abs(theirs - ours) > ours * _TOLERANCE:
        raise VerificationFailed("noise", "the noise library computes another loss than we do")


def _exact(scale: Fraction) -> float:
    exact = float(scale)
    if Fraction(exact) != scale:
        raise VerificationFailed("noise", "the scale is not exact in binary")
    return exact


def _measurement(kind: Kind, scale: float) -> Any:
    domain = dp.vector_domain(dp.atom_domain(T=dp.i64))
    if kind is Kind.LAPLACE:
        return dp.m.make_laplace(domain, dp.l1_distance(T=dp.i64), scale=scale)
    return dp.m.make_gaussian(domain, dp.l2_distance(T=float), scale=scale)
