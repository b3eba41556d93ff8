"""`limen policy verify` outside a node: a bundle is judged by files alone, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.main import run


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new node's policy folder, away from the node."""
    made = tmp_path_factory.mktemp("made")
    assert run(["init", "--state", "PAN", str(made / "pan"), "-q"]) == 0
    return (made / "pan" / "policy").rename(made / "policy")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)


def key(policy: Path, layer: str) -> str:
    return str(next((policy / "keys").glob(f"{layer}-*.pem")))


@pytest.mark.parametrize(("layer", "more"), [("national", ["--state", "PAN"]), ("baseline", [])])
def test_a_bundle_is_verified_by_files_alone(
    policy: Path, layer: str, more: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Under any name: a key is called by what it is, not by its file.
    copy = tmp_path / "who-signs.pem"
    copy.write_bytes(Path(key(policy, layer)).read_bytes())
    command = ["policy", "verify", str(policy / f"{layer}.tar.gz"), "--layer", layer, "--key", str(copy), *more]
    assert run(command) == 0
    assert "sequence 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("layer", "signer", "more", "code", "told"),
    [
        ("national", "national", [], 2, "--state"),
        ("national", "national", ["--state", "HND"], 6, "scope"),
        ("national", "baseline", ["--state", "PAN"], 6, "key"),
        ("baseline", "national", [], 6, "key"),
    ],
)
def test_another_state_or_another_signer_is_found(
    policy: Path, layer: str, signer: str, more: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(policy / f"{layer}.tar.gz")
    assert run(["policy", "verify", bundle, "--layer", layer, "--key", key(policy, signer), *more]) == code
    assert told in capsys.readouterr().err


def test_what_is_no_key_and_what_is_no_bundle_is_told(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, good = str(policy / "national.tar.gz"), key(policy, "national")
    assert run(["policy", "verify", bundle, "--state", "PAN", "--key", bundle]) == 8
    assert run(["policy", "verify", good, "--state", "PAN", "--key", good]) == 6
    assert run(["policy", "verify", bundle, "--state", "PAN"]) == 2
    assert "give --key" in capsys.readouterr().err.splitlines()[-1]
