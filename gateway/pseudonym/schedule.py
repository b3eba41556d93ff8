"""The key schedule psi/1: everything that is derived from an OPRF key or output (docs/protocol/matching.md, keys)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from gateway.primitives.kdf import expand
from gateway.primitives.lp import lp
from gateway.terms.exchange import KeyScope
from gateway.terms.ids import EpochId, PeerId, RequestId

SUITE: Final = "psi/1"
"""First part of every input that is hashed for this protocol. Another suite is another word here."""

OUTPUT_BYTES: Final = 64
"""An OPRF output y (RFC 9497 section 4.1, Nh)."""

TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
HANDLE_BYTES: Final = 8
_SHA256_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
TOKEN_BYTES: Final = 32


def info(scope: KeyScope) -> bytes:
    """What DeriveKeyPair mixes with the seed of (peer, epoch), so that each list and group has its own key (T1)."""
    return lp(SUITE, scope.owner, scope.list_id.value, scope.group, scope.epoch, scope.peer)


def tag(y: bytes) -> bytes:
    """By what a case's ticket names the key that was hit: the first 16 bytes of the output. Never travels in a check,
    and stands in no table."""
    _judge(y)
    return y[:TAG_BYTES]


def label_row(y: bytes, version: int) -> tuple[bytes, bytes]:
    """(16-byte tag, 32-byte key) of the label in table version `version`: where it stands, and what seals it.

    Both are this version's own. One key seals one plaintext a version, and of two versions nobody can tell which rows
    stayed, which are new and which were noise.

    Raises:
        ValueError: `y` has not 64 bytes, or the version does not fit 64 bits.
    """
    return _row(y, b"psi/1 label", version)


def delta_row(y: bytes, number: int) -> tuple[bytes, bytes]:
    """(16-byte tag, 32-byte key) of the row in delta `number`, its own as a table's is its own. Raises ValueError."""
    return _row(y, b"psi/1 delta", number)


def token_key(y: bytes) -> bytes:
    """The 32-byte key by which asker and owner recognise a hit when a case opens."""
    _judge(y)
    return expand(y, b"psi/1 case", 32)


def hit_token(key: bytes, peer: PeerId, owner: PeerId, request_id: RequestId, request_hash: bytes) -> bytes:
    """Shows that `peer` evaluated a listed key in this logged request: HMAC-SHA-256, 32 bytes.

    `key` is the token key, `request_hash` the SHA-512 of the request's body (docs/protocol/envelope.md). The owner
    accepts it once per (request id, entry), for 24 h.
    """
    return hmac.digest(key, lp("psi/1 token", peer, owner, request_id.value, request_hash), "sha256")


def handle(owner_key: bytes, peer: PeerId, epoch: EpochId, entry_id: str) -> bytes:
    """The 8 bytes by which two keys of one entry show as one hit. Means nothing to another peer or in another epoch.

    `owner_key` is a secret of the owner's, at least 32 bytes.
    """
    return handles(owner_key, peer, epoch, (entry_id,))[0]


def handles(owner_key: bytes, peer: PeerId, epoch: EpochId, entry_ids: Sequence[str]) -> list[bytes]:
    """`handle` of many entries: HMAC-SHA-256 (RFC 2104) with what all have in common hashed once.

    Raises:
        ValueError: the key has fewer than 32 bytes, or more than a block of SHA-256.
    """
    if not 32 <= len(owner_key) <= _SHA256_BLOCK_BYTES:
        raise ValueError("the handle key has at least 32 bytes")
    padded = owner_key.ljust(_SHA256_BLOCK_BYTES, b"\x00")
    inner = hashlib.sha256(padded.translate(_INNER_PAD) + lp("psi/1 handle", peer, epoch))
    outer = hashlib.sha256(padded.translate(_OUTER_PAD))
    made = []
    for entry_id in entry_ids:
        inside, outside = inner.copy(), outer.copy()
        inside.update(lp(entry_id))
        outside.update(inside.digest())
        made.append(outside.digest()[:HANDLE_BYTES])
    return made


def seed_commitment(seed: bytes) -> bytes:
    """SHA-512/256 of a batch seed: in the request and in both logs, so that the seed cannot be chosen later (T8)."""
    if len(seed) != 32:
        raise ValueError("a batch seed has 32 bytes")
    return hashlib.new("sha512_256", seed).digest()


def version_bytes(version: int) -> bytes:
    """A table version as 8 bytes, big-endian."""
    if not 0 < version < 1 << 64:
        raise ValueError("a table version is 1 to 2^64 - 1")
    return version.to_bytes(8, "big")


def _row(y: bytes, use: bytes, number: int) -> tuple[bytes, bytes]:
    _judge(y)
    made = expand(y, use + version_bytes(number), TAG_BYTES + KEY_BYTES)
    return made[:TAG_BYTES], made[TAG_BYTES:]


def _judge(y: bytes) -> None:
    if len(y) != OUTPUT_BYTES:
        raise ValueError("an OPRF output has 64 bytes")
