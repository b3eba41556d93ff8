"""The operational log: one JSON line a call, and one for each event of the node's life. No personal data.

    {"at":"2026-05-04T09:12:31.123Z","door":"peers","method":"WatchlistService/Check","caller":"PAN","status":"OK",
     "ms":3.2,"in":612,"out":398}

`why` holds an error's private words, which name states, purposes, fields and files, and never a person's data
(`gateway.errors`). It is cut, and control characters are escaped, so that one call is one line whatever it was.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Final, TextIO

from gateway.terms.call import CallSeen

WHY_CHARACTERS_MAX: Final = 300

_dump = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def instant(time_ns: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    seconds, rest = divmod(time_ns, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 10**6:03}Z"


class Lines:
    """Writes to one text stream, a line at a time. A stream that fails does not fail the call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def observe(self, call: CallSeen) -> None:
        """The line of one call."""
        line: dict[str, object] = {
            "at": instant(call.time_ns),
            "door": call.listener,
            "method": call.method,
            "caller": call.caller,
            "status": call.status,
            "ms": round(call.duration_ns / 1e6, 2),
            "in": call.request_bytes,
            "out": call.reply_bytes,
        }
        if call.reason:
            line["reason"] = call.reason
            line["why"] = call.private[:WHY_CHARACTERS_MAX]
        self._write(line)

    def event(self, time_ns: int, event: str, **fields: str | int | bool) -> None:
        """Something of the node's life: a start, a table made, a checkpoint published. Fields as in `observe`."""
        self._write({"at": instant(time_ns), "event": event, **fields})

    def _write(self, line: dict[str, object]) -> None:
        # A full disk under the operational log is no reason to refuse a check: the audit log has its own rule.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(_dump(line) + "\n")
            self._stream.flush()
