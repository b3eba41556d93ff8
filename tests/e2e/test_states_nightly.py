"""Two live states hold each other's logs against their messages at the tick, and say how it ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.cli.acts.nodes import limen, must
from tests.support.states import SETTINGS, States, running

AGENCIES = {"PAN": "SNM", "HND": "INM"}


@pytest.fixture(scope="module")
def states() -> Iterator[States]:
    with running(AGENCIES, settings={**SETTINGS, "ticks.compare_s": "1"}) as made:
        yield made


def _asked(states: States, state: str) -> int:
    """How many named entries the state has asked for at most."""
    asked = [leaf.public["asked"] for leaf in states.leaves(state, kind="pair.compared")]
    return max((one for one in asked if isinstance(one, int)), default=0)


def test_live_peers_compare_at_the_tick_and_status_and_doctor_say_so(states: States) -> None:
    states.settled()
    for name in ("miss", "document_wanted", "name_and_year"):
        assert states.ask(name).code == 0
    for state, peer in (("PAN", "HND"), ("HND", "PAN")):
        states.until(lambda: _asked(states, state) > 3, f"{state} has compared what it was answered")  # noqa: B023
        leaves = states.leaves(state, kind="pair.compared")
        assert {leaf.public["fault"] for leaf in leaves} == {""}
        assert all("reason" not in leaf.public for leaf in leaves)
        status = must("--json", "status", "--config", str(states.folder(state))).json
        assert {one["state"]: one["compared"] for one in status["peers"]} == {peer: "same"}
        told = limen("doctor", "--config", str(states.folder(state))).out
        assert f"log of {peer}" in told and "agreed with its messages" in told
    assert states.leaves("PAN", kind="pair.told") != []
