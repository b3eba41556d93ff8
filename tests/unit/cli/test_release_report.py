"""A release for its readers: one CSV row a cell, a page that stands alone, a chart that hides no negative."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.report import chart
from gateway.cli.report import release as report
from gateway.cli.report.chart import Bar
from gateway.statistics import release
from gateway.statistics.release import CellStatus
from tests.unit.cli.test_report import Outline
from tests.unit.statistics.test_release import QUERY, document

RELEASE = release.decode(document())
PROTECTED = release.decode(
    release.for_recipient(
        document(replace(QUERY, dimensions=("month", "route", "nationality", "protection")), first=40), "VEN"
    )
)


def test_one_row_a_cell_and_no_number_where_there_is_none() -> None:
    text = report.to_csv(RELEASE)
    header, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert header == ["month", "route", "nationality", "status", "noisy", "half_width_95", "unit"]
    assert len(rows) == RELEASE.domain.size == 8
    assert rows[0] == ["2023-08", "EAST", "VEN", "released", "-2", "3", "person-month"]
    assert [row[3:] for row in rows[4:]] == [["not_collected", "", "", "person-month"]] * 4
    assert text.count("\r\n") == 9


def test_the_page_stands_alone_and_says_all_there_is() -> None:
    for one in (RELEASE, PROTECTED):
        text = report.to_html(one)
        page = Outline(text)
        assert page.tags.count("h1") == 1
        assert "<script" not in text and "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
        for what, words in (*report.sentences(one), *report.identities(one)):
            assert what and words
        for part in ("person-month", "±3", "2,000,000 micro-rho", "left out", "discrete laplace", "epsilon"):
            assert part in text, part
    assert release.PROTECTED_OMISSION in report.to_html(PROTECTED).replace("&#x27;", "'")
    assert "withheld" in report.to_html(PROTECTED)


def test_a_negative_stays_in_sentence_table_and_chart() -> None:
    text = report.to_html(RELEASE)
    assert "-2" in text and "\u22122" in text
    assert dict(report.sentences(RELEASE))["below zero"].startswith("2 cells")


def test_bias_says_how_much_was_left_out() -> None:
    assert report.bias(RELEASE) == (
        "cells are too low by what was left out: 0 to 123 in all (estimate 3 ±120); about 80.0 % were kept"
    )
    assert report.title(RELEASE) == "S-IBC: distinct persons, PAN, 2023-08"


def test_the_chart_has_a_bar_and_a_whisker_for_every_number_and_a_word_for_every_gap() -> None:
    drawn = chart.draw(report.bars(RELEASE, {("2023-08", "EAST", "VEN"): 4}), 3, title="T")
    root = ElementTree.fromstring(drawn)
    kinds = [one.get("class") for one in root.iter()]
    released = sum(cell.status is CellStatus.RELEASED for cell in RELEASE.cells())
    assert kinds.count("c-bar") == kinds.count("c-whisker") == released == 4
    assert sum("c-none" in (kind or "") for kind in kinds) == 4
    assert kinds.count("c-truth") == 8
    assert "EAST VEN" in drawn and "not collected" in drawn and "2023-08" not in drawn
    assert root.get("role") == "img" and "below zero" in drawn


def test_of_very_many_cells_the_largest_are_drawn_and_the_rest_is_said() -> None:
    bars = [Bar(f"cell {place}", place) for place in range(500)]
    kept = chart.shown(bars)
    assert [bar.value for bar in kept] == list(range(440, 500))
    assert "the 60 largest of 500 cells" in chart.draw(bars, 3, title="T")


@given(
    st.lists(st.tuples(st.text(max_size=9), st.none() | st.integers(-(10**9), 10**9)), max_size=9),
    st.integers(0, 10**6),
)
def test_any_numbers_and_words_make_a_well_formed_chart(cells: list[tuple[str, int | None]], width: int) -> None:
    bars = [Bar(label, value, "" if value is not None else "withheld") for label, value in cells]
    root = ElementTree.fromstring(chart.draw(bars, width, title="<&>"))
    for one in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(one.get("width") or 0) >= 0


@pytest.mark.parametrize("value", [0, -3, 7])
def test_a_bar_begins_at_zero(value: int) -> None:
    root = ElementTree.fromstring(chart.draw([Bar("a", value), Bar("b", 9)], 1, title="T"))
    (zero,) = (one for one in root.iter() if one.get("class") == "c-zero")
    bar = next(one for one in root.iter() if one.get("class") == "c-bar")
    left, width = float(bar.get("x") or 0), float(bar.get("width") or 0)
    at = float(zero.get("x1") or 0)
    assert abs(left - at) < 0.2 or abs(left + width - at) < 0.2
