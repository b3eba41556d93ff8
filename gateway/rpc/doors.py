"""What stands behind each listener, in terms: the app implements these with flows; the wire stays on this side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from gateway.alerts.alert import Alert, Doing
from gateway.federation import envelope
from gateway.federation.certificates import Identity
from gateway.federation.statement import PersonalSignature
from gateway.flows.auditing import Reading
from gateway.flows.casework import Closing, Decision, OpenCase
from gateway.flows.check import CheckAnswer, Inquiry
from gateway.ports import PolicyVersions, SignedManifest
from gateway.terms import Hidden, ListId, PeerId, RequestId
from gateway.terms.exchange import (
    Came,
    CheckpointRequest,
    CheckRequest,
    ChunkRequest,
    DeltasRequest,
    Description,
    ManifestRequest,
    PairHead,
    PairHeadRequest,
    SignedMessage,
)
from gateway.terms.ids import OfficerId, Purpose
from gateway.terms.release import ReleaseAsk, ReleasePlan, ReleaseStanding, ReleaseState
from gateway.terms.words import MatchClass, RecordKind


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call of a peer that has passed every step: who, what, until when.

    `deadline_ns` is monotonic; `message` are the exact bytes that were verified, for the log; `request` is the decoded
    body, of the method's own type; `request_hash` SHA-512 of the body.
    """

    peer: PeerId
    method: str
    now_ns: int
    deadline_ns: int
    header: envelope.Header
    message: SignedMessage
    request: Any = field(repr=False)

    @property
    def request_hash(self) -> bytes:
        """The request's name in both logs and in the reply's header."""
        return self.header.body_hash

    @property
    def came(self) -> Came:
        """The message for the log, as the peer's own word."""
        return Came(self.request_hash, self.message.header, self.message.signature, self.header.entry)

    @property
    def key_id(self) -> bytes:
        """The message key that signed it."""
        return self.header.key_id


class PeerDoor(Protocol):
    """Answers other states. Every request was verified and judged; `call.peer` is who asks, and agrees with it."""

    async def check(self, request: CheckRequest, call: CallContext) -> SignedMessage:
        """Evaluate one batch (`flows.answer`)."""

    async def manifest(self, request: ManifestRequest, call: CallContext) -> SignedManifest:
        """The current manifest made for `call.peer`. Raises NotFoundOrNotPermitted."""

    async def deltas(self, request: DeltasRequest, call: CallContext) -> Sequence[SignedMessage]:
        """The caller's next deltas, as they were signed. Raises NotFoundOrNotPermitted."""

    async def chunk(self, request: ChunkRequest, call: CallContext) -> bytes:
        """One chunk of the current table made for `call.peer`. Raises NotFoundOrNotPermitted."""

    async def describe(self, call: CallContext) -> Description:
        """What this gateway serves."""

    async def add_checkpoint(self, request: CheckpointRequest, call: CallContext) -> bytes:
        """Cosignature lines (`flows.witness.cosign`). VerificationFailed with step `old_size` and the size known as its
        position becomes a signed reply; others are refusals."""

    async def pair_head(self, request: PairHeadRequest, call: CallContext) -> PairHead:
        """Where our entries about the caller stand (`flows.nightly.tell`). Raises NotFoundOrNotPermitted."""


class PeerCaseDoor(Protocol):
    """The other side's half of cases (`flows.deliver`). Each returns our entry's number in the pair's sequence, and
    raises NotFoundOrNotPermitted for whatever does not hold."""

    async def open_case(self, message: OpenCase, call: CallContext) -> int:
        """A peer asks for the facts behind a hit."""

    async def deliver(self, message: Decision, call: CallContext) -> int:
        """A peer's people decided."""

    async def correct(self, message: Decision, call: CallContext) -> int:
        """A peer's people correct what they disclosed."""

    async def close_case(self, message: Closing, call: CallContext) -> int:
        """A peer tells what came of a case."""


# -- Home -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HomeCall:
    """One call of a system of this state's own, identified by its certificate.

    `token` is the officer's, not yet judged (`federation.token`), None where none came; `deadline_ns` is monotonic.
    """

    client: Identity
    now_ns: int
    deadline_ns: int
    token: Hidden[str] | None

    @property
    def certificate(self) -> bytes:
        """SHA-256 of the client certificate's DER: what tokens are bound to."""
        return self.client.thumbprint


@dataclass(frozen=True, slots=True)
class Origin:
    """Where entries come from that do not say it themselves; empty parts are left to the rows."""

    originator: str
    provenance: tuple[str, ...]
    decision: str
    legal_basis: str


@dataclass(frozen=True, slots=True)
class ListFile:
    """A file of entries for one of our own lists, with the signatures of those who answer for it (T9)."""

    request_id: RequestId
    list_id: ListId
    format: str
    snapshot: bool
    origin: Origin
    file: Hidden[bytes]
    signatures: tuple[PersonalSignature, ...]
    preview: bool = False
    """True: only what it would change is told. Nobody signs that."""


class Became(StrEnum):
    """What a load made of one row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RowReport:
    """What became of one row: never its content. `code` says why it was left out, or what it is warned of; a row with
    several warnings has several of these."""

    line: int
    refused: bool
    code: str
    column: str
    became: Became


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of a file."""

    added: int
    withdrawn: int
    changed: int
    unchanged: int
    rows: tuple[RowReport, ...]
    immediate: bool = False
    """Peers see all of it at their next check; else with the next tables."""
    preview: bool = False
    """Nothing was written: this is what would change."""


@dataclass(frozen=True, slots=True)
class PeerState:
    """One peer as we hold it. `tables` are versions by list and group (`PERSONS/WATCH`); `compared` is how holding its
    log against its messages ended at `compared_ns` (`flows.nightly`), "" before the first."""

    state: PeerId
    active: bool
    tables: Mapping[str, int] = field(default_factory=dict)
    compared_ns: int = 0
    compared: str = ""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How the node is. `policy` is None when none is in force; `log_size` that of the last published checkpoint.

    `quorum` witnesses had last seen the log at `witnessed_ns`, UTC ns; where that is too
    long ago `disclosing` is False.
    """

    state: PeerId
    release: str
    ready: bool
    time_ns: int
    policy: PolicyVersions | None
    log_size: int
    quorum: int
    witnessed_ns: int
    disclosing: bool
    peers: tuple[PeerState, ...]


class HomeDoor(Protocol):
    """Answers the state's own systems."""

    async def challenge(self, officer: OfficerId, call: HomeCall) -> tuple[bytes, int]:
        """32 random bytes and when they end; for unknown officers too."""

    async def login(self, officer: OfficerId, challenge: bytes, signature: bytes, call: HomeCall) -> tuple[str, int]:
        """A token for this client, and when it ends. Raises NotIdentified."""

    async def check(self, inquiry: Inquiry, call: HomeCall) -> CheckAnswer:
        """Judge the token, then ask (`flows.check`)."""

    async def status(self, call: HomeCall) -> NodeStatus:
        """How the node is."""


class ListDoor(Protocol):
    """Takes list files at the home listener. A node without one answers CAPABILITY_MISSING."""

    async def load(self, load: ListFile, call: HomeCall) -> LoadReport:
        """Verify both persons, then enter the file (`flows.listing`)."""


@dataclass(frozen=True, slots=True)
class CaseQuery:
    """Which cases: only the officer's own, only those with an act due here, only in these states (none for all)."""

    mine: bool = False
    due: bool = False
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One case as it stands in a list. `state` is a word of the table of states (`disclosure.case`); times are UTC ns,
    0 where nothing is due or the case does not end by itself; `assigned` and `offered_to` are officers' numbers."""

    case_id: bytes
    side: str
    peer: PeerId
    purpose: str
    kind: RecordKind
    match: MatchClass
    state: str
    version: int
    due_ns: int = 0
    expires_ns: int = 0
    urgency: str = ""
    assigned: str = ""
    offered_to: str = ""
    screening_required: bool = False


@dataclass(frozen=True, slots=True)
class CaseStep:
    """One thing that happened. `officer` is empty for the other side's doing and the gateway's own."""

    event: str
    at_ns: int
    officer: str = ""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as far as one officer may see it. `disclosed` is empty but for the one who has it and the qualified.

    `released` are the names of the fields prepared for release or released, `recipient` the SHA-256 of the public key
    that a release is sealed to.
    """

    line: CaseLine
    legal_basis: str
    fields: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    recipient: bytes = field(default=b"", repr=False)
    refusal: str = ""
    outcome: str = ""
    record_version: int = 0
    conditions: tuple[str, ...] = ()
    subject_category: str = ""
    basis: str = ""
    reliability: str = ""
    as_of: str = ""
    disclosed: tuple[tuple[str, Hidden[tuple[str, ...]]], ...] = ()
    history: tuple[CaseStep, ...] = ()
    acts: tuple[str, ...] = ()
    words: Hidden[str] = field(default_factory=lambda: Hidden(""))


@dataclass(frozen=True, slots=True)
class CaseAct:
    """One act in a case at the version the officer saw. `arguments` are codes and numbers, never personal data; `words`
    are the officer's own."""

    case_id: bytes
    version: int
    act: str
    arguments: Mapping[str, tuple[str, ...]]
    words: Hidden[str]
    signatures: tuple[PersonalSignature, ...] = ()


class CaseDoor(Protocol):
    """The desk's side of cases at the home listener. A node without one answers CAPABILITY_MISSING."""

    async def cases(self, query: CaseQuery, call: HomeCall) -> tuple[Sequence[CaseLine], bool]:
        """The cases this officer's roles may follow, soonest due first, and whether there are more."""

    async def case(self, case_id: bytes, call: HomeCall) -> CaseView:
        """One case. Raises NotFoundOrNotPermitted."""

    async def act(self, act: CaseAct, call: HomeCall) -> CaseLine:
        """Do it and return the case after it. Raises NotFoundOrNotPermitted, PolicyDenied, VersionMoved."""


class AlertDoor(Protocol):
    """The supervisor's side of alerts at the home listener. A node without one answers CAPABILITY_MISSING."""

    async def alerts(self, closed: bool, call: HomeCall) -> tuple[Sequence[Alert], bool]:
        """The alerts this person may follow, newest first, and whether there are more. Raises PolicyDenied."""

    async def alert(self, alert_id: bytes, call: HomeCall) -> Alert:
        """One alert. Raises NotFoundOrNotPermitted, PolicyDenied."""

    async def act_on_alert(self, alert_id: bytes, doing: Doing, call: HomeCall) -> Alert:
        """Do it and return the alert after it. Raises NotFoundOrNotPermitted, PolicyDenied, VersionMoved."""


# -- Releases ---------------------------------------------------------------------------------------------------------


class PeerReleaseDoor(Protocol):
    """Answers other states about private statistics of our own events (`flows.release`). A node without one answers
    CAPABILITY_MISSING. All three raise NotFoundOrNotPermitted, PolicyDenied, InputRefused and CapabilityMissing."""

    async def plan_release(self, ask: ReleaseAsk, call: CallContext) -> ReleasePlan:
        """What it would cost and how good it would be."""

    async def request_release(self, ask: ReleaseAsk, call: CallContext) -> ReleaseStanding:
        """Charge it and queue it, or join it. Raises BudgetExhausted, RequestReused."""

    async def get_release(self, ask: ReleaseAsk, call: CallContext) -> ReleaseStanding:
        """How it stands, with the peer's own document where it is ready."""


@dataclass(frozen=True, slots=True)
class ReleaseQuestion:
    """What a statistician asks: of whose events, and on which basis. `query` is a statistic's canonical form, b"" where
    a reference stands for it. Agency and role are those of the token."""

    request_id: RequestId
    owner: PeerId
    query: bytes
    purpose: Purpose
    legal_basis: str


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """A release as it stands in a list: whose events, asked for by whom, when (UTC ns)."""

    owner: PeerId
    recipient: PeerId
    reference: bytes
    query: bytes
    state: ReleaseState
    asked_ns: int


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One account of a data set of our own, micro-rho. `shares` are (peer, its share, what it caused)."""

    dataset: str
    unit: str
    period: str
    cap: int
    spent: int
    shares: tuple[tuple[PeerId, int, int], ...]


class ReleaseDoor(Protocol):
    """The statistician's side of releases at the home listener. A node without one answers CAPABILITY_MISSING."""

    async def plan(self, question: ReleaseQuestion, call: HomeCall) -> ReleasePlan:
        """What it would cost. Raises NotFoundOrNotPermitted, PolicyDenied, InputRefused, PeerUnreachable."""

    async def request(self, question: ReleaseQuestion, call: HomeCall) -> ReleaseStanding:
        """Ask for it. Raises BudgetExhausted besides."""

    async def get(self, question: ReleaseQuestion, reference: bytes, call: HomeCall) -> ReleaseStanding:
        """How it stands, with the document where it is ready."""

    async def releases(self, call: HomeCall) -> Sequence[ReleaseLine]:
        """Those asked for here or made here, newest first."""

    async def budget(self, call: HomeCall) -> Sequence[BudgetLine]:
        """Every account that was declared or charged."""


# -- Auditors ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditCall:
    """One call of an auditor's, identified by certificate."""

    client: Identity
    now_ns: int
    deadline_ns: int


class AuditDoor(Protocol):
    """Shows the log. Sizes and indexes past the published checkpoint raise NotFoundOrNotPermitted."""

    async def checkpoint(self, call: AuditCall) -> bytes:
        """The newest published checkpoint with its cosignatures (a signed note)."""

    async def entries(self, reading: Reading, call: AuditCall) -> Sequence[bytes]:
        """The leaves, at least one. Raises PolicyDenied."""

    async def reveal(
        self, seq: int, purpose: str, signatures: Sequence[PersonalSignature], call: AuditCall
    ) -> tuple[bytes, bytes]:
        """(leaf, sealed payload) of an entry that two persons have signed for. Raises PolicyDenied."""

    async def inclusion(self, index: int, size: int, call: AuditCall) -> Sequence[bytes]:
        """RFC 6962 section 2.1.1."""

    async def consistency(self, old_size: int, new_size: int, call: AuditCall) -> Sequence[bytes]:
        """RFC 6962 section 2.1.2."""
