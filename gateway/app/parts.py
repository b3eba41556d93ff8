"""Pieces that several processes of a node are built from."""

from __future__ import annotations

import secrets
from pathlib import Path

from gateway import __version__
from gateway.audit.seal import Recipients
from gateway.clock import SystemClock, VirtualClock
from gateway.config import Config
from gateway.errors import ConfigRefused
from gateway.federation import envelope, names, officers
from gateway.opa import bundle
from gateway.opa.bundle import Bundle
from gateway.store.reader import Reader
from gateway.store.writer import WriterConfig


class SystemChance:
    """`ports.Chance` from the operating system."""

    def token(self, size: int) -> bytes:
        """`size` fresh random bytes."""
        return secrets.token_bytes(size)


def clock_of(settings: Config) -> SystemClock:
    """The node's clock."""
    if settings.clock.kind == "virtual" and settings.clock.file is not None:
        return VirtualClock(settings.clock.file)
    return SystemClock()


def recipients_of(settings: Config) -> Recipients:
    """Whom the log is sealed to. Raises ConfigRefused when a key is missing: no entry could be written."""
    keys = {}
    for name in ("supervisor", "auditor", "protection"):
        text = getattr(settings.recipients, name)
        if not text:
            raise ConfigRefused(f"recipients.{name}: the log needs this key to seal to; `limen init` writes it")
        keys[name] = bytes.fromhex(text)
    return Recipients(supervisor=keys["supervisor"], auditor=keys["auditor"], desk=keys["protection"])


def writer_config(settings: Config) -> WriterConfig:
    """Where the log lives."""
    return WriterConfig(
        store_dir=settings.paths.store,
        lock_dir=settings.paths.lock,
        run_dir=settings.paths.run,
        origin=names.log_origin(settings.state),
        checkpoint_every_s=float(settings.ticks.checkpoint_s),
        pages_max=settings.store.pages_max,
        release=__version__,
    )


def policy_keys(folder: Path, layer: str) -> dict[str, bytes]:
    """Public keys of a layer's authority by key id (`policy/keys/<layer>-<8 hex>.pem`)."""
    return {path.stem: path.read_bytes() for path in sorted((folder / "keys").glob(f"{layer}-*.pem"))}


def open_bundle(settings: Config, layer: str, reader: Reader, now_ns: int) -> Bundle:
    """The layer's bundle file, verified against the sequence that the log anchors (T6).

    Raises:
        ConfigRefused: there is no bundle.
        VerificationFailed: it is not to be trusted; the step says why.
    """
    path = settings.paths.policy / f"{layer}.tar.gz"
    try:
        raw = path.read_bytes()
    except OSError as cause:
        raise ConfigRefused(f"{path}: the {layer} bundle cannot be read ({cause.strerror})") from None
    scope = bundle.BASELINE if layer == "baseline" else bundle.national_scope(settings.state)
    held = reader.policy_sequence(layer)
    sequence, digest = held if held is not None else (0, b"")
    return bundle.open_(raw, policy_keys(settings.paths.policy, layer), scope, sequence, now_ns, anchored_digest=digest)


def last_digest(reader: Reader) -> bytes:
    """The SHA-256 of our last published checkpoint, for the headers of our messages."""
    return reader.last_digest() or envelope.NO_CHECKPOINT


def register_of(settings: Config) -> officers.Register:
    """The officers' register as its file stands. Raises ConfigRefused or what `officers.read` raises."""
    if not settings.register.public_key:
        raise ConfigRefused("register.public_key: without the register's key no officer is known")
    path = settings.paths.officers / "register.jsonl"
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise ConfigRefused(f"{path}: the register cannot be read ({cause.strerror})") from None
    return officers.read(data, bytes.fromhex(settings.register.public_key))
