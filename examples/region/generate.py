"""Make the region: lists of PAN, HND and UTO and the demo's travellers, all invented, the same bytes for the same seed.

    python -m examples.region.generate --out DIR [--seed N] [--clock ISO] [--entries N]

writes DIR/<STATE>/persons.csv and documents.csv (`persons-1.csv`, ... above 20,000 rows, what one load takes),
DIR/travellers.json, DIR/travellers/<name>.mrz and .json, and DIR/truth.json.

The rules of the data: a document on a LOST_STOLEN list was issued by the list's owner; every entry names its
originator, provenance, decision and legal basis; all dates stand against the given clock, and two of a hundred entries
have expired; some of Utopia's entries are about persons who fled from it, and the other states hold protection tags for
some persons on their own lists.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from examples.region import names
from examples.region.draws import Draws
from examples.region.travellers import (
    ALL_STATES,
    BIRTHS,
    LEGAL_BASIS,
    STATES,
    TOKENS,
    Entry,
    Passport,
    Traveller,
    decision_ref,
    plant,
)

DEFAULT_SEED: Final = 20231101
DEFAULT_CLOCK: Final = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
DEFAULT_ENTRIES: Final = 300
ENTRIES_MAX: Final = 100_000
"""Rows a state, persons and documents together."""

ROWS_A_FILE: Final = 20_000
"""What one load of a list takes (`flows.listing`); a longer list comes in several files."""

COLUMNS: Final = tuple(place.name for place in fields(Entry))

_NATIONALS: Final[tuple[tuple[str, int], ...]] = (
    ("PAN", 10), ("HND", 12), ("UTO", 16), ("VEN", 16), ("COL", 10), ("ECU", 9), ("HTI", 8), ("NIC", 6), ("CUB", 5),
    ("GTM", 4), ("SLV", 3), ("XXA", 1),
)  # fmt: skip
"""Whom the lists of PAN and HND are about, with weights. Nationals of all members are among them."""

_KINDS: Final[dict[str, tuple[tuple[str, int], ...]]] = {
    "PAN": (("WANTED_ARREST", 40), ("REFUSE_ENTRY", 36), ("SMUGGLER_SUSPECT", 14), ("MISSING_CHILD", 10)),
    "HND": (("WANTED_ARREST", 38), ("REFUSE_ENTRY", 36), ("SMUGGLER_SUSPECT", 14), ("MISSING_CHILD", 12)),
    "GTM": (("WANTED_ARREST", 42), ("REFUSE_ENTRY", 34), ("SMUGGLER_SUSPECT", 12), ("MISSING_CHILD", 12)),
    "MEX": (("WANTED_ARREST", 36), ("REFUSE_ENTRY", 36), ("SMUGGLER_SUSPECT", 16), ("MISSING_CHILD", 12)),
    "UTO": (("WANTED_ARREST", 70), ("REFUSE_ENTRY", 16), ("SMUGGLER_SUSPECT", 8), ("MISSING_CHILD", 6)),
}

_TAGS: Final = (
    ("ASYLUM_SEEKER", 60), ("REFUGEE", 25), ("TRAFFICKING_VICTIM", 8), ("FAMILY_REUNIFICATION", 5), ("WITNESS", 2),
)  # fmt: skip
"""Protection tags, by `ProtectionTag`, with weights."""

_DOCUMENTS_OF_A_HUNDRED: Final = 30
"""How much of a state's rows are documents."""

_NUMBERS: Final = 10**8
_STRIDE: Final = 61_803_399
"""Prime to 10^8, so that numbers of one letter do not repeat (Knuth, TAOCP 6.4: multiplicative spreading)."""


@dataclass(frozen=True, slots=True)
class Lists:
    """One state's lists, planted entries first."""

    persons: tuple[Entry, ...]
    documents: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One traveller of a crowd, and the entry it was made from ("" for nobody's)."""

    passport: Passport
    entry_id: str


@dataclass(frozen=True, slots=True)
class Region:
    """The whole region. `fled` are the ids of Utopia's entries about persons who fled from it."""

    seed: int
    now: datetime
    lists: dict[str, Lists]
    travellers: tuple[Traveller, ...]
    fled: frozenset[str]

    def traveller(self, name: str) -> Traveller:
        """A fixed traveller by name. Raises KeyError."""
        return {traveller.name: traveller for traveller in self.travellers}[name]

    def crowd(self, count: int, *, listed_percent: float = 0.0, owners: tuple[str, ...] = STATES) -> Iterator[Asked]:
        """Ordinary travellers for streams and flights; of a hundred, `listed_percent` are on an owner's list.

        A listed one shows the entry's document, the same name and date, or a name that only sounds alike.
        """
        rows = [
            row
            for owner in owners
            for row in self.lists[owner].persons
            if row.category in ("WANTED_ARREST", "REFUSE_ENTRY")
            and len(row.dob) == 10
            and row.valid_until > self.now.date().isoformat()
            and not row.dob.endswith("-01-01")
        ]
        for number in range(count):
            draws = Draws("region/1", self.seed, "crowd", number)
            if rows and draws.percent(listed_percent):
                row = draws.pick(rows)
                yield Asked(_as_traveller(row, number, draws, self.now.date()), row.entry_id)
            else:
                yield Asked(_stranger(number, draws, self.now.date()), "")

    def flight(self, count: int = 300, *, listed: int = 4, owners: tuple[str, ...] = STATES) -> list[Asked]:
        """The passengers of one flight, of whom exactly `listed` are on the owners' lists, spread over the cabin."""
        ordinary = [one for one in self.crowd(count * 2) if not one.entry_id]
        known = [one for one in self.crowd(count * 4, listed_percent=25.0, owners=owners) if one.entry_id]
        unique = list({one.entry_id: one for one in known}.values())[:listed]
        seats = list(ordinary[: count - len(unique)])
        for place, one in enumerate(unique):
            seats.insert((place + 1) * count // (len(unique) + 1), one)
        return seats

    def files(self) -> dict[str, bytes]:
        """Every file by its path below the output folder."""
        made: dict[str, bytes] = {}
        for state, lists in self.lists.items():
            for kind, rows in (("persons", lists.persons), ("documents", lists.documents)):
                for name, part in _parts(kind, rows):
                    made[f"{state}/{name}"] = _csv(part)
        document = {
            "clock": self.now.isoformat().replace("+00:00", "Z"),
            "seed": self.seed,
            "travellers": [traveller.document() for traveller in self.travellers],
        }
        made["travellers.json"] = _json(document)
        for traveller in self.travellers:
            made[f"travellers/{traveller.name}.json"] = _json(traveller.passport.fields())
            made[f"travellers/{traveller.name}.mrz"] = "\n".join((*traveller.passport.mrz(), "")).encode()
        made["truth.json"] = _json({"fled": sorted(self.fled)})
        return made

    def write(self, folder: Path) -> list[Path]:
        """Write every file; returns the paths."""
        written = []
        for name, data in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            written.append(path)
        return written


def make_region(
    seed: int = DEFAULT_SEED,
    now: datetime = DEFAULT_CLOCK,
    *,
    entries: int = DEFAULT_ENTRIES,
    states: Sequence[str] = STATES,
) -> Region:
    """The region of a seed at a moment, with `entries` rows a state, of which three in ten are documents.

    `states` are STATES or ALL_STATES. The first rows of a longer list are the shorter one's, and the lists of STATES
    are the same in both.

    Raises:
        ValueError: `now` has no time zone, or `entries` is not between 20 and 100,000.
    """
    if now.tzinfo is None:
        raise ValueError("the clock needs a time zone")
    if not 20 <= entries <= ENTRIES_MAX:
        raise ValueError(f"a state has 20 to {ENTRIES_MAX} entries")
    now = now.astimezone(UTC)
    planted = plant(now, whole="MEX" in states)
    fled = {"WUTO000000", "WUTO000002"}
    lists: dict[str, Lists] = {}
    for state in states:
        document_count = entries * _DOCUMENTS_OF_A_HUNDRED // 100
        persons = list(planted.persons[state])
        for number in range(len(persons), entries - document_count):
            row, has_fled = _person(seed, state, number, now.date())
            persons.append(row)
            if has_fled:
                fled.add(row.entry_id)
        documents = list(planted.documents[state])
        documents.extend(_document(seed, state, n, now.date()) for n in range(len(documents), document_count))
        lists[state] = Lists(tuple(persons), tuple(documents))
    return Region(seed, now, lists, planted.travellers, frozenset(fled))


def _person(seed: int, state: str, number: int, today: date) -> tuple[Entry, bool]:
    """One row of a list of persons, and whether it is about somebody who fled from Utopia."""
    draws = Draws("region/1", seed, state, "person", number)
    category = draws.weighted(_KINDS[state])
    has_fled = state == "UTO" and category == "WANTED_ARREST" and draws.percent(60)
    nationality = "UTO" if has_fled else draws.weighted(_NATIONALS)
    surname, given = names.full(draws, names.tongue_of(nationality), TOKENS)
    protection = _protection(draws, state, nationality)
    refugee = protection == "REFUGEE"
    if draws.percent(52):
        issuer = state if refugee else (nationality if nationality != "XXA" else state)
        document = (_number("N", seed, state, number), issuer)
    else:
        document = ("", "")
    originator, provenance = _originator(draws, state)
    row = Entry(
        entry_id=f"W{state}{number:06d}",
        owner=state,
        category=category,
        surname=surname,
        given=given,
        aliases="|".join(_aliases(draws, surname, given)),
        dob=_birth(draws, category, today),
        sex=draws.weighted((("M", 62), ("F", 36), ("", 2))),
        nationality="XXB" if refugee else nationality,
        document_no=document[0],
        document_issuer=document[1],
        valid_until=_valid_until(draws, today),
        handling="FOUR_EYES" if category == "MISSING_CHILD" or draws.percent(15) else "APPROVAL",
        originator=originator,
        provenance=provenance,
        decision_ref=decision_ref(originator, today.year - draws.below(3), number),
        legal_basis=LEGAL_BASIS,
        protection=protection,
        birth_country=nationality if draws.percent(85) and nationality != "XXA" else draws.weighted(_NATIONALS[:-1]),
    )
    return row, has_fled


def _document(seed: int, state: str, number: int, today: date) -> Entry:
    """One lost or stolen document. The owner issued it; no holder stands in the row."""
    draws = Draws("region/1", seed, state, "document", number)
    return Entry(
        entry_id=f"D{state}{number:06d}",
        owner=state,
        category="LOST_STOLEN_DOC",
        # Now and then it is a refugee's travel document, which the host state issues: letter R.
        document_no=_number("R" if draws.percent(4) else "L", seed, state, number),
        document_issuer=state,
        valid_until=_valid_until(draws, today),
        originator=state,
        provenance=f"{state}-NATIONAL",
        decision_ref=decision_ref(state, today.year - draws.below(3), 900_000 + number),
        legal_basis=LEGAL_BASIS,
    )


def _number(letter: str, seed: int, state: str, number: int) -> str:
    """A document number of nine places, which no other row has. Letter X is the fixed travellers'."""
    start = Draws("region/1", seed, "numbers", letter).below(_NUMBERS)
    if state in STATES:
        place = number * len(STATES) + STATES.index(state)
    else:
        # Beyond every number of the others' longest lists.
        place = len(STATES) * ENTRIES_MAX + number * len(ALL_STATES) + ALL_STATES.index(state)
    return f"{letter}{(start + place * _STRIDE) % _NUMBERS:08d}"


def _birth(draws: Draws, category: str, today: date) -> str:
    """A date of birth as a list has it: mostly a day, sometimes 1 January, a month, a year, or nothing."""
    low, high = (3, 16) if category == "MISSING_CHILD" else (19, 68)
    day = today - timedelta(days=draws.between(low * 365 + 60, high * 365))
    while day.isoformat() in BIRTHS:
        day += timedelta(days=1)
    form = draws.weighted((("day", 86), ("new year", 5), ("month", 2), ("year", 5), ("unknown", 2)))
    if form == "new year":
        return f"{day.year}-01-01"
    return {"day": day.isoformat(), "month": day.isoformat()[:7], "year": str(day.year), "unknown": ""}[form]


def _valid_until(draws: Draws, today: date) -> str:
    """Two of a hundred ended in the last year; the others run for up to four more."""
    days = -draws.between(1, 365) if draws.percent(2) else draws.between(60, 1460)
    return (today + timedelta(days=days)).isoformat()


def _protection(draws: Draws, state: str, nationality: str) -> str:
    """The tag a state of refuge holds for a person on its list. Utopia has none to hold."""
    if state == "UTO":
        return ""
    if draws.percent(55 if nationality == "UTO" else 3):
        return draws.weighted(_TAGS)
    return ""


def _originator(draws: Draws, state: str) -> tuple[str, str]:
    """Who asked for the entry and where it comes from: mostly the owner, sometimes another state."""
    others = tuple(other for other in STATES if other != state)
    source = draws.weighted((("own", 88), ("member", 5), ("outside", 4), ("barred", 3)))
    if source == "own":
        return state, f"{state}-NATIONAL"
    if source == "barred":
        # Told to us on the condition that it goes no further.
        return draws.pick(("COL", "ECU")), "NO_EXPORT"
    originator = draws.pick(others if source == "member" else ("COL", "ECU", "GTM"))
    return originator, f"{originator}-BILATERAL"


def _aliases(draws: Draws, surname: str, given: str) -> Iterator[str]:
    if draws.percent(30):
        yield f"{given} {surname}"
    if draws.percent(25):
        yield " ".join(names.respelled(token, draws) for token in (*given.split(), surname.split()[0]))
    if draws.percent(6):
        yield names.native(f"{given} {surname}")


def _stranger(number: int, draws: Draws, today: date) -> Passport:
    """A traveller whom nobody listed: names like anyone's, and a number with the crowd's own letter."""
    nationality = draws.weighted(_NATIONALS[:-1])
    surname, given = names.full(draws, names.tongue_of(nationality), TOKENS)
    birth = today - timedelta(days=draws.between(19 * 365 + 60, 70 * 365))
    return Passport(
        surname=surname,
        given_names=given,
        document_number=f"T{number * _STRIDE % _NUMBERS:08d}",
        issuer=nationality,
        nationality=nationality,
        birth=birth.isoformat(),
        sex=draws.pick(("F", "M")),
        expiry=(today + timedelta(days=draws.between(40, 3000))).isoformat(),
    )


def _as_traveller(row: Entry, number: int, draws: Draws, today: date) -> Passport:
    """The person of an entry at a booth: with the listed document, or with another and the name written anew."""
    stranger = _stranger(number, draws, today)
    nationality = row.nationality if row.nationality not in ("XXA", "XXB") else "UTO"
    base = replace(
        stranger,
        surname=row.surname,
        given_names=row.given,
        birth=row.dob,
        sex=row.sex or stranger.sex,
        nationality=nationality,
        issuer=nationality,
    )
    if row.document_no and draws.percent(50):
        return replace(base, document_number=row.document_no, issuer=row.document_issuer)
    if draws.percent(50):
        return replace(
            base,
            surname=" ".join(names.respelled(token, draws) for token in row.surname.split()),
            given_names=" ".join(names.respelled(token, draws) for token in row.given.split()),
        )
    return base


def _parts(kind: str, rows: tuple[Entry, ...]) -> Iterator[tuple[str, tuple[Entry, ...]]]:
    if len(rows) <= ROWS_A_FILE:
        yield f"{kind}.csv", rows
        return
    for part, start in enumerate(range(0, len(rows), ROWS_A_FILE), start=1):
        yield f"{kind}-{part}.csv", rows[start : start + ROWS_A_FILE]


def _csv(rows: tuple[Entry, ...]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)
    return out.getvalue().encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("give a time zone, for example 2026-11-02T08:00:00Z")
    return moment


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit 0, or 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m examples.region.generate", description="Make an invented region.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--clock", type=_moment, default=DEFAULT_CLOCK, metavar="ISO", help="the virtual clock's time")
    parser.add_argument("--states", type=int, choices=(3, 5), default=3, help="the small region or the whole one")
    parser.add_argument("--entries", type=int, default=DEFAULT_ENTRIES, help=f"rows a state, at most {ENTRIES_MAX}")
    given = parser.parse_args(arguments)
    try:
        states = ALL_STATES if given.states == len(ALL_STATES) else STATES
        region = make_region(given.seed, given.clock, entries=given.entries, states=states)
    except ValueError as refused:
        parser.error(str(refused))
    written = region.write(given.out)
    print(f"{len(written)} files in {given.out}: {', '.join(states)}, {given.entries} entries each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
