"""Every offered purpose, row by row of the catalogue: who may ask what, by which keys, and each safeguard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.opa import golden
from gateway.policy import catalogue, floors
from gateway.policy.decision import Deny, Permit
from gateway.policy.floors import Candidates
from gateway.policy.question import Question, Stage, statistic
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import AsylumState, KeyType, ListId, ProtectionTag, RecordKind, Role
from tests.policies import world

FLIGHT, CHILD, RETURN, RISK = (Purpose(code) for code in ("API.PRESCREEN", "MISS.CHILD", "READ.IDENT", "RISK.IBC"))
ASKING = [(stage, purpose) for purpose in catalogue.OFFERED for stage in (Stage.ASK, Stage.ANSWER)]
OPERATIONS = ("status", "hit", "disclose", "verify", "notify", "aggregate")
NOWHERE = Candidates()


def good(stage: Stage, purpose: Purpose) -> Question:
    """A question that PAN's starter agreement with HND permits."""
    owner, asker = ("HND", "PAN") if stage is Stage.ASK else ("PAN", "HND")
    agency = world.AGENCIES[asker if stage is not Stage.PUBLISH else owner][0]
    basis = "" if stage is Stage.PUBLISH else "bilateral agreement"
    asked = golden.question(stage, purpose, owner, asker)
    return replace(asked, agency=AgencyId(agency), time_ns=world.NOW, legal_basis=basis)


def decided(question: Question) -> Permit | Deny:
    """What rules and floors say together."""
    answer = world.engine().decide_now(question)
    return floors.hold(question, answer) if isinstance(answer, Permit) else answer


@pytest.mark.parametrize(("stage", "purpose"), ASKING)
def test_a_each_listed_role_asks_and_no_other(stage: Stage, purpose: Purpose) -> None:
    for role in Role:
        answer = decided(replace(good(stage, purpose), role=role))
        assert isinstance(answer, Permit) == (role in catalogue.roles_of(purpose)), role


@pytest.mark.parametrize(("stage", "purpose"), ASKING)
def test_b_no_operation_but_the_purposes_own(stage: Stage, purpose: Purpose) -> None:
    for operation in OPERATIONS:
        answer = decided(replace(good(stage, purpose), operation=operation))
        assert isinstance(answer, Permit) == (operation == catalogue.check_operation(purpose)), operation


@pytest.mark.parametrize(("stage", "purpose"), ASKING)
def test_c_only_the_listed_keys(stage: Stage, purpose: Purpose) -> None:
    granted = catalogue.key_types_of(purpose)
    for key_type in KeyType:
        answer = decided(replace(good(stage, purpose), key_types=(key_type,)))
        assert isinstance(answer, Permit) == (key_type in granted), key_type


@pytest.mark.parametrize("purpose", catalogue.OFFERED)
def test_c_the_loosest_key_is_for_missing_children(purpose: Purpose) -> None:
    assert (KeyType.MET2_YEAR_1 in catalogue.key_types_of(purpose)) == (purpose == CHILD)


@pytest.mark.parametrize("purpose", catalogue.OFFERED)
def test_a_table_is_made_for_what_reaches_records_only(purpose: Purpose) -> None:
    asked = good(Stage.PUBLISH, purpose)
    if purpose == RISK:
        assert isinstance(decided(asked), Deny)
    else:
        assert isinstance(decided(asked), Permit)
    assert any(purpose in place.purposes for place in catalogue.tables()) == (purpose != RISK)


def test_d_children_nationals_and_the_wanted_share_no_table() -> None:
    places = {str(place.group): set(catalogue.kinds_of_group(place.group)) for place in catalogue.tables()}
    assert set(places) == {"WATCH", "DOCUMENT", "CHILD", "READMISSION"}
    assert places["CHILD"] == {RecordKind.MISSING_CHILD}
    assert places["READMISSION"] == {RecordKind.NATIONAL}
    assert not places["WATCH"] & (places["CHILD"] | places["READMISSION"])


# API.PRESCREEN


def test_d_what_a_flight_leaves_is_of_the_shortest_class() -> None:
    permit = decided(good(Stage.ASK, FLIGHT))
    assert isinstance(permit, Permit)
    assert permit.retention == "24h"
    assert {"one_flight", "deleted_after_flight"} <= set(permit.obligations)
    other = decided(good(Stage.ASK, world.WATCH))
    assert isinstance(other, Permit)
    assert other.retention == "30d"
    assert not {"one_flight", "deleted_after_flight"} & set(other.obligations)


def test_d_no_rule_keeps_a_flight_longer() -> None:
    asked = good(Stage.ASK, FLIGHT)
    permit = world.engine().decide_now(asked)
    assert isinstance(permit, Permit)
    held = floors.hold(asked, replace(permit, retention="10y"))
    assert isinstance(held, Permit)
    assert held.retention == "24h"


# MISS.CHILD


def test_d_a_child_is_asked_about_as_a_missing_child_and_not_as_wanted() -> None:
    assert floors.guard(CHILD, PeerId("HND"), origins=NOWHERE, protected=False, child=True) == ""
    for purpose in (world.WATCH, FLIGHT):
        assert floors.guard(purpose, PeerId("HND"), origins=NOWHERE, protected=False, child=True) == "child"


def test_d_a_missing_child_is_not_told_to_the_state_it_fled_from() -> None:
    fled = Candidates(frozenset({"UTO"}))
    assert floors.guard(CHILD, PeerId("UTO"), origins=fled, protected=True, child=True) == "protected_origin"
    assert floors.guard(CHILD, PeerId("HND"), origins=fled, protected=True, child=True) == ""


def test_d_a_missing_child_binds_to_its_safeguards() -> None:
    permit = decided(good(Stage.ASK, CHILD))
    assert isinstance(permit, Permit)
    assert {"child_recipient", "never_detain", "answer_in_one_hour"} <= set(permit.obligations)


# READ.IDENT


@pytest.mark.parametrize("signers", [0, 1])
def test_d_a_return_needs_two_persons(signers: int) -> None:
    answer = decided(replace(good(Stage.ASK, RETURN), signers=signers))
    assert isinstance(answer, Deny)
    assert "signers" in answer.reasons
    assert isinstance(decided(replace(good(Stage.ASK, RETURN), signers=2)), Permit)


@pytest.mark.parametrize("asylum", list(AsylumState))
def test_d_a_claim_that_is_open_or_unknown_guards_every_leg(asylum: AsylumState) -> None:
    for owner in (PeerId("HND"), PeerId("UTO")):
        reason = floors.guard(RETURN, owner, origins=NOWHERE, protected=False, child=False, asylum=asylum)
        assert (reason == "") == (asylum in (AsylumState.NONE, AsylumState.FINALLY_REFUSED))


def test_d_a_claim_is_never_refused_aloud() -> None:
    assert all(isinstance(decided(good(stage, RETURN)), Permit) for stage in (Stage.ASK, Stage.ANSWER))


def test_d_a_protected_person_is_not_returned_whatever_is_said_of_the_claim() -> None:
    for more in ({"protected": True}, {"protected": False, "tags": (ProtectionTag.REFUGEE,)}):
        reason = floors.guard(
            RETURN,
            PeerId("HND"),
            origins=NOWHERE,
            child=False,
            asylum=AsylumState.NONE,
            **more,
        )
        assert reason == "asylum"


def test_d_no_child_without_the_decision_that_it_is_in_its_interest() -> None:
    def asked(best_interest: bool) -> str:
        return floors.guard(
            RETURN,
            PeerId("HND"),
            origins=NOWHERE,
            protected=False,
            child=True,
            asylum=AsylumState.NONE,
            best_interest=best_interest,
        )

    assert asked(False) == "child"
    assert asked(True) == ""
    assert floors.guard(world.WATCH, PeerId("HND"), origins=NOWHERE, protected=False, child=True, best_interest=True)


# RISK.IBC


def test_d_risk_analysis_gets_numbers_and_reaches_no_list() -> None:
    asked = statistic(
        Stage.ANSWER,
        RISK,
        legal_basis="bilateral agreement",
        asker=PeerId("HND"),
        owner=PeerId("PAN"),
        agency=AgencyId("INM"),
        role=Role.ANALYST_NATIONAL,
        time_ns=world.NOW,
    )
    permit = decided(asked)
    assert isinstance(permit, Permit)
    assert (permit.key_types, permit.kinds) == ((), ())
    assert "aggregate_only" in permit.obligations
    for list_id in ListId:
        assert isinstance(decided(replace(asked, list_id=list_id)), Deny)
    for change in ({"class_size": 8}, {"key_types": (KeyType.DOC_1,)}, {"operation": "hit"}):
        assert isinstance(decided(replace(asked, **change)), Deny)
    assert catalogue.lists_of(RISK) == ()


def at_home(stage: Stage = Stage.ANSWER, role: Role = Role.ANALYST_NATIONAL) -> Question:
    """PAN's own analyst asks PAN's own node."""
    return statistic(
        stage,
        RISK,
        legal_basis="national immigration act",
        asker=PeerId("PAN"),
        owner=PeerId("PAN"),
        agency=AgencyId("SNM"),
        role=role,
        time_ns=world.NOW,
    )


def test_d_a_state_makes_statistics_of_its_own_without_an_agreement() -> None:
    permit = decided(at_home())
    assert isinstance(permit, Permit)
    assert (permit.agreement, permit.transfer_basis) == ("MANDATE-PAN-STATISTICS", "")
    assert "aggregate_only" in permit.obligations
    for role in Role:
        assert isinstance(decided(at_home(role=role)), Permit) == (role is Role.ANALYST_NATIONAL), role
    for change in ({"agency": AgencyId("INM")}, {"legal_basis": "bilateral agreement"}, {"operation": "hit"}):
        assert isinstance(decided(replace(at_home(), **change)), Deny)


def test_d_a_state_asks_itself_for_nothing_else() -> None:
    for purpose in catalogue.OFFERED:
        for stage in (Stage.ASK, Stage.ANSWER):
            asked = good(stage, purpose)
            answer = decided(replace(asked, asker=asked.owner, agency=AgencyId("SNM")))
            assert isinstance(answer, Deny), (stage, purpose)
    assert isinstance(decided(at_home(Stage.ASK)), Deny)


def test_d_the_floors_hold_at_home_whatever_a_bundle_says() -> None:
    permit = decided(at_home())
    assert isinstance(permit, Permit)
    assert floors.hold(at_home(), replace(permit, agreement="")) == Deny(
        ("no_agreement",), permit.baseline, permit.national
    )
    for bent, reason in (
        (at_home(Stage.ASK), "not_the_owner"),
        (at_home(role=Role.ANALYST_REGIONAL), "role"),
        (replace(at_home(), asker=PeerId("HND")), "no_agreement"),
        (replace(good(Stage.ANSWER, world.WATCH), asker=PeerId("PAN")), "not_the_owner"),
    ):
        answer = floors.hold(bent, permit)
        assert isinstance(answer, Deny), bent
        assert reason in answer.reasons, bent
