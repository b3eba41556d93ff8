"""`limen node renew`: certificates anew for the same keys, by the state's own anchor and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.federation import certificates
from gateway.federation.certificates import KeyPair
from gateway.terms import PeerId

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for state in ("PAN", "HND"):
        assert run(["init", "--state", state, str(root / state), "-q"]) == 0
    return root


@pytest.fixture
def pan(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "PAN", tmp_path / "PAN"))


def leaf(folder: Path, role: str) -> tuple[bytes, certificates.Identity]:
    der = certificates.der_of((folder / "tls" / f"{role}.crt").read_bytes())
    return certificates.spki_pin(der), certificates.identity(der)


def test_pins_names_and_purposes_stay_and_the_time_is_new(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {role: leaf(pan, role) for role in ("gateway", "home", "auditors")}
    serials = {role: (pan / "tls" / f"{role}.crt").read_bytes() for role in before}
    assert run(["node", "renew", "--anchor", str(pan / "anchor"), "--days", "40", "--config", str(pan)]) == 0
    assert capsys.readouterr().out.count("for the same key") == 3
    anchor = (pan / "tls" / "anchor.crt").read_bytes()
    for role, (pin, old) in before.items():
        new_pin, new = leaf(pan, role)
        assert new_pin == pin and (new.uri, new.state, new.role) == (old.uri, old.state, old.role)
        assert new.not_after_ns < old.not_after_ns
        assert (pan / "tls" / f"{role}.crt").read_bytes() != serials[role]
        certificates.verify_issued(certificates.der_of((pan / "tls" / f"{role}.crt").read_bytes()), anchor)


def test_one_that_has_ended_is_renewed_and_doctor_is_content(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anchor = KeyPair((pan / "anchor/anchor.key").read_bytes(), (pan / "anchor/anchor.crt").read_bytes())
    ended = certificates.issue_leaf(anchor, PeerId("PAN"), "gateway", 1_700_000_000 * 10**9, days=10)
    (pan / "tls/gateway.crt").write_bytes(ended.certificate_pem)
    (pan / "tls/gateway.key").write_bytes(ended.key_pem)
    (pan / "tls/gateway.key").chmod(0o600)
    run(["doctor", "--config", str(pan), "--offline"])
    assert "limen node renew --anchor DIR" in capsys.readouterr().out
    assert run(["node", "renew", "--anchor", str(pan / "anchor"), "--config", str(pan)]) == 0
    run(["doctor", "--config", str(pan), "--offline"])
    told = capsys.readouterr().out
    assert "limen node renew" not in told and "limen://PAN/gateway, 364 days left" in told


def test_another_states_anchor_changes_nothing(pan: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in (pan / "tls").iterdir()}
    assert run(["node", "renew", "--anchor", str(made / "HND" / "anchor"), "--config", str(pan)]) == 8
    assert "is not the anchor" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (pan / "tls").iterdir()} == before


def test_a_certificate_that_is_none_is_named_and_the_others_stay(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pan / "tls" / "home.crt").write_bytes(b"nothing")
    before = {path.name: path.read_bytes() for path in (pan / "tls").iterdir()}
    assert run(["node", "renew", "--anchor", str(pan / "anchor"), "--config", str(pan)]) in (6, 8)
    assert "home.crt" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (pan / "tls").iterdir()} == before
