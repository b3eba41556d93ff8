"""T6 through whole flows: rules that permit everything to everybody, rightly signed, leak nothing. The floors hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pytest

from gateway import ports
from gateway.errors import PolicyDenied
from gateway.federation import envelope
from gateway.flows import answer
from gateway.opa.engine import EmbeddedEngine
from gateway.policy import catalogue
from gateway.policy.purposes import PURPOSES
from gateway.pseudonym import batch
from gateway.rpc.convert import peers as convert
from gateway.terms import KeyType, ListId, PeerId, ProtectionTag, Purpose, RecordKind, RequestId, Role
from gateway.terms.exchange import Came, CheckRequest
from gateway.terms.ids import AgencyId
from gateway.watchlist.entry import ListEntry, TagChange
from tests.flows import world as w
from tests.flows.world import HND, PAN, STATUS, UTO, WATCH, World
from tests.policies import world as policies
from tests.support.entries import NOW_NS, entry, lost

pytestmark = pytest.mark.asyncio

IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12", "UTO")
PAPERS = w.passport("VEN", "T55637667")
GOOD = entry(entry_id="W1", originator=HND, person=IVAN, documents=(PAPERS,))


@cache
def signed() -> EmbeddedEngine:
    """Both layers' authorities have signed rules that say yes to whatever comes."""
    return EmbeddedEngine.load(
        policies.open_baseline(policies.baseline_raw(policies.hostile_rules("baseline")), now_ns=NOW_NS),
        policies.open_national(policies.national_raw(policies.hostile_rules("national")), now_ns=NOW_NS),
        now_ns=NOW_NS,
    )


@cache
def empty() -> World:
    """Two states with nothing listed, for what is refused and so changes nothing."""
    return w.now(World.exchanging(PAN, HND, listed={}, policy=lambda code: w.allow_all()))


RULES = {"signed": lambda code: signed(), "value": lambda code: w.allow_all()}


@pytest.fixture(params=RULES)
def rules(request: pytest.FixtureRequest) -> Any:
    return RULES[request.param]


async def corrupt(rules: Any, *listed: ListEntry) -> World:
    return await World.exchanging(PAN, HND, listed={HND: listed or (GOOD,)}, policy=rules)


# -- Asking -----------------------------------------------------------------------------------------------------------


async def test_the_rules_really_permit(rules: Any) -> None:
    world = await corrupt(rules)
    answer = await world[PAN].ask(w.traveller(IVAN, PAPERS), legal_basis="whatever we like")
    assert len(answer.hits) == 1


@pytest.mark.parametrize("code", [row.code for row in PURPOSES if row.code not in catalogue.OFFERED] + ["NO.SUCH"])
async def test_no_purpose_that_is_not_offered_is_asked_about(code: str) -> None:
    world = empty()
    with pytest.raises(PolicyDenied) as caught:
        await world[PAN].ask(w.traveller(IVAN, PAPERS), purpose=Purpose(code))
    assert {"purpose_not_offered", "purpose_unknown"} & set(caught.value.reasons)
    assert world.checks(HND) == []


@pytest.mark.parametrize("role", [role for role in Role if role not in catalogue.roles_of(WATCH)])
async def test_only_the_catalogues_roles_ask(role: Role) -> None:
    world = empty()
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(IVAN, PAPERS), officer=world[PAN].officer(role))
    assert world.checks(HND) == []


@pytest.mark.parametrize("basis", ["", "EU Dir. 2003/86 (as model)", "SIS Reg. 2018/1861 art.24-25"])
async def test_a_model_is_no_legal_basis(basis: str) -> None:
    world = empty()
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(IVAN, PAPERS), legal_basis=basis)
    assert world.checks(HND) == []


async def test_a_permit_without_agreement_transfer_basis_or_life_is_none(rules: Any) -> None:
    world = await corrupt(rules)
    for bent in ({"agreement": ""}, {"transfer_basis": ""}, {"key_types": ()}, {"kinds": ()}, {"expires_ns": NOW_NS}):
        world[PAN].rule(lambda question, bent=bent: replace(w.everything(question), **bent))  # type: ignore[misc]
        with pytest.raises(PolicyDenied):
            await world[PAN].ask(w.traveller(IVAN, PAPERS))
    assert world.checks(HND) == []


async def test_no_permit_lives_longer_than_fifteen_minutes(rules: Any) -> None:
    world = await corrupt(rules)
    await world[PAN].ask(w.traveller(IVAN, PAPERS))
    assert world.checks(HND)[0].request().permit_expires_ns <= world.clock.now_ns() + 15 * 60 * 10**9


async def test_a_protected_person_and_a_child_are_guarded_all_the_same(rules: Any) -> None:
    bait = entry(originator=UTO, person=ROSA)
    world = await World.exchanging(PAN, UTO, listed={UTO: [bait]}, policy=rules)
    child = w.person("MALDONADO PAZ", "ROSA", "2012-08-12", "VEN")
    for who, words in ((w.traveller(ROSA), {"protection_declared": True}), (w.traveller(child), {})):
        assert (await world[PAN].ask(who, **words)).hits == ()
        intent = [one for one in world[PAN].leaves("check.ask") if one.phase.value == "intent"][-1]
        assert world[PAN].opened(intent)["keys"] == []
    assert len((await world[PAN].ask(w.traveller(ROSA))).hits) == 1


# -- Answering --------------------------------------------------------------------------------------------------------


def request(world: World, **changes: Any) -> CheckRequest:
    """What a hostile asker would send."""
    epoch = world[HND].store.epoch(PAN)
    assert epoch is not None
    versions = world[HND].policy.versions()
    values: dict[str, Any] = {
        "leg_id": RequestId(world[PAN].chance.token(16)),
        "batch": 0,
        "batches": 1,
        "asker": PAN,
        "owner": HND,
        "agency": AgencyId("ANY"),
        "role": Role.BORDER_FRONTLINE,
        "purpose": WATCH,
        "legal_basis": "whatever we like",
        "list_id": ListId.PERSONS,
        "group": w.WATCH_GROUP,
        "epoch": epoch[0],
        "key_types": catalogue.key_types_of(WATCH),
        "known_version": 1,
        "blinded": batch.blinded_elements([], b"s" * 32, 8),
        "seed_commitment": batch.seed_commitment(b"s" * 32),
        "pair_seq": 1,
        "baseline_digest": versions.baseline,
        "national_digest": versions.national,
        "permit_expires_ns": world.clock.now_ns() + 10**9,
    }
    return CheckRequest(**(values | changes))


async def answered(world: World, asked: CheckRequest) -> Any:
    return await answer.answer(
        asked, Came(envelope.body_hash(convert.encode_check_request(asked))), world[HND].answering()
    )


HOSTILE: list[dict[str, Any]] = [
    {"role": Role.LIST_OFFICER},
    {"role": Role.OPERATOR},
    {"role": Role.PROTECTION_OFFICER},
    {"legal_basis": "EU Dir. 2003/86 (as model)"},
    {"key_types": ()},
    {"asker": HND},
    {"owner": UTO},
    {"group": w.DOCUMENT_GROUP},
    {"list_id": ListId.DOCUMENTS},
    {"purpose": STATUS, "group": w.DOCUMENT_GROUP, "list_id": ListId.DOCUMENTS},
    {"purpose": Purpose("FAM.LINK"), "group": "FAM.LINK"},
    {"purpose": Purpose("SEC.DISCREET"), "group": "DISCREET"},
    {"purpose": Purpose("VISA.CONSULT"), "group": "VISA"},
    {"purpose": Purpose("PNR.TARGET"), "group": "WATCH"},
    *({"purpose": Purpose(row.code), "group": row.group} for row in PURPOSES if row.code not in catalogue.OFFERED),
]


@pytest.mark.parametrize("how", HOSTILE, ids=str)
async def test_nothing_is_evaluated_outside_the_catalogue(how: dict[str, Any]) -> None:
    world = empty()
    world.journal.clear()
    with pytest.raises(PolicyDenied):
        await answered(world, request(world, **how))
    assert world.journal == [f"{HND} logs check.refused event"]


async def test_the_right_question_is_evaluated_or_the_others_would_prove_nothing(rules: Any) -> None:
    world = await corrupt(rules)
    await answered(world, request(world))
    assert world.journal.count("HND evaluates") == 1


# -- Publishing -------------------------------------------------------------------------------------------------------

NEVER: list[ListEntry] = [
    entry(entry_id="N1", originator=HND, person=w.person("SIS", "A"), provenance="SIS"),
    entry(entry_id="N2", originator=HND, person=w.person("EURODAC", "A"), provenance="eurodac"),
    entry(entry_id="N3", originator=HND, person=w.person("NOEXPORT", "A"), provenance="NO_EXPORT"),
    entry(entry_id="N4", originator=HND, person=w.person("OLD", "A"), valid_until=date(2026, 11, 24)),
    entry(entry_id="N5", originator=PAN, person=w.person("BACK", "A")),
    entry(entry_id="N6", originator=HND, person=w.person("CHILD", "A", "2012")),
    entry(entry_id="N7", originator=HND, person=w.person("UNKNOWN", "A", "")),
    entry(entry_id="N8", originator=HND, person=w.person("SMUGGLER", "A"), kind=RecordKind.SMUGGLER_SUSPECT),
    entry(entry_id="N9", originator=HND, person=w.person("MISSING", "A", "2015"), kind=RecordKind.MISSING_CHILD),
    entry(
        entry_id="N10",
        originator=HND,
        person=w.person("FLED", "A", "1980", "PAN"),
        history=(TagChange(ProtectionTag.REFUGEE, True, 1, "desk"),),
    ),
    entry(entry_id="N11", originator=HND, person=w.person("REFUGEE", "A", "1980", "XXB")),
    lost("PAN", entry_id="N12", originator=HND, documents=(w.passport("PAN", "X1"),)),
    lost("HND", entry_id="N13", originator=HND, documents=(w.passport("HND", "X2"), w.passport("VEN", "X3"))),
]


async def test_what_may_never_be_told_is_in_no_table(rules: Any) -> None:
    right = lost("HND", entry_id="D1", originator=HND, documents=(w.passport("HND", "X9"),))
    world = await corrupt(rules, GOOD, right, *NEVER)
    persons, documents = world[HND].leaves("table.published")
    assert (world[HND].opened(persons)["told"], world[HND].opened(documents)["told"]) == (1, 1)
    assert sum(int(row.partition(":")[2]) for row in world[HND].opened(persons)["withheld"]) == 9
    for one in NEVER:
        if one.person is not None:
            # Asked about as a plain adult, so that no guard of the asker's hides what the table holds.
            asked = w.traveller(replace(one.person, nationalities=("VEN",), birth=IVAN.birth, tags=frozenset()))
            assert (await world[PAN].ask(asked)).hits == ()
        else:
            assert (await world[PAN].ask(w.traveller(None, *one.documents), purpose=STATUS)).hits == ()


async def test_a_table_holds_the_catalogues_keys_and_no_others(rules: Any) -> None:
    papers = entry(entry_id="W2", originator=HND, person=IVAN, documents=(w.passport("HND", "X9"),))
    right = lost("HND", entry_id="D1", originator=HND, documents=(w.passport("HND", "X9"),))
    world = await corrupt(rules, papers, right)
    tables = {
        one.manifest.scope.list_id: one.manifest.key_types
        for one in world[HND].published.all()
        if one.manifest.scope.group in (w.WATCH_GROUP, w.DOCUMENT_GROUP)
    }
    assert set(tables[ListId.PERSONS]) == set(catalogue.key_types_of(WATCH))
    assert tables[ListId.DOCUMENTS] == (KeyType.DOC_1,)


async def test_no_table_leaves_without_agreement_or_transfer_basis(rules: Any) -> None:
    world = await World.of(HND, PAN, policy=rules)
    await world[HND].enlist(GOOD)
    for bent in ({"agreement": ""}, {"transfer_basis": ""}):
        world[HND].rule(lambda question, bent=bent: replace(w.everything(question), **bent))  # type: ignore[misc]
        assert await world[HND].publish(PAN) == []
    assert world[HND].published.all() == []


async def test_a_suspended_peer_gets_neither_table_nor_answer(rules: Any) -> None:
    world = await corrupt(rules)
    await world[HND].store.commit([], [ports.Change("peer.suspend", {"peer": PAN, "suspended": True})])
    with pytest.raises(PolicyDenied) as caught:
        await world[PAN].ask(w.traveller(IVAN))
    assert caught.value.reasons == ("peer_suspended",)
    await world[HND].enlist(entry(entry_id="W2", originator=HND, person=ROSA))
    assert await world[HND].publish(PAN) == []


async def test_nobody_asks_itself(rules: Any) -> None:
    world = await corrupt(rules)
    with pytest.raises(PolicyDenied):
        await world[PAN].ask(w.traveller(IVAN), owners=[PeerId("PAN")])
