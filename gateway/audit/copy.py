"""A copy of a log on an auditor's disk: its entries by their numbers, and what can be proved of each offline.

Nothing is proved by reading; `standing` and `Copy.proof` say what holds. `audit.verify` goes through the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.audit import checkpoint, export, merkle, note, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.leaf import Leaf, open_fields
from gateway.audit.seal import Opener
from gateway.audit.trust import Card
from gateway.errors import InputRefused, Malformed, VerificationFailed


class Payload(StrEnum):
    """What of an entry's sealed part is in the copy. `ERASED` is past its term, `MISSING` is gone before it."""

    NONE = "none"
    INTACT = "intact"
    CHANGED = "changed"
    ERASED = "erased"
    MISSING = "missing"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a trust card says of a copy's checkpoint.

    `signed` is None where there is no card. `cosigned` are the names of the witnesses that count, out of `witnesses`;
    `quorum` whether they are enough. `extends` says whether the log goes on from the head seen last, None where the
    card knows of none.
    """

    signed: bool | None
    cosigned: tuple[str, ...] = ()
    witnesses: int = 0
    quorum: bool = False
    extends: bool | None = None


@dataclass(slots=True)
class Copy:
    """An export by its numbers. Reads a bundle of 256 entries at a time and keeps the last one.

    Raises InputRefused, when made, where the folder is no copy of a log.
    """

    folder: export.Folder
    name: str
    head: Checkpoint = field(init=False)
    has_payloads: bool = field(init=False)
    _noted: bytes = field(init=False)
    _bundle: tuple[int, list[bytes], dict[int, bytes]] = field(init=False, default=(-1, [], {}))
    _tree: tiles.Tree = field(init=False)

    def __post_init__(self) -> None:
        form, noted = self.folder.read("format"), self.folder.read("checkpoint")
        if noted is None or form is None or form.split(b"\n")[0] != export.FORMAT.encode():
            raise InputRefused(f"{self.name}: is not what `limen audit export` wrote")
        try:
            self.head = checkpoint.parse(note.parse(noted).text)
        except Malformed as cause:
            raise InputRefused(f"{self.name}: its checkpoint cannot be read ({cause})") from None
        self._noted = noted
        self.has_payloads = form.split(b"\n")[1:2] == [b"payloads"]
        self._tree = tiles.Tree(self, self.head.size)

    # Entries

    def leaf_bytes(self, seq: int) -> bytes:
        """A leaf's exact bytes. Raises InputRefused where the copy does not have it."""
        return self._read(seq // tiles.WIDTH)[1][seq % tiles.WIDTH]

    def leaf(self, seq: int) -> Leaf:
        """One entry. Raises InputRefused where it cannot be read."""
        try:
            found = Leaf.parse(self.leaf_bytes(seq))
        except Malformed as cause:
            raise InputRefused(f"{self.name}: entry {seq} cannot be read ({cause}); verify the export") from None
        if found.seq != seq:
            raise InputRefused(f"{self.name}: entry {seq} says it is number {found.seq}; verify the export")
        return found

    def payload(self, seq: int) -> bytes | None:
        """Its sealed payload, or None."""
        return self._read(seq // tiles.WIDTH)[2].get(seq)

    def entries(self, start: int) -> Iterator[tuple[Leaf, bytes | None]]:
        """Leaves with their payloads from `start` on, in order. Raises InputRefused."""
        for seq in range(start, self.head.size):
            yield self.leaf(seq), self.payload(seq)

    def _read(self, number: int) -> tuple[int, list[bytes], dict[int, bytes]]:
        if self._bundle[0] != number:
            start = number * tiles.WIDTH
            width = min(tiles.WIDTH, self.head.size - start)
            try:
                data = self.folder.read(tiles.entries_path(number, width))
                leaves = tiles.decode_bundle(data) if data is not None else []
                kept = self.folder.read(export.payloads_path(number)) or b""
                records = export.split_records(kept, "payloads")
            except Malformed as cause:
                raise InputRefused(f"{self.name}: the entries from {start} on cannot be read ({cause})") from None
            if len(leaves) != width:
                raise InputRefused(f"{self.name}: entries from {start} on are missing")
            payloads = {int.from_bytes(record[:8], "big"): record[8:] for record in records}
            self._bundle = (number, leaves, payloads)
        return self._bundle

    # What holds

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """`tiles.Hashes`. Raises VerificationFailed where a tile is missing or has another size."""
        number, at = divmod(start, tiles.WIDTH)
        width = min(tiles.WIDTH, (self.head.size >> tiles.HEIGHT * level) - number * tiles.WIDTH)
        data = self.folder.read(tiles.path(level, number, width))
        if data is None or len(data) != 32 * width:
            raise VerificationFailed("root", f"tile {level}/{number} is missing or has another size")
        return [data[n * 32 : n * 32 + 32] for n in range(at, at + stop - start)]

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries, as the copy's tiles make it. Raises VerificationFailed."""
        return self._tree.root(size) if size else merkle.EMPTY_ROOT

    def is_included(self, seq: int) -> bool:
        """Whether the entry's exact bytes stand at this number under the checkpoint's root."""
        try:
            hash_ = merkle.leaf_hash(self.leaf_bytes(seq))
            merkle.verify_inclusion(seq, self.head.size, hash_, self._tree.inclusion(seq), self.head.root)
        except VerificationFailed:
            return False
        return True

    def payload_state(self, leaf: Leaf) -> Payload:
        """What of the entry's sealed part is here; its term is judged by the copy's newest entry."""
        if not leaf.sealed:
            return Payload.NONE
        held = self.payload(leaf.seq)
        if held is not None:
            return Payload.INTACT if hashlib.sha256(held).digest() == leaf.sealed else Payload.CHANGED
        if not self.has_payloads:
            return Payload.LEFT_OUT
        return Payload.ERASED if leaf.due_ns <= self.leaf(self.head.size - 1).time_ns else Payload.MISSING

    def standing(self, card: Card | None) -> Standing:
        """What the card says of the checkpoint. Raises VerificationFailed where a known key's line does not hold."""
        if card is None:
            return Standing(None)
        parsed = note.parse(self._noted)
        log = card.log(self.head.origin)
        signed = log is not None and bool(note.verify(parsed, [log]))
        keys = {key: name for name, key in card.quorum.witnesses.items()}
        names = tuple(sorted(keys[good.verifier] for good in note.verify(parsed, keys)))
        seen = [head for head in card.seen if head.origin == self.head.origin]
        return Standing(
            signed,
            names,
            len(keys),
            card.quorum.holds(names),
            all(self._extends(head) for head in seen) if seen else None,
        )

    def _extends(self, head: Checkpoint) -> bool:
        try:
            return head.size <= self.head.size and self.root(head.size) == head.root
        except VerificationFailed:
            return False


def opened(leaf: Leaf, payload: bytes | None, opener: Opener | None) -> Mapping[str, Any]:
    """The sealed fields that this reader may see; none without a key or a payload, or where it is not for the key.

    Raises:
        VerificationFailed: a value is not the one that was committed to. Position is the leaf's number.
    """
    if opener is None or payload is None:
        return {}
    try:
        parts = opener.open(payload)
    except (Malformed, VerificationFailed):
        return {}
    return open_fields(leaf, parts.secret) | open_fields(leaf, parts.guard)
