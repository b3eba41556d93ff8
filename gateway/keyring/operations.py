"""What the key process does with its keys: every operation of ports.Keys, on values.

The process (`keyring.process`) puts a socket in front of it, `keyring.memory` an in-memory port; both give the same
bytes. No operation gives a secret away, and each signing key signs one kind of thing only: a note is refused as a
message and the other way round, by what stands in front of the signed bytes and by being parsed here first.
"""

from __future__ import annotations

import ctypes
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, final

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from gateway.audit import checkpoint as checkpoints
from gateway.audit import cosign, note
from gateway.errors import EpochRefused, Malformed, VerificationFailed
from gateway.federation import claims as tokens
from gateway.federation import envelope, names
from gateway.federation.document import key_id
from gateway.ports import ReplyFrame
from gateway.primitives import sodium
from gateway.primitives.secret import Locked
from gateway.pseudonym import oprf, schedule
from gateway.terms.exchange import KeyScope, SignedMessage
from gateway.terms.ids import EpochId, PeerId

SCOPES_KEPT: Final = 512
"""Derived OPRF keys kept ready: 30 peers, two lists, some groups. Deriving one costs about 100 us."""


@final
class LockedSigner:
    """An Ed25519 key (RFC 8032) whose expanded form stays in locked memory and is used there."""

    __slots__ = ("_expanded", "public")

    def __init__(self, seed: Locked) -> None:
        library = sodium.library()
        public, expanded = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        library.crypto_sign_seed_keypair(public, expanded, seed.address)
        self.public = public.raw
        self._expanded = Locked(expanded.raw)
        ctypes.memset(expanded, 0, 64)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature. Deterministic."""
        out = ctypes.create_string_buffer(64)
        sodium.library().crypto_sign_detached(out, None, message, len(message), self._expanded.address)
        return out.raw

    def __repr__(self) -> str:
        return f"LockedSigner({self.public.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not pickled")


class Seeds(Protocol):
    """Where the OPRF seeds are: files in a node, a dictionary in tests."""

    def draw(self, peer: PeerId, epoch: EpochId) -> None:
        """Keep a fresh random seed, unless there is one. Raises ValueError on a name that is no peer or epoch."""

    def seed(self, peer: PeerId, epoch: EpochId) -> Locked | None:
        """The seed, or None where there is none."""

    def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """Remove every seed of the peer, or that of one epoch, for good; returns how many."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys of one node, one for each purpose."""

    message: LockedSigner
    log: LockedSigner
    token: LockedSigner
    witness: LockedSigner
    handle: Locked
    case: Locked


@dataclass(frozen=True, slots=True)
class _ScopeKey:
    secret: Locked
    public: bytes


class Operations:
    """The operations of one state's keys. Not thread-safe; one caller at a time, as in the process."""

    def __init__(
        self,
        state: PeerId,
        keys: Secrets,
        seeds: Seeds,
        *,
        draw: Callable[[int], bytes] = secrets.token_bytes,
        scopes_kept: int = SCOPES_KEPT,
        log_origin: str = "",
    ) -> None:
        self._state = state
        self._keys = keys
        self._seeds = seeds
        self._draw = draw
        self._scopes_kept = scopes_kept
        self._scopes: OrderedDict[KeyScope, _ScopeKey] = OrderedDict()
        self._log = note.Verifier(log_origin or names.log_origin(state), note.LOG_KEY, keys.log.public)
        self._witness = note.Verifier(names.witness_name(state), note.WITNESS_KEY, keys.witness.public)
        self._message_key_id = envelope.key_id(keys.message.public)
        self._token_key_id = key_id(keys.token.public)
        self._signed_head: checkpoints.Checkpoint | None = None

    def evaluate_and_sign(self, scope: KeyScope, blinded: bytes, frame: ReplyFrame) -> SignedMessage:
        """Evaluate, prove (RFC 9497 section 3.3.2), build the body, sign its header."""
        key = self._scope(scope)
        elements = oprf.split(blinded)
        if not elements:
            raise Malformed("elements", "a batch is not empty")
        nonce = oprf.draw_nonce(self._draw, key.secret, elements)
        evaluated, proof = oprf.evaluate_with_proof(key.secret, key.public, elements, nonce)
        body = b"".join((frame.before, frame.evaluated_tag, *evaluated, frame.proof_tag, proof))
        return self.sign(frame.header_fields, body)

    def sign(self, header_fields: Mapping[str, Any], body: bytes) -> SignedMessage:
        """Sign a message in this state's own name, under the key that the header names."""
        if header_fields.get("sender") != self._state or header_fields.get("key_id") != self._message_key_id:
            raise Malformed("header", "does not name this state and its message key as the sender")
        return envelope.seal(header_fields, body, self._keys.message.sign)

    def sign_note(self, text: bytes) -> bytes:
        """Sign a checkpoint of the own log. Within the life of the process the log only grows.

        Raises:
            Malformed: not a checkpoint of the own log.
            VerificationFailed: step `checkpoint`: smaller than the last one signed, or another root of its size.
        """
        head = checkpoints.parse(text)
        if head.origin != self._log.name:
            raise Malformed("checkpoint", "is not of this state's log")
        last = self._signed_head
        if last is not None and (head.size < last.size or (head.size == last.size and head.root != last.root)):
            raise VerificationFailed("checkpoint", "a longer or another log was signed before", position=last.size)
        noted = note.sign(text, self._log, self._keys.log.sign)
        self._signed_head = head
        return noted

    def cosign(self, text: bytes, time_s: int) -> bytes:
        """Cosign another state's checkpoint.

        Raises:
            Malformed: not a checkpoint, or of the own log.
        """
        if checkpoints.parse(text).origin == self._log.name:
            raise Malformed("checkpoint", "a state does not witness itself")
        return cosign.line(text, time_s, self._witness, self._keys.witness.sign)

    def derive(self, scope: KeyScope, inputs: Sequence[bytes]) -> list[bytes]:
        """The outputs of the owner's own inputs, 64 bytes each."""
        return oprf.evaluate_batch(self._scope(scope).secret, inputs) if inputs else []

    def handles(self, scope: KeyScope, entry_ids: Sequence[str]) -> list[bytes]:
        """The 8-byte handle of each entry towards the scope's peer in its epoch."""
        key = self._keys.handle.copy()
        return schedule.handles(key, scope.peer, scope.epoch, entry_ids)

    def public_key(self, scope: KeyScope) -> bytes:
        """The scope's OPRF public key, 32 bytes."""
        return self._scope(scope).public

    def open_epoch(self, peer: PeerId, epoch: EpochId) -> None:
        """Draw and keep a seed, once."""
        try:
            self._seeds.draw(peer, epoch)
        except ValueError as cause:
            raise Malformed("epoch", str(cause)) from None

    def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """Destroy the peer's seeds, or that of one epoch, and every key derived from them."""
        for scope in [one for one in self._scopes if one.peer == peer and epoch in (None, one.epoch)]:
            self._scopes.pop(scope).secret.free()
        try:
            return self._seeds.destroy(peer, epoch)
        except ValueError as cause:
            raise Malformed("peer", str(cause)) from None

    def sign_token(self, claims: Mapping[str, Any]) -> str:
        """Sign an officer's token of this state."""
        if (claims.get("iss"), claims.get("aud")) != (tokens.issuer(self._state), tokens.audience(self._state)):
            raise Malformed("token", "is not of this state and for it")
        data = tokens.signing_input(claims, self._token_key_id)
        return tokens.compact(data, self._keys.token.sign(data))

    def open_case(self, sealed: Sequence[bytes]) -> list[bytes]:
        """Open sealed boxes made for the case key. Raises VerificationFailed."""
        key = PrivateKey(self._keys.case.copy())
        try:
            return [SealedBox(key).decrypt(one) for one in sealed]
        except (CryptoError, TypeError, ValueError):
            raise VerificationFailed("sealed", "was not made for this state's case key") from None

    def seal_case(self, recipient: bytes, plain: Sequence[bytes]) -> list[bytes]:
        """Seal to another state's case key, or our own. Raises Malformed."""
        try:
            box = SealedBox(PublicKey(recipient))
            return [box.encrypt(one) for one in plain]
        except (CryptoError, TypeError, ValueError):
            raise Malformed("case key", "is not an X25519 key") from None

    def public_keys(self) -> dict[str, bytes]:
        """The public halves by purpose."""
        return {
            "message": self._keys.message.public,
            "log": self._keys.log.public,
            "token": self._keys.token.public,
            "witness": self._keys.witness.public,
        }

    def _scope(self, scope: KeyScope) -> _ScopeKey:
        """The scope's key pair, kept for the next call. Raises EpochRefused when there is no seed for it."""
        found = self._scopes.get(scope)
        if found is not None:
            self._scopes.move_to_end(scope)
            return found
        seed = None
        if scope.owner == self._state:
            try:
                seed = self._seeds.seed(scope.peer, scope.epoch)
            except ValueError:
                seed = None
        if seed is None:
            raise EpochRefused(f"no key for {scope.peer} in epoch {scope.epoch}")
        secret, public = oprf.derive_key_pair(seed.copy(), schedule.info(scope))
        seed.free()
        made = _ScopeKey(Locked(secret), public)
        self._scopes[scope] = made
        if len(self._scopes) > self._scopes_kept:
            self._scopes.popitem(last=False)[1].secret.free()
        return made
