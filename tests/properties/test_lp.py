"""Length-prefixed parts can be read in one way only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.primitives.lp import lp, split


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_parts_come_back(parts: list[bytes]) -> None:
    assert split(lp(*parts)) == tuple(parts)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_two_lists_never_share_an_encoding(one: list[bytes], two: list[bytes]) -> None:
    assert (lp(*one) == lp(*two)) == (one == two)


@given(st.binary(max_size=60))
def test_any_bytes_are_parts_or_malformed(data: bytes) -> None:
    try:
        parts = split(data)
    except Malformed:
        return
    assert lp(*parts) == data


def test_the_form() -> None:
    assert lp("doc/1", "VEN", b"\xff") == b"\x00\x05doc/1\x00\x03VEN\x00\x01\xff"
    assert lp("é") == b"\x00\x02\xc3\xa9"
    assert lp() == b""
    assert len(lp(bytes(65_535))) == 65_537
    with pytest.raises(ValueError, match="65,535"):
        lp(bytes(65_536))
