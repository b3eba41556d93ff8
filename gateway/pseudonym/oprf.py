"""Oblivious keyed hashing: RFC 9497 with ristretto255-SHA512, in its three modes.

The asker blinds, the owner evaluates under its key and proves that it used that key, the asker verifies and finalizes.
The owner learns nothing of the input, the asker nothing of the key. Between states only VOPRF (mode 1) is used; OPRF
(mode 0) is for one state alone, and POPRF (mode 2) is here to be measured against its vectors.

Everything is a batch and deterministic: blinds and proof nonces are arguments, drawn by `draw_blinds` and `draw_nonce`.
Words and section numbers are the RFC's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NoReturn

from gateway.errors import Malformed, VerificationFailed
from gateway.primitives.group import ELEMENT_BYTES, GROUP, ORDER, SCALAR_BYTES, Scalar, invert, judge_scalar, scalar_of
from gateway.primitives.lp import lp
from gateway.primitives.secret import Locked, equal

PROOF_BYTES: Final = 2 * SCALAR_BYTES
"""c, then s."""

BATCH_MAX: Final = (1 << 16) - 1
"""Most elements under one proof: their index has two bytes (section 2.2.1)."""

INPUT_BYTES_MAX: Final = (1 << 16) - 1

Token = Callable[[int], bytes]
"""A source of that many fresh random bytes."""


class Mode(IntEnum):
    """Section 3: the number is part of every domain separation tag."""

    OPRF = 0
    VOPRF = 1
    POPRF = 2


@dataclass(frozen=True, slots=True)
class _Context:
    """The tags of one mode (section 4.1), ready for hashing."""

    to_group: bytes
    to_scalar: bytes
    derive: bytes
    seed: bytes


def _context(mode: Mode) -> _Context:
    name = b"OPRFV1-" + bytes((mode,)) + b"-ristretto255-SHA512"

    def tag(prefix: bytes) -> bytes:
        whole = prefix + name
        return whole + bytes((len(whole),))  # DST_prime of RFC 9380 section 5.3.1

    return _Context(tag(b"HashToGroup-"), tag(b"HashToScalar-"), tag(b"DeriveKeyPair"), b"Seed-" + name)


_CONTEXTS: Final = {mode: _context(mode) for mode in Mode}

_SHA512_BLOCK: Final = hashlib.sha512(bytes(128))
"""State after Z_pad, one block of zeros, shared by every message."""


def _expand(message: bytes, tag: bytes) -> bytes:
    """expand_message_xmd of RFC 9380 section 5.3.1 for SHA-512 and 64 bytes: one output block."""
    first = _SHA512_BLOCK.copy()
    first.update(message + b"\x00\x40\x00" + tag)
    return hashlib.sha512(first.digest() + b"\x01" + tag).digest()


def _hash_to_group(inputs: Sequence[bytes], mode: Mode) -> list[bytes]:
    tag = _CONTEXTS[mode].to_group
    for one in inputs:
        if len(one) > INPUT_BYTES_MAX:
            raise ValueError("an input has at most 65,535 bytes")
    return GROUP.hash_to_group([_expand(one, tag) for one in inputs])


def _hash_to_scalar(message: bytes, tag: bytes) -> bytes:
    return scalar_of(int.from_bytes(_expand(message, tag), "little"))


# Keys


def derive_key_pair(seed: bytes, info: bytes, mode: Mode = Mode.VOPRF) -> tuple[bytes, bytes]:
    """The secret scalar and the public element of a 32-byte seed and public `info` (section 3.2.1, DeriveKeyPair).

    Raises:
        ValueError: the seed has not 32 bytes, or `info` more than 65,535.
    """
    if len(seed) != SCALAR_BYTES:
        raise ValueError("a key seed has 32 bytes")
    material = seed + lp(info)
    for counter in range(256):
        secret = _hash_to_scalar(material + bytes((counter,)), _CONTEXTS[mode].derive)
        if any(secret):
            return secret, GROUP.mul_base(secret)
    raise ValueError("no key from this seed")  # 256 zeros in a row: not in the life of the universe


def public_key(secret: Scalar) -> bytes:
    """The public element of a secret scalar."""
    return GROUP.mul_base(secret)


# The asker's first step


def draw_blinds(token: Token, count: int) -> list[bytes]:
    """`count` uniform scalars, none of them zero (section 2.1, RandomScalar)."""
    return [_uniform_scalar(lambda: token(64)) for _ in range(count)]


def _uniform_scalar(draw: Callable[[], bytes]) -> bytes:
    while True:
        # 64 bytes reduced are uniform to 2^-259 (section 4.7.2).
        scalar = scalar_of(int.from_bytes(draw(), "little"))
        if any(scalar):
            return scalar


def blind(inputs: Sequence[bytes], blinds: Sequence[bytes], mode: Mode = Mode.VOPRF) -> list[bytes]:
    """The blinded element of each input (section 3.3.1, Blind).

    Raises:
        ValueError: no input or too many, an input too long, or a blind that is zero or not reduced.
    """
    _judge_count(len(inputs))
    return GROUP.mul_each(blinds, _hash_to_group(inputs, mode))


# The owner's step


def blind_evaluate(secret: Scalar, blinded: Sequence[bytes]) -> list[bytes]:
    """The key times each element, without a proof (section 3.3.1): for use inside one state.

    Raises:
        Malformed: an element is not canonical or is the identity; nothing is evaluated then.
    """
    _judge_count(len(blinded))
    return GROUP.mul(secret, blinded)


def draw_nonce(token: Token, secret: Scalar, blinded: Sequence[bytes]) -> bytes:
    """The nonce r of one proof.

    Hashed from fresh randomness, the key and the batch: two proofs with one nonce would reveal the key, and a machine
    that wakes up from a snapshot may draw the same randomness again.
    """
    key = secret.copy() if isinstance(secret, Locked) else secret

    def draw() -> bytes:
        return hashlib.sha512(lp("psi/1 proof nonce", token(64), key) + b"".join(blinded)).digest()

    return _uniform_scalar(draw)


def evaluate_with_proof(
    secret: Scalar,
    public: bytes,
    blinded: Sequence[bytes],
    nonce: bytes,
    mode: Mode = Mode.VOPRF,
    info: bytes = b"",
) -> tuple[list[bytes], bytes]:
    """The key times each element, and one 64-byte proof for all (sections 3.3.2 and 3.3.3, BlindEvaluate).

    `info` is the public input of POPRF and unused otherwise.

    Raises:
        Malformed: an element is not canonical or is the identity; nothing is evaluated then.
        ValueError: the batch is empty or above 65,535, or a scalar is not reduced or zero.
    """
    _judge_count(len(blinded))
    if mode is Mode.POPRF:
        tweak = _tweak(info)
        inverse = GROUP.inverse_of_sum(secret, tweak)
        evaluated = GROUP.mul(inverse, blinded)
        key: Scalar = invert([inverse])[0]
        public = GROUP.add(GROUP.mul_base(tweak), public)
        # Swapped: t times the evaluated elements gives the blinded ones.
        return evaluated, _prove(key, public, evaluated, blinded, nonce, mode)
    if mode is Mode.VOPRF:
        evaluated = GROUP.mul(secret, blinded)
        return evaluated, _prove(secret, public, blinded, evaluated, nonce, mode)
    raise ValueError("mode 0 has no proof")


def _tweak(info: bytes) -> bytes:
    scalar = _hash_to_scalar(b"Info" + lp(info), _CONTEXTS[Mode.POPRF].to_scalar)
    judge_scalar(scalar)
    return scalar


def _weights(public: bytes, left: Sequence[bytes], right: Sequence[bytes], context: _Context) -> list[bytes]:
    """The d_i of ComputeComposites (section 2.2.1)."""
    seed = hashlib.sha512(lp(public, context.seed)).digest()
    # lp() of every part, written out: this runs for every element of every batch, twice.
    head = lp(seed)
    size = ELEMENT_BYTES.to_bytes(2, "big")
    tag = context.to_scalar
    return [
        _hash_to_scalar(b"".join((head, i.to_bytes(2, "big"), size, c, size, d, b"Composite")), tag)
        for i, (c, d) in enumerate(zip(left, right, strict=True))
    ]


def _challenge(public: bytes, m: bytes, z: bytes, t2: bytes, t3: bytes, context: _Context) -> bytes:
    return _hash_to_scalar(lp(public, m, z, t2, t3) + b"Challenge", context.to_scalar)


def _prove(
    key: Scalar, public: bytes, left: Sequence[bytes], right: Sequence[bytes], nonce: bytes, mode: Mode
) -> bytes:
    """GenerateProof (section 2.2.1): log_G(public) = log_left(right) for every pair."""
    context = _CONTEXTS[mode]
    m = GROUP.combine(_weights(public, left, right, context), left)
    # Who holds the key needs one multiplication for the second composite (ComputeCompositesFast).
    (z,) = GROUP.mul(key, [m])
    t2 = GROUP.mul_base(nonce)
    (t3,) = GROUP.mul(nonce, [m])
    c = _challenge(public, m, z, t2, t3, context)
    return c + GROUP.respond(nonce, c, key)


# The asker's second step


def verify_proof(
    public: bytes,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
    proof: bytes,
    mode: Mode = Mode.VOPRF,
    info: bytes = b"",
) -> None:
    """Return if every evaluated element is the blinded one under the key of `public` (section 2.2.2, VerifyProof).

    Raises:
        VerificationFailed: anything is wrong with key, elements or proof. The whole batch is void: no element of it may
            be used, and it never counts as "nothing found".
        ValueError: `blinded`, our own, is empty or too many.
    """
    _judge_count(len(blinded))
    if len(evaluated) != len(blinded):
        raise VerificationFailed("proof", "the reply has another number of elements than the request")
    if len(proof) != PROOF_BYTES:
        raise VerificationFailed("proof", "a proof has 64 bytes")
    c, s = proof[:SCALAR_BYTES], proof[SCALAR_BYTES:]
    try:
        judge_scalar(c)
        judge_scalar(s)
    except ValueError:
        _void()
    context = _CONTEXTS[mode]
    try:
        if mode is Mode.POPRF:
            public = GROUP.add(GROUP.mul_base(_tweak(info)), public)
            left, right = evaluated, blinded
        elif mode is Mode.VOPRF:
            left, right = blinded, evaluated
        else:
            raise ValueError("mode 0 has no proof")
        weights = _weights(public, left, right, context)
        m = GROUP.combine(weights, left)
        z = GROUP.combine(weights, right)
        t2 = GROUP.add(GROUP.mul_base(s), GROUP.mul(c, [public])[0])
        t3 = GROUP.add(*GROUP.mul_each([s, c], [m, z]))
    except Malformed as fault:
        raise VerificationFailed("proof", f"an element cannot be one of the owner's ({fault.why})") from None
    if not equal(_challenge(public, m, z, t2, t3, context), c):
        _void()


def _void() -> NoReturn:
    raise VerificationFailed("proof", "the proof does not hold for this key and these elements")


def finalize_batch(
    inputs: Sequence[bytes],
    blinds: Sequence[bytes],
    evaluated: Sequence[bytes],
    mode: Mode = Mode.VOPRF,
    info: bytes = b"",
) -> list[bytes]:
    """The 64-byte output of each input (section 3.3, Finalize). Between states only after `verify_proof`.

    Raises:
        Malformed: an element is not canonical or is the identity.
        ValueError: the three sequences differ in length, or a blind is zero or not reduced.
    """
    unblinded = GROUP.mul_each(invert(blinds), evaluated)
    public = lp(info) if mode is Mode.POPRF else b""
    return [_output(one, public, element) for one, element in zip(inputs, unblinded, strict=True)]


def _output(one: bytes, public_info: bytes, element: bytes) -> bytes:
    return hashlib.sha512(lp(one) + public_info + lp(element) + b"Finalize").digest()


# The owner on its own inputs


def evaluate_batch(secret: Scalar, inputs: Sequence[bytes], mode: Mode = Mode.VOPRF, info: bytes = b"") -> list[bytes]:
    """The outputs of the owner's own inputs, with no blinding (section 3.3, Evaluate).

    Raises:
        ValueError: an input is too long, or the key is not a scalar.
    """
    public = lp(info) if mode is Mode.POPRF else b""
    key = GROUP.inverse_of_sum(secret, _tweak(info)) if mode is Mode.POPRF else secret
    elements = GROUP.mul(key, _hash_to_group(inputs, mode))
    return [_output(one, public, element) for one, element in zip(inputs, elements, strict=True)]


def evaluate(secret: Scalar, one: bytes, mode: Mode = Mode.VOPRF, info: bytes = b"") -> bytes:
    """`evaluate_batch` of one input."""
    return evaluate_batch(secret, [one], mode, info)[0]


def split(elements: bytes) -> list[bytes]:
    """Concatenated elements, one by one. Raises Malformed when a piece is left over."""
    if len(elements) % ELEMENT_BYTES:
        raise Malformed("elements", "not a whole number of 32-byte elements")
    return [elements[at : at + ELEMENT_BYTES] for at in range(0, len(elements), ELEMENT_BYTES)]


def _judge_count(count: int) -> None:
    if not 1 <= count <= BATCH_MAX:
        raise ValueError("a batch has 1 to 65,535 elements")


__all__ = [
    "BATCH_MAX",
    "INPUT_BYTES_MAX",
    "ORDER",
    "PROOF_BYTES",
    "Mode",
    "Token",
    "blind",
    "blind_evaluate",
    "derive_key_pair",
    "draw_blinds",
    "draw_nonce",
    "evaluate",
    "evaluate_batch",
    "evaluate_with_proof",
    "finalize_batch",
    "public_key",
    "split",
    "verify_proof",
]
