"""Shapes that both ends of the key process's socket share."""

from __future__ import annotations

from typing import Any

from gateway.errors import Malformed
from gateway.terms.exchange import KeyScope
from gateway.terms.ids import EpochId, PeerId, PurposeGroup
from gateway.terms.words import ListId


def scope_out(scope: KeyScope) -> list[str]:
    """A scope as five texts."""
    return [scope.owner, scope.list_id.value, scope.group, scope.epoch, scope.peer]


def scope_in(parts: list[Any]) -> KeyScope:
    """A scope again. Raises Malformed."""
    if len(parts) != 5 or not all(isinstance(part, str) for part in parts):
        raise Malformed("scope", "is not five texts")
    owner, list_id, group, epoch, peer = parts
    try:
        return KeyScope(PeerId(owner), ListId(list_id), PurposeGroup(group), EpochId(epoch), PeerId(peer))
    except ValueError:
        raise Malformed("scope", "names an unknown list") from None
