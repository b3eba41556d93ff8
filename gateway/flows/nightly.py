"""Once a night each gateway asks its peers where they say the pair stands, and holds that against their own messages
(docs/flows/nightly.md).

A message names its sender's entry by number and hash. The sender now says, under a checkpoint that witnesses see, how
many entries about us it has and which hashes the ones it named have. One that is not there, or is another, was signed
for and is gone: both messages are kept, as their signer's own word against itself. Nothing is told that the asker has
not been told before, so the two can ask each other without a decision of a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, Protocol

from gateway import ports
from gateway.audit import checkpoint, merkle, note, pairs, witness
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.leaf import Leaf
from gateway.errors import CapabilityMissing, Malformed, NotFoundOrNotPermitted, VerificationFailed
from gateway.federation import envelope
from gateway.primitives import cbor
from gateway.terms.exchange import PairHead, PairHeadRequest, SignedMessage
from gateway.terms.ids import PeerId

LOOK_BACK: Final = 1 << 16
"""Entries of a log that are looked through, the newest first."""

STEP: Final = 256
"""Entries between two breaths of the loop's."""

NUMBERS_MAX: Final = 64
"""Entries that one question names; of more, so many by chance."""

CLOCK_NS: Final = envelope.SKEW_NS

_STATEMENT_BYTES_MAX: Final = 1 << 15


class PairBook(Protocol):
    """A published log, and what was said of it and of others'."""

    def size(self) -> int: ...

    def leaf(self, seq: int) -> bytes | None: ...

    def leaves(self, start: int, stop: int) -> Sequence[bytes]: ...

    def inclusion(self, seq: int, size: int) -> Sequence[bytes]: ...

    def checkpoint(self, size: int) -> bytes | None: ...

    def pair_key(self) -> bytes: ...

    def last_digest(self) -> bytes | None:
        """The digest of the newest published checkpoint."""

    def pair_heads(self) -> tuple[int, Mapping[str, pairs.Head]] | None:
        """Where every pair stands in the newest published tree, and its size."""

    def witness(self, origin: str) -> witness.Seen | None:
        """The head of another log that we cosigned last."""

    def compared(self, peer: PeerId) -> bytes | None:
        """How the last comparison ended."""


class PairPeers(Protocol):
    """The peers, asked where our pair stands."""

    async def pair_head(
        self, peer: PeerId, numbers: Sequence[int], *, timeout_s: float
    ) -> tuple[PairHead, SignedMessage]:
        """What it says, and the reply as it was verified. Raises PeerUnreachable, CapabilityMissing, and what else the
        peer refuses with."""


class LogKeys(Protocol):
    """The public keys of logs, from the list of members in force."""

    def log_vkey(self, state: PeerId) -> str: ...


@dataclass(frozen=True, slots=True)
class TellingWorld:
    """The surroundings of a gateway that is asked."""

    book: PairBook
    uow: ports.UnitOfWork


@dataclass(frozen=True, slots=True)
class ComparingWorld:
    """The surroundings of a gateway that asks."""

    state: PeerId
    book: PairBook
    peers: PairPeers
    log_keys: LogKeys
    uow: ports.UnitOfWork
    clock: ports.Clock
    chance: ports.Chance
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Compared:
    """How a comparison ended: when it was made, the log it was made with and where the pair stood there. `fault` is ""
    where nothing differed; `reason` says why nothing was compared; `unchecked` entries were too far back to be looked
    for."""

    time_ns: int
    origin: str = ""
    size: int = 0
    count: int = 0
    head: bytes = field(default=b"", repr=False)
    asked: int = 0
    unchecked: int = 0
    fault: str = ""
    reason: str = ""

    def encode(self) -> bytes:
        """As it is kept."""
        return cbor.encode(
            [self.time_ns, self.origin, self.size, self.count, self.head, self.asked, self.unchecked, self.fault,
             self.reason]
        )  # fmt: skip

    @classmethod
    def decode(cls, data: bytes) -> Compared:
        """Read what was kept. Raises Malformed."""
        read = cbor.decode(data, field="compared", limit=4096)
        if not isinstance(read, list) or [type(one) for one in read] != [int, str, int, int, bytes, int, int, str, str]:
            raise Malformed("compared", "not the end of a comparison")
        return cls(*read)

    @property
    def outcome(self) -> str:
        """One word for people and programs."""
        return self.reason or self.fault or "same"


@dataclass(frozen=True, slots=True)
class _Named:
    """An entry that a message of the peer's named; `message` is that one's header and signature."""

    number: int
    hash: bytes
    time_ns: int
    message: tuple[bytes, bytes] = (b"", b"")


# -- Asked ------------------------------------------------------------------------------------------------------------


async def tell(peer: PeerId, asked: PairHeadRequest, world: TellingWorld) -> PairHead:
    """Where our entries about `peer` stand in the newest published tree, and the hashes at the numbers it names.

    Raises:
        NotFoundOrNotPermitted: no checkpoint that says where pairs stand was published yet.
    """
    found = world.book.pair_heads()
    if found is None:
        raise NotFoundOrNotPermitted("no published checkpoint says where pairs stand yet")
    size, heads = found
    leaf, noted = world.book.leaf(size - 1), world.book.checkpoint(size)
    if leaf is None or noted is None:
        raise NotFoundOrNotPermitted("no published checkpoint says where pairs stand yet")
    # 1. The hashes at the numbers that our own messages named.
    wanted = set(asked.numbers)
    hashes: dict[int, bytes] = {}
    reached = heads[peer].count + 1 if peer in heads else 1
    at_end = False
    async for data in _back(world.book, size):
        at_end = data is None
        if data is None or not (wanted - hashes.keys()):
            break
        if (entry := _about(data, peer)) is not None:
            reached = entry.pair_seq
            if reached in wanted:
                hashes[reached] = merkle.leaf_hash(data)
    if at_end:
        reached = 1
    # 2. Where the pair stands, opened for this peer alone.
    head = heads.get(peer)
    opening = pairs.open_(heads, world.book.pair_key(), size - 1, peer) if head is not None else None
    # 3. The entry, then the answer.
    await world.uow.commit(
        [
            Entry(
                "pair.told",
                Phase.EVENT,
                peer,
                public={"size": size, "count": head.count if head is not None else 0, "asked": len(asked.numbers)},
            )
        ]
    )
    return PairHead(
        note=noted,
        leaf=leaf,
        proof=tuple(world.book.inclusion(size - 1, size)),
        count=head.count if head is not None else 0,
        head=head.hash if head is not None else b"",
        salt=opening.salt if opening is not None else b"",
        siblings=opening.siblings if opening is not None else (),
        reached=reached,
        hashes=tuple(hashes.get(number, b"") for number in asked.numbers),
    )


# -- Asking -----------------------------------------------------------------------------------------------------------


async def compare(peer: PeerId, world: ComparingWorld) -> Compared:
    """Ask the peer, hold its answer against its messages, and enter how that ended.

    Raises:
        PeerUnreachable, and what else the peer refuses with: nothing was compared, nothing is entered.
    """
    # 1. What its messages named to us, and where the pair stood the last time.
    vkey = note.Verifier.parse(world.log_keys.log_vkey(peer))
    named = await _named(peer, world.book)
    before = _before(peer, vkey.name, world.book)
    if before is not None and before.count:
        named[before.count] = _Named(before.count, before.head, 0)
    chosen = sorted(_drawn(list(named), world.chance.token(32)))
    # 2. Ask.
    now = world.clock.now_ns()
    try:
        told, signed = await world.peers.pair_head(peer, chosen, timeout_s=world.timeout_s)
    except CapabilityMissing as lacking:
        # A peer of a release before is told as that, and as nothing else.
        result = Compared(now, vkey.name, reason=lacking.row.reason)
        await _enter(peer, result, {}, world)
        return result
    # 3. Judge. What does not hold is kept with the answer's own signature.
    result = Compared(now, vkey.name, count=told.count, head=told.head, asked=len(chosen))
    evidence: dict[str, Scalar] = {}
    try:
        size, unchecked = _judge(told, [named[number] for number in chosen], before, peer, vkey, world)
    except _Differs as found:
        result = replace(result, fault=found.what)
        evidence = {"statement": _bounded(signed)}
        if found.named is not None and found.named.message[0]:
            evidence |= {"number": found.named.number, "named": cbor.encode(list(found.named.message))}
    else:
        result = replace(result, size=size, unchecked=unchecked)
    # 4. The entry.
    await _enter(peer, result, evidence, world)
    return result


class _Differs(Exception):
    """The peer's answer does not agree with what it signed before."""

    def __init__(self, what: str, named: _Named | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.named = named


def _judge(
    told: PairHead, named: Sequence[_Named], before: Compared | None, peer: PeerId, vkey: note.Verifier,
    world: ComparingWorld,
) -> tuple[int, int]:  # fmt: skip
    """(size of the tree, entries that were not looked for). Raises _Differs."""
    # 1. The checkpoint is the peer's, and no older and no other than what we have cosigned.
    try:
        head = checkpoint.parse(note.open_note(told.note, [vkey]).text)
        leaf = Leaf.parse(told.leaf)
        if head.origin != vkey.name or leaf.kind != pairs.KIND or leaf.seq != head.size - 1:
            raise _Differs("proof")
        merkle.verify_inclusion(head.size - 1, head.size, merkle.leaf_hash(told.leaf), told.proof, head.root)
        # 2. The entry says where the pair stands.
        if told.count:
            opening = pairs.Opening(told.salt, told.siblings)
            if pairs.root_of(world.state, pairs.Head(told.count, told.head), opening) != leaf.public["root"]:
                raise _Differs("proof")
    except (Malformed, VerificationFailed):
        raise _Differs("proof") from None
    seen = world.book.witness(head.origin)
    if seen is not None and (head.size < seen.size or (head.size == seen.size and head.root != seen.root)):
        raise _Differs("rolled_back" if head.size < seen.size else "forked")
    if before is not None and (head.size < before.size or told.count < before.count):
        raise _Differs("rolled_back")
    # 3. Every entry that it named is there, and is the same.
    unchecked = 0
    for one, hash_ in zip(named, told.hashes, strict=True):
        if one.number > told.count:
            # Two things happen at one moment: only what was signed before this tree was made must be in it.
            if one.time_ns + CLOCK_NS <= leaf.time_ns:
                raise _Differs("missing", one)
            unchecked += 1
        elif (hash_ and hash_ != one.hash) or (one.number == told.count and told.head != one.hash):
            raise _Differs("changed", one)
        elif not hash_ and one.number >= told.reached:
            raise _Differs("missing", one)
        elif not hash_ and one.number != told.count:
            unchecked += 1
    return head.size, unchecked


async def _named(peer: PeerId, book: PairBook) -> dict[int, _Named]:
    """What messages of the peer's that stand in our log named, by number; none from before its log was replaced."""
    found: dict[int, _Named] = {}
    async for data in _back(book, book.size()):
        if data is None:
            break
        entry = _about(data, peer)
        if entry is None:
            continue
        if entry.kind == "log.replaced":
            break
        for header, signature in _messages(entry):
            read = envelope.decode(header)
            if read.entry is not None and read.sender == peer:
                one = _Named(read.entry.pair_seq, read.entry.leaf_hash, read.time_ns, (header, signature))
                found.setdefault(one.number, one)
    return found


async def _back(book: PairBook, size: int) -> AsyncIterator[bytes | None]:
    """The newest leaves of a log, the last first; None after the log's first."""
    low = max(0, size - LOOK_BACK)
    for stop in range(size, low, -STEP):
        for data in reversed(book.leaves(max(low, stop - STEP), stop)):
            yield data
        await asyncio.sleep(0)
    if low == 0:
        yield None


def _about(data: bytes, peer: PeerId) -> Leaf | None:
    """The leaf where it is about the peer. Most are passed over without being read."""
    if b"\x64peer\x63" + peer.encode() not in data:
        return None
    leaf = Leaf.parse(data)
    return leaf if leaf.peer == peer else None


def _messages(entry: Leaf) -> Iterator[tuple[bytes, bytes]]:
    """The signed headers that stand beside an entry."""
    signed, replies = entry.public.get("signed"), entry.public.get("replies")
    if isinstance(signed, bytes) and signed:
        header, signature = cbor.decode(signed, field="signed", limit=1 << 16)
        if header:
            yield header, signature
    if isinstance(replies, bytes) and replies:
        for header, signature in cbor.decode(replies, field="replies", limit=1 << 16):
            if header:
                yield header, signature


def _before(peer: PeerId, origin: str, book: PairBook) -> Compared | None:
    """Where the pair stood in this very log when nothing differed last."""
    held = book.compared(peer)
    if held is None:
        return None
    read = Compared.decode(held)
    return read if read.origin == origin and read.outcome == "same" else None


def _drawn(numbers: list[int], seed: bytes) -> list[int]:
    """At most `NUMBERS_MAX`, by chance: the peer cannot know which of its entries will be asked for."""
    return sorted(numbers, key=lambda number: sha256(seed + number.to_bytes(8, "big")).digest())[:NUMBERS_MAX]


def _bounded(signed: SignedMessage) -> bytes:
    body = signed.body if len(signed.body) <= _STATEMENT_BYTES_MAX else b""
    return cbor.encode([signed.header, signed.signature, body])


async def _enter(peer: PeerId, result: Compared, evidence: Mapping[str, Scalar], world: ComparingWorld) -> None:
    public: dict[str, Scalar] = {
        "origin": result.origin, "size": result.size, "count": result.count, "head": result.head,
        "asked": result.asked, "unchecked": result.unchecked, "fault": result.fault,
        **({"reason": result.reason} if result.reason else {}), **evidence,
    }  # fmt: skip
    kept = ports.Change("pair.compared", {"peer": peer, "said": result.encode()})
    await world.uow.commit([Entry("pair.compared", Phase.EVENT, peer, public=public)], [kept])
