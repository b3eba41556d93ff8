"""`limen audit show`: a kind that does not exist is refused before anything is read, and the kinds are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.kinds import CATALOGUE
from gateway.cli.main import run


def test_a_kind_that_is_none_is_refused_and_the_kinds_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "show", str(tmp_path), "--kind", "nope"]) == 2
    found = capsys.readouterr()
    assert found.out == "" and found.err.count("\n") == 1
    assert all(kind.name in found.err for kind in CATALOGUE)
    assert run(["audit", "show", str(tmp_path), "--kind", "check.anser"]) == 2
    assert "did you mean check.answer?" in capsys.readouterr().err
