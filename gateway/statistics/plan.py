"""What a release would cost and how good it would be. Free: made from the question and the declared domain alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from gateway.statistics.bounding import BoundingSpec
from gateway.statistics.catalogue import Query
from gateway.statistics.domain import KeyDomain
from gateway.statistics.noise import DELTA, MICRO, Kind, Noise, choose, epsilon_for, laplace

LOSS_SHARE: Final = Fraction(1, 5)
"""The estimate of what bounding lost gets this part of the query's epsilon, on top of it."""

COLLISION_DELTA: Final = Fraction(1, 1 << 38)
"""Chance that one of at most 2^26 other units shares a unit's 64-bit pseudonym; its effect could then be double."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a release but the data: the request, the document and the charge are made from it."""

    query: Query
    domain: KeyDomain
    spec: BoundingSpec
    noise: Noise
    loss_noise: Noise
    micro_rho: int
    """What is charged: the cells and the estimate of the loss."""
    epsilon_micro: int
    delta: Fraction
    """(epsilon, delta) of this release alone."""
    threshold: int
    """Cells under it are marked where the query says `suppress`; 0 otherwise."""

    @property
    def half_width(self) -> int:
        """95 % of the noise of a cell is within +-this."""
        return self.noise.half_width()

    def facts(self) -> dict[str, Any]:
        """For people and for the wire: integers, text and pairs of integers."""
        return {
            "query": self.query.facts(), "query_digest": self.query.digest, "domain_digest": self.domain.digest,
            "cells": self.domain.size, "bound": self.spec.facts(), "mechanism": self.noise.kind,
            "scale": _pair(self.noise.scale), "cost_micro_rho": self.micro_rho, "epsilon_micro": self.epsilon_micro,
            "delta": _pair(self.delta), "sd_micro": self.noise.sd_micro, "half_width_95": self.half_width,
            "threshold": self.threshold, "loss_scale": _pair(self.loss_noise.scale),
            "loss_half_width_95": self.loss_noise.half_width(),
        }  # fmt: skip


def plan(query: Query, domain: KeyDomain, planned_releases: int = 1, *, by_person: bool = True) -> Plan:
    """The plan of a query over `query.domain(...)`, where the period's plan has so many releases.

    Raises:
        InputRefused: epsilon is too small for the mechanism.
    """
    spec = query.spec(by_person=by_person)
    noise = choose(spec, query.epsilon_micro, planned_releases)
    loss_noise = laplace(spec.loss_max, math.ceil(query.epsilon_micro * LOSS_SHARE))
    loss = loss_noise.micro_rho(spec.loss_max, spec.loss_max**2)
    rho = noise.micro_rho(spec.l1, spec.l2_squared) + loss
    if noise.kind is Kind.LAPLACE:
        # Two pure losses add; as rho they would show more.
        epsilon = (noise.epsilon_micro(spec.l1) or 0) + (loss_noise.epsilon_micro(spec.loss_max) or 0)
        delta = COLLISION_DELTA
    else:
        epsilon, delta = epsilon_for(rho, DELTA - COLLISION_DELTA), DELTA
    threshold = 0
    if query.suppress:
        threshold = math.ceil(spec.l1 * math.log(max(2, domain.size)) * MICRO / query.epsilon_micro)
    return Plan(query, domain, spec, noise, loss_noise, rho, epsilon, delta, threshold)


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]
