"""Two signed checkpoints of one log that cannot both be true: a proof of misbehaviour that anybody can check.

A log has one root for each size. Whoever holds two notes of one size with two roots, both signed by the log's key, can
show to everybody that its operator has shown two logs; nothing else is needed, neither log nor witness.
"""

from __future__ import annotations

from gateway.audit import checkpoint, note
from gateway.errors import VerificationFailed


def is_forked(one: bytes, other: bytes, key: note.Verifier) -> bool:
    """True where the two notes prove that the log was forked. False: both are the log's, and both may be true.

    Notes of two sizes say nothing by themselves: whether the larger log goes on from the smaller one takes the log.

    Raises:
        Malformed: a note cannot be read.
        VerificationFailed: step `fork`: a note is not of this log, or its key has not signed it.
    """
    heads = []
    for noted in (one, other):
        parsed = note.parse(noted)
        head = checkpoint.parse(parsed.text)
        if head.origin != key.name or not note.verify(parsed, [key]):
            raise VerificationFailed("fork", f"a note of {head.size} entries is not signed by the log's key")
        heads.append(head)
    return heads[0].size == heads[1].size and heads[0].root != heads[1].root
