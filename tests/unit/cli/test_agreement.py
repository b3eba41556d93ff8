"""`limen agreement`: a draft, and everything that is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import run


@pytest.fixture
def draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)
    made = tmp_path / "PAN-HND.agreement"
    agencies = ["--agency", "PAN:BORDER", "--agency", "HND:INM"]
    assert run(["agreement", "new", "PAN", "HND", *agencies, "-o", str(made), "-q"]) == 0
    return made


def told(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    found = capsys.readouterr()
    return found.out, found.err


def test_a_draft_is_complete_and_told_in_words(draft: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys)
    assert run(["agreement", "check", str(draft)]) == 0
    out, err = told(capsys)
    assert "complete, in force until" in out and not err
    assert "between HND (INM) and PAN (BORDER)" in out
    for words in ("SEC.WATCH: Border security", "numbers only", "impact assessment", "redress in HND"):
        assert words in out


@pytest.mark.parametrize(
    ("change", "told_why"),
    [({"status": "suspended"}, "suspended"), ({"valid_from_ns": 1, "valid_until_ns": 2}, "ended 1970"),
     ({"valid_from_ns": 9 * 10**18, "valid_until_ns": 9 * 10**18 + 1}, "begins 2255")],
)  # fmt: skip
def test_one_that_permits_nothing_says_why(
    draft: Path, change: dict[str, object], told_why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draft.write_text(json.dumps(json.loads(draft.read_text()) | change))
    told(capsys)
    assert run(["agreement", "check", str(draft), "--json"]) == 0
    assert json.loads(told(capsys)[0])["holds"] is False
    run(["agreement", "check", str(draft)])
    assert told_why in told(capsys)[0]


def test_every_fault_is_told_with_its_line(draft: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(draft.read_text())
    document["version"] = "first"
    document["purposes"]["SEC.WATCH"]["roles"].append("minister")
    document["purposes"]["SEC.EVERYTHING"] = {}
    document["agencies"]["XOM"] = ["OMB"]
    del document["dpia"]
    text = json.dumps(document, indent=2)
    draft.write_text(text)
    told(capsys)
    assert run(["agreement", "check", str(draft)]) == 8
    out, err = told(capsys)
    lines = text.splitlines()
    want = {
        "dpia": 1,
        "version": 1 + next(n for n, line in enumerate(lines) if '"first"' in line),
        "purposes.SEC.WATCH.roles": 1 + next(n for n, line in enumerate(lines) if '"minister"' in line),
        "purposes.SEC.EVERYTHING": 1 + next(n for n, line in enumerate(lines) if '"SEC.EVERYTHING"' in line),
        "agencies": 1 + next(n for n, line in enumerate(lines) if '"agencies"' in line),
    }
    for field, line in want.items():
        assert f"{draft}:{line}: {field}: " in out
    assert len(out.splitlines()) == len(want)
    assert err.strip() == f"limen: {draft}: {len(want)} faults"


def test_a_program_gets_the_same(draft: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(draft.read_text()) | {"retention": "for ever"}
    draft.write_text(json.dumps(document))
    told(capsys)
    assert run(["agreement", "check", str(draft), "--json"]) == 8
    found = json.loads(told(capsys)[0])
    assert found["ok"] is False
    assert [(row["line"], row["field"]) for row in found["faults"]] == [(1, "retention")]


@pytest.mark.parametrize(
    ("data", "words"),
    [(b'{\n "a": 1,\n}', "line 3"), (b'{"a": 1,\n "a": 1}', "each name once"), (b"\xff\xfe", "UTF-8"),
     (b"[]", "must be an object"), (b" " * (1 << 20) + b"{}", "larger")],
)  # fmt: skip
def test_another_file_is_refused_by_name_and_never_quoted(
    tmp_path: Path, data: bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.json").write_bytes(data)
    assert run(["agreement", "check", str(tmp_path / "wrong.json")]) == 8
    out, err = told(capsys)
    assert words in out + err
    assert "wrong.json" in err


def test_building_a_bundle_names_file_and_line(draft: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = tmp_path / "pan"
    assert run(["init", "--state", "PAN", str(node), "-q"]) == 0
    document = json.loads(draft.read_text()) | {"retention": "for ever"}
    draft.write_text(json.dumps(document, indent=2))
    told(capsys)
    key = next((node / "policy-authority").glob("national-*.pem"))
    built = tmp_path / "national.tar.gz"
    assert run(["policy", "build", "--config", str(node), "--key", str(key), "--agreement", str(draft), "-o",
                str(built)]) == 8  # fmt: skip
    _, err = told(capsys)
    assert f"{draft}: line " in err and ": retention: " in err
    assert not built.exists()
