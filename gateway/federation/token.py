"""Officers' tokens: RFC 9068 access tokens in the narrowest form, behind a strict reader.

A token says which officer of which agency logged in, in which roles, and which client certificate may use it
(RFC 8705 section 3.1). It lives ten minutes at most, is signed by the node's token key and is read by the same node
only: what goes abroad is the gateway's own signature, never a token.

PyJWT verifies the signature and the claims it knows. What it lets pass was measured (any `typ`, a key named twice, an
`exp` that is text, a list as `aud`, a megabyte) and is refused here before or after it. It reads the system's clock, so
times are judged here by the caller's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import Malformed, NotIdentified
from gateway.federation.claims import (
    ALGORITHM,
    LIFE_S_MAX,
    NAMES,
    TYPE,
    audience,
    base64url,
    bytes_of,
    claims,
    compact,
    issuer,
    judge,
    signing_input,
)
from gateway.primitives import strict_json
from gateway.terms.ids import AgencyId, OfficerId, PeerId
from gateway.terms.words import Role

TOKEN_BYTES_MAX: Final = 8192

SKEW_S: Final = 5
"""How far ahead of the reader's clock a token may say it was made: two processes of one node, one clock."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_KEY_ID = re.compile(r"[0-9a-f]{16}\Z")
_HEADER = frozenset({"alg", "typ", "kid"})


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token's words. `certificate` is the SHA-256 of the client certificate's DER (x5t#S256)."""

    officer: OfficerId
    agency: AgencyId
    roles: tuple[Role, ...]
    issued_s: int
    expires_s: int
    token_id: str
    certificate: bytes = field(repr=False)


def verify(text: str, *, keys: Mapping[str, bytes], state: PeerId, now_ns: int, certificate: bytes) -> Token:
    """Read a token that came over a connection whose client certificate has this SHA-256.

    `keys` are the node's token keys in force (Ed25519, 32 bytes) by key id: one algorithm, one key for each id.

    Raises:
        NotIdentified: for any reason; the private text says which.
    """
    # What is true of these bytes under these keys stays true. A token serves every check of ten minutes, and reading it
    # strictly costs as much as a policy decision; times and hands are judged each time.
    place = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), state, tuple(sorted(keys.items())))
    found = _READ.get(place)
    if found is None:
        found = _read(text, keys, state)
        if len(_READ) >= _READ_MAX:
            _READ.clear()
        _READ[place] = found
    # 6. Now.
    now_s = now_ns // 10**9
    if found["iat"] > now_s + SKEW_S:
        raise NotIdentified("token: made in the future")
    if found["exp"] <= now_s:
        raise NotIdentified("token: has expired")
    # 7. In these hands.
    if found["cnf"]["x5t#S256"] != base64url(certificate):
        raise NotIdentified("token: bound to another client certificate")
    return Token(
        officer=OfficerId(found["sub"]),
        agency=AgencyId(found["agency"]),
        roles=tuple(Role(role) for role in found["roles"]),
        issued_s=found["iat"],
        expires_s=found["exp"],
        token_id=found["jti"],
        certificate=certificate,
    )


_READ_MAX: Final = 256
_READ: Final[dict[tuple[bytes, PeerId, tuple[tuple[str, bytes], ...]], dict[str, Any]]] = {}
"""Claims of tokens that passed steps 1 to 5, by the token's hash and what it was judged by; never the token itself."""


def _read(text: str, keys: Mapping[str, bytes], state: PeerId) -> dict[str, Any]:
    """Steps 1 to 5: what holds whatever the time and whoever brings the token."""
    # 1. Bounded and of the one shape before anything parses it.
    if len(text) > TOKEN_BYTES_MAX or not _SHAPE.match(text):
        raise NotIdentified("token: too long, or not three parts of base64url")
    header_part, claims_part, signature_part = text.split(".")
    _bytes_of(signature_part)
    # 2. A header of exactly three words; the key is ours by id, never the token's own.
    header = _object_of(header_part)
    if header.keys() != _HEADER:
        raise NotIdentified("token: header has missing or unknown fields")
    if header["typ"] != TYPE or header["alg"] != ALGORITHM:
        raise NotIdentified("token: typ or alg is not an officer's token's")
    key_id = header["kid"]
    if not isinstance(key_id, str) or not _KEY_ID.match(key_id) or key_id not in keys:
        raise NotIdentified("token: not signed by a token key in force")
    # 3. Claims with each key once, before PyJWT would take the last of two.
    _object_of(claims_part)
    # 4. Signature, issuer, audience.
    try:
        found: dict[str, Any] = jwt.decode(
            text,
            _public(keys[key_id]),
            algorithms=[ALGORITHM],
            audience=audience(state),
            issuer=issuer(state),
            options={
                "require": sorted(NAMES),
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "strict_aud": True,
            },
        )
    except jwt.PyJWTError as cause:
        raise NotIdentified(f"token: {type(cause).__name__}") from None
    # 5. The shape of every claim.
    try:
        judge(found)
    except Malformed as cause:
        raise NotIdentified(str(cause)) from None
    return found


@lru_cache(maxsize=8)
def _public(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


def _bytes_of(part: str) -> bytes:
    try:
        return bytes_of(part)
    except Malformed as cause:
        raise NotIdentified(str(cause)) from None


def _object_of(part: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(_bytes_of(part).decode("utf-8"))
    except ValueError:
        raise NotIdentified("token: not JSON with each key once") from None
    if not isinstance(value, dict):
        raise NotIdentified("token: not a JSON object")
    return value


__all__ = [
    "LIFE_S_MAX",
    "SKEW_S",
    "TOKEN_BYTES_MAX",
    "Token",
    "audience",
    "claims",
    "compact",
    "issuer",
    "signing_input",
    "verify",
]
