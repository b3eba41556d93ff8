"""Gateways witness each other's logs (C2SP tlog-witness over gRPC)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import ports
from gateway.audit import checkpoint as checkpoints
from gateway.audit import note
from gateway.audit import witness as witnessing
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.errors import NotFoundOrNotPermitted, VerificationFailed
from gateway.terms.exchange import CheckpointRequest
from gateway.terms.ids import PeerId

RESTORED: Final = "restored"
"""A witness has seen more of a restored log, or another."""


class LogKeys(Protocol):
    """The public keys of logs and witnesses, from the federation document in force."""

    def log_vkey(self, state: PeerId) -> str:
        """The state's log key (signed-note vkey; the name is the log's origin). Raises NotFoundOrNotPermitted."""

    def witness_vkey(self, state: PeerId) -> str:
        """The state's cosignature key."""


class WitnessStore(Protocol):
    """The atomic check-and-persist of the specification, in the writer."""

    async def witness(
        self, origin: str, old_size: int, size: int, root: bytes, noted: bytes, proof: Sequence[bytes] | None = None
    ) -> None:
        """Judge `old_size` and `proof` against the head cosigned last and store the new head in one transaction.

        Raises:
            VerificationFailed: a step of `audit.witness`; for `OLD_SIZE` `position` holds the size we know (409).
        """


@dataclass(frozen=True, slots=True)
class WitnessWorld:
    """The surroundings of a gateway as a witness."""

    log_keys: LogKeys
    store: WitnessStore
    uow: ports.UnitOfWork
    keys: ports.Keys
    clock: ports.Clock
    held: Callable[[str], bytes | None]
    """The note cosigned last for a log, None before the first."""


async def cosign(peer: PeerId, asked: CheckpointRequest, world: WitnessWorld) -> bytes:
    """Check that the peer's checkpoint extends the one we signed before, remember it, then sign it.

    Returns one cosignature line.

    Raises:
        NotFoundOrNotPermitted: the origin is not the peer's (404).
        VerificationFailed: signature (403), old size (409), proof (422). Nothing was signed.
    """
    # 1. The checkpoint is the peer's own and signed by the key the federation names.
    verifier = note.Verifier.parse(world.log_keys.log_vkey(peer))
    opened = note.open_note(asked.note, [verifier])
    head = checkpoints.parse(opened.text)
    if head.origin != verifier.name:
        raise NotFoundOrNotPermitted("the origin is not the peer's log")
    # 2. Judge and persist in one transaction: two requests that race cannot roll the log back.
    try:
        await world.store.witness(head.origin, asked.old_size, head.size, head.root, asked.note, asked.proof)
    except VerificationFailed as fault:
        # Another old size than ours is no fault: a cosignature was lost, or one of us restored. From the right one, two
        # roots for one size are (the specification has one code for both).
        if fault.step != witnessing.OLD_SIZE or fault.position == asked.old_size:
            await world.uow.commit([_fault(peer, head, fault.step, asked.note, world.held(head.origin))])
        raise
    # 3. Only then sign. The stored head is the record: an entry of our own log for each would make the two logs feed
    #    each other for ever.
    return await world.keys.cosign(opened.text, world.clock.now_ns() // 10**9)


def _fault(peer: PeerId, head: checkpoints.Checkpoint, step: str, noted: bytes, held: bytes | None) -> Entry:
    """A peer's checkpoint that contradicts its earlier one: both notes are kept, as their signer's own word against
    itself (`audit.forked`)."""
    public: dict[str, Scalar] = {
        "origin": head.origin, "size": head.size, "root": head.root, "step": step, "note": noted,
    }  # fmt: skip
    if held is not None:
        known = checkpoints.parse(note.parse(held).text)
        public |= {"known_size": known.size, "known_root": known.root, "known_note": held}
    return Entry("checkpoint.fault", Phase.EVENT, peer, public=public)


class OwnLog(Protocol):
    """Our log, as far as asking for cosignatures needs it."""

    def last_checkpoint(self) -> tuple[bytes, bytes] | None:
        """The newest published note with its cosignatures, and its digest."""

    def witnessed_size(self, witness: str) -> int:
        """The largest size this witness has signed for us, 0 for none."""

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """The proof between two sizes of our tree."""


@dataclass(frozen=True, slots=True)
class CollectingWorld:
    """The surroundings of a gateway that asks its peers to witness it."""

    log: OwnLog
    log_keys: LogKeys
    peers: ports.Peers
    uow: ports.UnitOfWork
    state: PeerId
    timeout_s: float = 5.0


async def collect(witness: PeerId, world: CollectingWorld) -> bool:
    """Ask one peer to cosign our newest checkpoint. True when its cosignature is stored.

    A peer that answers with a larger size than we have sent it saw a longer log of ours: we were rolled back, or the
    peer lies. Both are a person's business: the entry `witness.disputed` says so, and nothing is repaired.
    """
    cosigner = note.Verifier.parse(world.log_keys.witness_vkey(witness))

    async def ask(old_size: int, proof: Sequence[bytes], noted: bytes) -> bytes:
        return await world.peers.add_checkpoint(witness, old_size, proof, noted, timeout_s=world.timeout_s)

    return await _collect(witness, cosigner, ask, world)


class OutsideWitness(Protocol):
    """A witness that is no member (`web.witness`)."""

    @property
    def key(self) -> note.Verifier:
        """What its cosignatures verify under."""

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], noted: bytes, *, timeout_s: float) -> bytes:
        """Raises PeerUnreachable, and VerificationFailed as `ports.Peers.add_checkpoint`."""


async def collect_outside(witness: OutsideWitness, world: CollectingWorld) -> bool:
    """The same of a witness outside the federation: kept and disputed under its key's name."""

    async def ask(old_size: int, proof: Sequence[bytes], noted: bytes) -> bytes:
        return await witness.add_checkpoint(old_size, proof, noted, timeout_s=world.timeout_s)

    return await _collect("", witness.key, ask, world)


Ask = Callable[[int, Sequence[bytes], bytes], Awaitable[bytes]]
"""(old size, proof, note) -> cosignature lines."""


async def _collect(peer: PeerId | str, cosigner: note.Verifier, ask: Ask, world: CollectingWorld) -> bool:
    held = world.log.last_checkpoint()
    if held is None:
        return False
    witness = peer or cosigner.name
    noted = held[0]
    vkey = note.Verifier.parse(world.log_keys.log_vkey(world.state))
    opened = note.open_note(noted, [vkey])
    head = checkpoints.parse(opened.text)
    old_size = world.log.witnessed_size(witness)
    if old_size >= head.size:
        return False
    try:
        line = await _asked(ask, old_size, head.size, noted, world)
        note.verify_cosignature(opened.text, line, cosigner)
    except VerificationFailed as refusal:
        await world.uow.commit(
            [
                Entry(
                    "witness.disputed",
                    Phase.EVENT,
                    peer,
                    public={
                        "step": refusal.step,
                        "our_size": head.size,
                        "their_size": refusal.position or 0,
                        **({} if peer else {"witness": witness}),
                    },
                )
            ]
        )
        raise
    await world.uow.commit(
        [],
        [
            ports.Change(
                "cosignature.put",
                {"size": head.size, "name": cosigner.name, "witness": witness, "line": line},
            )
        ],
    )
    return True


async def known(witness: PeerId, world: CollectingWorld) -> int:
    """How much of our log a peer has seen, if nothing but what we have: a restored log asks before it goes on.

    The peer is asked to cosign our newest checkpoint once more. It says so if it has seen another or a longer log.

    Raises:
        NotFoundOrNotPermitted: there is no checkpoint to ask with.
        PeerUnreachable: it did not answer; another may.
        VerificationFailed: step `RESTORED`: it has seen entries that we do not have. We must not go on. Any other
            step: what came back is no answer to be trusted.
    """
    held = world.log.last_checkpoint()
    if held is None:
        raise NotFoundOrNotPermitted("no checkpoint was ever published")
    opened = note.open_note(held[0], [note.Verifier.parse(world.log_keys.log_vkey(world.state))])
    head = checkpoints.parse(opened.text)
    seen = head.size
    try:
        try:
            line = await world.peers.add_checkpoint(witness, seen, [], held[0], timeout_s=world.timeout_s)
        except VerificationFailed as refusal:
            if refusal.step != witnessing.OLD_SIZE or refusal.position is None or refusal.position >= head.size:
                raise
            # It stands before our checkpoint: a cosignature was lost, or was never asked for.
            seen = refusal.position
            proof = world.log.consistency(seen, head.size) if seen else []
            line = await world.peers.add_checkpoint(witness, seen, proof, held[0], timeout_s=world.timeout_s)
    except VerificationFailed as refusal:
        if refusal.step not in (witnessing.OLD_SIZE, witnessing.PROOF):
            raise
        theirs = f"{refusal.position} entries" if refusal.position is not None else "other entries"
        raise VerificationFailed(
            RESTORED,
            f"{witness} has seen {theirs} of this log and the backup has {head.size}: going on would fork it. "
            "Restore the newest backup, or begin a new log (`limen node recover`)",
            position=refusal.position,
        ) from None
    note.verify_cosignature(opened.text, line, note.Verifier.parse(world.log_keys.witness_vkey(witness)))
    return seen


async def _asked(ask: Ask, old_size: int, size: int, noted: bytes, world: CollectingWorld) -> bytes:
    """The witness's line. Where it is ahead of our notes (a cosignature was lost on the way), prove from where it
    stands, once: a log that was restored and has grown again since fails there."""
    proof = world.log.consistency(old_size, size) if old_size else []
    try:
        return await ask(old_size, proof, noted)
    except VerificationFailed as refusal:
        known = refusal.position
        if refusal.step != witnessing.OLD_SIZE or known is None or not old_size < known <= size:
            raise
    proof = world.log.consistency(known, size)
    return await ask(known, proof, noted)


__all__ = [
    "CollectingWorld", "LogKeys", "OutsideWitness", "OwnLog", "WitnessStore", "WitnessWorld", "collect",
    "collect_outside", "cosign", "known",
]  # fmt: skip
