"""Other people's implementations of the log's formats read what we write, and we read what they write (C2SP).

The Go program beside this file holds `golang.org/x/mod/sumdb`, `transparency-dev/tessera` and `filippo.io/torchwood`;
`.ci/extras interop` builds it.
"""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.audit import checkpoint, merkle, note, tiles
from gateway.audit.bundle import Bundle, Piece
from gateway.audit.export import MemoryFolder
from gateway.audit.tiles import Tree
from tests import extras
from tests.unit.audit.log import CARD, LOG_KEY, WITNESS_KEYS, Made

pytestmark = pytest.mark.extra("limen-interop")

LEGS: Final = 180
INDEXES: Final = (0, 1, 2, 255, 256, 300, 511, 512, 513)
READERS: Final = ["x/mod", "tessera", "torchwood"]


def interop(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [extras.path("limen-interop"), *map(str, args)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(LEGS)


def written(made: Made, folder: Path) -> tuple[Path, MemoryFolder]:
    """The export on disk."""
    files = made.export()
    for name, data in files.items():
        path = folder / "log" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "log", files


def facts(made: Made) -> dict[str, Any]:
    """What our side says of its log, with proofs that our side made."""
    store = made.store
    noted = store.last_checkpoint()
    assert noted is not None
    head = checkpoint.parse(note.parse(noted[0]).text)
    tree = store.tree()

    def text(path: list[bytes]) -> list[str]:
        return [base64.b64encode(one).decode() for one in path]

    inclusion = []
    for index in (*INDEXES, head.size - 1):
        path = tree.inclusion(index)
        file = Bundle(noted[0], (Piece(index, store.leaves(index, index + 1)[0], tuple(path)),)).as_proof()
        inclusion.append({"index": index, "path": text(path), "file": base64.b64encode(file).decode()})
    consistency = [
        {"size": size, "root": base64.b64encode(tree.root(size)).decode(), "path": text(tree.consistency(size))}
        for size in (1, 2, 255, 256, 257, 511, 512, head.size - 1, head.size)
    ]
    return {
        "log_key": LOG_KEY.vkey, "witness_keys": [key.vkey for key in WITNESS_KEYS.values()], "policy": CARD.encode(),
        "size": head.size, "inclusion": inclusion, "consistency": consistency,
    }  # fmt: skip


def test_three_readers_take_our_checkpoint_tiles_entries_and_proofs(made: Made, tmp_path: Path) -> None:
    folder, _ = written(made, tmp_path)
    told = facts(made)
    assert told["size"] > 512
    (tmp_path / "facts").write_text(json.dumps(told))
    ran = interop("read", folder, tmp_path / "facts")
    assert (ran.returncode, ran.stdout.split()) == (0, READERS), ran.stderr


@pytest.mark.parametrize("what", ["tile/0/001", "tile/entries/001", "checkpoint", "inclusion", "consistency", "policy"])
def test_they_refuse_what_was_changed(made: Made, tmp_path: Path, what: str) -> None:
    folder, files = written(made, tmp_path)
    told = facts(made)
    if what in files:
        data = files[what]
        at = len(data) // 2 if what != "checkpoint" else data.index(b"\n") + 1
        (folder / what).write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
    elif what == "policy":
        told["policy"] = told["policy"].replace("group peers 2", "group peers 3")
    else:
        told[what][3]["path"][0] = base64.b64encode(bytes(32)).decode()
    (tmp_path / "facts").write_text(json.dumps(told))
    ran = interop("read", folder, tmp_path / "facts")
    # Over a bundle that cannot be read on, tessera's check of a log ends in a deadlock, which Go's runtime ends with 2.
    assert ran.returncode in (1, 2) and ran.stdout.split() != READERS, what


class Posix:
    """The tiles of a log folder as tessera writes it: partial ones where the tree ends."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size

    def hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        number = start // tiles.WIDTH
        width = min(tiles.WIDTH, (self.size >> tiles.HEIGHT * level) - number * tiles.WIDTH)
        data = (self.folder / tiles.path(level, number, width)).read_bytes()
        return tiles.split_tile(data)[start - number * tiles.WIDTH : stop - number * tiles.WIDTH]

    def leaves(self) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < self.size:
            width = min(tiles.WIDTH, self.size - len(found))
            path = tiles.entries_path(len(found) // tiles.WIDTH, width)
            found += tiles.decode_bundle((self.folder / path).read_bytes())
        return found


@pytest.mark.parametrize("count", [1, 255, 256, 700])
def test_a_tessera_log_is_read_by_ours(tmp_path: Path, count: int) -> None:
    folder = tmp_path / "log"
    ran = interop("write", folder, count)
    assert ran.returncode == 0, ran.stderr
    key = note.Verifier.parse(ran.stdout.strip().splitlines()[-1])
    opened = note.open_note((folder / "checkpoint").read_bytes(), [key])
    head = checkpoint.parse(opened.text)
    assert (head.origin, head.size) == (key.name, count)
    log = Posix(folder, head.size)
    leaves = log.leaves()
    assert sorted(leaves) == sorted(b"entry %d" % n for n in range(count))
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    tree = Tree(log, head.size)
    assert tree.root() == head.root == merkle.root_of(hashes)
    for index in {0, count // 2, count - 1}:
        merkle.verify_inclusion(index, count, hashes[index], tree.inclusion(index), head.root)
    for size in {1, count // 2, count - 1} - {0}:
        merkle.verify_consistency(size, count, tree.root(size), head.root, tree.consistency(size))
