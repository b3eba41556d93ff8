"""The picture of a check, as SVG: two states side by side, one line crossing, and what does not cross.

The numbers are measured by the run that draws it. The file stands alone (no script, no font, no link) and follows the
reader's light or dark mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.cli.report.palette import FONT, modes, text

WIDTH: Final = 760
HEIGHT: Final = 420
_POINTS_DRAWN: Final = 8


@dataclass(frozen=True, slots=True)
class Crossing:
    """One check of one traveller between two states, as measured.

    `class_size` is the padded number of 32-byte points; `request_bytes` and `reply_bytes` are the signed messages as
    they went over the wire; `table_entries` is the padded number of 64-byte entries of the owner's encrypted table.
    """

    asker: str
    owner: str
    class_size: int
    request_bytes: int
    reply_bytes: int
    table_entries: int


def draw(crossing: Crossing) -> str:
    """The whole SVG document."""
    asker, owner = text(crossing.asker), text(crossing.owner)
    points = f"{crossing.class_size:,} points of 32 bytes"
    centre = WIDTH // 2
    told = (
        f"{crossing.asker}, the asking state, sends {points}, blinded, to {crossing.owner}, the list owner, and gets "
        "as many points and one proof back. Names, dates, numbers, the officer, the case and the result stay home in "
        f"{crossing.asker}; the list in clear and its keys stay home in {crossing.owner}."
    )
    before = (
        f"Beforehand {owner} gave {asker} an encrypted table of {crossing.table_entries:,} entries, "
        "padded to a size that tells little."
    )
    after = "The reply turns a traveller of one\u2019s own into the one key that opens its row, if there is one."
    asking = ("name, date of birth, document", "the officer and the case", "the blinding factors", "the hit, or none")
    owning = (
        "the list in clear",
        f"the key made for {asker}",
        "what other peers were given",
        "who approves a disclosure",
    )
    dots = (centre - 91 + 26 * number for number in range(_POINTS_DRAWN))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="limen-picture" '
        'aria-labelledby="limen-picture-title limen-picture-told">',
        '<title id="limen-picture-title">What crosses the border in a check, and what stays home</title>',
        f'<desc id="limen-picture-told">{text(told)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="p-page" width="{WIDTH}" height="{HEIGHT}" rx="12"/>',
        # In pieces, so that no word stands on it: not every program that shows a picture draws a halo around letters.
        *(f'<line class="p-border" x1="{centre}" y1="{y1}" x2="{centre}" y2="{y2}"/>' for y1, y2 in _BORDER),
        _label(centre, 22, "border", "p-soft p-small"),
        *_state(24, asker, "asks", asking),
        *_state(506, owner, "owns the list", owning),
        _label(centre, 96, "what crosses", "p-accent p-strong"),
        _label(centre, 118, text(points), "p-ink"),
        _label(centre, 136, "each looks random", "p-soft p-small"),
        *(f'<circle class="p-dot" cx="{x}" cy="157" r="6"/>' for x in dots),
        '<line class="p-wire" x1="254" y1="180" x2="506" y2="180"/>',
        '<path class="p-head" d="M506 180 l-11 -6 v12 z"/><path class="p-head" d="M254 180 l11 -6 v12 z"/>',
        _label(centre, 202, f"{crossing.request_bytes:,} B there, {crossing.reply_bytes:,} B back", "p-ink p-small"),
        _label(centre, 219, "signed, with one proof", "p-soft p-small"),
        _label(centre, 262, "no name, no number, no date,", "p-soft p-small"),
        _label(centre, 279, "not whether anything was found", "p-soft p-small"),
        _label(centre, 372, before, "p-soft p-small"),
        _label(centre, 393, after, "p-soft p-small"),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _state(left: int, code: str, does: str, stays: tuple[str, ...]) -> list[str]:
    """One state: its name and part above the line's height, what stays home below it."""
    middle = left + 115
    return [
        f'<rect class="p-card" x="{left}" y="40" width="230" height="302" rx="10"/>',
        _label(middle, 102, code, "p-ink p-title"),
        _label(middle, 130, does, "p-soft"),
        f'<line class="p-rule" x1="{left + 18}" y1="206" x2="{left + 212}" y2="206"/>',
        _label(middle, 230, "stays home", "p-accent p-strong"),
        *(_label(middle, 254 + 21 * row, line, "p-ink p-small") for row, line in enumerate(stays)),
    ]


def _label(x: int, y: int, words: str, classes: str) -> str:
    return f'<text class="{classes}" x="{x}" y="{y}">{words}</text>'


_BORDER: Final = ((32, 78), (228, 244), (290, 342))
"""Heights between which the border is drawn."""

_STYLE: Final = f"""
{modes(".limen-picture")}
.limen-picture text {{ font-family: {FONT}; font-size: 15px; text-anchor: middle; }}
.limen-picture .p-small {{ font-size: 13px; }}
.limen-picture .p-strong {{ font-weight: 650; }}
.limen-picture .p-title {{ font-size: 30px; font-weight: 700; letter-spacing: 1px; }}
.p-ink {{ fill: var(--ink); }} .p-soft {{ fill: var(--soft); }} .p-accent {{ fill: var(--accent); }}
.p-page {{ fill: var(--page); }} .p-card {{ fill: var(--card); stroke: var(--line); stroke-width: 1.5; }}
.p-rule {{ stroke: var(--rule); }} .p-border {{ stroke: var(--line); stroke-dasharray: 3 6; stroke-width: 1.5; }}
.p-dot, .p-head {{ fill: var(--accent); }} .p-wire {{ stroke: var(--accent); stroke-width: 2.5; }}
"""
