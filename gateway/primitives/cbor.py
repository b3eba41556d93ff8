"""Canonical CBOR: one value, one byte string (RFC 8949 section 4.2.1, core deterministic encoding).

Used wherever bytes are hashed, signed or stored. The values are integers, byte strings, text, booleans, null, arrays
and maps with text or integer keys. Floats, tags (so also big numbers and dates), undefined and other simple values are
refused on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import cbor2

from gateway.errors import Malformed

DEPTH_MAX: Final = 16
"""Deepest nesting of arrays and maps."""

BYTES_MAX: Final = 1 << 20
"""Longest encoding that `decode` takes unless told otherwise. One byte of input can cost some 60 of memory."""

_INT_MIN: Final = -(1 << 64)
_INT_MAX: Final = (1 << 64) - 1


def encode(value: object) -> bytes:
    """The one canonical encoding. Tuples are arrays; enumerations are their value; map order does not matter.

    Raises:
        TypeError: a value or a map key has no canonical form here (a float, a date, a set, a boolean key, ...).
        ValueError: an integer outside 64 bits with sign, text with lone surrogates, or nesting beyond `DEPTH_MAX`.
    """
    return cbor2.dumps(_plain(value, DEPTH_MAX))


def _plain(value: object, depth: int) -> object:
    """The value in exact types with every map in canonical order, so that cbor2 writes it as it stands.

    Its own canonical mode has the length-first order of RFC 7049 and costs four times as much.
    """
    kind = type(value)
    # The common exact types first: this runs for every leaf, message and frame.
    if kind is str:
        _judge_text(value)
        return value
    if kind is bytes or kind is bool or value is None:
        return value
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise ValueError("an integer needs more than 64 bits")
        return value if kind is int else int(value)
    if isinstance(value, dict):
        return _plain_map(value, depth)
    if isinstance(value, (list, tuple)):
        if depth == 0:
            raise ValueError("nested too deeply")
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, str):
        _judge_text(value)
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return _plain_map(value, depth)
    raise TypeError(f"{kind.__name__} has no canonical CBOR here")


def _judge_text(text: Any) -> None:  # noqa: ANN401 (mypy does not follow `type(x) is str`)
    if not text.isascii():
        text.encode("utf-8")  # a lone surrogate raises UnicodeEncodeError, which is a ValueError


def _plain_map(value: Mapping[Any, object], depth: int) -> object:
    if depth == 0:
        raise ValueError("nested too deeply")
    pairs: dict[Any, object] = {}
    ascii_only = True
    for key, item in value.items():
        if type(key) is str and key.isascii():
            plain_key: Any = key
        elif isinstance(key, (str, int)) and not isinstance(key, bool):
            plain_key = _plain(key, 0)
            ascii_only = False
        else:
            raise TypeError("a map key is text or an integer")
        pairs[plain_key] = _plain(item, depth - 1)
    if len(pairs) != len(value):
        raise ValueError("two map keys have one encoding")
    # Bytewise order of the encoded keys. Of ASCII texts the shorter comes first, as its length is its first byte.
    order = sorted(sorted(pairs), key=len) if ascii_only else sorted(pairs, key=cbor2.dumps)
    return {key: pairs[key] for key in order}


def decode(data: bytes, *, field: str = "cbor", limit: int = BYTES_MAX) -> Any:  # noqa: ANN401 (the caller judges it)
    """The value of a canonical encoding: `encode(decode(data)) == data` always.

    `field` names the place in the error; `limit` is in bytes.

    Raises:
        Malformed: too long, truncated, trailing bytes, or anything but the canonical encoding of a value of ours.
    """
    if len(data) > limit:
        raise Malformed(field, f"longer than {limit} bytes")
    try:
        value = cbor2.loads(
            data,
            tag_hook=_refuse_tag,
            semantic_decoders=_NO_TAGS,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        # A value of plain types with its keys in order is written by cbor2 as it stands.
        again = cbor2.dumps(value) if _is_plain(value) else encode(value)
    except Malformed as refused:
        raise Malformed(field, refused.why) from None
    except Exception:
        # Not chained: a decoder's message can quote the bytes.
        raise Malformed(field, "not CBOR of the permitted kind") from None
    if again != data:
        raise Malformed(field, "not the canonical encoding")
    return value


_SCALARS: Final = frozenset((str, bytes, bool, type(None)))


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    """True where a decoded value has only our exact types and its maps' keys stand in canonical order. Nesting was
    bounded and text judged by the decoder. False says nothing: `encode` decides."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is int:
        return bool(_INT_MIN <= value <= _INT_MAX)
    if kind is dict:
        if not _are_ordered(tuple(value)):
            return False
        value = value.values()
    elif kind is not list:
        return False
    for item in value:
        kind = type(item)
        if kind not in _SCALARS and (not _INT_MIN <= item <= _INT_MAX if kind is int else not _is_plain(item)):
            return False
    return True


_ORDERED: Final[set[tuple[Any, ...]]] = set()
"""Sets of keys that stand in canonical order, of short ones a few: a log has some dozen."""


def _are_ordered(keys: tuple[Any, ...]) -> bool:
    """True for short ASCII texts, the shorter first."""
    if keys in _ORDERED:
        return True
    if len(keys) > 32 or any(type(key) is not str or not key.isascii() or len(key) > 32 for key in keys):
        return False
    if list(keys) != sorted(sorted(keys), key=len):
        return False
    if len(_ORDERED) < 1024:
        _ORDERED.add(keys)
    return True


def _refuse_tag(*_: object) -> NoReturn:
    raise Malformed("cbor", "a tag")


# Tags that cbor2 would decode itself, some at great cost; all others reach the tag hook.
_NO_TAGS: Final = {tag: _refuse_tag for tag in (*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799)}
