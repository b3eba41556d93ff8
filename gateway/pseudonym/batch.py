"""A padded batch: declared keys and dummies, shuffled and blinded, all from one 32-byte seed.

Whoever holds seed and ordered keys can compute the batch's exact bytes again: so an auditor proves that no slot held
anything but a declared key or a derived dummy (T8). Dummies take the same path as keys, through hashing, blinding,
proof and finalizing, so a batch of dummies alone (a cover leg, T4) costs both sides the same.

`BatchPlan` is for reading; `blinded_elements` and `outputs` are the same on plain values, to run in a worker process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Malformed, VerificationFailed
from gateway.primitives.group import scalar_of
from gateway.primitives.lp import lp
from gateway.pseudonym import oprf
from gateway.pseudonym.key import MatchKey
from gateway.pseudonym.schedule import seed_commitment
from gateway.terms.words import BATCH_CLASSES

SEED_BYTES: Final = 32

_DUMMY: Final = "psi/1 dummy"
_BLIND: Final = "psi/1 blind"
_SHUFFLE: Final = "psi/1 shuffle"


def class_for(keys: int) -> int:
    """The class of every batch of a question with so many keys: the smallest that holds them, else the largest."""
    if keys < 0:
        raise ValueError("a question has no negative number of keys")
    return next((size for size in BATCH_CLASSES if keys <= size), BATCH_CLASSES[-1])


def batches_for(keys: int) -> int:
    """How many batches of `class_for(keys)` that is; at least one."""
    return max(1, -(-keys // class_for(keys)))


@dataclass(frozen=True, slots=True)
class _Slots:
    """What stands where: `inputs` and `blinds` by slot, and `places[i]`, the slot of the i-th declared key."""

    inputs: tuple[bytes, ...] = field(repr=False)
    blinds: tuple[bytes, ...] = field(repr=False)
    places: tuple[int, ...] = field(repr=False)


def _stream(seed: bytes, use: str, size: int, count: int) -> list[bytes]:
    """`count` draws of `size` bytes from the seed's stream for `use`: SHAKE-256(lp(use, seed)), cut up."""
    stream = hashlib.shake_256(lp(use, seed)).digest(size * count)
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def _slots(inputs: Sequence[bytes], seed: bytes, class_size: int) -> _Slots:
    """docs/protocol/matching.md, batch. The numbers are its steps."""
    if len(seed) != SEED_BYTES:
        raise ValueError("a batch seed has 32 bytes")
    if class_size not in BATCH_CLASSES:
        raise ValueError("a batch has 8, 32, 320 or 1,280 elements")
    if len(inputs) > class_size:
        raise ValueError("more keys than the class has slots")
    # 1. Items: the declared keys in their order, then dummies up to the class.
    dummies = [lp(_DUMMY, draw) for draw in _stream(seed, _DUMMY, 32, class_size)]
    items = (*inputs, *dummies[len(inputs) :])
    # 2. Shuffle (Fisher and Yates). 128 bits modulo at most 1,280: a bias below 2^-117.
    order = list(range(class_size))
    for last, draw in zip(range(class_size - 1, 0, -1), _stream(seed, _SHUFFLE, 16, class_size - 1), strict=True):
        other = int.from_bytes(draw, "big") % (last + 1)
        order[last], order[other] = order[other], order[last]
    places = [0] * class_size
    for slot, item in enumerate(order):
        places[item] = slot
    # 3. A blind for each slot, uniform to 2^-259 (RFC 9497 section 4.7.2); zero would be refused when it is used.
    blinds = [scalar_of(int.from_bytes(draw, "little")) for draw in _stream(seed, _BLIND, 64, class_size)]
    return _Slots(tuple(items[item] for item in order), tuple(blinds), tuple(places[: len(inputs)]))


def blinded_elements(inputs: Sequence[bytes], seed: bytes, class_size: int) -> bytes:
    """The batch as it travels: `class_size` elements of 32 bytes.

    `inputs` are `MatchKey.input` values in the order that the log commits to; none at all gives a cover batch. An
    auditor calls this with the opened seed and keys and compares (T8).

    Raises:
        ValueError: more inputs than slots, an unknown class, or a seed that has not 32 bytes.
    """
    slots = _slots(inputs, seed, class_size)
    return b"".join(oprf.blind(slots.inputs, slots.blinds))


def outputs(
    inputs: Sequence[bytes],
    seed: bytes,
    class_size: int,
    blinded: bytes,
    evaluated: bytes,
    proof: bytes,
    public_key: bytes,
) -> list[bytes]:
    """The 64-byte output of each declared key, in their order, out of the owner's reply.

    Every slot is verified, unblinded and hashed; dummies are dropped last. `blinded` is what was sent.

    Raises:
        VerificationFailed: the proof does not hold under `public_key`: the whole batch is void.
        ValueError: as `blinded_elements`.
    """
    slots = _slots(inputs, seed, class_size)
    try:
        elements = oprf.split(evaluated)
    except Malformed as fault:
        raise VerificationFailed("proof", fault.why) from None
    oprf.verify_proof(public_key, oprf.split(blinded), elements, proof)
    found = oprf.finalize_batch(slots.inputs, slots.blinds, elements)
    return [found[place] for place in slots.places]


def opening(inputs: Sequence[bytes], seed: bytes, class_size: int, key: int) -> tuple[int, bytes]:
    """Where the declared key number `key` (from 0) stood in the batch, and its slot's blind (32 bytes, a scalar): what
    shows the owner that a hit is of this logged batch. Raises ValueError as `blinded_elements`."""
    slots = _slots(inputs, seed, class_size)
    return slots.places[key], slots.blinds[slots.places[key]]


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One batch of a leg, from its keys to their outputs."""

    keys: tuple[MatchKey, ...]
    class_size: int
    seed: bytes = field(repr=False)
    blinded: bytes = field(repr=False)

    @classmethod
    def make(cls, keys: Sequence[MatchKey], seed: bytes, class_size: int) -> BatchPlan:
        """Lay out and blind. Raises ValueError as `blinded_elements`."""
        inputs = [key.input.open() for key in keys]
        return cls(tuple(keys), class_size, seed, blinded_elements(inputs, seed, class_size))

    def finish(self, evaluated: bytes, proof: bytes, public_key: bytes) -> list[tuple[MatchKey, bytes]]:
        """Each key with its output. Raises VerificationFailed: the whole batch is void."""
        inputs = [key.input.open() for key in self.keys]
        found = outputs(inputs, self.seed, self.class_size, self.blinded, evaluated, proof, public_key)
        return list(zip(self.keys, found, strict=True))


def cover(seed: bytes, class_size: int) -> BatchPlan:
    """A batch without any key, for a leg that must not be asked (T4). Its `finish` verifies and returns nothing."""
    return BatchPlan.make((), seed, class_size)


def recompute(seed: bytes, inputs: Sequence[bytes], class_size: int, commitment: bytes) -> bytes:
    """For an auditor: the elements that must stand in the logged request.

    Raises:
        VerificationFailed: the seed is not the one that the request committed to.
    """
    if seed_commitment(seed) != commitment:
        raise VerificationFailed("seed", "the opened seed is not the committed one")
    return blinded_elements(inputs, seed, class_size)


__all__ = [
    "SEED_BYTES",
    "BatchPlan",
    "batches_for",
    "blinded_elements",
    "class_for",
    "cover",
    "opening",
    "outputs",
    "recompute",
    "seed_commitment",
]
