"""Answer a peer's check: policy, then log, then answer (rule 1).

The walk is docs/flows/answer.md. The owner never learns whether anything was found: it evaluates blinded points, and
the asker looks the result up in a table at home.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import (
    BaselineOutdated,
    EpochRefused,
    GatewayError,
    PeerSuspended,
    PolicyDenied,
    QuotaExhausted,
    RequestReused,
)
from gateway.flows.deciding import decide, expect, signed_of
from gateway.policy import catalogue
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.terms.exchange import Came, CheckReply, CheckRequest, SignedMessage
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import ListId

REPLY_KEPT_NS = 24 * 3600 * 10**9
"""How long a reply stays for idempotency (ARCHITECTURE, decision 16)."""

DAY_NS = 24 * 3600 * 10**9


class PeerBook(Protocol):
    """What answering needs to know of a peer, read afresh on every call."""

    def is_suspended(self, peer: PeerId) -> bool:
        """True from the moment the suspension is durable."""

    def quota_used(self, peer: PeerId, list_id: ListId, group: str, day: int) -> int:
        """Padded slots charged to the peer on this UTC day."""

    def epoch_end(self, peer: PeerId, epoch: EpochId) -> int | None:
        """When an epoch of the peer ends, UTC ns, whether pending, active or retired; None for one it does not have."""

    def delta_number(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> int:
        """The newest delta made for the peer in the epoch, 0 before the first."""


MakeFrame = Callable[[CheckRequest, CheckReply, int], ports.ReplyFrame]
"""Wire form of the reply to a request, without its points, and the time it is signed at (`rpc.convert`)."""


@dataclass(frozen=True, slots=True)
class AnsweringWorld:
    """The surroundings of an answering gateway."""

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    replies: ports.Replies
    published: ports.Tables
    keys: ports.Keys
    book: PeerBook
    clock: ports.Clock
    make_frame: MakeFrame
    method: str


async def answer(request: CheckRequest, came: Came, world: AnsweringWorld) -> SignedMessage:
    """Evaluate one batch for a peer, prove it, and return the signed reply.

    Both entries are durable before the reply leaves; the
    charge is durable before anything is evaluated. A replay passes every gate again and then gets the stored bytes.

    Raises:
        PeerSuspended, PolicyDenied, BaselineOutdated, EpochRefused, RequestReused, QuotaExhausted: in the log, told.
        AuditUnavailable, KeysUnavailable: nothing was revealed.
    """
    now = world.clock.now_ns()
    request_hash = came.request_hash
    try:
        permit, expires_ns = await _gates(request, now, world)
    except GatewayError as refusal:
        await world.uow.commit([_refused(request, came, refusal)])
        raise

    stored = world.replies.find(request.asker, world.method, request.leg_id, request.batch)
    if stored is not None:
        if stored.request_hash != request_hash:
            await world.uow.commit([_refused(request, came, RequestReused("other bytes under this id"))])
            raise RequestReused(f"{request.asker}: other bytes under this request id")
        return stored.message

    day = now // DAY_NS
    charge = request.class_size * request.batches if request.batch == 0 else 0
    public = _public(request, request_hash, permit) | {"signed": signed_of(came)}
    intent = Entry("check.answer", Phase.INTENT, request.asker, public=public)
    try:
        committed = await world.uow.commit(
            [intent],
            [
                expect(permit, request.asker),
                ports.Change(
                    "quota.charge",
                    {
                        "peer": request.asker,
                        "list": request.list_id.value,
                        "group": request.group,
                        "day": day,
                        "leg_id": request.leg_id.value,
                        "batch": request.batch,
                        "slots": request.class_size,
                        "amount": charge,
                        "limit": permit.slots_per_day,
                        # A charge knows its bytes: while the first is still being answered, or after its answer was
                        # lost, nothing else is evaluated under its id (docs/protocol/envelope.md, replays).
                        "request_hash": request_hash,
                    },
                ),
            ],
        )
    except (PeerSuspended, QuotaExhausted, RequestReused) as refusal:
        await world.uow.commit([_refused(request, came, refusal)])
        raise

    used = world.book.quota_used(request.asker, request.list_id, request.group, day)
    current = world.published.current(request.asker, request.list_id, request.group)
    reply = CheckReply(
        request_hash=request_hash,
        evaluated=b"",
        proof=b"",
        epoch=request.epoch,
        table_version=current.manifest.version if current else 0,
        quota_left=max(0, permit.slots_per_day - used),
        pair_seq=committed.pair_seqs[0],
        leaf_hash=committed.hashes[0] if came.named is not None else b"",
        delta_number=world.book.delta_number(request.asker, request.list_id, request.group, request.epoch),
    )
    message = await world.keys.evaluate_and_sign(request.scope, request.blinded, world.make_frame(request, reply, now))

    outcome = Entry(
        "check.answer",
        Phase.OUTCOME,
        request.asker,
        public={
            **_public(request, request_hash, permit),
            "reply_hash": _hash_of(message),
            "table_version": reply.table_version,
            "intent_seq": committed.seqs[0],
        },
    )
    await world.uow.commit(
        [outcome],
        [
            expect(permit, request.asker),
            ports.Change(
                "reply.put",
                {
                    "peer": request.asker,
                    "method": world.method,
                    "leg_id": request.leg_id.value,
                    "batch": request.batch,
                    "request_hash": request_hash,
                    "body": message.body,
                    "header": message.header,
                    "signature": message.signature,
                    "expires_ns": min(now + REPLY_KEPT_NS, expires_ns),
                },
            ),
        ],
    )
    return message


async def _gates(request: CheckRequest, now: int, world: AnsweringWorld) -> tuple[Permit, int]:
    """Every reason to say no, cheapest first. Returns the permit and the epoch's expiry."""
    if world.book.is_suspended(request.asker):
        raise PeerSuspended(f"{request.asker} is suspended")
    if request.owner != world.state:
        raise PolicyDenied(("not_the_owner",))
    # The firewall is structural: a purpose reaches only its own group's table and key (decision 8).
    if catalogue.group_of(request.purpose) != request.group or request.list_id not in catalogue.lists_of(
        request.purpose
    ):
        raise PolicyDenied(("purpose_group",))
    question = Question(
        stage=Stage.ANSWER,
        purpose=request.purpose,
        operation=catalogue.check_operation(request.purpose),
        legal_basis=request.legal_basis,
        list_id=request.list_id,
        key_types=request.key_types,
        class_size=request.class_size,
        asker=request.asker,
        owner=request.owner,
        agency=request.agency,
        role=request.role,
        has_case=True,
        signers=0,
        time_ns=now,
    )
    permit = await decide(question, world.policy)
    if isinstance(permit, Deny):
        raise PolicyDenied(permit.reasons)
    if request.baseline_digest != permit.baseline:
        raise BaselineOutdated(f"{request.asker} holds another regional baseline")
    end_ns = world.book.epoch_end(request.asker, request.epoch)
    if end_ns is None or end_ns <= now:
        raise EpochRefused(f"{request.asker}: epoch not in force")
    return permit, end_ns


def _public(request: CheckRequest, request_hash: bytes, permit: Permit) -> dict[str, str | int | bytes]:
    return {
        "purpose": request.purpose,
        "basis": request.legal_basis,
        "agency": request.agency,
        "role": request.role.value,
        "list": request.list_id.value,
        "class": request.class_size,
        "batch": request.batch,
        "batches": request.batches,
        "peer_seq": request.pair_seq,
        "request_hash": request_hash,
        "seed_commitment": request.seed_commitment,
        "epoch": request.epoch,
        "agreement": permit.agreement,
        "baseline": permit.baseline,
        "national": permit.national,
    }


def _refused(request: CheckRequest, came: Came, refusal: GatewayError) -> Entry:
    reasons = getattr(refusal, "reasons", ())
    return Entry(
        "check.refused",
        Phase.EVENT,
        request.asker,
        public={
            "purpose": request.purpose,
            "basis": request.legal_basis,
            "agency": request.agency,
            "class": request.class_size,
            "peer_seq": request.pair_seq,
            "request_hash": came.request_hash,
            "signed": signed_of(came),
            "reason": refusal.row.reason,
            "reasons": ",".join(reasons),
        },
    )


def _hash_of(message: SignedMessage) -> bytes:
    return hashlib.sha512(message.body).digest()
