"""No command reads more of a file than what it takes can have, be it a file of gigabytes or a device without an end."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from gateway.cli import inputs, passphrase
from gateway.cli.main import run
from gateway.config import FILE_BYTES_MAX, read_bounded
from gateway.errors import ConfigRefused, InputRefused

COMMANDS = {
    "--config": ["doctor", "--config", "{}"],
    "peer accept": ["peer", "accept", "{}"],
    "policy verify --key": ["policy", "verify", "{}", "--layer", "baseline", "--key", "{}"],
    "audit verify --trust": ["audit", "verify", "{folder}", "--trust", "{}"],
}


@pytest.fixture(params=["3 GiB", "/dev/zero"])
def endless(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "/dev/zero":
        return Path("/dev/zero")
    file = tmp_path / "long"
    with file.open("wb") as made:
        made.truncate(3 << 30)  # of holes: it takes no room
    return file


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_gigabytes_is_refused_in_one_sentence(
    command: str, endless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [word.format(endless, folder=tmp_path) for word in COMMANDS[command]]
    code = run(argv)
    said = capsys.readouterr().err
    assert code == ConfigRefused.row.exit_code == InputRefused.row.exit_code, said
    assert len(said.splitlines()) == 1
    assert str(endless) in said


def test_a_passphrase_file_is_short(endless: Path) -> None:
    with pytest.raises(ConfigRefused, match="longer than 4 KiB"):
        passphrase.ask(argparse.Namespace(passphrase_file=endless))


def test_the_longest_is_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(4096))
    assert inputs.bytes_of(file, 4096) == bytes(4096)
    file.write_bytes(bytes(4097))
    with pytest.raises(InputRefused, match="longer than 4 KiB"):
        inputs.bytes_of(file, 4096, InputRefused)
    assert len(read_bounded(file, 100)) == 101
    assert len(inputs.data_of(str(file), 100)) == 101


def test_a_configuration_has_a_longest_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "limen.toml"
    file.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    assert run(["doctor", "--config", str(file)]) == ConfigRefused.row.exit_code
    assert "longer than 1 MiB" in capsys.readouterr().err
