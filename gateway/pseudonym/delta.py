"""A delta: what changed in a table since its manifest, for lists whose changes do not wait for the tick (T10).

Always 64 rows of 64 bytes. A row is an entry entered, altered or withdrawn, or noise; without the owner's evaluation of
the right key nobody can tell which (docs/protocol/matching.md, deltas).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from gateway.errors import VerificationFailed
from gateway.primitives import aead
from gateway.primitives.lp import lp
from gateway.pseudonym import schedule
from gateway.pseudonym.label import LABEL_BYTES, Label
from gateway.pseudonym.schedule import TAG_BYTES, version_bytes
from gateway.pseudonym.table import ENTRY_BYTES

ROWS: Final = 64
DELTA_BYTES: Final = ROWS * ENTRY_BYTES
ID_BYTES: Final = 16

WITHDRAWN: Final = bytes(LABEL_BYTES)
"""What a row holds whose key stands on the list no more. No label has these bytes: a kind is not zero."""

UNREADABLE: Final = b""
"""What `newest` gives for a row that a key meets and does not open."""

Told = tuple[int, bytes, bytes]
"""A delta as plain values: its number, its id, its rows."""


def seal_row(y: bytes, delta_id: bytes, number: int, label: Label | None) -> bytes:
    """The 64 bytes that say `label` of the key whose output is `y`, or that it was withdrawn (None)."""
    tag, key = schedule.delta_row(y, number)
    plain = WITHDRAWN if label is None else label.encode()
    return tag + aead.seal(key, _nonce(delta_id), _aad(delta_id, number, tag), plain)


def build(rows: Sequence[bytes], filler_seed: bytes) -> bytes:
    """The 4,096 bytes of a delta: `rows` of `seal_row` and noise, in the order of their bytes.

    `filler_seed` has 32 secret bytes, forgotten afterwards; the noise is SHAKE-256(lp("psi/1 filler", seed)).

    Raises:
        ValueError: too many rows, or one of another size.
    """
    if len(rows) > ROWS or len(filler_seed) != 32 or any(len(row) != ENTRY_BYTES for row in rows):
        raise ValueError("a delta has at most 64 rows of 64 bytes, and a filler seed 32 bytes")
    noise = hashlib.shake_256(lp("psi/1 filler", filler_seed)).digest((ROWS - len(rows)) * ENTRY_BYTES)
    fillers = [noise[at : at + ENTRY_BYTES] for at in range(0, len(noise), ENTRY_BYTES)]
    return b"".join(sorted([*rows, *fillers]))


def newest(outputs: Sequence[bytes], deltas: Sequence[Told]) -> list[bytes | None]:
    """For each output what the newest of the deltas (in their order) that knows it says: a label's 32 bytes,
    `WITHDRAWN`, `UNREADABLE`, or None where none does. Plain values, to run in a worker process."""
    return [next((found for one in reversed(deltas) if (found := _find(y, *one)) is not None), None) for y in outputs]


def _find(y: bytes, number: int, delta_id: bytes, rows: bytes) -> bytes | None:
    tag, key = schedule.delta_row(y, number)
    at = rows.find(tag)
    while at % ENTRY_BYTES and at >= 0:
        at = rows.find(tag, at + 1)
    if at < 0:
        return None
    try:
        return aead.open_(key, _nonce(delta_id), _aad(delta_id, number, tag), rows[at + TAG_BYTES : at + ENTRY_BYTES])
    except VerificationFailed:
        return UNREADABLE


def _nonce(delta_id: bytes) -> bytes:
    if len(delta_id) != ID_BYTES:
        raise ValueError("a delta's id has 16 bytes")
    return delta_id[: aead.NONCE_BYTES]


def _aad(delta_id: bytes, number: int, tag: bytes) -> bytes:
    return delta_id + version_bytes(number) + tag
