"""The rules under OPA, the reference engine: they compile strictly, are in form, and pass their own tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import extras

pytestmark = pytest.mark.extra("opa")


def opa(tmp_path: Path, *arguments: str) -> str:
    """Run OPA on the policies; its own words are the test's message when it fails."""
    done = subprocess.run(
        [extras.path("opa"), *arguments, "policies"],
        cwd=extras.ROOT,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"opa {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_rules_compile_strictly(tmp_path: Path) -> None:
    opa(tmp_path, "check", "--strict")


def test_the_rules_are_in_form(tmp_path: Path) -> None:
    assert opa(tmp_path, "fmt", "--list", "--fail") == ""


def test_the_rules_pass_their_own_tests(tmp_path: Path) -> None:
    summary = opa(tmp_path, "test", "--verbose", "--bundle")
    assert "PASS: " in summary and "PASS: 0/0" not in summary
