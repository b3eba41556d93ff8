"""Listing is an act: two persons, a decision, a basis, the issuing state; each change an entry (T9, T10)."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gateway import ports
from gateway.errors import AuditUnavailable, InputRefused, NotFoundOrNotPermitted, PolicyDenied, VersionMoved
from gateway.flows import listing
from gateway.flows.listing import Difference, Load, Signer
from gateway.policy.decision import Deny
from gateway.policy.question import Stage
from gateway.terms import ListId, PeerId, ProtectionTag, RecordKind, Role
from gateway.terms.ids import AgencyId, OfficerId
from gateway.watchlist.entry import ListEntry, TagChange
from tests.flows import world as w
from tests.flows.world import HND, PAN, WATCH, State, World
from tests.support.entries import DAY_NS, entry, lost

pytestmark = pytest.mark.asyncio

IVAN = w.person("KOVACH", "IVAN", "1979-02-11")
ROSA = w.person("MALDONADO PAZ", "ROSA", "1984-08-12")
SNM = AgencyId("SNM")
ANA = Signer(OfficerId("ana"), SNM, (Role.LIST_OFFICER,))
BEN = Signer(OfficerId("ben"), SNM, (Role.LIST_OFFICER, Role.SUPERVISOR))
TAGGED = (TagChange(ProtectionTag.WITNESS, True, 0, "load"),)


def load(*entries: ListEntry, **changes: Any) -> Load:
    values: dict[str, Any] = {
        "list_id": ListId.PERSONS,
        "mode": "delta",
        "entries": entries,
        "digest": hashlib.sha512(b"file").digest(),
        "decision": "J-2026-17",
        "legal_basis": "national immigration act",
        "signers": (ANA, BEN),
    }
    return Load(**(values | changes))


async def pan() -> tuple[World, State]:
    world = await World.of(PAN)
    return world, world[PAN]


async def applied(state: State, one: Load) -> Difference:
    return await listing.load(one, state.listing())


def listed(state: State, list_id: ListId = ListId.PERSONS) -> dict[str, ListEntry]:
    return {one.entry_id: one for one in state.book.list_entries(list_id)}


async def test_two_persons_enter_a_file_and_each_row_is_an_entry_in_one_commit() -> None:
    world, state = await pan()
    change = await applied(state, load(entry(entry_id="A", person=IVAN), entry(entry_id="B", person=ROSA)))
    assert ([one.entry_id for one in change.added], change.unchanged) == (["A", "B"], 0)
    assert set(listed(state)) == {"A", "B"}
    assert world.journal == ["PAN logs list.loaded event"] + ["PAN logs list.entry event"] * 2
    assert state.uow.commits == 1
    loaded, first, _ = (*state.leaves("list.loaded"), *state.leaves("list.entry"))
    assert {name: loaded.public[name] for name in ("added", "changed", "withdrawn", "signers", "mode", "basis")} == {
        "added": 2, "changed": 0, "withdrawn": 0, "signers": 2, "mode": "delta", "basis": "national immigration act",
    }  # fmt: skip
    assert state.opened(loaded) == {"officers": ["ana", "ben"], "decision": "J-2026-17"}
    assert (first.public["act"], first.public["file_hash"]) == ("enter", load().digest)
    told = state.opened(first)
    assert (told["entry_id"], told["originator"], told["decision"]) == ("A", "PAN", "J-2026-17")


async def test_no_leaf_shows_whom_a_list_names() -> None:
    _, state = await pan()
    await applied(state, load(entry(entry_id="ENTRY-A", person=IVAN)))
    everything = b"".join(state.store.leaves(0, state.store.size()))
    everything += b"".join(payload for _, payload in state.store.payloads(0, state.store.size()))
    assert [word for word in (b"KOVACH", b"ENTRY-A", b"ana", b"J-2026-17") if word in everything] == []
    sizes = {len(state.store.payload(one.seq) or b"") for one in state.leaves("list.entry")}
    assert len(sizes) == 1


async def test_the_same_file_twice_changes_nothing_and_logs_nothing() -> None:
    world, state = await pan()
    file = load(entry(entry_id="A", person=IVAN, history=TAGGED))
    await applied(state, file)
    world.clock.pass_ns(DAY_NS)
    world.journal.clear()
    for mode in ("delta", "snapshot"):
        change = await applied(state, replace(file, mode=mode))
        assert (change.added, change.changed, change.withdrawn, change.unchanged) == ((), (), (), 1)
    assert world.journal == []


async def test_a_row_that_differs_alters_its_entry() -> None:
    _, state = await pan()
    await applied(state, load(entry(entry_id="A", person=IVAN), entry(entry_id="B", person=ROSA)))
    change = await applied(state, load(entry(entry_id="A", person=IVAN, kind=RecordKind.REFUSE_ENTRY)))
    assert ([one.entry_id for one in change.changed], change.withdrawn) == (["A"], ())
    assert listed(state)["A"].kind is RecordKind.REFUSE_ENTRY
    assert state.leaves("list.entry")[-1].public["act"] == "alter"


async def test_a_snapshot_withdraws_what_it_does_not_name_and_a_delta_leaves_it() -> None:
    _, state = await pan()
    await applied(state, load(entry(entry_id="A", person=IVAN), entry(entry_id="B", person=ROSA)))
    await applied(state, load(entry(entry_id="A", person=IVAN)))
    assert set(listed(state)) == {"A", "B"}
    change = await applied(state, load(entry(entry_id="A", person=IVAN), mode="snapshot"))
    assert [one.entry_id for one in change.withdrawn] == ["B"]
    assert set(listed(state)) == {"A"}
    assert state.leaves("list.entry")[-1].public["act"] == "withdraw"
    assert state.opened(state.leaves("list.entry")[-1])["entry_id"] == "B"


async def test_a_tag_that_is_set_stays_when_a_later_file_does_not_name_it() -> None:
    world, state = await pan()
    await applied(state, load(entry(entry_id="A", person=IVAN, history=TAGGED)))
    set_at = world.clock.now_ns()
    world.clock.pass_ns(DAY_NS)
    await applied(state, load(entry(entry_id="A", person=IVAN, kind=RecordKind.REFUSE_ENTRY)))
    (line,) = listed(state)["A"].history
    assert (line.tag, line.is_set, line.at_ns) == (ProtectionTag.WITNESS, True, set_at)


DENIED: dict[str, tuple[dict[str, Any], str]] = {
    "one person": ({"signers": (ANA,)}, "signers"),
    "one person twice": ({"signers": (ANA, replace(ANA, roles=(Role.SUPERVISOR,)))}, "signers"),
    "nobody": ({"signers": ()}, "signers"),
    "no list officer": (
        {"signers": (replace(ANA, roles=(Role.BORDER_FRONTLINE,)), replace(BEN, roles=(Role.SUPERVISOR,)))},
        "role",
    ),
    "no decision": ({"decision": ""}, "case_required"),
    "no basis": ({"legal_basis": ""}, "legal_basis"),
    "a model for a basis": ({"legal_basis": "SIS Reg. 2018/1861 art.24-25 (as model)"}, "legal_basis"),
}


@pytest.mark.parametrize("rules", ["shipped", "everything"])
@pytest.mark.parametrize("how", DENIED)
async def test_what_lacks_authority_is_refused_and_logged_and_changes_nothing(how: str, rules: str) -> None:
    changes, reason = DENIED[how]
    world, state = await pan()
    if rules == "everything":
        state.rule(w.everything)
    with pytest.raises(PolicyDenied) as caught:
        await applied(state, load(entry(entry_id="A", person=IVAN), **changes))
    assert reason in caught.value.reasons
    assert world.journal == ["PAN logs list.denied event"]
    (denied,) = state.leaves("list.denied")
    assert reason in str(denied.public["reasons"])
    assert (denied.public["file_hash"], listed(state)) == (load().digest, {})


async def test_an_agency_without_a_mandate_lists_nobody() -> None:
    _, state = await pan()
    with pytest.raises(PolicyDenied):
        await applied(state, load(entry(person=IVAN), signers=(replace(ANA, agency=AgencyId("INM")), BEN)))


@pytest.mark.parametrize("rules", ["shipped", "everything"])
async def test_only_the_issuing_state_lists_a_document(rules: str) -> None:
    _, state = await pan()
    if rules == "everything":
        state.rule(w.everything)
    own = lost("PAN", entry_id="D1")
    for others in ([lost("HND", entry_id="D2")], [own, lost("HND", entry_id="D2")]):
        with pytest.raises(PolicyDenied) as caught:
            await applied(state, load(*others, list_id=ListId.DOCUMENTS))
        assert "issuer" in caught.value.reasons
    await applied(state, load(own, list_id=ListId.DOCUMENTS))
    assert set(listed(state, ListId.DOCUMENTS)) == {"D1"}


async def test_the_rules_are_asked_about_the_act_and_never_about_the_person() -> None:
    _, state = await pan()
    rules = state.rule(w.everything)
    await applied(state, load(entry(entry_id="A", person=IVAN)))
    (asked,) = rules.asked
    assert (asked.stage, asked.signers, asked.has_case, asked.owner, asked.asker) == (Stage.LIST, 2, True, PAN, PAN)
    assert "KOVACH" not in repr(asked)


async def test_without_its_entries_a_list_does_not_change() -> None:
    for denied in (False, True):
        _, state = await pan()
        if denied:
            state.rule(lambda question: Deny(("role",)))
        state.uow.fails_at = {1}
        with pytest.raises(AuditUnavailable):
            await applied(state, load(entry(person=IVAN)))
        assert listed(state) == {}


async def test_rules_that_move_before_the_commit_stop_it() -> None:
    _, state = await pan()
    await state.store.commit(
        [], [ports.Change("policy.activate", {"layer": "baseline", "digest": b"b" * 32, "sequence": 2})]
    )
    with pytest.raises(VersionMoved):
        await applied(state, load(entry(person=IVAN)))
    assert (listed(state), state.store.entries) == ({}, [])


async def test_more_changes_than_one_transaction_takes_are_refused_whole() -> None:
    _, state = await pan()
    many = (entry(person=IVAN),) * (listing.ROWS_MAX + 1)
    with pytest.raises(InputRefused):
        await applied(state, load(*many))
    assert listed(state) == {}


async def test_two_loads_at_once_both_stand() -> None:
    _, state = await pan()
    await asyncio.gather(
        applied(state, load(entry(entry_id="A", person=IVAN))), applied(state, load(entry(entry_id="B", person=ROSA)))
    )
    assert set(listed(state)) == {"A", "B"}


async def test_nothing_reaches_a_peer_before_the_act_is_logged_and_withdrawing_takes_it_back() -> None:
    world = await World.of(PAN, HND)
    await applied(world[PAN], load(entry(entry_id="A", person=IVAN)))
    await world[PAN].publish(HND, purposes=[WATCH])
    assert world.journal.index("PAN logs list.entry event") < world.journal.index("PAN logs table.published event")
    await world[HND].fetch(PAN, [WATCH])
    assert len((await world[HND].ask(w.traveller(IVAN))).hits) == 1
    await applied(world[PAN], load(mode="snapshot"))
    await world[PAN].publish(HND, purposes=[WATCH])
    await world[HND].fetch(PAN, [WATCH])
    assert (await world[HND].ask(w.traveller(IVAN))).hits == ()


async def test_the_last_document_of_a_list_can_be_withdrawn() -> None:
    _, state = await pan()
    await applied(state, load(lost("PAN", entry_id="D1"), list_id=ListId.DOCUMENTS))
    await applied(state, load(list_id=ListId.DOCUMENTS, mode="snapshot"))
    assert listed(state, ListId.DOCUMENTS) == {}


async def test_the_second_person_may_be_the_first_to_sign() -> None:
    _, state = await pan()
    supervisor = Signer(OfficerId("eva"), SNM, (Role.SUPERVISOR,))
    await applied(state, load(entry(entry_id="A", person=IVAN), signers=(supervisor, ANA)))
    with pytest.raises(PolicyDenied):
        await applied(
            state,
            load(entry(entry_id="B", person=ROSA), signers=(supervisor, replace(supervisor, officer=OfficerId("fay")))),
        )
    assert set(listed(state)) == {"A"}


async def test_a_states_code_in_the_zone_is_its_own_too() -> None:
    germany = PeerId("DEU")
    world = await World.of(germany, policy=lambda code: w.allow_all())
    change = await applied(world[germany], load(lost("D", entry_id="D1", originator=germany), list_id=ListId.DOCUMENTS))
    assert len(change.added) == 1


def withdrawal(*entry_ids: str, **changes: Any) -> Load:
    return load(**({"mode": listing.WITHDRAW, "withdraws": entry_ids} | changes))


async def test_one_entry_is_withdrawn_by_its_id_under_the_same_rules() -> None:
    world, state = await pan()
    await applied(state, load(entry(entry_id="A", person=IVAN), entry(entry_id="B", person=ROSA)))
    rules = state.rule(w.everything)
    world.journal.clear()
    change = await applied(state, withdrawal("A"))
    assert ([one.entry_id for one in change.withdrawn], set(listed(state))) == (["A"], {"B"})
    assert world.journal == ["PAN logs list.loaded event", "PAN logs list.entry event"]
    act = state.leaves("list.entry")[-1]
    assert (act.public["act"], state.opened(act)["entry_id"]) == ("withdraw", "A")
    assert [asked.operation for asked in rules.asked] == ["withdraw"]


@pytest.mark.parametrize("how", DENIED)
async def test_a_withdrawal_without_authority_is_refused_and_logged(how: str) -> None:
    changes, reason = DENIED[how]
    _, state = await pan()
    await applied(state, load(entry(entry_id="A", person=IVAN)))
    with pytest.raises(PolicyDenied) as caught:
        await applied(state, withdrawal("A", **changes))
    assert reason in caught.value.reasons and len(state.leaves("list.denied")) == 1
    assert set(listed(state)) == {"A"}


async def test_only_what_is_on_the_list_is_withdrawn_and_once() -> None:
    world, state = await pan()
    await applied(state, load(entry(entry_id="A", person=IVAN)))
    await applied(state, withdrawal("A"))
    world.journal.clear()
    for ids in (("A",), ("B",), ("A", "B")):
        with pytest.raises(NotFoundOrNotPermitted):
            await applied(state, withdrawal(*ids))
    with pytest.raises(NotFoundOrNotPermitted):
        await applied(state, withdrawal("A", list_id=ListId.DOCUMENTS))
    assert world.journal == []
