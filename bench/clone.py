"""E9: from nothing to a finished demonstration: `git clone`, then `sh setup.sh demo`, which is what `make demo` calls.

Cold, every cache is empty and packages come over this machine's network; warm, the same clone does it again. Needs a
package index and minutes, so it runs only when it is asked for: `make bench ONLY=E9`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.echo import ROOT
from bench.node import row

Row = dict[str, Any]

IDS: Final = ("E9", "E9.cold", "E9.warm")

ON_REQUEST: Final = True
"""Not among those that run when no id is named."""

CACHES: Final = ("XDG_CACHE_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR")


def run(smoke: bool) -> list[Row]:
    """The rows of E9. The short form asserts nothing about speed."""
    with tempfile.TemporaryDirectory(prefix="limen-") as name:
        folder = Path(name)
        env = {**os.environ, **{cache: str(folder / cache) for cache in CACHES}}
        for cache in CACHES:
            (folder / cache).mkdir()
        began = time.monotonic()
        _done(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder / "clone")], folder, env)
        _done(["sh", "setup.sh", "demo"], folder / "clone", env)
        cold_s, began = time.monotonic() - began, time.monotonic()
        _done(["sh", "setup.sh", "demo"], folder / "clone", env)
        warm_s = time.monotonic() - began
    return [
        row("E9.cold", cold_s, "s, clone to demo finished, every cache empty", "this machine's network", goal=90),
        row("E9.warm", warm_s, "s, the demo again", "the same clone", goal=15),
    ]


def _done(command: list[str], folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
