"""Three states with real keys and certificates, a door that answers from memory, and real sockets between them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import grpc

from gateway.federation import certificates, document, envelope
from gateway.federation.certificates import KeyPair
from gateway.federation.document import Document, Member, MessageKey, Status
from gateway.federation.members import FederationView
from gateway.ports import ReplyFrame, SignedManifest
from gateway.primitives import ed25519
from gateway.rpc import tls
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.doors import PeerReleaseDoor
from gateway.rpc.limits import Limits
from gateway.rpc.server import CallContext, PeerServer, peer_handlers
from gateway.terms import KeyType
from gateway.terms.call import CallSeen
from gateway.terms.exchange import (
    CheckpointRequest,
    CheckRequest,
    ChunkRequest,
    DeltasRequest,
    Description,
    KeyScope,
    Manifest,
    ManifestRequest,
    PairHead,
    PairHeadRequest,
    SignedMessage,
)
from gateway.terms.ids import AgencyId, PeerId
from tests.unit.rpc import terms

NOW_NS = terms.NOW_NS
DAY_NS = 86_400 * 10**9
PAN, HND, UTO = PeerId("PAN"), PeerId("HND"), PeerId("UTO")
COSIGNATURE = "— HND/witness AAAA\n".encode()


class StillClock:
    """UTC stands still unless a test moves it; waiting is real."""

    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.now = now_ns

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9)

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0.0, (monotonic_ns - self.monotonic_ns()) / 1e9))


class Counter:
    """Chance that never repeats."""

    def __init__(self) -> None:
        self._next = 0

    def token(self, size: int) -> bytes:
        self._next += 1
        return sha256(str(self._next).encode()).digest()[:size]


def seed(state: str) -> bytes:
    return f"{state} message".encode().ljust(32, b".")


@functools.cache
def anchor(state: str) -> KeyPair:
    return certificates.make_anchor(PeerId(state), NOW_NS)


@functools.cache
def leaf(state: str, by: str = "", role: str = "gateway", name: str = "") -> KeyPair:
    return certificates.issue_leaf(anchor(by or state), PeerId(state), role, NOW_NS, name=name)


def member(state: str, port: int = 9, **changes: Any) -> Member:  # noqa: ANN401 (a member's fields)
    public = ed25519.public(seed(state))
    number = sum(state.encode())
    made = Member(
        state=PeerId(state),
        status=Status.ACTIVE,
        agencies=(AgencyId("SNM"),),
        endpoints=(f"127.0.0.1:{port}",),
        tls_pins=(certificates.spki_pin(certificates.der_of(leaf(state).certificate_pem)),),
        anchor_pem=anchor(state).certificate_pem.decode("ascii"),
        authority=ed25519.public(seed(state + "authority")),
        message_keys=(MessageKey(document.key_id(public), public, NOW_NS - DAY_NS, NOW_NS + 90 * DAY_NS),),
        log_vkey=f"limen/{state}/log+{number:08x}+AAAA",
        witness_vkey=f"limen/{state}/witness+{number:08x}+BBBB",
        case_key=seed(state + "case"),
    )
    return replace(made, **changes)


def view(*members: Member, expires_ns: int = NOW_NS + 30 * DAY_NS) -> FederationView:
    return FederationView(Document(1, expires_ns, 2, bytes(32), members))


def sender(state: str) -> Sender:
    return Sender(PeerId(state), ed25519.public(seed(state)), lambda: envelope.NO_CHECKPOINT)


class Keys:
    """The key process's signing half, in memory. Points come back as they went, under a constant proof."""

    def __init__(self, state: str) -> None:
        self._seed = seed(state)

    async def sign(self, header_fields: Mapping[str, Any], body: bytes) -> SignedMessage:
        return envelope.seal(header_fields, body, lambda data: ed25519.sign(self._seed, data))

    async def evaluate_and_sign(self, scope: KeyScope, blinded: bytes, frame: ReplyFrame) -> SignedMessage:
        return await self.sign(
            frame.header_fields, frame.before + frame.evaluated_tag + blinded + frame.proof_tag + b"p" * 64
        )

    async def sign_note(self, text: bytes) -> bytes:
        raise NotImplementedError

    async def cosign(self, text: bytes, time_s: int) -> bytes:
        raise NotImplementedError

    async def derive(self, scope: KeyScope, inputs: Sequence[bytes]) -> list[bytes]:
        raise NotImplementedError

    async def handles(self, scope: KeyScope, entry_ids: Sequence[str]) -> list[bytes]:
        raise NotImplementedError

    async def public_key(self, scope: KeyScope) -> bytes:
        raise NotImplementedError

    async def open_epoch(self, peer: PeerId, epoch: str) -> None:
        raise NotImplementedError

    async def destroy(self, peer: PeerId, epoch: str | None = None) -> int:
        raise NotImplementedError

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        raise NotImplementedError

    async def public_keys(self) -> Mapping[str, bytes]:
        raise NotImplementedError


@dataclass
class Door:
    """HND's answers. `trouble` is raised instead when set; `gate` is waited for."""

    state: str = "HND"
    trouble: BaseException | None = None
    gate: asyncio.Event | None = None
    witnessed: int = 0
    calls: list[CallContext] = field(default_factory=list)

    async def _begin(self, call: CallContext) -> None:
        self.calls.append(call)
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble

    async def check(self, request: CheckRequest, call: CallContext) -> SignedMessage:
        await self._begin(call)
        reply = terms.a_check_reply(call.request_hash, evaluated=b"", proof=b"", epoch=request.epoch)
        frame = sender(self.state).frame(request, reply, call.now_ns)
        return await Keys(self.state).evaluate_and_sign(request.scope, request.blinded, frame)

    def made(self, peer: PeerId) -> Manifest:
        base = terms.a_manifest()
        return replace(base, scope=replace(base.scope, owner=PeerId(self.state), peer=peer))

    async def manifest(self, request: ManifestRequest, call: CallContext) -> SignedManifest:
        await self._begin(call)
        manifest = self.made(call.peer)
        body, fields = sender(self.state).manifest(manifest, manifest.made_ns)
        return SignedManifest(manifest, await Keys(self.state).sign(fields, body))

    async def chunk(self, request: ChunkRequest, call: CallContext) -> bytes:
        await self._begin(call)
        return b"chunk" * 100

    async def deltas(self, request: DeltasRequest, call: CallContext) -> list[SignedMessage]:
        await self._begin(call)
        made = replace(terms.a_delta(), scope=request.scope, number=request.after + 1)
        body, fields = sender(self.state).delta(made, made.made_ns)
        return [await Keys(self.state).sign(fields, body)]

    async def describe(self, call: CallContext) -> Description:
        await self._begin(call)
        return Description(
            state=PeerId(self.state),
            release="0.1.0",
            protocol_majors=(1,),
            suites=(convert.SUITE,),
            key_types=(KeyType.DOC_1,),
            classes=(8, 32, 320, 1280),
            baseline_digest=bytes(32),
            time_ns=call.now_ns,
            methods=(convert.CHECK,),
        )

    async def add_checkpoint(self, request: CheckpointRequest, call: CallContext) -> bytes:
        await self._begin(call)
        return COSIGNATURE

    async def pair_head(self, request: PairHeadRequest, call: CallContext) -> PairHead:
        await self._begin(call)
        return terms.a_pair_head(len(request.numbers))


@dataclass
class Node:
    """HND, listening."""

    server: PeerServer
    port: int
    door: Door
    clock: StillClock
    seen: list[CallSeen]
    in_force: list[FederationView]

    @property
    def members(self) -> FederationView:
        """The federation document in force at HND."""
        return self.in_force[0]

    @members.setter
    def members(self, later: FederationView) -> None:
        self.in_force[0] = later

    def last(self) -> CallSeen:
        return self.seen[-1]


GENEROUS = Limits(calls_per_s=1e6, burst=10**6, concurrent=200, errors_per_minute=1e6, total=256)


@asynccontextmanager
async def a_node(
    *,
    limits: Limits = GENEROUS,
    members: FederationView | None = None,
    door: Door | None = None,
    suspended: set[str] | None = None,
    own_leaf: Callable[[], KeyPair] = lambda: leaf("HND"),
    port: int = 0,
    releases: PeerReleaseDoor | None = None,
) -> AsyncIterator[Node]:
    """HND's peer listener on the loopback."""
    door = door or Door()
    clock = StillClock()
    seen: list[CallSeen] = []
    now_in_force = [members or view(member("HND"), member("PAN"), member("UTO"))]
    server = PeerServer(
        state=HND,
        view=lambda: now_in_force[0],
        handlers=peer_handlers(door, sender=sender("HND"), keys=Keys("HND"), clock=clock, releases=releases),
        leaf=own_leaf,
        clock=clock,
        observe=seen.append,
        limits=limits,
        is_suspended=lambda peer: peer in (suspended or set()),
    )
    try:
        yield Node(server, await server.start(f"127.0.0.1:{port}"), door, clock, seen, now_in_force)
    finally:
        await server.drain(0)


def channel(port: int, caller: KeyPair, roots: str = "HND") -> grpc.aio.Channel:
    """A raw channel, for tests that speak the wire themselves."""
    return grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        tls.channel_credentials(caller, anchor(roots).certificate_pem),
        options=[*tls.channel_options(1 << 22), ("grpc.use_local_subchannel_pool", 1)],
    )


def method(channel: grpc.aio.Channel, path: str) -> Any:  # noqa: ANN401 (gRPC's callable)
    """One method of raw bytes."""
    made: Any = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
    return made


def sealed(
    body: bytes, *, method: str = convert.CHECK, state: str = "PAN", now_ns: int = NOW_NS, **changes: object
) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """Metadata of a request that `state` signs for HND, with header values changed before it is signed."""
    fields = sender(state).request(method, HND, now_ns) | changes
    message = envelope.seal(fields, body, lambda data: ed25519.sign(seed(state), data))
    return ((envelope.HEADER_KEY, message.header), (envelope.SIGNATURE_KEY, message.signature))
