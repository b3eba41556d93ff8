"""Make the private statistics that were charged: the job between asking and fetching (`flows.release`).

The charge is durable before this begins, and the entry before anything is counted. Nothing is answered that is not
stored, so a crash before that costs no more than another draw with the same salt, whose first one nobody has seen.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import (
    AuditUnavailable,
    GatewayError,
    InputRefused,
    KeysUnavailable,
    NotFoundOrNotPermitted,
    RequestReused,
    VerificationFailed,
)
from gateway.flows.release import ReleaseBook, SignRelease, plan_of
from gateway.statistics import catalogue as queries
from gateway.statistics import release as documents
from gateway.statistics.bounding import Bounded, Source
from gateway.statistics.budget import Account, AccountKey
from gateway.statistics.kept import StoredRelease
from gateway.statistics.plan import Plan
from gateway.terms.ids import PeerId

ATTEMPTS_MAX: Final = 5
"""How often a release is begun. The least tried goes first, so that one which ends the process holds up no other."""


class Noisy(Protocol):
    """What a draw gives (`statistics.mechanism.Noisy`)."""

    @property
    def values(self) -> tuple[int, ...]:
        """A number a cell, with its noise."""

    @property
    def lost(self) -> int:
        """The estimate of what was left out, with its noise."""


@dataclass(frozen=True, slots=True)
class JobWorld:
    """The surroundings of the job process that makes releases.

    `events` gives the events of a snapshot, None where they are no longer here; `draw` adds a plan's noise to exact
    counts; `software` names what the numbers were made with.
    """

    state: PeerId
    uow: ports.UnitOfWork
    book: ReleaseBook
    keys: ports.Keys
    clock: ports.Clock
    engine: ports.StatisticsEngine
    draw: Callable[[Plan, Bounded], Noisy]
    events: Callable[[bytes], Source | None]
    sign_release: SignRelease
    tick_ns: int
    software: Mapping[str, str]


async def run(world: JobWorld) -> int:
    """Make every release that waits; returns how many there are now. One that fails says so and holds up no other.

    Raises:
        AuditUnavailable, KeysUnavailable: what waits goes on waiting.
    """
    made = 0
    for row in world.book.waiting_releases():
        try:
            await _make(row, world)
        except (AuditUnavailable, KeysUnavailable):
            raise
        except RequestReused:
            # Made meanwhile, by a job before us whose end we did not see.
            continue
        except Exception as fault:
            # A fault of ours must not keep the others waiting either; what it says may quote the data, so its kind is
            # all that is kept.
            await _failed(row, fault, world)
            continue
        made += 1
    return made


def tick_after(now_ns: int, tick_ns: int) -> int:
    """The next multiple of the tick, UTC ns."""
    return (now_ns // tick_ns + 1) * tick_ns


async def _make(row: StoredRelease, world: JobWorld) -> None:
    # 1. The question as it was charged. One that keeps ending the process (no memory, say) is given up.
    if row.attempts >= ATTEMPTS_MAX:
        raise InputRefused("the process that makes it has ended too often", code="ATTEMPTS")
    query = queries.decode(row.query)
    held = world.book.dataset(row.dataset, row.version)
    if held is None or held.snapshot != row.snapshot:
        raise InputRefused("the data set it was charged for is not here", code="DATASET_UNKNOWN")
    plan, _ = plan_of(query, held)
    if plan.micro_rho != row.cost:
        raise VerificationFailed("charge", "this release of the gateway computes another cost")
    source = world.events(row.snapshot)
    if source is None:
        raise InputRefused("the events are no longer here", code="EVENTS_GONE")
    about: dict[str, str | int | bytes] = {
        "query_digest": row.reference,
        "snapshot": row.snapshot,
        "dataset": row.dataset,
        "cost_micro_rho": row.cost,
    }
    # 2. In the log before anything is counted.
    attempt = ports.Change("release.attempt", {"reference": row.reference, "snapshot": row.snapshot})
    committed = await world.uow.commit([Entry("release.made", Phase.INTENT, public=about)], [attempt])
    # 3. Count, draw, and say it at the next tick.
    noisy = world.draw(plan, world.engine.bounded_counts(plan.spec, plan.domain, source, row.salt))
    shown_ns = tick_after(world.clock.now_ns(), world.tick_ns)
    body = documents.document(
        plan,
        noisy.values,
        noisy.lost,
        release_id=f"rel_{hashlib.sha256(row.reference + row.snapshot).hexdigest()[:32]}",
        owner=world.state,
        snapshot=row.snapshot,
        salt=row.salt,
        account=Account(AccountKey(row.dataset, row.unit, row.period), row.cap, row.spent),
        audit_index=committed.seqs[0],
        released_ns=shown_ns,
        software=world.software,
    )
    message = await world.keys.sign(world.sign_release(world.state, shown_ns), body)
    # 4. Stored before anybody can be told.
    outcome = Entry(
        "release.made",
        Phase.OUTCOME,
        public={
            **about,
            "intent_seq": committed.seqs[0],
            "release_hash": hashlib.sha256(body).digest(),
            "shown_ns": shown_ns,
        },
    )
    await world.uow.commit(
        [outcome],
        [
            ports.Change(
                "release.put",
                {
                    "reference": row.reference,
                    "snapshot": row.snapshot,
                    "body": message.body,
                    "header": message.header,
                    "signature": message.signature,
                    "shown_ns": shown_ns,
                },
            )
        ],
    )


async def _failed(row: StoredRelease, fault: Exception, world: JobWorld) -> None:
    code = getattr(fault, "code", "") or (fault.row.reason if isinstance(fault, GatewayError) else "INTERNAL")
    shown_ns = tick_after(world.clock.now_ns(), world.tick_ns)
    public = {"query_digest": row.reference, "snapshot": row.snapshot, "dataset": row.dataset, "code": code}
    args = {"reference": row.reference, "snapshot": row.snapshot, "code": code, "shown_ns": shown_ns}
    entry = Entry("release.failed", Phase.EVENT, public=public)
    with contextlib.suppress(NotFoundOrNotPermitted):
        # Where it was made meanwhile there is nothing that failed.
        await world.uow.commit([entry], [ports.Change("release.fail", args)])
