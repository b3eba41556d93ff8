"""`limen alert`: the alerts of the own node, read and closed at the home door by a supervisor."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from gateway.alerts.alert import COUNTED, MEANINGS, Act, Alert, Doing, Rule
from gateway.cli import inputs
from gateway.cli.acts import booth
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note, table
from gateway.errors import InputRefused
from gateway.rpc.home import HomeClient

WORDS_CHARACTERS_MAX: Final = 2_048
WORDS_BYTES_MAX: Final = 16_384

_NUMBER = re.compile(r"alert_([0-9a-f]{32})\Z")


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    place = booth.load(args)
    token = place.token()
    if args.verb == "list":
        return asyncio.run(_list(args, place, token))
    alert_id = number(args.alert)
    if args.verb == "show":
        return asyncio.run(_show(args, place, token, alert_id))
    return asyncio.run(_act(args, place, token, alert_id))


def number(text: str) -> bytes:
    """An alert's number as typed. Raises Refused; what was typed is not repeated."""
    found = _NUMBER.match(text)
    if found is None:
        raise Refused("ALERT: write alert_ and 32 hexadecimal digits, as `limen alert list` shows it")
    return bytes.fromhex(found[1])


async def _list(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    async with _client(place) as client:
        found, more = await client.alerts(token, closed=args.closed)
    now_ns = place.now_ns()
    rows = [
        {
            "alert": alert.number,
            "rule": alert.rule.value,
            "about": ", ".join(alert.officers) or "-",
            "times": str(alert.times),
            "state": f"{alert.state.value}: {alert.assigned or alert.reason}".removesuffix(": "),
            "due": "-" if not alert.is_open() else f"{_time(alert.due_ns)}{' OVERDUE' * (alert.due_ns < now_ns)}",
        }
        for alert in found
    ]
    shown = table(rows, ("alert", "rule", "about", "times", "state", "due")) or ["no alert is open"]
    emit(args, {"alerts": [document(alert) for alert in found], "more": more}, shown)
    if more:
        note(args, "there are more alerts than these; close some")
    return OK


async def _show(args: argparse.Namespace, place: booth.Booth, token: str, alert_id: bytes) -> int:
    async with _client(place) as client:
        alert = await client.alert(alert_id, token)
    emit(args, document(alert), told(alert))
    return OK


async def _act(args: argparse.Namespace, place: booth.Booth, token: str, alert_id: bytes) -> int:
    words = _words(args)
    async with _client(place) as client:
        seen = await client.alert(alert_id, token)
        doing = Doing(Act(args.verb), seen.version, getattr(args, "to", ""), getattr(args, "reason", ""), words)
        after = await client.act_on_alert(alert_id, doing, token)
    done = f"assigned to {after.assigned}" if doing.act is Act.ASSIGN else f"closed: {after.reason}"
    emit(args, document(after), [f"{after.number}: {done}"])
    return OK


def document(alert: Alert) -> dict[str, Any]:
    """One alert for programs."""
    return {
        "alert": alert.number,
        "rule": alert.rule.value,
        "meaning": MEANINGS[alert.rule],
        "state": alert.state.value,
        "version": alert.version,
        "officers": list(alert.officers),
        "count": alert.count,
        "times": alert.times,
        "entry": alert.seq if alert.seq >= 0 else None,
        "raised": _time(alert.raised_ns),
        "due": _time(alert.due_ns),
        "assigned": alert.assigned or None,
        "reason": alert.reason or None,
        "closed": _time(alert.closed_ns) if alert.closed_ns else None,
    }


def told(alert: Alert) -> Iterator[str]:
    """One alert for a person."""
    yield f"{alert.number}: {alert.state.value}"
    yield f"  {alert.rule.value}: {MEANINGS[alert.rule]}"
    if alert.officers:
        yield f"  about {', '.join(alert.officers)}"
    if alert.rule is not Rule.LOG_SILENCE or alert.seq < 0:
        yield f"  at most {alert.count} {COUNTED[alert.rule]}"
    fired = "fired once, at" if alert.times == 1 else f"fired {alert.times} times since"
    yield f"  {fired} {_time(alert.raised_ns)}"
    if alert.seq >= 0:
        yield f"  seen by entry {alert.seq} of the log"
    if alert.is_open():
        yield f"  due {_time(alert.due_ns)}; with {alert.assigned or 'nobody'}"
    else:
        yield f"  closed {_time(alert.closed_ns)}: {alert.reason}"


def _words(args: argparse.Namespace) -> str:
    """The supervisor's words, on one line. Raises InputRefused."""
    if args.words is None:
        return ""
    try:
        text = " ".join(inputs.data_of(args.words, WORDS_BYTES_MAX).decode("utf-8").split())
    except UnicodeDecodeError:
        raise InputRefused("is not UTF-8 text", field="words") from None
    if len(text) > WORDS_CHARACTERS_MAX:
        raise InputRefused(f"has more than {WORDS_CHARACTERS_MAX} characters", field="words")
    return text


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _client(place: booth.Booth) -> HomeClient:
    return HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem)
