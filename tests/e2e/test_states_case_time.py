"""What time and a changed record do to a case: late is refused, a tag freezes, another version is looked at again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from examples.region.generate import COLUMNS
from examples.region.travellers import Entry
from gateway.cli.acts.nodes import limen
from gateway.clock import VirtualClock, set_shift
from gateway.terms import ListId
from tests.e2e.test_states_case import WANTED, done, requested, state_of, wait
from tests.support.states import AGENCIES, States, running

HOUR_NS = 3600 * 10**9
ASKER, OWNER = "HND", "PAN"


@pytest.fixture(scope="module")
def desks() -> Iterator[States]:
    """Two states of their own: their clock is moved, and clocks do not go back."""
    with running({state: AGENCIES[state] for state in (OWNER, ASKER)}) as states:
        states.nodes.staff()
        yield states


def later(states: States, ns: int) -> None:
    """Move both nodes' time on; whoever was logged in is no longer."""
    file = states.nodes.clock_file
    set_shift(file, VirtualClock(file)._shift_ns + ns)
    states.nodes.forget()
    states.logged_in.clear()


def wanted(states: States) -> Entry:
    """The entry that the traveller meets."""
    return next(row for row in states.data.lists[OWNER].persons if row.entry_id == "WPAN000000")


def load(states: States, row: Entry) -> None:
    text = ",".join(COLUMNS) + "\n" + ",".join(f'"{getattr(row, name)}"' for name in COLUMNS) + "\n"
    assert states.load(OWNER, ListId.PERSONS, text.encode()).json["changed"] == 1


def granted(states: States, *, while_away: Entry) -> tuple[str, str, str]:
    """A case that two persons approved while the asker was away, and whose record changed before it could be sent."""
    number, asker, owner = requested(states, WANTED)
    with states.unreachable(asker):
        done(states.nodes.case(owner, "desk-1", "prepare", number))
        done(states.nodes.case(owner, "approver-1", "approve", number))
        assert state_of(states, owner, number) == "GRANTED"
        load(states, while_away)
    return number, asker, owner


def test_a_record_that_changed_after_the_approval_is_looked_at_again(desks: States) -> None:
    number, asker, owner = granted(desks, while_away=replace(wanted(desks), sex="X"))
    wait(desks, owner, number, "UNDER_REVIEW")
    assert state_of(desks, asker, number) == "ACKNOWLEDGED"
    done(desks.nodes.case(owner, "desk-1", "prepare", number))
    done(desks.nodes.case(owner, "approver-1", "approve", number))
    wait(desks, asker, number, "GRANTED")
    assert done(desks.nodes.case(asker, "desk-1", "show", number))["disclosed"]["sex"] == ["X"]


def test_scenario_8_four_eyes_are_two_persons_of_two_roles(desks: States) -> None:
    load(desks, replace(wanted(desks), handling="FOUR_EYES"))
    number, asker, owner = requested(desks, WANTED)
    done(desks.nodes.case(owner, "desk-1", "prepare", number))
    for name in ("desk-1", "desk-2"):
        refused = desks.nodes.case(owner, name, "approve", number)
        assert refused.code == 3, refused.err
        assert state_of(desks, asker, number) == "ACKNOWLEDGED"
    done(desks.nodes.case(owner, "approver-1", "approve", number))
    wait(desks, asker, number, "GRANTED")

    number, asker, owner = requested(desks, WANTED)
    done(desks.nodes.case(owner, "desk-1", "refuse", number, "--code", "R02", words="an investigation runs"))
    wait(desks, asker, number, "REFUSED")
    got = done(desks.nodes.case(asker, "desk-1", "show", number))
    assert got["refusal"] == "R02" and "investigation runs" not in str(got)


def test_a_tag_that_was_set_after_the_approval_freezes_the_case(desks: States) -> None:
    shielded = replace(wanted(desks), nationality=ASKER, protection="REFUGEE")
    number, asker, owner = granted(desks, while_away=shielded)
    wait(desks, owner, number, "FROZEN")
    # The asker sees what an abandoned case shows: nothing yet, and no answer when its time is over.
    assert state_of(desks, asker, number) == "ACKNOWLEDGED"


def test_scenario_12_what_nobody_answers_is_overdue_and_then_over(desks: States) -> None:
    # Tags are not cleared by a load, so the story's other hit is taken: by name and year.
    number, asker, owner = requested(desks, "name_and_year")
    done(desks.nodes.case(owner, "desk-1", "prepare", number))
    later(desks, 13 * HOUR_NS)
    (waiting,) = [one for one in desks.nodes.cases(owner, "desk-1", "--due") if one["case"] == number]
    assert waiting["state"] == "AWAITING_SECOND_APPROVAL"
    inbox = limen("case", "list", "--due", "--booth", str(desks.nodes.desk(owner, "approver-1")))
    assert [line for line in inbox.out.splitlines() if number in line and "OVERDUE" in line], inbox.out
    later(desks, 12 * HOUR_NS)
    wait(desks, owner, number, "NO_REPLY")
    wait(desks, asker, number, "NO_REPLY")
    late = desks.nodes.case(owner, "approver-1", "approve", number)
    assert late.code == 3 and "case_state" in late.err
    assert done(desks.nodes.case(asker, "desk-1", "show", number))["disclosed"] == {}
