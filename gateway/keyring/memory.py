"""ports.Keys in memory: the plainest statement of the promise. Everything is lost with the object."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.keyring.files import x25519_public
from gateway.keyring.operations import LockedSigner, Operations, Secrets
from gateway.ports import ReplyFrame
from gateway.primitives.secret import Locked
from gateway.terms.exchange import KeyScope, SignedMessage
from gateway.terms.ids import EpochId, PeerId


class SeedsInMemory:
    """Seeds in a dictionary."""

    def __init__(self, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._draw = draw
        self._held: dict[tuple[PeerId, EpochId], Locked] = {}

    def draw(self, peer: PeerId, epoch: EpochId) -> None:
        """Keep a fresh random seed, unless there is one already."""
        self._held.setdefault((peer, epoch), Locked(self._draw(32)))

    def seed(self, peer: PeerId, epoch: EpochId) -> Locked | None:
        """A copy of the seed, or None."""
        held = self._held.get((peer, epoch))
        return None if held is None else Locked(held.copy())

    def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """Remove every seed of the peer, or that of one epoch."""
        mine = [key for key in self._held if key[0] == peer and epoch in (None, key[1])]
        for key in mine:
            self._held.pop(key).free()
        return len(mine)


class MemoryKeys:
    """A state's keys. `draw` makes all of them; give a seeded one for keys that are the same in every run."""

    def __init__(self, state: PeerId, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        made = Secrets(
            message=LockedSigner(Locked(draw(32))),
            log=LockedSigner(Locked(draw(32))),
            token=LockedSigner(Locked(draw(32))),
            witness=LockedSigner(Locked(draw(32))),
            handle=Locked(draw(32)),
            case=Locked(draw(32)),
        )
        self._operations = Operations(state, made, SeedsInMemory(draw))
        self.case_key = x25519_public(made.case.copy())
        """The public half that others seal to."""

    async def evaluate_and_sign(self, scope: KeyScope, blinded: bytes, frame: ReplyFrame) -> SignedMessage:
        """As ports.Keys."""
        return self._operations.evaluate_and_sign(scope, blinded, frame)

    async def sign(self, header_fields: Mapping[str, Any], body: bytes) -> SignedMessage:
        """As ports.Keys."""
        return self._operations.sign(header_fields, body)

    async def sign_note(self, text: bytes) -> bytes:
        """As ports.Keys."""
        return self._operations.sign_note(text)

    async def cosign(self, text: bytes, time_s: int) -> bytes:
        """As ports.Keys."""
        return self._operations.cosign(text, time_s)

    async def derive(self, scope: KeyScope, inputs: Sequence[bytes]) -> list[bytes]:
        """As ports.Keys."""
        return self._operations.derive(scope, inputs)

    async def handles(self, scope: KeyScope, entry_ids: Sequence[str]) -> list[bytes]:
        """As ports.Keys."""
        return self._operations.handles(scope, entry_ids)

    async def public_key(self, scope: KeyScope) -> bytes:
        """As ports.Keys."""
        return self._operations.public_key(scope)

    async def open_epoch(self, peer: PeerId, epoch: EpochId) -> None:
        """As ports.Keys."""
        self._operations.open_epoch(peer, epoch)

    async def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """As ports.Keys."""
        return self._operations.destroy(peer, epoch)

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        """As ports.Keys."""
        return self._operations.sign_token(claims)

    async def public_keys(self) -> Mapping[str, bytes]:
        """As ports.Keys."""
        return self._operations.public_keys()

    async def open_case(self, sealed: Sequence[bytes]) -> list[bytes]:
        """As ports.CaseKeys."""
        return self._operations.open_case(sealed)

    async def seal_case(self, recipient: bytes, plain: Sequence[bytes]) -> list[bytes]:
        """As ports.CaseKeys."""
        return self._operations.seal_case(recipient, plain)
