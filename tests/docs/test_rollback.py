"""The rollback and the fork on the log's page are what the program does."""

from __future__ import annotations

from pathlib import Path

from examples import rollback

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "log.md"


def test_the_block_is_a_run(tmp_path: Path) -> None:
    block = PAGE.read_text("utf-8").split("<!-- rollback:begin -->\n")[1].split("<!-- rollback:end -->")[0]
    assert [line.removeprefix("    ") for line in block.splitlines()] == list(rollback.lines(tmp_path))


def test_what_it_shows_is_a_refusal_each_time(tmp_path: Path) -> None:
    said = [line for line in rollback.lines(tmp_path) if line.startswith("witness")]
    assert [line.rpartition(": ")[2].split()[0] for line in said] == ["200", "200", "409", "409", "422"]
