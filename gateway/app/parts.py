"""Pieces that several processes of a node are built from."""

from __future__ import annotations

import secrets

from gateway.audit.seal import Recipients
from gateway.clock import SystemClock, VirtualClock
from gateway.config import Config
from gateway.errors import ConfigRefused
from gateway.federation import envelope, officers
from gateway.store.reader import Reader


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
