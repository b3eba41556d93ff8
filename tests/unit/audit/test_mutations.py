"""R2: whatever is done to an exported log, both verifiers find it and name the same place.

What is no part of the log is not spoiled here: notes of the history and receipts may be left out, a receipt's header
and signature have no key on a card, and cosignatures beyond the quorum are not asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gateway.audit import checkpoint, cosign, export, merkle, note, tiles
from gateway.audit.leaf import Leaf
from gateway.primitives import cbor
from tests.unit.audit.both import MadeWithCases, Verdict, both, card
from tests.unit.audit.log import LOG, LOG_KEY, ORIGIN, WITNESS_KEYS, WITNESSES

SHORT, LONG, PIECE = 200, 10_000, 500


@dataclass(frozen=True)
class Spoiled:
    """A folder, and the entries between which the fault must be named; none where `low` is above `high`."""

    folder: export.MemoryFolder
    low: int = 1
    high: int = 0
    refusable: bool = False


def heads() -> list[int]:
    """Sizes that were signed before."""
    kept = export.split_records(MadeWithCases.copy()["history"], "history")
    return [0, *(checkpoint.parse(note.parse(one).text).size for one in kept)]


def rebuilt(
    folder: export.MemoryFolder, leaves: list[bytes], *, hashes: bool, sign: tuple[str, ...] | None = None
) -> None:
    """These leaves in place of the true ones; with tiles that fit, and with a checkpoint by those who are given."""
    for path in [path for path in folder if path.startswith("tile/entries/" if not hashes else "tile/")]:
        del folder[path]
    row = [merkle.leaf_hash(leaf) for leaf in leaves]
    for level, number, width in tiles.widths(len(leaves)):
        span = 256**level
        if hashes:
            part = [merkle.root_of(row[n * span : (n + 1) * span]) for n in range(number * 256, number * 256 + width)]
            folder[tiles.path(level, number, width)] = b"".join(part)
        if level == 0:
            folder[tiles.entries_path(number, width)] = tiles.encode_bundle(leaves[number * 256 :][:width])
    if sign is not None:
        head = checkpoint.Checkpoint(ORIGIN, len(leaves), merkle.root_of(row))
        folder["checkpoint"] = note.sign(head.encode(), LOG_KEY, LOG.sign) + b"".join(
            cosign.line(head.encode(), 1, WITNESS_KEYS[name], WITNESSES[name].sign) for name in sign
        )


def entry_at(path: str, data: bytes, at: int) -> int:
    """The entry that a byte of a bundle or of a lowest tile belongs to."""
    number = int(path.split(".p/")[0].rsplit("/", 1)[1]) * 256
    if not path.startswith("tile/entries/"):
        return number + at // 32
    place = 0
    while True:
        place += 2 + int.from_bytes(data[place : place + 2], "big")
        if at < place:
            return number
        number += 1


def flipped(chance: random.Random) -> Spoiled:
    """One bit of the tree, an entry, a payload or the checkpoint."""
    folder = MadeWithCases.copy()
    path = chance.choice([name for name in folder if name.startswith(("tile/", "payloads/", "checkpoint"))])
    data = bytearray(folder[path])
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    whole, folder[path] = folder[path], bytes(data)
    if path == "checkpoint":
        return Spoiled(folder, refusable=True)
    if path.startswith("payloads/"):
        first = int(path.rsplit("/", 1)[1]) * 256
        return Spoiled(folder, first, first + 255)
    if path.startswith(("tile/0/", "tile/entries/")):
        place = entry_at(path, whole, at)
        return Spoiled(folder, place, place)
    return Spoiled(folder, 0, len(MadeWithCases.leaves()))


def rearranged(change: Callable[[list[bytes], int, random.Random], int]) -> Callable[[random.Random], Spoiled]:
    """A change of the entries: over the old tiles, over tiles that fit, or signed anew by the log's own key."""

    def spoil(chance: random.Random) -> Spoiled:
        folder, leaves = MadeWithCases.copy(), MadeWithCases.leaves()
        at = chance.randrange(2, len(leaves) - 2)
        high = change(leaves, at, chance)
        how = chance.randrange(3)
        if how == 2:
            rebuilt(folder, leaves, hashes=True, sign=())
        else:
            rebuilt(folder, leaves, hashes=how == 1)
        if change is forge and how:
            # With tiles that fit, a time too late contradicts nothing before the next entry's.
            high += 1
        low = at if how == 0 else max(size for size in heads() if size <= at)
        return Spoiled(folder, low, high)

    return spoil


def remove(leaves: list[bytes], at: int, chance: random.Random) -> int:
    del leaves[at]
    return at


def insert(leaves: list[bytes], at: int, chance: random.Random) -> int:
    leaves.insert(at, leaves[chance.randrange(at)])
    return at


def forge(leaves: list[bytes], at: int, chance: random.Random) -> int:
    leaves[at] = cbor.encode(cbor.decode(leaves[at]) | {"time_ns": Leaf.parse(leaves[at]).time_ns + 1})
    return at


def reorder(leaves: list[bytes], at: int, chance: random.Random) -> int:
    other = chance.randrange(at + 1, len(leaves))
    leaves[at], leaves[other] = leaves[other], leaves[at]
    return at


def cut(leaves: list[bytes], at: int, chance: random.Random) -> int:
    del leaves[at:]
    return at


def truncated(chance: random.Random) -> Spoiled:
    """The end of a file, or the whole file, is gone."""
    folder = MadeWithCases.copy()
    path = chance.choice([name for name in folder if name.startswith("tile/")])
    at = chance.randrange(len(folder[path]))
    low = 0
    if path.startswith(("tile/0/", "tile/entries/")):
        low = entry_at(path, folder[path], at)
    if chance.randrange(4):
        folder[path] = folder[path][:at]
        return Spoiled(
            folder, low, low if path.startswith(("tile/0/", "tile/entries/")) else len(MadeWithCases.leaves())
        )
    del folder[path]
    return Spoiled(folder, low // 256 * 256, low)


def payloads(chance: random.Random) -> Spoiled:
    """A payload is gone, there twice, another's, or out of its order."""
    folder = MadeWithCases.copy()
    path = chance.choice([name for name in folder if name.startswith("payloads/")])
    kept = export.split_records(folder[path], "payloads")
    at = chance.randrange(len(kept) - 1)
    one, two = kept[at], kept[at + 1]
    kept[at : at + 2] = chance.choice(
        ([one], [two], [one, one, two], [two, one], [one[:8] + two[8:], two[:8] + one[8:]], [one, two, two])
    )
    folder[path] = export.records(kept)
    first = int(path.rsplit("/", 1)[1]) * 256
    return Spoiled(folder, first, first + 255)


def replayed(chance: random.Random) -> Spoiled:
    """An older whole, cosigned and true: only who was here before knows that there was more."""
    folder = MadeWithCases.older()
    size = checkpoint.parse(note.parse(folder["checkpoint"]).text).size
    return Spoiled(folder, size, size)


KINDS = (
    flipped, flipped, flipped, *map(rearranged, (remove, insert, forge, reorder, cut)), truncated, payloads, replayed,
)  # fmt: skip


def found(seed: int) -> None:
    chance = random.Random(seed)
    spoiled = KINDS[seed % len(KINDS)](chance)
    verdict: Verdict = both(spoiled.folder, card())
    assert not verdict.ok, f"mutation {seed} was not found"
    if verdict.refused:
        assert spoiled.refusable
    elif spoiled.low <= spoiled.high:
        assert verdict.position is not None, f"mutation {seed} has no place: {verdict}"
        # A payload's own number may be what was bent: then it is an entry that has none.
        beyond = verdict.step == "payloads" and verdict.position > spoiled.high
        assert spoiled.low <= verdict.position <= spoiled.high or beyond, f"mutation {seed}: {spoiled.low} to " \
            f"{spoiled.high}, not {verdict}"  # fmt: skip
    else:
        assert verdict.step in ("signature", "quorum")


def test_the_whole_log_verifies_before_it_is_spoiled() -> None:
    assert both(MadeWithCases.copy(), card()).ok
    assert MadeWithCases.older()["checkpoint"] != MadeWithCases.copy()["checkpoint"]


@pytest.mark.parametrize("first", range(0, SHORT, 50))
def test_mutations_are_found_and_located_by_both(first: int) -> None:
    for seed in range(first, first + 50):
        found(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, LONG, PIECE))
def test_ten_thousand_mutations_are_found_and_located_by_both(first: int) -> None:
    for seed in range(first, first + PIECE):
        found(seed)
