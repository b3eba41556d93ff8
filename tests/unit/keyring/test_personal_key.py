"""A person's key file: nothing without the passphrase, nothing with a changed word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputRefused, NotIdentified
from gateway.keyring import personal
from gateway.primitives import ed25519
from gateway.terms.hidden import Hidden
from gateway.terms.ids import OfficerId

ANA = OfficerId("SNM-4711")
PASSPHRASE = Hidden("correct horse battery")
FILE, PUBLIC = personal.create(ANA, PASSPHRASE)


def test_the_passphrase_opens_the_key() -> None:
    key = personal.open_(FILE, PASSPHRASE)
    assert (key.officer, key.public_key) == (ANA, PUBLIC) == personal.officer_of(FILE)
    assert ed25519.public(key.seed.open()) == PUBLIC
    assert key.seed.open().hex() not in repr(key)


def test_the_seed_does_not_stand_in_the_file() -> None:
    assert personal.open_(FILE, PASSPHRASE).seed.open().hex().encode() not in FILE


def test_one_passphrase_in_two_spellings_of_unicode_is_one() -> None:
    data, _ = personal.create(ANA, Hidden("caf\u00e9 au lait d'abord"))
    assert personal.open_(data, Hidden("cafe\u0301 au lait d'abord")).officer == ANA


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(NotIdentified, match="passphrase"):
        personal.open_(FILE, Hidden("incorrect horse battery"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("officer", "SNM-1"), ("public_key", "00" * 32), ("passes", 2), ("nonce", "00" * 12), ("sealed", "00" * 48)],
)
def test_a_changed_word_opens_nothing(field: str, value: Any) -> None:
    table = {**json.loads(FILE), field: value}
    with pytest.raises(NotIdentified):
        personal.open_(json.dumps(table).encode(), PASSPHRASE)


def test_a_short_passphrase_and_an_odd_number_are_refused() -> None:
    with pytest.raises(InputRefused, match="at least 12"):
        personal.create(ANA, Hidden("short"))
    for odd in ("", "../x", "a b", "x" * 65):
        with pytest.raises(InputRefused):
            personal.create(OfficerId(odd), PASSPHRASE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_bytes", 1 << 40),
        ("memory_bytes", 1),
        ("passes", 1000),
        ("passes", True),
        ("schema", "x"),
        ("salt", ""),
        ("officer", "../x"),
        ("more", 1),
    ],
)
def test_a_file_that_asks_for_too_much_is_refused_before_it_is_tried(field: str, value: Any) -> None:
    with pytest.raises(InputRefused):
        personal.open_(json.dumps({**json.loads(FILE), field: value}).encode(), PASSPHRASE)


@given(
    data=st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(sorted(json.loads(FILE))), st.none() | st.integers() | st.text(max_size=4) | st.lists(st.none())
    ).map(lambda change: json.dumps({**json.loads(FILE), **change}).encode())
)
@settings(deadline=None)
def test_any_bytes_are_a_key_file_or_refused(data: bytes) -> None:
    try:
        officer, public = personal.officer_of(data)
    except InputRefused:
        return
    assert officer and len(public) == 32
