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
        again = encode(value)
    except Malformed as refused:
        raise Malformed(field, refused.why) from None
    except Exception:
        # Not chained: a decoder's message can quote the bytes.
        raise Malformed(field, "not CBOR of the permitted kind") from None
    if again != data:
        raise Malformed(field, "not the canonical encoding")
    return value


def _refuse_tag(*_: object) -> NoReturn:
    raise Malformed("cbor", "a tag")


# Tags that cbor2 would decode itself, some at great cost; all others reach the tag hook.
_NO_TAGS: Final = {tag: _refuse_tag for tag in (*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799)}
