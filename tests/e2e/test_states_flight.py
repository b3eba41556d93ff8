"""Flights, children, refugees, a name that only sounds alike and returns, over three whole nodes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.region.generate import make_region
from examples.region.travellers import ALL_STATES, Passport
from gateway.cli.acts.demo.checks import passenger_list
from gateway.cli.acts.nodes import Nodes, Ran, limen, must
from gateway.terms import ListId, Role
from tests.support import states as support
from tests.support.states import mrz

AGENCIES = {"PAN": "SNM", "HND": "INM", "MEX": "INAMI"}
PASSENGERS = 300
HOUR_NS = 3600 * 10**9
RETURN_BASIS = "bilateral agreement"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """PAN and HND ask, MEX and HND list."""
    with support.plain(AGENCIES, make_region(entries=40, states=ALL_STATES)) as made:
        for state in ("PAN", "HND"):
            made.enrol(state, "centre-1", (Role.TARGETING_CENTRE,))
            for name in ("return-1", "return-2"):
                made.enrol(state, name, (Role.RETURN_UNIT,))
            made.login(state)
        yield made


REGION = make_region(entries=40, states=ALL_STATES)


def asked(nodes: Nodes, name: str, *more: str, purpose: str = "") -> Ran:
    traveller = REGION.traveller(name)
    return nodes.check(traveller.asked_by, purpose or traveller.purpose, mrz(traveller.passport), *more)


def test_a_missing_child_is_found_by_sound_and_year_and_never_detained(nodes: Nodes) -> None:
    """Scenario 10: a year only against a placeholder date; for missing children alone."""
    ran = asked(nodes, "missing_child")
    (hit,) = ran.json["hits"]
    assert (hit["owner"], hit["kind"], hit["class"]) == ("MEX", "MISSING_CHILD", "NAME_SOUND_AND_YEAR")
    assert (hit["action"], hit["limit_s"], hit["possible"]) == ("DO_NOT_DETAIN_CALL_OWNER", 3600, True)
    assert hit["sentence"].startswith("Do not detain. Call")
    assert hit["match_text"].startswith("possible, name differs")
    # As somebody wanted, a child is asked about by nobody.
    assert asked(nodes, "missing_child", purpose="SEC.WATCH").json["hits"] == []


def test_a_name_that_only_sounds_alike_is_possible_and_waits_for_two_persons(nodes: Nodes) -> None:
    """Scenario 3: no document in the entry, both names in another spelling, the same date of birth."""
    ran = asked(nodes, "sounds_alike")
    (hit,) = ran.json["hits"]
    assert (hit["owner"], hit["class"], hit["possible"]) == ("MEX", "NAME_SOUND_AND_DATE", True)
    assert hit["match_text"].startswith("possible, name differs")
    words = limen("check", "--booth", str(nodes["PAN"].booth), "--purpose", "SEC.WATCH", "--basis", RETURN_BASIS,
                  "--case", "SHIFT-1", stdin=mrz(REGION.traveller("sounds_alike").passport))  # fmt: skip
    assert "POSSIBLE HIT" in words.out and "name differs" in words.out
    assert "A question for a human, never a finding." in words.out
    (row,) = [row for row in REGION.lists["MEX"].persons if row.entry_id == "WMEX000001"]
    assert row.handling == "FOUR_EYES"


def test_a_refugee_and_a_child_are_reported_nothing_about(nodes: Nodes) -> None:
    for name in ("refugee", "child"):
        assert asked(nodes, name).json["outcome"] == "NOTHING_TO_REPORT"


def flight() -> tuple[list[Passport], set[int]]:
    """The passengers of a flight to Panama, and the places of those who were planted."""
    seats = REGION.flight(PASSENGERS, listed=4, owners=("HND", "MEX"))
    return [one.passport for one in seats], {place for place, one in enumerate(seats) if one.entry_id}


def test_a_flight_of_300_is_one_question_and_tells_exactly_the_planted_places(nodes: Nodes, tmp_path: Path) -> None:
    passengers, planted = flight()
    file = tmp_path / "flight.csv"
    file.write_bytes(passenger_list([one.fields() for one in passengers]))
    ran = nodes.flight("PAN", "centre-1", file, ends_ns=nodes.now_ns() + HOUR_NS)
    assert ran.code == 0, ran.err
    assert {hit["traveller"] for hit in ran.json["hits"]} == planted
    assert {hit["owner"] for hit in ran.json["hits"]} <= {"HND", "MEX"}
    names = {part for one in passengers for part in (one.surname, one.document_number)}
    assert not any(name in ran.out for name in names)


def test_a_crew_is_a_question_of_its_own(nodes: Nodes, tmp_path: Path) -> None:
    file = tmp_path / "crew.csv"
    file.write_bytes(passenger_list([one.fields() for one in flight()[0][:6]]))
    ran = nodes.flight("PAN", "centre-1", file, ends_ns=nodes.now_ns() + HOUR_NS, crew=True)
    assert (ran.code, ran.json["outcome"]) == (0, "NOTHING_TO_REPORT")


def test_a_bad_list_is_refused_with_its_line_and_no_value(nodes: Nodes, tmp_path: Path) -> None:
    rows = [one.fields() for one in flight()[0][:20]]
    rows[7]["birth_date"] = "1980-13-41"
    file = tmp_path / "bad.csv"
    file.write_bytes(passenger_list(rows))
    ran = nodes.flight("PAN", "centre-1", file, ends_ns=nodes.now_ns() + HOUR_NS)
    assert ran.code == 8
    assert "line 9" in ran.err
    assert "1980-13-41" not in ran.err and rows[7]["surname"] not in ran.err + ran.out


def test_a_flight_without_an_end_or_by_another_role_is_refused(nodes: Nodes, tmp_path: Path) -> None:
    file = tmp_path / "flight.csv"
    file.write_bytes(passenger_list([one.fields() for one in flight()[0][:3]]))
    booth = ("--booth", str(nodes.desk("PAN", "centre-1")), "--basis", RETURN_BASIS, "--case", "F-1")
    none = limen("--json", "check", *booth, "--purpose", "API.PRESCREEN", "--passengers", str(file))
    assert none.code == 2 and "--flight-ends" in none.err
    border = ("--booth", str(nodes["PAN"].booth), "--basis", RETURN_BASIS, "--case", "F-1")
    ran = limen("--json", "check", *border, "--purpose", "API.PRESCREEN", "--passengers", str(file), "--flight-ends",
                "2026-11-02T09:00")  # fmt: skip
    assert ran.code == 3
    assert json.loads(ran.out)["reasons"] == ["role"]


# -- Returns ----------------------------------------------------------------------------------------------------------


def returned(nodes: Nodes, tmp_path: Path, lines: bytes, *more: str, signers: int = 2) -> Ran:
    """Panama's return unit asks about a person; each of the signers at a workstation of their own."""
    common = ("--purpose", "READ.IDENT", "--basis", RETURN_BASIS, "--case", "RET-1", *more)
    signatures: list[str] = []
    # A file of its own for each question, because what was signed is not overwritten.
    asked = len(list(tmp_path.glob("return-1-*.sig")))
    for name in ("return-1", "return-2")[:signers]:
        out = tmp_path / f"{name}-{asked}.sig"
        must("check", "--booth", str(nodes.desk("PAN", name)), *common, "--sign", str(out), "--key",
             str(nodes["PAN"].officers[name]), "--passphrase-file", str(nodes.passphrase_file),
             stdin=lines)  # fmt: skip
        signatures += ["--signature", str(out)]
    return limen("--json", "check", "--booth", str(nodes.desk("PAN", "return-1")), *common, *signatures, stdin=lines)


@pytest.fixture(scope="module")
def national(nodes: Nodes) -> Passport:
    """A person in Honduras' own register of nationals."""
    person = REGION.traveller("wanted_in_guatemala").passport
    row = {
        "entry_id": "NHND000001", "owner": "HND", "category": "NATIONAL", "surname": person.surname,
        "given": person.given_names, "dob": person.birth, "sex": person.sex, "nationality": "HND",
        "document_no": "", "document_issuer": "", "valid_until": "2028-01-01", "handling": "FOUR_EYES",
        "originator": "HND", "provenance": "HND-REGISTER", "decision_ref": "HND-2026-1",
        "legal_basis": "national immigration act",
    }  # fmt: skip
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    file = nodes.root / "nationals.csv"
    file.write_text(out.getvalue())
    assert nodes.load("HND", ListId.PERSONS, file).json["added"] == 1
    nodes.wait_tables()
    return person


def test_a_national_is_confirmed_by_two_and_guarded_while_a_claim_may_be_open(
    nodes: Nodes, national: Passport, tmp_path: Path
) -> None:
    """Scenario 9, as decision 7 reads it: the question about a person with a claim looks like a miss."""
    lines = mrz(national)
    alone = returned(nodes, tmp_path, lines, "--asylum", "none", signers=1)
    assert alone.code == 3 and "signers" in alone.err
    yes = returned(nodes, tmp_path, lines, "--asylum", "none")
    (hit,) = yes.json["hits"]
    assert (hit["owner"], hit["kind"], hit["action"]) == ("HND", "NATIONAL", "ASK_OWNER_TO_CONFIRM")
    miss = returned(nodes, tmp_path, mrz(REGION.traveller("miss").passport), "--asylum", "none")
    for asylum in ("unknown", "open"):
        guarded = returned(nodes, tmp_path, lines, "--asylum", asylum)
        assert (guarded.code, guarded.err) == (miss.code, miss.err)
        assert {**guarded.json, "request_id": ""} == {**miss.json, "request_id": ""}
    # The border, of the same agency, does not ask about this person for another end today (T16).
    change = nodes.check("PAN", "SEC.WATCH", lines)
    assert change.code == 3 and "purpose_change" in change.err
