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

from gateway_adapters import paxlst, traveller

from gateway.cli import advice, inputs, passphrase
from gateway.cli.acts import booth, desks
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note
from gateway.errors import InputRefused, PeerUnreachable, PolicyDenied
from gateway.federation import statement
from gateway.flows import check
from gateway.flows.check import TRAVELLERS_MAX, CheckAnswer, Hit, Inquiry, Traveller
from gateway.people import messages
from gateway.terms import AsylumState, Hidden, Purpose, RequestId, Role
from gateway.terms.ids import case_number

INPUT_BYTES_MAX = 4 << 20
TIMEOUT_S_MAX = 60


def run(args: argparse.Namespace) -> int:
    """Ask and print. 0 complete whatever the result, 5 if a peer was unreachable, 3 if all refused."""
    on = inputs.day(args.on)
    if not 0 < args.timeout <= TIMEOUT_S_MAX:
        raise Refused(f"--timeout: write seconds, above 0 and up to {TIMEOUT_S_MAX}")
    place = booth.load(args)
    if place.is_sandbox:
        note(args, "SANDBOX: everybody here is invented, and nothing of this is about a person")
    token, known = place.token(), desks.read(place.folder)
    if args.passengers is not None:
        travellers = _passengers(args, on)
        question = inquiry(args, travellers, place.now_ns())
        return _show(args, asyncio.run(_ask(place, token, question, args.timeout)), known)
    data = _stdin()
    if not args.stream:
        question = inquiry(args, [_traveller(traveller.read_one(data, on))], place.now_ns())
        if args.sign is not None:
            return _sign(args, place, question)
        return _show(args, asyncio.run(_ask(place, token, question, args.timeout)), known)
    return asyncio.run(_stream(args, place, token, traveller.stream_lines(data), on))


async def _stream(
    args: argparse.Namespace, place: booth.Booth, token: str, lines: Iterator[tuple[int, str]], on: date
) -> int:
    """Each line is asked and answered by itself, and one that cannot be has an error in its place; the exit code is
    the worst of all."""
    args.emitted = True
    worst, known = OK, desks.read(place.folder)
    for line, text in lines:
        try:
            question = inquiry(args, [_traveller(traveller.read_line(text, line, on))], place.now_ns())
            answer = await _ask(place, token, question, args.timeout)
        except PolicyDenied as denied:
            told: dict[str, Any] = {"error": denied.row.reason, "reasons": list(denied.reasons)}
            worst = max(worst, denied.row.exit_code)
        except InputRefused as refused:
            told = {
                "error": refused.row.reason,
                "field": refused.field,
                "code": refused.code or None,
                "why": refused.why,
            }
            worst = max(worst, refused.row.exit_code)
        else:
            told = document(answer, known)
            if not answer.complete:
                worst = max(worst, PeerUnreachable.row.exit_code)
        print(json.dumps({"line": line, **told}, ensure_ascii=False), flush=True)
    return worst


def inquiry(args: argparse.Namespace, travellers: Sequence[Traveller], now_ns: int) -> Inquiry:
    """The question, with a fresh id and a fresh key for its stored answer. Raises Refused for a flight's wrong time."""
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
        asylum=AsylumState(args.asylum.replace("-", "_")),
        best_interest=args.best_interest,
        signatures=tuple(inputs.signatures(args.signature)),
        flight_ends_ns=_flight_end(args, now_ns),
        crew=args.crew,
    )


def _passengers(args: argparse.Namespace, on: date) -> list[Traveller]:
    """One flight's list: CSV, or a carrier's message, whose crew and passengers are questions apart."""
    data = _file(args.passengers)
    with inputs.about(args.passengers):
        if paxlst.is_message(data):
            message = paxlst.read(data, on)
            if message.crew != args.crew:
                raise Refused("a crew's list is a question of its own: ask it with --crew, a passengers' list without")
            for one in message.warnings:
                note(args, f"{args.passengers}: segment {one.segment}: {one.code}")
            seen = _listed(message)
        else:
            seen = [one for _, one in traveller.read_csv(data)]
        if not seen:
            raise InputRefused("the list has no travellers", code="EMPTY")
        return [_traveller(one) for one in seen]


def _listed(message: paxlst.Message) -> list[traveller.Seen]:
    """Everybody on a carrier's list. Raises InputRefused naming the segment: such a file has no lines."""
    try:
        return [one for _, one in message.travellers()]
    except InputRefused as refusal:
        where = f"segment {refusal.line}: " if refusal.line is not None else ""
        raise InputRefused(f"{where}{refusal.why}", field=refusal.field, code=refusal.code) from None


def _sign(args: argparse.Namespace, place: booth.Booth, question: Inquiry) -> int:
    """Sign the question at one's own workstation; nothing is asked yet."""
    if args.key is None:
        raise Refused("--sign: name your key file with --key")
    facts = check.facts(question, place.state)
    passphrase.sign(args, args.sign, statement.QUESTION, facts, role=Role.RETURN_UNIT, signed_ns=place.now_ns())
    emit(args, {"file": str(args.sign)}, [f"{args.sign}: signed; a second person signs the same question"])
    return OK


def _flight_end(args: argparse.Namespace, now_ns: int) -> int:
    """When the flight lands, UTC ns; 0 where it is no flight. The node judges it again: this says what is wrong."""
    is_flight = Purpose(args.purpose) == check.FLIGHT
    if is_flight and not args.flight_ends:
        raise Refused(f"--flight-ends: under {check.FLIGHT} say when the flight lands, as YYYY-MM-DDTHH:MM, UTC")
    if not args.flight_ends:
        return 0
    if not is_flight:
        raise Refused(f"--flight-ends: belongs to {check.FLIGHT} and to no other purpose")
    try:
        end = datetime.fromisoformat(args.flight_ends)
    except ValueError:
        raise Refused("--flight-ends: write a time as YYYY-MM-DDTHH:MM, UTC") from None
    ends_ns = int((end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp()) * 10**9
    if ends_ns < now_ns - check.FLIGHT_PAST_NS:
        raise Refused("--flight-ends: is more than a day past; what a flight leaves is erased a day after it")
    if ends_ns > now_ns + check.FLIGHT_AHEAD_NS:
        raise Refused("--flight-ends: is more than three days ahead; a flight is asked about from three days before")
    return ends_ns


async def _ask(place: booth.Booth, token: str, question: Inquiry, timeout_s: float) -> CheckAnswer:
    from gateway.rpc.home import HomeClient

    async with HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem) as client:
        return await client.check(question, token, timeout_s=timeout_s)


def document(answer: CheckAnswer, known: desks.Desks | None = None) -> dict[str, Any]:
    """The promised document (SURFACE, JSON shapes); `known` are the telephones of other states' desks."""
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
                "case": case_number(hit.case_id) if hit.case_id else None,
                "possible": not hit.match.is_exact,
                "message": messages.KINDS[hit.kind].code,
                "sentence": messages.KINDS[hit.kind].sentence,
                "match_text": messages.MATCHES[hit.match],
                "contact_text": desks.said(hit.owner, hit.contact, known or {}),
                "limit_s": messages.KINDS[hit.kind].limit_s,
            }
            for hit in answer.hits
        ],
    }


def _show(args: argparse.Namespace, answer: CheckAnswer, known: desks.Desks) -> int:
    lines = [line for hit in answer.hits for line in _hit(hit, known)]
    if not answer.hits:
        lines.append(messages.nothing(args.purpose))
    for owner, reasons in answer.refused:
        lines.append(f"{owner} was not asked: {advice.reasons(reasons)}")
    emit(args, document(answer, known), lines)
    if not answer.complete:
        note(
            args,
            f"INCOMPLETE: {', '.join(answer.unreachable)} could not be reached, or its first table is not here yet "
            "(`limen peer copies` on the node); nothing may be read into that",
        )
        return PeerUnreachable.row.exit_code
    return OK


def _hit(hit: Hit, known: desks.Desks) -> Iterator[str]:
    said = messages.KINDS[hit.kind]
    sure = "HIT" if hit.match.is_exact else "POSSIBLE HIT"
    yield f"{sure} {hit.reference}: {said.kind} (traveller {hit.traveller + 1})"
    yield f"  {messages.MATCHES[hit.match]}"
    yield f"  {said.sentence}"
    yield f"  Call {desks.said(hit.owner, hit.contact, known)}; {messages.limit(hit.kind)}."
    yield f"  {messages.NOT_A_FINDING}"
    if hit.case_id:
        yield f"  What follows: limen case show case_{hit.case_id.hex()}"
    if hit.screening_required:
        yield f"  {messages.SCREENING}"


def _traveller(seen: traveller.Seen) -> Traveller:
    return Traveller(seen.person, seen.documents)


def _stdin() -> bytes:
    if sys.stdin.isatty():
        print("The document's lines, or `surname: ...` lines; end with Ctrl-D.", file=sys.stderr)
    data = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
    if len(data) > INPUT_BYTES_MAX:
        raise InputRefused("the input is too long", code="SIZE")
    return data


def _file(path: Path) -> bytes:
    return inputs.bytes_of(path, INPUT_BYTES_MAX, InputRefused)
