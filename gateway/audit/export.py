"""The log as a folder of files that verifies with no gateway, no network and no configuration.

    format              "limen.export/1", then "payloads" or "no payloads", then "receipts" and how many there are
    checkpoint          the signed note with its cosignatures (C2SP tlog-checkpoint)
    history             earlier cosigned notes, oldest first
    tile/<L>/<N>        hashes (C2SP tlog-tiles), partial ones with .p/<W>
    tile/entries/<N>    leaves
    payloads/<N>        sealed payloads of the entries of one bundle, those that are still kept
    receipts            signed messages whose hashes stand in leaves

A folder of one pair (`pair_files`) has the entries about one peer, each with its proof, and where they end:

    format              "limen.pair/1", the peer, then as above
    checkpoint          as above
    entries             records: canonical CBOR [leaf, inclusion proof]
    heads               canonical CBOR [leaf of the last entry, inclusion proof, salt, hashes] (`audit.pairs`)
    payloads            sealed payloads of those entries
    receipts            signed messages whose hashes stand in those leaves

Records in `history`, `payloads/<N>`, `entries` and `receipts` have their length in 4 bytes, big-endian, in front; a
payload's record begins with its entry's number in 8 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.audit import checkpoint, merkle, note, pairs, tiles
from gateway.audit.erasure import ERASED, LOST, ORDERED
from gateway.audit.leaf import Leaf
from gateway.errors import Malformed, NotFoundOrNotPermitted
from gateway.primitives import cbor

FORMAT: Final = "limen.export/1"
PAIR_FORMAT: Final = "limen.pair/1"
_ERASING: Final = tuple(cbor.encode(name) for name in (ERASED, LOST, ORDERED))

RECORD_BYTES_MAX: Final = 32 << 20
"""Longest record taken, bytes."""


class Source(Protocol):
    """A log to export: `store.reader` or `store.memory`."""

    def last_checkpoint(self, cosignatures: int = 0) -> tuple[bytes, bytes] | None:
        """The newest note with at least so many cosignatures, and its digest."""

    def cosigned_checkpoints(self, size: int) -> Sequence[tuple[int, bytes]]:
        """Every cosigned note up to this size, oldest first."""

    def leaves(self, start: int, stop: int) -> Sequence[bytes]:
        """Leaves in order."""

    def payloads(self, start: int, stop: int) -> Sequence[tuple[int, bytes]]:
        """Payloads with their numbers."""

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Hashes of a tile row."""


class Folder(Protocol):
    """The files of an export, by their path in it."""

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed message as evidence: `peer` is the other state, the SHA-256 of `body` stands in a leaf."""

    peer: str
    body: bytes = field(repr=False)
    header: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What a leaf's `manifest_hash` is."""
        return hashlib.sha256(self.body).digest()

    def encode(self) -> bytes:
        """Canonical CBOR `[peer, body, header, signature]`."""
        return cbor.encode([self.peer, self.body, self.header, self.signature])

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Read it back. Raises Malformed."""
        value = cbor.decode(data, field="receipt", limit=RECORD_BYTES_MAX)
        if not (
            isinstance(value, list)
            and len(value) == 4
            and isinstance(value[0], str)
            and all(isinstance(part, bytes) for part in value[1:])
        ):
            raise Malformed("receipt", "not a peer and a signed message")
        return cls(*value)


def files(
    source: Source, *, cosignatures: int = 0, payloads: bool = True, receipts: Iterable[Receipt] = ()
) -> Iterator[tuple[str, bytes]]:
    """Every file of the export, `(path, bytes)`.

    The newest checkpoint with at least `cosignatures` is exported, and the log up to its size. Of `receipts` those are
    taken that an entry up to there names.

    Raises:
        NotFoundOrNotPermitted: no such checkpoint was published yet, or payloads were erased that no entry up to there
            says to be.
    """
    last = source.last_checkpoint(cosignatures)
    if last is None:
        raise NotFoundOrNotPermitted("no checkpoint with so many cosignatures was published yet")
    noted = last[0]
    size = checkpoint.parse(note.parse(noted).text).size
    yield "checkpoint", noted
    yield "history", records(held for _, held in source.cosigned_checkpoints(size))
    wanted = {one.digest: one for one in receipts}
    named: list[bytes] = []
    for level, number, width in tiles.widths(size):
        start = number * tiles.WIDTH
        yield tiles.path(level, number, width), b"".join(source.hashes(level, start, start + width))
        if level == 0:
            bundle = tiles.encode_bundle(source.leaves(start, start + width))
            yield tiles.entries_path(number, width), bundle
            named += [wanted.pop(digest).encode() for digest in list(wanted) if digest in bundle]
            kept = source.payloads(start, start + width) if payloads else ()
            if kept:
                yield (
                    payloads_path(number),
                    records(seq.to_bytes(8, "big") + sealed for seq, sealed in kept),
                )
    yield "receipts", records(named)
    # Payloads may have gone before we began and while we read; a copy that lacks them must say why.
    start = size
    while payloads and (later := source.leaves(start, start + tiles.WIDTH)):
        start += len(later)
        if any(any(name in leaf for name in _ERASING) for leaf in later):
            raise NotFoundOrNotPermitted(
                "payloads were erased after the newest checkpoint with so many cosignatures; export again in a moment"
            )
    # The last file: what was broken off before has none, and so is no export.
    yield "format", f"{FORMAT}\n{_holds(payloads, len(named))}".encode()


def _holds(payloads: bool, receipts: int) -> str:
    """The lines of `format` that say what the folder has, so that what was taken out is missed."""
    return f"{'payloads' if payloads else 'no payloads'}\nreceipts {receipts}\n"


class PairSource(Source, Protocol):
    """A log of which one pair can be shown."""

    def inclusion(self, seq: int, size: int) -> Sequence[bytes]:
        """The proof that an entry is in the tree of this size."""

    def pair_key(self) -> bytes:
        """The key that opens places of `pair.heads`."""


def pair_files(
    source: PairSource, peer: str, *, cosignatures: int = 0, payloads: bool = True, receipts: Iterable[Receipt] = ()
) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder that shows the entries about one peer and nothing of others.

    Raises:
        Malformed: not a state.
        NotFoundOrNotPermitted: no such checkpoint was published yet, none since pairs are kept, or no entry names the
            peer.
    """
    pairs.place(peer)
    last = source.last_checkpoint(cosignatures)
    if last is None:
        raise NotFoundOrNotPermitted("no checkpoint with so many cosignatures was published yet")
    size = checkpoint.parse(note.parse(last[0]).text).size
    heads: dict[str, pairs.Head] = {}
    shown: list[tuple[int, bytes]] = []
    ending = b""
    for start in range(0, size, tiles.WIDTH):
        for seq, data in enumerate(source.leaves(start, min(start + tiles.WIDTH, size)), start):
            read = Leaf.parse(data)
            if read.peer:
                heads[read.peer] = pairs.Head(read.pair_seq, merkle.leaf_hash(data))
            if read.peer == peer:
                shown.append((seq, data))
            ending = data if read.kind == pairs.KIND else b""
    if not ending:
        raise NotFoundOrNotPermitted("the newest checkpoint does not say where pairs stand; wait for the next tick")
    if peer not in heads:
        raise NotFoundOrNotPermitted(f"no entry names {peer} yet")
    yield "checkpoint", last[0]
    yield "entries", records(cbor.encode([data, list(source.inclusion(seq, size))]) for seq, data in shown)
    opening = pairs.open_(heads, source.pair_key(), size - 1, peer)
    proof = list(source.inclusion(size - 1, size))
    yield "heads", cbor.encode([ending, proof, opening.salt, list(opening.siblings)])
    if payloads:
        kept = (pair for seq, _ in shown for pair in source.payloads(seq, seq + 1))
        yield "payloads", records(seq.to_bytes(8, "big") + sealed for seq, sealed in kept)
    leaves = b"".join(data for _, data in shown)
    named = [one for one in receipts if one.peer == peer and one.digest in leaves]
    yield "receipts", records(one.encode() for one in named)
    yield "format", f"{PAIR_FORMAT}\n{peer}\n{_holds(payloads, len(named))}".encode()


def is_pair(folder: Folder) -> bool:
    """Whether a folder shows one pair."""
    return (folder.read("format") or b"").startswith(PAIR_FORMAT.encode() + b"\n")


def ending(folder: Folder) -> Leaf:
    """The last entry of the tree that a folder of one pair is of. Nothing is verified. Raises Malformed."""
    value = cbor.decode(folder.read("heads") or b"", field="heads", limit=1 << 20)
    if not isinstance(value, list) or not value or not isinstance(value[0], bytes):
        raise Malformed("heads", "not an entry with its proof")
    return Leaf.parse(value[0])


def read_pair(folder: Folder) -> Iterator[tuple[Leaf, bytes | None]]:
    """The leaves of a folder of one pair with their payloads. Nothing is verified. Raises Malformed."""
    kept = {
        int.from_bytes(record[:8], "big"): record[8:]
        for record in split_records(folder.read("payloads") or b"", "payloads")
    }
    for record in split_records(folder.read("entries") or b"", "entries"):
        value = cbor.decode(record, field="entries", limit=1 << 20)
        if not isinstance(value, list) or not value or not isinstance(value[0], bytes):
            raise Malformed("entries", "not an entry with its proof")
        leaf = Leaf.parse(value[0])
        yield leaf, kept.get(leaf.seq)


def payloads_path(number: int) -> str:
    """Where the payloads of entry bundle `number` are."""
    return "payloads/" + tiles.entries_path(number).removeprefix("tile/entries/")


def records(items: Iterable[bytes]) -> bytes:
    """Length-prefixed records."""
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


def split_records(data: bytes, field: str) -> list[bytes]:
    """The records again. Raises Malformed when the bytes end within one."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 4
        size = int.from_bytes(data[at:start], "big")
        if start > len(data) or size > RECORD_BYTES_MAX or start + size > len(data):
            raise Malformed(field, "the bytes end within a record")
        found.append(data[start : start + size])
        at = start + size
    return found


class MemoryFolder(dict[str, bytes]):
    """An export in memory; a folder on disk is `store.folder`."""

    def read(self, path: str) -> bytes | None:
        """The file, or None."""
        return self.get(path)
