"""Tables as files: those made for peers and those received from peers.

A table is one immutable file and a manifest beside it; the pair becomes current by renaming the manifest into place, so
a crash leaves either the old pair or the new one (write, fsync, rename, fsync the folder). Nothing here is personal:
a table without the owner's key is noise.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import NotFoundOrNotPermitted, VerificationFailed
from gateway.ports import Contradiction, SignedManifest
from gateway.primitives import cbor
from gateway.pseudonym import table as table_format
from gateway.terms.exchange import Manifest, SignedMessage
from gateway.terms.ids import PeerId, PurposeGroup
from gateway.terms.words import ListId

PROOFS: Final = "proofs"
PROOFS_MAX: Final = 16
"""Of one owner: the first ones prove enough, and who signs more of them fills no disk."""

ParseManifest = Callable[[SignedMessage], Manifest]
"""Wire form to words: `rpc.convert` at the edge, given by `app`."""


@dataclass(slots=True)
class _Open:
    """A table in use, or one that has ended: then only its manifest is left, by which an older one is refused.

    `stamp` is the identity of the manifest's file at `path`, to see a newer one without reading it.

    The path is kept as text: every call of a peer's looks, and putting it together costs more than the look.
    """

    path: str
    stamp: tuple[int, int]
    signed: SignedManifest
    table: bytes | mmap.mmap
    view: table_format.TableView | None


class TableFiles:
    """`DIR/<other state>/<list>.<group>/{current, <version>.table}`.

    Serves both sides: keyed by the peer it was made for (ports.Published) or by the owner it came from (ports.Copies).
    """

    def __init__(self, root: Path, parse: ParseManifest) -> None:
        self._root = root
        self._parse = parse
        self._open: dict[tuple[str, str, str], _Open] = {}
        self._before: dict[tuple[str, str, str], _Open] = {}
        """The table that was current before: a question that was asked under it is still looked up in it."""

    def current(self, other: PeerId, list_id: ListId, group: PurposeGroup) -> SignedManifest | None:
        """The newest complete pair, or None. Costs one `stat` when nothing changed."""
        opened = self._opened(other, list_id, group)
        return opened.signed if opened else None

    def find(self, other: PeerId, manifest: Manifest, tag: bytes) -> tuple[bytes, bytes] | None:
        """(table id, sealed label) under a tag in the manifest's table."""
        opened = self._opened(other, manifest.scope.list_id, manifest.scope.group)
        if opened is not None and opened.signed.manifest != manifest:
            opened = self._before.get((str(other), manifest.scope.list_id.value, str(manifest.scope.group)))
        if opened is None or opened.view is None or opened.signed.manifest != manifest:
            raise NotFoundOrNotPermitted("the table is no longer the one that was asked under")
        sealed = opened.view.find(tag)
        return None if sealed is None else (opened.view.table_id, sealed)

    def chunk(self, other: PeerId, manifest: Manifest, number: int) -> bytes:
        """Chunk `number` of the current table if it is the manifest's version."""
        opened = self._opened(other, manifest.scope.list_id, manifest.scope.group)
        if opened is None or opened.view is None or opened.signed.manifest.version != manifest.version:
            raise NotFoundOrNotPermitted("no such table version")
        if not 0 <= number < len(manifest.chunk_hashes):
            raise NotFoundOrNotPermitted("no such chunk")
        start = number * manifest.chunk_bytes
        return bytes(opened.table[start : start + manifest.chunk_bytes])

    def put(self, other: PeerId, signed: SignedManifest, table: bytes) -> None:
        """Store and make current. Raises VerificationFailed when the table is not the manifest's."""
        manifest = signed.manifest
        if hashlib.sha256(table).digest() != manifest.table_hash:
            raise VerificationFailed("table", "the hash differs from the manifest's")
        folder = self._folder(other, manifest.scope.list_id, manifest.scope.group)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{manifest.scope.epoch}.{manifest.version}.table"
        message = signed.message
        _write(folder / name, table)
        _write(folder / "current", cbor.encode([name, message.body, message.header, message.signature]))
        for old in folder.glob("*.table"):
            if old.name != name:
                old.unlink()

    def drop(self, other: PeerId) -> int:
        """Delete every table of the other state's; returns how many."""
        folder = self._root / other
        count = len(list(folder.glob("*/*.table")))
        if folder.exists():
            shutil.rmtree(folder)
        for kept in (self._open, self._before):
            for key in [key for key in kept if key[0] == other]:
                del kept[key]
        return count

    def prove(self, proof: Contradiction) -> None:
        """Keep what an owner signed: `DIR/proofs/<owner>-<hash of what it showed>`, of each owner the first so many."""
        folder = self._root / PROOFS
        path = folder / f"{proof.owner}-{hashlib.sha256(proof.shown.message.body).hexdigest()}"
        if path.exists() or len(list(folder.glob(f"{proof.owner}-*"))) >= PROOFS_MAX:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        signed = [proof.shown, *([proof.held] if proof.held is not None else [])]
        messages = [[one.message.body, one.message.header, one.message.signature] for one in signed]
        _write(path, cbor.encode([proof.step, *messages]))

    def proofs(self) -> list[tuple[Path, Contradiction]]:
        """Everything that was kept, and where."""
        found = []
        for path in sorted((self._root / PROOFS).glob("*-*")):
            if path.suffix:
                continue
            step, *messages = cbor.decode(path.read_bytes())
            shown, *held = [SignedManifest(self._parse(one), one) for one in (SignedMessage(*m) for m in messages)]
            owner = PeerId(path.name.partition("-")[0])
            found.append((path, Contradiction(step, owner, shown, held[0] if held else None)))
        return found

    def end(self, now_ns: int) -> int:
        """Delete every table whose epoch has ended, and keep its manifest; returns how many."""
        count = 0
        for opened in self._all():
            if opened.signed.manifest.expires_ns > now_ns:
                continue
            current = Path(opened.path)
            for table in current.parent.glob("*.table"):
                table.unlink()
                count += 1
            # Whoever has it open sees by the new stamp that it is gone.
            os.utime(current)
            self.current(*_place(current))
        return count

    def all(self) -> list[SignedManifest]:
        """The manifest of every table that is there, for `limen peer copies`."""
        return [opened.signed for opened in self._all() if opened.view is not None]

    def _all(self) -> list[_Open]:
        found = []
        for current in sorted(self._root.glob("*/*/current")):
            opened = self._opened(*_place(current))
            if opened is not None:
                found.append(opened)
        return found

    def _folder(self, other: PeerId, list_id: ListId, group: PurposeGroup) -> Path:
        return self._root / other / f"{list_id.value}.{group}"

    def _opened(self, other: PeerId, list_id: ListId, group: PurposeGroup) -> _Open | None:
        key = (str(other), list_id.value, str(group))
        opened = self._open.get(key)
        path = opened.path if opened is not None else str(self._folder(other, list_id, group) / "current")
        try:
            stat = os.stat(path)
        except FileNotFoundError:
            self._open.pop(key, None)
            self._before.pop(key, None)
            return None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if opened is not None and opened.stamp == stamp:
            return opened
        current = Path(path)
        name, body, header, signature = cbor.decode(current.read_bytes())
        message = SignedMessage(body, header, signature)
        signed = SignedManifest(self._parse(message), message)
        try:
            with (current.parent / name).open("rb") as file:
                table = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            opened = _Open(path, stamp, signed, table, table_format.TableView(table))
        except FileNotFoundError:
            opened = _Open(path, stamp, signed, b"", None)
            self._open.pop(key, None)
            self._before.pop(key, None)
        if key in self._open:
            self._before[key] = self._open[key]
        self._open[key] = opened
        return opened


def _place(current: Path) -> tuple[PeerId, ListId, PurposeGroup]:
    """Whose table the manifest's file is of."""
    list_name, _, group = current.parent.name.partition(".")
    return PeerId(current.parent.parent.name), ListId(list_name), PurposeGroup(group)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class MemoryTables:
    """The same promise in memory: the plainest statement of it, for flows' tests and the sandbox."""

    def __init__(self) -> None:
        self.proofs: list[Contradiction] = []
        self._kept: dict[tuple[str, str, str], tuple[SignedManifest, bytes, table_format.TableView]] = {}

    def current(self, other: PeerId, list_id: ListId, group: PurposeGroup) -> SignedManifest | None:
        kept = self._kept.get((other, list_id.value, group))
        return kept[0] if kept else None

    def find(self, other: PeerId, manifest: Manifest, tag: bytes) -> tuple[bytes, bytes] | None:
        kept = self._kept.get((other, manifest.scope.list_id.value, manifest.scope.group))
        if kept is None or kept[0].manifest != manifest:
            raise NotFoundOrNotPermitted("the table is no longer the one that was asked under")
        sealed = kept[2].find(tag)
        return None if sealed is None else (kept[2].table_id, sealed)

    def chunk(self, other: PeerId, manifest: Manifest, number: int) -> bytes:
        kept = self._kept.get((other, manifest.scope.list_id.value, manifest.scope.group))
        if kept is None or kept[0].manifest.version != manifest.version:
            raise NotFoundOrNotPermitted("no such table version")
        if not 0 <= number < len(manifest.chunk_hashes):
            raise NotFoundOrNotPermitted("no such chunk")
        start = number * manifest.chunk_bytes
        return kept[1][start : start + manifest.chunk_bytes]

    def put(self, other: PeerId, signed: SignedManifest, table: bytes) -> None:
        if hashlib.sha256(table).digest() != signed.manifest.table_hash:
            raise VerificationFailed("table", "the hash differs from the manifest's")
        scope = signed.manifest.scope
        self._kept[(other, scope.list_id.value, scope.group)] = (signed, table, table_format.TableView(table))

    def prove(self, proof: Contradiction) -> None:
        if proof not in self.proofs:
            self.proofs.append(proof)

    def drop(self, other: PeerId) -> int:
        gone = [key for key in self._kept if key[0] == other]
        for key in gone:
            del self._kept[key]
        return len(gone)

    def all(self) -> list[SignedManifest]:
        return [kept[0] for _, kept in sorted(self._kept.items())]
