"""The slots of a disclosure: one for each field asked for, in that order, and one for the marks, all of one size.

A withheld field is an empty slot, a refusal all empty ones: what was withheld does not show by length. Each slot is
sealed to the asker's case key by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import Malformed
from gateway.primitives import cbor
from gateway.terms.hidden import Hidden

STEP_BYTES: Final = 1024
SLOT_BYTES_MAX: Final = 60 << 10
VALUES_MAX: Final = 64
VALUE_CHARACTERS_MAX: Final = 1024
MARKS: Final = "marks"
"""Name of the last slot. No field has it."""

Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """What the slots said: the fields that were released, in order, and the marks."""

    fields: tuple[tuple[str, Hidden[Values]], ...]
    marks: Mapping[str, Values]


def lay_out(asked: Sequence[str], values: Mapping[str, Values], marks: Mapping[str, Values]) -> list[bytes]:
    """The plain slots, all of one size: `values` by field name; a name that is missing is withheld."""
    bodies = [cbor.encode([name, list(values.get(name, ()))]) for name in asked]
    bodies.append(cbor.encode([MARKS, {name: list(found) for name, found in marks.items()}]))
    room = -(-(max(map(len, bodies)) + 4) // STEP_BYTES) * STEP_BYTES
    return [len(body).to_bytes(4, "big") + body + bytes(room - len(body) - 4) for body in bodies]


def read(asked: Sequence[str], plain: Sequence[bytes]) -> Opened:
    """What opened slots say. Raises Malformed: not the slots of these fields."""
    if len(plain) != len(asked) + 1:
        raise Malformed("slots", "are not one for each field and one for the marks")
    found = [_one(data) for data in plain]
    for name, (said, values) in zip(asked, found, strict=False):
        if said != name or not isinstance(values, list):
            raise Malformed("slots", "are not those of the fields asked for")
    last, marks = found[-1]
    if last != MARKS or not isinstance(marks, dict) or not all(isinstance(name, str) for name in marks):
        raise Malformed("slots", "lack the marks")
    fields = tuple((name, Hidden(_texts(values))) for name, (_, values) in zip(asked, found, strict=False) if values)
    return Opened(fields, {name: _texts(values) for name, values in marks.items()})


def _one(data: bytes) -> tuple[object, object]:
    if not 4 < len(data) <= SLOT_BYTES_MAX:
        raise Malformed("slots", "have the wrong size")
    size = int.from_bytes(data[:4], "big")
    if size > len(data) - 4 or any(data[4 + size :]):
        raise Malformed("slots", "are not padded with zeros")
    value = cbor.decode(data[4 : 4 + size], field="slots", limit=SLOT_BYTES_MAX)
    if not isinstance(value, list) or len(value) != 2:
        raise Malformed("slots", "have the wrong shape")
    return value[0], value[1]


def _texts(values: object) -> Values:
    if not isinstance(values, list) or len(values) > VALUES_MAX:
        raise Malformed("slots", "hold too many values")
    for one in values:
        if not isinstance(one, str) or len(one) > VALUE_CHARACTERS_MAX or not one.isprintable():
            raise Malformed("slots", "hold a value that cannot be shown")
    return tuple(values)
