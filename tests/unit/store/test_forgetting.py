"""Erasure at the log: keys go with payloads, in every copy; time decides by the earlier of clocks; a crash changes
nothing of what was decided."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.audit import leaf, seal
from gateway.audit.entry import Entry, Phase
from gateway.audit.kinds import RETENTION_NS
from gateway.audit.leaf import Leaf
from gateway.audit.period import PERIOD_NS
from gateway.store import backup, writer
from gateway.store import db as database
from gateway.store.reader import Reader
from gateway.store.writer import Log, Unit, WriterConfig
from tests.unit.audit.log import ORIGIN, recipients
from tests.unit.store.test_log import DAY_NS, Clock, publish, put

HOUR_NS = 3600 * 10**9


class Stop(Exception):
    """Stands for SIGKILL: nothing after it runs."""


class StopAt:
    def __init__(self, name: str) -> None:
        self.name = name

    def reach(self, name: str) -> None:
        if name == self.name:
            raise Stop(name)


def place(folder: Path, points: writer.Points = writer.NO_POINTS) -> WriterConfig:
    return WriterConfig(
        folder / "store", folder / "lock", folder / "periods", folder / "run", ORIGIN, round_to=1, points=points
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path) -> WriterConfig:
    writer.create(place(tmp_path / "node"))
    return place(tmp_path / "node")


@pytest.fixture
def log(config: WriterConfig, clock: Clock) -> Iterator[Log]:
    opened = Log(config, clock)
    yield opened
    opened.close()


def entry(retention: str = "") -> leaf.Prepared:
    """An entry with a payload, of this class."""
    made = Entry(
        "check.denied", Phase.EVENT, "HND",
        public={"purpose": "SEC.WATCH", "basis": "B", "agency": "SNM", "reasons": "role"},
        secret={"officer": "P-1", "case": "C-1"}, retention=retention, sealed_bytes=256,
    )  # fmt: skip
    return leaf.prepare(made, bytes(32), seal.Sealer(recipients(), bytes(32)))


def kept(config: WriterConfig) -> list[int]:
    reader = Reader(config.store_dir, config.periods_dir)
    try:
        return [seq for seq, _ in reader.payloads(0, 1 << 40)]
    finally:
        reader.close()


def erasures(config: WriterConfig) -> list[Leaf]:
    reader = Reader(config.store_dir)
    try:
        leaves = [Leaf.parse(data) for data in reader.leaves(0, 1 << 40)]
    finally:
        reader.close()
    return [one for one in leaves if one.kind == "payloads.erased"]


def keys(config: WriterConfig) -> list[str]:
    return sorted(path.name for path in config.periods_dir.rglob("*") if path.is_file())


def test_every_class_goes_at_its_term_and_not_before(log: Log, config: WriterConfig, clock: Clock) -> None:
    classes = [name for name, term in RETENTION_NS.items() if term]
    put(log, Unit([entry(name) for name in classes], ()))
    seqs = dict(zip(classes, range(100), strict=False))
    began = clock.wall
    left = set(seqs.values())
    for name in sorted(classes, key=RETENTION_NS.__getitem__):
        for moment, gone in ((began + RETENTION_NS[name] - 10**9, 0), (began + RETENTION_NS[name] + 10**9, 1)):
            clock.pass_ns(moment - clock.wall)
            publish(log, clock.wall)
            assert log.erase_due() == gone, (name, gone)
        left.discard(seqs[name])
        assert kept(config) == sorted(left)
        said = erasures(config)[-1].public
        until = said["until_ns"]
        assert isinstance(until, int) and RETENTION_NS[name] + began <= until <= clock.wall
        assert (said["class"], said["first"], said["last"], said["count"]) == (name, seqs[name], seqs[name], 1)
        assert said["ground"] == "term"
        # The key goes too, once its period takes nothing more.
        clock.pass_ns(PERIOD_NS[name])
        publish(log, clock.wall)
        log.erase_due()
        assert not [one for one in keys(config) if one.startswith(f"{name}-")]
    assert kept(config) == [] and keys(config) == []


def test_destroying_reaches_every_copy(log: Log, config: WriterConfig, clock: Clock, tmp_path: Path) -> None:
    put(log, Unit([entry("30d"), entry("30d"), entry("3y")], ()))
    publish(log, clock.wall)
    (tmp_path / "tape").mkdir()
    backup.copy(config.store_dir, tmp_path / "tape")
    tape = Reader(tmp_path / "tape", config.periods_dir)
    assert [seq for seq, _ in tape.payloads(0, 10)] == [0, 1, 2] == kept(config)
    clock.pass_ns(30 * DAY_NS + HOUR_NS)
    publish(log, clock.wall)
    assert log.erase_due() == 2
    # The copy has the bytes still, and nobody has their keys.
    assert [seq for seq, _ in tape.payloads(0, 10)] == [2] == kept(config)
    assert tape._db.execute("SELECT count(*) FROM payload").fetchone() == (3,)
    tape.close()


def test_without_the_folder_of_keys_a_copy_says_nothing(log: Log, config: WriterConfig, tmp_path: Path) -> None:
    one = entry("30d")
    put(log, Unit([one], ()))
    publish(log, log._clock.now_ns())
    (tmp_path / "tape").mkdir()
    backup.copy(config.store_dir, tmp_path / "tape")
    held = (tmp_path / "tape" / database.FILE).read_bytes()
    assert one.sealed[40:200] not in held
    with pytest.raises(Exception, match="period keys"):
        Reader(tmp_path / "tape").payloads(0, 10)
    shutil.rmtree(config.periods_dir)
    reader = Reader(tmp_path / "tape", config.periods_dir)
    assert reader.payloads(0, 10) == []
    reader.close()


def test_destruction_goes_by_the_earlier_of_clocks(log: Log, config: WriterConfig, clock: Clock) -> None:
    put(log, Unit([entry("24h")], ()))
    publish(log, clock.wall + 400 * DAY_NS)
    assert log.erase_due() == 0  # Witnesses of the future.
    clock.pass_ns(25 * HOUR_NS)
    publish(log, clock.wall - 2 * HOUR_NS)
    assert log.erase_due() == 0  # An own clock ahead of the witnesses'.
    publish(log, clock.wall)
    assert log.erase_due() == 1


def test_a_step_of_the_clock_freezes_destruction_until_witnesses_agree(config: WriterConfig, clock: Clock) -> None:
    log = Log(config, clock)
    put(log, Unit([entry("24h")], ()))
    clock.pass_ns(25 * HOUR_NS)
    publish(log, clock.wall)
    clock.wall += 3 * HOUR_NS
    put(log, Unit([entry("3y")], ()))
    # A checkpoint from before the step says nothing about it.
    assert log.erase_due() == 0 and kept(config) == [0, 3]
    # One from after it, by witnesses whose clocks did not step with ours.
    publish(log, clock.wall - 3 * HOUR_NS)
    assert log.erase_due() == 0
    # It survives a restart.
    log.close()
    again = Log(config, clock)
    assert again.erase_due() == 0
    clock.wall -= 3 * HOUR_NS
    put(again, Unit([entry("3y")], ()))
    assert again.erase_due() == 0
    publish(again, clock.wall)
    assert again.erase_due() == 1
    again.close()


@pytest.mark.parametrize(("point", "done"), [("begun", False), ("written", False), ("committed", True),
                                             ("erased", True), ("forgotten", True)])  # fmt: skip
def test_a_crash_in_an_erasure_leaves_all_or_nothing(
    config: WriterConfig, clock: Clock, point: str, done: bool, tmp_path: Path
) -> None:
    log = Log(config, clock)
    put(log, Unit([entry("24h"), entry("30d"), entry("24h")], ()))
    publish(log, clock.wall)
    (tmp_path / "tape").mkdir()
    backup.copy(config.store_dir, tmp_path / "tape")
    clock.pass_ns(25 * HOUR_NS)
    publish(log, clock.wall)
    log._points = StopAt(point)
    with pytest.raises(Stop):
        log.erase_due()
    if log._db.in_transaction:
        log._db.execute("ROLLBACK")
    log.close()
    again = Log(config, clock)
    assert bool(erasures(config)) is done
    assert kept(config) == ([1] if done else [0, 1, 2])
    # What the log says is erased is erased in the copy too, once the node has started.
    tape = Reader(tmp_path / "tape", config.periods_dir)
    assert [seq for seq, _ in tape.payloads(0, 10)] == ([1] if done else [0, 1, 2])
    tape.close()
    assert again.erase_due() == (0 if done else 2) and kept(config) == [1]
    assert len(erasures(config)) == 1
    assert again._db.execute("SELECT count(*) FROM doomed").fetchone() == (0,)
    again.close()


def test_payloads_from_before_there_were_period_keys_come_under_them(config: WriterConfig, clock: Clock) -> None:
    log = Log(config, clock)
    one = entry("30d")
    put(log, Unit([one], ()))
    log._db.execute("UPDATE payload SET sealed = ?, class = '', period = 0", (one.sealed,))
    log.close()
    again = Log(config, clock)
    reader = Reader(config.store_dir, config.periods_dir)
    assert reader.payload(0) == one.sealed
    assert again._db.execute("SELECT sealed <> ? FROM payload", (one.sealed,)).fetchone() == (1,)
    reader.close()
    again.close()


def test_what_a_crash_leaves_beside_a_key_is_cleared_and_the_key_stays(config: WriterConfig, clock: Clock) -> None:
    log = Log(config, clock)
    put(log, Unit([entry("30d")], ()))
    (name,) = keys(config)
    (path,) = config.periods_dir.rglob(name)
    (path.parent / f".{name}.old").hardlink_to(path)
    (path.parent / f".{name}.part").write_bytes(b"half")
    log.close()
    again = Log(config, clock)
    assert keys(config) == [name] and kept(config) == [0]
    again.close()


def hold(first: int, last: int, hold_id: bytes = bytes(16)) -> Unit:
    return Unit((), [("hold.set", {"hold_id": hold_id, "first": first, "last": last, "review_ns": 1})])


def refused(log: Log, *changes: tuple[str, dict[str, object]]) -> str:
    unit = Unit((), list(changes))
    log.commit([unit])
    assert unit.result[0] is not None
    return str(unit.result[1])


def test_what_is_held_stays_until_the_hold_is_lifted(log: Log, config: WriterConfig, clock: Clock) -> None:
    put(log, Unit([entry("24h") for _ in range(4)], ()), hold(1, 2))
    assert "in force already" in refused(
        log, ("hold.set", {"hold_id": bytes(16), "first": 0, "last": 9, "review_ns": 1})
    )
    clock.pass_ns(40 * DAY_NS)
    publish(log, clock.wall)
    assert log.erase_due() == 2 and kept(config) == [1, 2]
    reader = Reader(config.store_dir)
    (row,) = reader.retention(clock.wall)
    assert (row.kept, row.held, row.overdue, row.first_overdue) == (2, 2, 0, None)
    assert [(one.first, one.last) for one in reader.holds()] == [(1, 2)]
    put(log, Unit((), [("hold.lift", {"hold_id": bytes(16)})]))
    # Lifted, and not yet gone: what should have gone is told until it has.
    (row,) = reader.retention(clock.wall)
    assert (row.overdue, row.first_overdue) == (2, 1)
    publish(log, clock.wall)
    assert log.erase_due() == 2 and kept(config) == [] and reader.retention(clock.wall) == []
    assert "no such hold" in refused(log, ("hold.lift", {"hold_id": bytes(16)}))
    reader.close()


def test_an_order_destroys_what_is_old_enough_and_in_every_copy(
    log: Log, config: WriterConfig, clock: Clock, tmp_path: Path
) -> None:
    put(log, Unit([entry("3y"), entry("3y"), entry("10y"), entry("3y")], ()))
    publish(log, clock.wall)
    (tmp_path / "tape").mkdir()
    backup.copy(config.store_dir, tmp_path / "tape")

    def order(**other: object) -> tuple[str, dict[str, object]]:
        head = log.head.size
        said = {"class": "3y", "first": 0, "last": 2, "until_ns": clock.wall // 10**9 * 10**9, "checkpoint": head}
        return ("payloads.order", {**said, **other})

    clock.pass_ns(364 * DAY_NS)
    publish(log, clock.wall)
    assert "younger than the minimum" in refused(log, order())
    assert "no quorum" in refused(log, order(until_ns=clock.wall + 2 * DAY_NS))
    publish(log, clock.wall + 9 * DAY_NS)
    assert "has not come" in refused(log, order(until_ns=clock.wall + 2 * DAY_NS))
    clock.pass_ns(2 * DAY_NS)
    publish(log, clock.wall)
    assert "no quorum" in refused(log, order(checkpoint=1))
    assert "none of these entries" in refused(log, order(first=3, last=3, **{"class": "10y"}))
    assert "no such entry" in refused(log, order(last=5000))
    put(log, hold(1, 1))
    assert "is held" in refused(log, order())
    assert kept(config) == [0, 1, 2, 3]
    put(log, Unit((), [("hold.lift", {"hold_id": bytes(16)})]))
    put(log, Unit((), [order()]))
    assert kept(config) == [2, 3]
    tape = Reader(tmp_path / "tape", config.periods_dir)
    assert [seq for seq, _ in tape.payloads(0, 10)] == [2, 3]
    tape.close()


def test_a_crash_after_an_order_is_finished_by_the_next_start(config: WriterConfig, clock: Clock) -> None:
    log = Log(config, clock)
    put(log, Unit([entry("24h"), entry("24h")], ()))
    clock.pass_ns(25 * HOUR_NS)
    publish(log, clock.wall)
    said = {"class": "24h", "first": 0, "last": 0, "until_ns": clock.wall // 10**9 * 10**9, "checkpoint": log.head.size}
    log._points = StopAt("erased")
    with pytest.raises(Stop):
        log.commit([Unit((), [("payloads.order", said)])])
    log.close()
    again = Log(config, clock)
    assert kept(config) == [1] and again._db.execute("SELECT count(*) FROM doomed").fetchone() == (0,)
    again.close()
