"""One contract suite for the node's store: the in-memory one and the writer process with its database, of either kind.

Every test is a promise of `ports.UnitOfWork`, `ports.Replies`, `ports.Entries` or of the reader besides them.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey

from gateway.alerts.alert import Act, Alert, Doing, Fired, Rule, done, raised
from gateway.audit import checkpoint, leaf, merkle, note, seal
from gateway.audit.cosign import line
from gateway.audit.entry import Entry, Phase
from gateway.errors import (
    BudgetExhausted,
    GatewayError,
    InputRefused,
    NotFoundOrNotPermitted,
    PeerSuspended,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
    VersionMoved,
)
from gateway.flows.alerting import row_of
from gateway.ports import Change, Entries, Replies, UnitOfWork
from gateway.primitives import ed25519
from gateway.store import writer
from gateway.store.client import WriterClient
from gateway.store.memory import MemoryStore
from gateway.store.reader import Reader
from gateway.store.writer import WriterConfig
from gateway.terms.ids import EpochId, OfficerId, PeerId, RequestId
from gateway.terms.words import ListId
from tests.support import postgres as server

HND, UTO = PeerId("HND"), PeerId("UTO")
ORIGIN = "pan.example/log"
LOG = ed25519.Signer(bytes(32))
LOG_KEY = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)
WITNESS = ed25519.Signer(bytes(range(32)))
WITNESS_KEY = note.Verifier("hnd.example/witness", note.WITNESS_KEY, WITNESS.public)
PEOPLE = {role: PrivateKey(bytes([n]) * 32) for n, role in enumerate(seal.ROLES, 1)}
RECIPIENTS = seal.Recipients(*(bytes(PEOPLE[role].public_key) for role in seal.ROLES))

SUSPENDED = Entry("peer.suspended", Phase.EVENT, HND, public={"suspended": True})
STARTED = Entry("counters.lost", Phase.EVENT, public={"reason": "start"})


def denied(case: str = "C-1") -> Entry:
    return Entry(
        "check.denied",
        Phase.EVENT,
        UTO,
        public={"purpose": "SEC.WATCH", "basis": "B", "agency": "SNM", "reasons": "role"},
        secret={"officer": "P-77", "case": case},
    )


class Ticks:
    """A clock that tests turn by hand."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000 * 10**9
        self.mono = 0

    def now_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono

    async def sleep_until(self, monotonic_ns: int) -> None:
        raise AssertionError("nothing here sleeps by this clock")


@dataclass
class Store:
    """One implementation under test."""

    uow: UnitOfWork
    reader: Any
    clock: Ticks
    base: int
    """Entries that were there before the test's first."""
    witness: Callable[..., Awaitable[None]]


Test = Callable[[Store], Awaitable[None]]


async def _memory(test: Test, tmp_path: Path) -> None:
    clock = Ticks()
    store = MemoryStore(clock.now_ns, origin=ORIGIN, recipients=RECIPIENTS)
    head = checkpoint.Checkpoint(ORIGIN, 0, merkle.EMPTY_ROOT)
    store.put_checkpoint(0, note.sign(head.encode(), LOG_KEY, LOG.sign), head.digest)
    await test(Store(store, store, clock, 0, store.witness_put))


async def _postgres(test: Test, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    server.running().place(folder)
    await _sqlite(test, tmp_path)


async def _sqlite(test: Test, tmp_path: Path) -> None:
    clock = Ticks()
    config = WriterConfig(
        tmp_path / "store",
        tmp_path / "lock",
        tmp_path / "periods",
        tmp_path / "run",
        ORIGIN,
        checkpoint_every_s=0.05,
        round_to=1,
    )
    writer.create(config)

    async def sign(text: bytes) -> bytes:
        return note.sign(text, LOG_KEY, LOG.sign)

    log = writer.Log(config, clock)
    process = writer.Writer(log, config, clock, sign)
    await process.start()
    client = WriterClient(config.run_dir / writer.SOCKET, RECIPIENTS)
    reader = Reader(config.store_dir, config.periods_dir)
    try:
        await client.publish_checkpoint()
        # Checkpoints stop here, so that nothing but the test's own entries is added.
        process._tasks[1].remove_done_callback(writer._must_not_end)
        process._tasks[1].cancel()
        await test(Store(client, reader, clock, reader.size(), client.witness))
    finally:
        reader.close()
        await client.close()
        process._tasks.pop(1)
        await process.stop()


@pytest.fixture(
    params=[_memory, _sqlite, pytest.param(_postgres, marks=pytest.mark.extra("postgres"))],
    ids=["memory", "sqlite", "postgres"],
)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    return lambda test: asyncio.run(request.param(test, tmp_path))


Run = Callable[[Test], None]


def put_reply(request_hash: bytes = b"h", batch: int = 0, body: bytes = b"body") -> Change:
    return Change(
        "reply.put",
        {
            "peer": HND, "method": "/m", "leg_id": bytes(16), "batch": batch, "request_hash": request_hash,
            "body": body, "header": b"header", "signature": b"signature", "expires_ns": 1 << 62,
        },
    )  # fmt: skip


def charge(amount: int, *, limit: int = 100, day: int = 5, **more: Any) -> Change:
    args = {"peer": HND, "list": "PERSONS", "group": "WATCH", "day": day, "amount": amount, "limit": limit}
    return Change("quota.charge", args | more)


def activate(layer: str, digest: bytes, sequence: int) -> Change:
    return Change("policy.activate", {"layer": layer, "digest": digest, "sequence": sequence})


def test_the_ports_are_implemented(run: Run) -> None:
    async def test(s: Store) -> None:
        replies: Replies = s.reader
        entries: Entries = s.reader
        assert replies.find(HND, "/m", RequestId(bytes(16)), 0) is None
        assert list(entries.all(ListId.PERSONS)) == []

    run(test)


def test_entries_are_numbered_from_the_tail_and_per_pair(run: Run) -> None:
    async def test(s: Store) -> None:
        first = await s.uow.commit([SUSPENDED, STARTED, SUSPENDED, denied()])
        assert first.seqs == tuple(range(s.base, s.base + 4))
        assert first.pair_seqs == (1, 0, 2, 1)
        second = await s.uow.commit([SUSPENDED])
        assert (second.seqs, second.pair_seqs) == ((s.base + 4,), (3,))
        assert (s.reader.pair_seq(HND), s.reader.pair_seq(UTO), s.reader.size()) == (3, 1, s.base + 5)
        read = leaf.Leaf.parse(s.reader.leaf(s.base + 2))
        assert (read.seq, read.kind, read.peer, read.pair_seq) == (s.base + 2, "peer.suspended", "HND", 2)
        assert read.time_ns == first.times_ns[2] == s.clock.wall

    run(test)


def test_many_at_once_get_distinct_numbers_without_gap(run: Run) -> None:
    async def test(s: Store) -> None:
        done = await asyncio.gather(*(s.uow.commit([SUSPENDED, denied()]) for _ in range(100)))
        seqs = sorted(itertools.chain.from_iterable(one.seqs for one in done))
        assert seqs == list(range(s.base, s.base + 200))
        assert sorted(one.pair_seqs[0] for one in done) == list(range(1, 101))
        assert all(one.seqs[1] == one.seqs[0] + 1 for one in done)

    run(test)


def test_time_in_the_log_never_goes_back(run: Run) -> None:
    async def test(s: Store) -> None:
        (before,) = (await s.uow.commit([STARTED])).times_ns
        s.clock.wall -= 10**9
        (after,) = (await s.uow.commit([STARTED])).times_ns
        assert after == before

    run(test)


def test_a_refused_change_undoes_its_whole_unit_and_no_other(run: Run) -> None:
    async def test(s: Store) -> None:
        too_much = s.uow.commit([SUSPENDED], [put_reply(), charge(101)])
        fine = s.uow.commit([SUSPENDED], [charge(60)])
        also_fine = s.uow.commit([SUSPENDED])
        refused, one, two = await asyncio.gather(too_much, fine, also_fine, return_exceptions=True)
        assert isinstance(refused, QuotaExhausted)
        assert not isinstance(one, BaseException) and not isinstance(two, BaseException)
        assert {one.pair_seqs, two.pair_seqs} == {(1,), (2,)}
        assert s.reader.size() == s.base + 2
        assert s.reader.find(HND, "/m", RequestId(bytes(16)), 0) is None
        assert s.reader.quota_used(HND, ListId.PERSONS, "WATCH", 5) == 60

    run(test)


def test_an_entry_outside_the_catalogue_is_refused(run: Run) -> None:
    bad = [
        Entry("check.gossip", Phase.EVENT),
        Entry("check.ask", Phase.EVENT),
        Entry("peer.suspended", Phase.EVENT, HND),
        Entry("peer.suspended", Phase.EVENT, HND, public={"suspended": True, "name": "MARTA"}),
        Entry("peer.suspended", Phase.EVENT, HND, public={"suspended": True}, secret={"name": "MARTA"}),
        Entry("peer.suspended", Phase.EVENT, HND, public={"suspended": True}, guard={"guarded": True}),
        Entry("peer.suspended", Phase.EVENT, HND, public={"suspended": True}, retention="for ever"),
        Entry("peer.suspended", Phase.EVENT, HND, public={"suspended": True}, secret={"officers": ["x" * 2000]}),
    ]

    async def test(s: Store) -> None:
        for entry in bad:
            with pytest.raises(InputRefused):
                await s.uow.commit([STARTED, entry])
        assert s.reader.size() == s.base

    run(test)


def test_an_unknown_change_is_refused(run: Run) -> None:
    async def test(s: Store) -> None:
        with pytest.raises(InputRefused):
            await s.uow.commit([STARTED], [Change("leaf.delete", {"seq": 0})])
        assert s.reader.size() == s.base

    run(test)


def test_a_reply_is_found_by_its_key_and_its_id_is_used_once(run: Run) -> None:
    async def test(s: Store) -> None:
        await s.uow.commit([], [put_reply(b"hash", body=b"first")])
        found = s.reader.find(HND, "/m", RequestId(bytes(16)), 0)
        assert (found.request_hash, found.message.body, found.message.header) == (b"hash", b"first", b"header")
        assert s.reader.find(UTO, "/m", RequestId(bytes(16)), 0) is None
        assert s.reader.find(HND, "/other", RequestId(bytes(16)), 0) is None
        assert s.reader.find(HND, "/m", RequestId(bytes(16)), 1) is None
        await s.uow.commit([], [put_reply(b"hash", body=b"second")])
        assert s.reader.find(HND, "/m", RequestId(bytes(16)), 0).message.body == b"first"
        with pytest.raises(RequestReused):
            await s.uow.commit([SUSPENDED], [put_reply(b"other")])

    run(test)


def test_an_officers_reply_is_kept_sealed(run: Run) -> None:
    async def test(s: Store) -> None:
        put = {"request_id": bytes(16), "request_hash": b"hash", "sealed": b"box", "expires_ns": 1 << 62}
        await s.uow.commit([], [Change("home_reply.put", put)])
        assert s.reader.home_reply(RequestId(bytes(16))) == (b"hash", b"box")
        assert s.reader.home_reply(RequestId(bytes([1]) * 16)) is None
        with pytest.raises(RequestReused):
            await s.uow.commit([], [Change("home_reply.put", put | {"request_hash": b"else"})])

    run(test)


def test_the_quota_is_charged_once_a_leg_and_cannot_be_numbered_around(run: Run) -> None:
    async def test(s: Store) -> None:
        leg: dict[str, Any] = {"leg_id": bytes(16), "slots": 32, "request_hash": b"h"}
        with pytest.raises(QuotaExhausted):
            await s.uow.commit([], [charge(0, batch=1, **leg)])
        await s.uow.commit([], [charge(64, batch=0, **leg)])
        await s.uow.commit([], [charge(64, batch=0, **leg)])
        assert s.reader.quota_used(HND, ListId.PERSONS, "WATCH", 5) == 64
        await s.uow.commit([], [charge(0, batch=1, **leg)])
        await s.uow.commit([], [charge(0, batch=1, **leg)])
        with pytest.raises(RequestReused):
            await s.uow.commit([], [charge(0, batch=1, **leg | {"request_hash": b"other"})])
        with pytest.raises(QuotaExhausted):
            await s.uow.commit([], [charge(0, batch=2, **leg)])
        with pytest.raises(QuotaExhausted):
            await s.uow.commit([], [charge(64, batch=0, leg_id=bytes([1]) * 16)])
        assert s.reader.quota_used(HND, ListId.PERSONS, "WATCH", 5) == 64
        assert s.reader.quota_used(HND, ListId.PERSONS, "WATCH", 6) == 0

    run(test)


def test_list_entries_are_entered_altered_and_withdrawn(run: Run) -> None:
    async def test(s: Store) -> None:
        def put(entry_id: str, body: bytes) -> Change:
            return Change("entry.put", {"list": "PERSONS", "entry_id": entry_id, "body": body})

        withdraw = Change("entry.withdraw", {"list": "PERSONS", "entry_id": "b", "at_ns": 7})
        await s.uow.commit([], [put("b", b"2"), put("a", b"1"), put("c", b"3")])
        await s.uow.commit([], [put("c", b"33"), withdraw])
        assert list(s.reader.all(ListId.PERSONS)) == [b"1", b"33"]
        assert list(s.reader.all(ListId.DOCUMENTS)) == []
        assert (s.reader.entry(ListId.PERSONS, "a"), s.reader.entry(ListId.PERSONS, "b")) == (b"1", None)
        with pytest.raises(NotFoundOrNotPermitted):
            await s.uow.commit([], [withdraw])

    run(test)


def test_a_case_goes_on_version_by_version(run: Run) -> None:
    def put(version: int, body: bytes, *, number: int = 1, is_open: bool = True, due_ns: int = 0) -> Change:
        return Change(
            "case.put",
            {"case_id": bytes([number]) * 16, "peer": HND, "version": version, "open": is_open, "outbound": "",
             "due_ns": due_ns, "expires_ns": 0, "body": body},
        )  # fmt: skip

    async def test(s: Store) -> None:
        await s.uow.commit([], [put(1, b"one")])
        await s.uow.commit([], [put(1, b"one")])
        await s.uow.commit([], [put(2, b"two", due_ns=9)])
        assert s.reader.case(bytes([1]) * 16) == b"two"
        for stale in (put(1, b"one"), put(2, b"other"), put(4, b"four"), put(2, b"x", number=2)):
            with pytest.raises(VersionMoved):
                await s.uow.commit([], [stale])
        assert s.reader.case(bytes([2]) * 16) is None
        await s.uow.commit([], [put(1, b"later", number=3), put(1, b"sooner", number=4, due_ns=3)])
        assert list(s.reader.cases()) == [b"sooner", b"two", b"later"]
        await s.uow.commit([], [Change("case.expect", {"case_id": bytes([1]) * 16, "version": 2})])
        for number, version in ((1, 1), (1, 3), (9, 1)):
            with pytest.raises(VersionMoved):
                await s.uow.commit([], [Change("case.expect", {"case_id": bytes([number]) * 16, "version": version})])
        await s.uow.commit([], [put(3, b"over", is_open=False)])
        assert list(s.reader.cases(due=True)) == [b"sooner"]
        assert len(list(s.reader.cases())) == 3
        assert (s.reader.cases_to_send(), s.reader.cases_past(1 << 62)) == ([], [])
        late = {"case_id": bytes([5]) * 16, "peer": HND, "version": 1, "open": True, "outbound": "open", "due_ns": 0,
                "expires_ns": 50, "body": b"late"}  # fmt: skip
        await s.uow.commit([], [Change("case.put", late)])
        assert s.reader.cases_to_send() == [b"late"]
        assert (s.reader.cases_past(49), s.reader.cases_past(50)) == ([], [b"late"])
        await s.uow.commit([], [Change("case.put", {**late, "version": 2, "open": False, "outbound": ""})])
        assert (s.reader.cases_to_send(), s.reader.cases_past(50)) == ([], [])
        assert sum(s.reader.open_cases(PeerId(peer)) for peer in ("HND", "PAN", "GTM")) == 2

    run(test)


def test_cases_are_found_by_officer_state_and_record_and_those_without_an_index_by_all(run: Run) -> None:
    def put(number: int, body: bytes, **indexed: str) -> Change:
        return Change(
            "case.put",
            {"case_id": bytes([number]) * 16, "peer": HND, "version": 1, "open": True, "outbound": "", "due_ns": number,
             "expires_ns": 0, "body": body, **indexed},
        )  # fmt: skip

    async def test(s: Store) -> None:
        row = {"record": "PERSONS/A", "state": "DELIVERED", "assigned": "ana", "offered": ""}
        await s.uow.commit(
            [],
            [
                put(1, b"old"),
                put(2, b"ana's", **row),
                put(3, b"offered", **{**row, "assigned": "ben", "offered": "ana", "state": "CLOSED"}),
                put(4, b"another's", **{**row, "assigned": "ben", "record": "PERSONS/B"}),
                put(5, b"asked", **{**row, "assigned": "", "record": ""}),
            ],
        )
        assert list(s.reader.cases()) == [b"old", b"ana's", b"offered", b"another's", b"asked"]
        assert list(s.reader.cases(officer="ana")) == [b"old", b"ana's", b"offered"]
        assert list(s.reader.cases(officer="ana", states=("CLOSED", "FROZEN"))) == [b"old", b"offered"]
        assert list(s.reader.cases(due=True, states=("CLOSED",))) == [b"old", b"offered"]
        assert s.reader.cases_of("PERSONS/A") == [b"old", b"ana's", b"offered"]
        await s.uow.commit([], [Change("case.put", {**put(2, b"gone on", **row).args, "version": 2})])
        assert list(s.reader.cases(officer="ana"))[1] == b"gone on"

    run(test)


def test_a_hit_token_opens_one_case(run: Run) -> None:
    def token(case: int, entry_id: str = "E1") -> Change:
        return Change(
            "case.token",
            {"peer": HND, "request_id": bytes(16), "entry_id": entry_id, "case_id": bytes([case]) * 16},
        )

    async def test(s: Store) -> None:
        await s.uow.commit([], [token(1)])
        await s.uow.commit([], [token(1), token(2, "E2")])
        with pytest.raises(NotFoundOrNotPermitted):
            await s.uow.commit([], [token(2)])

    run(test)


def test_an_entry_is_expected_to_be_exactly_as_it_was(run: Run) -> None:
    def entry(name: str, body: bytes) -> Change:
        return Change(name, {"list": "PERSONS", "entry_id": "a", "body": body})

    async def test(s: Store) -> None:
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [entry("entry.expect", b"1")])
        await s.uow.commit([], [entry("entry.put", b"1")])
        assert s.reader.entry_ids(ListId.PERSONS) == ["a"] and s.reader.entry_ids(ListId.DOCUMENTS) == []
        await s.uow.commit([], [entry("entry.expect", b"1")])
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [entry("entry.expect", b"2")])
        await s.uow.commit([], [Change("entry.withdraw", {"list": "PERSONS", "entry_id": "a", "at_ns": 7})])
        assert s.reader.entry_ids(ListId.PERSONS) == []
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [entry("entry.expect", b"1")])

    run(test)


@pytest.mark.parametrize(
    ("change", "who", "read"), [("manifest.put", "peer", "manifests"), ("copy.put", "owner", "copies")]
)
def test_manifests_versions_only_rise(run: Run, change: str, who: str, read: str) -> None:
    async def test(s: Store) -> None:
        def put(version: int, other: str = "HND", body: bytes = b"") -> Change:
            args = {
                who: other, "list": "PERSONS", "group": "WATCH", "epoch": "e", "version": version,
                "body": body or b"%d" % version, "header": b"h", "signature": b"s",
            }  # fmt: skip
            return Change(change, args)

        await s.uow.commit([], [put(1), put(3), put(2, "UTO")])
        await s.uow.commit([], [put(3)])
        for old in (put(3, body=b"another"), put(1), put(2)):
            with pytest.raises(VersionMoved):
                await s.uow.commit([], [old])
        found = getattr(s.reader, read)()
        assert [(m.other, m.version, m.message.body) for m in found] == [("HND", 3, b"3"), ("UTO", 2, b"2")]

    run(test)


def test_a_peers_epoch_comes_before_the_common_one(run: Run) -> None:
    async def test(s: Store) -> None:
        assert s.reader.epoch(HND) is None
        await s.uow.commit([], [Change("epoch.put", {"peer": "", "epoch": "common", "expires_ns": 5})])
        await s.uow.commit([], [Change("epoch.put", {"peer": HND, "epoch": "own", "expires_ns": 6})])
        assert (s.reader.epoch(HND), s.reader.epoch(UTO)) == (("own", 6), ("common", 5))

    run(test)


def of_hnd(store: Store) -> list[tuple[str, str, int]]:
    return [(one.epoch, one.state.value, one.expires_ns) for one in store.reader.epochs() if one.peer == HND]


def test_an_epoch_is_pending_then_active_then_retired_and_answered_all_the_time(run: Run) -> None:
    async def test(s: Store) -> None:
        def end(name: str) -> int | None:
            found: int | None = s.reader.epoch_end(HND, EpochId(name))
            return found

        await s.uow.commit([], [Change("epoch.put", {"peer": HND, "epoch": "e1", "expires_ns": 90})])
        begin = Change("epoch.open", {"peer": HND, "epoch": "e2", "expires_ns": 200})
        await s.uow.commit([], [begin])
        assert of_hnd(s) == [("e1", "active", 90), ("e2", "pending", 200)]
        assert (s.reader.epoch(HND), end("e1"), end("e2"), end("e3")) == (("e1", 90), 90, 200, None)
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [Change("epoch.open", {"peer": HND, "epoch": "e3", "expires_ns": 200})])
        activate = Change("epoch.activate", {"peer": HND, "epoch": "e2", "until_ns": 80})
        await s.uow.commit([], [activate])
        assert of_hnd(s) == [("e1", "retired", 80), ("e2", "active", 200)]
        assert (s.reader.epoch(HND), end("e1"), end("e2")) == (("e2", 200), 80, 200)
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [activate])
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [Change("epoch.gone", {"peer": HND, "epoch": "e1", "at_ns": 79})])
        await s.uow.commit([], [Change("epoch.gone", {"peer": HND, "epoch": "e1", "at_ns": 80})])
        assert of_hnd(s) == [("e2", "active", 200)]

    run(test)


def test_a_retired_epoch_lives_no_longer_than_it_would_have(run: Run) -> None:
    async def test(s: Store) -> None:
        await s.uow.commit(
            [],
            [
                Change("epoch.put", {"peer": HND, "epoch": "e1", "expires_ns": 90}),
                Change("epoch.open", {"peer": HND, "epoch": "e2", "expires_ns": 200}),
                Change("epoch.activate", {"peer": HND, "epoch": "e2", "until_ns": 1000}),
            ],
        )
        assert of_hnd(s) == [("e1", "retired", 90), ("e2", "active", 200)]

    run(test)


def test_every_epoch_of_a_peer_ends_at_once_or_goes_and_others_stay(run: Run) -> None:
    async def test(s: Store) -> None:
        for peer in (HND, UTO):
            await s.uow.commit([], [Change("epoch.put", {"peer": peer, "epoch": "e1", "expires_ns": 90})])
            await s.uow.commit([], [Change("epoch.open", {"peer": peer, "epoch": "e2", "expires_ns": 200})])
        await s.uow.commit([], [Change("epoch.end", {"peer": HND, "at_ns": 50})])
        assert of_hnd(s) == [("e1", "retired", 50), ("e2", "retired", 50)]
        assert s.reader.epoch(HND) is None
        # A pending one may be opened in the same commit.
        await s.uow.commit([], [Change("epoch.open", {"peer": HND, "epoch": "e3", "expires_ns": 300})])
        await s.uow.commit([], [Change("epoch.drop", {"peer": HND})])
        assert of_hnd(s) == []
        assert [one.peer for one in s.reader.epochs()] == [UTO, UTO]

    run(test)


def test_deltas_go_on_in_both_epochs_and_go_with_theirs(run: Run) -> None:
    async def test(s: Store) -> None:
        await s.uow.commit([], [epoch("e1"), delta(1)])
        begin = Change("epoch.open", {"peer": HND, "epoch": "e2", "expires_ns": 1 << 62})
        await s.uow.commit([], [begin, delta(2), delta(1, epoch="e2")])
        await s.uow.commit([], [Change("epoch.activate", {"peer": HND, "epoch": "e2", "until_ns": 5})])
        place = {"peer": "HND", "list": "DOCUMENTS", "group": "DOCUMENT"}
        await s.uow.commit([], [delta(3), Change("delta.prune", {**place, "epoch": "e2", "floor": 0})])
        assert (chain(s), chain(s, name="e2")) == ([1, 2, 3], [1])
        await s.uow.commit([], [Change("epoch.gone", {"peer": HND, "epoch": "e1", "at_ns": 5})])
        assert (chain(s), chain(s, name="e2")) == ([], [1])
        with pytest.raises(VersionMoved):
            await s.uow.commit([], [delta(1)])

    run(test)


def test_a_commit_expects_the_bundles_it_was_decided_under_and_an_active_peer(run: Run) -> None:
    async def test(s: Store) -> None:
        expect = {"baseline": b"b", "national": b"n", "peer_active": HND}
        with pytest.raises(VersionMoved):
            await s.uow.commit([SUSPENDED], [Change("expect", expect)])
        await s.uow.commit([], [activate("baseline", b"b", 1), activate("national", b"n", 1)])
        await s.uow.commit([SUSPENDED], [Change("expect", expect)])
        await s.uow.commit([], [activate("national", b"n2", 2)])
        with pytest.raises(VersionMoved):
            await s.uow.commit([SUSPENDED], [Change("expect", expect)])
        assert not s.reader.is_suspended(HND)
        await s.uow.commit([], [Change("peer.suspend", {"peer": HND, "suspended": True})])
        assert s.reader.is_suspended(HND) and s.reader.suspended() == [HND]
        with pytest.raises(PeerSuspended):
            await s.uow.commit([SUSPENDED], [Change("expect", expect | {"national": b"n2"})])
        await s.uow.commit([SUSPENDED], [Change("expect", expect | {"national": b"n2", "peer_active": ""})])
        assert s.reader.size() == s.base + 2

    run(test)


def test_bundle_sequences_and_federation_versions_only_rise(run: Run) -> None:
    async def test(s: Store) -> None:
        await s.uow.commit([], [activate("national", b"a", 4)])
        await s.uow.commit([], [activate("national", b"a", 4)])
        for digest, sequence in ((b"b", 4), (b"b", 3), (b"a", 3)):
            with pytest.raises(VerificationFailed):
                await s.uow.commit([], [activate("national", digest, sequence)])
        assert s.reader.policy_sequence("national") == (4, b"a")
        assert s.reader.policy_sequence("baseline") is None

        assert s.reader.federation() is None
        await s.uow.commit([], [Change("federation.put", {"version": 2, "body": b"two"})])
        await s.uow.commit([], [Change("federation.put", {"version": 2, "body": b"two"})])
        for version, body in ((2, b"other"), (1, b"one")):
            with pytest.raises(VerificationFailed):
                await s.uow.commit([], [Change("federation.put", {"version": version, "body": body})])
        assert s.reader.federation() == (2, b"two")

    run(test)


def test_officers_are_entered_and_retired(run: Run) -> None:
    async def test(s: Store) -> None:
        await s.uow.commit([], [Change("officer.put", {"officer": "P-1", "body": b"key"})])
        await s.uow.commit([], [Change("officer.retire", {"officer": "P-1", "at_ns": 9})])
        with pytest.raises(NotFoundOrNotPermitted):
            await s.uow.commit([], [Change("officer.retire", {"officer": "P-1", "at_ns": 9})])
        assert s.reader.officer("P-1").retired_ns == 9
        await s.uow.commit([], [Change("officer.put", {"officer": "P-1", "body": b"new"})])
        assert [(o.officer, o.body, o.retired_ns) for o in s.reader.officers()] == [("P-1", b"new", None)]
        assert s.reader.officer("P-2") is None

    run(test)


def test_a_witness_moves_forward_only_and_says_where_it_stands(run: Run) -> None:
    hashes = [merkle.leaf_hash(bytes([n])) for n in range(9)]

    def root(size: int) -> bytes:
        return merkle.root_of(hashes[:size])

    def proof(old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, lambda n, i: merkle.root_of(hashes[i << n : (i + 1) << n]))

    async def test(s: Store) -> None:
        assert s.reader.witness("h") is None
        await s.witness("h", 0, 4, root(4), b"note 4", [])
        await s.witness("h", 4, 7, root(7), b"note 7", proof(4, 7))
        await s.witness("h", 7, 7, root(7), b"note 7", [])
        assert (s.reader.witness("h").size, s.reader.witness_note("h")) == (7, b"note 7")
        for old, new, with_root, steps, step, position in (
            (4, 9, root(9), proof(4, 9), "old_size", 7),
            (0, 9, root(9), [], "old_size", 7),
            (9, 7, root(7), [], "bad_request", None),
            (7, 7, root(6), [], "old_size", 7),
            (7, 9, root(8), proof(7, 9), "proof", None),
            (7, 9, root(9), proof(4, 9), "proof", None),
            (7, 9, root(9), [], "proof", None),
        ):
            with pytest.raises(VerificationFailed) as caught:
                await s.witness("h", old, new, with_root, b"bad", steps)
            assert (caught.value.step, caught.value.position) == (step, position)
        assert (s.reader.witness("h").size, s.reader.witness_note("h")) == (7, b"note 7")
        # A caller that has verified the proof itself leaves the comparison to the store.
        await s.witness("h", 7, 9, root(9), b"note 9")
        with pytest.raises(VerificationFailed):
            await s.witness("h", 7, 9, root(9), b"note 9")

    run(test)


def test_of_two_racing_requests_a_witness_takes_one(run: Run) -> None:
    async def test(s: Store) -> None:
        done = await asyncio.gather(
            s.witness("h", 0, 4, bytes(32), b"a"), s.witness("h", 0, 5, bytes(32), b"b"), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in done) == ["NoneType", "VerificationFailed"]

    run(test)


def test_cosignatures_are_shown_with_their_checkpoint(run: Run) -> None:
    async def test(s: Store) -> None:
        noted, digest = s.reader.last_checkpoint()
        head = checkpoint.parse(note.open_note(noted, [LOG_KEY]).text)
        assert head.digest == digest
        assert s.reader.last_checkpoint(1) is None and s.reader.witnessed_size(HND) == 0
        one = line(head.encode(), 1_700_000_000, WITNESS_KEY, WITNESS.sign)
        put = {"size": head.size, "name": WITNESS_KEY.name, "witness": HND, "line": one}
        await s.uow.commit([], [Change("cosignature.put", put)])
        opened = note.open_note(s.reader.last_checkpoint(1)[0], [LOG_KEY, WITNESS_KEY])
        assert [good.time_s for good in opened.verified] == [0, 1_700_000_000]
        assert s.reader.witnessed_size(HND) == head.size
        assert [size for size, _ in s.reader.cosigned_checkpoints(1 << 40)] == [head.size]
        assert s.reader.checkpoint(head.size) == s.reader.last_checkpoint()[0]
        other = note.Verifier("uto.example/witness", WITNESS_KEY.kind, WITNESS_KEY.public)
        assert s.reader.quorum_time(1) == (head.size, 1_700_000_000) and s.reader.quorum_time(2) is None
        late = line(head.encode(), 1_700_000_060, other, WITNESS.sign)
        await s.uow.commit([], [Change("cosignature.put", {**put, "name": other.name, "witness": UTO, "line": late})])
        assert s.reader.quorum_time(1) == (head.size, 1_700_000_000)
        assert s.reader.quorum_time(2) == (head.size, 1_700_000_060) and s.reader.quorum_time(3) is None
        with pytest.raises(NotFoundOrNotPermitted):
            await s.uow.commit([], [Change("cosignature.put", put | {"size": 1 << 40})])
        with pytest.raises(VerificationFailed):
            await s.uow.commit([], [Change("cosignature.put", put | {"name": "other"})])

    run(test)


def test_leaves_prove_their_place_and_payloads_open_to_their_readers_only(run: Run) -> None:
    async def test(s: Store) -> None:
        await asyncio.gather(*(s.uow.commit([denied(f"C-{n}")]) for n in range(300)))
        size = s.reader.size()
        assert size == s.base + 300
        leaves = s.reader.leaves(0, size)
        tree = s.reader.tree()
        root = merkle.root_of([merkle.leaf_hash(one) for one in leaves])
        assert tree.root() == root
        for seq in (0, 255, 256, size - 1):
            merkle.verify_inclusion(seq, size, merkle.leaf_hash(leaves[seq]), s.reader.inclusion(seq, size), root)
        for old in (1, 255, 256, 257, size - 1):
            merkle.verify_consistency(old, size, tree.root(old), root, s.reader.consistency(old, size))

        supervisor = seal.Opener(bytes(PEOPLE["supervisor"]))
        desk = seal.Opener(bytes(PEOPLE["desk"]))
        cases = set()
        for seq, sealed in s.reader.payloads(s.base, size):
            read = leaf.Leaf.parse(leaves[seq])
            cases.add(leaf.open_fields(read, supervisor.open(sealed).secret)["case"])
            assert desk.open(sealed) == seal.Opened(b"", b"")
        assert cases == {f"C-{n}" for n in range(300)}
        assert not any(b"P-77" in one or b"C-1" in one for one in leaves)

    run(test)


def test_errors_are_of_the_catalogue(run: Run) -> None:
    async def test(s: Store) -> None:
        with pytest.raises(GatewayError):
            await s.uow.commit([STARTED], [charge(-1)])

    run(test)


# -- Private statistics -----------------------------------------------------------------------------------------------

REFERENCE, SNAPSHOT = b"R" * 32, b"S" * 32


def loaded(declaration: bytes = b"declared", snapshot: bytes = SNAPSHOT) -> Change:
    return Change("dataset.put", {"name": "border", "snapshot": snapshot, "declaration": declaration,
                                  "by_person": True, "at_ns": 7})  # fmt: skip


def charge_release(reference: bytes = REFERENCE, **other: Any) -> Change:
    args = {"reference": reference, "snapshot": SNAPSHOT, "query": b"query", "dataset": "border", "version": 1,
            "unit": "person-month", "period": "2023-08", "salt": b"1" * 32, "cost": 520_000, "cap": 1_200_000,
            "peer": "HND", "share_cap": 600_000, "at_ns": 8}  # fmt: skip
    return Change("release.charge", {**args, **other})


def ask_release(request_id: bytes = b"1" * 16, reference: bytes = REFERENCE, recipient: str = "HND") -> Change:
    return Change("release.request", {"recipient": recipient, "request_id": request_id, "reference": reference,
                                      "snapshot": SNAPSHOT, "at_ns": 9})  # fmt: skip


def put_release(body: bytes = b"document", reference: bytes = REFERENCE) -> Change:
    return Change("release.put", {"reference": reference, "snapshot": SNAPSHOT, "body": body, "header": b"header",
                                  "signature": b"signature", "shown_ns": 60})  # fmt: skip


def test_a_data_set_is_in_force_as_it_was_loaded_last(run: Run) -> None:
    async def test(store: Store) -> None:
        assert store.reader.dataset("border") is None
        await store.uow.commit([], [loaded()])
        await store.uow.commit([], [loaded()])
        first = store.reader.dataset("border")
        assert (first.version, first.snapshot, first.declaration, first.by_person) == (1, SNAPSHOT, b"declared", True)
        await store.uow.commit([], [charge_release()])
        await store.uow.commit([], [loaded(snapshot=b"T" * 32)])
        assert store.reader.dataset("border").version == 2
        assert store.reader.dataset("border", 1) == first
        assert [one.version for one in store.reader.datasets()] == [2]
        assert store.reader.snapshots_needed() == {SNAPSHOT, b"T" * 32}
        with pytest.raises(VersionMoved):
            await store.uow.commit([], [charge_release(b"Q" * 32)])

    run(test)


def test_a_release_is_charged_once_with_its_first_salt(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [loaded(), charge_release(), ask_release()])
        await store.uow.commit([], [charge_release(salt=b"2" * 32, cost=9, peer="UTO"), ask_release(b"2" * 16)])
        with pytest.raises(VersionMoved):
            await store.uow.commit([], [charge_release(is_new=True)])
        held = store.reader.release(REFERENCE, SNAPSHOT)
        assert (held.salt, held.cost, held.cap, held.spent) == (b"1" * 32, 520_000, 1_200_000, 520_000)
        assert store.reader.release_account("border", "person-month", "2023-08") == 520_000
        assert store.reader.release_share("border", "person-month", "2023-08", HND) == 520_000
        assert store.reader.release_share("border", "person-month", "2023-08", UTO) == 0
        assert store.reader.waiting_releases() == [held] == store.reader.releases()
        assert store.reader.releases(whole=False) == [held] == [store.reader.release(REFERENCE, SNAPSHOT, whole=False)]
        assert store.reader.has_waiting_releases()
        assert [one.request_id for one in store.reader.release_requests("HND")] == [b"1" * 16, b"2" * 16]
        assert store.reader.newest_request(HND, REFERENCE).request_id == b"2" * 16
        assert store.reader.newest_request(UTO, REFERENCE) is None

    run(test)


def test_neither_account_nor_share_is_overdrawn(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [loaded(), charge_release()])
        with pytest.raises(BudgetExhausted) as share:
            await store.uow.commit([STARTED], [charge_release(b"2" * 32)])
        assert (share.value.of, share.value.left_micro_rho) == ("share", 80_000)
        await store.uow.commit([], [charge_release(b"3" * 32, peer="UTO")])
        with pytest.raises(BudgetExhausted) as account:
            await store.uow.commit([], [charge_release(b"4" * 32, peer="", share_cap=None)])
        assert (account.value.of, account.value.left_micro_rho) == ("account", 160_000)
        assert account.value.left_epsilon_micro > 0
        assert store.reader.size() == store.base
        assert store.reader.release(b"2" * 32, SNAPSHOT) is None
        (found,) = store.reader.release_accounts()
        assert (found.account.cap, found.account.spent) == (1_200_000, 1_040_000)
        assert found.shares == {HND: 520_000, UTO: 520_000}

    run(test)


def test_of_many_racing_charges_just_those_are_taken_that_fit(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [loaded()])
        one = [charge_release(bytes([n]) * 32, peer="", share_cap=None, cost=100_000) for n in range(40)]
        results = await asyncio.gather(*(store.uow.commit([], [change]) for change in one), return_exceptions=True)
        assert sum(isinstance(result, BudgetExhausted) for result in results) == 28
        assert store.reader.release_account("border", "person-month", "2023-08") == 1_200_000
        assert sum(one.cost for one in store.reader.releases()) == 1_200_000

    run(test)


def test_a_release_needs_its_charge_and_is_made_once(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [loaded()])
        for early in (put_release(), ask_release(), deliver_release()):
            with pytest.raises(NotFoundOrNotPermitted):
                await store.uow.commit([], [early])
        await store.uow.commit([], [charge_release()])
        with pytest.raises(NotFoundOrNotPermitted):
            await store.uow.commit([], [deliver_release()])
        await store.uow.commit([], [put_release()])
        await store.uow.commit([], [put_release()])
        with pytest.raises(RequestReused):
            await store.uow.commit([], [put_release(b"another draw")])
        held = store.reader.release(REFERENCE, SNAPSHOT)
        assert (held.message.body, held.message.header, held.message.signature) == (
            b"document",
            b"header",
            b"signature",
        )
        assert (held.shown_ns, held.code) == (60, "")
        (only,) = store.reader.releases(whole=False)
        assert store.reader.release(REFERENCE, SNAPSHOT, whole=False) == only
        assert (only.message.body, only.reference, only.shown_ns) == (b"", REFERENCE, 60)
        assert store.reader.releases() == [held]
        assert not store.reader.has_waiting_releases()
        with pytest.raises(NotFoundOrNotPermitted):
            await store.uow.commit([], [fail_release()])

    run(test)


def deliver_release(body: bytes = b"for HND") -> Change:
    return Change("release.deliver", {"reference": REFERENCE, "snapshot": SNAPSHOT, "recipient": "HND", "body": body,
                                      "header": b"h", "signature": b"s"})  # fmt: skip


def fail_release() -> Change:
    return Change("release.fail", {"reference": REFERENCE, "snapshot": SNAPSHOT, "code": "EVENTS", "shown_ns": 60})


def test_a_release_that_failed_waits_again_when_it_is_asked_for_again(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [loaded(), charge_release(), ask_release()])
        await store.uow.commit([], [fail_release()])
        assert store.reader.release(REFERENCE, SNAPSHOT).code == "EVENTS"
        assert not store.reader.has_waiting_releases()
        await store.uow.commit([], [ask_release()])
        assert not store.reader.has_waiting_releases(), "the same request again"
        with pytest.raises(RequestReused):
            await store.uow.commit([], [charge_release(b"2" * 32, share_cap=None), ask_release(reference=b"2" * 32)])
        await store.uow.commit([], [charge_release(salt=b"9" * 32), ask_release(b"2" * 16)])
        (again,) = store.reader.waiting_releases()
        assert (again.salt, again.spent) == (b"1" * 32, 520_000)

    run(test)


def test_the_least_tried_release_comes_first(run: Run) -> None:
    async def test(store: Store) -> None:
        attempt = Change("release.attempt", {"reference": REFERENCE, "snapshot": SNAPSHOT})
        with pytest.raises(RequestReused):
            await store.uow.commit([], [attempt])
        second = charge_release(b"T" * 32, share_cap=None, at_ns=99)
        await store.uow.commit([], [loaded(), charge_release(), second, ask_release()])
        assert [one.reference for one in store.reader.waiting_releases()] == [REFERENCE, b"T" * 32]
        await store.uow.commit([], [attempt])
        assert [one.reference for one in store.reader.waiting_releases()] == [b"T" * 32, REFERENCE]
        assert store.reader.release(REFERENCE, SNAPSHOT).attempts == 1
        await store.uow.commit([], [fail_release()])
        with pytest.raises(RequestReused):
            await store.uow.commit([], [attempt])
        await store.uow.commit([], [ask_release(b"2" * 16)])
        assert store.reader.release(REFERENCE, SNAPSHOT).attempts == 0, "asked for again, it is tried anew"

    run(test)


def test_what_a_recipient_was_given_stays(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [loaded(), charge_release(), put_release()])
        assert store.reader.release_delivery(REFERENCE, SNAPSHOT, HND) is None
        await store.uow.commit([], [deliver_release()])
        await store.uow.commit([], [deliver_release(b"signed again")])
        assert store.reader.release_delivery(REFERENCE, SNAPSHOT, HND).body == b"for HND"

    run(test)


def test_what_we_asked_for_is_found_by_its_reference(run: Run) -> None:
    async def test(store: Store) -> None:
        asked = {"owner": "UTO", "reference": REFERENCE, "query": b"query", "snapshot": SNAPSHOT, "at_ns": 5}
        await store.uow.commit([], [Change("release.asked", asked)])
        await store.uow.commit([], [Change("release.asked", {**asked, "snapshot": b"T" * 32, "at_ns": 6})])
        assert store.reader.release_asked(UTO, REFERENCE) == b"query"
        assert store.reader.release_asked(HND, REFERENCE) is None
        (held,) = store.reader.releases_asked()
        assert (held.snapshot, held.at_ns) == (b"T" * 32, 6)
        assert store.reader.release_query(REFERENCE) is None
        await store.uow.commit([], [loaded(), charge_release()])
        assert store.reader.release_query(REFERENCE) == b"query"

    run(test)


def test_a_received_release_is_kept_and_never_replaced(run: Run) -> None:
    async def test(store: Store) -> None:
        args = {"owner": "UTO", "reference": REFERENCE, "snapshot": SNAPSHOT, "query": b"query", "body": b"document",
                "header": b"h", "signature": b"s", "at_ns": 5}  # fmt: skip
        await store.uow.commit([], [Change("release.copy", args)])
        await store.uow.commit([], [Change("release.copy", {**args, "at_ns": 6})])
        with pytest.raises(VerificationFailed):
            await store.uow.commit([], [Change("release.copy", {**args, "body": b"another"})])
        (only,) = store.reader.release_copies(whole=False)
        assert (only.owner, only.message.body) == (UTO, b"")
        (held,) = store.reader.release_copies()
        assert held == store.reader.release_copy(UTO, REFERENCE, SNAPSHOT)
        assert (held.message.body, held.at_ns, held.query) == (b"document", 5, b"query")

    run(test)


# -- Deltas -----------------------------------------------------------------------------------------------------------

DOCUMENTS = ListId.DOCUMENTS


def delta(number: int, body: bytes = b"", **changes: Any) -> Change:
    values = {"peer": "HND", "list": "DOCUMENTS", "group": "DOCUMENT", "epoch": "e1", "number": number}
    said = {"body": body or b"delta %d" % number, "header": b"h", "signature": b"s"}
    return Change("delta.put", values | said | changes)


def received(number: int, body: bytes = b"", **changes: Any) -> Change:
    made = delta(number, body, **changes)
    args = dict(made.args)
    return Change("delta_copy.put", {"owner": args.pop("peer"), **args})


def epoch(name: str, peer: str = "HND") -> Change:
    return Change("epoch.put", {"peer": peer, "epoch": name, "expires_ns": 1 << 62})


def chain(store: Store, after: int = 0, name: str = "e1") -> list[int]:
    return [number for number, _ in store.reader.deltas(HND, DOCUMENTS, "DOCUMENT", EpochId(name), after, 10)]


def test_deltas_of_a_peer_are_numbered_without_a_gap_in_the_epoch_in_force(run: Run) -> None:
    async def test(store: Store) -> None:
        with pytest.raises(VersionMoved):
            await store.uow.commit([], [delta(1)])
        await store.uow.commit([], [epoch("e1"), delta(1), delta(2)])
        for wrong in (delta(2), delta(4), delta(0), delta(3, epoch="e0")):
            with pytest.raises(VersionMoved):
                await store.uow.commit([], [wrong])
        assert (chain(store), chain(store, 1)) == ([1, 2], [2])
        head = store.reader.delta_head(HND, DOCUMENTS, "DOCUMENT", EpochId("e1"))
        assert head == (2, hashlib.sha256(b"delta 2").digest())
        assert store.reader.delta_number(HND, DOCUMENTS, "DOCUMENT", EpochId("e1")) == 2
        assert store.reader.delta_head(UTO, DOCUMENTS, "DOCUMENT", EpochId("e1")) == (0, bytes(32))
        await store.uow.commit([], [epoch("e2"), delta(1, epoch="e2")])
        assert (chain(store), chain(store, name="e2")) == ([1, 2], [1])

    run(test)


def test_a_delta_and_its_change_stand_together_or_not_at_all(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [epoch("e1")])
        put = Change("entry.put", {"list": "DOCUMENTS", "entry_id": "D1", "body": b"one", "keys": [b"k" * 16]})
        with pytest.raises(VersionMoved):
            await store.uow.commit([SUSPENDED], [put, delta(2)])
        assert (list(store.reader.all(DOCUMENTS)), chain(store), store.reader.size()) == ([], [], store.base)
        await store.uow.commit([SUSPENDED], [put, delta(1)])
        assert (list(store.reader.all(DOCUMENTS)), chain(store)) == ([b"one"], [1])

    run(test)


def test_deltas_that_nobody_reads_on_from_go_and_the_head_stays(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [epoch("e1"), *(delta(number) for number in range(1, 5))])
        place = {"peer": "HND", "list": "DOCUMENTS", "group": "DOCUMENT"}
        await store.uow.commit([], [Change("delta.prune", {**place, "epoch": "e1", "floor": 4})])
        assert chain(store) == [4]
        await store.uow.commit([], [delta(5)])
        assert chain(store) == [4, 5]
        await store.uow.commit([], [epoch("e2"), Change("delta.prune", {**place, "epoch": "e2", "floor": 0})])
        assert chain(store) == []

    run(test)


def test_received_deltas_are_kept_once_and_two_under_one_number_are_evidence(run: Run) -> None:
    async def test(store: Store) -> None:
        await store.uow.commit([], [received(3), received(4)])
        await store.uow.commit([], [received(3)])
        with pytest.raises(VerificationFailed):
            await store.uow.commit([], [received(4, b"other")])
        held = store.reader.delta_copies(HND, DOCUMENTS, "DOCUMENT", EpochId("e1"), 3)
        assert [(number, message.body) for number, message in held] == [(4, b"delta 4")]
        place = {"owner": "HND", "list": "DOCUMENTS", "group": "DOCUMENT", "epoch": "e1"}
        await store.uow.commit([], [Change("delta_copy.prune", {**place, "floor": 4})])
        assert [n for n, _ in store.reader.delta_copies(HND, DOCUMENTS, "DOCUMENT", EpochId("e1"), 0)] == [4]
        await store.uow.commit([], [epoch("e1"), delta(1), Change("delta.drop", {"peer": "HND"})])
        assert store.reader.delta_copies(HND, DOCUMENTS, "DOCUMENT", EpochId("e1"), 0) == chain(store) == []

    run(test)


def test_who_shares_a_key_is_found_and_who_was_never_indexed_too(run: Run) -> None:
    async def test(store: Store) -> None:
        def put(entry_id: str, *keys: bytes, **more: Any) -> Change:
            args = {"list": "DOCUMENTS", "entry_id": entry_id, "body": entry_id.encode(), "keys": list(keys)}
            return Change("entry.put", args | more)

        a, b = b"a" * 16, b"b" * 16
        old = Change("entry.put", {"list": "DOCUMENTS", "entry_id": "OLD", "body": b"OLD"})
        await store.uow.commit([], [put("D1", a), put("D2", a, b), put("D3", b), old])
        assert store.reader.sharing(DOCUMENTS, [a]) == [b"D1", b"D2", b"OLD"]
        await store.uow.commit([], [put("D1", b), put("OLD")])
        assert store.reader.sharing(DOCUMENTS, [a]) == [b"D2"]
        assert store.reader.sharing(DOCUMENTS, [a, b]) == [b"D1", b"D2", b"D3"]
        assert store.reader.sharing(ListId.PERSONS, [a, b]) == []
        await store.uow.commit([], [Change("entry.withdraw", {"list": "DOCUMENTS", "entry_id": "D2", "at_ns": 1})])
        assert store.reader.sharing(DOCUMENTS, [a]) == []

    run(test)


def alert(number: int = 1, rule: Rule = Rule.BURST, **changed: Any) -> Alert:
    """A new alert about P-1."""
    fired = Fired(rule, (OfficerId("P-1"),), 60, number, number)
    return replace(raised(bytes((number,)) * 16, fired, 10), **changed)


def alert_put(one: Alert) -> Change:
    return Change("alert.put", row_of(one))


def test_an_alert_is_kept_version_by_version(run: Run) -> None:
    async def test(store: Store) -> None:
        first = alert()
        await store.uow.commit([], [alert_put(first)])
        assert store.reader.alert(first.alert_id) == first
        assert store.reader.alert(bytes(16)) is None
        after = done(first, Doing(Act.ASSIGN, 1, to="P-9"), 5)
        for wrong in (first, replace(after, version=3)):
            with pytest.raises(VersionMoved):
                await store.uow.commit([], [alert_put(wrong)])
        await store.uow.commit([], [alert_put(after)])
        assert store.reader.alerts() == [after]
        assert store.reader.open_alerts() == {Rule.BURST: 1}

    run(test)


def test_of_a_rule_and_the_same_people_one_alert_is_open(run: Run) -> None:
    async def test(store: Store) -> None:
        first, other, node = alert(), alert(2, Rule.SEQUENCE), alert(3, Rule.CLOCK_STEP, officers=(), seq=77)
        await store.uow.commit([], [alert_put(one) for one in (first, other, node)])
        assert store.reader.alerts(only_open=True) == [node, other, first]
        assert store.reader.open_alert(Rule.BURST, (OfficerId("P-1"),)) == first
        assert store.reader.open_alert(Rule.BURST, ()) is None
        assert store.reader.alert_seq((Rule.CLOCK_STEP, Rule.LOG_SILENCE)) == 77
        assert store.reader.alert_seq((Rule.LOG_SILENCE,)) == -1
        with pytest.raises(VersionMoved):
            await store.uow.commit([], [alert_put(alert(4))])
        closed = done(first, Doing(Act.CLOSE, 1, reason="lawful"), 5)
        await store.uow.commit([], [alert_put(closed), alert_put(alert(4))])
        assert [one.alert_id for one in store.reader.alerts(only_open=True)] == [bytes((n,)) * 16 for n in (4, 3, 2)]
        assert store.reader.open_alerts() == {Rule.BURST: 1, Rule.SEQUENCE: 1, Rule.CLOCK_STEP: 1}

    run(test)


def test_an_alert_closed_a_year_ago_goes_with_the_next_new_one(run: Run) -> None:
    async def test(store: Store) -> None:
        closed = done(alert(), Doing(Act.CLOSE, 1, reason="lawful"), 5)
        await store.uow.commit([], [alert_put(alert()), alert_put(closed)])
        year_ns = 365 * 24 * 3600 * 10**9
        await store.uow.commit([], [alert_put(alert(2, Rule.SEQUENCE, raised_ns=year_ns + 5))])
        assert store.reader.alert(closed.alert_id) == closed
        await store.uow.commit([], [alert_put(alert(3, Rule.REFERENCE, raised_ns=year_ns + 6))])
        assert store.reader.alert(closed.alert_id) is None

    run(test)


def test_cases_are_gone_through_page_by_page(run: Run) -> None:
    async def test(store: Store) -> None:
        numbers = [bytes((number,)) * 16 for number in (5, 1, 9, 3)]
        for number in numbers:
            args = {"case_id": number, "peer": "HND", "version": 1, "open": 1, "outbound": "", "due_ns": 0,
                    "expires_ns": 0, "body": number[:1]}  # fmt: skip
            await store.uow.commit([], [Change("case.put", args)])
        seen, after = [], b""
        while page := store.reader.case_page(after, 3):
            assert len(page) <= 3
            seen += page
            after = page[-1][0]
        assert seen == [(number, number[:1]) for number in sorted(numbers)]

    run(test)
