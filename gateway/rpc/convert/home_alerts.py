"""What a supervisor and its own gateway say to each other about alerts: bytes to terms and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from gateway.alerts.alert import Act, Alert, Doing, Reason, Rule, State
from gateway.errors import Malformed
from gateway.rpc.convert import shape
from gateway.terms.ids import OfficerId
from gateway.wire.v1 import home_alerts_pb2 as wire

LIST_ALERTS: Final = "/gateway.wire.v1.HomeAlertService/ListAlerts"
GET_ALERT: Final = "/gateway.wire.v1.HomeAlertService/GetAlert"
ACT_ON_ALERT: Final = "/gateway.wire.v1.HomeAlertService/ActOnAlert"

SMALL_BYTES_MAX: Final = 2_048
ACT_BYTES_MAX: Final = 16_384
LINES_MAX: Final = 1_000
ANSWER_BYTES_MAX: Final = 4 << 20
OFFICERS_MAX: Final = 2
WORDS_CHARACTERS_MAX: Final = 2_048

_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_NOBODY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z")
_REASONS = ("", *(reason.value for reason in Reason))

W = TypeVar("W", Rule, State, Act)


def _word(field: str, text: str, table: type[W]) -> W:
    try:
        return table(text)
    except ValueError:
        raise Malformed(field, "not a word of the table") from None


def _line_out(alert: Alert) -> wire.AlertLine:
    return wire.AlertLine(
        alert_id=alert.alert_id,
        rule=alert.rule.value,
        state=alert.state.value,
        version=alert.version,
        officers=alert.officers,
        count=alert.count,
        times=alert.times,
        seq=alert.seq if alert.seq >= 0 else None,
        raised_ns=alert.raised_ns,
        due_ns=alert.due_ns,
        assigned=alert.assigned,
        reason=alert.reason,
        closed_ns=alert.closed_ns,
    )


def _line(read: wire.AlertLine) -> Alert:
    shape.count("officers", read.officers, 0, OFFICERS_MAX)
    if read.reason not in _REASONS:
        raise Malformed("reason", "not a word of the table")
    return Alert(
        alert_id=shape.fixed("alert_id", read.alert_id, 16),
        rule=_word("rule", read.rule, Rule),
        state=_word("state", read.state, State),
        version=shape.whole("version", read.version, 1, 1 << 62),
        officers=tuple(OfficerId(shape.pattern("officers", one, _OFFICER)) for one in read.officers),
        count=shape.whole("count", read.count, 0, 1 << 62),
        times=shape.whole("times", read.times, 1, 1 << 62),
        seq=shape.whole("seq", read.seq, 0, 1 << 62) if read.HasField("seq") else -1,
        raised_ns=shape.time_ns("raised_ns", read.raised_ns),
        due_ns=shape.time_ns("due_ns", read.due_ns),
        assigned=shape.pattern("assigned", read.assigned, _NOBODY),
        reason=read.reason,
        closed_ns=shape.whole("closed_ns", read.closed_ns, 0, 1 << 62),
    )


def encode_query(closed: bool) -> bytes:
    """The exact body."""
    return wire.ListAlertsRequest(closed=closed).SerializeToString()


def query(body: bytes) -> bool:
    """Whether closed ones are asked for too. Raises Malformed."""
    return bool(shape.parse(wire.ListAlertsRequest, body, SMALL_BYTES_MAX).closed)


def encode_lines(lines: Sequence[Alert], more: bool) -> bytes:
    """A reply's body."""
    return wire.ListAlertsResponse(alerts=[_line_out(line) for line in lines], more=more).SerializeToString()


def lines(body: bytes) -> tuple[tuple[Alert, ...], bool]:
    """(the alerts, whether there are more). Raises Malformed."""
    read = shape.parse(wire.ListAlertsResponse, body, ANSWER_BYTES_MAX)
    shape.count("alerts", read.alerts, 0, LINES_MAX)
    return tuple(_line(one) for one in read.alerts), read.more


def encode_which(alert_id: bytes) -> bytes:
    """The exact body."""
    return wire.GetAlertRequest(alert_id=alert_id).SerializeToString()


def which(body: bytes) -> bytes:
    """The alert's number. Raises Malformed."""
    return shape.fixed("alert_id", shape.parse(wire.GetAlertRequest, body, SMALL_BYTES_MAX).alert_id, 16)


def encode_alert(alert: Alert) -> bytes:
    """A reply's body."""
    return wire.GetAlertResponse(alert=_line_out(alert)).SerializeToString()


def alert(body: bytes) -> Alert:
    """Raises Malformed."""
    return _line(shape.parse(wire.GetAlertResponse, body, ANSWER_BYTES_MAX).alert)


def encode_act(alert_id: bytes, doing: Doing) -> bytes:
    """The exact body."""
    return wire.ActOnAlertRequest(
        alert_id=alert_id,
        version=doing.version,
        act=doing.act.value,
        to=doing.to,
        reason=doing.reason,
        words=doing.words,
    ).SerializeToString()


def act(body: bytes) -> tuple[bytes, Doing]:
    """(the alert's number, what shall be done). Raises Malformed."""
    read = shape.parse(wire.ActOnAlertRequest, body, ACT_BYTES_MAX)
    if read.reason not in _REASONS:
        raise Malformed("reason", "not a word of the table")
    return shape.fixed("alert_id", read.alert_id, 16), Doing(
        act=_word("act", read.act, Act),
        version=shape.whole("version", read.version, 1, 1 << 62),
        to=shape.pattern("to", read.to, _NOBODY),
        reason=read.reason,
        words=shape.text("words", read.words, 0, WORDS_CHARACTERS_MAX),
    )


def encode_done(alert: Alert) -> bytes:
    """A reply's body."""
    return wire.ActOnAlertResponse(alert=_line_out(alert)).SerializeToString()


def done(body: bytes) -> Alert:
    """Raises Malformed."""
    return _line(shape.parse(wire.ActOnAlertResponse, body, ANSWER_BYTES_MAX).alert)
