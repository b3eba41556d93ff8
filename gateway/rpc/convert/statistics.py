"""What two gateways say to each other about a private statistic: bytes to terms and back, after the signature was
verified. A query's own words are not judged here but by the statistic it names (`statistics.catalogue`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.errors import Malformed
from gateway.federation import envelope
from gateway.rpc.convert import shape, words
from gateway.terms.ids import AgencyId, Purpose
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding, ReleaseState
from gateway.wire.v1 import statistics_pb2 as wire
from gateway.wire.v1 import vocabulary_pb2

PLAN_RELEASE: Final = "/gateway.wire.v1.StatisticsService/PlanRelease"
REQUEST_RELEASE: Final = "/gateway.wire.v1.StatisticsService/RequestRelease"
GET_RELEASE: Final = "/gateway.wire.v1.StatisticsService/GetRelease"

ASK_BYTES_MAX: Final = 8 << 10
QUERY_BYTES_MAX: Final = 4_096
PLAN_BYTES_MAX: Final = 2_048
DOCUMENT_BYTES_MAX: Final = 32 << 20
PIECE_BYTES: Final = 1 << 20
"""What one reply carries of a document."""

SIGNATURE_BYTES: Final = 64

_SEQUENCE_MAX: Final = (1 << 63) - 1
_COUNT_MAX: Final = (1 << 63) - 1
_CELLS_MAX: Final = 1_000_000
_UNIT = re.compile(r"[a-z][a-z-]{0,31}\Z")
_MECHANISM = re.compile(r"[a-z][a-z_]{0,31}\Z")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{0,64}\Z")


@dataclass(frozen=True, slots=True)
class PieceAsk:
    """Asks for the document's bytes from `offset` on."""

    ask: ReleaseAsk
    offset: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece. `standing` has header and signature of the whole document and, here, no document."""

    standing: ReleaseStanding
    size: int
    offset: int
    piece: bytes


# -- Questions --------------------------------------------------------------------------------------------------------


def _question(ask: ReleaseAsk) -> wire.ReleaseQuestion:
    return wire.ReleaseQuestion(
        request_id=ask.request_id.value,
        query=ask.query,
        purpose=ask.purpose,
        legal_basis=ask.legal_basis,
        agency=ask.agency,
        role=words.ROLE_OUT[ask.role],
        pair_sequence=ask.pair_seq,
        policy=vocabulary_pb2.BundleDigests(baseline=ask.baseline, national=ask.national),
        permit_expires_ns=ask.permit_expires_ns,
    )


def _asked(read: wire.ReleaseQuestion) -> ReleaseAsk:
    return ReleaseAsk(
        request_id=shape.request_id(read.request_id, "question.request_id"),
        query=shape.sized("question.query", read.query, 1, QUERY_BYTES_MAX),
        purpose=Purpose(shape.pattern("question.purpose", read.purpose, shape.PURPOSE)),
        legal_basis=shape.text("question.legal_basis", read.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
        agency=AgencyId(shape.pattern("question.agency", read.agency, shape.AGENCY)),
        role=shape.word("question.role", read.role, words.ROLE_IN),
        pair_seq=shape.whole("question.pair_sequence", read.pair_sequence, 1, _SEQUENCE_MAX),
        baseline=shape.fixed("question.policy.baseline", read.policy.baseline, 32),
        national=shape.fixed("question.policy.national", read.policy.national, 32),
        permit_expires_ns=shape.time_ns("question.permit_expires_ns", read.permit_expires_ns),
    )


def encode_plan_ask(ask: ReleaseAsk) -> bytes:
    """The exact body."""
    return wire.PlanReleaseRequest(question=_question(ask)).SerializeToString()


def plan_ask(body: bytes) -> ReleaseAsk:
    """Raises Malformed."""
    return _asked(shape.parse(wire.PlanReleaseRequest, body, ASK_BYTES_MAX).question)


def encode_request(ask: ReleaseAsk) -> bytes:
    """The exact body."""
    return wire.RequestReleaseRequest(question=_question(ask)).SerializeToString()


def request(body: bytes) -> ReleaseAsk:
    """Raises Malformed."""
    return _asked(shape.parse(wire.RequestReleaseRequest, body, ASK_BYTES_MAX).question)


def encode_piece_ask(ask: PieceAsk) -> bytes:
    """The exact body."""
    return wire.GetReleaseRequest(question=_question(ask.ask), offset=ask.offset).SerializeToString()


def piece_ask(body: bytes) -> PieceAsk:
    """Raises Malformed."""
    read = shape.parse(wire.GetReleaseRequest, body, ASK_BYTES_MAX)
    return PieceAsk(_asked(read.question), offset_of(read.offset, PIECE_BYTES))


def offset_of(offset: int, piece_bytes: int) -> int:
    """Where a piece starts. Raises Malformed."""
    if offset % piece_bytes or not 0 <= offset < DOCUMENT_BYTES_MAX:
        raise Malformed("offset", "is not where a piece starts")
    return offset


# -- Answers ----------------------------------------------------------------------------------------------------------


def plan_out(plan: ReleasePlan) -> wire.ReleasePlan:
    """A plan for a reply."""
    ratio = wire.ReleasePlan.Ratio
    return wire.ReleasePlan(
        reference=plan.reference,
        snapshot=plan.snapshot,
        domain_digest=plan.domain_digest,
        cells=plan.cells,
        unit=plan.unit,
        l0=plan.l0,
        linf=plan.linf,
        mechanism=plan.mechanism,
        scale=ratio(numerator=plan.scale[0], denominator=plan.scale[1]),
        cost_micro_rho=plan.cost_micro_rho,
        charge_micro_rho=plan.charge_micro_rho,
        left_micro_rho=plan.left_micro_rho,
        epsilon_micro=plan.epsilon_micro,
        delta=ratio(numerator=plan.delta[0], denominator=plan.delta[1]),
        sd_micro=plan.sd_micro,
        half_width_95=plan.half_width_95,
        loss_half_width_95=plan.loss_half_width_95,
        threshold=plan.threshold,
        state=plan.state,
    )


def plan_in(read: wire.ReleasePlan) -> ReleasePlan:
    """Raises Malformed."""

    def amount(name: str, low: int = 0) -> int:
        return shape.whole(f"plan.{name}", getattr(read, name), low, _COUNT_MAX)

    def ratio(name: str) -> tuple[int, int]:
        found = getattr(read, name)
        return (
            shape.whole(f"plan.{name}.numerator", found.numerator, 1, _COUNT_MAX),
            shape.whole(f"plan.{name}.denominator", found.denominator, 1, _COUNT_MAX),
        )

    return ReleasePlan(
        reference=shape.fixed("plan.reference", read.reference, 32),
        snapshot=shape.fixed("plan.snapshot", read.snapshot, 32),
        domain_digest=shape.fixed("plan.domain_digest", read.domain_digest, 32),
        cells=shape.whole("plan.cells", read.cells, 1, _CELLS_MAX),
        unit=shape.pattern("plan.unit", read.unit, _UNIT),
        l0=amount("l0", 1),
        linf=amount("linf", 1),
        mechanism=shape.pattern("plan.mechanism", read.mechanism, _MECHANISM),
        scale=ratio("scale"),
        cost_micro_rho=amount("cost_micro_rho", 1),
        charge_micro_rho=amount("charge_micro_rho"),
        left_micro_rho=amount("left_micro_rho"),
        epsilon_micro=amount("epsilon_micro"),
        delta=ratio("delta"),
        sd_micro=amount("sd_micro"),
        half_width_95=amount("half_width_95"),
        loss_half_width_95=amount("loss_half_width_95"),
        threshold=amount("threshold"),
        state=state_in("plan.state", read.state) if read.state else "",
    )


def encode_plan(plan: ReleasePlan) -> bytes:
    """A reply's body."""
    return wire.PlanReleaseResponse(plan=plan_out(plan)).SerializeToString()


def plan(body: bytes) -> ReleasePlan:
    """Raises Malformed."""
    return plan_in(shape.parse(wire.PlanReleaseResponse, body, PLAN_BYTES_MAX).plan)


def standing_out(standing: ReleaseStanding) -> wire.ReleaseStanding:
    """How it stands, for a reply."""
    return wire.ReleaseStanding(
        reference=standing.reference,
        snapshot=standing.snapshot,
        state=standing.state.value,
        cost_micro_rho=standing.cost_micro_rho,
        code=standing.code,
    )


def standing_in(read: wire.ReleaseStanding) -> ReleaseStanding:
    """Raises Malformed."""
    return ReleaseStanding(
        reference=shape.fixed("standing.reference", read.reference, 32),
        snapshot=shape.fixed("standing.snapshot", read.snapshot, 32),
        state=state_in("standing.state", read.state),
        cost_micro_rho=shape.whole("standing.cost_micro_rho", read.cost_micro_rho, 0, _COUNT_MAX),
        code=shape.pattern("standing.code", read.code, _CODE),
    )


def encode_standing(standing: ReleaseStanding) -> bytes:
    """A reply's body: how it stands, without a document."""
    return wire.RequestReleaseResponse(standing=standing_out(standing)).SerializeToString()


def standing(body: bytes) -> ReleaseStanding:
    """Raises Malformed."""
    return standing_in(shape.parse(wire.RequestReleaseResponse, body, PLAN_BYTES_MAX).standing)


def encode_piece(standing: ReleaseStanding, offset: int) -> bytes:
    """A reply's body: the piece from `offset` on of a release that is ready, or nothing of one that is not.

    Raises:
        Malformed: the document ends before it.
    """
    return wire.GetReleaseResponse(**cut(standing, offset, PIECE_BYTES)).SerializeToString()


def piece(body: bytes, offset: int) -> Piece:
    """Raises Malformed."""
    return piece_in(shape.parse(wire.GetReleaseResponse, body, PIECE_BYTES + 4_096), offset, PIECE_BYTES)


def cut(standing: ReleaseStanding, offset: int, piece_bytes: int) -> dict[str, Any]:
    """The fields of a piece, the same at both doors. Raises Malformed."""
    size = len(standing.document)
    if offset and offset >= size:
        raise Malformed("offset", "is past the end")
    return {
        "standing": standing_out(standing),
        "size": size,
        "piece": standing.document[offset : offset + piece_bytes],
        "header": standing.header,
        "signature": standing.signature,
    }


def piece_in(read: Any, offset: int, piece_bytes: int) -> Piece:  # noqa: ANN401 (the same fields at both doors)
    """A piece, judged. Raises Malformed."""
    held = standing_in(read.standing)
    size = shape.whole("size", read.size, 0, DOCUMENT_BYTES_MAX)
    if (held.state is ReleaseState.READY) != (size > 0):
        raise Malformed("size", "does not fit the state")
    if not size:
        if read.piece or read.header or read.signature:
            raise Malformed("piece", "of a document that is not ready")
        return Piece(held, 0, offset, b"")
    expected = min(piece_bytes, size - offset)
    return Piece(
        replace(
            held,
            header=shape.sized("header", read.header, 1, envelope.HEADER_BYTES_MAX),
            signature=shape.fixed("signature", read.signature, SIGNATURE_BYTES),
        ),
        size,
        offset,
        shape.fixed("piece", read.piece, max(1, expected)),
    )


def wants_more(pieces: list[Piece]) -> bool:
    """Whether another piece is to be asked for: the first, or one behind the last."""
    return not pieces or pieces[-1].offset + len(pieces[-1].piece) < pieces[-1].size


def joined(pieces: list[Piece]) -> ReleaseStanding:
    """The standing with the whole document. Raises Malformed where the pieces are of different ones."""
    first = pieces[0]
    for one in pieces[1:]:
        if (one.size, one.standing.header, one.standing.signature) != (
            first.size, first.standing.header, first.standing.signature
        ):  # fmt: skip
            raise Malformed("piece", "of another document")
    return replace(first.standing, document=b"".join(one.piece for one in pieces))


def state_in(field: str, text: str) -> ReleaseState:
    """Where a release stands. Raises Malformed."""
    try:
        return ReleaseState(text)
    except ValueError:
        raise Malformed(field, "not a word of this contract") from None
