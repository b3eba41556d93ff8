"""Raise alerts, and let a supervisor follow them. The walk is docs/alerts.md.

Nothing here stands in a question's way: what fired is entered on a timer, after its answer has gone its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import ports
from gateway.alerts import alert as alerts
from gateway.alerts.alert import Act, Alert, Doing, Fired, Rule
from gateway.alerts.detector import Approved, Asked
from gateway.audit.entry import Entry, Phase
from gateway.disclosure.case import Case, Event
from gateway.errors import InputRefused, NotFoundOrNotPermitted, NotIdentified, PolicyDenied
from gateway.federation.officers import Register
from gateway.flows.check import FLIGHT, Inquiry, Officer, Traveller
from gateway.pseudonym import matchkeys
from gateway.terms import KeyType
from gateway.terms.ids import OfficerId
from gateway.terms.words import Role

READERS: Final = frozenset({Role.SUPERVISOR})
"""Who follows alerts. Never the person an alert is about, whatever the role."""

SHIFT_ROLES: Final = frozenset({Role.BORDER_FRONTLINE, Role.BORDER_SECONDLINE, Role.TARGETING_CENTRE})
"""Whose work is a line of travellers: one reference for a shift is what they are told to write."""

PIECE: Final = 10
"""Travellers that are judged at once: a millisecond of the loop's time."""

WORDS_CHARACTERS_MAX: Final = 2_048
SEALED_BYTES: Final = 512
ACT_SEALED_BYTES: Final = 4 * WORDS_CHARACTERS_MAX + 512

_BY_DOCUMENT: Final = frozenset({KeyType.DOC_1})
_BY_BOTH: Final = frozenset({KeyType.DOC_1, KeyType.NAME_YEAR_1})
_APPROVED: Final = frozenset({Event.APPROVE, Event.APPROVE_PART})


class AlertBook(Protocol):
    """What is read."""

    def alert(self, alert_id: bytes) -> Alert | None: ...

    def alerts(self, only_open: bool = False) -> list[Alert]: ...

    def open_alert(self, rule: Rule, officers: tuple[OfficerId, ...]) -> Alert | None: ...


@dataclass(frozen=True, slots=True)
class AlertWorld:
    """The surroundings of alerts. `due_ns` is how long a supervisor has."""

    uow: ports.UnitOfWork
    book: AlertBook
    clock: ports.Clock
    chance: ports.Chance
    register: Register
    due_ns: int


# -- What was asked ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """One question as the check's flow hands it over: nothing is copied and nothing is worked out there."""

    inquiry: Inquiry
    officer: Officer
    unit: str
    seq: int
    at_ns: int


def pieces(question: Question) -> Iterator[Asked]:
    """What the detector sees of a question, a few travellers at a time.

    A flight's list knows people by their documents only: among thousands, names and years of birth meet by chance.
    """
    inquiry, officer = question.inquiry, question.officer
    known = _BY_DOCUMENT if inquiry.purpose == FLIGHT else _BY_BOTH
    for start in range(0, len(inquiry.travellers), PIECE):
        part = inquiry.travellers[start : start + PIECE]
        yield Asked(
            officer=officer.officer,
            unit=question.unit,
            shift=bool(SHIFT_ROLES & set(officer.roles)),
            case_ref=inquiry.case_ref,
            justification=inquiry.justification.open(),
            subjects=tuple(subject_keys(one, known) for one in part),
            numbers=tuple((document.issuer, document.number.open()) for one in part for document in one.documents),
            is_first=start == 0,
            seq=question.seq,
            at_ns=question.at_ns,
        )


def subject_keys(traveller: Traveller, known: frozenset[KeyType] = _BY_BOTH) -> tuple[bytes, ...]:
    """The match keys by which a person is known again: what is declared of an officer's circle, too."""
    return tuple(key.input.open() for key in matchkeys.for_asking(traveller.person, traveller.documents, known))


def approvals(case: Case) -> Iterator[Approved]:
    """Each release of a case that two persons signed here."""
    preparer = ""
    for step in case.history:
        if step.event is Event.PREPARE:
            preparer = step.officer
        elif step.event in _APPROVED and preparer and step.officer:
            yield Approved(OfficerId(preparer), OfficerId(step.officer), step.at_ns)


# -- Raising ----------------------------------------------------------------------------------------------------------


def folded(fired: Sequence[Fired]) -> list[Fired]:
    """One of each rule and people: the newest, with the highest count."""
    found: dict[tuple[Rule, tuple[OfficerId, ...]], Fired] = {}
    for one in fired:
        held = found.get((one.rule, one.officers))
        if held is not None:
            one = Fired(one.rule, one.officers, max(one.count, held.count), max(one.seq, held.seq), one.at_ns)
        found[one.rule, one.officers] = one
    return list(found.values())


async def raise_alert(fired: Fired, world: AlertWorld) -> Alert:
    """Enter an alert, or count it in the one of its rule and people that is open.

    Raises:
        VersionMoved: somebody acted in it at this moment; try again.
        AuditUnavailable: nothing was entered; keep it and try again.
    """
    held = world.book.open_alert(fired.rule, fired.officers)
    alert = held.again(fired) if held is not None else alerts.raised(world.chance.token(16), fired, world.due_ns)
    entry = Entry(
        "alert.raised",
        Phase.EVENT,
        public={"alert_id": alert.alert_id, "rule": alert.rule.value, "times": alert.times},
        secret={"officers": list(fired.officers), "count": fired.count, "seq": fired.seq},
        sealed_bytes=SEALED_BYTES,
    )
    await world.uow.commit([entry], [ports.Change("alert.put", row_of(alert))])
    return alert


def row_of(alert: Alert) -> dict[str, object]:
    """The arguments of `alert.put`."""
    return {
        "alert_id": alert.alert_id,
        "rule": alert.rule.value,
        "state": alert.state.value,
        "version": alert.version,
        "officers": ",".join(alert.officers),
        "count": alert.count,
        "times": alert.times,
        "seq": alert.seq,
        "raised_ns": alert.raised_ns,
        "due_ns": alert.due_ns,
        "assigned": alert.assigned,
        "reason": alert.reason,
        "closed_ns": alert.closed_ns,
    }


# -- Following --------------------------------------------------------------------------------------------------------


async def inbox(officer: Officer, world: AlertWorld, *, only_open: bool) -> list[Alert]:
    """The alerts that this person may follow, newest first. Logged before it is told.

    Raises:
        PolicyDenied: `role`.
        AuditUnavailable: nothing is told.
    """
    await _reading(b"", "list", officer, world)
    return [alert for alert in world.book.alerts(only_open) if officer.officer not in alert.officers]


async def show(alert_id: bytes, officer: Officer, world: AlertWorld) -> Alert:
    """One alert. Logged before it is told. Raises NotFoundOrNotPermitted, and as `inbox`."""
    await _reading(alert_id, "show", officer, world)
    return _held(alert_id, officer, world)


async def act(alert_id: bytes, doing: Doing, officer: Officer, world: AlertWorld) -> Alert:
    """Assign an alert, or close it with a reason.

    Raises:
        PolicyDenied: `role`.
        NotFoundOrNotPermitted: no such alert, or it is about this person.
        InputRefused: no reason, words that are too long, or nobody who may follow it.
        VersionMoved: somebody else acted meanwhile.
        AuditUnavailable: nothing was done.
    """
    _judge(officer)
    held = _held(alert_id, officer, world)
    now_ns = world.clock.now_ns()
    if len(doing.words) > WORDS_CHARACTERS_MAX:
        raise InputRefused(f"has more than {WORDS_CHARACTERS_MAX} characters", field="words", code="LONG")
    if doing.act is Act.ASSIGN and doing.to:
        _judge_other(OfficerId(doing.to), held, now_ns, world)
    after = alerts.done(held, doing, now_ns)
    entry = Entry(
        "alert.acted",
        Phase.EVENT,
        public={
            "alert_id": alert_id,
            "rule": after.rule.value,
            "act": doing.act.value,
            "state": after.state.value,
            "version": after.version,
        },
        secret={"officer": officer.officer, "to": doing.to, "reason": doing.reason, "words": doing.words},
        sealed_bytes=ACT_SEALED_BYTES,
    )
    await world.uow.commit([entry], [ports.Change("alert.put", row_of(after))])
    return after


async def _reading(alert_id: bytes, what: str, officer: Officer, world: AlertWorld) -> None:
    _judge(officer)
    entry = Entry(
        "alert.read",
        Phase.EVENT,
        public={"alert_id": alert_id, "what": what},
        secret={"officer": officer.officer},
        sealed_bytes=256,
    )
    await world.uow.commit([entry])


def _judge(officer: Officer) -> None:
    if not READERS & set(officer.roles):
        raise PolicyDenied(("role",))


def _judge_other(to: OfficerId, alert: Alert, now_ns: int, world: AlertWorld) -> None:
    """An alert goes to a supervisor in force that it is not about."""
    try:
        roles = world.register.officer(to, now_ns).roles
    except NotIdentified:
        roles = ()
    if not READERS & set(roles) or to in alert.officers:
        raise InputRefused("that person may not follow this alert", field="to", code="OFFICER")


def _held(alert_id: bytes, officer: Officer, world: AlertWorld) -> Alert:
    """The alert, for somebody that it is not about: towards them there is none."""
    alert = world.book.alert(alert_id)
    if alert is None or officer.officer in alert.officers:
        raise NotFoundOrNotPermitted("no such alert, or not for this officer")
    return alert


__all__ = ["AlertWorld", "Question", "act", "approvals", "folded", "inbox", "pieces", "raise_alert", "show"]
