"""A marked block in a page, whose lines a run writes: `<!-- name:begin -->` to `<!-- name:end -->`, each on a line."""

from __future__ import annotations

from collections.abc import Sequence


def filled(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with the block's content replaced by the lines, as a fenced block of plain text.

    Raises:
        ValueError: the page has not exactly one block of that name, or a line would end the fence.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->\n"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs one block from {begin.strip()} to {end.strip()}")
    if any("```" in line or "\n" in line for line in lines):
        raise ValueError("a line would end the fenced block")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    body = "".join(f"{line.rstrip()}\n" for line in lines)
    return f"{before}{begin}```text\n{body}```\n{end}{after}"
