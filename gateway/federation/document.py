"""The signed list of members: who they are, where they listen, and every public key of theirs.

The document is JSON text in one canonical form (sorted keys, two spaces of indent, UTF-8, one newline at the end), so
that people can read and compare it, followed by an empty line and one line for each signature:

    — PAN 5b0e... 3f9c...

State, key id and Ed25519 signature, the last two in hexadecimal. What is signed is `DOMAIN` and the text. A document
counts when the threshold of its own members signed it and, where it changes who may sign, also the threshold of the
document before it (the root of TUF, specification section 5.3); its version only rises; it expires.

Signing keys of members (`authority`) are people's keys, kept off the nodes; everything else listed is a node's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from gateway.errors import Malformed, VerificationFailed
from gateway.federation import form
from gateway.primitives import ed25519
from gateway.terms.ids import AgencyId, PeerId
from gateway.terms.realm import SANDBOX_STATES, Realm

SCHEMA: Final = "limen/federation/1"
CARD_SCHEMA: Final = "limen/member/1"

DOMAIN: Final = b"limen/federation/1\n"
"""Stands before the text in what is signed, so that the signature is good for nothing else."""

FILE_NAME: Final = "document.note"
"""In the node's folder `federation`."""

DOCUMENT_BYTES_MAX: Final = 1 << 20
MEMBERS_MAX: Final = 200

LIFE_NS_MAX: Final = 366 * 86_400 * 10**9
"""Longest a document may last from the moment it is judged: a list nobody renews must stop being believed."""

_MARK: Final = b"\xe2\x80\x94 "
"""An em dash and a space, as in C2SP signed notes."""

_SIGNATURE = re.compile(rb"\xe2\x80\x94 ([A-Z]{3}) ([0-9a-f]{16}) ([0-9a-f]{128})\Z")
_ENDPOINT = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):([1-9][0-9]{0,4})\Z")
_AGENCY = re.compile(r"[A-Z][A-Z0-9]{1,11}\Z")
_KEY_ID = re.compile(r"[0-9a-f]{16}\Z")
_VKEY = re.compile(r"[^\s+]{1,128}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{1,88}={0,2}\Z")


class Status(StrEnum):
    """`PENDING` is listed and not yet spoken to; `SUSPENDED` is neither spoken to nor counted as a signer."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class MessageKey:
    """A member's message signing key (Ed25519, 32 bytes) and when it counts, UTC ns, both ends included."""

    key_id: str
    public: bytes = field(repr=False)
    not_before_ns: int
    not_after_ns: int


@dataclass(frozen=True, slots=True)
class Member:
    """One state. `tls_pins` are SPKI SHA-256 of its gateway's certificates, the current and perhaps the next.

    `authority` (Ed25519) signs federation documents; `case_key` (X25519) is sealed to in cases; `log_vkey` and
    `witness_vkey` are C2SP verifier keys.
    """

    state: PeerId
    status: Status
    agencies: tuple[AgencyId, ...]
    endpoints: tuple[str, ...]
    tls_pins: tuple[bytes, ...] = field(repr=False)
    anchor_pem: str = field(repr=False)
    authority: bytes = field(repr=False)
    message_keys: tuple[MessageKey, ...]
    log_vkey: str
    witness_vkey: str
    case_key: bytes = field(repr=False)
    realm: Realm = Realm.LIVE


@dataclass(frozen=True, slots=True)
class Document:
    """The list. `baseline` is the SHA-256 of the regional policy bundle all members must run (T6); `realm` is every
    member's, so that live nodes and a sandbox's are never on one list."""

    version: int
    expires_ns: int
    threshold: int
    baseline: bytes = field(repr=False)
    members: tuple[Member, ...]
    realm: Realm = Realm.LIVE

    def signers(self) -> dict[PeerId, bytes]:
        """Who may sign: members that are not suspended, with their authority keys."""
        return {member.state: member.authority for member in self.members if member.status is not Status.SUSPENDED}


@dataclass(frozen=True, slots=True)
class Signature:
    """One member's signature over `DOMAIN` and the text."""

    state: PeerId
    key_id: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """Exact text with the signatures gathered so far. `document` is what the text says."""

    text: bytes = field(repr=False)
    document: Document
    signatures: tuple[Signature, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: the name of this version in logs and when people compare."""
        return sha256(self.text).digest()


def key_id(public: bytes) -> str:
    """How a key is named wherever an id is needed: the first 8 bytes of its SHA-256, hexadecimal."""
    return sha256(public).digest()[:8].hex()


def encode(document: Document) -> bytes:
    """The canonical text."""
    return form.canonical(
        {
            "schema": SCHEMA,
            "realm": document.realm.value,
            "version": document.version,
            "expires_ns": document.expires_ns,
            "threshold": document.threshold,
            "baseline": document.baseline.hex(),
            "members": [_member_out(member) for member in document.members],
        }
    )


def decode(text: bytes) -> Document:
    """Judge a text whole.

    Raises:
        Malformed: not the canonical form, an unknown or missing field, a value of the wrong shape, two members alike.
    """
    table = form.table(form.parse(text, DOCUMENT_BYTES_MAX), "document", _DOCUMENT_FIELDS)
    if table["schema"] != SCHEMA:
        raise Malformed("schema", f"is not {SCHEMA}")
    realm = _realm(table["realm"], "realm")
    members = tuple(
        _member(value, f"members[{number}]", realm)
        for number, value in enumerate(form.items(table["members"], "members"))
    )
    document = Document(
        version=form.whole(table["version"], "version", 1),
        expires_ns=form.whole(table["expires_ns"], "expires_ns", 1),
        threshold=form.whole(table["threshold"], "threshold", 1),
        baseline=form.hexadecimal(table["baseline"], "baseline", 32),
        members=members,
        realm=realm,
    )
    _judge(document)
    if encode(document) != text:
        raise Malformed("document", "is not in canonical form")
    return document


def encode_card(member: Member) -> bytes:
    """A member's own card: what a state hands to the others so that they list it."""
    return form.canonical({"schema": CARD_SCHEMA, "realm": member.realm.value, **_member_out(member)})


def decode_card(text: bytes) -> Member:
    """Read a card. Raises Malformed."""
    table = form.table(form.parse(text, DOCUMENT_BYTES_MAX), "card", frozenset({*_MEMBER_FIELDS, "schema", "realm"}))
    if table.pop("schema") != CARD_SCHEMA:
        raise Malformed("schema", f"is not {CARD_SCHEMA}")
    member = _member(table, "card", _realm(table.pop("realm"), "realm"))
    if encode_card(member) != text:
        raise Malformed("card", "is not in canonical form")
    return member


def signing_input(text: bytes) -> bytes:
    """What a member signs."""
    return DOMAIN + text


def sign(signed: SignedDocument, state: PeerId, seed: bytes) -> SignedDocument:
    """Add (or renew) the signature of one state; `seed` is its 32-byte Ed25519 authority seed.

    A state that is leaving may still sign as a member of the old list; the verifier decides what counts.
    """
    public = ed25519.public(seed)
    made = Signature(state, key_id(public), ed25519.sign(seed, signing_input(signed.text)))
    others = [found for found in signed.signatures if (found.state, found.key_id) != (made.state, made.key_id)]
    return SignedDocument(
        signed.text, signed.document, tuple(sorted([*others, made], key=lambda found: (found.state, found.key_id)))
    )


def unsigned(document: Document) -> SignedDocument:
    """A document nobody has signed yet. Raises Malformed when it could not be read back."""
    _judge(document)
    text = encode(document)
    return SignedDocument(text, decode(text), ())


def render(signed: SignedDocument) -> bytes:
    """The file: text, empty line, signature lines."""
    lines = [
        _MARK + f"{found.state} {found.key_id} {found.value.hex()}\n".encode("ascii") for found in signed.signatures
    ]
    return signed.text + b"\n" + b"".join(lines)


def parse(data: bytes) -> SignedDocument:
    """Read a file. No signature is verified yet.

    Raises:
        Malformed: too large, no empty line, or a line that is no signature, or the same signer's line twice.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise Malformed("document", f"has more than {DOCUMENT_BYTES_MAX} bytes")
    # Canonical JSON text holds no empty line, so the first one ends it.
    text, gap, rest = data.partition(b"\n\n")
    if not gap:
        raise Malformed("document", "has no empty line between text and signatures")
    signatures: list[Signature] = []
    lines = rest.split(b"\n")
    if lines.pop() != b"":
        raise Malformed("signatures", "do not end with a newline")
    for number, line in enumerate(lines):
        found = _SIGNATURE.match(line)
        if found is None:
            raise Malformed(f"signatures[{number}]", "is not a signature line")
        state, name, value = (part.decode("ascii") for part in found.groups())
        signatures.append(Signature(PeerId(state), name, bytes.fromhex(value)))
    if len({(found.state, found.key_id) for found in signatures}) != len(signatures):
        raise Malformed("signatures", "name one key twice")
    return SignedDocument(text + b"\n", decode(text + b"\n"), tuple(signatures))


def verify(signed: SignedDocument, previous: Document | None, now_ns: int) -> Document:
    """Decide whether the document may replace `previous` (None: the first one, compared by people).

    Raises:
        VerificationFailed: with the step, in this order: `realm`, `expiry`, `version`, `quorum`, `old_quorum`.
    """
    document = signed.document
    # 0. A list of one realm never follows one of the other.
    if previous is not None:
        require_realm(document.realm, previous.realm)
    # 1. A list that nobody renews is not believed, nor one that could never be taken back.
    if document.expires_ns <= now_ns:
        raise VerificationFailed("expiry", "the federation document has expired")
    if document.expires_ns - now_ns > LIFE_NS_MAX:
        raise VerificationFailed("expiry", "the federation document would last more than 366 days")
    # 2. Versions only rise.
    if previous is not None and document.version <= previous.version:
        raise VerificationFailed(
            "version", f"the federation document is version {document.version}, and {previous.version} is in force"
        )
    # 3. The threshold of its own members.
    _count(signed, document, "quorum")
    # 4. Where it changes who may sign, the threshold of those who could before.
    if previous is not None and (previous.signers(), previous.threshold) != (document.signers(), document.threshold):
        _count(signed, previous, "old_quorum")
    return document


def require_realm(offered: Realm, ours: Realm) -> None:
    """Refuse what is the other realm's. Raises VerificationFailed, step `realm`."""
    if offered is not ours:
        raise VerificationFailed(
            "realm", f"this is of the {offered.value} realm and this node is {ours.value}: the two never meet"
        )


def signed_by(signed: SignedDocument, document: Document) -> tuple[PeerId, ...]:
    """The states among `document`'s signers whose signature on `signed` holds, sorted."""
    data = signing_input(signed.text)
    holds: set[PeerId] = set()
    for found in signed.signatures:
        public = document.signers().get(found.state)
        if public is None or key_id(public) != found.key_id:
            continue
        try:
            ed25519.verify(public, data, found.value)
        except VerificationFailed:
            continue
        holds.add(found.state)
    return tuple(sorted(holds))


def _count(signed: SignedDocument, document: Document, step: str) -> None:
    have = signed_by(signed, document)
    if len(have) < document.threshold:
        names = ", ".join(have) or "none"
        of_whom = "members" if step == "quorum" else "members of the version in force"
        raise VerificationFailed(step, f"signed by {len(have)} of {document.threshold} {of_whom} ({names})")


def _judge(document: Document) -> None:
    """What no field shows alone."""
    members = document.members
    if not 1 <= len(members) <= MEMBERS_MAX:
        raise Malformed("members", f"are not 1 to {MEMBERS_MAX}")
    states = [member.state for member in members]
    if states != sorted(set(states)):
        raise Malformed("members", "are not sorted by state, each once")
    if any(member.realm is not document.realm for member in members):
        raise Malformed("members", "are of two realms: live nodes and a sandbox's are never on one list")
    if document.realm is Realm.LIVE and not SANDBOX_STATES.isdisjoint(states):
        raise Malformed("members", "name a state of a sandbox; a list of live members never does")
    signers = len(document.signers())
    # A threshold of at most half would let two groups sign two different lists of one version.
    if not signers // 2 < document.threshold <= signers:
        raise Malformed("threshold", f"is not more than half of the {signers} members that may sign")
    for what, of in _UNIQUE.items():
        values = [value for member in members for value in of(member)]
        if len(set(values)) != len(values):
            raise Malformed("members", f"{what} is listed twice")


_UNIQUE: Final[Mapping[str, Callable[[Member], Iterable[object]]]] = {
    "an endpoint": lambda member: member.endpoints,
    "a TLS pin": lambda member: member.tls_pins,
    "an authority key": lambda member: (member.authority,),
    "a message key": lambda member: (key.public for key in member.message_keys),
    "a log key": lambda member: (member.log_vkey,),
    "a witness key": lambda member: (member.witness_vkey,),
    "a case key": lambda member: (member.case_key,),
}
"""What must differ between members: one that lists another's key would speak in its name."""

_DOCUMENT_FIELDS: Final = frozenset({"schema", "realm", "version", "expires_ns", "threshold", "baseline", "members"})
_MEMBER_FIELDS: Final = frozenset(
    {
        "state",
        "status",
        "agencies",
        "endpoints",
        "tls_pins",
        "anchor_pem",
        "authority",
        "message_keys",
        "log_vkey",
        "witness_vkey",
        "case_key",
    }
)
_KEY_FIELDS: Final = frozenset({"id", "ed25519", "not_before_ns", "not_after_ns"})


def _member_out(member: Member) -> dict[str, Any]:
    return {
        "state": member.state,
        "status": member.status.value,
        "agencies": list(member.agencies),
        "endpoints": list(member.endpoints),
        "tls_pins": [pin.hex() for pin in member.tls_pins],
        "anchor_pem": member.anchor_pem.splitlines(),
        "authority": member.authority.hex(),
        "message_keys": [
            {
                "id": key.key_id,
                "ed25519": key.public.hex(),
                "not_before_ns": key.not_before_ns,
                "not_after_ns": key.not_after_ns,
            }
            for key in member.message_keys
        ],
        "log_vkey": member.log_vkey,
        "witness_vkey": member.witness_vkey,
        "case_key": member.case_key.hex(),
    }


def _realm(value: object, at: str) -> Realm:
    return Realm(form.text(value, at, re.compile(r"live\Z|sandbox\Z")))


def _member(value: object, at: str, realm: Realm) -> Member:
    table = form.table(value, at, _MEMBER_FIELDS)
    state = form.text(table["state"], f"{at}.state", re.compile(r"[A-Z]{3}\Z"))
    status = form.text(table["status"], f"{at}.status", re.compile(r"active\Z|suspended\Z|pending\Z"))
    lines = [
        form.text(line, f"{at}.anchor_pem", re.compile(r"[\x20-\x7e]{1,80}\Z"))
        for line in form.some(table, at, "anchor_pem", 200)
    ]
    endpoints = tuple(_endpoint(item, f"{at}.endpoints") for item in form.some(table, at, "endpoints", 8))
    return Member(
        state=PeerId(state),
        status=Status(status),
        agencies=tuple(
            AgencyId(form.text(item, f"{at}.agencies", _AGENCY)) for item in form.some(table, at, "agencies", 100)
        ),
        endpoints=endpoints,
        tls_pins=tuple(form.hexadecimal(item, f"{at}.tls_pins", 32) for item in form.some(table, at, "tls_pins", 2)),
        anchor_pem="".join(f"{line}\n" for line in lines),
        authority=form.hexadecimal(table["authority"], f"{at}.authority", 32),
        message_keys=tuple(
            _message_key(item, f"{at}.message_keys[{number}]")
            for number, item in enumerate(form.some(table, at, "message_keys", 4))
        ),
        log_vkey=form.text(table["log_vkey"], f"{at}.log_vkey", _VKEY),
        witness_vkey=form.text(table["witness_vkey"], f"{at}.witness_vkey", _VKEY),
        case_key=form.hexadecimal(table["case_key"], f"{at}.case_key", 32),
        realm=realm,
    )


def _message_key(value: object, at: str) -> MessageKey:
    table = form.table(value, at, _KEY_FIELDS)
    public = form.hexadecimal(table["ed25519"], f"{at}.ed25519", 32)
    if form.text(table["id"], f"{at}.id", _KEY_ID) != key_id(public):
        raise Malformed(f"{at}.id", "is not the key's own")
    first = form.whole(table["not_before_ns"], f"{at}.not_before_ns", 0)
    last = form.whole(table["not_after_ns"], f"{at}.not_after_ns", first + 1)
    return MessageKey(key_id(public), public, first, last)


def _endpoint(value: object, at: str) -> str:
    text = form.text(value, at, _ENDPOINT)
    if int(text.rpartition(":")[2]) > 65535:
        raise Malformed(at, "has a port above 65535")
    return text
