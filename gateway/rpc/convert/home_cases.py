"""What a desk and its own gateway say to each other about cases: bytes to terms and back.

Words of tables that live elsewhere (states, events, acts, codes) are judged here by their shape alone; whether a word
is one of the table's is the flow's to say. Disclosed values and reasons go into `Hidden`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.errors import Malformed
from gateway.rpc.convert import shape, words
from gateway.rpc.convert.home import signature, signature_out
from gateway.rpc.doors import CaseAct, CaseLine, CaseQuery, CaseStep, CaseView
from gateway.terms import Hidden
from gateway.wire.v1 import home_cases_pb2 as wire

LIST_CASES: Final = "/gateway.wire.v1.HomeCaseService/ListCases"
GET_CASE: Final = "/gateway.wire.v1.HomeCaseService/GetCase"
ACT_ON_CASE: Final = "/gateway.wire.v1.HomeCaseService/ActOnCase"

SMALL_BYTES_MAX: Final = 2_048
ACT_BYTES_MAX: Final = 65_536
LINES_MAX: Final = 1_000
ANSWER_BYTES_MAX: Final = 4 << 20

SIDES: Final = ("asker", "owner")

_STATE = re.compile(r"[A-Z][A-Z_]{0,31}\Z")
_ACT = re.compile(r"[a-z][a-z-]{0,31}\Z")
_NAME = re.compile(r"[a-z][a-z_]{0,31}\Z")
_FIELD = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{0,64}\Z")
_OFFICER = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z")
_VALUE = re.compile(r"[ -~]{1,128}\Z")
_DAY = re.compile(r"(?:[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?)?\Z")


# -- Lists ------------------------------------------------------------------------------------------------------------


def encode_query(query: CaseQuery) -> bytes:
    """The exact body."""
    return wire.ListCasesRequest(mine=query.mine, due=query.due, states=query.states).SerializeToString()


def query(body: bytes) -> CaseQuery:
    """Raises Malformed."""
    read = shape.parse(wire.ListCasesRequest, body, SMALL_BYTES_MAX)
    return CaseQuery(read.mine, read.due, _all("states", read.states, _STATE))


def encode_lines(lines: Sequence[CaseLine], more: bool) -> bytes:
    """A reply's body."""
    return shape.padded(wire.ListCasesResponse(cases=[_line_out(line) for line in lines], more=more))


def lines(body: bytes) -> tuple[tuple[CaseLine, ...], bool]:
    """(the cases, whether there are more). Raises Malformed."""
    read = shape.parse(wire.ListCasesResponse, body, ANSWER_BYTES_MAX)
    shape.count("cases", read.cases, 0, LINES_MAX)
    return tuple(_line(one) for one in read.cases), read.more


def _line_out(line: CaseLine) -> wire.CaseLine:
    return wire.CaseLine(
        case_id=line.case_id,
        side=line.side,
        peer=line.peer,
        purpose=line.purpose,
        kind=words.KIND_OUT[line.kind],
        match=words.MATCH_OUT[line.match],
        state=line.state,
        version=line.version,
        due_ns=line.due_ns,
        expires_ns=line.expires_ns,
        urgency=line.urgency,
        assigned=line.assigned,
        offered_to=line.offered_to,
        screening_required=line.screening_required,
    )


def _line(read: wire.CaseLine) -> CaseLine:
    if read.side not in SIDES:
        raise Malformed("side", "neither asker nor owner")
    return CaseLine(
        case_id=shape.fixed("case_id", read.case_id, 16),
        side=read.side,
        peer=shape.state("peer", read.peer),
        purpose=shape.pattern("purpose", read.purpose, shape.PURPOSE),
        kind=shape.word("kind", read.kind, words.KIND_IN),
        match=shape.word("match", read.match, words.MATCH_IN),
        state=shape.pattern("state", read.state, _STATE),
        version=shape.whole("version", read.version, 1, 1 << 62),
        due_ns=shape.whole("due_ns", read.due_ns, 0, 1 << 62),
        expires_ns=shape.whole("expires_ns", read.expires_ns, 0, 1 << 62),
        urgency=shape.pattern("urgency", read.urgency, _CODE),
        assigned=shape.pattern("assigned", read.assigned, _OFFICER),
        offered_to=shape.pattern("offered_to", read.offered_to, _OFFICER),
        screening_required=read.screening_required,
    )


# -- One case ---------------------------------------------------------------------------------------------------------


def encode_which(case_id: bytes) -> bytes:
    """The exact body."""
    return wire.GetCaseRequest(case_id=case_id).SerializeToString()


def which(body: bytes) -> bytes:
    """The case's number. Raises Malformed."""
    return shape.fixed("case_id", shape.parse(wire.GetCaseRequest, body, SMALL_BYTES_MAX).case_id, 16)


def encode_view(view: CaseView) -> bytes:
    """A reply's body."""
    kinds = wire.GetCaseResponse
    return shape.padded(
        kinds(
            line=_line_out(view.line),
            legal_basis=view.legal_basis,
            fields=view.fields,
            released=view.released,
            withheld=view.withheld,
            recipient=view.recipient,
            refusal=view.refusal,
            outcome=view.outcome,
            record_version=view.record_version,
            conditions=view.conditions,
            subject_category=view.subject_category,
            basis=view.basis,
            reliability=view.reliability,
            as_of=view.as_of,
            disclosed=[kinds.DisclosedField(name=name, values=values.open()) for name, values in view.disclosed],
            history=[kinds.CaseStep(event=one.event, at_ns=one.at_ns, officer=one.officer) for one in view.history],
            acts=view.acts,
            words=view.words.open(),
        )
    )


def view(body: bytes) -> CaseView:
    """Raises Malformed."""
    read = shape.parse(wire.GetCaseResponse, body, ANSWER_BYTES_MAX)
    shape.count("disclosed", read.disclosed, 0, 32)
    shape.count("history", read.history, 0, 256)
    return CaseView(
        line=_line(read.line),
        legal_basis=shape.text("legal_basis", read.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
        fields=_all("fields", read.fields, _FIELD),
        released=_all("released", read.released, _FIELD),
        withheld=_all("withheld", read.withheld, _FIELD),
        recipient=shape.fixed("recipient", read.recipient, 32) if read.recipient else b"",
        refusal=shape.pattern("refusal", read.refusal, _CODE),
        outcome=shape.pattern("outcome", read.outcome, _CODE),
        record_version=shape.whole("record_version", read.record_version, 0, 1 << 62),
        conditions=_all("conditions", read.conditions, _FIELD),
        subject_category=shape.pattern("subject_category", read.subject_category, _CODE),
        basis=shape.pattern("basis", read.basis, _CODE),
        reliability=shape.pattern("reliability", read.reliability, _CODE),
        as_of=shape.pattern("as_of", read.as_of, _DAY),
        disclosed=tuple(
            (
                shape.pattern("disclosed.name", one.name, _FIELD),
                Hidden(_values("disclosed.values", one.values)),
            )
            for one in read.disclosed
        ),
        history=tuple(
            CaseStep(
                shape.pattern("history.event", one.event, _STATE),
                shape.time_ns("history.at_ns", one.at_ns),
                shape.pattern("history.officer", one.officer, _OFFICER),
            )
            for one in read.history
        ),
        acts=_all("acts", read.acts, _ACT),
        words=Hidden(shape.text("words", read.words, 0, 2_048)),
    )


def _values(field: str, values: Sequence[str]) -> tuple[str, ...]:
    shape.count(field, values, 0, 64)
    return tuple(shape.text(field, one, 0, 1_024) for one in values)


# -- Acts -------------------------------------------------------------------------------------------------------------


def encode_act(act: CaseAct) -> bytes:
    """The exact body."""
    return shape.padded(
        wire.ActOnCaseRequest(
            case_id=act.case_id,
            version=act.version,
            act=act.act,
            arguments=[
                wire.ActOnCaseRequest.Argument(name=name, values=values) for name, values in act.arguments.items()
            ],
            words=act.words.open(),
            signatures=[signature_out(one) for one in act.signatures],
        )
    )


def act(body: bytes) -> CaseAct:
    """Raises Malformed."""
    read = shape.parse(wire.ActOnCaseRequest, body, ACT_BYTES_MAX)
    shape.count("arguments", read.arguments, 0, 16)
    shape.count("signatures", read.signatures, 0, 1)
    names = [shape.pattern("arguments.name", one.name, _NAME) for one in read.arguments]
    if len(set(names)) != len(names):
        raise Malformed("arguments", "the same name twice")
    return CaseAct(
        case_id=shape.fixed("case_id", read.case_id, 16),
        version=shape.whole("version", read.version, 1, 1 << 62),
        act=shape.pattern("act", read.act, _ACT),
        arguments={
            name: _all("arguments.values", one.values, _VALUE) for name, one in zip(names, read.arguments, strict=True)
        },
        words=Hidden(shape.text("words", read.words, 0, 2_048)),
        signatures=tuple(signature(one) for one in read.signatures),
    )


def encode_line(line: CaseLine) -> bytes:
    """A reply's body."""
    return shape.padded(wire.ActOnCaseResponse(line=_line_out(line)))


def line(body: bytes) -> CaseLine:
    """Raises Malformed."""
    return _line(shape.parse(wire.ActOnCaseResponse, body, ANSWER_BYTES_MAX).line)


def _all(field: str, values: Sequence[str], kind: re.Pattern[str]) -> tuple[str, ...]:
    shape.count(field, values, 0, 32)
    found = tuple(shape.pattern(field, one, kind) for one in values)
    if len(set(found)) != len(found):
        raise Malformed(field, "the same word twice")
    return found
