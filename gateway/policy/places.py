"""Where in a JSON text a value stands: the line an author looks at when its value is wrong."""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stub lacks it; json has it since 3.1
from typing import Final

from gateway.primitives import strict_json

DEPTH_MAX: Final = 32
"""Objects and lists inside each other; no document of ours has more than six."""

_SPACE: Final = " \t\n\r"

Path = tuple[str | int, ...]
"""Names of fields and places in lists, from the root."""


def lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each value by its path from the root; of a field, the line its name stands on.

    Raises:
        ValueError: the text is not JSON, has a name twice, or is nested deeper than 32.
    """
    strict_json.loads(text)
    found: dict[Path, int] = {}
    breaks = _Lines(text)
    _value(text, _skip(text, 0), (), found, breaks, None)
    return found


def line_of(path: Path, found: dict[Path, int]) -> int:
    """The line of a value, or of the nearest thing around it where it is missing; 1 for a text without it."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


def line_of_fault(text: str) -> int:
    """The line, from 1, where a text stops being JSON; of the last line where that is not known."""
    try:
        json.loads(text)
    except json.JSONDecodeError as fault:
        return fault.lineno
    except (ValueError, RecursionError):
        pass
    return text.count("\n") + 1


class _Lines:
    """Turns rising positions into lines without counting from the start each time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def at(self, position: int) -> int:
        self._line += self._text.count("\n", self._at, position)
        self._at = position
        return self._line


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _value(text: str, at: int, path: Path, found: dict[Path, int], breaks: _Lines, line: int | None) -> int:
    """Note the value that begins here and everything in it; returns where it ends. The text is known to be JSON."""
    if len(path) > DEPTH_MAX:
        raise ValueError("is nested too deeply")
    found[path] = breaks.at(at) if line is None else line
    opening = text[at]
    if opening not in "{[":
        return json.JSONDecoder().raw_decode(text, at)[1]
    at = _skip(text, at + 1)
    place = 0
    while text[at] not in "}]":
        key: str | int = place
        named: int | None = None
        if opening == "{":
            named = breaks.at(at)
            key, at = scanstring(text, at + 1, True)
            at = _skip(text, _skip(text, at) + 1)
        at = _skip(text, _value(text, at, (*path, key), found, breaks, named))
        if text[at] == ",":
            at = _skip(text, at + 1)
        place += 1
    return at + 1
