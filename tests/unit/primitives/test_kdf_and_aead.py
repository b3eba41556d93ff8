"""HKDF-Expand and ChaCha20-Poly1305 against published vectors and a second implementation."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import VerificationFailed
from gateway.primitives import aead, kdf


@given(st.binary(min_size=32, max_size=200), st.binary(max_size=100), st.integers(1, 300))
def test_expand_is_rfc_5869(key: bytes, info: bytes, size: int) -> None:
    assert kdf.expand(key, info, size) == HKDFExpand(hashes.SHA512(), size, info).derive(key)


def test_expand_has_its_limits() -> None:
    assert len(kdf.expand(bytes(32), b"", 16_320)) == 16_320
    for key, size in ((bytes(31), 32), (bytes(32), 0), (bytes(32), 16_321)):
        with pytest.raises(ValueError):
            kdf.expand(key, b"", size)


# RFC 8439 section 2.8.2
KEY = bytes(range(0x80, 0xA0))
NONCE = bytes.fromhex("070000004041424344454647")
AAD = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
PLAIN = (
    b"Ladies and Gentlemen of the class of '99: "
    b"If I could offer you only one tip for the future, sunscreen would be it."
)


def test_seal_is_rfc_8439() -> None:
    sealed = aead.seal(KEY, NONCE, AAD, PLAIN)
    assert sealed.startswith(bytes.fromhex("d31a8d34648e60db7b86afbc53ef7ec2"))
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert len(sealed) == len(PLAIN) + aead.OVERHEAD_BYTES
    assert aead.open_(KEY, NONCE, AAD, sealed) == PLAIN


def test_anything_else_does_not_open() -> None:
    sealed = aead.seal(KEY, NONCE, AAD, PLAIN)
    flipped = bytes([sealed[0] ^ 1]) + sealed[1:]
    for key, nonce, aad, data in (
        (bytes(32), NONCE, AAD, sealed),
        (KEY, bytes(12), AAD, sealed),
        (KEY, NONCE, b"", sealed),
        (KEY, NONCE, AAD, flipped),
        (KEY, NONCE, AAD, sealed[:-1]),
        (KEY, NONCE, AAD, b""),
        (KEY, NONCE, AAD, bytes(15)),
    ):
        with pytest.raises(VerificationFailed):
            aead.open_(key, nonce, aad, data)


@pytest.mark.parametrize(("key", "nonce"), [(bytes(31), NONCE), (KEY, bytes(11)), (KEY, bytes(24)), (b"", b"")])
def test_sizes(key: bytes, nonce: bytes) -> None:
    with pytest.raises(ValueError):
        aead.seal(key, nonce, b"", b"")
    with pytest.raises(ValueError):
        aead.open_(key, nonce, b"", bytes(16))
