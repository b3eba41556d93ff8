"""Ask other states about travellers. The walk is docs/flows/check.md.

What the officer learns: hits, and which peers were unreachable or refused. What an owner learns: that this agency asked
one padded batch. Where the owner may be the state a person fled from, dummies stand in that person's slots (a cover leg
when nobody else is asked about), which differs from a real leg nowhere but in the home log, sealed (T2, T4).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.disclosure import profiles
from gateway.disclosure.case import Case, Event, Side, State, Step
from gateway.disclosure.ticket import Ticket
from gateway.errors import (
    BaselineOutdated,
    CapabilityMissing,
    EpochRefused,
    GatewayError,
    InputRefused,
    Malformed,
    NotFoundOrNotPermitted,
    NotIdentified,
    PeerSuspended,
    PeerUnreachable,
    PolicyDenied,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
    VersionMoved,
)
from gateway.federation import statement
from gateway.federation.officers import Register
from gateway.federation.statement import PersonalSignature
from gateway.flows.catch_up import CatchingUpWorld, catch_up
from gateway.flows.deciding import decide, expect
from gateway.flows.subjects import Subjects
from gateway.people.origins import Origins, candidate_origins
from gateway.people.person import Document, Person, could_be_child
from gateway.policy import catalogue, floors
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.primitives import aead, cbor
from gateway.primitives.kdf import expand
from gateway.primitives.lp import lp
from gateway.pseudonym import batch as batches
from gateway.pseudonym import delta, matchkeys, schedule
from gateway.pseudonym import label as labels
from gateway.pseudonym.key import MatchKey
from gateway.terms import BATCH_CLASSES, Hidden, KeyType, ListId, MatchClass, Outcome, PeerId, Purpose, RequestId
from gateway.terms.exchange import CheckRequest, Manifest
from gateway.terms.ids import AgencyId, OfficerId, PurposeGroup
from gateway.terms.words import Action, AsylumState, RecordKind, Role

TRAVELLERS_MAX = 1000
"""Largest question, travellers: three flights."""

DAY_NS: Final = 24 * 3600 * 10**9

FLIGHT = Purpose("API.PRESCREEN")
FLIGHT_PAST_NS = DAY_NS
FLIGHT_AHEAD_NS = 3 * DAY_NS

HOME_REPLY_KEPT_NS = DAY_NS
KEY_SEALED_BYTES = 192
"""Room in an intent's sealed payload for one ordered match key; the whole is padded to the class."""

HIT_SEALED_BYTES = 80
"""Room in an outcome's for one hit: a slot makes one at most."""

WORDS_SEALED_BYTES = 1024
"""Room in each for everything else: officer, case, justification, seeds."""

FRAME_SEALED_BYTES = 160
"""What names, salts and lengths of the five sealed fields take of it."""


@dataclass(frozen=True, slots=True)
class Traveller:
    """Whom a question is about. Everything inside hides itself."""

    person: Person | None
    documents: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class Officer:
    """Who asks: a verified token's words. `owner_ids` are never sent abroad; the role and the agency are."""

    officer: OfficerId
    agency: AgencyId
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """An officer's question.

    `protection_declared` and `declared_origins` are the booth's protection key (T2). `reply_key` (32 bytes) is the
    client's own; the stored reply can be opened by nobody else. `digest` is the SHA-512 of the whole question.
    `asylum`, `best_interest` and `signatures` (two persons' over `facts`) belong to a return; `flight_ends_ns` (UTC)
    and `crew` to a flight.
    """

    request_id: RequestId
    purpose: Purpose
    legal_basis: str
    case_ref: str
    justification: Hidden[str]
    travellers: tuple[Traveller, ...]
    protection_declared: bool
    declared_origins: frozenset[str]
    reply_key: Hidden[bytes]
    digest: bytes = field(repr=False)
    asylum: AsylumState = AsylumState.UNKNOWN
    best_interest: str = ""
    signatures: tuple[PersonalSignature, ...] = ()
    flight_ends_ns: int = 0
    crew: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry of one owner's that a traveller's key met. A question for a human, never a finding.

    `reference` is the asker's own name for it, `case_id` its case's number (b"" where cases are not kept); `traveller`
    its position in the question, from 0;
    `screening_required` says that the owner is a candidate origin of the person: no case before a protection officer
    has recorded a screening (T2).
    """

    reference: str
    owner: PeerId
    match: MatchClass
    kind: RecordKind
    action: Action
    contact: int
    traveller: int
    screening_required: bool
    case_id: bytes = b""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What the officer is told. There is no per-state no-hit (decision 7)."""

    request_id: RequestId
    hits: tuple[Hit, ...]
    unreachable: tuple[PeerId, ...]
    refused: tuple[tuple[PeerId, tuple[str, ...]], ...]

    @property
    def outcome(self) -> Outcome:
        """HIT or NOTHING_TO_REPORT, over all that answered."""
        return Outcome.HIT if self.hits else Outcome.NOTHING_TO_REPORT

    @property
    def complete(self) -> bool:
        """False when any peer was unreachable: then nothing may be read from silence."""
        return not self.unreachable


class HomeReplies(Protocol):
    """Replies to our own officers, sealed under their clients' keys."""

    def home_reply(self, request_id: RequestId) -> tuple[bytes, bytes] | None:
        """(request digest, sealed answer), or None."""


@dataclass(frozen=True, slots=True)
class Tickets:
    """`encode` gives the exact bytes of a batch, which a ticket holds. Tickets are kept sealed to `own_key`, our own
    case key: what is made from a traveller does not stand in the open on our disk (T11)."""

    encode: Callable[[CheckRequest], bytes]
    keys: ports.CaseKeys
    own_key: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class AskingWorld:
    """The surroundings of an asking gateway. `owners` are the active members other than ourselves."""

    state: PeerId
    owners: Sequence[PeerId]
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    peers: ports.Peers
    copies: ports.Tables
    deltas: ports.DeltaCopies
    home: HomeReplies
    compute: ports.Compute
    clock: ports.Clock
    chance: ports.Chance
    timeout_s: float = 2.0
    tick_ns: int = 10_000_000
    checks_per_day: int = 2_000
    travellers_per_day: int = 20_000
    suspended: Sequence[PeerId] = ()
    """Members that we or the federation have suspended: refused aloud, for it depends on the request alone."""
    tickets: Tickets | None = None
    """What a hit's ticket is made with. Without it no hit begins a case."""
    register: Callable[[], Register] | None = None
    """Whose signatures count under a purpose of two persons. Without it none does."""
    subjects: Subjects | None = None
    """What this process asked about whom today (T16)."""
    stale: Callable[[PeerId], None] | None = None
    """Told of an owner that refused the epoch we hold a table of: it has others for us."""
    watch: Callable[[Inquiry, Officer, int, int], None] | None = None
    """Told of each question (with its first entry's number and the time) once it is in the log and before anybody is
    asked: so an alert knows nothing of hits. It puts the question aside and returns (`flows.alerting`)."""


@dataclass(slots=True)
class _Leg:
    """One owner's part of a question, while it runs."""

    owner: PeerId
    permit: Permit
    role: Role
    list_id: ListId
    group: PurposeGroup
    manifest: Manifest | None
    keys: tuple[tuple[int, MatchKey], ...]
    """Declared keys with the traveller each belongs to; a guarded traveller's are left out and dummies stand there."""
    guards: tuple[str, ...]
    """`<traveller>:<reason>` of each guarded traveller; sealed for auditor and protection desk only."""
    class_size: int
    leg_id: RequestId
    seeds: tuple[bytes, ...]
    permit_expires_ns: int
    """What the owner is told of the permit's end: the same to the nanosecond towards two owners, it would show them
    that their legs are of one question (T12). So each leg's is earlier by a part of its own."""
    pair_seq: int = 0
    leaf_hash: bytes = b""
    intent_seq: int = 0
    hits: list[Hit] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    """A candidate for each hit."""
    spoiled: list[str] = field(default_factory=list)
    """`<traveller>:unreadable` of each row that a key met and whose label does not open: sealed."""
    request_hashes: list[bytes] = field(default_factory=list)
    replies: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Header and signature of each reply."""
    failure: str = ""
    refusal: tuple[str, ...] = ()


async def ask(inquiry: Inquiry, officer: Officer, world: AskingWorld) -> CheckAnswer:
    """Put one question to every owner that policy permits, and gather the hits.

    One intent and one outcome entry a leg, each side's all in one commit. The answer leaves on a tick of 10 ms from
    arrival, with all hit work before it, so that its time tells a hit from a miss to nobody.

    Raises:
        PolicyDenied: every owner was refused by the rules (in the log).
        QuotaExhausted: the officer's allowance of the day is used up (in the log); nothing was asked.
        InputRefused: a traveller has nothing that can be asked about.
        AuditUnavailable: nothing was asked, or nothing may be told.
    """
    arrived_ns = world.clock.monotonic_ns()
    now = world.clock.now_ns()
    _judge(inquiry)
    _judge_time(inquiry, now)
    operation = catalogue.check_operation(inquiry.purpose)
    signers = _signers(inquiry, now, world)
    subjects = list(_subjects(inquiry))

    legs: list[_Leg] = []
    refused: list[tuple[PeerId, tuple[str, ...]]] = [(owner, ("peer_suspended",)) for owner in world.suspended]
    for list_id in catalogue.lists_of(inquiry.purpose):
        for owner in world.owners:
            decision, role = await _may_ask(inquiry, officer, owner, list_id, operation, signers, now, world)
            if isinstance(decision, Deny):
                refused.append((owner, decision.reasons))
            else:
                legs.append(_leg(inquiry, officer, owner, list_id, decision, role, now, world))
    if world.subjects is not None and world.subjects.changed(officer.agency, inquiry.purpose, subjects, now):
        # By what this agency itself asked before, and by nothing that anybody else knows of the person.
        refused.extend((leg.owner, ("purpose_change",)) for leg in legs)
        legs = []
    if refused:
        await world.uow.commit([_refused_entry(inquiry, officer, owner, reasons) for owner, reasons in refused])
    if not legs:
        raise PolicyDenied(tuple(sorted({reason for _, reasons in refused for reason in reasons} or {"no_peer"})))
    # A replay has passed every gate again; now it may have its stored answer.
    stored = world.home.home_reply(inquiry.request_id)
    if stored is not None:
        again = _still(_stored(inquiry, stored), refused, legs)
        await _tick(arrived_ns, world)
        return _told(again, [leg.owner for leg in legs])

    try:
        committed = await world.uow.commit(
            [_entry(leg, inquiry, officer, Phase.INTENT) for leg in legs],
            [*(expect(leg.permit, leg.owner) for leg in legs), *_charges(inquiry, officer, now, world)],
        )
    except PeerSuspended as moved:
        raise VersionMoved(str(moved)) from None
    except QuotaExhausted as refusal:
        reasons = (refusal.row.reason.lower(),)
        await world.uow.commit([_refused_entry(inquiry, officer, leg.owner, reasons) for leg in legs])
        raise
    if world.subjects is not None:
        world.subjects.remember(officer.agency, inquiry.purpose, subjects, now)
    if world.watch is not None:
        world.watch(inquiry, officer, committed.seqs[0], now)
    numbers = zip(legs, committed.seqs, committed.pair_seqs, committed.hashes, strict=True)
    for leg, seq, pair_seq, leaf_hash in numbers:
        leg.intent_seq, leg.pair_seq, leg.leaf_hash = seq, pair_seq, leaf_hash

    await asyncio.gather(*(_run(leg, inquiry, officer, world) for leg in legs))

    refused.extend((leg.owner, leg.refusal) for leg in legs if leg.refusal)
    answer = CheckAnswer(
        request_id=inquiry.request_id,
        hits=tuple(sorted((hit for leg in legs for hit in leg.hits), key=lambda h: (h.traveller, h.reference))),
        unreachable=tuple(sorted({leg.owner for leg in legs if leg.failure})),
        refused=tuple(sorted(refused)),
    )
    await world.uow.commit(
        [_entry(leg, inquiry, officer, Phase.OUTCOME) for leg in legs],
        [
            ports.Change(
                "home_reply.put",
                {
                    "request_id": inquiry.request_id.value,
                    "request_hash": inquiry.digest,
                    "sealed": _sealed(inquiry, answer),
                    "expires_ns": now + HOME_REPLY_KEPT_NS,
                },
            ),
            *(put(case) for leg in legs for case in leg.cases),
        ],
    )
    await _tick(arrived_ns, world)
    return _told(answer, [leg.owner for leg in legs])


def _still(answer: CheckAnswer, refused: Sequence[tuple[PeerId, tuple[str, ...]]], legs: Sequence[_Leg]) -> CheckAnswer:
    """A stored answer as far as the gates of this moment let it be told: no hit of an owner that they stop."""
    asked = {leg.owner for leg in legs}
    return replace(
        answer,
        hits=tuple(hit for hit in answer.hits if hit.owner in asked),
        refused=tuple(sorted({**dict(answer.refused), **dict(refused)}.items())),
    )


async def _tick(arrived_ns: int, world: AskingWorld) -> None:
    """Wait for the next multiple of the tick from arrival: all work is done before it, so its time tells nothing."""
    elapsed = world.clock.monotonic_ns() - arrived_ns
    await world.clock.sleep_until(arrived_ns + -(-elapsed // world.tick_ns) * world.tick_ns)


def _charges(inquiry: Inquiry, officer: Officer, now: int, world: AskingWorld) -> list[ports.Change]:
    """The officer's own allowance: one login cannot try names all day. Charged before anything is asked."""
    return [
        ports.Change(
            "quota.charge",
            {
                "peer": f"officer/{officer.officer}",
                "list": what,
                "group": "",
                "day": now // DAY_NS,
                "amount": amount,
                "limit": limit,
            },
        )
        for what, amount, limit in (
            ("checks", 1, world.checks_per_day),
            ("travellers", len(inquiry.travellers), world.travellers_per_day),
        )
    ]


def _told(answer: CheckAnswer, asked: Sequence[PeerId]) -> CheckAnswer:
    """The answer, or the refusal where every owner that was asked refused: then nobody said "nothing"."""
    refused = dict(answer.refused)
    if all(owner in refused for owner in asked):
        raise PolicyDenied(tuple(sorted({reason for reasons in refused.values() for reason in reasons})))
    return answer


def _judge(inquiry: Inquiry) -> None:
    if not 1 <= len(inquiry.travellers) <= TRAVELLERS_MAX:
        raise InputRefused(f"a question has 1 to {TRAVELLERS_MAX} travellers", field="travellers", code="COUNT")
    if not inquiry.case_ref:
        raise InputRefused("a case or shift reference is required", field="case", code="CASE")

    is_flight = inquiry.purpose == FLIGHT
    if is_flight != bool(inquiry.flight_ends_ns) or (inquiry.crew and not is_flight):
        raise InputRefused(
            f"say when the flight ends under {FLIGHT}, and under no other purpose; a crew is a question of its own",
            field="flight_ends",
            code="FLIGHT",
        )
    if inquiry.purpose == floors.RETURN:
        if len(inquiry.travellers) != 1:
            raise InputRefused("a return's question is about one person", field="travellers", code="COUNT")
    elif inquiry.signatures or inquiry.best_interest or inquiry.asylum is not AsylumState.UNKNOWN:
        raise InputRefused(
            f"what is known of a claim is asked for a return ({floors.RETURN}) only", field="asylum", code="RETURN"
        )


def _judge_time(inquiry: Inquiry, now: int) -> None:
    """A flight is asked about around its own time, so that its records can go when it has ended."""
    if inquiry.flight_ends_ns and not now - FLIGHT_PAST_NS <= inquiry.flight_ends_ns <= now + FLIGHT_AHEAD_NS:
        raise InputRefused("a flight ends within a day past and three days ahead", field="flight_ends", code="FLIGHT")


def about(travellers: Sequence[Traveller]) -> bytes:
    """SHA-512 of whom a question is about, by the keys they are asked by: what its two persons sign (64 bytes)."""
    inputs = sorted(
        key.input.open()
        for traveller in travellers
        for key in matchkeys.for_asking(traveller.person, traveller.documents, frozenset(KeyType))
    )
    return digest_of(inputs)


def facts(inquiry: Inquiry, state: PeerId) -> dict[str, Any]:
    """What the two persons of a question sign."""
    return statement.question(
        state=state,
        purpose=inquiry.purpose,
        legal_basis=inquiry.legal_basis,
        case_ref=inquiry.case_ref,
        asylum=inquiry.asylum.value,
        best_interest=inquiry.best_interest,
        about=about(inquiry.travellers),
    )


def _signers(inquiry: Inquiry, now: int, world: AskingWorld) -> int:
    """How many different persons validly signed exactly this question. A signature that does not hold counts for none,
    and the rules then refuse (`signers`)."""
    if not inquiry.signatures or world.register is None:
        return 0
    try:
        persons = statement.verify_all(
            inquiry.signatures,
            statement.QUESTION,
            facts(inquiry, world.state),
            register=world.register(),
            roles=catalogue.roles_of(inquiry.purpose),
            now_ns=now,
        )
    except (VerificationFailed, NotIdentified, Malformed):
        return 0
    return len(persons)


def _subjects(inquiry: Inquiry) -> Iterator[bytes]:
    """The keys by which a subject is known again. A document's state is no question about a person."""
    if inquiry.purpose != "DOC.STATUS":
        known = frozenset({KeyType.DOC_1, KeyType.NAME_YEAR_1})
        for traveller in inquiry.travellers:
            for key in matchkeys.for_asking(traveller.person, traveller.documents, known):
                yield key.input.open()


async def _may_ask(
    inquiry: Inquiry,
    officer: Officer,
    owner: PeerId,
    list_id: ListId,
    operation: str,
    signers: int,
    now: int,
    world: AskingWorld,
) -> tuple[Permit | Deny, Role]:
    """Our own rules first. The first of the officer's roles that they permit is the one the owner is told."""
    reasons: set[str] = set()
    for role in officer.roles:
        question = Question(
            stage=Stage.ASK,
            purpose=inquiry.purpose,
            operation=operation,
            legal_basis=inquiry.legal_basis,
            list_id=list_id,
            key_types=catalogue.key_types_of(inquiry.purpose),
            class_size=BATCH_CLASSES[0],
            asker=world.state,
            owner=owner,
            agency=officer.agency,
            role=role,
            has_case=bool(inquiry.case_ref),
            signers=signers,
            time_ns=now,
        )
        decision = await decide(question, world.policy)
        if isinstance(decision, Permit):
            return decision, role
        reasons.update(decision.reasons)
    return Deny(tuple(sorted(reasons or {"role"}))), Role.OPERATOR


def _judge_room(inquiry: Inquiry, officer: Officer, keys: Sequence[MatchKey], class_size: int, count: int) -> None:
    """Refuse what the intent's sealed part has no room for. With every key, so that a guard never decides it (T4)."""
    words = (officer.officer, inquiry.case_ref, inquiry.justification.open())
    need = sum(len(word.encode()) for word in words) + sum(3 + len(key.input.open()) for key in keys)
    need += FRAME_SEALED_BYTES + (batches.SEED_BYTES + 2) * count
    if need > WORDS_SEALED_BYTES + KEY_SEALED_BYTES * class_size * count:
        raise InputRefused(
            "justification and names are too long for one question; shorten the justification or ask in parts",
            field="justification",
            code="LONG",
        )


def _leg(
    inquiry: Inquiry,
    officer: Officer,
    owner: PeerId,
    list_id: ListId,
    permit: Permit,
    role: Role,
    now: int,
    world: AskingWorld,
) -> _Leg:
    """Prepare one leg. The class comes from the keys before any guard looks at the person (PROTOCOL, cover leg)."""
    group = catalogue.group_of(inquiry.purpose)
    signed = world.copies.current(owner, list_id, group)
    manifest = signed.manifest if signed is not None else None
    if manifest is not None and manifest.expires_ns <= now:
        manifest = None
    # Without the owner's manifest its key types are unknown: unreachable, but padded as the permit would have it.
    ours = {KeyType(name) for name in permit.key_types}
    common = ours & set(manifest.key_types) if manifest is not None else ours
    today = datetime.fromtimestamp(now / 1e9, tz=UTC).date()
    keys = [
        (number, key)
        for number, traveller in enumerate(inquiry.travellers)
        for key in matchkeys.for_asking(
            traveller.person if list_id is ListId.PERSONS else None,
            traveller.documents,
            frozenset(common) - _TOO_LOOSE if _is_adult(traveller, today) else frozenset(common),
        )
    ]
    if not keys and manifest is not None and common:
        raise InputRefused(
            "nothing that can be asked about: give a document number, or a name with a birth year",
            field="traveller",
            code="NO_KEY",
        )
    class_size = batches.class_for(len(keys))
    count = max(1, -(-len(keys) // class_size))
    _judge_room(inquiry, officer, [key for _, key in keys], class_size, count)
    # Only of travellers that have a key: their number is bounded by the class, and so is the room for the reasons.
    asked = dict.fromkeys(number for number, _ in keys)
    guards = {number: _guard(inquiry, inquiry.travellers[number], owner, today) for number in asked}
    jitter_ns = int.from_bytes(world.chance.token(8), "big") % (max(0, permit.expires_ns - now) // 16 + 1)
    return _Leg(
        owner=owner,
        permit=permit,
        role=role,
        list_id=list_id,
        group=group,
        manifest=manifest if common else None,
        keys=tuple((number, key) for number, key in keys if not guards[number]),
        guards=tuple(f"{number}:{reason}" for number, reason in guards.items() if reason),
        class_size=class_size,
        leg_id=RequestId(world.chance.token(16)),
        seeds=tuple(world.chance.token(32) for _ in range(count)),
        permit_expires_ns=permit.expires_ns - jitter_ns,
    )


_TOO_LOOSE: Final = frozenset({KeyType.MET2_YEAR_1})
"""Never for an adult (T16)."""


def _is_adult(traveller: Traveller, today: date) -> bool:
    return traveller.person is not None and not could_be_child(traveller.person, today)


def _origins(inquiry: Inquiry, traveller: Traveller) -> Origins:
    return candidate_origins(traveller.person, traveller.documents, inquiry.declared_origins)


def _guard(inquiry: Inquiry, traveller: Traveller, owner: PeerId, today: date) -> str:
    """Why nothing about this traveller may reach this owner, or ""."""
    return floors.guard(
        inquiry.purpose,
        owner,
        origins=_origins(inquiry, traveller),
        protected=inquiry.protection_declared or any(document.is_protection for document in traveller.documents),
        child=traveller.person is not None and could_be_child(traveller.person, today),
        tags=traveller.person.tags if traveller.person is not None else frozenset(),
        asylum=inquiry.asylum,
        best_interest=bool(inquiry.best_interest),
    )


async def _run(leg: _Leg, inquiry: Inquiry, officer: Officer, world: AskingWorld) -> None:
    """Ask one owner, batch by batch, and look the outputs up at home. Ends with hits, a refusal or a failure."""
    if leg.manifest is None:
        leg.failure = "no_table"
        return
    # Of a traveller and an entry, by its handle: the strongest match, its label and its ticket.
    found: dict[tuple[int, bytes], tuple[MatchClass, labels.Label, bytes]] = {}
    try:
        async with asyncio.timeout(world.timeout_s * len(leg.seeds)):
            for batch, seed in enumerate(leg.seeds):
                part = leg.keys[batch * leg.class_size : (batch + 1) * leg.class_size]
                keys = [key for _, key in part]
                request, outputs, changed = await _one_batch(leg, batch, keys, seed, inquiry, officer, world)
                for index, ((number, key), y, said) in enumerate(zip(part, outputs, changed, strict=True)):
                    hit = _look_up(leg, number, key, y, said, world)
                    if hit is None:
                        continue
                    place = (number, hit.handle)
                    match = MatchClass.of(key.key_type)
                    if place not in found or _strength(match) > _strength(found[place][0]):
                        found[place] = (match, hit, _ticket(leg, request, keys, seed, index, y, hit.handle, world))
    except (PolicyDenied, PeerSuspended, QuotaExhausted, BaselineOutdated) as refusal:
        leg.refusal = getattr(refusal, "reasons", None) or (refusal.row.reason.lower(),)
        return
    except (
        PeerUnreachable,
        EpochRefused,
        CapabilityMissing,
        VerificationFailed,
        Malformed,
        NotFoundOrNotPermitted,
        RequestReused,
        TimeoutError,
    ) as failure:
        # A batch whose proof fails is void as a whole: unreachable, never "nothing to report".
        leg.failure = failure.row.reason.lower() if isinstance(failure, GatewayError) else "late"
        if isinstance(failure, EpochRefused) and world.stale is not None:
            world.stale(leg.owner)
        return
    origins = [_origins(inquiry, traveller) for traveller in inquiry.travellers]
    now = world.clock.now_ns()
    standing = [(*place, *found[place]) for place in sorted(found) if found[place][1].expiry_day >= now // DAY_NS]
    leg.hits = [
        Hit(
            reference=f"{leg.owner}-{handle.hex()}",
            owner=leg.owner,
            match=match,
            kind=label.kind,
            action=label.action,
            contact=label.contact,
            traveller=number,
            screening_required=origins[number].includes(leg.owner),
            case_id=world.chance.token(16) if ticket else b"",
        )
        for number, handle, match, label, ticket in standing
    ]
    if world.tickets is not None and standing:
        sealed = await world.tickets.keys.seal_case(world.tickets.own_key(), [ticket for *_, ticket in standing])
        leg.cases = [
            _candidate(leg, hit, one, inquiry, officer, now) for hit, one in zip(leg.hits, sealed, strict=True)
        ]


def _ticket(
    leg: _Leg,
    request: CheckRequest,
    keys: Sequence[MatchKey],
    seed: bytes,
    index: int,
    y: bytes,
    handle: bytes,
    world: AskingWorld,
) -> bytes:
    """What opens the case of a hit at its owner (T12), or b"" where cases are not kept."""
    if world.tickets is None:
        return b""
    slot, blind = batches.opening([key.input.open() for key in keys], seed, leg.class_size, index)
    request_hash = leg.request_hashes[-1]
    token = schedule.hit_token(schedule.token_key(y), world.state, leg.owner, leg.leg_id, request_hash)
    return Ticket(
        leg_id=leg.leg_id.value,
        batch=request.batch,
        request=world.tickets.encode(request),
        request_hash=request_hash,
        slot=slot,
        blind=blind,
        tag=schedule.tag(y),
        token=token,
        handle=handle,
    ).encode()


def _candidate(leg: _Leg, hit: Hit, ticket: bytes, inquiry: Inquiry, officer: Officer, now: int) -> Case:
    """The case that a hit begins: nobody abroad knows of it before a person confirms it."""
    expires_ns = now + profiles.CANDIDATE_NS
    return Case(
        case_id=hit.case_id,
        side=Side.ASKER,
        peer=leg.owner,
        purpose=inquiry.purpose,
        legal_basis=inquiry.legal_basis,
        agency=officer.agency,
        role=leg.role.value,
        list_id=leg.list_id.value,
        kind=hit.kind,
        match=hit.match,
        state=State.CANDIDATE,
        version=1,
        made_ns=now,
        due_ns=expires_ns,
        expires_ns=expires_ns,
        screening_required=hit.screening_required,
        ticket=ticket,
        history=(Step(Event.HIT, now, officer.officer),),
    )


def put(case: Case) -> ports.Change:
    """The change that keeps a case as it now is."""
    return ports.Change(
        "case.put",
        {
            "case_id": case.case_id,
            "peer": case.peer,
            "version": case.version,
            "open": case.is_open,
            "outbound": case.outbound.value,
            "due_ns": case.due_ns,
            "expires_ns": case.expires_ns,
            "body": case.encode(),
            "record": case.record,
            "state": case.state.value,
            "assigned": case.assigned,
            "offered": case.offered_to,
        },
    )


def _strength(match: MatchClass) -> int:
    return -list(MatchClass).index(match)


async def _one_batch(
    leg: _Leg,
    batch: int,
    part: Sequence[MatchKey],
    seed: bytes,
    inquiry: Inquiry,
    officer: Officer,
    world: AskingWorld,
) -> tuple[CheckRequest, list[bytes], list[bytes | None]]:
    """Blind, send, verify, unblind: what was asked, the 64-byte outputs of the real keys in their order, and what the
    deltas behind the table say of each."""
    assert leg.manifest is not None
    heavy = leg.class_size > BATCH_CLASSES[0]
    inputs = [key.input.open() for key in part]
    blinded = await world.compute.run(batches.blinded_elements, inputs, seed, leg.class_size, heavy=heavy)
    request = CheckRequest(
        leg_id=leg.leg_id,
        batch=batch,
        batches=len(leg.seeds),
        asker=world.state,
        owner=leg.owner,
        agency=officer.agency,
        role=leg.role,
        purpose=inquiry.purpose,
        legal_basis=inquiry.legal_basis,
        list_id=leg.list_id,
        group=leg.group,
        epoch=leg.manifest.scope.epoch,
        key_types=tuple(sorted(KeyType(name) for name in leg.permit.key_types)),
        known_version=leg.manifest.version,
        blinded=blinded,
        seed_commitment=batches.seed_commitment(seed),
        pair_seq=leg.pair_seq,
        baseline_digest=leg.permit.baseline,
        national_digest=leg.permit.national,
        permit_expires_ns=leg.permit_expires_ns,
        leaf_hash=leg.leaf_hash,
    )
    reply = await world.peers.check(leg.owner, request, timeout_s=world.timeout_s)
    leg.request_hashes.append(reply.request_hash)
    leg.replies.append(reply.signed)
    if reply.epoch != request.epoch:
        raise PeerUnreachable(f"{leg.owner}: answered for another epoch")
    outputs = await world.compute.run(
        batches.outputs,
        inputs,
        seed,
        leg.class_size,
        blinded,
        reply.evaluated,
        reply.proof,
        leg.manifest.public_key,
        heavy=heavy,
    )
    # Fetched by the number alone, for every leg and before anything is looked up: it tells a hit from a miss to nobody.
    around = CatchingUpWorld(world.peers, world.deltas, world.uow, world.timeout_s)
    behind = await catch_up(leg.owner, leg.manifest, reply.delta_number, around)
    if not behind:
        return request, outputs, [None] * len(outputs)
    told = [(one.delta.number, one.delta.delta_id, one.delta.rows) for one in behind]
    heavy = len(outputs) * len(told) > LOOKED_UP_INLINE
    return request, outputs, await world.compute.run(delta.newest, outputs, told, heavy=heavy)


LOOKED_UP_INLINE: Final = 256
"""Rows that are looked for on the loop, in under a millisecond; more go to a worker process."""


def _look_up(
    leg: _Leg, number: int, key: MatchKey, y: bytes, said: bytes | None, world: AskingWorld
) -> labels.Label | None:
    """The label that a key's output opens, or None. What the deltas said of the key comes before the table.

    A label that does not open is the owner's doing: the table's hash was checked against its signed manifest. It must
    show nowhere outside: an owner could spoil one person's label and read out of an incomplete answer, and out of the
    question put again, that this person stood at the booth. To the owner it is worth what leaving the entry out is.
    """
    assert leg.manifest is not None
    if said == delta.WITHDRAWN:
        return None
    try:
        if said is not None:
            return labels.decode(said)
        found = world.copies.find(leg.owner, leg.manifest, schedule.label_row(y, leg.manifest.version)[0])
        if found is None:
            return None
        table_id, sealed = found
        return labels.open_label(y, table_id, leg.manifest.version, sealed)
    except (VerificationFailed, Malformed):
        leg.spoiled.append(f"{number}:unreadable")
        return None


def _entry(leg: _Leg, inquiry: Inquiry, officer: Officer, phase: Phase) -> Entry:
    """A leg's entry. Guarded and real, hit and miss have the same fields and the same sizes (T4, T11)."""
    public: dict[str, Scalar] = {
        "purpose": inquiry.purpose,
        "basis": inquiry.legal_basis,
        "agency": officer.agency,
        "role": leg.role.value,
        "list": leg.list_id.value,
        "class": leg.class_size,
        "batches": len(leg.seeds),
        "leg": leg.leg_id.value,
        "agreement": leg.permit.agreement,
        "baseline": leg.permit.baseline,
        "national": leg.permit.national,
    }
    secret: dict[str, Scalar | list[Scalar]]
    room = KEY_SEALED_BYTES if phase is Phase.INTENT else HIT_SEALED_BYTES
    if phase is Phase.INTENT:
        # With these, seeds and keys the auditor makes each request again to the byte, and finds its hash in the owner's
        # log, also where the leg ended without a reply (T8).
        public |= {
            "epoch": leg.manifest.scope.epoch if leg.manifest is not None else "",
            "version": leg.manifest.version if leg.manifest is not None else 0,
            "key_types": ",".join(sorted(leg.permit.key_types)),
            "permit_expires_ns": leg.permit_expires_ns,
        }
        secret = {
            "officer": officer.officer,
            "case": inquiry.case_ref,
            "justification": inquiry.justification.open(),
            "seeds": list(leg.seeds),
            "keys": [key.input.open() for _, key in leg.keys],
        }
        guard: Mapping[str, Scalar | list[Scalar]] = {"guarded": bool(leg.guards), "why": list(leg.guards)}
    else:
        public |= {
            "intent_seq": leg.intent_seq,
            "reply": "refused" if leg.refusal else "unreachable" if leg.failure else "answered",
            "reason": ",".join(leg.refusal) or leg.failure,
            "request_hashes": b"".join(leg.request_hashes) or bytes(64 * len(leg.seeds)),
            "replies": cbor.encode([list(signed) for signed in leg.replies]),
        }
        secret = {"hits": [*(_found(leg, hit) for hit in leg.hits), *leg.spoiled]}
        guard = {}
    return Entry(
        "check.ask",
        phase,
        leg.owner,
        public=public,
        secret=secret,
        guard=guard,
        retention=leg.permit.retention,
        sealed_bytes=WORDS_SEALED_BYTES + room * leg.class_size * len(leg.seeds),
    )


def _found(leg: _Leg, hit: Hit) -> str:
    """A hit as the log has it, sealed: with which of the intent's keys are its traveller's, and the beginning of its
    case's number. Who holds a reader's key finds by it who was found, and nobody else (docs/adr/0021)."""
    places = [place for place, (number, _) in enumerate(leg.keys) if number == hit.traveller]
    first, count = (places[0], len(places)) if places else (0, 0)
    return f"{hit.traveller}:{hit.reference}:{hit.match.value}:{first}+{count}:{hit.case_id[:8].hex()}"


def _refused_entry(inquiry: Inquiry, officer: Officer, owner: PeerId, reasons: tuple[str, ...]) -> Entry:
    return Entry(
        "check.denied",
        Phase.EVENT,
        owner,
        public={
            "purpose": inquiry.purpose,
            "basis": inquiry.legal_basis,
            "agency": officer.agency,
            "reasons": ",".join(reasons),
        },
        secret={"officer": officer.officer, "case": inquiry.case_ref},
    )


def _sealed(inquiry: Inquiry, answer: CheckAnswer) -> bytes:
    """The answer under the client's key, padded so that a hit is not longer than a miss."""
    body = cbor.encode(
        {
            "hits": [
                [
                    h.reference,
                    h.owner,
                    h.match.value,
                    int(h.kind),
                    int(h.action),
                    h.contact,
                    h.traveller,
                    h.screening_required,
                    h.case_id,
                ]
                for h in answer.hits
            ],
            "unreachable": list(answer.unreachable),
            "refused": [[owner, list(reasons)] for owner, reasons in answer.refused],
        }
    )
    room = 2048 * max(1, -(-(len(body) + 4) // 2048))
    padded = len(body).to_bytes(4, "big") + body + bytes(room - len(body) - 4)
    return aead.seal(_reply_key(inquiry), bytes(12), inquiry.digest, padded)


def _reply_key(inquiry: Inquiry) -> bytes:
    """A key for this one question out of the client's, so that a client that keeps its key seals nothing twice under
    one nonce. One question has one stored answer (`home_reply.put` keeps the first)."""
    return expand(inquiry.reply_key.open(), lp("limen/home reply/1", inquiry.digest), 32)


def _stored(inquiry: Inquiry, stored: tuple[bytes, bytes]) -> CheckAnswer:
    digest, sealed = stored
    if digest != inquiry.digest:
        raise RequestReused("other words under this request id")
    padded = aead.open_(_reply_key(inquiry), bytes(12), inquiry.digest, sealed)
    body = cbor.decode(padded[4 : 4 + int.from_bytes(padded[:4], "big")])
    return CheckAnswer(
        request_id=inquiry.request_id,
        hits=tuple(
            Hit(ref, PeerId(owner), MatchClass(match), RecordKind(kind), Action(action), *others)
            for ref, owner, match, kind, action, *others in body["hits"]
        ),
        unreachable=tuple(PeerId(name) for name in body["unreachable"]),
        refused=tuple((PeerId(owner), tuple(reasons)) for owner, reasons in body["refused"]),
    )


def digest_of(parts: Sequence[bytes]) -> bytes:
    """SHA-512 over length-prefixed parts: what an inquiry's `digest` is made with, the reply key included."""
    running = hashlib.sha512()
    for part in parts:
        running.update(len(part).to_bytes(4, "big") + part)
    return running.digest()


__all__ = ["AskingWorld", "CheckAnswer", "Hit", "Inquiry", "Officer", "Traveller", "ask", "digest_of"]
