"""`limen node decide` and `limen node recover`: a new log in the place of one that cannot go on.

Whether a log may go on is no program's to decide where its database is older or another than what was signed. Two
supervisors look at what is left, each signs the same facts with a key of their own, and the new log begins with what
they signed. Peers learn of it from the list of members, which names the new log once enough states have signed it.
"""

from __future__ import annotations

import argparse
import re
import secrets
from contextlib import closing
from typing import Any, Final

from gateway.app import parts
from gateway.audit import leaf
from gateway.audit.entry import Entry, Phase
from gateway.audit.seal import Sealer
from gateway.cli import inputs, node, passphrase
from gateway.cli.inputs import bytes_of
from gateway.cli.main import OK
from gateway.cli.output import emit
from gateway.config import FILE_NAME, Config, load
from gateway.errors import ConfigRefused, PolicyDenied
from gateway.federation import names, statement
from gateway.federation.officers import Enrolled
from gateway.keyring import files
from gateway.primitives import cbor
from gateway.store import succession, writer
from gateway.store.succession import Standing
from gateway.terms import Role

ROLES: Final = frozenset({Role.SUPERVISOR})
_SECTION: Final = re.compile(r"^\[store\][ \t]*$", re.MULTILINE)
_NUMBER: Final = re.compile(r"^log_number[ \t]*=.*$", re.MULTILINE)


def run(args: argparse.Namespace) -> int:
    """`decide` writes one person's signature, `recover` acts on two."""
    settings = node.load(args)
    number = settings.store.log_number + 1
    origin = names.log_origin(settings.state, number)
    former = succession.standing(
        settings.paths.store, settings.paths.lock, names.log_origin(settings.state, settings.store.log_number)
    )
    facts = _facts(args, settings, former, origin)
    now_ns = node.clock_of(settings).now_ns()
    if args.verb == "decide":
        passphrase.sign(args, args.out, statement.RECOVERY, facts, role=Role.SUPERVISOR, signed_ns=now_ns)
        emit(args, {"file": str(args.out), **_shown(facts)}, [*_told(former, origin), f"{args.out}: signed."])
        return OK
    signed = inputs.signatures(args.signature)
    people = statement.verify_all(
        signed, statement.RECOVERY, facts, register=parts.register_of(settings), roles=ROLES, now_ns=now_ns
    )
    if len(people) < 2:
        raise PolicyDenied(("FLOOR_TWO_PERSONS",))
    _begin(settings, former, number, facts, signed, people)
    emit(
        args,
        {"origin": origin, "former": former.origin, **_shown(facts)},
        [
            *_told(former, origin),
            "The former log lies beside the new one, for auditors; nothing of it was deleted.",
            "Peers take the new log when a list of members names it: `limen federation card`, then a new version.",
            "Data sets are loaded again by two persons; what was spent of the former ones counts as spent whole.",
        ],
    )
    return OK


def _facts(args: argparse.Namespace, settings: Config, former: Standing, origin: str) -> dict[str, Any]:
    head = former.head
    return statement.recovery(
        state=settings.state,
        former=former.origin,
        size=head.size if head is not None else 0,
        root=head.root if head is not None else b"",
        held=former.held,
        origin=origin,
        reason=args.reason,
        decision=args.decision,
    )


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    return {"signed_size": facts["size"], "held": facts["held"], "reason": facts["reason"]}


def _told(former: Standing, origin: str) -> list[str]:
    signed = f"{former.head.size} entries were signed for" if former.head is not None else "no lock record says how far"
    held = f"{former.held} are here" if former.is_readable else "none can be read"
    return [f"{former.origin}: {signed}, {held}. It ends; {origin} begins."]


def _begin(
    settings: Config,
    former: Standing,
    number: int,
    facts: dict[str, Any],
    signed: list[statement.PersonalSignature],
    people: tuple[Enrolled, ...],
) -> None:
    """Put the files in place, write the first entry, and only then let the settings name the new log."""
    paths = settings.paths
    succession.begin(paths.store, paths.lock, former, facts["origin"], number)
    persons = [
        [statement.RECOVERY, person.public_key, one.statement, one.signature]
        for person, one in zip(people, signed, strict=True)
    ]
    entry = Entry(
        "log.begun",
        Phase.EVENT,
        public={
            **{name: facts[name] for name in ("former", "size", "root", "held", "origin", "reason", "decision")},
            "persons": cbor.encode(persons),
        },
        secret={"officers": [str(person.officer) for person in people]},
    )
    recipients = parts.recipients_of(settings)
    where = writer.WriterConfig(paths.store, paths.lock, paths.periods, paths.run, facts["origin"])
    with closing(writer.Log(where, node.clock_of(settings))) as log:
        if log.size == 0:
            sealer = Sealer(recipients, secrets.token_bytes(32))
            unit = writer.Unit([leaf.prepare(entry, secrets.token_bytes(32), sealer)], ())
            log.commit([unit])
            if unit.result[0] is not None:
                raise ConfigRefused(f"the new log's first entry was refused: {unit.result}")
    _say(settings, number)


def _say(settings: Config, number: int) -> None:
    """Write `store.log_number` into the node's file."""
    path = settings.root / FILE_NAME
    text = bytes_of(path).decode("utf-8")
    line = f"log_number = {number}"
    section = _SECTION.search(text)
    if section is None:
        made = f"{text.rstrip()}\n\n[store]\n{line}\n"
    else:
        stop = text.find("\n[", section.end())
        body = text[section.end() : stop if stop >= 0 else len(text)]
        rest = text[stop:] if stop >= 0 else ""
        body = _NUMBER.sub(line, body) if _NUMBER.search(body) else f"\n{line}{body}"
        made = text[: section.end()] + body + rest
    files.replace(path, made.encode("utf-8"))
    if load(path).store.log_number != number:
        raise ConfigRefused(f"{path}: write `log_number = {number}` into [store]; something else sets it")


__all__ = ["run"]
