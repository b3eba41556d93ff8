"""What two gateways say to each other in a check and about a table, in words instead of wire types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, PurposeGroup, RequestId
from gateway.terms.words import BATCH_CLASSES, EpochState, KeyType, ListId, Role

ELEMENT_BYTES = 32
"""A ristretto255 element (RFC 9496)."""


@dataclass(frozen=True, slots=True)
class KeyScope:
    """Which OPRF key: one per (list, purpose group, epoch, peer), held by the owner (T1; PROTOCOL, keys)."""

    owner: PeerId
    list_id: ListId
    group: PurposeGroup
    epoch: EpochId
    peer: PeerId


OVERLAP_NS: Final = 24 * 3600 * 10**9


def overlap_ns(epoch_ns: int) -> int:
    """How long the epoch before is still answered beside the active one: a day, of a short epoch half its life."""
    return min(OVERLAP_NS, epoch_ns // 2)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of one peer's keys. It is answered until it expires (UTC ns), whatever its state."""

    peer: PeerId
    epoch: EpochId
    state: EpochState
    expires_ns: int

    def is_ending(self, now_ns: int, epoch_ns: int) -> bool:
        """True where it is active and the next one is due: it ends within the overlap."""
        return self.state is EpochState.ACTIVE and self.expires_ns - overlap_ns(epoch_ns) <= now_ns


@dataclass(frozen=True, slots=True)
class Named:
    """Which of the sender's log entries a message rests on, so that its log can be held against the receiver's.

    `pair_seq` and `leaf_hash` (32 bytes) name the entry, which was durable before the message was signed; `about` is
    SHA-256 over what the message is about, as both logs have it in clear, so that neither can say otherwise later.
    """

    pair_seq: int
    leaf_hash: bytes = field(repr=False)
    about: bytes = field(repr=False)

    @property
    def value(self) -> list[int | bytes]:
        """As it stands in a header."""
        return [self.pair_seq, self.leaf_hash, self.about]


@dataclass(frozen=True, slots=True)
class Came:
    """How a message came in: SHA-512 of its exact body, and the sender's signed header over it, which stands in the log
    as the sender's own word. Where the header names the sender's entry (`named`), the answer names ours."""

    request_hash: bytes = b""
    header: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)
    named: Named | None = None


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """One leg's batch, asker to owner. Carries no field that is equal towards two owners.

    `blinded` is `32 * class_size` bytes, shuffled keys and dummies. `leg_id` is random per (check, owner).
    `batch` counts from 0; batch 0 declares `batches` and carries the whole charge. `seed_commitment` is SHA-512/256
    of the batch seed (T8). `pair_seq` numbers the asker's messages to this owner. Digests are SHA-256, 32 bytes.
    """

    leg_id: RequestId
    batch: int
    batches: int
    asker: PeerId
    owner: PeerId
    agency: AgencyId
    role: Role
    purpose: Purpose
    legal_basis: str
    list_id: ListId
    group: PurposeGroup
    epoch: EpochId
    key_types: tuple[KeyType, ...]
    known_version: int
    blinded: bytes = field(repr=False)
    seed_commitment: bytes = field(repr=False)
    pair_seq: int
    baseline_digest: bytes = field(repr=False)
    national_digest: bytes = field(repr=False)
    permit_expires_ns: int
    leaf_hash: bytes = field(default=b"", repr=False, compare=False)
    """Leaf hash of the asker's entry, which the header names; not in the body."""

    @property
    def about(self) -> dict[str, str | int]:
        """What both logs say of the question in clear."""
        return {
            "purpose": self.purpose,
            "basis": self.legal_basis,
            "agency": self.agency,
            "role": self.role.value,
            "list": self.list_id.value,
            "class": self.class_size,
            "batches": self.batches,
            "epoch": self.epoch,
        }

    @property
    def class_size(self) -> int:
        """Elements in this batch: one of `BATCH_CLASSES`."""
        return len(self.blinded) // ELEMENT_BYTES

    def __post_init__(self) -> None:
        if len(self.blinded) % ELEMENT_BYTES or self.class_size not in BATCH_CLASSES:
            raise ValueError("a batch has 8, 32, 320 or 1,280 elements")
        if not 0 <= self.batch < self.batches:
            raise ValueError("batch number outside the declared count")

    @property
    def scope(self) -> KeyScope:
        """The key this batch asks to be evaluated under."""
        return KeyScope(self.owner, self.list_id, self.group, self.epoch, self.asker)


@dataclass(frozen=True, slots=True)
class CheckReply:
    """The owner's answer to one batch: points only. Hit and no hit look alike because it never knew.

    `evaluated` is as long as the request's `blinded`; `proof` 64 bytes (RFC 9497, c then s). `delta_number` is the
    newest delta of the epoch made for the asker: it looks up in all of them, or counts the owner as unreachable.
    """

    request_hash: bytes = field(repr=False)
    evaluated: bytes = field(repr=False)
    proof: bytes = field(repr=False)
    epoch: EpochId
    table_version: int
    quota_left: int
    pair_seq: int
    delta_number: int = 0
    signed: tuple[bytes, bytes] = field(default=(b"", b""), repr=False, compare=False)
    """Header and signature that it came with: the owner's own word that it answered this question."""
    leaf_hash: bytes = field(default=b"", repr=False, compare=False)
    """Leaf hash of the owner's entry, for the header; b"" where the asker does not read it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an owner signs for each published table (PROTOCOL; psi.md message 0). One per (scope, version).

    `public_key` 32 bytes; `padded_count` entries of 64 bytes each; `table_hash` SHA-256 of the whole table file;
    `chunk_hashes` SHA-256 of each chunk of `chunk_bytes`; `previous` SHA-256 of the previous manifest's bytes or zeros.
    `source` is the owner's own digest of what the table was made from; it travels as 32 opaque bytes. The table has in
    it what the epoch's deltas up to `delta_number` said (0 for none); `delta_hash` is that delta's SHA-256, or zeros.
    """

    scope: KeyScope
    version: int
    public_key: bytes = field(repr=False)
    key_types: tuple[KeyType, ...]
    padded_count: int
    chunk_bytes: int
    chunk_hashes: tuple[bytes, ...] = field(repr=False)
    table_hash: bytes = field(repr=False)
    previous: bytes = field(repr=False)
    made_ns: int
    expires_ns: int
    transfer_basis: str
    source: bytes = field(default=bytes(32), repr=False)
    delta_number: int = 0
    delta_hash: bytes = field(default=bytes(32), repr=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in a table since its manifest: one of a chain for each scope, numbered from 1.

    `delta_id` 16 random bytes; `previous` SHA-256 of the delta before it, or zeros; `rows` 64 rows of 64 bytes
    (`pseudonym.delta`).
    """

    scope: KeyScope
    number: int
    delta_id: bytes = field(repr=False)
    previous: bytes = field(repr=False)
    rows: bytes = field(repr=False)
    made_ns: int


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """Exact bytes with their header: what travels between gateways (decision 10; docs/protocol/envelope.md).

    `header` and `signature` go in binary metadata, `body` is the protobuf message.
    """

    body: bytes = field(repr=False)
    header: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a check would be asked under, put to the rules alone (`limen peer test`): no traveller, no charge."""

    purpose: Purpose
    legal_basis: str
    agency: AgencyId
    role: Role


@dataclass(frozen=True, slots=True)
class DryRunDecision:
    """What the rules of one side say to it. `reasons` are codes, empty where it is permitted."""

    permitted: bool
    reasons: tuple[str, ...]
    agreement: str


@dataclass(frozen=True, slots=True)
class DescribeRequest:
    """A peer asks what we are, and perhaps what our rules would say."""

    request_id: RequestId
    dry_run: DryRun | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a gateway says of itself (`Describe`, decision 15). `methods` are paths of the peer methods it serves;
    `dry_run` is the answer to the request's, None where there was none."""

    state: PeerId
    release: str
    protocol_majors: tuple[int, ...]
    suites: tuple[str, ...]
    key_types: tuple[KeyType, ...]
    classes: tuple[int, ...]
    baseline_digest: bytes = field(repr=False)
    time_ns: int
    methods: tuple[str, ...] = ()
    dry_run: DryRunDecision | None = None


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """A peer asks for the manifest of the table made for it."""

    request_id: RequestId
    owner: PeerId
    list_id: ListId
    group: PurposeGroup


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """A peer asks for one chunk, counted from 0, of the table that a manifest of its own names."""

    request_id: RequestId
    scope: KeyScope
    version: int
    number: int


@dataclass(frozen=True, slots=True)
class DeltasRequest:
    """A peer asks for the deltas of its own scope that follow number `after`."""

    request_id: RequestId
    scope: KeyScope
    after: int


@dataclass(frozen=True, slots=True)
class PairHeadRequest:
    """A peer asks where our entries about it stand, and for the hashes of those that our messages named to it."""

    request_id: RequestId
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairHead:
    """Where the entries about the asker stand in the answerer's published tree.

    `note` is the checkpoint, `leaf` the last entry of its tree with its inclusion `proof`; `count` entries are about
    the asker and the last has the hash `head`, which `salt` and `siblings` open. Numbers from `reached` on were looked
    for; `hashes` are in the order of the request's numbers, b"" for what is not there.
    """

    note: bytes = field(repr=False)
    leaf: bytes = field(repr=False)
    proof: tuple[bytes, ...] = field(repr=False)
    count: int
    head: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    siblings: tuple[bytes, ...] = field(repr=False)
    reached: int
    hashes: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """A peer asks to be witnessed (C2SP tlog-witness). `proof` are 32-byte hashes, `note` a signed note."""

    request_id: RequestId
    old_size: int
    proof: tuple[bytes, ...] = field(repr=False)
    note: bytes = field(repr=False)
