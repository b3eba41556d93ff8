"""What persons sign: one act, named in full, good for nothing else (T7; docs/protocol/envelope.md, persons).

A statement is canonical CBOR: the act's name and version, the signer's key thumbprint and role, the time, and every
fact the act rests on. The verifier builds the facts itself and compares, so a signature cannot be carried to another
file, list, challenge or bundle. The signature is Ed25519 over `DOMAIN` and the statement's bytes, by a key that no
gateway holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256, sha512
from typing import Any, Final

from gateway.errors import Malformed, NotIdentified, VerificationFailed
from gateway.federation.officers import Enrolled, Register
from gateway.primitives import cbor, ed25519
from gateway.terms.ids import OfficerId, PeerId
from gateway.terms.words import ListId, Role

DOMAIN: Final = b"limen/personal/1\x00"

LISTING: Final = "limen/listing/1"
ACTIVATION: Final = "limen/activation/1"
LOGIN: Final = "limen/login/1"
QUESTION: Final = "limen/question/1"
REVEAL: Final = "limen/reveal/1"
DATASET: Final = "limen/dataset/1"
RECOVERY: Final = "limen/recovery/1"

ROTATION: Final = "limen/rotation/1"

IMPACT: Final = "limen/impact/1"

PROTECTION_ACTS: Final[Mapping[str, str]] = {act: f"limen/protection/{act}/1" for act in ("set", "clear", "show")}
"""What a person signs about a record's protection tags, by the act's word."""

RETENTION_ACTS: Final[Mapping[str, str]] = {act: f"limen/retention/{act}/1" for act in ("hold", "lift", "erase")}
"""What a person signs about payloads of the log, by the act's word."""

CASE_ACTS: Final[Mapping[str, str]] = {
    act: f"limen/case/{act}/1"
    for act in ("confirm", "dismiss", "request", "prepare", "approve", "refuse", "outcome", "withdraw", "screen")
}
"""What a person signs in a case, by the act's word."""

STATEMENT_BYTES_MAX: Final = 4096

AGE_NS_MAX: Final = 7 * 86_400 * 10**9
"""How long a personal signature waits for the second person's and the act itself."""

SKEW_NS: Final = 300 * 10**9
"""How far ahead a workstation's clock may be."""

_COMMON: Final = frozenset({"act", "key", "role", "signed_ns"})


@dataclass(frozen=True, slots=True)
class PersonalSignature:
    """One person's signature, as it travels and is kept. Nothing in it counts before `verify`."""

    key_thumbprint: bytes = field(repr=False)
    role: Role
    signed_ns: int
    statement: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The file form: canonical CBOR of statement and signature; the rest stands in the statement."""
        return cbor.encode({"statement": self.statement, "signature": self.signature})

    @classmethod
    def decode(cls, data: bytes) -> PersonalSignature:
        """Read the file form. Raises Malformed."""
        table = cbor.decode(data)
        if not isinstance(table, dict) or table.keys() != {"statement", "signature"}:
            raise Malformed("signature", "is not a personal signature")
        if not isinstance(table["statement"], bytes) or not isinstance(table["signature"], bytes):
            raise Malformed("signature", "is not a personal signature")
        said = _read(table["statement"])
        return cls(said["key"], Role(said["role"]), said["signed_ns"], table["statement"], table["signature"])


def listing(
    *,
    state: PeerId,
    list_id: ListId,
    mode: str,
    file_hash: bytes,
    originator: str,
    provenance: Sequence[str],
    decision: str,
    legal_basis: str,
) -> dict[str, Any]:
    """The facts of entering a file into a list. `file_hash` is the SHA-512 of its bytes; the four words after it are
    those given for rows that lack their own, empty where the file has them all."""
    return {
        "state": state,
        "list": list_id.value,
        "mode": mode,
        "file_hash": file_hash,
        "originator": originator,
        "provenance": list(provenance),
        "decision": decision,
        "legal_basis": legal_basis,
    }


def dataset(
    *,
    state: PeerId,
    name: str,
    declaration: bytes,
    columns: bytes,
    file_hash: bytes,
    decision: str,
    legal_basis: str,
) -> dict[str, Any]:
    """The facts of loading events for statistics: the data set's name, the SHA-256 of its declaration, the SHA-256 of
    the column map and the SHA-512 of the events, each over the exact bytes."""
    return {
        "state": state,
        "name": name,
        "declaration": declaration,
        "map": columns,
        "file_hash": file_hash,
        "decision": decision,
        "legal_basis": legal_basis,
    }


def impact(
    *, state: PeerId, list_id: ListId, file_hash: bytes, traffic_hash: bytes, case: str, legal_basis: str
) -> dict[str, Any]:
    """The facts of asking what a file's entries would have found among past travellers (T9): the SHA-512 of the file
    and of the travellers', and the case it is asked for."""
    return {
        "state": state,
        "list": list_id.value,
        "file_hash": file_hash,
        "traffic_hash": traffic_hash,
        "case": case,
        "legal_basis": legal_basis,
    }


def protection(
    *,
    state: PeerId,
    list_id: ListId,
    entry_id: str,
    lines: int,
    tag: str = "",
    source: str = "",
    decision: str = "",
    legal_basis: str = "",
) -> dict[str, Any]:
    """The facts of an act upon a record's protection tags (T10). `lines` is how many the history has before the act:
    it only grows, so that a signature serves once. What an act does not rest on is empty."""
    return {
        "state": state,
        "list": list_id.value,
        "entry_id": entry_id,
        "lines": lines,
        "tag": tag,
        "source": source,
        "decision": decision,
        "legal_basis": legal_basis,
    }


def retention(*, state: PeerId, authority: str, decision: str, **about: str | int | bytes) -> dict[str, Any]:
    """The facts of a hold (`hold_id`, `first`, `last`, `review_ns`), of lifting it (`hold_id`), or of an erasure before
    the term (`class`, `first`, `last`, `ground`): for which authority and by which decision. All of it stands in the
    log for ever, so neither names a person."""
    return {"state": state, "authority": authority, "decision": decision, **about}


def recovery(
    *, state: PeerId, former: str, size: int, root: bytes, held: int, origin: str, reason: str, decision: str
) -> dict[str, Any]:
    """The facts of beginning a new log: the `former` one's origin, the head that was signed for last (`size` 0 and no
    root where nothing says it), how many entries are still `held`, the new `origin`, why, and the act's reference."""
    return {
        "state": state,
        "former": former,
        "size": size,
        "root": root,
        "held": held,
        "origin": origin,
        "reason": reason,
        "decision": decision,
    }


def question(
    *,
    state: PeerId,
    purpose: str,
    legal_basis: str,
    case_ref: str,
    asylum: str,
    best_interest: str,
    about: bytes,
) -> dict[str, Any]:
    """The facts of a question that two persons answer for: under which purpose, basis and case, what is known of
    an asylum claim, the reference of a decision in a child's best interest, and the SHA-512 of whom it is about
    (`flows.check.about`)."""
    return {
        "state": state,
        "purpose": purpose,
        "legal_basis": legal_basis,
        "case": case_ref,
        "asylum": asylum,
        "best_interest": best_interest,
        "about": about,
    }


def reveal(*, state: PeerId, entry: int, leaf: bytes, purpose: str) -> dict[str, Any]:
    """The facts of opening what is sealed of one entry of the log: its number, its leaf's SHA-256, and what for."""
    return {"state": state, "entry": entry, "leaf": leaf, "purpose": purpose}


def activation(*, state: PeerId, layer: str, digest: bytes, sequence: int, impact: bytes) -> dict[str, Any]:
    """The facts of putting a policy bundle in force: which layer, the SHA-256 of the bundle, its number, and the
    SHA-256 of the report of what changes by it."""
    return {"state": state, "layer": layer, "digest": digest, "sequence": sequence, "impact": impact}


def case(
    *,
    case_id: bytes,
    state: PeerId,
    peer: PeerId,
    purpose: str,
    legal_basis: str,
    fields: Sequence[str] = (),
    withheld: Sequence[str] = (),
    recipient: bytes = b"",
    record_version: int = 0,
    code: str = "",
    words: str = "",
) -> dict[str, Any]:
    """The facts of an act in a case (T7): case, fields, recipient and record version, all in the open words that both
    sides can build.

    `state` is the signer's and `peer` the other; `fields` are those asked for or released, in order, and `withheld` the
    rest of what was asked; `recipient` is the SHA-256 of the public key a release is sealed to; `code` the measure, the
    urgency, the reason or the result; of the signer's own words only the SHA-512 is signed, empty where there are none.
    What an act does not rest on is empty.
    """
    return {
        "case": case_id,
        "state": state,
        "peer": peer,
        "purpose": purpose,
        "legal_basis": legal_basis,
        "fields": list(fields),
        "withheld": list(withheld),
        "recipient": recipient,
        "record_version": record_version,
        "code": code,
        "words": words_digest(words),
    }


def words_digest(words: str) -> bytes:
    """What a statement says of a signer's own words."""
    return sha512(words.encode("utf-8")).digest() if words else b""


def says(signed: PersonalSignature, act: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What another state's person signed, held against what we know of it; returns the whole statement.

    Only the other state's register can tell whose key it is: its own log holds the person, ours the statement, and an
    auditor compares. `facts` are those that must agree; others may stand in the statement.

    Raises:
        Malformed: the statement has the wrong shape.
        VerificationFailed: step `statement`: another act, or other facts.
    """
    said = _read(signed.statement)
    if (said["key"], said["role"], said["signed_ns"]) != (signed.key_thumbprint, signed.role.value, signed.signed_ns):
        raise VerificationFailed("statement", "signer, role or time differ from the signed ones")
    known = {name: said.get(name) for name in facts}
    if said["act"] != act or cbor.encode(known) != cbor.encode(facts):
        raise VerificationFailed("statement", "is about another act or other facts")
    return said


def make(act: str, facts: Mapping[str, Any], *, role: Role, signed_ns: int, seed: bytes) -> PersonalSignature:
    """Sign an act at the person's own machine. `seed` is the person's Ed25519 seed."""
    thumbprint = sha256(ed25519.public(seed)).digest()
    statement = cbor.encode({**facts, "act": act, "key": thumbprint, "role": role.value, "signed_ns": signed_ns})
    return PersonalSignature(thumbprint, role, signed_ns, statement, ed25519.sign(seed, DOMAIN + statement))


def verify(
    signed: PersonalSignature,
    act: str,
    facts: Mapping[str, Any],
    *,
    register: Register,
    roles: frozenset[Role],
    now_ns: int,
) -> Enrolled:
    """Check one person's signature on exactly this act, and return the person.

    Raises:
        Malformed: the statement has the wrong shape.
        VerificationFailed: step `statement`: another act or other facts, or `signature`.
        NotIdentified: no such person in force, not in that role, a role that may not do this, or too old.
    """
    # 1. The statement says what travels beside it.
    said = _read(signed.statement)
    if (said["key"], said["role"], said["signed_ns"]) != (signed.key_thumbprint, signed.role.value, signed.signed_ns):
        raise VerificationFailed("statement", "signer, role or time differ from the signed ones")
    # 2. It is this act over these facts and no more.
    # Compared as bytes, because to Python 1 and True are one value.
    if said["act"] != act or cbor.encode({name: said[name] for name in said.keys() - _COMMON}) != cbor.encode(facts):
        raise VerificationFailed("statement", "is about another act or other facts")
    # 3. By a person in force, now and then, in a role the register gives and the act takes.
    person = register.holder(signed.key_thumbprint, now_ns)
    if not person.in_force(signed.signed_ns) or not -SKEW_NS <= now_ns - signed.signed_ns <= AGE_NS_MAX:
        raise NotIdentified("a personal signature is too old, or from the future")
    if signed.role not in person.roles or signed.role not in roles:
        raise NotIdentified(f"the role {signed.role.value} is not the signer's, or may not do this")
    # 4. With that person's key.
    ed25519.verify(person.public_key, DOMAIN + signed.statement, signed.signature)
    return person


def verify_all(
    signatures: Sequence[PersonalSignature],
    act: str,
    facts: Mapping[str, Any],
    *,
    register: Register,
    roles: frozenset[Role],
    now_ns: int,
) -> tuple[Enrolled, ...]:
    """Check every signature; the persons are distinct by personnel number and by key.

    How many are needed is a floor's and a policy's matter (`policy.floors`).

    Raises:
        VerificationFailed: step `persons`: one person signed twice; else as `verify`.
    """
    people = tuple(verify(signed, act, facts, register=register, roles=roles, now_ns=now_ns) for signed in signatures)
    if len({person.officer for person in people}) != len(people):
        raise VerificationFailed("persons", "one person signed twice")
    return people


def login(*, state: PeerId, officer: OfficerId, challenge: bytes, certificate: bytes) -> bytes:
    """The statement of a login: this challenge (32 bytes), at this state's door, over a connection whose client
    certificate has this SHA-256, so that no one between can use it."""
    return cbor.encode(
        {"act": LOGIN, "state": state, "officer": officer, "challenge": challenge, "certificate": certificate}
    )


def sign_login(statement: bytes, seed: bytes) -> bytes:
    """The person's signature over a login statement."""
    return ed25519.sign(seed, DOMAIN + statement)


def verify_login(
    signature: bytes,
    *,
    state: PeerId,
    officer: OfficerId,
    challenge: bytes,
    certificate: bytes,
    register: Register,
    now_ns: int,
) -> Enrolled:
    """Check a signed challenge and return the person.

    Raises:
        NotIdentified: unknown or retired officer, or a signature that does not hold. One face for all.
    """
    person = register.officer(officer, now_ns)
    statement = login(state=state, officer=officer, challenge=challenge, certificate=certificate)
    try:
        ed25519.verify(person.public_key, DOMAIN + statement, signature)
    except VerificationFailed:
        raise NotIdentified("the login's signature does not hold") from None
    return person


def _read(statement: bytes) -> dict[str, Any]:
    if len(statement) > STATEMENT_BYTES_MAX:
        raise Malformed("statement", f"has more than {STATEMENT_BYTES_MAX} bytes")
    said = cbor.decode(statement)
    if not isinstance(said, dict) or not said.keys() >= _COMMON:
        raise Malformed("statement", "lacks act, key, role or time")
    if not isinstance(said["key"], bytes) or len(said["key"]) != 32 or type(said["signed_ns"]) is not int:
        raise Malformed("statement", "has a key or time of the wrong form")
    if not isinstance(said["role"], str) or said["role"] not in _ROLES or not isinstance(said["act"], str):
        raise Malformed("statement", "has an unknown role or act")
    return said


_ROLES: Final = frozenset(role.value for role in Role)
