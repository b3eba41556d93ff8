"""Dates are never more exact than they are known."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.people import dates
from gateway.people.dates import RANGE_YEARS_MAX, UNKNOWN, PartialDate, Precision, parse


@pytest.mark.parametrize(
    ("text", "precision", "years", "full"),
    [
        ("1974-08-12", Precision.DAY, (1974,), (1974, 8, 12)),
        ("1974-01-01", Precision.DAY, (1974,), None),
        ("1974-08", Precision.MONTH, (1974,), None),
        ("1974", Precision.YEAR, (1974,), None),
        ("1974/1976", Precision.RANGE, (1974, 1975, 1976), None),
        ("1974/1974", Precision.YEAR, (1974,), None),
        ("1974-08-12~", Precision.DAY, (1974,), None),
        ("1974~", Precision.YEAR, (1974,), None),
        ("", Precision.UNKNOWN, (), None),
    ],
)
def test_what_a_date_says(
    text: str, precision: Precision, years: tuple[int, ...], full: tuple[int, int, int] | None
) -> None:
    read = parse(text)
    assert (read.precision, read.years, read.full) == (precision, years, full)
    assert read.circa is text.endswith("~")


@pytest.mark.parametrize(
    "text",
    [
        "1974-13-01", "1974-02-30", "1974-00", "12/08/1974", "1974-8-12", "0001", "2200", "1976/1974", "1960/1971", "~",
        "1974~~", " 1974", "1974-08-12T00:00", "\uff11\uff19\uff17\uff14", "\u0661\u0669\u0667\u0664",
        "19740812", "1974-W01-1",
    ],
)  # fmt: skip
def test_any_other_form_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        parse(text)
    assert text.strip("~ ") not in str(refusal.value) or text == "~"
    assert refusal.value.code.startswith("DATE_")


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        ("2008-03-05", date(2008, 3, 5)),
        ("2008-01-01", date(2008, 12, 31)),
        ("2008-02", date(2008, 2, 29)),
        ("2008", date(2008, 12, 31)),
        ("2006/2008", date(2008, 12, 31)),
        ("2008-03-05~", date(2010, 12, 31)),
        ("", None),
    ],
)
def test_the_last_day_it_may_be(text: str, latest: date | None) -> None:
    assert parse(text).latest() == latest


def test_a_birthday_on_29_february_comes_on_1_march_in_other_years() -> None:
    assert dates.years_between(date(2008, 2, 29), date(2026, 2, 28)) == 17
    assert dates.years_between(date(2008, 2, 29), date(2026, 3, 1)) == 18


@st.composite
def partial_dates(draw: st.DrawFn) -> PartialDate:
    precision = draw(st.sampled_from(Precision))
    if precision is Precision.UNKNOWN:
        return UNKNOWN
    day = draw(st.dates(date(dates.YEAR_MIN, 1, 1), date(dates.YEAR_MAX, 12, 31)))
    circa = draw(st.booleans())
    if precision is Precision.RANGE:
        return PartialDate(precision, day.year, year_last=day.year + draw(st.integers(1, RANGE_YEARS_MAX)), circa=circa)
    depth = {Precision.YEAR: 1, Precision.MONTH: 2, Precision.DAY: 3}[precision]
    year, month, number = (*(day.year, day.month, day.day)[:depth], 0, 0)[:3]
    return PartialDate(precision, year, month, number, circa=circa)


@given(partial_dates())
def test_what_is_written_reads_back(value: PartialDate) -> None:
    assert parse(value.iso or "", circa=value.circa) == value
    if value.circa:
        assert parse(f"{value.iso}~") == value


@given(st.text(max_size=20) | st.from_regex(r"[0-9/~-]{0,12}", fullmatch=True))
def test_any_text_reads_or_is_refused(text: str) -> None:
    try:
        read = parse(text)
    except InputRefused:
        return
    assert (read.iso or "") in text or read.precision is Precision.YEAR
