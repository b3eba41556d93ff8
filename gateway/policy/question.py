"""The question put to the rules. No personal data, and every field always present (rego.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import KeyType, ListId, Role


class Stage(StrEnum):
    """Where the question is put: before asking, before answering, before a table leaves, before a list changes."""

    ASK = "ask"
    ANSWER = "answer"
    PUBLISH = "publish"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Question:
    """Facts only; every value comes from verified messages or the gateway's own stores.

    `operation` is a catalogue operation (`hit`, `status`, `disclose`, ...). `class_size` is the padded batch size
    (0 where there is none), `has_case` whether a case reference was given, `signers` the number of distinct officers
    who signed (listing), `epsilon_micro` 0 outside statistics.
    """

    stage: Stage
    purpose: Purpose
    operation: str
    legal_basis: str
    list_id: ListId
    key_types: tuple[KeyType, ...]
    class_size: int
    asker: PeerId
    owner: PeerId
    agency: AgencyId
    role: Role
    has_case: bool
    signers: int
    time_ns: int
