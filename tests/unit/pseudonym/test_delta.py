"""A delta: 64 rows of one size, which only an evaluated key can tell apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pseudonym import delta, schedule
from gateway.pseudonym.label import Label
from gateway.terms import Action, Handling, RecordKind

LABEL = Label(RecordKind.LOST_STOLEN, Action.HOLD_DOCUMENT_SECOND_LINE, 2, Handling.APPROVAL, 20_818, 3, b"handle!!")
outputs = st.binary(min_size=64, max_size=64)
ids = st.binary(min_size=16, max_size=16)
numbers = st.integers(1, (1 << 64) - 1)
seeds = st.binary(min_size=32, max_size=32)


@given(st.lists(outputs, unique=True, min_size=1, max_size=64), ids, numbers, seeds)
def test_every_row_is_found_by_its_output_and_by_no_other(
    ys: list[bytes], one: bytes, number: int, seed: bytes
) -> None:
    rows = [delta.seal_row(y, one, number, LABEL if place % 2 else None) for place, y in enumerate(ys)]
    made = delta.build(rows, seed)
    assert len(made) == delta.DELTA_BYTES
    found = delta.newest([*ys, bytes(64)], [(number, one, made)])
    want = [LABEL.encode() if place % 2 else delta.WITHDRAWN for place in range(len(ys))]
    assert found == [*want, None if bytes(64) not in ys else want[ys.index(bytes(64))]]


@given(outputs, ids, st.integers(1, 1 << 40), seeds)
def test_the_newest_delta_that_knows_the_key_counts(y: bytes, one: bytes, number: int, seed: bytes) -> None:
    entered = (number, one, delta.build([delta.seal_row(y, one, number, LABEL)], seed))
    gone = (number + 1, one, delta.build([delta.seal_row(y, one, number + 1, None)], seed))
    noise = (number + 2, one, delta.build([], seed))
    assert delta.newest([y], [entered, gone, noise]) == [delta.WITHDRAWN]
    assert delta.newest([y], [entered, noise]) == [LABEL.encode()]
    assert delta.newest([y], [noise]) == delta.newest([y], []) == [None]


@given(outputs, ids, numbers, seeds, st.integers(16, 63))
def test_a_row_that_was_changed_is_met_and_not_read(y: bytes, one: bytes, number: int, seed: bytes, at: int) -> None:
    row = bytearray(delta.seal_row(y, one, number, LABEL))
    row[at] ^= 1
    assert delta.newest([y], [(number, one, delta.build([bytes(row)], seed))]) == [delta.UNREADABLE]


@given(outputs, ids, numbers, seeds)
def test_a_row_opens_under_its_own_number_and_id_only(y: bytes, one: bytes, number: int, seed: bytes) -> None:
    made = delta.build([delta.seal_row(y, one, number, LABEL)], seed)
    other = number - 1 or 2
    assert delta.newest([y], [(other, one, made)]) == [None]
    assert delta.newest([y], [(number, bytes([one[0] ^ 1]) + one[1:], made)]) == [delta.UNREADABLE]


def test_a_tag_within_a_row_is_no_row() -> None:
    y, one = b"y" * 64, b"d" * 16
    tag, _ = schedule.delta_row(y, 1)
    row = bytes(8) + tag + bytes(40)
    assert delta.newest([y], [(1, one, delta.build([row], bytes(32)))]) == [None]


@pytest.mark.parametrize(
    "call",
    [
        lambda: schedule.delta_row(bytes(63), 1),
        lambda: schedule.delta_row(bytes(64), 0),
        lambda: delta.seal_row(bytes(64), bytes(15), 1, None),
        lambda: delta.build([bytes(64)] * 65, bytes(32)),
        lambda: delta.build([bytes(63)], bytes(32)),
        lambda: delta.build([], bytes(31)),
    ],
)
def test_other_sizes_are_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
