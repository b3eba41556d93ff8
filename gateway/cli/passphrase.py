"""Passphrases come from a prompt or a file, never from an argument: arguments are seen by every user of a machine."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.inputs import about, bytes_of
from gateway.cli.main import Refused
from gateway.errors import ConfigRefused, NotIdentified
from gateway.terms.hidden import Hidden

PASSPHRASE_FILE_BYTES_MAX: Final = 4096
"""Longest file of a passphrase, bytes: only its first line counts."""

if TYPE_CHECKING:
    from gateway.federation.statement import PersonalSignature
    from gateway.keyring.personal import PersonalKey
    from gateway.terms.words import Role


def add_key(parser: argparse.ArgumentParser, *, told: str) -> None:
    """Declare `--key` and `--passphrase-file`, the same for every act a person signs."""
    group = parser.add_argument_group("the person")
    group.add_argument("--key", type=Path, required=True, metavar="FILE", help=told)
    group.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="its first line is the passphrase (default: a prompt)"
    )


def unlock(args: argparse.Namespace, officer: str = "") -> PersonalKey:
    """The person's key.

    Raises:
        ConfigRefused: a file cannot be read.
        InputRefused, NotIdentified: not a key file, not `officer`'s, or not its passphrase.
    """
    from gateway.keyring import personal  # here, because a command's help needs no cryptography

    with about(args.key):
        data = bytes_of(args.key)
        whose, _ = personal.officer_of(data)  # what is no key file is said before anybody types a passphrase
    if officer and whose != officer:
        raise NotIdentified(
            f"the key of {args.key} is not that of the person logged in here: sign with your own, or log in first"
        )
    return personal.open_(data, ask(args))


def sign(
    args: argparse.Namespace, out: Path, act: str, facts: Mapping[str, Any], *, role: Role, signed_ns: int
) -> None:
    """Write the person's own signature over an act (`federation.statement`) to a file. Raises what `unlock` raises."""
    from gateway.keyring import files  # here, because a command's help needs no cryptography

    taken = Refused(f"{out} is there already; name a new file, or remove it first")
    if out.exists():
        raise taken
    made = signed(args, act, facts, role=role, signed_ns=signed_ns)
    try:
        files.write_new(out, made.encode())
    except FileExistsError:
        raise taken from None


def signed(
    args: argparse.Namespace, act: str, facts: Mapping[str, Any], *, role: Role, signed_ns: int
) -> PersonalSignature:
    """The person's own signature over an act. Raises what `unlock` raises."""
    from gateway.federation import statement  # here, because a command's help needs no cryptography

    return statement.make(act, facts, role=role, signed_ns=signed_ns, seed=unlock(args).seed.open())


def ask(args: argparse.Namespace, *, twice: bool = False) -> Hidden[str]:
    """The passphrase, from the file or from the terminal (`twice` when a new one is chosen)."""
    if args.passphrase_file is not None:
        try:
            text = bytes_of(args.passphrase_file, PASSPHRASE_FILE_BYTES_MAX).decode("utf-8").split("\n", 1)[0]
        except UnicodeDecodeError:
            raise ConfigRefused(f"{args.passphrase_file}: is not UTF-8 text") from None
        return Hidden(text.removesuffix("\r"))
    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask for the passphrase; give --passphrase-file")
    first = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Again: ") != first:
        raise Refused("the two passphrases differ; nothing was made")
    return Hidden(first)
