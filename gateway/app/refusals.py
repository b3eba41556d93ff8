"""Calls at the peers' door that never reached a flow, for the log: counted, and entered together on a tick (T19).

A flow enters its own refusals one by one. What is refused before (no signature, another receiver, a shape that is none,
too many calls) may come as fast as a peer can send, so it is one entry a peer, reason and method each tick, and the log
grows no faster however many come.
"""

from __future__ import annotations

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import AuditUnavailable
from gateway.terms.call import CallSeen

STRANGER = ""
"""Callers whom no pin names: one count for all of them."""


class Refusals:
    """The counts since the last tick. One for a process, on its loop."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}

    def seen(self, call: CallSeen) -> None:
        """Count a call that was refused unread."""
        if call.served or call.listener != "peers" or call.status in ("OK", "CANCELLED"):
            return
        key = (call.caller, call.reason, call.method)
        self._counts[key] = self._counts.get(key, 0) + 1

    async def enter(self, uow: ports.UnitOfWork) -> None:
        """One entry a peer, reason and method. What the log does not take is counted on.

        Raises:
            AuditUnavailable: the log takes nothing now.
        """
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await uow.commit(
                [
                    Entry(
                        "call.refused",
                        Phase.EVENT,
                        peer,
                        public={"reason": reason, "method": method, "count": count},
                    )
                    for (peer, reason, method), count in sorted(counts.items())
                ]
            )
        except AuditUnavailable:
            for key, count in counts.items():
                self._counts[key] = self._counts.get(key, 0) + count
            raise


__all__ = ["Refusals"]
