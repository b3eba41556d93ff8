"""An export on disk: written for an auditor, read by the verifier."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.audit import export
from gateway.errors import InputRefused, VerificationFailed
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
        NotFoundOrNotPermitted: no checkpoint with so many cosignatures was published yet, or no entry names the peer.
        VerificationFailed: step `store`: the database does not hold together.
    """
    if path.exists() and any(path.iterdir()):
        raise InputRefused(f"{path} is not empty; an export goes into a new folder")
    count = 0
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
    except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError, TypeError) as cause:
        # Rows that SQLite cannot read, or reads as something else than was written.
        raise VerificationFailed(
            "store", f"the database does not hold together ({cause}): it was damaged or patched; keep it as it is"
        ) from None
    return count
