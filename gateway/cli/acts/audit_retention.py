"""`limen audit hold`, `lift`, `erase` and `retention`: what keeps payloads beyond their term, ends them before, and
whether everything went that should have (docs/retention.md).

Two persons sign the same facts, each with a key of their own; whoever runs the node then enters what they signed.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from gateway.app import parts
from gateway.audit.entry import Entry, Phase
from gateway.cli import inputs, node, passphrase
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, table, utc
from gateway.config import Config
from gateway.errors import PolicyDenied, VerificationFailed
from gateway.federation import statement
from gateway.ports import Change
from gateway.primitives import cbor
from gateway.store.client import WriterClient
from gateway.store.holds import ORDER
from gateway.store.reader import Reader
from gateway.terms import Role

SIGNING: Final = frozenset({Role.SUPERVISOR, Role.AUDITOR})
GRACE_NS: Final = 1200 * 10**9
"""What is this long past its term should have gone: the writer looks every 600 s."""
_TEXT_MAX: Final = 80


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    settings = node.load(args)
    if args.verb == "retention":
        return _report(args, settings)
    facts = _facts(args, settings)
    act = statement.RETENTION_ACTS[args.verb]
    now_ns = node.clock_of(settings).now_ns()
    if args.sign is not None:
        if args.key is None:
            raise Refused("--sign: name your key file with --key")
        role = inputs.role(args.role, sorted(SIGNING))
        passphrase.sign(args, args.sign, act, facts, role=role, signed_ns=now_ns)
        emit(args, {"file": str(args.sign)}, [f"{args.sign}: signed; the second person signs the same words"])
        return OK
    if len(args.signature) != 2:
        raise Refused("two persons sign first (--sign OUT --key FILE, each), then: --signature A --signature B")
    signed = inputs.signatures(args.signature)
    people = statement.verify_all(
        signed, act, facts, register=parts.register_of(settings), roles=SIGNING, now_ns=now_ns
    )
    if len(people) < 2:
        raise PolicyDenied(("FLOOR_TWO_PERSONS",))
    persons = cbor.encode(
        [[act, person.public_key, one.statement, one.signature] for person, one in zip(people, signed, strict=True)]
    )
    officers = [str(person.officer) for person in people]
    asyncio.run(_enter(args, settings, facts, persons, officers))
    said = {name: value.hex() if isinstance(value, bytes) else value for name, value in facts.items()}
    emit(args, said, [_told(args, facts)])
    return OK


def _told(args: argparse.Namespace, facts: dict[str, Any]) -> str:
    if args.verb == "erase":
        return f"payloads of class {facts['class']} of entries {facts['first']} to {facts['last']} are destroyed"
    number = facts["hold_id"].hex()
    return f"hold {number} is lifted: terms decide again" if args.verb == "lift" else f"hold {number} is in force"


def _facts(args: argparse.Namespace, settings: Config) -> dict[str, Any]:
    for name in ("authority", "decision"):
        value = getattr(args, name)
        if not 0 < len(value) <= _TEXT_MAX or not value.isprintable():
            raise Refused(
                f"--{name}: write 1 to {_TEXT_MAX} letters, and no person's name: they stand in the log for ever"
            )
    common: dict[str, Any] = {"state": settings.state, "authority": args.authority, "decision": args.decision}
    if args.verb == "lift":
        try:
            hold_id = bytes.fromhex(args.hold)
        except ValueError:
            raise Refused("HOLD: write the number that `limen audit retention` shows") from None
        return statement.retention(**common, hold_id=hold_id)
    if not 0 <= args.first <= args.last:
        raise Refused("--first, --last: write the first and the last entry, from 0")
    about = {**common, "first": args.first, "last": args.last}
    if args.verb == "erase":
        return statement.retention(**about, **{"class": args.retention}, ground=args.ground)
    try:
        review = datetime.strptime(args.review, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Refused("--review: write a day as 2027-01-31") from None
    held = statement.retention(**about, review_ns=int(review.timestamp()) * 10**9)
    return {**held, "hold_id": sha256(cbor.encode(held)).digest()[:16]}


async def _enter(
    args: argparse.Namespace, settings: Config, facts: dict[str, Any], persons: bytes, officers: list[str]
) -> None:
    public = {name: value for name, value in facts.items() if name != "state"} | {"persons": persons}
    secret: dict[str, Any] = {"officers": officers}
    if args.verb == "hold":
        entry = Entry("hold.set", Phase.EVENT, public=public, secret=secret)
        change = Change("hold.set", {name: facts[name] for name in ("hold_id", "first", "last", "review_ns")})
    elif args.verb == "lift":
        entry = Entry("hold.lifted", Phase.EVENT, public=public, secret=secret)
        change = Change("hold.lift", {"hold_id": facts["hold_id"]})
    else:
        with closing(Reader(settings.paths.store)) as reader:
            agreed = reader.agreed()
        if agreed is None:
            raise VerificationFailed("quorum", "no majority of witnesses has cosigned a checkpoint yet: nothing goes")
        now_ns = node.clock_of(settings).now_ns()
        said = {"until_ns": min(agreed[1], now_ns), "checkpoint": agreed[0]}
        entry = Entry("erasure.ordered", Phase.EVENT, public=public | said, secret=secret)
        change = Change(ORDER, {name: facts[name] for name in ("class", "first", "last")} | said)
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await uow.commit([entry], [change])
    finally:
        await uow.close()


def _report(args: argparse.Namespace, settings: Config) -> int:
    """What should have gone and did not. Raises VerificationFailed where that is not empty."""
    now_ns = node.clock_of(settings).now_ns()
    with closing(Reader(settings.paths.store)) as reader:
        classes, holds = reader.retention(now_ns - GRACE_NS), reader.holds()
        replies = reader.stale_replies(now_ns - GRACE_NS)
        agreed = reader.agreed()
    rows = [
        {
            "class": one.retention,
            "kept": one.kept,
            "next_due": utc(one.next_due_ns) if one.next_due_ns else "-",
            "held": one.held,
            "overdue": one.overdue,
            "first_overdue": one.first_overdue,
        }
        for one in classes
    ]
    overdue = sum(one.overdue for one in classes) + replies
    late = [one for one in holds if one.review_ns <= now_ns]
    document = {
        "overdue": overdue,
        "replies_overdue": replies,
        "classes": rows,
        "holds": [
            {"hold": h.hold_id.hex(), "first": h.first, "last": h.last, "review": utc(h.review_ns)} for h in holds
        ],
        "holds_to_review": [one.hold_id.hex() for one in late],
        "cosigned": utc(agreed[1]) if agreed else "",
    }
    lines = table(
        [{k: str(v) for k, v in row.items()} for row in rows], ("class", "kept", "next_due", "held", "overdue")
    )
    lines += [f"hold {h.hold_id.hex()}: entries {h.first} to {h.last}, review on {utc(h.review_ns)}" for h in holds]
    lines += [f"hold {one.hold_id.hex()} should have been reviewed" for one in late]
    lines.append("nothing is kept that should have gone" if not overdue else f"{overdue} should have gone and did not")
    emit(args, document, lines)
    if overdue:
        first = min((one.first_overdue for one in classes if one.first_overdue is not None), default=None)
        why = "kept past its term" if agreed else "kept past its term: no majority of witnesses has cosigned anything"
        raise VerificationFailed("retention", why, position=first)
    return OK
