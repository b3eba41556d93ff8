"""What a state's log and its witness are called (C2SP tlog-checkpoint, origin; tlog-cosignature, name)."""

from __future__ import annotations

from gateway.terms.ids import PeerId


def log_origin(state: PeerId) -> str:
    """The origin of the state's log, first line of its checkpoints and name of its log key."""
    return f"limen/{state}/log"


def witness_name(state: PeerId) -> str:
    """The name under which the state cosigns others' checkpoints."""
    return f"limen/{state}/witness"
