"""What two gateways say of a case is read as it was written; other bytes are refused as Malformed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.disclosure.ticket import Ticket
from gateway.errors import Malformed
from gateway.federation import statement
from gateway.federation.statement import PersonalSignature
from gateway.flows.casework import Closing, Decision, OpenCase, Origin
from gateway.rpc.convert import cases as convert
from gateway.terms import Purpose, Role


def size(count: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=count, max_size=count)


words = st.text("abcdefgh XYZ.", min_size=1, max_size=40).map(str.strip).filter(bool)
names = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), min_size=1, max_size=8, unique=True).map(tuple)
tickets = st.builds(
    Ticket,
    leg_id=size(16),
    batch=st.integers(0, 63),
    request=st.binary(min_size=1, max_size=80),
    request_hash=size(64),
    slot=st.integers(0, 1279),
    blind=size(32),
    tag=size(16),
    token=size(32),
    handle=size(8),
)


def signed(act: str, case_id: bytes) -> PersonalSignature:
    return statement.make(act, {"case": case_id}, role=Role.DESK_NATIONAL, signed_ns=5, seed=b"s" * 32)


signatures = st.builds(signed, st.sampled_from(sorted(statement.CASE_ACTS.values())), size(16))
common: dict[str, Any] = {
    "pair_seq": st.integers(1, 1 << 60),
    "baseline": size(32),
    "national": size(32),
    "permit_expires_ns": st.integers(1, 1 << 62),
}
opens = st.builds(
    OpenCase,
    case_id=size(16),
    ticket=tickets.map(Ticket.encode),
    purpose=st.just(Purpose("SEC.WATCH")),
    legal_basis=words,
    fields=names,
    reply_key=size(32),
    sealed=st.binary(max_size=80),
    signatures=st.lists(signatures, min_size=1, max_size=4).map(tuple),
    **common,
)
decisions = st.builds(
    Decision,
    case_id=size(16),
    record_version=st.integers(1, 1 << 60),
    refusal=st.sampled_from(("", "R01", "R11")),
    origin=st.none() | st.builds(Origin, st.just("HND"), words, words, words),
    sealed=st.lists(st.binary(min_size=49, max_size=60), min_size=2, max_size=9).map(tuple),
    signatures=st.lists(signatures, max_size=4).map(tuple),
    **common,
)
closings = st.builds(
    Closing,
    case_id=size(16),
    code=st.sampled_from(("SAME_PERSON", "WITHDRAWN")),
    signatures=st.lists(signatures, min_size=1, max_size=4).map(tuple),
    **common,
)


@given(opens)
def test_a_request_is_read_as_it_was_written(message: OpenCase) -> None:
    assert convert.open_case(convert.encode_open(message)) == message


@given(decisions)
def test_a_decision_is_read_as_it_was_written(message: Decision) -> None:
    assert convert.decision(convert.encode_decision(message)) == message


@given(closings)
def test_an_outcome_is_read_as_it_was_written(message: Closing) -> None:
    assert convert.close(convert.encode_close(message)) == message


@pytest.mark.parametrize(
    "read", [convert.open_case, convert.decision, convert.close, convert.opened, convert.receipt, convert.closed]
)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(data)


@given(opens, st.data())
def test_a_bent_request_is_read_or_refused(message: OpenCase, data: st.DataObject) -> None:
    body = bytearray(convert.encode_open(message))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(Malformed):
        convert.open_case(bytes(body))


@given(opens)
def test_a_field_of_the_wrong_size_is_refused(message: OpenCase) -> None:
    for change in (
        {"case_id": bytes(15)},
        {"reply_key": bytes(31)},
        {"fields": ()},
        {"fields": ("Names",)},
        {"signatures": ()},
        {"signatures": message.signatures[:1] * 5},
        {"pair_seq": 0},
        {"permit_expires_ns": 0},
        {"baseline": b""},
        {"legal_basis": ""},
        {"sealed": bytes(convert.SEALED_BYTES_MAX + 1)},
    ):
        with pytest.raises(Malformed):
            convert.open_case(convert.encode_open(replace(message, **change)))
