"""The operational log: one JSON line a call, and one for each event of the node's life. No personal data.

    {"at":"2026-05-04T09:12:31.123Z","door":"peers","method":"WatchlistService/Check","caller":"PAN","status":"OK",
     "ms":3.20,"in":612,"out":398}

`why` holds an error's private words, which name states, purposes, fields and files, and never a person's data
(`gateway.errors`). It is cut, and control characters are escaped, so that one call is one line whatever it was.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from typing import Final, TextIO

from gateway.terms.call import CallSeen

WHY_CHARACTERS_MAX: Final = 300

_text = json.JSONEncoder(ensure_ascii=True).encode
_dump = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Lines:
    """Writes to one text stream. A stream that fails fails nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._second = (-1, "")

    def calls(self, calls: Iterable[CallSeen]) -> None:
        """A line for each of these calls, in one write."""
        self._write("".join(self._line(call) for call in calls))

    def _line(self, call: CallSeen) -> str:
        # Written by hand: every value but `why` and `caller` is of a closed set of plain words, and this is every call.
        line = (
            f'{{"at":"{self.instant(call.time_ns)}","door":"{call.listener}","method":"{call.method}"'
            f',"caller":{_text(call.caller)},"status":"{call.status}","ms":{call.duration_ns / 1e6:.2f}'
            f',"in":{call.request_bytes},"out":{call.reply_bytes}'
        )
        if call.reason:
            line += f',"reason":"{call.reason}","why":{_text(call.private[:WHY_CHARACTERS_MAX])}'
        return line + "}\n"

    def event(self, time_ns: int, event: str, **fields: str | int | bool) -> None:
        """Something of the node's life: a start, a table made, a checkpoint published. Fields as in `calls`."""
        self._write(_dump({"at": self.instant(time_ns), "event": event, **fields}) + "\n")

    def instant(self, time_ns: int) -> str:
        """RFC 3339 in UTC, to the millisecond."""
        seconds, rest = divmod(time_ns, 10**9)
        if seconds != self._second[0]:
            self._second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
        return f"{self._second[1]}.{rest // 10**6:03}Z"

    def _write(self, text: str) -> None:
        # A full disk under the operational log is no reason to refuse a check: the audit log has its own rule.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
