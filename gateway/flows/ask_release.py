"""Ask another state for a private statistic: our own rules, our own log, then the question (rule 1).

What comes back is believed only with its owner's standing signature over exactly this recipient's document, and is
kept: a second document for the same release would be the owner's breach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import PolicyDenied, VerificationFailed
from gateway.flows.check import Officer
from gateway.flows.deciding import decide, expect
from gateway.flows.release import HEAVY_BYTES, about, named_about
from gateway.policy.decision import Deny
from gateway.policy.question import Stage, statistic
from gateway.statistics import catalogue as queries
from gateway.statistics import release as documents
from gateway.statistics.catalogue import Query
from gateway.terms.exchange import Named, SignedMessage
from gateway.terms.ids import PeerId
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding, ReleaseState


class ReleasePeers(Protocol):
    """The other side of statistics (`rpc.peers`).

    Raises, all three:
        PolicyDenied, PeerSuspended, QuotaExhausted, BudgetExhausted, CapabilityMissing, BaselineOutdated,
        RequestReused, NotFoundOrNotPermitted, InputRefused: the owner said so.
        PeerUnreachable: no answer that can be trusted.
    """

    async def plan_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleasePlan:
        """What it would cost."""

    async def request_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleaseStanding:
        """It is charged and will be made."""

    async def get_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleaseStanding:
        """How it stands, and the document once it is ready."""


@dataclass(frozen=True, slots=True)
class AskingReleaseWorld:
    """The surroundings of a node that asks.

    `verify` raises VerificationFailed unless the message is a release of this owner's for us, under a key of its in
    force (docs/protocol/envelope.md, standing documents).
    """

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    peers: ReleasePeers
    clock: ports.Clock
    compute: ports.Compute
    verify: Callable[[PeerId, SignedMessage], None]
    timeout_s: float = 10.0


async def plan(owner: PeerId, ask: ReleaseAsk, officer: Officer, world: AskingReleaseWorld) -> ReleasePlan:
    """What a release of the owner's would cost us, and how good it would be.

    `ask` has no numbers and digests yet: they are those of the decision and the entry made here.

    Raises:
        PolicyDenied: our own rules say no; in the log.
        Malformed, InputRefused: not a query.
        what `ReleasePeers` raises.
    """
    asked, query = await _asked("plan", owner, ask, officer, world)
    told = await world.peers.plan_release(owner, asked, timeout_s=world.timeout_s)
    _judge_reference(told.reference, query)
    return told


async def request(owner: PeerId, ask: ReleaseAsk, officer: Officer, world: AskingReleaseWorld) -> ReleaseStanding:
    """Have the owner make a release. The query is found again by its reference (`Reader.release_asked`).

    Raises: as `plan`.
    """
    asked, query = await _asked("request", owner, ask, officer, world)
    standing = await world.peers.request_release(owner, asked, timeout_s=world.timeout_s)
    _judge_reference(standing.reference, query)
    # The entry of the question stands already; what this adds is only how we call it.
    await world.uow.commit(
        [],
        [
            ports.Change(
                "release.asked",
                {
                    "owner": owner,
                    "reference": query.digest,
                    "query": query.encode(),
                    "snapshot": standing.snapshot,
                    "at_ns": world.clock.now_ns(),
                },
            )
        ],
    )
    return standing


async def get(owner: PeerId, ask: ReleaseAsk, officer: Officer, world: AskingReleaseWorld) -> ReleaseStanding:
    """How the release stands; once it is ready the document, verified, logged and kept before it is shown.

    Raises:
        VerificationFailed: the document is not the owner's for this question and for us, or is another one than it
            gave before; in the log.
        as `plan` besides.
    """
    asked, query = await _asked("get", owner, ask, officer, world)
    standing = await world.peers.get_release(owner, asked, timeout_s=world.timeout_s)
    _judge_reference(standing.reference, query)
    if standing.state is not ReleaseState.READY:
        return standing
    message = SignedMessage(standing.document, standing.header, standing.signature)
    try:
        await _judge(owner, query, standing, message, world)
        await world.uow.commit(
            [_received(owner, ask, query, standing, officer, fault="")],
            [
                ports.Change(
                    "release.copy",
                    {
                        "owner": owner,
                        "reference": standing.reference,
                        "snapshot": standing.snapshot,
                        "query": query.encode(),
                        "body": message.body,
                        "header": message.header,
                        "signature": message.signature,
                        "at_ns": world.clock.now_ns(),
                    },
                )
            ],
        )
    except VerificationFailed as fault:
        await world.uow.commit([_received(owner, ask, query, standing, officer, fault=fault.step)])
        raise
    return standing


async def _judge(
    owner: PeerId, query: Query, standing: ReleaseStanding, message: SignedMessage, world: AskingReleaseWorld
) -> None:
    world.verify(owner, message)
    told = await world.compute.run(documents.told, message.body, heavy=len(message.body) > HEAVY_BYTES)
    if told is None:
        raise VerificationFailed("release", "is no document of a release")
    must_be = (owner, world.state, query.digest, standing.snapshot)
    for name, said, expected in zip(("owner", "recipient", "query", "snapshot"), told, must_be, strict=True):
        if said != expected:
            raise VerificationFailed(f"release.{name}", "is another than this release's")


def _judge_reference(told: bytes, query: Query) -> None:
    if told != query.digest:
        raise VerificationFailed("release.query", "is another than this release's")


async def _asked(
    act: str, owner: PeerId, ask: ReleaseAsk, officer: Officer, world: AskingReleaseWorld
) -> tuple[ReleaseAsk, Query]:
    """Our own rules and our own entry before a question leaves; the question with its numbers."""
    query = queries.decode(ask.query)
    question = statistic(
        Stage.ASK,
        ask.purpose,
        legal_basis=ask.legal_basis,
        asker=world.state,
        owner=owner,
        agency=ask.agency,
        role=ask.role,
        time_ns=world.clock.now_ns(),
    )
    if ask.role not in officer.roles or ask.agency != officer.agency:
        raise await _denied(act, owner, ask, query, officer, ("role",), world)
    permit = await decide(question, world.policy)
    if isinstance(permit, Deny):
        raise await _denied(act, owner, ask, query, officer, permit.reasons, world)
    entry = Entry(
        "release.asked",
        Phase.EVENT,
        owner,
        public={
            **about(ask, query),
            "act": act,
            "request_id": ask.request_id.value,
            "agreement": permit.agreement,
            "baseline": permit.baseline,
            "national": permit.national,
        },
        secret={"officer": officer.officer},
    )
    committed = await world.uow.commit([entry], [expect(permit, owner)])
    asked = replace(
        ask,
        pair_seq=committed.pair_seqs[0],
        named=Named(committed.pair_seqs[0], committed.hashes[0], named_about(ask, query, act)),
        baseline=permit.baseline,
        national=permit.national,
        permit_expires_ns=permit.expires_ns,
    )
    return asked, query


async def _denied(
    act: str,
    owner: PeerId,
    ask: ReleaseAsk,
    query: Query,
    officer: Officer,
    reasons: tuple[str, ...],
    world: AskingReleaseWorld,
) -> PolicyDenied:
    denied = PolicyDenied(reasons)
    entry = Entry(
        "release.denied",
        Phase.EVENT,
        owner,
        public={
            **about(ask, query),
            "act": act,
            "request_hash": b"",
            "reason": denied.row.reason,
            "reasons": ",".join(reasons),
        },
        secret={"officer": officer.officer},
    )
    await world.uow.commit([entry])
    return denied


def _received(
    owner: PeerId, ask: ReleaseAsk, query: Query, standing: ReleaseStanding, officer: Officer, *, fault: str
) -> Entry:
    return Entry(
        "release.received",
        Phase.EVENT,
        owner,
        public={
            **about(ask, query),
            "snapshot": standing.snapshot,
            "release_hash": hashlib.sha256(standing.document).digest(),
            "fault": fault,
        },
        secret={"officer": officer.officer},
    )
