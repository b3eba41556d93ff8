"""Named places at which a test makes a process of a node die (`faults.points`, refused in production).

    faults.points = ["gateway.check.answer.intent.after=kill", "keys.before_sign=kill", "writer.committed=kill"]

A point that is named does nothing until a file `run/fault.<process>.<place>` is put there. The process that reaches the
place next removes the file and kills itself with SIGKILL, so that it dies there once and its successor lives.

Places: of the writer those of `store.writer`, of the key process those of `keyring.process`, and of the gateway and the
job processes `<kind>.<phase>.before` and `.after` around the commit of an entry of that kind.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config import Config
from gateway.errors import ConfigRefused

PROCESSES: Final = ("keys", "writer", "gateway", "jobs", "statistics")
KILL: Final = "kill"


@dataclass(frozen=True, slots=True)
class Points:
    """The points of one process. Implements `store.writer.Points` and `keyring.process.Points`."""

    process: str
    places: frozenset[str]
    run_dir: Path

    def reach(self, name: str) -> None:
        """Die here if the point is named and its file is there."""
        if name not in self.places:
            return
        try:
            self.file(name).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def file(self, name: str) -> Path:
        """What arms the point."""
        return self.run_dir / f"fault.{self.process}.{name}"


def points_of(settings: Config, process: str) -> Points:
    """The points that the settings name for a process.

    Raises:
        ConfigRefused: a point names no process of a node, or another action than `kill`.
    """
    places = set()
    for point in settings.faults.points:
        place, _, action = point.partition("=")
        owner, _, name = place.partition(".")
        if owner not in PROCESSES or not name or action != KILL:
            raise ConfigRefused(f'faults.points: {point}: write "<{"|".join(PROCESSES)}>.<place>={KILL}"')
        if owner == process:
            places.add(name)
    return Points(process, frozenset(places), settings.paths.run)


__all__ = ["Points", "points_of"]
