"""Sealing a payload to people whose private keys are never on the node (T11).

A session draws two chains, one for the secret part and one for the guard part, and wraps them once in libsodium sealed
boxes: both to the supervisor and to the home auditor, the guard chain alone to the protection desk. Each record takes
one key from each chain and the chains move on, so that whoever takes the node's memory reads no earlier record.
Every payload carries its wraps and stands alone.

    payload = CBOR ["limen.sealed/1", number in the session, wrap, wrap, wrap, secret part, guard part]
    chain'  = HMAC-SHA-256(chain, "next")        key = HMAC-SHA-256(chain, "key")
    part    = ChaCha20-Poly1305(key, nonce 0, aad, 4-byte length | plain | zeros)

A key seals one part, so the nonce may be zero. `aad` is "limen.sealed/1 secret" or "... guard".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal

from nacl import bindings
from nacl.exceptions import CryptoError

from gateway.errors import InputRefused, Malformed, VerificationFailed
from gateway.primitives import aead, cbor
from gateway.primitives.kdf import expand

SCHEMA: Final = "limen.sealed/1"

SESSION_RECORDS_MAX: Final = 256
"""Records under one pair of chains; a reader steps the chain at most this often."""

PAYLOAD_BYTES_MAX: Final = 16 << 20
"""Longest payload taken, bytes."""

_NUMBERS: Final = [cbor.encode(number) for number in range(SESSION_RECORDS_MAX)]
_KEY_BYTES: Final = 32
_PART_BYTES_MIN: Final = 256
_NONCE: Final = bytes(12)
_AAD_SECRET: Final = b"limen.sealed/1 secret"
_AAD_GUARD: Final = b"limen.sealed/1 guard"

Role = Literal["supervisor", "auditor", "desk"]
ROLES: Final[tuple[Role, ...]] = ("supervisor", "auditor", "desk")
"""Whose wrap stands at which place."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """X25519 public keys, 32 bytes each. Their private halves are in three other places."""

    supervisor: bytes
    auditor: bytes
    desk: bytes

    def __post_init__(self) -> None:
        for role in ROLES:
            if len(getattr(self, role)) != _KEY_BYTES:
                raise ValueError(f"the {role}'s key has 32 bytes")


class Sealer:
    """One session. `seed` is 32 fresh random bytes; everything follows from it, so vectors need no patching."""

    __slots__ = ("_guard", "_prefix", "_secret", "records")

    def __init__(self, recipients: Recipients, seed: bytes) -> None:
        self._secret = expand(seed, b"limen.sealed/1 chain secret", _KEY_BYTES)
        self._guard = expand(seed, b"limen.sealed/1 chain guard", _KEY_BYTES)
        both = self._secret + self._guard
        self._prefix = b"".join(
            cbor.encode(_wrap(getattr(recipients, role), content, expand(seed, b"limen.sealed/1 " + role.encode(), 32)))
            for role, content in zip(ROLES, (both, both, self._guard), strict=True)
        )
        self.records = 0

    @property
    def is_spent(self) -> bool:
        """True when the next record needs a new session."""
        return self.records >= SESSION_RECORDS_MAX

    def seal(self, secret: bytes, guard: bytes, secret_room: int, guard_room: int) -> bytes:
        """One payload. Each part is padded to its room, in bytes; a room of 0 means that the kind has no such part.

        Raises:
            InputRefused: a part does not fit. Its length would tell something, so the room is not made larger.
            ValueError: the session is spent.
        """
        if self.is_spent:
            raise ValueError("the sealing session is spent")
        number = self.records
        self.records += 1
        key, self._secret = _step(self._secret)
        guard_key, self._guard = _step(self._guard)
        # Spliced canonical CBOR: a 7-element array of text, number and five byte strings.
        return b"".join(
            (
                b"\x87\x6e" + SCHEMA.encode(),
                _NUMBERS[number],
                self._prefix,
                _part(key, _AAD_SECRET, secret, secret_room, "secret"),
                _part(guard_key, _AAD_GUARD, guard, guard_room, "guard"),
            )
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """What a recipient reads: canonical CBOR `{name: [salt, value]}`, b"" where the part is absent or not theirs."""

    secret: bytes = field(repr=False)
    guard: bytes = field(repr=False)


class Opener:
    """A recipient with a private key (X25519, 32 bytes). Tries each wrap; remembers sessions it has opened."""

    def __init__(self, private: bytes) -> None:
        if len(private) != _KEY_BYTES:
            raise ValueError("a private key has 32 bytes")
        self._private = private
        self._public: bytes = bindings.crypto_scalarmult_base(private)
        self._sessions: dict[bytes, tuple[list[bytes], list[bytes]]] = {}

    def open(self, payload: bytes) -> Opened:
        """Open what is ours.

        Raises:
            Malformed: not a payload.
            VerificationFailed: no wrap is for this key, or a part does not open.
        """
        number, wraps, secret, guard = _parse(payload)
        secrets, guards = self._session(wraps)
        return Opened(
            _unpart(_nth(secrets, number), _AAD_SECRET, secret) if secrets and secret else b"",
            _unpart(_nth(guards, number), _AAD_GUARD, guard) if guard else b"",
        )

    def _session(self, wraps: tuple[bytes, ...]) -> tuple[list[bytes], list[bytes]]:
        place = b"".join(wraps)
        held = self._sessions.get(place)
        if held is not None:
            return held
        for wrap in wraps:
            try:
                content: bytes = bindings.crypto_box_seal_open(wrap, self._public, self._private)
            except CryptoError:
                continue
            if len(content) == 2 * _KEY_BYTES:
                held = ([content[:_KEY_BYTES]], [content[_KEY_BYTES:]])
            elif len(content) == _KEY_BYTES:
                held = ([], [content])
            else:
                raise Malformed("payload", "a wrap holds one or two chains")
            self._sessions[place] = held
            return held
        raise VerificationFailed("payload", "it is not sealed to this key")


def _wrap(public: bytes, content: bytes, ephemeral: bytes) -> bytes:
    """libsodium's crypto_box_seal with the ephemeral key given: public key, then crypto_box under a derived nonce."""
    ephemeral_public: bytes = bindings.crypto_scalarmult_base(ephemeral)
    nonce = hashlib.blake2b(ephemeral_public + public, digest_size=24).digest()
    boxed: bytes = bindings.crypto_box(content, nonce, public, ephemeral)
    return ephemeral_public + boxed


_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def pads(key: bytes) -> tuple[bytes, bytes]:
    """Both pads of HMAC-SHA-256 for a key of at most 64 bytes (RFC 2104). For many short messages under one key."""
    block = key.ljust(64, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


def mac(key_pads: tuple[bytes, bytes], message: bytes) -> bytes:
    """HMAC-SHA-256, 32 bytes, in half the time of `hmac.digest`, whose set-up costs more than the hashing."""
    inner, outer = key_pads
    return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).digest()


def _step(chain: bytes) -> tuple[bytes, bytes]:
    chain_pads = pads(chain)
    return mac(chain_pads, b"key"), mac(chain_pads, b"next")


def _nth(chain: list[bytes], number: int) -> bytes:
    while len(chain) <= number:
        chain.append(_step(chain[-1])[1])
    return _step(chain[number])[0]


def _part(key: bytes, aad: bytes, plain: bytes, room: int, name: str) -> bytes:
    if room == 0:
        return b"\x40"
    # A room under 256 bytes would need a shorter CBOR head; there is no use for one.
    if len(plain) + 4 > room or room < _PART_BYTES_MIN:
        raise InputRefused(f"the {name} fields need {len(plain) + 4} bytes of {room}", field=name, code="ENTRY_ROOM")
    box = aead.seal(key, _NONCE, aad, len(plain).to_bytes(4, "big") + plain + bytes(room - 4 - len(plain)))
    head = b"\x59" + len(box).to_bytes(2, "big") if len(box) <= 0xFFFF else b"\x5a" + len(box).to_bytes(4, "big")
    return head + box


def _unpart(key: bytes, aad: bytes, box: bytes) -> bytes:
    try:
        padded = aead.open_(key, _NONCE, aad, box)
    except VerificationFailed:
        raise VerificationFailed("payload", "a part does not open") from None
    size = int.from_bytes(padded[:4], "big")
    if len(padded) < 4 + size or any(padded[4 + size :]):
        raise Malformed("payload", "the padding is not zeros")
    return padded[4 : 4 + size]


def _parse(payload: bytes) -> tuple[int, tuple[bytes, ...], bytes, bytes]:
    value = cbor.decode(payload, field="payload", limit=PAYLOAD_BYTES_MAX)
    if not isinstance(value, list) or len(value) != 7 or value[0] != SCHEMA:
        raise Malformed("payload", "not a sealed payload of a known form")
    number = value[1]
    if type(number) is not int or not 0 <= number < SESSION_RECORDS_MAX:
        raise Malformed("payload", "the number in the session is out of range")
    parts = value[2:]
    if not all(isinstance(part, bytes) for part in parts):
        raise Malformed("payload", "a wrap or part is not bytes")
    return number, tuple(parts[:3]), parts[3], parts[4]
