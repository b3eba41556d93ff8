"""What entries would find is told as a band, to one named person, for a case, a few times a day (T9)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AuditUnavailable, InputRefused, PolicyDenied, QuotaExhausted
from gateway.flows import impact
from gateway.flows.check import Traveller
from gateway.flows.impact import BANDS, PER_DAY, TRAVELLERS_MAX, Consultation, Impact, ImpactWorld
from gateway.flows.listing import Signer
from gateway.people import dates
from gateway.people.names import Name
from gateway.people.person import Document, Person, document_number
from gateway.policy.decision import Deny
from gateway.terms import Hidden, ListId, Role
from gateway.terms.ids import AgencyId, OfficerId
from tests.flows.world import PAN, State, World
from tests.support.entries import DAY_NS, entry, lost

ANA = Signer(OfficerId("ana"), AgencyId("SNM"), (Role.LIST_OFFICER,))
SAM = Signer(OfficerId("sam"), AgencyId("SNM"), (Role.SUPERVISOR,))


def named(surname: str, birth: str = "1980-03-05") -> Person:
    return Person(names=Hidden((Name(surname, "ELMER"),)), birth=Hidden(dates.parse(birth)), nationalities=("VEN",))


def people(count: int, first: str = "") -> tuple[Traveller, ...]:
    """So many different travellers, each with a name and a document of their own."""
    return tuple(
        Traveller(named("Q" + chr(65 + n // 26 % 26) + chr(65 + n % 26) + "URO"), (paper(f"X{first}{n:06}"),))
        for n in range(count)
    )


def paper(number: str) -> Document:
    return Document("PAN", document_number(number))


def asked(count: int, entries: tuple[Any, ...] = (), **changes: Any) -> Consultation:
    values: dict[str, Any] = {
        "list_id": ListId.PERSONS, "travellers": people(count), "file_hash": b"f" * 64, "traffic_hash": b"t" * 64,
        "entries": entries or tuple(entry(entry_id=f"E{n}", person=named("OTHER"), documents=(one.documents[0],))
                                    for n, one in enumerate(people(count))),
        "case": "CASE-9", "legal_basis": "national immigration act", "signer": ANA,
    }  # fmt: skip
    return Consultation(**(values | changes))


async def pan() -> tuple[World, State, ImpactWorld]:
    world = await World.of(PAN)
    state = world[PAN]
    return world, state, ImpactWorld(state.code, state.policy, state.uow, world.clock)


@given(st.integers(0, 1 << 40))
def test_every_number_lies_in_one_band(count: int) -> None:
    found = impact.band(count)
    assert found.low in BANDS and found.low <= count and (found.high is None or count <= found.high)


def test_none_and_nine_are_one_band() -> None:
    assert {impact.band(count) for count in range(10)} == {Impact(0, 9)}
    assert impact.band(10) == Impact(10, 49)


@pytest.mark.asyncio
async def test_the_band_is_told_after_the_entry_that_names_case_and_person() -> None:
    world, state, around = await pan()
    assert await impact.consult(asked(12), around) == Impact(10, 49)
    assert world.journal == ["PAN logs list.impact event"]
    (leaf,) = state.leaves("list.impact")
    assert dict(leaf.public) == {"list": "PERSONS", "basis": "national immigration act"}
    told = state.opened(leaf)
    assert [told[name] for name in ("officer", "case", "entries", "travellers", "band")] == [
        "ana",
        "CASE-9",
        12,
        12,
        10,
    ]


@pytest.mark.asyncio
async def test_one_person_found_looks_like_nobody_found() -> None:
    _, state, around = await pan()
    nobody = asked(1, (entry(entry_id="E", person=named("OTHER")),))
    assert await impact.consult(asked(1), around) == await impact.consult(nobody, around) == Impact(0, 9)
    sizes = {len(state.store.payload(leaf.seq) or b"") for leaf in state.leaves("list.impact")}
    assert len(sizes) == 1


def test_what_is_counted_is_what_a_check_would_find() -> None:
    by_name = entry(entry_id="N", person=named("QAAURO"))
    assert impact.hits([by_name], people(3)) == 1
    assert impact.hits([lost("PAN", documents=(paper("X000001"),))], people(3)) == 1
    assert impact.hits([by_name], (*people(1), *people(1), *people(1, "9"))) == 2
    assert impact.hits([entry(person=named("NOBODY"))], people(3)) == 0


@pytest.mark.asyncio
async def test_whoever_may_not_enter_may_not_ask_and_a_case_is_named() -> None:
    world, state, around = await pan()
    for changes in ({"signer": SAM}, {"case": ""}, {"legal_basis": ""}):
        with pytest.raises(PolicyDenied):
            await impact.consult(asked(1, **changes), around)
    rules = state.rule(lambda question: Deny(("national",)))
    with pytest.raises(PolicyDenied):
        await impact.consult(asked(1), ImpactWorld(state.code, state.policy, state.uow, world.clock))
    assert rules.asked and world.journal == ["PAN logs list.denied event"] * 4


@pytest.mark.asyncio
async def test_a_person_s_day_has_its_end_and_the_next_day_begins_anew() -> None:
    world, state, around = await pan()
    for _ in range(PER_DAY):
        await impact.consult(asked(1), around)
    with pytest.raises(QuotaExhausted):
        await impact.consult(asked(1), around)
    assert world.journal[-1] == "PAN logs list.denied event" and len(state.leaves("list.impact")) == PER_DAY
    other = Signer(OfficerId("ben"), AgencyId("SNM"), (Role.LIST_OFFICER,))
    await impact.consult(asked(1, signer=other), around)
    world.clock.pass_ns(DAY_NS)
    await impact.consult(asked(1), around)


@pytest.mark.asyncio
async def test_without_its_entry_nothing_is_told_and_too_many_are_refused() -> None:
    _, state, around = await pan()
    state.uow.fails_at = {1}
    with pytest.raises(AuditUnavailable):
        await impact.consult(asked(1), around)
    with pytest.raises(InputRefused):
        await impact.consult(asked(1, travellers=people(1) * (TRAVELLERS_MAX + 1)), around)
