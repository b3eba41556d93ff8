"""Change our own list: authority, decision reference, legal basis, originator and a second person (T9).

Listing is an act: each entry that is entered, altered or withdrawn is an entry of the log, all of one file in one
transaction, and nothing is published before it is durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import InputRefused, NotFoundOrNotPermitted, PeerSuspended, PolicyDenied, VersionMoved
from gateway.federation.officers import Enrolled
from gateway.flows import announce
from gateway.flows.announce import AnnouncingWorld
from gateway.flows.deciding import decide, expect
from gateway.people import codes
from gateway.policy import catalogue
from gateway.policy.decision import Deny
from gateway.policy.question import Question, Stage
from gateway.terms.ids import AgencyId, OfficerId, PeerId
from gateway.terms.words import ListId, Role
from gateway.watchlist.entry import ListEntry

ROWS_MAX = 20_000
"""Rows one load may change: what one transaction and one frame hold. Larger files are split."""

SNAPSHOT, DELTA, WITHDRAW = MODES = ("snapshot", "delta", "withdraw")
"""What a load does: its file is the whole list, its file adds and alters, or it takes entries off by their ids."""


class ListBook(Protocol):
    """Our own list as it stands."""

    def list_entries(self, list_id: ListId) -> Iterable[ListEntry]:
        """Live entries."""

    def named_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterable[ListEntry]:
        """Those of them that have one of these ids."""

    def withdrawn_entries(self, list_id: ListId, entry_ids: Iterable[str]) -> Iterable[ListEntry]:
        """Entries of these ids as they were when they were taken off."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A person whose signature over the load's statement was verified against the register."""

    officer: OfficerId
    agency: AgencyId
    roles: tuple[Role, ...]

    @classmethod
    def of(cls, person: Enrolled) -> Signer:
        """The person as the register has them."""
        return cls(OfficerId(person.officer), person.agency, tuple(person.roles))


@dataclass(frozen=True, slots=True)
class Load:
    """One act upon a list. `digest` is the SHA-512 of the file's bytes, `decision` the act's reference.

    `mode` is one of `MODES`; `withdraws` are the entries taken off by their ids, `entries` is empty then. What stands
    for a file's digest there must not tell the ids: leaves are for everybody.
    """

    list_id: ListId
    mode: str
    entries: tuple[ListEntry, ...]
    digest: bytes
    decision: str
    legal_basis: str
    signers: tuple[Signer, ...]
    withdraws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a load would change, by entry id."""

    added: tuple[ListEntry, ...]
    changed: tuple[ListEntry, ...]
    withdrawn: tuple[ListEntry, ...]
    unchanged: int
    replaced: tuple[ListEntry, ...] = ()
    """What stood where `changed` stands now, in the same order."""
    immediate: bool = False
    """Peers see all of it at their next check; else with the next tables."""


def difference(
    load: Load, held: Iterable[ListEntry], now_ns: int = 0, withdrawn: Iterable[ListEntry] = ()
) -> Difference:
    """Compare a file with the list. `snapshot` withdraws what the file does not name; `delta` leaves it; `withdraw`
    takes off what is named and still there.

    An entry that replaces another, or comes again after it was taken off (`withdrawn`), goes on with the history of its
    protection tags: a file can set a tag and never clear one (T10). `now_ns` is the time of a tag that is new.
    """
    before = {entry.entry_id: entry for entry in held}
    histories = {entry.entry_id: entry for entry in withdrawn} | before
    entries = tuple(entry.after(histories.get(entry.entry_id), now_ns) for entry in load.entries)
    added = tuple(entry for entry in entries if entry.entry_id not in before)
    changed = tuple(
        entry for entry in entries if entry.entry_id in before and before[entry.entry_id].encode() != entry.encode()
    )
    named = {entry.entry_id for entry in entries}
    leaving = {SNAPSHOT: before.keys() - named, DELTA: set[str](), WITHDRAW: before.keys() & set(load.withdraws)}
    withdrawn = tuple(before[entry_id] for entry_id in sorted(leaving[load.mode]))
    return Difference(
        added,
        changed,
        withdrawn,
        len(entries) - len(added) - len(changed),
        tuple(before[entry.entry_id] for entry in changed),
    )


def held(load: Load, book: ListBook) -> Iterable[ListEntry]:
    """As much of the list as a load has to be compared with: all of it for a snapshot only."""
    if load.mode == SNAPSHOT:
        return book.list_entries(load.list_id)
    return book.named_entries(load.list_id, [*(entry.entry_id for entry in load.entries), *load.withdraws])


def gone(load: Load, book: ListBook) -> Iterable[ListEntry]:
    """Entries of the file that were on the list before: their tags' history is not forgotten."""
    return book.withdrawn_entries(load.list_id, [entry.entry_id for entry in load.entries])


@dataclass(frozen=True, slots=True)
class ListingWorld:
    """The surroundings of a change of the list."""

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    book: ListBook
    clock: ports.Clock
    announcing: AnnouncingWorld
    """How peers are told at once of what does not wait for the tick."""


TRIES: Final = 4
"""How often an act is made anew when another act, an epoch or a peer's state moved under it."""


async def load(load: Load, world: ListingWorld) -> Difference:
    """Apply a file to the list. Returns what changed; the same file twice changes nothing.

    What peers may see at once (`catalogue.IMMEDIATE`) is signed for each of them in the same commit.

    Raises:
        PolicyDenied: the rules or a floor (two distinct persons, authority, issuing state) said no.
        InputRefused: too many changes for one transaction.
        NotFoundOrNotPermitted: an entry to withdraw is not on the list.
        VersionMoved, PeerSuspended: the rules or a peer moved meanwhile, again and again; nothing was changed.
    """
    for _ in range(TRIES - 1):
        try:
            return await _load(load, world)
        except (VersionMoved, PeerSuspended):
            continue
    return await _load(load, world)


async def _load(load: Load, world: ListingWorld) -> Difference:
    now = world.clock.now_ns()
    change = difference(load, held(load, world.book), now, gone(load, world.book))
    if len(change.withdrawn) < len(set(load.withdraws)):
        raise NotFoundOrNotPermitted("no live entry of this id; nothing was changed")
    persons = {signer.officer for signer in load.signers}
    # Who enters is the list officer among those who signed, in whatever order they did.
    first = next((signer for signer in load.signers if Role.LIST_OFFICER in signer.roles), None)
    first = first or (load.signers[0] if load.signers else None)
    purpose = catalogue.purpose_of_list(load.list_id)
    question = Question(
        stage=Stage.LIST,
        purpose=purpose,
        operation="withdraw" if load.mode == WITHDRAW else "enter",
        legal_basis=load.legal_basis,
        list_id=load.list_id,
        key_types=catalogue.key_types_of(purpose),
        class_size=0,
        asker=world.state,
        owner=world.state,
        agency=first.agency if first else AgencyId(""),
        role=Role.LIST_OFFICER if first and Role.LIST_OFFICER in first.roles else Role.OPERATOR,
        has_case=bool(load.decision),
        signers=len(persons),
        time_ns=now,
        issuers=issuers_of(load, change),
    )
    decision = await decide(question, world.policy)
    if isinstance(decision, Deny):
        await world.uow.commit([_denied(load, decision.reasons)])
        raise PolicyDenied(decision.reasons)

    total = len(change.added) + len(change.changed) + len(change.withdrawn)
    if total > ROWS_MAX:
        raise InputRefused(f"{total} changes in one load; split the file at {ROWS_MAX}", code="TOO_MANY_ROWS")
    if total == 0:
        return change
    entries = [_loaded(load, change)]
    # A tag that somebody sets between our reading and this commit is not overwritten (T10).
    changes: list[ports.Change] = [expect(decision), *(expect_entry(load.list_id, row) for row in change.replaced)]
    for act, rows in (("enter", change.added), ("alter", change.changed)):
        for row in rows:
            entries.append(_act(load, act, row))
            changes.append(put_entry(row))
    for row in change.withdrawn:
        entries.append(_act(load, "withdraw", row))
        changes.append(
            ports.Change("entry.withdraw", {"list": load.list_id.value, "entry_id": row.entry_id, "at_ns": now})
        )
    pairs: list[announce.Pair] = [(None, row) for row in change.added]
    pairs += zip(change.replaced, change.changed, strict=True)
    pairs += [(row, None) for row in change.withdrawn]
    told = await announce.announce(pairs, load.list_id, now, world.announcing)
    await world.uow.commit([*entries, *told.entries], [*changes, *told.changes])
    return replace(change, immediate=told.immediate)


def put_entry(row: ListEntry) -> ports.Change:
    """The entry as it stands from now on."""
    told = {"entry_id": row.entry_id, "body": row.encode(), "keys": announce.index_of(row)}
    return ports.Change("entry.put", {"list": row.list_id.value, **told})


def expect_entry(list_id: ListId, row: ListEntry) -> ports.Change:
    """The live entry is still exactly this one."""
    return ports.Change("entry.expect", {"list": list_id.value, "entry_id": row.entry_id, "body": row.encode()})


def issuers_of(load: Load, change: Difference) -> tuple[str, ...]:
    """The states that issued the documents a load of the list DOCUMENTS names or withdraws; the rules allow our own
    only, under the code that peers know it by."""
    return issuers_of_entry(load.list_id, (*load.entries, *change.withdrawn))


def issuers_of_entry(list_id: ListId, rows: Iterable[ListEntry]) -> tuple[str, ...]:
    """The same of some entries."""
    if list_id is not ListId.DOCUMENTS:
        return ()
    return tuple(sorted({codes.iso(document.issuer) for entry in rows for document in entry.documents}))


def _loaded(load: Load, change: Difference) -> Entry:
    return Entry(
        "list.loaded",
        Phase.EVENT,
        public={
            "list": load.list_id.value,
            "mode": load.mode,
            "file_hash": load.digest,
            "basis": load.legal_basis,
            "added": len(change.added),
            "changed": len(change.changed),
            "withdrawn": len(change.withdrawn),
            "signers": len({signer.officer for signer in load.signers}),
        },
        secret={"officers": [str(signer.officer) for signer in load.signers], "decision": load.decision},
        retention="3y",
    )


def _act(load: Load, act: str, row: ListEntry) -> Entry:
    return Entry(
        "list.entry",
        Phase.EVENT,
        public={"list": load.list_id.value, "act": act, "file_hash": load.digest, "basis": load.legal_basis},
        secret={
            "entry_id": row.entry_id,
            "originator": str(row.originator),
            "decision": load.decision,
            "officers": [str(signer.officer) for signer in load.signers],
        },
        retention="3y",
        sealed_bytes=512,
    )


def _denied(load: Load, reasons: Sequence[str]) -> Entry:
    return Entry(
        "list.denied",
        Phase.EVENT,
        public={"list": load.list_id.value, "file_hash": load.digest, "reasons": ",".join(reasons)},
        secret={"officers": [str(signer.officer) for signer in load.signers], "decision": load.decision},
    )
