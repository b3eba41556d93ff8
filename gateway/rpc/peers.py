"""The asking side towards other gateways: `ports.Peers` over gRPC.

A reply counts when its signature, its tie to our request and its shape all hold; anything less is "unreachable", never
"nothing to report". Typed refusals are believed as what the peer's connection said and become the catalogue's errors.
Channels are kept open, because a new one costs as much as fifteen calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import grpc

from gateway.errors import (
    BaselineOutdated,
    BudgetExhausted,
    CapabilityMissing,
    EpochRefused,
    GatewayError,
    InputRefused,
    Malformed,
    MethodUnknown,
    NotFoundOrNotPermitted,
    NotIdentified,
    PeerSuspended,
    PeerUnreachable,
    PolicyDenied,
    QuotaExhausted,
    RequestReused,
    VerificationFailed,
)
from gateway.federation import envelope
from gateway.federation.certificates import KeyPair
from gateway.federation.members import FederationView, MemberKeys
from gateway.flows.casework import Closing, Decision, OpenCase
from gateway.ports import Chance, Clock, Keys, SignedDelta, SignedManifest
from gateway.rpc import status, tls
from gateway.rpc.convert import cases as cases_convert
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert import statistics as releases_convert
from gateway.rpc.convert.peers import Sender
from gateway.terms.call import CallSeen
from gateway.terms.exchange import (
    CheckpointRequest,
    CheckReply,
    CheckRequest,
    ChunkRequest,
    DeltasRequest,
    DescribeRequest,
    Description,
    DryRun,
    KeyScope,
    Manifest,
    ManifestRequest,
    Named,
    PairHead,
    PairHeadRequest,
    SignedMessage,
)
from gateway.terms.ids import PeerId, PurposeGroup, RequestId
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding
from gateway.terms.words import ListId

T = TypeVar("T")

BELIEVED: Final = (
    PolicyDenied,
    PeerSuspended,
    QuotaExhausted,
    EpochRefused,
    CapabilityMissing,
    BaselineOutdated,
    RequestReused,
    NotFoundOrNotPermitted,
)
"""Refusals that an asker acts on. Every other end of a call is PeerUnreachable."""

RELEASES_BELIEVED: Final = (*BELIEVED, BudgetExhausted, InputRefused)
"""Besides: no budget is left, or the question fits no declared cell."""

OLD_CHANNEL_S: Final = 30.0
"""How long a replaced channel's calls may still run."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An open channel, and what it was made from: another leaf, anchor or address makes another."""

    made_from: tuple[str, KeyPair, bytes]
    channel: grpc.aio.Channel
    methods: dict[str, Any]


class PeersClient:
    """Implements `ports.Peers`. One for a process; safe for concurrent calls on its loop."""

    def __init__(
        self,
        *,
        sender: Sender,
        keys: Keys,
        view: Callable[[], FederationView],
        leaf: tls.Leaf,
        clock: Clock,
        chance: Chance,
        observe: Callable[[CallSeen], None],
    ) -> None:
        """`sender` and `keys` sign our requests; `view` gives the federation document in force and `leaf` our own
        certificate, both asked anew for every call."""
        self._sender = sender
        self._keys = keys
        self._view = view
        self._leaf = leaf
        self._clock = clock
        self._chance = chance
        self._observe = observe
        self._kept: dict[tuple[PeerId, int], _Kept] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._naming: set[PeerId] = set()
        """Peers that read headers with `entry`, as their last replies said."""

    # -- The port -----------------------------------------------------------------------------------------------------

    async def check(self, peer: PeerId, request: CheckRequest, *, timeout_s: float) -> CheckReply:
        """See `ports.Peers`."""

        def read(body: bytes, header: envelope.Header) -> CheckReply:
            reply = convert.check_reply(body, header.request_hash or b"")
            if len(reply.evaluated) != len(request.blinded):
                raise Malformed("evaluated", "not as many points as were asked")
            named = header.entry
            if named is not None and (named.pair_seq, named.about) != (reply.pair_seq, envelope.about(request.about)):
                raise Malformed("header.entry", "is about another question than the one asked")
            return reply

        came: list[SignedMessage] = []
        named = convert.named_request(request)
        body = convert.encode_check_request(request)
        reply = await self._ask(peer, convert.CHECK, body, read, timeout_s, named=named, came=came)
        return replace(reply, signed=(came[0].header, came[0].signature))

    async def manifest(self, peer: PeerId, list_id: ListId, group: PurposeGroup, *, timeout_s: float) -> SignedManifest:
        """See `ports.Peers`. The manifest's own signature is verified too."""
        keys = self._member(peer)

        def read(body: bytes, header: envelope.Header) -> SignedManifest:
            found = convert.manifest_reply(body)
            scope = found.manifest.scope
            if (scope.owner, scope.list_id, scope.group, scope.peer) != (peer, list_id, group, self._sender.state):
                raise Malformed("scope", "another table than asked for")
            envelope.verify(
                found.message,
                method=envelope.MANIFEST,
                sender=peer,
                receiver=self._sender.state,
                keys=_message_keys(keys, found.manifest.made_ns),
                now_ns=None,
            )
            return found

        body = convert.encode_manifest_request(ManifestRequest(self._request_id(), peer, list_id, group))
        return await self._ask(peer, convert.GET_MANIFEST, body, read, timeout_s)

    async def chunk(self, peer: PeerId, manifest: Manifest, number: int, *, timeout_s: float) -> bytes:
        """See `ports.Peers`."""

        def read(body: bytes, header: envelope.Header) -> bytes:
            return convert.chunk_reply(body, manifest.version, number)

        body = convert.encode_chunk_request(ChunkRequest(self._request_id(), manifest.scope, manifest.version, number))
        return await self._ask(peer, convert.GET_TABLE_CHUNK, body, read, timeout_s)

    async def deltas(self, peer: PeerId, scope: KeyScope, after: int, *, timeout_s: float) -> Sequence[SignedDelta]:
        """See `ports.Peers`."""
        keys = self._member(peer)

        def read(body: bytes, header: envelope.Header) -> list[SignedDelta]:
            found = convert.deltas_reply(body)
            for one in found:
                if one.delta.scope != scope:
                    raise Malformed("scope", "another table than asked for")
                envelope.verify(
                    one.message,
                    method=envelope.DELTA,
                    sender=peer,
                    receiver=self._sender.state,
                    keys=_message_keys(keys, one.delta.made_ns),
                    now_ns=None,
                )
            return found

        body = convert.encode_deltas_request(DeltasRequest(self._request_id(), scope, after))
        return await self._ask(peer, convert.GET_DELTAS, body, read, timeout_s)

    async def add_checkpoint(
        self, peer: PeerId, old_size: int, proof: Sequence[bytes], note: bytes, *, timeout_s: float
    ) -> bytes:
        """See `ports.Peers`.

        Raises:
            VerificationFailed: step `old_size`, the size the witness knows as `position`; or the step it named.
        """

        def read(body: bytes, header: envelope.Header) -> bytes | int:
            return convert.checkpoint_reply(body)

        body = convert.encode_checkpoint_request(CheckpointRequest(self._request_id(), old_size, tuple(proof), note))
        result = await self._ask(
            peer, convert.ADD_CHECKPOINT, body, read, timeout_s, believed=(*BELIEVED, VerificationFailed)
        )
        if isinstance(result, int):
            raise VerificationFailed("old_size", f"{peer} knows another size", position=result)
        return result

    async def pair_head(
        self, peer: PeerId, numbers: Sequence[int], *, timeout_s: float
    ) -> tuple[PairHead, SignedMessage]:
        """See `flows.nightly.PairPeers`."""

        def read(body: bytes, header: envelope.Header) -> PairHead:
            return convert.pair_head(body, len(numbers))

        came: list[SignedMessage] = []
        body = convert.encode_pair_head_request(PairHeadRequest(self._request_id(), tuple(numbers)))
        believed = (*BELIEVED, MethodUnknown)
        try:
            found = await self._ask(peer, convert.GET_PAIR_HEAD, body, read, timeout_s, believed=believed, came=came)
        except MethodUnknown:
            # What a release says whose contract has no such method.
            raise CapabilityMissing(f"{peer} does not serve this method") from None
        return found, came[0]

    async def open_case(self, peer: PeerId, message: OpenCase, *, timeout_s: float) -> None:
        """See `flows.casework.CasePeers`."""

        def read(body: bytes, header: envelope.Header) -> None:
            if cases_convert.opened(body) != message.case_id:
                raise Malformed("case_id", "another case's")

        await self._ask(
            peer, cases_convert.OPEN_CASE, cases_convert.encode_open(message), read, timeout_s, named=message.named
        )

    async def deliver(self, peer: PeerId, message: Decision, *, timeout_s: float) -> None:
        """See `flows.casework.CasePeers`."""

        def read(body: bytes, header: envelope.Header) -> None:
            cases_convert.receipt(body)

        body = cases_convert.encode_decision(message)
        await self._ask(peer, cases_convert.DELIVER_DECISION, body, read, timeout_s, named=message.named)

    async def correct(self, peer: PeerId, message: Decision, *, timeout_s: float) -> None:
        """See `flows.casework.CasePeers`."""

        def read(body: bytes, header: envelope.Header) -> None:
            cases_convert.corrected(body)

        body = cases_convert.encode_correction(message)
        await self._ask(peer, cases_convert.CORRECT_DISCLOSURE, body, read, timeout_s, named=message.named)

    async def close_case(self, peer: PeerId, message: Closing, *, timeout_s: float) -> None:
        """See `flows.casework.CasePeers`."""

        def read(body: bytes, header: envelope.Header) -> None:
            cases_convert.closed(body)

        await self._ask(
            peer, cases_convert.CLOSE_CASE, cases_convert.encode_close(message), read, timeout_s, named=message.named
        )

    async def plan_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleasePlan:
        """See `flows.ask_release.ReleasePeers`."""

        def read(body: bytes, header: envelope.Header) -> ReleasePlan:
            return releases_convert.plan(body)

        body = releases_convert.encode_plan_ask(ask)
        return await self._ask(
            peer, releases_convert.PLAN_RELEASE, body, read, timeout_s, believed=RELEASES_BELIEVED, named=ask.named
        )

    async def request_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleaseStanding:
        """See `flows.ask_release.ReleasePeers`."""

        def read(body: bytes, header: envelope.Header) -> ReleaseStanding:
            return releases_convert.standing(body)

        body = releases_convert.encode_request(ask)
        return await self._ask(
            peer, releases_convert.REQUEST_RELEASE, body, read, timeout_s, believed=RELEASES_BELIEVED, named=ask.named
        )

    async def get_release(self, peer: PeerId, ask: ReleaseAsk, *, timeout_s: float) -> ReleaseStanding:
        """See `flows.ask_release.ReleasePeers`: piece after piece, each in a call and within `timeout_s` of its own.
        The owner's signature over the whole is the flow's to verify."""
        pieces: list[releases_convert.Piece] = []
        while releases_convert.wants_more(pieces):
            offset = releases_convert.PIECE_BYTES * len(pieces)

            def read(body: bytes, header: envelope.Header, offset: int = offset) -> releases_convert.Piece:
                return releases_convert.piece(body, offset)

            body = releases_convert.encode_piece_ask(releases_convert.PieceAsk(ask, offset))
            pieces.append(
                await self._ask(
                    peer,
                    releases_convert.GET_RELEASE,
                    body,
                    read,
                    timeout_s,
                    believed=RELEASES_BELIEVED,
                    named=ask.named,
                )
            )
        try:
            return releases_convert.joined(pieces)
        except Malformed as doubt:
            raise PeerUnreachable(f"{peer}: {doubt}") from None

    async def describe(self, peer: PeerId, *, timeout_s: float, dry_run: DryRun | None = None) -> Description:
        """What the peer says of itself, and what its rules would say to `dry_run`.

        Raises:
            PeerUnreachable: no answer, or one that cannot be trusted.
        """

        def read(body: bytes, header: envelope.Header) -> Description:
            said = convert.describe_reply(body)
            if said.state != peer:
                raise Malformed("state", "another state's description")
            return said

        body = convert.encode_describe_request(DescribeRequest(self._request_id(), dry_run))
        return await self._ask(peer, convert.DESCRIBE, body, read, timeout_s)

    async def close(self) -> None:
        """Close every channel; calls in progress end as PeerUnreachable."""
        kept, self._kept = self._kept, {}
        for one in kept.values():
            await one.channel.close()
        for task in self._closing:
            task.cancel()

    # -- One call -----------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        peer: PeerId,
        method: str,
        body: bytes,
        read: Callable[[bytes, envelope.Header], T],
        timeout_s: float,
        *,
        believed: tuple[type[GatewayError], ...] = BELIEVED,
        named: Named | None = None,
        came: list[SignedMessage] | None = None,
    ) -> T:
        """Sign, send, verify, read. The order of the last two is the protocol's: nothing unverified is parsed.

        `named` is our entry that the message rests on; `came` is given the reply as it was verified.
        """
        started_ns = time.monotonic_ns()
        code, reason, private, reply = "OK", "", "", b""
        try:
            member = self._member(peer)
            now_ns = self._clock.now_ns()
            message = await self._keys.sign(
                self._sender.request(method, peer, now_ns, named if peer in self._naming else None), body
            )
            reply, header, signature = await self._send(peer, member, method, message, timeout_s, believed)
            try:
                arrived = SignedMessage(reply, header, signature)
                verified = envelope.verify(
                    arrived,
                    method=method,
                    sender=peer,
                    receiver=self._sender.state,
                    keys=_message_keys(member, now_ns),
                    now_ns=self._clock.now_ns(),
                    request_hash=envelope.body_hash(body),
                )
                if came is not None:
                    came.append(arrived)
                return read(reply, verified)
            except (Malformed, VerificationFailed, CapabilityMissing) as doubt:
                raise PeerUnreachable(f"{peer}: {doubt}") from None
        except GatewayError as failure:
            code, reason, private = failure.row.status, failure.row.reason, str(failure)
            raise
        except asyncio.CancelledError:
            code, reason = "CANCELLED", "CANCELLED"
            raise
        finally:
            self._observe(
                CallSeen(
                    listener="outgoing",
                    method=method.rpartition(".")[2],
                    caller=peer,
                    status=code,
                    reason=reason,
                    private=private,
                    served=code == "OK",
                    time_ns=self._clock.now_ns(),
                    duration_ns=time.monotonic_ns() - started_ns,
                    request_bytes=len(body),
                    reply_bytes=len(reply),
                )
            )

    async def _send(
        self,
        peer: PeerId,
        member: MemberKeys,
        method: str,
        message: SignedMessage,
        timeout_s: float,
        believed: tuple[type[GatewayError], ...],
    ) -> tuple[bytes, bytes, bytes]:
        """(body, header, signature) of the peer's reply, not yet verified.

        Where one endpoint is unavailable the member's next is tried: sending the same bytes again is harmless, because
        the other side knows requests by their id.

        Raises:
            PeerUnreachable, or one of `believed` that the peer told.
        """
        until = time.monotonic() + timeout_s
        metadata = (
            (envelope.HEADER_KEY, message.header),
            (envelope.SIGNATURE_KEY, message.signature),
            (envelope.ACCEPTS_KEY, envelope.ACCEPTS),
        )
        failure = PeerUnreachable(f"{peer}: no endpoint")
        for place in range(len(member.endpoints)):
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            call = self._method(peer, member, place, method)(message.body, timeout=left_s, metadata=metadata)
            try:
                body: bytes = await call
                trailing = await call.trailing_metadata()
            except grpc.aio.AioRpcError as ended:
                told = status.read(ended.code(), status.details_of(ended.trailing_metadata()))
                if isinstance(told, believed):
                    raise told from None
                failure = status.not_answered(peer, ended.code(), told)
                if ended.code() is not grpc.StatusCode.UNAVAILABLE or told is not None:
                    break
                continue
            except asyncio.CancelledError:
                if call.cancelled() and not _being_cancelled():
                    # The channel was closed under the call.
                    raise PeerUnreachable(f"{peer}: the channel was closed") from None
                raise
            header, signature = _once(trailing, envelope.HEADER_KEY), _once(trailing, envelope.SIGNATURE_KEY)
            if header is None or signature is None:
                raise PeerUnreachable(f"{peer}: the reply is not signed")
            # A peer of an older release refuses a header with `entry`: it gets one once it has said that it reads it.
            if (envelope.ACCEPTS_KEY, envelope.ACCEPTS) in map(tuple, trailing or ()):
                self._naming.add(peer)
            else:
                self._naming.discard(peer)
            return body, header, signature
        raise failure from None

    def _method(self, peer: PeerId, member: MemberKeys, place: int, method: str) -> Any:  # noqa: ANN401 (gRPC's callable)
        made_from = (member.endpoints[place], self._leaf(), member.anchor_pem)
        kept = self._kept.get((peer, place))
        if kept is None or kept.made_from != made_from:
            if kept is not None:
                # gRPC's client side cannot change its certificate: a new channel, and the old one ends with its calls.
                task = asyncio.get_running_loop().create_task(kept.channel.close(OLD_CHANNEL_S))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            address, leaf, anchor_pem = made_from
            channel = grpc.aio.secure_channel(
                address,
                tls.channel_credentials(leaf, anchor_pem),
                options=tls.channel_options(convert.REPLY_BYTES_MAX + 1024),
            )
            kept = self._kept[(peer, place)] = _Kept(made_from, channel, {})
        found = kept.methods.get(method)
        if found is None:
            found = kept.methods[method] = kept.channel.unary_unary(method)
        return found

    def _member(self, peer: PeerId) -> MemberKeys:
        view = self._view()
        try:
            view.require_current(self._clock.now_ns())
            return view.member(peer)
        except (NotIdentified, PeerSuspended) as cause:
            raise PeerUnreachable(str(cause)) from None

    def _request_id(self) -> RequestId:
        return RequestId(self._chance.token(16))


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _message_keys(member: MemberKeys, at_ns: int) -> list[bytes]:
    keys = member.member.message_keys
    return [key.public for key in keys if key.not_before_ns <= at_ns <= key.not_after_ns]


def _once(metadata: Any, name: str) -> bytes | None:  # noqa: ANN401 (gRPC's own loose type)
    found = [value for key, value in metadata or () if key == name]
    return found[0] if len(found) == 1 and isinstance(found[0], bytes) else None
