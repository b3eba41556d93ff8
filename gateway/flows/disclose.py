"""What a state's own people do in a case: see it, act in it, hand it over (docs/cases.md).

Every reading and every act passes the role, then the log, then is answered. What counts is signed by the person's own
key over case, fields, recipient and record version (T7); the gateway can make none of these signatures, and two acts of
a release are of two persons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from gateway.audit.entry import Entry, Phase
from gateway.disclosure import codes, profiles, slots
from gateway.disclosure.case import (
    CORRECTING,
    Case,
    Event,
    Outbound,
    Side,
    Signature,
    State,
    can,
    decode,
    is_correctable,
    move,
)
from gateway.errors import (
    InputRefused,
    NotFoundOrNotPermitted,
    NotIdentified,
    PolicyDenied,
    VerificationFailed,
    VersionMoved,
)
from gateway.federation import statement
from gateway.federation.officers import Enrolled
from gateway.federation.statement import PersonalSignature
from gateway.flows.casework import CaseWorld, decide, entry, held, put, record, version_of
from gateway.flows.check import Officer
from gateway.flows.deciding import expect
from gateway.policy import catalogue
from gateway.policy.decision import Permit
from gateway.policy.question import Stage
from gateway.terms.hidden import Hidden
from gateway.terms.ids import OfficerId
from gateway.terms.words import Handling, ListId, RecordKind, Role

_DESK = frozenset({Role.DESK_NATIONAL, Role.BORDER_SECONDLINE, Role.CHILD_PROTECTION})

ROLES: Final[Mapping[str, frozenset[Role]]] = {
    "confirm": _DESK,
    "dismiss": _DESK,
    "request": _DESK,
    "outcome": _DESK,
    "withdraw": _DESK,
    "screen": frozenset({Role.PROTECTION_OFFICER}),
    "prepare": frozenset({Role.DESK_NATIONAL, Role.CHILD_PROTECTION}),
    "correct": frozenset({Role.DESK_NATIONAL, Role.CHILD_PROTECTION}),
    "approve": frozenset({Role.DESK_NATIONAL, Role.SUPERVISOR, Role.CHILD_PROTECTION}),
    "refuse": frozenset({Role.DESK_NATIONAL, Role.SUPERVISOR, Role.CHILD_PROTECTION}),
    "deliver": frozenset({Role.DESK_NATIONAL, Role.SUPERVISOR, Role.CHILD_PROTECTION}),
    "assign": frozenset({Role.DESK_NATIONAL, Role.SUPERVISOR}),
    "hand-over": _DESK,
    "take": _DESK,
}
"""Who may do an act."""

EVENTS: Final[Mapping[str, Event]] = {
    "confirm": Event.CONFIRM,
    "dismiss": Event.DISMISS,
    "request": Event.REQUEST,
    "outcome": Event.OUTCOME,
    "withdraw": Event.WITHDRAW,
    "screen": Event.SCREEN,
    "prepare": Event.PREPARE,
    "correct": Event.CORRECT,
    "approve": Event.APPROVE,
    "refuse": Event.REFUSE,
    "deliver": Event.DELIVER,
    "assign": Event.ASSIGN,
    "hand-over": Event.HAND_OVER,
    "take": Event.TAKE,
}
"""The move that an act is. Delivering is the gateway's own: the act only hurries it."""

SIGNED_AS: Final[Mapping[str, str]] = {"correct": "prepare"}
"""Acts that are signed, and stand in the log, as another: a correction is the preparation of a release once more."""

WORDS_CHARACTERS_MAX: Final = 2_048

OUTCOME_NS: Final = 7 * 24 * profiles.HOUR_NS
"""How long after a decision the outcome is due."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act as it was asked for. `fields`, `code` and `to` are empty where it has none."""

    name: str
    version: int
    fields: tuple[str, ...] = ()
    code: str = ""
    to: str = ""
    words: Hidden[str] = field(default_factory=lambda: Hidden(""))
    signatures: tuple[PersonalSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A case as far as one officer may see it. `disclosed` is for whoever has the case or confirmed it; `words` are the
    asker's reasons, for the owner's desk."""

    case: Case
    acts: tuple[str, ...]
    withheld: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    disclosed: tuple[tuple[str, Hidden[tuple[str, ...]]], ...] = ()
    words: Hidden[str] = field(default_factory=lambda: Hidden(""))


# -- Seeing -----------------------------------------------------------------------------------------------------------


def may_see(case: Case, roles: Sequence[Role]) -> bool:
    """Whether these roles follow such a case at all."""
    found = set(roles)
    if case.kind is RecordKind.MISSING_CHILD and Role.CHILD_PROTECTION in found:
        return True
    if case.screening_required and case.side is Side.ASKER and Role.PROTECTION_OFFICER in found:
        return True
    if case.side is Side.ASKER and Role.BORDER_SECONDLINE in found:
        return True
    return bool(found & {Role.DESK_NATIONAL, Role.SUPERVISOR})


async def inbox(
    officer: Officer,
    world: CaseWorld,
    *,
    mine: bool = False,
    due: bool = False,
    states: Sequence[str] = (),
    most: int | None = None,
) -> list[Case]:
    """The first `most` of the cases that this officer's roles may follow, soonest due first. Logged before it is told.

    Raises:
        PolicyDenied: `role`: none of the officer's roles follows cases.
        AuditUnavailable: nothing is told.
    """
    _judge_reader(officer)
    await world.uow.commit([_read(officer, b"")])
    bodies = world.book.cases(due, officer=officer.officer if mine else "", states=states)
    found = (
        case
        for case in map(decode, bodies)
        if may_see(case, officer.roles)
        and (not mine or officer.officer in (case.assigned, case.offered_to))
        and (not due or (case.due_ns and case.outbound is Outbound.NONE and waits_here(case)))
        and (not states or case.state.value in states)
    )
    return list(islice(found, most))


_REVIEWED: Final = frozenset(
    {
        State.UNDER_REVIEW,
        State.AWAITING_SECOND_APPROVAL,
        State.DELIVERED,
        State.CLOSED,
        State.CORRECTION_DUE,
        State.CORRECTION_PENDING,
    }
)
"""States of the owner's in which a person signs over the record as it is now."""

_TOLD: Final = frozenset(
    {
        State.GRANTED,
        State.PARTLY_GRANTED,
        State.DELIVERED,
        State.OUTCOME_REPORTED,
        State.CORRECTED,
        State.CLOSED,
    }
)
"""States in which fields were given."""


def waits_here(case: Case) -> bool:
    """Whether the next act in the case is one of our own people's."""
    if case.side is Side.OWNER:
        return case.state in (
            State.UNDER_REVIEW,
            State.AWAITING_SECOND_APPROVAL,
            State.CORRECTION_DUE,
            State.CORRECTION_PENDING,
        )
    return case.state in (
        State.CORRECTED,
        State.CANDIDATE,
        State.CONFIRMED,
        State.GRANTED,
        State.PARTLY_GRANTED,
        State.REFUSED,
    )


async def show(case_id: bytes, officer: Officer, world: CaseWorld) -> View:
    """One case. The reading is logged before anything is opened or told.

    Raises:
        NotFoundOrNotPermitted: no such case, or not for these roles.
        AuditUnavailable: nothing is told.
    """
    case = _visible(case_id, officer, world)
    has_it = officer.officer in {case.assigned, case.confirmed_by} - {""} and _may_receive(case, officer)
    opens = bool(case.sealed) and case.side is Side.ASKER and has_it
    await world.uow.commit([_read(officer, case.case_id, opens=opens)])
    acts = tuple(name for name in EVENTS if _possible(case, name, officer))
    if case.side is Side.OWNER and case.entry_id and case.state in _REVIEWED:
        body = world.book.entry(ListId(case.list_id), case.entry_id)
        if body is not None:
            case = replace(case, record_version=version_of(body))
        if can(case, Event.CORRECT):
            case = replace(case, recipient=world.case_key_of(case.peer))
    decided = case.state in _TOLD
    part = bool(case.released) and (decided or case.side is Side.OWNER)
    withheld = profiles.classes(tuple(name for name in case.fields if name not in case.released)) if part else ()
    if case.side is Side.OWNER and case.reasons:
        return View(case, acts, withheld, words=await _words(case, world))
    if not opens:
        return View(case, acts, withheld)
    opened = slots.read(case.fields, await world.case_keys.open_case(case.sealed))
    marks = {name: ", ".join(values) for name, values in opened.marks.items() if name != "conditions"}
    return View(case, acts, withheld, opened.marks.get("conditions", ()), marks, opened.fields)


def _may_receive(case: Case, officer: Officer) -> bool:
    """What is said of a child goes to child protection only, whoever else follows the case (CHILD_RECIPIENT)."""
    return case.kind is not RecordKind.MISSING_CHILD or Role.CHILD_PROTECTION in officer.roles


async def _words(case: Case, world: CaseWorld) -> Hidden[str]:
    """The asker's reasons. What does not open, or says something else than was signed, is not shown."""
    try:
        (plain,) = await world.case_keys.open_case([case.reasons])
        text = plain.decode("utf-8")
    except (VerificationFailed, UnicodeDecodeError):
        return Hidden("")
    return Hidden(text if text.isprintable() and len(text) <= WORDS_CHARACTERS_MAX else "")


def fields_to_ask(case: Case) -> tuple[str, ...]:
    """What may be asked for, where nothing was yet: the template of the record's kind."""
    return profiles.fields_of(case.kind) if case.side is Side.ASKER and not case.fields else ()


def recipient_of(case: Case) -> bytes:
    """The SHA-256 of the key a release is sealed to, as the persons sign it; b"" where there is none."""
    return sha256(case.recipient).digest() if case.recipient else b""


def _judge_reader(officer: Officer) -> None:
    followers = {*_DESK, Role.SUPERVISOR, Role.PROTECTION_OFFICER}
    if not followers & set(officer.roles):
        raise PolicyDenied(("role",))


def _visible(case_id: bytes, officer: Officer, world: CaseWorld) -> Case:
    case = held(case_id, world)
    if not may_see(case, officer.roles):
        raise NotFoundOrNotPermitted("this case is not for these roles")
    return case


def _read(officer: Officer, case_id: bytes, *, opens: bool = False) -> Entry:
    return Entry(
        "case.read",
        Phase.EVENT,
        public={"case_id": case_id, "what": "disclosed" if opens else "case" if case_id else "inbox"},
        secret={"officer": officer.officer},
    )


def _possible(case: Case, name: str, officer: Officer) -> bool:
    if not ROLES[name] & set(officer.roles):
        return False
    if name == "deliver":
        return case.outbound is not Outbound.NONE
    if name == "take":
        return case.offered_to == officer.officer and can(case, Event.TAKE)
    if name == "hand-over":
        return case.assigned == officer.officer and can(case, Event.HAND_OVER)
    if name == "screen":
        return case.screening_required and not case.screened and can(case, Event.SCREEN)
    if name == "confirm":
        return can(case, Event.CONFIRM) and (case.screened or not case.screening_required)
    if name == "correct":
        return can(case, Event.CORRECT) and is_correctable(case)
    if name == "approve":
        return can(case, Event.APPROVE) and case.prepared_by != officer.officer
    return can(case, EVENTS[name])


# -- Acting -----------------------------------------------------------------------------------------------------------


async def act(case_id: bytes, asked: Act, officer: Officer, world: CaseWorld) -> Case:
    """Do one act and return the case after it. The entry and the move are one commit.

    Raises:
        NotFoundOrNotPermitted: no such case, or not for these roles.
        PolicyDenied: the rules say no, the role may not do it (`role`), the state does not allow it (`case_state`), a
            screening is missing (`screening`), or one person would do both parts of a release (`second_person`). In the
            log.
        VerificationFailed, NotIdentified: the signature is not the person's own over exactly this act.
        InputRefused: a field or code that there is not.
        VersionMoved: the case or the record went on meanwhile.
        AuditUnavailable: nothing was done.
    """
    now = world.clock.now_ns()
    case = _visible(case_id, officer, world)
    try:
        return await _act(case, asked, officer, world, now)
    except PolicyDenied as denied:
        await world.uow.commit(
            [
                entry(
                    "case.denied",
                    case,
                    public={"act": asked.name, "reasons": ",".join(denied.reasons)},
                    secret={"officer": officer.officer},
                )
            ]
        )
        raise


async def _act(case: Case, asked: Act, officer: Officer, world: CaseWorld, now: int) -> Case:
    # 1. Role, state and version.
    if asked.name not in EVENTS or not ROLES[asked.name] & set(officer.roles):
        raise PolicyDenied(("role",))
    if case.expires_ns and now >= case.expires_ns and case.outbound is Outbound.NONE and can(case, Event.EXPIRE):
        # Late is late, also where the clock's own move has not been made yet.
        raise PolicyDenied(("case_state",))
    if asked.version != case.version:
        raise VersionMoved("the case went on meanwhile; look at it again")
    # 2. The rules, at this moment.
    stage = Stage.ASK if case.side is Side.ASKER else Stage.ANSWER
    permit = await decide(case, world, now, stage=stage)
    # 3. The act's own conditions, and the person's signature over its facts.
    known = await _known(case, permit, asked, world, now)
    after, signed = _STEPS[asked.name](_Doing(case, asked, officer, world, now, known))
    # 4. Log and move in one.
    entered = entry(
        "case.act",
        after,
        public={
            "act": SIGNED_AS.get(asked.name, asked.name),
            "state": after.state.value,
            "version": after.version,
            "fields": ",".join(after.released if asked.name in _RELEASES else asked.fields),
            "statement": signed.statement if signed else b"",
            "signature": signed.signature if signed else b"",
            "signer": signed.key if signed else b"",
            "baseline": permit.baseline,
            "national": permit.national,
        },
        secret={
            "officer": officer.officer,
            "code": asked.code,
            "words": asked.words.open(),
            "to": asked.to,
        },
    )
    changes = [expect(permit, case.peer), put(after)] if after is not case else [expect(permit, case.peer)]
    recalled = _recalled(after, world, now) if asked.name == "correct" else []
    silent = [entry("case.act", one, public=_silent("recall", one), secret={}) for one in recalled]
    await world.uow.commit([entered, *silent], [*changes, *(put(one) for one in recalled)])
    return after


_RELEASES: Final = ("prepare", "approve", "correct")
"""Acts over the fields that are released."""


def _recalled(corrected: Case, world: CaseWorld, now: int) -> list[Case]:
    """The other cases in which an older version of the record was disclosed: in each of them a correction is due from
    now on, so that no earlier recipient is forgotten."""
    found = (decode(body) for body in world.book.cases_of(corrected.record))
    return [
        move(one, Event.RECALL, now, due_ns=now + profiles.DUE_NS, expires_ns=0)
        for one in found
        if one.case_id != corrected.case_id
        and one.record == corrected.record
        and is_correctable(one)
        and can(one, Event.RECALL)
        and one.record_version != corrected.record_version
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    """What an act rests on besides the case: the record's version and handling (a release), the officer's words, sealed
    to the owner (a request)."""

    version: int = 0
    handling: Handling | None = None
    reasons: bytes = field(default=b"", repr=False)


async def _known(case: Case, permit: Permit, asked: Act, world: CaseWorld, now: int) -> _Known:
    if case.side is Side.ASKER:
        words = asked.words.open().encode("utf-8")
        if asked.name not in ("confirm", "request") or not words:
            return _Known(reasons=case.reasons)
        (sealed,) = await world.case_keys.seal_case(world.case_key_of(case.peer), [words])
        return _Known(reasons=sealed)
    if asked.name == "refuse":
        body = world.book.entry(ListId(case.list_id), case.entry_id)
        return _Known(version_of(body) if body is not None else case.record_version)
    if asked.name not in _RELEASES:
        return _Known()
    found, body = record(case, permit, world, now)
    return _Known(version_of(body), found.handling)


@dataclass(frozen=True, slots=True)
class _Doing:
    """One act on its way: the case before it, what was asked, by whom, when, and what it rests on."""

    case: Case
    asked: Act
    officer: Officer
    world: CaseWorld
    now_ns: int
    known: _Known

    def signed(self, **facts: object) -> tuple[Signature, Enrolled]:
        """The officer's own signature over exactly this act. Raises NotIdentified, VerificationFailed."""
        case, asked, world = self.case, self.asked, self.world
        if len(asked.signatures) != 1:
            raise VerificationFailed("persons", "this act takes the person's own signature")
        (one,) = asked.signatures
        word = statement.CASE_ACTS[SIGNED_AS.get(asked.name, asked.name)]
        told = statement.case(
            case_id=case.case_id,
            state=world.state,
            peer=case.peer,
            purpose=case.purpose,
            legal_basis=case.legal_basis,
            code=asked.code,
            words=asked.words.open(),
            **facts,  # type: ignore[arg-type]
        )
        roles = ROLES[asked.name]
        person = statement.verify(one, word, told, register=world.register(), roles=roles, now_ns=self.now_ns)
        if person.officer != self.officer.officer:
            raise VerificationFailed("persons", "the signature is another person's than the token")
        return Signature(word, one.statement, one.signature, person.public_key), person

    def moved(self, event: Event, **changes: Any) -> Case:
        """The case after a move of this officer's. Raises PolicyDenied."""
        return move(self.case, event, self.now_ns, self.officer.officer, **changes)


Step = Callable[[_Doing], tuple[Case, Signature | None]]


def _confirm(doing: _Doing) -> tuple[Case, Signature]:
    if doing.case.screening_required and not doing.case.screened:
        raise PolicyDenied(("screening",))
    measure = codes.judge(doing.asked.code, "confirm", "measure")
    signed, person = doing.signed()
    after = doing.moved(
        Event.CONFIRM,
        measure=measure,
        confirmed_by=person.officer,
        assigned=doing.case.assigned or person.officer,
        reasons=doing.known.reasons,
        signatures=(*doing.case.signatures, signed),
    )
    return after, signed


def _screen(doing: _Doing) -> tuple[Case, Signature]:
    code = codes.judge(doing.asked.code, "screen")
    signed, _ = doing.signed()
    if code == "CLEAR":
        return doing.moved(Event.SCREEN, screened=True), signed
    return _ended(doing.moved(Event.DISMISS)), signed


def _dismiss(doing: _Doing) -> tuple[Case, Signature]:
    code = codes.judge(doing.asked.code, "dismiss")
    signed, _ = doing.signed()
    return _ended(doing.moved(Event.DISMISS, outcome=code)), signed


def _request(doing: _Doing) -> tuple[Case, Signature]:
    fields = profiles.chosen(doing.case.kind, doing.asked.fields or profiles.fields_of(doing.case.kind))
    urgency = codes.judge(doing.asked.code, "request", "urgency")
    if doing.case.kind is RecordKind.MISSING_CHILD and Role.CHILD_PROTECTION not in doing.officer.roles:
        raise PolicyDenied(("role",))
    signed, _ = doing.signed(fields=fields)
    after = doing.moved(
        Event.REQUEST,
        fields=fields,
        urgency=urgency,
        reasons=doing.known.reasons,
        outbound=Outbound.OPEN,
        due_ns=0,
        expires_ns=doing.now_ns + profiles.EXPIRES_NS,
        # Who asks about a child receives the answer, or nobody could: a desk that confirmed the hit may not read it.
        assigned=doing.officer.officer if doing.case.kind is RecordKind.MISSING_CHILD else doing.case.assigned,
        signatures=(*doing.case.signatures, signed),
    )
    return after, signed


def _prepare(doing: _Doing) -> tuple[Case, Signature]:
    version = doing.known.version
    fields = tuple(name for name in doing.case.fields if name in doing.asked.fields)
    if not fields or len(fields) != len(doing.asked.fields):
        # Only what was asked for, and at least something: to release nothing is to refuse.
        profiles.chosen(doing.case.kind, ())
    signed, person = doing.signed(**_release(doing.case, fields, version))
    after = doing.moved(
        Event.PREPARE,
        released=fields,
        record_version=version,
        prepared_by=person.officer,
        assigned=doing.case.assigned or person.officer,
        signatures=(*_others(doing.case), signed),
    )
    return after, signed


def _correct(doing: _Doing) -> tuple[Case, Signature]:
    """The fields that were released, once more, of the record as it is now: for whoever holds the older ones."""
    case, version = doing.case, doing.known.version
    if not can(case, Event.CORRECT) or not is_correctable(case):
        raise PolicyDenied(("case_state",))
    if version == case.record_version and case.state not in CORRECTING:
        raise InputRefused("the record is as it was disclosed; correct it on the list first", field="case",
                           code="UNCHANGED")  # fmt: skip
    recipient = doing.world.case_key_of(case.peer)
    known = replace(case, recipient=recipient)
    signed, person = replace(doing, case=known).signed(**_release(known, case.released, version))
    after = doing.moved(
        Event.CORRECT,
        recipient=recipient,
        record_version=version,
        prepared_by=person.officer,
        assigned=case.assigned or person.officer,
        due_ns=doing.now_ns + profiles.DUE_NS,
        expires_ns=0,
        signatures=(*_others(case), signed),
    )
    return after, signed


def _approve(doing: _Doing) -> tuple[Case, Signature]:
    version, handling = doing.known.version, doing.known.handling
    if not can(doing.case, Event.APPROVE):
        raise PolicyDenied(("case_state",))
    if version != doing.case.record_version:
        raise VersionMoved("the record changed after it was prepared; prepare again")
    signed, person = doing.signed(**_release(doing.case, doing.case.released, version))
    keys = {one.key for one in doing.case.signatures if one.act == statement.CASE_ACTS["prepare"]}
    if person.officer == doing.case.prepared_by or person.public_key in keys:
        raise PolicyDenied(("second_person",))
    if catalogue.decision_of(doing.case.purpose, "disclose") == "four_eyes":
        handling = Handling.FOUR_EYES
    if handling is Handling.FOUR_EYES and doing.asked.signatures[0].role is not Role.SUPERVISOR:
        raise PolicyDenied(("second_person",))
    event = Event.APPROVE if doing.case.released == doing.case.fields else Event.APPROVE_PART
    after = doing.moved(
        event,
        outbound=Outbound.DECISION,
        due_ns=0,
        signatures=(*doing.case.signatures, signed),
    )
    return after, signed


def _refuse(doing: _Doing) -> tuple[Case, Signature]:
    version = doing.known.version
    code = codes.judge(doing.asked.code, "refuse")
    signed, _ = doing.signed(record_version=version)
    after = doing.moved(
        Event.REFUSE,
        refusal=code,
        released=(),
        record_version=version,
        outbound=Outbound.DECISION,
        due_ns=0,
        signatures=(*_others(doing.case), signed),
    )
    return after, signed


def _outcome(doing: _Doing) -> tuple[Case, Signature]:
    code = codes.judge(doing.asked.code, "outcome")
    signed, _ = doing.signed()
    after = doing.moved(
        Event.OUTCOME,
        outcome=code,
        outbound=Outbound.CLOSE,
        due_ns=0,
        signatures=(*doing.case.signatures, signed),
    )
    if code == "DIFFERENT_PERSON":
        # What came of a wrong match goes at once.
        after = replace(after, sealed=(), released=(), reasons=b"")
    return after, signed


def _withdraw(doing: _Doing) -> tuple[Case, Signature]:
    signed, _ = doing.signed()
    if doing.case.side is Side.OWNER:
        # What was prepared is taken back, and nobody abroad hears of it; the act itself stays in the log.
        return doing.moved(Event.WITHDRAW, released=(), prepared_by="", signatures=_others(doing.case)), signed
    after = doing.moved(
        Event.WITHDRAW,
        outcome="WITHDRAWN",
        outbound=Outbound.CLOSE,
        due_ns=0,
        ticket=b"",
        signatures=(*doing.case.signatures, signed),
    )
    return after, signed


def _assign(doing: _Doing) -> tuple[Case, None]:
    to = _colleague(doing)
    return doing.moved(Event.ASSIGN, assigned=to, offered_to=""), None


def _hand_over(doing: _Doing) -> tuple[Case, None]:
    if doing.case.assigned != doing.officer.officer:
        raise PolicyDenied(("not_assigned",))
    to = _colleague(doing)
    return doing.moved(Event.HAND_OVER, offered_to=to), None


def _take(doing: _Doing) -> tuple[Case, None]:
    if doing.case.offered_to != doing.officer.officer:
        raise PolicyDenied(("not_assigned",))
    return doing.moved(Event.TAKE, assigned=doing.officer.officer, offered_to=""), None


def _deliver(doing: _Doing) -> tuple[Case, None]:
    if doing.case.outbound is Outbound.NONE:
        raise PolicyDenied(("case_state",))
    return doing.case, None


_STEPS: Final[Mapping[str, Step]] = {
    "confirm": _confirm,
    "dismiss": _dismiss,
    "screen": _screen,
    "request": _request,
    "prepare": _prepare,
    "correct": _correct,
    "approve": _approve,
    "refuse": _refuse,
    "outcome": _outcome,
    "withdraw": _withdraw,
    "assign": _assign,
    "hand-over": _hand_over,
    "take": _take,
    "deliver": _deliver,
}


def _ended(case: Case) -> Case:
    """A case nobody follows keeps nothing that was made of the traveller."""
    return replace(case, ticket=b"", sealed=(), reasons=b"", due_ns=0, expires_ns=0, outbound=Outbound.NONE)


def _release(case: Case, fields: tuple[str, ...], version: int) -> dict[str, object]:
    """The facts both persons of a release sign: case, fields, recipient and record version (T7)."""
    return {
        "fields": fields,
        "withheld": tuple(name for name in case.fields if name not in fields),
        "recipient": recipient_of(case),
        "record_version": version,
    }


def _others(case: Case) -> tuple[Signature, ...]:
    """Signatures that a new preparation or a refusal leaves in force: the other side's."""
    ours = {statement.CASE_ACTS[name] for name in ("prepare", "approve", "refuse")}
    return tuple(one for one in case.signatures if one.act not in ours)


def _colleague(doing: _Doing) -> OfficerId:
    """The officer to whom a case goes: in force, with a role that follows it. Raises InputRefused."""
    try:
        person = doing.world.register().officer(OfficerId(doing.asked.to), doing.now_ns)
    except NotIdentified:
        raise InputRefused("nobody of this number is enrolled", field="to", code="NOBODY") from None
    if not may_see(doing.case, person.roles):
        raise InputRefused("that officer has no role that follows this case", field="to", code="OFFICER_ROLE")
    return person.officer


# -- Time -------------------------------------------------------------------------------------------------------------


async def expire(world: CaseWorld) -> int:
    """End what is past its time: a hit that nobody confirmed, a request without an answer. Silence never releases.

    Returns how many cases ended.
    """
    now = world.clock.now_ns()
    ended = 0
    for body in world.book.cases_past(now):
        case = decode(body)
        if not case.expires_ns or now < case.expires_ns or not can(case, Event.EXPIRE):
            continue
        after = _ended(move(case, Event.EXPIRE, now))
        try:
            await world.uow.commit([entry("case.act", after, public=_silent("expire", after), secret={})], [put(after)])
        except VersionMoved:
            continue
        ended += 1
    return ended


def _silent(name: str, after: Case) -> dict[str, str | int | bytes]:
    """The public part of a move that no person made."""
    return {
        "act": name,
        "state": after.state.value,
        "version": after.version,
        "fields": "",
        "statement": b"",
        "signature": b"",
        "signer": b"",
        "baseline": b"",
        "national": b"",
    }


__all__ = ["EVENTS", "ROLES", "Act", "View", "act", "expire", "inbox", "may_see", "show", "waits_here"]
