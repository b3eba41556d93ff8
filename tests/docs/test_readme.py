"""The first page: its picture is the one the code draws, its commands exist, and the run has a place to write to."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.main import NOUNS
from gateway.cli.report.block import filled
from gateway.cli.report.picture import draw
from tests.extras import ROOT

PAGE = (ROOT / "README.md").read_text("utf-8")


def test_the_picture_is_the_one_that_the_code_draws() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_picture.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_picture_of_other_sizes_or_of_another_hand_is_told_apart() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "make_picture.py"))
    drawn = (ROOT / "docs" / "picture.svg").read_text("utf-8")
    assert script["fault"](drawn) == ""
    assert "otherwise" in script["fault"](drawn.replace("stays home", "goes abroad"))
    larger = replace(script["shown"](drawn), request_bytes=2048)
    assert "other sizes" in script["fault"](draw(larger))
    assert "lacks" in script["fault"]("<svg/>")


def test_the_first_page_s_lines_are_taken_from_a_run(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "docs" / "make_picture.py"))
    steps = [{"title": title, "ok": True, "got": f"came out\nand more of {title}"} for title in script["LINES"]]
    (tmp_path / "run.json").write_text(json.dumps({"ok": True, "steps": steps}))
    lines = script["lines_of"](tmp_path)
    assert len(lines) == 6 and lines[0] == f"ok    1. {script['LINES'][0]}: came out"
    shown = PAGE.split("<!-- demo:begin -->")[1].split("<!-- demo:end -->")[0]
    assert all(title in shown for title in script["LINES"])


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
