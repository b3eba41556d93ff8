"""What a disclosure may hold: the fields of each kind of record, their classes, and the conditions.

The template is the purpose's (reference practice: only what the asker needs to act), never the whole record. A field
that is not in it cannot be asked for, prepared or approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.errors import InputRefused
from gateway.terms.words import RecordKind

PERSON_FIELDS: Final = ("names", "birth_date", "sex", "nationality", "document", "action", "contact")
DOCUMENT_FIELDS: Final = ("document", "status", "valid_until", "contact")

CLASS_OF: Final[Mapping[str, str]] = {
    "names": "IDENTITY",
    "birth_date": "IDENTITY",
    "sex": "IDENTITY",
    "nationality": "NATIONALITY",
    "document": "DOCUMENT",
    "status": "DOCUMENT",
    "valid_until": "VALIDITY",
    "action": "ACTION",
    "contact": "CONTACT",
}
"""What a partial release names where a field was withheld."""

_DOCUMENT_KINDS: Final = frozenset({RecordKind.LOST_STOLEN, RecordKind.REVOKED})

SUBJECT_CATEGORY: Final[Mapping[RecordKind, str]] = {
    RecordKind.WANTED_ARREST: "SUSPECT_OR_CONVICTED",
    RecordKind.REFUSE_ENTRY: "SUBJECT_OF_DECISION",
    RecordKind.SMUGGLER_SUSPECT: "SUSPECT",
    RecordKind.MISSING_CHILD: "MISSING_PERSON",
    RecordKind.LOST_STOLEN: "DOCUMENT_ONLY",
    RecordKind.REVOKED: "DOCUMENT_ONLY",
    RecordKind.NATIONAL: "NATIONAL",
}
"""Which of the categories of persons a record is about, in every transmission (LED Art 6)."""

BASIS: Final[Mapping[RecordKind, str]] = {
    kind: "ASSESSMENT" if kind is RecordKind.SMUGGLER_SUSPECT else "FACT" for kind in RecordKind
}
"""Whether the record rests on facts or on a personal assessment (LED Art 7)."""

RELIABILITY: Final[Mapping[RecordKind, str]] = {
    kind: "UNCONFIRMED" if kind is RecordKind.SMUGGLER_SUSPECT else "CONFIRMED" for kind in RecordKind
}

PURPOSE_ONLY: Final = "PURPOSE_ONLY"
NO_ONWARD_TRANSFER: Final = "NO_ONWARD_TRANSFER"
DELETE_AT_END: Final = "DELETE_WITH_THE_RECORD"
NOT_FOR_IMMIGRATION: Final = "NOT_FOR_IMMIGRATION_CONTROL"

HOUR_NS: Final = 3600 * 10**9
CANDIDATE_NS: Final = 24 * HOUR_NS
"""A hit that nobody confirms ends with its token (T12)."""
DUE_NS: Final = 12 * HOUR_NS
URGENT_NS: Final = 8 * HOUR_NS
CHILD_NS: Final = HOUR_NS
"""A missing child's desk answers within an hour, or the case shows as overdue."""
EXPIRES_NS: Final = 24 * HOUR_NS
"""From the opening: due after 12 h (8 h urgent), which shows as overdue; after 24 h silence is a refusal, never a
release."""


def answer_ns(kind: RecordKind, urgency: str) -> int:
    """How long the owner's desk has from the opening."""
    if kind is RecordKind.MISSING_CHILD:
        return CHILD_NS
    return URGENT_NS if urgency else DUE_NS


def fields_of(kind: RecordKind) -> tuple[str, ...]:
    """The fields that a disclosure about a record of this kind may hold, in their order."""
    return DOCUMENT_FIELDS if kind in _DOCUMENT_KINDS else PERSON_FIELDS


def chosen(kind: RecordKind, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The wanted fields in the template's order.

    Raises:
        InputRefused: none, one twice, or one that the template does not have.
    """
    allowed = fields_of(kind)
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(allowed):
        raise InputRefused(f"write some of {', '.join(allowed)}", field="fields", code="FIELDS")
    return tuple(name for name in allowed if name in wanted)


def classes(names: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of some fields, each once."""
    return tuple(dict.fromkeys(CLASS_OF[name] for name in names))


def conditions(kind: RecordKind) -> tuple[str, ...]:
    """What binds whoever gets the fields."""
    more = (NOT_FOR_IMMIGRATION,) if kind is RecordKind.SMUGGLER_SUSPECT else ()
    return (PURPOSE_ONLY, NO_ONWARD_TRANSFER, DELETE_AT_END, *more)


def day(now_ns: int) -> str:
    """A time's day, UTC, ISO 8601."""
    return datetime.fromtimestamp(now_ns // 10**9, UTC).date().isoformat()
