"""A release for its readers: one CSV row a cell, a page that stands alone, a chart that hides no negative."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.report import chart, sdmx
from gateway.cli.report import release as report
from gateway.cli.report.chart import Bar
from gateway.errors import InputRefused
from gateway.statistics import release
from gateway.statistics.domain import Dimension, KeyDomain
from gateway.statistics.noise import MICRO
from gateway.statistics.release import CellStatus
from tests import extras
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


def sdmx_rows(one: release.Release) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sdmx.to_sdmx_csv(one), newline="")))


def test_sdmx_says_once_what_holds_for_all_and_each_cell_in_the_same_structure() -> None:
    head, *rows = sdmx_rows(RELEASE)
    assert list(head)[:10] == ["STRUCTURE", "STRUCTURE_ID", "ACTION", "FREQ", "REF_AREA", "INDICATOR", "ROUTE",
                               "CITIZENSHIP", "PROTECTION", "TIME_PERIOD"]  # fmt: skip
    assert {row["STRUCTURE_ID"] for row in (head, *rows)} == {"LIMEN:S_IBC(1.0)"}
    assert [head[name] for name in ("ROUTE", "TIME_PERIOD", "OBS_VALUE", "OBS_STATUS")] == [""] * 4
    loss = RELEASE.facts["loss"]
    assert head["PRIVACY_UNIT"] == "person-month 2023-08, within one state"
    assert (Fraction(head["DP_EPSILON"]) * MICRO, head["DP_MICRO_RHO"]) == (loss["epsilon_micro"], "520000")
    assert (head["CI95_HALF_WIDTH"], head["CONTRIBUTION_BOUND"]) == ("3", "1 in all, 1 in a cell")
    assert Fraction(head["DP_DELTA"]) == Fraction(*loss["delta"])
    assert len(rows) == RELEASE.domain.size and {row["DP_EPSILON"] for row in rows} == {""}
    first = {"ROUTE": "EAST", "CITIZENSHIP": "VEN", "PROTECTION": "_T", "TIME_PERIOD": "2023-08", "OBS_VALUE": "-2",
             "OBS_STATUS": "A", "CONF_STATUS": "F", "REF_AREA": "PAN", "INDICATOR": "PERSONS"}  # fmt: skip
    assert first.items() <= rows[0].items()
    assert [(row["OBS_VALUE"], row["OBS_STATUS"]) for row in rows[4:]] == [("", "L")] * 4
    withheld = [row for row in sdmx_rows(PROTECTED) if row["CONF_STATUS"] == "C"]
    assert withheld and {(row["OBS_VALUE"], row["OBS_STATUS"]) for row in withheld} == {("", "Q")}
    assert sdmx_rows(PROTECTED)[0]["OMISSIONS"] == release.PROTECTED_OMISSION


def test_values_that_would_be_one_code_in_sdmx_are_refused() -> None:
    def routes(*values: str) -> release.Release:
        domain = KeyDomain((Dimension("month", ("2023-08",)), Dimension("route", values)))
        facts = {**RELEASE.facts, "statuses": bytes(domain.size), "values": {"noisy": [1] * domain.size}}
        return replace(RELEASE, domain=domain, facts=facts)

    assert [row["ROUTE"] for row in sdmx_rows(routes("by sea", "by land"))] == ["", "by_sea", "by_land"]
    for values in (("by sea", "by_sea"), ("_T", "EAST")):
        with pytest.raises(InputRefused) as refused:
            sdmx.to_sdmx_csv(routes(*values))
        assert (refused.value.field, refused.value.code) == ("route", "SDMX_CODE")


READ_BACK = """
import json, sys
from pysdmx.io import read_sdmx
(found,) = read_sdmx(sys.argv[1], validate=False).data
print(json.dumps([found.short_urn, found.data.to_dict("records")]))
"""


@pytest.mark.extra("pysdmx")
@pytest.mark.parametrize("one", [RELEASE, PROTECTED], ids=["whole", "withheld"])
def test_a_statistical_office_s_own_library_reads_the_same_cells(one: release.Release, tmp_path: Path) -> None:
    file = tmp_path / "release.csv"
    file.write_bytes(sdmx.to_sdmx_csv(one).encode())
    command = [extras.path("pysdmx"), "-c", READ_BACK, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    urn, (head, *rows) = json.loads(done.stdout)
    assert urn == "Dataflow=LIMEN:S_IBC(1.0)"
    assert [(head["DP_EPSILON"], head["CI95_HALF_WIDTH"])] == [("1.2", str(one.facts["error"]["half_width_95"]))]
    concepts = {"month": "TIME_PERIOD", "route": "ROUTE", "nationality": "CITIZENSHIP", "protection": "PROTECTION"}
    assert [(tuple(row[concepts[name]] for name in one.domain.names), row["OBS_VALUE"] or None) for row in rows] == [
        (cell.key, None if cell.noisy is None else str(cell.noisy)) for cell in one.cells()
    ]


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
