"""Every link inside the documents leads somewhere, and no page is out of reach."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.tracked import pages
from tests.extras import ROOT

LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", (ROOT / path).read_text("utf-8")))


def anchors(path: Path) -> set[str]:
    """The headings' anchors, as code hosts make them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", (ROOT / path).read_text("utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.replace("`", "").strip().lower()).replace(" ", "-")
        number = 0
        while (unique := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(unique)
    return found


def inner_links(path: Path) -> list[str]:
    return [link for link in LINK.findall(prose(path)) if not re.match(r"[a-z][a-z0-9+.-]*:", link)]


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in inner_links(page):
        target, _, anchor = link.partition("#")
        file = (ROOT / page).parent / target if target else ROOT / page
        exists = file.resolve().is_relative_to(ROOT) and file.exists()
        if not exists or (anchor and file.suffix == ".md" and anchor not in anchors(file.resolve().relative_to(ROOT))):
            broken.append(link)
    assert broken == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [Path("README.md")]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in inner_links(page):
            file = ((ROOT / page).parent / link.partition("#")[0]).resolve()
            if file.is_dir():
                file = file / "README.md"
            if file.suffix == ".md" and file.is_relative_to(ROOT) and file.exists():
                waiting.append(file.relative_to(ROOT))
    assert [str(page) for page in pages() if page.parts[0] == "docs" and page not in reached] == []
