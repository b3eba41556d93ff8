"""`limen protection`: who is behind a record and must be shielded. Set by one person, cleared by two (T10)."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.app import protection
from gateway.cli import inputs, node, passphrase
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, table, utc
from gateway.federation import statement
from gateway.policy import floors
from gateway.terms import ListId, ProtectionTag


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return {"sign": _sign, "set": _mark, "clear": _mark, "show": _show}[args.verb](args)


def _sign(args: argparse.Namespace) -> int:
    settings, list_id = node.load(args), ListId(args.list_id)
    words = {"tag": args.tag, "source": args.source, "decision": args.decision, "legal_basis": args.basis}
    if args.act == "show":
        words = dict.fromkeys(words, "")
    for option, value in zip(("--tag", "--source", "--decision", "--basis"), words.values(), strict=True):
        if args.act != "show" and not value:
            raise Refused(f"{option} is missing: --act {args.act} needs it")
    lines = protection.lines_of(settings, list_id, args.entry_id)
    facts = statement.protection(state=settings.state, list_id=list_id, entry_id=args.entry_id, lines=lines, **words)
    role, now_ns = inputs.role(args.role, sorted(floors.MARKERS)), node.clock_of(settings).now_ns()
    passphrase.sign(args, args.out, statement.PROTECTION_ACTS[args.act], facts, role=role, signed_ns=now_ns)
    said = "; another person signs the same" if args.act == "clear" else ""
    emit(args, {"file": str(args.out), "lines": lines}, [f"{args.out}: signed{said}"])
    return OK


def _mark(args: argparse.Namespace) -> int:
    is_set = args.verb == "set"
    done = protection.mark(
        node.load(args),
        ListId(args.list_id),
        args.entry_id,
        tag=ProtectionTag(args.tag),
        is_set=is_set,
        source=args.source,
        decision=args.decision,
        legal_basis=args.basis,
        signed=inputs.signatures(args.signature),
    )
    until = utc(done.guards_until_ns) if done.guards_until_ns else None
    document = {"list": args.list_id, "changed": done.changed, "lines": done.lines, "guards_until": until}
    if not done.changed:
        emit(args, document, [f"{args.entry_id}: {args.tag} is set already; nothing changed"])
    elif is_set:
        emit(args, document, [f"{args.entry_id}: {args.tag} is set and guards from now on"])
    else:
        emit(args, document, [f"{args.entry_id}: {args.tag} is cleared; it guards until {until}"])
    return OK


def _show(args: argparse.Namespace) -> int:
    settings = node.load(args)
    if len(args.signature) != 1:
        raise Refused("--signature: give the one of `limen protection sign --act show`")
    (signed,) = inputs.signatures(args.signature)
    entry = protection.show(settings, ListId(args.list_id), args.entry_id, signed)
    in_force = sorted(entry.tags_in_force(node.clock_of(settings).now_ns()))
    history: list[dict[str, Any]] = [
        {"at": utc(one.at_ns), "tag": one.tag.value, "act": "set" if one.is_set else "clear", "source": one.source}
        for one in entry.history
    ]
    emit(
        args,
        {"entry_id": args.entry_id, "in_force": in_force, "history": history},
        [
            f"{args.entry_id}: {', '.join(in_force) or 'no tag'} in force",
            *table(history, ("at", "tag", "act", "source")),
        ],
    )
    return OK
