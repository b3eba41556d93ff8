"""`limen agreement`: what two states sign, drafted and checked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

from gateway.cli import inputs, node
from gateway.cli.output import emit, utc
from gateway.clock import SystemClock
from gateway.errors import InputRefused
from gateway.keyring import files
from gateway.policy import agreement as agreements
from gateway.policy import catalogue, places
from gateway.policy.agreement import Agreement, Fault
from gateway.terms.ids import Purpose

DAY_NS: Final = 86_400 * 10**9

BYTES_MAX: Final = 1 << 20
"""A starter agreement has five thousand bytes."""


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"new": _new, "check": _check}[args.verb](args)


def _new(args: argparse.Namespace) -> int:
    now = (node.clock_of(node.load(args)) if args.config is not None else SystemClock()).now_ns()
    agencies: dict[str, list[str]] = {}
    for item in args.agency:
        state, _, code = item.partition(":")
        agencies.setdefault(state, []).append(code)
    made = agreements.starter(
        args.states[0], args.states[1], agencies=agencies, valid_from_ns=now - DAY_NS,
        valid_until_ns=now + args.days * DAY_NS,
    )  # fmt: skip
    files.replace(args.out, (json.dumps(made.document(), indent=2) + "\n").encode("utf-8"), mode=0o644)
    emit(
        args,
        {"file": str(args.out), "id": made.id},
        [f"{args.out}: {made.id}, a draft; edit it, `limen agreement check` it, read it before you sign it"],
    )
    return 0


def read(path: Path) -> tuple[str, object]:
    """A file's text and its JSON value. Raises InputRefused naming file and line."""
    data = inputs.bytes_of(path)
    with inputs.about(path):
        if len(data) > BYTES_MAX:
            raise InputRefused(f"is larger than an agreement can be ({BYTES_MAX} bytes)", code="FILE")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise InputRefused("is not text in UTF-8", code="FILE") from None
        try:
            places.lines(text)
        except ValueError:
            line = places.line_of_fault(text)
            raise InputRefused("is not JSON with each name once", line=line, code="FILE") from None
    return text, json.loads(text)


def judged(path: Path) -> Agreement:
    """The agreement in a file. Raises InputRefused naming file, line and field of the first thing that is wrong."""
    text, document = read(path)
    faults = agreements.faults(document)
    if not faults:
        return agreements.parse(document)
    line, fault = _placed(text, faults)[0]
    more = f"; {len(faults) - 1} more" if len(faults) > 1 else ""
    with inputs.about(path):
        raise InputRefused(f"{_words_of(fault)}{more}; `limen agreement check` says all", line=line, code="AGREEMENT")


def _placed(text: str, faults: Sequence[Fault]) -> list[tuple[int, Fault]]:
    """The faults with their lines, in the order of the text."""
    where = places.lines(text)
    return sorted(((places.line_of(fault.path, where), fault) for fault in faults), key=lambda pair: pair[0])


def _words_of(fault: Fault) -> str:
    return f"{fault.field}: {fault.why}" if fault.field else fault.why


def _check(args: argparse.Namespace) -> int:
    on = inputs.day(args.on)
    text, document = read(args.file)
    faults = agreements.faults(document)
    if faults:
        rows = _placed(text, faults)
        emit(
            args,
            {"ok": False, "faults": [{"line": line, "field": fault.field, "why": fault.why} for line, fault in rows]},
            [f"{args.file}:{line}: {_words_of(fault)}" for line, fault in rows],
        )
        raise InputRefused(f"{args.file}: {len(rows)} fault{'s' * (len(rows) != 1)}", code="AGREEMENT")
    made = agreements.parse(document)
    holds, why = _holds(made, on)
    emit(
        args,
        {"ok": True, "id": made.id, "version": made.version, "holds": holds, "faults": []},
        [f"{args.file}: {made.id}, version {made.version}: complete, {why}", *_words(made)],
    )
    return 0


def _holds(made: Agreement, on: date) -> tuple[bool, str]:
    """Whether it permits anything on a day, and why or why not."""
    begins = int(datetime.combine(on, time(), UTC).timestamp()) * 10**9
    if made.status != "in_force":
        return False, f"{made.status}: it permits nothing"
    if made.valid_until_ns <= begins:
        return False, f"ended {utc(made.valid_until_ns)}: it permits nothing on {on}"
    if made.valid_from_ns >= begins + DAY_NS:
        return False, f"begins {utc(made.valid_from_ns)}: it permits nothing on {on}"
    return True, f"in force until {utc(made.valid_until_ns)}"


def _words(made: Agreement) -> list[str]:
    """What it permits, for those who sign it."""
    left, right = made.parties
    lines = [f"  between {left} ({', '.join(made.agencies[left])}) and {right} ({', '.join(made.agencies[right])})"]
    for purpose, terms in made.purposes.items():
        row = catalogue.CATALOGUE[purpose]
        offered = "" if purpose in catalogue.OFFERED else " (not offered by this release: permits nothing)"
        group = catalogue.group_of(Purpose(purpose))
        counted = "requests" if catalogue.is_aggregate(Purpose(purpose)) else "padded slots"
        lines += [
            f"  {purpose}: {row.title}{offered}",
            f"    who asks     {', '.join(terms.roles)}",
            f"    on           {'; '.join(terms.legal_bases)}",
            f"    by           {', '.join(terms.key_types) or 'numbers only'}",
            f"    a day        {made.slots_per_day[group]} {counted} ({group})",
        ]
    for label, value in _duties(made).items():
        lines.append(f"  {label}: {value}")
    return lines


def _duties(made: Agreement) -> dict[str, Any]:
    return {
        "kept": made.retention,
        "transferred under": made.transfer_tool,
        "impact assessment": made.dpia,
        **{f"controller in {state}": words for state, words in sorted(made.controllers.items())},
        **{f"supervisor in {state}": words for state, words in sorted(made.supervisor.items())},
        **{f"redress in {state}": words for state, words in sorted(made.redress.items())},
    }
