"""Officers' own and declared relatives' match keys, as keyed hashes (docs/alerts.md).

The agency makes the hashes where it keeps its staff's files; the node holds hashes and key, and nothing in clear. They
say nothing of what was asked: a traveller is never entered here by being asked about.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.errors import Malformed
from gateway.terms.ids import OfficerId

SCHEMA: Final = "limen/declared/1"
HASH_BYTES: Final = 16
HASHES_MAX: Final = 512
"""Of one officer: some thirty persons under every spelling."""

FILE_BYTES_MAX: Final = 64 << 20
KEY_BYTES: Final = 32

FILE_NAME: Final = "declared.json"
KEY_NAME: Final = "declared.key"
"""In the folder of the register."""

_OFFICER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_HASH = re.compile(r"[0-9a-f]{32}\Z")


def keyed(key: bytes, match_key: bytes) -> bytes:
    """What stands for a match key's input."""
    return hmac.new(key, b"limen/declared/1\0" + match_key, hashlib.sha256).digest()[:HASH_BYTES]


class Declared:
    """Whose circle a match key belongs to. Without a key nobody's."""

    def __init__(self, key: bytes = b"", hashes: Mapping[OfficerId, frozenset[bytes]] | None = None) -> None:
        self._key = key
        self._of: dict[bytes, set[OfficerId]] = {}
        for officer, held in (hashes or {}).items():
            for one in held:
                self._of.setdefault(one, set()).add(officer)

    def is_own(self, officer: OfficerId, inputs: Iterable[bytes]) -> bool:
        """True where one of these is the officer's own or a declared relative's."""
        if not self._of:
            return False
        return any(officer in self._of.get(keyed(self._key, one), ()) for one in inputs)


def encode(hashes: Mapping[OfficerId, frozenset[bytes]]) -> bytes:
    """The file: canonical JSON, one member for each officer, hashes in order."""
    officers = {officer: sorted(one.hex() for one in hashes[officer]) for officer in sorted(hashes)}
    return json.dumps({"officers": officers, "schema": SCHEMA}, indent=1).encode("ascii") + b"\n"


def decode(data: bytes) -> dict[OfficerId, frozenset[bytes]]:
    """Raises Malformed."""
    if len(data) > FILE_BYTES_MAX:
        raise Malformed("declared", "too long")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed("declared", "not JSON") from None
    if not isinstance(document, dict) or set(document) != {"officers", "schema"} or document["schema"] != SCHEMA:
        raise Malformed("declared", f"not {SCHEMA}")
    officers = document["officers"]
    if not isinstance(officers, dict):
        raise Malformed("declared", "officers is no table")
    found: dict[OfficerId, frozenset[bytes]] = {}
    for officer, held in officers.items():
        if not _OFFICER.match(officer) or not isinstance(held, list) or len(held) > HASHES_MAX:
            raise Malformed("declared", "a row is not an officer's number with hashes")
        if not all(isinstance(one, str) and _HASH.match(one) for one in held):
            raise Malformed("declared", "a hash is not 32 hexadecimal digits")
        found[OfficerId(officer)] = frozenset(bytes.fromhex(one) for one in held)
    return found
