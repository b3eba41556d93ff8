"""Private statistics where they are made: plan, request, get (docs/statistics.md); the job between is `make_release`.

What is asked is decided, logged and charged before anything is counted; the noise is drawn by the job process, after
the charge is durable. One query over one snapshot is one release and one charge, whoever asks. A recipient gets the
stored document after its own decision, in the same bytes every time (T20).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import (
    AuditUnavailable,
    BaselineOutdated,
    BudgetExhausted,
    CapabilityMissing,
    GatewayError,
    InputRefused,
    KeysUnavailable,
    Malformed,
    NotFoundOrNotPermitted,
    PeerSuspended,
    PolicyDenied,
    RequestReused,
    VersionMoved,
)
from gateway.federation import envelope
from gateway.flows.check import Officer
from gateway.flows.deciding import decide, expect, signed_of
from gateway.policy import catalogue
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Stage, statistic
from gateway.statistics import catalogue as queries
from gateway.statistics import dataset as datasets
from gateway.statistics import plan as plans
from gateway.statistics import release as documents
from gateway.statistics.bounding import SALT_BYTES, salt_commitment
from gateway.statistics.budget import AccountKey
from gateway.statistics.catalogue import Query
from gateway.statistics.dataset import Declaration
from gateway.statistics.kept import StoredDataset, StoredRelease, StoredRequest
from gateway.statistics.plan import Plan
from gateway.terms.exchange import Came, SignedMessage
from gateway.terms.ids import PeerId, Purpose
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding, ReleaseState
from gateway.terms.words import Role

DAY_NS: Final = 24 * 3600 * 10**9
PURPOSE: Final = Purpose("RISK.IBC")
"""The purpose that data sets are loaded under."""

HEAVY_BYTES: Final = 100_000
"""A longer document is read in a process beside this one, so that no booth waits for it."""

TRIES_MAX: Final = 3
"""Attempts at a charge that another one has overtaken."""

NO_LIST: Final = ""
"""Where an allowance counts requests for statistics: they reach no list."""

READERS: Final = frozenset({Role.ANALYST_NATIONAL, Role.ANALYST_REGIONAL, Role.SUPERVISOR})
"""Who may see which statistics were asked for and what is left to spend."""


class ReleaseBook(Protocol):
    """What releases need of the store, read afresh on every call."""

    def is_suspended(self, peer: PeerId) -> bool:
        """True from the moment the suspension is durable."""

    def dataset(self, name: str, version: int = 0) -> StoredDataset | None:
        """The loading in force, or the one of this version."""

    def release(self, reference: bytes, snapshot: bytes, *, whole: bool = True) -> StoredRelease | None:
        """The release of a query over a snapshot, where it was charged. Not `whole`: one made has an empty message, so
        that a document of many megabytes is read for those alone who are given it."""

    def waiting_releases(self) -> list[StoredRelease]:
        """Charged, and neither made nor failed; the least tried first."""

    def release_account(self, dataset: str, unit: str, period: str) -> int:
        """Micro-rho spent in an account."""

    def release_share(self, dataset: str, unit: str, period: str, peer: PeerId) -> int:
        """Micro-rho that a peer has caused to be spent in it."""

    def release_request(self, recipient: PeerId, request_id: bytes) -> StoredRequest | None:
        """What was asked for under this id."""

    def newest_request(self, recipient: PeerId, reference: bytes) -> StoredRequest | None:
        """The recipient's last request for a query."""

    def release_delivery(self, reference: bytes, snapshot: bytes, recipient: PeerId) -> SignedMessage | None:
        """What a recipient was given."""


SignRelease = Callable[[PeerId, int], Mapping[str, Any]]
"""Header fields of a release for a recipient, a standing document, at a time (`rpc.convert`)."""


@dataclass(frozen=True, slots=True)
class ReleaseWorld:
    """The surroundings of a node that is asked, by a peer or by its own people.

    `can_count` says whether this installation can make releases at all; they become visible at multiples of `tick_ns`.
    """

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    book: ReleaseBook
    keys: ports.Keys
    clock: ports.Clock
    chance: ports.Chance
    compute: ports.Compute
    sign_release: SignRelease
    can_count: bool
    tick_ns: int
    judge_witnesses: Callable[[], None]
    """Raises WitnessesSilent where nothing may leave the state: our log has not been witnessed for too long."""


# -- Asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Call:
    """One call on its way: what, from whom, for whom, when."""

    act: str
    ask: ReleaseAsk
    recipient: PeerId
    world: ReleaseWorld
    now_ns: int
    came: Came
    officer: Officer | None

    @property
    def at_home(self) -> bool:
        """True where the state's own people ask."""
        return self.recipient == self.world.state

    @property
    def peer(self) -> str:
        """The other state, "" at home."""
        return "" if self.at_home else self.recipient


@dataclass(frozen=True, slots=True)
class _Known:
    """What a query stands for here: the loading it would be made from, and its plan."""

    held: StoredDataset
    declaration: Declaration
    plan: Plan

    @property
    def account(self) -> AccountKey:
        """Where it is charged. Raises InputRefused where the owner allows no release of this length."""
        return self.declaration.account(self.plan.spec.unit, self.plan.query.period).key


async def plan_for(
    ask: ReleaseAsk,
    recipient: PeerId,
    world: ReleaseWorld,
    *,
    came: Came | None = None,
    officer: Officer | None = None,
) -> ReleasePlan:
    """What a release would cost this recipient and how good it would be. Free, and made without a look at the data.

    `officer` is given where the state's own people ask, and no one else may be without.

    Raises:
        PeerSuspended, PolicyDenied, BaselineOutdated, QuotaExhausted: in the log, told.
        Malformed, InputRefused: no such statistic, data set, dimension or period.
        AuditUnavailable: nothing is told.
    """
    call = _Call("plan", ask, recipient, world, world.clock.now_ns(), came or Came(), officer)
    permit, query = await _judged(call)
    try:
        known = _known(query, world.book)
        account = known.account
        await world.uow.commit(
            [_requested(call, permit, query)], [expect(permit, call.peer), *_allowance(call, permit)]
        )
    except GatewayError as refusal:
        raise await _denied(call, query, refusal) from None
    row = world.book.release(query.digest, known.held.snapshot, whole=False)
    state = "" if row is None else state_of(row, call.now_ns).value
    return _told(known, account, recipient, world, state=state, is_charged=row is not None)


async def request(
    ask: ReleaseAsk,
    recipient: PeerId,
    world: ReleaseWorld,
    *,
    came: Came | None = None,
    officer: Officer | None = None,
) -> ReleaseStanding:
    """Have a release made: charged now, counted by the job. The same query over the same events costs nothing again.

    The answer has no document yet: `get` gives it. Under a request id that was used, the same standing again.

    Raises:
        PeerSuspended, PolicyDenied, BaselineOutdated, QuotaExhausted, RequestReused: in the log, told.
        BudgetExhausted: the account, or this peer's share of it, has not enough left; nothing was charged.
        CapabilityMissing: this node cannot make releases, and this one was not made before.
        Malformed, InputRefused: no such statistic, data set, dimension or period.
        AuditUnavailable: nothing was charged.
    """
    call = _Call("request", ask, recipient, world, world.clock.now_ns(), came or Came(), officer)
    permit, query = await _judged(call)
    try:
        before = world.book.release_request(recipient, ask.request_id.value)
        if before is not None:
            if before.reference != query.digest:
                raise RequestReused("the request id was used for another question")
            await world.uow.commit([_requested(call, permit, query)], [expect(permit, call.peer)])
            row = world.book.release(before.reference, before.snapshot, whole=False)
            return _standing(row, before.snapshot, call)
        for attempt in range(1, TRIES_MAX + 1):
            try:
                return await _charged(call, permit, query)
            except VersionMoved:
                # Somebody else was the first to ask for it, or the events were loaded again; or the rules moved, and
                # then the last attempt says so.
                if attempt == TRIES_MAX:
                    raise
        raise AssertionError("the last attempt returns or raises")
    except GatewayError as refusal:
        raise await _denied(call, query, refusal) from None


async def get(
    ask: ReleaseAsk,
    recipient: PeerId,
    world: ReleaseWorld,
    *,
    came: Came | None = None,
    officer: Officer | None = None,
) -> ReleaseStanding:
    """How a release that this recipient asked for stands; once it is ready, the document, in the same bytes every time.

    Raises:
        PeerSuspended, PolicyDenied, BaselineOutdated: the recipient's own decision (T20); in the log, told.
        WitnessesSilent: no peer is given anything before our log has been witnessed again; in the log.
        NotFoundOrNotPermitted: this recipient has not asked for it.
        Malformed, InputRefused: not a query.
        AuditUnavailable, KeysUnavailable: nothing is told.
    """
    call = _Call("get", ask, recipient, world, world.clock.now_ns(), came or Came(), officer)
    permit, query = await _judged(call)
    try:
        asked = world.book.newest_request(recipient, query.digest)
        if asked is None:
            raise NotFoundOrNotPermitted("this recipient has not asked for such a release")
        row = world.book.release(asked.reference, asked.snapshot)
        if row is None or row.message is None or state_of(row, call.now_ns) is not ReleaseState.READY:
            await world.uow.commit([_requested(call, permit, query)], [expect(permit, call.peer)])
            return _standing(row, asked.snapshot, call)
        return await _delivered(call, permit, query, row, row.message)
    except GatewayError as refusal:
        raise await _denied(call, query, refusal) from None


async def read(what: str, officer: Officer, world: ReleaseWorld) -> None:
    """An officer is about to see which statistics were asked for, what was received, or what is left to spend.

    `what` is `list`, `budget` or `export`. Logged before it is told.

    Raises:
        PolicyDenied: `role`.
        AuditUnavailable: nothing is told.
    """
    if not READERS & set(officer.roles):
        raise PolicyDenied(("role",))
    role = next(role for role in officer.roles if role in READERS)
    public = {"purpose": PURPOSE, "basis": "", "agency": officer.agency, "role": role.value, "query_digest": b"",
              "act": what, "dataset": "", "request_id": b"", "request_hash": b"", "peer_seq": 0, "agreement": "",
              "baseline": b"", "national": b""}  # fmt: skip
    entry = Entry("release.requested", Phase.EVENT, public=public, secret={"officer": officer.officer})
    await world.uow.commit([entry])


async def _judged(call: _Call) -> tuple[Permit, Query]:
    """Every reason to say no before the data set is looked at; a no is in the log when it is raised."""
    ask, world = call.ask, call.world
    query: Query | None = None
    try:
        if world.book.is_suspended(call.recipient):
            raise PeerSuspended(f"{call.recipient} is suspended")
        if call.at_home:
            person = call.officer
            if person is None or ask.role not in person.roles or ask.agency != person.agency:
                raise PolicyDenied(("role",))
        question = statistic(
            Stage.ANSWER,
            ask.purpose,
            legal_basis=ask.legal_basis,
            asker=call.recipient,
            owner=world.state,
            agency=ask.agency,
            role=ask.role,
            time_ns=call.now_ns,
        )
        if not catalogue.is_aggregate(ask.purpose):
            raise PolicyDenied(("operation",))
        permit = await decide(question, world.policy)
        if isinstance(permit, Deny):
            raise PolicyDenied(permit.reasons)
        if not call.at_home and ask.baseline != permit.baseline:
            raise BaselineOutdated(f"{call.recipient} holds another regional baseline")
        query = queries.decode(ask.query)
        if query.statistic not in catalogue.CATALOGUE[ask.purpose].statistics:
            raise PolicyDenied(("operation",))
        return permit, query
    except GatewayError as refusal:
        raise await _denied(call, query, refusal) from None


async def _charged(call: _Call, permit: Permit, query: Query) -> ReleaseStanding:
    """Charge, unless it was charged before, and put the request down, in one commit."""
    world, recipient = call.world, call.recipient
    known = _known(query, world.book)
    key = known.account
    snapshot = known.held.snapshot
    row = world.book.release(query.digest, snapshot, whole=False)
    entries = [_requested(call, permit, query)]
    changes = [expect(permit, call.peer), *_allowance(call, permit)]
    if (row is None or row.message is None) and not world.can_count:
        raise CapabilityMissing("this node has no extra `statistics`")
    if row is None:
        salt = world.chance.token(SALT_BYTES)
        entries.append(
            Entry(
                "release.charged",
                Phase.EVENT,
                call.peer,
                public={
                    "query_digest": query.digest,
                    "snapshot": snapshot,
                    "dataset": key.dataset,
                    "unit": key.unit,
                    "period": key.period,
                    "cost_micro_rho": known.plan.micro_rho,
                    "salt_commitment": salt_commitment(salt),
                },
            )
        )
        changes.append(
            ports.Change(
                "release.charge",
                {
                    "reference": query.digest,
                    "snapshot": snapshot,
                    "query": query.encode(),
                    "dataset": key.dataset,
                    "version": known.held.version,
                    "unit": key.unit,
                    "period": key.period,
                    "salt": salt,
                    "cost": known.plan.micro_rho,
                    "cap": known.declaration.account(known.plan.spec.unit, query.period).cap,
                    "peer": recipient,
                    "share_cap": None if call.at_home else known.declaration.share(recipient).cap,
                    "at_ns": call.now_ns,
                    "is_new": True,
                },
            )
        )
    changes.append(
        ports.Change(
            "release.request",
            {
                "recipient": recipient,
                "request_id": call.ask.request_id.value,
                "reference": query.digest,
                "snapshot": snapshot,
                "at_ns": call.now_ns,
            },
        )
    )
    await world.uow.commit(entries, changes)
    cost = known.plan.micro_rho if row is None else 0
    return _standing(world.book.release(query.digest, snapshot, whole=False), snapshot, call, cost=cost)


async def _delivered(
    call: _Call, permit: Permit, query: Query, row: StoredRelease, whole: SignedMessage
) -> ReleaseStanding:
    """The recipient's own document: made and signed once, stored with the entry that comes before it leaves."""
    world = call.world
    if not call.at_home:
        world.judge_witnesses()
    place = (row.reference, row.snapshot, call.recipient)
    changes = [expect(permit, call.peer)]
    given = message = world.book.release_delivery(*place)
    if message is None:
        body = await world.compute.run(
            documents.for_recipient, whole.body, str(call.recipient), heavy=len(whole.body) > HEAVY_BYTES
        )
        message = await world.keys.sign(world.sign_release(call.recipient, call.now_ns), body)
        changes.append(
            ports.Change(
                "release.deliver",
                {
                    "reference": row.reference,
                    "snapshot": row.snapshot,
                    "recipient": call.recipient,
                    "body": message.body,
                    "header": message.header,
                    "signature": message.signature,
                },
            )
        )
    sent = Entry(
        "release.sent",
        Phase.EVENT,
        call.peer,
        public={
            **about(call.ask, query),
            "snapshot": row.snapshot,
            "release_hash": hashlib.sha256(message.body).digest(),
            "request_hash": call.came.request_hash,
            **_rules(permit),
        },
        secret=_person(call),
    )
    await world.uow.commit([sent], changes)
    # Of two first calls at once the first one's signature stays, and both tell that.
    stored = given or world.book.release_delivery(*place)
    if stored is None:
        raise AuditUnavailable("what was given to a recipient is not in the store")
    return ReleaseStanding(
        row.reference,
        row.snapshot,
        ReleaseState.READY,
        document=stored.body,
        header=stored.header,
        signature=stored.signature,
    )


def plan_of(query: Query, held: StoredDataset) -> tuple[Plan, Declaration]:
    """The plan of a query over a loading, from its declaration alone. Raises InputRefused."""
    declaration = datasets.decode(held.declaration)
    domain = query.domain(declaration.declared)
    return plans.plan(query, domain, declaration.planned_releases, by_person=held.by_person), declaration


def _known(query: Query, book: ReleaseBook) -> _Known:
    held = book.dataset(query.dataset)
    if held is None:
        raise InputRefused("there is no such data set", field="dataset", code="DATASET_UNKNOWN")
    plan, declaration = plan_of(query, held)
    return _Known(held, declaration, plan)


def _told(
    known: _Known, account: AccountKey, recipient: PeerId, world: ReleaseWorld, *, state: str, is_charged: bool
) -> ReleasePlan:
    plan, declaration = known.plan, known.declaration
    spent = world.book.release_account(account.dataset, account.unit, account.period)
    left = declaration.account(plan.spec.unit, plan.query.period, spent).left
    if recipient != world.state:
        caused = world.book.release_share(account.dataset, account.unit, account.period, recipient)
        share = declaration.share(recipient, caused)
        left = min(left, max(0, share.cap - share.spent))
    return ReleasePlan(
        reference=plan.query.digest,
        snapshot=known.held.snapshot,
        domain_digest=plan.domain.digest,
        cells=plan.domain.size,
        unit=plan.spec.unit,
        l0=plan.spec.l0,
        linf=plan.spec.linf,
        mechanism=plan.noise.kind,
        scale=(plan.noise.scale.numerator, plan.noise.scale.denominator),
        cost_micro_rho=plan.micro_rho,
        charge_micro_rho=0 if is_charged else plan.micro_rho,
        left_micro_rho=left,
        epsilon_micro=plan.epsilon_micro,
        delta=(plan.delta.numerator, plan.delta.denominator),
        sd_micro=plan.noise.sd_micro,
        half_width_95=plan.half_width,
        loss_half_width_95=plan.loss_noise.half_width(),
        threshold=plan.threshold,
        state=state,
    )


def state_of(row: StoredRelease, now_ns: int) -> ReleaseState:
    """What may be told: nothing leaves `waiting` between two ticks, so that nobody sees how long it took."""
    if (row.message is None and not row.code) or now_ns < row.shown_ns:
        return ReleaseState.WAITING
    return ReleaseState.READY if row.message is not None else ReleaseState.FAILED


def _standing(row: StoredRelease | None, snapshot: bytes, call: _Call, *, cost: int = 0) -> ReleaseStanding:
    if row is None:
        raise NotFoundOrNotPermitted("no such release was charged")
    state = state_of(row, call.now_ns)
    code = row.code if state is ReleaseState.FAILED else ""
    return ReleaseStanding(row.reference, snapshot, state, cost_micro_rho=cost, code=code)


def _allowance(call: _Call, permit: Permit) -> list[ports.Change]:
    """One request of the peer's day: a group of statistics counts requests where others count slots."""
    if call.at_home:
        return []
    group = catalogue.group_of(call.ask.purpose)
    day = call.now_ns // DAY_NS
    args = {"peer": call.recipient, "list": NO_LIST, "group": group, "day": day, "amount": 1,
            "limit": permit.slots_per_day}  # fmt: skip
    return [ports.Change("quota.charge", args)]


def about(ask: ReleaseAsk, query: Query | None) -> dict[str, str | bytes]:
    """The fields of an entry that say what was asked, the same at both sides."""
    return {
        "purpose": ask.purpose,
        "basis": ask.legal_basis,
        "agency": ask.agency,
        "role": ask.role.value,
        "query_digest": query.digest if query is not None else b"",
    }


def named_about(ask: ReleaseAsk, query: Query | None, act: str) -> bytes:
    """What a message about a release is about, for its header (`terms.exchange.Named`)."""
    return envelope.about({**about(ask, query), "act": act, "request_id": ask.request_id.value})


def _rules(permit: Permit) -> dict[str, str | bytes]:
    return {"agreement": permit.agreement, "baseline": permit.baseline, "national": permit.national}


def _person(call: _Call) -> dict[str, str]:
    return {"officer": call.officer.officer if call.officer is not None else ""}


def _requested(call: _Call, permit: Permit, query: Query) -> Entry:
    named = call.came.named
    if named is not None and (named.pair_seq, named.about) != (
        call.ask.pair_seq, named_about(call.ask, query, call.act),
    ):  # fmt: skip
        raise Malformed("header.entry", "is about another message than the body")
    return Entry(
        "release.requested",
        Phase.EVENT,
        call.peer,
        public={
            **about(call.ask, query),
            "act": call.act,
            "dataset": query.dataset,
            "request_id": call.ask.request_id.value,
            "request_hash": call.came.request_hash,
            "peer_seq": call.ask.pair_seq,
            "signed": signed_of(call.came),
            **_rules(permit),
        },
        secret=_person(call),
    )


async def _denied(call: _Call, query: Query | None, refusal: GatewayError) -> GatewayError:
    """Log a no; what comes back is to be raised. A log or keys that are away refuse nothing: they are only away."""
    if isinstance(refusal, AuditUnavailable | KeysUnavailable | VersionMoved):
        return refusal
    reasons: tuple[str, ...] = getattr(refusal, "reasons", ())
    if isinstance(refusal, BudgetExhausted):
        reasons = (refusal.of,)
    entry = Entry(
        "release.denied",
        Phase.EVENT,
        call.peer,
        public={
            **about(call.ask, query),
            "act": call.act,
            "request_hash": call.came.request_hash,
            "reason": refusal.row.reason,
            "reasons": ",".join(reasons),
        },
        secret=_person(call),
    )
    await call.world.uow.commit([entry])
    return refusal
