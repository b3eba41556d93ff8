"""Machine readable zones as a scanner gives them: one or more, parted by empty lines (ICAO Doc 9303)."""

from __future__ import annotations

from datetime import date
from typing import Final

from gateway.errors import InputRefused
from gateway.people import mrz
from gateway.people.mrz import Reading

TEXT_BYTES_MAX: Final = 256 * 1024


def read(data: bytes, on: date) -> tuple[Reading, ...]:
    """Every zone of the input, read as of the day `on`. What is wrong with a zone is in its reading, not an error.

    Raises:
        InputRefused: too long, no text, or no zone in it.
    """
    if len(data) > TEXT_BYTES_MAX:
        raise InputRefused("the input is too long for machine readable zones", code="SIZE")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputRefused("the input is not text", code="ENCODING") from None
    return tuple(mrz.parse(lines, on) for lines in mrz.split(text))
