"""What a person may be told about who asked after them (T18; CJEU C-579/21: dates and purposes, not the staff's names).

Who was never asked about, whose matter is covert, and whose matter is kept back get the same answer, byte for byte. So
nothing of what is here may show in anything but `told`: neither a count, nor a length, nor an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.search import Row

FORMAT: Final = "limen.subject/1"

DAY_NS: Final = 86_400 * 10**9

COVER_NS: Final[Mapping[str, int]] = {
    "DOC.STATUS": 0,
    "READ.IDENT": 0,
    "SEC.WATCH": 365 * DAY_NS,
    "API.PRESCREEN": 365 * DAY_NS,
    "MISS.CHILD": 365 * DAY_NS,
}
"""How long after the newest entry of a matter it may be told, ns. A check of papers or a readmission happens before the
person's eyes; what a watchlist or a search for a child found may have to stay unseen. A purpose that is not here is
never told."""

PROOFING: Final = ("in-person", "remote-document", "representative")
"""How the person was identified: papers seen at the office, papers seen from afar, a lawyer with a mandate."""

EVIDENT: Final = "check.ask"
"""Kind whose entries go along as evidence. The entries of a case name the keys of its officers, and stay here."""


@dataclass(frozen=True, slots=True)
class Event:
    """An entry about the person, and the matter it belongs to: a case's number, else the entry's own."""

    row: Row
    matter: bytes


def told(events: Iterable[Event], withheld: frozenset[bytes], now_ns: int) -> list[Row]:
    """The entries that may be told now, oldest first: of matters whose cover has ended and that nobody keeps back.

    `withheld` are beginnings of case numbers, as `Event.matter` has them.
    """
    newest: dict[bytes, int] = {}
    cover: dict[bytes, int | None] = {}
    listed = sorted(events, key=lambda event: event.row.seq)
    for event in listed:
        newest[event.matter] = max(newest.get(event.matter, 0), event.row.time_ns)
        own = COVER_NS.get(event.row.purpose)
        held = cover.setdefault(event.matter, 0)
        cover[event.matter] = None if own is None or held is None else max(own, held)
    rows: dict[int, Row] = {}
    kept_back: set[int] = set()
    for event in listed:
        wait = cover[event.matter]
        rows[event.row.seq] = event.row
        if wait is None or event.matter in withheld or newest[event.matter] + wait > now_ns:
            # An answer with several hits is told when the last of its matters may be.
            kept_back.add(event.row.seq)
    return [row for seq, row in rows.items() if seq not in kept_back]


def sentence(row: Row, purposes: Mapping[str, str], when: str) -> dict[str, Any]:
    """One entry as the person is told it: when, who asked whom, for what, and what was told. Never the officer."""
    if row.kind == "check.ask":
        what = f"{row.agency} asked {row.peer} and something was found"
    elif row.kind == "case.sent":
        what = f"a message about it went to {row.peer}: {row.decision or 'request'}"
    else:
        what = f"a message about it came from {row.peer}: {row.decision}"
    return {
        "entry": row.seq,
        "when": when,
        "what": what,
        "purpose": row.purpose,
        "purpose_in_words": purposes.get(row.purpose, row.purpose),
        "legal_basis": row.basis,
        "fields": [field for field in row.fields.split(",") if field],
        "evidence": row.kind == EVIDENT,
    }


KINDS: Final = frozenset({"check.ask", "case.sent", "case.taken"})
"""Kinds of entries that are told."""


@dataclass(frozen=True, slots=True)
class Unknowable:
    """Counts of a whole log, the same for every person."""

    asked: int
    answered: int
    erased: int


def cannot_know(counts: Unknowable) -> Sequence[str]:
    """What nobody can tell this person, in sentences that do not depend on the person."""
    return (
        f"Whether you were among those about whom nothing was found: the log says how {counts.asked} questions ended, "
        "and what found nothing is under nobody's name. Your keys were made again from what you gave, and they lead to "
        "entries in which something was found, and to no others.",
        f"Whether other states asked this one about you: {counts.answered} of their questions were answered blinded, "
        "and this state has not learned about whom.",
        f"What {counts.erased} entries said whose sealed part was erased at the end of its term.",
        "What was never entered in the log. Whether anything is kept back for now is not said to anybody.",
    )
