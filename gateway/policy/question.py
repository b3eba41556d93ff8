"""The question put to the rules. No personal data, and every field always present (rego.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import KeyType, ListId, Role

SCHEMA: Final = "limen.question/1"
"""The form of the input document; `policies/schemas/question.json`."""


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
    (0 where there is none), `list_id` None for a statistic, which reaches no list, `has_case` whether a case reference
    was given (for listing: a decision reference), `signers` the number of distinct officers who signed (listing, and
    asking under a purpose of two persons; else 0), `issuers` the sorted issuing states of the
    documents that a load of the list DOCUMENTS names (else empty).
    """

    stage: Stage
    purpose: Purpose
    operation: str
    legal_basis: str
    list_id: ListId | None
    key_types: tuple[KeyType, ...]
    class_size: int
    asker: PeerId
    owner: PeerId
    agency: AgencyId
    role: Role
    has_case: bool
    signers: int
    time_ns: int
    issuers: tuple[str, ...] = ()


def statistic(
    stage: Stage,
    purpose: Purpose,
    *,
    legal_basis: str,
    asker: PeerId,
    owner: PeerId,
    agency: AgencyId,
    role: Role,
    time_ns: int,
) -> Question:
    """The question for a statistic: operation `aggregate`, no list, no match key, no batch. `asker` receives the
    release, `owner` makes it; at stage ASK the asker's rules decide, at ANSWER the owner's."""
    return Question(
        stage=stage,
        purpose=purpose,
        operation="aggregate",
        legal_basis=legal_basis,
        list_id=None,
        key_types=(),
        class_size=0,
        asker=asker,
        owner=owner,
        agency=agency,
        role=role,
        has_case=False,
        signers=0,
        time_ns=time_ns,
    )


def document(question: Question) -> dict[str, Any]:
    """The question as the rules read it: plain values, every field always present."""
    return {
        "schema": SCHEMA,
        "stage": question.stage.value,
        "purpose": str(question.purpose),
        "operation": question.operation,
        "legal_basis": question.legal_basis,
        "list": question.list_id.value if question.list_id is not None else "",
        "key_types": [key_type.value for key_type in question.key_types],
        "class_size": question.class_size,
        "asker": str(question.asker),
        "owner": str(question.owner),
        "agency": str(question.agency),
        "role": question.role.value,
        "has_case": question.has_case,
        "signers": question.signers,
        "issuers": list(question.issuers),
        "time_ns": question.time_ns,
    }
