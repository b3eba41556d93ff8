"""The error catalogue on the wire: what is told is read again, and nothing else can be made to be told."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.rpc import status


@given(st.sampled_from(list(grpc.StatusCode)), st.binary(max_size=300))
def test_any_details_are_a_refusal_we_know_or_none(code: grpc.StatusCode, details: bytes) -> None:
    told = status.read(code, details)
    assert told is None or told.row.reason in status.BY_REASON


@given(st.sampled_from(errors.CATALOGUE), st.data())
def test_damaged_details_never_do_more_harm_than_another_refusal(
    kind: type[errors.GatewayError], data: st.DataObject
) -> None:
    code, _, details = status.refusal(_made(kind))
    at = data.draw(st.integers(0, len(details)))
    told = status.read(code, details[:at] + data.draw(st.binary(max_size=6)) + details[at + 1 :])
    assert told is None or isinstance(told, errors.GatewayError)


def _made(kind: type[errors.GatewayError]) -> errors.GatewayError:
    if kind is errors.PolicyDenied:
        return errors.PolicyDenied(("role",))
    if kind in (errors.Malformed, errors.VerificationFailed):
        return kind("place", "why")
    if kind is errors.BudgetExhausted:
        return errors.BudgetExhausted("share", 520_000, 20_000, 612_000)
    return kind("why")


@pytest.mark.parametrize("kind", errors.CATALOGUE, ids=lambda kind: kind.row.reason)
def test_what_is_told_is_read_again(kind: type[errors.GatewayError]) -> None:
    code, public, details = status.refusal(_made(kind))
    told = status.read(code, details)
    assert type(told) is kind
    assert public == kind.row.public
    if isinstance(told, errors.BudgetExhausted):
        assert str(told) == str(_made(kind))


@given(st.lists(st.text(max_size=80), max_size=50), st.text(max_size=80))
def test_only_codes_leave(reasons: list[str], step: str) -> None:
    for error in (errors.PolicyDenied(tuple(reasons)), errors.VerificationFailed(step, "private words")):
        _, _, details = status.refusal(error)
        info = ErrorInfo()
        Status.FromString(details).details[0].Unpack(info)
        for value in info.metadata.values():
            assert all(status._CODE.match(part) for part in value.split(",") if part)


def test_a_class_outside_the_catalogue_leaves_as_internal() -> None:
    class Odd(errors.GatewayError):
        row = errors.Row("ODD_REASON", "NOT_FOUND", "Odd words.", "us", False)

    code, public, _ = status.refusal(Odd("private"))
    assert (code, public) == (grpc.StatusCode.INTERNAL, errors.GatewayError.row.public)


def test_another_domain_s_details_are_not_ours() -> None:
    code, _, details = status.refusal(errors.PolicyDenied(("role",)))
    changed = Status.FromString(details)
    info = ErrorInfo()
    changed.details[0].Unpack(info)
    info.domain = "example.org"
    changed.details[0].Pack(info)
    assert status.read(code, changed.SerializeToString()) is None
    assert status.read(grpc.StatusCode.INTERNAL, details) is None
    assert status.read(code, None) is None


@pytest.mark.parametrize("code", sorted(status.REFUSED_WORDS))
def test_what_may_be_mended_is_told_in_our_words(code: str) -> None:
    number, _, details = status.refusal(errors.InputRefused("private words", field="place", code=code))
    assert str(status.read(number, details)) == f"place: {status.REFUSED_WORDS[code]}"
