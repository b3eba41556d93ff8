"""The report of a run: one HTML file that needs no network, no script and no second file.

A run writes down what it did as a `RunRecord`, and `render` turns it into the page. Every value is escaped; the page
itself forbids whatever is not its own style (Content-Security-Policy).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.cli.report.palette import FONT, MONO, modes, text
from gateway.cli.report.picture import draw
from gateway.cli.report.record import LogSize, OnTheWire, RunRecord, Step, Verification


def render(record: RunRecord) -> str:
    """The whole page."""
    body = [
        _head(record),
        f'<figure class="picture" tabindex="0" aria-label="What crosses">{draw(record.crossing)}</figure>',
        _section("parties", "What each party learned", _parties(record)),
        _section(
            "steps",
            "Step by step",
            _index(record.steps) + "".join(_step(number, step) for number, step in enumerate(record.steps, 1)),
        ),
        _section(
            "audit",
            "What the auditor could prove, and the tampering that was caught",
            "".join(_verification(one) for one in record.verifications),
        ),
        _section("measured", "Measured in this run", _wire(record.wire) + _logs(record.logs)),
        _section("open", "What this does not protect", _bullets(record.unprotected)),
        f"<footer><p>Limen {text(record.release)}. Pre-release, not independently audited, not for live data. "
        "Every person and every document in this run is invented.</p></footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(record.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(record: RunRecord) -> str:
    right = sum(step.ok for step in record.steps) + sum(one.ok is one.expected_ok for one in record.verifications)
    total = len(record.steps) + len(record.verifications)
    verdict = _mark(record.ok, f"{right} of {total} as said")
    links = "".join(
        f'<li><a href="#{anchor}">{text(words)}</a></li>'
        for anchor, words in (("parties", "Who learned what"), ("steps", "Steps"), ("audit", "Audit"),
                              ("measured", "Measured"), ("open", "Not protected"))
    )  # fmt: skip
    return (
        f'<header><h1>{text(record.title)}</h1><p class="meta">{verdict} <span>{text(record.made_at)}</span> '
        f'<span>{_seconds(record.duration_s)}</span></p><nav aria-label="Sections"><ul>{links}</ul></nav></header>'
    )


def _section(anchor: str, title: str, inside: str) -> str:
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-h"><h2 id="{anchor}-h">{text(title)}</h2>{inside}</section>'
    )


def _parties(record: RunRecord) -> str:
    return _table(
        "After the whole run",
        ("party", "learned", "could not learn"),
        ((party.name, party.learned, party.not_learned) for party in record.parties),
    )


def _index(steps: Sequence[Step]) -> str:
    """Every step by name, with how it came out: the way to one of them by keyboard."""
    lines = "".join(
        f'<li><a href="#step-{number}">{text(step.title)}</a>'
        f"{'' if step.ok else ' ' + _mark(step.ok, 'not as said')}</li>"
        for number, step in enumerate(steps, 1)
    )
    return f'<nav class="index" aria-label="Steps"><ol>{lines}</ol></nav>'


def _step(number: int, step: Step) -> str:
    learned = (
        _table("Who learned what by it", ("party", "learned"), ((one.party, one.what) for one in step.learned))
        if step.learned
        else ""
    )
    return (
        f'<article id="step-{number}" class="card{"" if step.ok else " failed"}">'
        f'<h3><span class="number">{number}</span> '
        f"{text(step.title)} {_mark(step.ok, 'as said' if step.ok else 'not as said')}</h3>"
        f"<p>{text(step.story)}</p>{_pre('typed', step.command)}"
        f'<div class="pair">{_pre("had to come out", step.expected)}{_pre("came out", step.got)}</div>'
        f"{_drawing(step)}{learned}{_views(step)}"
        f'<p class="took">took {_duration(step.duration_ms)}</p></article>'
    )


def _drawing(step: Step) -> str:
    """The step's drawing, which is ours and escaped where it was made."""
    if not step.drawing:
        return ""
    return f'<figure class="drawing" tabindex="0" aria-label="{text(step.title)}, drawn">{step.drawing}</figure>'


def _views(step: Step) -> str:
    """What each party had in front of it, side by side; opened and closed without a script."""
    if not step.views:
        return ""
    panes = "".join(
        f'<div class="view"><h4>{text(view.party)}</h4>{_pre(view.what, view.content)}</div>' for view in step.views
    )
    parties = ", ".join(view.party for view in step.views)
    return f'<details><summary>Before each of them: {text(parties)}</summary><div class="views">{panes}</div></details>'


def _verification(one: Verification) -> str:
    as_said = one.ok is one.expected_ok
    verdict = {
        (True, True): "verified",
        (False, False): "fault found, as it had to be",
        (True, False): "a fault was missed",
        (False, True): "did not verify",
    }[one.ok, one.expected_ok]
    rows = "".join(
        f'<li class="{_tone(step.ok)}"><span class="sign" aria-hidden="true">{_SIGN[step.ok]}</span>'
        f'<span class="unseen">{"holds" if step.ok else "fails"}: </span>{text(step.step)}{_aside(step.detail)}</li>'
        for step in one.steps
    )
    ends = "".join(
        f"<div><h4>{words}</h4>{_bullets(lines)}</div>"
        for words, lines in (("Proved", one.proved), ("Not proved", one.not_proved))
        if lines
    )
    return (
        f'<article class="card{"" if as_said else " failed"}"><h3>{text(one.title)} {_mark(as_said, verdict)}</h3>'
        f'<p class="soft">{text(one.origin)}, {one.size:,} entries, root <code>{text(one.root)}</code></p>'
        f'<ol class="checks">{rows}</ol><div class="pair">{ends}</div></article>'
    )


def _wire(rows: Sequence[OnTheWire]) -> str:
    return _table(
        "Bytes between gateways, all layers included",
        ("what", "sent", "received"),
        ((row.what, f"{row.sent_bytes:,} B", f"{row.received_bytes:,} B") for row in rows),
        numeric=True,
    )


def _logs(rows: Sequence[LogSize]) -> str:
    return _table(
        "Each state's own log at the end",
        ("state", "entries", "last checkpoint at", "cosigned by"),
        ((row.state, f"{row.entries:,}", f"{row.checkpoint:,}", f"{row.cosignatures} peers") for row in rows),
        numeric=True,
    )


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: bool = False) -> str:
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


def _pre(label: str, content: str) -> str:
    return f'<div class="shown"><p class="label">{text(label)}</p><pre>{text(content)}</pre></div>'


def _mark(is_good: bool, words: str) -> str:
    sign = _SIGN[is_good]
    return f'<span class="mark {_tone(is_good)}"><span aria-hidden="true">{sign}</span> {text(words)}</span>'


def _tone(is_good: bool) -> str:
    return "good" if is_good else "bad"


def _aside(words: str) -> str:
    return f' <span class="soft">{text(words)}</span>' if words else ""


def _bullets(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else _seconds(milliseconds / 1000)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


_SIGN: Final = {True: "\u2713", False: "\u2717"}
"""Said in words as well: neither colour nor sign stands alone."""

_STYLE: Final = f"""
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
