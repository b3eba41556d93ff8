"""Missing children, flights and returns through real crypto: what is found, what is guarded, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from examples.region.generate import make_region
from gateway.audit import leaf
from gateway.audit.entry import Phase
from gateway.errors import InputRefused, PolicyDenied
from gateway.federation import officers, statement
from gateway.federation.officers import Enrolled, Register
from gateway.flows import check
from gateway.flows.check import CheckAnswer, Traveller
from gateway.flows.subjects import Subjects
from gateway.people.person import Person
from gateway.policy import catalogue
from gateway.primitives import ed25519
from gateway.pseudonym import matchkeys
from gateway.terms import Action, AsylumState, KeyType, MatchClass, Outcome, Purpose, RecordKind, Role
from gateway.terms.ids import AgencyId, OfficerId, PurposeGroup
from gateway.terms.words import ListId
from tests.flows import world as w
from tests.flows.world import HND, PAN, UTO, World
from tests.support.entries import DAY_NS, NOW_NS, entry

pytestmark = pytest.mark.asyncio

CHILD, FLIGHT, RETURN = Purpose("MISS.CHILD"), Purpose("API.PRESCREEN"), Purpose("READ.IDENT")
HOUR_NS = 3600 * 10**9

LOOKED_FOR = entry(
    entry_id="C1",
    originator=HND,
    kind=RecordKind.MISSING_CHILD,
    person=w.person("KANTARVIL", "OLSIMANDA", "2015-01-01", "NIC"),
    contact=7,
)
ADULT = w.person("RENTARO", "ANA LUCIA", "1984-08-12", "HND")
KNOWN = entry(entry_id="N1", originator=HND, kind=RecordKind.NATIONAL, person=ADULT)
YOUNG = w.person("RENTARO", "JOSE", "2012-05-02", "HND")
KNOWN_CHILD = entry(entry_id="N2", originator=HND, kind=RecordKind.NATIONAL, person=YOUNG)
WANTED = entry(entry_id="W1", originator=HND, person=w.person("KOVACH", "IVAN", "1979-02-11"))


async def holding(purpose: Purpose, *listed: Any, others: Sequence[Any] = ()) -> World:
    """PAN holds the purpose's tables of HND and, where asked for, of UTO."""
    codes = (PAN, HND, UTO) if others else (PAN, HND)
    world = await World.of(*codes)
    for code, rows in ((HND, listed), (UTO, others)):
        if code in codes:
            await world[code].enlist(*rows)
            await world[code].publish(PAN, purposes=(purpose,))
            await world[PAN].fetch(code, (purpose,))
    world.sent.clear()
    return world


def intents(world: World) -> list[leaf.Leaf]:
    """PAN's questions as its log has them, before their outcomes."""
    return [one for one in world[PAN].leaves("check.ask") if one.phase == Phase.INTENT.value]


# -- Missing children -------------------------------------------------------------------------------------------------


async def test_a_missing_child_is_found_by_sound_and_year_and_the_officer_is_told_not_to_detain() -> None:
    world = await holding(CHILD, LOOKED_FOR)
    (hit,) = (await world[PAN].ask(w.traveller(w.person("CANTARVIL", "OLSIMANDA", "2015", "NIC")), purpose=CHILD)).hits
    assert (hit.kind, hit.match) == (RecordKind.MISSING_CHILD, MatchClass.NAME_SOUND_AND_YEAR)
    assert (hit.action, hit.contact) == (Action.DO_NOT_DETAIN_CALL_OWNER, 7)
    assert not hit.match.is_exact


async def test_an_adult_is_never_asked_about_by_sound_and_year() -> None:
    world = await holding(CHILD, dataclasses.replace(LOOKED_FOR, person=w.person("KANTARVIL", "OLSIMANDA", "1990")))
    adult = w.person("CANTARVIL", "OLSIMANDA", "1990", "NIC")
    assert (await world[PAN].ask(w.traveller(adult), purpose=CHILD)).hits == ()
    sealed = world[PAN].opened(intents(world)[-1])
    assert all(not bytes(key)[2:].startswith(b"met2_year") for key in sealed["keys"])


async def test_only_missing_children_stand_in_the_childrens_table_and_nowhere_else() -> None:
    world = await World.of(HND, PAN)
    await world[HND].enlist(LOOKED_FOR, WANTED, KNOWN)
    made = await world[HND].publish(PAN, purposes=catalogue.OFFERED)
    assert {one.group: one.told for one in made} == {"WATCH": 1, "DOCUMENT": 0, "CHILD": 1, "READMISSION": 1}
    keys = {one.manifest.public_key for one in world[HND].published.all()}
    assert len(keys) == 4
    held = world[HND].published.current(PAN, ListId.PERSONS, PurposeGroup("WATCH"))
    assert held is not None
    assert KeyType.MET2_YEAR_1 not in held.manifest.key_types


async def test_a_peer_without_an_agreement_over_children_gets_no_table_of_them() -> None:
    world = await World.of(HND, PAN)
    await world[HND].enlist(LOOKED_FOR)
    made = await world[HND].publish(PAN, purposes=(w.WATCH,))
    assert {one.group for one in made} == {"WATCH"}


async def test_purposes_of_one_group_share_one_table() -> None:
    world = await World.of(HND, PAN)
    await world[HND].enlist(WANTED)
    (made,) = await world[HND].publish(PAN, purposes=(w.WATCH, FLIGHT))
    assert made.group == "WATCH"
    # The flight's permit alone makes the same table.
    assert await world[HND].publish(PAN, purposes=(FLIGHT,)) == []


# -- Flights ----------------------------------------------------------------------------------------------------------


def targeting(world: World) -> check.Officer:
    return world[PAN].officer(Role.TARGETING_CENTRE)


def passengers(count: int) -> tuple[list[Traveller], list[int], list[Any]]:
    """A flight with three planted passengers: travellers, the planted ones' places, and HND's entries about them."""
    flight = make_region(entries=40).flight(count, listed=0)
    planted = [0, count // 2, count - 1]
    seats, listed = [], []
    for place, one in enumerate(flight):
        show = one.passport
        who = w.person(show.surname, show.given_names, show.birth, show.nationality)
        papers = w.passport(show.issuer, show.document_number, show.nationality)
        seats.append(w.traveller(who, papers))
        if place in planted:
            listed.append(entry(entry_id=f"F{place}", originator=HND, person=who))
    return seats, planted, listed


async def test_a_flight_of_300_is_one_question_and_its_hits_are_told_by_place() -> None:
    seats, planted, listed = passengers(300)
    world = await holding(FLIGHT, *listed)
    answer = await world[PAN].ask(
        *seats, purpose=FLIGHT, officer=targeting(world), flight_ends_ns=NOW_NS + HOUR_NS, timeout_s=120.0
    )
    assert [hit.traveller for hit in answer.hits] == planted
    assert {sent.request().class_size for sent in world.checks(HND)} == {1280}
    assert len({sent.request().leg_id for sent in world.checks(HND)}) == 1
    assert intents(world)[-1].retention == "24h"


async def test_a_flight_says_when_it_ends_and_nothing_else_does() -> None:
    world = await holding(FLIGHT, WANTED)
    who = w.traveller(w.person("KOVACH", "IVAN", "1979-02-11"))
    for purpose, more in (
        (FLIGHT, {}),
        (FLIGHT, {"flight_ends_ns": NOW_NS - 2 * DAY_NS}),
        (FLIGHT, {"flight_ends_ns": NOW_NS + 4 * DAY_NS}),
        (w.WATCH, {"flight_ends_ns": NOW_NS + HOUR_NS}),
        (w.WATCH, {"crew": True}),
    ):
        with pytest.raises(InputRefused, match="flight"):
            await world[PAN].ask(who, purpose=purpose, officer=targeting(world), **more)
    assert world.checks(HND) == []
    crew = {"flight_ends_ns": NOW_NS + HOUR_NS, "crew": True}
    assert len((await world[PAN].ask(who, purpose=FLIGHT, officer=targeting(world), **crew)).hits) == 1


async def test_a_border_officer_does_not_screen_flights() -> None:
    world = await holding(FLIGHT, WANTED)
    with pytest.raises(PolicyDenied, match="role"):
        await world[PAN].ask(w.traveller(ADULT), purpose=FLIGHT, flight_ends_ns=NOW_NS + HOUR_NS)


# -- Returns ----------------------------------------------------------------------------------------------------------

SEEDS = {name: name.encode().ljust(32, b".") for name in ("ana", "ben", "eva")}
REGISTER_SEED = b"register".ljust(32, b".")


def enrolled(*names: str, role: Role = Role.RETURN_UNIT) -> Register:
    register = Register()
    for name in names:
        person = Enrolled(
            OfficerId(name), AgencyId("SNM"), (role,), ed25519.public(SEEDS[name]), NOW_NS, NOW_NS + 400 * DAY_NS
        )
        register = Register([*register.lines, officers.enrol(register, person, NOW_NS, REGISTER_SEED)])
    return register


async def returned(
    world: World,
    who: Person = ADULT,
    *,
    signers: Sequence[str] = ("ana", "ben"),
    register: Register | None = None,
    subjects: Subjects | None = None,
    signed: dict[str, Any] | None = None,
    **changes: Any,
) -> CheckAnswer:
    """PAN's return unit asks; `signed` is what the persons signed where it was another question."""
    state = world[PAN]
    changes = {"asylum": AsylumState.NONE, **changes}
    asked = state.inquiry(w.traveller(who), purpose=RETURN, **changes)
    facts = check.facts(dataclasses.replace(asked, **(signed or {})), PAN)
    signatures = tuple(
        statement.make(statement.QUESTION, facts, role=Role.RETURN_UNIT, signed_ns=NOW_NS, seed=SEEDS[name])
        for name in signers
    )
    known = register or enrolled("ana", "ben")
    around = dataclasses.replace(state.asking(), register=lambda: known, subjects=subjects)
    return await check.ask(dataclasses.replace(asked, signatures=signatures), state.officer(Role.RETURN_UNIT), around)


async def test_a_national_is_confirmed_and_never_denied() -> None:
    world = await holding(RETURN, KNOWN)
    answer = await returned(world)
    (hit,) = answer.hits
    assert (hit.kind, hit.action) == (RecordKind.NATIONAL, Action.ASK_OWNER_TO_CONFIRM)
    unknown = await returned(world, w.person("NOBODY", "AT ALL", "1984-08-12", "HND"))
    assert (unknown.outcome, unknown.hits) == (Outcome.NOTHING_TO_REPORT, ())


@pytest.mark.parametrize("signers", [(), ("ana",), ("ana", "ana"), ("ana", "eva")])
async def test_without_two_enrolled_persons_no_return_is_asked(signers: tuple[str, ...]) -> None:
    world = await holding(RETURN, KNOWN)
    with pytest.raises(PolicyDenied, match="signers"):
        await returned(world, signers=signers)
    assert world.checks(HND) == []


async def test_a_signature_is_good_for_its_own_question_and_its_own_role_only() -> None:
    world = await holding(RETURN, KNOWN)
    for signed in ({"case_ref": "another"}, {"travellers": (w.traveller(YOUNG),)}, {"asylum": AsylumState.OPEN}):
        with pytest.raises(PolicyDenied, match="signers"):
            await returned(world, signed=signed)
    with pytest.raises(PolicyDenied, match="signers"):
        await returned(world, register=enrolled("ana", "ben", role=Role.SUPERVISOR))
    assert world.checks(HND) == []


@pytest.mark.parametrize("asylum", [AsylumState.UNKNOWN, AsylumState.OPEN, AsylumState.GRANTED])
async def test_with_a_claim_open_or_unknown_the_answer_is_that_of_a_miss_from_everywhere(asylum: AsylumState) -> None:
    world = await holding(RETURN, KNOWN)
    miss = await returned(world, w.person("NOBODY", "AT ALL", "1984-08-12", "HND"))
    guarded = await returned(world, asylum=asylum)
    assert dataclasses.replace(guarded, request_id=miss.request_id) == miss
    # The owner sees a message of one size each time, and the home log entries of one size.
    first, second = world.checks(HND)
    assert first.request().class_size == second.request().class_size
    one, two = intents(world)[-2:]
    assert set(one.public) == set(two.public)
    assert world[PAN].opened(two)["keys"] == []


async def test_a_child_is_returned_with_a_decision_on_its_interest_only() -> None:
    world = await holding(RETURN, KNOWN_CHILD)
    assert (await returned(world, YOUNG)).hits == ()
    assert len((await returned(world, YOUNG, best_interest="BID-2026-4")).hits) == 1


async def test_a_return_is_about_one_person_and_its_facts_belong_to_no_other_purpose() -> None:
    world = await holding(RETURN, KNOWN)
    with pytest.raises(InputRefused):
        await world[PAN].ask(w.traveller(ADULT), w.traveller(YOUNG), purpose=RETURN)
    for more in ({"asylum": AsylumState.NONE}, {"best_interest": "BID-1"}):
        with pytest.raises(InputRefused):
            await world[PAN].ask(w.traveller(ADULT), **more)


async def test_a_person_asked_about_for_a_return_is_not_asked_about_for_another_end_that_day() -> None:
    world = await holding(RETURN, KNOWN)
    subjects = Subjects(bytes(32))
    await returned(world, subjects=subjects)
    around = dataclasses.replace(world[PAN].asking(), subjects=subjects)
    officer = world[PAN].officer()
    with pytest.raises(PolicyDenied) as refused:
        await check.ask(world[PAN].inquiry(w.traveller(ADULT)), officer, around)
    assert refused.value.reasons == ("purpose_change",)
    assert world[PAN].leaves("check.denied")[-1].public["reasons"] == "purpose_change"
    # Another agency, the same purpose again, and the next day are no change of purpose.
    keys = [key.input.open() for key in matchkeys.for_asking(ADULT, (), frozenset({KeyType.NAME_YEAR_1}))]
    assert subjects.changed(AgencyId("SNM"), w.WATCH, keys, world.clock.now_ns())
    assert not subjects.changed(AgencyId("OTHER"), w.WATCH, keys, world.clock.now_ns())
    await returned(world, subjects=subjects)
    world.clock.pass_ns(DAY_NS + 1)
    assert not subjects.changed(AgencyId("SNM"), w.WATCH, keys, world.clock.now_ns())


async def test_what_is_remembered_of_a_day_is_bounded_and_holds_no_name() -> None:
    subjects = Subjects(b"k" * 32)
    subjects.remember(AgencyId("SNM"), RETURN, (str(number).encode() for number in range(50)), NOW_NS)
    subjects.remember(AgencyId("SNM"), RETURN, [b"later"], NOW_NS + 2 * DAY_NS)
    assert len(subjects._seen) == 1
    assert all(len(place) == 16 for place in subjects._seen)
    assert b"later" not in b"".join(subjects._seen)
