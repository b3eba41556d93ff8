"""The listeners, one for each audience: each with its own port, credentials, closed table of methods and limits.

A call that is not in the table is refused, deny by default: paths are compared exactly as they came (`/x.Y/Z?a=1`,
`//x.Y/Z` and `x.Y/Z` are no method of ours). Every call, answered or not, ends as one `CallSeen`.
"""

from __future__ import annotations

import asyncio
import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

from gateway.errors import (
    CapabilityMissing,
    ConfigRefused,
    GatewayError,
    Malformed,
    MethodUnknown,
    NotFoundOrNotPermitted,
    NotIdentified,
    PeerSuspended,
    TooMany,
    VerificationFailed,
)
from gateway.federation import certificates, envelope
from gateway.federation.certificates import Identity
from gateway.federation.members import FederationView
from gateway.flows.casework import Closing, Decision, OpenCase
from gateway.ports import Clock, Keys
from gateway.rpc import interceptors, status, tls
from gateway.rpc.convert import cases as cases_convert
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert import shape
from gateway.rpc.convert import statistics as releases_convert
from gateway.rpc.convert.peers import Sender
from gateway.rpc.doors import CallContext, PeerCaseDoor, PeerDoor, PeerReleaseDoor
from gateway.rpc.interceptors import Context, Leaves
from gateway.rpc.limits import Limits, Meters
from gateway.terms.call import CallSeen
from gateway.terms.exchange import (
    CheckpointRequest,
    CheckRequest,
    ChunkRequest,
    DeltasRequest,
    ManifestRequest,
    SignedMessage,
)
from gateway.terms.ids import PeerId
from gateway.terms.release import ReleaseAsk

HEALTH: Final = "/grpc.health.v1.Health/Check"
PERMIT_NS_MAX: Final = 15 * 60 * 10**9
LEAVES_MAX: Final = 1024
STRANGER_NS: Final = 5 * 10**9
"""How long a refused certificate is refused without being read again."""

Observe = Callable[[CallSeen], None]


PeerHandler = Callable[[bytes, CallContext], Awaitable[SignedMessage]]
"""Answers one method of the peers' contract: exact body and verified call in, signed reply out."""


class Seen:
    """What is learned of a call on its way, for its `CallSeen`."""

    __slots__ = ("caller", "served", "time_ns")

    def __init__(self) -> None:
        self.caller = ""
        self.served = False
        self.time_ns = 0


class _Table(grpc.GenericRpcHandler):
    """gRPC's view of a listener: which handler takes a call, by its exact path."""

    def __init__(
        self, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]], unknown: grpc.RpcMethodHandler[Any, Any]
    ) -> None:
        self._handlers = handlers
        self._unknown = unknown

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """The path's own handler, or the one that refuses."""
        return self._handlers.get(handler_call_details.method, self._unknown)


class Listener(ABC):
    """What the listeners have in common: the first steps, the translation of errors, health, drain."""

    size_step = 1
    """Sizes of bodies are counted and written down rounded up to a multiple of this."""

    def __init__(
        self,
        audience: str,
        paths: Mapping[str, int],
        *,
        credentials: grpc.ServerCredentials,
        clock: Clock,
        limits: Limits,
        observe: Observe,
        ready: Callable[[], bool],
        share_port: bool = False,
    ) -> None:
        """`paths` are the methods of this door with the most bytes each takes."""
        self._audience = audience
        self._credentials = credentials
        self._clock = clock
        self._meters = Meters(limits)
        self._limits = limits
        self._observe = observe
        self._ready = ready
        self._draining = False
        self._leaves = Leaves()
        self._services = frozenset({"", *(path.split("/")[1] for path in paths)})
        table = {path: self._method(path, size) for path, size in {**paths, HEALTH: 512}.items()}
        self._server = grpc.aio.server(
            options=tls.server_options(max(paths.values()) + 1024, share_port=share_port),
            # Ours comes first and answers in our words; this one holds if Python does not keep up.
            maximum_concurrent_rpcs=2 * limits.total,
        )
        self._server.add_generic_rpc_handlers((_Table(table, self._method("", 0)),))

    # -- Life ---------------------------------------------------------------------------------------------------------

    async def start(self, address: str) -> int:
        """Listen on `host:port` and return the port taken (port 0 takes any).

        Raises:
            ConfigRefused: the address cannot be bound.
        """
        try:
            port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise ConfigRefused(f"listeners.{self._audience}: cannot listen on {address}; is it in use?")
        await self._server.start()
        return int(port)

    async def drain(self, grace_s: float) -> None:
        """Say "not serving", take no new call, let those in progress finish for `grace_s`, then cut the rest."""
        self._draining = True
        await self._server.stop(grace_s)

    # -- One call -----------------------------------------------------------------------------------------------------

    def _method(self, path: str, size_max: int) -> grpc.RpcMethodHandler[Any, Any]:
        answer = functools.partial(self._call, path, path.rpartition(".")[2] or "unknown", size_max)
        # Without serialisers the handler gets and gives exact bytes.
        return grpc.unary_unary_rpc_method_handler(answer)

    async def _call(self, path: str, name: str, size_max: int, body: bytes, context: Context) -> bytes:
        started_ns = time.monotonic_ns()
        seen = Seen()
        code, reason, private, reply = "OK", "", "", b""
        try:
            reply = await self._admit(path, size_max, body, context, seen, started_ns)
            return reply
        except GatewayError as error:
            told, public, details = status.refusal(error)
            code, reason, private = told.name, type(error).row.reason, str(error)
        except TimeoutError:
            told, public, details = status.LATE
            code, reason = told.name, "LATE"
        except asyncio.CancelledError:
            code, reason = "CANCELLED", "CANCELLED"
            raise
        except Exception as error:
            # Nobody foresaw it: its words may hold anything, so only its type is written down.
            told, public, details = status.INTERNAL
            code, reason, private = told.name, "INTERNAL", type(error).__name__
        finally:
            self._observe(
                CallSeen(
                    self._audience,
                    name,
                    seen.caller,
                    code,
                    reason,
                    private,
                    seen.served,
                    seen.time_ns or self._clock.now_ns(),
                    time.monotonic_ns() - started_ns,
                    self._rounded(len(body)),
                    self._rounded(len(reply)),
                )
            )
        await context.abort(told, public, ((status.DETAILS_KEY, details),) if details else ())

    async def _admit(
        self, path: str, size_max: int, body: bytes, context: Context, seen: Seen, started_ns: int
    ) -> bytes:
        meters = self._meters
        # 1. Limits of the node.
        if meters.running >= self._limits.total:
            raise TooMany("too many calls in progress, of all callers")
        meters.running += 1
        try:
            # 2. Identity.
            seen.time_ns = now_ns = self._clock.now_ns()
            caller = self._identify(context, now_ns)
            seen.caller = name = self._name(caller)
            # 3. Limits of the caller.
            meter = meters.of(name, started_ns)
            meter.enter(started_ns)
            refused = False
            try:
                if not path:
                    raise MethodUnknown("not a method of this door")
                if len(body) > size_max:
                    raise Malformed("message", f"longer than {size_max} bytes")
                # 4. Deadline.
                left_s = interceptors.deadline_s(context, self._limits.deadline_s_max)
                deadline_ns = started_ns + int(left_s * 1e9)
                if path == HEALTH:
                    return self._health(body)
                # 5. to 7. Signature, shape, flow.
                if left_s < self._limits.deadline_s_max:
                    # gRPC cancels us at the caller's own deadline.
                    return await self._serve(path, body, context, caller, now_ns, deadline_ns, seen)
                async with asyncio.timeout(left_s):
                    return await self._serve(path, body, context, caller, now_ns, deadline_ns, seen)
            except GatewayError as error:
                refused = interceptors.refused_by_caller(error)
                raise
            finally:
                meter.leave(refused=refused)
        finally:
            meters.running -= 1

    def _rounded(self, size_bytes: int) -> int:
        """A body's size as it is counted and written down."""
        return -(-size_bytes // self.size_step) * self.size_step

    @abstractmethod
    def _identify(self, context: Context, now_ns: int) -> Any:  # noqa: ANN401 (each audience has its own kind of caller)
        """Who calls. Raises NotIdentified, PeerSuspended."""

    @abstractmethod
    def _name(self, caller: Any) -> str:  # noqa: ANN401
        """The caller's name in limits, metrics and log lines."""

    @abstractmethod
    async def _serve(
        self,
        path: str,
        body: bytes,
        context: Context,
        caller: Any,
        now_ns: int,
        deadline_ns: int,
        seen: Seen,  # noqa: ANN401
    ) -> bytes:
        """Signature, shape and flow of an admitted call."""

    def _health(self, body: bytes) -> bytes:
        asked = shape.parse(health_pb2.HealthCheckRequest, body, 512).service
        if asked not in self._services:
            raise NotFoundOrNotPermitted("health of a service that is not here")
        serving = self._ready() and not self._draining
        kinds = health_pb2.HealthCheckResponse
        return bytes(kinds(status=kinds.SERVING if serving else kinds.NOT_SERVING).SerializeToString())


# -- Peers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _PeerMethod:
    """One row of the peers' table: most bytes, decoder, and what must agree between message and caller."""

    bytes_max: int
    decode: Callable[[bytes], Any]
    agree: Callable[[Any, PeerId, PeerId, int], None]


def _check_agrees(request: CheckRequest, peer: PeerId, us: PeerId, now_ns: int) -> None:
    if request.asker != peer:
        raise Malformed("asker", "is not the sender")
    if request.owner != us:
        raise Malformed("owner", "is not the receiver")
    _permit_agrees(request, peer, us, now_ns)


def _manifest_agrees(request: ManifestRequest, peer: PeerId, us: PeerId, now_ns: int) -> None:
    if request.owner != us:
        raise Malformed("owner", "is not the receiver")


def _scope_agrees(request: ChunkRequest | DeltasRequest, peer: PeerId, us: PeerId, now_ns: int) -> None:
    if request.scope.owner != us:
        raise Malformed("scope.owner", "is not the receiver")
    if request.scope.peer != peer:
        # The same face as a table that does not exist.
        raise NotFoundOrNotPermitted(f"{peer} asked for another peer's table")


def _permit_agrees(
    request: CheckRequest | OpenCase | Decision | Closing | ReleaseAsk, peer: PeerId, us: PeerId, now_ns: int
) -> None:
    ahead_ns = request.permit_expires_ns - now_ns
    if not -envelope.SKEW_NS <= ahead_ns <= PERMIT_NS_MAX + envelope.SKEW_NS:
        raise Malformed("permit_expires_ns", "has passed, or is more than 15 minutes ahead")


def _piece_agrees(request: releases_convert.PieceAsk, peer: PeerId, us: PeerId, now_ns: int) -> None:
    _permit_agrees(request.ask, peer, us, now_ns)


def _any(request: object, peer: PeerId, us: PeerId, now_ns: int) -> None:
    return None


def _not_served(body: bytes) -> None:
    raise CapabilityMissing("a method of the contract that this release does not serve")


PEER_METHODS: Final[Mapping[str, _PeerMethod]] = {
    convert.CHECK: _PeerMethod(convert.CHECK_BYTES_MAX, convert.check_request, _check_agrees),
    convert.GET_MANIFEST: _PeerMethod(convert.SMALL_BYTES_MAX, convert.manifest_request, _manifest_agrees),
    convert.GET_TABLE_CHUNK: _PeerMethod(convert.SMALL_BYTES_MAX, convert.chunk_request, _scope_agrees),
    convert.GET_DELTAS: _PeerMethod(convert.SMALL_BYTES_MAX, convert.deltas_request, _scope_agrees),
    convert.DESCRIBE: _PeerMethod(convert.SMALL_BYTES_MAX, convert.describe_request, _any),
    convert.ADD_CHECKPOINT: _PeerMethod(convert.CHECKPOINT_BYTES_MAX, convert.checkpoint_request, _any),
    convert.GET_PAIR_HEAD: _PeerMethod(convert.SMALL_BYTES_MAX, convert.pair_head_request, _any),
    cases_convert.OPEN_CASE: _PeerMethod(cases_convert.OPEN_BYTES_MAX, cases_convert.open_case, _permit_agrees),
    cases_convert.DELIVER_DECISION: _PeerMethod(
        cases_convert.DECISION_BYTES_MAX, cases_convert.decision, _permit_agrees
    ),
    cases_convert.CORRECT_DISCLOSURE: _PeerMethod(
        cases_convert.DECISION_BYTES_MAX, cases_convert.correction, _permit_agrees
    ),
    cases_convert.CLOSE_CASE: _PeerMethod(cases_convert.CLOSE_BYTES_MAX, cases_convert.close, _permit_agrees),
    releases_convert.PLAN_RELEASE: _PeerMethod(
        releases_convert.ASK_BYTES_MAX, releases_convert.plan_ask, _permit_agrees
    ),
    releases_convert.REQUEST_RELEASE: _PeerMethod(
        releases_convert.ASK_BYTES_MAX, releases_convert.request, _permit_agrees
    ),
    releases_convert.GET_RELEASE: _PeerMethod(
        releases_convert.ASK_BYTES_MAX, releases_convert.piece_ask, _piece_agrees
    ),
}
"""Every method of the contract for peers. One that has no handler is answered CAPABILITY_MISSING."""


K = TypeVar("K")


def _remember(kept: dict[bytes, K], pem: bytes, value: K) -> None:
    """Keep what was learned of a leaf, of so many at most."""
    if len(kept) >= LEAVES_MAX:
        kept.clear()
    kept[pem] = value


SERVED: Final = tuple(sorted(path for path, method in PEER_METHODS.items() if method.decode is not _not_served))
"""The methods that this release serves, as `Description.methods` names them."""


class PeerServer(Listener):
    """The door to other states."""

    def __init__(
        self,
        *,
        state: PeerId,
        view: Callable[[], FederationView],
        handlers: Mapping[str, PeerHandler],
        leaf: tls.Leaf,
        clock: Clock,
        observe: Observe,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        ready: Callable[[], bool] = lambda: True,
        is_suspended: Callable[[PeerId], bool] = lambda peer: False,
        share_port: bool = False,
    ) -> None:
        """`view` gives the federation document in force, `leaf` our own certificate; both are asked anew each time.

        `is_suspended` is our own suspension of a peer; the federation's stands in the view.
        """
        unknown = handlers.keys() - PEER_METHODS.keys()
        if unknown:
            raise ValueError(f"no methods of the contract: {sorted(unknown)}")
        self._state = state
        self._view = view
        self._handlers = handlers
        self._is_suspended = is_suspended
        self._roots: tuple[FederationView, bytes] | None = None
        self._bound: dict[bytes, tuple[FederationView, Identity]] = {}
        self._strangers: dict[bytes, tuple[FederationView, int, str]] = {}
        super().__init__(
            "peers",
            {path: method.bytes_max for path, method in PEER_METHODS.items()},
            credentials=tls.server_credentials(leaf, self._anchors),
            clock=clock,
            limits=limits,
            observe=observe,
            ready=ready,
            share_port=share_port,
        )

    def _anchors(self) -> bytes:
        view = self._view()
        if self._roots is None or self._roots[0] is not view:
            self._roots = (view, tls.anchors(view.member(state).anchor_pem for state in view.states()))
        return self._roots[1]

    def _identify(self, context: Context, now_ns: int) -> PeerId:
        pem = interceptors.leaf_pem(context)
        view = self._view()
        view.require_current(now_ns)
        # Under one federation document one certificate binds to one state as long as it is in force: that it does is
        # worked out once. Another document is another view.
        bound = self._bound.get(pem)
        if bound is not None and bound[0] is view and bound[1].in_force(now_ns):
            return bound[1].state
        stranger = self._strangers.get(pem)
        if stranger is not None and stranger[0] is view and abs(now_ns - stranger[1]) < STRANGER_NS:
            raise NotIdentified(stranger[2])
        try:
            der = self._leaves.der(pem)
            peer = view.state_of(der, now_ns)
            if peer == self._state:
                raise NotIdentified("our own state is not a peer")
        except NotIdentified as refused:
            # Reading a certificate costs more than a refusal should (T19).
            _remember(self._strangers, pem, (view, now_ns, str(refused)))
            raise
        _remember(self._bound, pem, (view, certificates.identity(der)))
        return peer

    def _name(self, caller: PeerId) -> str:
        return caller

    async def _serve(
        self, path: str, body: bytes, context: Context, caller: PeerId, now_ns: int, deadline_ns: int, seen: Seen
    ) -> bytes:
        # 5. Signature.
        keys = self._view().member(caller).member.message_keys
        message, header = interceptors.signed(
            context,
            body,
            method=path,
            sender=caller,
            receiver=self._state,
            keys=[key.public for key in keys if key.not_before_ns <= now_ns <= key.not_after_ns],
            now_ns=now_ns,
        )
        if self._is_suspended(caller):
            raise PeerSuspended(f"{caller} is suspended here")
        # 6. Shape.
        handler = self._handlers.get(path)
        method = PEER_METHODS[path]
        if handler is None:
            _not_served(body)
            raise AssertionError
        request = method.decode(body)
        method.agree(request, caller, self._state, now_ns)
        # 7. Flow.
        seen.served = True
        reply = await handler(
            body,
            CallContext(
                peer=caller,
                method=path,
                now_ns=now_ns,
                deadline_ns=deadline_ns,
                header=header,
                message=message,
                request=request,
            ),
        )
        context.set_trailing_metadata(
            (
                (envelope.HEADER_KEY, reply.header),
                (envelope.SIGNATURE_KEY, reply.signature),
                (envelope.ACCEPTS_KEY, envelope.ACCEPTS),
            )
        )
        return reply.body


def peer_handlers(
    door: PeerDoor,
    *,
    sender: Sender,
    keys: Keys,
    clock: Clock,
    cases: PeerCaseDoor | None = None,
    releases: PeerReleaseDoor | None = None,
) -> dict[str, PeerHandler]:
    """The whole table for `PeerServer` out of doors that speak in terms: encodes and signs what they give. Without
    `cases` or `releases` their methods are answered CAPABILITY_MISSING."""

    async def signed(body: bytes, call: CallContext) -> SignedMessage:
        return await keys.sign(sender.reply(call.method, call.peer, clock.now_ns(), call.request_hash), body)

    async def check(body: bytes, call: CallContext) -> SignedMessage:
        request: CheckRequest = call.request
        convert.judge_named(call.header.entry, request)
        return await door.check(request, call)

    async def manifest(body: bytes, call: CallContext) -> SignedMessage:
        request: ManifestRequest = call.request
        found = await door.manifest(request, call)
        return await signed(convert.encode_manifest_reply(found.message), call)

    async def chunk(body: bytes, call: CallContext) -> SignedMessage:
        request: ChunkRequest = call.request
        return await signed(convert.encode_chunk_reply(request, await door.chunk(request, call)), call)

    async def deltas(body: bytes, call: CallContext) -> SignedMessage:
        request: DeltasRequest = call.request
        return await signed(convert.encode_deltas_reply(await door.deltas(request, call)), call)

    async def describe(body: bytes, call: CallContext) -> SignedMessage:
        return await signed(convert.encode_describe_reply(await door.describe(call)), call)

    async def add_checkpoint(body: bytes, call: CallContext) -> SignedMessage:
        request: CheckpointRequest = call.request
        result: bytes | int
        try:
            result = await door.add_checkpoint(request, call)
        except VerificationFailed as refused:
            if refused.step != "old_size" or refused.position is None:
                raise
            # tlog-witness's 409: not a refusal but a signed statement of what we know.
            result = refused.position
        return await signed(convert.encode_checkpoint_reply(result), call)

    async def pair_head(body: bytes, call: CallContext) -> SignedMessage:
        return await signed(convert.encode_pair_head(await door.pair_head(call.request, call)), call)

    table: dict[str, PeerHandler] = {
        convert.CHECK: check,
        convert.GET_MANIFEST: manifest,
        convert.GET_TABLE_CHUNK: chunk,
        convert.GET_DELTAS: deltas,
        convert.DESCRIBE: describe,
        convert.ADD_CHECKPOINT: add_checkpoint,
        convert.GET_PAIR_HEAD: pair_head,
    }
    if cases is not None:
        table |= _case_handlers(cases, signed)
    if releases is not None:
        table |= _release_handlers(releases, signed)
    return table


Signed = Callable[[bytes, CallContext], Awaitable[SignedMessage]]


def _case_handlers(desk: PeerCaseDoor, signed: Signed) -> dict[str, PeerHandler]:
    async def open_case(body: bytes, call: CallContext) -> SignedMessage:
        request: OpenCase = call.request
        return await signed(cases_convert.encode_opened(request.case_id, await desk.open_case(request, call)), call)

    async def deliver(body: bytes, call: CallContext) -> SignedMessage:
        request: Decision = call.request
        return await signed(cases_convert.encode_receipt(await desk.deliver(request, call)), call)

    async def correct(body: bytes, call: CallContext) -> SignedMessage:
        request: Decision = call.request
        return await signed(cases_convert.encode_corrected(await desk.correct(request, call)), call)

    async def close_case(body: bytes, call: CallContext) -> SignedMessage:
        request: Closing = call.request
        return await signed(cases_convert.encode_closed(await desk.close_case(request, call)), call)

    return {
        cases_convert.OPEN_CASE: open_case,
        cases_convert.DELIVER_DECISION: deliver,
        cases_convert.CORRECT_DISCLOSURE: correct,
        cases_convert.CLOSE_CASE: close_case,
    }


def _release_handlers(desk: PeerReleaseDoor, signed: Signed) -> dict[str, PeerHandler]:
    async def plan(body: bytes, call: CallContext) -> SignedMessage:
        ask: ReleaseAsk = call.request
        return await signed(releases_convert.encode_plan(await desk.plan_release(ask, call)), call)

    async def request(body: bytes, call: CallContext) -> SignedMessage:
        ask: ReleaseAsk = call.request
        return await signed(releases_convert.encode_standing(await desk.request_release(ask, call)), call)

    async def piece(body: bytes, call: CallContext) -> SignedMessage:
        asked: releases_convert.PieceAsk = call.request
        held = await desk.get_release(asked.ask, call)
        return await signed(releases_convert.encode_piece(held, asked.offset), call)

    return {
        releases_convert.PLAN_RELEASE: plan,
        releases_convert.REQUEST_RELEASE: request,
        releases_convert.GET_RELEASE: piece,
    }


__all__ = [
    "HEALTH",
    "PEER_METHODS",
    "SERVED",
    "CallContext",
    "Listener",
    "Observe",
    "PeerHandler",
    "PeerServer",
    "Seen",
    "peer_handlers",
]
