"""What commits to where each pair stands: it opens for one pair, to one value, and tells nothing of the others."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import pairs
from gateway.errors import Malformed

KEY = bytes(range(32))
STATES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
HEADS = st.builds(pairs.Head, st.integers(1, 1 << 40), st.binary(min_size=32, max_size=32))


@given(st.dictionaries(STATES, HEADS, min_size=1, max_size=12), st.integers(0, 1 << 40), st.data())
def test_each_pair_opens_to_the_root_and_to_nothing_else(
    heads: dict[str, pairs.Head], seq: int, data: st.DataObject
) -> None:
    root = pairs.root(heads, KEY, seq)
    for peer, head in heads.items():
        opening = pairs.open_(heads, KEY, seq, peer)
        assert pairs.root_of(peer, head, opening) == root
        assert pairs.root_of(peer, pairs.Head(head.count + 1, head.hash), opening) != root
        assert pairs.root_of(peer, pairs.Head(head.count, hashlib.sha256(head.hash).digest()), opening) != root
        other = data.draw(STATES)
        if other != peer:
            assert pairs.root_of(other, head, opening) != root


def test_the_root_is_the_one_that_the_page_describes() -> None:
    """By the page's words alone, without the module."""
    head = pairs.Head(7, b"h" * 32)
    at = (ord("H") - 65) * 676 + (ord("N") - 65) * 26 + (ord("D") - 65)
    seq = (63).to_bytes(8, "big")
    salt = hmac.digest(KEY, b"salt" + seq + b"HND", "sha256")
    hash_ = hashlib.sha256(b"\x00" + salt + b"HND" + (7).to_bytes(8, "big") + head.hash).digest()
    for depth in range(15, 0, -1):
        beside = hmac.digest(KEY, b"empty" + seq + bytes([depth]) + (at ^ 1).to_bytes(2, "big"), "sha256")
        hash_ = hashlib.sha256(b"\x01" + (beside + hash_ if at & 1 else hash_ + beside)).digest()
        at >>= 1
    assert pairs.root({"HND": head}, KEY, 63) == hash_


def test_an_opening_shows_nothing_that_is_the_same_a_checkpoint_later_or_that_tells_a_pair_from_none() -> None:
    head = pairs.Head(7, b"h" * 32)
    alone, many = {"HND": head}, {"HND": head, "UTO": head, "HNE": head, "HAA": head}
    first, later = pairs.open_(alone, KEY, 63, "HND"), pairs.open_(alone, KEY, 127, "HND")
    assert not {first.salt, *first.siblings} & {later.salt, *later.siblings}
    other = pairs.open_(many, KEY, 63, "HND")
    # As many values of the same size; those that differ are hashes that nobody without the key can compute.
    assert [len(one) for one in other.siblings] == [len(one) for one in first.siblings] == [32] * pairs.DEPTH
    assert sum(a != b for a, b in zip(first.siblings, other.siblings, strict=True)) == 3


@pytest.mark.parametrize("peer", ["", "hnd", "HN", "HNDD", "H1D", "ÄND"])
def test_what_is_no_state_has_no_place(peer: str) -> None:
    with pytest.raises(Malformed):
        pairs.place(peer)
    assert pairs.root({peer: pairs.Head(1, bytes(32))}, KEY, 1) == pairs.root({}, KEY, 1)


def test_places_are_distinct_and_fit() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    places = [pairs.place(a + b + c) for a in letters for b in letters for c in letters]
    assert places == list(range(26**3)) and 1 << pairs.DEPTH >= 26**3


def test_an_opening_of_a_wrong_shape_is_malformed() -> None:
    head = pairs.Head(7, b"h" * 32)
    good = pairs.open_({"HND": head}, KEY, 1, "HND")
    for bad in (
        pairs.Opening(b"", good.siblings),
        pairs.Opening(good.salt, good.siblings[:-1]),
        pairs.Opening(good.salt, (*good.siblings[:-1], b"")),
    ):
        with pytest.raises(Malformed):
            pairs.root_of("HND", head, bad)
    with pytest.raises(Malformed):
        pairs.root_of("HND", pairs.Head(0, b"h" * 32), good)
    with pytest.raises(Malformed):
        pairs.open_({"HND": head}, KEY, 1, "UTO")
