"""M9: how soon a peer's next check finds a document that was reported stolen, or no longer finds it.

At two real nodes with their own logs on this machine's disk. An entry of ten documents (ten match keys) is entered and
withdrawn in turn, by the flow that `limen watchlist add` runs; counted is from the act to its durable commit: after it
the owner's next reply names the delta. Behind each act a whole check at the peer's booth looks: it has to find what was
entered, and nothing of what was withdrawn. No tick comes between: both nodes publish every 15 minutes.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from hashlib import sha512
from statistics import median
from typing import Any, Final

import uvloop

from bench import echo, node
from gateway.app import lists
from gateway.cli.acts import booth
from gateway.cli.acts.nodes import LISTING_BASIS, Nodes
from gateway.flows import listing
from gateway.flows.check import Traveller
from gateway.flows.listing import DELTA, WITHDRAW, Load, Signer
from gateway.people.person import Document, document_number
from gateway.rpc.home import HomeClient
from gateway.terms import Handling, ListId, OfficerId, PeerId, Purpose, RecordKind, Role
from gateway.terms.ids import AgencyId
from gateway.watchlist.entry import ListEntry

Row = dict[str, Any]

IDS: Final = ("M9", "M9.p50", "M9.behind", "M9.level")

OWNER: Final = PeerId("PAN")
KEYS: Final = 10
ACTS: Final = 200
WARM: Final = 4


def run(smoke: bool) -> list[Row]:
    """The rows of M9. The short form asserts nothing about speed, but every check has to find what it should."""
    nodes = node.made(node.ENTRIES).nodes
    with node.environment(node.INSTALLED):
        try:
            nodes.start()
            nodes.login("HND")
            return uvloop.run(_measure(nodes, WARM if smoke else ACTS))
        finally:
            nodes.stop()


async def _measure(nodes: Nodes, acts: int) -> list[Row]:
    place = booth.read(nodes["HND"].booth)
    token = place.token()
    took: list[int] = []
    behind: list[int] = []
    level: list[int] = []
    home = HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem)
    async with home as client, lists.opened(nodes["PAN"].settings) as world:

        async def found(entry: ListEntry) -> tuple[bool, int]:
            began = time.perf_counter_ns()
            answer = await client.check(
                node.inquiry(Traveller(None, entry.documents[-1:]), Purpose("DOC.STATUS")), token
            )
            if not answer.complete or answer.refused:
                raise RuntimeError("the check is not complete")
            return bool(answer.hits), time.perf_counter_ns() - began

        for number in range((acts + WARM) // 2):
            entry = _entry(number)
            for act in (_act(entries=(entry,)), _act(mode=WITHDRAW, withdraws=(entry.entry_id,))):
                began = time.perf_counter_ns()
                change = await listing.load(act, world)
                took.append(time.perf_counter_ns() - began)
                hit, check_ns = await found(entry)
                if not change.immediate or hit != bool(change.added):
                    raise RuntimeError("the next check does not see the change")
                behind.append(check_ns)
                level.append((await found(entry))[1])
    took, behind, level = took[WARM:], behind[WARM:], level[WARM:]
    p50, p99 = median(took) / 1e6, echo.quantile(took, 0.99) / 1e6
    against = f"{len(took)} acts, one peer, {KEYS} keys, this machine's disk"
    return [
        node.row("M9", p99, "ms p99, from the act to what the next check sees", against, goal=10),
        node.row("M9.p50", p50, "ms p50", "for information"),
        node.row("M9.behind", median(behind) / 1e6, "ms, a check that has one delta to fetch, tick at 1 ms",
                 "for information"),
        node.row("M9.level", median(level) / 1e6, "ms, the same check with none to fetch", "for information"),
    ]  # fmt: skip


def _entry(number: int) -> ListEntry:
    return ListEntry(
        entry_id=f"BENCH{number}",
        list_id=ListId.DOCUMENTS,
        kind=RecordKind.LOST_STOLEN,
        handling=Handling.APPROVAL,
        originator=OWNER,
        provenance="NATIONAL",
        decision="B-1",
        legal_basis=LISTING_BASIS,
        valid_until=date(2149, 1, 1),
        documents=tuple(Document(OWNER, document_number(f"B{number:06}{key:02}")) for key in range(KEYS)),
    )


def _act(**changes: Any) -> Load:
    agency, role = AgencyId("SNM"), (Role.LIST_OFFICER,)
    load = Load(
        list_id=ListId.DOCUMENTS,
        mode=DELTA,
        entries=(),
        digest=sha512(b"bench").digest(),
        decision="B-1",
        legal_basis=LISTING_BASIS,
        signers=(Signer(OfficerId("B-1"), agency, role), Signer(OfficerId("B-2"), agency, role)),
    )
    return replace(load, **changes)
