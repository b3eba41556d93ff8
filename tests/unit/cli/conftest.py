"""What the tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.cli.main import run


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json and check its code; give its document, or where it has none its one sentence.

    A command may speak to a person on standard error before: the sentence is the last line, and the only one of them.
    """

    def ask(*command: object, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([*map(str, command), "--json"]) == code, capsys.readouterr().err
        found = capsys.readouterr()
        if found.out or not code:
            return json.loads(found.out)
        said = [line for line in found.err.splitlines() if line.startswith("limen: ")]
        assert said == found.err.splitlines()[-1:]
        return said[0]

    return ask
