"""`limen node backup` and `limen node restore`: one sealed file, and a node made from it.

In the file, in this order: `manifest.json` (state, release, time, and the SHA-256 and size of every other file), then
the files under the names of the node's folders, wherever the settings put those. Everything is sealed under a
passphrase (`keyring.vault`), because a node's database is its state's lists.

What is never in it: seeds of epochs (`keys/seeds`), keys of payloads at rest (`periods`), tables made and received, the
lock record, sockets, and what belongs off the node (`anchor`, `policy-authority`, `handover`, `booth`). A seed or key
that was destroyed must not come back with a tape, and a lock record that came back would call an old log the newest.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import secrets
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from gateway import __version__, config
from gateway.app import parts
from gateway.audit.entry import Entry, Phase
from gateway.cli import inputs, node, passphrase
from gateway.cli.acts import writer
from gateway.cli.main import OK
from gateway.cli.output import emit
from gateway.config import Config, Paths
from gateway.errors import ConfigRefused, InputRefused, VerificationFailed
from gateway.keyring import vault
from gateway.keyring.vault import Opener, Sealer
from gateway.store import backup as copies
from gateway.store import db as database
from gateway.store.client import WriterClient

SCHEMA: Final = "limen/backup/1"
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 1 << 20

FOLDERS: Final = ("keys", "tls", "policy", "federation", "officers")
"""Which of `config.Paths` are copied as they stand. The store is copied as a snapshot."""

LEFT_OUT: Final = ("keys/seeds",)

EMPTY: Final = ("keys/seeds", "periods", "tables", "copies", "events", "run")
"""Made empty when a node is restored."""


def backup(args: argparse.Namespace) -> int:
    """Write the file under a draft's name, log it where the node runs, and put it in its place."""
    settings = node.load(args)
    now_ns = node.clock_of(settings).now_ns()
    place = args.place
    if place.is_dir():
        name = f"{settings.state}-{datetime.fromtimestamp(now_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}.backup"
        place = place / name
    if place.exists():
        raise ConfigRefused(f"{place}: is there already; nothing is overwritten")
    secret = passphrase.ask(args, twice=True)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with _private_folder(settings.paths.store) as temporary:
            copied = copies.copy(settings.paths.store, temporary)
            members = list(_members(settings, temporary))
            manifest = _manifest(settings, now_ns, copied, members)
            with _new_file(draft) as out:
                about = {"schema": SCHEMA, "state": settings.state, "made_ns": now_ns}
                sealer = Sealer(out, about, secret)
                _write(sealer, manifest, members)
                sealer.close()
                out.flush()
                os.fsync(out.fileno())
        size, digest = draft.stat().st_size, _digest(draft)
        # The entry first: a copy of everything that nobody can see was made is not made.
        logged = asyncio.run(_log(settings, digest, len(members), size))
        os.link(draft, place)
    except OSError as cause:
        # A write that finds no room names no file by itself.
        raise ConfigRefused(f"{cause.filename or place}: {cause.strerror or cause}; nothing was written") from None
    finally:
        draft.unlink(missing_ok=True)
    emit(
        args,
        {
            "file": str(place),
            "sha256": digest.hex(),
            "bytes": size,
            "files": len(members),
            "log_size": copied.head.size,
            "logged": logged,
        },
        [
            f"{place}: {len(members)} files, {size:,} bytes, the log up to entry {copied.head.size}, sealed.",
            "No epoch seed is in it: a restored node opens new epochs. Keep the passphrase apart from the file.",
            "A log that went on is not continued from here: back up again when the node has stopped for good.",
        ],
    )
    return OK


_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def restore(args: argparse.Namespace) -> int:
    """Make the node beside its folder and move it into place."""
    folder = args.folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigRefused(f"{folder}: there is something already; choose a new folder, nothing is overwritten")
    try:
        with args.file.open("rb") as source, inputs.about(args.file):
            read = vault.header(source)
            if read.about.get("schema") != SCHEMA:
                raise InputRefused("is no backup of a node")
            opener = Opener(source, read, passphrase.ask(args))
            folder.parent.mkdir(parents=True, exist_ok=True)
            draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
            old = os.umask(0o077)
            try:
                draft.mkdir(mode=0o700)
                manifest = _unpack(opener, draft)
                opener.finish()
                copied = _settle(draft, folder, _digest(args.file))
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            finally:
                os.umask(old)
    except OSError as cause:
        # Reading names the backup; a write that finds no room names no file, and it is the new folder's.
        where = cause.filename or (folder if cause.errno in _NO_ROOM else args.file)
        raise ConfigRefused(f"{where}: {cause.strerror or cause}; nothing was made") from None
    emit(
        args,
        {
            "folder": str(folder),
            "state": manifest["state"],
            "made_ns": manifest["made_ns"],
            "files": len(manifest["files"]),
            "log_size": copied.head.size,
        },
        [
            f"{folder} holds the node of {manifest['state']} as it was at entry {copied.head.size} of its log.",
            "It signs and answers nothing until a peer has said what it has seen of the log, and never goes on",
            "where that is more. It opens new epochs, makes its tables anew, and fetches those of its peers.",
            f"Next: `limen doctor --config {folder}`, then `limen serve --config {folder}`.",
        ],
    )
    return OK


# -- Writing ----------------------------------------------------------------------------------------------------------


def _members(settings: Config, temporary: Path) -> Iterator[tuple[str, Path]]:
    """Every file with its name in the backup, sorted within each folder."""
    yield config.FILE_NAME, settings.root / config.FILE_NAME
    yield f"store/{database.FILE}", temporary / database.FILE
    for folder in FOLDERS:
        root = getattr(settings.paths, folder)
        for path in sorted(root.rglob("*")):
            name = f"{folder}/{path.relative_to(root).as_posix()}"
            if name.startswith(tuple(f"{left}/" for left in LEFT_OUT)) or not path.is_file() or path.is_symlink():
                continue
            yield name, path


def _manifest(settings: Config, now_ns: int, copied: copies.Copied, members: list[tuple[str, Path]]) -> bytes:
    table = {
        "schema": SCHEMA,
        "state": settings.state,
        "release": __version__,
        "made_ns": now_ns,
        "log_size": copied.head.size,
        "files": {name: {"sha256": _digest(path).hex(), "bytes": path.stat().st_size} for name, path in members},
    }
    return (json.dumps(table, indent=2, sort_keys=True) + "\n").encode("utf-8")


def _write(sealer: Sealer, manifest: bytes, members: list[tuple[str, Path]]) -> None:
    with tarfile.open(fileobj=cast(BinaryIO, sealer), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_entry(MANIFEST, len(manifest)), cast(BinaryIO, _Bytes(manifest)))
        for name, path in members:
            with path.open("rb") as file:
                tar.addfile(_entry(name, os.fstat(file.fileno()).st_size), file)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        given, self._data = self._data[:size], self._data[size:]
        return given


async def _log(settings: Config, digest: bytes, files: int, size: int) -> bool:
    """False where the node does not run: then nobody writes its log."""
    if not writer.is_running(settings):
        return False
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await uow.commit([Entry("node.backup", Phase.EVENT, public={"digest": digest, "files": files, "bytes": size})])
    finally:
        await uow.close()
    return True


@contextmanager
def _private_folder(store: Path) -> Iterator[Path]:
    """On the store's own disk, for its user alone: the snapshot has everything that the store has."""
    made = Path(tempfile.mkdtemp(prefix=".backup-", dir=store))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


# -- Reading ----------------------------------------------------------------------------------------------------------


def _unpack(opener: Opener, draft: Path) -> dict[str, Any]:
    """Every file below `draft`, each as the manifest says. Raises VerificationFailed, InputRefused."""
    manifest: dict[str, Any] = {}
    left: dict[str, Any] = {}
    try:
        with tarfile.open(fileobj=cast(BinaryIO, opener), mode="r|") as tar:
            for info in tar:
                source = tar.extractfile(info) if info.isreg() else None
                if source is None:
                    raise InputRefused("holds something that is no file", field="backup")
                if not manifest:
                    if info.name != MANIFEST or info.size > MANIFEST_BYTES_MAX:
                        raise InputRefused("does not begin with its manifest", field="backup")
                    manifest = json.loads(source.read())
                    left = dict(manifest["files"])
                    continue
                told = left.pop(info.name, None)
                _judge_name(info.name)
                place = draft / info.name
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                hashed = sha256()
                with _new_file(place) as out:
                    while data := source.read(1 << 20):
                        hashed.update(data)
                        out.write(data)
                if told is None or told["sha256"] != hashed.hexdigest():
                    raise VerificationFailed("backup", f"{info.name} is not what the manifest says")
    except (tarfile.TarError, ValueError, KeyError, TypeError) as cause:
        raise InputRefused(f"cannot be read as a backup: {type(cause).__name__}", field="backup") from None
    if left or not manifest:
        raise VerificationFailed("backup", f"{len(left)} files of the manifest are missing")
    return manifest


def _judge_name(name: str) -> None:
    parts_ = PurePosixPath(name).parts
    if name != config.FILE_NAME and (parts_[:1] not in [(folder,) for folder in (*FOLDERS, "store")] or ".." in parts_):
        raise InputRefused("holds a file that no backup has", field="backup")
    if name.startswith(LEFT_OUT):
        raise InputRefused("holds an epoch seed: it was not made by this program", field="backup")


def _settle(draft: Path, folder: Path, digest: bytes) -> copies.Copied:
    """Complete the folder, move it into place, and put what the settings keep elsewhere where they say."""
    for name in EMPTY:
        (draft / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.exists():
        folder.rmdir()
    draft.rename(folder)
    try:
        settings = config.load(folder, environ={})
        for place in fields(Paths):
            here, there = folder / place.name, getattr(settings.paths, place.name)
            if there == here or not here.exists():
                continue
            if there.exists() and any(there.iterdir()):
                raise ConfigRefused(f"{there}: there is something already; nothing is overwritten")
            if there.exists():
                there.rmdir()
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(here, there)
        return copies.revive(settings.paths.store / database.FILE, settings.paths.lock, digest)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigRefused(f"{path}: is no file")
        return file_digest(file, "sha256").digest()


__all__ = ["backup", "restore"]
