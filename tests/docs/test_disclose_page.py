"""The diagram on the page of disclosure is drawn from the table of moves."""

from __future__ import annotations

from collections import defaultdict

import pytest

from gateway.disclosure.case import FINAL, MOVES, Side
from tests.extras import ROOT

PAGE = (ROOT / "docs" / "flows" / "disclose.md").read_text("utf-8")


def diagram(side: Side) -> str:
    """Mermaid's state diagram of one side. Moves of the inbox, which change no state, are left out."""
    moves: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for (one, before, event), after in MOVES.items():
        if one is side and before is not after:
            moves[before.value, after.value].append(event.value)
    lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in moves.items()]
    ends = sorted({after for _, after in moves} & {state.value for state in FINAL})
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, *(f"    {state} --> [*]" for state in ends), "```"])


@pytest.mark.parametrize("side", list(Side))
def test_the_diagram_is_the_table(side: Side) -> None:
    assert diagram(side) in PAGE, f"write this into docs/flows/disclose.md:\n{diagram(side)}"
