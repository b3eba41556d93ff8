"""State codes of the machine readable zone (ICAO Doc 9303 part 3, section 5), beyond ISO 3166-1."""

from __future__ import annotations

import re
from typing import Final

STATELESS: Final = "XXA"
REFUGEE: Final = "XXB"
REFUGEE_OTHER: Final = "XXC"
UNSPECIFIED: Final = "XXX"

PROTECTED_NATIONALITIES: Final = frozenset({REFUGEE, REFUGEE_OTHER})
"""Nationality fields that say "refugee": 1951 Convention, or otherwise."""

NO_NATIONALITY: Final = frozenset({STATELESS, REFUGEE, REFUGEE_OTHER, UNSPECIFIED, ""})
"""Codes that name no state: every peer but the document's issuer may be the one the person fled from (T2)."""

_SHORT: Final = {"D": "D"}
"""Codes shorter than three letters; Germany's is `D`."""

_CODE = re.compile(r"[A-Z]{3}\Z")


def is_code(code: str) -> bool:
    """True for a well-formed code of the zone. Whether the state exists is not judged: codes are added over time."""
    return code in _SHORT or bool(_CODE.match(code))


def same_state(left: str, right: str) -> bool:
    """True where two codes name one state: the zone's `D` is ISO's `DEU`, and the `GB?` codes are `GBR`."""
    return iso(left) == iso(right)


_ISO = {"D": "DEU", "GBD": "GBR", "GBN": "GBR", "GBO": "GBR", "GBP": "GBR", "GBS": "GBR", "RKS": "XKX"}


def iso(code: str) -> str:
    """The code a state is known by among peers."""
    return _ISO.get(code, code)
