"""What each party has in front of it after a step: the officer's screen, the other state's log, the home auditor's
reading of the asker's log, and the bytes on the line. All of it read from the run, nothing made up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.leaf import Leaf, open_fields
from gateway.audit.seal import Opener
from gateway.cli.acts.demo.line import Line
from gateway.cli.acts.nodes import Node, Nodes
from gateway.cli.report.record import View
from gateway.keyring import files
from gateway.store import db
from gateway.store.reader import Reader

SHOWN_BYTES: Final = 48
"""How much of a message the report prints."""

ENTRIES_MAX: Final = 6
"""How many entries of a log one step shows: the last ones."""

_SUBJECTS: Final = frozenset({"check", "case", "release"})
"""Kinds of entries a step is about; a node's own housekeeping is left out."""

_WHOLE_WORDS: Final = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """Where logs and lines stood before a step between two states."""

    asker: str
    owner: str
    sizes: Mapping[str, int]
    passed: Mapping[str, tuple[int, int]]


@contextlib.contextmanager
def reading(node: Node) -> Iterator[Reader]:
    """The node's own store, read beside it."""
    reader = Reader(node.folder / "store", node.folder / "periods")
    try:
        yield reader
    finally:
        reader.close()


def mark(nodes: Nodes, lines: Mapping[str, Line], asker: str, owner: str) -> Mark:
    """Where we stand now."""
    sizes = {}
    for state in (asker, owner):
        with reading(nodes[state]) as reader:
            sizes[state] = reader.size()
    return Mark(asker, owner, sizes, {state: lines[state].passed() for state in (asker, owner)})


def views(
    nodes: Nodes, lines: Mapping[str, Line], begun: Mark, screen: str, at: str = "", beneath: Sequence[str] = ()
) -> tuple[View, ...]:
    """What the four see of what happened since. `screen` is the officer's own output, in the state `at` (the asker
    where that is empty), `beneath` lines about messages under the encryption that a step got hold of itself."""
    asker, owner = begun.asker, begun.owner
    found = [View(f"officer in {at or asker}", "on the screen", screen)] if screen else []
    found.append(
        View(owner, f"all that its log says of it, from entry {begun.sizes[owner]}", _log(nodes, begun, owner))
    )
    found.append(View(f"home auditor of {asker}", f"the log of {asker}, opened with the auditor's key",
                      _log(nodes, begun, asker, opened=True)))  # fmt: skip
    found.append(
        View(
            "the wire",
            "TLS 1.3 between the gateways; the nodes' own traffic and other states' is among it",
            _wire(nodes, lines, begun, beneath),
        )
    )
    return tuple(found)


def _log(nodes: Nodes, begun: Mark, state: str, *, opened: bool = False) -> str:
    """The new entries about the other state or about a case, one a line."""
    node = nodes[state]
    other = begun.owner if state == begun.asker else begun.asker
    opener = Opener(_reader_key(node)) if opened else None
    told = []
    with reading(node) as reader:
        for leaf in map(Leaf.parse, reader.leaves(begun.sizes[state], reader.size())):
            if leaf.kind.partition(".")[0] not in _SUBJECTS or leaf.peer not in ("", other):
                continue
            said = words(leaf.public)
            payload = reader.payload(leaf.seq) if opener is not None else None
            if opener is not None and payload:
                sealed = opener.open(payload)
                inside = {
                    name: value
                    for part in (sealed.secret, sealed.guard)
                    if part
                    for name, value in open_fields(leaf, part).items()
                }
                said += f"\n  opened: {words(inside)}" if words(inside) else ""
            elif leaf.commitments:
                said += f"\n  sealed: {', '.join(sorted(leaf.commitments))}"
            told.append(f"{leaf.seq} {leaf.kind} {leaf.phase.value}: {said}")
    if not told:
        return "nothing: no entry"
    more = len(told) - ENTRIES_MAX
    return "\n".join(([f"... {more} more"] if more > 0 else []) + told[-ENTRIES_MAX:])


def _reader_key(node: Node) -> bytes:
    held = files.read_secret(node.folder / "handover" / "auditor.key", "auditor")
    try:
        return held.copy()
    finally:
        held.free()


def words(fields: Mapping[str, Any]) -> str:
    """Fields on a line, long values cut."""
    return ", ".join(
        f"{name} {_short(value)}" for name, value in sorted(fields.items()) if value not in ("", b"", [], None)
    )


def _short(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _WHOLE_WORDS else f"{text[:12]}... ({len(text)})"


def _wire(nodes: Nodes, lines: Mapping[str, Line], begun: Mark, beneath: Sequence[str]) -> str:
    told = []
    for state in (begun.owner, begun.asker):
        line, (up, down) = lines[state], begun.passed[state]
        came, left = bytes(line.up[up:]), bytes(line.down[down:])
        told.append(f"at {state}'s door {len(came):,} B in, {len(left):,} B out")
        told += [f"{way} {dump(data)}" for way, data in (("in  ", came), ("out ", left)) if data]
    reply = last_reply(nodes[begun.owner], begun.asker) if _answered(nodes, begun) else None
    if reply is not None:
        body, header, signature = reply
        told += [
            f"beneath the encryption, {begun.owner}'s last answer to a check, as it keeps it to repeat it:",
            f"body {len(body):,} B      {dump(body)}",
            f"header {len(header)} B     {dump(header)}",
            f"signature {len(signature)} B  {dump(signature)}",
        ]
    return "\n".join([*told, *beneath])


def _answered(nodes: Nodes, begun: Mark) -> bool:
    with reading(nodes[begun.owner]) as reader:
        leaves = map(Leaf.parse, reader.leaves(begun.sizes[begun.owner], reader.size()))
        return any(leaf.kind == "check.answer" and leaf.peer == begun.asker for leaf in leaves)


def dump(data: bytes) -> str:
    """The first bytes in hexadecimal."""
    return data[:SHOWN_BYTES].hex(" ", 4) + (" ..." if len(data) > SHOWN_BYTES else "")


def last_reply(node: Node, asker: str) -> tuple[bytes, bytes, bytes] | None:
    """Body, header and signature of the newest reply this node gave the asker and still keeps."""
    store = db.open_reader(node.folder / "store" / db.FILE)
    try:
        row: tuple[bytes, bytes, bytes] | None = store.execute(
            "SELECT body, header, signature FROM reply WHERE peer = ? AND body IS NOT NULL"
            " ORDER BY expires_ns DESC, rowid DESC LIMIT 1",
            (asker,),
        ).fetchone()
    finally:
        store.close()
    return row


__all__ = ["Mark", "dump", "last_reply", "mark", "reading", "views", "words"]
