"""The entries of one pair, provably all of them, without a word about other pairs.

Each leaf that names a peer has the hash of the one before (`leaf.pair_hash`), so that the last is bound to all. Which
one is the last stands in the last entry of every tree that is signed, `pair.heads`, as one hash: the root of a tree
with a place for every state there could be. A place is opened for its pair only, and nobody can tell an empty place
from a taken one, nor from the same one a checkpoint later (T14).

    place(peer) = its three letters as a number to the base 26, below 2^15
    leaf        = SHA-256(0x00 | salt | peer | 8-byte count | head)
    node        = SHA-256(0x01 | left | right)
    salt        = HMAC-SHA-256(key, "salt" | 8-byte seq | peer)
    empty       = HMAC-SHA-256(key, "empty" | 8-byte seq | depth | 2-byte place): a subtree that has no pair in it

`seq` is the number of the entry, `head` the leaf hash of the pair's last entry, `count` its number with the peer; the
key stays with the log's writer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.seal import mac, pads
from gateway.errors import Malformed

KIND: Final = "pair.heads"
DEPTH: Final = 15
HASH_BYTES: Final = 32

_STATE: Final = re.compile(r"[A-Z]{3}\Z")


@dataclass(frozen=True, slots=True)
class Opening:
    """One pair's place, opened: 32 bytes of salt and the `DEPTH` hashes beside the way up, the lowest first."""

    salt: bytes
    siblings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a pair stands: how many entries, and the leaf hash of the last."""

    count: int
    hash: bytes


def place(peer: str) -> int:
    """The peer's place, 0 to 17,575. Raises Malformed for what is no state."""
    if not _STATE.match(peer):
        raise Malformed("peer", "not a state")
    first, second, third = (ord(letter) - ord("A") for letter in peer)
    return (first * 26 + second) * 26 + third


def root(heads: Mapping[str, Head], key: bytes, seq: int) -> bytes:
    """What the entry of number `seq` commits to, 32 bytes. Names that are no state have no place and are left out."""
    return _Tree(heads, key, seq).node(0, 0)


def open_(heads: Mapping[str, Head], key: bytes, seq: int, peer: str) -> Opening:
    """Open one pair's place.

    Raises:
        Malformed: not a state, or no entry names it.
    """
    at = place(peer)
    tree = _Tree(heads, key, seq)
    if at not in tree.taken:
        raise Malformed("peer", "no entry names this state")
    siblings = tuple(tree.node(depth, (at >> DEPTH - depth) ^ 1) for depth in range(DEPTH, 0, -1))
    return Opening(tree.salt(peer), siblings)


def root_of(peer: str, head: Head, opening: Opening) -> bytes:
    """The root that an opening leads to. Raises Malformed for a wrong shape."""
    at = place(peer)
    if len(opening.salt) != HASH_BYTES or len(head.hash) != HASH_BYTES or not 0 < head.count < 1 << 63:
        raise Malformed("heads", "a salt, a head or a count has the wrong size")
    if len(opening.siblings) != DEPTH or any(len(one) != HASH_BYTES for one in opening.siblings):
        raise Malformed("heads", f"not {DEPTH} hashes")
    hash_ = _leaf(opening.salt, peer, head)
    for sibling in opening.siblings:
        hash_ = _node(sibling, hash_) if at & 1 else _node(hash_, sibling)
        at >>= 1
    return hash_


def _leaf(salt: bytes, peer: str, head: Head) -> bytes:
    return hashlib.sha256(b"\x00" + salt + peer.encode() + head.count.to_bytes(8, "big") + head.hash).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class _Tree:
    """The tree of one entry. Only ways to taken places are computed."""

    def __init__(self, heads: Mapping[str, Head], key: bytes, seq: int) -> None:
        self._pads = pads(key)
        self._seq = seq.to_bytes(8, "big")
        self.taken = {place(peer): (peer, head) for peer, head in heads.items() if _STATE.match(peer)}

    def salt(self, peer: str) -> bytes:
        return mac(self._pads, b"salt" + self._seq + peer.encode())

    def node(self, depth: int, at: int) -> bytes:
        """The node at this depth from the root, `at` from the left."""
        return self._node(depth, at, [one for one in self.taken if one >> DEPTH - depth == at])

    def _node(self, depth: int, at: int, below: Sequence[int]) -> bytes:
        if not below:
            return mac(self._pads, b"empty" + self._seq + bytes((depth,)) + at.to_bytes(2, "big"))
        if depth == DEPTH:
            peer, head = self.taken[at]
            return _leaf(self.salt(peer), peer, head)
        bit = DEPTH - depth - 1
        left = [one for one in below if not one >> bit & 1]
        right = [one for one in below if one >> bit & 1]
        return _node(self._node(depth + 1, 2 * at, left), self._node(depth + 1, 2 * at + 1, right))
