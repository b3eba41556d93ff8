"""The key process of a node."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from gateway.app import faults
from gateway.config import Config
from gateway.federation import names
from gateway.keyring import process
from gateway.keyring.process import KeyringConfig


async def run(settings: Config, ready: Callable[[], None]) -> None:
    """Answer operations until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await process.run(
        KeyringConfig(
            state=settings.state,
            folder=settings.paths.keys,
            log_origin=names.log_origin(settings.state, settings.store.log_number),
            socket=settings.socket("keys"),
            points=faults.points_of(settings, "keys"),
        ),
        ready=ready,
        stop=stop,
    )
