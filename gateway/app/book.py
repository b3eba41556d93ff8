"""Our own lists and what was made of them, read from the node's database in the flows' words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.store.reader import Reader
from gateway.terms.exchange import Epoch
from gateway.terms.ids import EpochId, PeerId, PurposeGroup
from gateway.terms.words import ListId
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import ListEntry


@dataclass(frozen=True, slots=True)
class ListBook:
    """The books of `flows.publish`, `flows.listing` and `flows.announce`."""

    reader: Reader

    def list_entries(self, list_id: ListId) -> Iterator[ListEntry]:
        """Live entries of our own list."""
        return (entries.decode(body) for body in self.reader.all(list_id))

    def named_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterator[ListEntry]:
        """Those of these ids that are live."""
        found = (self.reader.entry(list_id, entry_id) for entry_id in entry_ids)
        return (entries.decode(body) for body in found if body is not None)

    def withdrawn_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterator[ListEntry]:
        """Entries of these ids as they were when they were taken off."""
        found = (self.reader.withdrawn(list_id, entry_id) for entry_id in entry_ids)
        return (entries.decode(body) for body in found if body is not None)

    def sharing(self, list_id: ListId, hashes: Sequence[bytes]) -> Iterator[ListEntry]:
        """Those that have one of these keys; others may be among them."""
        return (entries.decode(body) for body in self.reader.sharing(list_id, hashes))

    def epochs(self) -> list[Epoch]:
        """Every epoch of every peer."""
        return self.reader.epochs()

    def is_suspended(self, peer: PeerId) -> bool:
        """Our own suspension of the peer."""
        return self.reader.is_suspended(peer)

    def newest(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> tuple[int, bytes]:
        """Version and body of the newest manifest ever signed for the peer."""
        held = self.reader.manifest(peer, list_id, group)
        return (0, b"") if held is None else (held.version, held.message.body)

    def table_epoch(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> EpochId | None:
        """Its epoch."""
        held = self.reader.manifest(peer, list_id, group)
        return None if held is None else held.epoch

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        """The newest delta made for the peer in the epoch."""
        return self.reader.delta_head(peer, list_id, group, epoch)
