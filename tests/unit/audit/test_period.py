"""Period keys: what is forgotten is gone, what is kept opens, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.kinds import RETENTION_NS
from gateway.audit.period import LEVELS, PERIOD_NS, RECORDS_MAX, WIDTH, Gone, PeriodKey, period_of
from gateway.errors import Malformed, VerificationFailed

SEED = bytes(range(32))
NUMBERS = st.integers(0, 2000) | st.integers(0, RECORDS_MAX - 1)


def opens(key: PeriodKey, seq: int, stored: bytes) -> bool:
    try:
        return key.open(seq, stored) == b"payload"
    except Gone:
        return False


@given(
    ranges=st.lists(st.tuples(NUMBERS, st.integers(0, 700)), max_size=5),
    keep=st.sets(NUMBERS, max_size=6),
    looked=st.lists(NUMBERS, max_size=8),
)
def test_what_is_forgotten_is_gone_and_the_rest_opens(
    ranges: list[tuple[int, int]], keep: set[int], looked: list[int]
) -> None:
    whole = PeriodKey.fresh(SEED)
    left = whole
    held = sorted(keep)
    for first, more in ranges:
        left = left.forget(first, first + more, held)
    left = PeriodKey.decode(left.encode())
    places = {seq for first, more in ranges for seq in (first - 1, first, first + more, first + more + 1)}
    for seq in sorted(places | keep | set(looked)):
        if not 0 <= seq < RECORDS_MAX:
            continue
        gone = seq not in keep and any(first <= seq <= first + more for first, more in ranges)
        assert opens(left, seq, whole.close(seq, b"payload")) is not gone


def test_a_key_of_which_all_is_forgotten_is_empty() -> None:
    assert PeriodKey.fresh(SEED).forget(0, RECORDS_MAX - 1).is_empty
    assert not PeriodKey.fresh(SEED).forget(0, RECORDS_MAX - 1, [7]).is_empty


def test_the_file_of_a_key_that_lost_one_record_stays_small() -> None:
    key = PeriodKey.fresh(SEED).forget(123_456, 123_456)
    assert len(key.encode()) <= 100 + LEVELS * (WIDTH - 1) * 38


def test_other_bytes_do_not_open() -> None:
    key = PeriodKey.fresh(SEED)
    stored = key.close(5, b"payload")
    for seq, changed in ((6, stored), (5, stored[:-1]), (5, bytes([stored[0] ^ 1]) + stored[1:])):
        with pytest.raises(VerificationFailed):
            key.open(seq, changed)


@given(st.binary(max_size=200) | st.binary(max_size=120).map(lambda tail: b"limen.period/1\n" + tail))
def test_any_bytes_are_a_key_or_refused(data: bytes) -> None:
    try:
        key = PeriodKey.decode(data)
    except Malformed:
        return
    assert key.encode() == data or len(key.encode()) == len(data)


def test_a_node_under_another_is_refused() -> None:
    node = bytes((0,)) + bytes(5) + SEED
    under = bytes((1,)) + bytes(4) + b"\x03" + SEED
    PeriodKey.decode(b"limen.period/1\n" + node)
    with pytest.raises(Malformed):
        PeriodKey.decode(b"limen.period/1\n" + node + under)


def test_periods_divide_time_and_are_shorter_than_their_terms() -> None:
    for name, term in RETENTION_NS.items():
        assert term == 0 or PERIOD_NS[name] * 10 <= term
        start = period_of(name, 1_760_000_000 * 10**9 + 12345)
        assert start % PERIOD_NS[name] == 0 and 0 <= 1_760_000_000 * 10**9 + 12345 - start < PERIOD_NS[name]
