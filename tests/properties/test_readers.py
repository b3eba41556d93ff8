"""Every decoder of people and lists: any bytes either read, or raise our own error, and what was written reads back."""

from __future__ import annotations

import contextlib
import csv
import io
from datetime import date

import pytest
from gateway_adapters import mrz as scans
from gateway_adapters.traveller import FIELDS, read_csv, read_one, read_stream
from gateway_adapters.watchlist_csv import CATEGORIES, COLUMNS, Defaults, Reading, read
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused, Malformed
from gateway.primitives import cbor
from gateway.terms import PeerId, ProtectionTag
from gateway.watchlist.entry import ListEntry, decode
from tests.support.entries import entries, entry

ON = date(2026, 11, 25)
DEFAULTS = Defaults(PeerId("PAN"), "PAN", "NATIONAL", "J-1", "art. 12", date(2027, 1, 1))

cells = st.one_of(
    st.text(max_size=12),
    st.sampled_from(sorted(CATEGORIES)),
    st.sampled_from(["PAN", "VEN", "XXB", "1980", "1980-05-22", "1980/1983", "2027-01-01", "A1", "M", "NA", "|", '"']),
    st.sampled_from([tag.value for tag in ProtectionTag]),
)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A CSV file with known columns and anything in its cells."""
    columns = ["entry_id", "category", *draw(st.lists(st.sampled_from(sorted(COLUMNS)), unique=True))]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(dict.fromkeys(columns))
    for _ in range(draw(st.integers(0, 4))):
        writer.writerow([draw(cells) for _ in range(len(dict.fromkeys(columns)) + draw(st.sampled_from([0, 0, 0, 1])))])
    return out.getvalue().encode("utf-8", "replace")


def judge(reading: Reading) -> None:
    """What holds of every reading."""
    taken = [row.line for row in reading.rows]
    refused = [remark.line for remark in reading.refused]
    assert not set(taken) & set(refused)
    assert len({row.entry_id for row in reading.rows}) == len(reading.rows)
    for remark in reading.remarks:
        assert remark.line >= 2 and remark.code.isupper() and remark.why
        assert remark.column in COLUMNS or remark.column == ""
        assert remark.refused or remark.line in taken


@given(st.binary(max_size=200) | tables())
def test_any_file_is_read_or_refused_whole(data: bytes) -> None:
    try:
        reading = read(data, DEFAULTS)
    except InputRefused:
        return
    judge(reading)


@given(tables(), st.integers(0, 300), st.binary(max_size=3))
def test_a_damaged_file_is_read_or_refused(data: bytes, at: int, damage: bytes) -> None:
    with contextlib.suppress(InputRefused):
        judge(read(data[:at] + damage + data[at:], DEFAULTS))


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=30, max_size=30), st.sampled_from(sorted(COLUMNS)))
def test_no_remark_repeats_a_cell(secret: str, column: str) -> None:
    row = {"entry_id": "W1", "category": "REFUSE_ENTRY", "surname": "X"} | {column: secret}
    text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    assert secret not in repr(read(text.encode(), DEFAULTS).remarks)


@given(entries())
def test_an_entry_is_its_bytes(one: ListEntry) -> None:
    data = one.encode()
    again = decode(data)
    assert again.encode() == data
    assert again.tags_in_force(0) == one.tags_in_force(0)
    assert again.after(one, 5).encode() == data


@given(st.binary(max_size=300))
def test_any_bytes_are_an_entry_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        decode(data)


LEAVES = st.none() | st.booleans() | st.integers(-5, 70_000) | st.text(max_size=5) | st.binary(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
)


@given(st.sampled_from(sorted(cbor.decode(entry().encode()))), VALUES)
def test_any_value_in_any_place_is_an_entry_or_malformed(place: str, value: object) -> None:
    data = cbor.encode(cbor.decode(entry().encode()) | {place: value})
    try:
        read_back = decode(data)
    except Malformed:
        return
    assert read_back.encode() == data


@given(st.sampled_from(sorted(cbor.decode(entry().encode())["person"])), VALUES)
def test_any_value_in_any_place_of_a_person_is_an_entry_or_malformed(place: str, value: object) -> None:
    form = cbor.decode(entry().encode())
    data = cbor.encode(form | {"person": form["person"] | {place: value}})
    try:
        read_back = decode(data)
    except Malformed:
        return
    assert read_back.encode() == data


JSONISH = st.text('{}[]",: truefalsnl0123456789\\uABab', max_size=60)
LINES = st.lists(st.tuples(st.sampled_from(sorted(FIELDS)) | st.text(max_size=8), cells), max_size=6).map(
    lambda pairs: "\n".join(f"{name}: {value}" for name, value in pairs)
)


@given(st.binary(max_size=120) | (JSONISH | LINES).map(lambda text: text.encode("utf-8", "replace")))
def test_any_input_is_a_traveller_or_refused(data: bytes) -> None:
    with contextlib.suppress(InputRefused):
        seen = read_one(data, ON)
        assert seen.person is not None or seen.documents
    with contextlib.suppress(InputRefused):
        list(read_stream(data, ON))
    with contextlib.suppress(InputRefused):
        list(read_csv(data))
    with contextlib.suppress(InputRefused):
        scans.read(data, ON)


@pytest.mark.parametrize("depth", [10, 10_000, 200_000])
def test_deep_json_is_refused(depth: int) -> None:
    with pytest.raises(InputRefused):
        read_one(b'{"surname":' * depth, ON)
    with pytest.raises(InputRefused):
        list(read_stream(b'{"surname":' + b"[" * depth, ON))
