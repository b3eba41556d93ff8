"""Make a table for each permitted peer, entry by entry (T1, T3), and receive the tables peers made for us.

Publishing a table is a disclosure: the recipient can ask about every entry in it. So it is decided per entry, logged on
both sides before the table can be fetched or used, and undone by `withdraw`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import PeerSuspended, VerificationFailed, VersionMoved
from gateway.flows import epochs
from gateway.flows.deciding import decide, expect
from gateway.policy import catalogue
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.primitives.lp import lp
from gateway.pseudonym import label as labels
from gateway.pseudonym import matchkeys, schedule
from gateway.pseudonym import table as tables
from gateway.pseudonym.key import MatchKey
from gateway.terms.exchange import Epoch, KeyScope, Manifest, SignedMessage
from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, PurposeGroup
from gateway.terms.words import EpochState, KeyType, ListId, RecordKind, Role
from gateway.watchlist import publish as telling
from gateway.watchlist.entry import ListEntry

CHUNK_BYTES = 256 * 1024
"""Size of one fetched piece of a table; small enough to share the connection with a booth's check."""

OFFERED: tuple[Purpose, ...] = tuple(purpose for purpose in catalogue.OFFERED if not catalogue.is_aggregate(purpose))
"""Purposes that reach a table in this release (`catalogue.tables`)."""


class Book(Protocol):
    """What publishing reads from the node's database."""

    def epochs(self) -> Sequence[Epoch]:
        """Every epoch whose key is not destroyed yet."""

    def is_suspended(self, peer: PeerId) -> bool:
        """Suspended peers get nothing."""

    def list_entries(self, list_id: ListId) -> Iterable[ListEntry]:
        """Live entries of our own list."""

    def newest(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> tuple[int, bytes]:
        """Version and exact body of the newest manifest ever signed for the peer, also where its table is gone or was
        never served; (0, b"") before the first."""

    def table_epoch(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> EpochId | None:
        """The epoch of the newest table signed for the peer, None before the first."""

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        """Number and SHA-256 of the newest delta made for the peer in the epoch; (0, zeros) before the first."""


@dataclass(frozen=True, slots=True)
class PublishingWorld:
    """The surroundings of the job process that makes tables."""

    state: PeerId
    agency: AgencyId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    keys: ports.Keys
    published: ports.Tables
    book: Book
    clock: ports.Clock
    chance: ports.Chance
    sign_manifest: Callable[[Manifest, int], tuple[bytes, dict[str, object]]]
    """Wire body and header fields of a manifest (`rpc.convert`)."""
    epoch_ns: int = 30 * 24 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Made:
    """One table that was made. Counts are the owner's own business and never shown to a peer."""

    peer: PeerId
    list_id: ListId
    group: PurposeGroup
    version: int
    told: int
    withheld: dict[str, int]


async def publish(peers: Sequence[PeerId], world: PublishingWorld, *, first_only: bool = False) -> list[Made]:
    """Make every table that has changed, for every peer that policy permits.

    With `first_only` only tables of which the peer never had a version in the epoch. No tick need blur when the list
    changed: there is no table before to compare with, and what makes one due is an agreement, a list of members or a
    change of keys, and never an entry.

    The padded size of a group's table is the same for all peers (T1): the next size class above what all the list's
    entries of the group would fill, so that what a peer is not told changes nothing it can count. A peer without an
    agreement over any of the group's purposes costs one decision and no table.
    """
    made: list[Made] = []
    first_moved: VersionMoved | PeerSuspended | None = None
    whole = {peer for peer in peers if not world.book.is_suspended(peer)}
    if not first_only:
        await epochs.open_next(whole, world)
    # Before the lists: what a delta changed after this is in the table already, or the delta is read over it.
    heads = _heads(peers, world.book)
    lists = {list_id: list(world.book.list_entries(list_id)) for list_id in ListId}
    for place in catalogue.tables():
        entries = entries_of(place.group, lists[place.list_id])
        key_types = frozenset(key_type for purpose in place.purposes for key_type in catalogue.key_types_of(purpose))
        padded = tables.padded_count(sum(len(keys_of(entry, key_types)) for entry in entries))
        for peer in peers:
            if world.book.is_suspended(peer):
                continue
            try:
                one = await _publish_one(peer, place, entries, padded, heads, world, first_only)
            except (VersionMoved, PeerSuspended) as moved:
                # Decided under what has changed meanwhile: this peer's turn comes again on the next tick, and it
                # holds up no other peer's.
                first_moved = first_moved or moved
                whole.discard(peer)
                continue
            if one is not None:
                made.append(one)
    # Only when no table of the peer's is missing in it; and a key goes with its epoch, whoever made no table.
    await epochs.activate(whole, world)
    await epochs.end(world)
    if first_moved is not None:
        raise first_moved
    return made


Heads = dict[tuple[PeerId, ListId, PurposeGroup, EpochId], tuple[int, bytes]]


def _heads(peers: Sequence[PeerId], book: Book) -> Heads:
    """The newest delta of every chain."""
    places = [place for place in catalogue.tables() if place.group in catalogue.IMMEDIATE]
    return {
        (one.peer, place.list_id, place.group, one.epoch): book.delta_head(
            one.peer, place.list_id, place.group, one.epoch
        )
        for place in places
        for one in book.epochs()
        if one.peer in peers
    }


def entries_of(group: PurposeGroup, entries: Iterable[ListEntry]) -> list[ListEntry]:
    """The entries whose kind stands in the group's tables."""
    kinds = catalogue.kinds_of_group(group)
    return [entry for entry in entries if entry.kind in kinds]


async def _publish_one(
    peer: PeerId,
    place: catalogue.TableOf,
    entries: Sequence[ListEntry],
    padded: int,
    heads: Heads,
    world: PublishingWorld,
    first_only: bool,
) -> Made | None:
    now = world.clock.now_ns()
    list_id, group = place.list_id, place.group
    if first_only and _has_table(peer, place, world.book, now):
        return None
    permit = await may_publish(peer, place, now, world.state, world.agency, world.policy)
    if permit is None:
        return None
    epoch, epoch_expires = await epochs.to_publish_in(peer, world)
    scope = KeyScope(owner=world.state, list_id=list_id, group=group, epoch=epoch, peer=peer)

    told: list[ListEntry] = []
    withheld: dict[str, int] = {}
    for entry in entries:
        reason = telling.may_tell(entry, peer, kinds=permit.kinds, owner=world.state, now_ns=now)
        if reason is None:
            told.append(entry)
        else:
            withheld[reason] = withheld.get(reason, 0) + 1

    key_types = tuple(KeyType(name) for name in sorted(permit.key_types))
    delta_number, delta_hash = heads.get((peer, list_id, group, epoch), (0, bytes(32)))
    source = await _source(scope, told, key_types, padded, delta_number, world)
    before = world.published.current(peer, list_id, group)
    if before is not None and before.manifest.source == source and before.manifest.expires_ns > now:
        return None
    # Counted from what was signed, not from what is served: a crash between the two, or a peer that was withdrawn and
    # admitted again, leaves a version that no other table may bear.
    newest, newest_body = world.book.newest(peer, list_id, group)
    version = newest + 1

    table_id = world.chance.token(16)
    sealed = await _sealed(scope, told, key_types, table_id, version, world)
    blob = tables.build(
        sealed, table_id=table_id, version=version, padded_count=padded, filler_seed=world.chance.token(32)
    )
    manifest = Manifest(
        scope=scope,
        version=version,
        public_key=await world.keys.public_key(scope),
        key_types=key_types,
        padded_count=padded,
        chunk_bytes=CHUNK_BYTES,
        chunk_hashes=tables.chunk_hashes(blob, CHUNK_BYTES),
        table_hash=hashlib.sha256(blob).digest(),
        previous=hashlib.sha256(newest_body).digest() if newest else bytes(32),
        made_ns=now,
        expires_ns=epoch_expires,
        transfer_basis=permit.transfer_basis,
        source=source,
        delta_number=delta_number,
        delta_hash=delta_hash,
    )
    # A peer that still holds the table before this one reads on from there; what is older is of no use to anybody.
    floor = before.manifest.delta_number if before is not None and before.manifest.scope.epoch == epoch else 0
    body, header_fields = world.sign_manifest(manifest, now)
    message = await world.keys.sign(header_fields, body)

    await world.uow.commit(
        [
            Entry(
                "table.published",
                Phase.EVENT,
                peer,
                public={
                    "list": list_id.value,
                    "group": group,
                    "epoch": epoch,
                    "version": version,
                    "padded_count": padded,
                    "table_hash": manifest.table_hash,
                    "manifest_hash": hashlib.sha256(body).digest(),
                    "basis": permit.transfer_basis,
                    "agreement": permit.agreement,
                    "baseline": permit.baseline,
                    "national": permit.national,
                },
                secret={"told": len(told), "withheld": [f"{reason}:{n}" for reason, n in sorted(withheld.items())]},
            )
        ],
        [
            expect(permit, peer),
            ports.Change(
                "manifest.put",
                {
                    "peer": peer,
                    "list": list_id.value,
                    "group": group,
                    "epoch": epoch,
                    "version": version,
                    "body": message.body,
                    "header": message.header,
                    "signature": message.signature,
                },
            ),
            ports.Change(
                "delta.prune",
                {"peer": peer, "list": list_id.value, "group": group, "epoch": epoch, "floor": floor},
            ),
        ],
    )
    # Only now can the peer fetch it: logged first, then served.
    world.published.put(peer, ports.SignedManifest(manifest, message), blob)
    return Made(peer, list_id, group, version, len(told), withheld)


def _has_table(peer: PeerId, place: catalogue.TableOf, book: Book, now: int) -> bool:
    """Whether the peer ever had a version of this table in the epoch that its tables are made in."""
    pending = epochs.of(peer, book.epochs(), EpochState.PENDING)
    if pending is not None and pending.expires_ns > now:
        return book.table_epoch(peer, place.list_id, place.group) == pending.epoch
    return book.newest(peer, place.list_id, place.group)[0] > 0


async def may_publish(
    peer: PeerId, place: catalogue.TableOf, now: int, state: PeerId, agency: AgencyId, policy: ports.PolicyEngine
) -> Permit | None:
    """The permit for one table: what any purpose of the group permits, for they share it. None where none does.

    What each purpose may reach in it is decided again when it is asked under (`flows.answer`).
    """
    permits: list[Permit] = []
    for purpose in place.purposes:
        question = Question(
            stage=Stage.PUBLISH,
            purpose=purpose,
            operation=catalogue.check_operation(purpose),
            legal_basis="",
            list_id=place.list_id,
            key_types=(),
            class_size=0,
            asker=peer,
            owner=state,
            agency=agency,
            role=Role.OPERATOR,
            has_case=False,
            signers=0,
            time_ns=now,
        )
        decision = await decide(question, policy)
        if not isinstance(decision, Deny):
            permits.append(decision)
    if not permits:
        return None
    return replace(
        permits[0],
        key_types=tuple(sorted({word for permit in permits for word in permit.key_types})),
        kinds=tuple(sorted({kind for permit in permits for kind in permit.kinds})),
        expires_ns=min(permit.expires_ns for permit in permits),
    )


async def _sealed(
    scope: KeyScope,
    told: Sequence[ListEntry],
    key_types: tuple[KeyType, ...],
    table_id: bytes,
    version: int,
    world: PublishingWorld,
) -> list[tuple[bytes, bytes]]:
    """(tag, sealed label) of every match key of every entry told. Two keys of one entry share the label's handle."""
    handles = await world.keys.handles(scope, [entry.entry_id for entry in told])
    rows: list[tuple[ListEntry, bytes, bytes]] = []
    for entry, handle in zip(told, handles, strict=True):
        for key in keys_of(entry, frozenset(key_types)):
            rows.append((entry, handle, key.input.open()))
    outputs: list[bytes] = []
    step = 4096
    for start in range(0, len(rows), step):
        outputs.extend(await world.keys.derive(scope, [row[2] for row in rows[start : start + step]]))
    sealed: dict[bytes, bytes] = {}
    for (entry, handle, _), y in sorted(zip(rows, outputs, strict=True), key=lambda one: gravity(one[0][0])):
        tag, _ = schedule.label_row(y, version)
        if tag not in sealed:
            sealed[tag] = labels.seal_label(y, table_id, version, label_of(entry, handle))
    return sorted(sealed.items())


def gravity(entry: ListEntry) -> tuple[int, int]:
    """Of two entries with one key the lower stands: by urgency, then by the kind's number; the owner sees both when a
    case opens. The order of entry ids decides nothing."""
    return -entry.urgency, int(entry.kind)


def keys_of(entry: ListEntry, key_types: frozenset[KeyType]) -> tuple[MatchKey, ...]:
    """Every match key of an entry: the owner expands aliases, documents and ranges of years."""
    if entry.kind is not RecordKind.MISSING_CHILD:
        key_types -= {KeyType.MET2_YEAR_1}
    return matchkeys.for_asking(entry.person, entry.documents, key_types)


def label_of(entry: ListEntry, handle: bytes) -> labels.Label:
    """What a hit on the entry says. Protection changes nothing in it (T12)."""
    return labels.Label(
        kind=entry.kind,
        action=entry.action,
        urgency=entry.urgency,
        handling=entry.handling,
        expiry_day=(entry.valid_until - date(1970, 1, 1)).days,
        contact=entry.contact,
        handle=handle,
    )


async def _source(
    scope: KeyScope,
    told: Sequence[ListEntry],
    key_types: tuple[KeyType, ...],
    padded: int,
    delta_number: int,
    world: PublishingWorld,
) -> bytes:
    """What the table was made from: unchanged means that no new version is due. A delta makes one due for every peer,
    or a table that stays would show to whom nothing was told.

    It stands in the manifest, so it is keyed by the owner: a plain digest of a short list could be guessed.
    """
    digest = hashlib.sha256(lp("limen/table source/1", scope.epoch, scope.group, *key_types, str(padded)))
    digest.update(delta_number.to_bytes(8, "big"))
    for entry in told:
        digest.update(hashlib.sha256(entry.encode()).digest())
    parts = [f"source/{part}/{digest.hexdigest()}" for part in range(4)]
    return b"".join(await world.keys.handles(scope, parts))


@dataclass(frozen=True, slots=True)
class ReceivingWorld:
    """The surroundings of the asker's side of tables."""

    state: PeerId
    peers: ports.Peers
    copies: ports.Tables
    deltas: ports.DeltaCopies
    uow: ports.UnitOfWork
    clock: ports.Clock
    timeout_s: float = 10.0


async def receive(owner: PeerId, group: PurposeGroup, list_id: ListId, world: ReceivingWorld) -> bool:
    """Fetch the owner's table for us if it is newer than ours. True when a new one is in use.

    Raises:
        PeerUnreachable, PolicyDenied, ...: the owner did not give it; the table in use stays, until it expires.
        VerificationFailed: the owner showed two tables for one version, an older version, or other bytes than it
            signed. The fault is in the log.
    """
    signed = await world.peers.manifest(owner, list_id, group, timeout_s=world.timeout_s)
    manifest = signed.manifest
    held = world.copies.current(owner, list_id, group)
    if held is not None and held.message.body == signed.message.body:
        return False
    try:
        _judge(manifest, held, owner, list_id, group, world.state, world.clock.now_ns())
        _judge_deltas(manifest, held, world.deltas)
        blob = bytearray()
        for number, want in enumerate(manifest.chunk_hashes):
            chunk = await world.peers.chunk(owner, manifest, number, timeout_s=world.timeout_s)
            if hashlib.sha256(chunk).digest() != want:
                raise VerificationFailed("chunk", "the hash differs from the manifest's", position=number)
            blob += chunk
        if hashlib.sha256(blob).digest() != manifest.table_hash:
            raise VerificationFailed("table", "the hash differs from the manifest's")
        view = tables.TableView(bytes(blob))
        if (view.version, len(view)) != (manifest.version, manifest.padded_count):
            raise VerificationFailed("table", "version or size is not the manifest's")
    except VerificationFailed as fault:
        # First the proof, then the entry: an entry whose manifest hash nobody can show proves nothing.
        world.copies.prove(ports.Contradiction(fault.step, owner, signed, held))
        await world.uow.commit([_received(manifest, signed.message, owner, fault.step)])
        raise
    scope = manifest.scope
    # A question that was asked under the table in use until now may still be looked up behind it.
    floor = held.manifest.delta_number if held is not None and held.manifest.scope.epoch == scope.epoch else 0
    await world.uow.commit(
        [_received(manifest, signed.message, owner, "")],
        [
            ports.Change(
                "copy.put",
                {
                    "owner": owner,
                    "list": list_id.value,
                    "group": group,
                    "epoch": scope.epoch,
                    "version": manifest.version,
                    "body": signed.message.body,
                    "header": signed.message.header,
                    "signature": signed.message.signature,
                },
            ),
            ports.Change(
                "delta_copy.prune",
                {"owner": owner, "list": list_id.value, "group": group, "epoch": scope.epoch, "floor": floor},
            ),
        ],
    )
    world.copies.put(owner, signed, bytes(blob))
    return True


def _judge(
    manifest: Manifest,
    held: ports.SignedManifest | None,
    owner: PeerId,
    list_id: ListId,
    group: PurposeGroup,
    us: PeerId,
    now: int,
) -> None:
    scope = manifest.scope
    if (scope.owner, scope.list_id, scope.group, scope.peer) != (owner, list_id, group, us):
        raise VerificationFailed("scope", "the manifest is for another table")
    if manifest.expires_ns <= now:
        raise VerificationFailed("expiry", "the manifest has expired")
    if held is None:
        return
    if manifest.version < held.manifest.version:
        raise VerificationFailed("version", "the owner went back to an older table")
    if manifest.version == held.manifest.version:
        raise VerificationFailed("version", "two tables under one version")
    if (
        manifest.version == held.manifest.version + 1
        and manifest.previous != hashlib.sha256(held.message.body).digest()
    ):
        raise VerificationFailed("previous", "the manifest does not follow ours")


def _judge_deltas(manifest: Manifest, held: ports.SignedManifest | None, deltas: ports.DeltaCopies) -> None:
    """The table goes on from the deltas that we were shown: a chain with two histories is evidence."""
    is_one_chain = held is not None and held.manifest.scope == manifest.scope
    if held is not None and is_one_chain and manifest.delta_number < held.manifest.delta_number:
        raise VerificationFailed("delta", "the owner went back to an older delta")
    if manifest.delta_number == 0:
        return
    shown = next(iter(deltas.after(manifest.scope, manifest.delta_number - 1)), None)
    if (
        shown is not None
        and shown.delta.number == manifest.delta_number
        and hashlib.sha256(shown.message.body).digest() != manifest.delta_hash
    ):
        raise VerificationFailed("delta", "two deltas under one number", position=manifest.delta_number)


def _received(manifest: Manifest, message: SignedMessage, owner: PeerId, fault: str) -> Entry:
    return Entry(
        "table.received",
        Phase.EVENT,
        owner,
        public={
            "list": manifest.scope.list_id.value,
            "group": manifest.scope.group,
            "epoch": manifest.scope.epoch,
            "version": manifest.version,
            "padded_count": manifest.padded_count,
            "table_hash": manifest.table_hash,
            "manifest_hash": hashlib.sha256(message.body).digest(),
            "basis": manifest.transfer_basis,
            "fault": fault,
        },
    )


async def withdraw(peer: PeerId, world: PublishingWorld, received: ports.Tables) -> int:
    """Suspend a peer: evaluation stops at the next call, its keys and its tables are destroyed (T3).

    Returns how many seeds were destroyed. The order matters: the suspension is durable before anything is deleted.
    """
    await world.uow.commit(
        [Entry("peer.suspended", Phase.EVENT, peer, public={"suspended": True})],
        [ports.Change("peer.suspend", {"peer": peer, "suspended": True})],
    )
    destroyed = await world.keys.destroy(peer)
    world.published.drop(peer)
    received.drop(peer)
    await world.uow.commit(
        [Entry("keys.destroyed", Phase.EVENT, peer, public={"seeds": destroyed})],
        [ports.Change("delta.drop", {"peer": peer}), ports.Change("epoch.drop", {"peer": peer})],
    )
    return destroyed


__all__ = [
    "CHUNK_BYTES",
    "OFFERED",
    "Book",
    "Made",
    "PublishingWorld",
    "ReceivingWorld",
    "publish",
    "receive",
    "withdraw",
]
