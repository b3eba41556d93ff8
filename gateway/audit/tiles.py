"""The tree as tiles (C2SP tlog-tiles): rows of 256 hashes, each row's root one hash of the row above.

Only full tiles are ever stored; the right edge, the last partial tile of each level, follows from the tiles and leaves
to its left and is rebuilt when a log is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from gateway.audit import merkle
from gateway.audit.merkle import HASH_BYTES
from gateway.errors import Malformed

WIDTH: Final = 256
"""Hashes in a full tile."""

TILE_BYTES: Final = WIDTH * HASH_BYTES
"""A full tile, 8,192 bytes."""

HEIGHT: Final = 8
"""Tree levels in a tile."""


def path(level: int, number: int, width: int = WIDTH) -> str:
    """Where a hash tile is served: `tile/0/x001/234` and `.p/<width>` for a partial one."""
    return f"tile/{level}/{_number(number)}{_partial(width)}"


def entries_path(number: int, width: int = WIDTH) -> str:
    """Where an entry bundle is served."""
    return f"tile/entries/{_number(number)}{_partial(width)}"


def _number(number: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """Every tile of a tree of this size as `(level, number, width)`, lowest level first."""
    level = 0
    row = size
    while row:
        for number in range(-(-row // WIDTH)):
            yield level, number, min(WIDTH, row - number * WIDTH)
        row //= WIDTH
        level += 1


def encode_bundle(leaves: Iterable[bytes]) -> bytes:
    """An entry bundle: each leaf with its length in two bytes in front. Raises ValueError for a leaf over 65,535."""
    parts: list[bytes] = []
    for leaf in leaves:
        if len(leaf) > 0xFFFF:
            raise ValueError("a leaf has at most 65,535 bytes")
        parts += (len(leaf).to_bytes(2, "big"), leaf)
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """The leaves of a bundle. Raises Malformed when the bytes end within one, or when there are more than 256."""
    leaves: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        stop = start + int.from_bytes(data[at:start], "big")
        if stop > len(data) or start > len(data):
            raise Malformed("bundle", "the bytes end within an entry")
        leaves.append(data[start:stop])
        at = stop
    if len(leaves) > WIDTH:
        raise Malformed("bundle", "more than 256 entries")
    return leaves


def split_tile(data: bytes) -> list[bytes]:
    """A tile's hashes. Raises Malformed for a size that no tile has."""
    if len(data) % HASH_BYTES or not HASH_BYTES <= len(data) <= TILE_BYTES:
        raise Malformed("tile", "not 1 to 256 hashes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


class Edge:
    """The right edge of a growing tree: the partial tile of each level, lowest first. Not safe to share; `copy` it."""

    __slots__ = ("levels", "size")

    def __init__(self, levels: Sequence[Sequence[bytes]] = (), size: int = 0) -> None:
        self.levels = [list(level) for level in levels]
        self.size = size

    def copy(self) -> Edge:
        """An independent edge: the next tree is computed on it and takes its place only after the commit."""
        return Edge(self.levels, self.size)

    def append(self, leaf_hash: bytes) -> list[tuple[int, int, list[bytes], bytes]]:
        """Add one leaf. Returns the tiles it completed, `(level, number, hashes, root)`, lowest first."""
        done: list[tuple[int, int, list[bytes], bytes]] = []
        hash_ = leaf_hash
        self.size += 1
        for level in range(len(self.levels) + 1):
            if level == len(self.levels):
                self.levels.append([])
            row = self.levels[level]
            row.append(hash_)
            if len(row) < WIDTH:
                break
            hash_ = merkle.root_of(row)
            done.append((level, (self.size >> HEIGHT * (level + 1)) - 1, row, hash_))
            self.levels[level] = []
        return done

    def root(self) -> bytes:
        """The whole tree's root."""
        if self.size == 0:
            return merkle.EMPTY_ROOT
        hash_ = b""
        # Right to left and upward: each complete subtree is the left neighbour of all that is done.
        for row in self.levels:
            stop = len(row)
            while stop:
                width = stop & -stop
                part = merkle.root_of(row[stop - width : stop])
                hash_ = merkle.node_hash(part, hash_) if hash_ else part
                stop -= width
        return hash_


class Hashes(Protocol):
    """Where a tree's hashes come from: a database or a folder."""

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Hashes `[start, stop)` of the tile row `level`, all within one tile, partial ones included."""


class Tree:
    """A tree of a fixed size over stored tiles. Reads each tile once."""

    def __init__(self, source: Hashes, size: int) -> None:
        self._source = source
        self._size = size
        self._rows: dict[tuple[int, int], Sequence[bytes]] = {}

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree (`merkle.Subtree`)."""
        row, inner = divmod(level, HEIGHT)
        start = index << inner
        number = start // WIDTH
        held = self._rows.get((row, number))
        if held is None:
            stop = min((number + 1) * WIDTH, self._size >> HEIGHT * row)
            held = self._rows[(row, number)] = self._source.hashes(row, number * WIDTH, stop)
        at = start - number * WIDTH
        return merkle.root_of(held[at : at + (1 << inner)])

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves."""
        return merkle.range_hash(0, self._size if size is None else size, self.subtree)

    def inclusion(self, index: int) -> list[bytes]:
        """Inclusion proof of one leaf in this tree."""
        return merkle.inclusion_proof(index, self._size, self.subtree)

    def consistency(self, old_size: int) -> list[bytes]:
        """Consistency proof from an older size to this one."""
        return merkle.consistency_proof(old_size, self._size, self.subtree)
