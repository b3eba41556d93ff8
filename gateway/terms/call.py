"""What is known of one call when it has ended: for metrics and the one operational log line. No personal data."""

from __future__ import annotations

from typing import NamedTuple


class CallSeen(NamedTuple):
    """One call, in or out. A tuple, because one is made for every call.

    `listener` is the audience (`peers`, `home`, `auditors`) or `outgoing`; `method` is `Service/Method` of the contract
    or `unknown`, never what the caller wrote; `caller` the other state, or the home client's name, empty before it was
    identified; `status` a gRPC status by name; `reason` the catalogue's, empty when all went well; `private` the
    error's own words, which name no person; `served` is False for a call that never reached a
    flow; `time_ns` is when it came, UTC.
    """

    listener: str
    method: str
    caller: str
    status: str
    reason: str
    private: str
    served: bool
    time_ns: int
    duration_ns: int
    request_bytes: int
    reply_bytes: int
