"""What an officer is told on a hit: message codes and their English sentences, one catalogue for every kind.

A hit carries codes only; a state may translate the sentences and not what they say to do. Every kind of record
has an action, a sentence, whom to call and a time limit, so that no kind is told from another by what is missing; a
possible hit never reads like an exact one; a missing child's sentence begins with what must not be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.terms.words import Action, MatchClass, RecordKind


@dataclass(frozen=True, slots=True)
class Message:
    """One kind's words. `code` is stable; `limit_s` is how long the owner's desk has to answer, in seconds."""

    code: str
    kind: str
    sentence: str
    limit_s: int


HOUR_S: Final = 3600
DESK_S: Final = 12 * HOUR_S

KINDS: Final[Mapping[RecordKind, Message]] = {
    RecordKind.WANTED_ARREST: Message(
        "M.WANTED_ARREST", "wanted for arrest", "Keep the person company and wait for the owner's desk.", DESK_S
    ),
    RecordKind.REFUSE_ENTRY: Message(
        "M.REFUSE_ENTRY",
        "entry to be refused",
        "Go to the second line. Nothing is refused on this alone: an officer decides when its owner has answered.",
        DESK_S,
    ),
    RecordKind.SMUGGLER_SUSPECT: Message(
        "M.SMUGGLER_SUSPECT", "suspected of smuggling", "Go to the second line and call the owner's desk.", DESK_S
    ),
    RecordKind.MISSING_CHILD: Message(
        "M.MISSING_CHILD",
        "missing child",
        "Do not detain. Call the owner's desk at once and a child protection officer. Never a ground for refusal.",
        HOUR_S,
    ),
    RecordKind.LOST_STOLEN: Message(
        "M.LOST_STOLEN",
        "document reported lost or stolen",
        "Keep the document and go to the second line. The holder may be its victim.",
        DESK_S,
    ),
    RecordKind.REVOKED: Message(
        "M.REVOKED", "document revoked", "Keep the document and go to the second line.", DESK_S
    ),
    RecordKind.NATIONAL: Message(
        "M.NATIONAL",
        "known to the owner as a national",
        "True as far as the owner's register goes. Nothing follows before its desk has confirmed in writing.",
        DESK_S,
    ),
}
"""By kind of record."""

ACTIONS: Final[Mapping[Action, str]] = {
    Action.WAIT_FOR_OWNER: "wait for the owner's desk",
    Action.DO_NOT_DETAIN_CALL_OWNER: "do not detain, call the owner's desk",
    Action.HOLD_DOCUMENT_SECOND_LINE: "keep the document, second line",
    Action.SECOND_LINE: "second line",
    Action.ASK_OWNER_TO_CONFIRM: "ask the owner's desk to confirm",
}

MATCHES: Final[Mapping[MatchClass, str]] = {
    MatchClass.DOCUMENT: "same document",
    MatchClass.NAME_AND_YEAR: "possible: same name and year of birth",
    MatchClass.NAME_SOUND_AND_DATE: "possible, name differs: it sounds alike, and the date of birth is the same",
    MatchClass.NAME_SOUND_AND_YEAR: "possible, name differs: it sounds alike, and the year of birth is the same",
}
"""How sure a hit is. Only a document's is not called possible."""

NOT_A_FINDING: Final = "A question for a human, never a finding."
SCREENING: Final = "The owner may be a state the person fled from: a protection officer screens before any case."

NOTHING: Final[Mapping[str, str]] = {
    "DOC.STATUS": "Nothing to report: the document is unknown to those who answered. That never means valid.",
    "READ.IDENT": "Nothing to report: unknown to those who answered. That never means that the person is no national.",
}
NOTHING_ELSE: Final = "Nothing to report: nothing you may act on. That is not a clearance."


def nothing(purpose: str) -> str:
    """What silence means under the purpose."""
    return NOTHING.get(purpose, NOTHING_ELSE)


def limit(kind: RecordKind) -> str:
    """The time limit in words."""
    hours = KINDS[kind].limit_s // HOUR_S
    return f"the owner's desk answers within {hours} hour{'s' if hours != 1 else ''}, or the case is escalated"


def contact(owner: str, desk: int) -> str:
    """Whom to call: the owner's desk by its number. The telephone stands in the agreement's annex, which both desks
    hold (`cli.acts.desks` shows it); no number that a label brings is dialled."""
    return f"{owner}, desk {desk}"
