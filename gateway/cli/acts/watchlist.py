"""`limen watchlist`: this state's own lists. A change is an act of two persons, with a decision behind it (T9)."""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from hashlib import sha512
from typing import Any

from gateway_adapters.watchlist_csv import FILE_BYTES_MAX, Defaults, Remark

from gateway.app import lists
from gateway.cli import inputs, node, passphrase
from gateway.cli.inputs import bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note, table
from gateway.config import Config
from gateway.errors import InputRefused, PolicyDenied
from gateway.federation import statement
from gateway.federation.statement import PersonalSignature
from gateway.flows.listing import DELTA, SNAPSHOT, WITHDRAW, Difference
from gateway.keyring import files
from gateway.rpc.doors import LoadReport
from gateway.store.reader import Reader
from gateway.terms import ListId, PeerId
from gateway.watchlist import entry as entries

ROWS_SHOWN = 50
"""Rows of which nothing is to be said that a terminal is told one by one; `--report` and `--json` have them all."""


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    verbs = {"sign": _sign, "load": _load, "add": _add, "withdraw": _withdraw, "list": _list, "impact": _impact}
    return verbs[args.verb](args)


def _defaults(args: argparse.Namespace, state: PeerId) -> Defaults:
    return Defaults(
        owner=state,
        originator=getattr(args, "originator", ""),
        provenance=getattr(args, "provenance", ""),
        decision=args.decision,
        legal_basis=args.basis,
        valid_until=_date(getattr(args, "valid_until", "")),
    )


def _sign(args: argparse.Namespace) -> int:
    settings = node.load(args)
    if (args.file is None) == (not args.withdraw):
        raise Refused("sign a file, or the withdrawal of an entry: write FILE or --withdraw ENTRY_ID")
    list_id, defaults = ListId(args.list_id), _defaults(args, settings.state)
    role, now_ns = inputs.role(args.role, sorted(lists.SIGNING_ROLES)), node.clock_of(settings).now_ns()
    if args.file is None:
        signed, mode, document = args.withdraw.encode(), WITHDRAW, {}
    else:
        signed, mode = bytes_of(args.file), args.mode
        with inputs.about(args.file):
            document = _looked_at(signed, lists.read(signed, _form(signed), list_id, defaults, now_ns))
    facts = lists.facts(settings.state, list_id, mode, sha512(signed).digest(), defaults)
    for line in _to_be_signed(args, mode, document):
        # Before the passphrase is asked for: who signs has seen what.
        note(args, line)
    passphrase.sign(args, args.out, statement.LISTING, facts, role=role, signed_ns=now_ns)
    told = f"{args.out}: signed; the second person looks at the same and signs it"
    emit(args, {"file": str(args.out), **document}, [told])
    return OK


def _form(data: bytes) -> str:
    """The format of a file that is signed, by its first character: JSON begins with a bracket, CSV with a name."""
    return "json" if data.lstrip()[:1] in (b"{", b"[") else "csv"


def _looked_at(data: bytes, reading: lists.Read) -> dict[str, Any]:
    """What a file holds, for the person who signs it. Raises InputRefused for one that holds nothing to be listed."""
    if not reading.entries:
        first = next(iter(reading.refused), None)
        why = f"; line {first.line}: {first.column + ': ' if first.column else ''}{first.why}" if first else ""
        raise InputRefused(f"holds no row that can be taken{why}", code="EMPTY")
    kinds = Counter(entry.kind.name for entry in reading.entries)
    return {
        "rows": len(reading.entries),
        "kinds": dict(sorted(kinds.items())),
        "refused": len(reading.refused),
        "sha512": sha512(data).hexdigest(),
    }


def _to_be_signed(args: argparse.Namespace, mode: str, document: Mapping[str, Any]) -> Iterator[str]:
    if mode == WITHDRAW:
        yield f"you sign: one entry is withdrawn from {args.list_id}"
    else:
        kinds = ", ".join(f"{count} {kind}" for kind, count in document["kinds"].items())
        rest = "; the rest of the list is withdrawn" if mode == SNAPSHOT else ""
        yield f"you sign: {args.file}, for {args.list_id}: {kinds}{rest}"
        if document["refused"]:
            rows = f"{document['refused']} row{'s' * (document['refused'] != 1)}"
            yield f"  {rows} would be refused: `limen watchlist load --preview` says which"
        yield f"  SHA-512 {document['sha512'][:32]}..."
    yield f"  decision {args.decision or 'as each row says'}, on {args.basis or 'no basis: --basis is due'}"


def _load(args: argparse.Namespace) -> int:
    settings = node.load(args)
    data = bytes_of(args.file)
    defaults = _defaults(args, settings.state)
    with inputs.about(args.file):
        reading = lists.read(data, args.format, ListId(args.list_id), defaults, node.clock_of(settings).now_ns())
        if args.mode == SNAPSHOT and not args.preview:
            lists.whole(reading)
    report = lists.report(reading, _changed(args, settings, args.mode, data, reading, defaults))
    if args.report is not None:
        files.replace(args.report, _as_csv(report))
    _tell(args, report, reading.remarks)
    if reading.refused and not reading.entries:
        was = "would be" if args.preview else "was"
        note(args, f"nothing {was} taken: every row was refused ({len(reading.refused)})")
        return InputRefused.row.exit_code
    if reading.refused:
        then = "the others would be taken" if args.preview else "the others were taken"
        note(args, f"{len(reading.refused)} rows {'would be' if args.preview else 'were'} refused; {then}")
    return OK


def _add(args: argparse.Namespace) -> int:
    """One record: taken whole, or refused with the reason."""
    settings = node.load(args)
    data = inputs.data_of(args.file, FILE_BYTES_MAX)
    defaults = _defaults(args, settings.state)
    with inputs.about(args.file):
        reading = lists.read(data, args.format, ListId(args.list_id), defaults, node.clock_of(settings).now_ns())
        for remark in reading.refused:
            raise InputRefused(remark.why, field=remark.column or None, code=remark.code)
        if len(reading.taken) != 1:
            raise InputRefused("one record is entered at a time; `limen watchlist load` takes a file", code="COUNT")
    _tell(args, lists.report(reading, _changed(args, settings, DELTA, data, reading, defaults)), reading.remarks)
    return OK


def _changed(
    args: argparse.Namespace, settings: Config, mode: str, data: bytes, reading: lists.Read, defaults: Defaults
) -> Difference:
    """The file as an act: signatures verified, then made, or only compared."""
    list_id = ListId(args.list_id)
    facts = lists.facts(settings.state, list_id, mode, sha512(data).digest(), defaults)
    people = lists.signers(_signatures(args), facts, settings, node.clock_of(settings).now_ns())
    load = lists.load_of(list_id, mode, data, reading, defaults, people)
    with _mandated(args, settings):
        return lists.compare(load, settings) if args.preview else lists.apply(load, settings)


@contextmanager
def _mandated(args: argparse.Namespace, settings: Config) -> Iterator[None]:
    """A denial over the basis is told with the acts that this state's own mandates name: they are its own rules."""
    try:
        yield
    except PolicyDenied as denied:
        if not {"legal_basis", "listing_mandate"}.isdisjoint(denied.reasons):
            acts = lists.mandated(settings, ListId(args.list_id))
            named = "; ".join(acts) if acts else "none: there is no mandate for it"
            note(args, f"--basis: the mandates in force for {args.list_id} name: {named}")
        raise


def _withdraw(args: argparse.Namespace) -> int:
    settings = node.load(args)
    list_id, defaults, signed = ListId(args.list_id), _defaults(args, settings.state), _signatures(args)
    facts = lists.facts(settings.state, list_id, WITHDRAW, sha512(args.entry_id.encode()).digest(), defaults)
    people = lists.signers(signed, facts, settings, node.clock_of(settings).now_ns())
    with _mandated(args, settings):
        change = lists.apply(lists.withdrawal_of(list_id, args.entry_id, defaults, signed, people), settings)
    document = {"list": args.list_id, "withdrawn": 1, "immediate": change.immediate}
    emit(args, document, [f"{args.list_id} changed: - 1 withdrawn{_when(change.immediate)}"])
    return OK


def _when(immediate: bool) -> str:
    return (
        "; peers see it at their next check"
        if immediate
        else "; peers see it with the next tables, which are made and fetched on ticks"
    )


def _tell(args: argparse.Namespace, report: LoadReport, remarks: Sequence[Remark]) -> None:
    changes = {name: getattr(report, name) for name in ("added", "changed", "withdrawn")}
    document = {
        "list": args.list_id,
        "preview": bool(args.preview),
        **changes,
        "unchanged": report.unchanged,
        "immediate": report.immediate,
        "nothing_changed": not args.preview and not any(changes.values()),
        "rows": [asdict(row) for row in report.rows],
    }
    word = "would change" if args.preview else "changed"
    lines = [
        f"{args.list_id} {word}: + {report.added} added, ~ {report.changed} changed, "
        f"- {report.withdrawn} withdrawn, {report.unchanged} as before{'' if args.preview else _when(report.immediate)}"
        if any(changes.values())
        else f"{args.list_id}: nothing {word}; {report.unchanged} as before"
    ]
    emit(args, document, [*lines, *_lines(report, {(one.line, one.code): one.why for one in remarks})])


def _lines(report: LoadReport, why: dict[tuple[int, str], str]) -> Iterator[str]:
    plain = 0
    for row in report.rows:
        plain += not row.code
        if not row.code and plain > ROWS_SHOWN:
            continue
        where = f", column {row.column}" if row.column else ""
        what = "" if row.refused or not row.code else ", warning"
        told = f" {row.code}: {why[row.line, row.code]}" if row.code else ""
        yield f"  line {row.line}{where}: {row.became}{what}{told}"
    if plain > ROWS_SHOWN:
        yield f"  and {plain - ROWS_SHOWN} more rows without a remark; --report FILE has every row"


def _as_csv(report: LoadReport) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("line", "became", "column", "code"))
    writer.writerows((row.line, row.became, row.column, row.code) for row in report.rows)
    return out.getvalue().encode()


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


def _impact(args: argparse.Namespace) -> int:
    settings, list_id = node.load(args), ListId(args.list_id)
    now_ns = node.clock_of(settings).now_ns()
    data, traffic = bytes_of(args.file), bytes_of(args.traffic)
    with inputs.about(args.file):
        reading = lists.read(data, args.format, list_id, _defaults(args, settings.state), now_ns)
    with inputs.about(args.traffic):
        travellers = lists.travellers(traffic, datetime.fromtimestamp(now_ns / 1e9, tz=UTC).date())
    facts = lists.impact_facts(settings.state, list_id, data, traffic, args.case, args.basis)
    signed = passphrase.signed(args, statement.IMPACT, facts, role=inputs.role(args.role), signed_ns=now_ns)
    found = lists.impact(settings, list_id, reading, travellers, facts, signed)
    upto = "more" if found.high is None else f"{found.high:,}"
    among = f"{found.low:,} to {upto} of {len(travellers):,} travellers"
    counted = {"entries": len(reading.entries), "refused_rows": len(reading.refused), "travellers": len(travellers)}
    emit(
        args,
        {"list": args.list_id, **counted, "low": found.low, "high": found.high},
        [f"{len(reading.entries):,} entries would have found {among}"],
    )
    if reading.refused:
        note(args, f"{len(reading.refused)} rows would be refused and were not counted")
    return OK


def _signatures(args: argparse.Namespace) -> list[PersonalSignature]:
    return inputs.signatures(args.signature)


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("--valid-until: write a date as YYYY-MM-DD") from None
