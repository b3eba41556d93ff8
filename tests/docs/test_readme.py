"""The first page: its picture is the one the code draws, its commands exist, and the run has a place to write to."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gateway.cli.main import NOUNS
from gateway.cli.report.block import filled
from tests.extras import ROOT

PAGE = (ROOT / "README.md").read_text("utf-8")


def test_the_picture_is_the_one_that_the_code_draws() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_picture.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_commands_on_the_page_exist() -> None:
    told = set(re.findall(r"`limen ([a-z]+)", PAGE))
    assert told and told <= set(NOUNS)


def test_it_says_plainly_what_it_is_not() -> None:
    top = PAGE[:1200]
    assert "Not independently audited" in top and "Pre-release" in top and "Not for live data" in top
    assert "**not protected from anybody**" in PAGE


def test_the_run_has_a_block_to_fill() -> None:
    lines = [f"line {number}" for number in range(6)]
    page = filled(PAGE, "demo", lines)
    assert "```text\nline 0\nline 1\nline 2\nline 3\nline 4\nline 5\n```\n<!-- demo:end -->" in page
    assert filled(page, "demo", lines) == page
    outside = re.compile(r"<!-- demo:begin -->.*<!-- demo:end -->", re.DOTALL)
    assert outside.sub("", page) == outside.sub("", PAGE)


@pytest.mark.parametrize(
    ("page", "lines"),
    [
        ("no block", ["a"]),
        ("<!-- demo:end -->\n<!-- demo:begin -->\n", ["a"]),
        ("<!-- demo:begin -->\n<!-- demo:end -->\n" * 2, ["a"]),
        ("<!-- demo:begin -->\n<!-- demo:end -->\n", ["```"]),
        ("<!-- demo:begin -->\n<!-- demo:end -->\n", ["a\nb"]),
    ],
)
def test_a_page_or_a_line_that_would_not_hold_is_refused(page: str, lines: list[str]) -> None:
    with pytest.raises(ValueError, match="block"):
        filled(page, "demo", lines)
