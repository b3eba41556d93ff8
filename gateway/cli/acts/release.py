"""`limen release`: asked and read at the home door. What is shown is made from the document, with its interval."""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.cli.acts import booth
from gateway.cli.main import ERROR, OK, Refused
from gateway.cli.output import emit, note, table, utc
from gateway.cli.report import chart, sdmx
from gateway.cli.report import release as report
from gateway.errors import CapabilityMissing, PeerUnreachable
from gateway.keyring import files
from gateway.rpc.doors import BudgetLine, ReleaseLine, ReleaseQuestion
from gateway.rpc.home import HomeClient
from gateway.statistics import catalogue, release
from gateway.statistics.catalogue import Query
from gateway.statistics.noise import MICRO, epsilon_for
from gateway.statistics.release import Release
from gateway.terms import Purpose, RequestId, peer_id
from gateway.terms.release import ReleasePlan, ReleaseStanding, ReleaseState

INCOMPLETE: Final = PeerUnreachable.row.exit_code
PAUSE_S_MAX: Final = 5.0

FORMATS: Final[Mapping[str, Callable[[Release], str]]] = {
    "csv": report.to_csv,
    "html": report.to_html,
    "sdmx-csv": sdmx.to_sdmx_csv,
}
"""What `--format` writes."""

_REFERENCE = re.compile(r"ref_([0-9a-f]{64})\Z")
_DECIMAL = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,6}))?\Z")


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    verbs = {"plan": _plan, "request": _request, "get": _get, "list": _list, "budget": _budget, "export": _export}
    place = booth.load(args)
    owner = getattr(args, "owner", "") or place.state
    try:
        return asyncio.run(verbs[args.verb](args, place, place.token()))
    except CapabilityMissing:
        why = "its gateway is older than statistics, or lacks the extra `statistics`"
        raise CapabilityMissing(f"{owner} makes no releases: {why}; nothing was charged") from None
    except PeerUnreachable:
        raise PeerUnreachable(f"{owner} cannot be reached now; ask again, a release is charged once") from None


def reference_text(reference: bytes) -> str:
    """A release's name as people type it."""
    return f"ref_{reference.hex()}"


def reference_of(text: str) -> bytes:
    """The other way. Raises Refused."""
    found = _REFERENCE.match(text)
    if found is None:
        raise Refused("REF: write ref_ and 64 hexadecimal digits, as `limen release request` and `list` show it")
    return bytes.fromhex(found[1])


def query_of(args: argparse.Namespace) -> Query:
    """What is asked. Raises InputRefused, Refused."""
    found = _DECIMAL.match(args.epsilon)
    if found is None:
        raise Refused("--epsilon: write a number such as 1 or 0.25")
    names = [name for name in args.by.split(",") if name]
    return Query(
        statistic=args.statistic,
        measure=args.measure,
        dataset=args.dataset,
        period=args.period,
        dimensions=("month", *(name for name in names if name != "month")),
        epsilon_micro=int(found[1]) * MICRO + int((found[2] or "").ljust(6, "0")),
        suppress=args.suppress,
    )


def _question(args: argparse.Namespace, place: booth.Booth, query: bytes = b"") -> ReleaseQuestion:
    try:
        owner = peer_id(args.owner) if args.owner else place.state
    except ValueError:
        raise Refused("--from: write a state's three letters") from None
    return ReleaseQuestion(RequestId(secrets.token_bytes(16)), owner, query, Purpose(args.purpose), args.basis)


def _client(place: booth.Booth) -> HomeClient:
    return HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem)


# -- Asking -----------------------------------------------------------------------------------------------------------


async def _plan(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    query = query_of(args)
    async with _client(place) as client:
        plan = await client.plan_release(_question(args, place, query.encode()), token)
    document = {
        "reference": reference_text(plan.reference),
        "snapshot": plan.snapshot.hex(),
        "cells": plan.cells,
        "unit": plan.unit,
        "l0": plan.l0,
        "linf": plan.linf,
        "mechanism": plan.mechanism,
        "scale": list(plan.scale),
        "cost_micro_rho": plan.cost_micro_rho,
        "charge_micro_rho": plan.charge_micro_rho,
        "left_micro_rho": plan.left_micro_rho,
        "epsilon_micro": plan.epsilon_micro,
        "delta": list(plan.delta),
        "sd_micro": plan.sd_micro,
        "half_width_95": plan.half_width_95,
        "loss_half_width_95": plan.loss_half_width_95,
        "threshold": plan.threshold,
        "state": plan.state or None,
    }
    emit(args, document, _planned(plan))
    return OK


def _planned(plan: ReleasePlan) -> Iterator[str]:
    yield f"{reference_text(plan.reference)}: {plan.cells:,} cells; the noise hides one {plan.unit}"
    epsilon, left = plan.epsilon_micro / MICRO, epsilon_for(plan.left_micro_rho) / MICRO
    yield f"  costs {plan.cost_micro_rho:,} micro-rho (epsilon {epsilon:.2f} at delta {_delta(plan):.1e})"
    yield (
        f"  asking now charges {plan.charge_micro_rho:,}; {plan.left_micro_rho:,} micro-rho are left to you "
        f"(all of it: epsilon {left:.2f} at delta 1e-08)"
    )
    yield f"  expected error of a cell: ±{plan.half_width_95:,} in 95 of 100 (sd {plan.sd_micro / MICRO:.2f})"
    yield f"  of one {plan.unit} at most {plan.linf} in a cell, in {plan.l0} of them"
    yield f"  what that leaves out is estimated, ±{plan.loss_half_width_95:,} in 95 of 100"
    if plan.threshold:
        yield f"  cells under {plan.threshold:,} will be marked instead of shown"
    if plan.charge_micro_rho > plan.left_micro_rho:
        yield "  not enough is left: a request would be refused (exit 7)"
    if plan.state:
        yield f"  it was asked for before: {plan.state}"


def _delta(plan: ReleasePlan) -> float:
    return plan.delta[0] / plan.delta[1]


async def _request(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    query = query_of(args)
    async with _client(place) as client:
        standing = await client.request_release(_question(args, place, query.encode()), token)
    reference = reference_text(standing.reference)
    charged = f"charged {standing.cost_micro_rho:,} micro-rho" if standing.cost_micro_rho else "costs nothing again"
    source = f" --from {args.owner}" if args.owner else ""
    then = f"  read it with: limen release get {reference}{source} --basis '{args.basis}' --wait"
    emit(args, standing_document(standing), [f"{reference}: {standing.state.value}; {charged}", then])
    return OK


def standing_document(standing: ReleaseStanding) -> dict[str, Any]:
    """How a release stands, for programs."""
    return {
        "reference": reference_text(standing.reference),
        "snapshot": standing.snapshot.hex(),
        "state": standing.state.value,
        "cost_micro_rho": standing.cost_micro_rho,
        "code": standing.code or None,
    }


# -- Reading ----------------------------------------------------------------------------------------------------------


async def _fetch(args: argparse.Namespace, place: booth.Booth, token: str) -> ReleaseStanding:
    """The release, once it is made or the wait is over."""
    reference = reference_of(args.reference)
    loop = asyncio.get_running_loop()
    until, pause_s = loop.time() + args.wait, 1.0
    async with _client(place) as client:
        while True:
            standing = await client.get_release(_question(args, place), reference, token)
            left_s = until - loop.time()
            if standing.state is not ReleaseState.WAITING or left_s <= 0:
                return standing
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


def _unmade(args: argparse.Namespace, standing: ReleaseStanding) -> int:
    """What is said instead of a document."""
    failed = standing.state is ReleaseState.FAILED
    words = f"could not be made ({standing.code}); ask again, it is paid for" if failed else "is not made yet; --wait"
    emit(args, standing_document(standing), [f"{reference_text(standing.reference)} {words}"])
    return ERROR if failed else INCOMPLETE


async def _get(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    standing = await _fetch(args, place, token)
    if standing.state is not ReleaseState.READY:
        return _unmade(args, standing)
    emit(args, release.to_json(standing.document), _told(release.decode(standing.document), args.cells))
    return OK


def _told(held: Release, most: int) -> Iterator[str]:
    """A release in short: what it is, its largest cells with their intervals, and what a reader must know."""
    width = report.half_width(held)
    bars = report.bars(held)
    yield report.title(held)
    shown = chart.shown(bars, max(1, most))
    rows = [
        {
            "cell": bar.label,
            "value": bar.words if bar.value is None else f"{bar.value:,}",
            "95 % interval": "-" if bar.value is None else f"{bar.value - width:,} to {bar.value + width:,}",
        }
        for bar in shown
    ]
    yield from (f"  {line}" for line in table(rows, ("cell", "value", "95 % interval")))
    if len(shown) < len(bars):
        yield f"  the {len(shown)} largest of {len(bars):,} cells; `--json` and `limen release export` have them all"
    yield from (f"  {what}: {words}" for what, words in report.sentences(held))


async def _export(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    standing = await _fetch(args, place, token)
    if standing.state is not ReleaseState.READY:
        return _unmade(args, standing)
    held = release.decode(standing.document)
    text = FORMATS[args.format](held)
    if args.out is None:
        if args.json:
            emit(args, {"format": args.format, "content": text}, ())
        else:
            sys.stdout.write(text)
        return OK
    files.replace(args.out, text.encode("utf-8"))
    emit(args, {"format": args.format, "file": str(args.out)}, [f"{args.out}: {report.title(held)}"])
    return OK


async def _list(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    async with _client(place) as client:
        lines = await client.releases(token)
    rows = [
        {
            "reference": reference_text(line.reference),
            "owner": line.owner,
            "for": line.recipient,
            "what": _what(line),
            "state": line.state.value,
        }
        for line in lines
    ]
    document = [
        {
            "reference": reference_text(line.reference),
            "owner": line.owner,
            "recipient": line.recipient,
            "state": line.state.value,
            "asked": utc(line.asked_ns),
            "query": catalogue.decode(line.query).facts(),
        }
        for line in lines
    ]
    emit(args, document, table(rows, ("owner", "for", "state", "what", "reference")) or ["nothing was asked for"])
    return OK


def _what(line: ReleaseLine) -> str:
    query = catalogue.decode(line.query)
    by = ",".join(query.dimensions[1:])
    return f"{query.statistic} {query.measure} {query.dataset} {query.period}" + (f" by {by}" if by else "")


async def _budget(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    async with _client(place) as client:
        lines = await client.budget(token)
    document = [
        {
            "dataset": line.dataset,
            "unit": line.unit,
            "period": line.period,
            "cap_micro_rho": line.cap,
            "spent_micro_rho": line.spent,
            "left_micro_rho": line.cap - line.spent,
            "spent_epsilon_micro": epsilon_for(line.spent),
            "shares": [
                {"peer": peer, "cap_micro_rho": cap, "spent_micro_rho": spent} for peer, cap, spent in line.shares
            ],
        }
        for line in lines
    ]
    rows = [
        {
            "dataset": line.dataset,
            "unit": line.unit,
            "period": line.period,
            "spent": f"{line.spent:,}",
            "left": f"{line.cap - line.spent:,}",
            "epsilon": f"{epsilon_for(line.spent) / MICRO:.2f}",
            "shares": _shares(line),
        }
        for line in lines
    ]
    columns = ("dataset", "unit", "period", "spent", "left", "epsilon", "shares")
    emit(args, document, table(rows, columns) or ["there is no data set"])
    if rows:
        note(args, "micro-rho; epsilon is that of all that was spent, at delta 1e-08; shares: peer spent/share")
    return OK


def _shares(line: BudgetLine) -> str:
    return " ".join(f"{peer} {spent:,}/{cap:,}" for peer, cap, spent in line.shares) or "-"
