"""What an auditor's system and a gateway say to each other: bytes to terms and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.errors import Malformed
from gateway.federation.statement import PersonalSignature
from gateway.flows.auditing import Reading
from gateway.rpc.convert import shape
from gateway.rpc.convert.home import signature, signature_out
from gateway.wire.v1 import audit_pb2

SMALL_BYTES_MAX: Final = 2_048
REVEAL_BYTES_MAX: Final = 16_384
WORD_CHARACTERS_MAX: Final = 32
FILTERS_MAX: Final = 24
SIGNATURES: Final = 2
NOTE_BYTES_MAX: Final = 16_384
ENTRIES_MAX: Final = 1_000
ENTRIES_BYTES_MAX: Final = 64 << 20
PROOF_HASHES_MAX: Final = 64

GET_CHECKPOINT: Final = "/gateway.wire.v1.AuditService/GetCheckpoint"
GET_ENTRIES: Final = "/gateway.wire.v1.AuditService/GetEntries"
REVEAL_ENTRY: Final = "/gateway.wire.v1.AuditService/RevealEntry"
GET_INCLUSION_PROOF: Final = "/gateway.wire.v1.AuditService/GetInclusionProof"
GET_CONSISTENCY_PROOF: Final = "/gateway.wire.v1.AuditService/GetConsistencyProof"

_SIZE_MAX = (1 << 63) - 1
_FILTER = re.compile(r"[a-z_]{1,24}\Z")


def checkpoint_request(body: bytes) -> None:
    """Raises Malformed."""
    shape.parse(audit_pb2.GetCheckpointRequest, body, SMALL_BYTES_MAX)


def encode_checkpoint(note: bytes) -> bytes:
    """A reply's body."""
    return audit_pb2.GetCheckpointResponse(note=note).SerializeToString()


def checkpoint(body: bytes) -> bytes:
    """The signed note. Raises Malformed."""
    wire = shape.parse(audit_pb2.GetCheckpointResponse, body, NOTE_BYTES_MAX + 16)
    return shape.sized("note", wire.note, 1, NOTE_BYTES_MAX)


def encode_entries_request(reading: Reading) -> bytes:
    """The exact body."""
    return audit_pb2.GetEntriesRequest(
        start=reading.start, count=reading.count, purpose=reading.purpose, filters=reading.filters
    ).SerializeToString()


def entries_request(body: bytes) -> Reading:
    """What is asked for. Whether the purpose is one is for the flow to say. Raises Malformed."""
    wire = shape.parse(audit_pb2.GetEntriesRequest, body, SMALL_BYTES_MAX)
    shape.count("filters", wire.filters, 0, FILTERS_MAX)
    return Reading(
        shape.whole("start", wire.start, 0, _SIZE_MAX),
        shape.whole("count", wire.count, 1, ENTRIES_MAX),
        shape.text("purpose", wire.purpose, 0, WORD_CHARACTERS_MAX),
        tuple(shape.pattern("filters", name, _FILTER) for name in wire.filters),
    )


def encode_reveal_request(seq: int, purpose: str, signatures: Sequence[PersonalSignature]) -> bytes:
    """The exact body."""
    signed = [signature_out(one) for one in signatures]
    return audit_pb2.RevealEntryRequest(index=seq, purpose=purpose, signatures=signed).SerializeToString()


def reveal_request(body: bytes) -> tuple[int, str, tuple[PersonalSignature, ...]]:
    """(index, purpose, two signatures). Raises Malformed."""
    wire = shape.parse(audit_pb2.RevealEntryRequest, body, REVEAL_BYTES_MAX)
    shape.count("signatures", wire.signatures, SIGNATURES, SIGNATURES)
    return (
        shape.whole("index", wire.index, 0, _SIZE_MAX),
        shape.text("purpose", wire.purpose, 0, WORD_CHARACTERS_MAX),
        tuple(signature(one) for one in wire.signatures),
    )


def encode_revealed(leaf: bytes, payload: bytes) -> bytes:
    """A reply's body."""
    return audit_pb2.RevealEntryResponse(leaf=leaf, payload=payload).SerializeToString()


def revealed(body: bytes) -> tuple[bytes, bytes]:
    """(leaf, sealed payload). Raises Malformed."""
    wire = shape.parse(audit_pb2.RevealEntryResponse, body, ENTRIES_BYTES_MAX)
    return shape.sized("leaf", wire.leaf, 1, 1 << 16), shape.sized("payload", wire.payload, 1, ENTRIES_BYTES_MAX)


def encode_entries(leaves: Sequence[bytes]) -> bytes:
    """Leaves, as a reply's body."""
    kinds = audit_pb2.GetEntriesResponse
    return kinds(entries=[kinds.LogEntry(leaf=leaf) for leaf in leaves]).SerializeToString()


def entries(body: bytes, count: int) -> list[bytes]:
    """At most as many leaves as were asked for. Raises Malformed."""
    wire = shape.parse(audit_pb2.GetEntriesResponse, body, ENTRIES_BYTES_MAX)
    shape.count("entries", wire.entries, 1, count)
    if any(not entry.leaf for entry in wire.entries):
        raise Malformed("entries.leaf", "empty")
    return [entry.leaf for entry in wire.entries]


def encode_inclusion_request(index: int, size: int) -> bytes:
    """The exact body."""
    return audit_pb2.GetInclusionProofRequest(index=index, size=size).SerializeToString()


def inclusion_request(body: bytes) -> tuple[int, int]:
    """(index, size). Raises Malformed."""
    wire = shape.parse(audit_pb2.GetInclusionProofRequest, body, SMALL_BYTES_MAX)
    size = shape.whole("size", wire.size, 1, _SIZE_MAX)
    return shape.whole("index", wire.index, 0, size - 1), size


def encode_consistency_request(old_size: int, new_size: int) -> bytes:
    """The exact body."""
    return audit_pb2.GetConsistencyProofRequest(old_size=old_size, new_size=new_size).SerializeToString()


def consistency_request(body: bytes) -> tuple[int, int]:
    """(old size, new size). Raises Malformed."""
    wire = shape.parse(audit_pb2.GetConsistencyProofRequest, body, SMALL_BYTES_MAX)
    new_size = shape.whole("new_size", wire.new_size, 1, _SIZE_MAX)
    return shape.whole("old_size", wire.old_size, 1, new_size), new_size


def encode_inclusion(hashes: Sequence[bytes]) -> bytes:
    """A reply's body."""
    return audit_pb2.GetInclusionProofResponse(hashes=hashes).SerializeToString()


def inclusion(body: bytes) -> list[bytes]:
    """Hashes from the leaf upwards. Raises Malformed."""
    return _hashes(shape.parse(audit_pb2.GetInclusionProofResponse, body, 8_192).hashes)


def encode_consistency(hashes: Sequence[bytes]) -> bytes:
    """A reply's body."""
    return audit_pb2.GetConsistencyProofResponse(hashes=hashes).SerializeToString()


def consistency(body: bytes) -> list[bytes]:
    """The proof's hashes. Raises Malformed."""
    return _hashes(shape.parse(audit_pb2.GetConsistencyProofResponse, body, 8_192).hashes)


def _hashes(values: Sequence[bytes]) -> list[bytes]:
    shape.count("hashes", values, 0, PROOF_HASHES_MAX)
    return [shape.fixed("hashes", value, 32) for value in values]
