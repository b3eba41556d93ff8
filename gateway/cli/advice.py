"""What a no means and what to do about it: one sentence a code, for every command.

Codes depend on what was asked and by whom, never on the person asked about (decision 7), and so does every word here: a
sentence says no more than its code does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.cli import languages
from gateway.errors import GatewayError, PolicyDenied
from gateway.policy.reasons import REASONS

_AGREED: Final = "`limen policy list --config NODE` and `limen policy matrix` show what is agreed"

NEXT: Final = {
    "agency": "ask the node's operator which agencies the agreement names",
    "agreement_not_in_force": "ask those who keep the agreements for the one in force",
    "case_required": "give a reference with --case, or --decision for a change of a list",
    "class_size": "ask about fewer travellers at once",
    "denied": "ask those who keep the rules",
    "issuer": "leave the document to the state that issued it",
    "key_type": f"give another kind of identifier; {_AGREED}",
    "legal_basis": f"write with --basis an act that it names; {_AGREED}",
    "list": f"ask under another purpose; {_AGREED}",
    "listing_mandate": "write with --basis an act that the mandate names, or ask for a mandate",
    "malformed": "this is a fault: tell the node's operator",
    "no_agreement": f"ask under a purpose that is agreed; {_AGREED}",
    "no_peer": "`limen peer list` on the node names the members",
    "not_the_owner": "ask the state that holds the list",
    "operation": "ask under a purpose that has it: `limen policy list --purpose CODE`",
    "policy_answer": "this is a fault of the rules: tell those who keep them",
    "policy_expired": "the operator puts new rules in force: `limen policy activate`",
    "policy_unavailable": "the operator looks with `limen doctor`",
    "purpose_change": "wait until the 24 hours are over, or go on with the case there is",
    "purpose_group": f"ask under another purpose; {_AGREED}",
    "purpose_not_offered": "`limen policy list` shows the purposes that are offered",
    "purpose_unknown": "`limen policy list` names the purposes there are",
    "role": "`limen policy list --purpose CODE` names the roles that may; log in as somebody who has one",
    "signers": "have a second person sign and give both signatures",
    "stage": "this is a fault: tell the node's operator",
}
"""What to do about each reason of the rules (`policy.reasons`)."""

MORE: Final = {
    "baseline_outdated": (
        "The two states run different rules of the region.",
        "the operator compares them with `limen peer test`",
    ),
    "case_state": (
        "The case does not stand where this can be done.",
        "`limen case show CASE` says where it stands and what is possible now",
    ),
    "not_assigned": (
        "The case is not yours to hand over, or was not offered to you.",
        "`limen case show CASE` says who has it; `limen case assign` gives it to somebody",
    ),
    "origin": (
        "A request may not come through a state that the person may have fled from.",
        "the person asks at the desk of this state, or through another",
    ),
    "peer_suspended": ("That state is suspended.", "nothing is exchanged with it until the operator readmits it"),
    "protection_role": (
        "A protection officer must be one of those who sign.",
        "have one sign and give that signature too",
    ),
    "quota_exhausted": (
        "The allowance of the day is used up.",
        "it begins anew at midnight UTC; ask your supervisor if it cannot wait",
    ),
    "screening": (
        "A protection officer looks at the case first.",
        "a protection officer says `limen case screen CASE --code CLEAR` or PROTECTED",
    ),
    "second_person": (
        "Another person than the one who prepared it must approve, in a role that may.",
        "have a colleague approve; under four eyes a supervisor",
    ),
}
"""Reasons that no rule gives but a flow does: cause and what to do."""

PUBLIC: Final = {
    "AUDIT_UNAVAILABLE": "the node does not answer yet or cannot write its log; the operator looks with `limen doctor`",
    "NOT_FOUND": "there is none of this name or number, or it is not for your role: check it, and ask who has it",
    "NOT_IDENTIFIED": "the token has ended, or the key is not the one you were enrolled with: log in again, and sign "
    "with your own key",
    "PEER_SUSPENDED": "nothing is exchanged with that state until the operator readmits it",
    "POLICY_UNAVAILABLE": "no rules can be used: the operator looks with `limen doctor`",
    "QUOTA_EXHAUSTED": "it begins anew at midnight UTC; ask your supervisor if it cannot wait",
    "TOO_MANY": "wait a moment and ask again",
    "VERSION_MOVED": "nothing was done; repeat the command",
}
"""What to do about an error of which a gateway told its public text alone, by the error's reason."""


def sentences() -> Iterator[tuple[str, str]]:
    """Every sentence of this module as (context, English), for those who translate."""
    for code in (*REASONS, *MORE):
        yield f"{code}.cause", REASONS.get(code) or MORE[code][0]
        yield f"{code}.step", NEXT.get(code) or MORE[code][1]
    for code, said in PUBLIC.items():
        yield f"{code}.step", said


def cause(code: str, language: str = "") -> str:
    """A reason's cause as a clause; empty for a code that is not ours."""
    said = sentence(code, language)
    return said[:1].lower() + said[1:].removesuffix(".")


def sentence(code: str, language: str = "") -> str:
    """A reason's cause as a sentence; empty for a code that is not ours."""
    english = REASONS.get(code) or MORE.get(code, ("", ""))[0]
    return languages.say(f"{code}.cause", english, language)


def step(code: str, language: str = "") -> str:
    """What to do about a reason; empty for a code that is not ours."""
    return languages.say(f"{code}.step", NEXT.get(code) or MORE.get(code, ("", ""))[1], language)


def reasons(codes: Sequence[str]) -> str:
    """Each code with its cause and what to do, such as `no_agreement (cause: what to do)`."""
    return ", ".join(f"{code} ({cause(code)}: {step(code)})" if cause(code) else code for code in codes)


def told(error: GatewayError) -> str:
    """An error as one sentence for whoever typed the command: what it says, why that is, what to do."""
    said = str(error)
    if isinstance(error, PolicyDenied):
        return f"denied: {reasons(error.reasons)}" if error.reasons else said
    if said == error.row.public and error.row.reason in PUBLIC:
        return f"{said.removesuffix('.')}: {languages.say(f'{error.row.reason}.step', PUBLIC[error.row.reason])}"
    return said
