"""A new log in the place of one that cannot go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.audit import leaf, note, seal
from gateway.audit.entry import Entry, Phase
from gateway.audit.kinds import RETENTION_NS
from gateway.audit.leaf import Leaf
from gateway.audit.period import PERIOD_NS
from gateway.errors import AuditUnavailable, ConfigRefused, VerificationFailed
from gateway.store import db as database
from gateway.store import succession, wal, writer
from gateway.store.periods import PeriodKeys
from gateway.store.reader import Reader
from gateway.store.writer import Log, Unit, WriterConfig
from tests.faults.writer_child import LOG, LOG_KEY, ORIGIN, Clock, charge, config
from tests.unit.audit.log import recipients

SECOND = "pan.example/log/2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two checkpoints whose database was put back to the first."""
    writer.create(config(tmp_path))
    log = Log(config(tmp_path), Clock())
    log.commit([Unit([writer._plain("filler", {})] * 300, [("quota.charge", charge("A").args)])])
    _publish(log)
    log._db.execute("INSERT INTO release_account VALUES ('D', 'person', '2026', 1000, 10)")
    log._db.execute("INSERT INTO officer VALUES ('P-1', x'00', NULL)")
    log._db.execute("INSERT INTO policy VALUES ('baseline', x'01', 7)")
    log.close()
    older = (tmp_path / "store" / database.FILE).read_bytes()
    log = Log(config(tmp_path), Clock())
    log.commit([Unit([writer._plain("filler", {})] * 3, ())])
    _publish(log)
    log.close()
    (tmp_path / "store" / database.FILE).write_bytes(older)
    return tmp_path


def _publish(log: Log) -> None:
    head = log.agree()
    log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))


def _standing(folder: Path) -> succession.Standing:
    return succession.standing(folder / "store", folder / "lock", ORIGIN)


def _begin(folder: Path, number: int = 2, origin: str = SECOND) -> None:
    succession.begin(folder / "store", folder / "lock", _standing(folder), origin, number)


def _second(folder: Path) -> WriterConfig:
    return WriterConfig(folder / "store", folder / "lock", folder / "periods", folder / "run", SECOND)


def test_what_is_left_is_told_and_nothing_is_changed(folder: Path) -> None:
    for _ in range(2):
        left = _standing(folder)
        assert left.head is not None
        assert (left.origin, left.head.size, left.held, left.is_readable) == (ORIGIN, 320, 304, True)
    with pytest.raises(VerificationFailed):
        Log(config(folder), Clock())


def test_the_new_log_is_empty_and_what_only_rises_is_not_lowered(folder: Path) -> None:
    _begin(folder)
    log = Log(_second(folder), Clock())
    assert log.size == 0 and log.head.size == 0
    log.commit([Unit([writer._plain("filler", {})], ())])
    row = log._db.execute
    assert row("SELECT spent FROM release_account").fetchone() == (1000,)
    assert row("SELECT count(*) FROM officer").fetchone() == (0,)
    assert row("SELECT digest, sequence FROM policy").fetchone() == (b"", 6)
    assert row("SELECT used FROM quota").fetchone() == (1,)
    # Leaves are protected in the new log as in any.
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        row("DELETE FROM leaf")
    log.close()
    with closing(Reader(folder / "store" / "ended-1")) as reader:
        assert (reader.origin(), reader.size()) == (ORIGIN, 304)
    assert b"\n320\n" in (folder / "lock" / "ended-1" / "head").read_bytes()
    # And the former one does not come back by its settings.
    with pytest.raises(VerificationFailed, match="another log"):
        Log(config(folder), Clock())


@pytest.mark.parametrize("stop", range(6))
def test_after_a_crash_at_any_step_it_is_begun_once(folder: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    class Crash(BaseException):
        pass

    left = stop
    real: Callable[..., Path] = Path.rename

    def rename(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash
        return real(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        with pytest.raises((Crash, SystemExit)):
            _begin(folder)
            raise SystemExit
    _begin(folder)
    log = Log(_second(folder), Clock())
    assert log.size == 0
    log.close()
    with closing(Reader(folder / "store" / "ended-1")) as reader:
        assert (reader.origin(), reader.size()) == (ORIGIN, 304)


@pytest.mark.parametrize("spoil", ["store", "lock", "both"])
def test_where_nothing_can_be_read_an_empty_node_begins(folder: Path, spoil: str) -> None:
    if spoil in ("store", "both"):
        (folder / "store" / database.FILE).write_bytes(b"\xff" * 8192)
    if spoil in ("lock", "both"):
        (folder / "lock" / "head").write_bytes(b"nonsense")
    left = _standing(folder)
    assert (left.head is None, left.is_readable) == (spoil != "store", spoil == "lock")
    _begin(folder)
    log = Log(_second(folder), Clock())
    assert log.size == 0
    log.close()
    assert (folder / "store" / "ended-1" / database.FILE).exists()


def test_it_is_not_begun_while_a_writer_runs(folder: Path) -> None:
    _begin(folder)
    log = Log(_second(folder), Clock())
    with pytest.raises(ConfigRefused, match="another writer"):
        succession.standing(folder / "store", folder / "lock", SECOND)
    log.close()


def test_a_damaged_tail_goes_with_the_former_log(folder: Path) -> None:
    (folder / "store" / f"{database.FILE}{wal.DAMAGED}").write_bytes(b"kept")
    _begin(folder)
    assert (folder / "store" / "ended-1" / f"{database.FILE}{wal.DAMAGED}").read_bytes() == b"kept"
    Log(_second(folder), Clock()).close()


# -- What was sealed in the former log --------------------------------------------------------------------------------


def _sealed(retention: str) -> leaf.Prepared:
    made = Entry(
        "check.denied", Phase.EVENT, "HND",
        public={"purpose": "SEC.WATCH", "basis": "B", "agency": "SNM", "reasons": "role"},
        secret={"officer": "P-1", "case": "C-1"}, retention=retention, sealed_bytes=256,
    )  # fmt: skip
    return leaf.prepare(made, bytes(32), seal.Sealer(recipients(), bytes(32)))


def _followed(folder: Path, *, hold: bool = False) -> Log:
    """The second log, after one with a payload of a day and one of a year, the latter held where said."""
    writer.create(config(folder))
    log = Log(config(folder), Clock())
    log.commit([Unit([_sealed("24h"), _sealed("1y")], ())])
    if hold:
        log._db.execute("INSERT INTO hold VALUES (x'07', 1, 1, 0)")
    _publish(log)
    log.close()
    _begin(folder)
    return Log(_second(folder), Clock())


def _former(folder: Path) -> list[tuple[str, int]]:
    return list(PeriodKeys(folder / "periods", ORIGIN))


def _at(log: Log, monkeypatch: pytest.MonkeyPatch, now_ns: int) -> None:
    """The housekeeping at a time on which clock and witnesses agree."""
    monkeypatch.setattr(log, "_agreed", lambda: (now_ns, 16))
    log.erase_due()


def _said(log: Log) -> list[tuple[str, str]]:
    rows = [Leaf.parse(data) for (data,) in log._db.execute("SELECT bytes FROM leaf ORDER BY seq").fetchall()]
    return [(str(one.public["former"]), str(one.public["class"])) for one in rows if one.kind == "former.erased"]


def test_the_former_logs_keys_go_at_their_terms_and_the_new_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _followed(tmp_path)
    keys = dict(_former(tmp_path))
    assert set(keys) == {"24h", "1y"}
    for name in ("24h", "1y"):
        due = keys[name] + PERIOD_NS[name] + RETENTION_NS[name]
        _at(log, monkeypatch, due - 1)
        assert name in dict(_former(tmp_path))
        _at(log, monkeypatch, due)
        assert name not in dict(_former(tmp_path))
        assert _said(log)[-1] == (ORIGIN, name)
    _at(log, monkeypatch, 1 << 62)
    assert _said(log) == [(ORIGIN, "24h"), (ORIGIN, "1y")]
    log.close()
    # The database of the former log is as it was; its payloads are bytes that nobody reads.
    with closing(Reader(tmp_path / "store" / "ended-1", tmp_path / "periods")) as reader:
        assert reader.size() == 16 and reader.payloads(0, 16) == []


def test_before_its_term_the_former_log_is_read_as_it_was(tmp_path: Path) -> None:
    _followed(tmp_path).close()
    with closing(Reader(tmp_path / "store" / "ended-1", tmp_path / "periods")) as reader:
        assert [seq for seq, _ in reader.payloads(0, 16)] == [0, 1]


def test_without_a_cosigned_time_nothing_of_the_former_log_goes(tmp_path: Path) -> None:
    log = _followed(tmp_path)
    log.erase_due()
    assert len(_former(tmp_path)) == 2 and _said(log) == []
    log.close()


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_hold_of_the_former_log_keeps_what_it_touches_until_it_is_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_readable: bool
) -> None:
    log = _followed(tmp_path, hold=True)
    if not is_readable:
        (tmp_path / "store" / "ended-1" / database.FILE).write_bytes(b"\xff" * 8192)
    _at(log, monkeypatch, 1 << 62)
    assert sorted(dict(_former(tmp_path))) == (["1y"] if is_readable else ["1y", "24h"])
    log._db.execute("DELETE FROM hold")
    _at(log, monkeypatch, 1 << 62)
    assert _former(tmp_path) == []
    log.close()


def test_where_the_key_resists_the_entry_stands_and_the_next_run_destroys_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _followed(tmp_path)

    def resists(*_: object) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(PeriodKeys, "destroy", resists)
        with pytest.raises(AuditUnavailable):
            _at(log, patched, 1 << 62)
    assert len(_former(tmp_path)) == 2 and len(_said(log)) == 1
    _at(log, monkeypatch, 1 << 62)
    assert _former(tmp_path) == []
    log.close()


def test_a_first_log_follows_none_and_each_later_one_all_before_it() -> None:
    assert succession.formers("limen/PAN/log") == {}
    assert succession.formers("limen/PAN/log/3") == {1: "limen/PAN/log", 2: "limen/PAN/log/2"}
