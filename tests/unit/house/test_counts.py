"""CI's closing line: a test counts once, a step that died counts, and nothing red is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.extras import ROOT

CASE = '<testcase classname="tests.a" name="{name}">{inside}</testcase>'


def report(folder: Path, step: str, **cases: str) -> None:
    inside = {"passed": "", "failed": '<failure message="x"/>', "error": "<error/>", "skipped": "<skipped/>"}
    body = "".join(CASE.format(name=name, inside=inside[outcome]) for name, outcome in cases.items())
    (folder / f"{step}.xml").write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")


def closing(folder: Path, *steps: str) -> tuple[int, str]:
    (folder / "steps").write_text("".join(f"{step}\n" for step in steps))
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "counts.py"), str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()[-1]


def test_steps_without_a_report_count_as_one(tmp_path: Path) -> None:
    assert closing(tmp_path, "lint 0 1", "types 0 2") == (0, "limen: 2 passed, 0 failed, 0 skipped")
    assert closing(tmp_path, "lint 0 1", "types 1 2") == (1, "limen: 1 passed, 1 failed, 0 skipped")


def test_a_test_that_ran_twice_counts_once(tmp_path: Path) -> None:
    report(tmp_path, "test", one="passed", two="skipped", three="skipped")
    report(tmp_path, "extra", two="passed", one="passed")
    assert closing(tmp_path, "test 0 9", "extra 0 1") == (0, "limen: 2 passed, 0 failed, 1 skipped")


def test_a_test_that_failed_once_has_failed(tmp_path: Path) -> None:
    report(tmp_path, "test", one="error")
    report(tmp_path, "extra", one="passed")
    assert closing(tmp_path, "test 1 9", "extra 0 1") == (1, "limen: 0 passed, 1 failed, 0 skipped")


def test_a_step_that_died_is_not_saved_by_its_tests(tmp_path: Path) -> None:
    report(tmp_path, "test", one="passed")
    assert closing(tmp_path, "test 124 900") == (1, "limen: 1 passed, 1 failed, 0 skipped")
    (tmp_path / "test.xml").write_text("<testsuites><testsu")
    assert closing(tmp_path, "test 2 1") == (1, "limen: 0 passed, 1 failed, 0 skipped")


def test_no_test_at_all_is_not_green(tmp_path: Path) -> None:
    report(tmp_path, "test", one="skipped")
    assert closing(tmp_path, "test 0 1")[0] == 1
