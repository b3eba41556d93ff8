"""The sqlite log by itself: checkpoints in blocks, housekeeping, what is left on the disk, forms of the database."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import checkpoint, leaf, merkle, note, pairs, seal
from gateway.audit.cosign import line
from gateway.audit.entry import Phase
from gateway.audit.leaf import Leaf
from gateway.audit.trust import card
from gateway.audit.verify import verify
from gateway.errors import (
    AuditUnavailable,
    ConfigRefused,
    InputRefused,
    Malformed,
    NotFoundOrNotPermitted,
    RequestReused,
    VerificationFailed,
)
from gateway.ipc import Channel
from gateway.store import backup, lock, writer
from gateway.store import db as database
from gateway.store.client import WriterClient
from gateway.store.folder import DirectoryFolder, write_export
from gateway.store.reader import Reader
from gateway.store.writer import Log, Unit, WriterConfig
from gateway.terms.ids import RequestId
from tests.unit.audit.log import LOG, LOG_KEY, ORIGIN, READERS, WITNESS_KEYS, WITNESSES, ask, recipients

DAY_NS = 24 * 3600 * 10**9
START_NS = 1_760_000_000 * 10**9


class Clock:
    def __init__(self) -> None:
        self.wall = START_NS
        self.mono = 0

    def pass_ns(self, span: int) -> None:
        self.wall += span
        self.mono += span

    def now_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono

    async def sleep_until(self, monotonic_ns: int) -> None:
        raise AssertionError("nothing here sleeps by this clock")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path) -> WriterConfig:
    settings = WriterConfig(
        tmp_path / "store", tmp_path / "lock", tmp_path / "periods", tmp_path / "run", ORIGIN, checkpoint_every_s=0.05
    )
    writer.create(settings)
    return settings


@pytest.fixture
def log(config: WriterConfig, clock: Clock) -> Iterator[Log]:
    opened = Log(config, clock)
    yield opened
    opened.close()


@pytest.fixture
def reader(config: WriterConfig) -> Iterator[Reader]:
    opened = Reader(config.store_dir, config.periods_dir)
    yield opened
    opened.close()


PUBLIC = dict(ask(0, Phase.INTENT).public)
SPOILED: tuple[dict[str, Any], ...] = (
    {"public": {}},
    {"public": []},
    {"public": PUBLIC | {"surname": "MARTA"}},
    {"public": PUBLIC | {7: "x"}},
    {"public": PUBLIC | {"class": [8]}},
    {"public": PUBLIC | {"class": 8.0}},
    {"public": PUBLIC | {"class": None}},
    {"public": PUBLIC | {"class": 1 << 64}},
    {"public": PUBLIC | {"basis": "\ud800"}},
    {"public": PUBLIC | {"basis": "x" * 70_000}},
    {"commitments": b"\xa0"},
    {"commitments": b""},
    {"sealed": b""},
    {"sealed": "text"},
    {"peer": "X" * 100},
    {"retention": ""},
)
"""What another process could send in place of a good entry's parts."""


def prepared(n: int, phase: Phase = Phase.INTENT, intent_seq: int = 0) -> leaf.Prepared:
    return leaf.prepare(ask(n, phase, intent_seq), bytes(32), seal.Sealer(recipients(), n.to_bytes(32, "big")))


def put(log: Log, *units: Unit) -> None:
    log.commit(units)
    for unit in units:
        assert unit.result[0] is None, unit.result


def publish(log: Log, cosigned_at_ns: int = 0) -> checkpoint.Checkpoint:
    head = log.agree()
    log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))
    if cosigned_at_ns:
        for name, key in WITNESS_KEYS.items():
            one = line(head.encode(), cosigned_at_ns // 10**9, key, WITNESSES[name].sign)
            args = {"size": head.size, "name": key.name, "witness": name, "line": one}
            put(log, Unit((), [("cosignature.put", args)]))
    return head


def test_checkpoints_come_in_blocks_and_grow_even_when_nothing_happens(log: Log, reader: Reader) -> None:
    sizes = []
    for busy in (3, 0, 0, 16, 17, 1):
        put(log, Unit([prepared(n) for n in range(busy)], ()))
        sizes.append(publish(log).size)
    assert sizes == [16, 32, 48, 80, 112, 128]
    kinds = [Leaf.parse(one).kind for one in reader.leaves(0, 200)]
    assert kinds.count("check.ask") == 37 and kinds.count("filler") == 128 - 37 - len(sizes)
    assert [kinds[size - 1] for size in sizes] == ["pair.heads"] * len(sizes)


def test_the_last_entry_of_a_checkpoint_says_where_each_pair_stands(log: Log, reader: Reader) -> None:
    put(log, Unit([prepared(n) for n in range(5)], ()))
    size = publish(log).size
    leaves = [Leaf.parse(one) for one in reader.leaves(0, size)]
    heads = {one.peer: pairs.Head(one.pair_seq, merkle.leaf_hash(data))
             for one, data in zip(leaves, reader.leaves(0, size), strict=True) if one.peer}  # fmt: skip
    assert len(heads) == 2
    for peer, head in heads.items():
        opening = pairs.open_(heads, reader.pair_key(), size - 1, peer)
        assert pairs.root_of(peer, head, opening) == leaves[-1].public["root"]


def test_a_store_of_the_form_before_finds_its_pairs_last_entries(config: WriterConfig, clock: Clock) -> None:
    log = Log(config, clock, pytest.fail)
    put(log, Unit([prepared(n) for n in range(5)], ()))
    held = log._pairs
    log._db.execute("UPDATE pair SET head = x''")
    log.close()
    again = Log(config, clock, pytest.fail)
    assert again._pairs == held and all(len(head.hash) == 32 for head in held.values())
    again.close()


def test_a_step_of_the_clock_does_not_spoil_the_block(log: Log, clock: Clock) -> None:
    clock.wall += DAY_NS
    assert publish(log).size % 16 == 0


def test_payloads_go_when_a_witness_agrees_that_their_term_has_passed(log: Log, reader: Reader, clock: Clock) -> None:
    put(log, Unit([prepared(0)], ()))
    assert len(reader.payloads(0, 100)) == 1
    clock.pass_ns(31 * DAY_NS)
    # Without a witness the own clock decides nothing (T13).
    assert log.erase_due() == 0
    publish(log, clock.wall - 2 * DAY_NS)
    assert log.erase_due() == 0
    publish(log, clock.wall)
    assert log.erase_due() == 1
    assert reader.payloads(0, 100) == [] and log.erase_due() == 0
    last = Leaf.parse(reader.leaves(0, 1000)[-1])
    assert (last.kind, last.public["count"]) == ("payloads.erased", 1)


def test_a_witness_of_the_future_erases_nothing_either(log: Log, reader: Reader, clock: Clock) -> None:
    put(log, Unit([prepared(0)], ()))
    publish(log, clock.wall + 1000 * DAY_NS)
    assert log.erase_due() == 0


def test_an_erased_payload_is_not_on_the_disk(log: Log, config: WriterConfig, clock: Clock) -> None:
    put(log, Unit([prepared(0)], ()))
    (stored,) = log._db.execute("SELECT sealed FROM payload").fetchone()
    assert any(stored[-200:] in path.read_bytes() for path in config.store_dir.iterdir())
    clock.pass_ns(31 * DAY_NS)
    publish(log, clock.wall)
    assert log.erase_due() == 1
    for path in config.store_dir.iterdir():
        assert stored[-200:] not in path.read_bytes() and stored[300:400] not in path.read_bytes()


def test_with_the_whole_disk_nobody_can_tell_who_was_asked_about(log: Log, config: WriterConfig) -> None:
    """T11: no search value, officer or case, in clear, encoded or hashed without salt, in any file."""
    entry = ask(1, Phase.INTENT)
    put(log, Unit([prepared(1)], ()))
    publish(log)
    disk = b"".join(path.read_bytes() for folder in (config.store_dir, config.lock_dir) for path in folder.iterdir())
    for value in (b"doc/1 AB123456", b"AB123456", b"P-77", b"C-1", str(entry.secret["justification"]).encode()):
        for form in (value, base64.b64encode(value), value.hex().encode()):
            if len(form) > 5:
                assert form not in disk
        for name in ("sha256", "sha512", "blake2b", "md5", "sha1"):
            assert hashlib.new(name, value).digest() not in disk


def test_replies_are_erased_after_their_term_and_their_ids_stay_used(log: Log, reader: Reader, clock: Clock) -> None:
    reply = {
        "peer": "HND", "method": "/m", "leg_id": bytes(16), "batch": 0, "request_hash": b"h", "body": b"the body",
        "header": b"", "signature": b"", "expires_ns": clock.wall + DAY_NS,
    }  # fmt: skip
    home = {"request_id": bytes(16), "request_hash": b"h", "sealed": b"box", "expires_ns": clock.wall + DAY_NS}
    put(log, Unit((), [("reply.put", reply), ("home_reply.put", home)]))
    log.forget()
    assert reader.find("HND", "/m", RequestId(bytes(16)), 0) is not None  # type: ignore[arg-type]
    clock.pass_ns(DAY_NS)
    log.forget()
    assert reader.find("HND", "/m", RequestId(bytes(16)), 0) is None  # type: ignore[arg-type]
    assert reader.home_reply(RequestId(bytes(16))) is None
    for change in (("reply.put", reply), ("home_reply.put", home)):
        unit = Unit((), [change])
        log.commit([unit])
        assert unit.result[0] == RequestReused.row.reason
    clock.pass_ns(9 * DAY_NS)
    log.forget()
    put(log, Unit((), [("reply.put", reply)]))


def test_a_unit_of_the_wrong_shape_is_its_callers_fault_alone(log: Log, reader: Reader) -> None:
    good = Unit([prepared(0)], ())
    bad = [
        Unit((), [("quota.charge", {"peer": "HND"})]),
        Unit((), [("quota.charge", {"peer": object(), "list": "L", "group": "G", "day": 1, "amount": 1, "limit": 9})]),
        Unit((), [("epoch.put", {"peer": "HND", "epoch": None, "expires_ns": 1})]),
        Unit((), [("epoch.put", {"peer": "HND", "epoch": "e", "expires_ns": 1 << 70})]),
        Unit((), [("cosignature.put", {"size": 0, "name": "n", "line": 5})]),
        Unit([leaf.Prepared("gossip", "event", "", "3y", {}, b"\xa0", b"")], ()),
        Unit([leaf.Prepared("filler", "event", "", "for ever", {}, b"\xa0", b"")], ()),
        Unit([leaf.Prepared("filler", "event", "", "3y", {"basis": "x"}, b"\xa0", b"")], ()),
        Unit([leaf.Prepared("filler", "event", 7, "3y", {}, b"\xa0", b"")], ()),  # type: ignore[arg-type]
        *(Unit([dataclasses.replace(prepared(0), **spoiled)], ()) for spoiled in SPOILED),
    ]
    log.commit([*bad[:4], good, *bad[4:]])
    assert good.result[0] is None and log.size == reader.size() == 1
    assert {unit.result[0] for unit in bad} <= {
        InputRefused.row.reason, NotFoundOrNotPermitted.row.reason, Malformed.row.reason,
    }  # fmt: skip
    assert reader.epoch("HND") is None  # type: ignore[arg-type]


def test_an_export_of_the_store_verifies_from_the_disk(log: Log, reader: Reader, clock: Clock, tmp_path: Path) -> None:
    for n in range(150):
        clock.pass_ns(10**6)
        put(log, Unit([prepared(n)], ()))
        put(log, Unit([prepared(n, Phase.OUTCOME, log.size - 1)], ()))
    publish(log, clock.wall)
    trusted = card(LOG_KEY, WITNESS_KEYS, 2)
    with pytest.raises(NotFoundOrNotPermitted):
        write_export(reader, tmp_path / "copy", cosignatures=3)
    # No file of more than 600 bytes can be written: as on a full disk, and some files are written before.
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, limit[1]))
    try:
        with pytest.raises(OSError) as full:
            write_export(reader, tmp_path / "copy", cosignatures=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert full.value.filename == str(tmp_path / "copy") and not (tmp_path / "copy").exists()
    assert write_export(reader, tmp_path / "copy", cosignatures=2) > 5
    report = verify(DirectoryFolder(tmp_path / "copy"), trusted, reader_key=READERS["supervisor"])
    assert (report.ok, report.size) == (True, 304)
    with pytest.raises(InputRefused):
        write_export(reader, tmp_path / "copy")
    with pytest.raises(InputRefused):
        DirectoryFolder(tmp_path / "nowhere")


def test_a_newer_form_of_the_database_is_refused(config: WriterConfig, clock: Clock) -> None:
    db = sqlite3.connect(config.store_dir / database.FILE)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    with pytest.raises(ConfigRefused, match="use the newer program"):
        Log(config, clock)


def test_something_else_in_the_databases_place_is_refused(config: WriterConfig, clock: Clock) -> None:
    (config.store_dir / database.FILE).write_bytes(b"a letter, not a database, and long enough to be read as one" * 9)
    with pytest.raises(ConfigRefused, match="not usable"):
        Log(config, clock)


def test_a_reader_without_a_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="limen init"):
        Reader(tmp_path)


def test_a_reader_cannot_write(log: Log, reader: Reader) -> None:
    with pytest.raises(sqlite3.OperationalError):
        reader._db.execute("INSERT INTO peer VALUES ('HND', 1)")


def test_migrations_are_numbered_without_gap() -> None:
    assert [number for number, _ in database.migrations()] == list(range(1, len(database.migrations()) + 1))


def test_a_writer_that_is_gone_is_waited_for_and_then_unavailable(tmp_path: Path) -> None:
    async def run() -> None:
        client = WriterClient(tmp_path / "writer", recipients(), wait_s=0.1)
        start = asyncio.get_running_loop().time()
        with pytest.raises(AuditUnavailable):
            await client.commit([ask(1, Phase.INTENT)])
        assert 0.1 <= asyncio.get_running_loop().time() - start < 2

    asyncio.run(run())


def test_callers_queue_for_a_writer_that_restarts(config: WriterConfig, clock: Clock) -> None:
    async def sign(text: bytes) -> bytes:
        return note.sign(text, LOG_KEY, LOG.sign)

    async def run() -> None:
        client = WriterClient(config.run_dir / writer.SOCKET, recipients())
        waiting = asyncio.create_task(client.commit([ask(1, Phase.INTENT)]))
        await asyncio.sleep(0.1)
        process = writer.Writer(Log(config, clock), config, clock, sign)
        await process.start()
        assert (await waiting).pair_seqs == (1,)
        assert (await client.status())["origin"] == ORIGIN
        # Hostile words on the socket spoil nothing.
        channel = Channel(config.run_dir / writer.SOCKET)
        for operation, argument in (("commit", [["x"]]), ("commit", [[[[1]], []]]), ("drop", None)):
            with pytest.raises(Exception, match=r"."):
                await channel.call(operation, argument)
        assert await channel.call("commit", []) == []
        await channel.close()
        assert (await client.commit([ask(1, Phase.INTENT)])).pair_seqs == (2,)
        await client.close()
        await process.stop()

    asyncio.run(run())


def test_a_writer_that_is_told_to_stop_answers_everybody_first(config: WriterConfig, clock: Clock) -> None:
    async def sign(text: bytes) -> bytes:
        return note.sign(text, LOG_KEY, LOG.sign)

    async def run() -> None:
        process = writer.Writer(Log(config, clock), config, clock, sign)
        await process.start()
        client = WriterClient(config.run_dir / writer.SOCKET, recipients(), wait_s=0.1)
        answered: list[int] = []
        refused = 0

        async def one(number: int) -> None:
            nonlocal refused
            for _ in range(1000):
                try:
                    answered.append((await client.commit([ask(number, Phase.INTENT)])).seqs[0])
                except AuditUnavailable:
                    refused += 1
                    return

        callers = [asyncio.create_task(one(n)) for n in range(8)]
        await asyncio.sleep(0.2)
        await process.stop()
        await asyncio.gather(*callers)
        await client.close()
        assert refused == 8 and len(answered) >= 8
        reader = Reader(config.store_dir, config.periods_dir)
        kinds = [Leaf.parse(one).kind for one in reader.leaves(0, 100_000)]
        reader.close()
        assert kinds[0] == "node.started" and kinds[-1] == "node.stopped"
        assert {n for n, kind in enumerate(kinds) if kind == "check.ask"} == set(answered)

    asyncio.run(run())


# A restored log


def test_a_restored_log_takes_and_signs_nothing_until_it_is_confirmed(config: WriterConfig, clock: Clock) -> None:
    signed: list[bytes] = []

    async def sign(text: bytes) -> bytes:
        signed.append(text)
        return note.sign(text, LOG_KEY, LOG.sign)

    async def run() -> None:
        (config.lock_dir / lock.RESTORED).write_text("00" * 32 + "\n")
        log = Log(config, clock)
        process = writer.Writer(log, config, clock, sign)
        await process.start()
        client = WriterClient(config.run_dir / writer.SOCKET, recipients())
        for refused in (client.commit([ask(1, Phase.INTENT)]), client.witness("o", 0, 1, bytes(32), b"n")):
            with pytest.raises(AuditUnavailable, match="restored"):
                await refused
        await asyncio.sleep(3 * config.checkpoint_every_s)
        assert signed == []
        assert (await client.status())["restored"] == "00" * 32
        await client.confirm(0)
        assert (await client.commit([ask(1, Phase.INTENT)])).pair_seqs == (1,)
        await client.publish_checkpoint()
        assert signed and not lock.is_restored(config.lock_dir)
        # Once it goes on there is nothing left to confirm or to end.
        with pytest.raises(NotFoundOrNotPermitted):
            await client.end("it has seen more")
        await client.close()
        await process.stop()

    asyncio.run(run())
    reader = Reader(config.store_dir, config.periods_dir)
    kinds = [Leaf.parse(data).kind for data in reader.leaves(0, 3)]
    reader.close()
    assert kinds[:2] == ["node.started", "node.restored"]


def test_a_log_that_has_ended_does_not_open_again(config: WriterConfig, clock: Clock) -> None:
    (config.lock_dir / lock.RESTORED).write_text("00" * 32 + "\n")
    log = Log(config, clock)
    log.end("HND has seen\n900 entries")
    log.close()
    with pytest.raises(VerificationFailed, match="HND has seen 900 entries"):
        Log(config, clock)
    held = lock.LockRecord(config.lock_dir)
    assert held.restored == "ended: HND has seen 900 entries"
    held.close()


def test_a_copy_is_one_snapshot_and_is_revived_once(
    log: Log, config: WriterConfig, clock: Clock, tmp_path: Path
) -> None:
    put(log, Unit([prepared(1)], [("epoch.put", {"peer": "HND", "epoch": "20260101-00000000", "expires_ns": 1 << 60})]))
    (tmp_path / "early").mkdir()
    with pytest.raises(ConfigRefused, match="no checkpoint yet"):
        backup.copy(config.store_dir, tmp_path / "early")
    head = publish(log)
    (tmp_path / "copy").mkdir()
    copied = backup.copy(config.store_dir, tmp_path / "copy")
    assert copied.head == head and copied.origin == ORIGIN
    put(log, Unit([prepared(2)], ()))

    revived = backup.revive(tmp_path / "copy" / database.FILE, tmp_path / "lock2", bytes(32))
    assert revived.head == head and lock.is_restored(tmp_path / "lock2")
    again = dataclasses.replace(config, store_dir=tmp_path / "copy", lock_dir=tmp_path / "lock2")
    opened = Log(again, clock)
    assert opened.head == head and opened.restored == "00" * 32
    opened.close()
    reader = Reader(again.store_dir, again.periods_dir)
    assert [one.expires_ns for one in reader.epochs()] == [0]
    reader.close()
    # A lock record of a log that goes on is not overwritten.
    with pytest.raises(ConfigRefused, match="a log goes on there"):
        backup.revive(tmp_path / "copy" / database.FILE, tmp_path / "lock2", bytes(32))


def test_what_is_no_store_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="nothing to back up"):
        backup.copy(tmp_path, tmp_path)
