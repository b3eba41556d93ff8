"""An agreement is complete or it is none (T21)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.policy import agreement, catalogue
from gateway.terms.words import ListId

MADE = agreement.starter("PAN", "HND", agencies={"PAN": ["SNM"], "HND": ["INM"]}, valid_from_ns=1, valid_until_ns=9)
MANDATE = agreement.starter_mandate("PAN", ListId.PERSONS, agencies=["SNM"], valid_from_ns=1, valid_until_ns=9)


def bent(path: str, value: object, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """A copy of the agreement's document with one place changed; `...` takes the place away."""
    whole = copy.deepcopy(document if document is not None else MADE.document())
    *above, last = path.split("/")
    place = whole
    for part in above:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return whole


def refused(path: str, value: object) -> str:
    with pytest.raises(InputRefused) as fault:
        agreement.parse(bent(path, value))
    assert fault.value.field is not None
    assert fault.value.field.startswith("agreement")
    return fault.value.field


def test_a_starter_is_complete_and_reads_back() -> None:
    assert agreement.parse(MADE.document()) == MADE
    assert agreement.parse(json.loads(json.dumps(MADE.document()))) == MADE
    assert agreement.parse_mandate(MANDATE.document()) == MANDATE
    assert MADE.parties == ("HND", "PAN")
    assert set(MADE.purposes) == set(catalogue.OFFERED)


@pytest.mark.parametrize("field", sorted(MADE.document()))
def test_every_field_is_mandatory(field: str) -> None:
    assert refused(field, ...) == f"agreement.{field}"


@pytest.mark.parametrize("field", sorted(MADE.document()))
@pytest.mark.parametrize("value", [None, "", 0, True, [], {}, -1, 1.5, "x\n", [None], {"HND": None}])
def test_no_field_takes_nonsense(field: str, value: object) -> None:
    refused(field, value)


@pytest.mark.parametrize("field", ["legal_bases", "roles", "key_types", "kinds", "lists"])
def test_every_term_of_a_purpose_is_mandatory(field: str) -> None:
    nonsense: tuple[object, ...] = (..., [], None, "x", [""], ["no such word"] if field != "legal_bases" else [7])
    for value in nonsense:
        assert "SEC.WATCH" in refused(f"purposes/SEC.WATCH/{field}", value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parties", ["HND"]),
        ("parties", ["HND", "PAN", "UTO"]),
        ("parties", ["HND", "HND"]),
        ("parties", ["HND", "pan"]),
        ("status", "signed"),
        ("retention", "5y"),
        ("valid_until_ns", 1),
        ("valid_until_ns", 2**63),
        ("agencies/UTO", ["X"]),
        ("agencies/HND", ...),
        ("controllers/HND", ...),
        ("controllers/HND", None),
        ("supervisor/UTO", "x"),
        ("redress/HND", ""),
        ("slots_per_day/WATCH", 0),
        ("slots_per_day/WATCH", ...),
        ("slots_per_day/VISA", 5),
        ("purposes/SEC.OTHER", {}),
        ("purposes/SEC.WATCH/kinds", ["LOST_STOLEN"]),
        ("purposes/SEC.WATCH/kinds", ["MISSING_CHILD"]),
        ("purposes/DOC.STATUS/key_types", ["doc/1", "name_year/1"]),
        ("purposes/DOC.STATUS/roles", ["desk.national"]),
        ("purposes/DOC.STATUS/lists", ["PERSONS"]),
        ("purposes/SEC.WATCH/more", 1),
        ("more", 1),
        ("dpia", " x"),
        ("transfer_tool", "x" * 201),
    ],
)
def test_what_does_not_fit_is_refused_by_name(path: str, value: object) -> None:
    refused(path, value)


def test_a_model_instrument_is_no_basis() -> None:
    for basis in ("EU Dir. 2003/86 (as model)", "SIS Reg. 2018/1861 art.24-25"):
        assert refused("purposes/SEC.WATCH/legal_bases", [basis, "bilateral agreement"]).endswith("legal_bases")
        with pytest.raises(InputRefused, match="model"):
            agreement.parse_mandate(MANDATE.document() | {"legal_bases": [basis]})


@pytest.mark.parametrize("field", sorted(MANDATE.document()))
def test_a_mandate_is_complete_or_none(field: str) -> None:
    nonsense: tuple[object, ...] = (..., None, "", [], {}, 0, True)
    for value in nonsense:
        with pytest.raises(InputRefused):
            agreement.parse_mandate(bent(field, value, MANDATE.document()))


def test_a_mandate_for_statistics_has_no_kinds() -> None:
    made = agreement.starter_statistics("PAN", agencies=["SNM"], valid_from_ns=1, valid_until_ns=9)
    assert agreement.parse_mandate(made.document()) == made
    assert (made.list, made.kinds) == (agreement.STATISTICS, ())
    with pytest.raises(InputRefused):
        agreement.parse_mandate(made.document() | {"kinds": ["WANTED_ARREST"]})
    with pytest.raises(InputRefused):
        agreement.parse_mandate(MANDATE.document() | {"kinds": []})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_value_is_an_agreement_or_refused(value: object) -> None:
    for parse in (agreement.parse, agreement.parse_mandate):
        with pytest.raises(InputRefused):
            parse(value)


@given(st.sampled_from(sorted(MADE.document())), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_value_of_a_field_is_judged(field: str, value: object) -> None:
    try:
        parsed = agreement.parse(bent(field, value))
    except InputRefused:
        return
    assert agreement.parse(parsed.document()) == parsed
