"""`limen events`: take events as a data set. An act of two persons, as a change of a list is (T9).

What is kept is the normal form alone, in a file named by its digest that the node's user alone may read. The key of the
pseudonyms lies beside it, one for each data set: without it equal persons of two loadings could not be told.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, Final

from gateway_adapters import dataset_yaml, event_csv
from gateway_adapters.event_csv import EventMap, Report

from gateway import ports
from gateway.app import engines, federation, parts
from gateway.app.statistics import events_file
from gateway.cli import inputs, node, passphrase
from gateway.cli.acts import event_map
from gateway.cli.inputs import bytes_of
from gateway.cli.main import OK
from gateway.cli.output import emit, note, table, utc
from gateway.config import Config
from gateway.errors import ConfigRefused, InputRefused, PolicyDenied, PolicyUnavailable
from gateway.federation import statement
from gateway.flows import load_events
from gateway.flows.listing import Signer
from gateway.flows.load_events import DatasetLoad
from gateway.keyring import files
from gateway.statistics import dataset
from gateway.statistics.dataset import Declaration
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms import PeerId, Role

SIGNING_ROLES: Final = frozenset({Role.ANALYST_NATIONAL, Role.SUPERVISOR})
LINES_SHOWN: Final = 20


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"sign": _sign, "load": _load, "list": _list}[args.verb](args)


@dataclass(frozen=True, slots=True)
class Given:
    """The three files of a load, read, and the digests that the two persons sign."""

    declaration: Declaration
    columns: EventMap
    declaration_hash: bytes
    columns_hash: bytes
    file_hash: bytes

    @classmethod
    def of(cls, args: argparse.Namespace) -> Given:
        """Raises InputRefused, ConfigRefused."""
        declared, columns = bytes_of(args.dataset), bytes_of(args.map)
        with inputs.about(args.dataset):
            declaration = event_map.declaration_of(dataset_yaml.read(declared))
        return cls(
            declaration=declaration,
            columns=event_map.columns_of(args.map),
            declaration_hash=sha256(declared).digest(),
            columns_hash=sha256(columns).digest(),
            file_hash=_digest(args.file),
        )

    def facts(self, args: argparse.Namespace, state: PeerId) -> dict[str, Any]:
        """What the two persons sign."""
        return statement.dataset(
            state=state,
            name=self.declaration.name,
            declaration=self.declaration_hash,
            columns=self.columns_hash,
            file_hash=self.file_hash,
            decision=args.decision,
            legal_basis=args.basis,
        )


def _digest(path: Path) -> bytes:
    """SHA-512 of a file that may be larger than memory."""
    hashed = sha512()
    with event_map.opened(path) as source:
        while piece := source.read(1 << 20):
            hashed.update(piece)
    return hashed.digest()


def _sign(args: argparse.Namespace) -> int:
    settings = node.load(args)
    facts = Given.of(args).facts(args, settings.state)
    role, now_ns = inputs.role(args.role, sorted(SIGNING_ROLES)), node.clock_of(settings).now_ns()
    passphrase.sign(args, args.out, statement.DATASET, facts, role=role, signed_ns=now_ns)
    emit(args, {"file": str(args.out)}, [f"{args.out}: signed; the second person signs the same files"])
    return OK


def _load(args: argparse.Namespace) -> int:
    settings = node.load(args)
    given = Given.of(args)
    if args.preview:
        with event_map.opened(args.file) as source:
            report = event_csv.check(source, given.columns)
        _tell(args, given, report, "would be taken")
        return _judged(args, report)
    signed = inputs.signatures(args.signature)
    people = statement.verify_all(
        signed,
        statement.DATASET,
        given.facts(args, settings.state),
        register=parts.register_of(settings),
        roles=SIGNING_ROLES,
        now_ns=node.clock_of(settings).now_ns(),
    )
    folder = settings.paths.events
    folder.mkdir(mode=0o700, exist_ok=True)
    name, key_file = given.declaration.name, folder / f"{given.declaration.name}.key"
    is_new = not key_file.exists()
    key = secrets.token_bytes(files.SECRET_BYTES) if is_new else _key(key_file, name)
    with _normal_form(args, given, key, folder) as (draft, report):
        code = _judged(args, report)
        if code != OK:
            _tell(args, given, report, "was refused as a whole")
            return code
        load = DatasetLoad(
            declaration=given.declaration.encode(),
            snapshot=report.digest,
            by_person=report.by_person,
            file_hash=given.file_hash,
            rows=report.rows,
            legal_basis=args.basis,
            decision=args.decision,
            signers=tuple(map(Signer.of, people)),
        )
        place = events_file(settings, report.digest)
        # In place before it is in force: a job that sees the new data set finds its events, and the next load its key.
        if is_new:
            files.write_secret(key_file, _purpose(name), key)
        draft.replace(place)
        try:
            changed = asyncio.run(_apply(load, settings))
        except (PolicyDenied, PolicyUnavailable, InputRefused, ConfigRefused):
            if is_new:
                key_file.unlink(missing_ok=True)
            _sweep(settings)
            raise
        # Where it is not known whether the log took it, the events stay: the data set may be in force.
        _sweep(settings)
    _tell(args, given, report, "taken" if changed else "nothing changed")
    return OK


@contextmanager
def _normal_form(args: argparse.Namespace, given: Given, key: bytes, folder: Path) -> Iterator[tuple[Path, Report]]:
    """The file's normal form, under the data set's key, as a draft that is gone at the end unless it was moved."""
    draft = folder / f".{secrets.token_hex(8)}.draft"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as out, event_map.opened(args.file) as source:
            report = event_csv.normalise(source, given.columns, key, out.write)
            out.flush()
            os.fsync(out.fileno())
        yield draft, report
    finally:
        draft.unlink(missing_ok=True)


def _key(path: Path, name: str) -> bytes:
    """The data set's key of pseudonyms, drawn at its first load."""
    return files.read_secret(path, _purpose(name)).copy()


def _purpose(name: str) -> str:
    return f"events {name}"[:64]


def _sweep(settings: Config) -> None:
    """Remove events that nothing will read any more."""
    reader = Reader(settings.paths.store)
    try:
        needed = {events_file(settings, snapshot) for snapshot in reader.snapshots_needed()}
    finally:
        reader.close()
    for path in settings.paths.events.glob("*.csv"):
        if path not in needed:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _World:
    """`flows.load_events.DatasetWorld` of a command beside the node."""

    state: PeerId
    policy: ports.PolicyEngine
    uow: ports.UnitOfWork
    book: Reader
    clock: ports.Clock


async def _apply(load: DatasetLoad, settings: Config) -> bool:
    reader = Reader(settings.paths.store)
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings), timeout_s=120)
    try:
        clock = parts.clock_of(settings)
        now = clock.now_ns()
        pinned = federation.in_force(settings, reader, now).baseline
        async with engines.of_node(settings, reader, now_ns=now, pinned_baseline=pinned) as engine:
            return await load_events.load_dataset(load, _World(settings.state, engine, uow, reader, clock))
    finally:
        reader.close()
        await uow.close()


def _judged(args: argparse.Namespace, report: Report) -> int:
    if not report.rows:
        note(args, f"nothing was taken: no row can be counted ({report.refused} refused, {report.outside} left out)")
        return InputRefused.row.exit_code
    if report.refused:
        note(args, f"{report.refused} rows were refused and are left out")
    return OK


def _tell(args: argparse.Namespace, given: Given, report: Report, became: str) -> None:
    declared = given.declaration
    document = {
        "dataset": declared.name,
        "preview": bool(args.preview),
        "changed": became == "taken",
        "snapshot": None if args.preview else report.digest.hex(),
        "declaration": declared.digest.hex(),
        **event_map.report_document(report),
    }
    lines = [f"{declared.name}: {became}"]
    lines += [f"  {one.name}: {len(one.values)} declared values" for one in declared.dimensions]
    lines += [f"  for each single {period} at most {cap:,} micro-rho" for period, cap in sorted(declared.caps.items())]
    emit(args, document, [*lines, *event_map.told(report, LINES_SHOWN)])


def _list(args: argparse.Namespace) -> int:
    settings = node.load(args)
    reader = Reader(settings.paths.store)
    try:
        held = reader.datasets()
    finally:
        reader.close()
    documents, rows = [], []
    for one in held:
        declared = dataset.decode(one.declaration)
        months = declared.dimensions[0].values
        loaded = utc(one.at_ns)
        documents.append(
            {
                "dataset": one.name, "snapshot": one.snapshot.hex(), "declaration": declared.digest.hex(),
                "loaded": loaded, "unit": "person" if one.by_person else "key",
                "dimensions": {place.name: list(place.values) for place in declared.dimensions},
                "caps": dict(declared.caps), "shares": dict(declared.shares),
            }
        )  # fmt: skip
        rows.append(
            {"dataset": one.name, "months": f"{months[0]} to {months[-1]}", "loaded": loaded,
             "snapshot": one.snapshot.hex()[:16]}
        )  # fmt: skip
    emit(args, documents, table(rows, ("dataset", "months", "loaded", "snapshot")) or ["there is no data set"])
    return OK
