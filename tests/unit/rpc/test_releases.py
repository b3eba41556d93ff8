"""Releases at both doors: encoded and decoded again, any bytes are read or refused, a long document in pieces."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import Malformed
from gateway.rpc.convert import home_statistics as home
from gateway.rpc.convert import statistics as peers
from gateway.rpc.doors import BudgetLine, CallContext, HomeCall, ReleaseLine, ReleaseQuestion
from gateway.rpc.home import HomeClient
from gateway.rpc.home_server import HomeServer
from gateway.rpc.peers import PeersClient
from gateway.terms import AgencyId, PeerId, Purpose, RequestId, Role
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding, ReleaseState
from tests.unit.rpc import world
from tests.unit.rpc.test_home_server import ANCHOR, BOOTH, Door

REFERENCE, SNAPSHOT = bytes(range(32)), b"s" * 32


def an_ask(**changes: Any) -> ReleaseAsk:  # noqa: ANN401 (an ask's fields)
    made = ReleaseAsk(
        request_id=RequestId(b"r" * 16),
        query=b"query",
        purpose=Purpose("RISK.IBC"),
        legal_basis="bilateral agreement",
        agency=AgencyId("SNM"),
        role=Role.ANALYST_NATIONAL,
        pair_seq=7,
        baseline=b"b" * 32,
        national=b"n" * 32,
        permit_expires_ns=world.NOW_NS + 10**9,
    )
    return replace(made, **changes)


def a_plan(**changes: Any) -> ReleasePlan:  # noqa: ANN401
    made = ReleasePlan(
        reference=REFERENCE,
        snapshot=SNAPSHOT,
        domain_digest=b"d" * 32,
        cells=360,
        unit="person-month",
        l0=2,
        linf=2,
        mechanism="discrete_laplace",
        scale=(2048, 1024),
        cost_micro_rho=520_000,
        charge_micro_rho=0,
        left_micro_rho=480_000,
        epsilon_micro=1_200_000,
        delta=(1, 1 << 38),
        sd_micro=2_700_000,
        half_width_95=6,
        loss_half_width_95=120,
        threshold=0,
        state="",
    )
    return replace(made, **changes)


def a_question(**changes: Any) -> ReleaseQuestion:  # noqa: ANN401
    made = ReleaseQuestion(RequestId(b"q" * 16), PeerId("HND"), b"query", Purpose("RISK.IBC"), "bilateral agreement")
    return replace(made, **changes)


def ready(document: bytes) -> ReleaseStanding:
    return ReleaseStanding(REFERENCE, SNAPSHOT, ReleaseState.READY, 0, "", document, b"header", b"s" * 64)


WAITING = ReleaseStanding(REFERENCE, SNAPSHOT, ReleaseState.WAITING, 520_000)
LINES = (
    ReleaseLine(PeerId("HND"), PeerId("PAN"), REFERENCE, b"query", ReleaseState.FAILED, world.NOW_NS),
    ReleaseLine(PeerId("PAN"), PeerId("UTO"), SNAPSHOT, b"other", ReleaseState.WAITING, world.NOW_NS),
)
BUDGET = (
    BudgetLine("PAN-crossings", "person-month", "2026-08", 1_040_000, 520_000, ((PeerId("HND"), 520_000, 520_000),)),
    BudgetLine("PAN-crossings", "key-period", "2026", 1_040_000, 0, ()),
)


# -- Bytes ------------------------------------------------------------------------------------------------------------


def test_all_that_is_said_is_read_as_it_was_written() -> None:
    assert peers.plan_ask(peers.encode_plan_ask(an_ask())) == an_ask()
    assert peers.request(peers.encode_request(an_ask())) == an_ask()
    asked = peers.PieceAsk(an_ask(), 3 * peers.PIECE_BYTES)
    assert peers.piece_ask(peers.encode_piece_ask(asked)) == asked
    for plan in (a_plan(), a_plan(state="ready", threshold=9)):
        assert peers.plan(peers.encode_plan(plan)) == plan == home.plan(home.encode_plan(plan))
    for standing in (WAITING, replace(WAITING, state=ReleaseState.FAILED, code="ENGINE")):
        assert (
            peers.standing(peers.encode_standing(standing)) == standing == home.standing(home.encode_standing(standing))
        )
    assert home.plan_ask(home.encode_plan_ask(a_question())) == a_question()
    assert home.request(home.encode_request(a_question())) == a_question()
    plain = a_question(query=b"")
    assert home.piece_ask(home.encode_piece_ask(plain, REFERENCE, home.PIECE_BYTES)) == (
        plain,
        REFERENCE,
        home.PIECE_BYTES,
    )
    assert home.lines(home.encode_lines(LINES)) == LINES
    assert home.budget(home.encode_budget(BUDGET)) == BUDGET


@pytest.mark.parametrize("size", [1, peers.PIECE_BYTES - 1, peers.PIECE_BYTES, 2 * peers.PIECE_BYTES + 5])
def test_a_document_comes_whole_out_of_its_pieces(size: int) -> None:
    held = ready(bytes(range(256)) * (size // 256) + b"z" * (size % 256))
    offsets = range(0, size, peers.PIECE_BYTES)
    pieces = [peers.piece(peers.encode_piece(held, offset), offset) for offset in offsets]
    assert peers.joined(pieces) == held
    assert home.piece(home.encode_piece(held, 0), 0).piece == held.document


def test_pieces_of_two_documents_are_not_joined() -> None:
    first, second = (ready(letter * (peers.PIECE_BYTES + size)) for letter, size in ((b"a", 1), (b"b", 2)))
    pieces = [peers.piece(peers.encode_piece(one, at), at) for one, at in ((first, 0), (second, peers.PIECE_BYTES))]
    with pytest.raises(Malformed):
        peers.joined(pieces)


@pytest.mark.parametrize("offset", [1, peers.PIECE_BYTES - 1, peers.DOCUMENT_BYTES_MAX])
def test_a_piece_starts_where_pieces_start(offset: int) -> None:
    with pytest.raises(Malformed):
        peers.piece_ask(peers.encode_piece_ask(peers.PieceAsk(an_ask(), offset)))


def test_nothing_is_past_the_end() -> None:
    with pytest.raises(Malformed):
        peers.encode_piece(ready(b"a" * peers.PIECE_BYTES), peers.PIECE_BYTES)
    assert peers.piece(peers.encode_piece(WAITING, 0), 0).size == 0


@pytest.mark.parametrize(
    "change",
    [
        {"query": b""},
        {"query": bytes(4_097)},
        {"purpose": "risk"},
        {"legal_basis": ""},
        {"agency": ""},
        {"pair_seq": 0},
        {"baseline": b"b"},
        {"national": b""},
        {"permit_expires_ns": 0},
    ],
)
def test_a_question_that_lacks_something_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        peers.request(peers.encode_request(an_ask(**change)))


@pytest.mark.parametrize(
    "change",
    [{"state": "soon"}, {"scale": (0, 1)}, {"delta": (1, 0)}, {"cells": 0}, {"cost_micro_rho": 0}, {"unit": "P"}],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        peers.plan(peers.encode_plan(a_plan(**change)))


READERS: tuple[Callable[[bytes], object], ...] = (
    peers.plan_ask, peers.request, peers.piece_ask, peers.plan, peers.standing, lambda body: peers.piece(body, 0),
    home.plan_ask, home.plan, home.request, home.standing, home.piece_ask, lambda body: home.piece(body, 0),
    home.list_ask, home.lines, home.budget_ask, home.budget,
)  # fmt: skip
WRITTEN = (
    peers.encode_request(an_ask()), peers.encode_plan(a_plan()), peers.encode_piece(ready(b"document"), 0),
    home.encode_lines(LINES), home.encode_budget(BUDGET), home.encode_request(a_question()),
)  # fmt: skip


@given(st.sampled_from(READERS), st.sampled_from(WRITTEN) | st.binary(max_size=64), st.data())
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], object], body: bytes, data: st.DataObject) -> None:
    bent = bytearray(body)
    if bent:
        place = data.draw(st.integers(0, len(bent) - 1))
        bent[place] ^= data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        read(bytes(bent))


# -- Doors ------------------------------------------------------------------------------------------------------------


class Desk:
    """Both doors; `document` is what is ready."""

    def __init__(self, document: bytes = b"", trouble: Exception | None = None) -> None:
        self.document = document
        self.trouble = trouble
        self.asked: list[object] = []

    def _begin(self, *asked: object) -> None:
        self.asked.append(asked)
        if self.trouble is not None:
            raise self.trouble

    async def plan_release(self, ask: ReleaseAsk, call: CallContext) -> ReleasePlan:
        self._begin(ask)
        return a_plan()

    async def request_release(self, ask: ReleaseAsk, call: CallContext) -> ReleaseStanding:
        self._begin(ask)
        return WAITING

    async def get_release(self, ask: ReleaseAsk, call: CallContext) -> ReleaseStanding:
        self._begin(ask)
        return ready(self.document) if self.document else WAITING

    async def plan(self, question: ReleaseQuestion, call: HomeCall) -> ReleasePlan:
        self._begin(question)
        return a_plan()

    async def request(self, question: ReleaseQuestion, call: HomeCall) -> ReleaseStanding:
        self._begin(question)
        return WAITING

    async def get(self, question: ReleaseQuestion, reference: bytes, call: HomeCall) -> ReleaseStanding:
        self._begin(question, reference)
        return ready(self.document) if self.document else WAITING

    async def releases(self, call: HomeCall) -> Sequence[ReleaseLine]:
        self._begin()
        return LINES

    async def budget(self, call: HomeCall) -> Sequence[BudgetLine]:
        self._begin()
        return BUDGET


@asynccontextmanager
async def two_states(desk: Desk) -> AsyncIterator[PeersClient]:
    """PAN's client towards HND, whose door `desk` is."""
    async with world.a_node(releases=desk) as node:
        members = world.view(world.member("HND", node.port), world.member("PAN"), world.member("UTO"))
        client = PeersClient(
            sender=world.sender("PAN"),
            keys=world.Keys("PAN"),
            view=lambda: members,
            leaf=lambda: world.leaf("PAN"),
            clock=world.StillClock(),
            chance=world.Counter(),
            observe=lambda call: None,
        )
        try:
            yield client
        finally:
            await client.close()


@pytest.mark.asyncio
async def test_a_peer_plans_asks_and_fetches_a_document_longer_than_a_message() -> None:
    document = bytes(range(256)) * (3 << 12)
    desk = Desk(document)
    assert len(document) > 2 * peers.PIECE_BYTES
    async with two_states(desk) as client:
        assert await client.plan_release(PeerId("HND"), an_ask(), timeout_s=10) == a_plan()
        assert await client.request_release(PeerId("HND"), an_ask(), timeout_s=10) == WAITING
        assert await client.get_release(PeerId("HND"), an_ask(), timeout_s=10) == ready(document)
        desk.document = b""
        assert (await client.get_release(PeerId("HND"), an_ask(), timeout_s=10)).state is ReleaseState.WAITING
    assert set(desk.asked) == {(an_ask(),)} and len(desk.asked) == 2 + 3 + 1


TROUBLES = [
    errors.BudgetExhausted("share", 520_000, 20_000, 3_000),
    errors.NotFoundOrNotPermitted("x"),
    errors.PolicyDenied(("role",)),
    errors.CapabilityMissing("x"),
    errors.InputRefused("x", field="period", code="DOMAIN_UNKNOWN"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.row.reason)
async def test_what_an_owner_refuses_is_believed(trouble: errors.GatewayError) -> None:
    async with two_states(Desk(trouble=trouble)) as client:
        for ask in (client.plan_release, client.request_release, client.get_release):
            with pytest.raises(type(trouble)) as caught:
                await ask(PeerId("HND"), an_ask(), timeout_s=10)
            assert getattr(caught.value, "code", None) == getattr(trouble, "code", None)


@pytest.mark.asyncio
async def test_a_permit_that_has_passed_is_not_taken() -> None:
    desk = Desk()
    async with two_states(desk) as client:
        for ask in (client.request_release, client.get_release):
            with pytest.raises(errors.PeerUnreachable):
                await ask(PeerId("HND"), an_ask(permit_expires_ns=1), timeout_s=10)
    assert not desk.asked


@asynccontextmanager
async def at_home(desk: Desk | None) -> AsyncIterator[HomeClient]:
    server = HomeServer(
        state=PeerId("PAN"),
        door=Door(),
        anchor_pem=ANCHOR,
        leaf=lambda: world.leaf("PAN", role="home"),
        clock=world.StillClock(),
        observe=lambda call: None,
        releases=desk,
    )
    try:
        port = await server.start("127.0.0.1:0")
        async with HomeClient(f"127.0.0.1:{port}", leaf=BOOTH, anchor_pem=ANCHOR) as client:
            yield client
    finally:
        await server.drain(0)


@pytest.mark.asyncio
async def test_a_statistician_plans_asks_fetches_lists_and_reads_the_budget() -> None:
    document = bytes(home.PIECE_BYTES + 7)
    desk = Desk(document)
    async with at_home(desk) as client:
        assert await client.plan_release(a_question(), "t") == a_plan()
        assert await client.request_release(a_question(), "t") == WAITING
        assert await client.get_release(a_question(query=b""), REFERENCE, "t") == ready(document)
        assert await client.releases("t") == LINES
        assert await client.budget("t") == BUDGET
    plain = a_question(query=b"")
    assert desk.asked == [(a_question(),), (a_question(),), (plain, REFERENCE), (plain, REFERENCE), (), ()]


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.row.reason)
async def test_what_the_gateway_refuses_arrives_as_itself(trouble: errors.GatewayError) -> None:
    async with at_home(Desk(trouble=trouble)) as client:
        with pytest.raises(type(trouble)) as caught:
            await client.request_release(a_question(), "t")
        for name in ("of", "cost_micro_rho", "left_micro_rho", "left_epsilon_micro"):
            assert getattr(caught.value, name, None) == getattr(trouble, name, None)


@pytest.mark.asyncio
async def test_a_door_without_a_desk_says_so() -> None:
    async with at_home(None) as client:
        with pytest.raises(errors.CapabilityMissing):
            await client.budget("t")
