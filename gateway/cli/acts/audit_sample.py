"""`limen audit announce` and `sample`: questions made again from the asker's log and looked for in the owner's (T8)."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gateway.app import parts
from gateway.audit import export, pairs, seal
from gateway.audit.copy import Copy
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Leaf, open_fields
from gateway.cli import node
from gateway.cli.acts.audit import reader_key
from gateway.cli.acts.reconcile import Side, leaves_of, sides_of
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit
from gateway.errors import InputRefused, VerificationFailed
from gateway.flows import sampling
from gateway.flows.sampling import Look, Said
from gateway.rpc.convert.peers import encode_check_request
from gateway.store.client import WriterClient
from gateway.terms.ids import PeerId


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return _announce(args) if args.verb == "announce" else _sample(args)


def _announce(args: argparse.Namespace) -> int:
    pairs.place(args.about)
    if args.count < 1:
        raise Refused("--count: write 1 or more")
    seq = asyncio.run(_logged(args))
    emit(
        args,
        {"announced": seq},
        [
            f"entry {seq} announces a sample of {args.count} questions to {args.about}",
            f"export when witnesses have cosigned again; then `limen audit sample ... --announced {seq}`",
        ],
    )
    return OK


async def _logged(args: argparse.Namespace) -> int:
    settings = node.load(args)
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    public: dict[str, str | int] = {"about": args.about, "count": args.count}
    try:
        entry = Entry("audit.announced", Phase.EVENT, public=public, secret={"officer": "operator"})
        return (await uow.commit([entry])).seqs[0]
    finally:
        await uow.close()


def _sample(args: argparse.Namespace) -> int:
    sides, _, cards = sides_of(args)
    asker, owner = sides
    key = reader_key(args.reader_key)
    if key is None:
        raise Refused("--reader-key: a sample takes the supervisor's or the home auditor's key of the asker's log")
    told = dict(_entries(asker))
    found = sampling.questions((leaf for leaf, _ in told.values()), owner.state, args.announced)
    drawn = found
    if args.announced is not None:
        drawn = sampling.draw(_seed(args, asker, told, cards), found, _count(args, told, owner))
    answers = [
        leaf
        for leaf in map(Leaf.parse, leaves_of(owner, asker.state))
        if (leaf.kind, leaf.phase, leaf.peer) == ("check.answer", Phase.INTENT, asker.state)
    ]
    opener = seal.Opener(key)
    looks = [_look(asker.state, leaf, told[leaf.seq][1], opener, answers) for leaf in drawn]
    declared = sampling.questions((leaf for leaf, _ in told.values()), owner.state)
    strange = sampling.undeclared(declared, answers)
    _tell(args, asker, owner, looks, strange, len(found))
    for one in looks:
        if one.said is Said.SMUGGLED:
            raise VerificationFailed(
                "sample", "a slot is neither a declared traveller's key nor a dummy of the seed", position=one.seq
            )
    if strange:
        raise VerificationFailed(
            "sample", f"{owner.state} was asked what {asker.state}'s log does not have", position=strange[0].seq
        )
    return OK


def _entries(side: Side) -> Any:  # noqa: ANN401 (pairs for a dict)
    """(number, (leaf, payload or None)) of a copy's questions and announcements."""
    read = (
        export.read_pair(side.folder) if export.is_pair(side.folder) else Copy(side.folder, str(side.path)).entries(0)
    )
    wanted = {("check.ask", Phase.INTENT), (sampling.ANNOUNCED, Phase.EVENT)}
    return ((leaf.seq, (leaf, payload)) for leaf, payload in read if (leaf.kind, leaf.phase) in wanted)


def _seed(args: argparse.Namespace, asker: Side, told: dict[int, Any], cards: list[Any]) -> bytes:
    leaf = told[args.announced][0] if args.announced in told else None
    if leaf is None or leaf.kind != sampling.ANNOUNCED:
        raise InputRefused(f"{asker.path}: entry {args.announced} announces no sample; a sample takes a whole copy")
    notes = [asker.folder.read("checkpoint") or b""]
    notes += export.split_records(asker.folder.read("history") or b"", "history")
    return sampling.seed_after(args.announced, notes, next(card for card in cards if asker.names(card)))


def _count(args: argparse.Namespace, told: dict[int, Any], owner: Side) -> int:
    public = told[args.announced][0].public
    if public["about"] != owner.state:
        raise InputRefused(f"entry {args.announced} announces a sample of questions to {public['about']}")
    return int(public["count"])


def _look(asker: str, leaf: Leaf, payload: bytes | None, opener: seal.Opener, answers: list[Leaf]) -> Look:
    fields = None if payload is None else open_fields(leaf, opener.open(payload).secret)
    return sampling.look(PeerId(asker), leaf, fields, answers, encode_check_request)


def _tell(args: argparse.Namespace, asker: Side, owner: Side, looks: list[Look], strange: list[Leaf], of: int) -> None:
    counts = {said.value: sum(one.said is said for one in looks) for said in Said}
    document = {
        "asker": asker.state,
        "owner": owner.state,
        "questions": of,
        "looked": [{"seq": one.seq, "said": one.said.value, "owner_seq": one.owner_seq} for one in looks],
        "counts": counts,
        "undeclared": [leaf.seq for leaf in strange],
    }
    lines = [f"{asker.state} to {owner.state}: {len(looks)} of {of} questions were made again"]
    lines += [f"  {count:6} {said}" for said, count in counts.items()]
    lines += [
        f"  SMUGGLED entry {one.seq}: {owner.state} was asked something else, its entry {one.owner_seq}"
        for one in looks
        if one.said is Said.SMUGGLED
    ]
    lines += [
        f"  UNDECLARED {owner.state}'s entry {leaf.seq} is of a question that no entry declares" for leaf in strange
    ]
    lines.append("not proved: that the declared keys are those of travellers who stood there.")
    emit(args, document, lines)
