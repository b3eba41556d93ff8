"""Frames of a node's internal sockets: bytes as they come, messages out, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import cbor2

FRAME_BYTES_MAX: Final = 64 << 20
"""Largest frame, bytes: a table's build batch or a watchlist file with room to spare."""

SIZE_BYTES: Final = 4


def frame(body: Any) -> bytes:
    """One frame. Raises ValueError above `FRAME_BYTES_MAX`."""
    data = cbor2.dumps(body)
    if len(data) > FRAME_BYTES_MAX:
        raise ValueError("frame too large")
    return len(data).to_bytes(SIZE_BYTES, "big") + data


class Frames:
    """One connection's incoming bytes."""

    __slots__ = ("_kept", "_wanted")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._wanted = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, Any, Any]]:
        """Every frame that is complete with `data`, read one after the other.

        Raises ValueError on a size or shape that is not ours; nothing more may be fed then.
        """
        if self._kept:
            self._kept += data
            # A large frame comes in many pieces: it is put together once, not looked at with each.
            if len(self._kept) < self._wanted:
                return
            data = bytes(self._kept)
            self._kept.clear()
        at, end = 0, SIZE_BYTES
        while end <= len(data):
            start = at + SIZE_BYTES
            size = int.from_bytes(data[at:start], "big")
            if size > FRAME_BYTES_MAX:
                raise ValueError("frame too large")
            end = start + size
            if end > len(data):
                break
            try:
                body = cbor2.loads(data[start:end])
            except cbor2.CBORDecodeError as cause:
                raise ValueError("frame is no CBOR") from cause
            at, end = end, end + SIZE_BYTES
            if not (isinstance(body, list) and len(body) == 3 and isinstance(body[0], int)):
                raise ValueError("frame has the wrong shape")
            yield body[0], body[1], body[2]
        self._wanted = end - at
        self._kept += data[at:]
