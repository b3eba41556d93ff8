"""The tree: RFC 6962 section 2.1 hashing, and the proofs between a leaf, a tree and a larger tree.

Every function here is arithmetic on hashes. Trees are addressed by ranges of leaves; where the hashes come from is the
caller's business (`Subtree`), so that tiles, a database and a list of leaves are proved by the same code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import VerificationFailed

HASH_BYTES: Final = 32
"""SHA-256."""

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of the tree without leaves (RFC 6962 section 2.1)."""

Subtree = Callable[[int, int], bytes]
"""`(level, index)` -> hash of the complete subtree over leaves `[index << level, (index + 1) << level)`."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf. The 0x00 keeps leaves and nodes apart (second-preimage resistance)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Root of the tree over these leaf hashes, all in memory."""
    if not hashes:
        return EMPTY_ROOT
    # A row that ends in a lone node carries it up unhashed, which is RFC 6962's split at the largest power of two.
    row = list(hashes)
    while len(row) > 1:
        above = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        if len(row) % 2:
            above.append(row[-1])
        row = above
    return row[0]


def range_hash(start: int, stop: int, subtree: Subtree) -> bytes:
    """MTH of leaves `[start, stop)`, `start` a multiple of the largest power of two below the width."""
    parts: list[bytes] = []
    at = start
    while at < stop:
        level = (stop - at).bit_length() - 1
        if at:
            level = min(level, (at & -at).bit_length() - 1)
        parts.append(subtree(level, at >> level))
        at += 1 << level
    if not parts:
        return EMPTY_ROOT
    hash_ = parts.pop()
    while parts:
        hash_ = node_hash(parts.pop(), hash_)
    return hash_


def _split(width: int) -> int:
    """Largest power of two smaller than `width` (RFC 6962's k)."""
    return 1 << ((width - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1, leaf's sibling first.

    Raises:
        ValueError: the leaf is not in a tree of that size.
    """
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of that size")
    start, stop = 0, size
    path: list[bytes] = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_hash(middle, stop, subtree))
            stop = middle
        else:
            path.append(range_hash(start, middle, subtree))
            start = middle
    path.reverse()
    return path


def consistency_proof(size1: int, size2: int, subtree: Subtree) -> list[bytes]:
    """PROOF(size1, D[size2]) of RFC 6962 section 2.1.2. Empty for equal sizes and from the empty tree.

    Raises:
        ValueError: the sizes are not in order.
    """
    if not 0 <= size1 <= size2:
        raise ValueError("a consistency proof goes from the smaller tree to the larger")
    if size1 in (0, size2):
        return []
    start, stop = 0, size2
    proof: list[bytes] = []
    whole = True  # The old tree is a complete subtree so far: the verifier holds its root already.
    while size1 != stop:
        middle = start + _split(stop - start)
        if size1 <= middle:
            proof.append(range_hash(middle, stop, subtree))
            stop = middle
        else:
            proof.append(range_hash(start, middle, subtree))
            start = middle
            whole = False
    if not whole:
        proof.append(range_hash(start, stop, subtree))
    proof.reverse()
    return proof


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` (its hash) is number `index` in the tree of `size` with this root (RFC 9162 section 2.1.3.2).

    Raises:
        VerificationFailed: it is not, or an input is not a hash. Position is the leaf's index.
    """
    if not 0 <= index < size:
        raise VerificationFailed("inclusion", "the leaf is outside the tree", position=index)
    # Without this an empty leaf hash equals an empty root.
    if any(len(value) != HASH_BYTES for value in (leaf, root, *proof)):
        raise VerificationFailed("inclusion", "a hash has 32 bytes", position=index)
    at, last, hash_ = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationFailed("inclusion", "the proof is too long", position=index)
        if at & 1 or at == last:
            hash_ = node_hash(sibling, hash_)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            hash_ = node_hash(hash_, sibling)
        at >>= 1
        last >>= 1
    if last != 0:
        raise VerificationFailed("inclusion", "the proof is too short", position=index)
    if hash_ != root:
        raise VerificationFailed("inclusion", "the proof leads to another root", position=index)


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `size2` extends the tree of `size1` (RFC 9162 section 2.1.4.2).

    From the empty tree there is nothing to prove, so `size1` 0 is refused here; a witness treats it apart.

    Raises:
        VerificationFailed: it does not. Position is `size1`.
    """
    if not 0 < size1 <= size2:
        raise VerificationFailed("consistency", "the sizes are not 1 <= old <= new", position=size1)
    if size1 == size2:
        if proof:
            raise VerificationFailed("consistency", "equal sizes take no proof", position=size1)
        if root1 != root2:
            raise VerificationFailed("consistency", "two roots for one size", position=size1)
        return
    if any(len(value) != HASH_BYTES for value in (root1, root2, *proof)):
        raise VerificationFailed("consistency", "a hash has 32 bytes", position=size1)
    if not proof:
        raise VerificationFailed("consistency", "the proof is empty", position=size1)
    # A complete old tree is itself the first node; its root is left out of the proof.
    nodes = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    at, last = size1 - 1, size2 - 1
    while at & 1:
        at >>= 1
        last >>= 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise VerificationFailed("consistency", "the proof is too long", position=size1)
        if at & 1 or at == last:
            old = node_hash(node, old)
            new = node_hash(node, new)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        at >>= 1
        last >>= 1
    if last != 0:
        raise VerificationFailed("consistency", "the proof is too short", position=size1)
    if old != root1:
        raise VerificationFailed("consistency", "the proof does not lead to the old root", position=size1)
    if new != root2:
        raise VerificationFailed("consistency", "the proof does not lead to the new root", position=size1)
