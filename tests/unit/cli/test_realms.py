"""Live nodes and a sandbox's refuse each other, in both directions and at every door there is between them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import run
from gateway.config import FILE_NAME
from gateway.federation import document

Told = Callable[..., Any]
WAYS = [("PAN", "SBX"), ("SBX", "PAN")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live node and a sandbox's."""
    root = tmp_path_factory.mktemp("made")
    for number, (state, more) in enumerate({"PAN": [], "SBX": ["--sandbox"]}.items()):
        port = 20_600 + 10 * number
        ports = [f"--{name}=127.0.0.1:{port + at}" for at, name in enumerate(("peers", "home", "auditors", "metrics"))]
        assert run(["init", "--state", state, str(root / state), "-q", *ports, *more]) == 0
        card = ["-o", str(root / f"{state}.card")]
        assert run(["federation", "card", "--config", str(root / state), "-q", *card]) == 0
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "r"))


def alone(told: Told, root: Path, state: str) -> Path:
    """A list of this state only, signed."""
    file = root / f"{state}.list"
    baseline = root / state / "policy" / "baseline.tar.gz"
    told("federation", "make", root / f"{state}.card", "--version", 1, "--threshold", 1, "--baseline", baseline,
         "-o", file)  # fmt: skip
    told("federation", "sign", file, "--state", state, "--key", root / state / "anchor" / "federation.key")
    return file


def test_codes_of_sandboxes_are_theirs_alone(told: Told, root: Path, tmp_path: Path) -> None:
    assert "is a code of sandboxes" in told("init", "--state", "SBX", tmp_path / "new", code=2)
    assert not (tmp_path / "new").exists()
    assert "never meet" in told("peer", "invite", "SBX", "--config", root / "PAN", code=2)
    file = root / "PAN" / FILE_NAME
    file.write_text(file.read_text().replace('state = "PAN"', 'state = "SBX"'))
    assert "is a code of sandboxes" in told("config", "show", "--config", root / "PAN", code=8)


def test_a_state_may_have_a_node_for_a_sandbox_and_it_is_not_live(told: Told, tmp_path: Path) -> None:
    told("init", "--state", "PAN", tmp_path / "pan", "--sandbox")
    shown = told("config", "show", "--config", tmp_path / "pan")
    assert shown["realm"] == "sandbox"
    assert "realm" in told("serve", "--production", "--config", tmp_path / "pan", code=8)
    # A line of text does not make it a live one: its certificates say what they were made for.
    file = tmp_path / "pan" / FILE_NAME
    file.write_text(file.read_text().replace('realm = "sandbox"\n', ""))
    assert "stays in it" in told("federation", "card", "--config", tmp_path / "pan", code=8)
    checks = told("doctor", "--offline", "--config", tmp_path / "pan", code=1)["checks"]
    rows = {row["check"]: row for row in checks}
    assert "is limen-sandbox://PAN/gateway" in rows["certificate gateway"].values()


@pytest.mark.parametrize(("ours", "theirs"), WAYS)
def test_neither_takes_the_others_invitation(told: Told, root: Path, ours: str, theirs: str) -> None:
    # The inviter's code is one that both sides may have, so that the realm alone is judged.
    other = root / "other"
    told("init", "--state", "HND", other, *(["--sandbox"] if theirs == "SBX" else []))
    invited = told("peer", "invite", ours, "-o", root / "invitation", "--config", other, code=0 if ours == "PAN" else 2)
    if ours == "SBX":
        assert "never meet" in invited
        return
    refused = told("peer", "accept", invited["file"], "--words", invited["words"], "--config", root / ours, code=6)
    assert "the two never meet" in refused
    assert not list((root / ours / "federation").glob("*/*.draft"))


@pytest.mark.parametrize(("ours", "theirs"), WAYS)
def test_neither_takes_the_others_list(told: Told, root: Path, ours: str, theirs: str) -> None:
    file = alone(told, root, theirs)
    for command in (("federation", "accept"), ("peer", "accept")):
        assert "the two never meet" in told(*command, file, "--config", root / ours, code=6)
    assert not (root / ours / "federation" / document.FILE_NAME).exists()


@pytest.mark.parametrize(("ours", "theirs"), WAYS)
def test_neither_stands_on_the_others_list(told: Told, root: Path, ours: str, theirs: str) -> None:
    cards = [root / f"{state}.card" for state in (ours, theirs)]
    refused = told("federation", "make", *cards, "--version", 1, "--threshold", 2, "--baseline", "0" * 64,
                   "-o", root / "list", code=8)  # fmt: skip
    assert "two realms" in refused and not (root / "list").exists()


def test_a_sandboxs_list_does_not_follow_a_live_one(told: Told, root: Path) -> None:
    told("federation", "accept", alone(told, root, "PAN"), "--config", root / "PAN")
    file = alone(told, root, "SBX")
    assert "never meet" in told("federation", "verify", file, "--previous", root / "PAN.list", code=6)


def test_a_list_slipped_into_the_folder_does_not_start_a_node(told: Told, root: Path) -> None:
    folder = root / "PAN" / "federation"
    shutil.copy(alone(told, root, "SBX"), folder / document.FILE_NAME)
    assert run(["serve", "--config", str(root / "PAN")]) != 0
