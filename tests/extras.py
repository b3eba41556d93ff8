"""Programs that set-up does not bring: where they are, and what a test does without them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

REQUIRED_VARIABLE: Final = "LIMEN_EXTRAS"
"""Set to `required` where a missing program is an error (CI, `make policies`, `make proto-check`)."""


def find(name: str) -> str | None:
    """The path of an extra (`opa`, `buf`, `pysdmx`, `limen-interop`, `postgres`): what `.ci/extras` installed, else the
    machine's own, else None."""
    installed = ROOT / ".cache" / "bin" / name
    return str(installed) if installed.exists() else shutil.which(name)


def path(name: str) -> str:
    """The same for a test that carries `@pytest.mark.extra(name)` and so runs only where the program is."""
    found = find(name)
    if found is None:
        raise RuntimeError(f"mark the test with pytest.mark.extra({name!r})")
    return found


def are_required() -> bool:
    """Whether a missing program fails the test instead of skipping it."""
    return os.environ.get(REQUIRED_VARIABLE) == "required"
