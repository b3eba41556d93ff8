"""Alerts between a supervisor and its own gateway: what is written is read again, and anything else is Malformed."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alerts.alert import Act, Alert, Doing, Reason, Rule, State
from gateway.errors import Malformed
from gateway.rpc.convert import home_alerts as convert
from gateway.terms.ids import OfficerId
from gateway.wire.v1 import home_alerts_pb2 as wire

ALERT = Alert(
    bytes(range(16)), Rule.SAME_PAIR, State.NEW, 3, (OfficerId("P-1"), OfficerId("S-1")), 12, 2, 77, 1_000, 2_000
)


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("state", list(State))
def test_an_alert_is_read_as_it_was_written(rule: Rule, state: State) -> None:
    for one in (
        replace(ALERT, rule=rule, state=state),
        replace(ALERT, rule=rule, officers=(), seq=-1, assigned="S-2"),
        replace(ALERT, rule=rule, seq=0, reason=Reason.MISUSE.value, closed_ns=9),
    ):
        assert convert.alert(convert.encode_alert(one)) == one
        assert convert.done(convert.encode_done(one)) == one
        assert convert.lines(convert.encode_lines([one, ALERT], True)) == ((one, ALERT), True)


def test_requests_are_read_as_they_were_written() -> None:
    assert [convert.query(convert.encode_query(closed)) for closed in (True, False)] == [True, False]
    assert convert.which(convert.encode_which(ALERT.alert_id)) == ALERT.alert_id
    for doing in (Doing(Act.ASSIGN, 1, to="S-2"), Doing(Act.CLOSE, 9, reason="lawful", words="größere Lage")):
        assert convert.act(convert.encode_act(ALERT.alert_id, doing)) == (ALERT.alert_id, doing)


@pytest.mark.parametrize(
    "changed",
    [
        {"alert_id": b"short"},
        {"version": 0},
        {"act": "open"},
        {"to": "no such\nnumber"},
        {"reason": "because"},
        {"words": "x" * 2_049},
    ],
)
def test_what_is_no_act_is_malformed(changed: dict[str, object]) -> None:
    read = {"alert_id": bytes(16), "version": 1, "act": "close", "reason": "lawful"} | changed
    with pytest.raises(Malformed):
        convert.act(wire.ActOnAlertRequest(**read).SerializeToString())  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (convert.query, convert.which, convert.act, convert.lines, convert.alert, convert.done):
        with contextlib.suppress(Malformed):
            read(data)
