"""A process's unit of work, with its fault points where the settings name any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.app import faults, parts
from gateway.app.faults import Points
from gateway.audit.entry import Entry
from gateway.audit.seal import Recipients
from gateway.config import Config
from gateway.ports import Change, Committed
from gateway.store.client import WriterClient


def writer_client(settings: Config, process: str) -> WriterClient:
    """The process's unit of work, with its points around each commit where the settings name any."""
    points = faults.points_of(settings, process)
    recipients = parts.recipients_of(settings)
    if not points.places:
        return WriterClient(settings.socket("writer"), recipients)
    return _Pointed(settings.socket("writer"), recipients, points)


class _Pointed(WriterClient):
    def __init__(self, path: Path, recipients: Recipients, points: Points) -> None:
        super().__init__(path, recipients)
        self._points = points

    async def commit(self, entries: Sequence[Entry], changes: Sequence[Change] = ()) -> Committed:
        """As the plain one, between two points for each kind of entry."""
        kinds = sorted({f"{entry.kind}.{entry.phase.value}" for entry in entries})
        for kind in kinds:
            self._points.reach(f"{kind}.before")
        done = await super().commit(entries, changes)
        for kind in kinds:
            self._points.reach(f"{kind}.after")
        return done
