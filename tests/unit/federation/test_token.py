"""Hostile tokens: each thing PyJWT alone lets pass is refused, and so is everything it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed, NotIdentified
from gateway.federation import token
from gateway.federation.document import key_id
from gateway.primitives import ed25519
from gateway.terms.ids import AgencyId, OfficerId, PeerId
from gateway.terms.words import Role

PAN = PeerId("PAN")
NOW_S = 1_770_000_000
SEED = bytes(range(32))
PUBLIC = ed25519.public(SEED)
KEYS = {key_id(PUBLIC): PUBLIC}
CERTIFICATE = b"c" * 32
CLAIMS = token.claims(
    state=PAN,
    officer=OfficerId("4711"),
    agency=AgencyId("SNM"),
    roles=(Role.BORDER_FRONTLINE, Role.LIST_OFFICER),
    now_ns=NOW_S * 10**9,
    certificate=CERTIFICATE,
    token_id=b"j" * 16,
)
HEADER = {"alg": "EdDSA", "kid": key_id(PUBLIC), "typ": "at+jwt"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make(header: str | dict[str, Any] = HEADER, claims: str | dict[str, Any] = CLAIMS, seed: bytes = SEED) -> str:
    """A token with a good signature over whatever it is told to hold."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    signed = ".".join(b64(part.encode()) for part in parts)
    return f"{signed}.{b64(ed25519.sign(seed, signed.encode()))}"


def read(
    text: str, *, now_s: int = NOW_S, certificate: bytes = CERTIFICATE, keys: dict[str, bytes] = KEYS
) -> token.Token:
    return token.verify(text, keys=keys, state=PAN, now_ns=now_s * 10**9, certificate=certificate)


def issue() -> str:
    data = token.signing_input(CLAIMS, key_id(PUBLIC))
    return token.compact(data, ed25519.sign(SEED, data))


def test_what_the_key_process_signs_is_read() -> None:
    found = read(issue())
    assert (found.officer, found.agency, found.roles) == ("4711", "SNM", (Role.BORDER_FRONTLINE, Role.LIST_OFFICER))
    assert (found.issued_s, found.expires_s) == (NOW_S, NOW_S + 600)
    assert found == read(make())


@pytest.mark.parametrize("typ", ["JWT", "AT+JWT", "application/at+jwt", "dpop+jwt", "", None, 7])
def test_only_its_own_type_is_read(typ: object) -> None:
    with pytest.raises(NotIdentified):
        read(make(header={**HEADER, "typ": typ}))


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(PUBLIC)}},
        {"jku": "https://example.org/keys"},
        {"x5c": []},
        {"crit": ["b64"], "b64": False},
        {"cty": "JWT"},
    ],
)
def test_a_header_that_brings_more_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(NotIdentified, match="header"):
        read(make(header={**HEADER, **more}))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "ES256", "RS256", "Ed25519", "", None])
def test_only_its_own_algorithm_is_read(algorithm: object) -> None:
    with pytest.raises(NotIdentified):
        read(make(header={**HEADER, "alg": algorithm}))


def test_a_key_that_stands_twice_is_refused_in_header_and_claims() -> None:
    twice = json.dumps(HEADER)[:-1] + ', "kid": "' + key_id(PUBLIC) + '"}'
    with pytest.raises(NotIdentified, match="each key once"):
        read(make(header=twice))
    again = json.dumps(CLAIMS)[:-1] + ', "sub": "1"}'
    with pytest.raises(NotIdentified, match="each key once"):
        read(make(claims=again))
    nested = json.dumps({**CLAIMS, "cnf": "@"}).replace(
        '"@"', f'{{"x5t#S256": "{b64(bytes(32))}", "x5t#S256": "{b64(CERTIFICATE)}"}}'
    )
    with pytest.raises(NotIdentified, match="each key once"):
        read(make(claims=nested))


@pytest.mark.parametrize(
    "change",
    [
        {"exp": str(NOW_S + 60)},
        {"exp": float(NOW_S + 60)},
        {"iat": float(NOW_S)},
        {"iat": True},
        {"iat": -1, "exp": 5},
        {"exp": NOW_S + 601},
        {"exp": 253_402_300_799},
        {"exp": NOW_S},
        {"exp": NOW_S - 1, "iat": NOW_S - 60},
        {"iat": NOW_S + 60, "exp": NOW_S + 120},
        {"aud": ["limen://PAN/home"]},
        {"aud": ["limen://PAN/home", "limen://HND/home"]},
        {"aud": "limen://HND/home"},
        {"aud": "limen://PAN"},
        {"iss": "limen://HND"},
        {"iss": "limen://PA"},
        {"iss": ["limen://PAN"]},
        {"sub": 4711},
        {"sub": ""},
        {"sub": "x" * 65},
        {"jti": 7},
        {"jti": "0" * 31},
        {"jti": "0" * 4000},
        {"cnf": {}},
        {"cnf": {"x5t#S256": b64(bytes(31))}},
        {"cnf": {"x5t#S256": b64(bytes(32))}},
        {"cnf": {"x5t#S256": b64(CERTIFICATE), "jkt": "x"}},
        {"cnf": b64(CERTIFICATE)},
        {"cnf": None},
        {"agency": "snm"},
        {"roles": []},
        {"roles": "supervisor"},
        {"roles": ["supervisor", "supervisor"]},
        {"roles": ["king"]},
        {"roles": [["supervisor"]]},
        {"nbf": NOW_S},
        {"scope": "all"},
    ],
    ids=str,
)
def test_a_claim_of_another_form_or_value_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NotIdentified):
        read(make(claims={**CLAIMS, **change}))


@pytest.mark.parametrize("missing", sorted(CLAIMS))
def test_every_claim_is_required(missing: str) -> None:
    with pytest.raises(NotIdentified):
        read(make(claims={name: value for name, value in CLAIMS.items() if name != missing}))


def test_a_token_ends_and_does_not_begin_early() -> None:
    assert read(make(), now_s=NOW_S + 599).expires_s == NOW_S + 600
    assert read(make(), now_s=NOW_S - token.SKEW_S).issued_s == NOW_S
    for now_s in (NOW_S + 600, NOW_S - token.SKEW_S - 1):
        with pytest.raises(NotIdentified):
            read(make(), now_s=now_s)


def test_a_token_in_other_hands_is_refused() -> None:
    with pytest.raises(NotIdentified, match="another client certificate"):
        read(make(), certificate=b"d" * 32)


def test_a_token_of_another_key_is_refused_whatever_it_calls_it() -> None:
    other = bytes(32)
    with pytest.raises(NotIdentified, match="InvalidSignatureError"):
        read(make(seed=other))
    name = key_id(ed25519.public(other))
    with pytest.raises(NotIdentified, match="key in force"):
        read(make(header={**HEADER, "kid": name}, seed=other))
    for odd in (7, None, "../keys", ""):
        with pytest.raises(NotIdentified):
            read(make(header={**HEADER, "kid": odd}))


def test_a_token_that_was_read_before_is_judged_again() -> None:
    text = make()
    assert read(text) == read(text)
    with pytest.raises(NotIdentified, match="has expired"):
        read(text, now_s=NOW_S + 600)
    with pytest.raises(NotIdentified, match="another client certificate"):
        read(text, certificate=b"d" * 32)
    with pytest.raises(NotIdentified, match="key in force"):
        read(text, keys={})
    with pytest.raises(NotIdentified, match="InvalidSignatureError"):
        read(text, keys={key_id(PUBLIC): ed25519.public(bytes(32))})
    with pytest.raises(NotIdentified):
        token.verify(text, keys=KEYS, state=PeerId("HND"), now_ns=NOW_S * 10**9, certificate=CERTIFICATE)
    assert read(text).officer == "4711"


def test_a_long_token_is_refused_before_it_is_parsed() -> None:
    text = make(claims={**CLAIMS, "sub": "x" * (1 << 20)})
    with pytest.raises(NotIdentified, match="too long"):
        read(text)


@pytest.mark.parametrize(
    "bend",
    [
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace(".", "..", 1),
        lambda text: text.rpartition(".")[0] + ".",
        lambda text: text.rpartition(".")[0],
        lambda text: text + ".x",
        lambda text: text.replace("-", "+"),
        lambda text: "Bearer " + text,
        lambda text: text[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[text[-1]],
    ],
)
def test_another_spelling_of_a_good_token_is_refused(bend: Callable[[str], str]) -> None:
    text = next(
        made
        for made in (make(claims={**CLAIMS, "jti": f"{n:032x}"}) for n in range(500))
        if "-" in made.rpartition(".")[2]
    )
    read(text)
    with pytest.raises(NotIdentified):
        read(bend(text))


@pytest.mark.parametrize("claims", ["[]", "7", '{"exp": NaN}', '{"exp": Infinity}', "{" * 3000, "1" * 5000, "\x00"])
def test_claims_that_are_no_object_are_refused(claims: str) -> None:
    with pytest.raises(NotIdentified):
        read(make(claims=claims))


@given(
    st.text(max_size=80)
    | st.tuples(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=70)).map(
        lambda parts: ".".join(map(b64, parts))
    )
)
def test_any_text_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(NotIdentified):
        read(text)


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=127))
def test_a_changed_character_spoils_a_token(position: int, character: int) -> None:
    text = issue()
    position %= len(text)
    changed = text[:position] + chr(character) + text[position + 1 :]
    if changed != text:
        with pytest.raises(NotIdentified):
            read(changed)


def test_the_key_process_signs_nothing_but_a_tokens_claims() -> None:
    for change in ({"exp": NOW_S + 3600}, {"roles": ["king"]}, {"admin": True}):
        with pytest.raises(Malformed):
            token.signing_input({**CLAIMS, **change}, key_id(PUBLIC))
