"""The desk officer's page: each command on it is one that `limen` understands, and each verb has its place there."""

from __future__ import annotations

import re
import shlex

import pytest

from gateway.cli import case, officer
from gateway.cli.acts.case import REFUSAL_WORDS
from gateway.cli.main import Parser
from gateway.cli.verbs import PLAIN, SIGNED
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


def test_every_refusal_code_is_on_the_page_and_said_in_words() -> None:
    assert set(re.findall(r"\b(R[0-9]{2})\s+[a-z]", PAGE)) >= set(REFUSAL_WORDS)
