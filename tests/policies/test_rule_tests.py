"""`limen policy test`: the tests beside rules, without OPA."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.main import run
from gateway.errors import InputRefused
from gateway.opa import rule_tests
from tests.extras import ROOT

RULES = """package x

import data.x.limits

allow if input.a == limits.a

deny if {
	input.b == 2
	input.c == 3
}
"""
TESTS = """package x_test

import data.x

test_yes if x.allow with input as {"a": 1}

todo_test_later if x.never

helper(a) if x.allow with input as {"a": a}

test_no if not helper(2)
"""
DATA = {"x": {"limits": {"a": 1}}}


def test_the_shipped_rules_pass_and_no_line_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "test", str(ROOT / "policies"), "--json", "--threshold", "100"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] >= 50 and found["failed"] == [] and found["coverage"] == 100


def test_what_passes_fails_and_is_not_reached() -> None:
    outcome = rule_tests.run({"x/x.rego": RULES, "x/x_test.rego": TESTS}, DATA)
    assert [(test.name, test.passed) for test in outcome.tests] == [("test_yes", True), ("test_no", True)]
    assert [(file.file, file.missed) for file in outcome.coverage] == [("x/x.rego", (9,))]
    assert 0 < outcome.per_cent < 100
    worse = rule_tests.run({"x.rego": RULES.replace("limits.a", "2"), "t.rego": TESTS}, DATA)
    assert [test.name for test in worse.failed] == ["test_yes", "test_no"]


@pytest.mark.parametrize("value", ["false", "null"])
def test_undefined_null_and_false_are_no_pass(value: str) -> None:
    outcome = rule_tests.run({"t.rego": f"package t\n\ntest_a := {value}\n\ntest_b if 1 == 2\n\ntest_c := 0\n"}, {})
    assert [test.passed for test in outcome.tests] == [False, False, True]


def test_a_test_that_breaks_is_a_failure_with_the_engines_words() -> None:
    outcome = rule_tests.run({"t.rego": 'package t\n\ntest_a if to_number("x") == 1\n\ntest_b if true\n'}, {})
    assert [test.passed for test in outcome.tests] == [False, True]


def folder(place: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def test_a_folder_is_read_as_opa_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"x/x.rego": RULES, "x/x_test.rego": TESTS, "x/limits/data.json": '{"a": 1}', "x/notes.json": "no JSON"}
    made = folder(tmp_path, files)
    assert run(["policy", "test", str(made)]) == 0
    out = capsys.readouterr().out
    assert "x/x.rego:9: no test reaches this line" in out and "2 passed, 0 failed" in out
    assert run(["policy", "test", str(made), "--threshold", "100"]) == 1
    (made / "x/limits/data.json").write_text('{"a": 5}')
    capsys.readouterr()
    assert run(["policy", "test", str(made)]) == 1
    assert "failed: x_test.test_yes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.rego": "package a\n\nallow if {\n"}, "line 4: a.rego: "),
        ({"a.rego": "package a\n\nallow if true\n"}, "named test_*"),
        ({"a.rego": "package a\n\n# \u00e9\n"}, "a.rego: rules are written in ASCII"),
        ({"a/data.json": "{"}, "a/data.json: is not JSON"),
        ({"data.json": "[1]"}, "data.json: must be an object"),
        ({"a/data.json": '{"b": 1}', "a/b/data.json": '{"c": 1}'}, "b stands in another file too"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, files: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "test", str(folder(tmp_path, files))]) == 8
    assert words in capsys.readouterr().err


def test_no_folder_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "test", str(tmp_path / "none")]) == 8
    assert "is no folder" in capsys.readouterr().err


@given(st.text(max_size=80) | st.text(alphabet='package ixtes_{}[]():=",\n', max_size=60))
def test_any_text_is_run_or_refused(text: str) -> None:
    try:
        rule_tests.run({"a.rego": text}, {})
    except InputRefused as refusal:
        assert "a.rego" in str(refusal)
