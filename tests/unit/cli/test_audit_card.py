"""An auditor's card names the persons of the agency's register, after the register's own signatures."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from gateway.cli.acts import audit
from gateway.cli.main import Refused
from gateway.errors import VerificationFailed
from gateway.primitives import ed25519
from gateway.terms import PeerId
from tests.flows.cases import register

PAN = PeerId("PAN")


def named(path: Path, key: str | None) -> frozenset[bytes]:
    return audit._persons(argparse.Namespace(register=path, register_key=key))


def test_everybody_ever_enrolled_is_on_the_card(tmp_path: Path) -> None:
    held = register(PAN)
    path = tmp_path / "register.jsonl"
    path.write_bytes(b"".join(line.raw + b"\n" for line in held.lines))
    assert named(path, ed25519.public(b"r" * 32).hex()) == {line.person.thumbprint for line in held.lines}
    with pytest.raises(VerificationFailed):
        named(path, ed25519.public(b"o" * 32).hex())
    for nothing in (None, "", "zz", "ab"):
        with pytest.raises(Refused):
            named(path, nothing)
