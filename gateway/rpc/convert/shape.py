"""Judging one field of a message from outside. Every refusal names the field and never shows its value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from gateway.errors import Malformed
from gateway.terms.ids import PeerId, RequestId

M = TypeVar("M", bound=Message)
W = TypeVar("W", bound=Enum)

BASIS_CHARACTERS_MAX: Final = 128

PADDED_BYTES: Final = 2_048
"""A question and its answer are multiples of this on the wire between booth or desk and gateway."""

PURPOSE = re.compile(r"[A-Z0-9][A-Z0-9._]{0,31}\Z")
AGENCY = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}\Z")
EPOCH = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
STATE = re.compile(r"[A-Z]{3}\Z")
COUNTRY = re.compile(r"[A-Z]{1,3}\Z")
REASON = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,31}\Z")
DOCUMENT_CODE = re.compile(r"[A-Z]{1,2}\Z")
FORMAT = re.compile(r"[a-z0-9_]{1,16}\Z")
ORIGINATOR = re.compile(r"(?:[A-Z]{2,3})?\Z")
PATH = re.compile(r"/[A-Za-z0-9_.]{1,96}/[A-Za-z0-9_]{1,64}\Z")

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


def parse(kind: type[M], body: bytes, size_max: int) -> M:
    """The message, its fields not yet judged. Raises Malformed."""
    if len(body) > size_max:
        raise Malformed(kind.DESCRIPTOR.name, f"longer than {size_max} bytes")
    try:
        return kind.FromString(body)
    except DecodeError:
        # Not chained: the decoder's message may quote the bytes.
        raise Malformed(kind.DESCRIPTOR.name, "not a message of this type") from None


def fixed(field: str, value: bytes, size: int) -> bytes:
    """A byte string of exactly `size`."""
    if len(value) != size:
        raise Malformed(field, f"not {size} bytes")
    return value


def sized(field: str, value: bytes, low: int, high: int) -> bytes:
    """A byte string of `low` to `high` bytes."""
    if not low <= len(value) <= high:
        raise Malformed(field, f"not {low} to {high} bytes")
    return value


def request_id(value: bytes, field: str = "request_id") -> RequestId:
    """16 bytes."""
    return RequestId(fixed(field, value, 16))


def text(field: str, value: str, low: int, high: int) -> str:
    """Printable text of `low` to `high` characters, on one line."""
    if not low <= len(value) <= high:
        raise Malformed(field, f"not {low} to {high} characters")
    if _CONTROL.search(value):
        raise Malformed(field, "holds a control character")
    return value


def pattern(field: str, value: str, shape: re.Pattern[str]) -> str:
    """Text of a closed shape."""
    if not shape.match(value):
        raise Malformed(field, "wrong shape")
    return value


def state(field: str, value: str) -> PeerId:
    """Three capital letters."""
    return PeerId(pattern(field, value, STATE))


def whole(field: str, value: int, low: int, high: int) -> int:
    """A whole number within bounds, both included."""
    if not low <= value <= high:
        raise Malformed(field, f"not {low} to {high}")
    return value


def time_ns(field: str, value: int) -> int:
    """UTC nanoseconds; a time before 1970 or missing is refused."""
    if value <= 0:
        raise Malformed(field, "not a time")
    return value


def count(field: str, values: Sequence[object], low: int, high: int) -> None:
    """How often a repeated field may stand."""
    if not low <= len(values) <= high:
        raise Malformed(field, f"not {low} to {high} of them")


def word(field: str, number: int, table: Mapping[int, W]) -> W:
    """A word of a closed vocabulary. 0 and unknown numbers are refused."""
    found = table.get(number)
    if found is None:
        raise Malformed(field, "not a word of this contract")
    return found


def words(field: str, numbers: Sequence[int], table: Mapping[int, W], *, pass_over: bool = False) -> tuple[W, ...]:
    """Words, each once, in the order sent. With `pass_over`, unknown numbers are left out; 0 never is."""
    sent = list(numbers)
    if 0 in sent:
        raise Malformed(field, "unspecified")
    if len(set(sent)) != len(sent):
        raise Malformed(field, "the same word twice")
    known = [table[number] for number in sent if number in table]
    if len(known) != len(sent) and not pass_over:
        raise Malformed(field, "not a word of this contract")
    return tuple(known)


def states(field: str, values: Sequence[str], most: int) -> tuple[PeerId, ...]:
    """States, each once."""
    count(field, values, 0, most)
    found = tuple(state(field, value) for value in values)
    if len(set(found)) != len(found):
        raise Malformed(field, "the same state twice")
    return found


def padded(message: Message) -> bytes:
    """The body, filled with zeros up to a multiple of PADDED_BYTES.

    The message's field 15 is `padding`: at these sizes it has a key of one byte and a length of two.
    """
    short = len(message.SerializeToString()) + 3
    wanted = -(-(short + 128) // PADDED_BYTES) * PADDED_BYTES
    setattr(message, "padding", bytes(wanted - short))  # noqa: B010 (only some messages have it)
    return message.SerializeToString()
