"""An export on disk: written for an auditor, read by the verifier."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from gateway.audit import checkpoint, export, merkle, note, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.errors import GatewayError, InputRefused, Malformed, VerificationFailed
from gateway.store.reader import Reader


class DirectoryFolder:
    """`audit.export.Folder` over a directory. Reads nothing outside it."""

    def __init__(self, path: Path) -> None:
        """Raises InputRefused when it is not a directory."""
        if not path.is_dir():
            raise InputRefused(f"{path} is not a folder; give the one that `limen audit export` wrote")
        self._path = path

    def read(self, path: str) -> bytes | None:
        """The file, or None."""
        try:
            return (self._path / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None


def write_export(reader: Reader, path: Path, *, cosignatures: int = 0, payloads: bool = True, pair: str = "") -> int:
    """Write the log to a new folder; returns how many files. The signed manifests go along as receipts.

    `pair` is a peer: then the entries about it alone, which are provably all of them.

    Raises:
        InputRefused: the folder exists and is not empty.
        OSError: the disk is full, or the folder cannot be written; it names the path, and nothing is left in it.
        NotFoundOrNotPermitted: no checkpoint with so many cosignatures was published yet, no entry names the peer, or
            an erasure is newer than the checkpoint. Nothing is left in the folder then.
        VerificationFailed: step `store`: the database does not hold together.
    """
    if path.exists() and any(path.iterdir()):
        raise InputRefused(f"{path} is not empty; an export goes into a new folder")
    count = 0
    made = not path.exists()
    try:
        receipts = [
            export.Receipt(held.other, held.message.body, held.message.header, held.message.signature)
            for held in (*reader.manifests(), *reader.copies())
        ]
        files = (
            export.pair_files(reader, pair, cosignatures=cosignatures, payloads=payloads, receipts=receipts)
            if pair
            else export.files(reader, cosignatures=cosignatures, payloads=payloads, receipts=receipts)
        )
        for name, data in files:
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            count += 1
    except (GatewayError, OSError) as cause:
        # Half a copy is none; the folder was empty or is ours.
        for left in () if not path.exists() else path.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if made and path.exists():
            path.rmdir()
        if isinstance(cause, OSError) and cause.filename is None:
            cause.filename = str(path)  # a full disk is told when a file is written, and names none
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError, TypeError) as cause:
        # Rows that SQLite cannot read, or reads as something else than was written.
        raise VerificationFailed(
            "store", f"the database does not hold together ({cause}): it was damaged or patched; keep it as it is"
        ) from None
    return count


class GrowingCopy:
    """A copy of a log's leaves that an auditor brings up to date: an export without payloads, made piece by piece.

    What is added is hashed onto what is there, and `finish` takes a checkpoint only if all of it makes its root: so the
    new head extends the old one, or nothing changes.

    Raises (when made): InputRefused: the folder has something else in it, or a copy with payloads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: Checkpoint | None = None
        self._noted = b""
        self._edge = tiles.Edge()
        self._tail: list[bytes] = []
        self._full: list[tuple[str, bytes]] = []
        if not path.exists() or not any(path.iterdir()):
            return
        folder = DirectoryFolder(path)
        if folder.read("format") != _LEAVES_ONLY:
            raise InputRefused(f"{path}: is not a copy that `limen audit fetch` made; name a new folder")
        try:
            self._noted = folder.read("checkpoint") or b""
            self.head = checkpoint.parse(note.parse(self._noted).text)
            self._resume(folder, self.head.size)
        except (Malformed, ValueError) as cause:
            raise InputRefused(f"{path}: this copy cannot be gone on with ({cause}); fetch into a new folder") from None

    def _resume(self, folder: DirectoryFolder, size: int) -> None:
        levels: list[Sequence[bytes]] = []
        level, row = 0, size
        while row:
            number, width = divmod(row, tiles.WIDTH)
            data = folder.read(tiles.path(level, number, width)) if width else b""
            if data is None:
                raise ValueError("a tile is missing")
            levels.append(tiles.split_tile(data) if width else [])
            level, row = level + 1, number
        self._edge = tiles.Edge(levels, size)
        number, width = divmod(size, tiles.WIDTH)
        if width:
            data = folder.read(tiles.entries_path(number, width))
            if data is None:
                raise ValueError("entries are missing")
            self._tail = tiles.decode_bundle(data)

    @property
    def size(self) -> int:
        """Leaves so far, those that were added included."""
        return self._edge.size

    def add(self, leaves: Sequence[bytes]) -> None:
        """The next leaves, in order. Full tiles are kept in memory until `finish`."""
        for leaf in leaves:
            self._tail.append(leaf)
            for level, number, hashes, _ in self._edge.append(merkle.leaf_hash(leaf)):
                self._full.append((tiles.path(level, number), b"".join(hashes)))
                if level == 0:
                    self._full.append((tiles.entries_path(number), tiles.encode_bundle(self._tail)))
                    self._tail = []

    def finish(self, noted: bytes) -> Checkpoint:
        """Write what was added, under this checkpoint.

        Raises:
            VerificationFailed: the leaves do not make its root, or it is another log's; nothing was written.
        """
        head = checkpoint.parse(note.parse(noted).text)
        if self.head is not None and head.origin != self.head.origin:
            raise VerificationFailed("origin", "the node's log is another one than the copy's")
        if (head.size, head.root) != (self._edge.size, self._edge.root()):
            raise VerificationFailed("root", "the entries do not make the root that the checkpoint names")
        files = list(self._full)
        for level, row in enumerate(self._edge.levels):
            if row:
                files.append((tiles.path(level, head.size >> tiles.HEIGHT * (level + 1), len(row)), b"".join(row)))
        if self._tail:
            number = head.size // tiles.WIDTH
            files.append((tiles.entries_path(number, len(self._tail)), tiles.encode_bundle(self._tail)))
        history = self.path / "history"
        before = history.read_bytes() if history.exists() else b""
        if self.head is not None and len(note.parse(self._noted).signatures) > 1:
            before += export.records([self._noted])
        for partial in list(self.path.glob("tile/**/*.p")):
            shutil.rmtree(partial)
        for name, data in (*files, ("history", before), ("format", _LEAVES_ONLY), ("receipts", b"")):
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        # Last: a copy that was cut short is refused at the next reading.
        (self.path / "checkpoint").write_bytes(noted)
        self._full, self._noted, self.head = [], noted, head
        return head


_LEAVES_ONLY = f"{export.FORMAT}\nno payloads\n".encode()
