"""Writes docs/safeguards.md: each safeguard of an offered purpose, its source, what holds it, and its tests; then the
rule of every safeguard of the whole catalogue.

python docs/make_safeguards.py           write the page
python docs/make_safeguards.py --check   exit 1 when the page is not what would be written

A purpose that is offered with a safeguard that is not here, an obligation that no permit is bound to, a test that does
not exist: each is an error, so that no article stands without its rule and no rule without its tests.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gateway.policy import catalogue
from gateway.policy.decision import MANDATORY, Obligation
from gateway.policy.purposes import PURPOSES, PurposeRow
from gateway.policy.safeguards import SAFEGUARDS as RULES

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "safeguards.md"


class Held(NamedTuple):
    """How a safeguard is held. `source` is the article or the requirement of the threat model; `obligation` what a
    permit is bound to, where it is one; `where` the module that carries it out; then a test of what is let through and
    one of what is not."""

    source: str
    obligation: Obligation | None
    where: str
    permits: str
    refuses: str


SAFEGUARDS: Final[Mapping[tuple[str, str], Held]] = {
    ("SEC.WATCH", "human confirmation before any consequence"): Held(
        "LED art. 11",
        Obligation.HUMAN_CONFIRMATION,
        "gateway/flows/disclose.py",
        "tests/e2e/test_states_case.py::test_scenario_7_a_hit_is_confirmed_requested_released_by_two_and_its_outcome_told",
        "tests/flows/test_disclose.py::test_one_person_releases_nothing_and_nobody_signs_for_another",
    ),
    ("SEC.WATCH", "asylum request at the border is recorded before the check and never shared"): Held(
        "1951 Convention art. 31, 33; T2, T4",
        Obligation.PROTECTION_BEFORE_CHECK,
        "gateway/policy/floors.py",
        "tests/unit/policy/test_floors.py::test_without_protection_the_origin_is_asked",
        "tests/flows/test_guard.py::"
        "test_protection_declared_at_the_booth_sends_dummies_to_the_origin_and_shows_nothing_of_its_list",
    ),
    ("SEC.WATCH", "alert older than valid_until never answers"): Held(
        "LED art. 4(1)(d), 5",
        Obligation.EXPIRED_NEVER_ANSWERS,
        "gateway/watchlist/publish.py",
        "tests/flows/test_check.py::test_two_owners_who_list_one_person_are_two_hits_under_references_that_differ",
        "tests/flows/test_publish.py::test_a_withdrawn_entry_and_an_expired_one_never_hit_again",
    ),
    ("SEC.WATCH", "right of access through the owner"): Held(
        "LED art. 14, 17; T18",
        Obligation.REDRESS_THROUGH_OWNER,
        "gateway/pseudonym/label.py",
        "tests/flows/test_check.py::test_two_owners_who_list_one_person_are_two_hits_under_references_that_differ",
        "tests/policies/test_allow_all.py::test_a_purpose_without_safeguards_is_no_purpose",
    ),
    ("DOC.STATUS", "only the issuing state may enter or change a record"): Held(
        "INTERPOL SLTD rules",
        Obligation.ISSUER_ONLY,
        "gateway/policy/floors.py",
        "tests/unit/examples/test_region_data.py::test_only_the_issuing_state_lists_a_document_and_names_no_holder",
        "tests/policies/test_allow_all.py::test_only_the_issuing_state_lists_a_document",
    ),
    ("DOC.STATUS", "answer never contains holder data"): Held(
        "INTERPOL SLTD rules",
        Obligation.NO_HOLDER_DATA,
        "gateway/watchlist/entry.py",
        "tests/flows/test_check.py::test_a_lost_document_shows_its_kind_and_nothing_of_a_holder",
        "tests/unit/watchlist/test_entry.py::test_a_document_on_the_list_has_no_holder",
    ),
    ("DOC.STATUS", "rate limit against number guessing"): Held(
        "T12, T19",
        Obligation.CHARGE,
        "gateway/flows/answer.py",
        "tests/faults/test_states_hostile_asker.py::test_a_good_question_is_answered_and_charged_once",
        "tests/flows/test_answer.py::test_the_first_batch_past_the_allowance_is_refused_until_the_next_day",
    ),
    ("DOC.STATUS", "UNKNOWN is not NO-HIT"): Held(
        "decision 7",
        Obligation.UNKNOWN_NEVER_VALID,
        "gateway/people/messages.py",
        "tests/flows/test_check.py::test_a_lost_document_shows_its_kind_and_nothing_of_a_holder",
        "tests/e2e/test_states_acceptance.py::test_scenario_4_an_unknown_document_is_unknown_and_never_valid",
    ),
    ("API.PRESCREEN", "batch of one flight per request id"): Held(
        "WCO/IATA/ICAO API Guidelines",
        Obligation.ONE_FLIGHT,
        "gateway/flows/check.py",
        "tests/flows/test_other_purposes.py::test_a_flight_of_300_is_one_question_and_its_hits_are_told_by_place",
        "tests/flows/test_other_purposes.py::test_a_flight_says_when_it_ends_and_nothing_else_does",
    ),
    ("API.PRESCREEN", "no-hit records deleted at the end of the flight plus 24 h"): Held(
        "ICAO Annex 9 ch. 9; T11, T13",
        Obligation.DELETED_AFTER_FLIGHT,
        "gateway/policy/floors.py",
        "tests/policies/test_purposes.py::test_d_what_a_flight_leaves_is_of_the_shortest_class",
        "tests/policies/test_purposes.py::test_d_no_rule_keeps_a_flight_longer",
    ),
    ("API.PRESCREEN", "crew handled apart (BGM 250)"): Held(
        "WCO/IATA/ICAO PAXLST guide, BGM",
        Obligation.ONE_FLIGHT,
        "adapters/gateway_adapters/paxlst.py",
        "tests/unit/test_paxlst.py::test_a_message_is_a_flight_its_legs_and_its_travellers",
        "tests/unit/test_paxlst.py::test_a_crew_is_told_from_passengers_and_a_list_from_csv",
    ),
    ("MISS.CHILD", "recipient of the disclosure must hold the child protection role"): Held(
        "CRC art. 35",
        Obligation.CHILD_RECIPIENT,
        "gateway/disclosure/profiles.py",
        "tests/e2e/test_states_scenarios.py::"
        "test_scenario_10_a_child_of_a_year_only_is_found_for_child_protection_alone_and_waits_an_hour",
        "tests/flows/test_disclose.py::test_what_is_said_of_a_child_is_opened_for_child_protection_only",
    ),
    ("MISS.CHILD", "answer within 1 h or escalation"): Held(
        "Hague 1980 art. 11",
        Obligation.ANSWER_IN_ONE_HOUR,
        "gateway/people/messages.py",
        "tests/unit/people/test_messages.py::test_a_missing_child_is_not_detained_and_its_desk_answers_within_an_hour",
        "tests/policies/test_purposes.py::test_d_a_missing_child_binds_to_its_safeguards",
    ),
    ("MISS.CHILD", "never a ground for refusal or detention"): Held(
        "CRC art. 37",
        Obligation.NEVER_DETAIN,
        "gateway/people/messages.py",
        "tests/flows/test_other_purposes.py::"
        "test_a_missing_child_is_found_by_sound_and_year_and_the_officer_is_told_not_to_detain",
        "tests/policies/test_purposes.py::test_d_a_missing_child_binds_to_its_safeguards",
    ),
    ("READ.IDENT", "refused while an asylum claim or appeal is open"): Held(
        "1951 Convention art. 33; T10",
        Obligation.NO_OPEN_CLAIM,
        "gateway/policy/floors.py",
        "tests/flows/test_other_purposes.py::test_a_national_is_confirmed_and_never_denied",
        "tests/policies/test_purposes.py::test_d_a_claim_that_is_open_or_unknown_guards_every_leg",
    ),
    ("READ.IDENT", "request must not reveal that asylum was asked"): Held(
        "T4",
        Obligation.NO_OPEN_CLAIM,
        "gateway/flows/check.py",
        "tests/policies/test_purposes.py::test_d_a_claim_is_never_refused_aloud",
        "tests/flows/test_other_purposes.py::"
        "test_with_a_claim_open_or_unknown_the_answer_is_that_of_a_miss_from_everywhere",
    ),
    ("READ.IDENT", "no children without best-interest decision reference"): Held(
        "CRC art. 3; T21",
        Obligation.BEST_INTEREST,
        "gateway/policy/floors.py",
        "tests/flows/test_other_purposes.py::test_a_child_is_returned_with_a_decision_on_its_interest_only",
        "tests/policies/test_purposes.py::test_d_no_child_without_the_decision_that_it_is_in_its_interest",
    ),
    ("READ.IDENT", "purpose change refused"): Held(
        "Smuggling Protocol art. 10(2); T16",
        Obligation.PURPOSE_BOUND,
        "gateway/flows/subjects.py",
        "tests/flows/test_other_purposes.py::"
        "test_a_return_is_about_one_person_and_its_facts_belong_to_no_other_purpose",
        "tests/flows/test_other_purposes.py::"
        "test_a_person_asked_about_for_a_return_is_not_asked_about_for_another_end_that_day",
    ),
    ("RISK.IBC", "no prediction about a single person"): Held(
        "LED art. 11",
        Obligation.AGGREGATE_ONLY,
        "gateway/statistics",
        "tests/policies/test_purposes.py::test_d_risk_analysis_gets_numbers_and_reaches_no_list",
        "tests/properties/test_release_path.py::test_one_unit_changes_what_the_charge_says_and_no_more",
    ),
}

OFFERED: Final[tuple[PurposeRow, ...]] = tuple(catalogue.CATALOGUE[purpose] for purpose in catalogue.OFFERED)

HEAD: Final = """\
# Safeguards: article, rule, tests

Each safeguard of a purpose that is offered, where it comes from, what holds it, and two tests: of what passes and
of what does not. Made by `docs/make_safeguards.py`, which fails where one of these is missing; a
purpose without such a table is not offered. Obligations are what a permit must be bound to, or it is a no
(`gateway/policy/decision.py`); floors hold against any bundle (`gateway/policy/floors.py`). LED is Directive (EU)
2016/680, CRC the Convention on the Rights of the Child; T numbers are requirements of the [threat
model](threat-model.md). This is engineering, not legal advice.
"""


CATALOGUE_HEAD: Final = """
## The whole catalogue as rules

Every safeguard of every purpose has its rule in `policies/limen/baseline/purposes`, with tests of both sides
made from the catalogue (`tests/policies/test_catalogued.py`). No flow asks these rules yet and they are in no
bundle. Of a purpose that is **not offered** the gateway gives no rule its facts; a fact that is missing is a
no, and the purpose is refused before that, `purpose_not_offered`. Of one that is offered, what holds its
safeguards is the table above.
"""


def faults() -> Iterator[str]:
    """Everything that is not as the head of the page says."""
    wanted = {(row.code, words) for row in OFFERED for words in row.safeguards}
    for code, words in sorted(wanted - SAFEGUARDS.keys()):
        yield f"{code}: {words}: nothing says what holds it"
    ruled = {(rule.purpose, rule.words) for rule in RULES}
    for code, words in sorted({(row.code, words) for row in PURPOSES for words in row.safeguards} ^ ruled):
        yield f"{code}: {words}: stands in the catalogue or in the rules, not in both"
    for code, words in sorted(SAFEGUARDS.keys() - wanted):
        yield f"{code}: {words}: is no safeguard of an offered purpose"
    for (code, words), held in SAFEGUARDS.items():
        bound = {obligation for (_, purpose), given in MANDATORY.items() if purpose == code for obligation in given}
        if held.obligation is not None and held.obligation not in bound:
            yield f"{code}: {words}: no permit is bound to {held.obligation.value}"
        if not (ROOT / held.where).exists():
            yield f"{code}: {words}: there is no {held.where}"
        for test in (held.permits, held.refuses):
            if not _exists(test):
                yield f"{code}: {words}: there is no test {test}"
        if held.permits == held.refuses:
            yield f"{code}: {words}: one test is named twice"


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    if not (ROOT / file).is_file():
        return False
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name for node in tree.body)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for row in OFFERED:
        parts.append(f"\n## {row.code}\n\n{row.title}.\n\n")
        parts.append("| safeguard | source | obligation | held by | tests: what passes, what does not |\n")
        parts.append("|---|---|---|---|---|\n")
        for words in row.safeguards:
            held = SAFEGUARDS[row.code, words]
            obligation = f"`{held.obligation.value}`" if held.obligation is not None else "a floor"
            tests = "<br>".join(_link(test) for test in (held.permits, held.refuses))
            parts.append(f"| {words} | {held.source} | {obligation} | [{held.where}](../{held.where}) | {tests} |\n")
    parts.append(CATALOGUE_HEAD)
    parts.append("\n| purpose | offered | safeguard | rule | facts it needs | a no is |\n|---|---|---|---|---|---|\n")
    offered = {row.code for row in OFFERED}
    for rule in RULES:
        facts = ", ".join(f"`{item.fact}`" for item in rule.conditions if item.fact) or "the operation"
        spoken = "spoken" if rule.depends_on == "request" else "withheld"
        told = "yes" if rule.purpose in offered else "no"
        parts.append(f"| {rule.purpose} | {told} | {rule.words} | `{rule.code}` | {facts} | {spoken} |\n")
    return "".join(parts)


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})"


def main(check: bool) -> int:
    """Write or compare; returns the exit code."""
    found = list(faults())
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        return 1
    if check:
        if not PAGE.is_file() or PAGE.read_text("utf-8") != page():
            print("docs/safeguards.md is not what the code says; run python docs/make_safeguards.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
