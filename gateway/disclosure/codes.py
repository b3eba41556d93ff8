"""Every code of an act of a case, with what it means: what officers type, what is signed, and what help and pages list.

Free text never stands in a code's place: it would be signed, logged and, for some, sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.errors import InputRefused

MEASURES: Final[Mapping[str, str]] = {
    "M1": "arrest, for surrender or extradition",
    "M2": "refusal of entry or stay",
    "M3": "return or readmission",
    "M4": "a missing or vulnerable person to be kept safe",
    "M5": "a judicial procedure: witness, summons, judgment",
    "M6": "a discreet or specific check",
    "M7": "a document or an object to be held",
    "M8": "sanctions",
}
"""The offence or measure that a confirmed hit is about."""

DISMISSALS: Final[Mapping[str, str]] = {
    "DIFFERENT": "another person, or another document",
    "NOT_FOLLOWED": "the same, and nothing is to be done here",
    "DUPLICATE": "another case follows it",
}
"""Why a hit goes no further."""

URGENCIES: Final[Mapping[str, str]] = {
    "LIFE": "somebody's life or health",
    "CHILD": "a child",
    "TERRORISM": "a terrorist threat",
    "CUSTODY": "somebody is held meanwhile",
    "DEPARTURE": "the person leaves",
}
"""Why a request cannot wait."""

REFUSALS: Final[Mapping[str, str]] = {
    "R01": "an essential national interest",
    "R02": "it would harm an investigation or a person's safety",
    "R03": "the offence is below the threshold, or none here",
    "R04": "a judge did not permit it",
    "R05": "a third party whose information it is did not consent",
    "R06": "the purpose does not cover it, or it is out of proportion",
    "R07": "the request is incomplete",
    "R08": "the data are inaccurate, incomplete or out of date",
    "R09": "fundamental rights: for our own record, outside it is read as R06",
    "R10": "the law bars this destination",
    "R11": "not available",
}
"""Why a request is refused."""

OUTSIDE: Final[Mapping[str, str]] = {"R09": "R06"}
"""How a code is shown outside its own state: a ground of fundamental rights says what nobody abroad may read."""

OUTCOMES: Final[Mapping[str, str]] = {
    "SAME_PERSON": "it was the person of the record",
    "DIFFERENT_PERSON": "it was another; what was disclosed is erased at once",
    "DOCUMENT_ONLY": "the document was the record's, the person is another's business",
    "NOT_FOUND": "the traveller was not met",
    "ACTION_TAKEN": "what the record asks for was done",
    "ACTION_IMPOSSIBLE": "it could not be done",
}
"""What came of a hit."""

SCREENINGS: Final[Mapping[str, str]] = {
    "CLEAR": "the case may go to the owner",
    "PROTECTED": "nothing of it goes to the owner, and the case ends",
}
"""What a protection officer finds before a case may go to a candidate origin."""

OF_ACT: Final[Mapping[str, Mapping[str, str]]] = {
    "confirm": MEASURES,
    "request": URGENCIES,
    "dismiss": DISMISSALS,
    "screen": SCREENINGS,
    "refuse": REFUSALS,
    "outcome": OUTCOMES,
}
"""An act's codes; an act that is not here takes none."""

OPTIONAL: Final = frozenset({"confirm", "request", "dismiss"})
"""Acts that may go without a code."""


def judge(value: str, act: str, name: str = "code") -> str:
    """A code of `act`, or "" where it may go without.

    Raises:
        InputRefused: no such code; what was given is not repeated.
    """
    allowed = OF_ACT[act]
    if value in allowed or (not value and act in OPTIONAL):
        return value
    raise InputRefused(f"write one of {', '.join(allowed)}", field=name, code="CODE")


def listed(act: str) -> str:
    """An act's codes with what they mean, on one line."""
    return "; ".join(f"{code} {told}" for code, told in OF_ACT[act].items())
