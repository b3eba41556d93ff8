"""The writer against kill -9, a full disk, a failing disk, and a store that was put back from an older copy.

What must hold after each: every acknowledged entry is there under its number, with its change; numbers have no gap; and
every checkpoint that was ever signed is a prefix of the log.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gateway.audit import checkpoint, leaf, merkle, note
from gateway.errors import AuditUnavailable, ConfigRefused, VerificationFailed
from gateway.store import db as database
from gateway.store import writer
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from tests.faults.writer_child import LOG, LOG_KEY, RECIPIENTS, Clock, charge, config, entry

ROOT = Path(__file__).parents[2]
POINTS = ("begun", "written", "committed", "filled", "locked", "signed", "published")


def _child(folder: Path, *point: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.writer_child", str(folder), *point],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stderr=subprocess.PIPE,
    )


def _wait(path: Path, lines: int, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and child.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.005)


def _end(child: subprocess.Popen[bytes]) -> int:
    try:
        _, err = child.communicate(timeout=30)
    finally:
        child.kill()
    if child.returncode not in (-signal.SIGKILL, writer.EXIT_COMMIT):
        raise AssertionError(err.decode())
    return child.returncode


def _signed(folder: Path) -> list[checkpoint.Checkpoint]:
    path = folder / "signed"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [checkpoint.parse(b"".join(lines[n : n + 3])) for n in range(0, len(lines) - 2, 3)]


def _judge(folder: Path) -> int:
    """Open the log as a restart would, and hold it to everything above. Returns its size."""
    log = writer.Log(config(folder), Clock())
    size = log.size
    log.close()
    reader = Reader(folder / "store")
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
        for head in _signed(folder):
            assert head.size <= size and merkle.root_of(hashes[: head.size]) == head.root
        assert reader.tree().root() == merkle.root_of(hashes)
        return size
    finally:
        reader.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer.create(config(tmp_path))
    (tmp_path / "acked").touch()
    return tmp_path


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_place_three_times_over(folder: Path, point: str) -> None:
    size = 0
    for number in (2, 7, 30):
        child = _child(folder, point, str(number))
        assert _end(child) == -signal.SIGKILL
        grown = _judge(folder)
        assert grown >= size
        size = grown
    assert _signed(folder) or point in ("begun", "written", "committed")


def _kill_at_random(folder: Path, cycles: int, seed: int) -> None:
    chance = random.Random(seed)
    acked = 0
    for _ in range(cycles):
        child = _child(folder)
        _wait(folder / "acked", acked + chance.randrange(1, 400), child)
        time.sleep(chance.random() * 0.02)
        child.kill()
        assert _end(child) == -signal.SIGKILL
        _judge(folder)
        acked = (folder / "acked").read_bytes().count(b"\n")
    assert acked > cycles and len(_signed(folder)) > 0


def test_killed_at_random_during_load(folder: Path) -> None:
    _kill_at_random(folder, 8, 20261125)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_random_during_load_for_long(folder: Path) -> None:
    _kill_at_random(folder, 200, 7)


async def _sign(text: bytes) -> bytes:
    return note.sign(text, LOG_KEY, LOG.sign)


def _started(folder: Path, *, pages_max: int = 0) -> tuple[writer.Log, writer.Writer]:
    settings = config(folder, pages_max=pages_max)
    log = writer.Log(settings, Clock())
    return log, writer.Writer(log, settings, Clock(), _sign)


def test_a_full_disk_gives_no_answer_and_harms_nothing(folder: Path) -> None:
    async def run() -> int:
        log, process = _started(folder, pages_max=80)
        await process.start()
        client = WriterClient(folder / "run" / writer.SOCKET, RECIPIENTS)
        acked = 0
        with pytest.raises(AuditUnavailable), (folder / "acked").open("a") as file:
            for n in range(5000):
                done = await client.commit([entry(f"x-{n}")], [charge(f"x-{n}")])
                file.write(f"{done.seqs[0]} {done.pair_seqs[0]} x-{n}\n")
                acked += 1
        for n in range(20):
            with pytest.raises(AuditUnavailable):
                await client.commit([entry(f"y-{n}")] * 4, [charge(f"y-{n}")])
        # Reading goes on, and so does the log once there is room.
        assert (await client.status())["fault"].startswith("the database took nothing")
        log._db.execute("PRAGMA max_page_count = 100000")
        done = await client.commit([entry("later")], [charge("later")])
        with (folder / "acked").open("a") as file:
            file.write(f"{done.seqs[0]} {done.pair_seqs[0]} later\n")
        await client.publish_checkpoint()
        await client.close()
        await process.stop()
        return acked

    acked = asyncio.run(run())
    assert acked > 10
    # What was refused left nothing. The log's size says less: the writer's own fillers may still find room.
    with closing(Reader(folder / "store")) as reader:
        entered = [leaf.Leaf.parse(one) for one in reader.leaves(0, _judge(folder))]
    told = [one.public["purpose"] for one in entered if one.kind == "check.denied"]
    assert told == [*(f"x-{n}" for n in range(acked)), "later"]


class _FailingCommit:
    """The database, but COMMIT raises, as after EIO on fsync."""

    def __init__(self, db: sqlite3.Connection, *, applied: bool) -> None:
        self._db = db
        self._applied = applied

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def execute(self, statement: str, *values: tuple[Any, ...]) -> sqlite3.Cursor:
        if statement == "COMMIT":
            if self._applied:
                self._db.execute("COMMIT")
            raise sqlite3.OperationalError("disk I/O error")
        return self._db.execute(statement, *values)


@pytest.mark.parametrize("applied", [False, True])
def test_an_error_from_commit_ends_the_process_whatever_the_disk_holds(folder: Path, applied: bool) -> None:
    class Ended(BaseException):
        pass

    def fatal(why: str) -> NoReturn:
        assert "not known" in why
        raise Ended

    log = writer.Log(config(folder), Clock(), fatal)
    before = log.size
    log._db = _FailingCommit(log._db, applied=applied)  # type: ignore[assignment]
    unit = writer.Unit([writer._plain("filler", {})], ())
    with pytest.raises(Ended):
        log.commit([unit])
    # Nothing ran ahead in memory.
    assert log.size == before
    log.close()
    assert _judge(folder) == before + applied


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the failing disk cannot be made")
    library = tmp_path_factory.mktemp("shim") / "fsync_shim.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, ROOT / "bench" / "fsync_shim.c", "-ldl"], check=True
    )
    yield library


def test_a_disk_that_begins_to_fail_ends_the_process_and_a_restart_knows_what_is_there(
    folder: Path, shim: Path
) -> None:
    for number in (25, 40, 61):
        child = _child(folder, env={"LD_PRELOAD": str(shim), "FSYNC_SHIM_FAIL_AT": str(number)})
        assert _end(child) == writer.EXIT_COMMIT
        _judge(folder)
    assert (folder / "acked").read_bytes().count(b"\n") > 10


def _some_entries(folder: Path, prefix: str) -> None:
    async def run() -> None:
        _, process = _started(folder)
        await process.start()
        client = WriterClient(folder / "run" / writer.SOCKET, RECIPIENTS)
        with (folder / "acked").open("a") as file:
            for n in range(5):
                done = await client.commit([entry(f"{prefix}-{n}")], [charge(f"{prefix}-{n}")])
                file.write(f"{done.seqs[0]} {done.pair_seqs[0]} {prefix}-{n}\n")
        await client.publish_checkpoint()
        await client.close()
        await process.stop()

    asyncio.run(run())


def _refused(folder: Path) -> VerificationFailed:
    with pytest.raises(VerificationFailed) as caught:
        writer.Log(config(folder), Clock())
    return caught.value


def test_a_store_put_back_from_an_older_copy_is_refused(folder: Path, tmp_path: Path) -> None:
    _some_entries(folder, "a")
    shutil.copytree(folder / "store", tmp_path / "backup")
    _some_entries(folder, "b")
    shutil.rmtree(folder / "store")
    shutil.copytree(tmp_path / "backup", folder / "store")
    refusal = _refused(folder)
    assert refusal.step == "lock" and "restored from an older copy" in refusal.why


def test_a_store_that_went_another_way_is_refused(folder: Path, tmp_path: Path) -> None:
    """The older copy, given its old lock record, writes on; then the newer lock record comes back."""
    _some_entries(folder, "a")
    shutil.copytree(folder / "store", tmp_path / "backup")
    old_head = (folder / "lock" / "head").read_bytes()
    _some_entries(folder, "b")
    new_head = (folder / "lock" / "head").read_bytes()
    shutil.rmtree(folder / "store")
    shutil.copytree(tmp_path / "backup", folder / "store")
    (folder / "lock" / "head").write_bytes(old_head)
    for prefix in "cdef":
        _some_entries(folder, prefix)
    (folder / "lock" / "head").write_bytes(new_head)
    refusal = _refused(folder)
    assert refusal.step == "lock"


def test_a_lost_or_older_lock_record_is_refused(folder: Path) -> None:
    _some_entries(folder, "a")
    head = folder / "lock" / "head"
    old = head.read_bytes()
    _some_entries(folder, "b")
    head.write_bytes(old)
    assert "it is older" in _refused(folder).why
    head.unlink()
    assert "is gone" in _refused(folder).why
    head.write_bytes(b"nonsense")
    with pytest.raises(ConfigRefused, match="cannot be read"):
        writer.Log(config(folder), Clock())


def test_an_empty_disk_is_not_taken_for_a_new_log(folder: Path) -> None:
    shutil.rmtree(folder / "store")
    with pytest.raises(ConfigRefused, match="there is no store"):
        writer.Log(config(folder), Clock())
    with pytest.raises(ConfigRefused, match="a log was begun before"):
        writer.create(config(folder))


def test_two_writers_on_one_log_are_refused(folder: Path) -> None:
    first = writer.Log(config(folder), Clock())
    with pytest.raises(ConfigRefused, match="another writer"):
        writer.Log(config(folder), Clock())
    first.close()
    writer.Log(config(folder), Clock()).close()


def test_another_logs_store_is_refused(folder: Path) -> None:
    settings = writer.WriterConfig(folder / "store", folder / "lock", folder / "run", "hnd.example/log")
    with pytest.raises(VerificationFailed, match="another log"):
        writer.Log(settings, Clock())


def _by_hand(folder: Path, *statements: str) -> None:
    db = sqlite3.connect(folder / "store" / database.FILE)
    for name in ("leaf_is_kept", "leaf_is_fixed", "tile_is_kept", "tile_is_fixed"):
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_leaves_and_tiles_cannot_be_changed_by_accident(folder: Path) -> None:
    _some_entries(folder, "a")
    db = sqlite3.connect(folder / "store" / database.FILE)
    for statement in ("DELETE FROM leaf", "UPDATE leaf SET bytes = x'00'", "DELETE FROM tile"):
        if statement == "DELETE FROM tile":
            db.execute("INSERT INTO tile VALUES (9, 9, x'', x'')")
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM leaf WHERE seq = (SELECT max(seq) FROM leaf)",
        "DELETE FROM leaf WHERE seq = 300",
        "UPDATE leaf SET bytes = (SELECT bytes FROM leaf WHERE seq = 3) WHERE seq = 300",
        "UPDATE leaf SET bytes = x'00' WHERE seq = (SELECT max(seq) FROM leaf)",
        "UPDATE leaf SET bytes = (SELECT bytes FROM leaf WHERE seq = 3) WHERE seq = 200",
        "DELETE FROM tile",
        "INSERT INTO tile SELECT 0, 1, root, hashes FROM tile",
        "UPDATE tile SET root = zeroblob(32)",
    ],
)
def test_a_store_patched_by_hand_is_refused(folder: Path, statement: str) -> None:
    log = writer.Log(config(folder), Clock())
    log.commit([writer.Unit([writer._plain("filler", {})] * 304, ())])
    head = log.agree()
    log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))
    log.close()
    _by_hand(folder, statement)
    assert _refused(folder).step in ("lock", "tail")


def test_a_head_that_was_agreed_on_but_not_signed_is_signed_after_the_restart(folder: Path) -> None:
    log = writer.Log(config(folder), Clock())
    log.commit([writer.Unit([writer._plain("filler", {})] * 5, ())])
    head = log.agree()
    log.close()
    again = writer.Log(config(folder), Clock())
    assert again.agree() == head
    again.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))
    assert again.agree().size == head.size + 16
    again.close()


def test_a_note_of_another_head_is_not_published(folder: Path) -> None:
    log = writer.Log(config(folder), Clock())
    head = log.agree()
    other = checkpoint.Checkpoint(head.origin, head.size, bytes(32))
    with pytest.raises(VerificationFailed):
        log.publish(head, note.sign(other.encode(), LOG_KEY, LOG.sign))
    log.close()


def test_a_step_of_the_clock_is_logged(folder: Path) -> None:
    class Stepping(Clock):
        shift = 0

        def now_ns(self) -> int:
            return super().now_ns() + self.shift

    clock = Stepping()
    log = writer.Log(config(folder), clock)
    log.commit([writer.Unit([writer._plain("filler", {})], ())])
    for shift in (3600 * 10**9, -24 * 3600 * 10**9):
        clock.shift = shift
        log.commit([writer.Unit([writer._plain("filler", {})], ())])
    log.close()
    reader = Reader(folder / "store")
    read = [leaf.Leaf.parse(one) for one in reader.leaves(0, 10)]
    reader.close()
    steps = [int(one.public["step_ms"]) for one in read if one.kind == "clock.step"]
    assert [round(step / 3_600_000) for step in steps] == [1, -25]
    assert [one.time_ns for one in read] == sorted(one.time_ns for one in read)


def test_a_keyless_hour_is_made_up_for(folder: Path) -> None:
    """The key process is gone for a while: the log goes on, and the next checkpoint covers everything."""

    async def run() -> None:
        fails = 3

        async def sign(text: bytes) -> bytes:
            nonlocal fails
            fails -= 1
            if fails >= 0:
                raise AuditUnavailable("no key process")
            return note.sign(text, LOG_KEY, LOG.sign)

        settings = config(folder)
        process = writer.Writer(writer.Log(settings, Clock()), settings, Clock(), sign)
        await process.start()
        client = WriterClient(folder / "run" / writer.SOCKET, RECIPIENTS)
        done = await client.commit([entry("a")])
        head = checkpoint.parse(note.open_note(await client.publish_checkpoint(), [LOG_KEY]).text)
        assert head.size > done.seqs[0] and head.size % 16 == 0 and fails < 0
        await client.close()
        await process.stop()

    asyncio.run(run())
