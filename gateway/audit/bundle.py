"""Evidence: some entries of a log, each with the proof that it stands there, for whoever does not get the whole log.

A **bundle** is canonical CBOR

    ["limen.bundle/1", checkpoint note, card text, [[index, leaf, [hash, ...], {name: [salt, value]}], ...]]

where `value` is the canonical CBOR of a sealed field, as a byte string, so that it can be compared with the leaf's
commitment without encoding anything. A **proof** is one entry as C2SP tlog-proof has it (`c2sp.org/tlog-proof@v1`) with
the leaf as its `extra` data: it is not authenticated there, and needs not be, for it is what is hashed.

The card in a bundle is a copy for whoever compares it; it is never the one that counts.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from gateway.audit import checkpoint, export, merkle, note, tiles
from gateway.audit.leaf import LEAF_BYTES_MAX, Leaf
from gateway.audit.trust import Card
from gateway.audit.verify import Head, Report
from gateway.errors import Malformed, NotFoundOrNotPermitted, VerificationFailed
from gateway.primitives import cbor

FORMAT: Final = "limen.bundle/1"
PROOF_FORMAT: Final = "c2sp.org/tlog-proof@v1"

BUNDLE_BYTES_MAX: Final = 16 << 20
"""Longest bundle taken, bytes."""
PROOF_BYTES_MAX: Final = 256 << 10
"""Longest proof taken, bytes: a leaf in base64, 63 hashes and a note."""
PATH_MAX: Final = 63
"""Most hashes of one proof: a tree has fewer than 2^63 leaves."""

STEPS: Final = ("signature", "quorum", "history", "inclusion", "sequence", "commitments")
"""What is judged of evidence, in order."""

_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry: its number, its bytes, the path to the root (leaf's sibling first), and the fields that are opened,
    each with its salt (16 bytes) and the canonical CBOR of its value."""

    index: int
    leaf: bytes
    path: tuple[bytes, ...] = ()
    opened: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Entries in the order of their numbers under one checkpoint. `card` is "" where no card goes along."""

    checkpoint: bytes
    pieces: tuple[Piece, ...]
    card: str = ""

    def encode(self) -> bytes:
        """The one encoding."""
        rows = [
            [one.index, one.leaf, list(one.path), {name: list(pair) for name, pair in one.opened.items()}]
            for one in self.pieces
        ]
        return cbor.encode([FORMAT, self.checkpoint, self.card, rows])

    @classmethod
    def parse(cls, data: bytes) -> Bundle:
        """Read it back, strictly. Raises Malformed."""
        value = cbor.decode(data, field="bundle", limit=BUNDLE_BYTES_MAX)
        if not (isinstance(value, list) and len(value) == 4 and value[0] == FORMAT):
            raise Malformed("bundle", f"not of the form {FORMAT}")
        _, noted, card, rows = value
        if not (isinstance(noted, bytes) and isinstance(card, str) and isinstance(rows, list)):
            raise Malformed("bundle", "not a checkpoint, a card and entries")
        pieces = tuple(map(_piece, rows))
        if any(one.index >= two.index for one, two in pairwise(pieces)):
            raise Malformed("bundle", "the entries are not in the order of their numbers")
        return cls(noted, pieces, card)

    def as_proof(self) -> bytes:
        """The only entry as a tlog-proof; opened fields do not go along. Raises ValueError for another count."""
        (piece,) = self.pieces
        lines = [PROOF_FORMAT, f"extra {_text(piece.leaf)}", f"index {piece.index}", *map(_text, piece.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse_proof(cls, data: bytes) -> Bundle:
        """Read a tlog-proof whose extra data are a leaf, strictly. Raises Malformed."""
        if len(data) > PROOF_BYTES_MAX:
            raise Malformed("proof", "too long")
        head, blank, noted = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise Malformed("proof", "not ASCII before the checkpoint") from None
        if lines[0] != PROOF_FORMAT or not blank:
            raise Malformed("proof", f"not of the form {PROOF_FORMAT}, with a checkpoint")
        if len(lines) < 3 or not lines[1].startswith("extra "):
            raise Malformed("proof", "there is no extra line, which holds the entry")
        index = _INDEX.match(lines[2])
        if index is None:
            raise Malformed("proof", "the third line is not an index")
        path = tuple(map(_bytes, lines[3:]))
        if len(path) > PATH_MAX or any(len(one) != merkle.HASH_BYTES for one in path):
            raise Malformed("proof", "a path has at most 63 hashes of 32 bytes")
        leaf = _bytes(lines[1].removeprefix("extra "))
        if len(leaf) > LEAF_BYTES_MAX:
            raise Malformed("proof", "the entry is too long")
        return cls(noted, (Piece(int(index[1]), leaf, path),))


def parse(data: bytes) -> tuple[Bundle, bool]:
    """Either form, and whether it was a single proof. Raises Malformed."""
    if data.startswith(PROOF_FORMAT.encode() + b"\n"):
        return Bundle.parse_proof(data), True
    return Bundle.parse(data), False


def _piece(row: object) -> Piece:
    if not (isinstance(row, list) and len(row) == 4):
        raise Malformed("bundle", "an entry has four parts")
    index, leaf, path, opened = row
    if type(index) is not int or not 0 <= index < 1 << 63 or not isinstance(leaf, bytes) or len(leaf) > LEAF_BYTES_MAX:
        raise Malformed("bundle", "an entry begins with its number and its leaf")
    if not isinstance(path, list) or len(path) > PATH_MAX:
        raise Malformed("bundle", "a path has at most 63 hashes")
    if any(not isinstance(one, bytes) or len(one) != merkle.HASH_BYTES for one in path):
        raise Malformed("bundle", "a hash has 32 bytes")
    if not isinstance(opened, dict):
        raise Malformed("bundle", "opened fields are a map")
    fields: dict[str, tuple[bytes, bytes]] = {}
    for name, pair in opened.items():
        if not (
            isinstance(name, str)
            and isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(part, bytes) for part in pair)
            and len(pair[0]) == _SALT_BYTES
        ):
            raise Malformed("bundle", "an opened field has a name, a salt of 16 bytes and a value")
        fields[name] = (pair[0], pair[1])
    return Piece(index, leaf, tuple(path), fields)


_SALT_BYTES: Final = 16


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("proof", "not base64") from None
    if _text(raw) != text:
        raise Malformed("proof", "not the canonical base64")
    return raw


# -- Making -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tiles:
    """`tiles.Hashes` over an export."""

    folder: export.Folder
    size: int

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        number = start // tiles.WIDTH
        data = self.folder.read(tiles.path(level, number, stop - start))
        if data is None:
            raise Malformed("export", f"tile {level}/{number} is not there")
        return tiles.split_tile(data)


def make(
    folder: export.Folder,
    entries: Iterable[int],
    *,
    opened: Mapping[int, Mapping[str, tuple[bytes, bytes]]] | None = None,
    card: str = "",
) -> Bundle:
    """Evidence for these entries of an export. Nothing is verified here; whoever makes it verifies the export first.

    `opened` are fields to open, by entry (`leaf.opened_pairs`).

    Raises:
        NotFoundOrNotPermitted: no such entry.
        Malformed: not an export.
    """
    noted = folder.read("checkpoint")
    if noted is None:
        raise Malformed("checkpoint", "there is none")
    size = checkpoint.parse(note.parse(noted).text).size
    tree = tiles.Tree(_Tiles(folder, size), size)
    pieces = []
    for index in sorted(set(entries)):
        if not 0 <= index < size:
            raise NotFoundOrNotPermitted(f"there is no entry {index}: the export has 0 to {size - 1}")
        number, offset = divmod(index, tiles.WIDTH)
        data = folder.read(tiles.entries_path(number, min(tiles.WIDTH, size - number * tiles.WIDTH)))
        leaves = tiles.decode_bundle(data) if data is not None else []
        if offset >= len(leaves):
            raise Malformed("export", f"entry {index} is not there")
        pieces.append(Piece(index, leaves[offset], tuple(tree.inclusion(index)), (opened or {}).get(index, {})))
    return Bundle(noted, tuple(pieces), card)


# -- Verifying --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found: the report, and the entries as far as they can be read."""

    report: Report
    form: str
    entries: tuple[tuple[Leaf, Mapping[str, Any]], ...]
    """Each with its opened fields."""

    def as_json(self) -> dict[str, Any]:
        """The document of `limen audit verify --json` for evidence."""
        return {
            "form": self.form,
            **self.report.as_json(),
            "entries": [
                {
                    "seq": leaf.seq,
                    "time_ns": leaf.time_ns,
                    "kind": leaf.kind,
                    "phase": leaf.phase.value,
                    "peer": leaf.peer,
                    "public": _plain(leaf.public),
                    "opened": _plain(opened),
                }
                for leaf, opened in self.entries
            ],
        }


def _plain(value: Any) -> Any:
    """Bytes as hex, in lists and maps too."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(one) for name, one in value.items()}
    return value


def inspect(data: bytes, card: Card) -> Evidence:
    """Judge a bundle or a proof and say how each step went.

    Raises:
        Malformed: neither form.
    """
    held, is_proof = parse(data)
    found = Head(card)
    found.judge(held.checkpoint)
    point = found.head
    for seen in card.seen:
        if seen.origin == point.origin and seen.size == point.size and seen.root != point.root:
            found.fault("history", "the trust card has seen another log of this size", point.size)
    entries: list[tuple[Leaf, Mapping[str, Any]]] = []
    opened = 0
    for one in held.pieces:
        try:
            merkle.verify_inclusion(one.index, point.size, merkle.leaf_hash(one.leaf), one.path, point.root)
        except VerificationFailed as why:
            found.fault("inclusion", f"its path does not lead to the signed root: {why.why}", one.index)
        try:
            leaf = Leaf.parse(one.leaf)
        except Malformed as why:
            found.fault("sequence", f"the leaf cannot be read: {why}", one.index)
            continue
        if leaf.seq != one.index:
            found.fault("sequence", f"the leaf says it is number {leaf.seq}", one.index)
        fields: dict[str, Any] = {}
        for name, (salt, encoded) in one.opened.items():
            named = name.encode()
            made = hashlib.sha256(salt + len(named).to_bytes(2, "big") + named + encoded).digest()
            try:
                value = cbor.decode(encoded, field="opened", limit=BUNDLE_BYTES_MAX)
            except Malformed:
                found.fault("commitments", "an opened field cannot be read", one.index)
                continue
            if leaf.commitments.get(name) != made:
                found.fault("commitments", "an opened field is not the one committed to", one.index)
                continue
            fields[name] = value
            opened += 1
        entries.append((leaf, fields))
    count = len(held.pieces)
    details = {
        "history": "no head of this size is on the card, or it is this one",
        "inclusion": f"{count} entries stand in the tree of {point.size}",
        "sequence": f"{count} entries are of a known form and say their own numbers",
        "commitments": f"{opened} opened fields are as committed to",
    }
    steps = found.steps(STEPS, details)
    return Evidence(
        Report(
            point.origin, point.size, point.root, tuple(found.cosigned), steps,
            _proved(found, count, opened) if all(step.ok for step in steps) else (), _not_proved(found, held, card),
        ),
        "proof" if is_proof else "bundle",
        tuple(entries),
    )  # fmt: skip


def _proved(found: Head, count: int, opened: int) -> tuple[str, ...]:
    said = [
        f"Each of these {count} entries stands, as it is here, at its number in the log that {found.head.origin} has "
        f"signed with {found.head.size} entries."
    ]
    if found.cosigned:
        names = ", ".join(name for name, _ in found.cosigned)
        said.append(f"{names} saw the same log, so its operator has not shown another one to them.")
    if opened:
        said.append(f"{opened} opened fields are the ones committed to at the time.")
    return tuple(said)


def _not_proved(found: Head, held: Bundle, card: Card) -> tuple[str, ...]:
    said = [
        "That there is nothing else: whoever chose these entries may have left others out.",
        "That the rest of the log holds: no gap, no answer without its decision; only an export shows it.",
        "That what an entry says is true.",
    ]
    if not found.cosigned:
        said.append("That the operator shows everybody the same log: no witness has cosigned.")
    if any(seen.origin == found.head.origin and seen.size != found.head.size for seen in card.seen):
        said.append("That this log extends what the card has seen before: only an export shows it.")
    if held.card:
        said.append("That the bundle's own trust card is right: only the one you gave was used.")
    return tuple(said)
