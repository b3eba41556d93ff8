"""Identifiers. Random ones are 16 bytes with a typed prefix in text form (`req_<32 hex>`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NewType

PeerId = NewType("PeerId", str)
"""A participating state, by its ISO 3166-1 alpha-3 or Doc 9303 code, three capital letters (`PAN`)."""

AgencyId = NewType("AgencyId", str)
"""A national body, short upper-case code (`SNM`). Peers see it; they never see the officer."""

OfficerId = NewType("OfficerId", str)
"""A person's number in the agency's register. Never leaves the home state."""

Purpose = NewType("Purpose", str)
"""A code of the purpose catalogue (`SEC.WATCH`)."""

PurposeGroup = NewType("PurposeGroup", str)
"""Purposes that share a table and a key (`WATCH`). A difference of groups is a firewall (PROTOCOL, lists)."""

EpochId = NewType("EpochId", str)
"""The life of one pseudonym key, `<yyyymmdd>-<8 hex>`, chosen by the owner."""

_PEER = re.compile(r"[A-Z]{3}\Z")


def peer_id(text: str) -> PeerId:
    """Judge a state code. Raises ValueError (without the text) if it is not three capital ASCII letters."""
    if not _PEER.match(text):
        raise ValueError("a state code is three capital letters")
    return PeerId(text)


@dataclass(frozen=True, slots=True)
class RequestId:
    """One question, chosen by the asker: 16 random bytes. The idempotency key across retries."""

    PREFIX: ClassVar[str] = "req_"
    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 16:
            raise ValueError(f"a request id has 16 bytes, not {len(self.value)}")

    def __str__(self) -> str:
        return self.PREFIX + self.value.hex()

    @classmethod
    def parse(cls, text: str) -> RequestId:
        """Read the text form. Raises ValueError on anything else."""
        if not text.startswith(cls.PREFIX):
            raise ValueError("a request id starts with req_")
        return cls(bytes.fromhex(text[len(cls.PREFIX) :]))


def case_number(case_id: bytes) -> str:
    """A case's number as people see it; `case_id` is 16 bytes, the same on both sides."""
    return f"case_{case_id.hex()}"
