"""Alerts from a question to a supervisor's word, and that no answer waits for one (docs/alerts.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.alerts.alert import COUNTED, MEANINGS, MOVES, Act, Doing, Fired, Reason, Rule, State
from gateway.alerts.declared import Declared
from gateway.alerts.detector import Detector, Thresholds
from gateway.disclosure.case import Case, Event, Step
from gateway.errors import AuditUnavailable, InputRefused, NotFoundOrNotPermitted, PolicyDenied, VersionMoved
from gateway.federation.officers import Act as RegisterAct
from gateway.federation.officers import Enrolled, Line, Register
from gateway.flows import alerting, check
from gateway.flows.alerting import AlertWorld, Question
from gateway.flows.check import CheckAnswer, Inquiry, Officer
from gateway.terms import Role
from gateway.terms.ids import AgencyId, OfficerId
from tests.flows import world as w
from tests.flows.world import HND, PAN, World
from tests.support.entries import entry

pytestmark = pytest.mark.asyncio

H = 3600 * 10**9
ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12")
WANTED = entry(entry_id="W1", originator=HND, person=ROSA, documents=(w.passport("VEN", "T55637667"),), contact=3)
EVE, SUE, TOM = (OfficerId(name) for name in ("P-77", "S-1", "S-2"))


def people(*known: tuple[OfficerId, Role]) -> Register:
    """A register of these."""
    enrolled = [Enrolled(officer, AgencyId("SNM"), (role,), bytes(32), 0, 1 << 62) for officer, role in known]
    return Register([Line(n, RegisterAct.ENROLLED, one, 0, b"", b"") for n, one in enumerate(enrolled)])


REGISTER = people(*((one, Role.SUPERVISOR) for one in (EVE, SUE, TOM)), (OfficerId("B-1"), Role.BORDER_FRONTLINE))


def supervisor(number: OfficerId = SUE, role: Role = Role.SUPERVISOR) -> Officer:
    return Officer(number, AgencyId("SNM"), (role,))


async def two(**changed: Any) -> tuple[World, AlertWorld]:
    """PAN and HND, which lists Rosa; alerts at PAN."""
    world = await World.exchanging(PAN, HND, listed={HND: (WANTED,)})
    pan = world[PAN]
    return world, AlertWorld(pan.uow, pan.store, world.clock, pan.chance, REGISTER, 24 * H)


def fired(rule: Rule = Rule.SEQUENCE, *officers: OfficerId, count: int = 12, seq: int = 4, at_ns: int = 10) -> Fired:
    return Fired(rule, officers or (EVE,), count, seq, at_ns)


def acts(world: World) -> list[str]:
    return [kind for kind, _ in world[PAN].store.kinds_logged() if kind.startswith("alert.")]


# -- Raising ----------------------------------------------------------------------------------------------------------


async def test_an_alert_is_an_entry_and_a_row_and_names_nobody_in_public() -> None:
    world, around = await two()
    alert = await alerting.raise_alert(fired(), around)
    assert world[PAN].store.alert(alert.alert_id) == alert
    assert (alert.state, alert.version, alert.times, alert.due_ns) == (State.NEW, 1, 1, 10 + 24 * H)
    entry = world[PAN].store.entries[-1]
    assert entry.kind == "alert.raised"
    assert entry.public == {"alert_id": alert.alert_id, "rule": "sequence", "times": 1}
    assert entry.secret == {"officers": [EVE], "count": 12, "seq": 4}


async def test_the_same_again_is_counted_in_the_open_one_and_a_new_one_follows_a_closed_one() -> None:
    world, around = await two()
    first = await alerting.raise_alert(fired(), around)
    again = await alerting.raise_alert(fired(count=24, seq=9), around)
    assert (again.alert_id, again.version, again.times, again.count, again.seq) == (first.alert_id, 2, 2, 24, 9)
    other = await alerting.raise_alert(fired(Rule.BURST), around)
    assert other.alert_id != first.alert_id
    await alerting.act(first.alert_id, Doing(Act.CLOSE, 2, reason="lawful"), supervisor(), around)
    assert (await alerting.raise_alert(fired(), around)).alert_id != first.alert_id
    assert acts(world) == ["alert.raised"] * 3 + ["alert.acted", "alert.raised"]


async def test_what_fired_at_once_is_entered_once() -> None:
    many = [fired(count=12, seq=4), fired(count=24, seq=7), fired(Rule.BURST), fired(Rule.SEQUENCE, TOM)]
    assert alerting.folded(many) == [fired(count=24, seq=7), fired(Rule.BURST), fired(Rule.SEQUENCE, TOM)]


async def test_without_a_log_nothing_is_raised() -> None:
    world, around = await two()
    world[PAN].uow.fails_at.add(world[PAN].uow.commits + 1)
    with pytest.raises(AuditUnavailable):
        await alerting.raise_alert(fired(), around)
    assert world[PAN].store.alerts() == []


# -- Following --------------------------------------------------------------------------------------------------------


async def test_reading_and_acting_are_entries_and_words_are_sealed() -> None:
    world, around = await two()
    alert = await alerting.raise_alert(fired(), around)
    assert await alerting.inbox(supervisor(), around, only_open=True) == [alert]
    assert await alerting.show(alert.alert_id, supervisor(), around) == alert
    given = await alerting.act(alert.alert_id, Doing(Act.ASSIGN, 1, to=TOM), supervisor(), around)
    assert (given.state, given.assigned, given.version) == (State.ASSIGNED, TOM, 2)
    closing = Doing(Act.CLOSE, 2, reason="misuse", words="a neighbour's file")
    closed = await alerting.act(alert.alert_id, closing, supervisor(TOM), around)
    assert (closed.state, closed.reason, closed.closed_ns) == (State.CLOSED, "misuse", world.clock.now_ns())
    assert await alerting.inbox(supervisor(), around, only_open=True) == []
    assert await alerting.inbox(supervisor(), around, only_open=False) == [closed]
    read, acted = ["alert.read"], ["alert.acted"]
    assert acts(world) == ["alert.raised", *2 * read, *2 * acted, *2 * read]
    for one in world[PAN].store.entries:
        assert "neighbour" not in repr(one.public)
        assert TOM not in repr(one.public)


async def test_nobody_reads_or_closes_an_alert_about_themselves() -> None:
    _, around = await two()
    alert = await alerting.raise_alert(fired(Rule.SAME_PAIR, TOM, SUE), around)
    for named in (TOM, SUE):
        assert await alerting.inbox(supervisor(named), around, only_open=True) == []
        with pytest.raises(NotFoundOrNotPermitted):
            await alerting.show(alert.alert_id, supervisor(named), around)
        with pytest.raises(NotFoundOrNotPermitted):
            await alerting.act(alert.alert_id, Doing(Act.CLOSE, 1, reason="lawful"), supervisor(named), around)
        with pytest.raises(InputRefused):
            await alerting.act(alert.alert_id, Doing(Act.ASSIGN, 1, to=named), supervisor(EVE), around)
    assert (await alerting.show(alert.alert_id, supervisor(EVE), around)).state is State.NEW


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SUPERVISOR])
async def test_no_other_role_sees_alerts(role: Role) -> None:
    _, around = await two()
    alert = await alerting.raise_alert(fired(), around)
    for attempt in (
        alerting.inbox(supervisor(SUE, role), around, only_open=True),
        alerting.show(alert.alert_id, supervisor(SUE, role), around),
        alerting.act(alert.alert_id, Doing(Act.CLOSE, 1, reason="lawful"), supervisor(SUE, role), around),
    ):
        with pytest.raises(PolicyDenied):
            await attempt


@pytest.mark.parametrize(
    "doing",
    [
        Doing(Act.ASSIGN, 1),
        Doing(Act.ASSIGN, 1, to="nobody"),
        Doing(Act.ASSIGN, 1, to="B-1"),
        Doing(Act.ASSIGN, 1, to=TOM, reason="lawful"),
        Doing(Act.CLOSE, 1),
        Doing(Act.CLOSE, 1, reason="because"),
        Doing(Act.CLOSE, 1, to=TOM, reason="lawful"),
        Doing(Act.CLOSE, 1, reason="lawful", words="x" * 2_049),
    ],
)
async def test_what_is_no_act_is_refused_and_changes_nothing(doing: Doing) -> None:
    world, around = await two()
    alert = await alerting.raise_alert(fired(), around)
    with pytest.raises(InputRefused):
        await alerting.act(alert.alert_id, doing, supervisor(), around)
    assert world[PAN].store.alerts() == [alert]


async def test_an_act_on_what_was_not_seen_or_is_closed_is_refused() -> None:
    _, around = await two()
    alert = await alerting.raise_alert(fired(), around)
    await alerting.raise_alert(fired(), around)
    with pytest.raises(VersionMoved):
        await alerting.act(alert.alert_id, Doing(Act.CLOSE, 1, reason="lawful"), supervisor(), around)
    await alerting.act(alert.alert_id, Doing(Act.CLOSE, 2, reason="lawful"), supervisor(), around)
    for doing in (Doing(Act.CLOSE, 3, reason="misuse"), Doing(Act.ASSIGN, 3, to=TOM)):
        with pytest.raises(VersionMoved):
            await alerting.act(alert.alert_id, doing, supervisor(), around)


async def test_the_table_of_states_has_an_end_and_reaches_everything() -> None:
    assert not any(state is State.CLOSED for state, _ in MOVES)
    assert {State.NEW, *MOVES.values()} == set(State)
    assert set(MEANINGS) == set(COUNTED) == set(Rule)
    assert len(Reason) == 4


# -- From a question --------------------------------------------------------------------------------------------------


async def ask(world: World, seen: list[Question], *, listed: bool, **changed: Any) -> CheckAnswer:
    """An officer asks about Rosa or about somebody who is on no list; what the rules are handed goes to `seen`."""
    pan = world[PAN]

    def watch(inquiry: Inquiry, officer: Officer, seq: int, at_ns: int) -> None:
        # Nobody was asked yet: no line to HND has carried a question of this moment.
        seen.append(Question(inquiry, officer, "SNM/booth-1", seq, at_ns))

    who = ROSA if listed else w.person("NOBODY", "NEMO", "1970-01-02")
    inquiry = pan.inquiry(w.traveller(who), **changed)
    return await check.ask(inquiry, pan.officer(), pan.asking(watch=watch))


async def test_a_hit_and_none_are_handed_over_alike_before_anybody_is_asked() -> None:
    world, _ = await two()
    seen: list[Question] = []
    hit = await ask(world, seen, listed=True)
    miss = await ask(world, seen, listed=False)
    assert (bool(hit.hits), bool(miss.hits)) == (True, False)
    shapes = []
    for question in seen:
        intent = world[PAN].store.entries[question.seq]
        assert (intent.kind, intent.phase.value) == ("check.ask", "intent")
        (piece,) = alerting.pieces(question)
        shapes.append(replace(piece, subjects=(), numbers=(), seq=0, at_ns=0))
        assert len(piece.subjects) == 1
    assert shapes[0] == shapes[1]


async def test_answers_are_given_before_any_rule_looks() -> None:
    # The flow calls one function that puts the question aside; the rules run later, from the timer.
    world, around = await two()
    seen: list[Question] = []
    for _ in range(5):
        answer = await ask(world, seen, listed=True)
        assert answer.hits
    logged = world[PAN].store.kinds_logged()
    assert not any(kind.startswith("alert.") for kind, _ in logged)
    rules = Detector(Thresholds(), world[PAN].chance.token, Declared)
    found = [one for question in seen for piece in alerting.pieces(question) for one in rules.saw(piece)]
    assert [(one.rule, one.officers) for one in found] == [(Rule.SAME_SUBJECT, (EVE,))]
    alert = await alerting.raise_alert(found[0], around)
    assert alert.seq == seen[-1].seq


async def test_a_flight_is_looked_at_in_pieces_by_documents_alone() -> None:
    world, _ = await two()
    aboard = [
        w.traveller(w.person("DOE", f"N{number}", "1980-01-02"), w.passport("PAN", f"A{number:07}"))
        for number in range(120)
    ]
    inquiry = world[PAN].inquiry(*aboard, purpose=check.FLIGHT, flight_ends_ns=1)
    question = Question(inquiry, Officer(EVE, AgencyId("SNM"), (Role.TARGETING_CENTRE,)), "u", 7, 1)
    pieces = list(alerting.pieces(question))
    assert [len(piece.subjects) for piece in pieces] == [10] * 12
    assert [piece.is_first for piece in pieces] == [True] + [False] * 11
    assert {len(keys) for piece in pieces for keys in piece.subjects} == {1}
    assert all(piece.shift for piece in pieces)


async def test_who_prepared_and_who_approved_is_read_from_a_case() -> None:
    steps = (Step(Event.OPENED, 1), Step(Event.PREPARE, 2, "P-1"), Step(Event.APPROVE, 3, "S-1"))
    case = object.__new__(Case)
    object.__setattr__(case, "history", steps)
    (one,) = alerting.approvals(case)
    assert (one.preparer, one.approver, one.at_ns) == ("P-1", "S-1", 3)
    object.__setattr__(case, "history", steps[:2])
    assert list(alerting.approvals(case)) == []
