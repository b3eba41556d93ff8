"""What a node that came back from a backup does not do before a witness has answered: sign a reply.

The log takes no entry meanwhile (`store.writer`), so no answer that needs one leaves. This is for the others: a
description, a manifest, a cosignature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.errors import AuditUnavailable
from gateway.keyring.client import KeysClient
from gateway.terms.exchange import SignedMessage


class ReplyKeys(KeysClient):
    """The keys as the peers' door uses them. Requests of our own are signed by another client."""

    def __init__(self, socket: Path, waits: Callable[[], bool]) -> None:
        """`waits` says whether the node still waits for a witness."""
        super().__init__(socket)
        self._waits = waits

    async def sign(self, header_fields: Mapping[str, Any], body: bytes) -> SignedMessage:
        """As ports.Keys. Raises AuditUnavailable while the node waits."""
        if self._waits():
            raise AuditUnavailable("restored from a backup: nothing is signed before a witness has answered")
        return await super().sign(header_fields, body)
