"""`limen serve`: run a node until SIGTERM."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from pathlib import Path

from gateway import config
from gateway.app import due
from gateway.app.supervisor import Job, Supervisor
from gateway.cli import node
from gateway.cli.main import ERROR
from gateway.config import Config
from gateway.errors import ConfigRefused


def run(args: argparse.Namespace) -> int:
    """Start the processes, say when the node is ready, and wait."""
    if args.production:
        args.set.append("production=true")
    if args.processes is not None:
        args.set.append(f"serve.processes={args.processes}")
    settings = node.load(args)
    clock = node.clock_of(settings)
    held = _held(settings)

    def say(text: str) -> None:
        print(f"limen {settings.state}: {text}", file=sys.stderr, flush=True)

    supervisor = Supervisor(
        config_file=(args.config or Path(os.environ.get(node.CONFIG_VARIABLE) or config.FILE_NAME)).resolve(),
        run_dir=settings.paths.run,
        flags=tuple(part for item in args.set for part in ("--set", item)),
        jobs=(
            Job(
                "jobs",
                float(settings.ticks.publish_s),
                lambda: due.is_due(settings, clock.now_ns()),
                early="first",
                is_early_due=lambda: due.is_first_due(settings),
            ),
            Job("statistics", float(settings.statistics.tick_s), lambda: due.releases_wait(settings)),
        ),
        drain_s=float(settings.serve.drain_s),
        say=say,
        processes=settings.serve.processes,
    )
    try:
        code = supervisor.run()
    finally:
        os.close(held)
    return code if code == 0 else ERROR


def _held(settings: Config) -> int:
    """The node's run folder, held by this process until it ends, however it ends.

    A lock of the kernel's and no pid in a file: after a crash another process may have the number.

    Raises:
        ConfigRefused: another process has it.
    """
    settings.paths.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    guard = os.open(settings.paths.run / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(guard)
        raise ConfigRefused(f"{settings.root}: this node runs already; stop it first") from None
    return guard
