"""Telling a torn tail of SQLite's write-ahead log from a damaged one (format: sqlite.org/fileformat2.html, section 4).

SQLite goes on from the last frame whose checksums hold and forgets what follows. After a power cut that is right: what
follows was never acknowledged. After a flipped bit it is not: transactions that were acknowledged would be gone without
a word. The difference can be seen, because each commit is synced before the next one begins: where a transaction is
followed by a frame of a later one, it was on the disk once.

The last transaction has nobody after it. A bit that flips there looks like a torn write, and what it held is missed by
those who were answered (the numbers of a pair), not here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from gateway.errors import VerificationFailed

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
DAMAGED: Final = "-wal.damaged"
_MAGIC: Final = (0x377F0682, 0x377F0683)
_MASK: Final = 0xFFFFFFFF

Sums = tuple[int, int]


def sums(data: bytes, big_endian: bool, start: Sums = (0, 0)) -> Sums:
    """The format's running checksum over 32-bit words."""
    one, two = start
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 4}I", data)
    for at in range(0, len(words), 2):
        one = one + words[at] + two & _MASK
        two = two + words[at + 1] + one & _MASK
    return one, two


def judge(database: Path, recovered: int) -> None:
    """Hold the frames that SQLite left out against the rule above.

    `recovered` is how many frames it took. To be called with the database open and before anything is written. A
    damaged file is put aside under `DAMAGED`, because SQLite deletes it when the database is closed; while it lies
    there the database is refused.

    Raises:
        VerificationFailed: step `tail`: acknowledged transactions are damaged.
    """
    path = database.with_name(f"{database.name}-wal")
    damaged = database.with_name(f"{database.name}{DAMAGED}")
    if not damaged.exists():
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        if not _is_damaged(data, recovered):
            return
        path.rename(damaged)
    raise VerificationFailed(
        "tail",
        f"the write-ahead log is damaged before its end and lies at {damaged}: going on would lose entries that were "
        "acknowledged. Keep that file, and restore the newest backup or begin a new log (`limen node recover`)",
    )


def _is_damaged(data: bytes, recovered: int) -> bool:
    if len(data) < HEADER_BYTES + FRAME_HEADER_BYTES:
        return False
    header = data[:HEADER_BYTES]
    if not _is_header(header):
        mended = _mended(header)
        if mended is None:
            return False  # Torn while the file was begun anew: all that it held before is in the database.
        header = mended
    frames = _Frames(header, data)
    committed = False
    for number in range(recovered, frames.count):
        if committed and frames.follows(number):
            return True
        committed = committed or frames.is_commit(number)
    return False


class _Frames:
    def __init__(self, header: bytes, data: bytes) -> None:
        self._data = data
        self._big = struct.unpack(">I", header[:4])[0] & 1 == 1
        page = struct.unpack(">I", header[8:12])[0]
        self._salts = header[16:24]
        self._first: Sums = struct.unpack(">II", header[24:32])
        self._step = FRAME_HEADER_BYTES + page
        self.count = (len(data) - HEADER_BYTES) // self._step

    def _frame(self, number: int) -> bytes:
        start = HEADER_BYTES + number * self._step
        return self._data[start : start + self._step]

    def is_commit(self, number: int) -> bool:
        return self._frame(number)[4:8] != bytes(4)

    def _stored(self, number: int) -> Sums:
        if number < 0:
            return self._first
        one, two = struct.unpack(">II", self._frame(number)[16:24])
        return one, two

    def _computed(self, number: int, start: Sums) -> Sums:
        frame = self._frame(number)
        return sums(frame[FRAME_HEADER_BYTES:], self._big, sums(frame[:8], self._big, start))

    def follows(self, number: int) -> bool:
        """Whether a frame is this file's and goes on from the one before, of which either the sums or the rest may be
        spoiled."""
        if self._frame(number)[8:16] != self._salts:
            return False
        stored = self._stored(number)
        if self._computed(number, self._stored(number - 1)) == stored:
            return True
        return number > 0 and self._computed(number, self._computed(number - 1, self._stored(number - 2))) == stored


def _is_header(header: bytes) -> bool:
    magic, _, page = struct.unpack(">III", header[:12])
    if magic not in _MAGIC or not 512 <= page <= 65536:
        return False
    return sums(header[:24], magic & 1 == 1) == struct.unpack(">II", header[24:])


def _mended(header: bytes) -> bytes | None:
    """The header with the one bit turned that makes it whole; None where no single bit does."""
    number = int.from_bytes(header, "big")
    for bit in range(8 * HEADER_BYTES):
        tried = (number ^ 1 << bit).to_bytes(HEADER_BYTES, "big")
        if _is_header(tried):
            return tried
    return None


__all__ = ["DAMAGED", "judge", "sums"]
