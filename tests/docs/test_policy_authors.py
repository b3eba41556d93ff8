"""The guide for authors of policy: every command and every line of Rego on it is run, in order."""

from __future__ import annotations

import json
import re
import shlex
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import run
from tests.extras import ROOT

PAGE = (ROOT / "docs" / "policy-authors.md").read_text("utf-8")


def block(name: str) -> str:
    found = re.search(rf"<!-- {name}:begin -->\n```\w+\n(.*?)```\n<!-- {name}:end -->", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def typed(name: str) -> None:
    """Run a block's commands, each of which must succeed."""
    for line in block(name).splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        assert program == "limen"
        assert run([file for word in words for file in (glob(word) or [word])]) == 0, line


@pytest.fixture
def pan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)
    assert run(["init", "--state", "PAN", "pan", "-q"]) == 0
    agencies = ["--agency", "PAN:BORDER", "--agency", "HND:INM"]
    assert run(["agreement", "new", "PAN", "HND", *agencies, "-o", "PAN-HND.agreement", "-q"]) == 0
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A question that the agreement permits, as `limen policy ask` prints it."""
    capsys.readouterr()
    words = ["--purpose", "SEC.WATCH", "--basis", "bilateral agreement", "--owner", "HND", "--role", "border.frontline"]
    run(["policy", "ask", *words, "--config", "pan", "--json"])
    question: dict[str, Any] = json.loads(capsys.readouterr().out)[0]["question"]
    return question


def edit(rules: Path) -> None:
    """What the page says to write, at the places it names."""
    source = rules / "limen" / "national" / "sharing" / "sharing.rego"
    text = source.read_text()
    end = "\t\trow.key_types[key_type]\n\t}\n"
    assert text.count(end) == 1
    source.write_text(text.replace(end, end + block("condition")) + "\n" + block("rule"))
    tests = source.with_name("sharing_test.rego")
    tests.write_text(tests.read_text() + "\n" + block("test"))


def test_the_guide_works_from_end_to_end(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("copy")
    edit(pan / "my-rules")
    typed("build")
    question = asked(capsys)
    Path("questions.json").write_text(json.dumps([question | {"class_size": size} for size in (320, 1280)]))
    typed("activate")
    capsys.readouterr()
    assert run(["policy", "decide", "questions.json", "--config", "pan", "--json"]) == 3
    small, large = json.loads(capsys.readouterr().out)
    assert small["allowed"] is True
    assert large["allowed"] is False and large["national"] == ["class_size"] and large["baseline"] == []
    Path("questions.json").write_text(json.dumps(question))
    typed("ask")


def test_it_tells_of_every_verb_an_author_needs() -> None:
    for verb in ("rules", "test", "build", "diff", "decide", "verify", "activate", "matrix"):
        assert f"limen policy {verb} " in PAGE
