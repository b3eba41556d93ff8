"""The gateway process of a node: listeners, policy, flows, and the timers towards peers. It holds no key but TLS."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gateway import ports
from gateway.alerts import declared
from gateway.alerts.declared import Declared
from gateway.app import activation, federation, parts, units
from gateway.app.alerts import AlertDesk, Watchman, declared_of
from gateway.app.bundles import open_bundle
from gateway.app.cases import CaseDesk
from gateway.app.door import Door
from gateway.app.engines import Engine, engine_of, patiently
from gateway.app.home import AuditDesk, HomeDesk
from gateway.app.lists import ListDesk
from gateway.app.notices import Notices, ways_of
from gateway.app.outside import outside, policy_of
from gateway.app.quorum import Quorum
from gateway.app.refusals import Refusals
from gateway.app.releases import ReleaseDesk
from gateway.app.restored import ReplyKeys
from gateway.app.statistics import can_count
from gateway.app.supervisor import EXIT_ENDED
from gateway.app.watch import Watched
from gateway.audit import note
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Leaf
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.errors import (
    AuditUnavailable,
    ConfigRefused,
    GatewayError,
    NotFoundOrNotPermitted,
    PeerUnreachable,
    VerificationFailed,
)
from gateway.federation import document
from gateway.federation.certificates import KeyPair
from gateway.federation.members import FederationView
from gateway.federation.officers import Register
from gateway.flows import enrol, nightly, publish, witness
from gateway.flows.answer import AnsweringWorld
from gateway.flows.check import Inquiry, Officer
from gateway.flows.login import Challenges
from gateway.flows.subjects import Subjects
from gateway.flows.witness import CollectingWorld, WitnessWorld
from gateway.keyring.client import KeysClient
from gateway.keyring.files import judge_mode, read_public
from gateway.policy import catalogue
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.home_server import AuditServer, HomeServer
from gateway.rpc.limits import Limits
from gateway.rpc.peers import PeersClient
from gateway.rpc.server import PeerServer, peer_handlers
from gateway.store.deltas import DeltaCopies
from gateway.store.lock import is_restored
from gateway.store.reader import Reader
from gateway.store.tables import TableFiles
from gateway.telemetry.observe import Telemetry
from gateway.terms.call import CallSeen
from gateway.terms.exchange import CheckpointRequest
from gateway.terms.ids import OfficerId, PeerId, RequestId
from gateway.web.metrics import MetricsDoor
from gateway.web.notices import Notice
from gateway.web.tlog import Submission, TilesDoor, WitnessDoor
from gateway.workers.pool import Pool

WAIT_S = 20.0
MEET_S = 2.0
"""How soon after members or rules have changed the first tables are asked for; each time in vain doubles it."""

COMPARE_S = 300
"""How soon a peer that did not answer is asked again where the pair stands."""

WATCH_S = 1.0
"""How often the files that people replace are looked at: policy bundles, list of members, register, certificates."""


async def run(settings: Config, ready: Callable[[], None]) -> int:
    """Serve until SIGTERM, then let calls in progress finish.

    Returns the exit code: 0, or `EXIT_ENDED` where a witness has seen more of a restored log than there is of it.
    """
    await _wait_for(settings, "keys", "writer")
    node = await Node.open(settings)
    stop = node.ending
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await node.start()
    ready()
    try:
        await stop.wait()
    finally:
        await node.stop()
    if node.ended:
        print(f"limen {settings.state}: {node.ended}", file=sys.stderr, flush=True)
        return EXIT_ENDED
    return 0


async def _wait_for(settings: Config, *processes: str) -> None:
    """Until the node's other processes answer. Raises ConfigRefused when they do not in time."""
    until = asyncio.get_running_loop().time() + WAIT_S
    for name in processes:
        while not (settings.paths.run / f"{name}.ready").exists():
            if asyncio.get_running_loop().time() > until:
                raise ConfigRefused(f"the {name} process does not answer; see its message above")
            await asyncio.sleep(0.01)


_FETCHED = "WatchlistService/GetManifest"


@dataclass(slots=True)
class _Meeting:
    """How an owner of which we lack tables is asked for them: when next, and how long to wait after that, seconds."""

    next_at: float = 0.0
    pause_s: float = MEET_S


class Node:
    """Everything a gateway process is built from."""

    def __init__(self, settings: Config, clock: SystemClock, reader: Reader, telemetry: Telemetry) -> None:
        self.settings = settings
        self.clock = clock
        self.reader = reader
        self.telemetry = telemetry
        self.refusals = Refusals()
        self.keys = KeysClient(settings.socket("keys"))
        self.uow = units.writer_client(settings, "gateway")
        self.chance = parts.SystemChance()
        self.subjects = Subjects(self.chance.token(32))
        self.compute = Pool()
        self.published = TableFiles(settings.paths.tables, lambda message: convert.manifest(message.body))
        self.copies = TableFiles(settings.paths.copies, lambda message: convert.manifest(message.body))
        self.deltas = DeltaCopies(reader, convert.delta)
        self.engine = engine_of(settings)
        public = read_public(settings.paths.keys)
        self.token_key = public.token
        self.sender = Sender(settings.state, public.message, lambda: parts.last_digest(reader))
        complain = telemetry.complain
        paths = settings.paths
        self.view: Watched[FederationView] = Watched(
            self._adopt, lambda: (paths.federation / document.FILE_NAME,), complain
        )
        self.policy: Watched[Engine] = Watched(
            self._activate,
            lambda: (paths.policy / "baseline.tar.gz", paths.policy / "national.tar.gz", paths.policy / "keys"),
            complain,
        )
        self.register: Watched[Register] = Watched(
            self._enrolled, lambda: (paths.officers / "register.jsonl",), complain
        )
        self.declared: Watched[Declared] = Watched(
            self._declare, lambda: (paths.officers / declared.FILE_NAME, paths.officers / declared.KEY_NAME), complain
        )
        # One for all calls: what may change stands behind its members, which ask for it anew.
        self._answering = AnsweringWorld(
            state=settings.state,
            policy=self.engine,
            uow=self.uow,
            replies=reader,
            published=self.published,
            keys=self.keys,
            book=reader,
            clock=clock,
            make_frame=self.sender.frame,
            method=convert.CHECK,
        )
        policy = policy_of(settings)
        self.outside = outside(settings, policy)
        self.quorum = Quorum(
            settings.witnesses, reader, clock, self.others, policy.quorum if policy is not None else None
        )
        telemetry.metrics.gauge(
            "log_witnessed_age_seconds",
            "Since a quorum of witnesses has last seen the log.",
            lambda: (clock.now_ns() - self.quorum.reached()[1]) / 1e9 if self.quorum.needed else 0.0,
        )
        self._leaves: dict[str, tuple[object, KeyPair]] = {}
        self._timers: list[asyncio.Task[None]] = []
        self._fetching = asyncio.Lock()
        self._met: dict[PeerId, _Meeting] = {}
        self.stale: set[PeerId] = set()
        """Owners that refused the epoch we ask under; asked for their tables between two ticks."""
        self._ready = False
        self.ending = asyncio.Event()
        """Set when the process is to stop."""
        self.ended = ""
        """Why the log has ended, where it has."""
        self._restored = is_restored(settings.paths.lock)
        self._is_first = settings.serve.number == 1
        """Of several gateway processes one asks for tables and cosignatures; what it gets is the node's."""
        self.watchman = Watchman(
            settings,
            reader,
            self.uow,
            clock,
            self.chance,
            declared=self.declared,
            register=self.register,
            complain=complain,
            is_first=self._is_first,
        )
        self.watchman.tell(telemetry.metrics)
        self.reply_keys = ReplyKeys(settings.socket("keys"), lambda: self._restored)
        self.peers = PeersClient(
            sender=self.sender,
            keys=self.keys,
            view=self.view,
            leaf=lambda: self.leaf("gateway"),
            clock=clock,
            chance=self.chance,
            observe=telemetry.seen,
        )

    @classmethod
    async def open(cls, settings: Config) -> Node:
        """Load what counts from the first call on. Raises what cannot be trusted at start."""
        clock = parts.clock_of(settings)
        telemetry = Telemetry(settings.state, clock)
        node = cls(settings, clock, Reader(settings.paths.store, settings.paths.periods), telemetry)
        await node.view.refresh(first=True)
        # Who may put rules in force is known before they are.
        await patiently(node._first_register)
        await patiently(node._first_policy)
        await node.declared.refresh(first=True)
        return node

    # -- What people replace ------------------------------------------------------------------------------------------

    async def _adopt(self) -> FederationView:
        return await federation.adopt(self.settings, self.reader, self.clock.now_ns(), self.uow)

    async def _activate(self) -> Engine:
        """Verify, log, then put in force (T6: the sequence is anchored in the log before the rules count)."""
        now = self.clock.now_ns()
        bundles = [open_bundle(self.settings, layer, self.reader, now) for layer in ("baseline", "national")]
        enforce = await self.engine.prepare(*bundles, now_ns=now, pinned_baseline=self.view().baseline)
        held = {layer: self.reader.policy_sequence(layer) for layer in ("baseline", "national")}
        before = {layer: known[1] for layer, known in held.items() if known is not None}
        entries, changes = [], []
        for bundle in bundles:
            if held[bundle.layer] == (bundle.sequence, bundle.digest):
                continue
            signed = activation.handed_over(self.settings, bundle, before, self.register(), now)
            by = {} if signed is None else {"impact": signed.impact, "persons": signed.persons}
            entries.append(
                Entry(
                    "policy.activated",
                    Phase.EVENT,
                    public={
                        "layer": bundle.layer,
                        "digest": bundle.digest,
                        "sequence": bundle.sequence,
                        "signer": bundle.key_id,
                        "not_after_ns": bundle.not_after_ns,
                        **by,
                    },
                    secret={"officers": [] if signed is None else list(signed.officers)},
                )
            )
            changes.append(
                ports.Change(
                    "policy.activate",
                    {"layer": bundle.layer, "digest": bundle.digest, "sequence": bundle.sequence},
                )
            )
        if entries:
            await self.uow.commit(entries, changes)
        enforce()
        for bundle in bundles:
            activation.archive(self.settings, bundle)
        return self.engine

    async def _first_register(self) -> None:
        await self.register.refresh(first=True)

    async def _first_policy(self) -> None:
        await self.policy.refresh(first=True)

    async def _enrolled(self) -> Register:
        register = parts.register_of(self.settings)
        held = {OfficerId(row.officer): row.body for row in self.reader.officers()}
        await enrol.log_register(register, held, self.uow)
        return register

    async def _declare(self) -> Declared:
        return declared_of(self.settings)

    def leaf(self, name: str) -> KeyPair:
        """A listener's key and certificate as their files stand.

        A key that others may read is not taken: a node that runs says so and stays with the one before.

        Raises:
            ConfigRefused: so at start, when there is none before.
        """
        folder = self.settings.paths.tls
        paths = (folder / f"{name}.key", folder / f"{name}.crt")
        found = [path.stat() for path in paths]
        stamp = (found[0].st_mode, *(one.st_mtime_ns for one in found))
        kept = self._leaves.get(name)
        if kept is None or kept[0] != stamp:
            try:
                judge_mode(paths[0], found[0].st_mode)
                pair = KeyPair(paths[0].read_bytes(), paths[1].read_bytes())
            except ConfigRefused as open_to_others:
                if kept is None:
                    raise
                self.telemetry.complain(str(open_to_others))
                pair = kept[1]
            kept = (stamp, pair)
            self._leaves[name] = kept
        return kept[1]

    def is_ready(self) -> bool:
        """True once everything a call needs is loaded and until the node drains."""
        return self._ready and not self._restored

    # -- Worlds -------------------------------------------------------------------------------------------------------

    def others(self) -> list[PeerId]:
        """Active members that we have not suspended."""
        return [
            state
            for state in self.view().states()
            if state != self.settings.state and not self.reader.is_suspended(state)
        ]

    def suspended(self) -> list[PeerId]:
        """Members that we, or the federation, have suspended."""
        return [
            member.state
            for member in self.view().document.members
            if member.state != self.settings.state
            and (member.status is document.Status.SUSPENDED or self.reader.is_suspended(member.state))
        ]

    def watch(self, unit: str) -> Callable[[Inquiry, Officer, int, int], None]:
        """Where a question of `unit` is put aside for the rules that watch people."""
        return self.watchman.watch(unit)

    def answering(self) -> AnsweringWorld:
        """For a peer's check."""
        return self._answering

    def witnessing(self) -> WitnessWorld:
        """For a peer's checkpoint."""
        return WitnessWorld(
            log_keys=self.view(),
            store=self.uow,
            uow=self.uow,
            keys=self.keys,
            clock=self.clock,
            held=self.reader.witness_note,
        )

    async def _cosign(self, origin: str, asked: Submission) -> bytes:
        """For whoever posts a member's checkpoint: the signature on it says whose it is."""
        if not self.is_ready():
            raise AuditUnavailable("the node does not answer yet")
        for state in self.others():
            if note.Verifier.parse(self.view().log_vkey(state)).name == origin:
                request = CheckpointRequest(RequestId(self.chance.token(16)), asked.old_size, asked.proof, asked.noted)
                return await witness.cosign(state, request, self.witnessing())
        raise NotFoundOrNotPermitted("no member has a log of this origin")

    # -- Life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind the listeners, write their port files, start the timers."""
        settings = self.settings
        limits = Limits(
            calls_per_s=settings.limits.calls_per_s,
            burst=settings.limits.burst,
            concurrent=settings.limits.concurrent,
            errors_per_minute=settings.limits.errors_per_minute,
        )
        share = settings.serve.processes > 1
        door = Door(
            self.answering,
            self.witnessing,
            self.published,
            self.reader,
            self.clock,
            self.policy.refresh,
            nightly.TellingWorld(self.reader, self.uow),
        )
        self.cases = CaseDesk(self, self.peers, self.telemetry.complain)
        releases = ReleaseDesk(
            self, self.peers, self.sender, can_count(), settings.statistics.tick_s * 10**9, self.policy.refresh
        )
        self.notices = Notices(settings, ways_of(settings), self._waiting, self.telemetry.complain, self.clock.now_ns)
        self.peer_server = PeerServer(
            state=settings.state,
            view=self.view,
            handlers=peer_handlers(
                door,
                sender=self.sender,
                keys=self.reply_keys,
                clock=self.clock,
                cases=self.cases,
                releases=releases,
            ),
            leaf=lambda: self.leaf("gateway"),
            clock=self.clock,
            observe=self._peer_call,
            limits=limits,
            ready=self.is_ready,
            is_suspended=self.reader.is_suspended,
            share_port=share,
        )
        anchor = (settings.paths.tls / "anchor.crt").read_bytes()
        self.home_server = HomeServer(
            state=settings.state,
            door=HomeDesk(self, Challenges()),
            lists=ListDesk(self),
            cases=self.cases,
            releases=releases,
            alerts=AlertDesk(self, self.watchman),
            anchor_pem=anchor,
            leaf=lambda: self.leaf("home"),
            clock=self.clock,
            observe=self.telemetry.seen,
            limits=limits,
            ready=self.is_ready,
            share_port=share,
        )
        self.audit_server = AuditServer(
            state=settings.state,
            door=AuditDesk(self),
            anchor_pem=anchor,
            leaf=lambda: self.leaf("auditors"),
            clock=self.clock,
            observe=self.telemetry.seen,
            ready=self.is_ready,
            share_port=share,
        )
        self.metrics = self._edge()
        # Counters are a process's own, so each is asked at a port of its own.
        number, place = settings.serve.number, settings.listeners.metrics
        metrics = "metrics" if number == 1 else f"metrics-{number}"
        ports_taken = {
            "peers": await self.peer_server.start(str(settings.listeners.peers)),
            "home": await self.home_server.start(str(settings.listeners.home)),
            "auditors": await self.audit_server.start(str(settings.listeners.auditors)),
            metrics: await self.metrics.start(place.host, place.port + number - 1 if place.port else 0),
        }
        for name, port in ports_taken.items():
            settings.port_file(name).write_text(f"{port}\n", "ascii")
        self._ready = True
        for every_s, job in (
            (WATCH_S, self._watch),
            (float(settings.ticks.fetch_s), self._fetch),
            (MEET_S, self._meet),
            (float(settings.ticks.cosign_s), self._collect),
            (float(min(COMPARE_S, settings.ticks.compare_s)), self._compare),
            (float(settings.ticks.checkpoint_s), self._enter_refusals),
            (WATCH_S, self._confirm),
            (self.notices.every_s, self.notices.tick),
            (self.watchman.every_s, self._look),
        ):
            self._timers.append(asyncio.create_task(self._every(every_s, job)))
        self._timers.append(asyncio.create_task(self.cases.run(float(settings.ticks.case_s))))

    def _edge(self) -> MetricsDoor:
        """The HTTP door: metrics, the log's tiles, the witness."""
        shown = TilesDoor(self.reader)
        return MetricsDoor(
            self.telemetry,
            ready=self.is_ready,
            pages={"/checkpoint": shown.checkpoint, "/tile/": shown.tile},
            posts={"/add-checkpoint": WitnessDoor(self._cosign).route},
        )

    async def stop(self) -> None:
        """Refuse new calls, finish those in progress, close in order."""
        self._ready = False
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
        grace = float(self.settings.serve.drain_s)
        await asyncio.gather(*(door.drain(grace) for door in (self.peer_server, self.home_server, self.audit_server)))
        await self.metrics.stop()
        await self.peers.close()
        await self.engine.close()
        with contextlib.suppress(GatewayError):
            await self.refusals.enter(self.uow)
        await self.uow.close()
        await self.keys.close()
        await self.reply_keys.close()
        self.compute.close()
        self.reader.close()
        self.telemetry.close()

    def _peer_call(self, call: CallSeen) -> None:
        self.telemetry.seen(call)
        self.refusals.seen(call)
        if call.method == _FETCHED and call.status == "OK":
            # Who takes a table of ours has come: what it has for us is asked for soon.
            self._met.pop(PeerId(call.caller), None)

    async def _enter_refusals(self) -> None:
        if not self._restored:
            await self.refusals.enter(self.uow)

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await job()
            except GatewayError as error:
                self.telemetry.complain(str(error))
            await asyncio.sleep(seconds)

    async def _watch(self) -> None:
        if await self.view.refresh():
            self.telemetry.complain(f"list of members: version {self.view().version} is in force")
            self._met.clear()
        if await self.policy.refresh():
            self._met.clear()
        await self.register.refresh()
        await self.declared.refresh()

    async def _look(self) -> None:
        if not self._restored:
            await self.watchman.tick()

    def _waiting(self) -> list[Notice]:
        return [*self.cases.waiting(), *self.watchman.waiting()]

    async def _confirm(self) -> None:
        """Of a restored log: ask every witness what it has seen of it, and go on when one has seen no more.

        One that has seen more ends the log for good, whatever the others say, and with it this node.
        """
        if not self._restored or self.ended:
            return
        if is_restored(self.settings.paths.lock):
            world = self._collecting()
            seen: list[int] = []
            for peer in self.others():
                try:
                    seen.append(await witness.known(peer, world))
                except VerificationFailed as fault:
                    if fault.step == witness.RESTORED:
                        await self.uow.end(str(fault))
                        self.ended = fault.why
                        self.ending.set()
                        return
                    self.telemetry.complain(f"restored from a backup, {peer} gave no answer to be trusted: {fault}")
                except PeerUnreachable as silence:
                    self.telemetry.complain(f"restored from a backup, waiting for a witness: {silence}")
            if not seen:
                return
            await self.uow.confirm(max(seen))
        # Another process of this node may have been the one that asked.
        self._restored = False
        self.telemetry.complain("restored from a backup: a witness has seen no more of the log, the node goes on")

    async def _fetch(self) -> None:
        """Ask every owner for the tables it made for us. A table is due long before it expires."""
        if self._restored or not self._is_first:
            return
        self.copies.end(self.clock.now_ns())
        owners, soon = self.others(), asyncio.get_running_loop().time() + MEET_S
        for owner in owners:
            self._met.setdefault(owner, _Meeting(soon))
        for owner in owners:
            await self._fetch_from(owner, catalogue.tables())

    async def _meet(self) -> None:
        """Ask an owner between ticks for those tables of which we have none, and for all where it ended our epoch.

        Where it has none for us (no agreement, or not yet) it is asked at doubling distances, up to the tick's; from
        the beginning again when members or rules change here, or when it has taken a table of ours.
        """
        if self._restored or not self._is_first:
            return
        now = asyncio.get_running_loop().time()
        for owner in self.others():
            if owner in self.stale:
                # Before the fetch: a refusal during it counts for the next.
                self.stale.discard(owner)
                await self._fetch_from(owner, catalogue.tables())
            meeting = self._met.setdefault(owner, _Meeting())
            if now < meeting.next_at:
                continue
            missing = [
                place for place in catalogue.tables() if self.copies.current(owner, place.list_id, place.group) is None
            ]
            if missing:
                await self._fetch_from(owner, missing)
            meeting.next_at = asyncio.get_running_loop().time() + meeting.pause_s
            meeting.pause_s = min(2 * meeting.pause_s, float(self.settings.ticks.fetch_s))

    async def _fetch_from(self, owner: PeerId, places: Iterable[catalogue.TableOf]) -> None:
        world = publish.ReceivingWorld(
            state=self.settings.state,
            peers=self.peers,
            copies=self.copies,
            deltas=self.deltas,
            uow=self.uow,
            clock=self.clock,
            timeout_s=self.settings.peers.table_timeout_ms / 1000,
        )
        for place in places:
            try:
                # One at a time, or the same table would be judged against itself.
                async with self._fetching:
                    await publish.receive(owner, place.group, place.list_id, world)
            except VerificationFailed as fault:
                self.telemetry.complain(f"{owner}: table refused: {fault}")
            except PeerUnreachable:
                break
            except GatewayError:
                # No table for us: no agreement, or none made yet. Asked again later.
                continue

    def _collecting(self) -> CollectingWorld:
        return CollectingWorld(
            log=self.reader,
            log_keys=self.view(),
            peers=self.peers,
            uow=self.uow,
            state=self.settings.state,
            timeout_s=self.settings.peers.cosign_timeout_ms / 1000,
        )

    async def _collect(self) -> None:
        """Ask every peer, and every witness of the policy that has an address, to cosign our newest checkpoint."""
        if self._restored or not self._is_first:
            return
        world = self._collecting()
        peers = self.others()
        results = await asyncio.gather(
            *(witness.collect(peer, world) for peer in peers),
            *(witness.collect_outside(one, world) for one in self.outside),
            return_exceptions=True,
        )
        for peer, result in zip([*peers, *(one.key.name for one in self.outside)], results, strict=True):
            if isinstance(result, VerificationFailed):
                self.telemetry.complain(f"{peer} did not cosign: {result}")
            elif isinstance(result, Exception) and not isinstance(result, GatewayError):
                raise result
        fallen_silent = await self.quorum.watch(self.uow)
        if fallen_silent is not None:
            self.telemetry.complain(
                "too few witnesses have seen the log for too long: nothing is disclosed until they have"
                if fallen_silent
                else "enough witnesses have seen the log again: disclosures go on"
            )

    async def _compare(self) -> None:
        """Ask each peer that was not asked since the last multiple of the tick where it says the pair stands."""
        if self._restored or not self._is_first:
            return
        world = nightly.ComparingWorld(
            state=self.settings.state,
            book=self.reader,
            peers=self.peers,
            log_keys=self.view(),
            uow=self.uow,
            clock=self.clock,
            chance=self.chance,
        )
        first = self.reader.leaf(0)
        if first is None:
            return
        began_ns, every_ns = Leaf.parse(first).time_ns, self.settings.ticks.compare_s * 10**9
        for peer in self.others():
            last = self.compared(peer)
            since_ns = last.time_ns if last is not None else began_ns
            if since_ns // every_ns >= self.clock.now_ns() // every_ns:
                continue
            try:
                result = await nightly.compare(peer, world)
            except GatewayError:
                # Not reached, or not ready to say: asked again soon, and nothing is entered.
                continue
            if result.fault:
                self.telemetry.complain(
                    f"{peer}: its log does not agree with what it signed ({result.fault}); both messages are in the "
                    "log's newest pair.compared"
                )

    def compared(self, peer: PeerId) -> nightly.Compared | None:
        """How the last comparison with a peer ended."""
        held = self.reader.compared(peer)
        return None if held is None else nightly.Compared.decode(held)
