"""What a list's new entries would have found among past travellers, before they are entered (T9).

The agency brings the travellers: a gateway keeps no register of travel (T11). The answer is a band, so that nobody
learns of one person by it; each consultation names a case, is signed by one person, charged to that person's day and in
the log before it is answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway import ports
from gateway.audit.entry import Entry, Phase
from gateway.errors import InputRefused, PolicyDenied, QuotaExhausted
from gateway.flows.check import Traveller
from gateway.flows.deciding import decide, expect
from gateway.flows.listing import Signer, issuers_of_entry
from gateway.flows.publish import keys_of
from gateway.policy import catalogue, floors
from gateway.policy.decision import Deny
from gateway.policy.question import Question, Stage
from gateway.pseudonym import matchkeys
from gateway.terms.ids import PeerId
from gateway.terms.words import KeyType, ListId, Role
from gateway.watchlist.entry import ListEntry

BANDS: Final = (0, 10, 50, 100, 500, 1_000, 5_000)
"""Where a band begins; the last has no end. 0 to 9 is one: it says neither that somebody was found nor that nobody."""

PER_DAY: Final = 20
"""Consultations of one person on a UTC day. With many that differ by one entry a band's edge could tell of it."""

TRAVELLERS_MAX: Final = 100_000

_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Consultation:
    """What is asked: `entries` as a file would enter them, against `travellers`. Digests are SHA-512 of the files."""

    list_id: ListId
    entries: tuple[ListEntry, ...]
    travellers: tuple[Traveller, ...]
    file_hash: bytes
    traffic_hash: bytes
    case: str
    legal_basis: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class Impact:
    """Travellers found, as a band: from `low` to `high`, None where it has no end."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class ImpactWorld:
    """The surroundings of a consultation."""

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    clock: ports.Clock


async def consult(asked: Consultation, world: ImpactWorld) -> Impact:
    """The band. Permitted where entering these entries would be: by the same rules, role and basis.

    Raises:
        PolicyDenied: the rules or the role say no, or no case is named; in the log.
        QuotaExhausted: this person's consultations of the day are used up; in the log.
        InputRefused: more travellers than one consultation takes.
        AuditUnavailable: nothing was told.
    """
    if len(asked.travellers) > TRAVELLERS_MAX:
        raise InputRefused(f"more than {TRAVELLERS_MAX} travellers", field="traffic", code="COUNT")
    now = world.clock.now_ns()
    decision = await decide(_question(asked, world, now), world.policy)
    if isinstance(decision, Deny):
        await world.uow.commit([_denied(asked, ",".join(decision.reasons))])
        raise PolicyDenied(decision.reasons)
    charge = ports.Change(
        "quota.charge",
        {
            "peer": f"officer/{asked.signer.officer}",
            "list": asked.list_id.value,
            "group": "impact",
            "day": now // _DAY_NS,
            "amount": 1,
            "limit": PER_DAY,
        },
    )
    found = band(hits(asked.entries, asked.travellers))
    try:
        await world.uow.commit([_consulted(asked, found)], [expect(decision), charge])
    except QuotaExhausted:
        await world.uow.commit([_denied(asked, "quota")])
        raise QuotaExhausted(f"{PER_DAY} consultations a day and person; the next are tomorrow (UTC)") from None
    return found


def hits(entries: Iterable[ListEntry], travellers: Iterable[Traveller]) -> int:
    """Different travellers of whom one key is an entry's: as a peer's check would find them, but for what protects a
    person, which is decided when it is asked. A traveller who comes twice with the same keys counts once."""
    listed = {key.input.open() for entry in entries for key in keys_of(entry, _key_types(entry))}
    found = set()
    for one in travellers:
        keys = frozenset(
            key.input.open() for key in matchkeys.for_asking(one.person, one.documents, frozenset(KeyType))
        )
        if not listed.isdisjoint(keys):
            found.add(keys)
    return len(found)


def band(count: int) -> Impact:
    """The band that a number lies in."""
    place = max(place for place, low in enumerate(BANDS) if low <= count)
    return Impact(BANDS[place], BANDS[place + 1] - 1 if place + 1 < len(BANDS) else None)


def _key_types(entry: ListEntry) -> frozenset[KeyType]:
    """The match keys by which an entry of this kind can be found under some purpose."""
    return frozenset(
        key_type
        for purpose in catalogue.OFFERED
        if entry.kind in catalogue.kinds_of_group(catalogue.group_of(purpose))
        for key_type in catalogue.key_types_of(purpose)
    )


def _question(asked: Consultation, world: ImpactWorld, now: int) -> Question:
    purpose = catalogue.purpose_of_list(asked.list_id)
    return Question(
        stage=Stage.LIST,
        purpose=purpose,
        operation="enter",
        legal_basis=asked.legal_basis,
        list_id=asked.list_id,
        key_types=catalogue.key_types_of(purpose),
        class_size=0,
        asker=world.state,
        owner=world.state,
        agency=asked.signer.agency,
        role=Role.LIST_OFFICER if Role.LIST_OFFICER in asked.signer.roles else Role.OPERATOR,
        has_case=bool(asked.case),
        # Nothing is entered: the second person signs the listing itself.
        signers=floors.SIGNERS_MIN,
        time_ns=now,
        issuers=issuers_of_entry(asked.list_id, asked.entries),
    )


def _consulted(asked: Consultation, found: Impact) -> Entry:
    return Entry(
        "list.impact",
        Phase.EVENT,
        public={"list": asked.list_id.value, "basis": asked.legal_basis},
        secret={
            "officer": asked.signer.officer,
            "case": asked.case,
            "entries": len(asked.entries),
            "travellers": len(asked.travellers),
            "file_hash": asked.file_hash,
            "traffic_hash": asked.traffic_hash,
            "band": found.low,
        },
    )


def _denied(asked: Consultation, reasons: str) -> Entry:
    return Entry(
        "list.denied",
        Phase.EVENT,
        public={"list": asked.list_id.value, "file_hash": asked.file_hash, "reasons": reasons},
        secret={"officers": [str(asked.signer.officer)], "decision": asked.case},
    )
