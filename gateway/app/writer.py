"""The writer process of a node: database, log, unit of work."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from gateway import __version__
from gateway.app import faults, parts
from gateway.config import Config
from gateway.federation import names
from gateway.keyring.client import KeysClient
from gateway.store import writer
from gateway.store.writer import WriterConfig


async def run(settings: Config, ready: Callable[[], None]) -> None:
    """Serve commits until SIGTERM. The first start makes the log; it never does so where a lock record is left."""
    keys = KeysClient(settings.socket("keys"))
    where = WriterConfig(
        store_dir=settings.paths.store,
        lock_dir=settings.paths.lock,
        periods_dir=settings.paths.periods,
        run_dir=settings.paths.run,
        origin=names.log_origin(settings.state, settings.store.log_number),
        checkpoint_every_s=float(settings.ticks.checkpoint_s),
        pages_max=settings.store.pages_max,
        release=__version__,
        points=faults.points_of(settings, "writer"),
    )
    if writer.is_to_be_begun(where):
        writer.create(where)
    clock = parts.clock_of(settings)
    log = writer.Log(where, clock)
    serving = writer.Writer(log, where, clock, keys.sign_note)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serving.start()
    ready()
    try:
        await stop.wait()
    finally:
        await serving.stop()
        await keys.close()
