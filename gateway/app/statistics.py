"""The statistics process: makes the releases that wait, then ends.

It alone loads the engine that counts and the library that draws noise. It is started at the tick when something waits,
and what it has made is shown at the next one, so that how long it took tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gateway.app import parts, units
from gateway.config import Config
from gateway.errors import CapabilityMissing
from gateway.flows import make_release
from gateway.keyring.client import KeysClient
from gateway.keyring.files import read_public
from gateway.rpc.convert.peers import Sender
from gateway.statistics.bounding import Source
from gateway.store.reader import Reader

NEEDED: Final = ("duckdb", "opendp", "yaml")
"""What the extra `statistics` brings."""

SPILL: Final = "spill"
"""The engine's own folder below that of the events: emptied at every start."""


def can_count() -> bool:
    """Whether this installation has the extra `statistics`. Loads none of it."""
    return all(find_spec(name) is not None for name in NEEDED)


def events_file(settings: Config, snapshot: bytes) -> Path:
    """Where the events of a snapshot lie, in the normal form."""
    return settings.paths.events / f"{snapshot.hex()}.csv"


async def run(settings: Config, ready: Callable[[], None]) -> None:
    """Make every release that waits.

    Raises:
        CapabilityMissing: the extra is not installed.
    """
    if not can_count():
        raise CapabilityMissing("releases wait; install the gateway with its extra `statistics`")
    from gateway.engines import duckdb
    from gateway.statistics import mechanism

    clock = parts.clock_of(settings)
    reader = Reader(settings.paths.store)
    keys = KeysClient(settings.socket("keys"))
    uow = units.writer_client(settings, "statistics")
    sender = Sender(settings.state, read_public(settings.paths.keys).message, lambda: parts.last_digest(reader))

    def events(snapshot: bytes) -> Source | None:
        path = events_file(settings, snapshot)
        return Source(str(path)) if path.is_file() else None

    try:
        world = make_release.JobWorld(
            state=settings.state,
            uow=uow,
            book=reader,
            keys=keys,
            clock=clock,
            engine=duckdb.DuckDbEngine(settings.paths.events / SPILL),
            draw=mechanism.draw,
            events=events,
            sign_release=sender.release,
            tick_ns=settings.statistics.tick_s * 10**9,
            software={"duckdb": duckdb.VERSION, "opendp": mechanism.VERSION},
        )
        ready()
        await make_release.run(world)
    finally:
        await uow.close()
        await keys.close()
        reader.close()
