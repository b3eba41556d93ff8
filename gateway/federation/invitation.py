"""Two states meet: an invitation, an answer to it, and the list of members that follows from both.

The inviter's file holds its card, the list of members in force where there is one, and the regional baseline. The
invited side answers with its card and a signature over the list that the two files make: `draft` is a function of them
alone, so both sides compute the same bytes and nothing of the list travels that could be changed on the way.

People compare words twice, each time over everything that the other side is about to trust:

1. `words("invitation", invitation)` before the invited side answers: every key of the inviter, and of every member.
2. `words("list", list)` before the inviter signs: every key of every member, the invited one with them.

The order matters. The invited side shows no key of its own before the inviter's are fixed and compared, so whoever
stands between them cannot vary both texts until their words agree.

An invitation is JSON text in the form of `form`, an empty line, and one signature line like a list of members has.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from gateway.errors import InputRefused, Malformed, VerificationFailed
from gateway.federation import document, form
from gateway.federation.document import Document, Member, SignedDocument, Status
from gateway.primitives import ed25519
from gateway.terms.ids import PeerId

SCHEMA: Final = "limen/invitation/1"
ANSWER_SCHEMA: Final = "limen/answer/1"

DOMAIN: Final = b"limen/invitation/1\n"
"""Stands before the text in what is signed, so that the signature is good for nothing else."""

INVITATION_BYTES_MAX: Final = 4 << 20
ANSWER_BYTES_MAX: Final = 1 << 18

DAY_NS: Final = 86_400 * 10**9
LIFE_DAYS: Final = 7
LIFE_DAYS_MAX: Final = 30
LIST_DAYS: Final = 90
"""How long the list lasts from the day of the invitation."""

_MARK: Final = b"\xe2\x80\x94 "
_SIGNATURE = re.compile(rb"\xe2\x80\x94 ([A-Z]{3}) ([0-9a-f]{16}) ([0-9a-f]{128})\n\Z")
_STATE = re.compile(r"[A-Z]{3}\Z")
_LINE = re.compile(r"[^\r\n]{0,4096}\Z")
_KEY_ID = re.compile(r"baseline-[0-9a-f]{8}\Z")
_FIELDS: Final = frozenset(
    {"schema", "inviter", "invited", "made_ns", "expires_ns", "nonce", "card", "list", "baseline", "baseline_key"}
)
_ANSWER_FIELDS: Final = frozenset({"schema", "invitation", "card", "list_digest", "list_signature"})


@dataclass(frozen=True, slots=True)
class Baseline:
    """The regional baseline as every member has it: the bundle, and the public key (PEM) it is signed with."""

    bundle: bytes = field(repr=False)
    key_id: str
    key_pem: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bundle, as the list of members names it."""
        return sha256(self.bundle).digest()


@dataclass(frozen=True, slots=True)
class Invitation:
    """What one state offers another. `listed` is the signed list in force; None before the first.

    `nonce` is 16 random bytes, so that no two invitations are alike. Times are UTC ns.
    """

    inviter: PeerId
    invited: PeerId
    made_ns: int
    expires_ns: int
    nonce: bytes = field(repr=False)
    card: Member
    listed: SignedDocument | None
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class SignedInvitation:
    """The exact text, what it says, and the inviter's signature, not yet verified."""

    text: bytes = field(repr=False)
    invitation: Invitation
    key_id: str
    signature: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: how answers name it."""
        return sha256(self.text).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """The invited side's card, and its signature over the list that invitation and card make."""

    invitation: bytes = field(repr=False)
    card: Member
    list_digest: bytes = field(repr=False)
    list_signature: bytes = field(repr=False)


def make(invitation: Invitation, seed: bytes) -> bytes:
    """The file: text, empty line, signature by the inviter's authority (`seed`, 32 bytes).

    Raises:
        Malformed: it could not be read back.
        VerificationFailed: the seed is not the one of the card.
    """
    text = form.canonical(
        {
            "schema": SCHEMA,
            "inviter": invitation.inviter,
            "invited": invitation.invited,
            "made_ns": invitation.made_ns,
            "expires_ns": invitation.expires_ns,
            "nonce": invitation.nonce.hex(),
            "card": _lines(document.encode_card(invitation.card)),
            "list": [] if invitation.listed is None else _lines(document.render(invitation.listed)),
            "baseline": base64.b64encode(invitation.baseline.bundle).decode("ascii"),
            "baseline_key": {
                "id": invitation.baseline.key_id,
                "pem": _lines(invitation.baseline.key_pem),
            },
        }
    )
    public = ed25519.public(seed)
    signature = ed25519.sign(seed, DOMAIN + text)
    made = text + b"\n" + _MARK + f"{invitation.inviter} {document.key_id(public)} {signature.hex()}\n".encode("ascii")
    verify(parse(made), invitation.invited, invitation.made_ns)
    return made


def parse(data: bytes) -> SignedInvitation:
    """Read an invitation. Nothing is verified yet. Raises Malformed."""
    if len(data) > INVITATION_BYTES_MAX:
        raise Malformed("invitation", f"has more than {INVITATION_BYTES_MAX} bytes")
    text, gap, line = data.partition(b"\n\n")
    found = _SIGNATURE.match(line)
    if not gap or found is None:
        raise Malformed("invitation", "does not end with an empty line and one signature")
    text += b"\n"
    table = form.table(form.parse(text, INVITATION_BYTES_MAX), "invitation", _FIELDS)
    if table["schema"] != SCHEMA:
        raise Malformed("schema", f"is not {SCHEMA}")
    if form.canonical(table) != text:
        raise Malformed("invitation", "is not in canonical form")
    key = form.table(table["baseline_key"], "baseline_key", frozenset({"id", "pem"}))
    listed = _joined(table["list"], "list")
    read = Invitation(
        inviter=PeerId(form.text(table["inviter"], "inviter", _STATE)),
        invited=PeerId(form.text(table["invited"], "invited", _STATE)),
        made_ns=form.whole(table["made_ns"], "made_ns", 1),
        expires_ns=form.whole(table["expires_ns"], "expires_ns", 1),
        nonce=form.hexadecimal(table["nonce"], "nonce", 16),
        card=document.decode_card(_joined(table["card"], "card")),
        listed=document.parse(listed) if listed else None,
        baseline=Baseline(
            bundle=_unpacked(table["baseline"]),
            key_id=form.text(key["id"], "baseline_key.id", _KEY_ID),
            key_pem=_joined(key["pem"], "baseline_key.pem"),
        ),
    )
    state, name, value = (part.decode("ascii") for part in found.groups())
    if state != read.inviter or read.card.state != read.inviter or read.inviter == read.invited:
        raise Malformed("inviter", "is not who signed, or invites itself")
    return SignedInvitation(text, read, name, bytes.fromhex(value))


def verify(signed: SignedInvitation, us: PeerId, now_ns: int) -> Invitation:
    """Decide whether we may answer. That its keys are the inviter's only the words show.

    Raises:
        InputRefused: it is for another state, or its time is over.
        VerificationFailed: step `invitation`: the signature, the inviter's place in its own list, or its list.
    """
    invitation = signed.invitation
    if invitation.invited != us:
        raise InputRefused(f"this invitation is for {invitation.invited}, and this node is {us}", code="INVITATION")
    if not invitation.made_ns - DAY_NS <= now_ns < invitation.expires_ns:
        raise InputRefused(
            f"this invitation's time is over; ask {invitation.inviter} for a new one", code="INVITATION_EXPIRED"
        )
    if invitation.expires_ns - invitation.made_ns > LIFE_DAYS_MAX * DAY_NS:
        raise VerificationFailed("invitation", f"would hold for more than {LIFE_DAYS_MAX} days")
    if document.key_id(invitation.card.authority) != signed.key_id:
        raise VerificationFailed("invitation", "is signed with another key than the one on its card")
    try:
        ed25519.verify(invitation.card.authority, DOMAIN + signed.text, signed.signature)
    except VerificationFailed:
        raise VerificationFailed("invitation", "was changed after it was signed; ask for the file again") from None
    if invitation.listed is not None:
        listed = document.verify(invitation.listed, None, now_ns)
        if listed.signers().get(invitation.inviter) != invitation.card.authority:
            raise VerificationFailed("invitation", "its list of members does not name the inviter with this key")
        if listed.realm is not invitation.card.realm:
            raise VerificationFailed("invitation", "its list of members is of another realm than its card")
        if listed.baseline != invitation.baseline.digest:
            raise VerificationFailed("invitation", "its baseline is not the one that its list of members names")
    return invitation


def draft(invitation: Invitation, card: Member) -> SignedDocument:
    """The list of members that an invitation and the invited state's card make, unsigned.

    The threshold is the one in force, raised where it would be half of the members or less; two states both sign. A
    state that is listed already gets the new card in place of the old one.

    Raises:
        InputRefused: the card is another state's, or cannot stand beside the others' (a key or address twice).
    """
    if card.state != invitation.invited:
        raise InputRefused(f"the card is {card.state}'s, and {invitation.invited} was invited", code="INVITATION")
    before = None if invitation.listed is None else invitation.listed.document
    others = (invitation.card,) if before is None else before.members
    members = (*(one for one in others if one.state != card.state), card)
    signers = sum(member.status is not Status.SUSPENDED for member in members)
    least = signers // 2 + 1
    try:
        return document.unsigned(
            Document(
                version=1 if before is None else before.version + 1,
                expires_ns=invitation.made_ns + LIST_DAYS * DAY_NS,
                threshold=least if before is None else max(min(before.threshold, signers), least),
                baseline=invitation.baseline.digest,
                members=tuple(sorted(members, key=lambda member: member.state)),
                realm=invitation.card.realm,
            )
        )
    except Malformed as cause:
        raise InputRefused(f"the cards make no list of members: {cause}", code="INVITATION") from None


def encode_answer(signed: SignedInvitation, card: Member, seed: bytes) -> bytes:
    """The answer's file; `seed` is the 32-byte seed of the card's authority. Raises as `draft`."""
    made = draft(signed.invitation, card)
    signature = ed25519.sign(seed, document.signing_input(made.text))
    ed25519.verify(card.authority, document.signing_input(made.text), signature)
    return form.canonical(
        {
            "schema": ANSWER_SCHEMA,
            "invitation": signed.digest.hex(),
            "card": _lines(document.encode_card(card)),
            "list_digest": made.digest.hex(),
            "list_signature": signature.hex(),
        }
    )


def decode_answer(data: bytes) -> Answer:
    """Read an answer. Raises Malformed."""
    table = form.table(form.parse(data, ANSWER_BYTES_MAX), "answer", _ANSWER_FIELDS)
    if table["schema"] != ANSWER_SCHEMA:
        raise Malformed("schema", f"is not {ANSWER_SCHEMA}")
    if form.canonical(table) != data:
        raise Malformed("answer", "is not in canonical form")
    return Answer(
        invitation=form.hexadecimal(table["invitation"], "invitation", 32),
        card=document.decode_card(_joined(table["card"], "card")),
        list_digest=form.hexadecimal(table["list_digest"], "list_digest", 32),
        list_signature=form.hexadecimal(table["list_signature"], "list_signature", 64),
    )


def combine(signed: SignedInvitation, answer: Answer) -> SignedDocument:
    """The list with the invited state's signature on it, computed from the inviter's own copy of the invitation.

    Raises:
        InputRefused: as `draft`.
        VerificationFailed: step `answer`: the answer was changed on its way, or is another invitation's.
    """
    if answer.invitation != signed.digest:
        raise VerificationFailed("answer", "answers another invitation")
    made = draft(signed.invitation, answer.card)
    if made.digest != answer.list_digest:
        raise VerificationFailed("answer", "was changed on its way; ask for the file again")
    authority = answer.card.authority
    try:
        ed25519.verify(authority, document.signing_input(made.text), answer.list_signature)
    except VerificationFailed:
        raise VerificationFailed("answer", "was changed on its way; ask for the file again") from None
    line = document.Signature(answer.card.state, document.key_id(authority), answer.list_signature)
    return SignedDocument(made.text, made.document, (line,))


def merged(left: SignedDocument, right: SignedDocument) -> SignedDocument:
    """One text with the signatures of both files. Raises ValueError for two texts."""
    if left.text != right.text:
        raise ValueError("two lists")
    lines = {(line.state, line.key_id): line for line in (*left.signatures, *right.signatures)}
    return SignedDocument(left.text, left.document, tuple(lines[key] for key in sorted(lines)))


def changes(before: Document | None, after: Document) -> list[str]:
    """What a list changes, in sentences, for those who are asked to sign it."""
    held = {} if before is None else {member.state: member for member in before.members}
    told = []
    for member in after.members:
        old = held.pop(member.state, None)
        if old is None:
            told.append(f"{member.state} becomes a member, at {', '.join(member.endpoints)}")
        elif old != member:
            told.append(f"{member.state} has a new card or another status ({member.status.value})")
    told += [f"{state} is no longer a member" for state in held]
    if before is not None and before.baseline != after.baseline:
        told.append("the regional baseline is another one")
    if before is None or before.threshold != after.threshold:
        told.append(f"lists are valid when {after.threshold} of {len(after.signers())} have signed")
    return told


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8").removesuffix("\n").split("\n")


def _joined(value: object, at: str) -> bytes:
    lines = [form.text(line, at, _LINE) for line in form.items(value, at)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _unpacked(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Malformed("baseline", "is not base64") from None
