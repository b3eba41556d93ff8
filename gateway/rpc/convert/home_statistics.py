"""What a statistician and their own gateway say to each other about releases: bytes to terms and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.rpc.convert import shape, statistics
from gateway.rpc.convert.statistics import Piece
from gateway.rpc.doors import BudgetLine, ReleaseLine, ReleaseQuestion
from gateway.terms.ids import Purpose
from gateway.terms.release import ReleasePlan, ReleaseStanding
from gateway.wire.v1 import home_statistics_pb2 as wire

PLAN: Final = "/gateway.wire.v1.HomeStatisticsService/PlanOwnRelease"
REQUEST: Final = "/gateway.wire.v1.HomeStatisticsService/RequestOwnRelease"
GET: Final = "/gateway.wire.v1.HomeStatisticsService/GetOwnRelease"
LIST: Final = "/gateway.wire.v1.HomeStatisticsService/ListReleases"
BUDGET: Final = "/gateway.wire.v1.HomeStatisticsService/GetBudget"

ASK_BYTES_MAX: Final = 8 << 10
SMALL_BYTES_MAX: Final = 1_024
ANSWER_BYTES_MAX: Final = 10 << 20
PIECE_BYTES: Final = 8 << 20
"""What one reply carries of a document."""

LINES_MAX: Final = 1_000
ACCOUNTS_MAX: Final = 10_000
SHARES_MAX: Final = 256

_AMOUNT_MAX: Final = (1 << 63) - 1
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_UNIT = re.compile(r"[a-z][a-z-]{0,31}\Z")
_PERIOD = re.compile(r"20[0-9]{2}(?:-[0-9]{2})?\Z")


def _question_out(question: ReleaseQuestion) -> wire.OwnQuestion:
    return wire.OwnQuestion(
        request_id=question.request_id.value,
        owner=question.owner,
        query=question.query,
        purpose=question.purpose,
        legal_basis=question.legal_basis,
    )


def _question(read: wire.OwnQuestion, least: int) -> ReleaseQuestion:
    return ReleaseQuestion(
        request_id=shape.request_id(read.request_id, "question.request_id"),
        owner=shape.state("question.owner", read.owner),
        query=shape.sized("question.query", read.query, least, statistics.QUERY_BYTES_MAX if least else 0),
        purpose=Purpose(shape.pattern("question.purpose", read.purpose, shape.PURPOSE)),
        legal_basis=shape.text("question.legal_basis", read.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
    )


def encode_plan_ask(question: ReleaseQuestion) -> bytes:
    """The exact body."""
    return wire.PlanOwnReleaseRequest(question=_question_out(question)).SerializeToString()


def plan_ask(body: bytes) -> ReleaseQuestion:
    """Raises Malformed."""
    return _question(shape.parse(wire.PlanOwnReleaseRequest, body, ASK_BYTES_MAX).question, 1)


def encode_plan(plan: ReleasePlan) -> bytes:
    """A reply's body."""
    return wire.PlanOwnReleaseResponse(plan=statistics.plan_out(plan)).SerializeToString()


def plan(body: bytes) -> ReleasePlan:
    """Raises Malformed."""
    return statistics.plan_in(shape.parse(wire.PlanOwnReleaseResponse, body, ANSWER_BYTES_MAX).plan)


def encode_request(question: ReleaseQuestion) -> bytes:
    """The exact body."""
    return wire.RequestOwnReleaseRequest(question=_question_out(question)).SerializeToString()


def request(body: bytes) -> ReleaseQuestion:
    """Raises Malformed."""
    return _question(shape.parse(wire.RequestOwnReleaseRequest, body, ASK_BYTES_MAX).question, 1)


def encode_standing(standing: ReleaseStanding) -> bytes:
    """A reply's body: how it stands, without a document."""
    return wire.RequestOwnReleaseResponse(standing=statistics.standing_out(standing)).SerializeToString()


def standing(body: bytes) -> ReleaseStanding:
    """Raises Malformed."""
    return statistics.standing_in(shape.parse(wire.RequestOwnReleaseResponse, body, ANSWER_BYTES_MAX).standing)


def encode_piece_ask(question: ReleaseQuestion, reference: bytes, offset: int) -> bytes:
    """The exact body."""
    return wire.GetOwnReleaseRequest(
        question=_question_out(question), reference=reference, offset=offset
    ).SerializeToString()


def piece_ask(body: bytes) -> tuple[ReleaseQuestion, bytes, int]:
    """(question, reference, offset). Raises Malformed."""
    read = shape.parse(wire.GetOwnReleaseRequest, body, ASK_BYTES_MAX)
    reference = shape.fixed("reference", read.reference, 32)
    return _question(read.question, 0), reference, statistics.offset_of(read.offset, PIECE_BYTES)


def encode_piece(standing: ReleaseStanding, offset: int) -> bytes:
    """A reply's body. Raises Malformed where the document ends before it."""
    return wire.GetOwnReleaseResponse(**statistics.cut(standing, offset, PIECE_BYTES)).SerializeToString()


def piece(body: bytes, offset: int) -> Piece:
    """Raises Malformed."""
    return statistics.piece_in(shape.parse(wire.GetOwnReleaseResponse, body, ANSWER_BYTES_MAX), offset, PIECE_BYTES)


def list_ask(body: bytes) -> None:
    """Raises Malformed."""
    shape.parse(wire.ListReleasesRequest, body, SMALL_BYTES_MAX)


def encode_lines(lines: Sequence[ReleaseLine]) -> bytes:
    """A reply's body."""
    line = wire.ListReleasesResponse.ReleaseLine
    return wire.ListReleasesResponse(
        releases=[
            line(
                owner=one.owner,
                reference=one.reference,
                query=one.query,
                state=one.state.value,
                asked_ns=one.asked_ns,
                recipient=one.recipient,
            )
            for one in lines[:LINES_MAX]
        ]
    ).SerializeToString()


def lines(body: bytes) -> tuple[ReleaseLine, ...]:
    """Raises Malformed."""
    read = shape.parse(wire.ListReleasesResponse, body, ANSWER_BYTES_MAX)
    shape.count("releases", read.releases, 0, LINES_MAX)
    return tuple(
        ReleaseLine(
            owner=shape.state("releases.owner", one.owner),
            recipient=shape.state("releases.recipient", one.recipient),
            reference=shape.fixed("releases.reference", one.reference, 32),
            query=shape.sized("releases.query", one.query, 1, statistics.QUERY_BYTES_MAX),
            state=statistics.state_in("releases.state", one.state),
            asked_ns=shape.time_ns("releases.asked_ns", one.asked_ns),
        )
        for one in read.releases
    )


def budget_ask(body: bytes) -> None:
    """Raises Malformed."""
    shape.parse(wire.GetBudgetRequest, body, SMALL_BYTES_MAX)


def encode_budget(lines: Sequence[BudgetLine]) -> bytes:
    """A reply's body."""
    kinds = wire.GetBudgetResponse
    return kinds(
        accounts=[
            kinds.Account(
                dataset=one.dataset,
                unit=one.unit,
                period=one.period,
                cap_micro_rho=one.cap,
                spent_micro_rho=one.spent,
                shares=[
                    kinds.Share(peer=peer, cap_micro_rho=cap, spent_micro_rho=spent) for peer, cap, spent in one.shares
                ],
            )
            for one in lines[:ACCOUNTS_MAX]
        ]
    ).SerializeToString()


def budget(body: bytes) -> tuple[BudgetLine, ...]:
    """Raises Malformed."""
    read = shape.parse(wire.GetBudgetResponse, body, ANSWER_BYTES_MAX)
    shape.count("accounts", read.accounts, 0, ACCOUNTS_MAX)
    found: list[BudgetLine] = []
    for one in read.accounts:
        shape.count("accounts.shares", one.shares, 0, SHARES_MAX)
        found.append(
            BudgetLine(
                dataset=shape.pattern("accounts.dataset", one.dataset, _DATASET),
                unit=shape.pattern("accounts.unit", one.unit, _UNIT),
                period=shape.pattern("accounts.period", one.period, _PERIOD),
                cap=_amount(one.cap_micro_rho),
                spent=_amount(one.spent_micro_rho),
                shares=tuple(
                    (
                        shape.state("accounts.shares.peer", share.peer),
                        _amount(share.cap_micro_rho),
                        _amount(share.spent_micro_rho),
                    )
                    for share in one.shares
                ),
            )
        )
    return tuple(found)


def _amount(value: int) -> int:
    return shape.whole("accounts.micro_rho", value, 0, _AMOUNT_MAX)
