"""What every step of a case shares: its surroundings, the decision that comes first, and the entry that comes before
anything is told (rule 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.disclosure.case import Case, Outbound, Signature, decode
from gateway.errors import NotFoundOrNotPermitted, PolicyDenied
from gateway.federation import statement
from gateway.federation.officers import Register
from gateway.federation.statement import PersonalSignature
from gateway.flows import deciding
from gateway.flows.check import put
from gateway.policy import catalogue
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.primitives import cbor
from gateway.terms.exchange import CheckRequest, KeyScope, Named
from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, RequestId
from gateway.terms.words import BATCH_CLASSES, ListId, Role
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import ListEntry
from gateway.watchlist.publish import may_tell

HANDLES_KEPT_MAX: Final = 4
"""Peers' lists whose handles are kept in memory: some 15 MB for 100,000 entries each."""

WORDS_SEALED_BYTES: Final = 4096
"""Room for an act's words in the log's sealed part: 2,048 characters, most of two bytes."""


@dataclass(frozen=True, slots=True)
class OpenCase:
    """Asks the owner to open a case. `ticket` is the hit's, `reply_key` the asker's case key (X25519),
    `sealed` the officer's reasons sealed to the owner's, b"" for none."""

    case_id: bytes
    ticket: bytes
    purpose: Purpose
    legal_basis: str
    fields: tuple[str, ...]
    reply_key: bytes
    sealed: bytes
    signatures: tuple[PersonalSignature, ...]
    pair_seq: int
    baseline: bytes
    national: bytes
    permit_expires_ns: int
    named: Named | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a disclosed record comes from, in every transmission."""

    originator: str
    provenance: str
    decision: str
    legal_basis: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the owner's people decided. `refusal` is a code or ""; `sealed` one slot for each field asked and a last one
    for the marks, all of one size; `origin` None where nothing is disclosed."""

    case_id: bytes
    record_version: int
    refusal: str
    origin: Origin | None
    sealed: tuple[bytes, ...]
    signatures: tuple[PersonalSignature, ...]
    pair_seq: int
    baseline: bytes
    national: bytes
    permit_expires_ns: int
    named: Named | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Closing:
    """What came of the case, or that the asker has withdrawn (`WITHDRAWN`)."""

    case_id: bytes
    code: str
    signatures: tuple[PersonalSignature, ...]
    pair_seq: int
    baseline: bytes
    national: bytes
    permit_expires_ns: int
    named: Named | None = field(default=None, repr=False, compare=False)


class CasePeers(Protocol):
    """The other side of cases (`rpc.peers`). Each may be sent again: the receiver knows the case by its number.

    Raises, all four:
        NotFoundOrNotPermitted: the other side does not take it, whatever the cause.
        PeerUnreachable: no answer that can be trusted.
    """

    async def open_case(self, peer: PeerId, message: OpenCase, *, timeout_s: float) -> None:
        """The case is open there."""

    async def deliver(self, peer: PeerId, message: Decision, *, timeout_s: float) -> None:
        """The decision is there and logged."""

    async def correct(self, peer: PeerId, message: Decision, *, timeout_s: float) -> None:
        """The corrected fields are there and logged. Also raises CapabilityMissing: the other side takes none yet."""

    async def close_case(self, peer: PeerId, message: Closing, *, timeout_s: float) -> None:
        """The outcome is there and logged."""


class CaseBook(Protocol):
    """What cases need of the store."""

    def case(self, case_id: bytes) -> bytes | None:
        """A case's body, or None."""

    def cases(self, due: bool = False, *, officer: str = "", states: Sequence[str] = ()) -> Iterator[bytes]:
        """Bodies, soonest due first: all, or at least those due here, of the officer's, in these states."""

    def cases_of(self, record: str) -> list[bytes]:
        """Bodies of our own side's cases about this record (`Case.record`); others may be among them."""

    def cases_past(self, now_ns: int) -> list[bytes]:
        """Bodies of the open cases whose time is over."""

    def open_cases(self, peer: PeerId) -> int:
        """How many cases with this peer are open."""

    def entry_ids(self, list_id: ListId) -> list[str]:
        """The ids of the live entries of our own list."""

    def entry(self, list_id: ListId, entry_id: str) -> bytes | None:
        """One live entry, or None."""

    def find(self, peer: PeerId, method: str, leg_id: RequestId, batch: int) -> ports.StoredReply | None:
        """The reply we gave under this id."""


@dataclass(slots=True)
class Handles:
    """The handles of our entries towards a peer, kept from one opening to the next: each derives those of entries that
    are new. A peer's next epoch begins anew. A handle names no record to anybody who has not our key."""

    _kept: dict[tuple[PeerId, ListId], tuple[EpochId, dict[bytes, str], set[str]]] = field(default_factory=dict)

    async def entry_id(self, handle: bytes, scope: KeyScope, list_id: ListId, world: CaseWorld) -> str | None:
        """The live entry of this handle, or None."""
        place = scope.peer, list_id
        epoch, ids, known = self._kept.pop(place, (scope.epoch, {}, set()))
        if epoch != scope.epoch:
            ids, known = {}, set()
        # Only what was derived completely is kept.
        live = world.book.entry_ids(list_id)
        new = [one for one in live if one not in known]
        made = await world.keys.handles(scope, new) if new else []
        ids.update(zip(made, new, strict=True))
        known.update(new)
        self._kept[place] = scope.epoch, ids, known
        while len(self._kept) > HANDLES_KEPT_MAX:
            self._kept.pop(next(iter(self._kept)))
        return ids.get(handle)


@dataclass(frozen=True, slots=True)
class CaseWorld:
    """The surroundings of a case's steps. `case_key_of` gives a member's case key (X25519) by the federation document;
    `read_check` decodes a check's exact bytes (Malformed), `check_method` is its path in the store of replies."""

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    book: CaseBook
    keys: ports.Keys
    case_keys: ports.CaseKeys
    peers: CasePeers
    clock: ports.Clock
    register: Callable[[], Register]
    case_key_of: Callable[[PeerId], bytes]
    read_check: Callable[[bytes], CheckRequest]
    check_method: str
    judge_witnesses: Callable[[], None]
    """Raises WitnessesSilent where nothing may be disclosed: our log has not been witnessed for too long."""
    timeout_s: float = 5.0
    handles: Handles = field(default_factory=Handles)


def held(case_id: bytes, world: CaseWorld) -> Case:
    """The case of this number. Raises NotFoundOrNotPermitted."""
    body = world.book.case(case_id)
    if body is None:
        raise NotFoundOrNotPermitted("no such case")
    return decode(body)


async def decide(case: Case, world: CaseWorld, now_ns: int, *, stage: Stage) -> Permit:
    """The rules and the floors for this case's purpose between its two states, at this moment (T5).

    Raises:
        PolicyDenied: they say no, or the purpose's row does not disclose at all.
    """
    ours_asks = stage is Stage.ASK
    question = Question(
        stage=stage,
        purpose=case.purpose,
        operation=catalogue.check_operation(case.purpose),
        legal_basis=case.legal_basis,
        list_id=ListId(case.list_id),
        key_types=catalogue.key_types_of(case.purpose),
        class_size=BATCH_CLASSES[0],
        asker=world.state if ours_asks else case.peer,
        owner=case.peer if ours_asks else world.state,
        agency=AgencyId(case.agency),
        role=Role(case.role),
        has_case=True,
        # The hit's own question was signed by as many; the case's acts are signed one by one.
        signers=catalogue.signers_of(case.purpose, stage),
        time_ns=now_ns,
    )
    decision = await deciding.decide(question, world.policy)
    if isinstance(decision, Deny):
        raise PolicyDenied(decision.reasons)
    if catalogue.decision_of(case.purpose, "disclose") not in ("approval", "four_eyes"):
        raise PolicyDenied(("operation",))
    if case.kind.name not in decision.kinds:
        raise PolicyDenied(("policy_answer",))
    return decision


def record(case: Case, permit: Permit, world: CaseWorld, now_ns: int) -> tuple[ListEntry, bytes]:
    """The record behind an owner's case, as it stands, if it may still be told to this peer.

    Raises:
        NotFoundOrNotPermitted: it was withdrawn, has expired, or is withheld from this peer by now (tags, origins).
    """
    body = world.book.entry(ListId(case.list_id), case.entry_id)
    if body is None:
        raise NotFoundOrNotPermitted("the record is no longer on the list")
    found = entries.decode(body)
    if may_tell(found, case.peer, kinds=permit.kinds, owner=world.state, now_ns=now_ns) is not None:
        raise NotFoundOrNotPermitted("the record may not be told to this peer")
    return found, body


def version_of(body: bytes) -> int:
    """The version of a record: a number that changes whenever its bytes do (53 bits of SHA-256, never 0)."""
    return int.from_bytes(sha256(body).digest()[:7], "big") >> 3 | 1


def entry(
    kind: str,
    case: Case,
    *,
    public: Mapping[str, Scalar],
    secret: Mapping[str, Scalar | list[Scalar]] | None = None,
) -> Entry:
    """An entry about a case. Entries of one kind have one sealed size: it tells neither act nor result."""
    return Entry(
        kind,
        Phase.EVENT,
        case.peer,
        public={"case_id": case.case_id, "side": case.side.value, "purpose": case.purpose, **public},
        secret=secret or {},
        sealed_bytes=WORDS_SEALED_BYTES,
    )


def personal(signature: Signature) -> PersonalSignature:
    """A kept signature as it travels. It was decoded when it was taken, so it decodes again."""
    return PersonalSignature.decode(cbor.encode({"statement": signature.statement, "signature": signature.signature}))


def release_facts(case: Case, state: PeerId) -> dict[str, Any]:
    """What the owner's two persons sign for a release of this case's, but for the words of each."""
    return statement.case(
        case_id=case.case_id,
        state=state,
        peer=case.peer,
        purpose=case.purpose,
        legal_basis=case.legal_basis,
        fields=case.released,
        withheld=[name for name in case.fields if name not in case.released],
        recipient=sha256(case.recipient).digest(),
        record_version=case.record_version,
    )


__all__ = [
    "CaseBook",
    "CasePeers",
    "CaseWorld",
    "Closing",
    "Decision",
    "OpenCase",
    "Origin",
    "Outbound",
    "decide",
    "entry",
    "held",
    "personal",
    "put",
    "record",
    "release_facts",
    "version_of",
]
