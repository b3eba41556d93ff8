"""Epochs in the memory store: the same changes and reads as `store.epochs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.errors import VersionMoved
from gateway.store.memory_deltas import MemoryDeltas
from gateway.terms.exchange import Epoch
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import EpochState

Args = Mapping[str, Any]


class MemoryEpochs(MemoryDeltas):
    """The part of `MemoryStore` that is about epochs."""

    def _epoch_put(self, a: Args) -> None:
        self._chains.epochs[a["peer"]] = (a["epoch"], a["expires_ns"])

    def _epoch_open(self, a: Args) -> None:
        beside = self._chains.epochs_beside
        if any(peer == a["peer"] and state == EpochState.PENDING for (peer, _), (state, _) in beside.items()):
            raise VersionMoved(f"{a['peer']}: another epoch is pending")
        beside[(a["peer"], a["epoch"])] = (EpochState.PENDING, a["expires_ns"])

    def _epoch_activate(self, a: Args) -> None:
        place = (a["peer"], a["epoch"])
        state, expires_ns = self._chains.epochs_beside.get(place, (EpochState.RETIRED, 0))
        if state != EpochState.PENDING:
            raise VersionMoved(f"{a['peer']}: the epoch is no longer pending")
        del self._chains.epochs_beside[place]
        self._retire(a["peer"], a["until_ns"])
        self._chains.epochs[a["peer"]] = (a["epoch"], expires_ns)

    def _epoch_end(self, a: Args) -> None:
        self._retire(a["peer"], a["at_ns"])
        for place, (_, expires_ns) in list(self._chains.epochs_beside.items()):
            if place[0] == a["peer"]:
                self._chains.epochs_beside[place] = (EpochState.RETIRED, min(expires_ns, a["at_ns"]))

    def _retire(self, peer: str, until_ns: int) -> None:
        held = self._chains.epochs.pop(peer, None)
        if held is not None:
            self._chains.epochs_beside[(peer, held[0])] = (EpochState.RETIRED, min(held[1], until_ns))

    def _epoch_gone(self, a: Args) -> None:
        end = self.epoch_end(a["peer"], a["epoch"])
        if end is not None and end > a["at_ns"]:
            raise VersionMoved(f"{a['peer']}: the epoch has not ended")
        if self._chains.epochs.get(a["peer"], ("", 0))[0] == a["epoch"]:
            del self._chains.epochs[a["peer"]]
        self._chains.epochs_beside.pop((a["peer"], a["epoch"]), None)
        for place in [place for place in self._chains.deltas if (place[0], place[3]) == (a["peer"], a["epoch"])]:
            del self._chains.deltas[place]

    def _epoch_drop(self, a: Args) -> None:
        self._chains.epochs.pop(a["peer"], None)
        for place in [place for place in self._chains.epochs_beside if place[0] == a["peer"]]:
            del self._chains.epochs_beside[place]

    # Reading

    def epoch(self, peer: PeerId) -> tuple[EpochId, int] | None:
        held = self._chains.epochs.get(peer) or self._chains.epochs.get("")
        return None if held is None else (EpochId(held[0]), held[1])

    def epoch_end(self, peer: PeerId, epoch: EpochId) -> int | None:
        held = self.epoch(peer)
        if held is not None and held[0] == epoch:
            return held[1]
        beside = self._chains.epochs_beside.get((peer, epoch))
        return None if beside is None else beside[1]

    def epochs(self) -> list[Epoch]:
        active = [
            Epoch(PeerId(peer), EpochId(epoch), EpochState.ACTIVE, expires)
            for peer, (epoch, expires) in self._chains.epochs.items()
        ]
        beside = [
            Epoch(PeerId(peer), EpochId(epoch), EpochState(state), expires)
            for (peer, epoch), (state, expires) in self._chains.epochs_beside.items()
        ]
        return sorted([*active, *beside], key=lambda one: (one.peer, one.epoch))


APPLY: Final[Mapping[str, Callable[[Any, Args], None]]] = {
    "epoch.put": MemoryEpochs._epoch_put,
    "epoch.open": MemoryEpochs._epoch_open,
    "epoch.activate": MemoryEpochs._epoch_activate,
    "epoch.end": MemoryEpochs._epoch_end,
    "epoch.gone": MemoryEpochs._epoch_gone,
    "epoch.drop": MemoryEpochs._epoch_drop,
}
"""Rows of `store.memory`'s own table."""
