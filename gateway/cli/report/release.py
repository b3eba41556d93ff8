"""A private statistic for its readers: sentences, one CSV row a cell, and a page that needs no second file.

All of it is made from the document alone (`statistics.release`), without a look at any data.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from gateway.cli.report import chart
from gateway.cli.report.chart import Bar
from gateway.cli.report.palette import FONT, MONO, modes, text
from gateway.statistics.catalogue import STATISTICS
from gateway.statistics.release import CellStatus, Release

STATUS_WORDS: Final[Mapping[CellStatus, str]] = {
    CellStatus.RELEASED: "released",
    CellStatus.BELOW_THRESHOLD: "below the threshold",
    CellStatus.NOT_COLLECTED: "not collected",
    CellStatus.WITHHELD: "withheld",
}


def title(release: Release) -> str:
    """What the numbers are."""
    query = release.query
    measure = {"persons": "distinct persons", "detections": "detections"}[query.measure]
    return f"{query.statistic}: {measure}, {release.facts['owner']}, {query.period}"


def half_width(release: Release) -> int:
    """95 % of the noise of a cell is within so much."""
    return int(release.facts["error"]["half_width_95"])


def bars(release: Release, truth: Mapping[tuple[str, ...], int] | None = None) -> list[Bar]:
    """The cells as a chart draws them. `truth` is what a demonstration knows, by key; a missing one is 0."""
    rows = [
        (cell.key, cell.noisy, "" if cell.noisy is not None else STATUS_WORDS[cell.status]) for cell in release.cells()
    ]
    return chart.from_rows(rows, truth)


def bias(release: Release) -> str:
    """What the bound and the declared cells left out, as far as that is known."""
    facts = release.facts["bias"]
    kept, lost, width = facts["kept_per_mille"], facts["lost"], facts["lost_half_width_95"]
    low, high = max(0, lost - width), max(0, lost + width)
    share = "" if kept is None else f"; about {kept / 10:.1f} % were kept"
    return f"cells are too low by what was left out: {low:,} to {high:,} in all (estimate {lost:,} ±{width:,}){share}"


def sentences(release: Release) -> list[tuple[str, str]]:
    """(what, in words) of everything a careful reader must know beside the numbers."""
    facts = release.facts
    unit, bound, loss, balance = facts["unit"], facts["bound"], facts["loss"], facts["balance"]
    made = datetime.fromtimestamp(facts["released_ns"] // 10**9, UTC)
    counts = {status: sum(cell.status is status for cell in release.cells()) for status in CellStatus}
    said = [
        ("statistic", f"{STATISTICS[release.query.statistic].title}; measure {release.query.measure}"),
        ("made", f"by {facts['owner']} for {facts['recipient'] or 'itself'}, {made:%Y-%m-%d %H:%M} UTC"),
        ("unit of privacy", f"{unit['name']} {unit['period']}, {unit['scope']}: what the noise hides"),
        ("bound", f"of one unit at most {bound['l1']} in all, at most {bound['linf']} in a cell; {bound['rule']}"),
        ("bias", bias(release)),
        ("noise", f"{facts['mechanism']['name'].replace('_', ' ')}, scale {_ratio(facts['mechanism']['scale'])}; "
                  f"95 % of it within ±{half_width(release):,} in every cell"),
        ("loss", f"{loss['micro_rho']:,} micro-rho; epsilon {loss['epsilon_micro'] / 1e6:.2f} at delta "
                 f"{float(Fraction(*loss['delta'])):.1e}"),
        ("account", f"{balance['spent_micro_rho']:,} of {balance['cap_micro_rho']:,} micro-rho spent after it"),
        ("cells", ", ".join(f"{count:,} {STATUS_WORDS[status]}" for status, count in counts.items() if count)),
        ("suppression", "none: a small number is shown with its noise" if not facts["suppression"]["threshold"]
         else f"cells under {facts['suppression']['threshold']} are marked"),
    ]  # fmt: skip
    below = sum(1 for cell in release.cells() if cell.noisy is not None and cell.noisy < 0)
    if below:
        said.append(("below zero", f"{below:,} cells: keep them so in sums; trimmed, totals are too high"))
    said += [("left out", one) for one in facts["omissions"]]
    return said


def identities(release: Release) -> list[tuple[str, str]]:
    """The digests by which the release is found again."""
    facts = release.facts
    return [
        ("reference", facts["query_digest"].hex()),
        ("release", facts["id"]),
        ("events", facts["snapshot"].hex()),
        ("cells", facts["domain_digest"].hex()),
        ("log entry of the charge", str(facts["audit_index"])),
    ]


def to_csv(release: Release) -> str:
    """One row a cell under a header: keys, status, value, half width of its 95 % interval, unit of privacy.

    A cell without a number has an empty value, never a zero.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((*release.domain.names, "status", "noisy", "half_width_95", "unit"))
    unit, width = release.facts["unit"]["name"], half_width(release)
    for cell in release.cells():
        number = "" if cell.noisy is None else str(cell.noisy)
        writer.writerow((*cell.key, cell.status.name.lower(), number, str(width) if number else "", unit))
    return out.getvalue()


def to_html(release: Release) -> str:
    """A page with the chart, the sentences and every cell."""
    name = title(release)
    head = "".join(f'<th scope="col">{text(one)}</th>' for one in (*release.domain.names, "value", "95 % of the noise"))
    width = f"±{half_width(release):,}"
    rows = "".join(
        f'<tr><th scope="row">{text(cell.key[0])}</th>'
        + "".join(f"<td>{text(part)}</td>" for part in cell.key[1:])
        + (
            f'<td class="number">{cell.noisy:,}</td><td class="number">{width}</td>'
            if cell.noisy is not None
            else f'<td colspan="2" class="none">{STATUS_WORDS[cell.status]}</td>'
        )
        + "</tr>"
        for cell in release.cells()
    )
    drawn = chart.draw(bars(release), half_width(release), title=name)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(name)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{text(name)}</h1>\n"
        f'<figure tabindex="0" aria-label="{text(name)}">{drawn}</figure>\n'
        f'<section aria-labelledby="read"><h2 id="read">How to read it</h2>{_list(sentences(release))}</section>\n'
        '<section aria-labelledby="cells"><h2 id="cells">Every cell</h2>'
        '<div class="scroll" role="region" aria-label="Every cell" tabindex="0">'
        f"<table><caption>{text(name)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</div></section>\n"
        '<section aria-labelledby="names"><h2 id="names">Where it is found</h2>'
        f"{_list(identities(release))}</section>\n"
        "</main>\n</body>\n</html>\n"
    )


def _list(pairs: list[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{text(what)}</dt><dd>{text(words)}</dd>" for what, words in pairs) + "</dl>"


def _ratio(pair: list[int]) -> str:
    value = Fraction(*pair)
    return str(value) if value.denominator == 1 else f"{value} (about {float(value):.3f})"


_STYLE: Final = f"""
{modes(":root")}
:root {{ color-scheme: light dark; }}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.55 {FONT}; overflow-wrap: anywhere; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; }} h2 {{ font-size: 1.25rem; margin: 2.5rem 0 .75rem; }}
figure {{ margin: 1.5rem 0; overflow-x: auto; }} figure svg {{ display: block; min-width: 34rem; width: 100%; }}
:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px; }}
dl {{ display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .4rem 1.1rem; }}
dt {{ color: var(--soft); }} dd {{ margin: 0; font-variant-numeric: tabular-nums; }}
#names + dl dd {{ font-family: {MONO}; font-size: .86rem; }}
.scroll {{ overflow-x: auto; }} table {{ border-collapse: collapse; width: 100%; font-size: .94rem; }}
caption {{ text-align: left; color: var(--soft); }}
th, td {{ text-align: left; padding: .35rem .9rem .35rem 0; border-top: 1px solid var(--rule); }}
tbody th {{ font-weight: 400; }} thead th {{ color: var(--soft); border-top: 0; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }} .none {{ color: var(--soft); font-style: italic; }}
@media print {{ body {{ background: none; font-size: 10pt; }} tr, figure {{ break-inside: avoid; }} }}
"""
