"""Protect the person behind a record, or end that protection (T10; docs/protection.md).

A record's protection tags are an append-only history with the source of each line. Setting one takes one person, and no
rule can forbid it: it only narrows who may be told. Clearing one is a change of the list, so the rules are asked as for
any other; two persons sign it, one of them a protection officer, and it guards for 24 h more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.errors import InputRefused, NotFoundOrNotPermitted, PolicyDenied, VersionMoved
from gateway.federation.statement import PersonalSignature
from gateway.flows.deciding import decide, expect
from gateway.flows.listing import TRIES, Signer, expect_entry, issuers_of_entry, put_entry
from gateway.policy import catalogue, floors
from gateway.policy.decision import Deny
from gateway.policy.question import Question, Stage
from gateway.terms.ids import AgencyId, PeerId
from gateway.terms.words import ListId, ProtectionTag, Role
from gateway.watchlist.entry import CLEARING_WAIT_NS, ListEntry, TagChange

SEALED_BYTES: Final = 8_192
"""Room for two persons' statements in the log's sealed part, the same for every act."""


class ProtectionBook(Protocol):
    """Our own list as it stands."""

    def named_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterable[ListEntry]:
        """Live entries of these ids."""


@dataclass(frozen=True, slots=True)
class ProtectionWorld:
    """The surroundings of an act upon tags."""

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    book: ProtectionBook
    clock: ports.Clock


@dataclass(frozen=True, slots=True)
class Marking:
    """One act: a tag of one record is set, or cleared. `lines` is how many the history had when it was signed, `source`
    a code that says who knew it, `decision` the act's reference; each of `signed` was verified against the register,
    and `signers` are the persons in the same order, each with the one role signed in."""

    list_id: ListId
    entry_id: str
    tag: ProtectionTag
    is_set: bool
    source: str
    decision: str
    legal_basis: str
    lines: int
    signed: tuple[PersonalSignature, ...]
    signers: tuple[Signer, ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """What became of it. `guards_until_ns` is when a cleared tag stops to guard, 0 where a tag was set."""

    changed: bool
    lines: int
    guards_until_ns: int = 0


async def mark(marking: Marking, world: ProtectionWorld) -> Marked:
    """Set or clear a tag. Setting one that is set changes nothing and logs nothing.

    Raises:
        PolicyDenied: the rules or the floor (who signed) said no; the refusal is in the log.
        InputRefused: a tag is cleared that is not set, or the record is of a document and has no person.
        NotFoundOrNotPermitted: no live entry of this id.
        VersionMoved: the history has gone on since it was signed, or the record moves again and again.
    """
    for _ in range(TRIES - 1):
        try:
            return await _mark(marking, world)
        except VersionMoved:
            continue
    return await _mark(marking, world)


async def _mark(marking: Marking, world: ProtectionWorld) -> Marked:
    now = world.clock.now_ns()
    before = held(marking.list_id, marking.entry_id, world.book)
    if before.person is None:
        raise InputRefused("a record of a document names no person to protect", field="protection", code="NO_PERSON")
    reasons = floors.marking(
        is_set=marking.is_set, signed=[(signer.officer, role) for signer in marking.signers for role in signer.roles]
    )
    changes: list[ports.Change] = []
    if not marking.is_set:
        decision = await decide(_question(marking, before, world, now), world.policy)
        if isinstance(decision, Deny):
            reasons = tuple(sorted({*reasons, *decision.reasons}))
        else:
            changes.append(expect(decision))
    if reasons:
        await world.uow.commit([_denied(marking, reasons)])
        raise PolicyDenied(reasons)
    after = before.marked(TagChange(marking.tag, marking.is_set, now, marking.source))
    if after is None:
        return Marked(changed=False, lines=len(before.history))
    if len(before.history) != marking.lines:
        # Else a clearing that was signed once would undo what others set after it.
        raise VersionMoved("the record's protection history has gone on since this was signed; sign again")
    changes += [expect_entry(marking.list_id, before), put_entry(after)]
    await world.uow.commit([_changed(marking)], changes)
    until = 0 if marking.is_set else after.history[-1].at_ns + CLEARING_WAIT_NS
    return Marked(changed=True, lines=len(after.history), guards_until_ns=until)


async def show(list_id: ListId, entry_id: str, signer: Signer, world: ProtectionWorld) -> ListEntry:
    """The record with its history, for one person who may act upon it; the reading is in the log first.

    Raises:
        PolicyDenied: not in this role.
        NotFoundOrNotPermitted: no live entry of this id.
    """
    if floors.MARKERS.isdisjoint(signer.roles):
        raise PolicyDenied(("role",))
    found = held(list_id, entry_id, world.book)
    entry = Entry(
        "protection.read",
        Phase.EVENT,
        public={"list": list_id.value},
        secret={"entry_id": entry_id, "officers": [str(signer.officer)]},
        sealed_bytes=512,
    )
    await world.uow.commit([entry])
    return found


def held(list_id: ListId, entry_id: str, book: ProtectionBook) -> ListEntry:
    """The live entry. Raises NotFoundOrNotPermitted."""
    for found in book.named_entries(list_id, [entry_id]):
        return found
    raise NotFoundOrNotPermitted("no live entry of this id; nothing was changed")


def _question(marking: Marking, before: ListEntry, world: ProtectionWorld, now: int) -> Question:
    """Clearing alters the list: authority, decision, basis and two persons, as every alteration (T9)."""
    purpose = catalogue.purpose_of_list(marking.list_id)
    lister = next((one for one in marking.signers if Role.LIST_OFFICER in one.roles), None)
    return Question(
        stage=Stage.LIST,
        purpose=purpose,
        operation="alter",
        legal_basis=marking.legal_basis,
        list_id=marking.list_id,
        key_types=catalogue.key_types_of(purpose),
        class_size=0,
        asker=world.state,
        owner=world.state,
        agency=lister.agency if lister else AgencyId(""),
        role=Role.LIST_OFFICER if lister else Role.OPERATOR,
        has_case=bool(marking.decision),
        signers=len({signer.officer for signer in marking.signers}),
        time_ns=now,
        issuers=issuers_of_entry(marking.list_id, [before]),
    )


def _changed(marking: Marking) -> Entry:
    persons: list[Scalar] = [part for one in marking.signed for part in (one.statement, one.signature)]
    return Entry(
        "protection.changed",
        Phase.EVENT,
        public={"list": marking.list_id.value, "basis": marking.legal_basis},
        secret={**_sealed(marking), "source": marking.source, "persons": persons},
        sealed_bytes=SEALED_BYTES,
    )


def _denied(marking: Marking, reasons: tuple[str, ...]) -> Entry:
    return Entry(
        "protection.denied",
        Phase.EVENT,
        public={"list": marking.list_id.value, "basis": marking.legal_basis},
        secret={**_sealed(marking), "reasons": ",".join(reasons)},
    )


def _sealed(marking: Marking) -> dict[str, Scalar | list[Scalar]]:
    return {
        "entry_id": marking.entry_id,
        "act": "set" if marking.is_set else "clear",
        "tag": marking.tag.value,
        "decision": marking.decision,
        "officers": [str(signer.officer) for signer in marking.signers],
    }
