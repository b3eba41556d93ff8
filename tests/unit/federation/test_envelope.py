"""The envelope's own promises, beyond its vectors."""

from __future__ import annotations

import contextlib
from hashlib import sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CapabilityMissing, Malformed, VerificationFailed
from gateway.federation import envelope
from gateway.primitives import ed25519
from gateway.terms.ids import PeerId

SEED = bytes(range(32))
PUBLIC = ed25519.public(SEED)
METHOD = "/gateway.wire.v1.WatchlistService/Check"
PAN, HND = PeerId("PAN"), PeerId("HND")

fields = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "method": st.sampled_from([METHOD, envelope.MANIFEST]),
        "sender": st.just("PAN"),
        "receiver": st.just("HND"),
        "key_id": st.binary(min_size=8, max_size=8),
        "time_ns": st.integers(0, (1 << 63) - 1),
        "checkpoint": st.binary(min_size=32, max_size=32),
    },
    optional={"request_hash": st.binary(min_size=64, max_size=64)},
)


def sign(data: bytes) -> bytes:
    return ed25519.sign(SEED, data)


@given(fields, st.binary(max_size=100))
def test_a_header_that_is_made_can_be_read_and_is_made_again_the_same(values: dict[str, object], body: bytes) -> None:
    made = envelope.encode(values, body)
    header = envelope.decode(made)
    assert header.body_hash == sha512(body).digest()
    assert header.request_hash == values.get("request_hash")
    assert envelope.encode(dict(reversed(values.items())), body) == made


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(Malformed, CapabilityMissing):
        envelope.decode(data)


@given(fields, st.data())
def test_a_damaged_header_is_never_accepted_as_signed(values: dict[str, object], data: st.DataObject) -> None:
    message = envelope.seal({**values, "method": METHOD, "key_id": envelope.key_id(PUBLIC)}, b"body", sign)
    at = data.draw(st.integers(0, len(message.header) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    damaged = bytearray(message.header)
    damaged[at] ^= bit
    changed = type(message)(message.body, bytes(damaged), message.signature)
    with pytest.raises((Malformed, CapabilityMissing, VerificationFailed)):
        envelope.verify(changed, method=METHOD, sender=PAN, receiver=HND, keys=[PUBLIC], now_ns=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sender", "PANAMA"),
        ("receiver", b"HND"),
        ("method", ""),
        ("method", "/a/b/c"),
        ("method", "/a.B/c?x=1"),
        ("key_id", bytes(9)),
        ("time_ns", -1),
        ("time_ns", True),
        ("time_ns", 1 << 63),
        ("checkpoint", None),
        ("version", 2),
    ],
)
def test_nothing_is_signed_that_could_not_be_read(name: str, value: object) -> None:
    values = envelope.request_fields(METHOD, PAN, HND, PUBLIC, 1, envelope.NO_CHECKPOINT) | {name: value}
    with pytest.raises(Malformed):
        envelope.seal(values, b"body", sign)


def test_a_standing_document_is_not_a_message() -> None:
    values = envelope.request_fields(envelope.MANIFEST, PAN, HND, PUBLIC, 1, envelope.NO_CHECKPOINT)
    message = envelope.seal(values, b"body", sign)
    envelope.verify(message, method=envelope.MANIFEST, sender=PAN, receiver=HND, keys=[PUBLIC], now_ns=None)
    with pytest.raises(VerificationFailed) as refused:
        envelope.verify(message, method=METHOD, sender=PAN, receiver=HND, keys=[PUBLIC], now_ns=None)
    assert refused.value.step == "envelope.method"


def test_header_signature_and_reply_fit_the_budget_of_a_check() -> None:
    # M6: a padded class of C keys costs at most 32 C + 800 bytes each way; base64 in metadata included.
    values = envelope.reply_fields(METHOD, PAN, HND, PUBLIC, (1 << 63) - 1, bytes(32), bytes(64))
    header = envelope.encode(values, b"")
    metadata = len(envelope.HEADER_KEY) + len(envelope.SIGNATURE_KEY) + (len(header) + 64 + 4) * 4 // 3
    assert metadata + 130 < 800
