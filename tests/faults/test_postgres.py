"""The store on a PostgreSQL server: killed writers, a server that crashes, a second writer, and moves there and back.

What must hold is what holds on SQLite (`log_folder.judge`).
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.audit import note
from gateway.errors import AuditUnavailable, ConfigRefused, VerificationFailed
from gateway.store import backup, moving, postgres, writer
from gateway.store import db as database
from gateway.store.reader import Reader
from gateway.store.recheck import recheck
from tests.faults.log_folder import ended, judge, kill_at_random, signed, start_child, wait_for
from tests.faults.writer_child import LOG, LOG_KEY, Clock, config
from tests.support import postgres as servers
from tests.support.postgres import Server

pytestmark = pytest.mark.extra("postgres")


@pytest.fixture
def server() -> Server:
    return servers.running()


@pytest.fixture
def folder(tmp_path: Path, server: Server) -> Path:
    (tmp_path / "store").mkdir()
    server.place(tmp_path / "store")
    writer.create(config(tmp_path))
    (tmp_path / "acked").touch()
    return tmp_path


@pytest.fixture
def log(folder: Path) -> Iterator[writer.Log]:
    opened = writer.Log(config(folder), Clock())
    yield opened
    opened.close()


FILLER = writer._plain("filler", {})


def grow(log: writer.Log, count: int) -> None:
    log.commit([writer.Unit([FILLER] * count, ())])


@pytest.mark.parametrize("point", ["begun", "written", "committed", "locked"])
def test_a_writer_killed_at_a_named_place_loses_nothing(folder: Path, point: str) -> None:
    for number in (2, 9):
        child = start_child(folder, point, str(number))
        assert ended(child) == -signal.SIGKILL
        judge(folder)
    assert signed(folder) or point in ("begun", "written", "committed")


def test_a_writer_killed_at_random_loses_nothing(folder: Path) -> None:
    kill_at_random(folder, 4, 20261201)


def test_a_server_that_crashes_ends_the_writer_and_loses_nothing_that_was_acknowledged(
    folder: Path, server: Server
) -> None:
    for lines in (50, 400):
        child = start_child(folder)
        wait_for(folder / "acked", lines, child)
        server.stop()
        try:
            assert ended(child) == writer.EXIT_COMMIT
        finally:
            server.start()
        judge(folder)


def test_a_writer_that_rests_while_the_server_crashes_ends_with_its_next_commit(folder: Path, server: Server) -> None:
    class Ended(BaseException):
        pass

    def fatal(why: str) -> NoReturn:
        raise Ended

    log = writer.Log(config(folder), Clock(), fatal)
    grow(log, 3)
    server.stop()
    server.start()
    with pytest.raises(Ended):
        grow(log, 1)
    log.close()
    judge(folder)


def test_a_reader_finds_the_server_again_after_it_was_started_anew(folder: Path, server: Server) -> None:
    with closing(Reader(folder / "store", folder / "periods")) as reader:
        size = reader.size()
        server.stop()
        try:
            with pytest.raises(sqlite3.OperationalError, match="gone"):
                reader.size()
            with pytest.raises(sqlite3.OperationalError, match="does not let us in"):
                reader.size()
        finally:
            server.start()
        assert reader.size() == size


def test_a_second_writer_is_refused_whatever_machine_it_is_on(
    log: writer.Log, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_WAIT_MS", 50)
    # Another machine has a lock record of its own.
    other = tmp_path / "other"
    shutil.copytree(folder / "store", other / "store")
    shutil.copytree(folder / "lock", other / "lock")
    with pytest.raises(ConfigRefused, match="another writer has this database"):
        writer.Log(config(other), Clock())


def test_entries_are_not_changed_deleted_or_cut_off(log: writer.Log) -> None:
    grow(log, 300)
    for statement in ("DELETE FROM leaf", "UPDATE leaf SET bytes = bytes", "DELETE FROM tile"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            log._db.execute(statement)
    assert isinstance(log._db, postgres.Connection)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        log._db.script("TRUNCATE leaf")


def test_a_reader_cannot_write(folder: Path) -> None:
    with closing(Reader(folder / "store")) as reader, pytest.raises(sqlite3.OperationalError, match="read-only"):
        reader._db.execute("INSERT INTO peer VALUES ('HND', 1)")


def test_a_transaction_that_failed_is_not_taken_for_committed(log: writer.Log) -> None:
    log._db.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.ProgrammingError):
        log._db.execute("SELECT no_such_column FROM leaf")
    with pytest.raises(sqlite3.OperationalError, match="failed"):
        log._db.execute("COMMIT")


def test_a_database_that_takes_nothing_gives_no_answer_and_leaves_the_log_as_it_was(log: writer.Log) -> None:
    grow(log, 5)
    size = log.size
    db = log._db
    assert isinstance(db, postgres.Connection)
    db.script("SET default_transaction_read_only = on")
    with pytest.raises(AuditUnavailable, match="took nothing"):
        grow(log, 1)
    db.script("SET default_transaction_read_only = off")
    grow(log, 1)
    assert log.size == size + 1


# -- There and back ---------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A log on SQLite whose writer was killed."""
    writer.create(config(tmp_path))
    (tmp_path / "acked").touch()
    child = start_child(tmp_path)
    wait_for(tmp_path / "acked", 300, child)
    child.kill()
    assert ended(child) == -signal.SIGKILL
    judge(tmp_path)
    return tmp_path


def described(server: Server, folder: Path) -> postgres.Place:
    folder.mkdir()
    server.place(folder)
    return postgres.read(folder / postgres.FILE)


def test_a_store_moves_to_a_server_and_back_and_the_log_goes_on(here: Path, server: Server) -> None:
    store, lock = here / "store", here / "lock"
    before = recheck(store)
    place = described(server, here / "description")
    assert moving.to_server(store, lock, place) == before
    assert not (store / database.FILE).exists() and (store / postgres.FILE).stat().st_mode & 0o077 == 0
    judge(here)
    kill_at_random(here, 2, 1)
    there = recheck(store)
    assert there.size > before.size
    assert moving.to_file(store, lock) == there
    assert not (store / postgres.FILE).exists()
    judge(here)
    kill_at_random(here, 2, 2)
    # Nothing is left there: another log may have the schema.
    assert moving.to_server(store, lock, place).size > there.size


def test_a_node_that_was_never_started_begins_its_log_on_the_server(server: Server, tmp_path: Path) -> None:
    place = described(server, tmp_path / "description")
    where = config(tmp_path)
    assert writer.is_to_be_begun(where)
    assert moving.to_server(where.store_dir, where.lock_dir, place).size == 0
    assert writer.is_to_be_begun(where)
    writer.create(where)
    assert not writer.is_to_be_begun(where)
    (tmp_path / "acked").touch()
    kill_at_random(tmp_path, 1, 3)
    # A server that lost the schema is not taken for a new one.
    postgres.drop(place)
    assert not writer.is_to_be_begun(where)
    with pytest.raises(VerificationFailed, match="another log"):
        writer.Log(where, Clock())


def test_a_move_that_is_not_possible_leaves_the_store_where_it_is(here: Path, server: Server, tmp_path: Path) -> None:
    place = described(server, tmp_path / "description")
    store, lock = here / "store", here / "lock"
    moving.to_server(store, lock, place)
    with pytest.raises(ConfigRefused, match="on a server already"):
        moving.to_server(store, lock, place)
    another = tmp_path / "another"
    writer.create(config(another))
    with pytest.raises(ConfigRefused, match="has a log already"):
        moving.to_server(another / "store", another / "lock", place)
    with pytest.raises(ConfigRefused, match="has its database itself"):
        moving.to_file(another / "store", another / "lock")
    server.stop()
    try:
        with pytest.raises(ConfigRefused, match="does not let us in"):
            moving.to_file(store, lock)
    finally:
        server.start()
    writer.Log(config(another), Clock()).close()
    judge(here)


def test_a_running_node_is_not_moved(log: writer.Log, folder: Path) -> None:
    with pytest.raises(ConfigRefused, match="another writer"):
        moving.to_file(folder / "store", folder / "lock")


def test_a_backup_of_a_server_is_one_moment_and_goes_on_as_a_file(
    log: writer.Log, folder: Path, tmp_path: Path
) -> None:
    grow(log, 700)
    head = log.agree()
    log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))
    place = tmp_path / "copy"
    place.mkdir()
    copied = backup.copy(folder / "store", place)
    assert copied.head == head
    assert recheck(place).size == log.size
    grow(log, 10)
    assert recheck(place).size == log.size - 10
