"""A real OPA server over two signed bundles, run as `limen policy opa-config` says."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.opa import operated
from gateway.opa.operated import Held
from tests import extras

START_S = 20.0


def write(folder: Path, bundles: Sequence[Held]) -> None:
    """The server's own folder."""
    folder.mkdir(exist_ok=True)
    (folder / operated.CONFIG).write_bytes(operated.configuration(bundles))
    (folder / operated.AUTHZ).write_text(operated.RULES)


def start(folder: Path, server: str) -> subprocess.Popen[bytes]:
    """Start it; its log is `opa.log` in the folder."""
    command = operated.command(server, folder)
    if server.startswith("unix://"):
        Path(server.removeprefix("unix://")).unlink(missing_ok=True)
    with (folder / "opa.log").open("ab") as log:
        return subprocess.Popen([extras.path("opa"), *command[1:]], stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@contextmanager
def running(folder: Path, server: str) -> Iterator[subprocess.Popen[bytes]]:
    """The server, until the end of the block."""
    process = start(folder, server)
    try:
        if server.startswith("unix://"):
            until = time.monotonic() + START_S
            while not Path(server.removeprefix("unix://")).exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"opa did not start: {(folder / 'opa.log').read_text()[-1000:]}")
                time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
