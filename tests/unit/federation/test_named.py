"""A header that names its sender's log entry: read strictly, and only sent to who reads it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Malformed
from gateway.federation import envelope
from gateway.primitives import ed25519
from gateway.rpc.convert import peers as convert
from gateway.terms import PeerId
from gateway.terms.exchange import Named
from tests.unit.rpc.terms import a_check_request

PAN, HND = PeerId("PAN"), PeerId("HND")
SEED = bytes(range(32))
NAMED = Named(7, b"l" * 32, b"a" * 32)


def fields(**more: Any) -> dict[str, Any]:
    return envelope.request_fields("/a.B/C", PAN, HND, ed25519.public(SEED), 1, bytes(32)) | more


def test_a_named_entry_comes_back_and_its_absence_too() -> None:
    header = envelope.decode(envelope.encode(fields(entry=NAMED.value), b"body"))
    assert header.entry == NAMED
    assert envelope.decode(envelope.encode(fields(), b"body")).entry is None


@pytest.mark.parametrize(
    "value",
    [
        None, [], [7, b"l" * 32], [0, b"l" * 32, b"a" * 32], [True, b"l" * 32, b"a" * 32], ["7", b"l" * 32, b"a" * 32],
        [7, b"l" * 31, b"a" * 32], [7, b"l" * 32, "a" * 32], [1 << 63, b"l" * 32, b"a" * 32], {"number": 7},
        [7, b"l" * 32, b"a" * 32, b""],
    ],
)  # fmt: skip
def test_another_shape_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        envelope.encode(fields(entry=value), b"body")


def test_a_question_that_is_about_something_else_than_its_header_is_refused() -> None:
    request = a_check_request()
    good = Named(request.pair_seq, b"l" * 32, envelope.about(request.about))
    convert.judge_named(good, request)
    convert.judge_named(None, request)
    for bad in (
        Named(request.pair_seq + 1, good.leaf_hash, good.about),
        Named(good.pair_seq, good.leaf_hash, envelope.about({**request.about, "class": 0})),
    ):
        with pytest.raises(Malformed, match=r"header\.entry"):
            convert.judge_named(bad, request)
