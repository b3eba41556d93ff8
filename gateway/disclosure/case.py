"""A case: what follows a hit, as a value that moves by a table.

Both sides hold one record each under one number. The table is the whole of what may happen: a move that is not in it is
refused, and every move raises the record's version, so that two persons, two processes or a replay cannot both do it.
Canonical bytes (CBOR, `SCHEMA`) are what the store keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from gateway.errors import Malformed, PolicyDenied
from gateway.primitives import cbor
from gateway.terms.ids import PeerId, Purpose
from gateway.terms.words import MatchClass, RecordKind

SCHEMA: Final = "limen.case/1"
CASE_BYTES_MAX: Final = 1 << 20
HISTORY_MAX: Final = 256


class Side(StrEnum):
    """Which side of the case we are."""

    ASKER = "asker"
    OWNER = "owner"


class State(StrEnum):
    """Where a case stands. Names are those of reference practice; not every state is seen at both sides."""

    CANDIDATE = "CANDIDATE"
    DISMISSED = "DISMISSED"
    CONFIRMED = "CONFIRMED"
    REQUESTED = "REQUESTED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    UNDER_REVIEW = "UNDER_REVIEW"
    AWAITING_SECOND_APPROVAL = "AWAITING_SECOND_APPROVAL"
    GRANTED = "GRANTED"
    PARTLY_GRANTED = "PARTLY_GRANTED"
    REFUSED = "REFUSED"
    DELIVERED = "DELIVERED"
    OUTCOME_REPORTED = "OUTCOME_REPORTED"
    CLOSED = "CLOSED"
    WITHDRAWN = "WITHDRAWN"
    NO_REPLY = "NO_REPLY"
    CORRECTION_DUE = "CORRECTION_DUE"
    CORRECTION_PENDING = "CORRECTION_PENDING"
    CORRECTED = "CORRECTED"
    FROZEN = "FROZEN"


class Event(StrEnum):
    """What moves a case. The first are persons' acts, the others the gateway's or the other side's."""

    CONFIRM = "CONFIRM"
    DISMISS = "DISMISS"
    SCREEN = "SCREEN"
    REQUEST = "REQUEST"
    PREPARE = "PREPARE"
    APPROVE = "APPROVE"
    APPROVE_PART = "APPROVE_PART"
    REFUSE = "REFUSE"
    OUTCOME = "OUTCOME"
    WITHDRAW = "WITHDRAW"
    ASSIGN = "ASSIGN"
    HAND_OVER = "HAND_OVER"
    TAKE = "TAKE"
    CORRECT = "CORRECT"
    RECALL = "RECALL"
    HIT = "HIT"
    OPENED = "OPENED"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    GRANT = "GRANT"
    GRANT_PART = "GRANT_PART"
    DENY = "DENY"
    DELIVER = "DELIVER"
    RETURN = "RETURN"
    CLOSE = "CLOSE"
    EXPIRE = "EXPIRE"
    FREEZE = "FREEZE"


class Outbound(StrEnum):
    """What still has to reach the other side. Kept in the record itself, so that a crash forgets nothing."""

    NONE = ""
    OPEN = "open"
    DECISION = "decision"
    CLOSE = "close"


_A, _O = Side.ASKER, Side.OWNER
_ASKED = (State.REQUESTED, State.ACKNOWLEDGED)
_DECIDED = (State.GRANTED, State.PARTLY_GRANTED, State.REFUSED)
_CORRECTING = (State.CORRECTION_DUE, State.CORRECTION_PENDING, State.CORRECTED)
_RELEASED = (State.GRANTED, State.PARTLY_GRANTED, State.OUTCOME_REPORTED, State.CLOSED, State.CORRECTED)
_OPEN_ASKER = (State.CANDIDATE, State.CONFIRMED, *_ASKED, *_DECIDED, State.CORRECTED)
_OPEN_OWNER = (State.UNDER_REVIEW, State.AWAITING_SECOND_APPROVAL, *_DECIDED, State.DELIVERED, *_CORRECTING)

MOVES: Final[Mapping[tuple[Side, State, Event], State]] = {
    (_A, State.CANDIDATE, Event.SCREEN): State.CANDIDATE,
    (_A, State.CANDIDATE, Event.CONFIRM): State.CONFIRMED,
    (_A, State.CANDIDATE, Event.DISMISS): State.DISMISSED,
    (_A, State.CANDIDATE, Event.EXPIRE): State.DISMISSED,
    (_A, State.CONFIRMED, Event.REQUEST): State.REQUESTED,
    (_A, State.CONFIRMED, Event.DISMISS): State.DISMISSED,
    (_A, State.CONFIRMED, Event.EXPIRE): State.DISMISSED,
    (_A, State.REQUESTED, Event.ACKNOWLEDGE): State.ACKNOWLEDGED,
    **{(_A, state, Event.GRANT): State.GRANTED for state in _ASKED},
    **{(_A, state, Event.GRANT_PART): State.PARTLY_GRANTED for state in _ASKED},
    **{(_A, state, Event.DENY): State.REFUSED for state in _ASKED},
    **{(_A, state, Event.WITHDRAW): State.WITHDRAWN for state in _ASKED},
    **{(_A, state, Event.EXPIRE): State.NO_REPLY for state in _ASKED},
    **{(_A, state, Event.OUTCOME): State.OUTCOME_REPORTED for state in _DECIDED},
    # What was disclosed is corrected: people look at it again, and say anew what came of it.
    **{(_A, state, Event.CORRECT): State.CORRECTED for state in _RELEASED},
    (_A, State.CORRECTED, Event.OUTCOME): State.OUTCOME_REPORTED,
    (_A, State.OUTCOME_REPORTED, Event.CLOSE): State.CLOSED,
    (_A, State.WITHDRAWN, Event.CLOSE): State.CLOSED,
    (_O, State.UNDER_REVIEW, Event.PREPARE): State.AWAITING_SECOND_APPROVAL,
    (_O, State.UNDER_REVIEW, Event.REFUSE): State.REFUSED,
    (_O, State.AWAITING_SECOND_APPROVAL, Event.PREPARE): State.AWAITING_SECOND_APPROVAL,
    (_O, State.AWAITING_SECOND_APPROVAL, Event.APPROVE): State.GRANTED,
    (_O, State.AWAITING_SECOND_APPROVAL, Event.APPROVE_PART): State.PARTLY_GRANTED,
    (_O, State.AWAITING_SECOND_APPROVAL, Event.REFUSE): State.REFUSED,
    (_O, State.AWAITING_SECOND_APPROVAL, Event.WITHDRAW): State.UNDER_REVIEW,
    **{(_O, state, Event.DELIVER): State.DELIVERED for state in _DECIDED},
    # The record, a tag or the rules changed between approval and sending: people look again.
    **{(_O, state, Event.RETURN): State.UNDER_REVIEW for state in (State.GRANTED, State.PARTLY_GRANTED)},
    (_O, State.UNDER_REVIEW, Event.EXPIRE): State.NO_REPLY,
    (_O, State.AWAITING_SECOND_APPROVAL, Event.EXPIRE): State.NO_REPLY,
    **{
        (_O, state, Event.FREEZE): State.FROZEN
        for state in (State.UNDER_REVIEW, State.AWAITING_SECOND_APPROVAL, State.GRANTED, State.PARTLY_GRANTED)
    },
    # The record was wrong when it was disclosed: each who got it gets it anew, by two persons as the first time.
    **{(_O, state, Event.RECALL): State.CORRECTION_DUE for state in (State.DELIVERED, State.CLOSED)},
    **{
        (_O, state, Event.CORRECT): State.CORRECTION_PENDING
        for state in (State.DELIVERED, State.CLOSED, State.CORRECTION_DUE, State.CORRECTION_PENDING)
    },
    **{(_O, State.CORRECTION_PENDING, event): State.CORRECTED for event in (Event.APPROVE, Event.APPROVE_PART)},
    (_O, State.CORRECTED, Event.DELIVER): State.DELIVERED,
    (_O, State.CORRECTED, Event.RETURN): State.CORRECTION_DUE,
    (_O, State.CORRECTED, Event.FREEZE): State.FROZEN,
    # An outcome that crosses a correction is kept, and the correction still goes.
    **{(_O, state, Event.OUTCOME): state for state in _CORRECTING},
    **{(_O, state, Event.CLOSE): State.CLOSED for state in (*_OPEN_OWNER, State.NO_REPLY, State.FROZEN)},
    # The inbox: who has it changes, where it stands does not.
    **{
        (side, state, event): state
        for side, states in ((_A, _OPEN_ASKER), (_O, _OPEN_OWNER))
        for state in states
        for event in (Event.ASSIGN, Event.HAND_OVER, Event.TAKE)
    },
}
"""(side, state, event) -> the state after it. What is not here does not happen."""

FINAL: Final = frozenset({State.DISMISSED, State.CLOSED, State.NO_REPLY, State.FROZEN})
"""States that nobody has to do anything about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `officer` is ours, "" for the other side's doing and the gateway's own."""

    event: Event
    at_ns: int
    officer: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's signed statement, as it is kept and sent. `key` is our own person's public key, b"" for theirs."""

    act: str
    statement: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Case:
    """One side's record of a case.

    `case_id` is 16 random bytes of the asker's; `role` and `agency` are those of the check. `ticket` opens the case at
    the owner (asker, until it is open), `sealed` are the slots that came with the decision (asker), `entry_id` and
    `record_version` name the record (owner). `fields` are those asked for, `released` those that were prepared or
    released; `reasons` the asker's own words, sealed to the owner's case key. Times are UTC ns, 0 where there is none.
    """

    case_id: bytes
    side: Side
    peer: PeerId
    purpose: Purpose
    legal_basis: str
    agency: str
    role: str
    list_id: str
    kind: RecordKind
    match: MatchClass
    state: State
    version: int
    made_ns: int
    due_ns: int = 0
    expires_ns: int = 0
    outbound: Outbound = Outbound.NONE
    urgency: str = ""
    measure: str = ""
    assigned: str = ""
    offered_to: str = ""
    confirmed_by: str = ""
    prepared_by: str = ""
    screening_required: bool = False
    screened: bool = False
    fields: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    recipient: bytes = field(default=b"", repr=False)
    entry_id: str = field(default="", repr=False)
    record_version: int = 0
    refusal: str = ""
    outcome: str = ""
    reasons: bytes = field(default=b"", repr=False)
    words_digest: bytes = field(default=b"", repr=False)
    ticket: bytes = field(default=b"", repr=False)
    sealed: tuple[bytes, ...] = field(default=(), repr=False)
    signatures: tuple[Signature, ...] = ()
    history: tuple[Step, ...] = ()

    @property
    def is_open(self) -> bool:
        """True while somebody still has to do something, or something still has to be sent."""
        return self.state not in FINAL or self.outbound is not Outbound.NONE

    @property
    def record(self) -> str:
        """Which record of ours the case is about, list and id; "" at the asker's."""
        return f"{self.list_id}/{self.entry_id}" if self.entry_id else ""

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode(
            {"schema": SCHEMA, **{place.name: _out(getattr(self, place.name)) for place in fields(self)}}
        )


CORRECTING: Final = frozenset(_CORRECTING)
"""States of an owner's case in which what was disclosed is being corrected."""


def is_correctable(case: Case) -> bool:
    """Whether the other side still holds fields of our record: released, and not found to be another person's."""
    return case.side is Side.OWNER and bool(case.released) and case.outcome not in ("DIFFERENT_PERSON", "WITHDRAWN")


def can(case: Case, event: Event) -> bool:
    """Whether the table has this move."""
    return (case.side, case.state, event) in MOVES


def move(case: Case, event: Event, now_ns: int, officer: str = "", **changes: Any) -> Case:
    """The case after the event: one version on, one step more. Raises PolicyDenied `case_state`: not in the table."""
    after = MOVES.get((case.side, case.state, event))
    if after is None:
        raise PolicyDenied(("case_state",))
    history = (*case.history, Step(event, now_ns, officer))[-HISTORY_MAX:]
    return replace(case, state=after, version=case.version + 1, history=history, **changes)


def _out(value: Any) -> Any:
    if isinstance(value, Step):
        return [value.event.value, value.at_ns, value.officer]
    if isinstance(value, Signature):
        return [value.act, value.statement, value.signature, value.key]
    if isinstance(value, tuple):
        return [_out(one) for one in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, RecordKind):
        return int(value)
    return value


def decode(data: bytes) -> Case:
    """Read canonical bytes. Raises Malformed on anything that `encode` did not make."""
    table = cbor.decode(data, field="case", limit=CASE_BYTES_MAX)
    if not isinstance(table, dict) or table.pop("schema", None) != SCHEMA:
        raise Malformed("case", f"is not {SCHEMA}")
    try:
        case = Case(
            **{
                **table,
                "side": Side(table["side"]),
                "peer": PeerId(table["peer"]),
                "purpose": Purpose(table["purpose"]),
                "kind": RecordKind(table["kind"]),
                "match": MatchClass(table["match"]),
                "state": State(table["state"]),
                "outbound": Outbound(table["outbound"]),
                "fields": tuple(table["fields"]),
                "released": tuple(table["released"]),
                "sealed": tuple(table["sealed"]),
                "signatures": tuple(Signature(*one) for one in table["signatures"]),
                "history": tuple(Step(Event(event), at_ns, officer) for event, at_ns, officer in table["history"]),
            }
        )
        same = case.encode() == data
    except (KeyError, ValueError, TypeError, AttributeError):
        # Not chained: an error of the standard library quotes the value.
        raise Malformed("case", "a field is missing or has the wrong shape") from None
    if not same:
        raise Malformed("case", "not in canonical form")
    return case
