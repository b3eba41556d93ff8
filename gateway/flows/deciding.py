"""The rules, then the floors: the one way a flow comes to a decision (T6), and how it holds until it is acted on."""

from __future__ import annotations

from gateway import ports
from gateway.policy import floors
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question
from gateway.primitives import cbor
from gateway.terms.exchange import Came


async def decide(question: Question, policy: ports.PolicyEngine) -> Permit | Deny:
    """What both layers of rules say to the question, narrowed or refused by the floors. Never raises for a rule's
    sake."""
    decision = await policy.decide(question)
    return floors.hold(question, decision) if isinstance(decision, Permit) else decision


def expect(permit: Permit, peer: str = "") -> ports.Change:
    """Decided again at the moment of sending (T5): the writer refuses the commit unless the rules, and the peer where
    there is one, are still what was decided about."""
    return ports.Change("expect", {"baseline": permit.baseline, "national": permit.national, "peer_active": peer})


def signed_of(came: Came) -> bytes:
    """The sender's signed header as it stands in an entry: canonical CBOR `[header, signature]`."""
    return cbor.encode([came.header, came.signature])
