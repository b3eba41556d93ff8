"""The life of an epoch: opened, its tables made, active, retired, its key destroyed (docs/protocol/matching.md).

The next epoch opens while the one before still serves, and both are answered until the older one ends: so no check
fails by a change of keys. Two persons may order a change before its time, and in an emergency end the old keys at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import InputRefused, PolicyDenied, VersionMoved
from gateway.federation import statement
from gateway.federation.officers import Register
from gateway.federation.statement import PersonalSignature
from gateway.primitives import cbor
from gateway.terms.exchange import Epoch, overlap_ns
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import EpochState, Role

CUSTODIANS: Final = frozenset({Role.POLICY_OFFICER, Role.SUPERVISOR})
"""Who may order a change of keys; two of them together."""


class Book(Protocol):
    """What the life of an epoch is read from."""

    def epochs(self) -> Sequence[Epoch]:
        """Every epoch whose key is not destroyed yet."""


class World(Protocol):
    """The surroundings: the job process, or a command at the running node."""

    @property
    def state(self) -> PeerId: ...
    @property
    def uow(self) -> ports.UnitOfWork: ...
    @property
    def keys(self) -> ports.Keys: ...
    @property
    def book(self) -> Book: ...
    @property
    def clock(self) -> ports.Clock: ...
    @property
    def chance(self) -> ports.Chance: ...
    @property
    def epoch_ns(self) -> int: ...


def of(peer: PeerId, epochs: Iterable[Epoch], state: EpochState) -> Epoch | None:
    """The peer's epoch in this state; there is at most one active and one pending."""
    return next((one for one in epochs if one.peer == peer and one.state is state), None)


async def to_publish_in(peer: PeerId, world: World) -> tuple[EpochId, int]:
    """The epoch that the peer's tables are made in, and its expiry: the pending one, else the active one, else a first
    one, which has none before it to overlap with."""
    now, epochs = world.clock.now_ns(), world.book.epochs()
    for state in (EpochState.PENDING, EpochState.ACTIVE):
        held = of(peer, epochs, state)
        if held is not None and held.expires_ns > now:
            return held.epoch, held.expires_ns
    made = await _drawn(peer, now, world)
    await world.uow.commit([_opened(made)], [_change("epoch.put", made)])
    return made.epoch, made.expires_ns


async def open_next(peers: Collection[PeerId], world: World) -> list[Epoch]:
    """Open the next epoch of each of these peers whose active one ends within the overlap, or has ended."""
    now, epochs = world.clock.now_ns(), world.book.epochs()
    made = []
    for one in epochs:
        if one.peer in peers and one.is_ending(now, world.epoch_ns) and not of(one.peer, epochs, EpochState.PENDING):
            made.append(await _drawn(one.peer, now, world))
            await world.uow.commit([_opened(made[-1])], [_change("epoch.open", made[-1])])
    return made


def _change(name: str, one: Epoch) -> ports.Change:
    return ports.Change(name, {"peer": one.peer, "epoch": one.epoch, "expires_ns": one.expires_ns})


async def _drawn(peer: PeerId, now: int, world: World) -> Epoch:
    """A new epoch, its seed kept by the key process. A seed that no row ever names has made nothing."""
    day = datetime.fromtimestamp(now // 10**9, tz=UTC).strftime("%Y%m%d")
    epoch = EpochId(f"{day}-{world.chance.token(4).hex()}")
    await world.keys.open_epoch(peer, epoch)
    return Epoch(peer, epoch, EpochState.PENDING, now + world.epoch_ns)


def _opened(one: Epoch) -> Entry:
    return Entry("epoch.opened", Phase.EVENT, one.peer, public={"epoch": one.epoch, "expires_ns": one.expires_ns})


async def activate(peers: Collection[PeerId], world: World) -> list[Epoch]:
    """Put the pending epochs of these peers in force, all of whose tables are made; those before retire."""
    now, epochs = world.clock.now_ns(), world.book.epochs()
    done = []
    for peer in sorted(peers):
        pending = of(peer, epochs, EpochState.PENDING)
        if pending is None or pending.expires_ns <= now:
            continue
        before = of(peer, epochs, EpochState.ACTIVE)
        until_ns = now + overlap_ns(world.epoch_ns)
        until_ns = min(until_ns, before.expires_ns) if before is not None else 0
        said = {"epoch": pending.epoch, "retired": before.epoch if before else "", "until_ns": until_ns}
        await world.uow.commit(
            [Entry("epoch.activated", Phase.EVENT, peer, public=said)],
            [ports.Change("epoch.activate", {"peer": peer, "epoch": pending.epoch, "until_ns": until_ns})],
        )
        done.append(pending)
    return done


async def end(world: World) -> list[Epoch]:
    """Destroy the key of every epoch that has ended, and forget the epoch. From then on its tables are noise for ever.

    The seed goes first: a kill before the commit leaves the row, and this does it again.
    """
    done = []
    for one in world.book.epochs():
        # The common epoch of a test has no seed of its own.
        if one.expires_ns > world.clock.now_ns() or not one.peer:
            continue
        seeds = await world.keys.destroy(one.peer, one.epoch)
        gone = {"peer": one.peer, "epoch": one.epoch, "at_ns": world.clock.now_ns()}
        await world.uow.commit(
            [Entry("keys.destroyed", Phase.EVENT, one.peer, public={"seeds": seeds, "epoch": one.epoch})],
            [ports.Change("epoch.gone", gone)],
        )
        done.append(one)
    return done


@dataclass(frozen=True, slots=True)
class Rotation:
    """What two persons order: new keys for these peers, in an emergency without the old ones' overlap. `decision` is
    the act's reference and names no person: it stands in the log for ever."""

    peers: tuple[PeerId, ...]
    is_emergency: bool
    decision: str


def facts(ordered: Rotation, state: PeerId, epochs: Iterable[Epoch]) -> dict[str, str | bool]:
    """What the two persons sign. It names the epochs in force, so that a signature serves once.

    Raises:
        InputRefused: a peer has no epoch in force.
    """
    held = list(epochs)
    names = []
    for peer in sorted(ordered.peers):
        active = of(peer, held, EpochState.ACTIVE)
        if active is None:
            raise InputRefused(f"{peer} has no epoch in force; the next tick opens one", field="peer", code="EPOCH")
        names.append(f"{peer}/{active.epoch}")
    return {
        "state": state,
        "epochs": ",".join(names),
        "emergency": ordered.is_emergency,
        "decision": ordered.decision,
    }


async def rotate(
    ordered: Rotation, signed: Sequence[PersonalSignature], register: Register, world: World
) -> list[Epoch]:
    """Open a new epoch for each of the peers. The job process then makes their tables and puts them in force.

    In an emergency the old epochs end with this commit: their keys are destroyed, and the peers' checks are unreachable
    until they have fetched the new tables.

    Raises:
        PolicyDenied: not two distinct persons. VersionMoved: a change of keys is under way already.
        VerificationFailed, NotIdentified, Malformed: as `statement.verify_all`.
        InputRefused: a peer has no epoch in force.
    """
    now, epochs = world.clock.now_ns(), world.book.epochs()
    said = facts(ordered, world.state, epochs)
    people = statement.verify_all(signed, statement.ROTATION, said, register=register, roles=CUSTODIANS, now_ns=now)
    if len(people) != 2:
        raise PolicyDenied(("FLOOR_TWO_PERSONS",))
    if not ordered.is_emergency and any(of(peer, epochs, EpochState.PENDING) for peer in ordered.peers):
        raise VersionMoved("a change of keys is under way; `limen epoch list` shows it")
    persons = cbor.encode(
        [
            [statement.ROTATION, person.public_key, one.statement, one.signature]
            for person, one in zip(people, signed, strict=True)
        ]
    )
    made = [await _drawn(peer, now, world) for peer in sorted(ordered.peers)]
    changes = []
    for one in made:
        if ordered.is_emergency:
            changes.append(ports.Change("epoch.end", {"peer": one.peer, "at_ns": now}))
        changes.append(_change("epoch.open", one))
    order = Entry(
        "epoch.rotated",
        Phase.EVENT,
        public={name: value for name, value in said.items() if name != "state"} | {"persons": persons},
        secret={"officers": [str(person.officer) for person in people]},
    )
    await world.uow.commit([order, *(_opened(one) for one in made)], changes)
    if ordered.is_emergency:
        await end(world)
    return made


__all__ = [
    "CUSTODIANS",
    "Rotation",
    "activate",
    "end",
    "facts",
    "of",
    "open_next",
    "rotate",
    "to_publish_in",
]
