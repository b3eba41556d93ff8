"""A node runs once: a lock of the kernel's says so, never a number in a file that a crash left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import node
from gateway.cli.acts import serve
from gateway.cli.main import Parser, run
from gateway.config import Config
from gateway.errors import ConfigRefused


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    assert run(["init", "--state", "PAN", str(tmp_path / "pan"), "-q"]) == 0
    parser = Parser(prog="limen")
    node.add_config(parser)
    return node.load(parser.parse_args(["--config", str(tmp_path / "pan")]))


def test_a_number_that_another_process_has_by_now_stops_nobody(settings: Config) -> None:
    settings.paths.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    (settings.paths.run / "node.ready").write_text(f"{os.getpid()}\n")
    os.close(serve._held(settings))


def test_a_node_that_runs_is_not_started_twice(settings: Config) -> None:
    held = serve._held(settings)
    with pytest.raises(ConfigRefused, match="runs already"):
        serve._held(settings)
    os.close(held)
    os.close(serve._held(settings))


def test_what_a_killed_process_held_is_free_at_once(settings: Config) -> None:
    settings.paths.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = settings.paths.run / "serve.lock"
    program = f"import fcntl, os; f = os.open({str(lock)!r}, os.O_RDWR | os.O_CREAT); fcntl.flock(f, fcntl.LOCK_EX); "
    program += "print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        with pytest.raises(ConfigRefused, match="runs already"):
            serve._held(settings)
        child.kill()
    os.close(serve._held(settings))
