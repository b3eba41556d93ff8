"""Reading the log at the node: the rules first, then an entry, then what was asked for (docs/auditing.md).

An auditor sees leaves: proofs, decisions, commitments. What is sealed of one entry is given when two persons have
signed for that entry, and is opened where the reader's private key is. Whoever audits changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NoReturn, Protocol

from gateway import ports
from gateway.audit import checkpoint, note
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Leaf
from gateway.errors import GatewayError, NotFoundOrNotPermitted, PolicyDenied
from gateway.federation import statement
from gateway.federation.officers import Enrolled, Register
from gateway.federation.statement import PersonalSignature
from gateway.primitives import cbor
from gateway.terms.ids import PeerId
from gateway.terms.words import AuditPurpose, Role

ENTRIES_MAX: Final = 1_000
"""Entries that one reading gets."""

FILTERS_MAX: Final = 24

SIGNING: Final = frozenset({Role.AUDITOR, Role.SUPERVISOR, Role.PROTECTION_OFFICER})
"""Who may sign for a revealing. One of the two is an auditor."""

_SEALED_BYTES: Final = 512


class AuditBook(Protocol):
    """The published log."""

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes] | None: ...

    def leaves(self, start: int, stop: int) -> Sequence[bytes]: ...

    def leaf(self, seq: int) -> bytes | None: ...

    def payload(self, seq: int) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class AuditWorld:
    """The surroundings of a reading. `register` is read when signatures are judged."""

    state: PeerId
    uow: ports.UnitOfWork
    book: AuditBook
    clock: ports.Clock
    register: Callable[[], Register]


@dataclass(frozen=True, slots=True)
class Reading:
    """Which entries, and what for. `filters` are names only: what is looked for stays with the auditor."""

    start: int
    count: int
    purpose: str
    filters: tuple[str, ...] = ()


def size_of(book: AuditBook) -> int:
    """How many entries are published. Raises NotFoundOrNotPermitted before the first checkpoint."""
    held = book.last_checkpoint()
    if held is None:
        raise NotFoundOrNotPermitted("no checkpoint was published yet")
    return checkpoint.parse(note.parse(held[0]).text).size


async def read(reading: Reading, auditor: str, world: AuditWorld) -> list[bytes]:
    """Leaves, at least one and at most as many as asked for. `auditor` is the certificate's name.

    Raises:
        PolicyDenied: `purpose_unknown`.
        NotFoundOrNotPermitted: nothing so far is published.
        AuditUnavailable: nothing may be told.
    """
    await _judge_purpose(reading.purpose, "entries", auditor, world)
    size = size_of(world.book)
    if not 0 <= reading.start < size or reading.count < 1:
        raise NotFoundOrNotPermitted("no such entries are published")
    stop = min(reading.start + min(reading.count, ENTRIES_MAX), size)
    entry = Entry(
        "audit.read",
        Phase.EVENT,
        public={
            "first": reading.start,
            "count": stop - reading.start,
            "purpose": reading.purpose,
            "filter": ",".join(reading.filters),
        },
        secret={"officer": auditor, "case": ""},
        sealed_bytes=_SEALED_BYTES,
    )
    await world.uow.commit([entry])
    return list(world.book.leaves(reading.start, stop))


async def reveal(
    seq: int, purpose: str, signatures: Sequence[PersonalSignature], auditor: str, world: AuditWorld
) -> tuple[bytes, bytes]:
    """(leaf, sealed payload) of one entry that two persons have signed for.

    Raises:
        PolicyDenied: `purpose_unknown`, or `signers`: not two persons in force, one of them an auditor, for this entry.
        NotFoundOrNotPermitted: no such entry is published, or nothing of it is sealed any more.
        AuditUnavailable: nothing may be told.
    """
    await _judge_purpose(purpose, "reveal", auditor, world)
    leaf = world.book.leaf(seq) if 0 <= seq < size_of(world.book) else None
    payload = world.book.payload(seq) if leaf is not None else None
    if leaf is None or payload is None:
        raise NotFoundOrNotPermitted("no such entry is published, or nothing of it is sealed any more")
    facts = statement.reveal(state=world.state, entry=seq, leaf=sha256(leaf).digest(), purpose=purpose)
    persons = _persons(signatures, facts, world)
    if persons is None:
        await _deny(purpose, "reveal", "signers", auditor, world)
    entry = Entry(
        "audit.revealed",
        Phase.EVENT,
        public={
            "entry": seq,
            "kind": Leaf.parse(leaf).kind,
            "purpose": purpose,
            "persons": cbor.encode(
                [
                    [statement.REVEAL, person.public_key, signed.statement, signed.signature]
                    for person, signed in zip(persons, signatures, strict=True)
                ]
            ),
        },
        secret={"officers": [str(person.officer) for person in persons]},
        sealed_bytes=_SEALED_BYTES,
    )
    await world.uow.commit([entry])
    return leaf, payload


def _persons(
    signatures: Sequence[PersonalSignature], facts: dict[str, Any], world: AuditWorld
) -> list[Enrolled] | None:
    """The two persons, or None where they are not two, or not in their roles. Why is nobody's business here."""
    register, now_ns = world.register(), world.clock.now_ns()
    try:
        persons = [
            statement.verify(signed, statement.REVEAL, facts, register=register, roles=SIGNING, now_ns=now_ns)
            for signed in signatures
        ]
    except GatewayError:
        return None
    if len(persons) != 2 or len({person.officer for person in persons}) != 2:
        return None
    return persons if any(signed.role is Role.AUDITOR for signed in signatures) else None


async def _judge_purpose(purpose: str, what: str, auditor: str, world: AuditWorld) -> None:
    if purpose not in set(AuditPurpose):
        await _deny("", what, "purpose_unknown", auditor, world)


async def _deny(purpose: str, what: str, reason: str, auditor: str, world: AuditWorld) -> NoReturn:
    entry = Entry(
        "audit.denied",
        Phase.EVENT,
        public={"purpose": purpose, "what": what, "reasons": reason},
        secret={"officer": auditor},
        sealed_bytes=_SEALED_BYTES,
    )
    await world.uow.commit([entry])
    raise PolicyDenied((reason,))
