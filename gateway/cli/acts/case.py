"""`limen case`: the follow-up of a hit, asked and done at the desk's own door.

A person signs at the workstation, with a key that no gateway holds, exactly what the screen says: the case is read,
shown, and the facts of the act are made from what was read. Reasons and disclosed values never stand in an argument.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.cli import inputs, passphrase
from gateway.cli.acts import booth, desks
from gateway.cli.inputs import bytes_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note, table, utc
from gateway.cli.verbs import SIGNED
from gateway.disclosure import codes
from gateway.disclosure.case import State
from gateway.errors import InputRefused, Malformed
from gateway.federation import claims, statement
from gateway.federation.statement import PersonalSignature
from gateway.flows.disclose import ROLES, SIGNED_AS
from gateway.people import messages
from gateway.rpc.doors import CaseAct, CaseLine, CaseQuery, CaseView
from gateway.rpc.home import HomeClient
from gateway.terms import Hidden, PeerId, Role
from gateway.terms.ids import case_number

WORDS_CHARACTERS_MAX: Final = 2_048
WORDS_BYTES_MAX: Final = 16_384

USUAL_ROLE: Final = {
    "approve": Role.SUPERVISOR,
    "screen": Role.PROTECTION_OFFICER,
}
"""In which role an act is usually signed; the desk's own for all others."""

_NUMBER = re.compile(r"case_([0-9a-f]{32})\Z")


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    place = booth.load(args)
    token = place.token()
    if args.verb == "list":
        return asyncio.run(_list(args, place, token))
    case_id = number(args.case)
    if args.verb == "show":
        return asyncio.run(_show(args, place, token, case_id))
    return asyncio.run(_act(args, place, token, case_id))


def number(text: str) -> bytes:
    """A case's number as typed. Raises Refused; what was typed is not repeated."""
    found = _NUMBER.match(text)
    if found is None:
        raise Refused("CASE: write case_ and 32 hexadecimal digits, as `limen case list` shows it")
    return bytes.fromhex(found[1])


# -- Reading ----------------------------------------------------------------------------------------------------------


async def _list(args: argparse.Namespace, place: booth.Booth, token: str) -> int:
    query = CaseQuery(args.mine, args.due, tuple(dict.fromkeys(word.upper() for word in args.state)))
    async with _client(place) as client:
        lines, more = await client.cases(query, token)
    now_ns = place.now_ns()
    rows = [
        {
            "case": case_number(line.case_id),
            "due": when(line.due_ns, now_ns),
            "state": state_words(line.state),
            "with": str(line.peer),
            "about": about(line),
            "officer": f"{line.assigned} -> {line.offered_to}" if line.offered_to else line.assigned or "nobody",
        }
        for line in lines
    ]
    shown = table(rows, ("case", "due", "state", "with", "about", "officer")) or ["no case waits here"]
    emit(args, {"cases": [line_document(line) for line in lines], "more": more}, shown)
    if more:
        note(args, "there are more cases than these; narrow the list with --due, --mine or --state")
    return OK


async def _show(args: argparse.Namespace, place: booth.Booth, token: str, case_id: bytes) -> int:
    async with _client(place) as client:
        view = await client.case(case_id, token)
    emit(args, document(view), told(view, place.now_ns(), desks.read(place.folder)))
    return OK


def line_document(line: CaseLine) -> dict[str, Any]:
    """One case for programs."""
    return {
        "case": case_number(line.case_id),
        "side": line.side,
        "peer": line.peer,
        "purpose": line.purpose,
        "kind": line.kind.name,
        "class": line.match.value,
        "exact": line.match.is_exact,
        "state": line.state,
        "version": line.version,
        "due": _iso(line.due_ns),
        "expires": _iso(line.expires_ns),
        "urgency": line.urgency or None,
        "assigned": line.assigned or None,
        "offered_to": line.offered_to or None,
        "screening_required": line.screening_required,
    }


def document(view: CaseView) -> dict[str, Any]:
    """One case as far as the officer may see it, for programs."""
    return {
        **line_document(view.line),
        "legal_basis": view.legal_basis,
        "fields": list(view.fields),
        "withheld": list(view.withheld),
        "refusal": view.refusal or None,
        "outcome": view.outcome or None,
        "record_version": view.record_version or None,
        "conditions": list(view.conditions),
        "subject_category": view.subject_category or None,
        "basis": view.basis or None,
        "reliability": view.reliability or None,
        "as_of": view.as_of or None,
        "disclosed": {name: list(values.open()) for name, values in view.disclosed},
        "history": [
            {"event": one.event, "at": _iso(one.at_ns), "officer": one.officer or None} for one in view.history
        ],
        "words": view.words.open() or None,
        "acts": list(view.acts),
    }


def told(view: CaseView, now_ns: int, known: desks.Desks | None = None) -> Iterator[str]:
    """One case for a person; `known` are the telephones of other states' desks."""
    line = view.line
    asks = f"{line.peer} asks us" if line.side == "owner" else f"we ask {line.peer}"
    yield f"{case_number(line.case_id)}: {state_words(line.state)}; {asks}"
    yield f"  {about(line)}"
    yield f"  purpose {line.purpose}, {view.legal_basis}" + (f"; URGENT: {line.urgency}" if line.urgency else "")
    if line.due_ns:
        yield f"  due {when(line.due_ns, now_ns)}"
    if line.expires_ns:
        yield f"  ends by itself {when(line.expires_ns, now_ns)}"
    yield f"  officer: {line.assigned or 'nobody'}" + (f", offered to {line.offered_to}" if line.offered_to else "")
    if line.screening_required:
        yield "  The owner may be a state the person fled from: a protection officer screens before the case goes on."
    if view.words.open():
        yield f"  they write: {view.words.open()}"
    if view.released and line.side == "owner":
        yield f"  prepared for release: {', '.join(view.released)}"
    if view.fields:
        is_before = line.side == "asker" and line.state in (State.CANDIDATE, State.CONFIRMED)
        yield f"  {'may be asked for' if is_before else 'asked for'}: {', '.join(view.fields)}"
    if view.refusal:
        yield f"  REFUSED, {view.refusal}: {refusal_words(view.refusal)}"
    for name, values in view.disclosed:
        shown = values.open()
        if name == "contact":
            shown = tuple(_called(str(line.peer), one, known or {}) for one in shown)
        yield f"  {name}: {'; '.join(shown)}"
    if view.withheld:
        yield f"  PARTIAL: withheld by the owner: {', '.join(view.withheld)}"
    marks = [
        f"{name} {value}"
        for name, value in (
            ("category", view.subject_category),
            ("basis", view.basis),
            ("reliability", view.reliability),
            ("as of", view.as_of),
        )
        if value
    ]
    if marks:
        yield f"  {', '.join(marks)} (category, basis and reliability follow from the kind of record)"
    for condition in view.conditions:
        yield f"  condition: {condition}"
    if view.outcome:
        yield f"  outcome: {view.outcome}"
    for step in view.history:
        yield f"  {_iso(step.at_ns)}  {step.event.lower().replace('_', ' ')}" + (
            f"  {step.officer}" if step.officer else ""
        )
    if view.acts:
        yield f"  possible now: {', '.join(view.acts)}"


def _called(owner: str, desk: str, known: desks.Desks) -> str:
    """Whom to call, from the number of a desk that was disclosed."""
    return desks.said(owner, int(desk), known) if re.fullmatch("[0-9]{1,5}", desk) else desk


def about(line: CaseLine) -> str:
    """What the hit was, never surer than it is."""
    return f"{messages.KINDS[line.kind].kind} ({messages.MATCHES[line.match]})"


def state_words(state: str) -> str:
    """A state of the table in words."""
    return state.lower().replace("_", " ")


def refusal_words(code: str) -> str:
    """A refusal's code in words."""
    return codes.REFUSALS.get(code, "no reason is given")


def when(at_ns: int, now_ns: int) -> str:
    """A time in UTC and how far off it is, such as `2026-05-04 18:00 UTC (3 h 20 min left)`."""
    if not at_ns:
        return "-"
    minutes = abs(at_ns - now_ns) // (60 * 10**9)
    days, hours = divmod(minutes // 60, 24)
    if days:
        span = f"{days} d {hours} h"
    elif hours:
        span = f"{hours} h {minutes % 60} min"
    else:
        span = f"{minutes} min"
    return f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%d %H:%M} UTC ({span} {_left(at_ns, now_ns)})"


def _left(at_ns: int, now_ns: int) -> str:
    return "left" if at_ns > now_ns else "OVERDUE"


def _iso(at_ns: int) -> str | None:
    return utc(at_ns) if at_ns else None


# -- Acting -----------------------------------------------------------------------------------------------------------


async def _act(args: argparse.Namespace, place: booth.Booth, token: str, case_id: bytes) -> int:
    words = _words(args)
    key = passphrase.unlock(args, _said(token).get("sub", "")) if args.verb in SIGNED else None
    async with _client(place) as client:
        view = await client.case(case_id, token)
        arguments = arguments_of(args, view)
        signatures: tuple[PersonalSignature, ...] = ()
        if key is not None:
            signatures = (
                statement.make(
                    statement.CASE_ACTS[SIGNED_AS.get(args.verb, args.verb)],
                    facts(view, place.state, args.verb, arguments, words.open()),
                    role=role_of(args, token),
                    signed_ns=place.now_ns(),
                    seed=key.seed.open(),
                ),
            )
        act = CaseAct(case_id, view.line.version, args.verb, arguments, words, signatures)
        line = await client.act(act, token)
    done = f"{case_number(case_id)}: {args.verb} is done; now {state_words(line.state)}"
    due = f", due {when(line.due_ns, place.now_ns())}" if line.due_ns else ""
    emit(args, line_document(line), [done + due])
    if args.verb == "correct":
        note(args, "others who were given this record are in `limen case list --state CORRECTION_DUE`")
    return OK


def arguments_of(args: argparse.Namespace, view: CaseView) -> dict[str, tuple[str, ...]]:
    """What the act is given: codes, field names and personnel numbers. Raises Refused."""
    found: dict[str, tuple[str, ...]] = {}
    code = getattr(args, "code", None)
    if code and code not in codes.OF_ACT[args.verb]:
        option = {"confirm": "--measure", "request": "--urgency"}.get(args.verb, "--code")
        raise Refused(f"{option}: write one of: {codes.listed(args.verb)}")
    for name in ("code", "to"):
        if getattr(args, name, None):
            found[name] = (getattr(args, name),)
    if hasattr(args, "field"):
        unknown = [name for name in args.field if name not in view.fields]
        if unknown:
            raise Refused(f"--field {unknown[0]}: write fields of this case: {', '.join(view.fields)}")
        # In the case's own order, so that two persons sign the same.
        found["fields"] = tuple(name for name in view.fields if not args.field or name in args.field)
    return found


def role_of(args: argparse.Namespace, token: str) -> Role:
    """In which role the person signs: as told, else the act's usual one, else one of the person's own that may do it.

    Raises:
        Refused: no such role.
    """
    if args.role is None:
        usual = USUAL_ROLE.get(args.verb, Role.DESK_NATIONAL)
        may = [role for role in _roles(token) if role in ROLES[args.verb]]
        return may[0] if may and usual not in may else usual
    return inputs.role(args.role)


def _roles(token: str) -> list[Role]:
    """The roles that our own token says. Nothing rests on them but which one is offered: the gateway judges."""
    try:
        return [Role(name) for name in _said(token)["roles"]]
    except (ValueError, KeyError, TypeError):
        return []


def _said(token: str) -> dict[str, Any]:
    """What our own token says, unverified; empty where it cannot be read."""
    try:
        said = json.loads(claims.bytes_of(token.split(".")[1]))
    except (ValueError, IndexError, Malformed):
        return {}
    return said if isinstance(said, dict) else {}


def _words(args: argparse.Namespace) -> Hidden[str]:
    """The officer's reasons, on one line. Raises InputRefused."""
    source = getattr(args, "words", None)
    if source is None:
        return Hidden("")
    data = sys.stdin.buffer.read(WORDS_BYTES_MAX + 1) if source == "-" else bytes_of(Path(source))
    try:
        text = " ".join(data.decode("utf-8").split())
    except UnicodeDecodeError:
        raise InputRefused("is not UTF-8 text", field="words") from None
    if len(text) > WORDS_CHARACTERS_MAX:
        raise InputRefused(f"has more than {WORDS_CHARACTERS_MAX} characters", field="words")
    return Hidden(text)


def _client(place: booth.Booth) -> HomeClient:
    return HomeClient(str(place.home), leaf=place.client, anchor_pem=place.anchor_pem)


def facts(
    view: CaseView, state: PeerId, verb: str, arguments: Mapping[str, tuple[str, ...]], words: str
) -> dict[str, Any]:
    """What a person signs for an act, made from what the screen shows (`federation.statement.case`)."""
    release = verb in ("prepare", "approve", "correct")
    fields = arguments.get("fields", view.released if release else ())
    (code,) = arguments.get("code", ("",))
    return statement.case(
        case_id=view.line.case_id,
        state=state,
        peer=view.line.peer,
        purpose=view.line.purpose,
        legal_basis=view.legal_basis,
        fields=fields,
        withheld=[name for name in view.fields if name not in fields] if release else (),
        recipient=view.recipient if release else b"",
        record_version=view.record_version if release or verb == "refuse" else 0,
        code=code,
        words=words,
    )
