"""The catalogue in words, for those who read it and do not write it: lawyers, officers, auditors."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from gateway.policy import catalogue
from gateway.policy.purposes import PURPOSES, PurposeRow
from gateway.terms.ids import Purpose

OPERATIONS: Final[Mapping[str, str]] = {
    "status": "is the document valid, lost, stolen, revoked",
    "hit": "is the person on the list",
    "verify": "is what is claimed true",
    "disclose": "details of a record, in a case",
    "notify": "tell the other state",
    "aggregate": "private statistics",
}
"""The operations of the catalogue, as a question."""

DECISIONS: Final[Mapping[str, str]] = {
    "allow": "yes",
    "approval": "one approver",
    "four_eyes": "two persons",
    "deny": "no",
}
"""The catalogue's default for an operation: `approval` is the data owner's, `four_eyes` two different persons."""

FLOORS: Final[Mapping[str, tuple[str, str]]] = {
    "asylum": (
        "Return",
        "READ.IDENT reaches no state while an asylum claim or appeal is open, unknown or protection was granted.",
    ),
    "protected_origin": (
        "Origin",
        "Nothing about a protected person reaches a state the person may have fled from: every nationality claimed or "
        "recorded, issuer, birth, residence; for refugee documents and unknown origin every state but the issuer.",
    ),
    "firewall": (
        "Firewall",
        "Records kept for family reunification or regularisation are left out before matching under every purpose of "
        "enforcement (SEC, SMUG, PNR, READ, RISK).",
    ),
    "child": (
        "Child",
        "Nobody who is or could be under 18 is asked about, but for a missing child, for a document, and for a return "
        "with a decision that it is in the child's best interest.",
    ),
}
"""The guards upon the person (`floors.guard`): name and rule. From outside a guarded question is one that found
nothing (T4)."""


def activities() -> tuple[str, ...]:
    """The activities of the field that the catalogue serves, sorted."""
    return tuple(sorted({activity for row in PURPOSES for activity in row.activities}))


def serving(activity: str) -> tuple[PurposeRow, ...]:
    """The purposes that serve an activity, in the catalogue's order; letters' case does not matter. () if unknown."""
    wanted = activity.casefold()
    return tuple(row for row in PURPOSES if wanted in {name.casefold() for name in row.activities})


def near(activity: str) -> tuple[str, ...]:
    """Activities that may have been meant: those that contain the words, else those spelled nearly so."""
    known = {name.casefold(): name for name in activities()}
    held = [name for folded, name in known.items() if activity.casefold() in folded]
    return tuple(held or (known[name] for name in difflib.get_close_matches(activity.casefold(), known, 3, 0.5)))


def is_offered(row: PurposeRow) -> bool:
    """True where this release has built every safeguard of the row."""
    return row.code in catalogue.OFFERED


def decided(row: PurposeRow, operation: str) -> str:
    """What the catalogue says to an operation under a purpose, in words; and whether this release does it at all:
    under an offered purpose its own check, and disclosing a record in a case that a hit opened."""
    word = row.operations.get(operation, "deny")
    built = is_offered(row) and operation in (catalogue.check_operation(Purpose(row.code)), "disclose")
    return DECISIONS[word] if word == "deny" or built else f"{DECISIONS[word]} (not built)"


def bases(row: PurposeRow) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The row's instruments: those that may be a basis where an agreement names them, and models, which never are."""
    models = tuple(text for text in row.legal_basis if catalogue.is_model(text))
    return tuple(text for text in row.legal_basis if text not in models), models


def askers(row: PurposeRow) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who may ask: the roles an agency's register can give in this release, and those it cannot give yet."""
    given = {role.value for role in catalogue.roles_of(Purpose(row.code))}
    return (
        tuple(name for name in row.requester_roles if name in given),
        tuple(name for name in row.requester_roles if name not in given),
    )


def keys(row: PurposeRow) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """By what a person or document is found: keys this release makes, in their version in force, and others."""
    made = tuple(key_type.value for key_type in catalogue.key_types_of(Purpose(row.code)))
    known = {name.partition("/")[0] for name in made}
    return made, tuple(name for name in row.match_keys if name not in known)
