"""`limen policy decide` and `diff`: questions from a file, and what another bundle changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import run

ASK = ["--purpose", "SEC.WATCH", "--basis", "bilateral agreement", "--owner", "HND", "--role", "border.frontline"]


@pytest.fixture
def pan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node of PAN that has no agreement, and a bundle beside it that has one."""
    monkeypatch.chdir(tmp_path)
    node = tmp_path / "pan"
    assert run(["init", "--state", "PAN", str(node), "-q"]) == 0
    agencies = ["--agency", "PAN:BORDER", "--agency", "HND:INM"]
    assert run(["agreement", "new", "PAN", "HND", *agencies, "-o", "agreement", "-q"]) == 0
    key = next((node / "policy-authority").glob("national-*.pem"))
    build = ["policy", "build", "--config", str(node), "--key", str(key), "--agreement", "agreement"]
    assert run([*build, "-o", "national.tar.gz", "-q"]) == 0
    return node


def told(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert run(["policy", *command]) == code
    found = capsys.readouterr()
    return found.out, found.err


@pytest.fixture
def question(pan: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `ask` put to the rules, in a file `q`."""
    out, _ = told(capsys, "ask", *ASK, "--config", str(pan), "--json", code=3)
    found: dict[str, Any] = json.loads(out)[0]["question"]
    Path("q").write_text(json.dumps(found))
    return found


def test_a_question_is_decided_as_it_was_asked(
    pan: Path, question: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = told(capsys, "decide", "q", "--config", str(pan), code=3)
    assert "1: ask SEC.WATCH hit, PAN to HND: no" in out
    assert "national: no_agreement: No agreement between the two states covers the purpose." in out
    assert "no_agreement" in err
    assert run(["policy", "activate", "national.tar.gz", "--config", str(pan), "-q"]) == 0
    out, _ = told(capsys, "decide", "q", "--config", str(pan))
    assert out.startswith("1: ask SEC.WATCH hit, PAN to HND: yes, under AGR-HND-PAN, by doc/1")


def test_many_questions_keep_their_places(
    pan: Path, question: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "activate", "national.tar.gz", "--config", str(pan), "-q"]) == 0
    Path("q").write_text(json.dumps([question, question | {"class_size": 9}, question | {"owner": "GTM"}]))
    out, _ = told(capsys, "decide", "q", "--config", str(pan), "--json", code=3)
    rows = json.loads(out)
    assert [(row["question"], row["allowed"]) for row in rows] == [(1, True), (2, False), (3, False)]
    assert rows[1]["reasons"] == ["class_size"] and rows[2]["national"] == ["no_agreement"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "q: is not JSON"), ("[]", "holds no question"), ('{"schema": 1}', "question 1: agency: is missing"),
     ('["Mercedes"]', "question 1: a question must be an object")],
)  # fmt: skip
def test_another_file_is_refused_by_place_and_field(
    pan: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("q").write_text(text)
    _, err = told(capsys, "decide", "q", "--config", str(pan), code=8)
    assert words in err and "Mercedes" not in err


def test_a_bundle_that_opens_something_says_what(
    pan: Path, question: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = told(capsys, "diff", "national.tar.gz", "--config", str(pan), "--questions", "q", "--json")
    found = json.loads(out)
    assert found["opened"] > 0 and found["closed"] == 0
    by_name = {row["name"]: row for row in found["changes"]}
    mine = by_name["question 1: ask SEC.WATCH hit, PAN to HND"]
    assert mine["before"]["reasons"] == ["no_agreement"] and mine["after"]["agreement"] == "AGR-HND-PAN"
    out, _ = told(capsys, "diff", "national.tar.gz", "--config", str(pan))
    assert f"{found['opened'] - 1} permitted that were denied, 0 denied that were permitted" in out


def test_what_is_in_force_already_changes_nothing(pan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "activate", "national.tar.gz", "--config", str(pan), "-q"]) == 0
    out, _ = told(capsys, "diff", "national.tar.gz", "--config", str(pan))
    assert "0 permitted that were denied, 0 denied that were permitted, 0 with other" in out
