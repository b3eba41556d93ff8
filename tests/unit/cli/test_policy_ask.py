"""`limen policy ask` asks the engine that the settings name: where that one is silent, nobody else decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.config import FILE_NAME

QUESTION = ["--purpose", "SEC.WATCH", "--basis", "bilateral agreement", "--owner", "HND", "--role", "border.frontline"]


@pytest.fixture
def pan(tmp_path: Path) -> Path:
    assert run(["init", "--state", "PAN", str(tmp_path / "pan"), "-q"]) == 0
    return tmp_path / "pan"


def test_the_rules_in_this_process_say_where_a_no_comes_from(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["policy", "ask", *QUESTION, "--config", str(pan), "--json"]) == 3
    found = capsys.readouterr()
    assert [row["list"] for row in json.loads(found.out)] == ["PERSONS"]
    assert all(row["national"] == ["no_agreement"] for row in json.loads(found.out))
    assert "denied: no_agreement" in found.err


def test_an_opa_server_that_is_not_there_is_not_replaced(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (pan / FILE_NAME).open("a") as file:
        file.write(f'\n[policy]\nengine = "opa"\nserver = "unix://{pan}/run/opa.sock"\n')
    capsys.readouterr()
    assert run(["policy", "ask", *QUESTION, "--config", str(pan), "--json"]) == 3
    found = capsys.readouterr()
    assert json.loads(found.out) == {"error": "POLICY_UNAVAILABLE", "reasons": []}
    assert "OPA server" in found.err and "no_agreement" not in found.err
