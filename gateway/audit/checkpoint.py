"""Checkpoints (C2SP tlog-checkpoint): origin, size and root as the three lines of a note."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from gateway.errors import Malformed

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: log `origin` had `size` leaves under this `root` (32 bytes). Extension lines are not ours to use."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise ValueError("an origin is one line and not empty")
        if self.size < 0 or len(self.root) != 32:
            raise ValueError("a checkpoint has a size of at least 0 and a root of 32 bytes")

    def encode(self) -> bytes:
        """The note text, newline at the end."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the note text: how a message names the checkpoint; the same whoever cosigns it."""
        return hashlib.sha256(self.encode()).digest()


def parse(text: bytes) -> Checkpoint:
    """Read a verified note's text, strictly. Raises Malformed.

    Extension lines are refused: no witness vouches for them, and none of our logs writes any.
    """
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise Malformed("checkpoint", "not UTF-8") from None
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise Malformed("checkpoint", "a checkpoint has three lines")
    if not _SIZE.match(lines[1]):
        raise Malformed("checkpoint", "the size is not a plain number")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("checkpoint", "the root is not base64") from None
    if len(root) != 32 or base64.b64encode(root).decode() != lines[2]:
        raise Malformed("checkpoint", "the root is not a hash")
    return Checkpoint(lines[0], int(lines[1]), root)
