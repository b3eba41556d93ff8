"""A correctly signed bundle that permits everything leaks nothing: the floors hold (T6)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import VerificationFailed
from gateway.opa.engine import EmbeddedEngine
from gateway.policy import catalogue, decision, floors
from gateway.policy.decision import PERMIT_NS, Deny, Permit, Versions
from gateway.policy.purposes import PURPOSES
from gateway.policy.question import Question, Stage
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import BATCH_CLASSES, KeyType, ListId, RecordKind, Role
from tests.policies import world


def hostile() -> EmbeddedEngine:
    """Both layers signed by their own authorities, both corrupt."""
    return EmbeddedEngine.load(
        world.open_baseline(world.baseline_raw(world.hostile_rules("baseline"))),
        world.open_national(world.national_raw(world.hostile_rules("national"))),
        now_ns=world.NOW,
    )


ENGINE = hostile()


def held(question: Question) -> Permit | Deny:
    """What a flow would go on with: the rules' answer, then the floors."""
    answer = ENGINE.decide_now(question)
    return floors.hold(question, answer) if isinstance(answer, Permit) else answer


def refusal(question: Question) -> tuple[str, ...]:
    answer = held(question)
    assert isinstance(answer, Deny), question
    return answer.reasons


def raw(question: Question) -> Permit:
    """The hostile permit that the floors are given, whatever `combine` says of the purpose."""
    return Permit(
        agreement="ALL",
        agreement_version=1,
        key_types=tuple(KeyType),
        kinds=tuple(sorted(kind.name for kind in RecordKind)),
        slots_per_day=2**62,
        transfer_basis="all",
        retention="10y",
        expires_ns=question.time_ns + 2**61,
        baseline=bytes(32),
        national=bytes(32),
        obligations=tuple(sorted(decision.Obligation)),
    )


def test_the_bundle_is_signed_and_permits_everything_it_is_asked() -> None:
    assert isinstance(ENGINE.decide_now(world.good(legal_basis="none at all", agency=AgencyId("?"))), Permit)


@pytest.mark.parametrize(("stage", "purpose"), world.GOOD)
def test_what_is_rightly_asked_is_narrowed_to_the_catalogue(stage: Stage, purpose: Purpose) -> None:
    question = world.good(stage, purpose)
    for permit in (held(question), floors.hold(question, raw(question))):
        assert isinstance(permit, Permit)
        kinds = catalogue.kinds_of_group(catalogue.group_of(purpose))
        if stage is Stage.LIST:
            kinds = catalogue.kinds_of_list(question.list_id)
        assert permit.kinds == tuple(sorted(kind.name for kind in kinds))
        assert permit.key_types == tuple(key.value for key in catalogue.key_types_of(purpose))
        assert permit.slots_per_day <= floors.SLOTS_PER_DAY_MAX
        assert permit.expires_ns == question.time_ns + PERMIT_NS


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("code", [row.code for row in PURPOSES] + ["SEC.OTHER", "", "sec.watch", "FAM", "SEC.WATCH "])
def test_a_purpose_that_is_not_offered_is_never_served(stage: Stage, code: str) -> None:
    if code in catalogue.OFFERED:
        return
    wanted = "purpose_not_offered" if code in catalogue.CATALOGUE else "purpose_unknown"
    for list_id in ListId:
        question = world.good(stage, purpose=world.WATCH if list_id is ListId.PERSONS else world.STATUS)
        question = replace(question, purpose=Purpose(code))
        assert isinstance(held(question), Deny)
        bare = floors.hold(question, raw(question))
        assert isinstance(bare, Deny)
        assert wanted in bare.reasons


def test_discreet_and_family_records_are_never_answered() -> None:
    for code in ("SEC.DISCREET", "FAM.LINK", "REG.STATS", "VERIF.DOC", "CONS.SERVICE", "HBM.CRISIS", "TIP.VICTIM"):
        question = replace(world.good(), purpose=Purpose(code))
        assert isinstance(held(question), Deny)
        assert isinstance(floors.hold(question, raw(question)), Deny)


OPERATIONS = [
    "hit",
    "status",
    "disclose",
    "verify",
    "notify",
    "aggregate",
    "enter",
    "alter",
    "extend",
    "withdraw",
    "",
    "*",
]


@pytest.mark.parametrize(("stage", "purpose"), world.GOOD)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_that_is_not_the_stages_is_refused(stage: Stage, purpose: Purpose, operation: str) -> None:
    right = (
        operation in catalogue.LIST_OPERATIONS
        if stage is Stage.LIST
        else operation == catalogue.check_operation(purpose)
    )
    question = world.good(stage, purpose, operation=operation)
    if right:
        assert isinstance(held(question), Permit)
    else:
        assert refusal(question) == ("operation",)


def test_keys_beyond_the_catalogue_are_refused() -> None:
    for stage in (Stage.ASK, Stage.ANSWER, Stage.LIST):
        for extra in (KeyType.NAME_YEAR_1, KeyType.MET2_DOB_1):
            assert refusal(world.good(stage, world.STATUS, key_types=(KeyType.DOC_1, extra))) == ("key_type",)
    for stage in (Stage.ASK, Stage.ANSWER):
        assert refusal(world.good(stage, key_types=())) == ("key_type",)


@pytest.mark.parametrize("stage", [Stage.ASK, Stage.ANSWER])
@pytest.mark.parametrize("purpose", [world.WATCH, world.STATUS])
def test_only_the_catalogues_roles_ask(stage: Stage, purpose: Purpose) -> None:
    for role in Role:
        answer = held(world.good(stage, purpose, role=role))
        assert isinstance(answer, Permit) == (role in catalogue.roles_of(purpose)), role


def test_only_padded_batches_are_answered() -> None:
    for size in (0, 1, 7, 9, 31, 319, 1279, 1281, 2560, -8):
        assert refusal(world.good(class_size=size)) == ("class_size",)
    for size in BATCH_CLASSES:
        assert isinstance(held(world.good(class_size=size)), Permit)


def test_no_state_asks_itself_or_without_reference_or_basis() -> None:
    assert refusal(world.good(asker=PeerId("PAN"))) == ("not_the_owner",)
    assert refusal(world.good(has_case=False)) == ("case_required",)
    assert refusal(world.good(legal_basis="")) == ("legal_basis",)
    for basis in ("EU Dir. 2003/86 (as model)", "EU Dir. 2003/86", "SIS Reg. 2018/1861 art.24-25"):
        assert refusal(world.good(legal_basis=basis)) == ("legal_basis",)


@pytest.mark.parametrize("purpose", [world.WATCH, world.STATUS])
def test_one_person_lists_nothing(purpose: Purpose) -> None:
    for signers in (0, 1, -1):
        assert refusal(world.good(Stage.LIST, purpose, signers=signers)) == ("signers",)
    for role in Role:
        if role is not Role.LIST_OFFICER:
            assert refusal(world.good(Stage.LIST, purpose, role=role)) == ("role",)
    assert refusal(world.good(Stage.LIST, purpose, has_case=False)) == ("case_required",)
    assert refusal(world.good(Stage.LIST, purpose, legal_basis="")) == ("legal_basis",)


def test_only_the_issuing_state_lists_a_document() -> None:
    for issuers in (("HND",), ("HND", "PAN"), (), ("PAN", "PAN")):
        assert refusal(world.good(Stage.LIST, world.STATUS, issuers=issuers)) == ("issuer",)
    assert refusal(world.good(Stage.LIST, world.WATCH, issuers=("PAN",))) == ("issuer",)
    assert refusal(world.good(Stage.LIST, asker=PeerId("HND"))) == ("not_the_owner",)


def test_a_table_is_made_by_the_nodes_jobs_under_a_transfer_basis() -> None:
    assert refusal(world.good(Stage.PUBLISH, role=Role.BORDER_FRONTLINE)) == ("role",)
    question = world.good(Stage.PUBLISH)
    permit = raw(question)
    for bent in (replace(permit, transfer_basis=""), replace(permit, agreement="")):
        bare = floors.hold(question, bent)
        assert isinstance(bare, Deny)
        assert bare.reasons == ("no_agreement",)


def test_a_list_is_reached_by_its_own_purposes_only() -> None:
    for stage in Stage:
        for purpose, wrong in ((world.WATCH, ListId.DOCUMENTS), (world.STATUS, ListId.PERSONS)):
            assert "list" in refusal(world.good(stage, purpose, list_id=wrong))


@given(st.data())
def test_nothing_but_the_offered_purposes_own_question_passes(data: st.DataObject) -> None:
    """Any question at all against the hostile permit: what passes is exactly what the catalogue says."""
    codes = [row.code for row in PURPOSES]
    question = Question(
        stage=data.draw(st.sampled_from(list(Stage))),
        purpose=Purpose(data.draw(st.sampled_from(codes))),
        operation=data.draw(st.sampled_from(OPERATIONS)),
        legal_basis=data.draw(st.sampled_from(["", "bilateral agreement", "EU Dir. 2003/86"])),
        list_id=data.draw(st.sampled_from(list(ListId))),
        key_types=tuple(data.draw(st.sets(st.sampled_from(list(KeyType))))),
        class_size=data.draw(st.sampled_from([0, 8, 9, 32, 1280])),
        asker=PeerId(data.draw(st.sampled_from(["PAN", "HND"]))),
        owner=PeerId("PAN"),
        agency=AgencyId("SNM"),
        role=data.draw(st.sampled_from(list(Role))),
        has_case=data.draw(st.booleans()),
        signers=data.draw(st.integers(-1, 3)),
        time_ns=world.NOW,
        issuers=data.draw(st.sampled_from([(), ("PAN",), ("HND",)])),
    )
    passed = floors.hold(question, raw(question))
    if isinstance(passed, Deny):
        return
    purpose = question.purpose
    assert purpose in catalogue.OFFERED
    assert question.list_id in catalogue.lists_of(purpose)
    assert set(passed.key_types) <= {key.value for key in catalogue.key_types_of(purpose)}
    if question.stage is Stage.LIST:
        assert question.signers >= 2
        assert question.asker == question.owner
        assert question.role is Role.LIST_OFFICER
        assert question.has_case
    else:
        assert question.operation == catalogue.check_operation(purpose)
        assert question.asker != question.owner
        assert (question.role is Role.OPERATOR) == (question.stage is Stage.PUBLISH)


def test_the_hostile_bundle_passes_for_no_other_layer() -> None:
    with pytest.raises(VerificationFailed):
        world.open_national(world.baseline_raw(world.hostile_rules("baseline")))


def test_one_corrupt_authority_alone_opens_nothing_of_the_others() -> None:
    """A hostile national bundle under the honest baseline: only the baseline's own questions pass."""
    engine = EmbeddedEngine.load(
        world.shipped()[0],
        world.open_national(world.national_raw(world.hostile_rules("national"))),
        now_ns=world.NOW,
    )
    for stage, code in itertools.product(Stage, catalogue.CATALOGUE):
        answer = engine.decide_now(replace(world.good(stage), purpose=Purpose(code)))
        # The question is one of SEC.WATCH; a purpose that takes the same keys from the same role takes it too.
        takes = {"SEC.WATCH": set(Stage), "MISS.CHILD": {Stage.ASK, Stage.ANSWER, Stage.PUBLISH}}
        takes["API.PRESCREEN"] = {Stage.PUBLISH}
        assert isinstance(answer, Permit) == (stage in takes.get(code, ())), (stage, code)
    permit = engine.decide_now(world.good())
    assert isinstance(permit, Permit)
    assert permit.slots_per_day == 1_000_000
    assert permit.kinds == ("REFUSE_ENTRY", "WANTED_ARREST")


def test_a_purpose_without_safeguards_is_no_purpose() -> None:
    versions = Versions(bytes(32), bytes(32), 2**62, 2**62)
    grant = ENGINE.decide_now(world.good())
    assert isinstance(grant, Permit)
    hostile_answer = {
        "schema": decision.SCHEMA, "allow": True, "agreement": "", "agreement_version": 0, "key_types": ["doc/1"],
        "kinds": ["WANTED_ARREST"], "slots_per_day": 1, "transfer_basis": "", "retention": "30d",
        "until_ns": 2**62, "obligations": ["log"],
    }  # fmt: skip
    national = hostile_answer | {"agreement": "A"}
    answer = decision.combine(hostile_answer, national, world.good(), versions)
    assert answer == Deny(("policy_answer",), bytes(32), bytes(32))
