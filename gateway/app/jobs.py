"""The job process: makes tables that are due, then ends. It reads our own list, so it serves nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.app import bundles, due, federation, parts, units
from gateway.app.engines import engine_of
from gateway.config import Config
from gateway.flows import publish
from gateway.keyring.client import KeysClient
from gateway.keyring.files import read_public
from gateway.rpc.convert.peers import Sender, manifest
from gateway.store.reader import Reader
from gateway.store.tables import TableFiles
from gateway.terms.ids import EpochId, PeerId, PurposeGroup
from gateway.terms.words import ListId
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import ListEntry


@dataclass(frozen=True, slots=True)
class Book:
    """`flows.publish.Book` over the node's database."""

    reader: Reader

    def epoch(self, peer: PeerId) -> tuple[EpochId, int] | None:
        """The peer's epoch in force."""
        return self.reader.epoch(peer)

    def is_suspended(self, peer: PeerId) -> bool:
        """Our own suspension of the peer."""
        return self.reader.is_suspended(peer)

    def list_entries(self, list_id: ListId) -> Iterable[ListEntry]:
        """Live entries of our own list."""
        return (entries.decode(body) for body in self.reader.all(list_id))

    def newest(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> tuple[int, bytes]:
        """The newest manifest ever signed for the peer."""
        held = self.reader.manifest(peer, list_id, group)
        return (0, b"") if held is None else (held.version, held.message.body)

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        """The newest delta made for the peer in the epoch."""
        return self.reader.delta_head(peer, list_id, group, epoch)


async def run(settings: Config, ready: Callable[[], None]) -> None:
    """Publish what is due and remember what it was made from."""
    clock = parts.clock_of(settings)
    reader = Reader(settings.paths.store)
    view = federation.in_force(settings, reader, clock.now_ns())
    now = clock.now_ns()
    engine = engine_of(settings)
    enforce = await engine.prepare(
        bundles.open_bundle(settings, "baseline", reader, now),
        bundles.open_bundle(settings, "national", reader, now),
        now_ns=now,
        pinned_baseline=view.baseline,
    )
    enforce()
    keys = KeysClient(settings.socket("keys"))
    uow = units.writer_client(settings, "jobs")
    public = read_public(settings.paths.keys)
    sender = Sender(settings.state, public.message, lambda: parts.last_digest(reader))
    stamp = due.stamp(settings, reader, now)
    try:
        world = publish.PublishingWorld(
            state=settings.state,
            agency=settings.agencies[0],
            policy=engine,
            uow=uow,
            keys=keys,
            published=TableFiles(settings.paths.tables, lambda message: manifest(message.body)),
            book=Book(reader),
            clock=clock,
            chance=parts.SystemChance(),
            sign_manifest=sender.manifest,
            epoch_ns=settings.epochs.days * 24 * 3600 * 10**9,
        )
        await publish.publish([state for state in view.states() if state != settings.state], world)
        due.made_from(settings).write_text(stamp + "\n", "ascii")
        ready()
    finally:
        await uow.close()
        await keys.close()
        await engine.close()
        reader.close()
