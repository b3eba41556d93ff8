"""The question put to the rules. No personal data, and every field always present (rego.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.terms.ids import AgencyId, PeerId, Purpose, peer_id
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


TEXT_CHARS_MAX: Final = 200
"""Longest text of a question that is read from a file."""

NUMBER_MAX: Final = 2**63 - 1
"""Largest number of one: what both engines compare exactly."""


def parse(found: object) -> Question:
    """The question that `document` writes, read from a file. Raises InputRefused by field, never with its content."""
    if not isinstance(found, Mapping):
        raise InputRefused("a question must be an object", code="QUESTION")
    wanted = document(_EMPTY).keys()
    for name in sorted(wanted - found.keys()):
        raise _refused(name, "is missing")
    if found.keys() - wanted:
        # Unnamed: a name that is not ours may be anything, a person's too.
        raise InputRefused("a field that a question does not have", code="QUESTION")
    if found["schema"] != SCHEMA:
        raise _refused("schema", f"write {SCHEMA!r}")
    if type(found["has_case"]) is not bool:
        raise _refused("has_case", "write true or false")
    listed = _text(found, "list")
    return Question(
        stage=Stage(_word(found, "stage", Stage)),
        purpose=Purpose(_text(found, "purpose")),
        operation=_text(found, "operation"),
        legal_basis=_text(found, "legal_basis"),
        list_id=ListId(_word(found, "list", ListId)) if listed else None,
        key_types=tuple(KeyType(word) for word in _words(found, "key_types", KeyType)),
        class_size=_number(found, "class_size"),
        asker=_state(found, "asker"),
        owner=_state(found, "owner"),
        agency=AgencyId(_text(found, "agency")),
        role=Role(_word(found, "role", Role)),
        has_case=found["has_case"],
        signers=_number(found, "signers"),
        time_ns=_number(found, "time_ns"),
        issuers=tuple(_words(found, "issuers", None)),
    )


_EMPTY: Final = Question(
    Stage.ASK, Purpose(""), "", "", None, (), 0, PeerId(""), PeerId(""), AgencyId(""), Role.OPERATOR, False, 0, 0
)


def _refused(name: str, why: str) -> InputRefused:
    return InputRefused(why, field=name, code="QUESTION")


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX or not value.isprintable():
        raise _refused(name, f"must be a text of at most {TEXT_CHARS_MAX} printable characters")
    return value


def _number(found: Mapping[str, Any], name: str) -> int:
    value = found[name]
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise _refused(name, "must be a whole number from 0")
    return value


def _word(found: Mapping[str, Any], name: str, vocabulary: Iterable[StrEnum]) -> str:
    known = sorted(word.value for word in vocabulary)
    if found[name] not in known:
        raise _refused(name, f"write one of {', '.join(known)}")
    return str(found[name])


def _words(found: Mapping[str, Any], name: str, vocabulary: Iterable[StrEnum] | None) -> list[str]:
    value = found[name]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _refused(name, "must be a list of texts")
    known = None if vocabulary is None else {word.value for word in vocabulary}
    if known is not None and not set(value) <= known:
        raise _refused(name, f"each is one of {', '.join(sorted(known))}")
    if known is None and not all(len(word) <= TEXT_CHARS_MAX and word.isprintable() for word in value):
        raise _refused(name, f"each is a text of at most {TEXT_CHARS_MAX} printable characters")
    return value


def _state(found: Mapping[str, Any], name: str) -> PeerId:
    try:
        return peer_id(_text(found, name))
    except ValueError as fault:
        raise _refused(name, str(fault)) from None
