"""The job process between two ticks: the first tables of peers that have come since, so that they need not wait."""

from __future__ import annotations

from collections.abc import Callable

from gateway.app import jobs
from gateway.config import Config


async def run(settings: Config, ready: Callable[[], None]) -> None:
    """Publish first tables only."""
    await jobs.make(settings, ready, first_only=True)
