"""Which entry may be told to which peer (T1, T3, T10, T21).

Publishing a table is a disclosure: the recipient can ask about every entry in it, so it is decided entry by entry. The
rules' permit has come first; nothing here widens it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum

from gateway.people import codes
from gateway.people.origins import candidate_origins
from gateway.people.person import could_be_child
from gateway.terms.ids import PeerId
from gateway.terms.words import ListId, RecordKind
from gateway.watchlist.entry import NEVER_EXPORTED, ListEntry

CHILD_KINDS = frozenset({RecordKind.MISSING_CHILD, RecordKind.NATIONAL})
"""Kinds that may be about a child: a missing one, and a national whom nobody asks about as a child without a decision
that it is in the child's best interest (`policy.floors`)."""


class Withheld(StrEnum):
    """Why an entry is not told. Codes for the owner's own log, sealed; a peer never learns of an entry at all."""

    EXPIRED = "expired"
    KIND = "kind"
    PROVENANCE = "provenance"
    NOT_THE_ISSUER = "not_the_issuer"
    CHILD = "child"
    ORIGIN = "origin"
    ORIGINATOR = "originator"


def may_tell(entry: ListEntry, peer: PeerId, *, kinds: Collection[str], owner: PeerId, now_ns: int) -> Withheld | None:
    """None where the entry may stand in the peer's table; else why not.

    `kinds` are the record kinds by name that both layers of rules and the floors grant for this peer and purpose group.
    """
    today = datetime.fromtimestamp(now_ns / 1e9, tz=UTC).date()
    if not entry.is_valid(today):
        return Withheld.EXPIRED
    if entry.kind.name not in kinds:
        return Withheld.KIND
    if entry.provenance.upper() in NEVER_EXPORTED:
        return Withheld.PROVENANCE
    if entry.list_id is ListId.DOCUMENTS and any(not codes.same_state(d.issuer, owner) for d in entry.documents):
        return Withheld.NOT_THE_ISSUER
    if codes.same_state(entry.originator, peer):
        # What a peer told us it knows; told back, it would learn that we kept it and under which match keys.
        return Withheld.ORIGINATOR
    if entry.person is not None:
        if entry.kind not in CHILD_KINDS and could_be_child(entry.person, today):
            return Withheld.CHILD
        if entry.tags_in_force(now_ns) and candidate_origins(entry.person, entry.documents).includes(peer):
            return Withheld.ORIGIN
    return None
