"""What a state's log and its witness are called (C2SP tlog-checkpoint, origin; tlog-cosignature, name)."""

from __future__ import annotations

from gateway.terms.ids import PeerId


def log_origin(state: PeerId, number: int = 1) -> str:
    """The origin of the state's log, first line of its checkpoints and name of its log key.

    Of several the first is number 1; the next one begins where a log could not go on (docs/protocol/log.md).
    """
    return f"limen/{state}/log" if number == 1 else f"limen/{state}/log/{number}"


def witness_name(state: PeerId) -> str:
    """The name under which the state cosigns others' checkpoints."""
    return f"limen/{state}/witness"
