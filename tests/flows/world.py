"""States joined in memory: each with its store, keys, tables and rules, and the others behind real envelope bytes.

Everything happens in one thread and in virtual time; `World.journal` says in which order.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from nacl.bindings import crypto_scalarmult_base

from gateway import ports
from gateway.audit import checkpoint, leaf, note, seal
from gateway.audit.entry import Entry
from gateway.errors import (
    AuditUnavailable,
    GatewayError,
    Malformed,
    NotFoundOrNotPermitted,
    PeerUnreachable,
    VerificationFailed,
)
from gateway.federation import envelope, names
from gateway.flows import announce, answer, check, listing, nightly, publish, witness
from gateway.flows.check import AskingWorld, CheckAnswer, Inquiry, Officer, Traveller
from gateway.keyring.memory import MemoryKeys
from gateway.opa import bundle, sources
from gateway.opa.bundle import Bundle
from gateway.opa.engine import EmbeddedEngine
from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, document_number
from gateway.policy import agreement, catalogue
from gateway.policy.decision import Deny, Obligation, Permit
from gateway.policy.question import Question
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.peers import BELIEVED
from gateway.store.deltas import DeltaCopies
from gateway.store.memory import MemoryStore
from gateway.store.tables import MemoryTables
from gateway.terms import Hidden, KeyType, ListId, PeerId, Purpose, RecordKind, RequestId, Role
from gateway.terms.exchange import (
    Came,
    CheckpointRequest,
    CheckReply,
    CheckRequest,
    ChunkRequest,
    DeltasRequest,
    Epoch,
    KeyScope,
    Manifest,
    ManifestRequest,
    Named,
    PairHead,
    PairHeadRequest,
    SignedMessage,
)
from gateway.terms.ids import AgencyId, EpochId, OfficerId, PurposeGroup
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import ListEntry
from gateway.workers.pool import Inline
from tests.policies.world import REGION, REGION_KEYS, STATE
from tests.policies.world import STATE_PUBLIC as NATIONAL_PUBLIC
from tests.support.entries import DAY_NS, NOW_NS

T = TypeVar("T")

PAN, HND, UTO, GTM = PeerId("PAN"), PeerId("HND"), PeerId("UTO"), PeerId("GTM")
WATCH, STATUS = OFFERED = publish.OFFERED[:2]
WATCH_GROUP, DOCUMENT_GROUP = PurposeGroup("WATCH"), PurposeGroup("DOCUMENT")
AGENCIES = {PAN: "SNM", HND: "INM", UTO: "UBG", GTM: "IGM"}
YEAR_NS = 365 * DAY_NS

READERS = {role: bytes([number]) * 32 for number, role in enumerate(seal.ROLES, 11)}
"""Private keys of those the logs are sealed to. On no node, but in the tests' hands."""

_AROUND = {"stale", "timeout_s", "owners", "checks_per_day", "travellers_per_day"}
"""What `State.ask` changes of the surroundings; the rest is the inquiry's."""

_GROUP_OF = {ListId.PERSONS: WATCH_GROUP, ListId.DOCUMENTS: DOCUMENT_GROUP}


# -- Rules ------------------------------------------------------------------------------------------------------------


@cache
def _baseline() -> Bundle:
    raw = bundle.build(
        sources.baseline(),
        scope=bundle.BASELINE,
        sequence=1,
        not_after_ns=NOW_NS + YEAR_NS,
        signing_key_pem=REGION,
        key_id="region-1",
    )
    return bundle.open_(raw, REGION_KEYS, bundle.BASELINE, 1, NOW_NS)


@cache
def shipped(state: PeerId) -> EmbeddedEngine:
    """The rules as they ship, over the starter agreements of `state` with each of the other three."""
    signed = [
        agreement.starter(
            state,
            other,
            agencies={party: [AGENCIES[party]] for party in (state, other)},
            valid_from_ns=NOW_NS - YEAR_NS,
            valid_until_ns=NOW_NS + YEAR_NS,
        )
        for other in AGENCIES
        if other != state
    ]
    scope = bundle.national_scope(state)
    raw = bundle.build(
        sources.starter_national(state, signed),
        scope=scope,
        sequence=1,
        not_after_ns=NOW_NS + YEAR_NS,
        signing_key_pem=STATE,
        key_id="state-1",
    )
    national = bundle.open_(raw, {"state-1": NATIONAL_PUBLIC}, scope, 1, NOW_NS)
    return EmbeddedEngine.load(_baseline(), national, now_ns=NOW_NS)


@dataclass
class Rules:
    """A policy engine as a value: `verdict` of every question, which is remembered."""

    verdict: Callable[[Question], Permit | Deny]
    baseline: bytes = b"B" * 32
    national: bytes = b"N" * 32
    asked: list[Question] = field(default_factory=list)

    async def decide(self, question: Question) -> Permit | Deny:
        self.asked.append(question)
        verdict = self.verdict(question)
        return dataclasses.replace(verdict, baseline=self.baseline, national=self.national)

    def versions(self) -> ports.PolicyVersions:
        return ports.PolicyVersions(self.baseline, self.national)


def everything(question: Question, slots_per_day: int = 2**62) -> Permit:
    """What a corrupt signer permits: all, to everybody, for ever."""
    return Permit(
        agreement="ALL",
        agreement_version=1,
        key_types=tuple(key_type.value for key_type in KeyType),
        kinds=tuple(kind.name for kind in RecordKind),
        slots_per_day=slots_per_day,
        transfer_basis="all",
        retention="10y",
        expires_ns=question.time_ns + 2**61,
        baseline=b"",
        national=b"",
        obligations=tuple(sorted(Obligation)),
    )


def allow_all(slots_per_day: int = 2**62) -> Rules:
    return Rules(lambda question: everything(question, slots_per_day))


def deny(*reasons: str) -> Rules:
    return Rules(lambda question: Deny(reasons))


@dataclass
class _Only:
    """An engine that is asked about these purposes only."""

    engine: ports.PolicyEngine
    purposes: tuple[Purpose, ...]

    async def decide(self, question: Question) -> Permit | Deny:
        return await self.engine.decide(question) if question.purpose in self.purposes else Deny(("not_now",))

    def versions(self) -> ports.PolicyVersions:
        return self.engine.versions()


# -- The surroundings -------------------------------------------------------------------------------------------------


class VirtualTime:
    """ports.Clock. It stands still unless a test lets time pass; waiting takes no time."""

    def __init__(self) -> None:
        self.wall = NOW_NS
        self.monotonic = 10**12
        self.waited_until: list[int] = []

    def now_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    async def sleep_until(self, monotonic_ns: int) -> None:
        self.waited_until.append(monotonic_ns)
        self.pass_ns(max(0, monotonic_ns - self.monotonic))

    def pass_ns(self, duration_ns: int) -> None:
        self.wall += duration_ns
        self.monotonic += duration_ns


class Chance:
    """ports.Chance: a stream that is the same in every run, another one for every name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._drawn = 0

    def token(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(f"{self._name} {self._drawn}".encode()).digest(size)


class Ledger:
    """ports.UnitOfWork over a store: writes each commit into the journal, yields to other tasks around it, and fails at
    the commits whose numbers (from 1, of this state) stand in `fails_at`."""

    def __init__(self, code: PeerId, store: MemoryStore, journal: list[str]) -> None:
        self._code = code
        self._store = store
        self._journal = journal
        self.commits = 0
        self.fails_at: set[int] = set()
        self.before_commit: Callable[[], None] = lambda: None

    async def commit(self, entries: Sequence[Entry], changes: Sequence[ports.Change] = ()) -> ports.Committed:
        self.commits += 1
        await asyncio.sleep(0)
        self.before_commit()
        if self.commits in self.fails_at:
            self._journal.append(f"{self._code} cannot log")
            raise AuditUnavailable("the disk is full")
        committed = await self._store.commit(entries, changes)
        for entry in entries:
            self._journal.append(f"{self._code} logs {entry.kind} {entry.phase.value}")
        await asyncio.sleep(0)
        return committed


class Keys(MemoryKeys):
    """The state's keys; evaluating is written into the journal."""

    def __init__(self, code: PeerId, draw: Callable[[int], bytes], journal: list[str]) -> None:
        super().__init__(code, draw)
        self._code = code
        self._journal = journal

    async def evaluate_and_sign(self, scope: KeyScope, blinded: bytes, frame: ports.ReplyFrame) -> SignedMessage:
        self._journal.append(f"{self._code} evaluates")
        return await super().evaluate_and_sign(scope, blinded, frame)


@dataclass(frozen=True)
class Book:
    """What answering, publishing and listing read, out of the store."""

    store: MemoryStore

    def epochs(self) -> Sequence[Epoch]:
        return self.store.epochs()

    def is_suspended(self, peer: PeerId) -> bool:
        return self.store.is_suspended(peer)

    def newest(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> tuple[int, bytes]:
        held = self.store.manifest(peer, list_id, group)
        return (0, b"") if held is None else (held.version, held.message.body)

    def list_entries(self, list_id: ListId) -> Iterable[ListEntry]:
        return [entries.decode(body) for body in self.store.all(list_id)]

    def named_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterable[ListEntry]:
        found = (self.store.entry(list_id, entry_id) for entry_id in entry_ids)
        return [entries.decode(body) for body in found if body is not None]

    def withdrawn_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterable[ListEntry]:
        found = (self.store.withdrawn(list_id, entry_id) for entry_id in entry_ids)
        return [entries.decode(body) for body in found if body is not None]

    def table_epoch(self, peer: PeerId, list_id: ListId, group: PurposeGroup) -> EpochId | None:
        held = self.store.manifest(peer, list_id, group)
        return None if held is None else held.epoch

    def delta_head(self, peer: PeerId, list_id: ListId, group: str, epoch: EpochId) -> tuple[int, bytes]:
        return self.store.delta_head(peer, list_id, group, epoch)

    def sharing(self, list_id: ListId, hashes: Sequence[bytes]) -> Iterable[ListEntry]:
        return [entries.decode(body) for body in self.store.sharing(list_id, hashes)]


@dataclass(frozen=True)
class Sent:
    """One message that crossed a border."""

    sender: PeerId
    receiver: PeerId
    method: str
    message: SignedMessage

    def request(self) -> CheckRequest:
        assert self.method == convert.CHECK
        return convert.check_request(self.message.body)


@dataclass
class Line:
    """What a test does to the line from one state to another."""

    down: bool = False
    stalled: bool = False
    during: Callable[[], object] = lambda: None
    """Runs at the owner's, once the request has arrived."""
    reply: Callable[[CheckReply], CheckReply] = lambda reply: reply
    """What the owner makes of its reply before it signs it: a hostile owner."""
    manifest: ports.SignedManifest | None = None
    """Shown instead of the manifest in force."""
    table: bytes | None = None
    """Served instead of the table made for the asker."""
    chunk: Callable[[bytes], bytes] = lambda chunk: chunk
    deltas: Callable[[list[SignedMessage]], list[SignedMessage]] = lambda deltas: deltas
    """What the owner makes of the deltas it is asked for."""
    pair_head: Callable[[PairHead], PairHead] = lambda told: told
    refusal: GatewayError | None = None


class Wire:
    """ports.Peers of one state. Each call is signed, sent as bytes, verified and parsed at the other side, and back."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def check(self, peer: PeerId, request: CheckRequest, *, timeout_s: float) -> CheckReply:
        body = convert.encode_check_request(request)
        reply = await self._call(peer, convert.CHECK, body, timeout_s, convert.named_request(request))
        found = convert.check_reply(reply.body, envelope.body_hash(body))
        if len(found.evaluated) != len(request.blinded):
            raise PeerUnreachable(f"{peer}: not as many points as were asked")
        return dataclasses.replace(found, signed=(reply.header, reply.signature))

    async def manifest(
        self, peer: PeerId, list_id: ListId, group: PurposeGroup, *, timeout_s: float
    ) -> ports.SignedManifest:
        asked = ManifestRequest(RequestId(self._state.chance.token(16)), peer, list_id, group)
        reply = await self._call(peer, convert.GET_MANIFEST, convert.encode_manifest_request(asked), timeout_s)
        found = convert.manifest_reply(reply.body)
        owner = self._state.world[peer]
        try:
            envelope.verify(
                found.message,
                method=envelope.MANIFEST,
                sender=peer,
                receiver=self._state.code,
                keys=[owner.public["message"]],
                now_ns=None,
            )
        except VerificationFailed as doubt:
            raise PeerUnreachable(f"{peer}: {doubt}") from None
        return found

    async def chunk(self, peer: PeerId, manifest: Manifest, number: int, *, timeout_s: float) -> bytes:
        asked = ChunkRequest(RequestId(self._state.chance.token(16)), manifest.scope, manifest.version, number)
        reply = await self._call(peer, convert.GET_TABLE_CHUNK, convert.encode_chunk_request(asked), timeout_s)
        return convert.chunk_reply(reply.body, manifest.version, number)

    async def deltas(
        self, peer: PeerId, scope: KeyScope, after: int, *, timeout_s: float
    ) -> Sequence[ports.SignedDelta]:
        asked = DeltasRequest(RequestId(self._state.chance.token(16)), scope, after)
        reply = await self._call(peer, convert.GET_DELTAS, convert.encode_deltas_request(asked), timeout_s)
        found = convert.deltas_reply(reply.body)
        for one in found:
            try:
                envelope.verify(
                    one.message,
                    method=envelope.DELTA,
                    sender=peer,
                    receiver=self._state.code,
                    keys=[self._state.world[peer].public["message"]],
                    now_ns=None,
                )
            except VerificationFailed as doubt:
                raise PeerUnreachable(f"{peer}: {doubt}") from None
        return found

    async def add_checkpoint(
        self, peer: PeerId, old_size: int, proof: Sequence[bytes], note: bytes, *, timeout_s: float
    ) -> bytes:
        asked = CheckpointRequest(RequestId(self._state.chance.token(16)), old_size, tuple(proof), note)
        reply = await self._call(peer, convert.ADD_CHECKPOINT, convert.encode_checkpoint_request(asked), timeout_s)
        result = convert.checkpoint_reply(reply.body)
        if isinstance(result, int):
            raise VerificationFailed("old_size", f"{peer} knows another size", position=result)
        return result

    async def pair_head(
        self, peer: PeerId, numbers: Sequence[int], *, timeout_s: float
    ) -> tuple[PairHead, SignedMessage]:
        asked = PairHeadRequest(RequestId(self._state.chance.token(16)), tuple(numbers))
        reply = await self._call(peer, convert.GET_PAIR_HEAD, convert.encode_pair_head_request(asked), timeout_s)
        return convert.pair_head(reply.body, len(numbers)), reply

    async def _call(
        self, peer: PeerId, method: str, body: bytes, timeout_s: float, named: Named | None = None
    ) -> SignedMessage:
        us, world = self._state, self._state.world
        line = world.line(us.code, peer)
        if line.down:
            raise PeerUnreachable(f"{peer}: no answer")
        message = await us.keys.sign(us.sender.request(method, peer, world.clock.now_ns(), named), body)
        world.send(Sent(us.code, peer, method, message))
        if line.stalled:
            await asyncio.sleep(timeout_s * 10)
        try:
            if line.refusal is not None:
                raise line.refusal
            reply = await world[peer].serve(us.code, method, message, line)
        except GatewayError as refusal:
            # As `rpc.peers` reads refusals.
            if isinstance(refusal, (*BELIEVED, *((VerificationFailed,) if method == convert.ADD_CHECKPOINT else ()))):
                raise
            raise PeerUnreachable(f"{peer}: {refusal}") from None
        world.send(Sent(peer, us.code, method, reply))
        envelope.verify(
            reply,
            method=method,
            sender=peer,
            receiver=us.code,
            keys=[world[peer].public["message"]],
            now_ns=world.clock.now_ns(),
            request_hash=envelope.body_hash(body),
        )
        return reply


# -- States -----------------------------------------------------------------------------------------------------------


class WitnessStore:
    """`flows.witness.WitnessStore` over the store in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def witness(
        self, origin: str, old_size: int, size: int, root: bytes, noted: bytes, proof: Sequence[bytes] | None = None
    ) -> None:
        await asyncio.sleep(0)
        await self._store.witness_put(origin, old_size, size, root, noted, proof)
        await asyncio.sleep(0)


class State:
    """One state's node."""

    def __init__(self, world: World, code: PeerId, policy: ports.PolicyEngine, seed: str) -> None:
        self.world = world
        self.code = code
        self.policy = policy
        self.chance = Chance(f"{seed} {code}")
        self.store = MemoryStore(
            world.clock.now_ns,
            origin=names.log_origin(code),
            recipients=seal.Recipients(*(crypto_scalarmult_base(READERS[role]) for role in seal.ROLES)),
            chance=self.chance.token,
        )
        self.uow = Ledger(code, self.store, world.journal)
        self.keys = Keys(code, Chance(f"{seed} {code} keys").token, world.journal)
        self.public: Mapping[str, bytes] = {}
        self.published = MemoryTables()
        self.copies = MemoryTables()
        self.deltas = DeltaCopies(self.store, convert.delta)
        self.wire = Wire(self)
        self.book = Book(self.store)

    async def open(self) -> State:
        self.public = await self.keys.public_keys()
        self.sender = Sender(self.code, self.public["message"], self._digest)
        await self.activate()
        return self

    def _digest(self) -> bytes:
        return self.store.last_digest() or envelope.NO_CHECKPOINT

    async def activate(self, sequence: int = 1) -> None:
        """Put the engine's bundles in force."""
        versions = self.policy.versions()
        await self.store.commit(
            [],
            [
                ports.Change("policy.activate", {"layer": layer, "digest": digest, "sequence": sequence})
                for layer, digest in (("baseline", versions.baseline), ("national", versions.national))
            ],
        )

    def rule(self, verdict: Callable[[Question], Permit | Deny]) -> Rules:
        """Other rules from now on, under the digests in force."""
        versions = self.policy.versions()
        rules = Rules(verdict, versions.baseline, versions.national)
        self.policy = rules
        return rules

    # Its flows' surroundings

    def asking(self, **changes: Any) -> AskingWorld:
        values: dict[str, Any] = {
            "state": self.code,
            "owners": [code for code in self.world.states if code != self.code and not self.store.is_suspended(code)],
            "policy": self.policy,
            "uow": self.uow,
            "peers": self.wire,
            "copies": self.copies,
            "deltas": self.deltas,
            "home": self.store,
            "compute": Inline(),
            "clock": self.world.clock,
            "chance": self.chance,
            "timeout_s": 30.0,
            "suspended": [code for code in self.world.states if self.store.is_suspended(code)],
        }
        return AskingWorld(**(values | changes))

    def answering(self) -> answer.AnsweringWorld:
        return answer.AnsweringWorld(
            state=self.code,
            policy=self.policy,
            uow=self.uow,
            replies=self.store,
            published=self.published,
            keys=self.keys,
            book=self.store,
            clock=self.world.clock,
            make_frame=self.sender.frame,
            method=convert.CHECK,
        )

    def publishing(self, *purposes: Purpose) -> publish.PublishingWorld:
        return publish.PublishingWorld(
            state=self.code,
            agency=AgencyId(AGENCIES.get(self.code, "ANY")),
            policy=_Only(self.policy, purposes) if purposes else self.policy,
            uow=self.uow,
            keys=self.keys,
            published=self.published,
            book=self.book,
            clock=self.world.clock,
            chance=self.chance,
            sign_manifest=self.sender.manifest,
        )

    def receiving(self) -> publish.ReceivingWorld:
        return publish.ReceivingWorld(
            state=self.code,
            peers=self.wire,
            copies=self.copies,
            deltas=self.deltas,
            uow=self.uow,
            clock=self.world.clock,
        )

    def listing(self) -> listing.ListingWorld:
        return listing.ListingWorld(
            state=self.code,
            policy=self.policy,
            uow=self.uow,
            book=self.book,
            clock=self.world.clock,
            announcing=announce.AnnouncingWorld(
                state=self.code,
                agency=AgencyId(AGENCIES.get(self.code, "ANY")),
                peers=[code for code in self.world.states if code != self.code],
                policy=self.policy,
                keys=self.keys,
                book=self.book,
                chance=self.chance,
                sign_delta=self.sender.delta,
            ),
        )

    def witnessing(self) -> witness.WitnessWorld:
        return witness.WitnessWorld(
            log_keys=self.world,
            store=WitnessStore(self.store),
            uow=self.uow,
            keys=self.keys,
            clock=self.world.clock,
            held=self.store.witness_note,
        )

    def collecting(self) -> witness.CollectingWorld:
        return witness.CollectingWorld(
            log=self.store, log_keys=self.world, peers=self.wire, uow=self.uow, state=self.code
        )

    def comparing(self) -> nightly.ComparingWorld:
        return nightly.ComparingWorld(
            state=self.code, book=self.store, peers=self.wire, log_keys=self.world, uow=self.uow,
            clock=self.world.clock, chance=self.chance,
        )  # fmt: skip

    # What it does

    async def enlist(self, *listed: ListEntry) -> None:
        """Enter entries without the act of listing (`flows.listing` has its own tests)."""
        await self.store.commit(
            [],
            [
                ports.Change("entry.put", {"list": one.list_id.value, "entry_id": one.entry_id, "body": one.encode()})
                for one in listed
            ],
        )

    async def publish(self, *peers: PeerId, purposes: Sequence[Purpose] = OFFERED) -> list[publish.Made]:
        return await publish.publish(peers, self.publishing(*purposes))

    async def fetch(self, owner: PeerId, purposes: Sequence[Purpose] = OFFERED) -> list[bool]:
        """Every table the owner has for us under these purposes."""
        return [
            await publish.receive(owner, catalogue.group_of(purpose), list_id, self.receiving())
            for purpose in purposes
            for list_id in catalogue.lists_of(purpose)
        ]

    async def ask(self, *travellers: Traveller, **changes: Any) -> CheckAnswer:
        """An officer of the first line asks everybody."""
        officer = changes.pop("officer", None) or self.officer()
        around = self.asking(**{name: changes.pop(name) for name in _AROUND & set(changes)})
        return await check.ask(self.inquiry(*travellers, **changes), officer, around)

    def officer(self, *roles: Role) -> Officer:
        return Officer(OfficerId("P-77"), AgencyId(AGENCIES.get(self.code, "ANY")), roles or (Role.BORDER_FRONTLINE,))

    def inquiry(self, *travellers: Traveller, **changes: Any) -> Inquiry:
        values: dict[str, Any] = {
            "request_id": RequestId(self.chance.token(16)),
            "purpose": WATCH,
            "legal_basis": "bilateral agreement",
            "case_ref": "shift 12",
            "justification": Hidden("first line"),
            "travellers": travellers,
            "protection_declared": False,
            "declared_origins": frozenset(),
            "reply_key": Hidden(self.chance.token(32)),
        } | changes
        key = values["reply_key"].open()
        words = [values["request_id"].value, key, values["case_ref"].encode(), values["purpose"].encode()]
        return Inquiry(**({"digest": check.digest_of(words)} | values))

    async def serve(self, peer: PeerId, method: str, message: SignedMessage, line: Line) -> SignedMessage:
        """As the peers' listener does: verify over the exact bytes, parse, run the flow, sign."""
        now = self.world.clock.now_ns()
        header = envelope.verify(
            message,
            method=method,
            sender=peer,
            receiver=self.code,
            keys=[self.world[peer].public["message"]],
            now_ns=now,
        )
        line.during()
        if method == convert.CHECK:
            request = convert.check_request(message.body)
            if request.asker != peer:
                raise Malformed("asker", "is not the sender")
            convert.judge_named(header.entry, request)
            came = Came(header.body_hash, message.header, message.signature, header.entry)
            reply = await answer.answer(request, came, self.answering())
            bent = line.reply(convert.check_reply(reply.body, header.body_hash))
            body = convert.encode_check_reply(bent)
            if body == reply.body:
                return reply
        elif method == convert.GET_MANIFEST:
            wanted = convert.manifest_request(message.body)
            found = self.published.current(peer, wanted.list_id, wanted.group)
            if found is None or found.manifest.expires_ns <= now:
                raise NotFoundOrNotPermitted("no table")
            if line.manifest is not None and wanted.list_id is ListId.PERSONS:
                found = line.manifest
            body = convert.encode_manifest_reply(found.message)
        elif method == convert.GET_TABLE_CHUNK:
            piece = convert.chunk_request(message.body)
            current = self.published.current(peer, piece.scope.list_id, piece.scope.group)
            if current is None or piece.scope.peer != peer:
                raise NotFoundOrNotPermitted("no table")
            size = current.manifest.chunk_bytes
            if line.table is not None:
                chunk = line.table[piece.number * size : (piece.number + 1) * size]
            else:
                asked = dataclasses.replace(current.manifest, version=piece.version)
                chunk = self.published.chunk(peer, asked, piece.number)
            body = convert.encode_chunk_reply(piece, line.chunk(chunk))
        elif method == convert.GET_DELTAS:
            behind = convert.deltas_request(message.body)
            scope = behind.scope
            held = self.store.deltas(peer, scope.list_id, scope.group, scope.epoch, behind.after, convert.DELTAS_MAX)
            if scope.peer != peer or not held or held[0][0] != behind.after + 1:
                raise NotFoundOrNotPermitted("no such deltas")
            body = convert.encode_deltas_reply(line.deltas([one for _, one in held]))
        elif method == convert.GET_PAIR_HEAD:
            asked_for = convert.pair_head_request(message.body)
            told = await nightly.tell(peer, asked_for, nightly.TellingWorld(self.store, self.store))
            body = convert.encode_pair_head(line.pair_head(told))
        else:
            try:
                result: bytes | int = await witness.cosign(
                    peer, convert.checkpoint_request(message.body), self.witnessing()
                )
            except VerificationFailed as conflict:
                if conflict.step != "old_size" or conflict.position is None:
                    raise
                result = conflict.position
            body = convert.encode_checkpoint_reply(result)
        return await self.keys.sign(self.sender.reply(method, peer, now, header.body_hash), body)

    async def checkpoint(self) -> bytes:
        """What the writer's timer does: sign a checkpoint of everything and keep it."""
        head = checkpoint.Checkpoint(self.store.origin(), self.store.size(), self.store.tree().root())
        noted = await self.keys.sign_note(head.encode())
        self.store.put_checkpoint(head.size, noted, head.digest)
        return noted

    async def bent(self, peer: PeerId, bend: Callable[[bytes], bytes]) -> tuple[ports.SignedManifest, bytes]:
        """A table of persons for the peer as a hostile owner would make it: the next version, bent, properly signed."""
        held = self.published.current(peer, ListId.PERSONS, WATCH_GROUP)
        assert held is not None
        version = held.manifest.version + 1
        blob = self.table(peer)
        blob = bend(blob[:16] + version.to_bytes(8, "big") + blob[24:])
        size = held.manifest.chunk_bytes
        made = dataclasses.replace(
            held.manifest,
            version=version,
            chunk_hashes=tuple(hashlib.sha256(blob[at : at + size]).digest() for at in range(0, len(blob), size)),
            table_hash=hashlib.sha256(blob).digest(),
            previous=hashlib.sha256(held.message.body).digest(),
        )
        return await self.signed(made), blob

    async def bend_table(self, peer: PeerId, bend: Callable[[bytes], bytes]) -> None:
        """Serve such a table from now on."""
        line = self.world.line(peer, self.code)
        line.manifest, line.table = await self.bent(peer, bend)

    async def signed(self, made: Manifest) -> ports.SignedManifest:
        body, fields = self.sender.manifest(made, made.made_ns)
        return ports.SignedManifest(made, await self.keys.sign(fields, body))

    def table(self, peer: PeerId, list_id: ListId = ListId.PERSONS) -> bytes:
        """The whole table made for the peer."""
        held = self.published.current(peer, list_id, _GROUP_OF[list_id])
        assert held is not None
        return b"".join(
            self.published.chunk(peer, held.manifest, number) for number in range(len(held.manifest.chunk_hashes))
        )

    # What a test asks afterwards

    def logged(self, kind: str) -> list[Entry]:
        return [one for one in self.store.entries if one.kind == kind]

    def leaves(self, kind: str) -> list[leaf.Leaf]:
        """The kind's leaves as an auditor reads them."""
        read = (leaf.Leaf.parse(raw) for raw in self.store.leaves(0, self.store.size()))
        return [one for one in read if one.kind == kind]

    def opened(self, one: leaf.Leaf, role: seal.Role = "auditor") -> dict[str, Any]:
        """The sealed fields that a reader's key opens."""
        payload = self.store.payload(one.seq)
        assert payload is not None
        parts = seal.Opener(READERS[role]).open(payload)
        return {**leaf.open_fields(one, parts.secret), **leaf.open_fields(one, parts.guard)}


class World:
    """States by code, and everything that passed between them."""

    def __init__(self) -> None:
        self.clock = VirtualTime()
        self.journal: list[str] = []
        self.sent: list[Sent] = []
        self.states: dict[PeerId, State] = {}
        self._lines: dict[tuple[PeerId, PeerId], Line] = {}

    @classmethod
    async def of(
        cls,
        *codes: PeerId,
        policy: Callable[[PeerId], ports.PolicyEngine] | Mapping[PeerId, ports.PolicyEngine] = shipped,
        seed: str = "",
    ) -> World:
        """States that know one another. `policy` gives each its rules, the shipped ones where it names none."""
        world = cls()
        for code in codes:
            rules = policy.get(code) or shipped(code) if isinstance(policy, Mapping) else policy(code)
            world.states[code] = await State(world, code, rules, seed).open()
        return world

    @classmethod
    async def exchanging(cls, *codes: PeerId, listed: Mapping[PeerId, Sequence[ListEntry]], **rest: Any) -> World:
        """A world whose first state holds a table of each of the others', made of what they list; of documents only
        where somebody lists any (a table costs ten milliseconds)."""
        world = await cls.of(*codes, **rest)
        first, *others = codes
        documents = any(one.list_id is ListId.DOCUMENTS for rows in listed.values() for one in rows)
        purposes = OFFERED if documents else (WATCH,)
        for code in others:
            await world[code].enlist(*listed.get(code, ()))
            await world[code].publish(first, purposes=purposes)
            await world[first].fetch(code, purposes)
        world.journal.clear()
        world.sent.clear()
        return world

    def __getitem__(self, code: PeerId) -> State:
        return self.states[code]

    def __iter__(self) -> Iterator[State]:
        return iter(self.states.values())

    def line(self, asker: PeerId, owner: PeerId) -> Line:
        return self._lines.setdefault((asker, owner), Line())

    def send(self, sent: Sent) -> None:
        self.sent.append(sent)
        self.journal.append(f"{sent.sender} to {sent.receiver}: {sent.method.rpartition('/')[2]}")

    def checks(self, receiver: PeerId) -> list[Sent]:
        """Batches that reached a state, in order."""
        return [one for one in self.sent if one.method == convert.CHECK and one.receiver == receiver and _asks(one)]

    def replies(self, sender: PeerId) -> list[Sent]:
        return [one for one in self.sent if one.method == convert.CHECK and one.sender == sender and not _asks(one)]

    # `flows.witness.LogKeys`: what the list of members says

    def log_vkey(self, state: PeerId) -> str:
        if state not in self.states:
            raise NotFoundOrNotPermitted("no member")
        return note.Verifier(names.log_origin(state), note.LOG_KEY, self[state].public["log"]).vkey

    def witness_vkey(self, state: PeerId) -> str:
        return note.Verifier(names.witness_name(state), note.WITNESS_KEY, self[state].public["witness"]).vkey


def _asks(sent: Sent) -> bool:
    return envelope.decode(sent.message.header).request_hash is None


def now(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing but its turn, from where nothing can be awaited."""
    try:
        while work.send(None) is None:
            continue
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


# -- Travellers -------------------------------------------------------------------------------------------------------


def person(surname: str, given: str = "", birth: str = "1980-03-05", *nationalities: str, **more: Any) -> Person:
    return Person(
        names=Hidden((Name(surname, given),)),
        birth=Hidden(dates.parse(birth)),
        nationalities=nationalities or ("VEN",),
        **more,
    )


def passport(issuer: str, number: str, nationality: str = "") -> Document:
    return Document(issuer, document_number(number), nationality)


def traveller(who: Person | None = None, *documents: Document) -> Traveller:
    return Traveller(who, documents)
