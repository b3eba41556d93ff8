"""One record of a state's list: who or what, why, from whom, until when, and who may be told.

Canonical bytes (CBOR, `SCHEMA`) are what the store keeps and what a change is judged by. Personal values hide
themselves; only `encode` and the match keys open them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
ENTRY_BYTES_MAX: Final = 48 * 1024
"""No entry is longer: the limits below keep it under this."""
ALIASES_MAX: Final = 50
"""Real lists have entries with 45."""
DOCUMENTS_MAX: Final = 10
BIRTHS_MAX: Final = 10
STATES_MAX: Final = 10
"""Nationalities, and former residences."""
HISTORY_MAX: Final = 100
TEXT_CHARACTERS_MAX: Final = 200
"""Longest entry id, provenance, decision reference, legal basis."""

VALID_UNTIL_MIN: Final = date(1970, 1, 1)
VALID_UNTIL_MAX: Final = date(2149, 6, 6)
"""A label holds the day in two bytes, counted from 1970 (docs/protocol/matching.md, the label)."""

NEVER_EXPORTED: Final = frozenset({"SIS", "EURODAC", "NO_EXPORT"})
"""Provenance labels of records that never enter a table (T3)."""

CLEARING_WAIT_NS: Final = 24 * 3600 * 10**9
"""A cleared tag still guards for so long (T10)."""

LIST_OF: Final[Mapping[RecordKind, ListId]] = {
    RecordKind.WANTED_ARREST: ListId.PERSONS,
    RecordKind.REFUSE_ENTRY: ListId.PERSONS,
    RecordKind.SMUGGLER_SUSPECT: ListId.PERSONS,
    RecordKind.MISSING_CHILD: ListId.PERSONS,
    RecordKind.NATIONAL: ListId.PERSONS,
    RecordKind.LOST_STOLEN: ListId.DOCUMENTS,
    RecordKind.REVOKED: ListId.DOCUMENTS,
}
"""The one list that holds entries of a kind."""


_SOURCE = re.compile(r"[A-Za-z0-9._:-]{1,40}\Z")


@dataclass(frozen=True, slots=True)
class TagChange:
    """One line of a protection tag's append-only history (T10). `source` says who knew it, as a code."""

    tag: ProtectionTag
    is_set: bool
    at_ns: int
    source: str

    def __post_init__(self) -> None:
        if type(self.is_set) is not bool or type(self.at_ns) is not int or not 0 <= self.at_ns < 1 << 63:
            raise InputRefused("a line of the history has no time", field="protection", code="HISTORY")
        if not _SOURCE.match(self.source):
            raise InputRefused("a source is a code of 1 to 40 characters", field="protection", code="HISTORY")


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A record of our list.

    `originator` is the state the information comes from, `provenance` a label of the source system, `decision` the
    act's reference, `valid_until` the last day it may answer, `contact` the number of a desk in the owner's card,
    `urgency` 1 routine, 2 urgent, 3 immediate.

    Raises InputRefused, on making one, for an entry that may not stand on a list: without originator, provenance,
    decision, legal basis or validity (T9), of a kind the list does not hold, about nobody, or too large.
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
            _judge_text(name, getattr(self, name))
        if not codes.is_code(self.originator):
            raise InputRefused("is not a state code", field="originator", code="ORIGINATOR")
        if type(self.valid_until) is not date:
            raise InputRefused("is required for every entry", field="valid_until", code="NO_VALIDITY")
        if not VALID_UNTIL_MIN <= self.valid_until <= VALID_UNTIL_MAX:
            raise InputRefused("is outside what a label can say", field="valid_until", code="VALIDITY")
        if LIST_OF[self.kind] is not self.list_id:
            raise InputRefused("this kind of entry is on another list", field="category", code="OTHER_LIST")
        if type(self.contact) is not int or not 0 <= self.contact < 1 << 16:
            raise InputRefused("a desk has a number up to 65535", field="contact", code="CONTACT")
        if type(self.urgency) is not int or not 1 <= self.urgency <= 3:
            raise InputRefused("write 1, 2 or 3", field="urgency", code="URGENCY")
        if len(self.documents) > DOCUMENTS_MAX:
            raise InputRefused(f"more than {DOCUMENTS_MAX} documents", field="document_no", code="TOO_MANY")
        if any(len(value) > 16 for document in self.documents for value in (document.code, document.expiry)):
            raise InputRefused("is too long", field="document_no", code="LONG")
        if self.list_id is ListId.DOCUMENTS:
            if self.person is not None or not self.documents:
                raise InputRefused("a document without a holder is required on this list", field="document_no",
                                   code="NO_DOCUMENT")  # fmt: skip
        elif self.person is None:
            raise InputRefused("a person is required on this list", field="surname", code="NO_PERSON")
        else:
            _judge_person(self.person)
        times = [change.at_ns for change in self.history]
        if len(times) > HISTORY_MAX or times != sorted(times):
            raise InputRefused("the history of tags has lines out of order, or too many", field="protection",
                               code="HISTORY")  # fmt: skip

    @property
    def action(self) -> Action:
        """What an asker's officer is told to do: the same for all entries of a kind."""
        return ACTION_OF[self.kind]

    def tags_in_force(self, now_ns: int) -> frozenset[ProtectionTag]:
        """Tags set, or cleared less than 24 h ago: a guard reads the history, not the last line (T10). A nationality
        XXB or XXC, of the person or in a document, is a tag that nobody can clear."""
        held: set[ProtectionTag] = set(self.person.tags) if self.person is not None else set()
        if any(document.is_protection for document in self.documents):
            held.add(ProtectionTag.REFUGEE)
        last = {change.tag: change for change in self.history}
        held.update(tag for tag, change in last.items() if change.is_set or now_ns < change.at_ns + CLEARING_WAIT_NS)
        return frozenset(held)

    def after(self, held: ListEntry | None, at_ns: int) -> ListEntry:
        """This entry as it replaces the one held (None for a new one): the history of tags goes on (T10).

        The lines held stay as they are. A tag that this entry sets and the history has not set gets a line of its own
        at `at_ns`; a tag that this entry does not name stays, because clearing one is an act of its own. So the same
        file loaded twice changes nothing.
        """
        before = held.history if held is not None else ()
        is_set = {change.tag: change.is_set for change in before}
        latest = max((change.at_ns for change in before), default=0)
        said = {change.tag: change for change in self.history}
        new = {tag: change for tag, change in said.items() if change.is_set and not is_set.get(tag, False)}
        lines = tuple(replace(new[tag], at_ns=max(at_ns, latest)) for tag in sorted(new))
        return replace(self, history=(*before, *lines))

    def marked(self, change: TagChange) -> ListEntry | None:
        """This entry with one more line of its tags' history; None where the tag is set already and not to be cleared.

        Raises:
            InputRefused: a tag is cleared that no line has set, or the history is full.
        """
        is_set = {line.tag: line.is_set for line in self.history}.get(change.tag, False)
        if change.is_set and is_set:
            return None
        if not change.is_set and not is_set:
            # What a refugee's document says is no line of the history: nobody clears it.
            raise InputRefused("this tag is not set in the record's history", field="protection", code="NOT_SET")
        latest = max((line.at_ns for line in self.history), default=0)
        return replace(self, history=(*self.history, replace(change, at_ns=max(change.at_ns, latest))))

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
    RecordKind.NATIONAL: Action.ASK_OWNER_TO_CONFIRM,
    RecordKind.LOST_STOLEN: Action.HOLD_DOCUMENT_SECOND_LINE,
    RecordKind.REVOKED: Action.HOLD_DOCUMENT_SECOND_LINE,
}


def _judge_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InputRefused("is required for every entry", field=name, code=f"NO_{name.upper()}")
    if len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
        raise InputRefused("is too long, or has characters that cannot be shown", field=name, code="TEXT")


def _judge_person(person: Person) -> None:
    names = person.names.open()
    if not any(name.tokens() for name in names):
        raise InputRefused("the name has no letters that can be matched", field="surname", code="NAME_LETTERS")
    for count, limit, name, what in (
        (len(names) - 1, ALIASES_MAX, "aliases", "aliases"),
        (len(person.births()), BIRTHS_MAX, "dob", "birth dates"),
        (len(person.nationalities), STATES_MAX, "nationality", "nationalities"),
        (len(person.residence_countries), STATES_MAX, "residence_country", "former residences"),
    ):
        if count > limit:
            raise InputRefused(f"more than {limit} {what}", field=name, code="TOO_MANY")
    if not person.tags <= Person(person.names, nationalities=person.nationalities).tags:
        raise InputRefused("a tag of an entry is a line of its history", field="protection", code="HISTORY")


def decode(data: bytes) -> ListEntry:
    """Read canonical bytes. Raises Malformed on anything that `encode` did not make."""
    value = cbor.decode(data, field="entry", limit=ENTRY_BYTES_MAX)
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
                Document(issuer, Hidden(number), *(_text(other) for other in (nationality, code, expiry)))
                for issuer, number, nationality, code, expiry in value["documents"]
            ),
            contact=value["contact"],
            urgency=value["urgency"],
            history=tuple(
                TagChange(ProtectionTag(tag), is_set, at_ns, source) for tag, is_set, at_ns, source in value["history"]
            ),
        )
        same = entry.encode() == data
    except (KeyError, ValueError, TypeError, AttributeError, InputRefused):
        # Not chained: an error of the standard library quotes the value.
        raise Malformed("entry", "a field is missing or has the wrong shape") from None
    if not same:
        raise Malformed("entry", "not in canonical form")
    return entry


def _person_out(person: Person) -> dict[str, Any]:
    return {
        "names": [[name.surname, name.given_names] for name in person.names.open()],
        "births": [[birth.iso or "", birth.circa] for birth in person.births()],
        "sex": person.sex.value,
        "nationalities": list(person.nationalities),
        "birth_country": person.birth_country,
        "residence": list(person.residence_countries),
    }


def _person_in(value: Mapping[str, Any]) -> Person:
    birth, *others = [_birth_in(*one) for one in value["births"]]
    return Person(
        names=Hidden(tuple(Name(surname, given) for surname, given in value["names"])),
        birth=Hidden(birth),
        sex=Sex(value["sex"]),
        nationalities=_texts(value["nationalities"]),
        birth_country=_text(value["birth_country"]),
        residence_countries=_texts(value["residence"]),
        other_births=Hidden(tuple(others)),
    )


def _birth_in(iso: str, circa: Any) -> dates.PartialDate:
    if type(circa) is not bool or iso.endswith("~"):
        raise ValueError("a birth date has its one form")
    return dates.parse(iso, circa=circa)


def _text(value: Any) -> str:
    # Other empty values would pass for an empty text.
    if not isinstance(value, str):
        raise TypeError("a text is wanted")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    # A text is iterable too: without this "PAN" would read as three codes.
    if not isinstance(values, list):
        raise TypeError("a list is wanted")
    return tuple(_text(value) for value in values)
