"""Length-prefixed parts: several values in one byte string that can be read in one way only."""

from __future__ import annotations

from gateway.errors import Malformed

PART_LIMIT = (1 << 16) - 1
"""Longest part, in bytes."""


def lp(*parts: bytes | str) -> bytes:
    """Each part with its length in two bytes, big-endian, in front; text is UTF-8.

    Raises:
        ValueError: a part is longer than 65,535 bytes (the part itself is not named).
    """
    out = bytearray()
    for part in parts:
        raw = part.encode("utf-8") if isinstance(part, str) else part
        if len(raw) > PART_LIMIT:
            raise ValueError("a part of a length-prefixed string is at most 65,535 bytes")
        out += len(raw).to_bytes(2, "big")
        out += raw
    return bytes(out)


def split(data: bytes) -> tuple[bytes, ...]:
    """The parts again, so that `split(lp(*parts)) == parts`.

    Raises:
        Malformed: the bytes end within a part or within a length.
    """
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        end = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or end > len(data):
            raise Malformed("lp", "the bytes end within a part")
        parts.append(data[start:end])
        at = end
    return tuple(parts)
