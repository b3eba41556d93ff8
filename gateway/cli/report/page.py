"""The report of a run: one HTML file that needs no network, no script and no second file.

A run writes down what it did as a `RunRecord`, and `render` turns it into the page. Every value is escaped; the page
itself forbids whatever is not its own style (Content-Security-Policy).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.cli.report.frame import bullets, document, section, table
from gateway.cli.report.palette import text
from gateway.cli.report.picture import draw
from gateway.cli.report.record import LogSize, OnTheWire, RunRecord, Step, Verification


def render(record: RunRecord) -> str:
    """The whole page."""
    body = [
        _head(record),
        f'<figure class="picture" tabindex="0" aria-label="What crosses">{draw(record.crossing)}</figure>',
        section("parties", "What each party learned", _parties(record)),
        section(
            "steps",
            "Step by step",
            _index(record.steps) + "".join(_step(number, step) for number, step in enumerate(record.steps, 1)),
        ),
        section(
            "audit",
            "What the auditor could prove, and the tampering that was caught",
            "".join(_verification(one) for one in record.verifications),
        ),
        section("measured", "Measured in this run", _wire(record.wire) + _logs(record.logs)),
        section("open", "What this does not protect", bullets(record.unprotected)),
        f"<footer><p>Limen {text(record.release)}. Pre-release, not independently audited, not for live data. "
        "Every person and every document in this run is invented.</p></footer>",
    ]
    return document(record.title, body)


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


def _parties(record: RunRecord) -> str:
    return table(
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
        table("Who learned what by it", ("party", "learned"), ((one.party, one.what) for one in step.learned))
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
        f"<div><h4>{words}</h4>{bullets(lines)}</div>"
        for words, lines in (("Proved", one.proved), ("Not proved", one.not_proved))
        if lines
    )
    return (
        f'<article class="card{"" if as_said else " failed"}"><h3>{text(one.title)} {_mark(as_said, verdict)}</h3>'
        f'<p class="soft">{text(one.origin)}, {one.size:,} entries, root <code>{text(one.root)}</code></p>'
        f'<ol class="checks">{rows}</ol><div class="pair">{ends}</div></article>'
    )


def _wire(rows: Sequence[OnTheWire]) -> str:
    return table(
        "Bytes between gateways, all layers included",
        ("what", "sent", "received"),
        ((row.what, f"{row.sent_bytes:,} B", f"{row.received_bytes:,} B") for row in rows),
        numeric=True,
    )


def _logs(rows: Sequence[LogSize]) -> str:
    return table(
        "Each state's own log at the end",
        ("state", "entries", "last checkpoint at", "cosigned by"),
        ((row.state, f"{row.entries:,}", f"{row.checkpoint:,}", f"{row.cosignatures} peers") for row in rows),
        numeric=True,
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


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else _seconds(milliseconds / 1000)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


_SIGN: Final = {True: "\u2713", False: "\u2717"}
"""Said in words as well: neither colour nor sign stands alone."""
