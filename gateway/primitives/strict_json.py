"""JSON without its loose ends (RFC 8259 section 4, names that are not unique): each key once, no NaN, no infinity."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn


def loads(
    text: str,
    *,
    parse_int: Callable[[str], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a text. `parse_int` and `parse_float` judge numbers as written; `refuse` takes none.

    Raises:
        ValueError: not JSON, a key that stands twice, a constant that is not JSON, or nested too deeply. It may quote
            the text: do not pass it on.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_each_once, parse_constant=refuse, parse_int=parse_int, parse_float=parse_float
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def refuse(_: str) -> NoReturn:
    """Takes no number of the kind it judges. Raises ValueError."""
    raise ValueError("a number or constant that is not taken")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table
