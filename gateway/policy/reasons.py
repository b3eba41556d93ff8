"""Every reason the rules and floors can give for a no. Codes depend on the request, never on the person (decision 7).

`policies/reasons.json` is this table for those who write rules; a test keeps the two equal. The codes cross the border,
so they say nothing of a state's inside, and a code outside the table never leaves: it becomes `denied`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

REASONS: Final[Mapping[str, str]] = {
    "agency": "The agency is not named in the agreement or mandate.",
    "agreement_not_in_force": "The agreement or mandate has not begun or has ended.",
    "case_required": "A case, shift or decision reference is required.",
    "class_size": "The batch does not have a permitted size.",
    "denied": "The rules did not permit it.",
    "issuer": "Only the state that issued a document may list it.",
    "key_type": "A match key was asked that is not granted for the purpose.",
    "legal_basis": "The legal basis is not one that the agreement or mandate names.",
    "list": "The purpose does not reach this list.",
    "listing_mandate": "No mandate of this state permits the agency to change the list on this legal basis.",
    "malformed": "The question is not of the form the rules read.",
    "no_agreement": "No agreement between the two states covers the purpose.",
    "no_peer": "There is no state that may be asked.",
    "not_the_owner": "The question was put to a state that does not hold the list.",
    "operation": "The purpose does not permit the operation.",
    "policy_answer": "The rules gave an answer that cannot be carried out.",
    "policy_expired": "The rules in force have expired.",
    "policy_unavailable": "No rules are in force.",
    "purpose_change": "The person was asked about for another end within 24 hours.",
    "purpose_group": "The purpose does not reach this table.",
    "purpose_not_offered": "The purpose is in the catalogue but not offered.",
    "purpose_unknown": "The purpose is not in the catalogue.",
    "role": "The role may not do this under the purpose.",
    "signers": "Two different officers must sign.",
    "stage": "Nothing of this kind is decided here.",
}
"""Code to sentence, in the order of the codes."""


def known(codes: Iterable[object]) -> tuple[str, ...]:
    """The codes sorted, once each; anything that is not a code of the table becomes `denied`."""
    return tuple(sorted({code if isinstance(code, str) and code in REASONS else "denied" for code in codes}))
