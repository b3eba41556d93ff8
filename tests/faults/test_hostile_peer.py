"""The asking side against peers that stall, lie, cut and flood: every doubt is "unreachable", never an answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from gateway import errors
from gateway.federation import envelope
from gateway.federation.members import FederationView
from gateway.primitives import ed25519
from gateway.rpc import status, tls
from gateway.rpc.convert import peers as convert
from gateway.rpc.peers import PeersClient
from gateway.terms import ListId
from gateway.terms.call import CallSeen
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId, PurposeGroup
from gateway.wire.v1 import watchlist_pb2
from tests.unit.rpc import terms, world
from tests.unit.rpc.world import HND, PAN

pytestmark = pytest.mark.asyncio

REQUEST = terms.a_check_request()
BODY = convert.encode_check_request(REQUEST)
WATCH = PurposeGroup("WATCH")

Answer = Callable[[bytes, Any], Awaitable[bytes]]
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Asker:
    """PAN's client, with what it saw."""

    def __init__(self, members: Callable[[], FederationView], **changes: Any) -> None:  # noqa: ANN401
        self.clock = world.StillClock()
        self.seen: list[CallSeen] = []
        self.client = PeersClient(
            sender=world.sender("PAN"),
            keys=changes.get("keys", world.Keys("PAN")),
            view=members,
            leaf=changes.get("leaf", lambda: world.leaf("PAN")),
            clock=self.clock,
            chance=world.Counter(),
            observe=self.seen.append,
        )


@asynccontextmanager
async def asking(port: int, *, hnd: dict[str, Any] | None = None, **changes: Any) -> AsyncIterator[Asker]:  # noqa: ANN401
    members = world.view(world.member("HND", port, **(hnd or {})), world.member("PAN"))
    asker = Asker(lambda: members, **changes)
    try:
        yield asker
    finally:
        await asker.client.close()


@asynccontextmanager
async def a_liar(answer: Answer) -> AsyncIterator[int]:
    """A peer with HND's own certificate that answers every method as it likes."""

    class Everything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((Everything(),))
    credentials = tls.server_credentials(lambda: world.leaf("HND"), lambda: world.anchor("PAN").certificate_pem)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


def send(context: Any, message: SignedMessage) -> bytes:  # noqa: ANN401
    context.set_trailing_metadata(((envelope.HEADER_KEY, message.header), (envelope.SIGNATURE_KEY, message.signature)))
    return message.body


def reply_to(body: bytes, *, state: str = "HND", said: bytes | None = None, **changes: object) -> SignedMessage:
    """HND's true reply to `body`, with header values or the body changed before it is signed."""
    request_hash = envelope.body_hash(body)
    fields = world.sender(state).reply(convert.CHECK, PAN, world.NOW_NS, request_hash) | changes
    true = convert.encode_check_reply(terms.a_check_reply(request_hash))
    return envelope.seal(fields, true if said is None else said, lambda data: ed25519.sign(world.seed(state), data))


async def unreachable(asker: Asker, timeout_s: float = 3) -> str:
    """Ask, expect PeerUnreachable, return its private words."""
    with pytest.raises(errors.PeerUnreachable) as caught:
        await asker.client.check(HND, REQUEST, timeout_s=timeout_s)
    assert asker.seen[-1].reason == "PEER_UNREACHABLE"
    return str(caught.value)


# -- Honest ends ------------------------------------------------------------------------------------------------------


async def test_every_method_of_the_port_works_between_honest_gateways() -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        client = asker.client
        reply = await client.check(HND, REQUEST, timeout_s=5)
        assert reply.request_hash == envelope.body_hash(BODY)
        assert reply.evaluated == REQUEST.blinded
        signed = await client.manifest(HND, ListId.PERSONS, WATCH, timeout_s=5)
        assert signed.manifest == node.door.made(PAN)
        assert await client.chunk(HND, signed.manifest, 0, timeout_s=5) == b"chunk" * 100
        assert await client.add_checkpoint(HND, 0, [], b"PAN/log\n1\n", timeout_s=5) == world.COSIGNATURE
        assert (await client.describe(HND, timeout_s=5)).state == "HND"
        told, signed_reply = await client.pair_head(HND, [1, 2, 7], timeout_s=5)
        assert told == terms.a_pair_head(3)
        assert envelope.decode(signed_reply.header).body_hash == envelope.body_hash(signed_reply.body)
        assert [one.status for one in asker.seen] == ["OK"] * 6
        assert {one.caller for one in node.seen} == {"PAN"}


async def test_a_witness_that_knows_another_size_says_so_signed() -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        node.door.trouble = errors.VerificationFailed("old_size", "is another", position=41)
        with pytest.raises(errors.VerificationFailed) as caught:
            await asker.client.add_checkpoint(HND, 3, [bytes(32)], b"PAN/log\n9\n", timeout_s=5)
        assert (caught.value.step, caught.value.position) == ("old_size", 41)
        assert node.seen[-1].status == "OK"
        node.door.trouble = errors.VerificationFailed("proof", "does not hold")
        with pytest.raises(errors.VerificationFailed) as caught:
            await asker.client.add_checkpoint(HND, 3, [bytes(32)], b"PAN/log\n9\n", timeout_s=5)
        assert caught.value.step == "proof"


async def test_a_peer_of_a_release_without_a_method_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        node.door.trouble = errors.CapabilityMissing("x")
        with pytest.raises(errors.CapabilityMissing):
            await asker.client.pair_head(HND, [1], timeout_s=5)
        # As a door answers whose contract does not know the path.
        monkeypatch.setattr(convert, "GET_PAIR_HEAD", "/gateway.wire.v1.WitnessService/GetNothing")
        with pytest.raises(errors.CapabilityMissing):
            await asker.client.pair_head(HND, [1], timeout_s=5)
        assert asker.seen[-1].reason == "METHOD_UNKNOWN"


@pytest.mark.parametrize(
    "trouble",
    [
        errors.PolicyDenied(("purpose_not_agreed",)),
        errors.PeerSuspended("x"),
        errors.QuotaExhausted("x"),
        errors.EpochRefused("x"),
        errors.CapabilityMissing("x"),
        errors.BaselineOutdated("x"),
        errors.RequestReused("x"),
    ],
    ids=lambda trouble: trouble.row.reason,
)
async def test_a_typed_refusal_arrives_as_itself(trouble: errors.GatewayError) -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        node.door.trouble = trouble
        with pytest.raises(type(trouble)) as caught:
            await asker.client.check(HND, REQUEST, timeout_s=5)
        assert getattr(caught.value, "reasons", ()) == getattr(trouble, "reasons", ())
        assert asker.seen[-1].reason == trouble.row.reason


@pytest.mark.parametrize(
    "trouble",
    [
        errors.AuditUnavailable("x"),
        errors.KeysUnavailable("x"),
        errors.VersionMoved("x"),
        errors.TooMany("x"),
        errors.NotIdentified("x"),
        errors.Malformed("place", "x"),
        errors.VerificationFailed("proof", "x"),
        RuntimeError("x"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_every_other_refusal_of_a_check_is_unreachable(trouble: BaseException) -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        node.door.trouble = trouble
        await unreachable(asker)


async def test_our_own_key_process_being_gone_is_not_the_peer_s_fault() -> None:
    class Gone(world.Keys):
        async def sign(self, header_fields: Any, body: bytes) -> SignedMessage:  # noqa: ANN401
            raise errors.KeysUnavailable("gone")

    async with world.a_node() as node, asking(node.port, keys=Gone("PAN")) as asker:
        with pytest.raises(errors.KeysUnavailable):
            await asker.client.check(HND, REQUEST, timeout_s=5)
        assert not node.seen


# -- Lies -------------------------------------------------------------------------------------------------------------


LIES: dict[str, Callable[[bytes], SignedMessage]] = {
    "a reply to another request": lambda body: reply_to(body + b"x"),
    "no request hash": lambda body: _request_as_reply(body),
    "signed by another state": lambda body: reply_to(body, state="UTO"),
    "from another sender": lambda body: reply_to(body, sender="UTO"),
    "to another receiver": lambda body: reply_to(body, receiver="UTO"),
    "of another method": lambda body: reply_to(body, method=convert.DESCRIBE),
    "31 s old": lambda body: reply_to(body, time_ns=world.NOW_NS - 31 * 10**9),
    "garbage, signed": lambda body: reply_to(body, said=b"\xff" * 400),
    "an empty body, signed": lambda body: reply_to(body, said=b""),
    "fewer points than asked": lambda body: reply_to(
        body,
        said=watchlist_pb2.CheckResponse(
            epoch="e", pair_sequence=1, evaluated=bytes(32), proof=bytes(64)
        ).SerializeToString(),
    ),
    "more points than asked": lambda body: reply_to(
        body, said=convert.encode_check_reply(terms.a_check_reply(bytes(64), evaluated=bytes(32 * 32)))
    ),
    "a proof too short": lambda body: reply_to(
        body, said=convert.encode_check_reply(terms.a_check_reply(bytes(64), proof=bytes(63)))
    ),
    "a body changed after signing": lambda body: replace(reply_to(body), body=reply_to(body).body + b"\x08\x01"),
    "a header changed after signing": lambda body: replace(reply_to(body), header=reply_to(body).header[:-1] + b"\x01"),
    "no header": lambda body: replace(reply_to(body), header=b""),
    "a signature of zeros": lambda body: replace(reply_to(body), signature=bytes(64)),
}


def _request_as_reply(body: bytes) -> SignedMessage:
    fields = world.sender("HND").request(convert.CHECK, PAN, world.NOW_NS)
    said = convert.encode_check_reply(terms.a_check_reply(bytes(64)))
    return envelope.seal(fields, said, lambda data: ed25519.sign(world.seed("HND"), data))


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_unreachable(lie: str) -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        return send(context, LIES[lie](body))

    async with a_liar(answer) as port, asking(port) as asker:
        await unreachable(asker)


async def test_the_same_peer_telling_the_truth_is_believed() -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        return send(context, reply_to(body))

    async with a_liar(answer) as port, asking(port) as asker:
        assert (await asker.client.check(HND, REQUEST, timeout_s=5)).proof == b"p" * 64


async def test_a_reply_kept_and_replayed_to_the_next_request_is_unreachable() -> None:
    kept: list[SignedMessage] = []

    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        kept.append(reply_to(body))
        return send(context, kept[0])

    async with a_liar(answer) as port, asking(port) as asker:
        await asker.client.check(HND, REQUEST, timeout_s=5)
        with pytest.raises(errors.PeerUnreachable, match="another request"):
            await asker.client.check(HND, replace(REQUEST, batch=0, pair_seq=8), timeout_s=5)


async def test_an_unsigned_reply_is_unreachable() -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        return reply_to(body).body

    async with a_liar(answer) as port, asking(port) as asker:
        assert "not signed" in await unreachable(asker)


async def test_ten_megabytes_are_unreachable_and_not_kept_in_memory() -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        return send(context, reply_to(body, said=bytes(10 << 20)))

    async with a_liar(answer) as port, asking(port) as asker:
        assert "RESOURCE_EXHAUSTED" in await unreachable(asker)
        assert asker.seen[-1].reply_bytes == 0


async def test_a_peer_that_stalls_is_unreachable_in_time() -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        await asyncio.sleep(30)
        return b""

    async with a_liar(answer) as port, asking(port) as asker:
        began = time.monotonic()
        assert "DEADLINE_EXCEEDED" in await unreachable(asker, timeout_s=0.3)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("words", ["A", "\N{SNOWMAN}" * 3000, "INVALID\r\nx: y"])
async def test_a_refusal_in_a_peer_s_own_words_is_unreachable_and_its_words_stay_out(words: str) -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, words)
        return b""

    async with a_liar(answer) as port, asking(port) as asker:
        private = await unreachable(asker)
        assert private in ("HND: PERMISSION_DENIED", "HND: RESOURCE_EXHAUSTED")


async def test_a_refusal_whose_status_is_not_its_reason_s_is_unreachable() -> None:
    _, _, details = status.refusal(errors.PolicyDenied(("role",)))

    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        await context.abort(grpc.StatusCode.NOT_FOUND, "", ((status.DETAILS_KEY, details),))
        return b""

    async with a_liar(answer) as port, asking(port) as asker:
        await unreachable(asker)


@pytest.mark.parametrize("details", [b"", b"\xff" * 100, bytes(5000), b"\x08\x07"])
async def test_broken_details_are_unreachable(details: bytes) -> None:
    async def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "", ((status.DETAILS_KEY, details),))
        return b""

    async with a_liar(answer) as port, asking(port) as asker:
        await unreachable(asker)


# -- Manifests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", ["for another peer", "of another list", "signed as a message", "signed by another"])
async def test_a_manifest_that_is_not_ours_is_unreachable(lie: str) -> None:
    door = world.Door()
    manifest = door.made(PAN)
    if lie == "for another peer":
        manifest = door.made(PeerId("UTO"))
    if lie == "of another list":
        manifest = replace(manifest, scope=replace(manifest.scope, list_id=ListId.DOCUMENTS))
    state = "UTO" if lie == "signed by another" else "HND"
    body, fields = world.sender("HND").manifest(manifest, world.NOW_NS)
    if lie == "signed as a message":
        fields |= {"method": convert.GET_MANIFEST}
    inner = envelope.seal(fields, body, lambda data: ed25519.sign(world.seed(state), data))

    async def answer(asked: bytes, context: Any) -> bytes:  # noqa: ANN401
        said = convert.encode_manifest_reply(inner)
        return send(context, reply_to(asked, said=said, method=convert.GET_MANIFEST))

    async with a_liar(answer) as port, asking(port) as asker:
        with pytest.raises(errors.PeerUnreachable):
            await asker.client.manifest(HND, ListId.PERSONS, WATCH, timeout_s=3)


async def test_another_chunk_than_asked_for_is_unreachable() -> None:
    async def answer(asked: bytes, context: Any) -> bytes:  # noqa: ANN401
        said = watchlist_pb2.GetTableChunkResponse(version=3, number=1, chunk=b"x").SerializeToString()
        return send(context, reply_to(asked, said=said, method=convert.GET_TABLE_CHUNK))

    async with a_liar(answer) as port, asking(port) as asker:
        with pytest.raises(errors.PeerUnreachable):
            await asker.client.chunk(HND, world.Door().made(PAN), 0, timeout_s=3)


# -- Below gRPC -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_socket(speak: Speak) -> AsyncIterator[int]:
    """A TCP port that speaks something else."""

    open_ones: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await speak(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            open_ones.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(open_ones):
            task.cancel()
        await asyncio.gather(*open_ones)


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x03\xff\xff" + b"\xff" * 5000)
    await writer.drain()


@pytest.mark.parametrize("speak", [_silent, _cut, _garbage])
async def test_a_port_that_speaks_no_tls_is_unreachable(speak: Any) -> None:  # noqa: ANN401
    async with a_socket(speak) as port, asking(port) as asker:
        await unreachable(asker, timeout_s=1)


async def test_nobody_at_the_port_is_unreachable_at_once() -> None:
    async with a_socket(_cut) as port:
        pass
    async with asking(port) as asker:
        began = time.monotonic()
        await unreachable(asker, timeout_s=5)
        assert time.monotonic() - began < 2


async def test_another_member_at_the_peer_s_address_is_not_the_peer() -> None:
    # UTO listens where HND should: its certificate is a member's, its anchor is not HND's.
    async with world.a_node(own_leaf=lambda: world.leaf("UTO")) as node, asking(node.port) as asker:
        await unreachable(asker)
        assert not node.seen


async def test_a_peer_that_is_cut_in_the_middle_of_an_answer_is_unreachable() -> None:
    door = world.Door(gate=asyncio.Event())
    async with world.a_node(door=door) as node, asking(node.port) as asker:
        waiting = asyncio.ensure_future(asker.client.check(HND, REQUEST, timeout_s=5))
        while not door.calls:
            await asyncio.sleep(0.01)
        await node.server.drain(0)
        with pytest.raises(errors.PeerUnreachable):
            await waiting


async def test_a_peer_that_comes_back_is_found_again() -> None:
    async with world.a_node() as node:
        port = node.port
    async with asking(port) as asker:
        await unreachable(asker, timeout_s=1)
        async with world.a_node(port=port):
            for _ in range(40):
                with contextlib.suppress(errors.PeerUnreachable):
                    await asker.client.check(HND, REQUEST, timeout_s=1)
                    break
                await asyncio.sleep(0.1)
            else:
                pytest.fail("still unreachable after four seconds")


async def test_the_second_endpoint_is_tried_when_the_first_is_down() -> None:
    async with a_socket(_cut) as dead:
        pass
    async with world.a_node() as node:
        both = {"endpoints": (f"127.0.0.1:{dead}", f"127.0.0.1:{node.port}")}
        async with asking(dead, hnd=both) as asker:
            await asker.client.check(HND, REQUEST, timeout_s=5)


async def test_a_new_certificate_of_ours_is_used_without_a_restart() -> None:
    mine = [world.leaf("PAN", by="UTO")]
    async with world.a_node() as node, asking(node.port, leaf=lambda: mine[0]) as asker:
        await unreachable(asker)
        mine[0] = world.leaf("PAN")
        await asker.client.check(HND, REQUEST, timeout_s=5)


@pytest.mark.parametrize("peer", ["ZZZ", "UTO"])
async def test_who_is_not_a_member_is_not_called(peer: str) -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        with pytest.raises(errors.PeerUnreachable):
            await asker.client.check(PeerId(peer), REQUEST, timeout_s=1)
        assert not node.seen


# -- Hostile bytes at our own port ------------------------------------------------------------------------------------


async def test_tls_12_is_refused_and_13_is_taken() -> None:
    async with world.a_node() as node:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", node.port, ssl=context)
        context.maximum_version = ssl.TLSVersion.TLSv1_3
        _, writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=context)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        await _hang_up(writer)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
        b"\x16\x03\x01\xff\xff" + b"\xaa" * 70_000,
    ],
    ids=["nothing", "zeros", "http", "preface in clear", "endless hello"],
)
async def test_garbage_at_the_port_harms_nobody(bytes_sent: bytes) -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        writers = []
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", node.port)
            writers.append(writer)
            with contextlib.suppress(ConnectionError):
                writer.write(bytes_sent)
                await writer.drain()
        await asker.client.check(HND, REQUEST, timeout_s=5)
        for writer in writers:
            await _hang_up(writer)


async def test_garbage_inside_tls_harms_nobody() -> None:
    async with world.a_node() as node, asking(node.port) as asker:
        for sent in (b"\xff" * 5000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 5000):
            _, writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=_pan_tls())
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                writer.write(sent)
                await writer.drain()
            await _hang_up(writer)
        await asker.client.check(HND, REQUEST, timeout_s=5)
        assert [one.status for one in node.seen] == ["OK"]


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _pan_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    pair = world.leaf("PAN")
    handle, name = tempfile.mkstemp()
    try:
        os.write(handle, pair.key_pem + pair.certificate_pem)
        os.close(handle)
        context.load_cert_chain(name)
    finally:
        os.unlink(name)
    return context


async def test_a_handshake_that_never_ends_is_cut() -> None:
    async with world.a_node() as node:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
        began = time.monotonic()
        assert await asyncio.wait_for(reader.read(), 15) == b""
        assert time.monotonic() - began < 10
        await _hang_up(writer)
