"""The frame of the command line: one sentence on errors, codes as promised, help at once."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from gateway.cli import inputs, main, output
from gateway.cli.main import NOUNS, run
from gateway.errors import (
    CATALOGUE,
    BudgetExhausted,
    ConfigRefused,
    GatewayError,
    InputRefused,
    Malformed,
    NotIdentified,
    PolicyDenied,
    VerificationFailed,
)


def test_alone_it_says_how_to_start_one_line_a_role(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["officer", "operator", "auditor", "developer", "lawyer"]
    assert all("limen " in line for line in lines)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(["--help"])
    told = capsys.readouterr().out
    assert caught.value.code == 0
    assert all(f"  {noun} " in told for noun in NOUNS)


@pytest.mark.parametrize(
    "command", [["--help"], *([noun, "-h"] for noun in ("init", "officer", "federation", "config", "doctor"))]
)
def test_help_comes_at_once(command: list[str]) -> None:
    # The promise is 0.3 s on a machine that does nothing else, so what is measured is the processor's time.
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "gateway", *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["oficer"], "did you mean officer?"),
        (["xyzzy"], "see `limen -h`"),
        (["config"], "the following arguments are required: VERB; see `limen config -h`"),
        (["config", "sow"], "invalid choice"),
        (["config", "show", "--orgin"], "unrecognized arguments: --orgin; see `limen config show -h`"),
        (["audit", "export", "--orgin"], "see `limen audit export -h`"),
        (["config", "show", "--set", "state"], "write KEY=VALUE"),
        (["init", "DIR"], "--state"),
        (["--sideways"], "unrecognized arguments"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence_and_code_2(
    command: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert told in found.err and found.err.startswith("limen: ") and found.err.count("\n") == 1


@pytest.mark.parametrize("typed", [["GARCIA"], ["--surname", "GARCIA"], ["--surname=GARCIA"]])
def test_what_somebody_typed_as_a_name_is_not_repeated(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--purpose", "SEC.WATCH", "--basis", "B", "--case", "S", *typed]) == 2
    said = capsys.readouterr().err
    assert "GARCIA" not in said and "unrecognized arguments" in said


def test_an_error_of_the_catalogue_ends_with_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--config", str(tmp_path / "none.toml")]) == 8
    assert capsys.readouterr().err.count("\n") == 1
    assert {kind.row.exit_code for kind in CATALOGUE} <= {1, 3, 4, 5, 6, 7, 8}


def test_flags_for_every_command_stand_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n')
    show = ["config", "show", "--config", str(tmp_path)]
    for command in ([*show, "--json"], ["--json", *show], ["config", "--json", *show[1:]]):
        assert run(command) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "PAN"
    assert run(show) == 0
    assert "state = PAN" in capsys.readouterr().out


def test_the_release_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("limen 0.")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n')
    command = f"{sys.executable} -u -m gateway config show --config {tmp_path} | true"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert found.stderr == ""


def test_a_table_is_aligned_under_its_names() -> None:
    rows = [{"a": "1", "b": "x"}, {"a": "1000", "b": "y"}]
    assert output.table(rows, ("a", "b")) == ["A     B", "1     x", "1000  y"]
    assert output.table([], ("a",)) == []


def test_a_failure_is_told_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.fail("one\n  two", 6) == 6
    assert capsys.readouterr().err == "limen: one two\n"


class Raising:
    """A noun that raises, after it has printed its document where `says`."""

    def __init__(self, error: GatewayError, *, says: bool = False) -> None:
        self.error, self.says = error, says

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """None."""

    def run(self, args: argparse.Namespace) -> int:
        if self.says:
            output.emit(args, {"said": 1}, ["said"])
        raise self.error


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Code and standard output of a command that raises; standard error has one sentence."""

    def ran(error: GatewayError, *more: str, says: bool = False) -> tuple[int, str]:
        monkeypatch.setitem(sys.modules, "raising", cast(ModuleType, Raising(error, says=says)))
        monkeypatch.setitem(NOUNS, "raise", ("raising", "raises"))
        code = run(["raise", *more])
        found = capsys.readouterr()
        assert found.err.startswith("limen: ") and found.err.count("\n") == 1 and "Traceback" not in found.err
        return code, found.out

    return ran


def test_a_denial_is_a_document_too_and_only_where_none_was_printed(ends: Callable[..., tuple[int, str]]) -> None:
    denied = PolicyDenied(("no_agreement", "role"))
    code, out = ends(denied, "--json")
    assert code == 3 and json.loads(out) == {"error": "POLICY_DENIED", "reasons": ["no_agreement", "role"]}
    code, out = ends(NotIdentified("nobody"), "--json")
    assert code == 3 and json.loads(out) == {"error": "NOT_IDENTIFIED", "reasons": []}
    assert ends(denied) == (3, "")
    assert json.loads(ends(denied, "--json", says=True)[1]) == {"said": 1}
    assert ends(ConfigRefused("no file"), "--json") == (8, "")


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.row.reason)
def test_every_refusal_ends_with_its_code_and_one_sentence(
    kind: type[GatewayError], ends: Callable[..., tuple[int, str]]
) -> None:
    made: dict[type[GatewayError], GatewayError] = {
        PolicyDenied: PolicyDenied(("role",)),
        VerificationFailed: VerificationFailed("words", "do not hold"),
        BudgetExhausted: BudgetExhausted("share", 520_000, 20_000, 612_000),
        Malformed: Malformed("place", "is odd"),
    }
    error = made.get(kind) or kind("it did not work")
    assert ends(error) == (kind.row.exit_code, "") and kind.row.exit_code in main.EXIT_CODES


def test_a_command_that_decides_nothing_loads_no_policy_engine(tmp_path: Path) -> None:
    command = [
        "agreement",
        "new",
        "PAN",
        "HND",
        "--agency",
        "PAN:A1",
        "--agency",
        "HND:A1",
        "-o",
        str(tmp_path / "a"),
    ]
    tried = (
        f"import sys; from gateway.cli.main import run; code = run({command!r}); print(code, 'regorus' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_what_is_refused_in_a_file_is_told_with_its_name_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputRefused) as refusal, inputs.about("outer.csv"), inputs.about(Path("inner.csv")):
        raise InputRefused("is not text", line=3, field="surname")
    assert refusal.value.file == "inner.csv"
    with pytest.raises(Malformed) as other, inputs.about("-"):
        raise Malformed("cbor", "cut")
    assert other.value.file == "standard input"


@pytest.mark.parametrize(
    "command",
    [
        ["passengers", "read", "FILE"],
        ["document", "read", "FILE"],
        ["agreement", "check", "FILE"],
        ["federation", "show", "FILE"],
        ["node", "restore", "FILE", "new", "--passphrase-file", "FILE"],
    ],
)
@pytest.mark.parametrize("data", [b"", b"\xff\x00\x80", b"surname,given\nMercedes,Ruiz\n" * 40])
def test_a_wrong_file_is_named_and_never_quoted(
    command: list[str], data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMEN_CONFIG", raising=False)
    wrong = tmp_path / "wrong.file"
    wrong.write_bytes(data)
    assert run([str(wrong) if word == "FILE" else word for word in command]) in (2, 8)
    found = capsys.readouterr()
    assert found.err.startswith(f"limen: {wrong}: ") and found.err.count("\n") == 1
    assert "Mercedes" not in found.err + found.out
