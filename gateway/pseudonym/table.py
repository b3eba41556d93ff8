"""A published table: sorted entries of 16-byte tags and sealed labels, padded with noise (docs/protocol/matching.md).

Without the owner's evaluation of the right key an entry, and whether it is an entry or a filler, cannot be told from
random bytes.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Iterable
from typing import Final, final

from gateway.errors import VerificationFailed
from gateway.primitives.lp import lp
from gateway.pseudonym.label import SEALED_BYTES
from gateway.pseudonym.schedule import TAG_BYTES

ENTRY_BYTES: Final = TAG_BYTES + SEALED_BYTES
HEADER_BYTES: Final = 64
TABLE_ID_BYTES: Final = 16

COUNT_MIN: Final = 1024
"""Smallest table, entries: 64 KiB."""

COUNT_MAX: Final = 1 << 28
"""Largest table, entries."""

_MAGIC: Final = b"limen table 1\n\0\0"
_HEADER: Final = struct.Struct(">16sQQ16s16x")
"""magic, version, count, table id, 16 zeros."""

Bytes = bytes | memoryview | mmap.mmap


def padded_count(entries: int) -> int:
    """How many entries a table shows that must hold so many: few sizes, at most 1/16 above, 1/32 from 65,536 on.

    Rounded up in its leading bits only (Padme: Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and
    Communication with PURBs", 2019, section 4), so that a size tells of the list what its order of magnitude does.
    """
    if entries > COUNT_MAX:
        raise ValueError("a table has at most 2^28 entries")
    if entries <= COUNT_MIN:
        return COUNT_MIN
    exponent = entries.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-entries // step) * step


def build(
    entries: Iterable[tuple[bytes, bytes]],
    *,
    table_id: bytes,
    version: int,
    padded_count: int,
    filler_seed: bytes,
) -> bytes:
    """The file of a table: header, then (tag, sealed label) sorted by tag, fillers among them.

    `table_id` is 16 random bytes, fresh for each build; `filler_seed` 32 secret ones, forgotten afterwards: the fillers
    are SHAKE-256(lp("psi/1 filler", seed)) in pieces of 64 bytes.

    Raises:
        ValueError: a size is wrong, a tag comes twice (one (key, nonce) would seal two labels), or there are more
            entries than `padded_count`.
    """
    if len(table_id) != TABLE_ID_BYTES or len(filler_seed) != 32:
        raise ValueError("a table id has 16 bytes and a filler seed 32")
    if not 0 < version < 1 << 64 or not 0 < padded_count <= COUNT_MAX:
        raise ValueError("version or count out of range")
    rows = []
    for tag, sealed in entries:
        if len(tag) != TAG_BYTES or len(sealed) != SEALED_BYTES:
            raise ValueError("an entry is a tag of 16 bytes and a sealed label of 48")
        rows.append(tag + sealed)
    if len(rows) > padded_count:
        raise ValueError("more entries than the padded count")
    missing = padded_count - len(rows)
    noise = hashlib.shake_256(lp("psi/1 filler", filler_seed)).digest(missing * ENTRY_BYTES)
    rows.extend(noise[at : at + ENTRY_BYTES] for at in range(0, len(noise), ENTRY_BYTES))
    # Fillers are told apart from entries by nobody, us included; one of them meets a tag once in 2^88 large tables.
    if len({row[:TAG_BYTES] for row in rows}) != padded_count:
        raise ValueError("a tag stands in the table twice")
    rows.sort()
    return _HEADER.pack(_MAGIC, version, padded_count, table_id) + b"".join(rows)


def chunk_hashes(table: bytes, chunk_bytes: int) -> tuple[bytes, ...]:
    """SHA-256 of each chunk; the last may be shorter."""
    if chunk_bytes < 1:
        raise ValueError("a chunk has at least one byte")
    return tuple(
        hashlib.sha256(table[start : start + chunk_bytes]).digest() for start in range(0, len(table), chunk_bytes)
    )


@final
class TableView:
    """A table to look things up in: bytes, a memory map, or a view of either. It is not copied.

    Raises:
        VerificationFailed: not a table, cut or lengthened, or its tags do not rise strictly (`position` is the first
            entry that does not). `ordered=True` skips that last test, for a file that passed it before.
    """

    def __init__(self, data: Bytes, *, ordered: bool = False) -> None:
        if len(data) < HEADER_BYTES:
            raise VerificationFailed("table", "shorter than its header")
        header = bytes(data[:HEADER_BYTES])
        magic, version, count, table_id = _HEADER.unpack(header)
        if magic != _MAGIC or _HEADER.pack(magic, version, count, table_id) != header:
            raise VerificationFailed("table", "not a table of this format")
        if not 0 < count <= COUNT_MAX or version == 0:
            raise VerificationFailed("table", "version or count out of range")
        if len(data) != HEADER_BYTES + count * ENTRY_BYTES:
            raise VerificationFailed("table", "the size is not the header's")
        self._data = data
        self.version: int = version
        self.table_id: bytes = table_id
        self._count: int = count
        if not ordered:
            self._judge_order()

    def _judge_order(self) -> None:
        before = b""
        data = self._data
        start = HEADER_BYTES
        for position in range(self._count):
            tag = bytes(data[start : start + TAG_BYTES])
            if tag <= before:
                raise VerificationFailed("table", "the tags do not rise", position=position)
            before = tag
            start += ENTRY_BYTES

    def __len__(self) -> int:
        """Entries, fillers included."""
        return self._count

    def tag_at(self, position: int) -> bytes:
        """The tag of the entry at `position`, from 0."""
        start = HEADER_BYTES + position * ENTRY_BYTES
        return bytes(self._data[start : start + TAG_BYTES])

    def find(self, tag: bytes) -> bytes | None:
        """The 48-byte sealed label under a 16-byte tag, or None. By halves: about 20 steps for a million entries."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self.tag_at(middle) < tag:
                low = middle + 1
            else:
                high = middle
        if low == self._count or self.tag_at(low) != tag:
            return None
        start = HEADER_BYTES + low * ENTRY_BYTES
        return bytes(self._data[start + TAG_BYTES : start + ENTRY_BYTES])
