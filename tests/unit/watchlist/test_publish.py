"""Who is told of which entry (T1, T3, T10, T21): thirty peers, one reason at a time."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gateway.policy import catalogue
from gateway.policy.decision import Deny, Permit
from gateway.policy.floors import hold
from gateway.policy.question import Question, Stage
from gateway.terms import AgencyId, KeyType, ListId, PeerId, ProtectionTag, Purpose, RecordKind, Role
from gateway.watchlist.entry import CLEARING_WAIT_NS, LIST_OF, ListEntry, TagChange
from gateway.watchlist.publish import Withheld, may_tell
from tests.support.entries import DAY_NS, NOW_NS, PEERS, document, entry, lost, person, tagged

PAN = PeerId("PAN")
OTHERS = {peer for peer in PEERS if peer != PAN}
EVERYTHING = tuple(kind.name for kind in RecordKind)


def told(one: ListEntry, *, kinds: tuple[str, ...] = EVERYTHING, now_ns: int = NOW_NS) -> set[PeerId]:
    return {peer for peer in OTHERS if may_tell(one, peer, kinds=kinds, owner=PAN, now_ns=now_ns) is None}


def reasons(one: ListEntry, *, kinds: tuple[str, ...] = EVERYTHING, now_ns: int = NOW_NS) -> set[Withheld | None]:
    return {may_tell(one, peer, kinds=kinds, owner=PAN, now_ns=now_ns) for peer in OTHERS}


def permitted(purpose: str, list_id: ListId) -> tuple[str, ...]:
    """The kinds that are left of an allow-all permit after the floors."""
    question = Question(
        stage=Stage.PUBLISH, purpose=Purpose(purpose), operation=catalogue.check_operation(Purpose(purpose)),
        legal_basis="", list_id=list_id, key_types=(), class_size=0, asker=PeerId("HND"), owner=PAN,
        agency=AgencyId("SNM"), role=Role.OPERATOR, has_case=False, signers=0, time_ns=NOW_NS,
    )  # fmt: skip
    everything = Permit(
        agreement="any", agreement_version=1, key_types=tuple(KeyType), kinds=EVERYTHING, slots_per_day=10**9,
        transfer_basis="any", retention="10y", expires_ns=1 << 62, baseline=bytes(32), national=bytes(32),
    )  # fmt: skip
    held = hold(question, everything)
    return () if isinstance(held, Deny) else held.kinds


def test_a_plain_entry_is_told_to_everybody() -> None:
    assert told(entry()) == OTHERS


@pytest.mark.parametrize("provenance", ["SIS", "sis", "EURODAC", "Eurodac", "NO_EXPORT", "no_export"])
def test_what_may_not_be_exported_never_is(provenance: str) -> None:
    assert reasons(entry(provenance=provenance)) == {Withheld.PROVENANCE}
    assert reasons(lost(provenance=provenance)) == {Withheld.PROVENANCE}


def test_an_entry_is_told_until_its_last_day_has_passed() -> None:
    last = entry(valid_until=date(2026, 11, 25))
    assert told(last) == OTHERS
    assert reasons(last, now_ns=NOW_NS + DAY_NS) == {Withheld.EXPIRED}


def test_a_state_is_not_told_back_what_it_told() -> None:
    assert told(entry(originator=PeerId("HND"))) == OTHERS - {"HND"}
    assert may_tell(entry(originator=PeerId("RKS")), PeerId("XKX"), kinds=EVERYTHING, owner=PAN, now_ns=NOW_NS) is (
        Withheld.ORIGINATOR
    )


def test_only_the_issuing_state_tells_of_a_document() -> None:
    assert told(lost()) == OTHERS
    assert reasons(lost("VEN")) == {Withheld.NOT_THE_ISSUER}
    assert reasons(lost(documents=(document("PAN"), document("VEN", "X1")))) == {Withheld.NOT_THE_ISSUER}
    # On the list of persons a document of any state may stand: it is the person's.
    assert told(entry(documents=(document("VEN"),))) == OTHERS


@pytest.mark.parametrize("purpose", ["SEC.WATCH", "DOC.STATUS"])
def test_a_kind_stands_in_its_own_groups_tables_whatever_the_rules_say(purpose: str) -> None:
    (list_id,) = catalogue.lists_of(Purpose(purpose))
    kinds = permitted(purpose, list_id)
    assert kinds
    for kind in RecordKind:
        one = entry(kind=kind) if LIST_OF[kind] is ListId.PERSONS else lost(kind=kind)
        own = catalogue.group_of_kind(kind) == catalogue.group_of(Purpose(purpose))
        assert told(one, kinds=kinds) == (OTHERS if own else set())
    missing = entry(kind=RecordKind.MISSING_CHILD, person=person("VEN", birth="2015"))
    assert told(missing, kinds=kinds) == set()


def test_a_kinds_list_is_the_catalogues() -> None:
    for kind, list_id in LIST_OF.items():
        assert kind in catalogue.kinds_of_list(list_id)


@pytest.mark.parametrize("birth", ["2010-05-05", "2008-11-26", "2008", "2008-01-01", "", "2005/2009", "2006~"])
@pytest.mark.parametrize("kind", [RecordKind.WANTED_ARREST, RecordKind.REFUSE_ENTRY, RecordKind.SMUGGLER_SUSPECT])
def test_who_could_be_a_child_is_on_no_watchlist(birth: str, kind: RecordKind) -> None:
    assert reasons(entry(kind=kind, person=person("VEN", birth=birth))) == {Withheld.CHILD}


def test_a_missing_child_is_told_of_as_one() -> None:
    assert told(entry(kind=RecordKind.MISSING_CHILD, person=person("VEN", birth="2015"))) == OTHERS


@pytest.mark.parametrize(
    ("who", "papers", "barred"),
    [
        (person("VEN"), (), {"VEN"}),
        (person("VEN", "COL"), (), {"VEN", "COL"}),
        (person("VEN", birth_country="UTO"), (), {"VEN", "UTO"}),
        (person("VEN", residence_countries=("CHL", "PER")), (), {"VEN", "CHL", "PER"}),
        (person("VEN"), (document("ECU"),), {"VEN", "ECU"}),
        (person("VEN"), (document("ECU", nationality="PER"),), {"VEN", "ECU", "PER"}),
        (person("XXA"), (), OTHERS),
        (person(), (), OTHERS),
        (person("XXB"), (document("SWE", nationality="XXB"),), OTHERS - {"SWE"}),
        (person("XXX"), (document("SWE", nationality="XXX"),), OTHERS - {"SWE"}),
        (person("VNE"), (), OTHERS),
    ],
)
@pytest.mark.parametrize("tag", ProtectionTag)
def test_a_protected_person_is_not_told_to_where_it_may_have_fled_from(
    who: Any, papers: Any, barred: set[str], tag: ProtectionTag
) -> None:
    assert told(entry(person=who, documents=papers, history=tagged(tag))) == OTHERS - barred


def test_a_refugee_needs_no_tag_to_be_protected() -> None:
    assert told(entry(person=person("XXB"), documents=(document("SWE", nationality="XXB"),))) == {"SWE"}
    assert told(entry(person=person("VEN"), documents=(document("SWE", nationality="XXC"),))) == {"SWE"}


def test_a_cleared_tag_guards_for_another_day() -> None:
    history = (*tagged(at_ns=1), TagChange(ProtectionTag.ASYLUM_SEEKER, False, NOW_NS, "desk"))
    cleared = entry(history=history, valid_until=date(2027, 12, 31))
    assert told(cleared, now_ns=NOW_NS + CLEARING_WAIT_NS - 1) == OTHERS - {"VEN"}
    assert told(cleared, now_ns=NOW_NS + CLEARING_WAIT_NS) == OTHERS
