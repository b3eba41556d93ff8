"""Canonical CBOR: one value, one encoding; any bytes are that encoding or Malformed."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.primitives import cbor
from gateway.terms import KeyType, RecordKind

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.binary(max_size=40),
    st.text(max_size=40),
)
keys = st.one_of(st.text(max_size=30), st.integers(-(1 << 64), (1 << 64) - 1))
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=20,
)


@given(values)
def test_a_value_comes_back(value: Any) -> None:  # noqa: ANN401
    assert cbor.decode(cbor.encode(value)) == value


@given(st.dictionaries(keys, st.integers(0, 5), max_size=30), st.randoms())
def test_the_order_of_a_map_does_not_matter_and_keys_rise_bytewise(value: dict[Any, int], random: Any) -> None:  # noqa: ANN401
    items = list(value.items())
    random.shuffle(items)
    assert cbor.encode(dict(items)) == cbor.encode(value)
    written = [cbor2.dumps(key) for key in cbor2.loads(cbor.encode(value))]
    assert written == sorted(written)


@settings(max_examples=600)
@given(st.binary(max_size=60))
def test_any_bytes_are_the_one_encoding_or_malformed(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except Malformed:
        return
    assert cbor.encode(value) == data


@settings(max_examples=150)
@given(values, st.data())
def test_a_changed_encoding_is_another_value_or_malformed(value: Any, data: st.DataObject) -> None:  # noqa: ANN401
    good = cbor.encode(value)
    bad = bytearray(good)
    at = data.draw(st.integers(0, len(bad) - 1))
    bad[at] ^= data.draw(st.integers(1, 255))
    try:
        other = cbor.decode(bytes(bad))
    except Malformed:
        return
    assert cbor.encode(other) == bytes(bad) != good


@given(values, st.binary(min_size=1, max_size=3))
def test_cut_and_lengthened_encodings_are_malformed(value: Any, more: bytes) -> None:  # noqa: ANN401
    good = cbor.encode(value)
    for bad in (good + more, good[:-1]):
        with pytest.raises(Malformed):
            cbor.decode(bad)


REFUSED = {
    "nothing": "",
    "integer longer than needed": "1800",
    "integer longer than needed, 8 bytes": "1b0000000000000001",
    "length longer than needed": "780161" + "61",
    "indefinite array": "9fff",
    "indefinite map": "bfff",
    "indefinite bytes": "5f4101ff",
    "indefinite text": "7f6161ff",
    "break alone": "ff",
    "duplicate key": "a2616101616102",
    "keys in another order": "a2616201616102",
    "shorter key after longer": "a262616101616202",
    "negative key before a longer positive one": "a220011903e801",
    "half float": "f90000",
    "single float": "fa00000000",
    "double float": "fb3ff0000000000000",
    "float as key": "a1f90000" + "01",
    "undefined": "f7",
    "simple value": "e0",
    "simple value, two bytes": "f8ff",
    "false in two bytes": "f814",
    "boolean key": "a1f501",
    "null key": "a1f601",
    "array key": "a18001",
    "bytes key": "a1410001",
    "tag date": "c000",
    "tag big number": "c249010000000000000000",
    "tag decimal fraction": "c4820101",
    "tag pattern": "d823612e",
    "tag shared value": "d81c80",
    "tag shared reference": "d81d00",
    "tag self-described": "d9d9f701",
    "tag unknown": "d9ffff01",
    "set": "d9010281" + "01",
    "text that is not UTF-8": "61ff",
    "text with a surrogate": "63eda080",
    "array of 2^64": "9bffffffffffffffff",
    "map of 2^63": "bb8000000000000000",
    "bytes of 2^64": "5bffffffffffffffff",
    "text of 2^32": "7a8000000061",
    "reserved information": "1c",
}


@pytest.mark.parametrize("hexadecimal", REFUSED.values(), ids=REFUSED.keys())
def test_refused(hexadecimal: str) -> None:
    with pytest.raises(Malformed):
        cbor.decode(bytes.fromhex(hexadecimal))
    # Inside a value as well as alone.
    if hexadecimal:
        with pytest.raises(Malformed):
            cbor.decode(bytes.fromhex("81" + hexadecimal))


def test_nesting_is_bounded_on_both_sides() -> None:
    deep = b"\x81" * cbor.DEPTH_MAX + b"\x01"
    assert cbor.encode(cbor.decode(deep)) == deep
    for levels in (cbor.DEPTH_MAX + 1, 100_000):
        with pytest.raises(Malformed):
            cbor.decode(b"\x81" * levels + b"\x01")
        with pytest.raises(Malformed):
            cbor.decode(b"\xa1\x01" * levels + b"\x01")
    value: Any = 1
    for _ in range(cbor.DEPTH_MAX + 1):
        value = [value]
    with pytest.raises(ValueError, match="deeply"):
        cbor.encode(value)


def test_size_is_bounded_and_the_field_is_named() -> None:
    data = cbor.encode(bytes(1000))
    assert cbor.decode(data, limit=len(data)) == bytes(1000)
    with pytest.raises(Malformed, match="payload: longer than 1002 bytes"):
        cbor.decode(data, field="payload", limit=len(data) - 1)
    with pytest.raises(Malformed):
        cbor.decode(bytes(cbor.BYTES_MAX + 1))


def test_an_error_quotes_nothing_of_the_bytes() -> None:
    with pytest.raises(Malformed) as refused:
        cbor.decode(b"\xd8\x23\x66SECRET")
    error: BaseException | None = refused.value
    while error is not None:
        assert "SECRET" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_examples_of_rfc_8949_appendix_a() -> None:
    for value, expected in [
        (0, "00"), (23, "17"), (24, "1818"), (1000, "1903e8"), (1000000000000, "1b000000e8d4a51000"),
        ((1 << 64) - 1, "1bffffffffffffffff"), (-(1 << 64), "3bffffffffffffffff"), (-1000, "3903e7"),
        (False, "f4"), (True, "f5"), (None, "f6"), (b"\1\2\3\4", "4401020304"), ("ü", "62c3bc"), ("水", "63e6b0b4"),
        ([1, [2, 3], [4, 5]], "8301820203820405"), ({1: 2, 3: 4}, "a201020304"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    ]:  # fmt: skip
        assert cbor.encode(value).hex() == expected


def test_keys_rise_as_in_section_4_2_1() -> None:
    # The section's own example, without the keys that are no keys here.
    value = {"aa": 1, -1: 2, 100: 3, 10: 4, "z": 5}
    assert list(cbor2.loads(cbor.encode(value))) == [10, 100, -1, "z", "aa"]
    # Text as well by the bytes of UTF-8, not by characters: é is longer than z.
    assert list(cbor2.loads(cbor.encode({"é": 1, "z": 2, "aa": 3}))) == ["z", "aa", "é"]


def test_enumerations_views_and_tuples_are_their_values() -> None:
    assert cbor.encode((KeyType.DOC_1, RecordKind.MISSING_CHILD, bytearray(b"a"), memoryview(b"b"))) == cbor.encode(
        ["doc/1", 4, b"a", b"b"]
    )
    assert cbor.encode({KeyType.DOC_1: 1}) == cbor.encode({"doc/1": 1})


@pytest.mark.parametrize(
    "value",
    [1.0, {1, 2}, object(), {True: 1}, {None: 1}, {b"a": 1}, {1.5: 1}, 1j, [[float("nan")]]],
    ids=lambda value: "object" if type(value) is object else repr(value),
)
def test_a_value_without_a_canonical_form_is_a_mistake(value: object) -> None:
    with pytest.raises(TypeError):
        cbor.encode(value)


@pytest.mark.parametrize("value", [1 << 64, -(1 << 64) - 1, "\ud800", {"\ud800": 1}], ids=ascii)
def test_a_value_that_does_not_fit_is_a_mistake(value: object) -> None:
    with pytest.raises(ValueError):
        cbor.encode(value)
