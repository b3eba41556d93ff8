"""A match key: what is put, hidden, to a list owner."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.terms.hidden import Hidden
from gateway.terms.words import KeyType


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One way to find one person or document, before it is hashed.

    `input` is `lp(type, parts...)` (docs/protocol/matching.md, inputs): UTF-8, each part with a two-byte big-endian
    length in front. It is personal data; only `pseudonym` and the key process open it. Two keys are not compared
    (`Hidden` refuses): compare `input.open()` on purpose.
    """

    key_type: KeyType
    input: Hidden[bytes]
