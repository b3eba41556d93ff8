"""E3 and E5: a whole check at two real nodes, every process of theirs, against the bare echo of the same rounds.

E3 is the answering side: Honduras's requests of class 8, signed beforehand, go straight to Panama's peers' listener;
counted is the CPU of every thread of every process of Panama's node, less the bare evaluation (timed beside it), in
echoes. E5 is the whole way, agency to own gateway to peer and back, one call at a time.

Both nodes run as they are installed: default ticks, policy, both logs on this machine's disk. Only what would stop a
load generator is raised: calls a peer may make a second and at once, checks of an officer a day, and for E5 the answer
tick is at its smallest, 1 ms, so that little of what is measured is waiting.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import itertools
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from gateway_adapters import traveller as readers

from bench import echo
from examples.region.generate import Region, make_region
from gateway.app import parts
from gateway.cli.acts import booth
from gateway.cli.acts.nodes import BASIS, Nodes
from gateway.config import Config
from gateway.federation import document, envelope
from gateway.federation.certificates import KeyPair
from gateway.federation.members import FederationView
from gateway.flows.check import Inquiry, Traveller
from gateway.keyring import files
from gateway.keyring.operations import LockedSigner
from gateway.policy import catalogue
from gateway.primitives.lp import lp
from gateway.pseudonym import batch, oprf
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.home import HomeClient
from gateway.store import db
from gateway.store.reader import Reader
from gateway.terms import Hidden, ListId, Purpose, RequestId, Role
from gateway.terms.exchange import CheckRequest, SignedMessage
from gateway.terms.ids import AgencyId

Row = dict[str, Any]

IDS: Final = ("E3", "E3.total", "E3.evaluate", "E3.p99", "E3.rate", "E5", "E5.p50", "E5.commit")

ENTRIES: Final = 300
"""A state's, where their number does not matter: an answering node never looks into its list."""

TABLES_S: Final = 3600.0
"""How long the making of tables may take: 10^5 entries take minutes."""

WATCH: Final = Purpose("SEC.WATCH")
CLASS_SIZE: Final = 8
CONCURRENT: Final = 16
EVALUATE_EVERY: Final = 20
CONNECTIONS: Final = 1
"""As many as a peer opens to another (`rpc.peers`), and as many to the echo."""

RAISED: Final = {
    "limits.calls_per_s": "100000",
    "limits.burst": "1000000",
    "limits.concurrent": "1000",
    "quotas.officer_checks_per_day": "1000000",
    "quotas.officer_travellers_per_day": "10000000",
    "ticks.answer_tick_ms": "1",
}

INSTALLED: Final = {
    "LIMEN_TICKS_PUBLISH_S": "900",
    "LIMEN_TICKS_FETCH_S": "900",
    "LIMEN_TICKS_COSIGN_S": "10",
    "LIMEN_TICKS_CHECKPOINT_S": "10",
    "LIMEN_CLOCK_KIND": "system",
}
"""The ticks of `limen init`, once tables have been exchanged at the faster ones of a demonstration."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done."""

    rounds: int
    calls: int
    paced_s: float
    single: int


FULL: Final = Scale(rounds=9, calls=800, paced_s=6.0, single=60)
SHORT: Final = Scale(rounds=2, calls=64, paced_s=0.5, single=8)


def run(smoke: bool) -> list[Row]:
    """The rows of E3 and E5. The short form asserts nothing about speed, but every reply is verified in both."""
    held = made(ENTRIES)
    with environment(INSTALLED), tempfile.TemporaryDirectory(prefix="limen-") as folder:
        try:
            held.nodes.start()
            held.nodes.login("HND")
            return uvloop.run(_measure(Path(folder), held.nodes, held.region, SHORT if smoke else FULL))
        finally:
            held.nodes.stop()


@dataclass(frozen=True, slots=True)
class Made:
    """Two nodes that have exchanged their tables and stand still, and how long that took, s."""

    nodes: Nodes
    region: Region
    load_s: float
    tables_s: float


@lru_cache(maxsize=1)
def made(entries: int) -> Made:
    """Panama with a list of so many invented entries, Honduras with a small one. They go when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="limen-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    nodes = Nodes(folder / "n", {"PAN": "SNM", "HND": "INM"}, settings=RAISED)
    nodes.make()
    now = datetime.now(UTC).replace(microsecond=0)
    regions = {"PAN": make_region(now=now, entries=entries), "HND": make_region(now=now, entries=ENTRIES)}
    files = {state: region.write(folder / "data" / state) for state, region in regions.items()}
    try:
        nodes.start()
        began = time.monotonic()
        for state in nodes.nodes:
            for list_id in ListId:
                for file in files[state]:
                    if file.parent.name == state and file.name.startswith(list_id.value.lower()):
                        nodes.load(state, list_id, file)
        loaded = time.monotonic()
        nodes.wait_tables(within_s=TABLES_S)
        return Made(nodes, regions["HND"], loaded - began, time.monotonic() - loaded)
    finally:
        nodes.stop()


@contextlib.contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Processes started within see these variables."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


async def _measure(folder: Path, nodes: Nodes, region: Region, scale: Scale) -> list[Row]:
    async with echo.running(folder, CONNECTIONS) as bare:
        generator = Generator.of(nodes, asker="HND", owner="PAN")
        answering = await _answering(generator, list(nodes["PAN"].pids().values()), bare, scale)
        whole = await _whole(folder, nodes, region, bare, scale)
    return [*answering, *whole]


# -- E3 ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes one state's signed requests outside its node: the node's own key, drawn points."""

    asker: Config
    owner: Config
    view: FederationView
    agency: AgencyId
    sender: Sender
    signer: LockedSigner
    template: dict[str, Any]
    class_size: int

    @classmethod
    def of(
        cls,
        nodes: Nodes,
        *,
        asker: str,
        owner: str,
        purpose: Purpose = WATCH,
        role: Role = Role.BORDER_FRONTLINE,
        class_size: int = CLASS_SIZE,
    ) -> Generator:
        """What the asker's node would know."""
        ours, theirs = nodes[asker].settings, nodes[owner].settings
        reader = Reader(ours.paths.store)
        policy = {layer: reader.policy_sequence(layer) for layer in ("baseline", "national")}
        held = reader.federation()
        checkpoint = parts.last_digest(reader)
        reader.close()
        peers = Reader(theirs.paths.store)
        epoch = peers.epoch(ours.state)
        peers.close()
        assert held is not None and epoch is not None and policy["baseline"] and policy["national"]
        seed = secrets.token_bytes(32)
        return cls(
            asker=ours,
            owner=theirs,
            view=FederationView(document.parse(held[1]).document),
            agency=AgencyId(nodes[asker].agency),
            sender=Sender(ours.state, files.read_public(ours.paths.keys).message, lambda: checkpoint),
            signer=LockedSigner(files.read_secret(files.key_path(ours.paths.keys, "message"), "message")),
            template={
                "batch": 0,
                "batches": 1,
                "asker": ours.state,
                "owner": theirs.state,
                "agency": AgencyId(nodes[asker].agency),
                "role": role,
                "purpose": purpose,
                "legal_basis": BASIS,
                "list_id": ListId.PERSONS,
                "group": catalogue.group_of(purpose),
                "epoch": epoch[0],
                "key_types": catalogue.key_types_of(purpose),
                "known_version": 1,
                "blinded": batch.blinded_elements([lp("doc/1", "HND", "P", "X1")], seed, class_size),
                "seed_commitment": hashlib.new("sha512_256", seed).digest(),
                "baseline_digest": policy["baseline"][1],
                "national_digest": policy["national"][1],
            },
            class_size=class_size,
        )

    def requests(self, count: int) -> list[SignedMessage]:
        """So many, each a question of its own, signed now: they are good for 30 s."""
        now_ns = time.time_ns()
        made = []
        for number in range(count):
            body = convert.encode_check_request(
                CheckRequest(
                    leg_id=RequestId(secrets.token_bytes(16)),
                    pair_seq=number + 1,
                    permit_expires_ns=now_ns + 600 * 10**9,
                    **self.template,
                )
            )
            fields = self.sender.request(convert.CHECK, self.owner.state, now_ns)
            made.append(envelope.seal(fields, body, self.signer.sign))
        return made

    @contextlib.asynccontextmanager
    async def connected(self, connections: int = CONNECTIONS) -> AsyncIterator[Callable[[SignedMessage], Any]]:
        """Calls the owner's listener with a request, over each connection in turn; what is returned is gRPC's call."""
        folder = self.asker.paths.tls
        leaf = KeyPair((folder / "gateway.key").read_bytes(), (folder / "gateway.crt").read_bytes())
        anchor_pem = self.view.member(self.owner.state).anchor_pem
        channels = echo.connected(str(self.owner.bound("peers")), leaf, anchor_pem, connections)
        try:
            methods: Iterator[Any] = itertools.cycle([channel.unary_unary(convert.CHECK) for channel in channels])
            yield lambda request: next(methods)(
                request.body,
                timeout=30,
                metadata=((envelope.HEADER_KEY, request.header), (envelope.SIGNATURE_KEY, request.signature)),
            )
        finally:
            for channel in channels:
                await channel.close()

    def verify(self, request: SignedMessage, body: bytes, trailing: Sequence[tuple[str, Any]]) -> None:
        """Raise unless this is the owner's signed answer to this request, with as many points and a proof."""
        kept = dict(trailing)
        header = envelope.verify(
            SignedMessage(body, kept[envelope.HEADER_KEY], kept[envelope.SIGNATURE_KEY]),
            method=convert.CHECK,
            sender=self.owner.state,
            receiver=self.asker.state,
            keys=[key.public for key in self.view.member(self.owner.state).member.message_keys],
            now_ns=None,
            request_hash=envelope.body_hash(request.body),
        )
        reply = convert.check_reply(body, header.request_hash or b"")
        if len(reply.evaluated) != 32 * self.class_size:
            raise RuntimeError("the reply has another number of points")


async def _answering(generator: Generator, pids: list[int], bare: echo.Echo, scale: Scale) -> list[Row]:
    node_ns: list[float] = []
    echo_ns: list[float] = []
    own_ns: list[float] = []
    rates: list[float] = []
    evaluate = evaluation(CLASS_SIZE)
    async with generator.connected() as method:
        replies: list[tuple[SignedMessage, bytes, Any]] = []

        async def ask(request: SignedMessage) -> None:
            call = method(request)
            body = await call
            replies.append((request, body, await call.trailing_metadata()))

        await echo.load(bare.ask, scale.calls, CONCURRENT)
        warm = generator.requests(scale.calls // 2)
        await echo.load(lambda number: ask(warm[number]), len(warm), CONCURRENT)
        for _ in range(scale.rounds):
            before = echo.cpu_ns([bare.pid])
            await echo.load(bare.ask, scale.calls, CONCURRENT)
            echo_ns.append((echo.cpu_ns([bare.pid]) - before) / scale.calls)
            requests = generator.requests(scale.calls)
            evaluations: list[int] = []

            async def ask_and_time(number: int) -> None:
                # Within the load, so that the caches are as cold as the key process finds them.
                if number % EVALUATE_EVERY == 0:
                    evaluations.append(evaluate())  # noqa: B023 (awaited within the round)
                await ask(requests[number])  # noqa: B023

            before, began = echo.cpu_ns(pids), time.perf_counter()
            await echo.load(ask_and_time, scale.calls, CONCURRENT)
            rates.append(scale.calls / (time.perf_counter() - began))
            node_ns.append((echo.cpu_ns(pids) - before) / scale.calls)
            own_ns.append(median(evaluations))
        rate = median(rates)
        requests = generator.requests(max(20, int(scale.paced_s * rate / 2)))
        took = await echo.paced(lambda number: ask(requests[number]), len(requests), rate / 2)
        for reply in replies:
            generator.verify(*reply)
    beside = median((node - own) / bare for node, own, bare in zip(node_ns, own_ns, echo_ns, strict=True))
    total = median(node / bare for node, bare in zip(node_ns, echo_ns, strict=True))
    own = median(own / bare for own, bare in zip(own_ns, echo_ns, strict=True))
    echo_us, node_us, own_us = (median(values) / 1e3 for values in (echo_ns, node_ns, own_ns))
    against = f"echo of {echo_us:.0f} us; the node {node_us:.0f} us, of which evaluate() {own_us:.0f} us"
    return [
        row("E3", beside, "echoes of CPU a check, all processes, beside evaluate()", against, goal=6),
        row("E3.total", total, "echoes of CPU a check, evaluate() included", against),
        row("E3.evaluate", own, "echoes of CPU, evaluate() of class 8 alone", against),
        row("E3.p99", echo.quantile(took, 0.99) / 1e6, "ms at half the saturated rate", f"{rate / 2:.0f}/s", goal=25),
        row("E3.rate", rate, f"checks a second at c={CONCURRENT}, client on the same machine", "for information"),
    ]


def evaluation(class_size: int) -> Callable[[], int]:
    """Times one bare verifiable evaluation of a batch of this class, CPU ns."""
    secret, public = oprf.derive_key_pair(secrets.token_bytes(32), b"bench")
    elements = oprf.split(batch.blinded_elements([], secrets.token_bytes(32), class_size))

    def timed() -> int:
        began = time.thread_time_ns()
        nonce = oprf.draw_nonce(secrets.token_bytes, secret, elements)
        oprf.evaluate_with_proof(secret, public, elements, nonce)
        return time.thread_time_ns() - began

    timed()
    return timed


# -- E5 ---------------------------------------------------------------------------------------------------------------


async def _whole(folder: Path, nodes: Nodes, region: Region, bare: echo.Echo, scale: Scale) -> list[Row]:
    place = booth.read(nodes["HND"].booth)
    token = place.token()
    travellers = [asked.passport for asked in region.crowd(scale.rounds * scale.single + 8)]
    seen = [
        Traveller(one.person, one.documents)
        for one in (readers.read_one("\n".join(passport.mrz()).encode(), region.now.date()) for passport in travellers)
    ]
    ratios: list[float] = []
    p50s: list[float] = []
    commits: list[float] = []
    commit = _empty_commit(folder)
    async with HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:

        async def ask(traveller: Traveller) -> None:
            answer = await client.check(inquiry(traveller), token)
            if not answer.complete or answer.refused:
                raise RuntimeError("the check is not complete")

        left = iter(seen)
        await echo.load(lambda number: ask(next(left)), 8, 1)
        for _ in range(scale.rounds):
            echo_ns = median(await echo.load(bare.ask, 2 * scale.single, 1))
            commit_ns = median(commit() for _ in range(scale.single))
            whole_ns = median(await echo.load(lambda number: ask(next(left)), scale.single, 1))
            ratios.append((whole_ns - 4 * commit_ns) / echo_ns)
            p50s.append(whole_ns)
            commits.append(commit_ns)
    p50_ms, commit_ms = median(p50s) / 1e6, median(commits) / 1e6
    against = f"p50 {p50_ms:.2f} ms less 4 empty commits of {commit_ms:.3f} ms, by the echo's p50 at c=1"
    return [
        row("E5", median(ratios), "echo p50s, agency to peer and back, beside 4 empty commits", against, goal=16),
        row("E5.p50", p50_ms, "ms, tick at 1 ms", "for information"),
        row("E5.commit", commit_ms, "ms, an empty commit on this disk", "for information"),
    ]


def inquiry(traveller: Traveller, purpose: Purpose = WATCH) -> Inquiry:
    """One traveller's question, with a fresh id."""
    return Inquiry(
        request_id=RequestId(secrets.token_bytes(16)),
        purpose=purpose,
        legal_basis=BASIS,
        case_ref="SHIFT-1",
        justification=Hidden(""),
        travellers=(traveller,),
        protection_declared=False,
        declared_origins=frozenset(),
        reply_key=Hidden(secrets.token_bytes(32)),
        digest=b"",
    )


def _empty_commit(folder: Path) -> Any:
    """Times a transaction of one small row with the node's own database settings on the nodes' disk, ns."""
    path = folder / "empty.db"
    path.touch()
    store: sqlite3.Connection = db.open_writer(path)
    store.execute("CREATE TABLE bench (number INTEGER)")

    def timed() -> int:
        began = time.perf_counter_ns()
        store.execute("BEGIN IMMEDIATE")
        store.execute("INSERT INTO bench VALUES (1)")
        store.execute("COMMIT")
        return time.perf_counter_ns() - began

    return timed


def row(name: str, value: float, unit: str, against: str, *, goal: float | None = None) -> Row:
    """One row of the table; `goal` is the most the value may be."""
    return {
        "id": name,
        "value": round(value, 3 if value < 100 else 0),
        "unit": unit,
        "goal": f"<= {goal:g}" if goal is not None else "",
        "met": value <= goal if goal is not None else None,
        "against": against,
    }


__all__ = ["ENTRIES", "IDS", "INSTALLED", "Generator", "environment", "evaluation", "made", "row", "run"]
