"""Changes of our own lists: files read, persons' signatures verified, the flow run; for the command line and the door.

A load runs with a database handle, a policy engine and a line to the writer of its own, in a thread of its own where
the gateway process serves it: a file of many rows holds up no booth.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import sha512
from typing import Any, Final

from gateway_adapters import paxlst, watchlist_csv
from gateway_adapters.traveller import read_csv
from gateway_adapters.watchlist_csv import Defaults, Remark

from gateway.app import bundles, engines, federation, parts
from gateway.app.book import ListBook
from gateway.app.home import Node, officer_of
from gateway.config import Config
from gateway.errors import InputRefused, PolicyDenied
from gateway.federation import statement
from gateway.federation.statement import PersonalSignature
from gateway.flows import impact as impacts
from gateway.flows import listing
from gateway.flows.announce import AnnouncingWorld
from gateway.flows.check import Traveller
from gateway.flows.listing import DELTA, SNAPSHOT, WITHDRAW, Difference, ListingWorld, Load, Signer
from gateway.keyring.client import KeysClient
from gateway.keyring.files import read_public
from gateway.policy import agreement
from gateway.primitives import strict_json
from gateway.primitives.lp import lp
from gateway.rpc.convert.peers import Sender
from gateway.rpc.doors import Became, HomeCall, ListFile, LoadReport, RowReport
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms import ListId, PeerId, Role
from gateway.watchlist.entry import ListEntry, TagChange

SIGNING_ROLES: Final = frozenset({Role.LIST_OFFICER, Role.SUPERVISOR})
COMMIT_S: Final = 120.0
"""How long a load waits for its one transaction: that of the most rows takes seconds."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file as entries, each with the line of its row, and what is said of its rows."""

    taken: tuple[tuple[int, ListEntry], ...]
    remarks: tuple[Remark, ...]

    @property
    def entries(self) -> tuple[ListEntry, ...]:
        """The rows that are taken."""
        return tuple(entry for _, entry in self.taken)

    @property
    def refused(self) -> tuple[Remark, ...]:
        """Rows that are not."""
        return tuple(remark for remark in self.remarks if remark.refused)


def read(data: bytes, form: str, list_id: ListId, defaults: Defaults, now_ns: int) -> Read:
    """Rows to entries; rows of the other list are refused by line.

    Raises:
        InputRefused: the file as a whole, or a format there is no reader for.
    """
    if form not in FORMATS:
        raise InputRefused(f"there is a reader for {', '.join(FORMATS)}", code="FORMAT")
    reading = FORMATS[form](data, defaults)
    taken: list[tuple[int, ListEntry]] = []
    remarks = list(reading.remarks)
    today = datetime.fromtimestamp(now_ns / 1e9, tz=UTC).date()
    for row in reading.rows:
        if row.list_id is not list_id:
            remarks.append(Remark(row.line, "category", "OTHER_LIST", "this category is on another list", True))
            continue
        try:
            made = _entry_of(row)
        except InputRefused as refusal:
            remarks.append(Remark(row.line, refusal.field or "", refusal.code, refusal.why, True))
            continue
        if not made.is_valid(today):
            remarks.append(Remark(row.line, "valid_until", "EXPIRED", "is past already and will not answer", False))
        taken.append((row.line, made))
    return Read(tuple(taken), tuple(sorted(remarks, key=lambda remark: remark.line)))


def _read_json(data: bytes, defaults: Defaults) -> watchlist_csv.Reading:
    """One record as an object, or several in an array, under the CSV's column names; lines are their places, from 1.

    A value is a text, or an array of texts where the column takes several.
    """
    try:
        found = strict_json.loads(data.decode("utf-8"))
    except ValueError:
        raise InputRefused("is not one JSON document in UTF-8", code="JSON") from None
    records = found if isinstance(found, list) else [found]
    return watchlist_csv.read_cells(((place, _cells(place, one)) for place, one in enumerate(records, 1)), defaults)


def _cells(place: int, record: Any) -> Mapping[str, str]:
    if not isinstance(record, dict):
        raise InputRefused("a record is an object of columns", line=place, code="JSON")
    cells = {}
    for name, value in record.items():
        if name not in watchlist_csv.COLUMNS:
            raise InputRefused("a name is not one of the format's columns", line=place, code="COLUMN")
        parts_ = value if isinstance(value, list) else [value]
        if not all(isinstance(part, str) for part in parts_):
            raise InputRefused("a value is a text, or an array of texts", line=place, field=name, code="JSON")
        if isinstance(value, list) and any("|" in part for part in parts_):
            raise InputRefused("a text of an array holds no |", line=place, field=name, code="JSON")
        cells[name] = "|".join(parts_).strip()
    return cells


FORMATS: Final[Mapping[str, Callable[[bytes, Defaults], watchlist_csv.Reading]]] = {
    "csv": watchlist_csv.read,
    "json": _read_json,
}
"""Readers by the name of their format."""


def _entry_of(row: watchlist_csv.Row) -> ListEntry:
    """A row as a list entry; its protection tags begin their history with the load.

    The history's time is none until the list takes it (`ListEntry.after`), so that the same file makes the same entry
    again.
    """
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


def whole(reading: Read) -> None:
    """A snapshot withdraws what it does not name: a slip in a row would take its entry off the list.

    Raises:
        InputRefused: a row is refused.
    """
    for first in reading.refused[:1]:
        raise InputRefused(
            f"{first.why} ({len(reading.refused)} rows are refused); a snapshot is taken whole or not at all, "
            "a preview shows every row",
            line=first.line,
            field=first.column or None,
            code=first.code,
        )


def report(reading: Read, change: Difference) -> LoadReport:
    """What became, or would become, of every row: one line for each and one more for each further remark."""
    fate = {entry.entry_id: Became.ADDED for entry in change.added}
    fate |= {entry.entry_id: Became.CHANGED for entry in change.changed}
    became = {line: fate.get(entry.entry_id, Became.UNCHANGED) for line, entry in reading.taken}
    said = {remark.line for remark in reading.remarks}
    rows = [RowReport(line, False, "", "", kind) for line, kind in became.items() if line not in said]
    rows += [
        RowReport(
            remark.line,
            remark.refused,
            remark.code,
            remark.column,
            Became.REFUSED if remark.refused else became.get(remark.line, Became.REFUSED),
        )
        for remark in reading.remarks
    ]
    return LoadReport(
        added=len(change.added),
        withdrawn=len(change.withdrawn),
        changed=len(change.changed),
        unchanged=change.unchanged,
        immediate=change.immediate,
        rows=tuple(sorted(rows, key=lambda row: row.line)),
    )


def facts(state: PeerId, list_id: ListId, mode: str, file_hash: bytes, defaults: Defaults) -> dict[str, Any]:
    """What two persons sign: this file, for this list, in this mode, with these words. A withdrawal's file is the
    entry's id."""
    return statement.listing(
        state=state,
        list_id=list_id,
        mode=mode,
        file_hash=file_hash,
        originator=defaults.originator,
        provenance=[defaults.provenance] if defaults.provenance else [],
        decision=defaults.decision,
        legal_basis=defaults.legal_basis,
    )


def mandated(settings: Config, list_id: ListId) -> tuple[str, ...]:
    """The legal bases that this state's mandates in force name for a list, sorted. Raises as `bundles.open_bundle`."""
    reader = Reader(settings.paths.store)
    try:
        held = bundles.open_bundle(settings, "national", reader, parts.clock_of(settings).now_ns())
    finally:
        reader.close()
    found = [agreement.parse_mandate(one) for one in held.data["limen"]["national"].get("mandates", {}).values()]
    return tuple(sorted({basis for one in found if one.list == list_id.value for basis in one.legal_bases}))


def signers(
    signed: Sequence[PersonalSignature], said: Mapping[str, Any], settings: Config, now_ns: int
) -> tuple[Signer, ...]:
    """The persons behind signatures over `said`. Raises what `statement.verify_all` raises."""
    people = statement.verify_all(
        signed, statement.LISTING, said, register=parts.register_of(settings), roles=SIGNING_ROLES, now_ns=now_ns
    )
    return tuple(map(Signer.of, people))


def load_of(
    list_id: ListId, mode: str, data: bytes, reading: Read, defaults: Defaults, people: tuple[Signer, ...]
) -> Load:
    """A file and its signers as the flow takes them."""
    return Load(
        list_id=list_id,
        mode=mode,
        entries=reading.entries,
        digest=sha512(data).digest(),
        decision=defaults.decision or "per row",
        legal_basis=defaults.legal_basis,
        signers=people,
    )


def withdrawal_of(
    list_id: ListId,
    entry_id: str,
    defaults: Defaults,
    signed: Sequence[PersonalSignature],
    people: tuple[Signer, ...],
) -> Load:
    """The act that takes one entry off. The log's digest is of the signatures: an entry's id could be guessed."""
    return Load(
        list_id=list_id,
        mode=WITHDRAW,
        entries=(),
        digest=sha512(lp(*(part for one in signed for part in (one.statement, one.signature)))).digest(),
        decision=defaults.decision,
        legal_basis=defaults.legal_basis,
        signers=people,
        withdraws=(entry_id,),
    )


@contextmanager
def opened_book(settings: Config) -> Iterator[ListBook]:
    """Our own list as it stands, for reading."""
    reader = Reader(settings.paths.store)
    try:
        yield ListBook(reader)
    finally:
        reader.close()


def compare(load: Load, settings: Config) -> Difference:
    """What a load would change. Reads, and changes nothing on the node."""
    with opened_book(settings) as book:
        return listing.difference(load, listing.held(load, book), withdrawn=listing.gone(load, book))


@asynccontextmanager
async def opened(settings: Config) -> AsyncIterator[ListingWorld]:
    """The surroundings of the flow: the rules in force, the writer, the keys, and whom to tell at once."""
    with opened_book(settings) as book:
        clock = parts.clock_of(settings)
        now = clock.now_ns()
        view = federation.in_force(settings, book.reader, now)
        sender = Sender(
            settings.state, read_public(settings.paths.keys).message, lambda: parts.last_digest(book.reader)
        )
        uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings), timeout_s=COMMIT_S)
        keys = KeysClient(settings.socket("keys"))
        try:
            async with engines.of_node(settings, book.reader, now_ns=now, pinned_baseline=view.baseline) as engine:
                announcing = AnnouncingWorld(
                    state=settings.state,
                    agency=settings.agencies[0],
                    peers=[state for state in view.states() if state != settings.state],
                    policy=engine,
                    keys=keys,
                    book=book,
                    chance=parts.SystemChance(),
                    sign_delta=sender.delta,
                )
                yield ListingWorld(
                    settings.state, policy=engine, uow=uow, book=book, clock=clock, announcing=announcing
                )
        finally:
            await uow.close()
            await keys.close()


def apply(load: Load, settings: Config) -> Difference:
    """Run the flow. Blocks until the act is durable; errors as `flows.listing.load`."""

    async def run() -> Difference:
        async with opened(settings) as world:
            return await listing.load(load, world)

    return asyncio.run(run())


def travellers(data: bytes, on: date) -> tuple[Traveller, ...]:
    """Past travellers from a file: CSV as a flight's, or a carrier's message. Raises InputRefused."""
    seen = (one for _, one in (paxlst.read(data, on).travellers() if paxlst.is_message(data) else read_csv(data)))
    return tuple(Traveller(one.person, one.documents) for one in seen)


def impact_facts(
    state: PeerId, list_id: ListId, data: bytes, traffic: bytes, case: str, legal_basis: str
) -> dict[str, Any]:
    """What one person signs of a consultation."""
    return statement.impact(
        state=state,
        list_id=list_id,
        file_hash=sha512(data).digest(),
        traffic_hash=sha512(traffic).digest(),
        case=case,
        legal_basis=legal_basis,
    )


def impact(
    settings: Config,
    list_id: ListId,
    reading: Read,
    past: tuple[Traveller, ...],
    facts: Mapping[str, Any],
    signed: PersonalSignature,
) -> impacts.Impact:
    """Verify the person, run the flow. Raises what `statement.verify` and `flows.impact.consult` raise."""
    now_ns = parts.clock_of(settings).now_ns()
    register = parts.register_of(settings)
    person = statement.verify(signed, statement.IMPACT, facts, register=register, roles=SIGNING_ROLES, now_ns=now_ns)
    asked = impacts.Consultation(
        list_id=list_id,
        entries=reading.entries,
        travellers=past,
        file_hash=facts["file_hash"],
        traffic_hash=facts["traffic_hash"],
        case=facts["case"],
        legal_basis=facts["legal_basis"],
        signer=replace(Signer.of(person), roles=(signed.role,)),
    )

    async def run() -> impacts.Impact:
        async with opened(settings) as world:
            return await impacts.consult(asked, impacts.ImpactWorld(world.state, world.policy, world.uow, world.clock))

    return asyncio.run(run())


@dataclass(frozen=True, slots=True)
class ListDesk:
    """`rpc.doors.ListDoor` over the flow. One file at a time."""

    node: Node
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load(self, load: ListFile, call: HomeCall) -> LoadReport:
        """A token says that an officer of ours brings the file; the two signatures say who answers for it. A preview
        answers for nothing: it is told to the roles that sign, and writes nothing."""
        officer = officer_of(self.node, call)
        if load.preview and SIGNING_ROLES.isdisjoint(officer.roles):
            # A difference tells what is on the list.
            raise PolicyDenied(("role",))
        async with self._turn:
            return await asyncio.to_thread(_taken, load, self.node.settings, call.now_ns)


def _taken(file: ListFile, settings: Config, now_ns: int) -> LoadReport:
    if len(file.origin.provenance) > 1:
        # An entry has one label, and what may not be exported is known by it (T3).
        raise InputRefused("one label of a source system stands for rows that name none", code="PROVENANCE")
    data = file.file.open()
    mode = SNAPSHOT if file.snapshot else DELTA
    defaults = Defaults(
        owner=settings.state,
        originator=file.origin.originator,
        provenance="".join(file.origin.provenance),
        decision=file.origin.decision,
        legal_basis=file.origin.legal_basis,
    )
    said = facts(settings.state, file.list_id, mode, sha512(data).digest(), defaults)
    people = signers(file.signatures, said, settings, now_ns)
    reading = read(data, file.format, file.list_id, defaults, now_ns)
    load = load_of(file.list_id, mode, data, reading, defaults, people)
    if file.preview:
        return replace(report(reading, compare(load, settings)), preview=True)
    if file.snapshot:
        whole(reading)
    return report(reading, apply(load, settings))
