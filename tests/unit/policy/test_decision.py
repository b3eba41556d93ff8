"""Two answers become one, failing closed; each step of `combine` by its number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import decision, reasons
from gateway.policy.decision import MANDATORY, PERMIT_NS, RETENTION_CLASSES, Deny, Obligation, Permit, Versions
from gateway.policy.question import Question, Stage, document
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import KeyType, ListId, Role

NOW = 1_800_000_000 * 10**9
VERSIONS = Versions(b"b" * 32, b"n" * 32, NOW + 10**15, NOW + 10**15)
QUESTION = Question(
    stage=Stage.ANSWER,
    purpose=Purpose("SEC.WATCH"),
    operation="hit",
    legal_basis="bilateral agreement",
    list_id=ListId.PERSONS,
    key_types=(KeyType.DOC_1, KeyType.NAME_YEAR_1),
    class_size=8,
    asker=PeerId("HND"),
    owner=PeerId("PAN"),
    agency=AgencyId("INM"),
    role=Role.BORDER_FRONTLINE,
    has_case=True,
    signers=0,
    time_ns=NOW,
)
NO = {"schema": "limen.decision/1", "allow": False}


def yes(**changes: Any) -> dict[str, Any]:
    return {
        "schema": "limen.decision/1",
        "allow": True,
        "agreement": "",
        "agreement_version": 0,
        "key_types": ["doc/1", "met2_dob/1", "name_year/1"],
        "kinds": ["REFUSE_ENTRY", "WANTED_ARREST"],
        "slots_per_day": 1000,
        "transfer_basis": "",
        "retention": "30d",
        "until_ns": 2**63 - 1,
        "obligations": ["charge", "expired_never_answers", "log"],
        **changes,
    }


def national(**changes: Any) -> dict[str, Any]:
    return yes(
        **{"agreement": "AGR", "agreement_version": 3, "transfer_basis": "tool", "obligations": ["log"], **changes}
    )


def combined(baseline: object, state: object, question: Question = QUESTION) -> Permit | Deny:
    return decision.combine(baseline, state, question, VERSIONS)


def test_two_yeses_are_a_permit() -> None:
    assert combined(yes(), national()) == Permit(
        agreement="AGR",
        agreement_version=3,
        key_types=("doc/1", "name_year/1"),
        kinds=("REFUSE_ENTRY", "WANTED_ARREST"),
        slots_per_day=1000,
        transfer_basis="tool",
        retention="30d",
        expires_ns=NOW + PERMIT_NS,
        baseline=b"b" * 32,
        national=b"n" * 32,
        obligations=("charge", "expired_never_answers", "log"),
    )


def test_1_an_expired_bundle_decides_nothing() -> None:
    for baseline, state in ((NOW, NOW + 1), (NOW + 1, NOW)):
        answer = decision.combine(yes(), national(), QUESTION, Versions(b"b", b"n", baseline, state))
        assert answer == Deny(("policy_expired",), b"b", b"n")


NOT_AN_ANSWER: list[object] = [
    None, True, False, 0, 1, "", "<undefined>", [], [yes()], {}, {"allow": True}, {"result": yes()},
    {"schema": "limen.decision/1", "allow": 0}, {"schema": "limen.decision/1", "allow": None},
    {"schema": "limen.decision/1", "allow": True}, {"schema": "limen.decision/2", "allow": False},
    {"schema": "limen.decision/1", "allow": False, "more": 1}, object(), yes(allow="true"), yes(allow=1),
    yes(schema="limen.decision/2"), yes(schema=None), yes(more=1),
]  # fmt: skip


@pytest.mark.parametrize("answer", NOT_AN_ANSWER, ids=lambda answer: repr(answer)[:40].split(" object at")[0])
def test_2_what_is_no_answer_is_a_no(answer: object) -> None:
    assert combined(answer, national()) == Deny(("policy_answer",), b"b" * 32, b"n" * 32)
    assert combined(yes(), answer) == Deny(("policy_answer",), b"b" * 32, b"n" * 32)
    assert combined(answer, answer) == Deny(("policy_answer",), b"b" * 32, b"n" * 32)


@pytest.mark.parametrize("field", sorted(set(yes()) - {"schema", "allow"}))
def test_2_every_field_of_a_yes_is_judged(field: str) -> None:
    without = yes()
    del without[field]
    assert isinstance(combined(without, national()), Deny)
    for value in (None, True, -1, 1.5, "\x00", "x" * 201, ["?"], [1], {}, {"x": 1}, [None], "\ud800"):
        assert isinstance(combined(yes(**{field: value}), national()), Deny), value
        assert isinstance(combined(yes(), national(**{field: value})), Deny), value


def test_2_unknown_words_are_a_no() -> None:
    for field, word in (("obligations", "notify_press"), ("key_types", "met2_year/2"), ("kinds", "ANYBODY")):
        assert isinstance(combined(yes(), national(**{field: [*national()[field], word]})), Deny)


def test_3_one_no_is_a_no_without_reasons_yet() -> None:
    for pair in ((NO, national()), (yes(), NO), (NO, NO)):
        assert combined(*pair) == Deny((), b"b" * 32, b"n" * 32)


def test_4_the_agreement_is_the_states_to_name() -> None:
    assert isinstance(combined(yes(), national(agreement="")), Deny)
    assert isinstance(combined(yes(agreement="AGR"), national()), Deny)


def test_5_sets_intersect() -> None:
    permit = combined(yes(key_types=["doc/1"]), national(kinds=["WANTED_ARREST"]))
    assert isinstance(permit, Permit)
    assert (permit.key_types, permit.kinds) == (("doc/1",), ("WANTED_ARREST",))
    assert combined(yes(key_types=["met2_dob/1"]), national()) == Deny(("key_type",), b"b" * 32, b"n" * 32)
    assert combined(yes(kinds=["REVOKED"]), national()) == Deny(("policy_answer",), b"b" * 32, b"n" * 32)
    assert isinstance(combined(yes(key_types={"doc/1"}), national(key_types=frozenset({"doc/1"}))), Permit)


@pytest.mark.parametrize(("stage", "purpose"), sorted(MANDATORY))
def test_6_a_safeguard_that_is_missing_is_a_no(stage: Stage, purpose: str) -> None:
    from dataclasses import replace

    question = replace(QUESTION, stage=stage, purpose=Purpose(purpose), key_types=())
    mandatory = sorted(MANDATORY[stage, purpose])
    assert isinstance(combined(yes(obligations=mandatory), national(obligations=[]), question), Permit)
    # Either layer may bring it.
    assert isinstance(combined(yes(obligations=[]), national(obligations=mandatory), question), Permit)
    for missing in mandatory:
        rest = [word for word in mandatory if word != missing]
        assert isinstance(combined(yes(obligations=rest), national(obligations=rest), question), Deny), missing


def test_6_a_purpose_without_safeguards_is_not_offered() -> None:
    from dataclasses import replace

    for code in ("FAM.LINK", "NO.SUCH"):
        answer = combined(
            yes(obligations=list(Obligation)),
            national(obligations=list(Obligation)),
            replace(QUESTION, purpose=Purpose(code)),
        )
        assert answer == Deny(("purpose_not_offered",), b"b" * 32, b"n" * 32)


def test_7_numbers_take_the_stricter() -> None:
    permit = combined(yes(slots_per_day=7, retention="3y"), national(retention="24h"))
    assert isinstance(permit, Permit)
    assert (permit.slots_per_day, permit.retention) == (7, "24h")
    assert isinstance(combined(yes(slots_per_day=0), national()), Deny)
    for short in (yes(until_ns=NOW + 5), yes()):
        permit = combined(short, national(until_ns=NOW + 9))
        assert isinstance(permit, Permit)
        assert permit.expires_ns == (NOW + 5 if short["until_ns"] == NOW + 5 else NOW + 9)
    assert combined(yes(), national(until_ns=NOW)) == Deny(("agreement_not_in_force",), b"b" * 32, b"n" * 32)
    answer = decision.combine(yes(), national(), QUESTION, Versions(b"b", b"n", NOW + 3, NOW + 4))
    assert isinstance(answer, Permit)
    assert answer.expires_ns == NOW + 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_value_but_a_yes_is_a_yes(baseline: object, state: object) -> None:
    assert isinstance(combined(baseline, state), Deny)


@given(st.dictionaries(st.sampled_from(sorted(yes())), JSON))
def test_no_bent_yes_widens_a_permit(bent: dict[str, Any]) -> None:
    """Whatever one layer says, the permit is inside what the other granted."""
    answer = combined(yes(**bent), national())
    if isinstance(answer, Permit):
        assert set(answer.key_types) <= {"doc/1", "name_year/1"}
        assert set(answer.kinds) <= {"REFUSE_ENTRY", "WANTED_ARREST"}
        assert answer.slots_per_day <= 1000
        assert RETENTION_CLASSES.index(answer.retention) <= RETENTION_CLASSES.index("30d")
        assert NOW < answer.expires_ns <= NOW + PERMIT_NS


def test_the_documents_fields_are_plain_and_always_there() -> None:
    asked = document(QUESTION)
    assert set(asked) == {
        "schema", "stage", "purpose", "operation", "legal_basis", "list", "key_types", "class_size", "asker", "owner",
        "agency", "role", "has_case", "signers", "issuers", "time_ns",
    }  # fmt: skip
    for value in asked.values():
        assert type(value) in (str, int, bool, list)
    assert [type(key) for key in asked["key_types"]] == [str, str]


def test_reasons_are_known_codes_in_order() -> None:
    assert reasons.known(["role", "agency", "role"]) == ("agency", "role")
    assert reasons.known(["J. DOE", 7, None, ["role"]]) == ("denied",)
    assert reasons.known([]) == ()
    assert list(reasons.REASONS) == sorted(reasons.REASONS)
