"""A person's own key in a file that only a passphrase opens (T7, first form; a card or a passkey comes later).

The file is JSON, belongs to the person's workstation and is worth nothing without the passphrase: the Ed25519 seed is
sealed with ChaCha20-Poly1305 under a key made of the passphrase by Argon2id (RFC 9106), and everything the file says
in clear is authenticated with it.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

from nacl import pwhash

from gateway.errors import InputRefused, NotIdentified, VerificationFailed
from gateway.primitives import aead, ed25519
from gateway.terms.hidden import Hidden
from gateway.terms.ids import OfficerId

SCHEMA: Final = "limen/personal-key/1"

PASSPHRASE_CHARACTERS_MIN: Final = 12

PASSES: Final = 3
MEMORY_BYTES: Final = 64 << 20
"""Argon2id's cost: about 0.2 s on a desk machine, and 64 MiB for each guess of an attacker."""

PASSES_MAX: Final = 10
MEMORY_BYTES_MAX: Final = 1 << 30
"""A file that asks for more is refused before it can exhaust the machine that reads it."""

FILE_BYTES_MAX: Final = 4096

_FIELDS: Final = frozenset({"schema", "officer", "public_key", "passes", "memory_bytes", "salt", "nonce", "sealed"})
_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class PersonalKey:
    """An opened key. `seed` is the Ed25519 seed; sign with it and let it go."""

    officer: OfficerId
    public_key: bytes = field(repr=False)
    seed: Hidden[bytes]


def create(officer: OfficerId, passphrase: Hidden[str]) -> tuple[bytes, bytes]:
    """Draw a key for a person; returns the file's bytes and the public key.

    Raises:
        InputRefused: the passphrase is too short, or the personnel number cannot stand in a file.
    """
    if not _OFFICER.match(officer):
        raise InputRefused("write 1 to 64 letters, digits, dots, dashes and underscores", field="officer")
    if len(passphrase.open()) < PASSPHRASE_CHARACTERS_MIN:
        raise InputRefused(f"use at least {PASSPHRASE_CHARACTERS_MIN} characters", field="passphrase")
    seed, salt, nonce = secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(12)
    public = ed25519.public(seed)
    clear: dict[str, Any] = {
        "schema": SCHEMA,
        "officer": officer,
        "public_key": public.hex(),
        "passes": PASSES,
        "memory_bytes": MEMORY_BYTES,
        "salt": salt.hex(),
        "nonce": nonce.hex(),
    }
    sealed = aead.seal(_key(passphrase, salt, PASSES, MEMORY_BYTES), nonce, _canonical(clear), seed)
    return (json.dumps({**clear, "sealed": sealed.hex()}, indent=2) + "\n").encode("ascii"), public


def officer_of(data: bytes) -> tuple[OfficerId, bytes]:
    """Whose key a file says it is, and its public half. Nothing proves it before `open_`. Raises InputRefused."""
    table = _read(data)
    return OfficerId(table["officer"]), bytes.fromhex(table["public_key"])


def open_(data: bytes, passphrase: Hidden[str]) -> PersonalKey:
    """Open a key file.

    Raises:
        InputRefused: not a key file of ours.
        NotIdentified: another passphrase, or the file was changed.
    """
    table = _read(data)
    clear = {name: table[name] for name in _FIELDS - {"sealed"}}
    key = _key(passphrase, bytes.fromhex(table["salt"]), table["passes"], table["memory_bytes"])
    try:
        seed = aead.open_(key, bytes.fromhex(table["nonce"]), _canonical(clear), bytes.fromhex(table["sealed"]))
    except VerificationFailed:
        raise NotIdentified("the passphrase does not open this key file") from None
    return PersonalKey(OfficerId(table["officer"]), ed25519.public(seed), Hidden(seed))


def _key(passphrase: Hidden[str], salt: bytes, passes: int, memory_bytes: int) -> bytes:
    # One passphrase typed on two keyboards may differ in its code points but not in its normal form.
    text = unicodedata.normalize("NFKC", passphrase.open()).encode("utf-8")
    return bytes(pwhash.argon2id.kdf(32, text, salt, opslimit=passes, memlimit=memory_bytes))


def _canonical(clear: dict[str, Any]) -> bytes:
    return json.dumps(clear, sort_keys=True, separators=(",", ":")).encode("ascii")


def _read(data: bytes) -> dict[str, Any]:
    refused = InputRefused("is not a personal key file", field="key file")
    if len(data) > FILE_BYTES_MAX:
        raise refused
    try:
        table = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise refused from None
    if not isinstance(table, dict) or table.keys() != _FIELDS or table["schema"] != SCHEMA:
        raise refused
    for name, size in (("public_key", 32), ("salt", 16), ("nonce", 12), ("sealed", 48)):
        if not isinstance(table[name], str) or not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", table[name]):
            raise refused
    if not isinstance(table["officer"], str) or not _OFFICER.match(table["officer"]):
        raise refused
    for name, least, most in (("passes", 1, PASSES_MAX), ("memory_bytes", 8192, MEMORY_BYTES_MAX)):
        if type(table[name]) is not int or not least <= table[name] <= most:
            raise refused
    return table
