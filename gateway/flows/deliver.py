"""A case between two states: opening it, delivering the decision, closing it; each side's half (docs/cases.md).

What has to be sent stands in the case's own record until the other side has it, so a crash at any step forgets nothing;
what comes again changes nothing, because both sides know the case by one number. Each sending is decided anew (T5) and
is in the log before it leaves. Towards the other side every refusal looks the same (T4).
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256, sha512
from typing import Any, Final

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.disclosure import codes, profiles, slots
from gateway.disclosure.case import CORRECTING, Case, Event, Outbound, Side, Signature, State, Step, decode, move
from gateway.disclosure.ticket import LIFE_NS, Ticket
from gateway.errors import (
    EpochRefused,
    GatewayError,
    InputRefused,
    Malformed,
    NotFoundOrNotPermitted,
    NotIdentified,
    PolicyDenied,
    VerificationFailed,
    VersionMoved,
)
from gateway.federation import envelope, statement
from gateway.federation.statement import PersonalSignature
from gateway.flows.casework import (
    CaseWorld,
    Closing,
    Decision,
    OpenCase,
    Origin,
    decide,
    entry,
    held,
    personal,
    put,
    record,
    release_facts,
    version_of,
)
from gateway.flows.deciding import expect, signed_of
from gateway.flows.disclose import OUTCOME_NS, ROLES
from gateway.flows.publish import keys_of
from gateway.people import dates
from gateway.policy import catalogue
from gateway.policy.decision import Permit
from gateway.policy.question import Stage
from gateway.primitives import cbor
from gateway.pseudonym import oprf, schedule
from gateway.terms.exchange import Came, CheckRequest, Named
from gateway.terms.ids import PeerId, RequestId
from gateway.terms.words import KeyType, MatchClass
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import ListEntry
from gateway.watchlist.publish import may_tell

OPEN_MAX: Final = 1_000
"""Open cases that one peer may have here (T19)."""

_CONFIRM, _REQUEST = statement.CASE_ACTS["confirm"], statement.CASE_ACTS["request"]
_PREPARE, _APPROVE = statement.CASE_ACTS["prepare"], statement.CASE_ACTS["approve"]


# -- Sending ----------------------------------------------------------------------------------------------------------


async def send(case_id: bytes, world: CaseWorld) -> None:
    """Try once to bring the other side what waits in this case.

    Raises:
        PeerUnreachable, PolicyDenied and others of the catalogue: not now; what waits stays in the record.
    """
    case = held(case_id, world)
    if case.outbound is Outbound.NONE:
        return
    now = world.clock.now_ns()
    try:
        if case.outbound is Outbound.OPEN:
            await _send_open(case, world, now)
        elif case.outbound is Outbound.DECISION:
            await _send_decision(case, world, now)
        else:
            await _send_close(case, world, now)
    except PolicyDenied as denied:
        reasons = ",".join(denied.reasons)
        await world.uow.commit([entry("case.denied", case, public={"act": "send", "reasons": reasons})])
        raise


async def _send_open(case: Case, world: CaseWorld, now: int) -> None:
    permit = await decide(case, world, now, stage=Stage.ASK)
    persons = tuple(one for one in case.signatures if one.act in (_CONFIRM, _REQUEST))
    (ticket,) = await world.case_keys.open_case([case.ticket])
    named = await _enter(case, "open", persons, permit, world)
    message = OpenCase(
        case_id=case.case_id,
        ticket=ticket,
        purpose=case.purpose,
        legal_basis=case.legal_basis,
        fields=case.fields,
        reply_key=world.case_key_of(world.state),
        sealed=case.reasons,
        signatures=tuple(personal(one) for one in persons),
        pair_seq=named.pair_seq,
        named=named,
        baseline=permit.baseline,
        national=permit.national,
        permit_expires_ns=permit.expires_ns,
    )
    try:
        await world.peers.open_case(case.peer, message, timeout_s=world.timeout_s)
    except NotFoundOrNotPermitted:
        # The owner says no more than that; for us it is a refusal.
        due_ns = now + OUTCOME_NS
        await _settle(case, Event.DENY, world, refusal="R11", ticket=b"", due_ns=due_ns, expires_ns=0)
        return
    await _settle(case, Event.ACKNOWLEDGE, world, ticket=b"")


async def _send_decision(case: Case, world: CaseWorld, now: int) -> None:
    """Decided once more at the moment of sending: rules, tags, record and recipient as they now are (T5).

    Refusals wait for witnesses like disclosures, so that waiting tells nothing.
    """
    world.judge_witnesses()
    permit = await decide(case, world, now, stage=Stage.ANSWER)
    changes = []
    origin = None
    persons: tuple[Signature, ...] = ()
    if case.state is State.REFUSED:
        plain = slots.lay_out(case.fields, {}, {})
    else:
        if case.recipient != world.case_key_of(case.peer):
            await _return(case, world, now)
            raise VersionMoved("the peer's case key is another")
        try:
            found, body = record(case, permit, world, now)
        except NotFoundOrNotPermitted:
            # To the peer an abandoned case: no answer, then the end of its time.
            await _settle(case, Event.FREEZE, world, due_ns=0, expires_ns=0)
            raise
        if version_of(body) != case.record_version:
            await _return(case, world, now)
            raise VersionMoved("the record changed after it was approved")
        persons = tuple(one for one in case.signatures if one.act in (_PREPARE, _APPROVE))
        try:
            _judge_release(case, persons, world)
        except (VerificationFailed, NotIdentified, Malformed):
            # Whoever can write in the store cannot sign: what two persons did not release goes back to them.
            reason = {"act": "send", "reasons": "second_person"}
            await world.uow.commit([entry("case.denied", case, public=reason)])
            await _return(case, world, now)
            raise
        values = {name: one for name, one in values_of(found).items() if name in case.released}
        plain = slots.lay_out(case.fields, values, marks_of(found, now))
        origin = Origin(found.originator, found.provenance, found.decision, found.legal_basis)
        changes.append(
            {"list": case.list_id, "entry_id": case.entry_id, "body": body},
        )
    sealed = tuple(await world.case_keys.seal_case(case.recipient, plain))
    named = await _enter(case, "decision", persons, permit, world, *changes)
    message = Decision(
        case_id=case.case_id,
        record_version=case.record_version,
        refusal=codes.OUTSIDE.get(case.refusal, case.refusal),
        origin=origin,
        sealed=sealed,
        signatures=tuple(personal(one) for one in persons),
        pair_seq=named.pair_seq,
        named=named,
        baseline=permit.baseline,
        national=permit.national,
        permit_expires_ns=permit.expires_ns,
    )
    bring = world.peers.correct if case.state is State.CORRECTED else world.peers.deliver
    try:
        await bring(case.peer, message, timeout_s=world.timeout_s)
    except NotFoundOrNotPermitted:
        # The asker has ended it meanwhile.
        await _settle(case, Event.CLOSE, world, due_ns=0, expires_ns=0)
        return
    await _settle(case, Event.DELIVER, world, due_ns=0, expires_ns=0)


async def _return(case: Case, world: CaseWorld, now: int) -> None:
    """People look at it again. What a correction is of stays: the other side holds those fields."""
    released = case.released if case.state is State.CORRECTED else ()
    await _settle(case, Event.RETURN, world, released=released, due_ns=now + profiles.DUE_NS)


def _judge_release(case: Case, persons: Sequence[Signature], world: CaseWorld) -> None:
    """Two of our own people signed exactly this release (T7): judged again where it leaves, because between the
    approval and the sending the case lies in a store that an operator can write.

    Raises:
        VerificationFailed, NotIdentified, Malformed: they did not.
    """
    facts = release_facts(case, world.state)
    people = []
    for act in ("prepare", "approve"):
        word = statement.CASE_ACTS[act]
        kept = [one for one in persons if one.act == word]
        if len(kept) != 1:
            raise VerificationFailed("persons", "a release carries one preparation and one approval")
        signed = personal(kept[0])
        said = statement.says(signed, word, {})
        # Of the signer's own words only a digest stands in the statement.
        told = {**facts, "code": said.get("code"), "words": said.get("words")}
        # By the register as it was when they signed: who has left since had signed.
        person = statement.verify(
            signed, word, told, register=world.register(), roles=ROLES[act], now_ns=signed.signed_ns
        )
        if person.public_key != kept[0].key:
            raise VerificationFailed("persons", "the key kept beside a signature is another")
        people.append(person)
    if people[0].officer == people[1].officer:
        raise VerificationFailed("persons", "one person did both parts of a release")


async def _send_close(case: Case, world: CaseWorld, now: int) -> None:
    permit = await decide(case, world, now, stage=Stage.ASK)
    acts = (statement.CASE_ACTS["outcome"], statement.CASE_ACTS["withdraw"])
    persons = tuple(one for one in case.signatures if one.act in acts)
    named = await _enter(case, "close", persons, permit, world)
    message = Closing(
        case_id=case.case_id,
        code=case.outcome,
        signatures=tuple(personal(one) for one in persons),
        pair_seq=named.pair_seq,
        named=named,
        baseline=permit.baseline,
        national=permit.national,
        permit_expires_ns=permit.expires_ns,
    )
    with contextlib.suppress(NotFoundOrNotPermitted):
        # Where it never was open, or is over already, there is nobody left to tell.
        await world.peers.close_case(case.peer, message, timeout_s=world.timeout_s)
    await _settle(case, Event.CLOSE, world, due_ns=0, expires_ns=0)


async def _enter(
    case: Case,
    message: str,
    persons: tuple[Signature, ...],
    permit: Permit,
    world: CaseWorld,
    *records: Mapping[str, object],
) -> Named:
    """The entry before a message leaves, in the transaction that compares rules and record, as the message names it."""
    sent = entry(
        "case.sent",
        case,
        public={
            "message": message,
            "state": case.state.value,
            "fields": ",".join(case.released if message == "decision" else case.fields),
            "recipient": sha256(case.recipient).digest() if case.recipient else b"",
            "record_version": case.record_version,
            "persons": cbor.encode([[one.act, one.key, one.statement, one.signature] for one in persons]),
            "baseline": permit.baseline,
            "national": permit.national,
        },
    )
    committed = await world.uow.commit(
        [sent],
        [
            expect(permit, case.peer),
            ports.Change("case.expect", {"case_id": case.case_id, "version": case.version}),
            *(ports.Change("entry.expect", one) for one in records),
        ],
    )
    return Named(committed.pair_seqs[0], committed.hashes[0], _about(case.case_id, message))


def _about(case_id: bytes, message: str) -> bytes:
    return envelope.about({"case_id": case_id, "message": message})


def _judge_named(came: Came, pair_seq: int, case_id: bytes, message: str) -> None:
    """The header names the entry that the body names, and is about this message. Raises Malformed."""
    named = came.named
    if named is not None and (named.pair_seq, named.about) != (pair_seq, _about(case_id, message)):
        raise Malformed("header.entry", "is about another message than the body")


async def _settle(case: Case, event: Event, world: CaseWorld, **changes: Any) -> None:
    """Nothing waits any more: the move after the other side has answered, or the gateway's own."""
    now = world.clock.now_ns()
    after = move(case, event, now, outbound=Outbound.NONE, **changes)
    await world.uow.commit(
        [
            entry(
                "case.taken",
                after,
                public={
                    "message": event.value.lower(),
                    "state": after.state.value,
                    "request_hash": b"",
                },
            )
        ],
        [put(after)],
    )


# -- Receiving: the owner's half --------------------------------------------------------------------------------------


async def receive_open(peer: PeerId, asked: OpenCase, came: Came, world: CaseWorld) -> int:
    """Open a case for a true hit of a logged check (T12). Returns our entry's number in the pair's sequence.

    Raises:
        NotFoundOrNotPermitted: whatever does not hold; the cause is in our own log alone.
    """
    now = world.clock.now_ns()
    try:
        _judge_named(came, asked.pair_seq, asked.case_id, "open")
        body = world.book.case(asked.case_id)
        if body is not None:
            # Before anything is asked of the record: a case that comes again must not show that its record was
            # withdrawn or tagged since (T5). The rules have their say again.
            before = decode(body)
            _judge_same(peer, asked, before)
            await decide(before, world, now, stage=Stage.ANSWER)
            return await _again(peer, before, "open", came, world)
        ticket = Ticket.decode(asked.ticket)
        case, permit = await _judged_open(peer, asked, ticket, world, now)
        committed = await world.uow.commit(
            [
                _taken(
                    case,
                    "open",
                    came,
                    case.fields,
                    {"entry_id": case.entry_id},
                    answered=ticket.request_hash,
                )
            ],
            [
                expect(permit, peer),
                ports.Change(
                    "case.token",
                    {
                        "peer": peer,
                        "request_id": ticket.leg_id,
                        "entry_id": case.entry_id,
                        "case_id": case.case_id,
                    },
                ),
                put(case),
            ],
        )
    except _NOT_TAKEN as cause:
        raise await _dropped(peer, asked.case_id, "open", came, cause, world) from None
    return committed.pair_seqs[0]


_NOT_TAKEN = (
    PolicyDenied,
    Malformed,
    InputRefused,
    VerificationFailed,
    VersionMoved,
    EpochRefused,
    NotFoundOrNotPermitted,
)
"""Causes that look alike from outside."""


async def _judged_open(
    peer: PeerId, asked: OpenCase, ticket: Ticket, world: CaseWorld, now: int
) -> tuple[Case, Permit]:
    """The case as it would begin, and what permits it. Every cause of a no is raised here; the caller gives them one
    face."""
    # 1. The request we answered: its bytes, its sender, its reply in our store, within a day.
    request = world.read_check(ticket.request)
    if sha512(ticket.request).digest() != ticket.request_hash or request.leg_id.value != ticket.leg_id:
        raise VerificationFailed("opening", "is not of the request it names")
    if (request.asker, request.owner) != (peer, world.state) or request.batch != ticket.batch:
        raise VerificationFailed("opening", "is of another pair")
    reply = world.book.find(peer, world.check_method, RequestId(ticket.leg_id), ticket.batch)
    if reply is None or reply.request_hash != ticket.request_hash or now > request.permit_expires_ns + LIFE_NS:
        raise VerificationFailed("opening", "is of no check that we answered within a day")
    if (asked.purpose, asked.legal_basis) != (request.purpose, request.legal_basis):
        raise VerificationFailed("opening", "has another purpose or basis than the check")
    # 2. The entry, by its handle; what it may still be told.
    begun = Case(
        case_id=asked.case_id,
        side=Side.OWNER,
        peer=peer,
        purpose=request.purpose,
        legal_basis=request.legal_basis,
        agency=request.agency,
        role=request.role.value,
        list_id=request.list_id.value,
        kind=catalogue.kinds_of_list(request.list_id)[0],
        match=MatchClass.NAME_SOUND_AND_DATE,
        state=State.UNDER_REVIEW,
        version=1,
        made_ns=now,
    )
    found, body = await _entry_of(ticket, request, world)
    begun = replace(begun, kind=found.kind)
    permit = await decide(begun, world, now, stage=Stage.ANSWER)
    if may_tell(found, peer, kinds=permit.kinds, owner=world.state, now_ns=now) is not None:
        raise NotFoundOrNotPermitted("the record may not be told to this peer")
    # 3. The key that was hit: its token, and its point in the batch.
    match = await _hit_of(ticket, request, found, peer, world)
    # 4. The persons, and what they ask for.
    fields = profiles.chosen(found.kind, asked.fields)
    if fields != asked.fields or asked.reply_key != world.case_key_of(peer):
        raise VerificationFailed("fields", "are not the template's, or the reply key is not the member's")
    signatures, urgency, digest = _askers(peer, asked, world)
    if world.book.open_cases(peer) >= OPEN_MAX:
        raise NotFoundOrNotPermitted("too many open cases of this peer")
    due_ns = now + profiles.answer_ns(found.kind, urgency)
    case = replace(
        begun,
        match=match,
        due_ns=due_ns,
        expires_ns=now + profiles.EXPIRES_NS,
        urgency=urgency,
        fields=fields,
        recipient=asked.reply_key,
        entry_id=found.entry_id,
        record_version=version_of(body),
        words_digest=digest,
        reasons=asked.sealed,
        signatures=signatures,
        history=(Step(Event.OPENED, now),),
    )
    return case, permit


def _judge_same(peer: PeerId, asked: OpenCase, case: Case) -> None:
    """What comes again is what was opened. Raises NotFoundOrNotPermitted."""
    signed = {one.statement for one in case.signatures if one.act in (_CONFIRM, _REQUEST)}
    if (
        (case.side, case.peer) != (Side.OWNER, peer)
        or (case.purpose, case.legal_basis, case.fields) != (asked.purpose, asked.legal_basis, asked.fields)
        or case.recipient != asked.reply_key
        or signed != {one.statement for one in asked.signatures}
    ):
        raise NotFoundOrNotPermitted("the number is another case's")


async def _entry_of(ticket: Ticket, request: CheckRequest, world: CaseWorld) -> tuple[ListEntry, bytes]:
    entry_id = await world.handles.entry_id(ticket.handle, request.scope, request.list_id, world)
    body = world.book.entry(request.list_id, entry_id) if entry_id is not None else None
    if body is None:
        raise NotFoundOrNotPermitted("no live entry of this handle")
    return entries.decode(body), body


async def _hit_of(
    ticket: Ticket, request: CheckRequest, found: ListEntry, peer: PeerId, world: CaseWorld
) -> MatchClass:
    """How the hit was made, shown by the key's own output and its point in the logged batch."""
    if not 0 <= ticket.slot < len(request.blinded) // 32:
        raise VerificationFailed("opening", "names no slot of the batch")
    point = request.blinded[ticket.slot * 32 : (ticket.slot + 1) * 32]
    listed = keys_of(found, frozenset(KeyType(one) for one in request.key_types))
    inputs = [key.input.open() for key in listed]
    try:
        outputs = await world.keys.derive(request.scope, inputs)
    except EpochRefused:
        # Its key is destroyed: nobody can tell a hit of that epoch any more. The asker asks anew.
        raise NotFoundOrNotPermitted("the check's epoch has ended") from None
    for key, one, y in zip(listed, inputs, outputs, strict=True):
        if not hmac.compare_digest(schedule.tag(y), ticket.tag):
            continue
        leg_id = RequestId(ticket.leg_id)
        token = schedule.hit_token(schedule.token_key(y), peer, world.state, leg_id, ticket.request_hash)
        try:
            (blinded,) = oprf.blind([one], [ticket.blind])
        except (ValueError, GatewayError):
            break
        if hmac.compare_digest(token, ticket.token) and hmac.compare_digest(blinded, point):
            return MatchClass.of(key.key_type)
        break
    raise VerificationFailed("token", "is not of a key of this entry in this batch")


def _askers(peer: PeerId, asked: OpenCase, world: CaseWorld) -> tuple[tuple[Signature, ...], str, bytes]:
    """(their signatures, the urgency, the digest of their words). Raises VerificationFailed."""
    facts = {
        "case": asked.case_id,
        "state": peer,
        "peer": world.state,
        "purpose": asked.purpose,
        "legal_basis": asked.legal_basis,
    }
    by_act = {_act_of(one): one for one in asked.signatures}
    if by_act.keys() != {_CONFIRM, _REQUEST} or len(asked.signatures) != 2:
        raise VerificationFailed("persons", "a request carries a confirmation and a request")
    statement.says(by_act[_CONFIRM], _CONFIRM, facts)
    said = statement.says(by_act[_REQUEST], _REQUEST, {**facts, "fields": list(asked.fields)})
    urgency = codes.judge(str(said.get("code")), "request", "urgency")
    return (
        tuple(Signature(act, one.statement, one.signature) for act, one in by_act.items()),
        urgency,
        bytes(said.get("words") or b""),
    )


def _act_of(signed: PersonalSignature) -> str:
    said = cbor.decode(signed.statement)
    return str(said.get("act")) if isinstance(said, dict) else ""


async def receive_close(peer: PeerId, told: Closing, came: Came, world: CaseWorld) -> int:
    """What came of the case, or its withdrawal. Returns our entry's number in the pair's sequence.

    Raises:
        NotFoundOrNotPermitted: no such case of this peer's.
    """
    try:
        _judge_named(came, told.pair_seq, told.case_id, "close")
        case = held(told.case_id, world)
        if case.peer != peer or case.side is not Side.OWNER:
            raise NotFoundOrNotPermitted("not a case of this peer's")
        said = {one.statement for one in case.signatures}
        if case.state is State.CLOSED or any(one.statement in said for one in told.signatures):
            return await _again(peer, case, "close", came, world)
        if told.code != "WITHDRAWN":
            codes.judge(told.code, "outcome")
        word = statement.CASE_ACTS["withdraw" if told.code == "WITHDRAWN" else "outcome"]
        (one,) = told.signatures if len(told.signatures) == 1 else (None,)
        if one is None:
            raise VerificationFailed("persons", "an outcome is one person's word")
        statement.says(one, word, {"case": case.case_id, "state": peer, "peer": world.state})
        signatures = (*case.signatures, Signature(word, one.statement, one.signature))
        now = world.clock.now_ns()
        if case.state in CORRECTING and told.code != "DIFFERENT_PERSON":
            # It was said of what is being corrected, and they still hold it.
            after = move(case, Event.OUTCOME, now, outcome=told.code, signatures=signatures)
        else:
            after = move(
                case,
                Event.CLOSE,
                now,
                outcome=told.code,
                outbound=Outbound.NONE,
                due_ns=0,
                expires_ns=0,
                sealed=(),
                reasons=b"",
                signatures=signatures,
            )
        return await _take(after, "close", came, {"code": told.code}, world)
    except _NOT_TAKEN as cause:
        raise await _dropped(peer, told.case_id, "close", came, cause, world) from None


# -- Receiving: the asker's half --------------------------------------------------------------------------------------


async def receive_decision(peer: PeerId, told: Decision, came: Came, world: CaseWorld) -> int:
    """The owner's decision, with the approvals of two persons where anything is disclosed (T7).

    Returns our entry's number in the pair's sequence: the receipt.

    Raises:
        NotFoundOrNotPermitted: no such case here, or it is over, or the approvals do not hold.
    """
    try:
        _judge_named(came, told.pair_seq, told.case_id, "decision")
        case = held(told.case_id, world)
        if case.peer != peer or case.side is not Side.ASKER:
            raise NotFoundOrNotPermitted("not a case with this peer")
        decided = {State.GRANTED, State.PARTLY_GRANTED, State.REFUSED, State.OUTCOME_REPORTED, State.CLOSED}
        if case.state in decided and case.record_version == told.record_version and not case.ticket:
            return await _again(peer, case, "decision", came, world)
        if len(told.sealed) != len(case.fields) + 1 or len({len(one) for one in told.sealed}) != 1:
            raise VerificationFailed("slots", "are not one for each field asked, of one size")
        now = world.clock.now_ns()
        changes: dict[str, Any] = {
            "outbound": Outbound.NONE,
            "ticket": b"",
            "record_version": told.record_version,
            "due_ns": now + OUTCOME_NS,
            "expires_ns": 0,
        }
        if told.refusal:
            if told.signatures or told.refusal not in codes.REFUSALS or told.refusal in codes.OUTSIDE:
                raise VerificationFailed("refusal", "is not a code that is shown outside")
            after = move(case, Event.DENY, now, refusal=told.refusal, **changes)
        else:
            released = _approvers(case, peer, told, world)
            event = Event.GRANT if released == case.fields else Event.GRANT_PART
            approved = tuple(Signature(_act_of(one), one.statement, one.signature) for one in told.signatures)
            after = move(
                case,
                event,
                now,
                released=released,
                sealed=told.sealed,
                signatures=(*case.signatures, *approved),
                **changes,
            )
        return await _take(after, "decision", came, {}, world)
    except _NOT_TAKEN as cause:
        raise await _dropped(peer, told.case_id, "decision", came, cause, world) from None


async def receive_correction(peer: PeerId, told: Decision, came: Came, world: CaseWorld) -> int:
    """The fields that were disclosed to us, of the record as it is now: they take the place of the older ones, and our
    people look at the case again. Returns our entry's number in the pair's sequence: the receipt.

    Raises:
        NotFoundOrNotPermitted: no such case here, nothing is held of it any more, or the approvals do not hold.
    """
    try:
        # The sender enters a correction as a decision, on the same two signatures.
        _judge_named(came, told.pair_seq, told.case_id, "decision")
        case = held(told.case_id, world)
        if case.peer != peer or case.side is not Side.ASKER:
            raise NotFoundOrNotPermitted("not a case with this peer")
        taken = {one.statement for one in case.signatures}
        if told.signatures and all(one.statement in taken for one in told.signatures):
            return await _again(peer, case, "correction", came, world)
        if not case.sealed or told.refusal:
            raise NotFoundOrNotPermitted("nothing of this case is held that could be corrected")
        if len(told.sealed) != len(case.fields) + 1 or len({len(one) for one in told.sealed}) != 1:
            raise VerificationFailed("slots", "are not one for each field asked, of one size")
        if _approvers(case, peer, told, world) != case.released:
            raise VerificationFailed("fields", "are not those that were disclosed")
        now = world.clock.now_ns()
        # Every approval is kept, so that an older correction that comes again is known for one.
        kept = tuple(one for one in case.signatures if one.act != statement.CASE_ACTS["outcome"])
        approved = tuple(Signature(_act_of(one), one.statement, one.signature) for one in told.signatures)
        after = move(
            case,
            Event.CORRECT,
            now,
            outbound=Outbound.NONE,
            outcome="",
            record_version=told.record_version,
            sealed=told.sealed,
            due_ns=now + OUTCOME_NS,
            expires_ns=0,
            signatures=(*kept, *approved),
        )
        return await _take(after, "correction", came, {}, world)
    except _NOT_TAKEN as cause:
        raise await _dropped(peer, told.case_id, "correction", came, cause, world) from None


def _approvers(case: Case, peer: PeerId, told: Decision, world: CaseWorld) -> tuple[str, ...]:
    """The fields that two distinct persons of the owner's released to us. Raises VerificationFailed."""
    by_act = {_act_of(one): one for one in told.signatures}
    if by_act.keys() != {_PREPARE, _APPROVE} or len(told.signatures) != 2:
        raise VerificationFailed("persons", "a disclosure carries a preparation and an approval")
    if by_act[_PREPARE].key_thumbprint == by_act[_APPROVE].key_thumbprint:
        raise VerificationFailed("persons", "one person did both parts of a release")
    said = statement.says(by_act[_PREPARE], _PREPARE, {})
    listed = said.get("fields")
    released = tuple(str(one) for one in listed) if isinstance(listed, list) else ()
    if not released or released != tuple(name for name in case.fields if name in released):
        raise VerificationFailed("fields", "were not all asked for")
    facts = statement.case(
        case_id=case.case_id,
        state=peer,
        peer=world.state,
        purpose=case.purpose,
        legal_basis=case.legal_basis,
        fields=released,
        withheld=[name for name in case.fields if name not in released],
        recipient=sha256(world.case_key_of(world.state)).digest(),
        record_version=told.record_version,
    )
    del facts["words"]
    for word, one in by_act.items():
        statement.says(one, word, facts)
    return released


def _taken(
    after: Case,
    message: str,
    came: Came,
    fields: Sequence[str],
    secret: Mapping[str, str],
    **more: bytes,
) -> Entry:
    """The entry of a message that moved the case. Only what the other side's persons signed counts as theirs."""
    persons = [[one.act, one.statement, one.signature] for one in after.signatures if not one.key]
    return entry(
        "case.taken",
        after,
        public={
            "message": message,
            "state": after.state.value,
            "request_hash": came.request_hash,
            "signed": signed_of(came),
            "persons": cbor.encode(persons),
            "record_version": after.record_version,
            "fields": ",".join(fields),
            **more,
        },
        secret=secret,
    )


async def _take(after: Case, message: str, came: Came, secret: Mapping[str, str], world: CaseWorld) -> int:
    taken = _taken(after, message, came, after.released, secret)
    return (await world.uow.commit([taken], [put(after)])).pair_seqs[0]


async def _again(peer: PeerId, case: Case, message: str, came: Came, world: CaseWorld) -> int:
    """What came before came again: an entry, the same answer, and no move."""
    if case.peer != peer:
        raise NotFoundOrNotPermitted("the number is another case's")
    again = entry(
        "case.taken",
        case,
        public={
            "message": message,
            "state": case.state.value,
            "request_hash": came.request_hash,
            "signed": signed_of(came),
        },
    )
    return (await world.uow.commit([again])).pair_seqs[0]


async def _dropped(
    peer: PeerId, case_id: bytes, message: str, came: Came, cause: GatewayError, world: CaseWorld
) -> NotFoundOrNotPermitted:
    """The one face of every no, after the true cause is in our own log, sealed."""
    await world.uow.commit(
        [
            Entry(
                "case.dropped",
                Phase.EVENT,
                peer,
                public={
                    "case_id": case_id,
                    "message": message,
                    "request_hash": came.request_hash,
                    "signed": signed_of(came),
                },
                secret={"cause": f"{cause.row.reason}: {cause}"[:200]},
            )
        ]
    )
    return NotFoundOrNotPermitted("no such case")


# -- What is disclosed ------------------------------------------------------------------------------------------------


def values_of(found: ListEntry) -> dict[str, tuple[str, ...]]:
    """Every field of the template that this record can fill, as it is told."""
    documents = tuple(" ".join((one.code, one.issuer, one.number.open())).strip() for one in found.documents)
    values: dict[str, tuple[str, ...]] = {
        "document": documents,
        "status": (found.kind.name,),
        "valid_until": (found.valid_until.isoformat(),),
        "action": (found.action.name,),
        "contact": (str(found.contact),),
    }
    person = found.person
    if person is not None:
        values["names"] = tuple(f"{one.surname}, {one.given_names}".strip(", ") for one in person.names.open())
        values["birth_date"] = tuple(
            f"{'about ' if one.circa else ''}{one.iso} ({one.precision.value})"
            for one in person.births()
            if one.precision is not dates.Precision.UNKNOWN
        )
        values["sex"] = (person.sex.value,)
        values["nationality"] = person.nationalities
    return values


def marks_of(found: ListEntry, now_ns: int) -> dict[str, tuple[str, ...]]:
    """What goes with every disclosure: whom it is about, on what it rests, how sure it is, as of when, and the
    conditions of its use."""
    return {
        "subject_category": (profiles.SUBJECT_CATEGORY[found.kind],),
        "basis": (profiles.BASIS[found.kind],),
        "reliability": (profiles.RELIABILITY[found.kind],),
        "as_of": (profiles.day(now_ns),),
        "conditions": profiles.conditions(found.kind),
    }


__all__ = ["receive_close", "receive_correction", "receive_decision", "receive_open", "send", "values_of"]
