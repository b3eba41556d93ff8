"""What may be done in a case, by the words that are typed: with the person's own signature, and without."""

from __future__ import annotations

SIGNED = {
    "confirm": "the hit is this person's: a qualified officer's word",
    "dismiss": "the hit is not this person's, or is not followed",
    "request": "ask the owner for fields",
    "prepare": "prepare a release: which fields, which are withheld",
    "approve": "approve a prepared release: another person than the one who prepared it",
    "correct": "the record was wrong: give the recipient its fields anew; another person approves",
    "refuse": "refuse, with a code",
    "outcome": "report what came of it",
    "withdraw": "end our own case, or take back a release that is prepared and not approved",
    "screen": "a protection officer's screening, where the owner may be a state the person fled from",
}
"""Acts that a person signs, with one line of help."""

PLAIN = {
    "deliver": "send the decision now instead of at the next try",
    "assign": "give the case to an officer of this desk",
    "hand-over": "offer the case to another officer, who takes it",
    "take": "take a case that was handed over",
}
"""Acts that the officer's token alone is enough for."""
