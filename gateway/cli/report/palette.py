"""Colours and escaping of what the gateway draws: the report, the picture. Nothing outside these two reads it.

Every pair of text and ground in `PAIRS` has a contrast of 4.5 to 1 or more in both modes (WCAG 2.2, 1.4.3), and what
draws a shape 3 to 1 (1.4.11); a test computes it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Final

LIGHT: Final[Mapping[str, str]] = {
    "page": "#f7f6f2",
    "card": "#ffffff",
    "ink": "#1b2430",
    "soft": "#505b69",
    "rule": "#c9ced6",
    "line": "#7a8594",
    "accent": "#1b5a8c",
    "tint": "#e8f0f7",
    "good": "#17633a",
    "good-ground": "#e4f3e9",
    "bad": "#9b211c",
    "bad-ground": "#fbe9e7",
    "code": "#eef1f5",
}

DARK: Final[Mapping[str, str]] = {
    "page": "#11161d",
    "card": "#19202a",
    "ink": "#e6eaf0",
    "soft": "#a8b3c1",
    "rule": "#36404d",
    "line": "#758294",
    "accent": "#86bdee",
    "tint": "#1c2d3e",
    "good": "#7fd6a0",
    "good-ground": "#15311f",
    "bad": "#ff9d95",
    "bad-ground": "#3b1a18",
    "code": "#0f141b",
}

PAIRS: Final = (
    ("ink", "page"), ("ink", "card"), ("ink", "code"), ("ink", "tint"), ("soft", "page"), ("soft", "card"),
    ("soft", "tint"), ("accent", "page"), ("accent", "card"), ("accent", "tint"), ("good", "good-ground"),
    ("bad", "bad-ground"), ("good", "card"), ("bad", "card"), ("ink", "bad-ground"),
)  # fmt: skip
"""(text, ground) as they meet on a page."""

SHAPES: Final = (("line", "card"), ("line", "page"), ("accent", "card"), ("accent", "page"))
"""(stroke or fill that carries meaning, ground)."""

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
MONO: Final = "ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"

_UNSHOWABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def text(value: object) -> str:
    """The value for HTML or XML, inside an element or a quoted attribute.

    Control characters, half surrogates and marks that turn the direction of reading become U+FFFD: what stands on the
    page is what was said, in that order.
    """
    return html.escape(_UNSHOWABLE.sub("\ufffd", str(value)).replace("\r\n", "\n").replace("\r", "\n"), quote=True)


def variables(colours: Mapping[str, str]) -> str:
    """The colours as CSS custom properties."""
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


def modes(selector: str) -> str:
    """CSS that gives the selector the light colours, and the dark ones to readers who prefer them; paper is light."""
    return (
        f"{selector} {{ {variables(LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ {selector} {{ {variables(DARK)} }} }}"
    )
