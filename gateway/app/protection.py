"""Protection tags of our own list's records: signatures verified, the flow run; for the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.app import lists, parts
from gateway.config import Config
from gateway.errors import Malformed
from gateway.federation import statement
from gateway.federation.statement import PersonalSignature
from gateway.flows import protection
from gateway.flows.listing import Signer
from gateway.flows.protection import Marked, Marking, ProtectionWorld
from gateway.policy import floors
from gateway.terms.ids import OfficerId
from gateway.terms.words import ListId, ProtectionTag
from gateway.watchlist.entry import ListEntry


def lines_of(settings: Config, list_id: ListId, entry_id: str) -> int:
    """How many lines the record's history has: what a signature rests on. Raises NotFoundOrNotPermitted."""
    with lists.opened_book(settings) as book:
        return len(protection.held(list_id, entry_id, book).history)


def mark(
    settings: Config,
    list_id: ListId,
    entry_id: str,
    *,
    tag: ProtectionTag,
    is_set: bool,
    source: str,
    decision: str,
    legal_basis: str,
    signed: Sequence[PersonalSignature],
) -> Marked:
    """Set or clear a tag; durable when it returns. Raises what `statement.verify_all` and `flows.protection.mark`
    raise."""
    act = statement.PROTECTION_ACTS["set" if is_set else "clear"]
    lines = _lines(signed, act)
    facts = statement.protection(
        state=settings.state,
        list_id=list_id,
        entry_id=entry_id,
        lines=lines,
        tag=tag.value,
        source=source,
        decision=decision,
        legal_basis=legal_basis,
    )
    marking = Marking(
        list_id=list_id,
        entry_id=entry_id,
        tag=tag,
        is_set=is_set,
        source=source,
        decision=decision,
        legal_basis=legal_basis,
        lines=lines,
        signed=tuple(signed),
        signers=_signers(settings, signed, act, facts),
    )

    async def run() -> Marked:
        async with _opened(settings) as world:
            return await protection.mark(marking, world)

    return asyncio.run(run())


def show(settings: Config, list_id: ListId, entry_id: str, signed: PersonalSignature) -> ListEntry:
    """The record with its history; the reading is logged. Raises as `flows.protection.show`."""
    act = statement.PROTECTION_ACTS["show"]
    facts = statement.protection(state=settings.state, list_id=list_id, entry_id=entry_id, lines=_lines([signed], act))
    (signer,) = _signers(settings, [signed], act, facts)

    async def run() -> ListEntry:
        async with _opened(settings) as world:
            return await protection.show(list_id, entry_id, signer, world)

    return asyncio.run(run())


def _lines(signed: Sequence[PersonalSignature], act: str) -> int:
    """What the first signature says of the history; that all say the same is verified with the rest."""
    for one in signed:
        lines = statement.says(one, act, {}).get("lines")
        if type(lines) is not int:
            raise Malformed("statement", "says nothing of the history")
        return lines
    return 0


def _signers(
    settings: Config, signed: Sequence[PersonalSignature], act: str, facts: dict[str, Any]
) -> tuple[Signer, ...]:
    """The persons, each with the one role they signed in."""
    people = statement.verify_all(
        signed,
        act,
        facts,
        register=parts.register_of(settings),
        roles=floors.MARKERS,
        now_ns=parts.clock_of(settings).now_ns(),
    )
    return tuple(
        Signer(OfficerId(person.officer), person.agency, (one.role,))
        for person, one in zip(people, signed, strict=True)
    )


@asynccontextmanager
async def _opened(settings: Config) -> AsyncIterator[ProtectionWorld]:
    async with lists.opened(settings) as listing:
        yield ProtectionWorld(listing.state, listing.policy, listing.uow, listing.book, listing.clock)
