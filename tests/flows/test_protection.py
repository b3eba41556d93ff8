"""A record's protection tags: one person sets, two clear, and a cleared one guards for a day more (T10)."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from gateway.errors import AuditUnavailable, InputRefused, NotFoundOrNotPermitted, PolicyDenied, VersionMoved
from gateway.federation import statement
from gateway.federation.statement import PersonalSignature
from gateway.flows import listing, protection
from gateway.flows.listing import Load, Signer
from gateway.flows.protection import Marked, Marking, ProtectionWorld
from gateway.policy.decision import Deny
from gateway.policy.question import Stage
from gateway.terms import ListId, PeerId, ProtectionTag, RecordKind, Role
from gateway.terms.ids import AgencyId, OfficerId
from gateway.watchlist.entry import ListEntry, TagChange
from gateway.watchlist.publish import Withheld, may_tell
from tests.flows.world import PAN, State, World
from tests.support.entries import DAY_NS, entry, lost, person

pytestmark = pytest.mark.asyncio

VEN = PeerId("VEN")
KINDS = [kind.name for kind in RecordKind]
SNM = AgencyId("SNM")


def by(officer: str, role: Role) -> Signer:
    return Signer(OfficerId(officer), SNM, (role,))


ANA = by("ana", Role.LIST_OFFICER)
PIA = by("pia", Role.PROTECTION_OFFICER)
SAM = by("sam", Role.SUPERVISOR)


def signed(signers: tuple[Signer, ...]) -> tuple[PersonalSignature, ...]:
    """Signatures as the flow keeps them; that they hold was the caller's to verify."""
    facts = statement.protection(state=PAN, list_id=ListId.PERSONS, entry_id="A", lines=0)
    return tuple(
        statement.make("limen/protection/set/1", facts, role=one.roles[0], signed_ns=1, seed=bytes([place]) * 32)
        for place, one in enumerate(signers)
    )


def marking(*signers: Signer, is_set: bool, lines: int, **changes: Any) -> Marking:
    values: dict[str, Any] = {
        "list_id": ListId.PERSONS, "entry_id": "A", "tag": ProtectionTag.WITNESS, "is_set": is_set, "source": "COURT-3",
        "decision": "P-7", "legal_basis": "national immigration act", "lines": lines, "signed": signed(signers),
        "signers": signers,
    }  # fmt: skip
    return Marking(**(values | changes))


def around(state: State) -> ProtectionWorld:
    return ProtectionWorld(state.code, state.policy, state.uow, state.book, state.world.clock)


def load(*entries: ListEntry, **changes: Any) -> Load:
    values: dict[str, Any] = {
        "list_id": ListId.PERSONS, "mode": "delta", "entries": entries, "digest": bytes(64), "decision": "J-1",
        "legal_basis": "national immigration act", "signers": (ANA, by("ben", Role.LIST_OFFICER)),
    }  # fmt: skip
    return Load(**(values | changes))


async def listed() -> tuple[World, State]:
    """PAN with one record of a Venezuelan."""
    world = await World.of(PAN)
    await listing.load(load(entry(entry_id="A", person=person("VEN"))), world[PAN].listing())
    world.journal.clear()
    return world, world[PAN]


async def mark(state: State, one: Marking) -> Marked:
    return await protection.mark(one, around(state))


def record(state: State) -> ListEntry:
    (found,) = state.book.named_entries(ListId.PERSONS, ["A"])
    return found


def withheld(state: State) -> Withheld | None:
    return may_tell(record(state), VEN, kinds=KINDS, owner=PAN, now_ns=state.world.clock.now_ns())


async def test_one_person_sets_a_tag_that_guards_at_once_and_is_sealed_in_the_log() -> None:
    world, state = await listed()
    assert withheld(state) is None
    for who in (PIA, ANA, SAM):
        _, other = await listed()
        assert (await mark(other, marking(who, is_set=True, lines=0))).changed
    assert await mark(state, marking(PIA, is_set=True, lines=0)) == Marked(True, 1)
    assert withheld(state) is Withheld.ORIGIN
    assert world.journal == ["PAN logs protection.changed event"]
    (leaf,) = state.leaves("protection.changed")
    assert dict(leaf.public) == {"list": "PERSONS", "basis": "national immigration act"}
    told = state.opened(leaf)
    assert (told["act"], told["tag"], told["entry_id"], told["officers"]) == ("set", "WITNESS", "A", ["pia"])
    assert told["persons"] == [signed((PIA,))[0].statement, signed((PIA,))[0].signature]
    assert await mark(state, marking(SAM, is_set=True, lines=1)) == Marked(False, 1)
    assert len(state.leaves("protection.changed")) == 1


async def test_two_persons_clear_it_and_it_guards_for_a_day_more() -> None:
    world, state = await listed()
    await mark(state, marking(PIA, is_set=True, lines=0))
    world.clock.pass_ns(DAY_NS)
    done = await mark(state, marking(PIA, ANA, is_set=False, lines=1))
    assert done == Marked(True, 2, world.clock.now_ns() + DAY_NS)
    assert withheld(state) is Withheld.ORIGIN
    world.clock.pass_ns(DAY_NS - 1)
    assert withheld(state) is Withheld.ORIGIN
    world.clock.pass_ns(1)
    assert withheld(state) is None
    assert [(one.is_set, one.source) for one in record(state).history] == [(True, "COURT-3"), (False, "COURT-3")]
    # Set again, it guards again, and every line stays.
    await mark(state, marking(PIA, is_set=True, lines=2))
    assert withheld(state) is Withheld.ORIGIN and len(record(state).history) == 3


@pytest.mark.parametrize(
    ("signers", "reasons"),
    [
        ((), {"signers", "protection_role", "role"}),
        ((PIA,), {"signers", "role"}),
        ((ANA,), {"signers", "protection_role"}),
        ((PIA, by("pia", Role.LIST_OFFICER)), {"signers"}),
        ((ANA, SAM), {"protection_role"}),
        ((PIA, SAM), {"role"}),
        ((PIA, by("zoe", Role.DESK_NATIONAL)), {"role"}),
    ],
)
async def test_whoever_is_not_two_persons_with_their_roles_clears_nothing(
    signers: tuple[Signer, ...], reasons: set[str]
) -> None:
    world, state = await listed()
    await mark(state, marking(PIA, is_set=True, lines=0))
    world.journal.clear()
    with pytest.raises(PolicyDenied) as denied:
        await mark(state, marking(*signers, is_set=False, lines=1))
    assert reasons <= set(denied.value.reasons)
    assert world.journal == ["PAN logs protection.denied event"]
    assert len(record(state).history) == 1 and withheld(state) is Withheld.ORIGIN


async def test_a_tag_is_not_set_by_nobody_or_by_any_role() -> None:
    _, state = await listed()
    for signers in ((), (by("zoe", Role.DESK_NATIONAL),)):
        with pytest.raises(PolicyDenied):
            await mark(state, marking(*signers, is_set=True, lines=0))
    assert record(state).history == ()


async def test_no_rule_forbids_protecting_and_rules_can_forbid_clearing() -> None:
    _, state = await listed()
    rules = state.rule(lambda question: Deny(("national",)))
    await mark(state, marking(PIA, is_set=True, lines=0))
    assert rules.asked == []
    with pytest.raises(PolicyDenied) as denied:
        await mark(state, marking(PIA, ANA, is_set=False, lines=1))
    assert denied.value.reasons == ("national",)
    (asked,) = rules.asked
    assert (asked.stage, asked.operation, asked.signers) == (Stage.LIST, "alter", 2)


async def test_what_is_not_set_or_is_a_refugees_own_document_is_not_cleared() -> None:
    _, state = await listed()
    with pytest.raises(InputRefused):
        await mark(state, marking(PIA, ANA, is_set=False, lines=0))
    await listing.load(load(entry(entry_id="A", person=person("XXB"))), state.listing())
    with pytest.raises(InputRefused):
        await mark(state, marking(PIA, ANA, is_set=False, lines=0, tag=ProtectionTag.REFUGEE))
    assert ProtectionTag.REFUGEE in record(state).tags_in_force(0)


async def test_a_record_that_is_not_there_or_names_nobody_has_no_tags() -> None:
    _, state = await listed()
    with pytest.raises(NotFoundOrNotPermitted):
        await mark(state, marking(PIA, is_set=True, lines=0, entry_id="B"))
    await listing.load(load(lost(entry_id="D"), list_id=ListId.DOCUMENTS), state.listing())
    with pytest.raises(InputRefused):
        await mark(state, marking(PIA, is_set=True, lines=0, entry_id="D", list_id=ListId.DOCUMENTS))


async def test_signatures_for_an_older_history_clear_nothing() -> None:
    world, state = await listed()
    await mark(state, marking(PIA, is_set=True, lines=0))
    clearing = marking(PIA, ANA, is_set=False, lines=1)
    await mark(state, clearing)
    await mark(state, marking(PIA, is_set=True, lines=2))
    with pytest.raises(VersionMoved):
        await mark(state, clearing)
    world.clock.pass_ns(9 * DAY_NS)
    assert withheld(state) is Withheld.ORIGIN


async def test_without_its_entry_no_tag_changes() -> None:
    _, state = await listed()
    state.uow.fails_at = {state.uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await mark(state, marking(PIA, is_set=True, lines=0))
    assert record(state).history == ()
    await mark(state, marking(PIA, is_set=True, lines=0))
    state.uow.fails_at = {state.uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await mark(state, marking(PIA, ANA, is_set=False, lines=1))
    assert len(record(state).history) == 1


async def test_a_file_that_was_read_before_a_tag_was_set_does_not_undo_it() -> None:
    _, state = await listed()
    alter = load(entry(entry_id="A", person=person("VEN"), kind=RecordKind.REFUSE_ENTRY))

    def somebody_sets_it() -> None:
        state.uow.before_commit = lambda: None
        tagged = record(state).marked(TagChange(ProtectionTag.WITNESS, True, 5, "COURT-3"))
        assert tagged is not None
        with contextlib.suppress(StopIteration):
            state.store.commit([], [listing.put_entry(tagged)]).send(None)

    state.uow.before_commit = somebody_sets_it
    await listing.load(alter, state.listing())
    assert (record(state).kind, len(record(state).history)) == (RecordKind.REFUSE_ENTRY, 1)


async def test_a_record_that_comes_again_has_its_history_again() -> None:
    _, state = await listed()
    await mark(state, marking(PIA, is_set=True, lines=0))
    await listing.load(load(mode="withdraw", withdraws=("A",)), state.listing())
    await listing.load(load(entry(entry_id="A", person=person("VEN"))), state.listing())
    assert withheld(state) is Withheld.ORIGIN
    assert [one.source for one in record(state).history] == ["COURT-3"]


async def test_the_history_is_shown_to_those_who_may_act_and_the_reading_is_logged_first() -> None:
    world, state = await listed()
    await mark(state, marking(PIA, is_set=True, lines=0))
    world.journal.clear()
    shown = await protection.show(ListId.PERSONS, "A", PIA, around(state))
    assert shown.history == record(state).history
    assert world.journal == ["PAN logs protection.read event"]
    with pytest.raises(PolicyDenied):
        await protection.show(ListId.PERSONS, "A", by("zoe", Role.DESK_NATIONAL), around(state))
    state.uow.fails_at = {state.uow.commits + 1}
    with pytest.raises(AuditUnavailable):
        await protection.show(ListId.PERSONS, "A", PIA, around(state))
