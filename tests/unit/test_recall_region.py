"""Recall and false hits of the match keys on the invented region (R7): 862 true pairs across borders.

Floors for this data set and its error model, not an estimate for the field.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from gateway_adapters.watchlist_csv import Defaults, Row, read

from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, document_number
from gateway.pseudonym.matchkeys import for_asking
from gateway.terms import Hidden, KeyType, ListId, PeerId
from tests.support import shared

RECALL_MIN = 0.85
TRUE_PAIRS = 862
ALL_KEYS = frozenset(KeyType) - {KeyType.MET2_YEAR_1}
STATES = ("GTM", "HND", "MEX", "PAN")


@pytest.fixture(scope="module")
def region() -> Path:
    return shared.require("synthetic_region")


@pytest.fixture(scope="module")
def listed(region: Path) -> dict[str, Row]:
    """Every entry as the reader takes it: each state's rows out of the one file."""
    lines = (region / "watchlists.csv").read_text("utf-8").splitlines(keepends=True)
    entries: dict[str, Row] = {}
    for state in STATES:
        own = "".join([lines[0], *(line for line in lines[1:] if line.split(",")[1] == state)])
        reading = read(own.encode(), Defaults(PeerId(state), state, "NATIONAL", "measurement", "measurement"))
        # In this file other states list documents; only the issuing state may, so those rows are read as what they say.
        assert {remark.code for remark in reading.refused} <= {"NOT_ISSUER"}
        entries |= {row.entry_id: row for row in reading.rows}
    for row in shared.rows(region / "watchlists.csv"):
        if row["entry_id"] not in entries:
            issuer = row["document_issuer"]
            own = lines[0] + ",".join(row.values()).replace(f",{row['owner']},", f",{issuer},", 1) + "\n"
            (taken,) = read(
                own.encode(), Defaults(PeerId(issuer), issuer, "NATIONAL", "measurement", "measurement")
            ).rows
            entries[taken.entry_id] = taken
    return entries


def asked(row: dict[str, str]) -> tuple[Person | None, tuple[Document, ...]]:
    """An event's person as a booth has one."""
    number = row["document_no"]
    return (
        Person(Hidden((Name(row["surname"], row["given"]),)), Hidden(dates.parse(row["dob"]))),
        (Document(row["document_issuer"], document_number(number)),) if number else (),
    )


def test_recall_over_the_region_and_no_false_hit(
    region: Path, listed: dict[str, Row], capsys: pytest.CaptureFixture[str]
) -> None:
    owner = {row["entry_id"]: row["owner"] for row in shared.rows(region / "watchlists.csv")}
    person_of_event = {row["event_id"]: row["truth_person"] for row in shared.rows(region / "truth_event_person.csv")}
    entries_of: dict[str, list[str]] = defaultdict(list)
    for row in shared.rows(region / "truth_watchlist_person.csv"):
        if row["truth_person"]:
            entries_of[row["truth_person"]].append(row["entry_id"])
    index: dict[bytes, set[str]] = defaultdict(set)
    for entry_id, entry in listed.items():
        for key in for_asking(entry.person, entry.documents, ALL_KEYS):
            index[key.input.open()].add(entry_id)

    true: set[tuple[str, str]] = set()
    found: dict[tuple[str, str], set[KeyType]] = defaultdict(set)
    keys = events = 0
    for row in shared.rows(region / "events.csv"):
        event, state = row["event_id"], row["state"]
        true.update((event, other) for other in entries_of[person_of_event[event]] if owner[other] != state)
        made = for_asking(*asked(row), ALL_KEYS)
        assert len(made) <= 8, "a booth traveller's keys fit the smallest class"
        events, keys = events + 1, keys + len(made)
        for key in made:
            for entry_id in index.get(key.input.open(), ()):
                if owner[entry_id] != state:
                    found[event, entry_id].add(key.key_type)

    assert len(true) == TRUE_PAIRS and len(listed) == 1600
    by = {
        types: len([pair for pair, made_by in found.items() if made_by & types and pair in true]) / len(true)
        for types in (frozenset({KeyType.DOC_1}), frozenset({KeyType.DOC_1, KeyType.MET2_DOB_1}), ALL_KEYS)
    }
    false = set(found) - true
    with capsys.disabled():
        shares = ", ".join(f"{'+'.join(sorted(types))} {share:.4f}" for types, share in by.items())
        print(f"\nregion: recall {shares}; {len(false)} false hits; {keys / events:.2f} keys a traveller")
    assert by[ALL_KEYS] >= RECALL_MIN
    assert not false


def test_a_name_that_is_written_na_is_a_name(listed: dict[str, Row]) -> None:
    names = [entry.person.names.open()[0] for entry in listed.values() if entry.person is not None]
    assert all(name.tokens() for name in names)
    assert list(listed["WPAN0000"].person.names.open()[0].tokens()) == ["KASOULIDIS", "MEWES", "WAKUSHIMA"]  # type: ignore[union-attr]


def test_a_lost_document_is_on_the_list_of_documents(listed: dict[str, Row]) -> None:
    kinds = {entry.list_id for entry in listed.values() if not entry.person}
    assert kinds == {ListId.DOCUMENTS}
