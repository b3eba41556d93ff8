"""An alert: a rule has fired, and a person says what came of it (docs/alerts.md).

It names officers by their numbers and never whom anybody asked about, and is the same whether anything was found: it is
made from the question, before any owner was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from gateway.errors import InputRefused, VersionMoved
from gateway.terms.ids import OfficerId


class Rule(StrEnum):
    """What fired. The first seven are about people, the others about the node."""

    OWN_CIRCLE = "own_circle"
    SAME_SUBJECT = "same_subject"
    MANY_UNITS = "many_units"
    SEQUENCE = "sequence"
    BURST = "burst"
    SAME_PAIR = "same_pair"
    REFERENCE = "reference"
    LOG_SILENCE = "log_silence"
    CLOCK_STEP = "clock_step"
    CHECKPOINT_GAP = "checkpoint_gap"
    FAILED_VERIFICATION = "failed_verification"


MEANINGS: Final[Mapping[Rule, str]] = {
    Rule.OWN_CIRCLE: "an officer asked about themselves or a declared relative",
    Rule.SAME_SUBJECT: "one officer asked about one subject again and again",
    Rule.MANY_UNITS: "many units asked about one subject in a day",
    Rule.SEQUENCE: "an officer asked about document numbers one after the other",
    Rule.BURST: "an officer asked faster than people travel",
    Rule.SAME_PAIR: "releases prepared by one person are always approved by the same other",
    Rule.REFERENCE: "a case reference or a justification is missing, or is used for everything",
    Rule.LOG_SILENCE: "the log does not grow, or too few witnesses see it",
    Rule.CLOCK_STEP: "the clock jumped",
    Rule.CHECKPOINT_GAP: "the log grows and no checkpoint leaves",
    Rule.FAILED_VERIFICATION: "something signed did not verify",
}
"""One line for each, for people."""

COUNTED: Final[Mapping[Rule, str]] = {
    Rule.OWN_CIRCLE: "questions",
    Rule.SAME_SUBJECT: "questions in the window",
    Rule.MANY_UNITS: "units in a day",
    Rule.SEQUENCE: "numbers in a row",
    Rule.BURST: "questions in the window",
    Rule.SAME_PAIR: "releases by this pair",
    Rule.REFERENCE: "questions or cases with the same words",
    Rule.LOG_SILENCE: "seconds without an entry",
    Rule.CLOCK_STEP: "milliseconds of the jump",
    Rule.CHECKPOINT_GAP: "seconds without a checkpoint",
    Rule.FAILED_VERIFICATION: "entries",
}
"""What `Fired.count` counts, for people. A silence of the witnesses is seen by an entry and has no seconds."""


class State(StrEnum):
    """Where an alert stands."""

    NEW = "new"
    ASSIGNED = "assigned"
    CLOSED = "closed"


class Act(StrEnum):
    """What a person does with it."""

    ASSIGN = "assign"
    CLOSE = "close"


MOVES: Final[Mapping[tuple[State, Act], State]] = {
    (State.NEW, Act.ASSIGN): State.ASSIGNED,
    (State.NEW, Act.CLOSE): State.CLOSED,
    (State.ASSIGNED, Act.ASSIGN): State.ASSIGNED,
    (State.ASSIGNED, Act.CLOSE): State.CLOSED,
}
"""Every move there is. What is closed stays closed; the rule firing again makes another alert."""


class Reason(StrEnum):
    """Why an alert is closed. The words beside it are sealed in the log."""

    LAWFUL = "lawful"
    MISTAKE = "mistake"
    MISUSE = "misuse"
    TECHNICAL = "technical"


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule has fired. `officers` are whom it is about, none for the node's own; `seq` the log's entry that it is
    seen by, -1 where there is none; `count` what was counted."""

    rule: Rule
    officers: tuple[OfficerId, ...]
    count: int
    seq: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it stands. `times` says how often the rule fired while it was open."""

    alert_id: bytes
    rule: Rule
    state: State
    version: int
    officers: tuple[OfficerId, ...]
    count: int
    times: int
    seq: int
    raised_ns: int
    due_ns: int
    assigned: str = ""
    reason: str = ""
    closed_ns: int = 0

    @property
    def number(self) -> str:
        """As people see it."""
        return alert_number(self.alert_id)

    def is_open(self) -> bool:
        """True until a person has closed it."""
        return self.state is not State.CLOSED

    def again(self, fired: Fired) -> Alert:
        """The rule fired once more while this is open."""
        return replace(
            self,
            version=self.version + 1,
            count=max(self.count, fired.count),
            times=self.times + 1,
            seq=max(self.seq, fired.seq),
        )


def alert_number(alert_id: bytes) -> str:
    """An alert's number as people see it; `alert_id` is 16 bytes."""
    return f"alert_{alert_id.hex()}"


def raised(alert_id: bytes, fired: Fired, due_ns: int) -> Alert:
    """A new alert."""
    return Alert(
        alert_id, fired.rule, State.NEW, 1, fired.officers, fired.count, 1, fired.seq, fired.at_ns, fired.at_ns + due_ns
    )


@dataclass(frozen=True, slots=True)
class Doing:
    """One act. `to` is who shall look into it, `reason` a code, `words` the person's own and sealed."""

    act: Act
    version: int
    to: str = ""
    reason: str = ""
    words: str = field(default="", repr=False)


def done(alert: Alert, doing: Doing, now_ns: int) -> Alert:
    """The alert after the act.

    Raises:
        VersionMoved: it was seen at another version, or is closed.
        InputRefused: nobody to assign it to, or no reason of the table.
    """
    state = MOVES.get((alert.state, doing.act))
    if state is None or doing.version != alert.version:
        raise VersionMoved("the alert went on meanwhile")
    after = replace(alert, state=state, version=alert.version + 1)
    if doing.act is Act.ASSIGN:
        if not doing.to or doing.reason:
            raise InputRefused("an alert is assigned to somebody, without a reason", field="to", code="ARGUMENT")
        return replace(after, assigned=doing.to)
    if doing.to or doing.reason not in list(Reason):
        told = ", ".join(reason.value for reason in Reason)
        raise InputRefused(f"an alert is closed with one of {told}", field="reason", code="ARGUMENT")
    return replace(after, reason=doing.reason, closed_ns=now_ns)
