"""docs/surface.md, the commands' help, the exit codes and what the other pages tell people to type are one thing."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from docs import make_surface
from gateway.audit import verify
from gateway.cli.acts import check
from gateway.cli.acts.nodes import limen
from gateway.cli.acts.travellers import TRAVELLERS
from gateway.cli.main import EXIT_CODES, NOUNS, run
from gateway.errors import CATALOGUE
from gateway.flows.check import CheckAnswer, Hit
from gateway.terms import Action, MatchClass, PeerId, RecordKind, RequestId
from tests.docs.tracked import pages
from tests.extras import ROOT
from tests.unit.test_paxlst import SMALL

PAGE = (ROOT / "docs" / "surface.md").read_text("utf-8")
COMMANDS = {command: parser for noun in NOUNS for command, _, parser in make_surface.verbs(noun)}
OTHERS = [page for page in pages() if page.name not in ("surface.md", "CHANGELOG.md")]

NOT_YET = {"limen audit sample"}
"""Named in the threat model as what is to come."""

SHOWN = {
    0: ("tests/e2e/test_sandbox.py", "test_every_published_traveller_comes_out_as_the_table_says"),
    1: ("tests/unit/cli/test_node_commands.py", "test_each_thing_that_is_broken_is_found_with_its_fix"),
    2: ("tests/unit/cli/test_command_line.py", "test_what_cannot_be_understood_is_one_sentence_and_code_2"),
    3: ("tests/unit/cli/test_policy_ask.py", "test_the_rules_in_this_process_say_where_a_no_comes_from"),
    4: ("tests/unit/cli/test_case.py", "test_a_refusal_is_one_sentence_and_a_code"),
    5: ("tests/e2e/test_sandbox.py", "test_every_published_traveller_comes_out_as_the_table_says"),
    6: ("tests/unit/cli/test_peering.py", "test_wrong_words_stop_it_at_either_end"),
    7: ("tests/unit/cli/test_command_line.py", "test_every_refusal_ends_with_its_code_and_one_sentence"),
    8: ("tests/unit/cli/test_policy_verify.py", "test_what_is_no_key_and_what_is_no_bundle_is_told"),
}
"""A test that ends a command with each code."""


@cache
def told(page: Path) -> list[tuple[str, str]]:
    """(command, what follows it) wherever the page has one as code."""
    text = (ROOT / page).read_text("utf-8")
    code = re.findall(r"```.*?```|`[^`\n]+`|^    .*$", text, re.DOTALL | re.MULTILINE)
    found = []
    for noun, rest in re.findall(r"\blimen ([a-z][a-z-]*)([^\n`<>|;]*)", "\n".join(code)):
        verb = re.match(r" ([a-z][a-z-]*)(?= |$)", rest)
        alone = f"limen {noun}"
        found.append((alone if alone in COMMANDS or verb is None else f"{alone} {verb[1]}", rest))
    return found


def test_the_page_is_the_one_that_the_help_makes() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_surface.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_stands_on_the_page_with_what_it_is_for() -> None:
    rows = dict(re.findall(r"^\| `(limen [^`]+)` \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert rows.keys() == COMMANDS.keys()
    assert all(what.strip() for what in rows.values())


@pytest.mark.parametrize("page", OTHERS, ids=str)
def test_what_a_page_tells_people_to_type_exists(page: Path) -> None:
    for command, rest in told(page):
        known = command in COMMANDS or command in NOT_YET or command.removeprefix("limen ") in {*NOUNS, "table"}
        assert known, command
        if command in COMMANDS:
            options = {name for action in COMMANDS[command]._actions for name in action.option_strings}
            assert set(re.findall(r"(?<!\S)(--[a-z][a-z-]*)", rest)) <= options, (command, rest)


def test_every_command_is_told_of_on_another_page_too() -> None:
    nouns = {command.split()[1] for page in OTHERS for command, _ in told(page)}
    assert NOUNS.keys() <= nouns, NOUNS.keys() - nouns


# Documents


def fields(name: str) -> set[str]:
    return set(make_surface.DOCUMENTS[name][1].split())


def test_the_documents_have_the_names_of_the_page() -> None:
    zone = "\n".join(TRAVELLERS[0].zone).encode()
    (document,) = limen("--json", "document", "read", "-", stdin=zone).json
    assert document.keys() == fields("limen document read")
    assert {"value", "precision"} == document["birth_date"].keys()
    message = limen("--json", "passengers", "read", "-", "--on", "2024-05-01", stdin=SMALL.encode()).json
    assert message.keys() == fields("limen passengers read")
    assert verify.Report("limen/PAN/log", 0, bytes(32), (), (), (), ()).as_json().keys() == fields("limen audit verify")


def test_an_answer_has_the_names_of_the_page() -> None:
    hit = Hit("ref", PeerId("PAN"), MatchClass.DOCUMENT, RecordKind.REFUSE_ENTRY, Action.SECOND_LINE, 1, 0, False)
    answer = CheckAnswer(RequestId(bytes(16)), (hit,), (), ((PeerId("HND"), ("role",)),))
    document = check.document(answer)
    assert document.keys() == fields("limen check")
    assert document["hits"][0].keys() == fields("limen check, each of `hits`")
    assert document["refused"][0].keys() == fields("limen check, each of `refused`")


# Exit codes


def test_the_codes_of_the_catalogue_are_those_of_the_page_and_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {int(code): row for row in PAGE.splitlines() if (code := row[2:3]).isdigit() and row.startswith("| ")}
    assert rows.keys() == EXIT_CODES.keys() == {kind.row.exit_code for kind in CATALOGUE} | {0, 2}
    for kind in CATALOGUE:
        assert f"`{kind.row.reason}`" in rows[kind.row.exit_code]
    with pytest.raises(SystemExit):
        run(["-h"])
    said = capsys.readouterr().out
    assert all(f"{code} {what}" in said for code, what in EXIT_CODES.items())


def test_the_pages_speak_of_these_codes_only() -> None:
    for page in OTHERS:
        for code in re.findall(r"\bexits? (?:code )?(\d+)\b", (ROOT / page).read_text("utf-8")):
            assert int(code) in EXIT_CODES, (page, code)


@pytest.mark.parametrize("code", EXIT_CODES)
def test_a_test_ends_a_command_with_each_code(code: int) -> None:
    file, name = SHOWN[code]
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (file, name)
