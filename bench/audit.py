"""A1 to A4: what a durable entry costs, against the bare sync loop of the same process and round.

The writer runs as its own process on tmpfs under `fsync_shim.c`, a disk of fixed latency, so that the figures hardly
depend on the machine's disk. The load comes through `WriterClient`, the way every process of a node writes: catalogue,
commitments and sealing in the caller, the socket, group commit, checkpoints signed every second. Each writer waits for
its acknowledgement before it goes on, so n writers can reach at most n entries for each sync of the bare loop; A2 and
A3 are the share of that which is reached.

Two entries are measured: an owner's `check.answer` outcome (public fields only) and an asker's `check.ask` intent of
class 8 (seven commitments, a payload of 3 KiB sealed to three people).
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from gateway.audit import note, seal
from gateway.audit.entry import Entry, Phase
from gateway.primitives import ed25519
from gateway.store import writer
from gateway.store.client import WriterClient

Row = dict[str, Any]

ROOT: Final = Path(__file__).parents[1]
ORIGIN: Final = "bench.example/log"
LOG: Final = ed25519.Signer(bytes(32))
LOG_KEY: Final = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)

GOALS: Final = {
    ("A2", 1): 0.85, ("A2", 16): 0.80, ("A2", 64): 0.70, ("A3", 1): 0.65, ("A3", 16): 0.55, ("A3", 64): 0.40,
}  # fmt: skip
LATENCY_US: Final = {"A2": 5000, "A3": 1000}


def run(smoke: bool) -> list[Row]:
    """The rows of A1 to A4. The short form asserts nothing about speed. Skipped, visibly, without a C compiler."""
    compiler = shutil.which("cc")
    memory = Path("/dev/shm")
    if compiler is None or not memory.is_dir():
        why = "no C compiler" if compiler is None else "no tmpfs at /dev/shm"
        return [_row(name, None, "", "", f"skipped: {why}") for name in ("A1", "A2", "A3", "A4")]
    seconds, rounds = (0.4, 1) if smoke else (2.5, 3)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="limen-bench-") as folder:
        shim = built_shim(compiler, Path(folder))
        results: dict[tuple[str, int, str], list[dict[str, float]]] = {}
        # Rounds outermost: a noisy minute then falls on every figure alike.
        for _ in range(rounds):
            for name, latency in LATENCY_US.items():
                for count in (1, 16, 64):
                    for kind in ("answer", "ask"):
                        one = _measure(shim, latency, count, kind, seconds)
                        results.setdefault((name, count, kind), []).append(one)
    fsyncs = median(one["fsyncs"] for held in results.values() for one in held)
    rows.append(_row("A1", fsyncs, "fsyncs a commit, lock record included", "<= 1.02", "the shim's count"))
    for (name, count, kind), held in results.items():
        goal = GOALS[(name, count)]
        value = median(one["share"] for one in held)
        against = f"a bare sync loop of {median(one['floor'] for one in held):.0f}/s (shim {LATENCY_US[name]} us)"
        rows.append(_row(f"{name}.{count}.{kind}", value, f"share, {count} writers", f">= {goal}", against))
    for kind in ("answer", "ask"):
        held = results[("A2", 64, kind)] + results[("A3", 64, kind)]
        own = median(one["writer_us"] for one in held)
        total = median(one["cpu_us"] for one in held)
        against = f"of which the writer process {own:.0f} us"
        rows.append(_row(f"A4.{kind}", total, "us CPU an entry, 64 writers", "<= 80", against))
    return rows


def built_shim(compiler: str, folder: Path) -> Path:
    """The disk of fixed latency, to be preloaded."""
    shim = folder / "fsync_shim.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", shim, ROOT / "bench" / "fsync_shim.c", "-ldl"], check=True
    )
    return shim


def _row(name: str, value: float | None, unit: str, goal: str, against: str) -> Row:
    met: bool | None = None
    if value is not None:
        bound = float(goal.split()[1])
        met = value <= bound if goal.startswith("<=") else value >= bound
    return {
        "id": name,
        "value": None if value is None else round(value, 3),
        "unit": unit,
        "goal": goal,
        "met": met,
        "against": against,
    }


def _measure(shim: Path, latency_us: int, count: int, kind: str, seconds: float) -> dict[str, float]:
    """One load in processes of its own, under the shim."""
    with tempfile.TemporaryDirectory(prefix="limen-", dir="/dev/shm") as folder:
        env = {
            **os.environ,
            "LD_PRELOAD": str(shim),
            "FSYNC_SHIM_US": str(latency_us),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-m", "bench.audit", "load", folder, str(count), kind, str(seconds)],
            cwd=ROOT,
            env=env,
            check=True,
            capture_output=True,
        )
        result: dict[str, float] = json.loads(done.stdout)
        return result


class _Clock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0, monotonic_ns - time.monotonic_ns()) / 1e9)


def config(folder: Path) -> writer.WriterConfig:
    """A log below the folder; `python -m bench.audit serve FOLDER` serves it."""
    return writer.WriterConfig(
        folder / "store",
        folder / "lock",
        folder / "periods",
        folder / "run",
        ORIGIN,
        checkpoint_every_s=1.0,
        round_to=16,
    )


def recipients() -> seal.Recipients:
    """Whom payloads are sealed to: nobody."""
    from nacl.bindings import crypto_scalarmult_base

    return seal.Recipients(*(crypto_scalarmult_base(bytes([n]) * 32) for n in (1, 2, 3)))


def entry(kind: str) -> Entry:
    """An `answer` or an `ask` as a node writes them."""
    public: dict[str, str | int | bool | bytes] = {
        "purpose": "SEC.WATCH", "basis": "agreement art. 4", "agency": "SNM", "list": "PERSONS", "class": 8,
        "batches": 1, "agreement": "PAN-HND/2026", "baseline": bytes(32), "national": bytes(32),
    }  # fmt: skip
    if kind == "answer":
        more: dict[str, str | int | bool | bytes] = {
            "role": "border.frontline", "batch": 0, "peer_seq": 7, "request_hash": bytes(64),
            "seed_commitment": bytes(32), "epoch": "20261125-00112233", "intent_seq": 1, "reply_hash": bytes(64),
            "table_version": 3,
        }  # fmt: skip
        return Entry("check.answer", Phase.OUTCOME, "HND", public=public | more)
    return Entry(
        "check.ask", Phase.INTENT, "HND", public=public | {"leg": bytes(16)},
        secret={"officer": "P-1077", "case": "C-2026-4411", "justification": "arrival, first line",
                "seeds": [bytes(32)], "keys": [b"x" * 40] * 8},
        guard={"guarded": False, "why": []}, sealed_bytes=1024 + 160 * 8,
    )  # fmt: skip


async def _serve(folder: Path) -> None:
    import uvloop  # noqa: F401

    async def sign(text: bytes) -> bytes:
        return note.sign(text, LOG_KEY, LOG.sign)

    await writer.run(config(folder), _Clock(), sign)


def _floor(folder: Path, seconds: float) -> float:
    """Syncs a second of the barest loop there is: overwrite 4 KiB, fdatasync."""
    file = os.open(folder / "floor", os.O_RDWR | os.O_CREAT)
    block = bytes(4096)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        os.pwrite(file, block, 0)
        os.fdatasync(file)
        count += 1
    took = time.perf_counter() - start
    os.close(file)
    return count / took


def _cpu_s(pid: int) -> float:
    """CPU time of every thread of a process, seconds (schedstat: nanoseconds on the CPU)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


@contextmanager
def _writer_process(folder: Path, counter: Path) -> Iterator[subprocess.Popen[bytes]]:
    writer.create(config(folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.audit", "serve", str(folder)],
        cwd=ROOT,
        env={**os.environ, "FSYNC_SHIM_COUNT": str(counter)},
    )
    try:
        until = time.monotonic() + 20
        while not (folder / "run" / writer.SOCKET).exists():
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("the writer did not start")
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def _load(folder: Path, count: int, kind: str, seconds: float, pid: int, counter: Path) -> dict[str, float]:
    client = WriterClient(folder / "run" / writer.SOCKET, recipients())
    made = entry(kind)
    done = 0
    stop = False

    async def one() -> None:
        nonlocal done
        while not stop:
            await client.commit([made])
            done += 1

    with counter.open("r+b") as file:
        fsyncs = mmap.mmap(file.fileno(), 8)

    def snapshot() -> tuple[float, float, int, int]:
        return time.process_time(), _cpu_s(pid), done, int.from_bytes(fsyncs[:8], "little")

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    await asyncio.sleep(min(0.3, seconds / 2))
    commits = (await client.status())["commits"]
    before, start = snapshot(), time.perf_counter()
    await asyncio.sleep(seconds)
    after, took = snapshot(), time.perf_counter() - start
    commits = (await client.status())["commits"] - commits
    stop = True
    await asyncio.gather(*tasks)
    await client.close()
    entries = after[2] - before[2]
    return {
        "rate": entries / took,
        "fsyncs": (after[3] - before[3]) / max(1, commits),
        "company": entries / max(1, commits),
        "cpu_us": (after[0] - before[0] + after[1] - before[1]) / entries * 1e6,
        "writer_us": (after[1] - before[1]) / entries * 1e6,
    }


def _main(arguments: list[str]) -> None:
    import uvloop

    folder = Path(arguments[1])
    if arguments[0] == "serve":
        uvloop.run(_serve(folder))
        return
    count, kind, seconds = int(arguments[2]), arguments[3], float(arguments[4])
    counter = folder / "count"
    counter.write_bytes(bytes(8))
    with _writer_process(folder, counter) as process:
        # The floor on both sides of the load: the machine may have changed its mind meanwhile.
        before = _floor(folder, seconds / 4)
        result = uvloop.run(_load(folder, count, kind, seconds, process.pid, counter))
        floor = (before + _floor(folder, seconds / 4)) / 2
    result |= {"floor": floor, "share": result["rate"] / (count * floor)}
    print(json.dumps(result))


if __name__ == "__main__":
    _main(sys.argv[1:])
