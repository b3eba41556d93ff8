"""Messages between gateways: bytes to terms and back. The only judge of their shape (ARCHITECTURE, decision 10).

Everything here runs after the signature over the bytes was verified.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit import pairs
from gateway.errors import Malformed
from gateway.federation import envelope
from gateway.ports import ReplyFrame, SignedDelta, SignedManifest
from gateway.rpc.convert import shape, words
from gateway.terms.exchange import (
    ELEMENT_BYTES,
    CheckpointRequest,
    CheckReply,
    CheckRequest,
    ChunkRequest,
    Delta,
    DeltasRequest,
    DescribeRequest,
    Description,
    DryRun,
    DryRunDecision,
    KeyScope,
    Manifest,
    ManifestRequest,
    Named,
    PairHead,
    PairHeadRequest,
    SignedMessage,
)
from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, PurposeGroup
from gateway.terms.words import BATCH_CLASSES
from gateway.wire.v1 import describe_pb2, vocabulary_pb2, watchlist_pb2, witness_pb2

SUITE: Final = "voprf/ristretto255-sha512"
"""The one suite of this release, as `Description.suites` names it (RFC 9497, mode 1)."""

CHECK_BYTES_MAX: Final = 49_152
SMALL_BYTES_MAX: Final = 1_024
CHECKPOINT_BYTES_MAX: Final = 16_384
MANIFEST_BYTES_MAX: Final = 262_144
CHUNK_BYTES_MAX: Final = 1 << 20
REPLY_BYTES_MAX: Final = CHUNK_BYTES_MAX + 4_096

BATCHES_MAX: Final = 64
PROOF_BYTES: Final = 64
ENTRY_BYTES: Final = 64
NOTE_BYTES_MAX: Final = 8_192
COSIGNATURE_BYTES_MAX: Final = 4_096
NUMBERS_MAX: Final = 64
"""Entries that one question about a pair names."""
HEADS_LEAF_BYTES_MAX: Final = 1_024
CHUNKS_MAX: Final = 4_096
DELTA_BYTES_MAX: Final = 5_120
DELTA_ROWS_BYTES: Final = 64 * ENTRY_BYTES
DELTAS_MAX: Final = 32
"""Deltas in one reply."""
CHUNK_BYTES_MIN: Final = 1_024

_SUITES_OUT = {SUITE: vocabulary_pb2.SUITE_VOPRF_RISTRETTO255_SHA512}
_SUITES_IN = {int(number): name for name, number in _SUITES_OUT.items()}
_EVALUATED_KEY = bytes([14 << 3 | 2])
_PROOF_TAG = bytes([15 << 3 | 2, PROOF_BYTES])
_COSIGNATURES = re.compile(rb"(?:\xe2\x80\x94 [\x21-\x7e]{1,200} [A-Za-z0-9+/]{1,400}={0,2}\n){1,16}\Z")


# -- Check ------------------------------------------------------------------------------------------------------------


def encode_check_request(request: CheckRequest) -> bytes:
    """The exact body that is hashed, signed and sent."""
    return watchlist_pb2.CheckRequest(
        request_id=request.leg_id.value,
        batch=request.batch,
        batches=request.batches,
        asker=request.asker,
        owner=request.owner,
        agency=request.agency,
        role=words.ROLE_OUT[request.role],
        purpose=request.purpose,
        legal_basis=request.legal_basis,
        list=words.LIST_OUT[request.list_id],
        group=request.group,
        epoch=request.epoch,
        key_types=[words.KEY_TYPE_OUT[key_type] for key_type in request.key_types],
        known_table_version=request.known_version,
        suite=vocabulary_pb2.SUITE_VOPRF_RISTRETTO255_SHA512,
        seed_commitment=request.seed_commitment,
        pair_sequence=request.pair_seq,
        policy=vocabulary_pb2.BundleDigests(baseline=request.baseline_digest, national=request.national_digest),
        permit_expires_ns=request.permit_expires_ns,
        blinded=request.blinded,
    ).SerializeToString()


def check_request(body: bytes) -> CheckRequest:
    """Raises Malformed."""
    wire = shape.parse(watchlist_pb2.CheckRequest, body, CHECK_BYTES_MAX)
    batches = shape.whole("batches", wire.batches, 1, BATCHES_MAX)
    policy = wire.policy
    _suite(wire.suite)
    shape.count("key_types", wire.key_types, 1, 16)
    # In the order of the fields and without their names: this is every check, and names double what building costs.
    return CheckRequest(
        shape.request_id(wire.request_id),
        shape.whole("batch", wire.batch, 0, batches - 1),
        batches,
        shape.state("asker", wire.asker),
        shape.state("owner", wire.owner),
        AgencyId(shape.pattern("agency", wire.agency, shape.AGENCY)),
        shape.word("role", wire.role, words.ROLE_IN),
        Purpose(shape.pattern("purpose", wire.purpose, shape.PURPOSE)),
        shape.text("legal_basis", wire.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
        shape.word("list", wire.list, words.LIST_IN),
        PurposeGroup(shape.pattern("group", wire.group, shape.PURPOSE)),
        EpochId(shape.pattern("epoch", wire.epoch, shape.EPOCH)),
        shape.words("key_types", wire.key_types, words.KEY_TYPE_IN),
        wire.known_table_version,
        _points("blinded", wire.blinded),
        shape.fixed("seed_commitment", wire.seed_commitment, 32),
        shape.whole("pair_sequence", wire.pair_sequence, 1, (1 << 63) - 1),
        shape.fixed("policy.baseline", policy.baseline, 32),
        shape.fixed("policy.national", policy.national, 32),
        shape.time_ns("permit_expires_ns", wire.permit_expires_ns),
    )


def check_reply(body: bytes, request_hash: bytes) -> CheckReply:
    """`request_hash` is the verified header's. Raises Malformed."""
    wire = shape.parse(watchlist_pb2.CheckResponse, body, CHECK_BYTES_MAX)
    return CheckReply(
        request_hash=shape.fixed("request_hash", request_hash, envelope.HASH_BYTES),
        evaluated=_points("evaluated", wire.evaluated),
        proof=shape.fixed("proof", wire.proof, PROOF_BYTES),
        epoch=EpochId(shape.pattern("epoch", wire.epoch, shape.EPOCH)),
        table_version=wire.table_version,
        quota_left=wire.quota_left,
        pair_seq=shape.whole("pair_sequence", wire.pair_sequence, 1, (1 << 63) - 1),
        delta_number=shape.whole("delta_number", wire.delta_number, 0, (1 << 63) - 1),
    )


def encode_check_reply(reply: CheckReply) -> bytes:
    """A whole reply body. The gateway itself sends what the key process makes from `Sender.frame`, the same bytes."""
    return watchlist_pb2.CheckResponse(
        epoch=reply.epoch,
        table_version=reply.table_version,
        quota_left=reply.quota_left,
        pair_sequence=reply.pair_seq,
        delta_number=reply.delta_number,
        evaluated=reply.evaluated,
        proof=reply.proof,
    ).SerializeToString()


# -- Tables -----------------------------------------------------------------------------------------------------------


def encode_manifest_request(request: ManifestRequest) -> bytes:
    """The exact body."""
    return watchlist_pb2.GetManifestRequest(
        request_id=request.request_id.value,
        owner=request.owner,
        list=words.LIST_OUT[request.list_id],
        group=request.group,
    ).SerializeToString()


def manifest_request(body: bytes) -> ManifestRequest:
    """Raises Malformed."""
    wire = shape.parse(watchlist_pb2.GetManifestRequest, body, SMALL_BYTES_MAX)
    return ManifestRequest(
        request_id=shape.request_id(wire.request_id),
        owner=shape.state("owner", wire.owner),
        list_id=shape.word("list", wire.list, words.LIST_IN),
        group=PurposeGroup(shape.pattern("group", wire.group, shape.PURPOSE)),
    )


def encode_manifest_reply(signed: SignedMessage) -> bytes:
    """A manifest in its owner's standing signature, as a reply's body."""
    return watchlist_pb2.GetManifestResponse(
        manifest=signed.body, header=signed.header, signature=signed.signature
    ).SerializeToString()


def manifest_reply(body: bytes) -> SignedManifest:
    """The manifest and its own signed message, which the caller still has to verify. Raises Malformed."""
    wire = shape.parse(watchlist_pb2.GetManifestResponse, body, MANIFEST_BYTES_MAX + 2_048)
    message = SignedMessage(
        body=shape.sized("manifest", wire.manifest, 1, MANIFEST_BYTES_MAX),
        header=shape.sized("header", wire.header, 1, envelope.HEADER_BYTES_MAX),
        signature=shape.fixed("signature", wire.signature, 64),
    )
    return SignedManifest(manifest(message.body), message)


def encode_manifest(made: Manifest) -> bytes:
    """The exact body the owner signs."""
    return watchlist_pb2.Manifest(
        scope=_scope_out(made.scope),
        version=made.version,
        suite=vocabulary_pb2.SUITE_VOPRF_RISTRETTO255_SHA512,
        public_key=made.public_key,
        key_types=[words.KEY_TYPE_OUT[key_type] for key_type in made.key_types],
        padded_count=made.padded_count,
        chunk_bytes=made.chunk_bytes,
        chunk_hashes=made.chunk_hashes,
        table_hash=made.table_hash,
        previous=made.previous,
        made_ns=made.made_ns,
        expires_ns=made.expires_ns,
        transfer_basis=made.transfer_basis,
        source=made.source,
        delta_number=made.delta_number,
        delta_hash=made.delta_hash,
    ).SerializeToString()


def manifest(body: bytes) -> Manifest:
    """Key types of a newer release are passed over: what is left is what we can look up. Raises Malformed."""
    wire = shape.parse(watchlist_pb2.Manifest, body, MANIFEST_BYTES_MAX)
    _suite(wire.suite)
    shape.count("key_types", wire.key_types, 1, 16)
    shape.count("chunk_hashes", wire.chunk_hashes, 1, CHUNKS_MAX)
    made_ns = shape.time_ns("made_ns", wire.made_ns)
    expires_ns = shape.time_ns("expires_ns", wire.expires_ns)
    if expires_ns <= made_ns:
        raise Malformed("expires_ns", "not after made_ns")
    return Manifest(
        scope=_scope(wire.scope),
        version=shape.whole("version", wire.version, 1, (1 << 63) - 1),
        public_key=shape.fixed("public_key", wire.public_key, ELEMENT_BYTES),
        key_types=shape.words("key_types", wire.key_types, words.KEY_TYPE_IN, pass_over=True),
        padded_count=shape.whole("padded_count", wire.padded_count, 0, CHUNKS_MAX * CHUNK_BYTES_MAX // ENTRY_BYTES),
        chunk_bytes=shape.whole("chunk_bytes", wire.chunk_bytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX),
        chunk_hashes=tuple(shape.fixed("chunk_hashes", value, 32) for value in wire.chunk_hashes),
        table_hash=shape.fixed("table_hash", wire.table_hash, 32),
        previous=shape.fixed("previous", wire.previous, 32),
        made_ns=made_ns,
        expires_ns=expires_ns,
        transfer_basis=shape.text("transfer_basis", wire.transfer_basis, 1, shape.BASIS_CHARACTERS_MAX),
        source=shape.fixed("source", wire.source, 32),
        delta_number=shape.whole("delta_number", wire.delta_number, 0, (1 << 63) - 1),
        # An owner of the release before this one writes neither.
        delta_hash=shape.fixed("delta_hash", wire.delta_hash or bytes(32), 32),
    )


def encode_chunk_request(request: ChunkRequest) -> bytes:
    """The exact body."""
    return watchlist_pb2.GetTableChunkRequest(
        request_id=request.request_id.value,
        scope=_scope_out(request.scope),
        version=request.version,
        number=request.number,
    ).SerializeToString()


def chunk_request(body: bytes) -> ChunkRequest:
    """Raises Malformed."""
    wire = shape.parse(watchlist_pb2.GetTableChunkRequest, body, SMALL_BYTES_MAX)
    return ChunkRequest(
        request_id=shape.request_id(wire.request_id),
        scope=_scope(wire.scope),
        version=shape.whole("version", wire.version, 1, (1 << 63) - 1),
        number=shape.whole("number", wire.number, 0, CHUNKS_MAX - 1),
    )


def encode_chunk_reply(request: ChunkRequest, chunk: bytes) -> bytes:
    """The chunk that was asked for, as a reply's body."""
    return watchlist_pb2.GetTableChunkResponse(
        version=request.version, number=request.number, chunk=chunk
    ).SerializeToString()


def chunk_reply(body: bytes, version: int, number: int) -> bytes:
    """The chunk's bytes, for the version and number asked. Raises Malformed."""
    wire = shape.parse(watchlist_pb2.GetTableChunkResponse, body, REPLY_BYTES_MAX)
    if (wire.version, wire.number) != (version, number):
        raise Malformed("number", "another chunk than asked for")
    return shape.sized("chunk", wire.chunk, 1, CHUNK_BYTES_MAX)


def encode_delta(made: Delta) -> bytes:
    """The exact body the owner signs."""
    return watchlist_pb2.Delta(
        scope=_scope_out(made.scope),
        number=made.number,
        delta_id=made.delta_id,
        previous=made.previous,
        rows=made.rows,
        made_ns=made.made_ns,
    ).SerializeToString()


def delta(body: bytes) -> Delta:
    """Raises Malformed."""
    wire = shape.parse(watchlist_pb2.Delta, body, DELTA_BYTES_MAX)
    return Delta(
        scope=_scope(wire.scope),
        number=shape.whole("number", wire.number, 1, (1 << 63) - 1),
        delta_id=shape.fixed("delta_id", wire.delta_id, 16),
        previous=shape.fixed("previous", wire.previous, 32),
        rows=shape.fixed("rows", wire.rows, DELTA_ROWS_BYTES),
        made_ns=shape.time_ns("made_ns", wire.made_ns),
    )


def encode_deltas_request(request: DeltasRequest) -> bytes:
    """The exact body."""
    return watchlist_pb2.GetDeltasRequest(
        request_id=request.request_id.value, scope=_scope_out(request.scope), after=request.after
    ).SerializeToString()


def deltas_request(body: bytes) -> DeltasRequest:
    """Raises Malformed."""
    wire = shape.parse(watchlist_pb2.GetDeltasRequest, body, SMALL_BYTES_MAX)
    return DeltasRequest(
        request_id=shape.request_id(wire.request_id),
        scope=_scope(wire.scope),
        after=shape.whole("after", wire.after, 0, (1 << 63) - 1),
    )


def encode_deltas_reply(deltas: Sequence[SignedMessage]) -> bytes:
    """Deltas in their owner's standing signatures, as a reply's body."""
    return watchlist_pb2.GetDeltasResponse(
        deltas=[
            watchlist_pb2.GetDeltasResponse.SignedDelta(delta=one.body, header=one.header, signature=one.signature)
            for one in deltas
        ]
    ).SerializeToString()


def deltas_reply(body: bytes) -> list[SignedDelta]:
    """Each with its own signed message, which the caller still has to verify. Raises Malformed."""
    wire = shape.parse(watchlist_pb2.GetDeltasResponse, body, REPLY_BYTES_MAX)
    shape.count("deltas", wire.deltas, 1, DELTAS_MAX)
    messages = [
        SignedMessage(
            body=shape.sized("deltas.delta", one.delta, 1, DELTA_BYTES_MAX),
            header=shape.sized("deltas.header", one.header, 1, envelope.HEADER_BYTES_MAX),
            signature=shape.fixed("deltas.signature", one.signature, 64),
        )
        for one in wire.deltas
    ]
    return [SignedDelta(delta(message.body), message) for message in messages]


# -- Describe ---------------------------------------------------------------------------------------------------------


def encode_describe_request(request: DescribeRequest) -> bytes:
    """The exact body."""
    asked = request.dry_run
    wire = describe_pb2.DescribeRequest(request_id=request.request_id.value)
    if asked is not None:
        wire.dry_run.CopyFrom(
            describe_pb2.DryRun(
                purpose=asked.purpose,
                legal_basis=asked.legal_basis,
                agency=asked.agency,
                role=words.ROLE_OUT[asked.role],
            )
        )
    return wire.SerializeToString()


def describe_request(body: bytes) -> DescribeRequest:
    """Raises Malformed."""
    wire = shape.parse(describe_pb2.DescribeRequest, body, SMALL_BYTES_MAX)
    asked = wire.dry_run
    return DescribeRequest(
        shape.request_id(wire.request_id),
        DryRun(
            Purpose(shape.pattern("dry_run.purpose", asked.purpose, shape.PURPOSE)),
            shape.text("dry_run.legal_basis", asked.legal_basis, 1, shape.BASIS_CHARACTERS_MAX),
            AgencyId(shape.pattern("dry_run.agency", asked.agency, shape.AGENCY)),
            shape.word("dry_run.role", asked.role, words.ROLE_IN),
        )
        if wire.HasField("dry_run")
        else None,
    )


def encode_describe_reply(said: Description) -> bytes:
    """A description as a reply's body."""
    return describe_pb2.DescribeResponse(
        state=said.state,
        release=said.release,
        protocol_majors=said.protocol_majors,
        suites=[_SUITES_OUT[suite] for suite in said.suites],
        key_types=[words.KEY_TYPE_OUT[key_type] for key_type in said.key_types],
        classes=said.classes,
        methods=said.methods,
        baseline_digest=said.baseline_digest,
        time_ns=said.time_ns,
        dry_run=None
        if said.dry_run is None
        else describe_pb2.DryRunDecision(
            permitted=said.dry_run.permitted, reasons=said.dry_run.reasons, agreement=said.dry_run.agreement
        ),
    ).SerializeToString()


def describe_reply(body: bytes) -> Description:
    """Suites and key types of a newer release are passed over. Raises Malformed."""
    wire = shape.parse(describe_pb2.DescribeResponse, body, 16_384)
    shape.count("protocol_majors", wire.protocol_majors, 1, 8)
    shape.count("suites", wire.suites, 1, 8)
    shape.count("key_types", wire.key_types, 1, 32)
    shape.count("classes", wire.classes, 1, 8)
    shape.count("methods", wire.methods, 0, 64)
    if 0 in wire.suites:
        raise Malformed("suites", "unspecified")
    decided = wire.dry_run
    shape.count("dry_run.reasons", decided.reasons, 0, 64)
    return Description(
        state=shape.state("state", wire.state),
        release=shape.pattern("release", wire.release, shape.RELEASE),
        protocol_majors=tuple(wire.protocol_majors),
        suites=tuple(_SUITES_IN[number] for number in wire.suites if number in _SUITES_IN),
        key_types=shape.words("key_types", wire.key_types, words.KEY_TYPE_IN, pass_over=True),
        classes=tuple(wire.classes),
        baseline_digest=shape.fixed("baseline_digest", wire.baseline_digest, 32),
        time_ns=shape.time_ns("time_ns", wire.time_ns),
        methods=tuple(shape.pattern("methods", path, shape.PATH) for path in wire.methods),
        dry_run=DryRunDecision(
            permitted=decided.permitted,
            reasons=tuple(shape.pattern("dry_run.reasons", code, shape.REASON) for code in decided.reasons),
            agreement=shape.text("dry_run.agreement", decided.agreement, 0, 64),
        )
        if wire.HasField("dry_run")
        else None,
    )


# -- Witness ----------------------------------------------------------------------------------------------------------


def encode_checkpoint_request(request: CheckpointRequest) -> bytes:
    """The exact body."""
    return witness_pb2.AddCheckpointRequest(
        request_id=request.request_id.value, old_size=request.old_size, proof=request.proof, note=request.note
    ).SerializeToString()


def checkpoint_request(body: bytes) -> CheckpointRequest:
    """Raises Malformed."""
    wire = shape.parse(witness_pb2.AddCheckpointRequest, body, CHECKPOINT_BYTES_MAX)
    shape.count("proof", wire.proof, 0, 63)
    return CheckpointRequest(
        request_id=shape.request_id(wire.request_id),
        old_size=shape.whole("old_size", wire.old_size, 0, (1 << 63) - 1),
        proof=tuple(shape.fixed("proof", value, 32) for value in wire.proof),
        note=shape.sized("note", wire.note, 1, NOTE_BYTES_MAX),
    )


def encode_checkpoint_reply(result: bytes | int) -> bytes:
    """Cosignature lines, or the size the witness knows, as a reply's body."""
    if isinstance(result, bytes):
        return witness_pb2.AddCheckpointResponse(cosignatures=result).SerializeToString()
    return witness_pb2.AddCheckpointResponse(known_size=result).SerializeToString()


def checkpoint_reply(body: bytes) -> bytes | int:
    """Cosignature lines, or the size from which the proof must start. Raises Malformed."""
    wire = shape.parse(witness_pb2.AddCheckpointResponse, body, CHECKPOINT_BYTES_MAX)
    which = wire.WhichOneof("result")
    if which == "known_size":
        return shape.whole("known_size", wire.known_size, 0, (1 << 63) - 1)
    if which == "cosignatures":
        lines = shape.sized("cosignatures", wire.cosignatures, 1, COSIGNATURE_BYTES_MAX)
        if not _COSIGNATURES.match(lines):
            raise Malformed("cosignatures", "not signature lines")
        return lines
    raise Malformed("result", "not set")


def encode_pair_head_request(request: PairHeadRequest) -> bytes:
    """The exact body."""
    return witness_pb2.GetPairHeadRequest(
        request_id=request.request_id.value, numbers=request.numbers
    ).SerializeToString()


def pair_head_request(body: bytes) -> PairHeadRequest:
    """Raises Malformed."""
    wire = shape.parse(witness_pb2.GetPairHeadRequest, body, SMALL_BYTES_MAX)
    shape.count("numbers", wire.numbers, 0, NUMBERS_MAX)
    numbers = tuple(shape.whole("numbers", number, 1, (1 << 63) - 1) for number in wire.numbers)
    if any(later <= one for one, later in itertools.pairwise(numbers)):
        raise Malformed("numbers", "not rising")
    return PairHeadRequest(shape.request_id(wire.request_id), numbers)


def encode_pair_head(found: PairHead) -> bytes:
    """A reply's body."""
    return witness_pb2.GetPairHeadResponse(
        note=found.note,
        leaf=found.leaf,
        proof=found.proof,
        count=found.count,
        head=found.head,
        salt=found.salt,
        siblings=found.siblings,
        reached=found.reached,
        hashes=found.hashes,
    ).SerializeToString()


def pair_head(body: bytes, asked: int) -> PairHead:
    """The reply to a question that named `asked` numbers. Raises Malformed."""
    wire = shape.parse(witness_pb2.GetPairHeadResponse, body, CHECKPOINT_BYTES_MAX)
    shape.count("proof", wire.proof, 0, 63)
    count = shape.whole("count", wire.count, 0, (1 << 63) - 1)
    size = 32 if count else 0
    shape.count("siblings", wire.siblings, *(pairs.DEPTH if count else 0,) * 2)
    shape.count("hashes", wire.hashes, asked, asked)
    return PairHead(
        note=shape.sized("note", wire.note, 1, NOTE_BYTES_MAX),
        leaf=shape.sized("leaf", wire.leaf, 1, HEADS_LEAF_BYTES_MAX),
        proof=tuple(shape.fixed("proof", value, 32) for value in wire.proof),
        count=count,
        head=shape.fixed("head", wire.head, size),
        salt=shape.fixed("salt", wire.salt, size),
        siblings=tuple(shape.fixed("siblings", value, 32) for value in wire.siblings),
        reached=shape.whole("reached", wire.reached, 1, (1 << 63) - 1),
        hashes=tuple(shape.fixed("hashes", value, 32) if value else b"" for value in wire.hashes),
    )


# -- Who signs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sender:
    """A gateway as the signer of its messages: the values of its headers and the bodies they go with.

    `public_key` is the raw message key (32 bytes); `checkpoint` gives the SHA-256 of the last checkpoint published
    (`envelope.NO_CHECKPOINT` before the first).
    """

    state: PeerId
    public_key: bytes
    checkpoint: Callable[[], bytes]

    def request(self, method: str, receiver: PeerId, now_ns: int, named: Named | None = None) -> dict[str, Any]:
        """Header values of a request. `named` is our entry that it rests on, for a peer that reads it."""
        fields = envelope.request_fields(method, self.state, receiver, self.public_key, now_ns, self.checkpoint())
        return fields if named is None else fields | {"entry": named.value}

    def reply(self, method: str, receiver: PeerId, now_ns: int, request_hash: bytes) -> dict[str, Any]:
        """Header values of a reply."""
        return envelope.reply_fields(
            method, self.state, receiver, self.public_key, now_ns, self.checkpoint(), request_hash
        )

    def manifest(self, made: Manifest, now_ns: int) -> tuple[bytes, dict[str, Any]]:
        """Body and header values of a manifest, a standing document for its scope's peer."""
        return encode_manifest(made), self.request(envelope.MANIFEST, made.scope.peer, now_ns)

    def release(self, recipient: PeerId, now_ns: int) -> dict[str, Any]:
        """Header values of a release, a standing document for its recipient."""
        return self.request(envelope.RELEASE, recipient, now_ns)

    def delta(self, made: Delta, now_ns: int) -> tuple[bytes, dict[str, Any]]:
        """Body and header values of a delta, a standing document for its scope's peer."""
        return encode_delta(made), self.request(envelope.DELTA, made.scope.peer, now_ns)

    def frame(self, request: CheckRequest, reply: CheckReply, now_ns: int) -> ReplyFrame:
        """The reply's body around the points that only the key process can make.

        `before + evaluated_tag + evaluated + proof_tag + proof` is `encode_check_reply` of the finished reply.
        """
        size = len(request.blinded)
        length = bytearray()
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        length.append(size)
        before = watchlist_pb2.CheckResponse(
            epoch=reply.epoch,
            table_version=reply.table_version,
            quota_left=reply.quota_left,
            pair_sequence=reply.pair_seq,
            delta_number=reply.delta_number,
        ).SerializeToString()
        return ReplyFrame(
            before=before,
            evaluated_tag=_EVALUATED_KEY + bytes(length),
            proof_tag=_PROOF_TAG,
            header_fields=self.reply(CHECK, request.asker, now_ns, reply.request_hash)
            | ({"entry": named_reply(request, reply).value} if reply.leaf_hash else {}),
        )


def named_request(request: CheckRequest) -> Named | None:
    """The asker's entry as a question's header names it; None where the asker has not said which."""
    if not request.leaf_hash:
        return None
    return Named(request.pair_seq, request.leaf_hash, envelope.about(request.about))


def named_reply(request: CheckRequest, reply: CheckReply) -> Named:
    """The owner's entry as an answer's header names it."""
    return Named(reply.pair_seq, reply.leaf_hash, envelope.about(request.about))


def judge_named(named: Named | None, request: CheckRequest) -> None:
    """A question's header names the entry that its body names, and is about what its body says. Raises Malformed."""
    if named is not None and (named.pair_seq, named.about) != (request.pair_seq, envelope.about(request.about)):
        raise Malformed("header.entry", "is about another question than the body")


# -- Paths ------------------------------------------------------------------------------------------------------------

CHECK: Final = "/gateway.wire.v1.WatchlistService/Check"
GET_MANIFEST: Final = "/gateway.wire.v1.WatchlistService/GetManifest"
GET_TABLE_CHUNK: Final = "/gateway.wire.v1.WatchlistService/GetTableChunk"
GET_DELTAS: Final = "/gateway.wire.v1.WatchlistService/GetDeltas"
DESCRIBE: Final = "/gateway.wire.v1.DescribeService/Describe"
ADD_CHECKPOINT: Final = "/gateway.wire.v1.WitnessService/AddCheckpoint"
GET_PAIR_HEAD: Final = "/gateway.wire.v1.WitnessService/GetPairHead"


# -- Parts ------------------------------------------------------------------------------------------------------------


def _points(field: str, value: bytes) -> bytes:
    if len(value) % ELEMENT_BYTES or len(value) // ELEMENT_BYTES not in BATCH_CLASSES:
        raise Malformed(field, "not 8, 32, 320 or 1,280 points")
    return value


def _suite(number: int) -> None:
    if number not in _SUITES_IN:
        raise Malformed("suite", "not a word of this contract")


def _scope_out(scope: KeyScope) -> vocabulary_pb2.KeyScope:
    return vocabulary_pb2.KeyScope(
        owner=scope.owner,
        list=words.LIST_OUT[scope.list_id],
        group=scope.group,
        epoch=scope.epoch,
        peer=scope.peer,
    )


def _scope(wire: vocabulary_pb2.KeyScope) -> KeyScope:
    return KeyScope(
        owner=shape.state("scope.owner", wire.owner),
        list_id=shape.word("scope.list", wire.list, words.LIST_IN),
        group=PurposeGroup(shape.pattern("scope.group", wire.group, shape.PURPOSE)),
        epoch=EpochId(shape.pattern("scope.epoch", wire.epoch, shape.EPOCH)),
        peer=shape.state("scope.peer", wire.peer),
    )
