"""The dry run: both sides' rules are asked about a purpose, and nothing else happens (`flows.trial`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import AuditUnavailable
from gateway.flows import trial
from gateway.policy import catalogue
from gateway.terms import Purpose, Role
from gateway.terms.exchange import DryRun
from gateway.terms.ids import AgencyId
from tests.flows.world import AGENCIES, HND, PAN, WATCH, World

pytestmark = pytest.mark.asyncio


def about(purpose: str = WATCH, basis: str = "bilateral agreement") -> DryRun:
    role = min(catalogue.roles_of(Purpose(WATCH)), key=lambda one: one.value)
    return DryRun(Purpose(purpose), basis, AgencyId(AGENCIES[PAN]), Role(role))


async def test_rules_that_permit_say_under_which_agreement_on_both_sides() -> None:
    world = await World.of(PAN, HND)
    there = await trial.answer(about(), PAN, world[HND].answering())
    own = world[PAN].answering()
    here = await trial.ask(about(), PAN, HND, own.policy, own.uow, own.clock.now_ns())
    for said in (here, there):
        assert said.permitted and said.reasons == () and said.agreement
    for state, side in ((PAN, "ask"), (HND, "answer")):
        (entry,) = world[state].logged("policy.dry_run")
        assert (entry.public["side"], entry.public["permitted"]) == (side, True)


async def test_rules_that_forbid_say_why_in_codes_and_charge_nothing() -> None:
    world = await World.of(PAN, HND)
    said = await trial.answer(about(basis="no such basis"), PAN, world[HND].answering())
    assert not said.permitted and said.reasons and said.agreement == ""
    (entry,) = world[HND].logged("policy.dry_run")
    assert entry.public["reasons"] == ",".join(said.reasons)
    assert world[HND].logged("check.refused") == []


async def test_a_purpose_that_nobody_offers_is_a_no() -> None:
    world = await World.of(PAN, HND)
    offered = {str(code) for code in catalogue.OFFERED}
    other = next(str(code) for code in sorted(catalogue.CATALOGUE) if str(code) not in offered)
    for purpose, reason in (("NO.SUCH", "purpose_unknown"), (other, "purpose_not_offered")):
        said = await trial.answer(about(purpose), PAN, world[HND].answering())
        assert not said.permitted and reason in said.reasons


async def test_what_cannot_be_logged_is_not_told() -> None:
    world = await World.of(PAN, HND)

    class Full:
        async def commit(self, *_: object) -> None:
            raise AuditUnavailable("full")

    with pytest.raises(AuditUnavailable):
        await trial.answer(about(), PAN, replace(world[HND].answering(), uow=Full()))  # type: ignore[arg-type]
