"""Two layers decide apart, and anything that is not a yes from both is a no."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import ports
from gateway.errors import PolicyUnavailable, VerificationFailed
from gateway.opa import sources
from gateway.opa.bundle import Bundle
from gateway.opa.engine import EmbeddedEngine
from gateway.policy.decision import PERMIT_NS, Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import BATCH_CLASSES, KeyType, Role
from tests.extras import ROOT
from tests.policies import world


def decided(question: Question, engine: EmbeddedEngine | None = None) -> Permit | Deny:
    return (engine or world.engine()).decide_now(question)


def reasons(question: Question, engine: EmbeddedEngine | None = None) -> tuple[str, ...]:
    answer = decided(question, engine)
    assert isinstance(answer, Deny)
    return answer.reasons


@pytest.mark.parametrize(("stage", "purpose"), world.GOOD)
def test_what_both_layers_grant_is_permitted(stage: Stage, purpose: Purpose) -> None:
    permit = decided(world.good(stage, purpose))
    assert isinstance(permit, Permit)
    baseline, national = world.shipped()
    assert (permit.baseline, permit.national) == (baseline.digest, national.digest)
    assert permit.expires_ns == world.NOW + PERMIT_NS
    assert permit.agreement == ("AGR-HND-PAN" if stage is not Stage.LIST else f"MANDATE-PAN-{LISTS[purpose]}")
    assert permit.slots_per_day == (200_000 if stage is not Stage.LIST else 0)


LISTS = {world.WATCH: "PERSONS", world.STATUS: "DOCUMENTS"}


def test_the_engine_is_the_port() -> None:
    engine: ports.PolicyEngine = world.engine()
    assert isinstance(asyncio.run(engine.decide(world.good())), Permit)
    baseline, national = world.shipped()
    assert engine.versions() == ports.PolicyVersions(baseline.digest, national.digest)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"purpose": Purpose("FAM.LINK")}, ("no_agreement", "purpose_not_offered")),
        ({"purpose": Purpose("SEC.OTHER")}, ("no_agreement", "purpose_unknown")),
        ({"legal_basis": "another act"}, ("legal_basis",)),
        ({"agency": AgencyId("XXX")}, ("agency",)),
        ({"role": Role.SUPERVISOR}, ("role",)),
        ({"asker": PeerId("GTM")}, ("no_agreement",)),
        ({"class_size": 9}, ("class_size",)),
        ({"operation": "disclose"}, ("operation",)),
        ({"has_case": False}, ("case_required",)),
        ({"time_ns": world.NOW - 2 * world.YEAR}, ("agreement_not_in_force",)),
    ],
)
def test_a_no_says_why(change: dict[str, Any], wanted: tuple[str, ...]) -> None:
    assert reasons(replace(world.good(), **change)) == wanted


def test_only_the_state_itself_asks_answers_and_lists() -> None:
    asks = world.good(Stage.ASK)
    assert "no_agreement" in reasons(replace(asks, asker=asks.owner, owner=asks.asker))
    lists = world.good(Stage.LIST)
    assert "listing_mandate" in reasons(replace(lists, asker=PeerId("HND"), owner=PeerId("HND")))


def test_a_permit_ends_with_the_agreement_and_with_the_bundles() -> None:
    close = world.agreed(valid_until_ns=world.NOW + 60)
    engine = over(world.national_raw(agreements=(close,)))
    permit = decided(world.good(), engine)
    assert isinstance(permit, Permit)
    assert permit.expires_ns == world.NOW + 60
    engine = over(world.national_raw(not_after_ns=world.NOW + 30))
    permit = decided(world.good(), engine)
    assert isinstance(permit, Permit)
    assert permit.expires_ns == world.NOW + 30


def test_past_its_end_a_bundle_permits_nothing() -> None:
    engine = over(world.national_raw(not_after_ns=world.NOW + 30))
    assert reasons(world.good(time_ns=world.NOW + 30), engine) == ("policy_expired",)
    engine = EmbeddedEngine.load(
        world.open_baseline(world.baseline_raw(not_after_ns=world.NOW + 30)), world.shipped()[1], now_ns=world.NOW
    )
    assert reasons(world.good(time_ns=world.NOW + 30), engine) == ("policy_expired",)


def over(national: bytes) -> EmbeddedEngine:
    return EmbeddedEngine.load(world.shipped()[0], world.open_national(national), now_ns=world.NOW)


def test_the_stricter_of_two_numbers_holds() -> None:
    plenty = world.agreed(slots_per_day=dict.fromkeys(world.agreed().slots_per_day, 9_000_000))
    permit = decided(world.good(), over(world.national_raw(agreements=(plenty,))))
    assert isinstance(permit, Permit)
    assert permit.slots_per_day == 1_000_000


def test_an_agreement_over_fewer_keys_narrows_what_is_asked() -> None:
    terms = dict(world.agreed().purposes)
    terms["SEC.WATCH"] = replace(terms["SEC.WATCH"], key_types=("doc/1",), kinds=("WANTED_ARREST",))
    engine = over(world.national_raw(agreements=(world.agreed(purposes=terms),)))
    permit = decided(world.good(Stage.ASK), engine)
    assert isinstance(permit, Permit)
    assert (permit.key_types, permit.kinds) == (("doc/1",), ("WANTED_ARREST",))
    assert reasons(world.good(Stage.ANSWER), engine) == ("key_type",)
    assert isinstance(decided(world.good(Stage.ANSWER, key_types=(KeyType.DOC_1,)), engine), Permit)


@pytest.mark.parametrize("status", ["suspended", "ended"])
def test_an_agreement_that_is_not_in_force_permits_nothing(status: str) -> None:
    assert reasons(world.good(), over(world.national_raw(agreements=(world.agreed(status=status),)))) == (
        "no_agreement",
    )


def test_two_agreements_for_one_purpose_are_refused() -> None:
    with pytest.raises(VerificationFailed, match="two agreements in force"):
        world.national_raw(agreements=(world.agreed(), world.agreed(id="AGR-HND-PAN-2")))


def test_an_engine_without_bundles_permits_nothing() -> None:
    assert reasons(world.good(), EmbeddedEngine()) == ("policy_unavailable",)
    with pytest.raises(PolicyUnavailable):
        EmbeddedEngine().versions()


def test_a_refused_bundle_keeps_the_old_one() -> None:
    engine = world.engine()
    before = engine.versions()
    baseline, national = world.shipped()
    wrong = replace(national, golden=({**national.golden[0], "decision": {"allow": True}},))
    for pair, how in (
        ((baseline, wrong), {"now_ns": world.NOW}),
        ((baseline, baseline), {"now_ns": world.NOW}),
        ((national, national), {"now_ns": world.NOW}),
        ((baseline, national), {"now_ns": world.NOW + 2 * world.YEAR}),
        ((baseline, national), {"now_ns": world.NOW, "pinned_baseline": bytes(32)}),
    ):
        with pytest.raises(VerificationFailed):
            engine.reload(*pair, **how)
        assert engine.versions() == before
        assert isinstance(decided(world.good(), engine), Permit)


def test_a_new_bundle_takes_over_at_once() -> None:
    engine = world.engine()
    baseline, _ = world.shipped()
    ended = world.open_national(world.national_raw(agreements=(world.agreed(status="ended"),)))
    engine.reload(baseline, ended, now_ns=world.NOW, pinned_baseline=baseline.digest)
    assert engine.versions().national == ended.digest
    assert reasons(world.good(), engine) == ("no_agreement",)


@pytest.mark.parametrize("part", ["decision", "reasons", "question", "name"])
def test_a_golden_decision_that_differs_stops_the_bundle(part: str) -> None:
    baseline, national = world.shipped()
    case = dict(national.golden[2])
    case[part] = {"decision": {"allow": True}, "reasons": ["denied"], "question": {"schema": "x"}, "name": "?"}[part]
    if part == "name":
        del case["name"]
    with pytest.raises(VerificationFailed) as fault:
        EmbeddedEngine.load(baseline, replace(national, golden=(case,)), now_ns=world.NOW)
    assert fault.value.step == "golden decision"


def test_another_thread_gets_a_no_and_breaks_nothing() -> None:
    engine = world.engine()
    found: list[Permit | Deny] = []
    thread = threading.Thread(target=lambda: found.append(engine.decide_now(world.good())))
    thread.start()
    thread.join()
    assert found == [Deny(("policy_unavailable",))]
    assert isinstance(decided(world.good(), engine), Permit)


class Surroundings:
    """An engine whose national layer is as the test writes it; the bundle's own judgement is left out on purpose."""

    def __init__(self, rules: str, data: Mapping[str, Any] | None = None) -> None:
        baseline, national = world.shipped()
        self.engine = world.engine()
        changed = replace(
            national,
            modules={"x.rego": "package limen.national.sharing\n" + rules},
            data=data if data is not None else national.data,
        )
        # The loader refuses what these tests need, so the layer is put in place behind it.
        layers = self.engine._layers
        assert layers is not None
        self.engine._layers = (layers[0], type(layers[1])(changed))
        assert isinstance(baseline, Bundle)

    def decide(self, question: Question) -> Permit | Deny:
        return self.engine.decide_now(question)


YES = """
yes := object.get(data.limen.national.prepared, [input.stage, input.owner, input.asker, input.purpose], {}).grant
reasons := set()
"""


def test_the_surroundings_permit_what_they_should() -> None:
    assert isinstance(Surroundings(YES + "decision := yes").decide(world.good()), Permit)


@pytest.mark.parametrize(
    "rules",
    [
        "reasons := set()",
        "decision := null\nreasons := set()",
        "decision := true\nreasons := set()",
        'decision := "yes"\nreasons := set()',
        "decision := [true]\nreasons := set()",
        "decision := {}\nreasons := set()",
        "decision := yes if { input.nothing }\n" + YES,
        "decision := yes if { http.send({}) }\n" + YES,
        "decision := yes if { typo.fn(1) }\n" + YES,
        "decision := yes if { to_number(input.purpose) > 0 }\n" + YES,
        "decision := yes\ndecision := 2\n" + YES,
        "decision := object.union(yes, {\"allow\": 1})\n" + YES,
        "decision := object.union(yes, {\"allow\": \"true\"})\n" + YES,
        "decision := object.union(yes, {\"schema\": \"limen.decision/2\"})\n" + YES,
        "decision := object.union(yes, {\"more\": 1})\n" + YES,
        "decision := object.remove(yes, [\"retention\"])\n" + YES,
        "decision := object.union(yes, {\"retention\": \"for ever\"})\n" + YES,
        "decision := object.union(yes, {\"retention\": 30})\n" + YES,
        "decision := object.union(yes, {\"key_types\": []})\n" + YES,
        "decision := object.union(yes, {\"key_types\": {}})\n" + YES,
        "decision := object.union(yes, {\"key_types\": [\"met2_year/1\"]})\n" + YES,
        "decision := object.union(yes, {\"key_types\": \"doc/1\"})\n" + YES,
        "decision := object.union(yes, {\"kinds\": [\"ANY\"]})\n" + YES,
        "decision := object.union(yes, {\"obligations\": [\"dance\"]})\n" + YES,
        "decision := object.union(yes, {\"obligations\": [\"log\", 1]})\n" + YES,
        "decision := object.union(yes, {\"slots_per_day\": true})\n" + YES,
        "decision := object.union(yes, {\"slots_per_day\": -1})\n" + YES,
        "decision := object.union(yes, {\"slots_per_day\": 1.5})\n" + YES,
        "decision := object.union(yes, {\"slots_per_day\": null})\n" + YES,
        "decision := object.union(yes, {\"until_ns\": 0})\n" + YES,
        "decision := object.union(yes, {\"agreement\": \"\"})\n" + YES,
        "decision := object.union(yes, {\"agreement\": 7})\n" + YES,
        "this is not rego",
    ],
)  # fmt: skip
def test_what_is_not_exactly_a_yes_is_a_no(rules: str) -> None:
    assert isinstance(Surroundings(rules).decide(world.good()), Deny)


def test_data_over_a_rule_wins_in_the_engine_which_is_why_the_loader_refuses_it() -> None:
    national = world.shipped()[1]
    rows = national.data["limen"]["national"]["prepared"]["answer"]["PAN"]["HND"]
    grant = {"decision": rows[world.WATCH]["grant"], "reasons": []}
    data = {"limen": {"national": {**national.data["limen"]["national"], "sharing": grant}}}
    overridden = Surroundings(
        'default decision := {"schema": "limen.decision/1", "allow": false}\nreasons := set()', data
    )
    assert isinstance(overridden.decide(world.good()), Permit)
    whole = sources.starter_national("PAN", [world.agreed()])
    with pytest.raises(VerificationFailed, match="data stands at the package"):
        world.national_raw(whole | {"limen/national/sharing/data.json": sources.dump(grant)})


def test_after_a_fault_the_engine_is_made_anew() -> None:
    broken = Surroundings(YES + "decision := yes if { to_number(input.agency) == 1 }")
    assert isinstance(broken.decide(world.good()), Deny)
    assert broken.engine.faults >= 1
    assert isinstance(broken.decide(world.good(agency=AgencyId("1"))), Permit)


def test_an_input_that_cannot_be_set_does_not_leave_the_last_one_answering() -> None:
    engine = world.engine()
    assert isinstance(engine.decide_now(world.good()), Permit)
    assert isinstance(engine.decide_now(world.good(legal_basis="\ud800")), Deny)
    assert engine.faults == 2
    assert isinstance(engine.decide_now(world.good()), Permit)


@settings(max_examples=60)
@given(
    st.sampled_from(["purpose", "operation", "legal_basis", "asker", "owner", "agency"]),
    st.text(alphabet=st.characters()),
    st.integers(-(2**70), 2**70),
)
def test_any_text_and_any_number_are_answered_with_a_no(field: str, text: str, number: int) -> None:
    engine = ANY_TEXT
    worded: dict[str, Any] = {field: text}
    assert isinstance(engine.decide_now(world.good(**worded)), Deny)
    for other in ("class_size", "signers", "time_ns"):
        numbered: dict[str, Any] = {other: number}
        right = {"class_size": number in BATCH_CLASSES, "signers": number == 0, "time_ns": in_force(number)}[other]
        assert isinstance(engine.decide_now(world.good(**numbered)), Permit if right else Deny)
    assert isinstance(engine.decide_now(world.good()), Permit)


def in_force(time_ns: int) -> bool:
    return world.NOW - world.YEAR <= time_ns < world.NOW + world.YEAR


ANY_TEXT = world.engine()


PANIC = """
import threading
from gateway.opa.rego import Rego, is_engine_fault
from gateway.policy.decision import Permit
from tests.policies import world

made = []
thread = threading.Thread(target=lambda: made.extend((Rego(), Rego())))
thread.start()
thread.join()
try:
    made[0].rule("data.x")
except BaseException as fault:
    assert not isinstance(fault, Exception) and is_engine_fault(fault), fault
else:
    raise AssertionError("the engine did not panic in another thread")
assert not is_engine_fault(KeyboardInterrupt())

engine = world.engine()
engine._layers[1]._rego = made[1]
assert engine.decide_now(world.good()).reasons == ("policy_answer",)
assert engine.faults == 1
assert isinstance(engine.decide_now(world.good()), Permit)
print("as it should be")
"""


def test_a_panic_is_a_no_and_the_next_engine_answers() -> None:
    """In a process of its own: a panicked engine also complains when it is dropped."""
    run = subprocess.run([sys.executable, "-c", PANIC], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.stdout == "as it should be\n", run.stderr


def test_reasons_outside_the_catalogue_do_not_leave() -> None:
    rules = 'decision := {"schema": "limen.decision/1", "allow": false}\nreasons := {"WANTED: J. DOE", 7, "agency"}'
    assert reasons(world.good(), Surroundings(rules).engine) == ("agency", "denied")


@pytest.mark.asyncio
async def test_an_explanation_says_where_a_no_comes_from() -> None:
    engine = world.engine()
    yes = await engine.explain(world.good())
    assert isinstance(yes.decision, Permit)
    assert (yes.baseline, yes.national, yes.floors) == ((), (), ())
    no = await engine.explain(world.good(purpose=Purpose("PNR.CASE")))
    assert isinstance(no.decision, Deny)
    assert (no.baseline, no.national, no.floors) == (("purpose_not_offered",), ("no_agreement",), ())
    assert (await EmbeddedEngine().explain(world.good())).baseline == ("policy_unavailable",)


@pytest.mark.slow
def test_a_thousand_decisions_and_reloads_keep_no_memory() -> None:
    engine = world.engine()

    def work() -> None:
        for _ in range(10):
            engine.reload(*world.shipped(), now_ns=world.NOW)
            for stage, purpose in world.GOOD * 20:
                engine.decide_now(world.good(stage, purpose))

    work()
    before = resident_kb()
    work()
    assert resident_kb() - before < 4096


def resident_kb() -> int:
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4
