"""`limen serve`: start a node's processes by exec, keep them alive, stop them in order.

The supervisor holds no key, no database and no port. It imports nothing heavy, so that a node is up in two seconds and
a process that dies is replaced at once. A process says that it is ready by writing `run/<name>.ready`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ORDER: Final = ("keys", "writer", "gateway")
"""Stopped in reverse: calls drain first, then the log closes, then the keys go."""

INTERPRETER: Final = (sys.executable, "-W", "ignore::UserWarning:multiprocessing.resource_tracker")
"""How a process of the node begins. Where one was killed, Python's own tracker clears the semaphores of its pool and
would write a warning about it into the operational log, whose lines are ours."""

START_S_MAX: Final = 20.0
RESTART_PAUSE_S: Final = 0.2
RESTARTS_IN_A_MINUTE_MAX: Final = 20

EXIT_DISK: Final = 70
"""How the writer ends when COMMIT fails (`store.writer.EXIT_COMMIT`): the disk is full, or failing."""

EXIT_ENDED: Final = 71
"""How the gateway ends when its restored log must not go on (`Node`): it said why, and no start would change that."""

DISK_PAUSE_S: Final = 2.0
"""Such a writer is tried again at this pace for as long as it takes: the node is whole again once there is space."""

POLL_S: Final = 0.1

EARLY_S: Final = 2.0
"""How often it is asked whether something is due that must not wait for a tick."""

EARLY_AGAIN_S: Final = 10.0


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    restarts: list[float] = field(default_factory=list)
    again_at: float | None = None
    """When it is started again, while it is gone."""


@dataclass(slots=True)
class Job:
    """A process that does what is due and ends. `is_due` is asked on each tick, so that an idle node starts none.

    `early` names the process that does what must not wait for a tick, where `is_early_due` says so; never beside itself
    or the other.
    """

    name: str
    every_s: float
    is_due: Callable[[], bool]
    early: str = ""
    is_early_due: Callable[[], bool] = lambda: False
    process: subprocess.Popen[bytes] | None = None
    next_at: float = 0.0
    early_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """One node's processes.

    `config_file` is handed to each; `run_dir` holds sockets, port files and ready files.
    """

    config_file: Path
    run_dir: Path
    flags: tuple[str, ...]
    jobs: tuple[Job, ...]
    drain_s: float
    say: Callable[[str], None]
    processes: int = 1
    _children: dict[str, _Child] = field(default_factory=dict)
    _stopping: bool = False
    _rolling: bool = False

    def run(self) -> int:
        """Start, watch; on SIGHUP replace the gateway processes in turn, on SIGTERM or SIGINT drain and stop.

        Returns the exit code.
        """
        self.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.run_dir.glob("*.ready"):
            old.unlink()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)
        try:
            for name in self._names():
                self._start(name)
            for name in self._names():
                if not self._wait_ready(name):
                    return 1
            self.say("ready")
            (self.run_dir / "node.ready").write_text(f"{os.getpid()}\n")
            return self._watch()
        finally:
            self._stop_all()
            (self.run_dir / "node.ready").unlink(missing_ok=True)

    def _names(self) -> tuple[str, ...]:
        """Every process, in start order. All start at once: each waits for what it needs."""
        more = tuple(f"gateway-{number}" for number in range(2, self.processes + 1))
        return (*ORDER, *more)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _hang_up(self, _number: int, _frame: object) -> None:
        self._rolling = True

    def _roll(self) -> None:
        """Replace the gateway processes one after the other, each when the one before answers again.

        With two or more there is always one that takes new connections: a new release, or a certificate that is read at
        start only, comes into force without a call refused.
        """
        self._rolling = False
        for name in self._names():
            if name.partition("-")[0] != "gateway" or self._stopping:
                continue
            self._end(self._children[name].process)
            self._start(name)
            if not self._wait_ready(name):
                return
        self.say("every gateway process was started again")

    def _start(self, name: str) -> None:
        (self.run_dir / f"{name}.ready").unlink(missing_ok=True)
        kind, _, number = name.partition("-")
        process = self._spawn(kind, "--name", name, *(("--set", f"serve.number={number}") if number else ()))
        child = self._children.get(name)
        if child is None:
            self._children[name] = _Child(name, process)
        else:
            child.process = process

    def _spawn(self, process: str, *more: str) -> subprocess.Popen[bytes]:
        """Start a process of the node, which ends when we do."""
        parent = ("--config", str(self.config_file), "--parent", str(os.getpid()))
        return subprocess.Popen(
            [*INTERPRETER, "-m", "gateway.app", process, *more, *parent, *self.flags],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_ready(self, name: str) -> bool:
        until = time.monotonic() + START_S_MAX
        ready = self.run_dir / f"{name}.ready"
        while not ready.exists():
            code = self._children[name].process.poll()
            if code is not None:
                self.say(f"the {name} process did not start (exit {code}); its message stands above")
                return False
            if self._stopping or time.monotonic() > until:
                if self._stopping:
                    self.say(f"stopped before the {name} process was ready")
                else:
                    self.say(f"the {name} process was not ready in {START_S_MAX:.0f} s")
                return False
            time.sleep(0.01)
        return True

    def _watch(self) -> int:
        while not self._stopping:
            time.sleep(POLL_S)
            if self._rolling:
                self._roll()
            for name in self._names():
                if not self._keep(self._children[name]):
                    return 1
            for job in self.jobs:
                self._look(job)
        return 0

    def _look(self, job: Job) -> None:
        """Start a job whose tick has come and that has something to do. It is never started beside itself."""
        if job.process is not None and job.process.poll() is not None:
            job.process = None
        now = time.monotonic()
        if job.process is None and now >= job.next_at:
            job.next_at = now + job.every_s
            if job.is_due():
                job.process = self._spawn(job.name)
        elif job.early and job.process is None and now >= job.early_at:
            is_due = job.is_early_due()
            # One that failed is not tried again at once.
            job.early_at = now + (EARLY_AGAIN_S if is_due else EARLY_S)
            if is_due:
                job.process = self._spawn(job.early)

    def _keep(self, child: _Child) -> bool:
        """Start a process that has stopped again, after a pause. False when it keeps stopping, or the log has ended."""
        code = child.process.poll()
        if code is None or self._stopping:
            return True
        if code == EXIT_ENDED:
            return False
        now = time.monotonic()
        if child.again_at is not None:
            if now >= child.again_at:
                child.again_at = None
                self._start(child.name)
            return True
        if code == EXIT_DISK:
            pause_s = DISK_PAUSE_S
        else:
            pause_s = RESTART_PAUSE_S
            child.restarts = [at for at in child.restarts if now - at < 60] + [now]
        if len(child.restarts) > RESTARTS_IN_A_MINUTE_MAX:
            self.say(f"the {child.name} process keeps stopping (exit {code}); the node stops: see its messages above")
            return False
        self.say(f"the {child.name} process stopped (exit {code}) and is started again")
        child.again_at = now + pause_s
        return True

    def _stop_all(self) -> None:
        """Gateway first (it drains), then jobs, writer, keys."""
        self._stopping = True
        running = [self._children[name].process for name in reversed(self._names()) if name in self._children]
        running[1:1] = [job.process for job in self.jobs if job.process is not None]
        for process in running:
            self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask a process to drain and end, and see that it does."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(self.drain_s + 5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
