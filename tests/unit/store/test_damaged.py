"""A store whose bytes were changed or cut is told in one sentence, wherever a statement meets it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.errors import ConfigRefused
from gateway.store import db as database
from gateway.store.reader import Reader


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "pan"
    assert run(["init", "--state", "PAN", str(folder), "-q"]) == 0
    return folder


@pytest.fixture
def pan(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "pan"))


@pytest.mark.parametrize(
    "command",
    [
        ["doctor"],
        ["watchlist", "list"],
        ["peer", "list"],
        ["audit", "head"],
        ["audit", "export", "out"],
        ["events", "list"],
        ["policy", "activate", "pan/policy/national.tar.gz"],
    ],
)
@pytest.mark.parametrize("size", [9_000, 40])
def test_every_command_says_so_and_what_to_do(
    pan: Path, command: list[str], size: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pan.parent)
    for file in (pan / "store").glob(f"{database.FILE}*"):
        file.unlink()
    (pan / "store" / database.FILE).write_bytes(random.Random(7).randbytes(size))
    capsys.readouterr()
    assert run([*command, "--config", "pan"]) in (1, 8)
    found = capsys.readouterr()
    assert "node.db is damaged" in found.out + found.err and "limen node restore" in found.out + found.err
    assert not Path("out").exists()


def test_damage_within_is_found_by_the_row_that_meets_it(pan: Path) -> None:
    file = pan / "store" / database.FILE
    with database.open_writer(file) as writer:
        writer.execute("CREATE TABLE filled (body BLOB)")
        writer.executemany("INSERT INTO filled VALUES (?)", [(bytes(3000),)] * 200)
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    data = bytearray(file.read_bytes())
    half = len(data) // 2
    data[half:] = random.Random(3).randbytes(len(data) - half)
    file.write_bytes(data)
    reader = Reader(file.parent)
    try:
        with pytest.raises(ConfigRefused, match="damaged"):
            for _ in reader._one("SELECT body FROM filled"):
                pass
    finally:
        reader.close()
