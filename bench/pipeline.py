"""E1: what the gateway's own steps cost a call, in bare echoes of the same run.

The peers' listener and `bench.echo`'s server, each a process of its own on grpc.aio, uvloop and mutual TLS 1.3, are
asked by one client in turn. E1 leaves out what the figure leaves out, policy and cryptography; identity, limits,
deadline, shape, metrics and the log line remain. E1.signed is the same with the envelope's signature verified and a
reply signed in advance, for information.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import uvloop

from bench import echo
from gateway.federation import certificates, document, envelope
from gateway.federation.certificates import KeyPair
from gateway.federation.document import Document, Member, MessageKey, Status
from gateway.federation.members import FederationView
from gateway.policy import catalogue
from gateway.primitives import ed25519
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.doors import CallContext
from gateway.rpc.limits import Limits
from gateway.rpc.server import PEER_METHODS, PeerServer, Seen
from gateway.telemetry.observe import Telemetry
from gateway.terms import ListId, PeerId, Purpose, RequestId, Role
from gateway.terms.exchange import CheckReply, CheckRequest, SignedMessage
from gateway.terms.ids import AgencyId, EpochId, PurposeGroup

Row = dict[str, Any]

IDS = ("E1", "E1.signed", "E1.p50")

GOAL = 1.3
CLASS_SIZE = 32
"""Points in a request: 1,024 bytes of them, the figure's 1 KB."""

CONCURRENT = 16
CHANNELS = 4
DAY_NS = 86_400 * 10**9
NO_LIMITS = Limits(calls_per_s=1e9, burst=10**9, concurrent=10**6, errors_per_minute=1e9, total=10**6)


def run(smoke: bool) -> list[Row]:
    """The rows of E1. The short form asserts nothing about speed."""
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(_measure(Path(folder), rounds=2 if smoke else 9, calls=200 if smoke else 3000))


async def _measure(folder: Path, rounds: int, calls: int) -> list[Row]:
    world = World.make(folder)
    kinds = ("echo", *SERVERS)
    cpu: dict[str, list[float]] = {kind: [] for kind in kinds}
    single: dict[str, list[float]] = {kind: [] for kind in kinds}
    async with contextlib.AsyncExitStack() as stack:
        bare = await stack.enter_async_context(echo.running(folder, CHANNELS))
        servers = {"echo": (bare.pid, bare.ask)}
        for kind in SERVERS:
            listener = serving(world, "bench.pipeline", kind, signed=kind == "signed")
            servers[kind] = await stack.enter_async_context(listener)
        for _, ask in servers.values():
            await echo.load(ask, calls // 2, CONCURRENT)
        for _ in range(rounds):
            for kind, (pid, ask) in servers.items():
                before = echo.cpu_ns([pid])
                await echo.load(ask, calls, CONCURRENT)
                cpu[kind].append((echo.cpu_ns([pid]) - before) / calls)
                single[kind].append(median(await echo.load(ask, max(20, calls // 20), 1)))
    # Ratios within a round: what else the machine does in a round falls on both.
    ratio = median(gateway / one for gateway, one in zip(cpu["steps"], cpu["echo"], strict=True))
    signed = median(gateway / one for gateway, one in zip(cpu["signed"], cpu["echo"], strict=True))
    waits = median(gateway / one for gateway, one in zip(single["steps"], single["echo"], strict=True))
    against = f"bare mTLS echo of 1 KB, {median(cpu['echo']) / 1e3:.0f} us of CPU a call"
    unit = "echoes of server CPU a call"
    return [
        _row("E1", ratio, unit, GOAL, against),
        _row("E1.signed", signed, f"{unit}, the envelope's signature verified", None, against),
        _row("E1.p50", waits, "echo p50s at c=1", None, f"bare mTLS echo, p50 {median(single['echo']) / 1e3:.0f} us"),
    ]


def _row(name: str, value: float, unit: str, goal: float | None, against: str) -> Row:
    return {
        "id": name,
        "value": round(value, 3),
        "unit": unit,
        "goal": f"<= {goal:g}" if goal is not None else "",
        "met": value <= goal if goal is not None else None,
        "against": against,
    }


# -- What both sides know ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """Two states: HND answers, PAN asks. Everything lies in files, so that the servers are processes of their own."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> World:
        """Draw keys and certificates."""
        now_ns = time.time_ns()
        for state in ("HND", "PAN"):
            anchor = certificates.make_anchor(PeerId(state), now_ns)
            leaf = certificates.issue_leaf(anchor, PeerId(state), "gateway", now_ns)
            (folder / f"{state}.anchor").write_bytes(anchor.certificate_pem)
            (folder / f"{state}.key").write_bytes(leaf.key_pem)
            (folder / f"{state}.crt").write_bytes(leaf.certificate_pem)
        return cls(folder)

    def leaf(self, state: str) -> KeyPair:
        """A state's certificate and key."""
        return KeyPair((self.folder / f"{state}.key").read_bytes(), (self.folder / f"{state}.crt").read_bytes())

    def anchor(self, state: str) -> bytes:
        """A state's anchor."""
        return (self.folder / f"{state}.anchor").read_bytes()

    def view(self) -> FederationView:
        """The list of members with both."""
        now_ns = time.time_ns()
        members = []
        for state in ("HND", "PAN"):
            public = ed25519.public(_seed(state))
            members.append(
                Member(
                    state=PeerId(state),
                    status=Status.ACTIVE,
                    agencies=(AgencyId("SNM"),),
                    endpoints=("127.0.0.1:1",),
                    tls_pins=(certificates.spki_pin(certificates.der_of(self.leaf(state).certificate_pem)),),
                    anchor_pem=self.anchor(state).decode("ascii"),
                    authority=public,
                    message_keys=(MessageKey(document.key_id(public), public, now_ns - DAY_NS, now_ns + DAY_NS),),
                    log_vkey="",
                    witness_vkey="",
                    case_key=bytes(32),
                )
            )
        return FederationView(Document(1, now_ns + DAY_NS, 1, bytes(32), tuple(members)))


def _seed(state: str) -> bytes:
    return f"{state} bench".encode().ljust(32, b".")


def _request() -> bytes:
    return convert.encode_check_request(
        CheckRequest(
            leg_id=RequestId(bytes(16)),
            batch=0,
            batches=1,
            asker=PeerId("PAN"),
            owner=PeerId("HND"),
            agency=AgencyId("SNM"),
            role=Role.BORDER_FRONTLINE,
            purpose=Purpose("SEC.WATCH"),
            legal_basis="PAN-HND agreement, article 4",
            list_id=ListId.PERSONS,
            group=PurposeGroup("WATCH"),
            epoch=EpochId("68e6a400-0badcafe"),
            key_types=catalogue.key_types_of(Purpose("SEC.WATCH")),
            known_version=3,
            blinded=bytes(32 * CLASS_SIZE),
            seed_commitment=bytes(32),
            pair_seq=7,
            baseline_digest=bytes(32),
            national_digest=bytes(32),
            permit_expires_ns=time.time_ns() + 600 * 10**9,
        )
    )


def _reply() -> bytes:
    return convert.encode_check_reply(
        CheckReply(bytes(64), bytes(32 * CLASS_SIZE), bytes(64), EpochId("68e6a400-0badcafe"), 3, 992, 9)
    )


class _Clock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep((monotonic_ns - time.monotonic_ns()) / 1e9)


# -- Servers ----------------------------------------------------------------------------------------------------------


class Steps(PeerServer):
    """The peers' listener without its signature step: what E1 counts. It exists in benches alone."""

    async def _serve(
        self,
        path: str,
        body: bytes,
        context: Any,
        caller: PeerId,
        now_ns: int,
        deadline_ns: int,
        seen: Seen,  # noqa: ANN401
    ) -> bytes:
        method = PEER_METHODS[path]
        method.agree(method.decode(body), caller, PeerId("HND"), now_ns)
        seen.served = True
        return _REPLY[0].body


async def serve_gateway(world: World, kind: type[PeerServer]) -> int:
    """Start a listener of this kind in this process; returns its port."""
    fields = Sender(PeerId("HND"), ed25519.public(_seed("HND")), lambda: envelope.NO_CHECKPOINT).reply(
        convert.CHECK, PeerId("PAN"), time.time_ns(), envelope.body_hash(_request())
    )
    _REPLY.append(envelope.seal(fields, _reply(), lambda data: ed25519.sign(_seed("HND"), data)))

    async def answer(body: bytes, call: CallContext) -> SignedMessage:
        return _REPLY[0]

    view, leaf = world.view(), world.leaf("HND")
    # Kept open while the process lives: the operational log of a node goes to a file as well.
    log = (world.folder / f"{kind.__name__}.log").open("w", encoding="utf-8")
    clock = _Clock()
    server = kind(
        state=PeerId("HND"),
        view=lambda: view,
        handlers={convert.CHECK: answer},
        leaf=lambda: leaf,
        clock=clock,
        observe=Telemetry(PeerId("HND"), clock, log).seen,
        limits=NO_LIMITS,
    )
    _KEPT.extend((server, log))
    return await server.start("127.0.0.1:0")


_KEPT: list[object] = []
_REPLY: list[SignedMessage] = []

SERVERS: dict[str, Callable[[World], Any]] = {
    "steps": lambda world: serve_gateway(world, Steps),
    "signed": lambda world: serve_gateway(world, PeerServer),
}


async def until_told(port: Awaitable[int]) -> None:
    """Say the port, and serve until the parent has seen enough."""
    print(await port, flush=True)
    # The parent closes our standard input when it is done.
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


@contextlib.asynccontextmanager
async def serving(world: World, *command: str, signed: bool = False) -> AsyncIterator[tuple[int, echo.Ask]]:
    """(process id, one call) of a listener, asked over several open connections in turn.

    `command` is a module of this package with its arguments, which ends in `until_told`.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *command, str(world.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=echo.ROOT,
    )
    channels: list[grpc.aio.Channel] = []
    try:
        assert process.stdout is not None
        port = int(await asyncio.to_thread(process.stdout.readline))
        channels = echo.connected(f"127.0.0.1:{port}", world.leaf("PAN"), world.anchor("HND"), CHANNELS)
        yield process.pid, _asking(channels, signed=signed)
    finally:
        for channel in channels:
            await channel.close()
        # The end of its standard input ends it.
        process.communicate()


def _asking(channels: Sequence[grpc.aio.Channel], *, signed: bool) -> echo.Ask:
    body = _request()
    sender = Sender(PeerId("PAN"), ed25519.public(_seed("PAN")), lambda: envelope.NO_CHECKPOINT)
    methods: list[Any] = [channel.unary_unary(convert.CHECK) for channel in channels]

    def metadata() -> tuple[tuple[str, bytes], ...]:
        if not signed:
            return ()
        fields = sender.request(convert.CHECK, PeerId("HND"), time.time_ns())
        message = envelope.seal(fields, body, lambda data: ed25519.sign(_seed("PAN"), data))
        return ((envelope.HEADER_KEY, message.header), (envelope.SIGNATURE_KEY, message.signature))

    kept = [(time.monotonic(), metadata())]

    def ask(number: int) -> Any:
        # A header is good for 30 s; one serves many calls, so that the client does not measure its own signing.
        if time.monotonic() - kept[0][0] > 10:
            kept[0] = (time.monotonic(), metadata())
        return methods[number % CHANNELS](body, timeout=10, metadata=kept[0][1])

    return ask


if __name__ == "__main__":
    uvloop.run(until_told(SERVERS[sys.argv[1]](World(Path(sys.argv[2])))))
