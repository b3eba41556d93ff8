"""`limen epoch list` and `rotate` at the running node."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from gateway import ports
from gateway.app import parts
from gateway.app.book import ListBook
from gateway.cli import inputs, node, passphrase
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, table, utc
from gateway.config import Config
from gateway.errors import InputRefused
from gateway.federation import statement
from gateway.flows import epochs
from gateway.flows.epochs import Rotation
from gateway.keyring.client import KeysClient
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms.exchange import Epoch
from gateway.terms.ids import PeerId
from gateway.terms.words import EpochState

DAY_NS: Final = 24 * 3600 * 10**9
_TEXT_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class _World:
    """As `epochs.World`."""

    state: PeerId
    uow: ports.UnitOfWork
    keys: ports.Keys
    book: ListBook
    clock: ports.Clock
    chance: ports.Chance
    epoch_ns: int


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"list": _list, "rotate": _rotate}[args.verb](args)


def _list(args: argparse.Namespace) -> int:
    settings = node.load(args)
    now_ns = node.clock_of(settings).now_ns()
    with closing(Reader(settings.paths.store)) as reader:
        rows = [
            {
                "peer": str(one.peer),
                "epoch": str(one.epoch),
                "state": one.state.value if one.expires_ns > now_ns else "ended",
                "until": utc(one.expires_ns) if one.expires_ns else "-",
            }
            for one in reader.epochs()
        ]
    emit(args, rows, table(rows, ("peer", "epoch", "state", "until")) or ["no peer has a table yet, so none has a key"])
    return OK


def _rotate(args: argparse.Namespace) -> int:
    settings = node.load(args)
    if not 0 < len(args.decision) <= _TEXT_MAX or not args.decision.isprintable():
        raise Refused(f"--decision: write 1 to {_TEXT_MAX} letters, and no person's name: they stand in the log")
    with closing(Reader(settings.paths.store)) as reader:
        held = reader.epochs()
    ordered = Rotation(_peers(args, held), args.emergency, args.decision)
    if args.sign is not None:
        if args.key is None:
            raise Refused("--sign: name your key file with --key")
        facts = epochs.facts(ordered, settings.state, held)
        role, now_ns = inputs.role(args.role, sorted(epochs.CUSTODIANS)), node.clock_of(settings).now_ns()
        passphrase.sign(args, args.sign, statement.ROTATION, facts, role=role, signed_ns=now_ns)
        emit(args, {"file": str(args.sign)}, [f"{args.sign}: signed; the second person signs the same words"])
        return OK
    if len(args.signature) != 2:
        raise Refused("two persons sign first (--sign OUT --key FILE, each), then: --signature A --signature B")
    made = asyncio.run(_enter(args, ordered, settings))
    names = ", ".join(one.peer for one in made)
    if args.emergency:
        words = "the old keys are destroyed; checks are answered again as soon as a peer has its new tables"
    else:
        words = "the keys in force serve on until the new tables are there; `limen epoch list` shows it"
    document = {"opened": [{"peer": one.peer, "epoch": one.epoch} for one in made], "emergency": args.emergency}
    emit(args, document, [f"new epoch for {names}: {words}"])
    return OK


def _peers(args: argparse.Namespace, held: list[Epoch]) -> tuple[PeerId, ...]:
    having = sorted(one.peer for one in held if one.state is EpochState.ACTIVE)
    if not having:
        raise InputRefused("no peer has an epoch in force; the next tick opens one", field="peer", code="EPOCH")
    return tuple(PeerId(peer) for peer in sorted(set(args.peer))) or tuple(having)


async def _enter(args: argparse.Namespace, ordered: Rotation, settings: Config) -> list[Epoch]:
    signed, register = inputs.signatures(args.signature), parts.register_of(settings)
    reader = Reader(settings.paths.store)
    keys = KeysClient(settings.socket("keys"))
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    world = _World(
        state=settings.state,
        uow=uow,
        keys=keys,
        book=ListBook(reader),
        clock=node.clock_of(settings),
        chance=parts.SystemChance(),
        epoch_ns=settings.epochs.days * DAY_NS,
    )
    try:
        return await epochs.rotate(ordered, signed, register, world)
    finally:
        await uow.close()
        await keys.close()
        reader.close()
