"""`limen peer`: the other states, what was handed to them and what came from them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from gateway import ports
from gateway.app import federation, parts
from gateway.app.book import ListBook
from gateway.audit.entry import Entry, Phase
from gateway.cli import node
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, table
from gateway.config import Config
from gateway.flows import publish
from gateway.keyring.client import KeysClient
from gateway.opa.engine import EmbeddedEngine
from gateway.rpc.convert import peers as convert
from gateway.rpc.convert.peers import Sender
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.store.tables import TableFiles
from gateway.terms.ids import PeerId

T = TypeVar("T")


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    verbs = {"list": _list, "copies": _copies, "faults": _faults, "revoke": _revoke, "readmit": _readmit}
    return verbs[args.verb](args)


def _list(args: argparse.Namespace) -> int:
    settings = node.load(args)
    reader = Reader(settings.paths.store)
    try:
        view = federation.in_force(settings, reader, node.clock_of(settings).now_ns())
        rows = [
            {
                "state": str(member.state),
                "listed": member.status.value,
                "here": "suspended" if reader.is_suspended(member.state) else "answered",
                "endpoint": ",".join(member.endpoints),
                "cosigned": str(reader.witnessed_size(member.state)),
            }
            for member in view.document.members
            if member.state != settings.state
        ]
    finally:
        reader.close()
    emit(args, rows, table(rows, ("state", "listed", "here", "endpoint", "cosigned")))
    return OK


def _copies(args: argparse.Namespace) -> int:
    settings = node.load(args)
    rows = []
    for way, folder in (("out", settings.paths.tables), ("in", settings.paths.copies)):
        for signed in TableFiles(folder, lambda message: convert.manifest(message.body)).all():
            manifest = signed.manifest
            scope = manifest.scope
            rows.append(
                {
                    "way": way,
                    "peer": str(scope.peer if way == "out" else scope.owner),
                    "list": scope.list_id.value,
                    "group": str(scope.group),
                    "version": str(manifest.version),
                    "entries": f"{manifest.padded_count} padded",
                    "basis": manifest.transfer_basis,
                    "until": datetime.fromtimestamp(manifest.expires_ns // 10**9, UTC).strftime("%Y-%m-%d"),
                }
            )
    columns = ("way", "peer", "list", "group", "version", "entries", "basis", "until")
    emit(args, rows, table(rows, columns) or ["no table was handed out or received"])
    return OK


def _faults(args: argparse.Namespace) -> int:
    settings = node.load(args)
    kept = TableFiles(settings.paths.copies, lambda message: convert.manifest(message.body)).proofs()
    rows = [
        {
            "owner": str(proof.owner),
            "list": proof.shown.manifest.scope.list_id.value,
            "group": str(proof.shown.manifest.scope.group),
            "fault": proof.step,
            "shown": str(proof.shown.manifest.version),
            "held": str(proof.held.manifest.version) if proof.held is not None else "-",
            "file": str(path),
        }
        for path, proof in kept
    ]
    columns = ("owner", "list", "group", "fault", "shown", "held", "file")
    emit(args, rows, table(rows, columns) or ["no owner has signed a table that had to be refused"])
    return OK


def _revoke(args: argparse.Namespace) -> int:
    settings = node.load(args)
    peer = _peer(args, settings)

    async def act(reader: Reader, keys: KeysClient, uow: WriterClient) -> int:
        files = [
            TableFiles(folder, lambda message: convert.manifest(message.body))
            for folder in (settings.paths.tables, settings.paths.copies)
        ]
        world = publish.PublishingWorld(
            state=settings.state,
            agency=settings.agencies[0],
            policy=EmbeddedEngine(),
            uow=uow,
            keys=keys,
            published=files[0],
            book=ListBook(reader),
            clock=node.clock_of(settings),
            chance=parts.SystemChance(),
            sign_manifest=Sender(settings.state, bytes(32), lambda: bytes(32)).manifest,
        )
        return await publish.withdraw(peer, world, files[1])

    seeds = _with_node(settings, act)
    emit(
        args,
        {"peer": peer, "seeds_destroyed": seeds},
        [f"{peer} is no longer answered; {seeds} keys destroyed, tables deleted. Its own copy is useless without us."],
    )
    return OK


def _readmit(args: argparse.Namespace) -> int:
    settings = node.load(args)
    peer = _peer(args, settings)

    async def act(reader: Reader, keys: KeysClient, uow: WriterClient) -> None:
        await uow.commit(
            [Entry("peer.suspended", Phase.EVENT, peer, public={"suspended": False})],
            [
                ports.Change("peer.suspend", {"peer": peer, "suspended": False}),
                # The old epochs' keys are gone, also where a revocation was broken off: the next tick opens a new one.
                ports.Change("epoch.drop", {"peer": peer}),
            ],
        )

    _with_node(settings, act)
    emit(args, {"peer": peer}, [f"{peer} is answered again; its tables are made anew on the next tick"])
    return OK


def _peer(args: argparse.Namespace, settings: Config) -> PeerId:
    reader = Reader(settings.paths.store)
    try:
        members = federation.in_force(settings, reader, node.clock_of(settings).now_ns()).document.members
    finally:
        reader.close()
    others = [str(member.state) for member in members if member.state != settings.state]
    if args.state not in others:
        raise Refused(f"{args.state}: is not a peer; write one of {', '.join(others)}")
    return PeerId(args.state)


def _with_node(settings: Config, act: Callable[[Reader, KeysClient, WriterClient], Awaitable[T]]) -> T:
    """Run an act against the running node's processes. Raises AuditUnavailable or KeysUnavailable when it is down."""

    async def body() -> T:
        reader = Reader(settings.paths.store)
        keys = KeysClient(settings.socket("keys"))
        uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
        try:
            return await act(reader, keys, uow)
        finally:
            await uow.close()
            await keys.close()
            reader.close()

    return asyncio.run(body())
