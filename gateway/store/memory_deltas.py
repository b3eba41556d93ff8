"""Deltas in the memory store: the same changes and reads as `store.deltas`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

from gateway.errors import VersionMoved
from gateway.store.deltas import Args, Numbered, judge_same
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import ListId

Place = tuple[str, str, str, str, int]


class Tables(Protocol):
    """What is kept. Rows are never changed in place."""

    listed: dict[tuple[str, str], bytes]
    list_keys: dict[tuple[str, str], tuple[bytes, ...]]
    epochs: dict[str, tuple[str, int]]
    epochs_beside: dict[tuple[str, str], tuple[str, int]]
    deltas: dict[Place, SignedMessage]
    delta_copies: dict[Place, SignedMessage]


class MemoryDeltas:
    """The part of `MemoryStore` that is about deltas."""

    @property
    def _chains(self) -> Tables:
        """The tables as they now stand."""
        raise NotImplementedError

    def _is_held(self, peer: str, epoch: str) -> bool:
        active = [held[0] for who in (peer, "") if (held := self._chains.epochs.get(who)) is not None]
        return epoch in active or (peer, epoch) in self._chains.epochs_beside

    def _index(self, list_: str, entry_id: str, hashes: Sequence[bytes] | None) -> None:
        self._chains.list_keys.pop((list_, entry_id), None)
        if hashes is not None:
            self._chains.list_keys[(list_, entry_id)] = tuple(hashes)

    def _delta_put(self, a: Args) -> None:
        if not self._is_held(a["peer"], a["epoch"]):
            raise VersionMoved(f"{a['peer']}: the epoch is no longer there")
        chain = (a["peer"], a["list"], a["group"], a["epoch"])
        last = max((place[4] for place in self._chains.deltas if place[:4] == chain), default=0)
        if a["number"] != last + 1:
            raise VersionMoved(f"{a['peer']}: delta {last} is already here")
        self._chains.deltas[(*chain, a["number"])] = SignedMessage(a["body"], a["header"], a["signature"])

    def _delta_copy_put(self, a: Args) -> None:
        place = (a["owner"], a["list"], a["group"], a["epoch"], a["number"])
        held = self._chains.delta_copies.get(place)
        if held is not None:
            judge_same(held.body, a)
            return
        self._chains.delta_copies[place] = SignedMessage(a["body"], a["header"], a["signature"])

    def _delta_prune(self, a: Args) -> None:
        table = (a["peer"], a["list"], a["group"])
        for place in [place for place in self._chains.deltas if place[:3] == table]:
            is_below = place[3] == a["epoch"] and place[4] < a["floor"]
            if is_below or not self._is_held(a["peer"], place[3]):
                del self._chains.deltas[place]

    def _delta_copy_prune(self, a: Args) -> None:
        table = (a["owner"], a["list"], a["group"])
        for place in [place for place in self._chains.delta_copies if place[:3] == table]:
            if place[3] != a["epoch"] or place[4] < a["floor"]:
                del self._chains.delta_copies[place]

    def _delta_drop(self, a: Args) -> None:
        for held in (self._chains.deltas, self._chains.delta_copies):
            for place in [place for place in held if place[0] == a["peer"]]:
                del held[place]

    # Reading

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        number = self.delta_number(peer, list_id, group, epoch)
        if number == 0:
            return 0, bytes(32)
        return number, sha256(self._chains.deltas[(peer, list_id.value, group, epoch, number)].body).digest()

    def delta_number(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> int:
        chain = (peer, list_id.value, group, epoch)
        return max((place[4] for place in self._chains.deltas if place[:4] == chain), default=0)

    def deltas(
        self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId, after: int, count: int
    ) -> list[Numbered]:
        return _after(self._chains.deltas, (peer, list_id.value, group, epoch), after)[:count]

    def delta_copies(self, owner: PeerId, list_id: ListId, group: str, epoch: EpochId, after: int) -> list[Numbered]:
        return _after(self._chains.delta_copies, (owner, list_id.value, group, epoch), after)

    def sharing(self, list_id: ListId, hashes: Sequence[bytes]) -> list[bytes]:
        wanted = set(hashes)
        keys = self._chains.list_keys
        return [
            body
            for place, body in sorted(self._chains.listed.items())
            if place[0] == list_id.value and (place not in keys or not wanted.isdisjoint(keys[place]))
        ]


def _after(held: Mapping[Place, SignedMessage], chain: tuple[str, str, str, str], after: int) -> list[Numbered]:
    return sorted(
        ((place[4], message) for place, message in held.items() if place[:4] == chain and place[4] > after),
        key=lambda one: one[0],
    )


APPLY: Final[Mapping[str, Callable[[Any, Args], None]]] = {
    "delta.put": MemoryDeltas._delta_put,
    "delta.prune": MemoryDeltas._delta_prune,
    "delta.drop": MemoryDeltas._delta_drop,
    "delta_copy.put": MemoryDeltas._delta_copy_put,
    "delta_copy.prune": MemoryDeltas._delta_copy_prune,
}
"""Rows of `store.memory`'s own table."""
