"""What happened, as one entry of the access log.

Public fields stand in the leaf in clear and are never personal; secret fields stand in the leaf as salted commitments
and travel sealed to the supervisor's and the home auditor's keys in an erasable payload (audit.md 3.2, 3.3; T11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Scalar = str | int | bool | bytes
"""What a field may hold; a list of them only in secret fields."""


class Phase(StrEnum):
    """An `INTENT` is durable before anything is computed, its `OUTCOME` before the answer leaves."""

    INTENT = "intent"
    OUTCOME = "outcome"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, before the writer gives it a number and a time.

    `kind` is a row of `audit.kinds.KINDS` (docs/audit-events.md). `peer` is the other state ("" for none): the writer
    numbers entries per pair. `secret` goes to supervisor and home auditor; `guard` also to the protection desk.
    `retention` is a row of `audit.kinds.RETENTION_NS`, "" for the kind's own. `sealed_bytes` is the padded size of the
    secret part before sealing, equal for all entries of one kind and class, so that its length tells nothing.
    """

    kind: str
    phase: Phase
    peer: str = ""
    public: Mapping[str, Scalar] = field(default_factory=dict)
    secret: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict, repr=False)
    guard: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict, repr=False)
    retention: str = ""
    sealed_bytes: int = 1024
