"""What stands behind each listener, in terms: the app implements these with flows; the wire stays on this side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.ports import SignedManifest
from gateway.terms.exchange import (
    CheckpointRequest,
    CheckRequest,
    ChunkRequest,
    Description,
    ManifestRequest,
    SignedMessage,
)

if TYPE_CHECKING:
    from gateway.rpc.server import CallContext


class PeerDoor(Protocol):
    """Answers other states. Every request was verified and judged; `call.peer` is who asks, and agrees with it."""

    async def check(self, request: CheckRequest, call: CallContext) -> SignedMessage:
        """Evaluate one batch (`flows.answer`)."""

    async def manifest(self, request: ManifestRequest, call: CallContext) -> SignedManifest:
        """The current manifest made for `call.peer`. Raises NotFoundOrNotPermitted."""

    async def chunk(self, request: ChunkRequest, call: CallContext) -> bytes:
        """One chunk of the current table made for `call.peer`. Raises NotFoundOrNotPermitted."""

    async def describe(self, call: CallContext) -> Description:
        """What this gateway serves."""

    async def add_checkpoint(self, request: CheckpointRequest, call: CallContext) -> bytes:
        """Cosignature lines (`flows.witness.cosign`). VerificationFailed with step `old_size` and the size known as its
        position becomes a signed reply; others are refusals."""
