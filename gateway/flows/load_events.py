"""Put events in force as a data set: an act of an analyst and a supervisor, logged by digests (docs/statistics.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import PolicyDenied
from gateway.flows.deciding import decide, expect
from gateway.flows.listing import Signer
from gateway.flows.release import PURPOSE
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Stage, statistic
from gateway.statistics import dataset as datasets
from gateway.statistics.kept import StoredDataset
from gateway.terms.ids import AgencyId, PeerId
from gateway.terms.words import Role


@dataclass(frozen=True, slots=True)
class DatasetLoad:
    """A data set as two persons signed it. `declaration` is canonical (`statistics.dataset`), `snapshot` the SHA-256 of
    the events in the normal form, `file_hash` the SHA-512 of the file they were read from, `rows` how many they are."""

    declaration: bytes
    snapshot: bytes
    by_person: bool
    file_hash: bytes
    rows: int
    legal_basis: str
    decision: str
    signers: tuple[Signer, ...]


class DatasetBook(Protocol):
    """The data sets in force."""

    def dataset(self, name: str, version: int = 0) -> StoredDataset | None:
        """The loading in force of a data set."""


class DatasetWorld(Protocol):
    """The surroundings of a loading. A `ReleaseWorld` has them all."""

    @property
    def state(self) -> PeerId:
        """This state."""

    @property
    def policy(self) -> ports.PolicyEngine:
        """The rules."""

    @property
    def uow(self) -> ports.UnitOfWork:
        """The log and the database."""

    @property
    def book(self) -> DatasetBook:
        """The store."""

    @property
    def clock(self) -> ports.Clock:
        """The time."""


async def load_dataset(load: DatasetLoad, world: DatasetWorld) -> bool:
    """Put a data set in force: an analyst and a supervisor, two persons, have signed it. False where nothing changes.

    Raises:
        PolicyDenied: the rules said no; `signers` or `role` where it is not these two; `case_required` without a
            decision's reference. In the log.
        Malformed: not a declaration.
    """
    now = world.clock.now_ns()
    declaration = datasets.decode(load.declaration)
    permit = await _judged(load, world, now)
    held = world.book.dataset(declaration.name)
    told = (load.snapshot, load.declaration, load.by_person)
    if held is not None and (held.snapshot, held.declaration, held.by_person) == told:
        return False
    entry = Entry(
        "release.dataset",
        Phase.EVENT,
        public={
            "dataset": declaration.name,
            "snapshot": load.snapshot,
            "declaration": declaration.digest,
            "by_person": load.by_person,
            "file_hash": load.file_hash,
            "basis": load.legal_basis,
            "signers": len({one.officer for one in load.signers}),
            "baseline": permit.baseline,
            "national": permit.national,
        },
        secret={
            "officers": [str(one.officer) for one in load.signers],
            "decision": load.decision,
            "rows": load.rows,
        },
    )
    await world.uow.commit(
        [entry],
        [
            expect(permit),
            ports.Change(
                "dataset.put",
                {
                    "name": declaration.name,
                    "snapshot": load.snapshot,
                    "declaration": load.declaration,
                    "by_person": load.by_person,
                    "at_ns": now,
                },
            ),
        ],
    )
    return True


async def _judged(load: DatasetLoad, world: DatasetWorld, now_ns: int) -> Permit:
    """Two persons, their roles, a decision's reference, and the rules. Raises PolicyDenied; it is in the log then."""
    analyst = next((one for one in load.signers if Role.ANALYST_NATIONAL in one.roles), None)
    reasons: set[str] = set()
    if len({one.officer for one in load.signers}) < 2:
        reasons.add("signers")
    if not any(
        Role.ANALYST_NATIONAL in one.roles and Role.SUPERVISOR in other.roles and one.officer != other.officer
        for one in load.signers
        for other in load.signers
    ):
        reasons.add("role")
    if not load.decision:
        reasons.add("case_required")
    first = analyst or (load.signers[0] if load.signers else None)
    # Whoever holds events for statistics must be one who may make them: the rules are those of a release at home.
    question = statistic(
        Stage.ANSWER,
        PURPOSE,
        legal_basis=load.legal_basis,
        asker=world.state,
        owner=world.state,
        agency=first.agency if first else AgencyId(""),
        role=Role.ANALYST_NATIONAL if analyst else Role.OPERATOR,
        time_ns=now_ns,
    )
    decision = await decide(question, world.policy)
    if isinstance(decision, Deny):
        reasons |= set(decision.reasons)
    if reasons or isinstance(decision, Deny):
        denied = PolicyDenied(tuple(sorted(reasons)))
        await world.uow.commit([_denied(load, denied)])
        raise denied
    return decision


def _denied(load: DatasetLoad, denied: PolicyDenied) -> Entry:
    return Entry(
        "release.denied",
        Phase.EVENT,
        public={
            "purpose": PURPOSE,
            "basis": load.legal_basis,
            "agency": load.signers[0].agency if load.signers else "",
            "role": "",
            "query_digest": b"",
            "act": "dataset",
            "request_hash": load.file_hash,
            "reason": denied.row.reason,
            "reasons": ",".join(denied.reasons),
        },
        secret={"officer": ",".join(str(one.officer) for one in load.signers)},
    )
