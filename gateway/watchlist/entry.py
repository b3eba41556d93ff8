"""One record of a state's list: who or what, why, from whom, until when, and who may be told.

Canonical bytes (CBOR, `SCHEMA`) are what the store keeps and what a change is judged by. Personal values hide
themselves; only `encode` and the match keys open them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from gateway.errors import InputRefused, Malformed
from gateway.people import codes, dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex
from gateway.primitives import cbor
from gateway.terms.hidden import Hidden
from gateway.terms.ids import PeerId
from gateway.terms.words import Action, Handling, ListId, ProtectionTag, RecordKind

SCHEMA: Final = "limen.entry/1"
ENTRY_BYTES_MAX: Final = 16 * 1024
ALIASES_MAX: Final = 20
DOCUMENTS_MAX: Final = 10

NEVER_EXPORTED: Final = frozenset({"SIS", "EURODAC", "NO_EXPORT"})
"""Provenance labels of records that never enter a table (T3)."""

CLEARING_WAIT_NS: Final = 24 * 3600 * 10**9
"""A cleared tag still guards for so long (T10)."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """One line of a protection tag's append-only history (T10). `source` says who knew it, as a code."""

    tag: ProtectionTag
    is_set: bool
    at_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A record of our list.

    `originator` is the state the information comes from, `provenance` a label of the source system, `decision` the
    act's reference, `valid_until` the last day it may answer, `contact` the number of a desk in the owner's card.
    """

    entry_id: str
    list_id: ListId
    kind: RecordKind
    handling: Handling
    originator: PeerId
    provenance: str
    decision: str
    legal_basis: str
    valid_until: date
    person: Person | None = None
    documents: tuple[Document, ...] = ()
    contact: int = 1
    urgency: int = 1
    history: tuple[TagChange, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("entry_id", "originator", "provenance", "decision", "legal_basis"):
            if not getattr(self, name):
                raise InputRefused("is required for every entry", field=name, code=f"NO_{name.upper()}")
        if not codes.is_code(self.originator):
            raise InputRefused("is not a state code", field="originator", code="ORIGINATOR")
        if self.list_id is ListId.PERSONS and self.person is None:
            raise InputRefused("a person is required on this list", field="surname", code="NO_PERSON")
        if self.list_id is ListId.DOCUMENTS and (self.person is not None or not self.documents):
            raise InputRefused("a document without a holder is required on this list", field="document_no",
                               code="NO_DOCUMENT")  # fmt: skip
        if len(self.documents) > DOCUMENTS_MAX or (
            self.person is not None and len(self.person.names.open()) > ALIASES_MAX + 1
        ):
            raise InputRefused("too many documents or aliases", field="aliases", code="TOO_MANY")

    @property
    def action(self) -> Action:
        """What an asker's officer is told to do: the same for all entries of a kind."""
        return ACTION_OF[self.kind]

    def tags_in_force(self, now_ns: int) -> frozenset[ProtectionTag]:
        """Tags set, or cleared less than 24 h ago: a guard reads the history, not the last line (T10)."""
        held: set[ProtectionTag] = set()
        for tag in {change.tag for change in self.history}:
            last = [change for change in self.history if change.tag is tag][-1]
            if last.is_set or now_ns < last.at_ns + CLEARING_WAIT_NS:
                held.add(tag)
        return frozenset(held)

    def is_valid(self, on: date) -> bool:
        """False after its last day: an expired entry never answers."""
        return on <= self.valid_until

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode(
            {
                "schema": SCHEMA,
                "entry_id": self.entry_id,
                "list": self.list_id.value,
                "kind": int(self.kind),
                "handling": int(self.handling),
                "originator": self.originator,
                "provenance": self.provenance,
                "decision": self.decision,
                "legal_basis": self.legal_basis,
                "valid_until": self.valid_until.isoformat(),
                "person": None if self.person is None else _person_out(self.person),
                "documents": [[d.issuer, d.number.open(), d.nationality, d.code, d.expiry] for d in self.documents],
                "contact": self.contact,
                "urgency": self.urgency,
                "history": [[c.tag.value, c.is_set, c.at_ns, c.source] for c in self.history],
            }
        )


ACTION_OF: Final[Mapping[RecordKind, Action]] = {
    RecordKind.WANTED_ARREST: Action.WAIT_FOR_OWNER,
    RecordKind.REFUSE_ENTRY: Action.SECOND_LINE,
    RecordKind.SMUGGLER_SUSPECT: Action.SECOND_LINE,
    RecordKind.MISSING_CHILD: Action.DO_NOT_DETAIN_CALL_OWNER,
    RecordKind.LOST_STOLEN: Action.HOLD_DOCUMENT_SECOND_LINE,
    RecordKind.REVOKED: Action.HOLD_DOCUMENT_SECOND_LINE,
}


def decode(data: bytes) -> ListEntry:
    """Read canonical bytes. Raises Malformed on anything that `encode` did not make."""
    if len(data) > ENTRY_BYTES_MAX:
        raise Malformed("entry", "too long")
    value = cbor.decode(data)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise Malformed("entry", f"is not {SCHEMA}")
    try:
        entry = ListEntry(
            entry_id=value["entry_id"],
            list_id=ListId(value["list"]),
            kind=RecordKind(value["kind"]),
            handling=Handling(value["handling"]),
            originator=PeerId(value["originator"]),
            provenance=value["provenance"],
            decision=value["decision"],
            legal_basis=value["legal_basis"],
            valid_until=date.fromisoformat(value["valid_until"]),
            person=None if value["person"] is None else _person_in(value["person"]),
            documents=tuple(
                Document(issuer, Hidden(number), nationality, code, expiry)
                for issuer, number, nationality, code, expiry in value["documents"]
            ),
            contact=value["contact"],
            urgency=value["urgency"],
            history=tuple(
                TagChange(ProtectionTag(tag), is_set, at_ns, source) for tag, is_set, at_ns, source in value["history"]
            ),
        )
        same = entry.encode() == data
    except (KeyError, ValueError, TypeError, AttributeError, InputRefused) as cause:
        raise Malformed("entry", "a field is missing or has the wrong shape") from cause
    if not same:
        raise Malformed("entry", "not in canonical form")
    return entry


def _person_out(person: Person) -> dict[str, Any]:
    birth = person.birth.open()
    return {
        "names": [[name.surname, name.given_names] for name in person.names.open()],
        "birth": [birth.iso or "", birth.circa],
        "sex": person.sex.value,
        "nationalities": list(person.nationalities),
        "birth_country": person.birth_country,
        "residence": list(person.residence_countries),
    }


def _person_in(value: Mapping[str, Any]) -> Person:
    iso, circa = value["birth"]
    return Person(
        names=Hidden(tuple(Name(surname, given) for surname, given in value["names"])),
        birth=Hidden(dates.parse(iso, circa=circa)),
        sex=Sex(value["sex"]),
        nationalities=tuple(value["nationalities"]),
        birth_country=value["birth_country"],
        residence_countries=tuple(value["residence"]),
    )
