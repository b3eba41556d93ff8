"""Owners that lie with their own true keys: the whole batch is void and the owner is unreachable, never "nothing"."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.cli.acts.nodes import Ran
from tests.region import CLEAN, Plan
from tests.support.hostile_owner import MOODS
from tests.support.states import Liar, States, replaced

LISTED = "undeclared"
"""A traveller on Utopia's list: an answer that were believed would be a hit, and a lie must not make it a miss."""

SAYS = {
    "stalls": "late|peer_unreachable",
    "flips a bit of the proof's challenge": "verification_failed",
    "flips a bit of the proof's response": "verification_failed",
    "swaps two elements": "verification_failed",
    "evaluates under another group's key": "verification_failed",
    "evaluates points of its own": "verification_failed",
    "claims a delta that it does not give": "capability_missing",
}
"""Why a leg failed, where it is known before the reply is read as one."""


@pytest.fixture(scope="module")
def liar(states: States) -> Iterator[Liar]:
    with replaced(states, "UTO", asked_by="HND") as made:
        yield made


def judge(states: States, ran: Ran, start: int) -> str:
    """The officer is told that the owner could not be reached, and the log says why; returns that."""
    assert ran.code == 5, (ran.out, ran.err)
    assert (ran.json["complete"], ran.json["unreachable"], ran.json["hits"]) == (False, ["UTO"], [])
    assert "INCOMPLETE: UTO" in ran.err and len(ran.err.splitlines()) == 1
    outcomes = [leaf for leaf in states.leaves("HND", start, "check.ask") if leaf.phase == "outcome"]
    said = {leaf.peer: (leaf.public["reply"], str(leaf.public["reason"])) for leaf in outcomes}
    assert said["PAN"] == ("answered", "") and said["UTO"][0] == "unreachable"
    return said["UTO"][1]


def test_the_same_owner_is_believed_when_it_is_honest(states: States, liar: Liar) -> None:
    liar.feel("honest")
    before = len(liar.seen())
    ran = states.ask(LISTED)
    assert (ran.code, ran.json["outcome"], [hit["owner"] for hit in ran.json["hits"]]) == (0, "HIT", ["UTO"])
    assert len(liar.seen()) == before + 1


@pytest.mark.parametrize("mood", [mood for mood in MOODS if mood != "honest"])
def test_an_owner_that_lies_is_unreachable(states: States, liar: Liar, mood: str) -> None:
    liar.feel(mood)
    before, start = len(liar.seen()), states.size("HND")
    reason = judge(states, states.ask(LISTED), start)
    assert len(liar.seen()) == before + 1, "the lie was never told"
    assert reason in SAYS.get(mood, "peer_unreachable|verification_failed|malformed").split("|")


def test_after_all_lies_the_truth_is_believed_again(states: States, liar: Liar) -> None:
    liar.feel("honest")
    assert states.ask(LISTED).json["outcome"] == "HIT"


@pytest.mark.parametrize(
    "plan",
    [
        Plan(garbage=b"HTTP/1.1 200 OK\r\n\r\n", garbage_at=0),
        Plan(garbage=bytes(range(256)) * 64, garbage_at=2000),
        Plan(flip_at=2500),
        Plan(cut_after=2600),
        Plan(cut_after=0),
    ],
    ids=["speaks another protocol", "garbage among the records", "a flipped bit", "cut in the middle", "cut at once"],
)
def test_a_line_that_spoils_what_passes_is_unreachable(states: States, plan: Plan) -> None:
    proxy = states.proxies["UTO"]
    proxy.down = plan
    proxy.cut()
    start = states.size("HND")
    try:
        judge(states, states.ask(LISTED), start)
    finally:
        proxy.down = CLEAN
        proxy.cut()
    states.until(lambda: states.ask(LISTED).json["outcome"] == "HIT", "UTO answers again")
