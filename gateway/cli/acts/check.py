"""`limen check`: ask other states about a traveller, many, or a flight. Identifiers enter by standard input or file."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from gateway_adapters import traveller

from gateway.cli.acts import booth
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note
from gateway.clock import SystemClock
from gateway.errors import InputRefused, PeerUnreachable, PolicyDenied
from gateway.flows.check import TRAVELLERS_MAX, CheckAnswer, Hit, Inquiry, Traveller
from gateway.terms import Action, Hidden, MatchClass, Purpose, RecordKind, RequestId

INPUT_BYTES_MAX = 4 << 20
TIMEOUT_S_MAX = 60
KIND_WORDS = {
    RecordKind.WANTED_ARREST: "wanted for arrest",
    RecordKind.REFUSE_ENTRY: "entry to be refused",
    RecordKind.SMUGGLER_SUSPECT: "suspected of smuggling",
    RecordKind.MISSING_CHILD: "missing child",
    RecordKind.LOST_STOLEN: "document reported lost or stolen",
    RecordKind.REVOKED: "document revoked",
}
ACTION_WORDS = {
    Action.WAIT_FOR_OWNER: "keep the person company and wait for the owner's desk",
    Action.DO_NOT_DETAIN_CALL_OWNER: "do not detain; call the owner's desk at once",
    Action.HOLD_DOCUMENT_SECOND_LINE: "keep the document and go to the second line",
    Action.SECOND_LINE: "go to the second line",
}
MATCH_WORDS = {
    MatchClass.DOCUMENT: "same document",
    MatchClass.NAME_AND_YEAR: "possible: same name and year of birth",
    MatchClass.NAME_SOUND_AND_DATE: "possible: name differs but sounds alike, same date of birth",
}
NOTHING = {
    "DOC.STATUS": "Nothing to report: the document is unknown to those who answered. That never means valid.",
}
NOTHING_ELSE = "Nothing to report: nothing you may act on. That is not a clearance."


def run(args: argparse.Namespace) -> int:
    """Ask and print. 0 complete whatever the result, 5 if a peer was unreachable, 3 if all refused."""
    on = _day(args.on)
    if not 0 < args.timeout <= TIMEOUT_S_MAX:
        raise Refused(f"--timeout: write seconds, above 0 and up to {TIMEOUT_S_MAX}")
    place = booth.load(args)
    token = place.token()
    if args.passengers is not None:
        travellers = [_traveller(seen) for _, seen in traveller.read_csv(_file(args.passengers))]
        if not travellers:
            raise InputRefused("the list has no travellers", code="EMPTY")
        return _show(args, asyncio.run(_ask(place, token, inquiry(args, travellers), args.timeout)))
    data = _stdin()
    if not args.stream:
        question = inquiry(args, [_traveller(traveller.read_one(data, on))])
        return _show(args, asyncio.run(_ask(place, token, question, args.timeout)))
    return asyncio.run(_stream(args, place, token, traveller.read_stream(data, on)))


async def _stream(
    args: argparse.Namespace, place: booth.Booth, token: str, seen: Iterator[tuple[int, traveller.Seen]]
) -> int:
    """Each line is asked and answered by itself; the exit code is the worst of all."""
    worst = OK
    for line, one in seen:
        question = inquiry(args, [_traveller(one)])
        try:
            answer = await _ask(place, token, question, args.timeout)
        except PolicyDenied as denied:
            print(json.dumps({"line": line, "error": "POLICY_DENIED", "reasons": list(denied.reasons)}), flush=True)
            worst = max(worst, denied.row.exit_code)
            continue
        print(json.dumps({"line": line, **document(answer)}, ensure_ascii=False), flush=True)
        if not answer.complete:
            worst = max(worst, PeerUnreachable.row.exit_code)
    return worst


def inquiry(args: argparse.Namespace, travellers: Sequence[Traveller]) -> Inquiry:
    """The question, with a fresh id and a fresh key for its stored answer."""
    if len(travellers) > TRAVELLERS_MAX:
        raise InputRefused(f"a question has at most {TRAVELLERS_MAX} travellers; split the list", code="COUNT")
    return Inquiry(
        request_id=RequestId(secrets.token_bytes(16)),
        purpose=Purpose(args.purpose),
        legal_basis=args.basis,
        case_ref=args.case,
        justification=Hidden(""),
        travellers=tuple(travellers),
        protection_declared=args.protection,
        declared_origins=frozenset(args.origin),
        reply_key=Hidden(secrets.token_bytes(32)),
        digest=b"",
    )


async def _ask(place: booth.Booth, token: str, question: Inquiry, timeout_s: float) -> CheckAnswer:
    from gateway.rpc.home import HomeClient

    async with HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:
        return await client.check(question, token, timeout_s=timeout_s)


def document(answer: CheckAnswer) -> dict[str, Any]:
    """The promised document (SURFACE, JSON shapes)."""
    return {
        "request_id": str(answer.request_id),
        "outcome": answer.outcome.value,
        "complete": answer.complete,
        "unreachable": list(answer.unreachable),
        "refused": [{"owner": owner, "reasons": list(reasons)} for owner, reasons in answer.refused],
        "hits": [
            {
                "reference": hit.reference,
                "owner": hit.owner,
                "class": hit.match.value,
                "kind": hit.kind.name,
                "action": hit.action.name,
                "contact": hit.contact,
                "traveller": hit.traveller,
                "screening_required": hit.screening_required,
                "case": f"case_{hit.case_id.hex()}" if hit.case_id else None,
            }
            for hit in answer.hits
        ],
    }


def _show(args: argparse.Namespace, answer: CheckAnswer) -> int:
    lines = [line for hit in answer.hits for line in _hit(hit)]
    if not answer.hits:
        lines.append(NOTHING.get(args.purpose, NOTHING_ELSE))
    for owner, reasons in answer.refused:
        lines.append(f"{owner} was not asked: {', '.join(reasons)}")
    emit(args, document(answer), lines)
    if not answer.complete:
        note(args, f"INCOMPLETE: {', '.join(answer.unreachable)} could not be reached; nothing may be read into that")
        return PeerUnreachable.row.exit_code
    return OK


def _hit(hit: Hit) -> Iterator[str]:
    yield f"HIT {hit.reference}: {KIND_WORDS[hit.kind]} (traveller {hit.traveller + 1})"
    yield f"  {MATCH_WORDS[hit.match]}"
    yield f"  {ACTION_WORDS[hit.action]}; {hit.owner}, desk {hit.contact}"
    yield "  A question for a human, never a finding."
    if hit.case_id:
        yield f"  What follows: limen case show case_{hit.case_id.hex()}"
    if hit.screening_required:
        yield "  The owner may be a state the person fled from: a protection officer screens before any case."


def _traveller(seen: traveller.Seen) -> Traveller:
    return Traveller(seen.person, seen.documents)


def _day(text: str) -> date:
    if not text:
        return datetime.fromtimestamp(SystemClock().now_ns() / 1e9, tz=UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("--on: write a date as YYYY-MM-DD") from None


def _stdin() -> bytes:
    if sys.stdin.isatty():
        print("The document's lines, or `surname: ...` lines; end with Ctrl-D.", file=sys.stderr)
    data = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
    if len(data) > INPUT_BYTES_MAX:
        raise InputRefused("the input is too long", code="SIZE")
    return data


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise InputRefused(f"{path}: cannot be read ({cause.strerror})") from None
