"""The files of the repository, as git knows them; without git, as they lie there."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from tests.extras import ROOT

_MADE: Final = {".venv", ".cache", ".git", "__pycache__", ".hypothesis", "build", "dist", "demo-out"}


def _listed_by_git() -> str | None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return done.stdout.decode() if done.returncode == 0 else None


@cache
def files() -> tuple[Path, ...]:
    """Every file that is or would be committed, relative to the root, in order."""
    listed = _listed_by_git()
    if listed is not None:
        names = sorted(set(listed.split("\0")) - {""})
        found = tuple(Path(name) for name in names if (ROOT / name).is_file())
    else:  # a source archive
        found = tuple(
            path.relative_to(ROOT)
            for path in sorted(ROOT.rglob("*"))
            if path.is_file()
            and not any(part in _MADE or part.endswith("_cache") for part in path.relative_to(ROOT).parts)
        )
    assert len(found) > 50, "the repository is not where this file thinks it is"
    return found


def text(path: Path) -> str | None:
    """A file's text, None for a binary one."""
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return None


def pages() -> list[Path]:
    """The documents."""
    return [path for path in files() if path.suffix == ".md"]
