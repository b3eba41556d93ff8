"""ports.Keys over the node's internal socket. No key process means no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.errors import KeysUnavailable
from gateway.ipc import Channel, Gone
from gateway.keyring.wire import scope_out
from gateway.ports import ReplyFrame
from gateway.terms.exchange import KeyScope, SignedMessage
from gateway.terms.ids import EpochId, PeerId

SLICE = 256
"""Inputs in one call when a table is built, about 30 ms of work: checks take their turns between the calls."""


class KeysClient:
    """The asking end. Safe for concurrent calls on one event loop. Every failure to answer is KeysUnavailable."""

    def __init__(self, socket: Path, *, wait_s: float = 2.0) -> None:
        self._channel = Channel(socket, wait_s=wait_s)

    async def close(self) -> None:
        """Drop the connection."""
        await self._channel.close()

    async def evaluate_and_sign(self, scope: KeyScope, blinded: bytes, frame: ReplyFrame) -> SignedMessage:
        """As ports.Keys."""
        parts = [frame.before, frame.evaluated_tag, frame.proof_tag, dict(frame.header_fields)]
        return SignedMessage(*await self._call("evaluate_and_sign", [scope_out(scope), blinded, parts]))

    async def sign(self, header_fields: Mapping[str, Any], body: bytes) -> SignedMessage:
        """As ports.Keys."""
        return SignedMessage(*await self._call("sign", [dict(header_fields), body]))

    async def sign_note(self, text: bytes) -> bytes:
        """As ports.Keys."""
        return bytes(await self._call("sign_note", text))

    async def cosign(self, text: bytes, time_s: int) -> bytes:
        """As ports.Keys."""
        return bytes(await self._call("cosign", [text, time_s]))

    async def derive(self, scope: KeyScope, inputs: Sequence[bytes]) -> list[bytes]:
        """As ports.Keys."""
        return await self._in_slices("derive", scope, inputs)

    async def handles(self, scope: KeyScope, entry_ids: Sequence[str]) -> list[bytes]:
        """As ports.Keys."""
        return await self._in_slices("handles", scope, entry_ids)

    async def public_key(self, scope: KeyScope) -> bytes:
        """As ports.Keys."""
        return bytes(await self._call("public_key", scope_out(scope)))

    async def open_epoch(self, peer: PeerId, epoch: EpochId) -> None:
        """As ports.Keys."""
        await self._call("open_epoch", [peer, epoch])

    async def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """As ports.Keys."""
        return int(await self._call("destroy", peer if epoch is None else [peer, epoch]))

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        """As ports.Keys."""
        return str(await self._call("sign_token", dict(claims)))

    async def open_case(self, sealed: Sequence[bytes]) -> list[bytes]:
        """As ports.CaseKeys."""
        return list(await self._call("open_case", list(sealed)))

    async def seal_case(self, recipient: bytes, plain: Sequence[bytes]) -> list[bytes]:
        """As ports.CaseKeys."""
        return list(await self._call("seal_case", [recipient, list(plain)]))

    async def public_keys(self) -> Mapping[str, bytes]:
        """As ports.Keys."""
        return dict(await self._call("public_keys", None))

    async def status(self) -> Mapping[str, bool]:
        """What could be done for the keys' memory: `all_locked`, `buffers_locked`, `dumpable` (`limen doctor`)."""
        return dict(await self._call("status", None))

    async def _in_slices(self, operation: str, scope: KeyScope, items: Sequence[bytes] | Sequence[str]) -> list[bytes]:
        found: list[bytes] = []
        for start in range(0, len(items), SLICE):
            found += await self._call(operation, [scope_out(scope), list(items[start : start + SLICE])])
        return found

    async def _call(self, operation: str, argument: Any, *, timeout_s: float = 10.0) -> Any:
        try:
            return await self._channel.call(operation, argument, timeout_s=timeout_s)
        except Gone as cause:
            raise KeysUnavailable(f"the key process did not answer: {cause}") from None
