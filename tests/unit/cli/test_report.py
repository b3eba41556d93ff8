"""The report and the picture: self-contained, escaped, readable in both modes, and honest about what failed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.report import palette
from gateway.cli.report.page import render
from gateway.cli.report.picture import Crossing, draw
from gateway.cli.report.record import (
    Learned,
    LogSize,
    OnTheWire,
    Party,
    RunRecord,
    Step,
    Verification,
    VerifyStep,
    View,
)

CROSSING = Crossing("HND", "PAN", class_size=8, request_bytes=712, reply_bytes=744, table_entries=4096)

GOOD = Step(
    title="A traveller on nobody's list",
    story="The owners learn that a padded question was asked, and nothing else.",
    command="limen check --purpose SEC.WATCH --basis 'bilateral agreement' --case SHIFT-14",
    expected="NOTHING_TO_REPORT, complete",
    got="nothing to report\n(never a clearance)",
    ok=True,
    duration_ms=42.4,
    learned=(
        Learned("Officer in HND", "nothing that may be acted on"),
        Learned("PAN", "that HND asked about 8 points under SEC.WATCH"),
    ),
    views=(
        View("officer in HND", "on the screen", '{"outcome": "NOTHING_TO_REPORT"}'),
        View("PAN", "all that its log says", "7 check.answer intent: class 8"),
        View("home auditor of HND", "the log, opened", "opened: guarded False"),
        View("the wire", "at PAN's door", "in   17030300 9f2c"),
    ),
)
BAD = Step("A peer is down", "Never nothing.", "limen check", "exit 5", "exit 0", False, 2100.0)
VERIFIED = Verification(
    title="Honduras's log",
    origin="hnd.example/log",
    size=41,
    root="9f" * 32,
    ok=True,
    expected_ok=True,
    steps=(VerifyStep("checkpoint", True, "signed by the log's key"), VerifyStep("entries", True, "41 of 41")),
    proved=("nothing was changed, removed or put in",),
    not_proved=("what people did with a hit",),
)
TAMPERED = replace(
    VERIFIED,
    title="A changed copy",
    ok=False,
    expected_ok=False,
    steps=(VerifyStep("checkpoint", True, ""), VerifyStep("entries", False, "entry 17 differs")),
)
SAMPLE = RunRecord(
    title="Two states, one question, one auditor",
    release="0.1.0",
    made_at="2026-11-02T08:00:14Z",
    duration_s=12.3,
    crossing=CROSSING,
    steps=(GOOD, GOOD, replace(GOOD, title="A document hit", got="hit: PAN, lost or stolen; call desk 1")),
    wire=(OnTheWire("a miss, HND and PAN", 3120, 3311), OnTheWire("a hit, HND and PAN", 3120, 3311)),
    logs=(LogSize("HND", 41, 41, 2), LogSize("PAN", 37, 37, 2), LogSize("UTO", 12, 12, 2)),
    verifications=(VERIFIED, TAMPERED),
    parties=(
        Party("Officer in HND", "two hits, and what to do", "who else is on a list"),
        Party("PAN", "that HND asked, when, and under which purpose", "about whom, and whether anything was found"),
        Party("UTO", "that HND asked an ordinary question", "that one of its nationals stood at the booth"),
        Party("Auditor", "that all was logged and answered under the rules", "who was asked about"),
    ),
    unprotected=("That a list exists, and roughly how long it is.", "What a person does with a hit."),
)
VOID = frozenset({"meta", "circle", "line", "rect", "path"})
HOSTILE = "</pre><script>alert(1)</script>\"'&<img src=x onerror=y>\x00\x1b[31m\u202e"


class Outline(HTMLParser):
    """Tags, attributes and text of a page; refuses tags that do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def test_the_page_is_one_whole_document_that_needs_nothing_else() -> None:
    page = render(SAMPLE)
    outline = Outline(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(outline.tags)
    names = {name for name, _ in outline.attributes}
    assert not {"src", "srcset", "style"} & names and not any(name.startswith("on") for name in names)
    assert all(value.startswith("#") for name, value in outline.attributes if name == "href" and value)
    # The namespace of SVG is a name, not an address that is fetched.
    assert re.findall(r"[a-z]+://[^\"]+", page.replace("http://www.w3.org/2000/svg", "")) == []
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page
    assert render(SAMPLE) == page


def test_headings_landmarks_and_tables_are_marked_up() -> None:
    page = render(SAMPLE)
    outline = Outline(page)
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert ("lang", "en") in outline.attributes and "main" in outline.tags and "nav" in outline.tags
    assert outline.tags.count("caption") == outline.tags.count("table") == 6
    anchors = {value for name, value in outline.attributes if name == "id"}
    assert {value[1:] for name, value in outline.attributes if name == "href" and value} <= anchors
    assert len([1 for name, _ in outline.attributes if name == "id"]) == len(anchors)


def test_everything_that_was_recorded_stands_on_the_page() -> None:
    words = " ".join(Outline(render(SAMPLE)).words)
    for step in SAMPLE.steps:
        assert all(part in words for part in (step.title, step.story, step.command, step.expected, step.got))
        assert all(one.party in words and one.what in words for one in step.learned)
        for view in step.views:
            assert all(part in words for part in (view.party, view.what, view.content))
    for party in SAMPLE.parties:
        assert all(part in words for part in (party.name, party.learned, party.not_learned))
    assert all(line in words for line in SAMPLE.unprotected)
    for part in ("3,120 B", "3,311 B", "42 ms", "12.3 s", "41", "2 peers", "9f9f", "entry 17 differs", "0.1.0"):
        assert part in words
    assert "not independently audited" in words


def test_views_open_without_a_script_and_every_step_is_a_link_away() -> None:
    page = render(SAMPLE)
    outline = Outline(page)
    assert outline.tags.count("details") == outline.tags.count("summary") == len(SAMPLE.steps)
    assert outline.tags.count("pre") == sum(3 + len(step.views) for step in SAMPLE.steps)
    links = [value for name, value in outline.attributes if name == "href"]
    assert {f"#step-{number}" for number in range(1, len(SAMPLE.steps) + 1)} <= set(links)
    drawn = replace(GOOD, drawing=draw(CROSSING).replace("limen-picture-", "step-picture-"))
    page = render(replace(SAMPLE, steps=(drawn,)))
    assert Outline(page).tags.count("figure") == 2


def test_a_run_that_went_wrong_says_so_in_words() -> None:
    assert SAMPLE.ok
    page = " ".join(Outline(render(SAMPLE)).words)
    assert "5 of 5 as said" in page and "not as said" not in page and "as it had to be" in page
    for wrong in (
        replace(SAMPLE, steps=(*SAMPLE.steps, BAD)),
        replace(SAMPLE, verifications=(VERIFIED, replace(TAMPERED, ok=True))),
        replace(SAMPLE, verifications=(replace(VERIFIED, ok=False), TAMPERED)),
    ):
        assert not wrong.ok
        outline = Outline(render(wrong))
        assert ("class", "card failed") in outline.attributes
        assert ("class", "mark bad") in outline.attributes
    assert "a fault was missed" in render(replace(SAMPLE, verifications=(replace(TAMPERED, ok=True),)))
    assert not replace(SAMPLE, steps=()).ok


def everywhere(words: str) -> RunRecord:
    """The sample with the same words in every field that takes words."""
    return RunRecord(
        title=words,
        release=words,
        made_at=words,
        duration_s=1.0,
        crossing=replace(CROSSING, asker=words, owner=words),
        steps=(
            Step(words, words, words, words, words, True, 1.0, (Learned(words, words),), (View(words, words, words),)),
        ),
        wire=(OnTheWire(words, 1, 1),),
        logs=(LogSize(words, 1, 1, 1),),
        verifications=(
            Verification(words, words, 1, words, True, True, (VerifyStep(words, True, words),), (words,), (words,)),
        ),
        parties=(Party(words, words, words),),
        unprotected=(words,),
    )


def test_hostile_words_stay_words() -> None:
    plain, hostile = Outline(render(everywhere("plain"))), Outline(render(everywhere(HOSTILE)))
    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]
    assert "<script>alert(1)</script>" in "".join(hostile.words)
    assert not any(mark in "".join(hostile.words) for mark in "\x00\x1b\u202e")
    ElementTree.fromstring(draw(replace(CROSSING, asker=HOSTILE, owner=HOSTILE)))


@given(st.text(min_size=1, alphabet=st.characters()))
def test_any_words_make_the_same_page(words: str) -> None:
    assert Outline(render(everywhere(words))).tags == Outline(render(everywhere("plain"))).tags
    ElementTree.fromstring(draw(replace(CROSSING, asker=words, owner=words)))


def test_the_picture_is_well_formed_and_says_what_crosses_and_what_stays() -> None:
    picture = ElementTree.fromstring(draw(CROSSING))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(picture.itertext())
    for part in ("HND", "PAN", "8 points of 32 bytes", "stays home", "name, date of birth, document"):
        assert part in words
    for part in ("the list in clear", "712 B there, 744 B back", "4,096 entries"):
        assert part in words
    labelled = picture.attrib["aria-labelledby"].split()
    assert {element.attrib.get("id") for element in picture.iter()} >= set(labelled)
    # Nothing is drawn outside the frame.
    width, height = (float(part) for part in picture.attrib["viewBox"].split()[2:])
    for element in picture.iter():
        assert 0 <= float(element.attrib.get("x", 0)) <= width
        assert 0 <= float(element.attrib.get("y", 0)) <= height


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_colours_can_be_read_in_both_modes(mode: dict[str, str]) -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for ink, ground in palette.PAIRS:
        assert contrast(mode[ink], mode[ground]) >= 4.5, (ink, ground)
    for shape, ground in palette.SHAPES:
        assert contrast(mode[shape], mode[ground]) >= 3, (shape, ground)


def test_every_colour_used_has_a_value_in_both_modes() -> None:
    used = set(re.findall(r"var\(--([a-z-]+)\)", render(SAMPLE)))
    assert used and used <= set(palette.LIGHT)
    assert set(palette.LIGHT) == set(palette.DARK)
