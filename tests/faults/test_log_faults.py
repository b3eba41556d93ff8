"""Every fault that a disk, a clock and a machine have for the log: what was acknowledged stays, or the log says so.

The power cut is a copy of the database and of its write-ahead log, taken while the writer had them open: what a disk
holds that lost its power at that moment.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import cosign, leaf, merkle, note, seal, tiles, trust
from gateway.audit.verify import verify
from gateway.errors import AuditUnavailable, GatewayError, VerificationFailed
from gateway.primitives import ed25519
from gateway.store import db as database
from gateway.store import recheck, wal, writer
from gateway.store.client import WriterClient
from gateway.store.db import Database, Rows
from gateway.store.folder import DirectoryFolder, write_export
from gateway.store.reader import Reader
from gateway.store.writer import Log, Unit
from tests.faults.log_folder import ROOT, ended, judge, start_child, wait_for
from tests.faults.writer_child import LOG, LOG_KEY, RECIPIENTS, Clock, charge, config, entry


def _sealed(text: str) -> leaf.Prepared:
    return leaf.prepare(entry(text), os.urandom(32), seal.Sealer(RECIPIENTS, os.urandom(32)))


def _fillers(count: int) -> Unit:
    return Unit([writer._plain("filler", {})] * count, ())


def _put(log: Log, *units: Unit) -> None:
    log.commit(units)
    for unit in units:
        assert unit.result[0] is None, unit.result


def _publish(log: Log) -> None:
    head = log.agree()
    log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))


# -- A power cut ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Image:
    """What a disk holds at one moment, and how to put it into a folder."""

    data: bytes = field(repr=False)
    wal: bytes = field(repr=False)
    head: bytes = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> Image:
        store = folder / "store"
        tail = store / f"{database.FILE}-wal"
        held = tail.read_bytes() if tail.exists() else b""
        return cls((store / database.FILE).read_bytes(), held, (folder / "lock" / "head").read_bytes())

    def put(self, folder: Path) -> None:
        store = folder / "store"
        for path in store.iterdir():
            path.unlink()
        (store / database.FILE).write_bytes(self.data)
        (store / f"{database.FILE}-wal").write_bytes(self.wal)
        (folder / "lock" / "head").write_bytes(self.head)


@dataclass(frozen=True, slots=True)
class Cut:
    """A log in four transactions: one signed for, two acknowledged, one that the power cut may have caught."""

    image: Image
    before: int
    """Bytes of the write-ahead log before the last transaction."""
    sizes: tuple[int, ...]
    """Entries after each transaction."""
    commits: tuple[int, ...]
    """Bytes of the write-ahead log after each."""

    @property
    def last(self) -> int:
        """Entries without the last transaction."""
        return self.sizes[-2]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    folder = tmp_path_factory.mktemp("cut")
    writer.create(config(folder))
    log = Log(config(folder), Clock())
    tail = folder / "store" / f"{database.FILE}-wal"
    _put(log, _fillers(20))
    _publish(log)
    sizes, commits = [], []
    for count in (3, 1, 2):
        _put(log, _fillers(count))
        sizes.append(log.size)
        commits.append(tail.stat().st_size)
    image = Image.of(folder)
    log.close()
    return Cut(image, commits[-2], tuple(sizes), tuple(commits))


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory where there is one, because thousands of starts sync thousands of times."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="limen-", dir=memory) as made:
        folder = Path(made)
        writer.create(config(folder))
        yield folder


def _opened(folder: Path, *, goes_on: bool = True) -> int:
    log = Log(config(folder), Clock())
    try:
        size = log.size
        if not goes_on:
            return size
        # It goes on: the next entry has the next number.
        _put(log, unit := _fillers(1))
        assert unit.result[1][0] == [size]
        return size
    finally:
        log.close()


def _torn(cut: Cut, folder: Path, place: int, rest: bytes) -> None:
    end = len(cut.image.wal)
    torn = cut.image.wal[: cut.before + place] + rest[: end - cut.before - place]
    replace(cut.image, wal=torn).put(folder)
    # Either the whole transaction or nothing of it, and never less than what came before.
    whole = torn[:end] == cut.image.wal
    size = _opened(folder, goes_on=whole or place % 16 == 0)
    assert size == (cut.sizes[-1] if whole else cut.last), place


@pytest.mark.timeout(600)  # Four thousand starts: ten seconds, and minutes where others use the machine too.
def test_a_write_torn_at_every_byte_of_the_last_frame_leaves_its_transaction_out_whole(cut: Cut, quick: Path) -> None:
    length = len(cut.image.wal) - cut.before
    frame = 4096 + wal.FRAME_HEADER_BYTES
    assert length % frame == 0 and length > 0
    for place in (*range(0, length - frame, 97), *range(length - frame, length + 1)):
        _torn(cut, quick, place, b"")
    for place in range(0, length, 97):
        # A file that was made longer before it was written.
        _torn(cut, quick, place, bytes(length))


# -- A flipped bit ----------------------------------------------------------------------------------------------------


def _flipped(data: bytes, bit: int) -> bytes:
    at = bit // 8
    return data[:at] + bytes((data[at] ^ 1 << bit % 8,)) + data[at + 1 :]


def _flip_in_the_tail(cut: Cut, folder: Path, bit: int) -> str:
    replace(cut.image, wal=_flipped(cut.image.wal, bit)).put(folder)
    try:
        size = _opened(folder)
    except VerificationFailed as refusal:
        # It stays refused, and what a person needs is still there.
        with pytest.raises(VerificationFailed):
            Log(config(folder), Clock())
        return refusal.step
    assert size >= cut.last, f"bit {bit}: acknowledged entries are gone without a word"
    return "last" if size == cut.last else "whole"


def test_a_bit_that_flips_in_the_write_ahead_log_is_never_a_shorter_log(cut: Cut, quick: Path) -> None:
    chance = random.Random(7)
    frame = wal.FRAME_HEADER_BYTES + 4096
    bits = {*range(8 * wal.HEADER_BYTES), *(chance.randrange(8 * cut.before) for _ in range(200))}
    for start in range(wal.HEADER_BYTES, cut.before, frame):
        bits |= {8 * start + chance.randrange(8 * wal.FRAME_HEADER_BYTES) for _ in range(8)}
    found = {bit: _flip_in_the_tail(cut, quick, bit) for bit in sorted(bits)}
    # Before the last transaction every flip is found, but for the counter in the header that nothing rests on.
    assert set(found.values()) <= {"tail", "lock"}, {bit: said for bit, said in found.items() if said == "last"}
    # Beside that the lock record alone would have missed some: those after the last signed head.
    assert "tail" in found.values()
    last = {_flip_in_the_tail(cut, quick, 8 * cut.before + chance.randrange(8 * frame)) for _ in range(20)}
    assert last <= {"last", "tail"}


def test_a_damaged_tail_is_kept_for_whoever_must_decide(cut: Cut, quick: Path) -> None:
    bit = 8 * (cut.commits[0] - 100)
    replace(cut.image, wal=_flipped(cut.image.wal, bit)).put(quick)
    with pytest.raises(VerificationFailed, match="is damaged before its end"):
        Log(config(quick), Clock())
    kept = quick / "store" / f"{database.FILE}{wal.DAMAGED}"
    assert kept.read_bytes() == _flipped(cut.image.wal, bit)
    with pytest.raises(VerificationFailed, match="is damaged before its end"):
        Log(config(quick), Clock())


def test_the_running_sums_are_those_of_the_format(cut: Cut) -> None:
    """SQLite wrote the frames; each one's sums are found again."""
    frames = wal._Frames(cut.image.wal[: wal.HEADER_BYTES], cut.image.wal)
    assert frames.count > 3 and all(frames.follows(number) for number in range(frames.count))
    assert frames.is_commit(frames.count - 1)


CARD = trust.Card((LOG_KEY,), cosign.Quorum("none", {}, {}))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The database of a log that was closed in order: 300 entries, a full tile, a checkpoint."""
    folder = tmp_path_factory.mktemp("closed")
    writer.create(config(folder))
    log = Log(config(folder), Clock())
    for n in range(6):
        _put(log, Unit([writer._plain("clock.step", {"step_ms": 1000 * n + m}) for m in range(50)], ()))
    _publish(log)
    log.close()
    return (folder / "store" / database.FILE).read_bytes()


def _fault_in(data: bytes, folder: Path, original: list[bytes]) -> str:
    """What an auditor's check of the store says; nothing where nothing of the log is touched."""
    store = folder / "store"
    for path in store.iterdir():
        path.unlink()
    (store / database.FILE).write_bytes(data)
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    try:
        with closing(Reader(store)) as reader:
            write_export(reader, copy)
        report = verify(DirectoryFolder(copy), CARD)
    except GatewayError as refusal:
        assert "\n" not in str(refusal)
        return str(refusal)
    fault = report.fault()
    if fault is not None:
        return str(fault)
    bundles = [tiles.entries_path(0), tiles.entries_path(1, len(original) - 256)]
    leaves = [one for name in bundles for one in tiles.decode_bundle((copy / name).read_bytes())]
    assert leaves == original, "verified, and not the same log"
    return ""


@pytest.mark.parametrize(("statement", "step", "position"), [
    ("UPDATE leaf SET bytes = x'00' WHERE seq = 200", "root", 200),
    ("DELETE FROM leaf WHERE seq = 123", "root", 123),
    ("UPDATE tile SET hashes = zeroblob(8192)", "root", 0),
    ("UPDATE tile SET hashes = CAST(substr(hashes, 1, 3200) || zeroblob(4992) AS BLOB)", "root", 100),
    ("UPDATE tile SET root = zeroblob(32)", "root", 0),
    ("DELETE FROM tile", "root", 0),
    ("INSERT INTO tile SELECT 0, 1, root, hashes FROM tile", "root", None),
    ("UPDATE checkpoint SET digest = zeroblob(32)", "root", None),
    ("DELETE FROM leaf WHERE seq > 290", "root", None),
    ("UPDATE leaf SET bytes = 7 WHERE seq = 3", "store", None),
])  # fmt: skip
def test_a_recheck_names_the_first_entry_that_does_not_fit(
    closed: bytes, quick: Path, statement: str, step: str, position: int | None
) -> None:
    path = quick / "store" / database.FILE
    path.write_bytes(closed)
    held = recheck.recheck(quick / "store")
    assert (held.size % 16, held.checkpoints) == (0, 1) and held.size > 300
    with closing(sqlite3.connect(path)) as db:
        for name in ("leaf_is_kept", "leaf_is_fixed", "tile_is_kept", "tile_is_fixed"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
        db.commit()
    with pytest.raises(VerificationFailed) as caught:
        recheck.recheck(quick / "store")
    assert caught.value.step == step
    assert position is None or caught.value.position == position


def _places(data: bytes, wanted: bytes) -> int:
    assert data.count(wanted) == 1
    return data.index(wanted)


@pytest.mark.parametrize("what", ["entry", "tile", "checkpoint"])
def test_a_bit_that_flips_in_the_store_is_found(closed: bytes, quick: Path, what: str) -> None:
    (quick / "store" / database.FILE).write_bytes(closed)
    with closing(Reader(quick / "store", quick / "periods")) as reader:
        original = list(reader.leaves(0, 10**6))
        hashes = b"".join(reader.hashes(0, 0, 256)[100:108])
        held = reader.last_checkpoint()
        assert held is not None
        wanted = {"entry": original[200], "tile": hashes, "checkpoint": held[0]}[what]
    assert _fault_in(closed, quick, original) == ""
    chance = random.Random(11)
    bits = 8 * len(wanted)
    start = 8 * _places(closed, wanted)
    bitten = sorted(chance.sample(range(bits), min(bits, 120)))
    said = {bit: _fault_in(_flipped(closed, start + bit), quick, original) for bit in bitten}
    assert all(said.values()), said
    if what == "entry":
        assert {one.partition(":")[0] for one in said.values()} == {"root at entry 200"}
    if what == "tile":
        assert all(one.startswith(f"root at entry {100 + bit // 256}:") for bit, one in said.items())


def test_a_bit_that_flips_anywhere_in_the_file_never_changes_what_verifies(closed: bytes, quick: Path) -> None:
    (quick / "store" / database.FILE).write_bytes(closed)
    with closing(Reader(quick / "store", quick / "periods")) as reader:
        original = list(reader.leaves(0, 10**6))
    chance = random.Random(13)
    said = [_fault_in(_flipped(closed, chance.randrange(8 * len(closed))), quick, original) for _ in range(150)]
    # Most of the file is free room and tables that the log does not rest on.
    assert any(said)


@pytest.mark.parametrize("place", [0, 30, 60, 100])
def test_a_store_that_cannot_be_read_is_refused_at_start_with_a_sentence(
    closed: bytes, quick: Path, place: int
) -> None:
    """The file's header, and the page behind it that names its tables."""
    spoiled = closed[:place] + bytes(b ^ 0xFF for b in closed[place : place + 16]) + closed[place + 16 :]
    (quick / "store" / database.FILE).write_bytes(spoiled)
    try:
        Log(config(quick), Clock()).close()
    except GatewayError as refusal:
        assert "\n" not in str(refusal)
    else:
        pytest.fail("a spoiled header was taken")


# -- A full disk ------------------------------------------------------------------------------------------------------


class _Full:
    """The database, whose disk is full at the n-th statement: it may have rolled back by itself or not."""

    def __init__(self, db: Database, number: int, *, rolls_back: bool) -> None:
        self._db = db
        self.left = number
        self._rolls_back = rolls_back

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            if self._rolls_back and self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")

    def execute(self, statement: str, *values: Any) -> Rows:  # noqa: ANN401
        if statement not in ("COMMIT", "ROLLBACK"):
            self._count()
        return self._db.execute(statement, *values)

    def executemany(self, statement: str, rows: Any) -> Rows:  # noqa: ANN401
        self._count()
        return self._db.executemany(statement, rows)


@pytest.mark.parametrize("rolls_back", [False, True])
def test_a_disk_that_is_full_at_any_statement_leaves_the_log_as_it_was(folder: Path, rolls_back: bool) -> None:
    log = Log(config(folder), Clock())
    _put(log, _fillers(3))
    sealed = _sealed("x")
    real = log._db
    refused = 0
    for number in range(1, 100):
        full = _Full(real, number, rolls_back=rolls_back)
        log._db = full
        size = log.size
        # Crossing a tile on the way: 256 entries complete one.
        unit = Unit([sealed, *([writer._plain("filler", {})] * 130)], [("quota.charge", charge(f"x-{number}").args)])
        try:
            log.commit([unit])
        except AuditUnavailable:
            refused += 1
            assert log.size == size and not real.in_transaction
            continue
        finally:
            log._db = real
        if full.left > 0:
            break  # So many statements has a transaction.
        # The statement was a unit's own: the unit is refused, and the transaction stands.
        assert unit.result[0] is not None or log.size == size + 131
    else:
        pytest.fail("there was always one more statement")
    assert refused >= 5
    # Then there is room again.
    _put(log, unit := _fillers(1))
    assert unit.result[1][0] == [log.size - 1]
    _publish(log)
    size = log.size
    log.close()
    again = Log(config(folder), Clock())
    assert again.size == size
    again.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_no_write_from_any_moment_on_ends_in_a_whole_log(folder: Path, shim: Path, code: int) -> None:
    """Full, remounted read-only, or broken, in the middle of a load: half a write, then none."""
    codes = []
    for number in (17, 40, 71, 140, 220):
        env = {"LD_PRELOAD": str(shim), "WRITE_SHIM_FAIL_AT": str(number), "WRITE_SHIM_ERRNO": str(code)}
        child = start_child(folder, env=env)
        _, said = child.communicate(timeout=30)
        # Within the start it is a sentence, and from then on the end of the process.
        assert child.returncode == writer.EXIT_COMMIT or b"is not usable" in said, said
        codes.append(child.returncode)
        judge(folder)
    assert codes.count(writer.EXIT_COMMIT) >= 2
    assert (folder / "acked").read_bytes().count(b"\n") > 3


# -- A sync that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("once", [False, True])
def test_a_sync_that_fails_ends_the_process_wherever_it_is(folder: Path, shim: Path, once: bool) -> None:
    """Once: the kernel tells of the error one time, and later syncs succeed over pages that never reached the disk."""
    for number in (7, 12, 16, 23, 34, 52):
        env = {"LD_PRELOAD": str(shim), "FSYNC_SHIM_FAIL_AT": str(number)}
        if once:
            env["FSYNC_SHIM_FAIL_TO"] = str(number)
        child = start_child(folder, env=env)
        assert ended(child) == writer.EXIT_COMMIT
        judge(folder)


# -- Permissions ------------------------------------------------------------------------------------------------------

_AS_NOBODY = """
import os, sys
from pathlib import Path
from gateway.errors import GatewayError
from gateway.store import writer
from tests.faults.writer_child import Clock, config
import gateway.store.changes, gateway.store.reader
folder = Path(sys.argv[1])
for name in ("store", "lock"):
    for path in (folder / name).iterdir():
        path.chmod(0o444)
    (folder / name).chmod(0o555)
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    writer.Log(config(folder), Clock())
except GatewayError as refusal:
    print(str(refusal))
    sys.exit(9)
"""


def test_a_store_that_may_only_be_read_is_refused_with_a_sentence_and_stays_as_it_is() -> None:
    with tempfile.TemporaryDirectory(prefix="limen-") as made:
        folder = Path(made)
        writer.create(config(folder))
        log = Log(config(folder), Clock())
        _put(log, _fillers(3))
        _publish(log)
        log.close()
        before = Image.of(folder)
        folder.chmod(0o755)
        tried = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, made], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        (folder / "store").chmod(0o755)
        (folder / "lock").chmod(0o755)
        assert tried.returncode == 9, tried.stderr
        assert tried.stdout.count("\n") == 1
        assert Image.of(folder) == before


# -- Clocks -----------------------------------------------------------------------------------------------------------

HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize("step_ns", [-HOUR_NS, 365 * 24 * HOUR_NS, 10**9, -(10**9)])
def test_a_clock_that_steps_under_the_writer_neither_turns_time_back_nor_destroys(folder: Path, step_ns: int) -> None:
    class Stepping(Clock):
        shift = 0

        def now_ns(self) -> int:
            return super().now_ns() + self.shift

    clock = Stepping()
    log = Log(config(folder), clock)
    sealed = _sealed("x")
    _put(log, Unit([sealed], [("quota.charge", charge("x").args)]))
    clock.shift = step_ns
    # The payload's term (30 days) has passed by our clock alone, and no witness says so (T13).
    assert log.erase_due() == 0
    _put(log, _fillers(1))
    _publish(log)
    log.close()
    # The same after a restart, and when the clock has been put right.
    for shift in (step_ns, 0):
        clock.shift = shift
        log = Log(config(folder), clock)
        _put(log, _fillers(1))
        log.close()
    with closing(Reader(folder / "store", folder / "periods")) as reader:
        read = [leaf.Leaf.parse(one) for one in reader.leaves(0, 64)]
        assert len(reader.payloads(0, 64)) == 1
    assert [one.time_ns for one in read] == sorted(one.time_ns for one in read)
    steps = [one for one in read if one.kind == "clock.step"]
    # A leap second is no step; a step is an entry.
    assert len(steps) == (abs(step_ns) > writer.STEP_NS)


# -- Storage and processes --------------------------------------------------------------------------------------------


def test_a_second_writer_process_is_refused_while_the_first_one_lives(folder: Path) -> None:
    first = start_child(folder)
    try:
        wait_for(folder / "acked", 1, first)
        second = start_child(folder)
        _, said = second.communicate(timeout=30)
        assert second.returncode == 1 and b"another writer holds" in said
        assert first.poll() is None
    finally:
        first.kill()
        ended(first)
    judge(folder)


def test_a_lock_record_whose_storage_is_lost_while_the_writer_runs_stops_signing_and_not_the_log(
    folder: Path,
) -> None:
    log = Log(config(folder), Clock())
    _put(log, _fillers(3))
    _publish(log)
    head = log.head
    shutil.move(folder / "lock" / "head", folder / "head.away")
    with pytest.raises(VerificationFailed, match="changed by somebody else"):
        log.agree()
    _put(log, _fillers(1))
    assert log.head == head
    size = log.size
    log.close()
    with pytest.raises(VerificationFailed, match="is gone"):
        Log(config(folder), Clock())
    shutil.move(folder / "head.away", folder / "lock" / "head")
    again = Log(config(folder), Clock())
    assert again.size == size
    _publish(again)
    again.close()


def test_a_signing_key_that_is_gone_for_good_stops_checkpoints_and_nothing_else(folder: Path) -> None:
    async def run() -> tuple[int, str]:
        async def sign(text: bytes) -> bytes:
            raise AuditUnavailable("no key process")

        settings = config(folder)
        process = writer.Writer(Log(settings, Clock()), settings, Clock(), sign)
        await process.start()
        client = WriterClient(folder / "run" / writer.SOCKET, RECIPIENTS)
        for n in range(5):
            await client.commit([entry(f"k-{n}")], [charge(f"k-{n}")])
        await asyncio.sleep(0.15)
        status = await client.status()
        await client.close()
        await process.stop()
        return int(status["checkpoint_size"]), str(status["fault"])

    size, fault = asyncio.run(run())
    assert fault == "no key process"
    # Heads that nobody signed stay in the lock record; when the key is back a later one is signed, which extends them.
    log = Log(config(folder), Clock())
    assert log.head.size >= size > 0 and log._unpublished()
    with closing(Reader(folder / "store", folder / "periods")) as reader:
        assert reader.last_checkpoint() is None
        agreed = log.head
        _publish(log)
        merkle.verify_consistency(
            agreed.size, log.head.size, agreed.root, log.head.root, reader.consistency(agreed.size, log.head.size)
        )
    log.close()


def test_an_entry_of_more_than_64_kib_is_its_callers_mistake(folder: Path) -> None:
    log = Log(config(folder), Clock())
    for size in (65_000, 65_536, 1 << 20):
        unit = Unit([writer._plain("node.stopped", {"reason": "x" * size})], ())
        log.commit([unit, fine := _fillers(1)])
        assert (unit.result[0] is None) == (size < 65_400), size
        assert fine.result[0] is None
    with pytest.raises(ValueError, match="at most 65,535"):
        tiles.encode_bundle([bytes(65_536)])
    log.close()


def test_what_is_proven_while_payloads_are_destroyed_holds(folder: Path) -> None:
    """A retention run between two reads of one proof: it touches no leaf and no tile."""
    old = Clock()
    log = Log(config(folder), old)
    sealed = [_sealed(f"x{n}") for n in range(20)]
    _put(log, *(Unit([one], [("quota.charge", charge(f"x{n}").args)]) for n, one in enumerate(sealed)))
    _publish(log)
    with closing(Reader(folder / "store", folder / "periods")) as reader:
        size = log.size
        tree = reader.tree(size)
        first = tree.inclusion(3)
        key = note.Verifier("hnd.example/witness", note.WITNESS_KEY, ed25519.Signer(bytes(32)).public)
        (due,) = log._db.execute("SELECT max(due_ns) FROM payload").fetchone()
        line = cosign.line(log.head.encode(), due // 10**9 + 1, key, ed25519.Signer(bytes(32)).sign)
        _put(log, Unit((), [("cosignature.put", {"size": log.head.size, "name": key.name, "witness": "HND",
                                                  "line": line})]))  # fmt: skip
        old.now_ns = lambda: due + 2 * 10**9  # type: ignore[method-assign]
        assert log.erase_due() == 20
        assert reader.tree(size).inclusion(3) == first
        assert tree.root() == log.head.root
    log.close()
