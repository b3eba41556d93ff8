"""The individuals of two published sanctions lists as entries of two states' lists, and which of them are the same.

Real persons, public by law, out of date: for measuring only. No test prints a name. UN consolidated list of 2026-02-27
and OFAC SDN list of 2021-07-07; `GOLD` are pairs that share a passport or identity number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

from gateway.errors import InputRefused
from gateway.people import dates
from gateway.people.dates import RANGE_YEARS_MAX, UNKNOWN, PartialDate, Precision
from gateway.people.names import NAME_CHARACTERS_MAX, Name
from gateway.people.person import Document, Person, Sex, document_number
from gateway.terms import Handling, Hidden, ListId, PeerId, RecordKind
from gateway.watchlist.entry import ALIASES_MAX, BIRTHS_MAX, DOCUMENTS_MAX, ListEntry
from tests.support import shared

UN = PeerId("UNO")
OFAC = PeerId("USA")
VALID_UNTIL = date(2099, 12, 31)

_SPECIAL = {
    "Iran": "IRN", "Iran (Islamic Republic of)": "IRN", "Syria": "SYR", "Russia": "RUS", "Korea, North": "PRK",
    "Venezuela": "VEN", "Burma": "MMR", "United Kingdom": "GBR", "Turkey": "TUR", "Hong Kong": "HKG", "Taiwan": "TWN",
    "Congo, Democratic Republic of the": "COD", "Congo": "COG", "Palestinian": "PSE", "State of Palestine": "PSE",
    "Tanzania": "TZA", "United States": "USA", "The Gambia": "GMB", "Macau": "MAC", "Netherlands": "NLD",
    "Moldova": "MDA", "Vietnam": "VNM", "Kosovo": "RKS",
}  # fmt: skip
"""Names of states that neither list spells as the code table does."""

_MONTHS = {name: f"{number:02}" for number, name in enumerate(
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}  # fmt: skip  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Sanctions:
    """Entry ids are the lists' own references. `gold` are (UN entry id, OFAC entry id)."""

    un: tuple[ListEntry, ...]
    ofac: tuple[ListEntry, ...]
    gold: tuple[tuple[str, str], ...]


def asked(entry: ListEntry) -> tuple[Person, tuple[Document, ...]]:
    """The person as a booth has one: one name, one birth date, the documents."""
    assert entry.person is not None
    first = entry.person.names.open()[0]
    return replace(entry.person, names=Hidden((first,)), other_births=Hidden(())), entry.documents


@cache
def load(folder: Path) -> Sanctions:
    """Both lists. `folder` is the data set's (`shared.require("sanctions_lists")`)."""
    states = _SPECIAL | {
        row["name"]: row["iso3"] for row in shared.rows(folder.parent / "regional_flows" / "iom_country_codes.csv")
    }
    return Sanctions(
        un=tuple(_un(row, states) for row in shared.rows(folder / "un_individuals_2026-02-27.csv")),
        ofac=tuple(_ofac(row, states) for row in shared.rows(folder / "ofac_individuals_2021-07.csv")),
        gold=tuple((row["un_ref"], row["ofac_uid"]) for row in shared.rows(folder / "un_ofac_same_document_pairs.csv")),
    )


def _un(row: dict[str, str], states: dict[str, str]) -> ListEntry:
    aliases = [part.partition(":")[2] for part in row["aliases"].split("|") if part]
    births: list[PartialDate] = []
    for part in row["dob"].split("|"):
        kind, _, text = part.partition(":")
        births += _births(text.replace("..", "/"), circa=kind == "APPROXIMATELY")
    documents: list[tuple[str, str]] = []
    for part in row["documents"].split("|"):
        pieces = part.split(":")
        if len(pieces) >= 3:
            # "Passport:number:state", the number at times with a colon in it, the state at times twice.
            state = pieces[-1]
            half = state[: len(state) // 2]
            documents.append((half if f"{half} {half}" == state else state, ":".join(pieces[1:-1])))
    return _entry(row["ref"], UN, [row["name"], row["original_script"], *aliases], births, documents,
                  row["nationality"].split("|"), row["gender"], states)  # fmt: skip


def _ofac(row: dict[str, str], states: dict[str, str]) -> ListEntry:
    aliases = [*row["aliases"].split("|"), *row["weak_aliases"].split("|")]
    births: list[PartialDate] = []
    for text in row["dob"].split("|"):
        circa = text.startswith("circa ")
        spans = [_day(part) for part in re.split(r" to |(?<=\d{4})-(?=\d{4})", text.removeprefix("circa "))]
        births += _births(spans[0] if len(spans) == 1 else f"{spans[0][:4]}/{spans[1][:4]}", circa=circa)
    documents: list[tuple[str, str]] = []
    for text in (*row["passport"].split("|"), *row["national_id"].split("|")):
        found = re.match(r"(.*?)\s*\(([^()]*)\)\Z", text)
        if found:
            documents.append((found[2], found[1]))
    return _entry(row["uid"], OFAC, [row["name"], *aliases], births, documents, row["nationality"].split("|"),
                  row["gender"], states)  # fmt: skip


def _day(text: str) -> str:
    """`12 Dec 1948`, `Dec 1948` or `1948` as ISO 8601."""
    parts = text.split()
    return "-".join(reversed([_MONTHS.get(part, part) for part in parts]))


def _births(text: str, *, circa: bool) -> list[PartialDate]:
    try:
        birth = dates.parse(text, circa=circa)
    except InputRefused:
        years = [int(year) for year in re.findall(r"\d{4}", text)]
        if len(years) < 2 or not years[0] < years[1]:
            return []
        # A wider range than an entry expands keeps its first years: the measurement is the worse for it.
        return [PartialDate(Precision.RANGE, years[0], year_last=min(years[1], years[0] + RANGE_YEARS_MAX))]
    return [] if birth == UNKNOWN else [birth]


def _entry(
    entry_id: str,
    originator: PeerId,
    spellings: Iterable[str],
    births: list[PartialDate],
    documents: Iterable[tuple[str, str]],
    nationalities: Iterable[str],
    gender: str,
    states: dict[str, str],
) -> ListEntry:
    names: list[Name] = []
    for spelling in spellings:
        surname, _, given = spelling.partition(", ")
        if len(spelling) <= NAME_CHARACTERS_MAX and (name := Name(surname, given)).tokens():
            names.append(name)
    papers: list[Document] = []
    for state, number in documents:
        if state in states:
            try:
                papers.append(Document(states[state], document_number(number)))
            except InputRefused:
                continue  # free text in place of a number
    return ListEntry(
        entry_id=entry_id,
        list_id=ListId.PERSONS,
        kind=RecordKind.REFUSE_ENTRY,
        handling=Handling.APPROVAL,
        originator=originator,
        provenance="PUBLISHED",
        decision=f"published list, {entry_id}",
        legal_basis="published list",
        valid_until=VALID_UNTIL,
        person=Person(
            names=Hidden(tuple(names[: ALIASES_MAX + 1])),
            birth=Hidden(births[0] if births else UNKNOWN),
            sex=Sex(gender[:1]) if gender[:1] in ("M", "F") else Sex.UNSPECIFIED,
            nationalities=tuple(states[name] for name in nationalities if name in states),
            other_births=Hidden(tuple(births[1:BIRTHS_MAX])),
        ),
        documents=tuple(papers[:DOCUMENTS_MAX]),
    )
