"""Fetch the deltas that an owner says it has made for us, before anything is looked up (docs/protocol/matching.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import PeerUnreachable, VerificationFailed
from gateway.ports import SignedDelta
from gateway.terms.exchange import Manifest
from gateway.terms.ids import PeerId

BEHIND_MAX: Final = 4_096
"""Most deltas behind one table: 20 MB. An owner that makes more makes no table, and cannot be followed."""


@dataclass(frozen=True, slots=True)
class CatchingUpWorld:
    """The surroundings of an asker that may be behind."""

    peers: ports.Peers
    deltas: ports.DeltaCopies
    uow: ports.UnitOfWork
    timeout_s: float


async def catch_up(owner: PeerId, manifest: Manifest, number: int, world: CatchingUpWorld) -> list[SignedDelta]:
    """Every delta from behind the manifest's table up to `number`, in order; more where we hold more.

    What is fetched is in the log and durable before it is used.

    Raises:
        PeerUnreachable, NotFoundOrNotPermitted: they cannot be had: nothing may be read from what we hold.
        VerificationFailed: the chain does not hold. The fault is in the log.
    """
    if number == 0:
        return []
    held = _unbroken(world.deltas.after(manifest.scope, manifest.delta_number), manifest.delta_number)
    if number - manifest.delta_number > BEHIND_MAX:
        raise PeerUnreachable(f"{owner}: more deltas behind one table than can be followed")
    while manifest.delta_number + len(held) < number:
        last = manifest.delta_number + len(held)
        fetched = await world.peers.deltas(owner, manifest.scope, last, timeout_s=world.timeout_s)
        previous = _hash(held[-1]) if held else manifest.delta_hash
        for place, one in enumerate(fetched, last + 1):
            step = _fault(one, place, previous, manifest)
            if step:
                await world.uow.commit([_entry(one, owner, step)])
                raise VerificationFailed("delta", step, position=place)
            previous = _hash(one)
        await world.uow.commit([_entry(one, owner, "") for one in fetched], [_put(one, owner) for one in fetched])
        held += fetched
    return held


def _unbroken(deltas: list[SignedDelta], last: int) -> list[SignedDelta]:
    """As many as follow each other from there on."""
    return [one for place, one in enumerate(deltas, last + 1) if one.delta.number == place]


def _fault(one: SignedDelta, number: int, previous: bytes, manifest: Manifest) -> str:
    if one.delta.scope != manifest.scope:
        return "another scope"
    if one.delta.number != number:
        return "not the next number"
    if one.delta.previous != previous:
        return "does not follow the one before"
    return ""


def _hash(one: SignedDelta) -> bytes:
    return hashlib.sha256(one.message.body).digest()


def _put(one: SignedDelta, owner: PeerId) -> ports.Change:
    scope = one.delta.scope
    return ports.Change(
        "delta_copy.put",
        {
            "owner": owner,
            "list": scope.list_id.value,
            "group": scope.group,
            "epoch": scope.epoch,
            "number": one.delta.number,
            "body": one.message.body,
            "header": one.message.header,
            "signature": one.message.signature,
        },
    )


def _entry(one: SignedDelta, owner: PeerId, fault: str) -> Entry:
    scope = one.delta.scope
    return Entry(
        "delta.received",
        Phase.EVENT,
        owner,
        public={
            "list": scope.list_id.value,
            "group": scope.group,
            "epoch": scope.epoch,
            "number": one.delta.number,
            "delta_hash": _hash(one),
            "fault": fault,
        },
    )
