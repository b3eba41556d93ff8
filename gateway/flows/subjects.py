"""Which purposes one agency has used for one subject within a day (T16). In memory only, under a key of this start.

A register of who was asked about is what the log must not be (T11), so nothing here is written anywhere: a restart
forgets it. Each process of a node remembers what it asked itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from gateway.policy import catalogue
from gateway.terms.ids import AgencyId, Purpose

DAY_NS: Final = 24 * 3600 * 10**9
KEPT_MAX: Final = 200_000
"""Subjects' keys remembered; the oldest are forgotten first."""


class Subjects:
    """`key`: 32 random bytes of this start."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seen: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def changed(self, agency: AgencyId, purpose: Purpose, inputs: Iterable[bytes], now_ns: int) -> bool:
        """True where the agency asked about one of these match keys' subject for another end within 24 h."""
        end = catalogue.end_of(purpose)
        return any(
            (held := self._seen.get(self._place(agency, one))) is not None
            and held[0] != end
            and now_ns < held[1] + DAY_NS
            for one in inputs
        )

    def remember(self, agency: AgencyId, purpose: Purpose, inputs: Iterable[bytes], now_ns: int) -> None:
        """The agency asks about these subjects now."""
        for one in inputs:
            place = self._place(agency, one)
            self._seen[place] = (catalogue.end_of(purpose), now_ns)
            self._seen.move_to_end(place)
        while self._seen and (len(self._seen) > KEPT_MAX or next(iter(self._seen.values()))[1] + DAY_NS <= now_ns):
            self._seen.popitem(last=False)

    def _place(self, agency: AgencyId, one: bytes) -> bytes:
        return hmac.new(self._key, agency.encode() + b"\0" + one, hashlib.sha256).digest()[:16]
