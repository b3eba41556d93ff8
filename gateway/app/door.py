"""What stands behind the peers' listener: each call becomes one flow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway import __version__, ports
from gateway.app.watch import again_if_moved
from gateway.errors import NotFoundOrNotPermitted, TooMany
from gateway.flows import answer, nightly, trial, witness
from gateway.flows.answer import AnsweringWorld
from gateway.flows.witness import WitnessWorld
from gateway.ports import SignedManifest
from gateway.rpc.convert.peers import DELTAS_MAX, SUITE
from gateway.rpc.server import SERVED, CallContext
from gateway.store.deltas import DeltaRows
from gateway.terms.exchange import (
    CheckpointRequest,
    CheckRequest,
    ChunkRequest,
    DeltasRequest,
    DescribeRequest,
    Description,
    ManifestRequest,
    PairHead,
    PairHeadRequest,
    SignedMessage,
)
from gateway.terms.ids import PeerId
from gateway.terms.words import BATCH_CLASSES, KeyType


@dataclass(frozen=True, slots=True)
class Door:
    """`rpc.doors.PeerDoor` over the flows. `answering` and `witnessing` are asked anew: policy and members change."""

    answering: Callable[[], AnsweringWorld]
    witnessing: Callable[[], WitnessWorld]
    published: ports.Tables
    deltas_made: DeltaRows
    clock: ports.Clock
    catch_up: Callable[[], Awaitable[object]]
    """Puts the newest rules in force."""
    telling: nightly.TellingWorld
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _told: dict[PeerId, bytes | None] = field(default_factory=dict)
    """By peer, the checkpoint under which it was told last where the pair stands."""

    async def check(self, request: CheckRequest, call: CallContext) -> SignedMessage:
        """Evaluate one batch."""
        return await again_if_moved(lambda: answer.answer(request, call.came, self.answering()), self.catch_up)

    async def manifest(self, request: ManifestRequest, call: CallContext) -> SignedManifest:
        """The current manifest made for the caller."""
        found = self.published.current(call.peer, request.list_id, request.group)
        if found is None or found.manifest.expires_ns <= self.clock.now_ns():
            raise NotFoundOrNotPermitted(f"{call.peer}: no table of this list and group")
        return found

    async def chunk(self, request: ChunkRequest, call: CallContext) -> bytes:
        """One chunk of the caller's current table."""
        found = self.published.current(call.peer, request.scope.list_id, request.scope.group)
        if found is None or found.manifest.scope != request.scope or found.manifest.version != request.version:
            raise NotFoundOrNotPermitted(f"{call.peer}: no such table version")
        return self.published.chunk(call.peer, found.manifest, request.number)

    async def deltas(self, request: DeltasRequest, call: CallContext) -> Sequence[SignedMessage]:
        """The caller's next deltas in the epoch in force."""
        scope = request.scope
        found = self.deltas_made.deltas(call.peer, scope.list_id, scope.group, scope.epoch, request.after, DELTAS_MAX)
        # A number that is gone, or not yet there, is no place to go on from.
        if not found or found[0][0] != request.after + 1:
            raise NotFoundOrNotPermitted(f"{call.peer}: no such deltas")
        return [message for _, message in found]

    async def describe(self, call: CallContext) -> Description:
        """What this gateway serves, and what its rules say to a dry run."""
        world = self.answering()
        asked: DescribeRequest = call.request
        return Description(
            state=world.state,
            release=__version__,
            protocol_majors=(1,),
            suites=(SUITE,),
            key_types=tuple(KeyType),
            classes=BATCH_CLASSES,
            baseline_digest=world.policy.versions().baseline,
            time_ns=self.clock.now_ns(),
            methods=SERVED,
            dry_run=await trial.answer(asked.dry_run, call.peer, world) if asked.dry_run is not None else None,
        )

    async def add_checkpoint(self, request: CheckpointRequest, call: CallContext) -> bytes:
        """Witness the caller's checkpoint."""
        return await witness.cosign(call.peer, request, self.witnessing())

    async def pair_head(self, request: PairHeadRequest, call: CallContext) -> PairHead:
        """Where our entries about the caller stand. It reads far back, so callers wait for one another, and nobody is
        told twice under one checkpoint (T19)."""
        async with self._one_at_a_time:
            digest = self.telling.book.last_digest()
            if call.peer in self._told and self._told[call.peer] == digest:
                raise TooMany(f"{call.peer} was told under this checkpoint")
            told = await nightly.tell(call.peer, request, self.telling)
            self._told[call.peer] = digest
            return told
