"""Two states and their statistics in memory: PAN has events, HND asks for them, over the shipped rules.

Counting is exact and plain here (`Counting`), and the noise is none; the real ones are in `tests/properties`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway import ports
from gateway.audit.entry import Entry
from gateway.federation import envelope
from gateway.flows import ask_release, load_events, release
from gateway.flows.check import Officer
from gateway.flows.listing import Signer
from gateway.flows.load_events import DatasetLoad
from gateway.flows.make_release import JobWorld
from gateway.flows.release import ReleaseWorld
from gateway.keyring.memory import MemoryKeys
from gateway.rpc.convert.peers import Sender
from gateway.statistics.bounding import Bounded, BoundingSpec, Source
from gateway.statistics.catalogue import Query
from gateway.statistics.dataset import Declaration
from gateway.statistics.domain import UNKNOWN, Dimension, KeyDomain
from gateway.statistics.plan import Plan
from gateway.store.memory import MemoryStore
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import AgencyId, OfficerId, PeerId, Purpose, RequestId
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding
from gateway.terms.words import Role
from gateway.workers.pool import Inline
from tests.flows.world import HND, PAN, Chance, VirtualTime, shipped

RISK = Purpose("RISK.IBC")
TICK_NS = 60 * 10**9
SNAPSHOT = b"S" * 32
COST = 520_000
"""Micro-rho of the statistic at epsilon 1."""

DIMENSIONS = (
    Dimension("month", ("2023-07", "2023-08")),
    Dimension("route", ("EAST", "WEST")),
    Dimension("nationality", ("HND", "VEN", UNKNOWN)),
    Dimension("protection", ("ASYLUM_SEEKER", "NONE")),
)

Row = tuple[int, str, str, str, str]

ROWS: tuple[Row, ...] = (
    (1, "2023-08", "EAST", "VEN", "NONE"),
    (1, "2023-08", "EAST", "VEN", "NONE"),
    (1, "2023-08", "WEST", "VEN", "NONE"),
    (2, "2023-08", "EAST", "HND", "ASYLUM_SEEKER"),
    (3, "2023-08", "WEST", "VEN", "NONE"),
    (3, "2023-07", "WEST", "VEN", "NONE"),
)


def declared(**changes: Any) -> Declaration:
    values: dict[str, Any] = {
        "name": "border",
        "dimensions": DIMENSIONS,
        "caps": {"month": 3 * COST, "year": 2 * COST},
        "shares": {HND: 2 * COST},
    }
    return Declaration(**(values | changes))


def asked(measure: str = "persons", **changes: Any) -> Query:
    """A query over August."""
    values: dict[str, Any] = {"dataset": "border", "period": "2023-08", "epsilon_micro": 1_000_000}
    return Query("S-IBC", measure, **(values | changes))


@dataclass
class Counting:
    """`ports.StatisticsEngine` over rows in memory, by the rule of `statistics.bounding` in its plainest form: of each
    unit's pieces the first `keep`, in the order of the cells."""

    rows: Sequence[Row]
    before: Callable[[], None] = lambda: None

    def bounded_counts(self, spec: BoundingSpec, domain: KeyDomain, source: Source, salt: bytes) -> Bounded:
        self.before()
        pieces: dict[tuple[object, ...], list[int]] = {}
        names = ("month", "route", "nationality", "protection")
        for person, *values in self.rows:
            row = dict(zip(names, values, strict=True))
            if row["month"] not in domain.dimensions[0].values:
                continue
            unit = (person, row["month"]) if spec.unit.is_monthly else (person,)
            cell = domain.cell(tuple(row[name] for name in domain.names))
            held = pieces.setdefault(unit, [])
            if held.count(cell) < spec.cell_max:
                held.append(cell)
        counts, lost = [0] * domain.size, 0
        for held in pieces.values():
            for cell in sorted(held)[: spec.keep]:
                counts[cell] += 1
            lost += min(len(held), spec.loss_max) - min(len(held), spec.keep)
        return Bounded(tuple(counts), lost)


@dataclass(frozen=True)
class Drawn:
    values: tuple[int, ...]
    lost: int


def no_noise(plan: Plan, bounded: Bounded) -> Drawn:
    return Drawn(bounded.counts, bounded.lost)


class Dies(BaseException):
    """The process is gone: no handler of a fault sees it."""


class Uow:
    """A unit of work that dies: before or after the commit of this number, counted from 1."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.commits = 0
        self.dies: tuple[int, str] | None = None

    async def commit(self, entries: Sequence[Entry], changes: Sequence[ports.Change] = ()) -> ports.Committed:
        self.commits += 1
        if self.dies == (self.commits, "before"):
            raise Dies
        done = await self.store.commit(entries, changes)
        if self.dies == (self.commits, "after"):
            raise Dies
        return done


@dataclass
class Party:
    """One state's node, as far as statistics need it."""

    state: PeerId
    clock: VirtualTime
    store: MemoryStore
    uow: Uow
    keys: MemoryKeys
    public: bytes
    sender: Sender
    chance: Chance
    policy: ports.PolicyEngine
    officer: Officer
    can_count: bool = True
    engine: Counting = field(default_factory=lambda: Counting(ROWS))
    draw: Callable[[Plan, Bounded], Drawn] = no_noise
    judge_witnesses: Callable[[], None] = lambda: None
    kept: set[bytes] = field(default_factory=lambda: {SNAPSHOT})

    def world(self) -> ReleaseWorld:
        return ReleaseWorld(
            state=self.state,
            policy=self.policy,
            uow=self.uow,
            book=self.store,
            keys=self.keys,
            clock=self.clock,
            chance=self.chance,
            compute=Inline(),
            sign_release=self.sender.release,
            can_count=self.can_count,
            tick_ns=TICK_NS,
            judge_witnesses=self.judge_witnesses,
        )

    def job(self) -> JobWorld:
        return JobWorld(
            state=self.state,
            uow=self.uow,
            book=self.store,
            keys=self.keys,
            clock=self.clock,
            engine=self.engine,
            draw=self.draw,
            events=lambda snapshot: Source("memory") if snapshot in self.kept else None,
            sign_release=self.sender.release,
            tick_ns=TICK_NS,
            software={"test": "1"},
        )

    def logged(self) -> list[str]:
        return [f"{kind}.{phase}" for kind, phase in self.store.kinds_logged() if kind.startswith("release.")]

    def spent(self, period: str = "2023-08") -> int:
        unit = "person-month" if "-" in period else "person-period"
        return self.store.release_account("border", unit, period)


async def party(state: PeerId, agency: str) -> Party:
    clock = VirtualTime()
    store = MemoryStore(clock.now_ns)
    keys = MemoryKeys(state, Chance(f"{state} keys").token)
    public = (await keys.public_keys())["message"]
    policy = shipped(state)
    versions = policy.versions()
    await store.commit(
        [],
        [
            ports.Change("policy.activate", {"layer": layer, "digest": digest, "sequence": 1})
            for layer, digest in (("baseline", versions.baseline), ("national", versions.national))
        ],
    )
    return Party(
        state=state,
        clock=clock,
        store=store,
        uow=Uow(store),
        keys=keys,
        public=public,
        sender=Sender(state, public, lambda: envelope.NO_CHECKPOINT),
        chance=Chance(f"{state} releases"),
        policy=policy,
        officer=Officer(OfficerId(f"{state}-1"), AgencyId(agency), (Role.ANALYST_NATIONAL,)),
    )


def signers(*roles: Role) -> tuple[Signer, ...]:
    return tuple(Signer(OfficerId(f"P-{n}"), AgencyId("SNM"), (role,)) for n, role in enumerate(roles))


def loading(declaration: Declaration | None = None, **changes: Any) -> DatasetLoad:
    values: dict[str, Any] = {
        "declaration": (declaration or declared()).encode(),
        "snapshot": SNAPSHOT,
        "by_person": True,
        "file_hash": b"F" * 64,
        "rows": len(ROWS),
        "legal_basis": "national immigration act",
        "decision": "R-7/2026",
        "signers": signers(Role.ANALYST_NATIONAL, Role.SUPERVISOR),
    }
    return DatasetLoad(**(values | changes))


async def owner(**changes: Any) -> Party:
    """PAN with its data set loaded."""
    made = await party(PAN, "SNM")
    await load_events.load_dataset(loading(declared(**changes)), made.world())
    made.uow.commits = 0
    return made


def ask_of(
    query: Query, number: int = 1, *, at_home: bool = False, policy: ports.PolicyEngine | None = None
) -> ReleaseAsk:
    """A question as it arrives at the owner's, from HND or from the owner's own people."""
    versions = shipped(PAN).versions()
    return ReleaseAsk(
        request_id=RequestId(bytes(15) + bytes([number])),
        query=query.encode(),
        purpose=RISK,
        legal_basis="national immigration act" if at_home else "bilateral agreement",
        agency=AgencyId("SNM" if at_home else "INM"),
        role=Role.ANALYST_NATIONAL,
        pair_seq=0 if at_home else 1,
        baseline=b"" if at_home else versions.baseline,
    )


@dataclass
class Line:
    """`ask_release.ReleasePeers`: the owner's flows in the same process. `instead` is what a hostile owner gives."""

    owner: Party
    asker: PeerId = HND
    instead: ReleaseStanding | None = None
    seen: list[ReleaseAsk] = field(default_factory=list)

    async def plan_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleasePlan:
        self.seen.append(ask)
        return await release.plan_for(ask, self.asker, self.owner.world())

    async def request_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleaseStanding:
        self.seen.append(ask)
        return await release.request(ask, self.asker, self.owner.world())

    async def get_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleaseStanding:
        self.seen.append(ask)
        return self.instead or await release.get(ask, self.asker, self.owner.world())


def asking(asker: Party, line: Line) -> ask_release.AskingReleaseWorld:
    def verify(peer: PeerId, message: SignedMessage) -> None:
        envelope.verify(
            message,
            method=envelope.RELEASE,
            sender=peer,
            receiver=asker.state,
            keys=[line.owner.public],
            now_ns=None,
        )

    return ask_release.AskingReleaseWorld(
        state=asker.state,
        policy=asker.policy,
        uow=asker.uow,
        peers=line,
        clock=asker.clock,
        compute=Inline(),
        verify=verify,
    )


def question(query: Query, number: int = 1) -> ReleaseAsk:
    """A question as HND's own officer puts it."""
    return replace(ask_of(query, number), pair_seq=0, baseline=b"")
