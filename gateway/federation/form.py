"""The one form of the texts that states sign: JSON with sorted keys, two spaces of indent, UTF-8, a newline at the end.

Readers judge a text whole: each key once, every field known, every value of its shape. `at` names the place in errors,
never the value. All of them raise Malformed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import Malformed
from gateway.primitives import strict_json


def canonical(value: Mapping[str, Any]) -> bytes:
    """The text of a value."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def parse(data: bytes, bytes_max: int) -> Any:
    """The value of a text, which need not be canonical: compare with `canonical` afterwards."""
    if len(data) > bytes_max:
        raise Malformed("document", f"has more than {bytes_max} bytes")
    try:
        return strict_json.loads(data.decode("utf-8"))
    except ValueError:
        raise Malformed("document", "is not JSON text with each key once") from None


def table(value: object, at: str, names: frozenset[str]) -> dict[str, Any]:
    """An object with exactly these fields."""
    if not isinstance(value, dict):
        raise Malformed(at, "is not an object")
    if value.keys() != names:
        odd = sorted(names ^ value.keys())
        raise Malformed(at, f"has missing or unknown fields: {', '.join(name[:32] for name in odd[:4])}")
    return value


def items(value: object, at: str) -> Sequence[object]:
    """A list."""
    if not isinstance(value, list):
        raise Malformed(at, "is not a list")
    return value


def some(fields: Mapping[str, Any], at: str, name: str, most: int) -> Sequence[object]:
    """A list of 1 to `most` items in a field."""
    found = items(fields[name], f"{at}.{name}")
    if not 1 <= len(found) <= most:
        raise Malformed(f"{at}.{name}", f"does not have 1 to {most} items")
    return found


def text(value: object, at: str, shape: re.Pattern[str]) -> str:
    """Text that matches from its beginning; the pattern says where it ends."""
    if not isinstance(value, str) or not shape.match(value):
        raise Malformed(at, "has the wrong form")
    return value


def hexadecimal(value: object, at: str, size: int) -> bytes:
    """`size` bytes in lower-case hexadecimal digits."""
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", value):
        raise Malformed(at, f"is not {2 * size} lower-case hexadecimal digits")
    return bytes.fromhex(value)


def whole(value: object, at: str, least: int) -> int:
    """A whole number from `least`, below 2^63."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 63:
        raise Malformed(at, f"is not a whole number from {least}")
    return value
