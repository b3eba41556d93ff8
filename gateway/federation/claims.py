"""What an officer's token says, and how one is made (RFC 9068, RFC 7515, RFC 8705). The reader is `federation.token`.

Here is what the key process needs: it signs these claims and no others, and loads no reader for it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.errors import Malformed
from gateway.terms.ids import AgencyId, OfficerId, PeerId
from gateway.terms.words import Role

TYPE: Final = "at+jwt"
ALGORITHM: Final = "EdDSA"

LIFE_S_MAX: Final = 600

TOKEN_ID_BYTES: Final = 16

NAMES: Final = frozenset({"iss", "sub", "aud", "iat", "exp", "jti", "cnf", "agency", "roles"})
"""Every claim there is; all are required."""

_OFFICER = re.compile(r"[\x21-\x7e]{1,64}\Z")
_AGENCY = re.compile(r"[A-Z][A-Z0-9]{1,11}\Z")
_TOKEN_ID = re.compile(r"[0-9a-f]{32}\Z")
_ROLES = frozenset(role.value for role in Role)


def issuer(state: PeerId) -> str:
    """`iss` of the state's tokens."""
    return f"limen://{state}"


def audience(state: PeerId) -> str:
    """`aud`: the home listener of the same state."""
    return f"limen://{state}/home"


def claims(
    *,
    state: PeerId,
    officer: OfficerId,
    agency: AgencyId,
    roles: Sequence[Role],
    now_ns: int,
    certificate: bytes,
    token_id: bytes,
    life_s: int = LIFE_S_MAX,
) -> dict[str, Any]:
    """The claims of a new token. `token_id` are 16 fresh random bytes."""
    now_s = now_ns // 10**9
    return {
        "iss": issuer(state),
        "sub": officer,
        "aud": audience(state),
        "iat": now_s,
        "exp": now_s + life_s,
        "jti": token_id.hex(),
        "cnf": {"x5t#S256": base64url(certificate)},
        "agency": agency,
        "roles": [role.value for role in roles],
    }


def signing_input(claims: Mapping[str, Any], key_id: str) -> bytes:
    """What the token key signs (RFC 7515 section 5.1).

    Raises:
        Malformed: the claims are not a token's; the key process signs nothing else.
    """
    judge(claims)
    header = {"alg": ALGORITHM, "kid": key_id, "typ": TYPE}
    return f"{_part(header)}.{_part(claims)}".encode("ascii")


def compact(signing_input: bytes, signature: bytes) -> str:
    """The token as it travels."""
    return f"{signing_input.decode('ascii')}.{base64url(signature)}"


def judge(claims: Mapping[str, Any]) -> None:
    """Exactly a token's claims, each of its type, for ten minutes at most. Raises Malformed."""
    if claims.keys() != NAMES:
        raise Malformed("token", "has missing or unknown claims")
    for name, shape in (("sub", _OFFICER), ("agency", _AGENCY), ("jti", _TOKEN_ID)):
        if not isinstance(claims[name], str) or not shape.match(claims[name]):
            raise Malformed(f"token.{name}", "has the wrong form")
    for name in ("iss", "aud"):
        if not isinstance(claims[name], str):
            raise Malformed(f"token.{name}", "is not one text")
    made, ends = claims["iat"], claims["exp"]
    if type(made) is not int or type(ends) is not int or made < 0:
        raise Malformed("token.exp", "iat and exp are not whole seconds")
    if not 0 < ends - made <= LIFE_S_MAX:
        raise Malformed("token.exp", f"does not live 1 to {LIFE_S_MAX} seconds")
    bound = claims["cnf"]
    if not isinstance(bound, Mapping) or bound.keys() != {"x5t#S256"} or not isinstance(bound["x5t#S256"], str):
        raise Malformed("token.cnf", "is not bound to one certificate")
    if len(bytes_of(bound["x5t#S256"])) != 32:
        raise Malformed("token.cnf", "is not a SHA-256")
    roles = claims["roles"]
    if not isinstance(roles, list) or not roles or len(set(map(str, roles))) != len(roles):
        raise Malformed("token.roles", "are not distinct roles, at least one")
    if not all(isinstance(role, str) and role in _ROLES for role in roles):
        raise Malformed("token.roles", "name an unknown role")


def _part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii"))


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def bytes_of(text: str) -> bytes:
    """Base64url read strictly, the unused bits zero, so that one token has one spelling. Raises Malformed."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("token", "is not base64url") from None
    if base64url(data) != text:
        raise Malformed("token", "is not canonical base64url")
    return data
