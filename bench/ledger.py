"""S4: what the privacy ledger costs, and that no answer is unpaid however often the node is killed.

S4: charge and publish of one release (864 numbers), each a transaction of the node's database on this machine's own
disk, one release after the other; S4.own on tmpfs. S4.kills: a release from question to document by its flows, over the
same changes, in a process that kills itself at a place drawn anew each time: in a transaction, before it, after it,
while counting, after the draw, after the answer. The next process goes on with what it finds. Counted are answers that
were seen and not charged, answers that are not what is stored, and accounts that are not the sum of their charges.
The short form has 40 releases and 60 kills.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from gateway import ports
from gateway.audit.entry import Entry
from gateway.federation import envelope
from gateway.flows import make_release, release
from gateway.keyring.memory import MemoryKeys
from gateway.policy.decision import Permit
from gateway.policy.question import Question
from gateway.statistics.bounding import Bounded, BoundingSpec, Source
from gateway.statistics.catalogue import Query
from gateway.statistics.dataset import Declaration
from gateway.statistics.domain import Dimension, KeyDomain
from gateway.statistics.plan import Plan
from gateway.store import db as database
from gateway.store.changes import CHANGES
from gateway.store.reader import Reader
from gateway.terms.ids import AgencyId, PeerId, Purpose, RequestId
from gateway.terms.release import ReleaseAsk, ReleaseState
from gateway.terms.words import Role
from gateway.workers.pool import Inline

Row = dict[str, Any]

IDS: Final = ("S4", "S4.own", "S4.kills")

RELEASES: Final = 1_000
KILLS: Final = 10_000
SMOKE: Final = (40, 60)
COST: Final = 520_000
SNAPSHOT: Final = bytes(32)
OWNER, ASKER = PeerId("PAN"), PeerId("HND")
PLACES: Final = ("charge.before", "charge.inside", "charge.after", "count", "draw", "put.before", "put.inside",
                 "put.after", "give.before", "give.inside", "give.after", "told")  # fmt: skip
"""Where a process dies; a place that a round does not reach lets it live."""

MONTHS: Final = tuple(f"20{year:02}-{month:02}" for year in range(100) for month in range(1, 13))
"""Each is an account of its own."""


def run(smoke: bool) -> list[Row]:
    """The rows of S4. The short form asserts nothing about speed, but no answer may be unpaid in it either."""
    releases, kills = SMOKE if smoke else (RELEASES, KILLS)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="limen-") as folder:
        both, bare = _timed(Path(folder) / "timed", releases)
    with tempfile.TemporaryDirectory(prefix="limen-", dir=memory) as folder:
        own, _ = _timed(Path(folder) / "timed", releases)
        # A kill loses nothing that the system was given, whatever the disk; so the disk need not be waited for.
        found = _killed(Path(folder) / "killed", kills)
    wrong = found.unpaid + found.other + found.unbalanced
    against = (
        f"{found.died:,} processes killed at {len(PLACES)} places; {found.answers:,} answers seen, "
        f"{found.releases:,} releases charged; unpaid {found.unpaid}, not as stored {found.other}, "
        f"accounts off {found.unbalanced}"
    )
    middle = (
        f"{releases:,} releases of 864 numbers, 99 % within {sorted(both)[len(both) * 99 // 100]:.2f} ms; two bare "
        f"commits on this disk {median(bare):.2f} ms"
    )
    return [
        _row("S4", round(median(both), 3), "ms, charge and publish, SQLite, median", 2, middle, smoke),
        _row(
            "S4.own",
            round(median(own), 3),
            "ms, the same without a disk to wait for, median",
            0.5,
            "tmpfs" if memory else "no tmpfs here: this machine's disk",
            smoke,
        ),
        _row("S4.kills", wrong, "wrong answers or accounts", 0, against, False),
    ]


def _row(name: str, value: float, unit: str, goal: float, against: str, smoke: bool) -> Row:
    return {"id": name, "value": value, "unit": unit, "goal": f"<= {goal}", "met": None if smoke else value <= goal,
            "against": against}  # fmt: skip


# -- The time ---------------------------------------------------------------------------------------------------------


def _timed(folder: Path, releases: int) -> tuple[list[float], list[float]]:
    """Milliseconds of charge and publish, release by release, and of two commits of one small row each beside them."""
    db = _new(folder)
    document = os.urandom(16_000)
    took: list[float] = []
    bare: list[float] = []
    for number in range(releases):
        reference = number.to_bytes(32, "big")
        charge = {"reference": reference, "snapshot": SNAPSHOT, "query": b"", "dataset": "border", "version": 1,
                  "unit": "person-month", "period": "2023-08", "salt": bytes(32), "cost": COST, "cap": 1 << 60,
                  "peer": ASKER, "share_cap": 1 << 60, "at_ns": number}  # fmt: skip
        put = {"reference": reference, "snapshot": SNAPSHOT, "body": document, "header": bytes(300),
               "signature": bytes(64), "shown_ns": number}  # fmt: skip
        began = time.perf_counter()
        _apply(db, [ports.Change("release.charge", charge)])
        _apply(db, [ports.Change("release.put", put)])
        took.append((time.perf_counter() - began) * 1e3)
        began = time.perf_counter()
        for turn in range(2):
            _apply(db, [ports.Change("peer.suspend", {"peer": ASKER, "suspended": turn})])
        bare.append((time.perf_counter() - began) * 1e3)
    db.close()
    return took, bare


def _new(folder: Path) -> sqlite3.Connection:
    """A database with one data set in force."""
    folder.mkdir()
    db = database.open_writer(folder / database.FILE)
    declaration = _declared().encode()
    loaded = {"name": "border", "snapshot": SNAPSHOT, "declaration": declaration, "by_person": True, "at_ns": 1}
    rules = [{"layer": layer, "digest": bytes(32), "sequence": 1} for layer in ("baseline", "national")]
    _apply(db, [ports.Change("dataset.put", loaded), *(ports.Change("policy.activate", one) for one in rules)])
    return db


def _apply(
    db: sqlite3.Connection, changes: Sequence[ports.Change], reach: Callable[[str], None] = lambda place: None
) -> None:
    """One transaction, as the writer makes it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for change in changes:
            CHANGES[change.name](db, change.args)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    reach("inside")
    db.execute("COMMIT")


def _declared() -> Declaration:
    return Declaration(
        name="border",
        dimensions=(Dimension("month", MONTHS), Dimension("route", tuple(f"R{n:02}" for n in range(12)))),
        caps={"month": 10**9},
        shares={ASKER: 10**9},
    )


# -- The kills --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    died: int = 0
    answers: int = 0
    releases: int = 0
    unpaid: int = 0
    other: int = 0
    unbalanced: int = 0


def _killed(folder: Path, kills: int) -> _Found:
    """Processes one after the other over one database; afterwards and in between, everything must add up."""
    db = _new(folder)
    db.close()
    chance = random.Random(7)
    found = _Found()
    seen: dict[bytes, bytes] = {}
    number = news = 0
    while found.died < kills:
        # Some questions come again, while they are unfinished and long after.
        is_new = chance.random() < 0.6
        which = news if is_new else chance.randrange(news + 1)
        news, number = news + is_new, number + 1
        said = _child(folder, which, number, chance.choice(PLACES), found)
        if said:
            found.answers += 1
            found.other += seen.setdefault(said[:32], said[32:]) != said[32:]
    reader = Reader(folder)
    rows = {row.reference: row for row in reader.releases()}
    found.releases = len(rows)
    for reference, digest in seen.items():
        row = rows.get(reference)
        found.unpaid += row is None or row.cost <= 0
        given = reader.release_delivery(reference, SNAPSHOT, ASKER)
        found.other += given is None or hashlib.sha256(given.body).digest() != digest
    for account in reader.release_accounts():
        charges = sum(row.cost for row in rows.values() if row.period == account.account.key.period)
        found.unbalanced += account.account.spent != charges or sum(account.shares.values()) != charges
    reader.close()
    return found


def _child(folder: Path, which: int, number: int, place: str, found: _Found) -> bytes:
    """What a process told that asks, makes and gets one release, and dies at a place: reference and digest, or b""."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        try:
            asyncio.run(_go(folder, which, number, place, into))
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as told:
        said = told.read()
    _, status = os.waitpid(child, 0)
    found.died += os.WIFSIGNALED(status)
    return said


async def _go(folder: Path, which: int, number: int, place: str, into: int) -> None:
    def reach(name: str) -> None:
        if name == place:
            os.kill(os.getpid(), signal.SIGKILL)

    uow = _Uow(database.open_writer(folder / database.FILE), reach)
    reader = Reader(folder)
    clock = _Clock(number)
    keys = MemoryKeys(OWNER, lambda size: bytes(size))
    public = (await keys.public_keys())["message"]

    def header(recipient: PeerId, now_ns: int) -> dict[str, Any]:
        return envelope.request_fields(envelope.RELEASE, OWNER, recipient, public, now_ns, envelope.NO_CHECKPOINT)

    def draw(plan: Plan, bounded: Bounded) -> _Noisy:
        reach("draw")
        # Another one each time, so that two draws for one release would be seen.
        return _Noisy(tuple(count + number for count in bounded.counts), bounded.lost)

    measure = ("persons", "detections")[which // len(MONTHS) % 2]
    by = (("month", "route"), ("month",))[which // len(MONTHS) // 2 % 2]
    # The same question at another epsilon is another one.
    epsilon = 1_000_000 + which // len(MONTHS) // 4
    query = Query("S-IBC", measure, "border", MONTHS[which % len(MONTHS)], by, epsilon)
    world = release.ReleaseWorld(
        OWNER,
        _Rules(),
        uow,
        reader,
        keys,
        clock,
        _Chance(),
        Inline(),
        header,
        can_count=True,
        tick_ns=1,
        judge_witnesses=lambda: None,
    )
    job = make_release.JobWorld(
        OWNER, uow, reader, keys, clock, _Engine(reach), draw, lambda _: Source("memory"), header, 1, {"bench": "1"}
    )
    ask = ReleaseAsk(
        RequestId(number.to_bytes(16, "big")), query.encode(), Purpose("RISK.IBC"), "agreement", AgencyId("INM"),
        Role.ANALYST_NATIONAL, 1, bytes(32), bytes(32),
    )  # fmt: skip
    await release.request(ask, ASKER, world)
    await make_release.run(job)
    clock.later()
    standing = await release.get(ask, ASKER, world)
    if standing.state is ReleaseState.READY:
        os.write(into, standing.reference + hashlib.sha256(standing.document).digest())
    reach("told")


@dataclass(slots=True)
class _Uow:
    """`ports.UnitOfWork` over the database alone, with a place before, in and after each commit."""

    db: sqlite3.Connection
    reach: Callable[[str], None]

    async def commit(self, entries: Sequence[Entry], changes: Sequence[ports.Change] = ()) -> ports.Committed:
        names = {change.name for change in changes}
        step = next((word for word, name in STEPS.items() if name in names), "")
        self.reach(f"{step}.before")
        _apply(self.db, changes, lambda inside: self.reach(f"{step}.{inside}"))
        self.reach(f"{step}.after")
        return ports.Committed(
            (0,) * len(entries), (1,) * len(entries), (0,) * len(entries), (bytes(32),) * len(entries)
        )


STEPS: Final = {"charge": "release.charge", "put": "release.put", "give": "release.deliver"}
"""The change by which a commit is known."""


@dataclass(slots=True)
class _Clock:
    """Time that goes on from process to process."""

    number: int

    def now_ns(self) -> int:
        return 10**9 * (1 + self.number)

    def monotonic_ns(self) -> int:
        return self.now_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        raise AssertionError("nothing here sleeps")

    def later(self) -> None:
        """The tick has come."""
        self.number += 1


class _Chance:
    def token(self, size: int) -> bytes:
        return os.urandom(size)


class _Rules:
    """Rules that permit: what is measured comes after them."""

    async def decide(self, question: Question) -> Permit:
        return Permit("AGREEMENT", 1, (), (), 1 << 40, "tool", "10y", question.time_ns + 10**12, bytes(32), bytes(32))

    def versions(self) -> ports.PolicyVersions:
        return ports.PolicyVersions(bytes(32), bytes(32))


@dataclass(frozen=True, slots=True)
class _Engine:
    reach: Callable[[str], None]

    def bounded_counts(self, spec: BoundingSpec, domain: KeyDomain, source: Source, salt: bytes) -> Bounded:
        self.reach("count")
        # Of the salt alone: a retry with another one would count something else.
        return Bounded(tuple(salt[number % len(salt)] for number in range(domain.size)), 0)


@dataclass(frozen=True, slots=True)
class _Noisy:
    values: tuple[int, ...]
    lost: int
