"""What a machine that cannot run Limen is told, in its first second, and that nothing was touched before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.extras import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with set-up's script alone."""
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "setup.sh", folder)
    return folder


def told(
    clone: Path, verb: str, *, programs: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run set-up with programs of the machine replaced by scripts; its exit code and what it said."""
    fake = clone.parent / "bin"
    fake.mkdir(exist_ok=True)
    for name, script in (programs or {}).items():
        (fake / name).write_text(f"#!/bin/sh\n{script}\n")
        (fake / name).chmod(0o755)
    done = subprocess.run(
        ["sh", str(clone / "setup.sh"), verb],
        env={"PATH": f"{fake}:/usr/local/bin:/usr/bin:/bin", "PYTHON": sys.executable, "HOME": str(clone.parent)}
        | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def python_that_says(folder: Path, lines: str) -> dict[str, str]:
    """An environment in which every Python start runs `lines` first."""
    (folder / "sitecustomize.py").write_text(lines)
    return {"PYTHONPATH": str(folder)}


def test_another_operating_system(clone: Path) -> None:
    code, said = told(clone, "demo", programs={"uname": "echo Darwin"})
    assert (code, said.count("\n")) == (1, 1)
    assert "Limen runs on Linux; this is Darwin." in said


def test_a_python_that_is_too_old(clone: Path) -> None:
    old = {name: "exit 1" for name in ("python3", "python3.11", "python3.12", "python3.13")}
    code, said = told(clone, "test", programs=old, env={"PYTHON": ""})
    assert (code, said.count("\n")) == (1, 1)
    assert "Python 3.11 or newer" in said


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("import platform; platform.machine = lambda: 'riscv64'", "x86_64 and aarch64; this python3 runs on riscv64"),
        ("import sys; sys.maxsize = 2**31 - 1", "64-bit"),
        (
            "import os; os.confstr = lambda _: 'glibc 2.31'",
            "glibc 2.34 or newer (Debian 12, Ubuntu 22.04); this system has 2.31",
        ),
        ("import os; os.confstr = lambda _: None", "GNU C library"),
    ],
)
def test_a_machine_for_which_there_are_no_packages(clone: Path, lines: str, sentence: str) -> None:
    code, said = told(clone, "demo", env=python_that_says(clone.parent, lines))
    assert (code, said.count("\n")) == (1, 1)
    assert sentence in said


@pytest.mark.parametrize("verb", ["demo", "test", "run", "dev", "runtime"])
def test_it_takes_less_than_a_second_and_leaves_nothing(clone: Path, verb: str) -> None:
    before = os.times().children_user
    told(clone, verb, env=python_that_says(clone.parent, "import os; os.confstr = lambda _: 'glibc 2.31'"))
    assert os.times().children_user - before < 1.0
    assert [path.name for path in clone.iterdir()] == ["setup.sh"]


def test_without_a_known_verb_it_says_which_there_are(clone: Path) -> None:
    for arguments in ((), ("build",)):
        done = subprocess.run(["sh", str(clone / "setup.sh"), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "sh setup.sh demo" in done.stdout and "sh setup.sh test" in done.stdout


def test_a_folder_that_cannot_be_written() -> None:
    # Root writes everywhere, so it becomes somebody else; pytest's own folders are closed to others.
    as_somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if as_somebody and shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and there is no setpriv to become somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "setup.sh", folder)
        folder.chmod(0o555)
        done = subprocess.run(
            [*as_somebody, "sh", str(folder / "setup.sh"), "demo"],
            env={"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        folder.chmod(0o755)
    assert done.returncode == 1
    assert "is not writable; clone into a folder of your own" in done.stderr


def test_extras_know_their_names() -> None:
    done = subprocess.run(["sh", ".ci/extras", "docker"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are opa, buf, pysdmx, limen-interop and postgres" in done.stderr
