"""Live or sandbox: two worlds of nodes that never meet.

What a node is stands in its settings, in the name of each of its certificates, on its card and in every list of members
it is on. A node of one realm refuses whatever is the other's: a list, an invitation, an answer, a connection.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Realm(StrEnum):
    """`LIVE` is every state's own node; `SANDBOX` holds published test travellers and nothing that is true."""

    LIVE = "live"
    SANDBOX = "sandbox"


SANDBOX_STATES: Final = frozenset({"SBX", "SBY", "SBZ"})
"""Codes that only a sandbox's states have: no list of live members names one."""
