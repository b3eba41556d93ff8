"""Acceptance scenarios 2, 3 and 10 with the records they name: four states, and what each of them is told.

The records are those of the synthetic region that the scenarios name by number. All of them are invented.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from examples.region.generate import Lists, Region, make_region
from examples.region.travellers import ALL_STATES, LEGAL_BASIS, Entry, Passport
from gateway.audit.leaf import Leaf
from gateway.cli.acts.nodes import BASIS, Nodes, Ran, limen
from gateway.clock import VirtualClock, set_shift
from gateway.disclosure.case import decode
from gateway.store.reader import Reader
from gateway.terms import Handling, ListId
from gateway.watchlist import entry as entries
from tests.e2e.test_states_case import done
from tests.region import wait_for
from tests.support import states as support

AGENCIES = {"PAN": "SNM", "HND": "INM", "GTM": "IGM", "MEX": "INAMI"}
HOUR_NS = 3600 * 10**9

E001839 = Passport("LYMW COURTEN", "BARAK", "C72138072", "VEN", "VEN", "1971-04-07", "F", "2031-05-06")
E000146 = Passport("KIRALY ARSENY", "LONCRAINE", "T00711832", "ECU", "ECU", "2003-02-21", "M", "2031-05-06")
E001903 = Passport("GERRITSEN", "SOLEMDAL LAMBA", "F14332494", "VEN", "VEN", "2009", "M", "2031-05-06")


def listed(entry_id: str, category: str, surname: str, given: str, dob: str, sex: str, **more: str) -> Entry:
    """A row of a list as the region has it; owner by the id's letters."""
    owner = entry_id[1:4]
    return Entry(
        entry_id=entry_id,
        owner=owner,
        category=category,
        surname=surname,
        given=given,
        dob=dob,
        sex=sex,
        valid_until="2026-12-31",
        originator=owner,
        provenance=f"{owner}-NATIONAL",
        decision_ref=f"{owner}-2025-{entry_id[-4:]}",
        legal_basis=LEGAL_BASIS,
        **more,
    )


WGTM0018 = listed("WGTM0018", "WANTED_ARREST", "ALIMOU COURTEN", "BARAK KOICKY", "1971-04-07", "F", nationality="VEN",
                  aliases="BARAK ALIMOU", document_no="C72138072", document_issuer="VEN")  # fmt: skip
WMEX0016 = listed("WMEX0016", "REFUSE_ENTRY", "KIRALY ARUSENI", "LONCRAINI", "2003-02-21", "M", nationality="ECU",
                  handling="FOUR_EYES")  # fmt: skip
WMEX0107 = listed("WMEX0107", "MISSING_CHILD", "GERRITSEN", "SOLEMDAL LAMBA", "2009-01-01", "M", nationality="VEN")


def region() -> Region:
    """The invented region with these rows on Guatemala's and Mexico's lists."""
    made = make_region(entries=40, states=ALL_STATES)
    lists = dict(made.lists)
    for owner, rows in (("GTM", (WGTM0018,)), ("MEX", (WMEX0016, WMEX0107))):
        lists[owner] = Lists((*rows, *lists[owner].persons), lists[owner].documents)
    return replace(made, lists=lists)


REGION = region()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Four nodes with their desks."""
    with support.plain(AGENCIES, REGION) as made:
        made.staff()
        for state in ("HND", "PAN"):
            made.login(state)
        yield made


def asked(nodes: Nodes, state: str, who: Passport, purpose: str = "SEC.WATCH") -> Ran:
    ran = nodes.check(state, purpose, json.dumps(who.fields()).encode())
    assert ran.code == 0, ran.err
    return ran


def leaves(nodes: Nodes, state: str, start: int = 0) -> list[Leaf]:
    """What a state's log holds from entry `start` on of what others' questions and cases left."""
    reader = Reader(nodes[state].folder / "store")
    try:
        found = [Leaf.parse(data) for data in reader.leaves(start, reader.size())]
    finally:
        reader.close()
    return [leaf for leaf in found if leaf.kind.partition(".")[0] in ("check", "case")]


def size(nodes: Nodes, state: str) -> int:
    reader = Reader(nodes[state].folder / "store")
    try:
        return reader.size()
    finally:
        reader.close()


def shape(found: list[Leaf]) -> list[Any]:
    """All that can be told of entries but the hashes and numbers that are drawn anew for every question."""
    shapes = []
    for leaf in found:
        public = {name: value for name, value in leaf.public.items() if name not in ("peer_seq", "intent_seq")}
        sized = {name: len(value) if isinstance(value, bytes) else value for name, value in public.items()}
        shapes.append((leaf.kind, leaf.phase, leaf.peer, sorted(leaf.commitments), sized))
    return shapes


def wait(nodes: Nodes, state: str, number: str, wanted: str) -> None:
    """Until the case is there."""

    def there() -> bool:
        reader = Reader(nodes[state].folder / "store")
        try:
            body = reader.case(bytes.fromhex(number.removeprefix("case_")))
        finally:
            reader.close()
        return body is not None and decode(body).state.value == wanted

    wait_for(there, what=f"{number} at {state} is {wanted}", timeout_s=40)


def requested(nodes: Nodes, asker: str, owner: str, number: str, name: str = "desk-1") -> None:
    done(nodes.case(asker, name, "confirm", number, "--measure", "M1"))
    done(nodes.case(asker, name, "request", number))
    wait(nodes, owner, number, "UNDER_REVIEW")
    wait(nodes, asker, number, "ACKNOWLEDGED")


def handling(nodes: Nodes, owner: str, entry_id: str) -> Handling | None:
    """How the entry is handled, by the owner's own list."""
    reader = Reader(nodes[owner].folder / "store")
    try:
        body = reader.entry(ListId.PERSONS, entry_id)
    finally:
        reader.close()
    assert body is not None
    return entries.decode(body).handling


def test_scenario_2_a_document_listed_in_guatemala_is_met_and_nobody_else_learns_of_it(nodes: Nodes) -> None:
    others = ("PAN", "MEX")
    # What an ordinary question about nobody leaves abroad.
    start = {state: size(nodes, state) for state in AGENCIES}
    miss = asked(nodes, "HND", REGION.traveller("miss").passport)
    assert miss.json["outcome"] == "NOTHING_TO_REPORT"
    ordinary = {state: shape(leaves(nodes, state, start[state])) for state in ("GTM", *others)}

    start = {state: size(nodes, state) for state in AGENCIES}
    ran = asked(nodes, "HND", E001839)
    (hit,) = ran.json["hits"]
    assert (hit["owner"], hit["kind"], hit["class"]) == ("GTM", "WANTED_ARREST", "DOCUMENT")
    assert (hit["action"], hit["possible"], ran.json["complete"]) == ("WAIT_FOR_OWNER", False, True)
    # No reason, no decision, no name of the entry's: what the officer is told is what every such hit says.
    for word in ("ALIMOU", "KOICKY", WGTM0018.decision_ref, WGTM0018.entry_id, LEGAL_BASIS):
        assert word not in ran.out + ran.err
    words = limen("check", "--booth", str(nodes["HND"].booth), "--purpose", "SEC.WATCH", "--basis", BASIS, "--case",
                  "SHIFT-1", stdin=json.dumps(E001839.fields()).encode())  # fmt: skip
    assert "HIT" in words.out and "A question for a human, never a finding." in words.out

    # Whether it was a hit: neither the others nor Guatemala itself can tell the question from the one about nobody.
    for state in ("GTM", *others):
        told = shape(leaves(nodes, state, start[state]))
        assert told == ordinary[state] * 2, state
        store = b"".join(path.read_bytes() for path in (nodes[state].folder / "store").glob("node.db*"))
        if state != "GTM":
            assert b"C72138072" not in store and b"ALIMOU" not in store

    # The approval request: two persons of Guatemala, of whom none has to be a supervisor (handling APPROVAL).
    assert handling(nodes, "GTM", "WGTM0018") is Handling.APPROVAL
    start = {state: size(nodes, state) for state in others}
    requested(nodes, "HND", "GTM", hit["case"])
    (waiting,) = nodes.cases("GTM", "desk-1", "--due")
    assert (waiting["case"], waiting["peer"], waiting["class"], waiting["exact"]) == (
        hit["case"],
        "HND",
        "DOCUMENT",
        True,
    )
    done(nodes.case("GTM", "desk-1", "prepare", hit["case"]))
    done(nodes.case("GTM", "desk-2", "approve", hit["case"]))
    wait(nodes, "HND", hit["case"], "GRANTED")
    got = done(nodes.case("HND", "desk-1", "show", hit["case"]))
    assert "ALIMOU COURTEN, BARAK KOICKY" in got["disclosed"]["names"]
    assert WGTM0018.decision_ref not in json.dumps(got)
    # All of that passed between two states.
    for state in others:
        assert leaves(nodes, state, start[state]) == []


def test_scenario_3_a_name_that_sounds_alike_is_possible_and_goes_by_four_eyes(nodes: Nodes) -> None:
    ran = asked(nodes, "PAN", E000146)
    (hit,) = ran.json["hits"]
    assert (hit["owner"], hit["kind"], hit["class"]) == ("MEX", "REFUSE_ENTRY", "NAME_SOUND_AND_DATE")
    assert hit["possible"] and hit["match_text"].startswith("possible, name differs")
    assert handling(nodes, "MEX", "WMEX0016") is Handling.FOUR_EYES
    requested(nodes, "PAN", "MEX", hit["case"])
    (waiting,) = nodes.cases("MEX", "desk-1", "--due")
    assert (waiting["class"], waiting["exact"]) == ("NAME_SOUND_AND_DATE", False)
    done(nodes.case("MEX", "desk-1", "prepare", hit["case"]))
    # The same person never, another of the same role not here, a supervisor does.
    for name in ("desk-1", "desk-2"):
        refused = nodes.case("MEX", name, "approve", hit["case"])
        assert refused.code == 3 and "second_person" in refused.err
    done(nodes.case("MEX", "approver-1", "approve", hit["case"]))
    wait(nodes, "PAN", hit["case"], "GRANTED")
    got = done(nodes.case("PAN", "desk-1", "show", hit["case"]))
    assert got["disclosed"]["names"] == ["KIRALY ARUSENI, LONCRAINI"]


def test_scenario_10_a_child_of_a_year_only_is_found_for_child_protection_alone_and_waits_an_hour(nodes: Nodes) -> None:
    assert asked(nodes, "PAN", E001903).json["outcome"] == "NOTHING_TO_REPORT"
    ran = asked(nodes, "PAN", E001903, "MISS.CHILD")
    (hit,) = ran.json["hits"]
    assert (hit["owner"], hit["kind"]) == ("MEX", "MISSING_CHILD") and hit["class"].endswith("_AND_YEAR")
    assert (hit["action"], hit["limit_s"], hit["possible"]) == ("DO_NOT_DETAIN_CALL_OWNER", 3600, True)
    number = hit["case"]
    done(nodes.case("PAN", "desk-1", "confirm", number))
    assert nodes.case("PAN", "desk-1", "request", number).code == 3
    done(nodes.case("PAN", "child-1", "request", number))
    wait(nodes, "MEX", number, "UNDER_REVIEW")
    wait(nodes, "PAN", number, "ACKNOWLEDGED")

    def inbox() -> str:
        ran = limen("case", "list", "--due", "--booth", str(nodes.desk("MEX", "child-1")))
        assert ran.code == 0, ran.err
        return next(line for line in ran.out.splitlines() if number in line)

    # There at once, due within the hour, and overdue after it.
    assert "59 min left" in inbox()
    set_shift(nodes.clock_file, VirtualClock(nodes.clock_file)._shift_ns + HOUR_NS + 60 * 10**9)
    nodes.forget()
    assert "OVERDUE" in inbox()
    done(nodes.case("MEX", "child-1", "prepare", number))
    done(nodes.case("MEX", "desk-1", "approve", number))
    wait(nodes, "PAN", number, "GRANTED")
    assert done(nodes.case("PAN", "desk-1", "show", number))["disclosed"] == {}
    # Who asked has the case, and alone reads what came.
    got = done(nodes.case("PAN", "child-1", "show", number))
    assert got["disclosed"]["names"] == ["GERRITSEN, SOLEMDAL LAMBA"]
