"""A process killed between any two steps of a case, on either side: nothing is lost and nothing happens twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from examples.region.travellers import Passport
from gateway.cli.acts.nodes import LISTING_BASIS
from gateway.disclosure.case import Case, decode
from gateway.terms import ListId
from tests.support.states import States

# Each kill costs a restart of a node's process: `make slow` runs these.
pytestmark = pytest.mark.slow

ASKER, OWNER = "HND", "PAN"

POINTS = (
    *(f"gateway.{kind}.event.{place}" for kind in ("case.act", "case.sent", "case.taken")
      for place in ("before", "after")),
    "writer.written",
    "writer.committed",
)  # fmt: skip


@pytest.fixture(scope="module")
def desks(states: States) -> Iterator[States]:
    states.nodes.staff(ASKER, OWNER)
    yield states
    states.whole()


def held(states: States, state: str, number: str) -> Case | None:
    with states.reading(state) as reader:
        body = reader.case(bytes.fromhex(number.removeprefix("case_")))
    return None if body is None else decode(body)


def stands(states: States, state: str, number: str) -> str:
    case = held(states, state, number)
    return "" if case is None else case.state.value


def insist(states: States, state: str, name: str, verb: str, number: str, *more: str, until: set[str]) -> None:
    """As a person does: act, and where no answer came, look and act again."""
    for _ in range(60):
        if stands(states, state, number) in until:
            return
        try:
            states.nodes.case(state, name, verb, number, *more)
        except RuntimeError:
            # The node is coming back, and the log-in waits for it.
            time.sleep(0.5)
        time.sleep(0.3)
    raise AssertionError(f"{verb} at {state}: the case stands at {stands(states, state, number)!r}")


def road(states: States, arm: str, point: str) -> str:
    """A whole case, with one process of `arm` killed at `point` as soon as it gets there; the case's number."""
    states.whole(ASKER)
    ran = states.ask("document_wanted")
    number = str(ran.json["hits"][0]["case"])
    for name in ("desk-1", "approver-1"):
        states.nodes.desk(OWNER, name)
    states.nodes.desk(ASKER, "desk-1")
    file = states.arm(arm, point)
    after = {"REQUESTED", "ACKNOWLEDGED", "GRANTED", "OUTCOME_REPORTED", "CLOSED"}
    insist(states, ASKER, "desk-1", "confirm", number, until={"CONFIRMED", *after})
    insist(states, ASKER, "desk-1", "request", number, until=after)
    states.until(lambda: stands(states, OWNER, number) == "UNDER_REVIEW", "it is open at the owner")
    insist(states, OWNER, "desk-1", "prepare", number, until={"AWAITING_SECOND_APPROVAL"})
    insist(states, OWNER, "approver-1", "approve", number, until={"GRANTED", "DELIVERED"})
    states.until(lambda: stands(states, ASKER, number) == "GRANTED", "it is granted")
    states.until(lambda: stands(states, OWNER, number) == "DELIVERED", "the receipt came")
    insist(states, ASKER, "desk-1", "outcome", number, "--code", "SAME_PERSON", until={"OUTCOME_REPORTED", "CLOSED"})
    states.until(lambda: stands(states, ASKER, number) == "CLOSED", "it is closed")
    states.until(lambda: stands(states, OWNER, number) == "CLOSED", "it is closed at the owner")
    assert not file.exists(), "nothing got to the point"
    return number


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("state", [ASKER, OWNER])
def test_a_kill_neither_loses_nor_doubles_a_step(desks: States, state: str, point: str) -> None:
    number = road(desks, state, point)
    case_id = bytes.fromhex(number.removeprefix("case_"))
    for side, steps in (
        (ASKER, ["HIT", "CONFIRM", "REQUEST", "ACKNOWLEDGE", "GRANT", "OUTCOME", "CLOSE"]),
        (OWNER, ["OPENED", "PREPARE", "APPROVE", "DELIVER", "CLOSE"]),
    ):
        case = held(desks, side, number)
        assert case is not None
        made = [step.event.value for step in case.history]
        # An answer may be overtaken by the decision; then it is not made up for.
        assert made in (steps, [step for step in steps if step != "ACKNOWLEDGE"])
        acts = Counter(
            leaf.public["act"] for leaf in desks.leaves(side, kind="case.act") if leaf.public["case_id"] == case_id
        )
        assert set(acts.values()) == {1}
        assert case.version == len(made)
    with desks.reading(OWNER) as reader:
        assert sum(decode(body).case_id == case_id for body in reader.cases()) == 1


DOCUMENT = {
    "category": "LOST_STOLEN_DOC", "document_issuer": OWNER, "valid_until": "2029-12-31", "originator": OWNER,
    "provenance": "NATIONAL", "decision_ref": "J-2026-91", "legal_basis": LISTING_BASIS,
}  # fmt: skip

CORRECTING = (
    *((OWNER, f"gateway.{kind}.event.{place}") for kind in ("case.act", "case.sent", "case.taken")
      for place in ("before", "after")),
    *((ASKER, f"gateway.case.taken.event.{place}") for place in ("before", "after")),
    *((state, f"writer.{place}") for state in (ASKER, OWNER) for place in ("written", "committed")),
)  # fmt: skip


def disclosed(states: States, place: int) -> tuple[str, dict[str, str]]:
    """(number, record) of a case in which a stolen document's contact was disclosed as 1 and should have been 7."""
    record = {**DOCUMENT, "entry_id": f"DKILL{place}", "document_no": f"PA74{place:05}", "contact": "1"}
    states.settled()
    states.whole(ASKER)
    assert states.nodes.add(OWNER, ListId.DOCUMENTS, json.dumps(record).encode()).code == 0
    states.login(ASKER)
    paper = Passport("SOLARI", "MARTA", record["document_no"], OWNER, OWNER, "1984-02-03", "F", "2029-12-31")
    (hit,) = states.scan(ASKER, paper, purpose="DOC.STATUS").json["hits"]
    number = str(hit["case"])
    assert states.nodes.case(ASKER, "protection-1", "screen", number, "--code", "CLEAR").code == 0
    insist(states, ASKER, "desk-1", "confirm", number, until={"CONFIRMED"})
    insist(states, ASKER, "desk-1", "request", number, until={"REQUESTED", "ACKNOWLEDGED"})
    states.until(lambda: stands(states, OWNER, number) == "UNDER_REVIEW", "it is open at the owner")
    insist(states, OWNER, "desk-1", "prepare", number, until={"AWAITING_SECOND_APPROVAL"})
    insist(states, OWNER, "approver-1", "approve", number, until={"GRANTED", "DELIVERED"})
    states.until(lambda: stands(states, OWNER, number) == "DELIVERED", "the receipt came")
    assert states.nodes.add(OWNER, ListId.DOCUMENTS, json.dumps({**record, "contact": "7"}).encode()).code == 0
    return number, record


@pytest.mark.parametrize(("state", "point"), CORRECTING)
def test_a_kill_neither_loses_nor_doubles_a_correction(desks: States, state: str, point: str) -> None:
    number, record = disclosed(desks, CORRECTING.index((state, point)))
    file = desks.arm(state, point)
    insist(desks, OWNER, "desk-1", "correct", number, until={"CORRECTION_PENDING"})
    insist(desks, OWNER, "approver-1", "approve", number, until={"CORRECTED", "DELIVERED"})
    desks.until(lambda: stands(desks, ASKER, number) == "CORRECTED", "it is corrected at the asker")
    desks.until(lambda: stands(desks, OWNER, number) == "DELIVERED", "the receipt came")
    assert not file.exists(), "nothing got to the point"
    for side, steps in (
        (OWNER, ["OPENED", "PREPARE", "APPROVE", "DELIVER", "CORRECT", "APPROVE", "DELIVER"]),
        (ASKER, ["GRANT", "CORRECT"]),
    ):
        case = held(desks, side, number)
        assert case is not None and [step.event.value for step in case.history][-len(steps) :] == steps
    desks.whole(ASKER)
    shown = desks.nodes.case(ASKER, "desk-1", "show", number)
    assert shown.code == 0 and shown.json["disclosed"]["contact"] == ["7"], (shown.out, shown.err)
    assert desks.nodes.withdraw(OWNER, ListId.DOCUMENTS, record["entry_id"], "J-2026-92").code == 0
