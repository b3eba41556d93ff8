"""What an officer sees: the fixed travellers, a specimen passport, documents, a peer that is down and comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examples.region.generate import make_region
from examples.region.travellers import Expected
from gateway.cli.acts.nodes import Ran, limen
from tests.region import CLEAN, Plan
from tests.support.states import CHECK_MS, ENTRIES, States, mrz

SPECIMENS = Path(__file__).parents[1] / "vectors" / "mrz" / "specimens.json"
ERIKSSON = next(one for one in json.loads(SPECIMENS.read_text("utf-8")) if one["id"] == "icao-td3")["lines"]
TRAVELLERS = [one.name for one in make_region(entries=ENTRIES).travellers if one.name != "peer_down"]


def judge(ran: Ran, expected: Expected) -> None:
    """The answer is the expected one in every field that is not drawn anew."""
    assert ran.code == expected.exit_code, ran.err
    if expected.refused:
        assert ran.json["error"] == "POLICY_DENIED" and set(expected.refused) <= set(ran.json["reasons"])
        assert all(reason in ran.err for reason in expected.refused)
        assert len(ran.err.splitlines()) == 1
        return
    said = ran.json
    assert said.keys() == {"request_id", "outcome", "complete", "unreachable", "refused", "hits"}
    assert (said["outcome"], said["complete"]) == (expected.outcome, expected.complete)
    assert said["unreachable"] == list(expected.unreachable) and said["refused"] == []
    hits = sorted((hit["owner"], hit["kind"], hit["class"], hit["screening_required"]) for hit in said["hits"])
    assert hits == sorted((hit.owner, hit.kind, hit.match, hit.screening_required) for hit in expected.hits)


@pytest.mark.parametrize("name", TRAVELLERS)
def test_a_fixed_traveller_is_answered_as_the_story_says(states: States, name: str) -> None:
    judge(states.ask(name), states.data.traveller(name).expected)


def test_scenario_1_a_specimen_passport_is_scanned_and_nobody_lists_it(states: States, tmp_path: Path) -> None:
    lines = "\n".join(ERIKSSON).encode()
    read = limen("--json", "document", "read", "-", "--on", "2010-06-01", stdin=lines)
    (document,) = read.json
    assert (document["surname"], document["given_names"]) == ("ERIKSSON", "ANNA MARIA")
    assert set(document["checks"].values()) == {True} and len(document["checks"]) == 5 and document["valid"]

    states.login("HND")
    start = {state: states.size(state) for state in states.nodes.nodes}
    ran = states.nodes.check("HND", "SEC.WATCH", lines, case="SHIFT-17")
    assert (ran.code, ran.json["outcome"], ran.json["complete"], ran.json["hits"]) == (0, "NOTHING_TO_REPORT", True, [])

    asked = states.leaves("HND", start["HND"], "check.ask")
    assert [leaf.peer for leaf in asked] == ["PAN", "UTO", "PAN", "UTO"]
    assert {leaf.public["purpose"] for leaf in asked} == {"SEC.WATCH"}
    hashes = {leaf.peer: leaf.public["request_hashes"] for leaf in asked if "request_hashes" in leaf.public}
    for owner in ("PAN", "UTO"):
        answered = states.leaves(owner, start[owner], "check.answer")
        assert [leaf.phase for leaf in answered] == ["intent", "outcome"]
        assert {leaf.public["request_hash"] for leaf in answered} == {hashes[owner]}
        assert {(leaf.public["purpose"], leaf.public["class"]) for leaf in answered} == {("SEC.WATCH", 8)}

    places = [states.folder(state) for state in states.nodes.nodes]
    places += [states.export(state, tmp_path / state) for state in states.nodes.nodes]
    secrets = [b"ERIKSSON", b"ANNA<MARIA", b"ANNA MARIA", b"L898902C3", b"1974-08-12", b"19740812", b"ZE184226B"]
    for place in places:
        for path in place.rglob("*"):
            if path.is_file():
                data = path.read_bytes().upper()
                assert [secret for secret in secrets if secret in data] == [], path


def test_scenario_4_an_unknown_document_is_unknown_and_never_valid(states: States) -> None:
    lost = states.data.traveller("document_lost")
    hit = states.ask(lost)
    assert [(one["owner"], one["kind"], one["class"]) for one in hit.json["hits"]] == [
        ("PAN", "LOST_STOLEN", "DOCUMENT")
    ]
    for word in (*lost.passport.surname.split(), *lost.passport.given_names.split(), lost.passport.birth):
        assert word not in hit.out + hit.err

    unknown = states.data.traveller("miss").passport
    miss = states.scan("HND", unknown, purpose="DOC.STATUS")
    assert (miss.code, miss.json["outcome"]) == (0, "NOTHING_TO_REPORT")
    words = _plainly(states, "DOC.STATUS", mrz(unknown))
    assert "unknown" in words.out and "never means valid" in words.out
    assert set(hit.json) == set(miss.json)


def _plainly(states: States, purpose: str, lines: bytes) -> Ran:
    """As an officer reads it, without `--json`."""
    booth = str(states.nodes["HND"].booth)
    return limen("check", "--booth", booth, "--purpose", purpose, "--basis", "bilateral agreement", "--case", "SHIFT-1",
                 stdin=lines)  # fmt: skip


def test_scenario_5_a_peer_that_is_down_is_named_and_asked_again_when_it_is_back(states: States) -> None:
    story = states.data.traveller("peer_down")
    assert story.recovered is not None
    states.nodes.stop("PAN")
    try:
        judge(states.ask(story), story.expected)
        words = _plainly(states, "SEC.WATCH", mrz(story.passport))
        assert words.code == 5
        assert "INCOMPLETE: PAN could not be reached" in words.err and len(words.err.splitlines()) == 1
    finally:
        states.nodes.start("PAN")
    states.whole("HND")
    judge(states.ask(story), story.recovered)


def test_a_peer_that_is_too_slow_is_as_good_as_down(states: States) -> None:
    story = states.data.traveller("peer_down")
    states.proxies["PAN"].down = Plan(stalled=True)
    try:
        ran = states.ask(story)
        judge(ran, story.expected)
        # So long for the peer, and not much of our own.
        assert CHECK_MS / 1000 < ran.seconds < CHECK_MS / 1000 + 4
    finally:
        states.proxies["PAN"].down = CLEAN
    states.whole("HND")


def _fields(lines: dict[str, Any]) -> bytes:
    return json.dumps(lines).encode()


def test_fields_and_zone_lines_are_one_question(states: States) -> None:
    wanted = states.data.traveller("document_wanted")
    said = states.nodes.check("HND", "SEC.WATCH", _fields(wanted.passport.fields()))
    judge(said, wanted.expected)
    assert [hit["reference"] for hit in said.json["hits"]] == [
        hit["reference"] for hit in states.ask(wanted).json["hits"]
    ]


def test_a_stream_is_answered_line_by_line(states: States) -> None:
    names = ("miss", "document_wanted", "undeclared")
    lines = b"\n".join(_fields(states.data.traveller(name).passport.fields()) for name in names)
    states.login("HND")
    ran = states.nodes.check("HND", "SEC.WATCH", lines, "--stream")
    assert ran.code == 0
    said = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["line"] for one in said] == [1, 2, 3]
    assert [one["outcome"] for one in said] == [states.data.traveller(name).expected.outcome for name in names]


def test_a_line_that_cannot_be_asked_has_an_error_in_its_place(states: States) -> None:
    good = _fields(states.data.traveller("document_wanted").passport.fields())
    lines = b"\n".join((good, b'{"surname": "SUAREZ", "dob": "1984-13-40"}', b"SUAREZ", b'{"sex": "F"}', good))
    ran = states.nodes.check("HND", "SEC.WATCH", lines, "--stream")
    assert ran.code == 8 and "SUAREZ" not in ran.out + ran.err
    said = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["line"] for one in said] == [1, 2, 3, 4, 5]
    assert [one.get("outcome") for one in said] == ["HIT", None, None, None, "HIT"]
    assert [one.get("error") for one in said] == [None, *["INPUT_REFUSED"] * 3, None]
    assert all(one["why"] for one in said[1:4])


def test_a_flight_is_one_question(states: States, tmp_path: Path) -> None:
    names = ("miss", "document_wanted", "name_and_year", "expired")
    rows = [states.data.traveller(name).passport.fields() for name in names]
    head = ",".join(rows[0])
    file = tmp_path / "flight.csv"
    file.write_text("\n".join([head, *(",".join(row.get(column, "") for column in rows[0]) for row in rows)]) + "\n")
    states.login("HND")
    start = states.size("PAN")
    ran = states.nodes.check("HND", "SEC.WATCH", b"", "--passengers", str(file))
    assert ran.code == 0, ran.err
    assert sorted((hit["traveller"], hit["kind"]) for hit in ran.json["hits"]) == [
        (1, "WANTED_ARREST"),
        (2, "REFUSE_ENTRY"),
    ]
    answered = states.leaves("PAN", start, "check.answer")
    assert [(leaf.phase, leaf.public["class"]) for leaf in answered] == [("intent", 32), ("outcome", 32)]
