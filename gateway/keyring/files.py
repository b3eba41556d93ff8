"""Where secrets lie on disk: one file for each, named for one purpose, readable by the node's user only.

    keys/message.key   keys/log.key   keys/token.key   keys/witness.key    Ed25519 seeds
    keys/handle.key    keys/case.key                                       32 random bytes; X25519
    keys/public.json                                                       the public halves
    keys/seeds/HND/20260302-1f2e3d4c.key                                   the OPRF seed of one peer and epoch

A key file says what it is for, so that a file put in another's place is refused. Seeds of epochs are never part of a
backup: a restored node opens new epochs (PROTOCOL, keys).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl import bindings

from gateway.errors import ConfigRefused
from gateway.primitives import ed25519
from gateway.primitives.secret import Locked
from gateway.terms.ids import EpochId, PeerId

SIGNING: Final = ("message", "log", "token", "witness")
"""Purposes with an Ed25519 seed."""

PURPOSES: Final = (*SIGNING, "handle", "case")

SECRET_BYTES: Final = 32

_FILE = re.compile(rb"limen key 1\npurpose: ([\x20-\x7e]{1,64})\nsecret: ([0-9a-f]{64})\n\Z")
_EPOCH = re.compile(r"[0-9]{8}-[0-9a-f]{8}\Z")
_PEER = re.compile(r"[A-Z]{3}\Z")


def key_path(folder: Path, purpose: str) -> Path:
    """The file of one of `PURPOSES`."""
    return folder / f"{purpose}.key"


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file that must not exist yet; after this a power cut cannot lose it.

    Raises:
        FileExistsError: it exists; nothing was written.
    """
    draft = _draft(path, data, mode)
    try:
        # A hard link fails where the name is taken, which a rename would not.
        os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file in place of the old one: readers see either, whole. After this a power cut cannot lose it."""
    draft = _draft(path, data, mode)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_secret(path: Path, purpose: str, secret: bytes) -> None:
    """Write a key file. Raises FileExistsError."""
    write_new(path, b"limen key 1\npurpose: %s\nsecret: %s\n" % (purpose.encode("ascii"), secret.hex().encode("ascii")))


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The public halves of a node's keys, 32 bytes each. `authority` signs federation documents and is a person's, kept
    off the node; `made_ns` is when the node was made, UTC ns."""

    message: bytes
    log: bytes
    token: bytes
    witness: bytes
    case: bytes
    authority: bytes
    made_ns: int


def create(folder: Path, authority: bytes, made_ns: int) -> PublicKeys:
    """Draw every key of a new node into an existing empty folder; returns and keeps the public halves."""
    public: dict[str, bytes] = {}
    for purpose in PURPOSES:
        drawn = secrets.token_bytes(SECRET_BYTES)
        write_secret(key_path(folder, purpose), purpose, drawn)
        if purpose in SIGNING:
            public[purpose] = ed25519.public(drawn)
        elif purpose == "case":
            public[purpose] = x25519_public(drawn)
    (folder / "seeds").mkdir(mode=0o700)
    made = PublicKeys(**public, authority=authority, made_ns=made_ns)
    table = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in dataclasses.asdict(made).items()
    }
    write_new(folder / "public.json", (json.dumps(table, indent=2) + "\n").encode("ascii"))
    return made


def x25519_public(secret: bytes) -> bytes:
    """The public half of a 32-byte X25519 secret (RFC 7748)."""
    return bytes(bindings.crypto_scalarmult_base(secret))


def judge_mode(path: Path, mode: int) -> None:
    """Raises ConfigRefused where a key file's `mode` (`st_mode`) lets others than its owner read or write it."""
    if mode & 0o077:
        raise ConfigRefused(f"{path}: others may read this key; run `chmod 600 {path}`")


def read_secret(path: Path, purpose: str) -> Locked:
    """The secret of a key file, in locked memory.

    Raises:
        ConfigRefused: no such file, not a key file, for another purpose, or readable by others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(4096)
    except OSError as cause:
        raise ConfigRefused(f"{path}: the {purpose} key cannot be read ({cause.strerror})") from None
    judge_mode(path, mode)
    found = _FILE.match(data)
    if found is None:
        raise ConfigRefused(f"{path}: is not a key file of this release")
    if found[1] != purpose.encode("ascii"):
        raise ConfigRefused(f"{path}: holds a key for another purpose than {purpose}")
    return Locked(bytes.fromhex(found[2].decode("ascii")))


def read_public(folder: Path) -> PublicKeys:
    """The public halves. Raises ConfigRefused."""
    path = folder / "public.json"
    try:
        table = json.loads(path.read_text("ascii"))
        made_ns = table.pop("made_ns")
        public = PublicKeys(**{name: bytes.fromhex(value) for name, value in table.items()}, made_ns=made_ns)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise ConfigRefused(f"{path}: cannot be read; `limen init` writes it") from None
    if type(made_ns) is not int or any(len(bytes.fromhex(value)) != SECRET_BYTES for value in table.values()):
        raise ConfigRefused(f"{path}: does not hold the public keys of a node")
    return public


class SeedFiles:
    """The OPRF seeds by peer and epoch, as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def draw(self, peer: PeerId, epoch: EpochId) -> None:
        """Keep a fresh random seed, unless there is one. Raises ValueError on a name that is no peer or epoch."""
        path = self._path(peer, epoch)
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(path.parent.parent)
        with contextlib.suppress(FileExistsError):
            write_secret(path, _purpose(peer, epoch), secrets.token_bytes(SECRET_BYTES))

    def seed(self, peer: PeerId, epoch: EpochId) -> Locked | None:
        """The seed, or None where there is none."""
        path = self._path(peer, epoch)
        return read_secret(path, _purpose(peer, epoch)) if path.exists() else None

    def destroy(self, peer: PeerId, epoch: EpochId | None = None) -> int:
        """Overwrite and remove every seed of the peer, or that of one epoch; returns how many.

        Overwriting reaches the old bytes on a plain disk; what flash storage and snapshots keep is out of a program's
        reach, so the folder belongs on an encrypted disk that is in no backup.
        """
        one = self._path(peer, epoch if epoch is not None else EpochId("00000000-00000000"))
        folder, count = one.parent, 0
        for path in sorted(folder.glob("*.key")):
            if epoch is not None and path != one:
                continue
            with path.open("r+b") as file:
                file.write(bytes(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            count += 1
        if count:
            _sync_folder(folder)
        return count

    def __iter__(self) -> Iterator[tuple[PeerId, EpochId]]:
        for path in sorted(self._folder.glob("*/*.key")):
            yield PeerId(path.parent.name), EpochId(path.stem)

    def _path(self, peer: PeerId, epoch: EpochId) -> Path:
        # Both become names of files: nothing but the two known forms may.
        if not _PEER.match(peer) or not _EPOCH.match(epoch):
            raise ValueError("not a peer and an epoch")
        return self._folder / peer / f"{epoch}.key"


def _purpose(peer: PeerId, epoch: EpochId) -> str:
    return f"oprf-seed {peer} {epoch}"


def _draft(path: Path, data: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
