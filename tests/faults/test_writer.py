"""The writer against kill -9, a full disk, a failing disk, and a store that was put back from an older copy.

What must hold after each: every acknowledged entry is there under its number, with its change; numbers have no gap; and
every checkpoint that was ever signed is a prefix of the log.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gateway.audit import checkpoint, leaf, note
from gateway.errors import AuditUnavailable, ConfigRefused, VerificationFailed
from gateway.store import db as database
from gateway.store import writer
from gateway.store.client import WriterClient
from gateway.store.db import Database, Rows
from gateway.store.reader import Reader
from tests.faults.log_folder import ended, judge, kill_at_random, signed, start_child
from tests.faults.writer_child import LOG, LOG_KEY, RECIPIENTS, Clock, charge, config, entry

POINTS = ("begun", "written", "committed", "filled", "locked", "signed", "published")


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_place_three_times_over(folder: Path, point: str) -> None:
    size = 0
    for number in (2, 7, 30):
        child = start_child(folder, point, str(number))
        assert ended(child) == -signal.SIGKILL
        grown = judge(folder)
        assert grown >= size
        size = grown
    assert signed(folder) or point in ("begun", "written", "committed")


def test_killed_at_random_during_load(folder: Path) -> None:
    """With the twenty-one above forty cycles."""
    kill_at_random(folder, 19, 20261125)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_random_a_thousand_times(folder: Path, seed: int) -> None:
    kill_at_random(folder, 50, seed)


async def _sign(text: bytes) -> bytes:
    return note.sign(text, LOG_KEY, LOG.sign)


def _started(folder: Path, *, pages_max: int = 0) -> tuple[writer.Log, writer.Writer]:
    settings = config(folder, pages_max=pages_max)
    log = writer.Log(settings, Clock())
    return log, writer.Writer(log, settings, Clock(), _sign)


def test_a_full_disk_gives_no_answer_and_harms_nothing(folder: Path) -> None:
    async def run() -> int:
        log, process = _started(folder, pages_max=160)
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
    with closing(Reader(folder / "store", folder / "periods")) as reader:
        entered = [leaf.Leaf.parse(one) for one in reader.leaves(0, judge(folder))]
    told = [one.public["purpose"] for one in entered if one.kind == "check.denied"]
    assert told == [*(f"x-{n}" for n in range(acked)), "later"]


class _FailingCommit:
    """The database, but COMMIT raises, as after EIO on fsync."""

    def __init__(self, db: Database, *, applied: bool) -> None:
        self._db = db
        self._applied = applied

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def execute(self, statement: str, *values: tuple[Any, ...]) -> Rows:
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
    assert judge(folder) == before + applied


def test_a_disk_that_begins_to_fail_ends_the_process_and_a_restart_knows_what_is_there(
    folder: Path, shim: Path
) -> None:
    for number in (25, 40, 61):
        child = start_child(folder, env={"LD_PRELOAD": str(shim), "FSYNC_SHIM_FAIL_AT": str(number)})
        assert ended(child) == writer.EXIT_COMMIT
        judge(folder)
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
    settings = writer.WriterConfig(
        folder / "store", folder / "lock", folder / "periods", folder / "run", "hnd.example/log"
    )
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
    reader = Reader(folder / "store", folder / "periods")
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
