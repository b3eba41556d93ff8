"""A hit's ticket: what opens its case at the owner, once, within a day (T12; docs/protocol/matching.md, hit token).

It shows that the asker evaluated a listed key in a request that both logs hold: the request's exact bytes, the slot and
its blind, so that the owner makes r * H(x) again and compares, and the token, which only a true output gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

from gateway.errors import Malformed
from gateway.primitives import cbor

LIFE_NS: Final = 24 * 3600 * 10**9
TICKET_BYTES_MAX: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Ticket:
    """`leg_id` is the check's request id (16 bytes), `request` its exact body of batch `batch`, `handle` the entry's
    name in the label, `tag` its place in the table, `slot` and `blind` the key's place in the batch."""

    leg_id: bytes = field(repr=False)
    batch: int
    request: bytes = field(repr=False)
    request_hash: bytes = field(repr=False)
    slot: int = field(repr=False)
    blind: bytes = field(repr=False)
    tag: bytes = field(repr=False)
    token: bytes = field(repr=False)
    handle: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode({place.name: getattr(self, place.name) for place in fields(self)})

    @classmethod
    def decode(cls, data: bytes) -> Ticket:
        """Read canonical bytes. Raises Malformed."""
        table = cbor.decode(data, field="ticket", limit=TICKET_BYTES_MAX)
        if not isinstance(table, dict) or table.keys() != {place.name for place in fields(cls)}:
            raise Malformed("ticket", "has other fields")
        return cls(**table)
