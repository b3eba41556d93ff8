"""A table is sorted, padded and sealed against any change; only its own tags are found in it."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import VerificationFailed
from gateway.pseudonym import table as tables
from gateway.pseudonym.table import TableView

ID = b"i" * 16
SEED = b"f" * 32


def entries(count: int) -> list[tuple[bytes, bytes]]:
    return [(hashlib.sha256(b"%d" % n).digest()[:16], hashlib.sha512(b"%d" % n).digest()[:48]) for n in range(count)]


def build(count: int = 20, padded: int = 64, version: int = 3) -> bytes:
    return tables.build(entries(count), table_id=ID, version=version, padded_count=padded, filler_seed=SEED)


def test_everything_put_in_is_found_and_nothing_else() -> None:
    view = TableView(build())
    assert (len(view), view.version, view.table_id) == (64, 3, ID)
    for tag, sealed in entries(20):
        assert view.find(tag) == sealed
    for tag, _ in entries(40)[20:]:
        assert view.find(tag) is None
    for tag in (bytes(16), b"\xff" * 16):
        assert view.find(tag) is None
    assert view.find(view.tag_at(0)) is not None
    assert view.find(view.tag_at(63)) is not None


@settings(max_examples=40)
@given(
    st.sets(st.binary(min_size=16, max_size=16), max_size=40), st.integers(0, 30), st.binary(min_size=32, max_size=32)
)
def test_any_entries_in_any_order_make_one_sorted_table(tags: set[bytes], extra: int, seed: bytes) -> None:
    rows = [(tag, hashlib.sha512(tag).digest()[:48]) for tag in tags]
    padded = max(1, len(rows) + extra)
    made = tables.build(rows, table_id=ID, version=1, padded_count=padded, filler_seed=seed)
    assert made == tables.build(rows[::-1], table_id=ID, version=1, padded_count=padded, filler_seed=seed)
    view = TableView(made)
    order = [view.tag_at(position) for position in range(padded)]
    assert order == sorted(order)
    assert all(view.find(tag) == sealed for tag, sealed in rows)


def test_the_size_depends_on_the_padded_count_only() -> None:
    assert {len(build(count)) for count in (0, 1, 20, 64)} == {64 + 64 * 64}


def test_fillers_come_from_the_seed_and_are_not_repeated() -> None:
    one = tables.build([], table_id=ID, version=1, padded_count=64, filler_seed=SEED)
    assert one == tables.build([], table_id=ID, version=1, padded_count=64, filler_seed=SEED)
    two = tables.build([], table_id=ID, version=1, padded_count=64, filler_seed=b"g" * 32)
    rows, others = ({made[at : at + 64] for at in range(64, len(made), 64)} for made in (one, two))
    assert len(rows) == 64 and not rows & others


def test_bytes_a_view_and_a_memory_map_read_alike(tmp_path: Path) -> None:
    made = build()
    path = tmp_path / "table"
    path.write_bytes(made)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for data in (made, memoryview(made), mapped):
            view = TableView(data)
            assert [view.find(tag) for tag, _ in entries(21)] == [sealed for _, sealed in entries(20)] + [None]


@pytest.mark.parametrize("cut", [0, 1, 63, 64, 65, 127, 128, 64 + 64 * 63, 64 + 64 * 64 - 1])
def test_a_cut_table_is_refused(cut: int) -> None:
    with pytest.raises(VerificationFailed):
        TableView(build()[:cut])


def test_a_lengthened_table_is_refused() -> None:
    for more in (b"\0", bytes(64), b"\xff" * 64):
        with pytest.raises(VerificationFailed):
            TableView(build() + more)


def test_entries_out_of_order_are_refused_with_their_place() -> None:
    made = build()
    swapped = made[:128] + made[192:256] + made[128:192] + made[256:]
    with pytest.raises(VerificationFailed) as refused:
        TableView(swapped)
    assert refused.value.position == 2
    twice = made[:128] + made[64:128] + made[192:]
    with pytest.raises(VerificationFailed) as refused:
        TableView(twice)
    assert refused.value.position == 1
    reordered = made[:64] + b"".join(sorted((made[at : at + 64] for at in range(64, len(made), 64)), reverse=True))
    with pytest.raises(VerificationFailed):
        TableView(reordered)


def test_the_order_is_not_judged_again_where_it_was_before() -> None:
    made = build()
    assert TableView(made, ordered=True).find(entries(1)[0][0]) == entries(1)[0][1]


@pytest.mark.parametrize("at", [*range(0, 16), *range(24, 32), *range(48, 64)])
def test_a_changed_header_is_refused(at: int) -> None:
    bad = bytearray(build())
    bad[at] ^= 0x40
    with pytest.raises(VerificationFailed):
        TableView(bytes(bad))


def test_version_zero_and_count_zero_are_refused() -> None:
    made = build()
    with pytest.raises(VerificationFailed):
        TableView(made[:16] + bytes(8) + made[24:])
    with pytest.raises(VerificationFailed):
        TableView(made[:24] + bytes(8) + made[32:64])


def test_a_changed_byte_anywhere_is_seen_in_the_chunk_hashes() -> None:
    made = build()
    good = tables.chunk_hashes(made, 1000)
    assert len(good) == 5
    assert hashlib.sha256(made[4000:]).digest() == good[4]
    for at in range(0, len(made), 37):
        bad = bytearray(made)
        bad[at] ^= 1
        changed = tables.chunk_hashes(bytes(bad), 1000)
        assert [a != b for a, b in zip(good, changed, strict=True)] == [number == at // 1000 for number in range(5)]
    with pytest.raises(ValueError):
        tables.chunk_hashes(made, 0)


def test_a_tag_twice_is_never_sealed_into_one_table() -> None:
    """psi.md section 9, test 21: two labels under one tag and version would share key and nonce."""
    one = entries(1)[0]
    for second in (one, (one[0], bytes(48))):
        with pytest.raises(ValueError, match="twice"):
            tables.build([one, second], table_id=ID, version=1, padded_count=64, filler_seed=SEED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"table_id": b"short"},
        {"filler_seed": b"short"},
        {"version": 0},
        {"version": 1 << 64},
        {"padded_count": 0},
        {"padded_count": 19},
        {"padded_count": (1 << 28) + 1},
    ],
)
def test_a_table_that_cannot_be_is_a_mistake(wrong: dict[str, object]) -> None:
    good: dict[str, object] = {"table_id": ID, "version": 1, "padded_count": 64, "filler_seed": SEED}
    with pytest.raises(ValueError):
        tables.build(entries(20), **{**good, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(("tag", "sealed"), [(b"short", bytes(48)), (bytes(16), bytes(47)), (bytes(17), bytes(48))])
def test_an_entry_has_its_sizes(tag: bytes, sealed: bytes) -> None:
    with pytest.raises(ValueError):
        tables.build([(tag, sealed)], table_id=ID, version=1, padded_count=64, filler_seed=SEED)


@given(st.integers(0, 1 << 28))
def test_padding_is_monotone_small_and_takes_few_values(count: int) -> None:
    padded = tables.padded_count(count)
    assert padded >= max(count, 1024)
    assert tables.padded_count(padded) == padded
    if count >= 1024:
        assert padded <= count * (1 + 1 / 16)
    if count >= 65_536:
        assert padded <= count * (1 + 1 / 32)


def test_a_million_entries_stay_within_66_bytes_a_key() -> None:
    assert (64 + 64 * tables.padded_count(10**6)) / 10**6 <= 66
    assert len({tables.padded_count(n) for n in range(10**5, 2 * 10**5)}) <= 40
    with pytest.raises(ValueError):
        tables.padded_count((1 << 28) + 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    for candidate in (data, build(1, 2)[:64] + data, build(1, 2)[: 64 + len(data)]):
        try:
            TableView(candidate)
        except VerificationFailed:
            continue
