"""The catalogue says what the customer's document says, and its groups are firewalls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.policy import catalogue
from gateway.policy.purposes import PRIORITIES, PURPOSES
from gateway.terms.ids import Purpose, PurposeGroup
from gateway.terms.words import KeyType, ListId, RecordKind, Role

OPERATIONS = {"status", "hit", "disclose", "verify", "notify", "aggregate"}
DECISIONS = {"allow", "approval", "four_eyes", "deny"}

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data" / "purpose_catalogue" / "purposes.json"


def test_there_are_thirty_purposes_over_twenty_five_activities_and_five_priorities() -> None:
    assert len(PURPOSES) == len(catalogue.CATALOGUE) == 30
    assert len({activity for row in PURPOSES for activity in row.activities}) == 25
    assert {priority for row in PURPOSES for priority in row.priorities} == set(PRIORITIES)
    assert len(PRIORITIES) == 5


def test_every_row_uses_the_catalogues_words() -> None:
    for row in PURPOSES:
        assert set(row.operations) <= OPERATIONS, row.code
        assert set(row.operations.values()) <= DECISIONS, row.code
        assert row.title
        assert row.requester_roles
        assert row.legal_basis
        assert row.safeguards


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published catalogue is not beside this checkout")
def test_the_rows_are_the_published_ones() -> None:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published["priorities"] == dict(PRIORITIES)
    for entry in published["purposes"]:
        row = catalogue.CATALOGUE[entry["code"]]
        for field in ("title", "operations"):
            assert entry[field] == getattr(row, field)
        for field in ("activities", "data_categories", "legal_basis", "match_keys", "statistics", "safeguards"):
            assert tuple(entry[field]) == getattr(row, field)
        roles = tuple(role.partition("(")[0] for role in entry["requester_roles"])
        assert roles == row.requester_roles


def test_groups_are_those_of_the_protocol() -> None:
    named = {
        "SEC.WATCH": "WATCH",
        "DOC.STATUS": "DOCUMENT",
        "MISS.CHILD": "CHILD",
        "SMUG.SUSPECT": "SMUGGLING",
        "READ.IDENT": "READMISSION",
        "VISA.CONSULT": "VISA",
        "SEC.DISCREET": "DISCREET",
    }
    for code, group in named.items():
        assert catalogue.group_of(Purpose(code)) == group
    assert catalogue.group_of(Purpose("FAM.LINK")) == "FAM.LINK"
    assert catalogue.group_of(Purpose("NO.SUCH")) == "NO.SUCH"


def test_a_purpose_of_care_shares_its_table_and_its_key_with_nobody() -> None:
    for code in ("FAM.LINK", "REG.STATS", "VERIF.DOC", "CONS.SERVICE", "HBM.CRISIS", "TIP.VICTIM"):
        assert [row.code for row in PURPOSES if row.group == catalogue.group_of(Purpose(code))] == [code]


def test_a_kind_stands_in_one_groups_tables() -> None:
    for kind in RecordKind:
        group = catalogue.group_of_kind(kind)
        assert kind in catalogue.kinds_of_group(group)
        others = {row.group for row in PURPOSES} - {group}
        assert not any(kind in catalogue.kinds_of_group(PurposeGroup(other)) for other in others)
    assert catalogue.kinds_of_group(PurposeGroup("FAM.LINK")) == ()


def test_every_kind_stands_on_one_list() -> None:
    for kind in RecordKind:
        assert [kind in catalogue.kinds_of_list(list_id) for list_id in ListId].count(True) == 1


def test_what_the_offered_purposes_take() -> None:
    watch, status, *_ = catalogue.OFFERED
    assert catalogue.key_types_of(watch) == (KeyType.DOC_1, KeyType.MET2_DOB_1, KeyType.NAME_YEAR_1)
    assert catalogue.key_types_of(status) == (KeyType.DOC_1,)
    assert catalogue.roles_of(watch) == {Role.BORDER_FRONTLINE, Role.BORDER_SECONDLINE, Role.DESK_NATIONAL}
    assert catalogue.roles_of(status) == {Role.BORDER_FRONTLINE, Role.BORDER_SECONDLINE, Role.VISA_OFFICER}
    assert (catalogue.check_operation(watch), catalogue.check_operation(status)) == ("hit", "status")
    assert catalogue.lists_of(watch) == (ListId.PERSONS,)
    assert catalogue.lists_of(status) == (ListId.DOCUMENTS,)
    for list_id, purpose in ((ListId.PERSONS, watch), (ListId.DOCUMENTS, status)):
        assert catalogue.purpose_of_list(list_id) == purpose


def test_what_is_not_listed_is_denied() -> None:
    assert catalogue.decision_of(Purpose("SEC.WATCH"), "hit") == "allow"
    assert catalogue.decision_of(Purpose("SEC.WATCH"), "verify") == "deny"
    assert catalogue.decision_of(Purpose("DOC.STATUS"), "hit") == "deny"
    assert catalogue.decision_of(Purpose("NO.SUCH"), "hit") == "deny"
    assert catalogue.key_types_of(Purpose("NO.SUCH")) == ()
    assert catalogue.roles_of(Purpose("NO.SUCH")) == frozenset()


def test_a_model_is_known_with_and_without_its_mark() -> None:
    marked = [text for row in PURPOSES for text in row.legal_basis if "(as model)" in text]
    assert len(marked) > 8
    for text in marked:
        assert catalogue.is_model(text)
        assert catalogue.is_model(text.replace(" (as model)", ""))
        assert catalogue.is_model(text.upper())
    for text in ("UNSCR 2178, 2396", "bilateral agreement", "ICAO Doc 9303", "national immigration act"):
        assert not catalogue.is_model(text)
