"""The job process: makes tables that are due, then ends. It reads our own list, so it serves nobody.

`gateway.app.first` is the same between two ticks, for peers that have no table of ours yet.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.app import due, engines, federation, parts, units
from gateway.app.book import ListBook
from gateway.config import Config
from gateway.flows import publish
from gateway.keyring.client import KeysClient
from gateway.keyring.files import read_public
from gateway.rpc.convert.peers import Sender, manifest
from gateway.store.reader import Reader
from gateway.store.tables import TableFiles


async def run(settings: Config, ready: Callable[[], None]) -> None:
    """Publish what is due and remember what it was made from."""
    await make(settings, ready, first_only=False)


async def make(settings: Config, ready: Callable[[], None], *, first_only: bool) -> None:
    """Publish what is due, or (`first_only`) what no peer had a version of before."""
    clock = parts.clock_of(settings)
    reader = Reader(settings.paths.store)
    view = federation.in_force(settings, reader, clock.now_ns())
    now = clock.now_ns()
    keys = KeysClient(settings.socket("keys"))
    uow = units.writer_client(settings, "jobs")
    public = read_public(settings.paths.keys)
    sender = Sender(settings.state, public.message, lambda: parts.last_digest(reader))
    tables = TableFiles(settings.paths.tables, lambda message: manifest(message.body))
    stamp, met = due.stamp(settings, reader, now), due.met(reader)
    try:
        async with engines.of_node(settings, reader, now_ns=now, pinned_baseline=view.baseline) as engine:
            world = publish.PublishingWorld(
                state=settings.state,
                agency=settings.agencies[0],
                policy=engine,
                uow=uow,
                keys=keys,
                published=tables,
                book=ListBook(reader),
                clock=clock,
                chance=parts.SystemChance(),
                sign_manifest=sender.manifest,
                epoch_ns=settings.epochs.days * 24 * 3600 * 10**9,
            )
            peers = [state for state in view.states() if state != settings.state]
            await publish.publish(peers, world, first_only=first_only)
            tables.end(clock.now_ns())
        due.met_file(settings).write_text(met + "\n", "ascii")
        if not first_only:
            due.made_from(settings).write_text(stamp + "\n", "ascii")
        ready()
    finally:
        await uow.close()
        await keys.close()
        reader.close()
