"""What two gateways say to each other about a case: bytes to terms and back, after the signature was verified."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from gateway.disclosure.ticket import Ticket
from gateway.federation.statement import PersonalSignature
from gateway.flows.casework import Closing, Decision, OpenCase, Origin
from gateway.rpc.convert import shape
from gateway.rpc.convert.home import signature, signature_out
from gateway.terms.ids import Purpose
from gateway.wire.v1 import cases_pb2, vocabulary_pb2

OPEN_CASE: Final = "/gateway.wire.v1.CaseService/OpenCase"
DELIVER_DECISION: Final = "/gateway.wire.v1.CaseService/DeliverDecision"
CORRECT_DISCLOSURE: Final = "/gateway.wire.v1.CaseService/CorrectDisclosure"
CLOSE_CASE: Final = "/gateway.wire.v1.CaseService/CloseCase"

OPEN_BYTES_MAX: Final = 160 << 10
DECISION_BYTES_MAX: Final = 1 << 20
CLOSE_BYTES_MAX: Final = 16 << 10
REPLY_BYTES_MAX: Final = 1_024
REQUEST_BYTES_MAX: Final = 49_152
SEALED_BYTES_MAX: Final = 65_536

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_SEQUENCE_MAX: Final = (1 << 63) - 1


def encode_open(message: OpenCase) -> bytes:
    """The exact body."""
    ticket = Ticket.decode(message.ticket)
    return cases_pb2.OpenCaseRequest(
        request_id=message.case_id,
        check_request_id=ticket.leg_id,
        tag=ticket.tag,
        token=ticket.token,
        opening=cases_pb2.SlotOpening(
            request_hash=ticket.request_hash, request=ticket.request, slot=ticket.slot, blind=ticket.blind
        ),
        purpose=message.purpose,
        legal_basis=message.legal_basis,
        fields=message.fields,
        reply_key=message.reply_key,
        sealed=message.sealed,
        signatures=[signature_out(one) for one in message.signatures],
        pair_sequence=message.pair_seq,
        policy=vocabulary_pb2.BundleDigests(baseline=message.baseline, national=message.national),
        permit_expires_ns=message.permit_expires_ns,
        handle=ticket.handle,
        batch=ticket.batch,
    ).SerializeToString()


def open_case(body: bytes) -> OpenCase:
    """Raises Malformed."""
    wire = shape.parse(cases_pb2.OpenCaseRequest, body, OPEN_BYTES_MAX)
    ticket = Ticket(
        leg_id=shape.fixed("check_request_id", wire.check_request_id, 16),
        batch=shape.whole("batch", wire.batch, 0, 63),
        request=shape.sized("opening.request", wire.opening.request, 1, REQUEST_BYTES_MAX),
        request_hash=shape.fixed("opening.request_hash", wire.opening.request_hash, 64),
        slot=shape.whole("opening.slot", wire.opening.slot, 0, 1_279),
        blind=shape.fixed("opening.blind", wire.opening.blind, 32),
        tag=shape.fixed("tag", wire.tag, 16),
        token=shape.fixed("token", wire.token, 32),
        handle=shape.fixed("handle", wire.handle, 8),
    )
    shape.count("fields", wire.fields, 1, 32)
    return OpenCase(
        case_id=shape.fixed("request_id", wire.request_id, 16),
        ticket=ticket.encode(),
        purpose=Purpose(shape.pattern("purpose", wire.purpose, shape.PURPOSE)),
        legal_basis=shape.text("legal_basis", wire.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
        fields=tuple(shape.pattern("fields", one, _FIELD) for one in wire.fields),
        reply_key=shape.fixed("reply_key", wire.reply_key, 32),
        sealed=shape.sized("sealed", wire.sealed, 0, SEALED_BYTES_MAX),
        signatures=_signatures(wire.signatures, 1),
        **_common(wire.pair_sequence, wire.policy, wire.permit_expires_ns),
    )


def encode_opened(case_id: bytes, pair_seq: int) -> bytes:
    """A reply's body."""
    return cases_pb2.OpenCaseResponse(case_id=case_id, pair_sequence=pair_seq).SerializeToString()


def opened(body: bytes) -> bytes:
    """The case's number. Raises Malformed."""
    wire = shape.parse(cases_pb2.OpenCaseResponse, body, REPLY_BYTES_MAX)
    shape.whole("pair_sequence", wire.pair_sequence, 1, _SEQUENCE_MAX)
    return shape.fixed("case_id", wire.case_id, 16)


def encode_decision(message: Decision) -> bytes:
    """The exact body."""
    made = cases_pb2.DeliverDecisionRequest(
        request_id=message.case_id,
        case_id=message.case_id,
        record_version=message.record_version,
        refusals=[message.refusal] if message.refusal else [],
        sealed=message.sealed,
        signatures=[signature_out(one) for one in message.signatures],
        pair_sequence=message.pair_seq,
        policy=vocabulary_pb2.BundleDigests(baseline=message.baseline, national=message.national),
        permit_expires_ns=message.permit_expires_ns,
    )
    if message.origin is not None:
        made.origin.CopyFrom(_origin_out(message.origin))
    return made.SerializeToString()


def decision(body: bytes) -> Decision:
    """Raises Malformed."""
    wire = shape.parse(cases_pb2.DeliverDecisionRequest, body, DECISION_BYTES_MAX)
    shape.count("refusals", wire.refusals, 0, 1)
    shape.count("sealed", wire.sealed, 2, 33)
    origin = _origin(wire.origin) if wire.HasField("origin") else None
    return Decision(
        case_id=shape.fixed("case_id", wire.case_id, 16),
        record_version=shape.whole("record_version", wire.record_version, 1, 1 << 62),
        refusal=shape.pattern("refusals", wire.refusals[0], shape.REASON) if wire.refusals else "",
        origin=origin,
        sealed=tuple(shape.sized("sealed", one, 49, SEALED_BYTES_MAX) for one in wire.sealed),
        signatures=_signatures(wire.signatures, 0),
        **_common(wire.pair_sequence, wire.policy, wire.permit_expires_ns),
    )


def encode_correction(message: Decision) -> bytes:
    """The exact body."""
    return cases_pb2.CorrectDisclosureRequest(
        case_id=message.case_id,
        record_version=message.record_version,
        origin=_origin_out(message.origin) if message.origin is not None else None,
        sealed=message.sealed,
        signatures=[signature_out(one) for one in message.signatures],
        pair_sequence=message.pair_seq,
        policy=vocabulary_pb2.BundleDigests(baseline=message.baseline, national=message.national),
        permit_expires_ns=message.permit_expires_ns,
    ).SerializeToString()


def correction(body: bytes) -> Decision:
    """Raises Malformed."""
    wire = shape.parse(cases_pb2.CorrectDisclosureRequest, body, DECISION_BYTES_MAX)
    shape.count("sealed", wire.sealed, 2, 33)
    return Decision(
        case_id=shape.fixed("case_id", wire.case_id, 16),
        record_version=shape.whole("record_version", wire.record_version, 1, 1 << 62),
        refusal="",
        origin=_origin(wire.origin),
        sealed=tuple(shape.sized("sealed", one, 49, SEALED_BYTES_MAX) for one in wire.sealed),
        signatures=_signatures(wire.signatures, 1),
        **_common(wire.pair_sequence, wire.policy, wire.permit_expires_ns),
    )


def _origin_out(origin: Origin) -> vocabulary_pb2.EntryOrigin:
    return vocabulary_pb2.EntryOrigin(
        originator=origin.originator,
        provenance=[origin.provenance],
        decision_reference=origin.decision,
        legal_basis=origin.legal_basis,
    )


def _origin(wire: vocabulary_pb2.EntryOrigin) -> Origin:
    shape.count("origin.provenance", wire.provenance, 1, 1)
    return Origin(
        originator=shape.pattern("origin.originator", wire.originator, shape.ORIGINATOR),
        provenance=shape.text("origin.provenance", wire.provenance[0], 1, 200),
        decision=shape.text("origin.decision_reference", wire.decision_reference, 1, 200),
        legal_basis=shape.text("origin.legal_basis", wire.legal_basis, 1, 200),
    )


def encode_corrected(pair_seq: int) -> bytes:
    """A reply's body."""
    return cases_pb2.CorrectDisclosureResponse(pair_sequence=pair_seq).SerializeToString()


def corrected(body: bytes) -> int:
    """The number of their entry. Raises Malformed."""
    wire = shape.parse(cases_pb2.CorrectDisclosureResponse, body, REPLY_BYTES_MAX)
    return shape.whole("pair_sequence", wire.pair_sequence, 1, _SEQUENCE_MAX)


def encode_receipt(pair_seq: int) -> bytes:
    """A reply's body."""
    return cases_pb2.DeliverDecisionResponse(pair_sequence=pair_seq).SerializeToString()


def receipt(body: bytes) -> int:
    """The number of their entry. Raises Malformed."""
    wire = shape.parse(cases_pb2.DeliverDecisionResponse, body, REPLY_BYTES_MAX)
    return shape.whole("pair_sequence", wire.pair_sequence, 1, _SEQUENCE_MAX)


def encode_close(message: Closing) -> bytes:
    """The exact body."""
    return cases_pb2.CloseCaseRequest(
        case_id=message.case_id,
        code=message.code,
        signatures=[signature_out(one) for one in message.signatures],
        pair_sequence=message.pair_seq,
        policy=vocabulary_pb2.BundleDigests(baseline=message.baseline, national=message.national),
        permit_expires_ns=message.permit_expires_ns,
    ).SerializeToString()


def close(body: bytes) -> Closing:
    """Raises Malformed."""
    wire = shape.parse(cases_pb2.CloseCaseRequest, body, CLOSE_BYTES_MAX)
    return Closing(
        case_id=shape.fixed("case_id", wire.case_id, 16),
        code=shape.pattern("code", wire.code, shape.REASON),
        signatures=_signatures(wire.signatures, 1),
        **_common(wire.pair_sequence, wire.policy, wire.permit_expires_ns),
    )


def encode_closed(pair_seq: int) -> bytes:
    """A reply's body."""
    return cases_pb2.CloseCaseResponse(pair_sequence=pair_seq).SerializeToString()


def closed(body: bytes) -> int:
    """The number of their entry. Raises Malformed."""
    wire = shape.parse(cases_pb2.CloseCaseResponse, body, REPLY_BYTES_MAX)
    return shape.whole("pair_sequence", wire.pair_sequence, 1, _SEQUENCE_MAX)


def _signatures(wire: Sequence[vocabulary_pb2.PersonalSignature], least: int) -> tuple[PersonalSignature, ...]:
    shape.count("signatures", wire, least, 4)
    return tuple(signature(one) for one in wire)


def _common(pair_seq: int, policy: vocabulary_pb2.BundleDigests, permit_expires_ns: int) -> dict[str, Any]:
    """What every message of a case carries of its sender."""
    return {
        "pair_seq": shape.whole("pair_sequence", pair_seq, 1, _SEQUENCE_MAX),
        "baseline": shape.fixed("policy.baseline", policy.baseline, 32),
        "national": shape.fixed("policy.national", policy.national, 32),
        "permit_expires_ns": shape.time_ns("permit_expires_ns", permit_expires_ns),
    }
