"""What flows need from the world: small promises, each with its durability and its failures.

Every port has one in-memory implementation that ships (the plainest statement of the promise) and one contract suite in
`tests/ports` that every implementation passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gateway.audit.entry import Entry
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question
from gateway.statistics.bounding import Bounded, BoundingSpec, Source
from gateway.statistics.domain import KeyDomain
from gateway.terms.exchange import CheckReply, CheckRequest, Delta, KeyScope, Manifest, SignedMessage
from gateway.terms.ids import EpochId, PeerId, PurposeGroup, RequestId
from gateway.terms.words import ListId

T = TypeVar("T")


class Clock(Protocol):
    """Time, as arguments' source. One reading a flow."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970; never goes back within a process."""

    def monotonic_ns(self) -> int:
        """For deadlines and ticks only."""

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Return at the given monotonic time, not before."""


class Chance(Protocol):
    """Randomness for seeds and ids; cryptographic."""

    def token(self, size: int) -> bytes:
        """`size` fresh random bytes."""


class Compute(Protocol):
    """Where a pure function runs: inline under about 1 ms, a worker process above (decision 1)."""

    async def run(self, fn: Callable[..., T], *values: Any, heavy: bool = False) -> T:
        """`fn(*values)`; values and result are plain bytes, numbers and tuples of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One named change of the node's database, applied in the same transaction as the entries.

    `name` is a row of `store.changes.CHANGES`; `args` are CBOR values. A refused change raises its error and undoes
    the whole unit, entries included.
    """

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Committed:
    """What the writer assigned, in the order of the entries: index in the log, number in the pair's sequence
    (0 where the entry names no peer), the time written into the leaf, UTC ns, and the leaf's hash, 32 bytes, which is
    the entry's name towards the other state."""

    seqs: tuple[int, ...]
    pair_seqs: tuple[int, ...]
    times_ns: tuple[int, ...]
    hashes: tuple[bytes, ...]


class UnitOfWork(Protocol):
    """The one door to the node's database and log (ARCHITECTURE, processes)."""

    async def commit(self, entries: Sequence[Entry], changes: Sequence[Change] = ()) -> Committed:
        """Store entries and changes in one transaction; returns once a power cut cannot lose them.

        Raises:
            AuditUnavailable: nothing was stored, or it cannot be known: nothing may be revealed.
            QuotaExhausted, RequestReused, VersionMoved, PolicyDenied: a change refused; nothing was stored.
        """


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply kept for idempotency for 24 h: the exact signed bytes, and the hash of the request they answer."""

    request_hash: bytes = field(repr=False)
    message: SignedMessage


class Replies(Protocol):
    """Replies already given to peers. Read-only here; written by the change `reply.put`."""

    def find(self, peer: PeerId, method: str, leg_id: RequestId, batch: int) -> StoredReply | None:
        """The reply stored under this idempotency key, or None."""


@dataclass(frozen=True, slots=True)
class PolicyVersions:
    """SHA-256 digests of the active bundles; in every entry and on the wire."""

    baseline: bytes
    national: bytes


class PolicyEngine(Protocol):
    """The rules, both layers, combined (decision 3)."""

    async def decide(self, question: Question) -> Permit | Deny:
        """Never raises for a rule's sake: anything undefined, missing, broken or expired is a Deny."""

    def versions(self) -> PolicyVersions:
        """The bundles in force. Raises PolicyUnavailable when there are none."""


@dataclass(frozen=True, slots=True)
class ReplyFrame:
    """What the key process needs to finish and sign a reply without knowing the wire format.

    The body is `before + evaluated_tag + <evaluated> + proof_tag + <proof>`; tags are the caller's field keys with
    lengths. `header_fields` are the canonical header's values except the body digest (docs/protocol/envelope.md).
    """

    before: bytes = field(repr=False)
    evaluated_tag: bytes
    proof_tag: bytes
    header_fields: Mapping[str, Any]


class Keys(Protocol):
    """The key process: operations, never keys. Every failure is KeysUnavailable unless said otherwise."""

    async def evaluate_and_sign(self, scope: KeyScope, blinded: bytes, frame: ReplyFrame) -> SignedMessage:
        """Evaluate every element under the scope's key, prove it (RFC 9497 section 2.2, mode 1), build and sign.

        Raises:
            Malformed: an element is not a canonical ristretto255 encoding, or is the identity.
            EpochRefused: no key for this scope.
        """

    async def sign(self, header_fields: Mapping[str, Any], body: bytes) -> SignedMessage:
        """Sign a message to a peer under the state's message key."""

    async def sign_note(self, text: bytes) -> bytes:
        """The checkpoint text signed with the log key: the whole signed note (C2SP signed-note)."""

    async def cosign(self, text: bytes, time_s: int) -> bytes:
        """A cosignature line for a peer's checkpoint text (C2SP tlog-cosignature, Ed25519)."""

    async def derive(self, scope: KeyScope, inputs: Sequence[bytes]) -> list[bytes]:
        """The 64-byte outputs for the owner's own inputs, to build a table."""

    async def handles(self, scope: KeyScope, entry_ids: Sequence[str]) -> list[bytes]:
        """8-byte handle of each entry: PRF(owner's key, peer, epoch, entry)."""

    async def public_key(self, scope: KeyScope) -> bytes:
        """The scope's OPRF public key, 32 bytes."""

    async def open_epoch(self, peer: PeerId, epoch: EpochId) -> None:
        """Draw and keep a fresh random seed for (peer, epoch). Idempotent."""

    async def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """Destroy every seed of the peer, or that of one epoch; returns how many. There is no way back (T3)."""

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        """An officer's token over these claims (`federation.token.claims`), signed with the token key.

        Raises:
            Malformed: they are not a token's claims.
        """

    async def public_keys(self) -> Mapping[str, bytes]:
        """The public halves by purpose: `message`, `log`, `token`, `witness`, Ed25519, 32 bytes each."""


class CaseKeys(Protocol):
    """The key process towards cases: what is sealed to the state's case key (X25519) is opened there alone."""

    async def open_case(self, sealed: Sequence[bytes]) -> list[bytes]:
        """Open sealed boxes (libsodium crypto_box_seal) that were made for our case key.

        Raises:
            VerificationFailed: step `sealed`: one was not made for this key, or was changed.
            KeysUnavailable: the key process did not answer.
        """

    async def seal_case(self, recipient: bytes, plain: Sequence[bytes]) -> list[bytes]:
        """Seal each to a case key (X25519, 32 bytes). 48 bytes longer than the plain one.

        Raises:
            Malformed: not a key.
            KeysUnavailable: the key process did not answer.
        """


class Peers(Protocol):
    """The client side towards other gateways. Implemented by `rpc.peers`; replies come back verified."""

    async def check(self, peer: PeerId, request: CheckRequest, *, timeout_s: float) -> CheckReply:
        """Send one batch and return its verified reply.

        Raises:
            PolicyDenied, PeerSuspended, QuotaExhausted, EpochRefused, CapabilityMissing, BaselineOutdated: it said so.
            PeerUnreachable: no answer, a late one, or one that cannot be trusted.
        """

    async def manifest(self, peer: PeerId, list_id: ListId, group: PurposeGroup, *, timeout_s: float) -> SignedManifest:
        """The peer's current manifest of the table made for us."""

    async def chunk(self, peer: PeerId, manifest: Manifest, number: int, *, timeout_s: float) -> bytes:
        """One chunk of that table; its hash is checked against the manifest by the caller."""

    async def deltas(self, peer: PeerId, scope: KeyScope, after: int, *, timeout_s: float) -> Sequence[SignedDelta]:
        """The deltas of the scope that follow number `after`, in order, as many as one reply holds; each one's own
        signature is verified, its place in the chain is the caller's to judge."""

    async def add_checkpoint(
        self, peer: PeerId, old_size: int, proof: Sequence[bytes], note: bytes, *, timeout_s: float
    ) -> bytes:
        """Ask the peer to witness our checkpoint; returns its cosignature line(s) (C2SP tlog-witness)."""


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest with the exact bytes its owner signed: kept, logged by hash, shown to an auditor."""

    manifest: Manifest
    message: SignedMessage


@dataclass(frozen=True, slots=True)
class SignedDelta:
    """A delta with the exact bytes its owner signed."""

    delta: Delta
    message: SignedMessage


class DeltaCopies(Protocol):
    """The deltas that we hold of others' tables. Read-only; written by the change `delta_copy.put`."""

    def after(self, scope: KeyScope, number: int) -> list[SignedDelta]:
        """Those of the scope with a higher number, in order."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What an owner signed (`shown`) against what it had signed before (`held`, None where there was nothing): anybody
    with its public key can judge the two. `step` says what is wrong, as the log's entry does."""

    step: str
    owner: PeerId
    shown: SignedManifest
    held: SignedManifest | None


class Tables(Protocol):
    """Encrypted tables, keyed by the other state: at the owner the peer each was made for, at the asker the owner each
    came from. One current (manifest, table) pair for each (other state, list, group)."""

    def current(self, other: PeerId, list_id: ListId, group: PurposeGroup) -> SignedManifest | None:
        """The manifest in use, or None when there is no table."""

    def find(self, other: PeerId, manifest: Manifest, tag: bytes) -> tuple[bytes, bytes] | None:
        """(16-byte table id, 48-byte sealed label) under a 16-byte tag, or None.

        The table that was current before is still looked in, for questions that were asked under it.

        Raises:
            NotFoundOrNotPermitted: the manifest's table is neither: under another key every tag would miss, and a
                miss must not be read out of that (docs/protocol/matching.md, the race).
        """

    def chunk(self, other: PeerId, manifest: Manifest, number: int) -> bytes:
        """One chunk of the current table. Raises NotFoundOrNotPermitted for another version or number."""

    def put(self, other: PeerId, signed: SignedManifest, table: bytes) -> None:
        """Store durably and make current. Raises VerificationFailed when the table is not the manifest's."""

    def prove(self, proof: Contradiction) -> None:
        """Keep, durably, what an owner signed and should not have. The same again changes nothing."""

    def drop(self, other: PeerId) -> int:
        """Delete every table of the other state's; returns how many. What proves a fault of it stays."""

    def all(self) -> list[SignedManifest]:
        """Every current manifest (`limen peer copies`)."""


class Entries(Protocol):
    """The state's own list entries, for building tables (jobs process only)."""

    def all(self, list_id: ListId) -> Iterator[bytes]:
        """Each live entry's canonical bytes (`watchlist.entry`), in entry id order."""


class StatisticsEngine(Protocol):
    """Counts events where they lie (jobs process only). Implemented by `engines.duckdb`."""

    def bounded_counts(self, spec: BoundingSpec, domain: KeyDomain, source: Source, salt: bytes) -> Bounded:
        """Exact bounded counts of every cell, deterministic in the arguments. Never to leave before noise.

        Raises:
            InputRefused: the events cannot be read; an empty file gives zeros.
        """
