"""Ed25519 against RFC 8032, and strictly."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import VerificationFailed
from gateway.primitives import ed25519

# RFC 8032 section 7.1, TEST 1 to 3
RFC = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
]
SEED = bytes(32)
ORDER = (1 << 252) + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC)
def test_the_published_bytes(seed: str, public: str, message: str, signature: str) -> None:
    assert ed25519.public(bytes.fromhex(seed)).hex() == public
    assert ed25519.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature
    ed25519.verify(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@settings(max_examples=60)
@given(st.binary(max_size=100), st.integers(0, 8 * 64 - 1))
def test_a_flipped_bit_does_not_verify(message: bytes, bit: int) -> None:
    signer = ed25519.Signer(SEED)
    signature = bytearray(signer.sign(message))
    ed25519.verify(signer.public, message, bytes(signature))
    with pytest.raises(VerificationFailed):
        ed25519.verify(signer.public, message + b"\0", bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationFailed):
        ed25519.verify(signer.public, message, bytes(signature))


def test_an_unreduced_s_does_not_verify() -> None:
    """Else a signed message would have two signatures, and a log two leaves for one act."""
    signature = ed25519.sign(SEED, b"message")
    s = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(VerificationFailed):
        ed25519.verify(ed25519.public(SEED), b"message", signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "key",
    [
        bytes(32),
        b"\x01" + bytes(31),
        b"\xec" + b"\xff" * 30 + b"\x7f",
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ],
)
def test_a_key_of_small_order_verifies_nothing(key: bytes) -> None:
    # With R of small order and S = 0, a lenient check would pass for some messages.
    for message in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"):
        with pytest.raises(VerificationFailed):
            ed25519.verify(key, message, b"\x01" + bytes(63))


@pytest.mark.parametrize(("key", "signature"), [(bytes(31), bytes(64)), (bytes(33), bytes(64)), (b"", bytes(64))])
def test_sizes_of_keys(key: bytes, signature: bytes) -> None:
    with pytest.raises(VerificationFailed):
        ed25519.verify(key, b"", signature)
    with pytest.raises(ValueError):
        ed25519.Signer(key)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_sizes_of_signatures(size: int) -> None:
    with pytest.raises(VerificationFailed):
        ed25519.verify(ed25519.public(SEED), b"", bytes(size))


def test_a_signer_shows_no_key_and_is_not_pickled() -> None:
    signer = ed25519.Signer(b"s" * 32)
    assert b"s" * 32 not in repr(signer).encode() and (b"s" * 32).hex() not in repr(signer)
    with pytest.raises(TypeError):
        pickle.dumps(signer)
