"""The rules, then the floors: the one way a flow comes to a decision (T6)."""

from __future__ import annotations

from gateway import ports
from gateway.policy import floors
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question


async def decide(question: Question, policy: ports.PolicyEngine) -> Permit | Deny:
    """What both layers of rules say to the question, narrowed or refused by the floors. Never raises for a rule's
    sake."""
    decision = await policy.decide(question)
    return floors.hold(question, decision) if isinstance(decision, Permit) else decision
