"""Authenticated encryption: ChaCha20-Poly1305 (RFC 8439)."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.errors import VerificationFailed

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = 16
"""What sealing adds to a plaintext: the Poly1305 tag."""


def seal(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
    """Encrypt and authenticate; `aad` is authenticated only. 16 bytes longer than `plain`.

    The caller never uses one (key, nonce) for two plaintexts: whoever sees both learns their difference and can forge.

    Raises:
        ValueError: a key that has not 32 bytes, or a nonce that has not 12.
    """
    _judge(key, nonce)
    return ChaCha20Poly1305(key).encrypt(nonce, plain, aad)


def open_(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
    """The plaintext.

    Raises:
        VerificationFailed: another key, nonce or `aad`, or changed bytes. Nothing of the plaintext is given.
        ValueError: a key that has not 32 bytes, or a nonce that has not 12.
    """
    _judge(key, nonce)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise VerificationFailed("aead", "the sealed bytes do not open") from None


def _judge(key: bytes, nonce: bytes) -> None:
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("a key has 32 bytes and a nonce 12")
