"""`limen watchlist`: this state's own lists. A change is an act of two persons, with a decision behind it (T9)."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha512
from pathlib import Path
from typing import Any

from gateway_adapters import watchlist_csv

from gateway.app import bundles, federation, parts
from gateway.cli import node, passphrase
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note, table
from gateway.config import Config
from gateway.errors import ConfigRefused, InputRefused
from gateway.federation import statement
from gateway.flows import listing
from gateway.flows.listing import Load, Signer
from gateway.keyring import files
from gateway.opa.engine import EmbeddedEngine
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms import ListId, OfficerId, PeerId, Role
from gateway.watchlist import entry as entries
from gateway.watchlist.entry import ListEntry, TagChange

ACT = "listing"
SIGNING_ROLES = frozenset({Role.LIST_OFFICER, Role.SUPERVISOR})


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"sign": _sign, "load": _load, "list": _list}[args.verb](args)


def facts(args: argparse.Namespace, state: PeerId, data: bytes) -> dict[str, Any]:
    """What the two persons sign: this file, for this list, in this mode, with these words."""
    return statement.listing(
        state=state,
        list_id=ListId(args.list_id),
        mode=args.mode,
        file_hash=sha512(data).digest(),
        originator=args.originator,
        provenance=[args.provenance] if args.provenance else [],
        decision=args.decision,
        legal_basis=args.basis,
    )


def _sign(args: argparse.Namespace) -> int:
    settings = node.load(args)
    data = _read(args.file)
    key = passphrase.unlock(args)
    made = statement.make(
        ACT,
        facts(args, settings.state, data),
        role=_role(args.role),
        signed_ns=node.clock_of(settings).now_ns(),
        seed=key.seed.open(),
    )
    files.replace(args.out, made.encode())
    emit(args, {"file": str(args.out)}, [f"{args.out}: signed; the second person signs the same file"])
    return OK


def _load(args: argparse.Namespace) -> int:
    settings = node.load(args)
    data = _read(args.file)
    now_ns = node.clock_of(settings).now_ns()
    reading = read(args, settings.state, data, now_ns)
    refused = reading.refused
    if refused and args.mode == "snapshot" and not args.preview:
        # A snapshot withdraws what it does not name: a slip in a row would take its entry off the list.
        raise InputRefused(
            f"{refused[0].why} ({len(refused)} rows are refused); a snapshot is taken whole or not at all, "
            "--preview shows every row",
            line=refused[0].line,
            field=refused[0].column or None,
            code=refused[0].code,
        )
    signed = [statement.PersonalSignature.decode(_read(path)) for path in args.signature]
    with _world(settings) as world:
        people = statement.verify_all(
            signed,
            ACT,
            facts(args, settings.state, data),
            register=parts.register_of(settings),
            roles=SIGNING_ROLES,
            now_ns=now_ns,
        )
        load = Load(
            list_id=ListId(args.list_id),
            mode=args.mode,
            entries=reading.entries,
            digest=sha512(data).digest(),
            decision=args.decision or "per row",
            legal_basis=args.basis,
            signers=tuple(Signer(OfficerId(person.officer), person.agency, tuple(person.roles)) for person in people),
        )
        if args.preview:
            change = listing.difference(load, world.book.list_entries(load.list_id))
        else:
            change = asyncio.run(_apply(load, world, settings))
    document = {
        "list": args.list_id,
        "preview": bool(args.preview),
        "added": len(change.added),
        "changed": len(change.changed),
        "withdrawn": len(change.withdrawn),
        "unchanged": change.unchanged,
        "rows": [
            {"line": remark.line, "column": remark.column, "code": remark.code, "refused": remark.refused}
            for remark in reading.remarks
        ],
    }
    word = "would change" if args.preview else "changed"
    lines = [
        f"{args.list_id} {word}: + {len(change.added)} added, ~ {len(change.changed)} changed, "
        f"- {len(change.withdrawn)} withdrawn, {change.unchanged} as before"
    ]
    for remark in reading.remarks:
        kind = "refused" if remark.refused else "warning"
        where = f", column {remark.column}" if remark.column else ""
        lines.append(f"  line {remark.line}{where}: {kind} {remark.code}: {remark.why}")
    emit(args, document, lines)
    if refused and not reading.entries:
        note(args, f"nothing was taken: every row was refused ({len(refused)})")
        return InputRefused.row.exit_code
    if refused:
        note(args, f"{len(refused)} rows were refused; the others were taken")
    return OK


@dataclass(frozen=True, slots=True)
class Read:
    """A file as entries and remarks."""

    entries: tuple[ListEntry, ...]
    remarks: tuple[watchlist_csv.Remark, ...]

    @property
    def refused(self) -> tuple[watchlist_csv.Remark, ...]:
        """Rows that were not taken."""
        return tuple(remark for remark in self.remarks if remark.refused)


def read(args: argparse.Namespace, state: PeerId, data: bytes, now_ns: int) -> Read:
    """Rows to entries; rows of the other list are refused by line. Raises InputRefused for the file as a whole."""
    wanted = ListId(args.list_id)
    reading = watchlist_csv.read(
        data,
        watchlist_csv.Defaults(
            owner=state,
            originator=args.originator,
            provenance=args.provenance,
            decision=args.decision,
            legal_basis=args.basis,
            valid_until=_date(args.valid_until),
        ),
    )
    taken: list[ListEntry] = []
    remarks = list(reading.remarks)
    today = datetime.fromtimestamp(now_ns / 1e9, tz=UTC).date()
    for row in reading.rows:
        if row.list_id is not wanted:
            remarks.append(
                watchlist_csv.Remark(row.line, "category", "OTHER_LIST", "this category is on another list", True)
            )
            continue
        try:
            made = entry_of(row, now_ns)
        except InputRefused as refusal:
            remarks.append(watchlist_csv.Remark(row.line, refusal.field or "", refusal.code, refusal.why, True))
            continue
        if not made.is_valid(today):
            remarks.append(
                watchlist_csv.Remark(row.line, "valid_until", "EXPIRED", "is past already and will not answer", False)
            )
        taken.append(made)
    return Read(tuple(taken), tuple(sorted(remarks, key=lambda remark: remark.line)))


def entry_of(row: watchlist_csv.Row, now_ns: int) -> ListEntry:
    """A row as a list entry; its protection tags begin their history with the load.

    The history's time is the entry's own day, so that the same file makes the same entry again.
    """
    del now_ns
    return ListEntry(
        entry_id=row.entry_id,
        list_id=row.list_id,
        kind=row.kind,
        handling=row.handling,
        originator=row.originator,
        provenance=row.provenance,
        decision=row.decision,
        legal_basis=row.legal_basis,
        valid_until=row.valid_until,
        person=row.person,
        documents=row.documents,
        contact=row.contact,
        urgency=row.urgency,
        history=tuple(TagChange(tag, True, 0, "load") for tag in sorted(row.tags)),
    )


@dataclass(frozen=True, slots=True)
class _Book:
    reader: Reader

    def list_entries(self, list_id: ListId) -> Iterator[ListEntry]:
        return (entries.decode(body) for body in self.reader.all(list_id))


@dataclass(frozen=True, slots=True)
class _World:
    book: _Book
    engine: EmbeddedEngine


@contextmanager
def _world(settings: Config) -> Iterator[_World]:
    reader = Reader(settings.paths.store)
    try:
        now = parts.clock_of(settings).now_ns()
        view = federation.in_force(settings, reader, now)
        engine = EmbeddedEngine.load(
            bundles.open_bundle(settings, "baseline", reader, now),
            bundles.open_bundle(settings, "national", reader, now),
            now_ns=now,
            pinned_baseline=view.baseline,
        )
        yield _World(_Book(reader), engine)
    finally:
        reader.close()


async def _apply(load: Load, world: _World, settings: Config) -> listing.Difference:
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings), timeout_s=120)
    try:
        return await listing.load(
            load,
            listing.ListingWorld(
                state=settings.state,
                policy=world.engine,
                uow=uow,
                book=world.book,
                clock=parts.clock_of(settings),
            ),
        )
    finally:
        await uow.close()


def _list(args: argparse.Namespace) -> int:
    settings = node.load(args)
    reader = Reader(settings.paths.store)
    counts: dict[tuple[str, str], int] = {}
    try:
        for list_id in ListId:
            for body in reader.all(list_id):
                kind = entries.decode(body).kind.name
                counts[list_id.value, kind] = counts.get((list_id.value, kind), 0) + 1
    finally:
        reader.close()
    rows = [{"list": place[0], "kind": place[1], "entries": str(count)} for place, count in sorted(counts.items())]
    emit(args, rows, table(rows, ("list", "kind", "entries")) or ["the lists are empty"])
    return OK


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Refused(f"--role: write one of {', '.join(sorted(role.value for role in SIGNING_ROLES))}") from None


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("--valid-until: write a date as YYYY-MM-DD") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise ConfigRefused(f"{path}: cannot be read ({cause.strerror})") from None
