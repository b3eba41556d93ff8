"""The README's six lines are the demonstration's own, and its steps are the steps of this release."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_block_holds_six_lines_of_a_run_whose_steps_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    block = readme.split("<!-- demo:begin -->\n")[1].split("<!-- demo:end -->")[0]
    lines = [line for line in block.splitlines() if line and not line.startswith("```")]
    parts = (ROOT / "gateway" / "cli" / "acts" / "demo").glob("*.py")
    story = "".join(part.read_text("utf-8") for part in parts)
    assert len(lines) == 6
    for line in lines:
        found = re.fullmatch(r"ok +\d+\. ([^:]+): .+", line)
        assert found, line
        assert f'"{found[1]}"' in story, found[1]
