"""Passphrases come from a prompt or a file, never from an argument: arguments are seen by every user of a machine."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.main import Refused
from gateway.errors import ConfigRefused
from gateway.terms.hidden import Hidden

if TYPE_CHECKING:
    from gateway.keyring.personal import PersonalKey


def add_key(parser: argparse.ArgumentParser, *, told: str) -> None:
    """Declare `--key` and `--passphrase-file`, the same for every act a person signs."""
    group = parser.add_argument_group("the person")
    group.add_argument("--key", type=Path, required=True, metavar="FILE", help=told)
    group.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase (default: a prompt)"
    )


def unlock(args: argparse.Namespace) -> PersonalKey:
    """The person's key.

    Raises:
        ConfigRefused: a file cannot be read.
        InputRefused, NotIdentified: not a key file, or not its passphrase.
    """
    from gateway.keyring import personal  # here, because a command's help needs no cryptography

    return personal.open_(read(args.key), ask(args))


def ask(args: argparse.Namespace, *, twice: bool = False) -> Hidden[str]:
    """The passphrase, from the file or from the terminal (`twice` when a new one is chosen)."""
    if args.passphrase_file is not None:
        try:
            text = read(args.passphrase_file).decode("utf-8").split("\n", 1)[0]
        except UnicodeDecodeError:
            raise ConfigRefused(f"{args.passphrase_file}: is not UTF-8 text") from None
        return Hidden(text.removesuffix("\r"))
    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask for the passphrase; give --passphrase-file")
    first = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Again: ") != first:
        raise Refused("the two passphrases differ; nothing was made")
    return Hidden(first)


def read(path: Path) -> bytes:
    """A file's bytes. Raises ConfigRefused."""
    try:
        return path.read_bytes()
    except OSError as cause:
        raise ConfigRefused(f"{path}: cannot be read ({cause.strerror})") from None
