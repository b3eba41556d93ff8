"""Tiles: paths, bundles, the growing right edge, and trees read back from tiles."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import merkle, tiles
from gateway.errors import Malformed
from gateway.store.writer import Company


def test_paths_are_those_of_the_specification() -> None:
    assert tiles.path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.path(3, 5, 17) == "tile/3/005.p/17"
    assert tiles.entries_path(1000) == "tile/entries/x001/000"
    assert tiles.entries_path(0, 1) == "tile/entries/000.p/1"


def test_a_tree_of_70000_has_the_tiles_of_the_specifications_example() -> None:
    found = list(tiles.widths(70_000))
    assert [(level, width) for level, _, width in found if width != 256] == [(0, 112), (1, 17), (2, 1)]
    assert sum(level == 0 and width == 256 for level, _, width in found) == 273
    assert sum(level == 1 and width == 256 for level, _, width in found) == 1
    assert list(tiles.widths(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tiles.widths(0)) == []


class Rows:
    """What a store keeps: full tiles, and the leaf hashes."""

    def __init__(self, count: int) -> None:
        self.leaves = [merkle.leaf_hash(n.to_bytes(4, "big")) for n in range(count)]
        self.full: dict[tuple[int, int], tuple[list[bytes], bytes]] = {}
        self.edge = tiles.Edge()
        self.roots = [merkle.EMPTY_ROOT]

    def grow(self) -> None:
        for hash_ in self.leaves:
            for level, number, hashes, root in self.edge.append(hash_):
                assert len(hashes) == 256 and root == merkle.root_of(hashes)
                self.full[(level, number)] = (hashes, root)

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        number, at = divmod(start, 256)
        if (level, number) in self.full:
            return self.full[(level, number)][0][at : at + stop - start]
        if level == 0:
            return self.leaves[start:stop]
        return [self.full[(level - 1, n)][1] for n in range(start, stop)]


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 66_000])
def test_the_edge_and_the_tiles_agree_with_the_plain_tree(count: int) -> None:
    rows = Rows(count)
    rows.grow()
    root = merkle.root_of(rows.leaves)
    assert rows.edge.root() == root
    tree = tiles.Tree(rows, count)
    assert tree.root() == root
    for index in {0, count // 2, count - 1} if count else ():
        merkle.verify_inclusion(index, count, rows.leaves[index], tree.inclusion(index), root)
    for old in {1, count // 3, count - 1} & set(range(1, count + 1)):
        old_root = merkle.root_of(rows.leaves[:old])
        assert tree.root(old) == old_root
        merkle.verify_consistency(old, count, old_root, root, tree.consistency(old))


def test_a_copied_edge_grows_alone() -> None:
    edge = tiles.Edge()
    for n in range(300):
        edge.append(merkle.leaf_hash(bytes([n % 256])))
    root = edge.root()
    other = edge.copy()
    other.append(bytes(32))
    assert (edge.size, edge.root()) == (300, root)
    assert other.root() != root


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_read_back(leaves: list[bytes]) -> None:
    assert tiles.decode_bundle(tiles.encode_bundle(leaves)) == leaves


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_bundle_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert tiles.encode_bundle(tiles.decode_bundle(data)) == data
    with contextlib.suppress(Malformed):
        assert b"".join(tiles.split_tile(data)) == data


def test_limits_of_bundles_and_tiles() -> None:
    with pytest.raises(ValueError, match="65,535"):
        tiles.encode_bundle([bytes(65_536)])
    with pytest.raises(Malformed):
        tiles.decode_bundle(bytes(2 * 257))
    for size in (0, 31, 33, 32 * 257):
        with pytest.raises(Malformed):
            tiles.split_tile(bytes(size))


class _Callers:
    """A closed loop of callers around `Company`, in simulated time: each is back `back_s` after its answer."""

    def __init__(self, count: int, commit_s: float, back_s: float) -> None:
        self.company = Company()
        self.commit_s = commit_s
        self.due = [n * back_s / count for n in range(count)]
        self.back_s = back_s
        self.now = 0.0
        self.batches: list[int] = []

    def _queued(self) -> int:
        return sum(due <= self.now for due in self.due)

    def run(self, commits: int) -> None:
        for _ in range(commits):
            while not self._queued():
                self.now += 1e-5
            self.company.began(self._queued(), self.now)
            while self.company.is_awaited(self._queued(), self.now):
                self.now += 1e-4
            batch = [n for n, due in enumerate(self.due) if due <= self.now]
            self.company.came(len(batch))
            start = self.now
            for n in batch:
                self.due[n] = float("inf")
            self.now += self.commit_s
            self.company.ended(len(batch), start, self.now, self._queued())
            for place, n in enumerate(batch):
                self.due[n] = self.now + self.back_s * (place + 1) / len(batch)
            self.batches.append(len(batch))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 64), st.floats(0.001, 0.01), st.floats(0.01, 0.2))
def test_callers_who_come_back_soon_share_one_commit(count: int, commit_s: float, share: float) -> None:
    callers = _Callers(count, commit_s, share * commit_s)
    callers.run(60)
    assert sum(callers.batches[-20:]) / 20 >= 0.9 * count


def test_callers_who_do_not_come_back_are_not_waited_for() -> None:
    company = Company()
    waits = 0
    now = 0.0
    for _ in range(200):
        company.ended(10, now, now + 0.005, 0)
        now += 0.005
        company.began(1, now)
        waits += company.is_awaited(1, now)
        company.came(1)
        now += 0.01
    assert waits < 30


def test_one_caller_never_waits() -> None:
    callers = _Callers(1, 0.005, 0.0001)
    callers.run(20)
    assert callers.now < 20 * (0.005 + 0.0002)
