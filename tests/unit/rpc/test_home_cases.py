"""Cases between a desk and its gateway: encoded, decoded again; any bytes parse or are refused; sizes tell nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import Malformed
from gateway.federation import statement
from gateway.rpc.convert import home_cases as convert
from gateway.rpc.doors import CaseAct, CaseLine, CaseQuery, CaseStep, CaseView, HomeCall
from gateway.rpc.home import HomeClient
from gateway.rpc.home_server import HomeServer
from gateway.terms import Hidden, MatchClass, PeerId, RecordKind, Role
from gateway.terms.call import CallSeen
from tests.unit.rpc import world
from tests.unit.rpc.test_home_server import ANCHOR, BOOTH, Door

CASE = bytes(range(16))


def a_line(**changes: Any) -> CaseLine:  # noqa: ANN401 (a line's fields)
    made = CaseLine(
        case_id=CASE,
        side="owner",
        peer=PeerId("HND"),
        purpose="SEC.WATCH",
        kind=RecordKind.WANTED_ARREST,
        match=MatchClass.NAME_AND_YEAR,
        state="UNDER_REVIEW",
        version=3,
        due_ns=world.NOW_NS,
        expires_ns=world.NOW_NS + 1,
        urgency="CUSTODY",
        assigned="PAN-desk-1",
        offered_to="PAN-desk-2",
        screening_required=True,
    )
    return replace(made, **changes)


def a_view(**changes: Any) -> CaseView:  # noqa: ANN401
    made = CaseView(
        line=a_line(),
        legal_basis="bilateral agreement",
        fields=("names", "birth_date"),
        released=("names",),
        withheld=("photo",),
        recipient=b"r" * 32,
        refusal="R06",
        outcome="SAME_PERSON",
        record_version=2,
        conditions=("PURPOSE_ONLY",),
        subject_category="SUSPECT",
        basis="FACT",
        reliability="CONFIRMED",
        as_of="2026-05-04",
        disclosed=(("names", Hidden(("Eriksson Anna", "Эрикссон Анна"))),),
        history=(CaseStep("CONFIRM", world.NOW_NS, "PAN-desk-1"), CaseStep("DELIVER", world.NOW_NS)),
        acts=("prepare", "hand-over"),
        words=Hidden("seen twice"),
    )
    return replace(made, **changes)


def an_act(**changes: Any) -> CaseAct:  # noqa: ANN401
    signed = statement.make("case.confirm", {"case_id": CASE}, role=Role.DESK_NATIONAL, signed_ns=5, seed=b"s" * 32)
    made = CaseAct(CASE, 3, "confirm", {"fields": ("names", "sex")}, Hidden("seen at the booth"), (signed,))
    return replace(made, **changes)


def opened(view: CaseView) -> Any:  # noqa: ANN401 (a comparable copy of hidden values)
    disclosed = tuple((name, values.open()) for name, values in view.disclosed)
    return replace(view, disclosed=disclosed, words=view.words.open())  # type: ignore[arg-type]


def test_lists_views_and_acts_arrive_as_they_were_sent() -> None:
    asked = CaseQuery(mine=True, due=True, states=("CONFIRMED",))
    assert convert.query(convert.encode_query(asked)) == asked
    lines = (a_line(), a_line(side="asker", due_ns=0, assigned="", offered_to="", urgency=""))
    assert convert.lines(convert.encode_lines(lines, True)) == (lines, True)
    assert convert.which(convert.encode_which(CASE)) == CASE
    assert opened(convert.view(convert.encode_view(a_view()))) == opened(a_view())
    back = convert.act(convert.encode_act(an_act()))
    assert back.words.open() == an_act().words.open()
    assert (back.case_id, back.version, back.act, dict(back.arguments), back.signatures) == (
        CASE,
        3,
        "confirm",
        {"fields": ("names", "sex")},
        an_act().signatures,
    )
    assert convert.line(convert.encode_line(a_line())) == a_line()


def test_what_is_disclosed_and_said_does_not_show_itself() -> None:
    for value in (convert.view(convert.encode_view(a_view())), convert.act(convert.encode_act(an_act()))):
        assert "Eriksson" not in repr(value) and "booth" not in repr(value)


def test_a_refusal_and_a_disclosure_have_one_size() -> None:
    refused = a_view(disclosed=(), refusal="R06", withheld=(), subject_category="", basis="", as_of="")
    disclosed = a_view(refusal="")
    assert len(convert.encode_view(refused)) == len(convert.encode_view(disclosed)) == 2_048
    assert len(convert.encode_lines((), False)) == len(convert.encode_lines((a_line(),), False)) == 2_048
    assert len(convert.encode_act(an_act())) == len(convert.encode_act(an_act(words=Hidden("x" * 300)))) == 2_048


@pytest.mark.parametrize(
    "change",
    [
        {"case_id": b"short"},
        {"version": 0},
        {"act": "Confirm"},
        {"arguments": {"Fields": ("names",)}},
        {"arguments": {"fields": ("names", "names")}},
        {"arguments": {"fields": ("x" * 129,)}},
        {"arguments": {f"f{chr(97 + n)}": ("x",) for n in range(17)}},
        {"words": Hidden("two\nlines")},
        {"words": Hidden("x" * 2_049)},
        {"signatures": an_act().signatures * 2},
    ],
)
def test_an_act_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        convert.act(convert.encode_act(an_act(**change)))


@pytest.mark.parametrize(
    "change",
    [
        {"side": "both"},
        {"peer": PeerId("Hnd")},
        {"state": "under review"},
        {"version": 0},
        {"assigned": "a b"},
        {"due_ns": -1},
        {"case_id": b""},
    ],
)
def test_a_line_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        convert.line(convert.encode_line(a_line(**change)))


@pytest.mark.parametrize("read", [convert.query, convert.which, convert.act, convert.lines, convert.view, convert.line])
@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(read: Callable[[bytes], object], body: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(body)


@given(st.data())
def test_a_changed_act_parses_or_is_refused(data: st.DataObject) -> None:
    body = bytearray(convert.encode_act(an_act()))
    for place in data.draw(st.lists(st.integers(0, 400), min_size=1, max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        convert.act(bytes(body))


# -- Over the door ----------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """PAN's cases."""

    trouble: BaseException | None = None
    calls: list[tuple[str, HomeCall]] = field(default_factory=list)
    acts: list[CaseAct] = field(default_factory=list)

    def _begin(self, name: str, call: HomeCall) -> None:
        self.calls.append((name, call))
        if self.trouble is not None:
            raise self.trouble

    async def cases(self, query: CaseQuery, call: HomeCall) -> tuple[Sequence[CaseLine], bool]:
        self._begin("cases", call)
        return [a_line()], False

    async def case(self, case_id: bytes, call: HomeCall) -> CaseView:
        self._begin("case", call)
        return a_view()

    async def act(self, act: CaseAct, call: HomeCall) -> CaseLine:
        self._begin("act", call)
        self.acts.append(act)
        return a_line(version=act.version + 1)


@asynccontextmanager
async def a_desk(desk: Desk | None) -> AsyncIterator[tuple[HomeClient, list[CallSeen]]]:
    seen: list[CallSeen] = []
    server = HomeServer(
        state=PeerId("PAN"),
        door=Door(),
        anchor_pem=ANCHOR,
        leaf=lambda: world.leaf("PAN", role="home"),
        clock=world.StillClock(),
        observe=seen.append,
        cases=desk,
    )
    try:
        port = await server.start("127.0.0.1:0")
        async with HomeClient(f"127.0.0.1:{port}", leaf=BOOTH, anchor_pem=ANCHOR) as client:
            yield client, seen
    finally:
        await server.drain(0)


@pytest.mark.asyncio
async def test_a_desk_lists_shows_and_acts() -> None:
    desk = Desk()
    async with a_desk(desk) as (client, seen):
        assert await client.cases(CaseQuery(), "t") == ((a_line(),), False)
        assert opened(await client.case(CASE, "t")) == opened(a_view())
        assert (await client.act(an_act(), "t")).version == 4
        assert [name for name, _ in desk.calls] == ["cases", "case", "act"]
        assert all(call.token is not None and call.token.open() == "t" for _, call in desk.calls)
        assert {one.reply_bytes for one in seen} == {2_048}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "trouble",
    [
        errors.NotFoundOrNotPermitted("x"),
        errors.PolicyDenied(("case_state", "role")),
        errors.VersionMoved("x"),
        errors.NotIdentified("x"),
        errors.AuditUnavailable("x"),
    ],
    ids=lambda trouble: trouble.row.reason,
)
async def test_what_the_gateway_refuses_arrives_as_itself(trouble: errors.GatewayError) -> None:
    async with a_desk(Desk(trouble)) as (client, _):
        for ask in (client.cases(CaseQuery(), "t"), client.case(CASE, "t"), client.act(an_act(), "t")):
            with pytest.raises(type(trouble)) as caught:
                await ask
            assert getattr(caught.value, "reasons", None) == getattr(trouble, "reasons", None)


@pytest.mark.asyncio
async def test_a_door_without_a_desk_says_so() -> None:
    async with a_desk(None) as (client, _):
        with pytest.raises(errors.CapabilityMissing):
            await client.cases(CaseQuery(), "t")
