"""A log in a folder with a writer that can be killed, and what must hold of it after every fault."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from gateway.audit import checkpoint, leaf, merkle
from gateway.store import writer
from gateway.store.reader import Reader
from tests.faults.writer_child import Clock, config

ROOT = Path(__file__).parents[2]


def start_child(folder: Path, *point: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A writer under load (`writer_child`), to be killed at a named place or by the test."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.writer_child", str(folder), *point],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stderr=subprocess.PIPE,
    )


def wait_for(path: Path, lines: int, child: subprocess.Popen[bytes]) -> None:
    """Until a file has so many lines, or the child has ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until and child.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.005)


def ended(child: subprocess.Popen[bytes]) -> int:
    """How the child ended: killed, or by an error from COMMIT. Anything else is the test's failure."""
    try:
        _, err = child.communicate(timeout=30)
    finally:
        child.kill()
    if child.returncode not in (-signal.SIGKILL, writer.EXIT_COMMIT):
        raise AssertionError(err.decode())
    return child.returncode


def signed(folder: Path) -> list[checkpoint.Checkpoint]:
    """Every head that the child was about to sign."""
    path = folder / "signed"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [checkpoint.parse(b"".join(lines[n : n + 3])) for n in range(0, len(lines) - 2, 3)]


def judge(folder: Path) -> int:
    """Open the log as a restart would, and hold it to what was acknowledged and signed. Returns its size."""
    log = writer.Log(config(folder), Clock())
    size = log.size
    log.close()
    reader = Reader(folder / "store", folder / "periods")
    try:
        leaves = reader.leaves(0, size)
        read = [leaf.Leaf.parse(one) for one in leaves]
        assert [one.seq for one in read] == list(range(size))
        assert [one.pair_seq for one in read if one.peer] == list(range(1, sum(bool(one.peer) for one in read) + 1))
        assert all(before.time_ns <= after.time_ns for before, after in itertools.pairwise(read))
        assert {seq for seq, _ in reader.payloads(0, size)} == {one.seq for one in read if one.sealed}
        charged = {row[0] for row in reader._db.execute("SELECT list FROM quota")}
        assert charged == {one.public["purpose"] for one in read if one.kind == "check.denied"}
        acked = [line.split() for line in (folder / "acked").read_text().splitlines()]
        for seq, pair_seq, text in acked:
            one = read[int(seq)]
            assert (one.public["purpose"], one.pair_seq) == (text, int(pair_seq))
        hashes = [merkle.leaf_hash(one) for one in leaves]
        for head in signed(folder):
            assert head.size <= size and merkle.root_of(hashes[: head.size]) == head.root
        assert reader.tree().root() == merkle.root_of(hashes)
        return size
    finally:
        reader.close()


def kill_at_random(folder: Path, cycles: int, seed: int) -> None:
    """Kill the writer under load so many times, and judge the log after each."""
    chance = random.Random(seed)
    acked = 0
    for _ in range(cycles):
        child = start_child(folder)
        wait_for(folder / "acked", acked + chance.randrange(1, 400), child)
        time.sleep(chance.random() * 0.02)
        child.kill()
        assert ended(child) == -signal.SIGKILL
        judge(folder)
        acked = (folder / "acked").read_bytes().count(b"\n")
    assert acked > cycles and len(signed(folder)) > 0
