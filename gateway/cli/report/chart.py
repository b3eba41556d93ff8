"""The chart of a private statistic, as SVG: a bar for each cell, a whisker for the noise, and what has no number.

Negative values are drawn as they are: trimmed, the total would be too high. The file stands alone (no script, no font,
no link) and follows the reader's light or dark mode; every number is also said in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cli.report.palette import FONT, modes, text

WIDTH: Final = 760
ROW: Final = 22
TOP: Final = 76
LABEL: Final = 250
VALUE: Final = 90
ROWS_MAX: Final = 60
"""More cells than this are not drawn: those with the largest values are. The table has them all."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One cell. `value` is None where there is no number, and `words` says why; `truth` is drawn where it is known."""

    label: str
    value: int | None
    words: str = ""
    truth: int | None = None


def shown(bars: Sequence[Bar], most: int = ROWS_MAX) -> list[Bar]:
    """The bars that are drawn, in their own order: all, or those with the largest values."""
    if len(bars) <= most:
        return list(bars)
    places = sorted(range(len(bars)), key=lambda place: (-(bars[place].value or 0), place))[:most]
    return [bars[place] for place in sorted(places)]


def draw(bars: Sequence[Bar], half_width: int, *, title: str, name: str = "limen-chart", most: int = ROWS_MAX) -> str:
    """The whole SVG. `half_width` is that of the 95 % interval of every cell; `name` is unique on its page."""
    drawn = shown(bars, most)
    low, high = _ends(drawn, half_width)
    height = TOP + ROW * len(drawn) + 16
    of = f"the {len(drawn)} largest of {len(bars)} cells" if len(drawn) < len(bars) else f"all {len(bars)} cells"
    knows_truth = any(bar.truth is not None for bar in drawn)

    def x(value: float) -> float:
        return round(LABEL + (value - low) / (high - low) * (WIDTH - LABEL - VALUE), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" class="limen-chart" '
        f'aria-labelledby="{name}-title {name}-told">',
        f'<title id="{name}-title">{text(title)}</title>',
        f'<desc id="{name}-told">{text(_told(drawn, half_width, of))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="c-card" width="{WIDTH}" height="{height}" rx="10"/>',
        f'<text class="c-ink c-strong" x="16" y="24">{text(title)}</text>',
        f'<text class="c-soft" x="16" y="44">{text(of)}; whisker: 95 % of the noise, ±{half_width:,}'
        + ("; diamond: the truth" if knows_truth else "")
        + "</text>",
        *_grid(low, high, x, height),
    ]
    for row, bar in enumerate(drawn):
        parts += _row(bar, half_width, TOP + ROW * row, x)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _ends(bars: Sequence[Bar], half_width: int) -> tuple[int, int]:
    values = [bar.value for bar in bars if bar.value is not None] + [bar.truth for bar in bars if bar.truth is not None]
    low = min(0, *(value - half_width for value in values)) if values else 0
    high = max(1, *(value + half_width for value in values)) if values else 1
    return low, high


def _told(bars: Sequence[Bar], half_width: int, of: str) -> str:
    with_number = [bar for bar in bars if bar.value is not None]
    without = len(bars) - len(with_number)
    below = sum(1 for bar in with_number if (bar.value or 0) < 0)
    said = f"A bar chart of {of}. Each value lies within {half_width} of what was counted, in 95 of 100 cells. "
    if with_number:
        most = max(with_number, key=lambda bar: bar.value or 0)
        said += f"The largest is {most.label} with {most.value}. "
    said += f"{below} values are below zero: that is noise, and stays. " if below else ""
    said += f"{without} cells have no number and say why. " if without else ""
    return said + "The table holds the same numbers."


def _grid(low: int, high: int, x: Callable[[float], float], height: int) -> list[str]:
    step = 10 ** math.floor(math.log10(max(1, (high - low) / 4)))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    lines = []
    for value in range(math.ceil(low / step) * step, high + 1, step):
        kind = "c-zero" if value == 0 else "c-rule"
        lines.append(f'<line class="{kind}" x1="{x(value)}" y1="{TOP - 4}" x2="{x(value)}" y2="{height - 12}"/>')
        lines.append(f'<text class="c-soft c-tick" x="{x(value)}" y="{TOP - 9}">{_signed(value)}</text>')
    return lines


def _row(bar: Bar, half_width: int, y: int, x: Callable[[float], float]) -> list[str]:
    middle = y + ROW // 2
    parts = [f'<text class="c-ink c-label" x="{LABEL - 10}" y="{middle + 4}">{text(bar.label)}</text>']
    if bar.value is None:
        parts.append(f'<text class="c-soft c-none" x="{x(0) + 6}" y="{middle + 4}">{text(bar.words)}</text>')
    else:
        left, right = sorted((x(0), x(bar.value)))
        low, high = x(bar.value - half_width), x(bar.value + half_width)
        parts += [
            f'<rect class="c-bar" x="{left}" y="{middle - 6}" width="{round(right - left, 1)}" height="12"/>',
            f'<path class="c-whisker" d="M{low} {middle} H{high} M{low} {middle - 4} V{middle + 4} M{high} '
            f'{middle - 4} V{middle + 4}"/>',
            f'<text class="c-ink c-value" x="{WIDTH - 16}" y="{middle + 4}">{_signed(bar.value)}</text>',
        ]
    if bar.truth is not None:
        at = x(bar.truth)
        parts.append(f'<path class="c-truth" d="M{at} {middle - 6} l5 6 l-5 6 l-5 -6 z"/>')
    return parts


def _signed(value: int) -> str:
    return f"\u2212{-value:,}" if value < 0 else f"{value:,}"


def from_rows(
    rows: Sequence[tuple[tuple[str, ...], int | None, str]], truth: Mapping[tuple[str, ...], int] | None = None
) -> list[Bar]:
    """Bars of (key, value, why there is none); what does not differ between the cells is left out of the labels."""
    if not rows:
        return []
    varies = [place for place in range(len(rows[0][0])) if len({key[place] for key, _, _ in rows}) > 1]
    return [
        Bar(
            " ".join(key[place] for place in varies) or " ".join(key),
            value,
            words,
            truth.get(key, 0) if truth is not None else None,
        )
        for key, value, words in rows
    ]


_STYLE: Final = f"""
{modes(".limen-chart")}
.limen-chart text {{ font-family: {FONT}; font-size: 13px; font-variant-numeric: tabular-nums; }}
.limen-chart .c-strong {{ font-size: 15px; font-weight: 650; }}
.limen-chart .c-label, .limen-chart .c-value {{ text-anchor: end; }}
.limen-chart .c-tick {{ text-anchor: middle; font-size: 11px; }}
.limen-chart .c-none {{ font-style: italic; }}
.c-card {{ fill: var(--card); stroke: var(--line); }} .c-ink {{ fill: var(--ink); }} .c-soft {{ fill: var(--soft); }}
.c-rule {{ stroke: var(--rule); }} .c-zero {{ stroke: var(--line); stroke-width: 1.5; }}
.c-bar {{ fill: var(--tint); stroke: var(--accent); stroke-width: 1.5; }}
.c-whisker {{ fill: none; stroke: var(--ink); stroke-width: 1.5; }}
.c-truth {{ fill: var(--card); stroke: var(--ink); stroke-width: 2; }}
"""
