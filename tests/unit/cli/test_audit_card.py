"""An auditor's card names the persons of the agency's register, after the register's own signatures."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from gateway.audit import note, trust
from gateway.cli.acts import audit
from gateway.cli.main import Refused
from gateway.errors import InputRefused, VerificationFailed
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


LOG = note.Verifier("pan.example/log", note.LOG_KEY, ed25519.public(b"l" * 32))
PEER = note.Verifier("hnd.example/witness", note.WITNESS_KEY, ed25519.public(b"h" * 32))
OUTSIDER = note.Verifier("university.example/w", note.WITNESS_KEY, ed25519.public(b"u" * 32))
POLICY = (
    f"log {LOG.vkey}\nwitness HND {PEER.vkey}\nwitness university {OUTSIDER.vkey} https://w.university.example/\n"
    "group enough all HND university\nquorum enough\n"
)


def test_a_card_takes_witnesses_outside_the_federation_from_the_nodes_policy(tmp_path: Path) -> None:
    file = tmp_path / "witnesses.txt"
    file.write_text(POLICY)
    made = audit._by_policy(file, LOG, {"HND": PEER})
    assert made.encode() == POLICY.replace("enough all", "enough 2")
    assert not made.quorum.holds({"HND"}) and made.quorum.holds({"HND", "university"})
    text, _ = audit._page(made, "PAN")
    assert "key of university: " in text and trust.Card.parse(text).quorum == made.quorum


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (POLICY.replace(LOG.vkey, note.Verifier("x/log", note.LOG_KEY, LOG.public).vkey), "about other logs"),
        (POLICY.replace(PEER.vkey, note.Verifier(PEER.name, PEER.kind, OUTSIDER.public).vkey, 1)
         .replace(f"witness university {OUTSIDER.vkey} https://w.university.example/\n", "")
         .replace("all HND university", "all HND"), "another key for HND"),
        ("a letter", "not a line of a trust card"),
    ],
)  # fmt: skip
def test_a_policy_of_another_log_or_with_another_members_key_makes_no_card(
    tmp_path: Path, policy: str, says: str
) -> None:
    file = tmp_path / "witnesses.txt"
    file.write_text(policy)
    with pytest.raises(InputRefused, match=says) as caught:
        audit._by_policy(file, LOG, {"HND": PEER})
    assert caught.value.file == str(file)
