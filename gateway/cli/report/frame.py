"""What every page of ours is made of: one HTML file that needs no network, no script and no second file.

Every value is escaped; the page itself forbids whatever is not its own style (Content-Security-Policy).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.cli.report.palette import FONT, MONO, modes, text


def document(title: str, body: Iterable[str]) -> str:
    """The whole page around parts that are escaped already."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(anchor: str, title: str, inside: str) -> str:
    """A part of the page under a heading that can be linked to. `inside` is escaped already."""
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-h"><h2 id="{anchor}-h">{text(title)}</h2>{inside}</section>'
    )


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: bool = False) -> str:
    """A table whose first column heads its rows. It scrolls by itself where the screen is narrow, also by keyboard."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>'
        + "".join(
            f'<td data-column="{text(name)}">{text(cell)}</td>' for name, cell in zip(columns[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{text(caption)}" tabindex="0">'
        f'<table class="{"numbers" if numeric else "words"}"><caption>{text(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def bullets(lines: Iterable[str]) -> str:
    """Lines, each with a bullet."""
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>"


STYLE: Final = f"""
{modes(":root")}
:root {{ color-scheme: light dark; }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; }}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.55 {FONT}; overflow-wrap: anywhere; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }}
h1 {{ font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .5rem; text-wrap: balance; }}
h2 {{ font-size: 1.35rem; margin: 3rem 0 1rem; }}
h3 {{ font-size: 1.08rem; margin: 0 0 .5rem; }}
h4 {{ font-size: .95rem; margin: .75rem 0 .25rem; }}
p {{ margin: .4rem 0; max-width: 46rem; }}
a {{ color: var(--accent); }}
:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px; }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; list-style: none; padding: 0; margin: .75rem 0 0; }}
.meta {{ display: flex; flex-wrap: wrap; gap: .35rem 1rem; align-items: center; color: var(--soft); }}
.soft, .took {{ color: var(--soft); font-size: .9rem; }}
.mark {{ display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-size: .85rem; font-weight: 600; }}
.mark.good {{ color: var(--good); background: var(--good-ground); }}
.mark.bad {{ color: var(--bad); background: var(--bad-ground); }}
.number {{ display: inline-block; min-width: 1.7rem; text-align: center; color: var(--accent); background: var(--tint);
  border-radius: .4rem; margin-right: .3rem; }}
.card {{ background: var(--card); border: 1px solid var(--rule); border-radius: .7rem; padding: 1.1rem 1.25rem;
  margin: 0 0 1.1rem; }}
.card.failed {{ border: 2px solid var(--bad); }}
.picture {{ margin: 1.75rem 0 0; overflow-x: auto; }}
.picture svg {{ display: block; width: 100%; min-width: 34rem; height: auto; border: 1px solid var(--rule);
  border-radius: .7rem; }}
.pair {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 0 1.1rem; }}
.index ol {{ columns: 3 15rem; padding-left: 1.6rem; margin: 0 0 1.4rem; font-size: .94rem; }}
.index li {{ break-inside: avoid; padding: .1rem 0; }}
.drawing {{ margin: .9rem 0; overflow-x: auto; }}
.drawing svg {{ display: block; width: 100%; min-width: 30rem; height: auto; }}
details {{ margin: .8rem 0 0; }}
summary {{ color: var(--accent); cursor: pointer; padding: .25rem 0; }}
.views {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: .3rem 1.1rem; }}
.label {{ color: var(--soft); font-size: .82rem; margin: .6rem 0 .15rem; }}
pre {{ margin: 0; padding: .6rem .8rem; background: var(--code); border-radius: .45rem; white-space: pre-wrap; }}
pre, code {{ font-family: {MONO}; font-size: .86rem; line-height: 1.5; }}
.scroll {{ overflow-x: auto; margin: .9rem 0; }}
table {{ border-collapse: collapse; width: 100%; font-size: .94rem; }}
caption {{ text-align: left; color: var(--soft); font-size: .82rem; padding: 0 0 .3rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .45rem .9rem .45rem 0; border-top: 1px solid var(--rule); }}
thead th {{ color: var(--soft); font-size: .82rem; font-weight: 600; border-top: 0; }}
tbody th {{ font-weight: 650; min-width: 6.5rem; }}
.numbers td, .numbers thead th:not(:first-child) {{ text-align: right; font-variant-numeric: tabular-nums; }}
.checks {{ padding-left: 0; list-style: none; margin: .5rem 0; }}
.checks li {{ padding: .15rem 0 .15rem 1.6rem; text-indent: -1.6rem; }}
.sign {{ display: inline-block; width: 1.6rem; text-indent: 0; font-weight: 700; }}
.checks .good .sign {{ color: var(--good); }} .checks .bad .sign {{ color: var(--bad); }}
.unseen {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }}
footer {{ margin-top: 3rem; border-top: 1px solid var(--rule); color: var(--soft); font-size: .9rem; }}
@media (max-width: 36rem) {{
  .words thead {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
  .words tr, .words th, .words td {{ display: block; }}
  .words td {{ border-top: 0; padding-top: 0; }}
  .words td::before {{ content: attr(data-column); display: block; color: var(--soft); font-size: .8rem; }}
}}
@media print {{
  body {{ background: none; font-size: 10pt; }}
  main {{ max-width: none; padding: 0; }}
  nav {{ display: none; }}
  details::details-content {{ content-visibility: visible; height: auto; }}
  .card, tr, figure {{ break-inside: avoid; }}
  h2, h3 {{ break-after: avoid; }}
  .picture svg {{ min-width: 0; }}
  .mark, pre, .number {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
