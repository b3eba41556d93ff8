"""Writes docs/audit-events.md from the catalogue of the log, and the same table into the auditor's one-file verifier.

python docs/make_audit_events.py           write both
python docs/make_audit_events.py --check   exit 1 when one of them is not what would be written
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from gateway.audit.kinds import CATALOGUE, RETENTION_NS, Kind

PAGE = Path(__file__).with_name("audit-events.md")
VERIFIER = Path(__file__).parents[1] / "examples" / "limen_verify.py"
BEGIN = "# catalogue: begin (made by docs/make_audit_events.py)\n"
END = "# catalogue: end\n"

HEAD = """\
# What the log can say

Every kind of entry, made from `gateway/audit/kinds.py` by `docs/make_audit_events.py`. An entry of another kind,
without a mandatory field or with a field that is not named here is refused before it reaches the log.

*Public* fields stand in the leaf in clear, for ever; none is personal. *Optional* ones may be missing. *Sealed* fields
stand in the leaf as salted commitments, always all of them, and are readable by the supervisor and the home auditor
while the payload is kept; those marked *guard* also by the protection desk. *Kept* is how long the payload stays,
counted from the entry; the leaf stays. How a leaf is made: [the log's protocol](protocol/log.md).

Every leaf also has its number, time, phase, the peer it concerns, its number with that peer, the retention class and
the payload's digest.

"""


def words(names: tuple[str, ...]) -> str:
    """Field names in a cell."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def section(kind: Kind) -> str:
    """One kind."""
    lines = [f"## {kind.number}. {kind.name} ({kind.phase.value})\n", f"{kind.meaning}\n", "| | |", "|---|---|"]
    lines.append(f"| public | {words(kind.public)} |")
    if kind.optional:
        lines.append(f"| optional | {words(kind.optional)} |")
    if kind.secret:
        lines.append(f"| sealed | {words(kind.secret)} |")
    if kind.guard:
        lines.append(f"| sealed, guard | {words(kind.guard)} |")
    if kind.is_sealed:
        lines.append(f"| kept | {kind.retention} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    classes = ", ".join(f"`{name}`" for name in RETENTION_NS)
    tail = f"\n## Retention classes\n\n{classes}.\n\nThe class follows from kind and purpose, never from input (T13).\n"
    return HEAD + "\n".join(section(kind) for kind in CATALOGUE) + tail


def row(kind: Kind) -> str:
    """One kind in the verifier: its name and phase, then its public, optional and sealed fields."""
    cells = (kind.public, kind.optional, (*kind.secret, *kind.guard))
    line = " | ".join([f"{kind.name} {kind.phase.value}", *(" ".join(names) or "-" for names in cells)])
    return textwrap.fill(line, 118, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False) + "\n"


def verifier() -> str:
    """The verifier with the whole catalogue in its place."""
    head, rest = VERIFIER.read_text("utf-8").split(BEGIN)
    _, tail = rest.split(END)
    return f'{head}{BEGIN}CATALOGUE = """\n{"".join(map(row, CATALOGUE))}"""\n{END}{tail}'


if __name__ == "__main__":
    for file, text in ((PAGE, page()), (VERIFIER, verifier())):
        if "--check" not in sys.argv[1:]:
            file.write_text(text, "utf-8")
        elif not file.exists() or file.read_text("utf-8") != text:
            sys.exit(f"{file.name} is not what the catalogue says: run python docs/make_audit_events.py")
