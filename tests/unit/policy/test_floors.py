"""Who is asked about whom: what no rule sees and no policy opens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.people.origins import Origins
from gateway.policy import floors
from gateway.policy.floors import Candidates, Leg
from gateway.policy.purposes import PURPOSES
from gateway.terms.ids import PeerId, Purpose
from gateway.terms.words import ProtectionTag

WATCH, STATUS, CHILD = Purpose("SEC.WATCH"), Purpose("DOC.STATUS"), Purpose("MISS.CHILD")
PAN, HND, UTO = PeerId("PAN"), PeerId("HND"), PeerId("UTO")
OWNERS = (HND, UTO)
FROM_UTO = Candidates(frozenset({"UTO"}))


def asked(
    purpose: Purpose,
    *,
    origins: floors.Origins = FROM_UTO,
    protected: bool = False,
    child: bool = False,
    tags: tuple[ProtectionTag, ...] = (),
) -> dict[str, Leg]:
    legs = floors.legs(purpose, OWNERS, origins=origins, protected=protected, child=child, tags=tags)
    return {str(owner): leg for owner, leg in legs.items()}


@pytest.mark.parametrize("purpose", [WATCH, STATUS])
def test_a_protected_person_is_not_asked_about_at_a_candidate_origin(purpose: Purpose) -> None:
    assert asked(purpose, protected=True) == {HND: Leg.REAL, UTO: Leg.GUARDED}


@pytest.mark.parametrize("purpose", [WATCH, STATUS])
def test_without_protection_the_origin_is_asked(purpose: Purpose) -> None:
    assert asked(purpose) == {HND: Leg.REAL, UTO: Leg.REAL}


def test_who_fled_from_nowhere_named_is_asked_about_at_the_documents_issuer_alone() -> None:
    anywhere = Candidates(all_but_issuer=True, issuer="HND")
    assert asked(WATCH, origins=anywhere, protected=True) == {HND: Leg.REAL, UTO: Leg.GUARDED}
    nobody = Candidates(all_but_issuer=True)
    assert asked(WATCH, origins=nobody, protected=True) == {HND: Leg.GUARDED, UTO: Leg.GUARDED}
    named = Candidates(frozenset({"HND"}), all_but_issuer=True, issuer="HND")
    assert asked(WATCH, origins=named, protected=True) == {HND: Leg.GUARDED, UTO: Leg.GUARDED}


def test_a_child_is_asked_about_nowhere_under_security() -> None:
    assert asked(WATCH, child=True) == {HND: Leg.GUARDED, UTO: Leg.GUARDED}


def test_a_childs_document_may_be_asked_about_and_a_missing_child() -> None:
    assert asked(STATUS, child=True) == {HND: Leg.REAL, UTO: Leg.REAL}
    assert asked(CHILD, child=True) == {HND: Leg.REAL, UTO: Leg.REAL}


def test_a_protected_childs_document_is_not_shown_to_the_origin() -> None:
    assert asked(STATUS, child=True, protected=True) == {HND: Leg.REAL, UTO: Leg.GUARDED}


def test_every_other_purpose_guards_a_child() -> None:
    for row in PURPOSES:
        guarded = floors.guard(Purpose(row.code), HND, origins=FROM_UTO, protected=False, child=True)
        assert bool(guarded) == (row.code not in ("DOC.STATUS", "MISS.CHILD")), row.code


@given(
    st.sampled_from([Purpose(row.code) for row in PURPOSES]),
    st.sets(st.sampled_from(["PAN", "HND", "UTO", "GTM"])),
    st.booleans(),
    st.sampled_from(["", "PAN", "HND"]),
    st.booleans(),
)
def test_every_owner_has_a_leg_and_protection_never_opens_one(
    purpose: Purpose, states: set[str], all_but_issuer: bool, issuer: str, child: bool
) -> None:
    origins = Candidates(frozenset(states), all_but_issuer, issuer)
    owners = [PAN, HND, UTO]
    open_ = floors.legs(purpose, owners, origins=origins, protected=False, child=child)
    shut = floors.legs(purpose, owners, origins=origins, protected=True, child=child)
    assert list(open_) == list(shut) == owners
    for owner in owners:
        if owner in states:
            assert shut[owner] is Leg.GUARDED
        assert (open_[owner], shut[owner]) != (Leg.GUARDED, Leg.REAL)


def test_the_origins_that_people_make_are_taken() -> None:
    origins = Origins(frozenset({"UTO"}), all_but_issuer=True, issuers=frozenset({"HND"}))
    assert asked(WATCH, origins=origins, protected=True) == {HND: Leg.REAL, UTO: Leg.GUARDED}


@pytest.mark.parametrize("tag", list(ProtectionTag))
def test_every_tag_protects_from_the_origin(tag: ProtectionTag) -> None:
    for purpose in (WATCH, STATUS):
        assert asked(purpose, tags=(tag,))[UTO] is Leg.GUARDED


@pytest.mark.parametrize("tag", [ProtectionTag.FAMILY_REUNIFICATION, ProtectionTag.REGULARISATION])
def test_a_record_of_care_is_left_out_under_every_purpose_of_enforcement(tag: ProtectionTag) -> None:
    for row in PURPOSES:
        reason = floors.guard(Purpose(row.code), HND, origins=FROM_UTO, protected=False, child=False, tags=(tag,))
        enforcing = row.code.split(".")[0] in ("SEC", "SMUG", "PNR", "READ", "RISK")
        expected = "asylum" if row.code == "READ.IDENT" else "firewall" if enforcing else ""
        assert reason == expected, row.code


def test_an_unaccompanied_child_is_a_child_whatever_the_date_says() -> None:
    assert asked(WATCH, tags=(ProtectionTag.UNACCOMPANIED_CHILD,)) == {HND: Leg.GUARDED, UTO: Leg.GUARDED}
    assert asked(STATUS, tags=(ProtectionTag.UNACCOMPANIED_CHILD,))[HND] is Leg.REAL
