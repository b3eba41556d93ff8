"""Our own vectors come out of the scripts beside them: each run again must give the same bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("script", sorted(HERE.glob("**/generate*.py")), ids=lambda path: path.stem)
def test_the_generator_gives_the_committed_vectors(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script), "--check"], cwd=HERE.parent.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
