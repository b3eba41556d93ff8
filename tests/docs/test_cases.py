"""The desk officer's page: each command on it is one that `limen` understands, and each verb has its place there."""

from __future__ import annotations

import re
import shlex

import pytest

from gateway.cli import case, officer
from gateway.cli.main import Parser
from gateway.cli.verbs import PLAIN, SIGNED
from gateway.disclosure import codes
from tests.extras import ROOT

PAGE = (ROOT / "docs" / "cases.md").read_text("utf-8")
COMMANDS = sorted(
    {
        found.partition("  #")[0].strip("` ")
        for found in re.findall(r"^limen [^\n]+|`limen case [^`]+`", PAGE, re.MULTILINE)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command: str) -> None:
    _, noun, *rest = shlex.split(command)
    parser = Parser(prog="limen")
    {"case": case, "officer": officer}[noun].add_arguments(parser)
    parser.parse_args(rest)


def test_every_verb_is_on_the_page() -> None:
    verbs = {command.split()[2] for command in COMMANDS if command.startswith("limen case ")}
    assert verbs == {"list", "show", *SIGNED, *PLAIN}


@pytest.mark.parametrize("act", sorted(codes.OF_ACT))
def test_every_code_is_on_the_page_and_in_the_help_with_its_words(act: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="limen case")
    case.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([act, "-h"])
    told = " ".join(capsys.readouterr().out.split())
    for code, words in codes.OF_ACT[act].items():
        assert f"| `{code}` | {words} |" in PAGE
        assert f"{code} {words}" in told
