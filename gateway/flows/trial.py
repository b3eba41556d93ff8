"""What the rules would say: the dry run of `limen peer test`, on both sides.

No traveller, no key, no charge, no table: only the policy is asked, with what a check of that purpose would be asked
under. The answer is a code that depends on the request alone (decision 7), and it is logged before it is given.
"""

from __future__ import annotations

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.flows.answer import AnsweringWorld
from gateway.flows.deciding import decide
from gateway.policy import catalogue
from gateway.policy.decision import Deny
from gateway.policy.question import Question, Stage
from gateway.terms.exchange import DryRun, DryRunDecision
from gateway.terms.ids import PeerId
from gateway.terms.words import BATCH_CLASSES


async def answer(asked: DryRun, asker: PeerId, world: AnsweringWorld) -> DryRunDecision:
    """What this state's rules say to a peer's questions of that purpose.

    Raises:
        AuditUnavailable: nothing was told.
    """
    return await _decide(
        Stage.ANSWER, asked, asker, world.state, world.policy, world.uow, now_ns=world.clock.now_ns(), peer=asker
    )


async def ask(
    asked: DryRun, state: PeerId, owner: PeerId, policy: ports.PolicyEngine, uow: ports.UnitOfWork, now_ns: int
) -> DryRunDecision:
    """What this state's rules say to putting such questions to `owner`. Raises as `answer`."""
    return await _decide(Stage.ASK, asked, state, owner, policy, uow, now_ns=now_ns, peer=owner)


async def _decide(
    stage: Stage,
    asked: DryRun,
    asker: PeerId,
    owner: PeerId,
    policy: ports.PolicyEngine,
    uow: ports.UnitOfWork,
    *,
    now_ns: int,
    peer: PeerId,
) -> DryRunDecision:
    reasons: set[str] = set()
    agreement = ""
    aggregate = catalogue.is_aggregate(asked.purpose)
    lists = catalogue.lists_of(asked.purpose) or (None,)
    if asked.purpose not in catalogue.OFFERED:
        reasons.add("purpose_not_offered")
    for list_id in lists:
        question = Question(
            stage=stage,
            purpose=asked.purpose,
            operation=catalogue.check_operation(asked.purpose),
            legal_basis=asked.legal_basis,
            list_id=list_id,
            key_types=catalogue.key_types_of(asked.purpose),
            class_size=0 if aggregate else BATCH_CLASSES[0],
            asker=asker,
            owner=owner,
            agency=asked.agency,
            role=asked.role,
            has_case=not aggregate,
            signers=catalogue.signers_of(asked.purpose, stage),
            time_ns=now_ns,
        )
        decision = await decide(question, policy)
        if isinstance(decision, Deny):
            reasons.update(decision.reasons)
        else:
            agreement = decision.agreement
    told = DryRunDecision(not reasons, tuple(sorted(reasons)), "" if reasons else agreement)
    versions = policy.versions()
    await uow.commit(
        [
            Entry(
                "policy.dry_run",
                Phase.EVENT,
                peer,
                public={
                    "purpose": asked.purpose,
                    "basis": asked.legal_basis,
                    "agency": asked.agency,
                    "role": asked.role.value,
                    "side": stage.value,
                    "permitted": told.permitted,
                    "reasons": ",".join(told.reasons),
                    "baseline": versions.baseline,
                    "national": versions.national,
                },
            )
        ]
    )
    return told


__all__ = ["answer", "ask"]
