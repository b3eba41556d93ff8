"""Golden decisions: questions whose answers stand beside the rules and must come out so before a bundle is used.

A case is `{"name", "question", "decision", "reasons"}`: the input document, the layer's whole answer, and its reasons
where that is a no. What is refused, and why, is written here apart from the rules, so that a slip in them stops the
bundle at the door.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.errors import VerificationFailed
from gateway.opa import prepare
from gateway.policy import catalogue, decision
from gateway.policy.agreement import HOME_ROLES, STATISTICS, Agreement, Mandate
from gateway.policy.question import Question, Stage, document
from gateway.terms.ids import AgencyId, PeerId, Purpose
from gateway.terms.words import KeyType, ListId, Role

AGREEMENTS_MAX: Final = 8
"""Agreements that get cases of their own, so that a large state's bundle stays quick to activate."""

TIME_NS: Final = 1_700_000_000 * 10**9
"""When the baseline's cases are asked; the baseline itself knows no time."""


def judge(layer: str, case: Mapping[str, Any], answer: object, reasons: Collection[str]) -> None:
    """Raise VerificationFailed unless a case came out as written. `reasons` count where the answer is a no."""
    name = str(case.get("name", "?"))
    if case.keys() != {"name", "question", "decision", "reasons"}:
        raise VerificationFailed("golden decision", f"{layer}: {name}: malformed")
    if plain(answer) != plain(case["decision"]):
        raise VerificationFailed("golden decision", f"{layer}: {name}: another answer")
    if case["decision"] == decision.NO and sorted(reasons) != case["reasons"]:
        raise VerificationFailed("golden decision", f"{layer}: {name}: other reasons")


def plain(value: object) -> str:
    """A value as text, to compare answers as OPA would print them: sets as sorted arrays, true not equal to 1."""
    return json.dumps(value, sort_keys=True, default=lambda item: sorted(item) if isinstance(item, set) else repr(item))


def question(stage: Stage, purpose: Purpose, owner: str, asker: str) -> Question:
    """A question that the catalogue permits: the least surprising value in every field."""
    listing, publishing = stage is Stage.LIST, stage is Stage.PUBLISH
    list_id = next(iter(catalogue.lists_of(purpose)), None)
    aggregate = catalogue.is_aggregate(purpose)
    if listing:
        role = Role.LIST_OFFICER
    elif publishing:
        role = Role.OPERATOR
    else:
        role = sorted(catalogue.roles_of(purpose) or {Role.BORDER_FRONTLINE})[0]
    return Question(
        stage=stage,
        purpose=purpose,
        operation="enter" if listing else catalogue.check_operation(purpose),
        legal_basis="" if publishing else "bilateral agreement",
        list_id=list_id,
        key_types=() if publishing else catalogue.key_types_of(purpose),
        class_size=0 if listing or publishing or aggregate else 8,
        asker=PeerId(asker),
        owner=PeerId(owner),
        agency=AgencyId("AGENCY"),
        role=role,
        has_case=not publishing and not aggregate,
        signers=2 if listing else catalogue.signers_of(purpose, stage),
        time_ns=TIME_NS,
        issuers=(owner,) if listing and list_id is ListId.DOCUMENTS else (),
    )


def baseline(limits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The baseline's cases: each offered purpose at each stage, and each way to be refused."""
    rows = prepare.baseline(limits)
    cases = []
    for purpose in catalogue.OFFERED:
        for stage in catalogue.stages_of(purpose):
            good = _at(stage, purpose)
            cases.append(_case(f"{stage} {purpose}", good, rows[stage][purpose]["grant"]))
            if stage is Stage.ANSWER and catalogue.is_aggregate(purpose):
                grant = rows[stage][purpose]["grant"]
                cases.append(_case(f"{stage} {purpose}: a state asking itself", replace(good, asker=good.owner), grant))
            for name, changed, reasons in _refusals(good):
                cases.append(_case(f"{stage} {purpose}: {name}", changed, decision.NO, reasons))
    for row in catalogue.CATALOGUE.values():
        if row.code not in catalogue.OFFERED:
            asked = replace(_at(Stage.ASK, Purpose("SEC.WATCH")), purpose=Purpose(row.code))
            cases.append(_case(f"ask {row.code}", asked, decision.NO, ["purpose_not_offered"]))
    return cases


def _at(stage: Stage, purpose: Purpose) -> Question:
    return question(stage, purpose, "UTO", "UTO" if stage is Stage.LIST else "XOM")


def _refusals(good: Question) -> list[tuple[str, Question, list[str]]]:
    """Changes of a good question that the baseline refuses whatever is agreed, with the reasons."""
    # Another purpose's key: the loosest is for missing children only (T16).
    beyond = {"DOC.STATUS": KeyType.MET2_DOB_1, "RISK.IBC": KeyType.DOC_1, "MISS.CHILD": None}
    other = beyond.get(good.purpose, KeyType.MET2_YEAR_1)
    aggregate = catalogue.is_aggregate(good.purpose)
    changes: list[tuple[str, Question, list[str]]] = [
        ("another code", replace(good, purpose=Purpose("SEC.OTHER")), ["purpose_unknown"]),
        ("disclosing", replace(good, operation="disclose"), ["operation"]),
        ("a supervisor", replace(good, role=Role.SUPERVISOR), ["role"]),
        ("nine elements", replace(good, class_size=9), ["class_size"]),
    ]
    swapped = ListId.PERSONS if good.list_id is ListId.DOCUMENTS else ListId.DOCUMENTS
    changes.append(("the other list", replace(good, list_id=swapped), ["list"]))
    if good.signers:
        changes.append(("one signer", replace(good, signers=1), ["signers"]))
    if good.stage is Stage.LIST:
        changes.append(("another state's list", replace(good, asker=PeerId("XOM")), ["not_the_owner"]))
    elif good.stage is not Stage.ANSWER or not aggregate:
        reasons = ["not_the_owner"]
        changes.append(("a state asking itself", replace(good, asker=good.owner), reasons))
    if good.stage is Stage.LIST and good.list_id is ListId.DOCUMENTS:
        changes.append(("another issuer's document", replace(good, issuers=("XOM",)), ["issuer"]))
        changes.append(("two issuers", replace(good, issuers=("UTO", "XOM")), ["issuer"]))
    if good.stage is not Stage.PUBLISH:
        if not aggregate:
            changes.append(("no case", replace(good, has_case=False), ["case_required"]))
            changes.append(("no key", replace(good, key_types=()), ["key_type"]))
        changes.append(("no basis", replace(good, legal_basis=""), ["legal_basis"]))
        model = next(t for row in catalogue.CATALOGUE.values() for t in row.legal_basis if catalogue.MODEL_MARK in t)
        changes.append(("a model instrument", replace(good, legal_basis=model), ["legal_basis"]))
    if other is not None:
        changes.append(("a key beyond the catalogue", replace(good, key_types=(*good.key_types, other)), ["key_type"]))
    return changes


def national(state: str, signed: Sequence[Agreement], mandates: Sequence[Mandate]) -> list[dict[str, Any]]:
    """A national bundle's cases, from its agreements and mandates."""
    rows = prepare.national(state, signed, mandates)
    cases = []
    in_force = [agreement for agreement in signed if agreement.status == "in_force"]
    for agreement in in_force[:AGREEMENTS_MAX]:
        (other,) = set(agreement.parties) - {state}
        for name, terms in sorted(agreement.purposes.items()):
            purpose = Purpose(name)
            if purpose not in catalogue.OFFERED:
                continue
            for stage, owner, asker in (
                (Stage.ASK, other, state),
                (Stage.ANSWER, state, other),
                (Stage.PUBLISH, state, other),
            ):
                if stage not in catalogue.stages_of(purpose):
                    continue
                publishing = stage is Stage.PUBLISH
                good = replace(
                    question(stage, purpose, owner, asker),
                    legal_basis="" if publishing else terms.legal_bases[0],
                    key_types=() if publishing else tuple(KeyType(word) for word in terms.key_types),
                    role=Role.OPERATOR if publishing else Role(terms.roles[0]),
                    agency=AgencyId(agreement.agencies[owner if publishing else asker][0]),
                    time_ns=agreement.valid_from_ns,
                )
                cases.extend(
                    _national_cases(
                        f"{stage} {purpose} {agreement.id}", good, rows, agreement.valid_until_ns, publishing
                    )
                )
                cases.append(
                    _case(
                        f"{stage} {purpose} {agreement.id}: a third state",
                        replace(good, asker=PeerId("ZZZ"), owner=PeerId("ZZZ")),
                        decision.NO,
                        ["no_agreement"],
                    )
                )
    for mandate in mandates:
        if mandate.list == STATISTICS:
            cases.extend(_home_cases(state, mandate, rows))
            continue
        purpose = catalogue.purpose_of_list(ListId(mandate.list))
        good = replace(
            question(Stage.LIST, purpose, state, state),
            legal_basis=mandate.legal_bases[0],
            agency=AgencyId(mandate.agencies[0]),
            time_ns=mandate.valid_from_ns,
        )
        cases.extend(_national_cases(f"list {mandate.id}", good, rows, mandate.valid_until_ns, False))
    if not cases:
        # A state without agreements and mandates may do nothing, and says so.
        nothing = question(Stage.ASK, Purpose("SEC.WATCH"), "ZZZ", state)
        cases.append(_case("ask SEC.WATCH without an agreement", nothing, decision.NO, ["no_agreement"]))
    return cases


def _home_cases(state: str, mandate: Mandate, rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The state's own analysts at its own node."""
    cases = []
    for purpose in filter(catalogue.is_aggregate, catalogue.OFFERED):
        good = replace(
            question(Stage.ANSWER, purpose, state, state),
            legal_basis=mandate.legal_bases[0],
            agency=AgencyId(mandate.agencies[0]),
            role=Role(HOME_ROLES[0]),
            time_ns=mandate.valid_from_ns,
        )
        name = f"answer {purpose} {mandate.id}"
        cases.extend(_national_cases(name, good, rows, mandate.valid_until_ns, False))
        regional = replace(good, role=Role.ANALYST_REGIONAL)
        cases.append(_case(f"{name}: a regional analyst", regional, decision.NO, ["role"]))
    return cases


def _national_cases(
    name: str, good: Question, rows: Mapping[str, Any], until_ns: int, publishing: bool
) -> list[dict[str, Any]]:
    row = rows[good.stage][good.owner][good.asker][good.purpose]
    cases = [
        _case(name, good, row["grant"]),
        _case(f"{name}: last moment", replace(good, time_ns=until_ns - 1), row["grant"]),
        _case(f"{name}: ended", replace(good, time_ns=until_ns), decision.NO, ["agreement_not_in_force"]),
        _case(f"{name}: not begun", replace(good, time_ns=good.time_ns - 1), decision.NO, ["agreement_not_in_force"]),
        _case(
            f"{name}: another agency",
            replace(good, agency=AgencyId("NO SUCH AGENCY")),
            decision.NO,
            ["agency"],
        ),
    ]
    basis = "bilateral agreement" if publishing else "no such basis"
    cases.append(_case(f"{name}: another basis", replace(good, legal_basis=basis), decision.NO, ["legal_basis"]))
    return cases


def _case(name: str, asked: Question, answer: Mapping[str, Any], reasons: Sequence[str] = ()) -> dict[str, Any]:
    return {"name": name, "question": document(asked), "decision": dict(answer), "reasons": sorted(reasons)}
