"""The prime-order group ristretto255 (RFC 9496), as batch operations on 32-byte encodings.

One interface, `Group`; the carrier that is always present is libsodium. libsodium 1.0.18 (Debian 12, and the copy
inside rbcl) takes encodings with bit 255 set, and every version takes the identity and unreduced scalars, so what comes
in is judged here first, whatever the version says afterwards.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, final

from gateway.errors import ConfigRefused, Malformed
from gateway.primitives import sodium
from gateway.primitives.secret import Locked

ELEMENT_BYTES: Final = 32
SCALAR_BYTES: Final = 32
UNIFORM_BYTES: Final = 64
"""Input of the one-way map (RFC 9496 section 4.3.4)."""

ORDER: Final = (1 << 252) + 27742317777372353535851937790883648493
"""The prime order of the group (RFC 9496 section 4.4)."""

GENERATOR: Final = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")

_FIELD: Final = (1 << 255) - 19
_IDENTITY: Final = bytes(ELEMENT_BYTES)

_Out = ctypes.c_char * ELEMENT_BYTES
"""A result's place, for elements and scalars; one a call of ours, so that threads do not share it."""

Scalar = bytes | Locked
"""32 bytes, little-endian, 1 to ORDER - 1; a long-lived secret one stays in locked memory."""


class Group(Protocol):
    """What the protocols need from a group. Every carrier refuses the same inputs and gives the same bytes.

    Elements coming from outside pass `check` or one of the multiplications before anything else is done with them: all
    of these raise Malformed for what is not the canonical encoding of an element other than the identity. Scalars out
    of range are a mistake of the caller's: ValueError. Secret scalars are used in constant time.
    """

    def load(self) -> str:
        """Load and test the carrier now, and say where it came from. Raises ConfigRefused: it must not be used."""

    def check(self, elements: Iterable[bytes]) -> None:
        """Return if every element is canonical and not the identity. Raises Malformed with its position."""

    def hash_to_group(self, uniform: Sequence[bytes]) -> list[bytes]:
        """The one-way map of each 64-byte uniform string."""

    def mul(self, scalar: Scalar, elements: Sequence[bytes]) -> list[bytes]:
        """`scalar` times each element."""

    def mul_each(self, scalars: Sequence[bytes], elements: Sequence[bytes]) -> list[bytes]:
        """The i-th scalar times the i-th element."""

    def mul_base(self, scalar: Scalar) -> bytes:
        """`scalar` times the generator."""

    def add(self, left: bytes, right: bytes) -> bytes:
        """The sum. Raises Malformed also when the sum is the identity."""

    def combine(self, scalars: Sequence[bytes], elements: Sequence[bytes]) -> bytes:
        """The sum of the products. For public values only: a carrier may take a time that depends on them."""

    def respond(self, nonce: bytes, challenge: bytes, key: Scalar) -> bytes:
        """nonce - challenge * key, the answer of a proof of knowledge. May be zero."""

    def inverse_of_sum(self, key: Scalar, tweak: bytes) -> bytes:
        """1 / (key + tweak). Raises ValueError when the sum is zero."""


def judge_scalar(scalar: bytes) -> None:
    """Return if `scalar` is 32 bytes, reduced and not zero. Raises ValueError."""
    if len(scalar) != SCALAR_BYTES or not 0 < int.from_bytes(scalar, "little") < ORDER:
        raise ValueError("a scalar is 32 bytes, reduced and not zero")


def scalar_of(number: int) -> bytes:
    """A number as the encoding of its residue. May be zero."""
    return (number % ORDER).to_bytes(SCALAR_BYTES, "little")


def invert(scalars: Sequence[bytes]) -> list[bytes]:
    """The inverse of each scalar, by one inversion for all (Montgomery's trick).

    In Python's integers, so its time depends on the values a little; they are blinds, each used once. Replaces 30 us a
    scalar by 2. Raises ValueError for a scalar that is zero or not reduced.
    """
    for scalar in scalars:
        judge_scalar(scalar)
    values = [int.from_bytes(scalar, "little") for scalar in scalars]
    products = [1]
    for value in values:
        products.append(products[-1] * value % ORDER)
    running = pow(products[-1], -1, ORDER)
    inverses = [b""] * len(values)
    for at in range(len(values) - 1, -1, -1):
        inverses[at] = (running * products[at] % ORDER).to_bytes(SCALAR_BYTES, "little")
        running = running * values[at] % ORDER
    return inverses


def _judge_encoding(element: bytes, position: int) -> None:
    """RFC 9496 section 4.3.1, steps 1 and 2, and the identity: what libsodium does not refuse in every version."""
    if len(element) != ELEMENT_BYTES:
        raise Malformed("element", f"element {position} has not 32 bytes")
    # Bit 255 set is a number above the field's, too.
    if int.from_bytes(element, "little") >= _FIELD:
        raise Malformed("element", f"element {position} is not reduced")
    if element[0] & 1:
        raise Malformed("element", f"element {position} is negative")
    if element == _IDENTITY:
        raise Malformed("element", f"element {position} is the identity")


@final
class SodiumGroup:
    """The carrier on libsodium. Loads and tests itself at the first use, so that importing costs nothing."""

    def __init__(self) -> None:
        self._ready: ctypes.PyDLL | None = None

    @property
    def _library(self) -> ctypes.PyDLL:
        if self._ready is None:
            library = sodium.library()
            _self_test(library)
            self._ready = library
        return self._ready

    def load(self) -> str:
        """Load and test now, and say where the library came from. Raises ConfigRefused."""
        _ = self._library
        return sodium.source()

    def check(self, elements: Iterable[bytes]) -> None:
        valid = self._library.crypto_core_ristretto255_is_valid_point
        for position, element in enumerate(elements):
            _judge_encoding(element, position)
            if valid(element) != 1:
                raise Malformed("element", f"element {position} is not on the curve")

    def hash_to_group(self, uniform: Sequence[bytes]) -> list[bytes]:
        from_hash = self._library.crypto_core_ristretto255_from_hash
        out = _Out()
        elements = []
        for block in uniform:
            if len(block) != UNIFORM_BYTES:
                raise ValueError("the one-way map takes 64 bytes")
            from_hash(out, block)
            elements.append(out.raw)
        return elements

    def mul(self, scalar: Scalar, elements: Sequence[bytes]) -> list[bytes]:
        times = self._library.crypto_scalarmult_ristretto255
        pointer = _pointer(scalar)
        out = _Out()
        products = []
        for position, element in enumerate(elements):
            _judge_encoding(element, position)
            if times(out, pointer, element) != 0:
                raise Malformed("element", f"element {position} is not on the curve")
            products.append(out.raw)
        return products

    def mul_each(self, scalars: Sequence[bytes], elements: Sequence[bytes]) -> list[bytes]:
        times = self._library.crypto_scalarmult_ristretto255
        out = _Out()
        products = []
        for position, (scalar, element) in enumerate(zip(scalars, elements, strict=True)):
            judge_scalar(scalar)
            _judge_encoding(element, position)
            if times(out, scalar, element) != 0:
                raise Malformed("element", f"element {position} is not on the curve")
            products.append(out.raw)
        return products

    def mul_base(self, scalar: Scalar) -> bytes:
        out = _Out()
        if self._library.crypto_scalarmult_ristretto255_base(out, _pointer(scalar)) != 0:
            raise ValueError("a scalar is 32 bytes, reduced and not zero")
        return out.raw

    def add(self, left: bytes, right: bytes) -> bytes:
        _judge_encoding(left, 0)
        _judge_encoding(right, 1)
        out = _Out()
        if self._library.crypto_core_ristretto255_add(out, left, right) != 0:
            raise Malformed("element", "a summand is not on the curve")
        total = out.raw
        if total == _IDENTITY:
            raise Malformed("element", "the sum is the identity")
        return total

    def combine(self, scalars: Sequence[bytes], elements: Sequence[bytes]) -> bytes:
        products = self.mul_each(scalars, elements)
        if not products:
            raise ValueError("nothing to combine")
        plus = self._library.crypto_core_ristretto255_add
        # Products of checked elements: no need to judge them again, and a sum may pass through the identity.
        total = _Out.from_buffer_copy(products[0])
        for product in products[1:]:
            if plus(total, total, product) != 0:
                raise Malformed("element", "a product is not on the curve")
        if total.raw == _IDENTITY:
            raise Malformed("element", "the combination is the identity")
        return total.raw

    def respond(self, nonce: bytes, challenge: bytes, key: Scalar) -> bytes:
        judge_scalar(nonce)
        judge_scalar(challenge)
        out = _Out()
        self._library.crypto_core_ristretto255_scalar_mul(out, challenge, _pointer(key))
        self._library.crypto_core_ristretto255_scalar_sub(out, nonce, out)
        return out.raw

    def inverse_of_sum(self, key: Scalar, tweak: bytes) -> bytes:
        judge_scalar(tweak)
        out = _Out()
        self._library.crypto_core_ristretto255_scalar_add(out, _pointer(key), tweak)
        if self._library.crypto_core_ristretto255_scalar_invert(out, out) != 0:
            raise ValueError("zero has no inverse")
        return out.raw


def locked_scalar(scalar: bytes) -> Locked:
    """A secret scalar in locked memory. Raises ValueError when it is not reduced, or zero."""
    judge_scalar(scalar)
    return Locked(scalar)


def _pointer(scalar: Scalar) -> bytes | int:
    if isinstance(scalar, Locked):
        # Judged by `locked_scalar`: its bytes are not copied out for another look.
        if len(scalar) != SCALAR_BYTES:
            raise ValueError("a scalar has 32 bytes")
        return scalar.address
    judge_scalar(scalar)
    return scalar


def _self_test(library: ctypes.PyDLL) -> None:
    """RFC 9496 and RFC 9497 vectors, and what must be refused. A library that fails must not be used."""
    group = SodiumGroup()
    group._ready = library
    # RFC 9496 appendix A.1 (2 B) and RFC 9497 appendix A.1.1.1 (a blind times a blinded element).
    two = (2).to_bytes(SCALAR_BYTES, "little")
    double = bytes.fromhex("6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919")
    secret = bytes.fromhex("5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e")
    blinded = bytes.fromhex("609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c")
    evaluated = bytes.fromhex("7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e")
    holds = (
        group.mul_base(two) == double
        and group.mul(two, [GENERATOR]) == [double]
        and group.add(GENERATOR, GENERATOR) == double
        and group.mul(secret, [blinded]) == [evaluated]
    )
    with_bit_255 = GENERATOR[:31] + bytes((GENERATOR[31] | 0x80,))
    for bad in (with_bit_255, _IDENTITY, b"\xff" * 32, bytes((GENERATOR[0] | 1,)) + GENERATOR[1:], GENERATOR[:31]):
        for attempt in (group.check, lambda points: group.mul(two, points)):
            try:
                attempt([bad])
            except Malformed:
                continue
            holds = False
    if not holds:
        raise ConfigRefused(
            f"the libsodium in use ({sodium.source()}) fails its self-test; install another or set "
            f"{sodium.LIBRARY_VARIABLE} to its path"
        )


def carrier_accepts(encoding: bytes) -> bool:
    """Whether the library itself calls these 32 bytes an element. We judge encodings before it is asked."""
    return bool(sodium.library().crypto_core_ristretto255_is_valid_point(encoding) == 1)


NO_POINTS: Final = {
    "bit 255 set": GENERATOR[:31] + bytes((GENERATOR[31] | 0x80,)),
    "not reduced": b"\xff" * 31 + b"\x7f",
    "negative": bytes((GENERATOR[0] | 1,)) + GENERATOR[1:],
}
"""What is no element (RFC 9496 section 4.3.1), by why: a library that takes one is lenient (`limen doctor`)."""

COMMON_LENIENCE: Final = "bit 255 set"
"""What libsodium 1.0.18, the one of Debian 12, takes."""

GROUP: Final[Group] = SodiumGroup()
"""The group in use."""
