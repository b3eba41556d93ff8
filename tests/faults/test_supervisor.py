"""A supervisor that is killed takes its node with it, and the node starts again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.supervisor import INTERPRETER
from gateway.cli.acts.nodes import Nodes
from gateway.workers.pool import Pool

START_S = 30.0


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    root = tmp_path_factory.mktemp("n")
    made = Nodes(root, {"PAN": "SNM", "HND": "INM"})
    made.make()
    yield made
    made.stop()


def ended(pids: list[int]) -> list[int]:
    """Which of them there still are, after at most 5 s."""
    until = time.monotonic() + 5
    left = pids
    while left and time.monotonic() < until:
        left = [pid for pid in left if Path(f"/proc/{pid}").exists() and state_of(pid) != "Z"]
        time.sleep(0.02)
    return left


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_killed_supervisor_leaves_no_process_and_the_node_starts_again(nodes: Nodes) -> None:
    node = nodes["PAN"]
    nodes.start("PAN")
    pids = node.pids()
    assert {"keys", "writer", "gateway"} <= set(pids)
    supervisor = node.process
    assert supervisor is not None
    supervisor.kill()
    supervisor.wait()
    assert ended([pid for name, pid in pids.items() if name != "node"]) == []
    nodes.start("PAN")
    assert set(node.pids()) >= {"keys", "writer", "gateway"}


def test_a_process_whose_supervisor_is_gone_before_it_asks_does_not_start(nodes: Nodes) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.app", "keys", "--config", str(nodes["PAN"].folder), "--parent", "1"],
        capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and not (nodes["PAN"].folder / "run" / "keys.ready").exists()


def test_two_gateway_processes_are_replaced_in_turn(tmp_path_factory: pytest.TempPathFactory) -> None:
    nodes = Nodes(tmp_path_factory.mktemp("n"), {"PAN": "SNM"}, settings={"serve.processes": "2"})
    nodes.make()
    try:
        nodes.start("PAN")
        node = nodes["PAN"]
        before = node.pids()
        assert {"gateway", "gateway-2"} <= set(before)
        run = node.folder / "run"
        asked = {name: int((run / f"{name}.port").read_text("ascii")) for name in ("metrics", "metrics-2")}
        assert asked["metrics-2"] == asked["metrics"] + 1
        supervisor = node.process
        assert supervisor is not None
        supervisor.send_signal(signal.SIGHUP)
        until = time.monotonic() + START_S
        serving = {"gateway": True, "gateway-2": True}
        while node.log_file.read_text().count("was started again") == 0 and time.monotonic() < until:
            serving = {name: name in node.pids() for name in serving}
            assert any(serving.values()), "both were away at once"
            time.sleep(0.02)
        after = node.pids()
        assert all(after[name] != before[name] for name in serving)
        assert all(after[name] == before[name] for name in ("keys", "writer", "node"))
        assert supervisor.poll() is None
    finally:
        nodes.stop()


PARENT = """
import asyncio, os, time
from gateway.workers.pool import Pool

async def main():
    print(await Pool().run(os.getpid, heavy=True), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_worker_ends_with_its_gateway(tmp_path: Path) -> None:
    file = tmp_path / "parent.py"
    file.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert state_of(worker) != "Z"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert ended([worker]) == []


def test_work_in_a_worker_comes_back() -> None:
    async def body() -> int:
        pool = Pool()
        try:
            return await pool.run(os.getpid, heavy=True)
        finally:
            pool.close()

    assert asyncio.run(body()) != os.getpid()


def test_what_a_killed_process_leaves_is_cleared_without_a_line_that_is_not_ours() -> None:
    killed = (
        "import multiprocessing, os\n"
        "held = [multiprocessing.get_context('spawn').Semaphore() for _ in range(3)]\n"
        "os.kill(os.getpid(), 9)\n"
    )
    # The tracker holds the pipe of standard error until it has cleared, so `run` waits for what it says.
    said = subprocess.run([*INTERPRETER, "-c", killed], capture_output=True, check=False)
    assert (said.returncode, said.stderr) == (-9, b"")
    loud = subprocess.run([sys.executable, "-W", "default", "-c", killed], capture_output=True, check=False)
    assert b"resource_tracker" in loud.stderr  # without it there is one
