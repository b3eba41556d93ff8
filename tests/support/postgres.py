"""A PostgreSQL server for tests: on a Unix socket of its own, started by the first test, gone with the process."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.store import postgres
from gateway.store.postgres import Place
from tests import extras

USER = "limen"


@dataclass
class Server:
    """`root` holds its data and its socket. Each place that is handed out is a schema of its own."""

    root: Path
    binaries: Path
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def socket(self) -> Path:
        """Nobody but this process's user and the server's gets in: the folder is the server's."""
        return self.root

    def place(self, folder: Path) -> Place:
        """Say in a store folder that its database is here, in a schema that nobody has used."""
        made = Place("postgres", USER, socket=str(self.socket), schema=f"limen_{next(self.numbers)}")
        (folder / postgres.FILE).write_text(made.encode())
        return replace(made, folder=folder)

    def start(self) -> None:
        """Start the server and wait until it answers. As root it runs as nobody, because it refuses root."""
        options = f"-k {self.socket} -c listen_addresses= -c fsync=on -c max_connections=50"
        self.run("pg_ctl", "-D", str(self.root / "data"), "-w", "-o", options, "-l", str(self.root / "log"), "start")

    def stop(self, how: str = "immediate") -> None:
        """End it: `immediate` is a crash."""
        self.run("pg_ctl", "-D", str(self.root / "data"), "-w", "-m", how, "stop")

    def run(self, program: str, *arguments: str) -> None:
        """One of the server's programs."""
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_nobody, str(self.binaries / program), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/",
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")


@functools.cache
def running() -> Server:
    """The server of this process."""
    # A socket's path is short.
    root = Path(tempfile.mkdtemp(prefix="limen-pg-", dir="/tmp"))
    server = Server(root, Path(extras.path("postgres")).resolve().parent)
    if os.geteuid() == 0:
        shutil.chown(root, "nobody")
    server.run("initdb", "-D", str(root / "data"), "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync")
    server.start()

    def end() -> None:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)

    atexit.register(end)
    return server
