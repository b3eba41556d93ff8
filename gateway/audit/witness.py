"""What a witness must judge before it signs (C2SP tlog-witness). Each refusal has the specification's code.

The codes are the `step` of the VerificationFailed that is raised, so that they survive the way between processes; for a
conflict its `position` is the size the witness holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit import merkle
from gateway.errors import VerificationFailed

OLD_SIZE: Final = "old_size"
"""409: `old_size` is not the size cosigned last; `position` is that size. Also equal sizes with two roots."""

BAD_REQUEST: Final = "bad_request"
"""400: the old size is larger than the checkpoint's."""

PROOF: Final = "proof"
"""422: the consistency proof does not hold."""

PROOF_HASHES_MAX: Final = 63
"""Most hashes in a proof; the specification's bound."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest head of one log that this witness has cosigned."""

    size: int
    root: bytes = field(repr=False)


def judge(seen: Seen | None, old_size: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Say whether a head may replace the one seen last.

    The caller holds the record still between this and storing the new head: two requests that are judged against the
    same old head and stored in the other order would roll the log back.

    Raises:
        VerificationFailed: step `BAD_REQUEST`, `OLD_SIZE` or `PROOF`.
    """
    if old_size > size:
        raise VerificationFailed(BAD_REQUEST, "the old size is larger than the checkpoint")
    held = Seen(0, merkle.EMPTY_ROOT) if seen is None else seen
    if old_size != held.size:
        raise VerificationFailed(OLD_SIZE, "the old size is not the size cosigned last", position=held.size)
    if old_size == size:
        if seen is not None and root != held.root:
            raise VerificationFailed(OLD_SIZE, "two roots for one size", position=held.size)
        if size == 0 and root != merkle.EMPTY_ROOT:
            raise VerificationFailed(PROOF, "an empty tree with another root")
        if proof:
            raise VerificationFailed(PROOF, "equal sizes take no proof")
        return
    if old_size == 0:
        if proof:
            raise VerificationFailed(PROOF, "from the empty tree there is nothing to prove")
        return
    if len(proof) > PROOF_HASHES_MAX:
        raise VerificationFailed(PROOF, "the proof is too long")
    try:
        merkle.verify_consistency(old_size, size, held.root, root, proof)
    except VerificationFailed as why:
        raise VerificationFailed(PROOF, why.why) from None
