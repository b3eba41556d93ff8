"""Tell peers of a change without waiting for the tick: a delta for each, in the commit of the change itself (T10).

Only for lists whose kind allows it (`catalogue.IMMEDIATE`). Every peer with a table gets as many deltas, each of one
size, whatever it may be told: that one came tells nothing (docs/flows/announce.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.flows import publish
from gateway.flows.deciding import expect
from gateway.policy import catalogue
from gateway.policy.decision import Permit
from gateway.pseudonym import delta as deltas
from gateway.pseudonym.key import MatchKey
from gateway.pseudonym.label import Label
from gateway.pseudonym.schedule import HANDLE_BYTES
from gateway.terms.exchange import Delta, Epoch, KeyScope
from gateway.terms.ids import AgencyId, EpochId, PeerId, PurposeGroup
from gateway.terms.words import KeyType, ListId
from gateway.watchlist import publish as telling
from gateway.watchlist.entry import ListEntry
from gateway.watchlist.publish import Withheld

DELTAS_MAX: Final = 16
"""Most deltas that one act makes for each peer: 1,024 rows, the size of the smallest table. A larger change waits for
the tick."""

HASH_BYTES: Final = 16
"""Of a match key's SHA-256, in the index of our own list's keys."""

SEALED_BYTES: Final = 512
"""Room in an entry's sealed payload: how much a peer was told shows in no size."""

Pair = tuple[ListEntry | None, ListEntry | None]
"""An entry before a change and after it."""


class Book(Protocol):
    """What announcing reads from the node's database."""

    def epochs(self) -> Sequence[Epoch]:
        """Every epoch whose key is not destroyed yet."""

    def is_suspended(self, peer: PeerId) -> bool:
        """Suspended peers get nothing."""

    def table_epoch(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> EpochId | None:
        """The epoch of the newest table signed for the peer, None before the first."""

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        """Number and SHA-256 of the newest delta made for the peer in the epoch; (0, zeros) before the first."""

    def sharing(self, list_id: ListId, hashes: Sequence[bytes]) -> Iterable[ListEntry]:
        """Live entries of our own list that have one of these keys, by `hash_of`; others may be among them."""


@dataclass(frozen=True, slots=True)
class AnnouncingWorld:
    """What an act upon a list needs to tell peers at once. `peers` are the active members other than ourselves."""

    state: PeerId
    agency: AgencyId
    peers: Sequence[PeerId]
    policy: ports.PolicyEngine
    keys: ports.Keys
    book: Book
    chance: ports.Chance
    sign_delta: Callable[[Delta, int], tuple[bytes, dict[str, Any]]]
    """Wire body and header fields of a delta (`rpc.convert`)."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What goes into the commit of the change. `immediate` where peers see all of it at their next check."""

    entries: tuple[Entry, ...]
    changes: tuple[ports.Change, ...]
    immediate: bool


def hash_of(key: MatchKey) -> bytes:
    """By what our own list's keys are indexed, 16 bytes. It stands beside the entry itself and nowhere else."""
    return hashlib.sha256(key.input.open()).digest()[:HASH_BYTES]


def index_of(entry: ListEntry) -> list[bytes]:
    """The hashes an entry is indexed by: none where its list waits for the tick."""
    group = catalogue.group_of_kind(entry.kind)
    if group not in catalogue.IMMEDIATE:
        return []
    return sorted({hash_of(key) for key in publish.keys_of(entry, catalogue.key_types_of_group(group))})


async def announce(pairs: Sequence[Pair], list_id: ListId, now: int, world: AnnouncingWorld) -> Announced:
    """Make the deltas of a change, for every peer with a table. Nothing is stored: the caller commits them with it."""
    entries: list[Entry] = []
    changes: list[ports.Change] = []
    whole = True
    for place in catalogue.tables():
        if place.list_id is not list_id:
            continue
        touched = _touched(pairs, place.group)
        if not touched:
            continue
        count = -(-len({key.input.open() for _, keys in touched for key in keys}) // deltas.ROWS)
        if place.group not in catalogue.IMMEDIATE or count > DELTAS_MAX:
            whole = False
            continue
        held = _Held(touched, place, world.book)
        for peer in world.peers:
            table_epoch = world.book.table_epoch(peer, place.list_id, place.group)
            if world.book.is_suspended(peer) or table_epoch is None:
                continue
            # In a change of keys the peer may hold the table of either epoch: both go on.
            living = [one.epoch for one in world.book.epochs() if one.peer == peer and one.expires_ns > now]
            if table_epoch not in living:
                # Its table is of an epoch that has ended: it gets the change with the first of the next.
                whole = False
            permit = await publish.may_publish(peer, place, now, world.state, world.agency, world.policy)
            if permit is None:
                continue
            for epoch in living:
                scope = KeyScope(owner=world.state, list_id=place.list_id, group=place.group, epoch=epoch, peer=peer)
                for made, body, header_fields, rows in await _deltas(scope, permit, held, now, world):
                    message = await world.keys.sign(header_fields, body)
                    entries.append(_entry(made, permit, rows, hashlib.sha256(body).digest()))
                    changes += [expect(permit, peer), _put(made, message.body, message.header, message.signature)]
    return Announced(tuple(entries), tuple(changes), whole and bool(changes))


def _touched(pairs: Sequence[Pair], group: PurposeGroup) -> list[tuple[Pair, list[MatchKey]]]:
    """The pairs that a peer of the group could see a difference of, each with the keys that it concerns.

    A tag that is set changes neither keys nor label: it makes no delta, and shows to nobody as a change (T10).
    """
    kinds = catalogue.kinds_of_group(group)
    found = []
    for before, after in pairs:
        # What becomes another group's kind leaves this one.
        pair = tuple(one if one is not None and one.kind in kinds else None for one in (before, after))
        old, new = (_keys(one, group) for one in pair)
        old_label, new_label = (None if one is None else _label(one) for one in pair)
        if old.keys() == new.keys() and old_label == new_label:
            continue
        keys = list({**old, **new}.values())
        if keys:
            found.append(((pair[0], pair[1]), keys))
    return found


def _label(entry: ListEntry) -> Label:
    """What a peer reads of it, but for the handle."""
    return publish.label_of(entry, bytes(HANDLE_BYTES))


def _keys(entry: ListEntry | None, group: PurposeGroup) -> dict[bytes, MatchKey]:
    if entry is None:
        return {}
    return {key.input.open(): key for key in publish.keys_of(entry, catalogue.key_types_of_group(group))}


class _Held:
    """A change beside the rest of the list: every key it touches, and who has the key when it is made."""

    def __init__(self, touched: Sequence[tuple[Pair, list[MatchKey]]], place: catalogue.TableOf, book: Book) -> None:
        self.keys: dict[bytes, MatchKey] = {}
        self.before: dict[bytes, list[Pair]] = {}
        holders: dict[str, ListEntry] = {}
        for pair, keys in touched:
            for key in keys:
                self.keys[key.input.open()] = key
                self.before.setdefault(key.input.open(), []).append(pair)
            if pair[1] is not None:
                holders[pair[1].entry_id] = pair[1]
        changed = {one.entry_id for pair, _ in touched for one in pair if one is not None}
        kinds = catalogue.kinds_of_group(place.group)
        others = book.sharing(place.list_id, [hash_of(key) for key in self.keys.values()])
        holders |= {one.entry_id: one for one in others if one.entry_id not in changed and one.kind in kinds}
        having: dict[bytes, list[ListEntry]] = {data: [] for data in self.keys}
        for entry in holders.values():
            for data in _keys(entry, place.group).keys() & self.keys.keys():
                having[data].append(entry)
        self.having: Mapping[bytes, list[ListEntry]] = having
        self._have = {data: {entry.entry_id for entry in entries} for data, entries in having.items()}

    def said(self, data: bytes, may_tell: Callable[[ListEntry], Withheld | None]) -> tuple[bool, ListEntry | None]:
        """What a peer is to read of a key: (False, None) for nothing, (True, None) for withdrawn, else the entry."""
        told = [entry for entry in self.having[data] if may_tell(entry) is None]
        if told:
            return True, min(told, key=publish.gravity)
        for before, after in self.before[data]:
            # Only who was told of it learns that it is gone; and what is withheld from one peer alone (a tag was set)
            # shows to it as no change at all: it leaves the tables on the tick.
            gone = after is None or after.entry_id not in self._have[data] or may_tell(after) is Withheld.EXPIRED
            if before is not None and gone and may_tell(before) is None:
                return True, None
        return False, None


async def _deltas(
    scope: KeyScope, permit: Permit, held: _Held, now: int, world: AnnouncingWorld
) -> list[tuple[Delta, bytes, dict[str, Any], int]]:
    """The peer's next deltas, each with its body and header fields, and its number of true rows: the owner's own
    business."""
    key_types = {KeyType(name) for name in permit.key_types}

    def may_tell(entry: ListEntry) -> Withheld | None:
        return telling.may_tell(entry, scope.peer, kinds=permit.kinds, owner=world.state, now_ns=now)

    number, previous = world.book.delta_head(scope.peer, scope.list_id, scope.group, scope.epoch)
    keys = list(held.keys.values())
    outputs = await world.keys.derive(scope, [key.input.open() for key in keys])
    said = [held.said(key.input.open(), may_tell) if key.key_type in key_types else (False, None) for key in keys]
    told = list({entry.entry_id: entry for _, entry in said if entry is not None})
    handles = dict(zip(told, await world.keys.handles(scope, told), strict=True))
    made: list[tuple[Delta, bytes, dict[str, Any], int]] = []
    for start in range(0, len(keys), deltas.ROWS):
        number += 1
        delta_id = world.chance.token(deltas.ID_BYTES)
        rows = [
            deltas.seal_row(
                y, delta_id, number, None if entry is None else publish.label_of(entry, handles[entry.entry_id])
            )
            for y, (is_said, entry) in zip(
                outputs[start : start + deltas.ROWS], said[start : start + deltas.ROWS], strict=True
            )
            if is_said
        ]
        one = Delta(
            scope=scope,
            number=number,
            delta_id=delta_id,
            previous=previous,
            rows=deltas.build(rows, world.chance.token(32)),
            made_ns=now,
        )
        body, header_fields = world.sign_delta(one, now)
        previous = hashlib.sha256(body).digest()
        made.append((one, body, header_fields, len(rows)))
    return made


def _put(made: Delta, body: bytes, header: bytes, signature: bytes) -> ports.Change:
    scope = made.scope
    return ports.Change(
        "delta.put",
        {
            "peer": scope.peer,
            "list": scope.list_id.value,
            "group": scope.group,
            "epoch": scope.epoch,
            "number": made.number,
            "body": body,
            "header": header,
            "signature": signature,
        },
    )


def _entry(made: Delta, permit: Permit, rows: int, delta_hash: bytes) -> Entry:
    scope = made.scope
    return Entry(
        "delta.published",
        Phase.EVENT,
        scope.peer,
        public={
            "list": scope.list_id.value,
            "group": scope.group,
            "epoch": scope.epoch,
            "number": made.number,
            "delta_hash": delta_hash,
            "agreement": permit.agreement,
            "baseline": permit.baseline,
            "national": permit.national,
        },
        secret={"rows": rows},
        sealed_bytes=SEALED_BYTES,
    )
