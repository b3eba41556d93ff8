"""M10: how long a change of keys takes, from the order to the new epoch in force, while a booth goes on asking.

At two real nodes: the owner's list of documents has so many keys, which its job process makes anew under the new key
while an officer of the peer asks without a pause. In the short form a check that is not complete is an error.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import uvloop

from bench import node
from gateway.app import lists
from gateway.cli.acts import booth
from gateway.cli.acts.nodes import LISTING_BASIS, Nodes, must
from gateway.flows.announce import index_of
from gateway.flows.check import Traveller
from gateway.people.person import Document, document_number
from gateway.ports import Change
from gateway.rpc.home import HomeClient
from gateway.store.reader import Reader
from gateway.terms import Handling, ListId, PeerId, Purpose, RecordKind
from gateway.terms.ids import EpochId
from gateway.watchlist.entry import ListEntry

Row = dict[str, Any]

IDS: Final = ("M10", "M10.checks", "M10.failed", "M10.rate")

OWNER: Final = PeerId("PAN")
ASKER: Final = PeerId("HND")
KEYS: Final = 1_000_000
SHORT: Final = 300
STEP: Final = 1_000
LOGIN_S: Final = 300.0
"""A token holds for ten minutes."""


def run(smoke: bool) -> list[Row]:
    """The rows of M10."""
    nodes = node.made(node.ENTRIES).nodes
    with node.environment(node.INSTALLED), tempfile.TemporaryDirectory(prefix="limen-") as folder:
        try:
            nodes.start()
            nodes.login(ASKER)
            return uvloop.run(_measure(nodes, SHORT if smoke else KEYS, Path(folder)))
        finally:
            nodes.stop()


async def _measure(nodes: Nodes, keys: int, folder: Path) -> list[Row]:
    settings = nodes[OWNER].settings
    async with lists.opened(settings) as world:
        for start in range(0, keys, STEP):
            entries = [_entry(number) for number in range(start, min(keys, start + STEP))]
            await world.uow.commit([], [_put(entry) for entry in entries])
    order = await asyncio.to_thread(_ordered, nodes, folder)

    before = _active(nodes)
    asking = asyncio.create_task(_ask(nodes, until := asyncio.Event()))
    began = time.monotonic()
    await asyncio.to_thread(must, *order)
    while _active(nodes) in (None, before):
        await asyncio.sleep(0.2)
    took = time.monotonic() - began
    until.set()
    checks, failed = await asking
    if failed and keys != KEYS:
        raise RuntimeError(f"{failed} of {checks} checks failed")
    # The goal is for 10^6 keys; the short form only shows that it works.
    goal = {"goal": 60} if keys == KEYS else {}
    return [
        node.row("M10", took, f"s from the order to the new epoch in force, {keys:,} keys", "one peer", **goal),
        node.row("M10.checks", checks, "checks of a booth meanwhile", "for information"),
        node.row("M10.failed", failed, "checks failed", f"{checks} checks", goal=0),
        node.row("M10.rate", keys / took, "keys a second, decided, tagged, sealed, published", "for information"),
    ]


async def _ask(nodes: Nodes, until: asyncio.Event) -> tuple[int, int]:
    """(checks, those of them that were not complete)."""
    place = booth.read(nodes[ASKER].booth)
    token, checks, failed, login_at = place.token(), 0, 0, time.monotonic() + LOGIN_S
    paper = Traveller(None, (Document(OWNER, document_number("ROT0000000")),))
    home = HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem)
    async with home as client:
        while not until.is_set():
            if time.monotonic() > login_at:
                await asyncio.to_thread(nodes.login, ASKER)
                token, login_at = place.token(), time.monotonic() + LOGIN_S
            answer = await client.check(node.inquiry(paper, Purpose("DOC.STATUS")), token)
            checks, failed = checks + 1, failed + (not answer.complete or bool(answer.refused))
    return checks, failed


def _active(nodes: Nodes) -> EpochId | None:
    with closing(Reader(nodes[OWNER].settings.paths.store)) as reader:
        held = reader.epoch(ASKER)
    return None if held is None else held[0]


def _ordered(nodes: Nodes, folder: Path) -> list[str]:
    """The order, signed by two persons."""
    order = ["epoch", "rotate", "--peer", ASKER, "--decision", "B-1", "--config", str(nodes[OWNER].folder)]
    signatures = []
    for name in ("list-1", "list-2"):
        out, key = folder / f"{name}.sig", str(nodes[OWNER].officers[name])
        must(*order, "--sign", str(out), "--key", key, "--passphrase-file", str(nodes.passphrase_file))
        signatures += ["--signature", str(out)]
    return [*order, *signatures]


def _put(entry: ListEntry) -> Change:
    values = {"list": entry.list_id.value, "entry_id": entry.entry_id, "body": entry.encode()}
    return Change("entry.put", {**values, "keys": index_of(entry)})


def _entry(number: int) -> ListEntry:
    return ListEntry(
        entry_id=f"ROT{number}",
        list_id=ListId.DOCUMENTS,
        kind=RecordKind.LOST_STOLEN,
        handling=Handling.APPROVAL,
        originator=OWNER,
        provenance="NATIONAL",
        decision="B-1",
        legal_basis=LISTING_BASIS,
        valid_until=date(2149, 1, 1),
        documents=(Document(OWNER, document_number(f"ROT{number:07}")),),
    )
