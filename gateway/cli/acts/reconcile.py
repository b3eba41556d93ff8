"""`limen audit reconcile`: two states' copies held against each other, with no node and no network."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.audit import checkpoint, export, merkle, note, pairs, trust, verify
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.copy import Copy
from gateway.audit.leaf import Leaf
from gateway.cli import inputs
from gateway.cli.main import OK
from gateway.cli.output import emit
from gateway.errors import InputRefused, Malformed, VerificationFailed
from gateway.federation import document
from gateway.flows import reconcile
from gateway.primitives import cbor
from gateway.store.folder import DirectoryFolder

BLOCK = 16
"""Entries between the checkpoints of logs that began before trees ended with `pair.heads`."""


@dataclass(frozen=True)
class Side:
    """A copy that verifies, and whose it is."""

    path: Path
    folder: DirectoryFolder
    state: str
    origin: str

    def names(self, card: trust.Card) -> bool:
        """Whether the card is of this log."""
        return card.log(self.origin) is not None


def run(args: argparse.Namespace) -> int:
    """Verify both copies, compare them, tell what was found. Raises VerificationFailed where anything was."""
    sides, members, _ = sides_of(args)
    logs = [_log(side, other.state, members) for side, other in (sides, sides[::-1])]
    result = reconcile.compare(*logs)
    emit(args, _told(result, logs), list(_lines(result, logs)))
    if result.findings:
        found = next((one for one in result.findings if one.fault), result.findings[0])
        raise VerificationFailed("reconcile", f"{found.log}'s log: {found.said}", position=found.position)
    return OK


def sides_of(args: argparse.Namespace) -> tuple[list[Side], list[dict[str, document.Member]], list[trust.Card]]:
    """Both copies, each verified under its card, and whose they are. Raises InputRefused, VerificationFailed."""
    members = [members_of(path) for path in args.federation]
    cards = [trust.Card.parse(read_file(path).decode("utf-8", "replace")) for path in args.trust]
    sides = [side_of(path, cards, members) for path in (args.one, args.other)]
    if sides[0].state == sides[1].state:
        raise InputRefused(f"both copies are {sides[0].state}'s log; give one of each side")
    return sides, members, cards


def side_of(path: Path, cards: list[trust.Card], members: list[dict[str, document.Member]]) -> Side:
    """A copy that verifies under one of the cards. Raises InputRefused, VerificationFailed."""
    folder = DirectoryFolder(path)
    noted = folder.read("checkpoint")
    if noted is None:
        raise InputRefused(f"{path}: is not what `limen audit export` wrote")
    try:
        origin = checkpoint.parse(note.parse(noted).text).origin
    except Malformed as cause:
        raise InputRefused(f"{path}: its checkpoint cannot be read ({cause})") from None
    card = next((card for card in cards if card.log(origin) is not None), None)
    if card is None:
        raise InputRefused(f"{path}: no trust card names the log {origin}; give its card with --trust too")
    key = card.log(origin)
    state = next(
        (state for listed in members for state, one in listed.items() if key is not None and one.log_vkey == key.vkey),
        None,
    )
    if state is None:
        raise InputRefused(f"{path}: no list of members has the key that the card has for the log {origin}")
    try:
        fault = verify.inspect(folder, card).fault()
    except Malformed as cause:
        raise InputRefused(f"{path}: is not an export of a log ({cause})") from None
    if fault is not None:
        raise VerificationFailed(fault.step, f"{path}: {fault.why}", position=fault.position)
    return Side(path, folder, state, origin)


def _log(side: Side, other: str, members: list[dict[str, document.Member]]) -> reconcile.Log:
    entries, times, sizes = [], [0, 0], []
    for data in leaves_of(side, other):
        leaf = Leaf.parse(data)
        times = [times[0] or leaf.time_ns, leaf.time_ns]
        if leaf.peer == other:
            entries.append(reconcile.Written(leaf, merkle.leaf_hash(data)))
        # A checkpoint is signed after an entry of where each pair stands; in a log of the form before, after a block.
        if leaf.kind == pairs.KIND or (leaf.seq + 1) % BLOCK == 0:
            sizes.append(leaf.seq + 1)
    keys = {key.public for listed in members if side.state in listed for key in listed[side.state].message_keys}
    receipts = [export.Receipt.parse(one) for one in export.split_records(side.folder.read("receipts") or b"", "")]
    if export.is_pair(side.folder):
        times[1] = max(times[1], export.ending(side.folder).time_ns)
        return reconcile.Log(side.state, entries, sorted(keys), receipts, times[0], times[1])
    copy = Copy(side.folder, str(side.path))
    shown = frozenset(Checkpoint(side.origin, size, copy.root(size)).digest for size in sizes)
    return reconcile.Log(side.state, entries, sorted(keys), receipts, times[0], times[1], shown)


def leaves_of(side: Side, other: str) -> Iterator[bytes]:
    """The bytes of each leaf of a whole copy, or of those about the other side. Raises InputRefused."""
    if not export.is_pair(side.folder):
        copy = Copy(side.folder, str(side.path))
        yield from (copy.leaf_bytes(seq) for seq in range(copy.head.size))
        return
    peer = (side.folder.read("format") or b"").split(b"\n")[1].decode()
    if peer != other:
        raise InputRefused(f"{side.path}: shows {side.state}'s entries about {peer}, not about {other}")
    for record in export.split_records(side.folder.read("entries") or b"", "entries"):
        yield cbor.decode(record, field="entries", limit=1 << 20)[0]


def members_of(path: Path) -> dict[str, document.Member]:
    """Members of a list by their state. Raises InputRefused."""
    try:
        listed = document.parse(read_file(path)).document
    except Malformed as cause:
        raise InputRefused(f"{path}: {cause}") from None
    return {str(member.state): member for member in listed.members}


def _told(result: reconcile.Result, logs: list[reconcile.Log]) -> dict[str, Any]:
    return {
        "ok": not result.findings,
        "states": [log.state for log in logs],
        "matched": result.matched,
        "findings": [
            {
                "what": one.what.value,
                "fault": one.fault or None,
                "log": one.log,
                "position": one.position,
                "until": one.until,
                "said": one.said,
                "proof": {"signer": one.signer, "header": one.header.hex(), "signature": one.signature.hex()}
                if one.header
                else None,
            }
            for one in result.findings
        ],
        "open": [{"log": state, "position": seq} for state, seq in result.open],
        "bound": dict(result.bound),
        "newer": dict(result.newer),
    }


def _lines(result: reconcile.Result, logs: list[reconcile.Log]) -> Iterator[str]:
    yield f"{logs[0].state} and {logs[1].state}: {result.matched} messages and documents stand in both logs alike"
    for one in result.findings:
        where = f"entry {one.position}" if one.until == one.position else f"entries {one.position} to {one.until}"
        whose = f"{one.fault} is at fault" if one.fault else "nobody's fault can be proved"
        proof = f", proved by a message that {one.signer} signed" if one.header else ""
        yield f"  {one.what.value:<10} {one.log}, {where}: {one.said} ({whose}{proof})"
    for log in logs:
        bound = result.bound[log.state]
        alone = [seq for state, seq in result.open if state == log.state]
        yield f"{log.state}: {bound} of its {len(log.entries)} entries are bound by messages that it signed"
        if result.newer[log.state]:
            yield f"  {result.newer[log.state]} of its messages are newer than its copy: take a newer one to judge them"
        if alone:
            yield (
                f"  {len(alone)} were sent and have no counterpart (not delivered, or broken off): "
                f"{', '.join(map(str, alone[:8]))}{' ...' if len(alone) > 8 else ''}"
            )
    yield "not proved: that what both sides say alike is true; anything that neither has entered; what comes after the"
    yield "  newest message of a side, which only a later message will bind."


def read_file(path: Path) -> bytes:
    """A file that the user named. Raises InputRefused."""
    return inputs.bytes_of(path, refusal=InputRefused)
