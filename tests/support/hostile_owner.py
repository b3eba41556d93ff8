"""A peer that holds a state's true keys and lies: `python -m tests.support.hostile_owner NODE_FOLDER OWN_FOLDER`.

It listens as the state's gateway would and answers checks with the state's own OPRF and message keys, in the mood that
stands in OWN_FOLDER/mood, read anew for each check. Every request it gets is one JSON line in OWN_FOLDER/seen: header,
signature and exact body, as hex. OWN_FOLDER/port says where it listens.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import config
from gateway.app import federation, parts
from gateway.federation import envelope
from gateway.federation.certificates import KeyPair
from gateway.keyring import files, process
from gateway.keyring.process import KeyringConfig
from gateway.primitives import cbor, ed25519
from gateway.pseudonym import oprf
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.doors import CallContext
from gateway.rpc.server import PeerServer
from gateway.store.reader import Reader
from gateway.terms.call import CallSeen
from gateway.terms.exchange import CheckReply, CheckRequest, SignedMessage
from gateway.terms.ids import EpochId, PeerId
from gateway.wire.v1 import watchlist_pb2

STALL_S = 30.0
IDENTITY = bytes(32)
"""The encoding of ristretto255's identity (RFC 9496 section 4.3.2)."""

Bend = Callable[[Any], None]


def _flip_proof(reply: Any) -> None:
    reply.proof = bytes([reply.proof[0] ^ 1]) + reply.proof[1:]


def _flip_response(reply: Any) -> None:
    reply.proof = reply.proof[:32] + bytes([reply.proof[32] ^ 1]) + reply.proof[33:]


def _swap(reply: Any) -> None:
    first, second, *rest = oprf.split(reply.evaluated)
    reply.evaluated = b"".join((second, first, *rest))


def _first_is(element: bytes) -> Bend:
    def bend(reply: Any) -> None:
        reply.evaluated = element + reply.evaluated[32:]

    return bend


def _bit_255(reply: Any) -> None:
    first = reply.evaluated[:32]
    reply.evaluated = first[:31] + bytes([first[31] | 0x80]) + reply.evaluated[32:]


def _unreduced(reply: Any) -> None:
    # The group's order (RFC 9496 section 4): the scalar zero, not reduced.
    order = 2**252 + 27742317777372353535851937790883648493
    reply.proof = order.to_bytes(32, "little") + reply.proof[32:]


def _fewer(reply: Any) -> None:
    reply.evaluated = reply.evaluated[:-32]


def _epoch(reply: Any) -> None:
    reply.epoch = "20200101-00000000"


def _claims(number: int) -> Bend:
    def bend(reply: Any) -> None:
        reply.delta_number = number

    return bend


def _none(reply: Any) -> None:
    reply.ClearField("evaluated")


BENT: dict[str, Bend] = {
    "flips a bit of the proof's challenge": _flip_proof,
    "flips a bit of the proof's response": _flip_response,
    "sends a scalar that is not reduced": _unreduced,
    "swaps two elements": _swap,
    "sends the identity": _first_is(IDENTITY),
    "sends a point with bit 255": _bit_255,
    "sends no point": _first_is(b"\xff" * 32),
    "sends one element fewer": _fewer,
    "sends no elements": _none,
    "names another epoch": _epoch,
    "claims a delta that it does not give": _claims(1),
    "claims more deltas than can be followed": _claims(1 << 40),
}
"""Lies about points and what belongs to them, told under a signature that holds."""

OTHER = (
    "honest",
    "stalls",
    "sends garbage",
    "sends 10 MB",
    "names another version of the header",
    "replays another request's reply",
    "evaluates under another group's key",
    "evaluates points of its own",
    "signs with another key",
)
MOODS = (*OTHER, *BENT)


@dataclass
class Owner:
    """The state, as it is when it lies."""

    settings: config.Config
    folder: Path
    kept: list[SignedMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        paths = self.settings.paths
        self.clock = parts.clock_of(self.settings)
        self.reader = Reader(paths.store)
        self.view = federation.in_force(self.settings, self.reader, self.clock.now_ns())
        self.operations = process.load(KeyringConfig(self.settings.state, paths.keys, Path("/nowhere")))
        self.seed = files.read_secret(files.key_path(paths.keys, "message"), "message").copy()
        self.sender = Sender(
            self.settings.state, files.read_public(paths.keys).message, lambda: parts.last_digest(self.reader)
        )

    async def check(self, body: bytes, call: CallContext) -> SignedMessage:
        """Answer in today's mood."""
        request: CheckRequest = call.request
        mood = (self.folder / "mood").read_text("ascii")
        with (self.folder / "seen").open("a", encoding="ascii") as seen:
            said = {"mood": mood, "header": call.message.header, "signature": call.message.signature, "body": body}
            seen.write(json.dumps(said, default=bytes.hex) + "\n")
        true = self.true(request, call.request_hash)
        self.kept.append(true)
        fields = self.sender.reply(call.method, call.peer, self.clock.now_ns(), call.request_hash)
        if mood in BENT:
            reply = watchlist_pb2.CheckResponse.FromString(true.body)
            BENT[mood](reply)
            return self.operations.sign(fields, reply.SerializeToString())
        match mood:
            case "honest":
                return true
            case "stalls":
                await asyncio.sleep(STALL_S)
            case "sends garbage":
                return self.operations.sign(fields, bytes(range(256)) * 4)
            case "sends 10 MB":
                return self.operations.sign(fields, b"\x72" * (10 << 20))
            case "names another version of the header":
                header = cbor.encode({**fields, "version": 2, "body_hash": envelope.body_hash(true.body)})
                return SignedMessage(true.body, header, ed25519.sign(self.seed, envelope.to_sign(header)))
            case "replays another request's reply":
                return self.kept[0]
            case "evaluates under another group's key":
                return self.true(request, call.request_hash, group="DOCUMENT")
            case "evaluates points of its own":
                return self.true(request, call.request_hash, points=request.blinded[:32] * request.class_size)
            case "signs with another key":
                other = bytes(32)
                named = {**fields, "key_id": envelope.key_id(ed25519.public(other))}
                return envelope.seal(named, true.body, lambda data: ed25519.sign(other, data))
        return true

    def true(
        self, request: CheckRequest, request_hash: bytes, *, group: str = "", points: bytes = b""
    ) -> SignedMessage:
        """What the honest gateway would say, or the same of another key or other points."""
        reply = CheckReply(
            request_hash=request_hash,
            evaluated=b"",
            proof=b"",
            epoch=EpochId(request.epoch),
            table_version=request.known_version,
            quota_left=1000,
            pair_seq=1,
        )
        scope = request.scope
        if group:
            scope = type(scope)(scope.owner, scope.list_id, type(scope.group)(group), scope.epoch, scope.peer)
        frame = self.sender.frame(request, reply, self.clock.now_ns())
        return self.operations.evaluate_and_sign(scope, points or request.blinded, frame)

    def leaf(self) -> KeyPair:
        """The state's own certificate."""
        tls = self.settings.paths.tls
        return KeyPair((tls / "gateway.key").read_bytes(), (tls / "gateway.crt").read_bytes())

    def is_suspended(self, peer: PeerId) -> bool:
        """Everybody is welcome."""
        return False


async def serve(owner: Owner) -> None:
    """Listen until SIGTERM."""

    def observe(call: CallSeen) -> None:
        print(call, flush=True)

    own = owner.leaf()
    server = PeerServer(
        state=owner.settings.state,
        view=lambda: owner.view,
        handlers={convert.CHECK: owner.check},
        leaf=lambda: own,
        clock=owner.clock,
        observe=observe,
    )
    port = await server.start("127.0.0.1:0")
    (owner.folder / "port").write_text(f"{port}\n")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.drain(0)


if __name__ == "__main__":
    asyncio.run(serve(Owner(config.load(Path(sys.argv[1])), Path(sys.argv[2]))))
