"""A disk without room: the sentence names the place, and nothing half written is left."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.main import run
from tests.unit.cli.test_backup import sign_once

PASSPHRASE = "correct horse battery staple\n"


def limited(folder: Path, bytes_max: int, *command: str) -> subprocess.CompletedProcess[str]:
    """A command that may write no file beyond so many bytes."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, bytes_max))

    return subprocess.run(
        [sys.executable, "-m", "gateway", *command], cwd=folder, capture_output=True, text=True, preexec_fn=limit
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert run(["init", "--state", "PAN", str(folder / "pan"), "-q"]) == 0
    sign_once(folder / "pan")
    (folder / "passphrase").write_text(PASSPHRASE)
    backup = ["node", "backup", "whole.backup", "--config", "pan", "--passphrase-file", "passphrase", "-q"]
    done = subprocess.run([sys.executable, "-m", "gateway", *backup], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_node_that_finds_no_room_is_not_made(tmp_path: Path) -> None:
    done = limited(tmp_path, 300, "init", "--state", "PAN", "pan")
    assert done.returncode == 8 and done.stderr.startswith(f"limen: {tmp_path / 'pan'}: ")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_finds_no_room_is_none(made: Path) -> None:
    before = sorted(path.name for path in made.iterdir())
    command = ["node", "backup", "no.backup", "--config", "pan", "--passphrase-file", "passphrase"]
    # The whole is larger than the store's copy, which has room.
    done = limited(made, (made / "whole.backup").stat().st_size - 4096, *command)
    assert done.returncode == 8 and done.stderr.startswith("limen: no.backup: ")
    assert "nothing was written" in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in made.iterdir()) == before


def test_a_restore_that_finds_no_room_blames_the_new_folder(made: Path) -> None:
    before = sorted(path.name for path in made.iterdir())
    command = ["node", "restore", "whole.backup", "again", "--passphrase-file", "passphrase"]
    done = limited(made, 20_000, *command)
    assert done.returncode == 8 and "whole.backup" not in done.stderr and "again" in done.stderr
    assert sorted(path.name for path in made.iterdir()) == before
