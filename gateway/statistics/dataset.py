"""A data set as its owner declares it, before anybody asks: the cells, what may be spent, and whose share is how large.

The declaration is signed by two persons together with the events and stands in the log by its digest. It holds nothing
of the data: values come from public lists.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import InputRefused, Malformed
from gateway.primitives import cbor
from gateway.statistics import domain as domains
from gateway.statistics.bounding import Unit
from gateway.statistics.budget import Account, AccountKey, Share
from gateway.statistics.catalogue import DATASET_NAME, MONTH
from gateway.statistics.domain import Dimension, KeyDomain
from gateway.terms.ids import PeerId

SCHEMA: Final = "limen.dataset/1"
BYTES_MAX: Final = 1 << 18
RELEASES_MAX: Final = 10_000
MICRO_RHO_MAX: Final = 10**9
NAMES: Final = ("month", "route", "nationality", "protection")
"""What a row of events has."""

PERIODS: Final = ("month", "year")
"""Whose presence an account is about: a unit's in one month, or in a whole year."""

_STATE = re.compile(r"[A-Z]{3}\Z")


@dataclass(frozen=True, slots=True)
class Declaration:
    """`caps` in micro-rho by `PERIODS`: what all recipients together may cause for each single month, each single year.
    A period without a cap cannot be asked about. `shares` in micro-rho: what one peer may cause inside each account; a
    peer without one gets nothing that was not made before.

    Raises:
        InputRefused: a name, a value or a number is not one.
    """

    name: str
    dimensions: tuple[Dimension, ...]
    caps: Mapping[str, int]
    shares: Mapping[PeerId, int] = field(default_factory=dict)
    planned_releases: int = 1

    def __post_init__(self) -> None:
        if not DATASET_NAME.match(self.name):
            raise InputRefused("is letters, digits and _.-", field="name", code="DATASET")
        KeyDomain(self.dimensions)
        names = [one.name for one in self.dimensions]
        if names != [name for name in NAMES if name in names] or names[:1] != ["month"]:
            raise InputRefused("declare month, and then some of " + ", ".join(NAMES[1:]) + ", in this order",
                               field="dimensions", code="DIMENSIONS")  # fmt: skip
        if not all(MONTH.match(month) for month in self.dimensions[0].values):
            raise InputRefused("write months as 2023-08", field="month", code="PERIOD")
        if not self.caps or not self.caps.keys() <= set(PERIODS):
            raise InputRefused("write a cap for month, for year or for both", field="caps", code="CAP")
        for where, numbers in (("caps", self.caps), ("shares", self.shares)):
            if not all(0 < number <= MICRO_RHO_MAX for number in numbers.values()):
                raise InputRefused(f"is from 1 to {MICRO_RHO_MAX} micro-rho", field=where, code="CAP")
        if not all(_STATE.match(peer) for peer in self.shares):
            raise InputRefused("write a state's three letters", field="shares", code="SHARE")
        if not 1 <= self.planned_releases <= RELEASES_MAX:
            raise InputRefused(f"is from 1 to {RELEASES_MAX}", field="planned_releases", code="RELEASES")

    @property
    def declared(self) -> Mapping[str, Dimension]:
        """The dimensions by name, as `Query.domain` takes them."""
        return {one.name: one for one in self.dimensions}

    def account(self, unit: Unit, period: str, spent: int = 0) -> Account:
        """The account of a unit and a period.

        Raises:
            InputRefused: there is no cap for it, so nothing may be asked.
        """
        cap = self.caps.get("month" if unit.is_monthly else "year")
        if cap is None:
            raise InputRefused("the data set's owner allows no release of this length", field="period", code="NO_CAP")
        return Account(AccountKey(self.name, unit, period), max(cap, spent), spent)

    def share(self, peer: PeerId, spent: int = 0) -> Share:
        """What a peer may still cause in an account in which it has caused `spent`."""
        return Share(peer, self.shares.get(peer, 0), spent)

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode(
            {
                "schema": SCHEMA,
                "name": self.name,
                "dimensions": KeyDomain(self.dimensions).facts(),
                "caps": dict(self.caps),
                "shares": {str(peer): number for peer, number in self.shares.items()},
                "planned_releases": self.planned_releases,
            }
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()


_FIELDS: Final = frozenset({"schema", "name", "dimensions", "caps", "shares", "planned_releases"})


def decode(data: bytes) -> Declaration:
    """Read a declaration from its canonical bytes. Raises Malformed."""
    facts = cbor.decode(data, field="dataset", limit=BYTES_MAX)
    if not isinstance(facts, dict) or facts.keys() != _FIELDS or facts["schema"] != SCHEMA:
        raise Malformed("dataset", "is not a declaration of this version")
    if type(facts["name"]) is not str or type(facts["planned_releases"]) is not int:
        raise Malformed("dataset", "has another type")
    try:
        return Declaration(
            name=facts["name"],
            dimensions=domains.read(facts["dimensions"]).dimensions,
            caps=_numbers(facts["caps"], "caps"),
            shares={PeerId(peer): number for peer, number in _numbers(facts["shares"], "shares").items()},
            planned_releases=facts["planned_releases"],
        )
    except InputRefused as refusal:
        raise Malformed(f"dataset.{refusal.field or 'domain'}", refusal.why) from None


def _numbers(value: Any, where: str) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(name) is str and type(one) is int for name, one in value.items()):
        raise Malformed(f"dataset.{where}", "has another type")
    return dict(value)
