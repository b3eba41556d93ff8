"""Signatures: Ed25519 (RFC 8032) by PyNaCl, which verifies in half of the time that `cryptography` takes."""

from __future__ import annotations

from typing import Final, final

from nacl import bindings
from nacl.exceptions import BadSignatureError

from gateway.errors import VerificationFailed

SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@final
class Signer:
    """A key made ready to sign many messages: saves one base multiplication a signature."""

    __slots__ = ("_expanded", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        self.public, self._expanded = bindings.crypto_sign_seed_keypair(seed)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature. Deterministic."""
        signed: bytes = bindings.crypto_sign(message, self._expanded)
        return signed[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"Signer({self.public.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled")


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte signature under a 32-byte seed. Raises ValueError for a seed of another size."""
    return Signer(seed).sign(message)


def public(seed: bytes) -> bytes:
    """The 32-byte public key of a seed. Raises ValueError for a seed of another size."""
    return Signer(seed).public


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Return if `signature` is `public_key`'s for exactly these bytes.

    Strict: an unreduced S, a key of small order and a non-canonical key are refused (RFC 8032 section 5.1.7).

    Raises:
        VerificationFailed: it is not, or key or signature have the wrong size.
    """
    if len(public_key) != PUBLIC_BYTES:
        raise VerificationFailed("ed25519", "a public key has 32 bytes")
    if len(signature) != SIGNATURE_BYTES:
        raise VerificationFailed("ed25519", "a signature has 64 bytes")
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        raise VerificationFailed("ed25519", "the signature does not hold") from None
