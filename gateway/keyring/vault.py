"""A sealed stream under a passphrase: what a node's backup is written through.

    header   one line of JSON: schema, what it is of, salt and cost of the passphrase's key (Argon2id, RFC 9106)
    chunks   64 KiB of plain text each, ChaCha20-Poly1305; the last one may be shorter

The nonce of a chunk is its number; what is authenticated with it is the header's hash and whether it is the last. So
chunks cannot be changed, exchanged, left out or cut off at the end. A key serves one file: each has a salt of its own.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

from nacl import pwhash

from gateway.errors import InputRefused, VerificationFailed
from gateway.keyring.personal import MEMORY_BYTES, MEMORY_BYTES_MAX, PASSES, PASSES_MAX, PASSPHRASE_CHARACTERS_MIN
from gateway.primitives import aead
from gateway.terms.hidden import Hidden

CHUNK_BYTES: Final = 1 << 16
HEADER_BYTES_MAX: Final = 4096

_OWN: Final = frozenset({"salt", "passes", "memory_bytes"})


class Sealer:
    """A file to write to: everything is sealed on its way to `out`. `close` writes the last chunk."""

    def __init__(self, out: BinaryIO, about: Mapping[str, Any], passphrase: Hidden[str]) -> None:
        """`about` stands in clear in the header: plain values under other names than ours.

        Raises:
            InputRefused: the passphrase is too short.
        """
        if len(passphrase.open()) < PASSPHRASE_CHARACTERS_MIN:
            raise InputRefused(f"use at least {PASSPHRASE_CHARACTERS_MIN} characters", field="passphrase")
        salt = secrets.token_bytes(16)
        header = {**about, "salt": salt.hex(), "passes": PASSES, "memory_bytes": MEMORY_BYTES}
        line = json.dumps(header, sort_keys=True, separators=(",", ":")).encode("utf-8") + b"\n"
        self._out = out
        self._key = _key(passphrase, salt, PASSES, MEMORY_BYTES)
        self._head = sha256(line).digest()
        self._held = bytearray()
        self._number = 0
        out.write(line)

    def write(self, data: bytes) -> int:
        """Take bytes; whole chunks leave as soon as more is known to follow."""
        self._held += data
        while len(self._held) > CHUNK_BYTES:
            self._leave(bytes(self._held[:CHUNK_BYTES]), last=False)
            del self._held[:CHUNK_BYTES]
        return len(data)

    def close(self) -> None:
        """Write what is left as the last chunk. The file below stays open."""
        self._leave(bytes(self._held), last=True)
        self._held.clear()

    def _leave(self, chunk: bytes, *, last: bool) -> None:
        self._out.write(aead.seal(self._key, _nonce(self._number), _bound(self._head, last=last), chunk))
        self._number += 1


@dataclass(frozen=True, slots=True)
class Header:
    """The line in clear. Nothing proves it before the first chunk opens."""

    about: Mapping[str, Any]
    line: bytes


def header(source: BinaryIO) -> Header:
    """Read the line. Raises InputRefused."""
    line = source.readline(HEADER_BYTES_MAX + 1)
    refused = InputRefused("is no sealed file of ours", field="header")
    try:
        table = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise refused from None
    if not line.endswith(b"\n") or not isinstance(table, dict) or not table.keys() >= _OWN:
        raise refused
    if not isinstance(table["salt"], str) or not re.fullmatch(r"[0-9a-f]{32}", table["salt"]):
        raise refused
    for name, least, most in (("passes", 1, PASSES_MAX), ("memory_bytes", 8192, MEMORY_BYTES_MAX)):
        if type(table[name]) is not int or not least <= table[name] <= most:
            raise refused
    return Header(table, line)


class Opener:
    """A file to read from: each chunk is judged before a byte of it is given."""

    def __init__(self, source: BinaryIO, read: Header, passphrase: Hidden[str]) -> None:
        """`source` stands after the header."""
        about = read.about
        self._source = source
        self._key = _key(passphrase, bytes.fromhex(about["salt"]), about["passes"], about["memory_bytes"])
        self._head = sha256(read.line).digest()
        self._next = source.read(CHUNK_BYTES + aead.OVERHEAD_BYTES)
        self._held = b""
        self._number = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end.

        Raises:
            VerificationFailed: step `passphrase` where nothing opens, `backup` where a later chunk does not.
        """
        while len(self._held) < size and not self._ended:
            self._take()
        given, self._held = self._held[:size], self._held[size:]
        return given

    def finish(self) -> None:
        """Read to the end, so that a file that was cut off is found. Raises as `read`."""
        while not self._ended:
            self._take()

    def _take(self) -> None:
        chunk, self._next = self._next, self._source.read(CHUNK_BYTES + aead.OVERHEAD_BYTES)
        last = not self._next
        try:
            self._held += aead.open_(self._key, _nonce(self._number), _bound(self._head, last=last), chunk)
        except VerificationFailed:
            if self._number == 0:
                raise VerificationFailed("passphrase", "does not open this file, or the file was changed") from None
            raise VerificationFailed("backup", "the file was changed or cut off", position=self._number) from None
        self._number += 1
        self._ended = last


def _key(passphrase: Hidden[str], salt: bytes, passes: int, memory_bytes: int) -> bytes:
    # One passphrase typed on two keyboards may differ in its code points but not in its normal form.
    text = unicodedata.normalize("NFKC", passphrase.open()).encode("utf-8")
    return bytes(pwhash.argon2id.kdf(32, text, salt, opslimit=passes, memlimit=memory_bytes))


def _nonce(number: int) -> bytes:
    return number.to_bytes(aead.NONCE_BYTES, "big")


def _bound(head: bytes, *, last: bool) -> bytes:
    return head + (b"\x01" if last else b"\x00")
