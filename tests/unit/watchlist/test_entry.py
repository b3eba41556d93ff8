"""What may stand on a list, and how it is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from gateway.errors import InputRefused, Malformed
from gateway.people.names import Name
from gateway.people.person import Person
from gateway.primitives import cbor
from gateway.terms import Action, Hidden, ListId, ProtectionTag, RecordKind
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import CLEARING_WAIT_NS, ENTRY_BYTES_MAX, HISTORY_MAX, LIST_OF, TagChange, decode
from tests.support.entries import NOW_NS, TODAY, document, entry, lost, person, tagged

ASYLUM = ProtectionTag.ASYLUM_SEEKER
WITNESS = ProtectionTag.WITNESS


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"originator": ""}, "NO_ORIGINATOR"),
        ({"originator": "pan"}, "ORIGINATOR"),
        ({"provenance": ""}, "NO_PROVENANCE"),
        ({"decision": ""}, "NO_DECISION"),
        ({"legal_basis": ""}, "NO_LEGAL_BASIS"),
        ({"entry_id": ""}, "NO_ENTRY_ID"),
        ({"valid_until": None}, "NO_VALIDITY"),
        ({"valid_until": date(2149, 6, 7)}, "VALIDITY"),
        ({"valid_until": date(1969, 12, 31)}, "VALIDITY"),
        ({"person": None}, "NO_PERSON"),
        ({"kind": RecordKind.LOST_STOLEN}, "OTHER_LIST"),
        ({"decision": "x" * 201}, "TEXT"),
        ({"decision": "line\nbreak"}, "TEXT"),
        ({"contact": 65536}, "CONTACT"),
        ({"contact": True}, "CONTACT"),
        ({"urgency": 0}, "URGENCY"),
        ({"documents": tuple(document("PAN", f"A{n}") for n in range(11))}, "TOO_MANY"),
        ({"person": person("VEN", names=Hidden((Name("123"),)))}, "NAME_LETTERS"),
        ({"person": person("VEN", names=Hidden(()))}, "NAME_LETTERS"),
        ({"person": person("VEN", names=Hidden(tuple(Name(f"A{n}") for n in range(52))))}, "TOO_MANY"),
        ({"person": person(*["VEN"] * 11)}, "TOO_MANY"),
        ({"person": person("VEN", tags=frozenset({WITNESS}))}, "HISTORY"),
        ({"history": (*tagged(at_ns=5), *tagged(at_ns=4))}, "HISTORY"),
        ({"history": tagged() * (HISTORY_MAX + 1)}, "HISTORY"),
    ],
)
def test_an_entry_without_what_it_needs_is_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        entry(**changed)
    assert refusal.value.code == code


def test_a_document_on_the_list_has_no_holder() -> None:
    assert lost().person is None
    for changed in ({"person": person("PAN")}, {"documents": ()}):
        with pytest.raises(InputRefused):
            lost(**changed)


@pytest.mark.parametrize("source", ["", "a b", "x" * 41, "Señor"])
def test_the_source_of_a_tag_is_a_code(source: str) -> None:
    with pytest.raises(InputRefused):
        TagChange(ASYLUM, True, 1, source)


def test_every_kind_has_one_list_and_one_action() -> None:
    assert set(LIST_OF) == set(entries.ACTION_OF) == set(RecordKind)
    assert entry().action is Action.WAIT_FOR_OWNER


def test_it_answers_on_its_last_day_and_never_after() -> None:
    assert entry(valid_until=TODAY).is_valid(TODAY)
    assert not entry(valid_until=date(2026, 11, 24)).is_valid(TODAY)


def test_a_tag_is_in_force_from_its_setting_to_a_day_after_its_clearing() -> None:
    cleared = entry(history=(TagChange(ASYLUM, True, 5, "desk"), TagChange(ASYLUM, False, 10, "desk")))
    assert cleared.tags_in_force(10 + CLEARING_WAIT_NS - 1) == {ASYLUM}
    assert cleared.tags_in_force(10 + CLEARING_WAIT_NS) == frozenset()
    again = replace(cleared, history=(*cleared.history, TagChange(ASYLUM, True, 20, "desk")))
    assert again.tags_in_force(10 + CLEARING_WAIT_NS) == {ASYLUM}


def test_a_refugees_document_or_nationality_is_a_tag_that_nobody_clears() -> None:
    refused = (TagChange(ProtectionTag.REFUGEE, True, 1, "desk"), TagChange(ProtectionTag.REFUGEE, False, 2, "desk"))
    for changed in ({"person": person("XXB")}, {"documents": (document("SWE", nationality="XXC"),)}):
        assert entry(history=refused, **changed).tags_in_force(NOW_NS) == {ProtectionTag.REFUGEE}


def test_a_file_goes_on_with_the_history_and_clears_nothing() -> None:
    held = entry(history=(TagChange(ASYLUM, True, 5, "desk"), TagChange(WITNESS, True, 6, "desk"),
                          TagChange(WITNESS, False, 7, "desk")))  # fmt: skip
    tags = tuple(TagChange(tag, True, 0, "load") for tag in (ASYLUM, WITNESS))
    from_file = entry(decision="J-2026-18", history=tags)
    after = from_file.after(held, NOW_NS)
    assert after.history == (*held.history, TagChange(WITNESS, True, NOW_NS, "load"))
    assert after.decision == "J-2026-18"
    # The same file again, and a file that has forgotten the tags.
    assert from_file.after(after, NOW_NS + 1).encode() == after.encode()
    assert entry().after(after, NOW_NS).tags_in_force(NOW_NS) == {ASYLUM, WITNESS}


def test_a_new_entrys_tags_begin_when_it_is_listed() -> None:
    new = entry(history=(TagChange(ASYLUM, True, 0, "load"),)).after(None, NOW_NS)
    assert new.history == (TagChange(ASYLUM, True, NOW_NS, "load"),)
    cleared = entry(history=(TagChange(ASYLUM, False, 0, "load"),)).after(None, NOW_NS)
    assert cleared.history == ()


def test_a_clock_that_went_back_does_not_disorder_the_history() -> None:
    held = entry(history=tagged(at_ns=NOW_NS))
    after = entry(history=tagged(WITNESS)).after(held, NOW_NS - 1)
    assert [change.at_ns for change in after.history] == [NOW_NS, NOW_NS]


def test_the_largest_entry_fits() -> None:
    wide = "\U00010400" * 60
    largest = entry(
        entry_id="\U00010400" * 200, provenance=wide, decision="\U00010400" * 200, legal_basis="\U00010400" * 200,
        person=Person(Hidden(tuple(Name(wide, wide) for _ in range(51))), nationalities=("VEN",) * 10,
                      residence_countries=("VEN",) * 10),
        documents=tuple(document("PAN", f"{n:024}") for n in range(10)),
        history=tuple(TagChange(ProtectionTag.FAMILY_REUNIFICATION, True, (1 << 63) - 1, "x" * 40)
                      for _ in range(HISTORY_MAX)),
    )  # fmt: skip
    assert len(largest.encode()) < ENTRY_BYTES_MAX
    assert decode(largest.encode()).encode() == largest.encode()


def test_nothing_personal_is_shown() -> None:
    shown = repr(entry(documents=(document("PAN", "T55637667"),), history=tagged()))
    assert not any(secret in shown for secret in ("KASOULIDIS", "MEWES", "1980", "T55637667", "ASYLUM"))


PLACES: list[tuple[str, Any]] = [
    ("schema", "limen.entry/2"), ("entry_id", 5), ("entry_id", b"W"), ("list", "OTHERS"), ("list", "DOCUMENTS"),
    ("kind", 99), ("kind", True), ("handling", 0), ("originator", None), ("provenance", ""), ("decision", ["x"]),
    ("legal_basis", 1), ("valid_until", "20261231"), ("valid_until", ""), ("valid_until", "2200-01-01"),
    ("person", []), ("person", {}), ("documents", {}), ("documents", [["PAN"]]), 
    ("documents", [["PAN", "A1", b"", "", ""]]),
    ("documents", [["PAN", "a1", "", "", ""]]), ("documents", [["PAN", "A1", "", [], ""]]), ("contact", "1"),
    ("contact", True), ("urgency", 9), ("history", [["ASYLUM_SEEKER", 1, 5, "x"]]),
    ("history", [["NONE", True, 5, "x"]]), ("history", [["ASYLUM_SEEKER", True, -1, "x"]]), ("history", None),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), PLACES, ids=lambda part: str(part)[:24])
def test_other_bytes_are_malformed(place: str, value: Any) -> None:
    document_form = cbor.decode(entry().encode())
    with pytest.raises(Malformed):
        decode(cbor.encode(document_form | {place: value}))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("names", []), ("names", [["A"]]), ("names", [["A", 1]]), ("names", "A"), ("births", []),
        ("births", [["1980", 0]]), ("births", [["1980~", True]]), ("births", [["80", False]]), ("sex", ""),
        ("nationalities", "VEN"), ("nationalities", ["ve"]), ("birth_country", []), ("birth_country", None),
        ("residence", {}), ("residence", [b"VEN"]),
    ],
)  # fmt: skip
def test_another_person_is_malformed(place: str, value: Any) -> None:
    document_form = cbor.decode(entry().encode())
    with pytest.raises(Malformed) as refusal:
        decode(cbor.encode(document_form | {"person": document_form["person"] | {place: value}}))
    assert refusal.value.__cause__ is None


def test_an_unknown_or_missing_field_is_malformed() -> None:
    form = cbor.decode(entry().encode())
    with pytest.raises(Malformed):
        decode(cbor.encode(form | {"note": "x"}))
    for name in form:
        with pytest.raises(Malformed):
            decode(cbor.encode({key: value for key, value in form.items() if key != name}))
    with pytest.raises(Malformed):
        decode(cbor.encode([form]))
    assert decode(entry().encode()).list_id is ListId.PERSONS
