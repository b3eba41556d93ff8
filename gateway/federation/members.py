"""The members of the federation as one version of the document lists them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from gateway.errors import Malformed, NotFoundOrNotPermitted, NotIdentified, PeerSuspended, VerificationFailed
from gateway.federation import certificates
from gateway.federation.certificates import Identity
from gateway.federation.document import Document, Member, MessageKey, Status
from gateway.primitives import ed25519
from gateway.terms.ids import AgencyId, PeerId

BOUND_MAX = 1024
"""Leaves remembered as bound: two for each of the largest federation's members, with room."""


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """One member's keys, with the two checks that bind bytes and connections to it."""

    member: Member

    @property
    def state(self) -> PeerId:
        """The member's code."""
        return self.member.state

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Where its gateway listens for peers, `host:port`, in the order to try."""
        return self.member.endpoints

    @property
    def anchor_pem(self) -> bytes:
        """Its own anchor: the only roots a connection to it is judged by."""
        return self.member.anchor_pem.encode("ascii")

    @property
    def agencies(self) -> tuple[AgencyId, ...]:
        """The agencies that may ask in its name."""
        return self.member.agencies

    def message_key(self, key_id: str, at_ns: int) -> MessageKey:
        """The message key of that id, in force at that time.

        Raises:
            NotIdentified: no such key, or not in force.
        """
        for key in self.member.message_keys:
            if key.key_id == key_id:
                if key.not_before_ns <= at_ns <= key.not_after_ns:
                    return key
                raise NotIdentified(f"{self.state}: message key {key_id} is not in force")
        raise NotIdentified(f"{self.state}: has no message key of that id")

    def verify_message(self, key_id: str, at_ns: int, data: bytes, signature: bytes) -> None:
        """Check a signature of the member's gateway over `data`.

        Raises:
            NotIdentified: no such key then.
            VerificationFailed: the signature does not hold.
        """
        ed25519.verify(self.message_key(key_id, at_ns).public, data, signature)

    def bind(self, der: bytes, now_ns: int) -> Identity:
        """Bind the leaf of a connection to this state: its own name, its own pin, its own anchor, in force (T1).

        Raises:
            NotIdentified: any of these fails. A certificate for this state from another state's anchor fails here.
        """
        try:
            identity = certificates.identity(der)
            certificates.verify_issued(der, self.anchor_pem)
        except (Malformed, VerificationFailed) as cause:
            raise NotIdentified(f"{self.state}: {cause}") from None
        if (identity.state, identity.role) != (self.state, "gateway"):
            raise NotIdentified(f"{self.state}: the certificate is not its gateway's")
        if identity.realm is not self.member.realm:
            raise NotIdentified(
                f"{self.state}: the certificate is of the {identity.realm.value} realm, not of this list's"
            )
        if identity.pin not in self.member.tls_pins:
            raise NotIdentified(f"{self.state}: the certificate's key is not pinned")
        if not identity.in_force(now_ns):
            raise NotIdentified(f"{self.state}: the certificate is not in force")
        return identity


class FederationView:
    """One version of the document, ready to be asked. Replaced whole when a new version is accepted."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._members = {member.state: MemberKeys(member) for member in document.members}
        self._bound: dict[bytes, Identity] = {}

    @property
    def version(self) -> int:
        """The document's version."""
        return self.document.version

    @property
    def baseline(self) -> bytes:
        """SHA-256 of the regional baseline in force (T6)."""
        return self.document.baseline

    def states(self) -> tuple[PeerId, ...]:
        """Every active member, sorted."""
        return tuple(state for state, keys in self._members.items() if keys.member.status is Status.ACTIVE)

    def member(self, state: PeerId) -> MemberKeys:
        """An active member's keys.

        Raises:
            NotIdentified: no member, or not yet one.
            PeerSuspended: the federation suspended it.
        """
        found = self._members.get(state)
        if found is None or found.member.status is Status.PENDING:
            raise NotIdentified(f"{state}: is not a member of the federation")
        if found.member.status is Status.SUSPENDED:
            raise PeerSuspended(f"{state}: is suspended by the federation")
        return found

    def listed(self, state: PeerId) -> MemberKeys:
        """A member's keys whatever its status, for what was signed before. Raises NotFoundOrNotPermitted."""
        found = self._members.get(state)
        if found is None:
            raise NotFoundOrNotPermitted(f"{state}: is not in the federation document")
        return found

    def state_of(self, der: bytes, now_ns: int) -> PeerId:
        """Which active member a connection's leaf belongs to. Asked on every call, so a leaf once bound is remembered
        for the life of this view; its validity is compared each time.

        Raises:
            NotIdentified, PeerSuspended: as `member` and `MemberKeys.bind`.
        """
        thumbprint = sha256(der).digest()
        known = self._bound.get(thumbprint)
        if known is not None and known.in_force(now_ns):
            return known.state
        try:
            claimed = certificates.identity(der).state
        except Malformed as cause:
            raise NotIdentified(f"the caller's certificate: {cause}") from None
        bound = self.member(claimed).bind(der, now_ns)
        if len(self._bound) < BOUND_MAX:
            self._bound[thumbprint] = bound
        return bound.state

    def log_vkey(self, state: PeerId) -> str:
        """The state's log key (C2SP vkey). Raises NotFoundOrNotPermitted."""
        return self.listed(state).member.log_vkey

    def witness_vkey(self, state: PeerId) -> str:
        """The state's cosignature key (C2SP vkey). Raises NotFoundOrNotPermitted."""
        return self.listed(state).member.witness_vkey

    def require_current(self, now_ns: int) -> None:
        """Refuse to go on under a document that has expired.

        Raises:
            NotIdentified: it has; `limen federation accept` takes the next version.
        """
        if self.document.expires_ns <= now_ns:
            raise NotIdentified(f"federation document version {self.version} has expired")
