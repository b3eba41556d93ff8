"""Keys that payloads at rest are under, so that destroying a few bytes destroys every copy of what they closed.

Each entry's payload is encrypted under a record key of its own, which follows from the key of its (retention class,
period). That key is a tree with 16 children a node (Goldreich, Goldwasser and Micali's construction) over the numbers
of entries, so that record keys can be destroyed one by one or by ranges: the nodes above them are replaced by those
that are left beside the way to them, and nothing that is left gives what was destroyed.

    child      = HMAC-SHA-256(node, its place among the 16, one byte)
    record key = the node at level 10 whose index is the entry's number
    stored     = ChaCha20-Poly1305(record key, nonce 0, "limen.payload/1", payload)

The payload itself stays sealed to its readers inside. A record key closes one payload, so the nonce may be zero.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from gateway.audit.kinds import DAY_NS, RETENTION_NS
from gateway.audit.seal import mac, pads
from gateway.errors import Malformed
from gateway.primitives import aead

SCHEMA: Final = b"limen.period/1\n"

LEVELS: Final = 10
WIDTH: Final = 16
RECORDS_MAX: Final = WIDTH**LEVELS
"""Entries that a tree reaches: 2^40."""

PERIOD_NS: Final = {
    name: DAY_NS // 24 if term <= DAY_NS else DAY_NS if term <= 30 * DAY_NS else 30 * DAY_NS
    for name, term in RETENTION_NS.items()
}
"""How long one key of a class takes new payloads, ns: an hour, a day, or 30 days, by the class's term."""

_AAD: Final = b"limen.payload/1"
_NONCE: Final = bytes(12)
_NODE_BYTES: Final = 1 + 5 + 32


def period_of(retention: str, time_ns: int) -> int:
    """The start of the period that an entry of this class and time is in, UTC ns."""
    return time_ns - time_ns % PERIOD_NS[retention]


class Gone(Exception):
    """The record's key was destroyed."""


class PeriodKey:
    """The key of one class and period, as far as it was not destroyed. `nodes` never cover one another."""

    __slots__ = ("_nodes", "_pads", "_parent")

    def __init__(self, nodes: dict[tuple[int, int], bytes]) -> None:
        self._nodes = nodes
        self._parent = -1
        self._pads = (b"", b"")

    @classmethod
    def fresh(cls, seed: bytes) -> PeriodKey:
        """A whole one. `seed` is 32 fresh random bytes."""
        if len(seed) != aead.KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        return cls({(0, 0): seed})

    @property
    def is_empty(self) -> bool:
        """True when nothing is left."""
        return not self._nodes

    def close(self, seq: int, payload: bytes) -> bytes:
        """The payload as it is stored, 16 bytes longer. Raises Gone."""
        return aead.seal(self._record_key(seq), _NONCE, _AAD, payload)

    def open(self, seq: int, stored: bytes) -> bytes:
        """The payload. Raises Gone, or VerificationFailed where these are not the bytes that were stored."""
        return aead.open_(self._record_key(seq), _NONCE, _AAD, stored)

    def has(self, seq: int) -> bool:
        """Whether the record's key is left."""
        try:
            self._record_key(seq)
        except Gone:
            return False
        return True

    def _record_key(self, seq: int) -> bytes:
        if not 0 <= seq < RECORDS_MAX:
            raise ValueError("the number of an entry has 40 bits")
        parent = seq // WIDTH
        if parent != self._parent:
            held = self._nodes.get((LEVELS, seq))
            if held is not None:
                return held
            # Entries come in order: 16 in turn have one parent.
            self._pads, self._parent = pads(self._node(LEVELS - 1, parent)), parent
        return mac(self._pads, bytes((seq % WIDTH,)))

    def _node(self, level: int, index: int) -> bytes:
        at, place = level, index
        while (at, place) not in self._nodes:
            if at == 0:
                raise Gone("the record's key was destroyed")
            at, place = at - 1, place // WIDTH
        node = self._nodes[(at, place)]
        while at < level:
            at += 1
            node = mac(pads(node), bytes((index // WIDTH ** (level - at) % WIDTH,)))
        return node

    def forget(self, first: int, last: int, keep: Sequence[int] = ()) -> PeriodKey:
        """What is left without the record keys `first` to `last`, except those of `keep`, which is in order."""
        left: dict[tuple[int, int], bytes] = {}
        waiting = list(self._nodes.items())
        while waiting:
            (level, index), node = waiting.pop()
            span = WIDTH ** (LEVELS - level)
            start = index * span
            stop = start + span
            if stop <= first or start > last:
                left[(level, index)] = node
                continue
            held = bisect_left(keep, start)
            kept = held < len(keep) and keep[held] < stop
            if level == LEVELS:
                if kept:
                    left[(level, index)] = node
            elif kept or start < first or stop > last + 1:
                node_pads = pads(node)
                waiting += (
                    ((level + 1, index * WIDTH + place), mac(node_pads, bytes((place,)))) for place in range(WIDTH)
                )
        return PeriodKey(left)

    def encode(self) -> bytes:
        """The file form: a line that names it, then of each node its level, index and key."""
        return SCHEMA + b"".join(
            bytes((level,)) + index.to_bytes(5, "big") + node for (level, index), node in sorted(self._nodes.items())
        )

    @classmethod
    def decode(cls, data: bytes) -> PeriodKey:
        """Read it back. Raises Malformed."""
        body = data.removeprefix(SCHEMA)
        if len(body) == len(data) or len(body) % _NODE_BYTES:
            raise Malformed("period key", "not a period's key of a known form")
        nodes: dict[tuple[int, int], bytes] = {}
        stop = 0
        for at in range(0, len(body), _NODE_BYTES):
            level, index = body[at], int.from_bytes(body[at + 1 : at + 6], "big")
            if level > LEVELS or index >= WIDTH**level:
                raise Malformed("period key", "a node is out of its place")
            nodes[(level, index)] = body[at + 6 : at + _NODE_BYTES]
        for level, index in sorted(nodes, key=lambda place: place[1] * WIDTH ** (LEVELS - place[0])):
            span = WIDTH ** (LEVELS - level)
            if index * span < stop:
                raise Malformed("period key", "a node covers another one")
            stop = (index + 1) * span
        return cls(nodes)
