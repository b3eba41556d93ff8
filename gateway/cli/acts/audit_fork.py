"""`limen audit fork`: two signed checkpoints of one log, or those that a log has kept of its peers, judged offline."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from gateway.audit import checkpoint, note, trust
from gateway.audit.copy import Copy
from gateway.audit.forked import is_forked
from gateway.cli.acts.reconcile import read_file
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit
from gateway.errors import GatewayError, InputRefused, Malformed, VerificationFailed
from gateway.keyring import files
from gateway.store.folder import DirectoryFolder


def run(args: argparse.Namespace) -> int:
    """Judge each pair of notes. Raises VerificationFailed where one proves that a log was forked."""
    cards = [trust.Card.parse(read_file(path).decode("utf-8", "replace")) for path in args.trust]
    if args.one.is_dir() == bool(args.other):
        raise Refused("give an export, or two notes")
    pairs = list(_kept(args.one)) if args.one.is_dir() else [(None, read_file(args.one), read_file(args.other))]
    rows = []
    for seq, one, other in pairs:
        origin, is_proof, said = _judged(one, other, cards)
        rows.append({"seq": seq, "origin": origin, "forked": is_proof, "said": said})
        if args.out is not None and is_proof:
            args.out.mkdir(parents=True, exist_ok=True)
            for name, noted in (("one", one), ("other", other)):
                files.replace(args.out / f"{seq if seq is not None else 'notes'}.{name}", noted, mode=0o644)
    lines = [f"{'FORKED' if row['forked'] else 'open  '} {row['origin']}: {row['said']}" for row in rows]
    emit(args, rows, lines or ["no entry of this copy says that a checkpoint contradicts another"])
    proof = next((row for row in rows if row["forked"]), None)
    if proof is not None:
        raise VerificationFailed("fork", f"{proof['origin']}: {proof['said']}")
    return OK


def _judged(one: bytes, other: bytes, cards: list[trust.Card]) -> tuple[str, bool, str]:
    try:
        heads = [checkpoint.parse(note.parse(noted).text) for noted in (one, other)]
    except Malformed as cause:
        raise InputRefused(f"a note cannot be read ({cause})") from None
    origin = heads[0].origin
    key = next((key for key in (card.log(origin) for card in cards) if key is not None), None)
    if key is None:
        return origin, False, "no trust card names this log; give its card with --trust too"
    try:
        if is_forked(one, other, key):
            return origin, True, f"it has signed two roots for {heads[0].size} entries"
    except GatewayError as why:
        return origin, False, str(why)
    sizes = sorted(head.size for head in heads)
    return origin, False, f"both are signed; whether {sizes[1]} entries go on from {sizes[0]} only the log shows"


def _kept(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """(number, the note held before, the note that contradicts it) of each entry that has kept both."""
    for leaf, _ in Copy(DirectoryFolder(path), str(path)).entries(0):
        if leaf.kind == "checkpoint.fault":
            one, other = leaf.public.get("known_note"), leaf.public.get("note")
            if isinstance(one, bytes) and isinstance(other, bytes):
                yield leaf.seq, one, other
