"""The doors to home systems and auditors over real sockets, through the clients that the command line uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from gateway import errors
from gateway.federation import certificates, statement
from gateway.federation.certificates import KeyPair
from gateway.federation.statement import PersonalSignature
from gateway.flows.auditing import Reading
from gateway.flows.check import CheckAnswer, Hit, Inquiry
from gateway.rpc.convert import home as convert
from gateway.rpc.convert import peers
from gateway.rpc.doors import AuditCall, HomeCall, ListFile, LoadReport, NodeStatus
from gateway.rpc.home import AuditClient, HomeClient
from gateway.rpc.home_server import AUDIT_METHODS, HOME_METHODS, AuditServer, HomeServer
from gateway.terms.call import CallSeen
from gateway.terms.ids import OfficerId, PeerId
from gateway.terms.words import Action, MatchClass, Outcome, RecordKind, Role
from gateway.wire.v1 import audit_pb2, home_alerts_pb2, home_cases_pb2, home_pb2, home_statistics_pb2
from tests.unit.rpc import world
from tests.unit.rpc.test_convert_home import a_load, an_inquiry

pytestmark = pytest.mark.asyncio

BOOTH = world.leaf("PAN", role="workstation", name="SNM.booth-1")
AUDITOR = world.leaf("PAN", role="auditor", name="court-of-accounts")
ANCHOR = world.anchor("PAN").certificate_pem


@dataclass
class Door:
    """PAN's answers to its own people."""

    trouble: BaseException | None = None
    calls: list[HomeCall | AuditCall] = field(default_factory=list)
    asked: list[Inquiry] = field(default_factory=list)

    def _begin(self, call: HomeCall | AuditCall) -> None:
        self.calls.append(call)
        if self.trouble is not None:
            raise self.trouble

    async def challenge(self, officer: OfficerId, call: HomeCall) -> tuple[bytes, int]:
        self._begin(call)
        return b"c" * 32, call.now_ns + 1

    async def login(self, officer: OfficerId, challenge: bytes, signature: bytes, call: HomeCall) -> tuple[str, int]:
        self._begin(call)
        return "a.b.c", call.now_ns + 1

    async def check(self, inquiry: Inquiry, call: HomeCall) -> CheckAnswer:
        self._begin(call)
        self.asked.append(inquiry)
        return CheckAnswer(inquiry.request_id, (), (PeerId("HND"),), ())

    async def status(self, call: HomeCall) -> NodeStatus:
        self._begin(call)
        return NodeStatus(PeerId("PAN"), "0.1.0", True, call.now_ns, None, 0, 0, 0, True, ())

    async def load(self, load: ListFile, call: HomeCall) -> LoadReport:
        self._begin(call)
        return LoadReport(1, 0, 0, 0, ())

    async def checkpoint(self, call: AuditCall) -> bytes:
        self._begin(call)
        return b"note"

    async def entries(self, reading: Reading, call: AuditCall) -> Sequence[bytes]:
        self._begin(call)
        assert (reading.purpose, reading.filters) == ("integrity", ("kind",))
        return [b"leaf %d" % number for number in range(reading.start, reading.start + reading.count)]

    async def reveal(
        self, seq: int, purpose: str, signatures: Sequence[PersonalSignature], call: AuditCall
    ) -> tuple[bytes, bytes]:
        self._begin(call)
        return b"leaf %d" % seq, b"".join(signed.signature for signed in signatures)

    async def inclusion(self, index: int, size: int, call: AuditCall) -> Sequence[bytes]:
        self._begin(call)
        return [bytes(32)]

    async def consistency(self, old_size: int, new_size: int, call: AuditCall) -> Sequence[bytes]:
        self._begin(call)
        return [bytes(32)] * 2


@dataclass
class Own:
    """PAN's two doors."""

    home: str
    auditors: str
    door: Door
    seen: list[CallSeen]
    clock: world.StillClock


@asynccontextmanager
async def own_doors(*, takes_lists: bool = True) -> AsyncIterator[Own]:
    door, seen, clock = Door(), list[CallSeen](), world.StillClock()
    home = HomeServer(
        state=PeerId("PAN"),
        door=door,
        anchor_pem=ANCHOR,
        leaf=lambda: world.leaf("PAN", role="home"),
        clock=clock,
        observe=seen.append,
        lists=door if takes_lists else None,
    )
    audit = AuditServer(
        state=PeerId("PAN"),
        door=door,
        anchor_pem=ANCHOR,
        leaf=lambda: world.leaf("PAN", role="auditors"),
        clock=clock,
        observe=seen.append,
    )
    try:
        ports = await home.start("127.0.0.1:0"), await audit.start("127.0.0.1:0")
        yield Own(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", door, seen, clock)
    finally:
        await home.drain(0)
        await audit.drain(0)


def booth(own: Own, leaf: KeyPair = BOOTH) -> HomeClient:
    return HomeClient(own.home, leaf=leaf, anchor_pem=ANCHOR)


async def test_a_booth_logs_in_asks_loads_and_sees_the_node() -> None:
    async with own_doors() as own, booth(own) as client:
        assert await client.challenge(OfficerId("A-17")) == (b"c" * 32, world.NOW_NS + 1)
        token, _ = await client.login(OfficerId("A-17"), b"c" * 32, b"s" * 64)
        answer = await client.check(an_inquiry(), token)
        assert (answer.complete, answer.unreachable) == (False, ("HND",))
        assert (await client.load(a_load(), token)).added == 1
        assert (await client.status()).ready
        tokens = [call.token.open() if isinstance(call, HomeCall) and call.token else None for call in own.door.calls]
        assert tokens == [None, None, "a.b.c", "a.b.c", None]
        first = own.door.calls[0]
        der = certificates.der_of(BOOTH.certificate_pem)
        assert isinstance(first, HomeCall)
        assert first.certificate == certificates.identity(der).thumbprint
        assert {one.caller for one in own.seen} == {"workstation/SNM.booth-1"}
        assert all(one.status == "OK" for one in own.seen)


async def test_the_digest_of_a_question_covers_its_reply_key() -> None:
    from gateway.terms import Hidden

    async with own_doors() as own, booth(own) as client:
        await client.check(an_inquiry(), "t")
        await client.check(an_inquiry(reply_key=Hidden(b"other key".ljust(32))), "t")
        first, second = (inquiry.digest for inquiry in own.door.asked)
        assert first != second


async def test_the_counted_size_of_an_answer_is_no_sign_of_a_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    hit = Hit(
        "HND-00112233",
        PeerId("HND"),
        MatchClass.DOCUMENT,
        RecordKind.WANTED_ARREST,
        Action.SECOND_LINE,
        1,
        0,
        True,
    )

    async def check(self: Door, inquiry: Inquiry, call: HomeCall) -> CheckAnswer:
        self._begin(call)
        return CheckAnswer(inquiry.request_id, (hit,) if len(self.calls) > 1 else (), (), ())

    monkeypatch.setattr(Door, "check", check)
    async with own_doors() as own, booth(own) as client:
        outcomes = {(await client.check(an_inquiry(), "t")).outcome for _ in range(2)}
        assert outcomes == set(Outcome)
        miss, found = ((one.request_bytes, one.reply_bytes) for one in own.seen)
        assert miss == found == (2048, 2048)


async def test_an_auditor_reads_the_log() -> None:
    async with own_doors() as own, AuditClient(own.auditors, leaf=AUDITOR, anchor_pem=ANCHOR) as client:
        assert await client.checkpoint() == b"note"
        assert await client.entries(Reading(5, 2, "integrity", ("kind",))) == [b"leaf 5", b"leaf 6"]
        signed = [
            statement.make(
                statement.REVEAL, {"entry": 5}, role=Role.AUDITOR, signed_ns=world.NOW_NS, seed=bytes([n]) * 32
            )
            for n in (1, 2)
        ]
        assert await client.reveal(5, "integrity", signed) == (b"leaf 5", signed[0].signature + signed[1].signature)
        assert await client.inclusion(0, 2) == [bytes(32)]
        assert await client.consistency(1, 2) == [bytes(32)] * 2
        assert {one.listener for one in own.seen} == {"auditors"}


@pytest.mark.parametrize(
    "leaf",
    [
        world.leaf("PAN"),
        AUDITOR,
        world.leaf("HND", by="PAN", role="workstation", name="SNM.booth-1"),
    ],
    ids=["our gateway", "our auditor", "another state's name"],
)
async def test_who_is_no_workstation_of_ours_gets_nothing(leaf: KeyPair) -> None:
    async with own_doors() as own, booth(own, leaf) as client:
        with pytest.raises(errors.NotIdentified):
            await client.status()
        assert not own.door.calls


async def test_another_state_s_workstation_gets_no_connection() -> None:
    foreign = world.leaf("PAN", by="HND", role="workstation", name="SNM.booth-1")
    async with own_doors() as own, booth(own, foreign) as client:
        with pytest.raises(errors.NodeUnreachable):
            await client.status()
        assert not own.seen


async def test_a_workstation_is_no_auditor() -> None:
    async with own_doors() as own, AuditClient(own.auditors, leaf=BOOTH, anchor_pem=ANCHOR) as client:
        with pytest.raises(errors.NotIdentified):
            await client.checkpoint()


async def test_a_workstation_s_certificate_ends_by_our_clock() -> None:
    async with own_doors() as own, booth(own) as client:
        await client.status()
        own.clock.now += 366 * world.DAY_NS
        with pytest.raises(errors.NotIdentified):
            await client.status()


@pytest.mark.parametrize(
    "trouble",
    [
        errors.PolicyDenied(("purpose_not_agreed", "role")),
        errors.InputRefused("nothing to ask with", line=3, field="traveller", code="NO_KEY"),
        errors.NotIdentified("token: has expired"),
        errors.RequestReused("x"),
        errors.AuditUnavailable("x"),
    ],
    ids=lambda trouble: trouble.row.reason,
)
async def test_what_the_gateway_refuses_arrives_as_itself(trouble: errors.GatewayError) -> None:
    async with own_doors() as own, booth(own) as client:
        own.door.trouble = trouble
        with pytest.raises(type(trouble)) as caught:
            await client.check(an_inquiry(), "t")
        for name in ("reasons", "line", "field", "code"):
            assert getattr(caught.value, name, None) == getattr(trouble, name, None)


async def test_a_refused_traveller_is_named_by_number_only() -> None:
    asked = home_pb2.CheckTravellersRequest.FromString(convert.encode_inquiry(an_inquiry()))
    asked.travellers.add(names=[home_pb2.PersonName(surname="GARCIA" * 30)])
    async with own_doors() as own, world.channel(int(own.home.rpartition(":")[2]), BOOTH, "PAN") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.method(channel, convert.CHECK_TRAVELLERS)(asked.SerializeToString(), timeout=5)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "GARCIA" not in str(caught.value)
        assert "GARCIA" not in str(own.seen)


async def test_a_door_that_takes_no_lists_says_so() -> None:
    async with own_doors(takes_lists=False) as own, booth(own) as client:
        with pytest.raises(errors.CapabilityMissing):
            await client.load(a_load(), "t")


@pytest.mark.parametrize("metadata", [(("authorization", "Basic x"),), (("authorization", "Bearer a"),) * 2])
async def test_an_authorization_of_another_form_is_refused(metadata: tuple[tuple[str, str], ...]) -> None:
    async with own_doors() as own, world.channel(int(own.home.rpartition(":")[2]), BOOTH, "PAN") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.method(channel, convert.GET_STATUS)(b"", timeout=5, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("path", [peers.CHECK, "/gateway.wire.v1.AuditService/GetEntries"])
async def test_other_audiences_methods_are_not_at_this_door(path: str) -> None:
    async with own_doors() as own, world.channel(int(own.home.rpartition(":")[2]), BOOTH, "PAN") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.method(channel, path)(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_gateway_that_does_not_run_is_one_clear_sentence() -> None:
    async with own_doors() as own:
        pass
    async with booth(own) as client:
        with pytest.raises(errors.NodeUnreachable, match="is it running"):
            await client.status(timeout_s=2)


async def test_every_method_of_both_contracts_is_in_its_table() -> None:
    for modules, table in (
        ((home_pb2, home_alerts_pb2, home_cases_pb2, home_statistics_pb2), HOME_METHODS),
        ((audit_pb2,), AUDIT_METHODS),
    ):
        services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
        methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
        assert methods == set(table)
