"""A5, A6, A7 and A9: proofs, the full re-check, the start after a kill, and a witness's work; tessera beside ours.

A5 makes each proof with a reader's connection of its own and no tile read before, from a tree of one and of ten
million leaf hashes. A6 and A7 use a log that the writer itself has written, leaves and all; A7 opens it as after a
kill, with its write-ahead log on the disk. A9 is everything a witness does for one add-checkpoint: reading the request,
the log's signature, the consistency proof, the durable record, the cosignature. All on tmpfs; A5, A6 and A9 are CPU
times of one process.

T1 is for information: entries a second that a tessera POSIX log takes (`.ci/extras limen-interop`), beside the writer
process of ours in the same run, both on tmpfs with 64 writers that wait for each entry to be durable.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

from bench import audit
from gateway.audit import checkpoint, cosign, merkle, note, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.primitives import ed25519
from gateway.store import db as database
from gateway.store import recheck, writer
from gateway.store.reader import Reader
from gateway.web.tlog import read_submission

Row = dict[str, Any]

IDS: Final = ("A5", "A5.inclusion.1M", "A5.consistency.1M", "A5.inclusion.10M", "A5.consistency.10M", "A6", "A7", "A9",
              "T1")  # fmt: skip
GOALS: Final = {"1M": 1.0, "10M": 2.0}
SIZES: Final = {"1M": 1_000_000, "10M": 10_000_000}
ENTRIES: Final = 300_000
PROOFS: Final = 300
STARTS: Final = 9
REQUESTS: Final = 300
WITNESS: Final = ed25519.Signer(bytes([7]) * 32)
WITNESS_KEY: Final = note.Verifier("bench.example/witness", note.WITNESS_KEY, WITNESS.public)


def run(smoke: bool) -> list[Row]:
    """The rows. The short form asserts nothing about speed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="limen-bench-", dir=memory) as made:
        root = Path(made)
        for name, size in SIZES.items():
            rows += _proofs(root / name, name, 3_000 if smoke else size, 20 if smoke else PROOFS)
            shutil.rmtree(root / name)
        rows += _log(root / "log", 2_000 if smoke else ENTRIES, 2 if smoke else STARTS)
        rows.append(_witness(root / "witness", 20 if smoke else REQUESTS))
        rows.append(_beside_tessera(root, 0.3 if smoke else 5.0))
    return rows


def _row(name: str, value: float | None, unit: str, against: str, goal: str = "") -> Row:
    met = None
    if goal and value is not None:
        bound = float(goal.split()[1])
        met = value <= bound if goal.startswith("<=") else value >= bound
    return {
        "id": name, "value": None if value is None else round(value, 3), "unit": unit, "goal": goal, "met": met,
        "against": against,
    }  # fmt: skip


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


# -- A5 ---------------------------------------------------------------------------------------------------------------


def _tree(folder: Path, size: int) -> None:
    """A store with the tiles of `size` leaf hashes, and no leaves but those of the right edge."""
    config = audit.config(folder)
    writer.create(config)
    with closing(database.open_writer(config.store_dir / database.FILE)) as db:
        db.execute("BEGIN")
        edge = tiles.Edge()
        done: list[tuple[int, int, bytes, bytes]] = []
        for number in range(size // tiles.WIDTH * tiles.WIDTH):
            leaf = hashlib.sha256(number.to_bytes(8, "big")).digest()
            for level, tile, hashes, root in edge.append(leaf):
                done.append((level, tile, root, b"".join(hashes)))
            if len(done) >= 1000:
                db.executemany("INSERT INTO tile VALUES (?, ?, ?, ?)", done)
                done.clear()
        db.executemany("INSERT INTO tile VALUES (?, ?, ?, ?)", done)
        db.execute("COMMIT")


def _proofs(folder: Path, name: str, size: int, count: int) -> list[Row]:
    _tree(folder, size)
    size = size // tiles.WIDTH * tiles.WIDTH
    chance = Random(5)
    times: dict[str, list[float]] = {"inclusion": [], "consistency": []}
    for _ in range(count):
        at = chance.randrange(1, size)
        for kind, spent in times.items():
            with closing(Reader(folder / "store")) as reader:
                reader.origin()  # The schema is read once a connection, and not once a proof.
                start = time.process_time()
                tree = reader.tree(size)
                proof = tree.inclusion(at) if kind == "inclusion" else tree.consistency(at)
                spent.append((time.process_time() - start) * 1000)
            assert len(proof) <= 40
    return [
        _row(
            f"A5.{kind}.{name}",
            _p99(spent),
            "ms CPU p99",
            f"{size:,} entries, {count} proofs, p50 {median(spent):.2f}",
            f"<= {GOALS[name]}",
        )
        for kind, spent in times.items()
    ]


# -- A6, A7 -----------------------------------------------------------------------------------------------------------


def _fillers(log: writer.Log, count: int) -> None:
    while count:
        step = min(count, 4_000)
        log.commit([writer.Unit([writer._plain("clock.step", {"step_ms": n}) for n in range(step)], ())])
        count -= step


def _publish(log: writer.Log) -> Checkpoint:
    head = log.agree()
    log.publish(head, note.sign(head.encode(), audit.LOG_KEY, audit.LOG.sign))
    return head


def _log(folder: Path, count: int, starts: int) -> list[Row]:
    config = audit.config(folder)
    clock = audit._Clock()
    writer.create(config)
    log = writer.Log(config, clock)
    _fillers(log, count)
    _publish(log)
    _fillers(log, 1_000)
    # What a kill leaves: the files as they are, while the writer has them open.
    killed = folder / "killed"
    for name in ("store", "lock"):
        shutil.copytree(folder / name, killed / name, ignore=shutil.ignore_patterns("*-shm"))
    size = log.size
    log.close()
    start = time.process_time()
    held = recheck.recheck(folder / "store")
    took = time.process_time() - start
    assert held.size == size
    spent, cpu = [], []
    for number in range(starts):
        again = folder / str(number)
        shutil.copytree(killed, again)
        start_s, start = time.perf_counter(), time.process_time()
        opened = writer.Log(audit.config(again), clock)
        spent.append(time.perf_counter() - start_s)
        cpu.append(time.process_time() - start)
        assert opened.size == size
        opened.close()
        shutil.rmtree(again)
    return [
        _row("A6", size / took, "entries/s a core", f"{size:,} entries, rows read, every tile and checkpoint",
             ">= 200000"),
        _row("A7", median(spent), "s to reopen after a kill",
             f"{size:,} entries, {starts} starts, CPU {median(cpu):.2f} s", "<= 0.5"),
    ]  # fmt: skip


# -- A9 ---------------------------------------------------------------------------------------------------------------


def _witness(folder: Path, count: int) -> Row:
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(16 * (count + 1))]
    edge, heads, roots = tiles.Edge(), [], {}
    for number, leaf in enumerate(leaves, 1):
        edge.append(leaf)
        if number % 16 == 0:
            heads.append(number)
            roots[number] = edge.root()
    bodies = []
    subtree = lambda level, index: merkle.root_of(leaves[index << level : index + 1 << level])  # noqa: E731
    for old, size in zip([0, *heads], heads, strict=False):
        noted = note.sign(Checkpoint(audit.ORIGIN, size, roots[size]).encode(), audit.LOG_KEY, audit.LOG.sign)
        proof = merkle.consistency_proof(old, size, subtree) if old else []
        bodies.append(b"\n".join([b"old %d" % old, *(base64.b64encode(one) for one in proof)]) + b"\n\n" + noted)
    config = audit.config(folder)
    writer.create(config)
    spent = []
    with closing(writer.Log(config, audit._Clock())) as log:
        for body in bodies:
            start = time.process_time()
            asked = read_submission(body)
            opened = note.open_note(asked.noted, [audit.LOG_KEY])
            head = checkpoint.parse(opened.text)
            change = {"origin": head.origin, "old_size": asked.old_size, "size": head.size, "root": head.root,
                      "note": asked.noted, "proof": list(asked.proof)}  # fmt: skip
            unit = writer.Unit((), [("witness.put", change)])
            log.commit([unit])
            cosign.line(opened.text, int(time.time()), WITNESS_KEY, WITNESS.sign)
            spent.append((time.process_time() - start) * 1000)
            assert unit.result[0] is None, unit.result
    against = f"{count} requests, p99 {_p99(spent):.2f}; ML-DSA-44 is not offered"
    return _row("A9", median(spent), "ms CPU an add-checkpoint, Ed25519", against, "<= 2")


# -- Beside tessera ---------------------------------------------------------------------------------------------------


def _beside_tessera(root: Path, seconds: float) -> Row:
    built = audit.ROOT / ".cache" / "bin" / "limen-interop"
    compiler = shutil.which("cc")
    if not built.exists() or compiler is None:
        return _row("T1", None, "entries/s", "skipped: `sh .ci/extras limen-interop` and a C compiler make it possible")
    ran = subprocess.run(
        [str(built), "rate", str(root / "tessera"), "64", str(seconds)], capture_output=True, text=True, check=True
    )
    shim = audit.built_shim(compiler, root)
    ours = audit._measure(shim, 0, 64, "answer", seconds)
    against = f"{ours['rate']:.0f}/s of ours through socket and catalogue, in the same run; for information"
    return _row("T1", float(ran.stdout.split()[-1]), "entries/s, tessera POSIX, 64 writers", against)


__all__ = ["run"]
