"""What an auditor's system and a gateway say to each other: bytes to terms and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.errors import Malformed
from gateway.rpc.convert import shape
from gateway.wire.v1 import audit_pb2

SMALL_BYTES_MAX: Final = 256
NOTE_BYTES_MAX: Final = 16_384
ENTRIES_MAX: Final = 1_000
ENTRIES_BYTES_MAX: Final = 64 << 20
PROOF_HASHES_MAX: Final = 64

GET_CHECKPOINT: Final = "/gateway.wire.v1.AuditService/GetCheckpoint"
GET_ENTRIES: Final = "/gateway.wire.v1.AuditService/GetEntries"
GET_INCLUSION_PROOF: Final = "/gateway.wire.v1.AuditService/GetInclusionProof"
GET_CONSISTENCY_PROOF: Final = "/gateway.wire.v1.AuditService/GetConsistencyProof"

_SIZE_MAX = (1 << 63) - 1


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


def encode_entries_request(start: int, count: int) -> bytes:
    """The exact body."""
    return audit_pb2.GetEntriesRequest(start=start, count=count).SerializeToString()


def entries_request(body: bytes) -> tuple[int, int]:
    """(start, count). Raises Malformed."""
    wire = shape.parse(audit_pb2.GetEntriesRequest, body, SMALL_BYTES_MAX)
    return shape.whole("start", wire.start, 0, _SIZE_MAX), shape.whole("count", wire.count, 1, ENTRIES_MAX)


def encode_entries(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """(leaf, sealed payload or nothing) each, as a reply's body."""
    kinds = audit_pb2.GetEntriesResponse
    return kinds(entries=[kinds.LogEntry(leaf=leaf, payload=payload) for leaf, payload in entries]).SerializeToString()


def entries(body: bytes, count: int) -> list[tuple[bytes, bytes]]:
    """(leaf, payload) of at most as many entries as were asked for. Raises Malformed."""
    wire = shape.parse(audit_pb2.GetEntriesResponse, body, ENTRIES_BYTES_MAX)
    shape.count("entries", wire.entries, 1, count)
    if any(not entry.leaf for entry in wire.entries):
        raise Malformed("entries.leaf", "empty")
    return [(entry.leaf, entry.payload) for entry in wire.entries]


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
