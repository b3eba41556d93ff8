"""Keys from keys: HKDF-Expand with SHA-512 (RFC 5869 section 2.3)."""

from __future__ import annotations

import hmac

_HASH_BYTES = 64


def expand(key: bytes, info: bytes, size: int) -> bytes:
    """`size` bytes of output key for the use that `info` names.

    `key` is already uniform (an OPRF output or a random seed), so there is no extract step (RFC 5869 section 3.3).

    Raises:
        ValueError: the key has fewer than 32 bytes, or `size` is not 1 to 255 * 64.
    """
    if len(key) < 32:
        raise ValueError("a key to expand has at least 32 bytes")
    if not 0 < size <= 255 * _HASH_BYTES:
        raise ValueError("HKDF-Expand gives 1 to 16,320 bytes")
    block = b""
    out = b""
    counter = 1
    while len(out) < size:
        block = hmac.digest(key, block + info + bytes((counter,)), "sha512")
        out += block
        counter += 1
    return out[:size]
