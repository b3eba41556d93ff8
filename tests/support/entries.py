"""List entries for tests: one plain entry, and Hypothesis strategies for every kind."""

# ruff: noqa: SIM905 (thirty codes are read as words)

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex, document_number
from gateway.terms import Handling, Hidden, ListId, PeerId, ProtectionTag, RecordKind
from gateway.watchlist.entry import LIST_OF, ListEntry, TagChange

DAY_NS = 24 * 3600 * 10**9
NOW_NS = 20_782 * DAY_NS + 10 * 3600 * 10**9
"""2026-11-25, ten in the morning."""
TODAY = date(2026, 11, 25)

PEERS = tuple(
    PeerId(code)
    for code in "ARG BOL BRA CHL COL CRI CUB DOM ECU ESP GTM GUY HND HTI JAM MEX NIC PAN PER PRT PRY SLV SUR SWE TTO "
    "URY USA UTO VEN XKX".split()
)
"""Thirty of them."""


def person(*nationalities: str, birth: str = "1980-03-05", **more: Any) -> Person:
    """An adult with one name."""
    fields: dict[str, Any] = {"names": Hidden((Name("KASOULIDIS", "MEWES"),)), "birth": Hidden(dates.parse(birth))}
    return Person(**(fields | {"nationalities": nationalities} | more))


def document(issuer: str, number: str = "T55637667", nationality: str = "") -> Document:
    """A passport."""
    return Document(issuer, document_number(number), nationality)


def entry(**changed: Any) -> ListEntry:
    """A wanted person of PAN's list, told to everybody, with what the test changes."""
    fields: dict[str, Any] = {
        "entry_id": "WPAN0000",
        "list_id": ListId.PERSONS,
        "kind": RecordKind.WANTED_ARREST,
        "handling": Handling.APPROVAL,
        "originator": PeerId("PAN"),
        "provenance": "NATIONAL",
        "decision": "J-2026-17",
        "legal_basis": "penal code, art. 12",
        "valid_until": date(2026, 12, 31),
        "person": person("VEN"),
    }
    return ListEntry(**(fields | changed))


def lost(issuer: str = "PAN", **changed: Any) -> ListEntry:
    """A document that PAN has issued and lost."""
    fields: dict[str, Any] = {
        "entry_id": "DPAN0000",
        "list_id": ListId.DOCUMENTS,
        "kind": RecordKind.LOST_STOLEN,
        "person": None,
        "documents": (document(issuer),),
    }
    return entry(**(fields | changed))


def tagged(tag: ProtectionTag = ProtectionTag.ASYLUM_SEEKER, at_ns: int = 1) -> tuple[TagChange, ...]:
    """A history of one line."""
    return (TagChange(tag, True, at_ns, "desk"),)


codes = st.sampled_from([*PEERS, "XXA", "XXB", "XXC", "XXX", "D", "UNO"])
texts = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=30)
numbers = st.text("ABCXYZ0123456789", min_size=1, max_size=24)
documents = st.builds(
    lambda issuer, number, nationality: document(issuer, number, nationality), codes, numbers, codes | st.just("")
)


@st.composite
def births(draw: st.DrawFn) -> dates.PartialDate:
    """Any birth date in the form that an entry keeps."""
    day = draw(st.dates(date(1930, 1, 1), date(2026, 11, 25))).isoformat()
    form = draw(st.sampled_from([day, day[:7], day[:4], f"{day[:4]}/{int(day[:4]) + 3}", ""]))
    return dates.parse(form, circa=draw(st.booleans()) and bool(form))


@st.composite
def persons(draw: st.DrawFn) -> Person:
    """Anybody who has a name with letters."""
    names = [Name(f"A{draw(texts)}", draw(texts)) for _ in range(draw(st.integers(1, 3)))]
    return Person(
        names=Hidden(tuple(names)),
        birth=Hidden(draw(births())),
        sex=draw(st.sampled_from(Sex)),
        nationalities=tuple(draw(st.lists(codes, max_size=3))),
        birth_country=draw(codes | st.just("")),
        residence_countries=tuple(draw(st.lists(codes, max_size=2))),
        other_births=Hidden(tuple(draw(st.lists(births(), max_size=2)))),
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[TagChange, ...]:
    """Tags set and cleared, in the order of time."""
    times = sorted(draw(st.lists(st.integers(0, NOW_NS), max_size=5)))
    return tuple(
        TagChange(
            draw(st.sampled_from(ProtectionTag)), draw(st.booleans()), at_ns, draw(st.sampled_from(["desk", "load"]))
        )
        for at_ns in times
    )


@st.composite
def entries(draw: st.DrawFn) -> ListEntry:
    """Any entry that may stand on a list."""
    kind = draw(st.sampled_from(RecordKind))
    list_id = LIST_OF[kind]
    on_persons = list_id is ListId.PERSONS
    return ListEntry(
        entry_id=draw(texts),
        list_id=list_id,
        kind=kind,
        handling=draw(st.sampled_from(Handling)),
        originator=PeerId(draw(codes)),
        provenance=draw(st.sampled_from(["NATIONAL", "SIS", "Eurodac", "no_export", "BILATERAL"])),
        decision=draw(texts),
        legal_basis=draw(texts),
        valid_until=draw(st.dates(date(2026, 1, 1), date(2029, 12, 31))),
        person=draw(persons()) if on_persons else None,
        documents=tuple(draw(st.lists(documents, min_size=0 if on_persons else 1, max_size=3))),
        contact=draw(st.integers(0, 65535)),
        urgency=draw(st.integers(1, 3)),
        history=draw(histories()),
    )
