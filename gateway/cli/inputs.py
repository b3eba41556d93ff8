"""What verbs have in common that read a file, a day or a role from the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.cli.main import Refused
from gateway.errors import CapabilityMissing, ConfigRefused, GatewayError, InputRefused, Malformed
from gateway.terms.words import Role

if TYPE_CHECKING:
    from gateway.federation.statement import PersonalSignature


def day(text: str) -> date:
    """The value of `--on`, today (UTC) where it was not given. Raises Refused."""
    if not text:
        from gateway.clock import SystemClock  # here, because a command's help needs no event loop

        return datetime.fromtimestamp(SystemClock().now_ns() / 1e9, tz=UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("--on: write a date as YYYY-MM-DD") from None


BYTES_MAX: Final = 64 << 20
"""Longest file that a command takes whole where nothing shorter is said, bytes: a register, a list of persons."""


def bytes_of(path: Path, bytes_max: int = BYTES_MAX, refusal: type[GatewayError] = ConfigRefused) -> bytes:
    """A file's bytes, never more than `bytes_max`. Raises `refusal` where it is longer or cannot be read."""
    from gateway.config import read_bounded  # here: a command's help needs no settings

    try:
        data = read_bounded(path, bytes_max)
    except OSError as cause:
        raise refusal(f"{path}: cannot be read ({cause.strerror})") from None
    if len(data) > bytes_max:
        raise refusal(f"{path}: is longer than {size_of(bytes_max)}, the most that is taken here")
    return data


def size_of(count: int) -> str:
    """A number of bytes for people: `4 KiB`, `64 MiB`."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


@contextmanager
def about(name: Path | str) -> Iterator[None]:
    """What is refused inside is told with the file's name, `standard input` for `-`; the innermost file is the one."""
    try:
        yield
    except GatewayError as refusal:
        if not refusal.file:
            refusal.file = "standard input" if str(name) == "-" else str(name)
        raise


def signatures(paths: Iterable[Path]) -> list[PersonalSignature]:
    """Personal signatures, each from its file. Raises InputRefused naming the file."""
    from gateway.federation.statement import PersonalSignature  # here: a command's help needs no cryptography

    found = []
    for path in paths:
        with about(path):
            try:
                found.append(PersonalSignature.decode(bytes_of(path)))
            except Malformed:
                raise InputRefused("is no personal signature (`limen ... sign` or `--sign` writes one)") from None
    return found


def role(text: str, offered: Iterable[Role] = Role) -> Role:
    """The value of `--role`; `offered` are named where it is none. Raises Refused."""
    try:
        return Role(text)
    except ValueError:
        raise Refused(f"--role: write one of {', '.join(offered)}") from None


def data_of(name: str, bytes_max: int) -> bytes:
    """Up to `bytes_max` bytes and one more of a file or of standard input (`-`): the caller judges the size.

    Raises:
        InputRefused: it cannot be read.
    """
    from gateway.config import read_bounded  # here: a command's help needs no settings

    try:
        return sys.stdin.buffer.read(bytes_max + 1) if name == "-" else read_bounded(Path(name), bytes_max)
    except OSError as cause:
        raise InputRefused(f"{name}: cannot be read ({cause.strerror})", code="FILE") from None


def require_statistics() -> None:
    """Raises CapabilityMissing where the extra that reads maps and declarations is not installed."""
    if find_spec("yaml") is None:
        raise CapabilityMissing(
            "this needs the extra: install `limen-gateway[statistics]`, or run `sh setup.sh statistics`"
        )
