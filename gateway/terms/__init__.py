"""The shared words. Standard library only; every other package may import this one.

One word, one meaning, the same in proto, code, Rego, documents and log (docs/glossary.md).
"""

from gateway.terms.hidden import Hidden
from gateway.terms.ids import (
    AgencyId,
    EpochId,
    OfficerId,
    PeerId,
    Purpose,
    PurposeGroup,
    RequestId,
    peer_id,
)
from gateway.terms.words import (
    BATCH_CLASSES,
    Action,
    AsylumState,
    Handling,
    KeyType,
    ListId,
    MatchClass,
    Outcome,
    ProtectionTag,
    RecordKind,
    Role,
)

__all__ = [
    "BATCH_CLASSES",
    "Action",
    "AgencyId",
    "AsylumState",
    "EpochId",
    "Handling",
    "Hidden",
    "KeyType",
    "ListId",
    "MatchClass",
    "OfficerId",
    "Outcome",
    "PeerId",
    "ProtectionTag",
    "Purpose",
    "PurposeGroup",
    "RecordKind",
    "RequestId",
    "Role",
    "peer_id",
]
