"""Writes docs/errors.md from the error catalogue.

python docs/make_errors.py           write the page
python docs/make_errors.py --check   exit 1 when the page is not what would be written
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from gateway.errors import CATALOGUE, GatewayError

PAGE = Path(__file__).with_name("errors.md")

HEAD = """\
# Errors

Every refusal the gateway knows, made from `gateway/errors.py` by `docs/make_errors.py`. The *reason* is
`google.rpc.ErrorInfo.reason` and never changes its meaning; the *public text* is all that the other side reads,
whatever the cause. *Fault* says where to look first; *retry* whether the same bytes may succeed later. *Exit* is the
exit code of the command line.

| reason | gRPC status | public text | fault | retry | exit | meaning |
|---|---|---|---|---|---|---|
"""


def line(kind: type[GatewayError]) -> str:
    """One row of the page."""
    row = kind.row
    meaning = "anything not foreseen" if kind is GatewayError else " ".join((inspect.getdoc(kind) or "").split())
    retry = "yes" if row.retry else "no"
    cells = (f"`{row.reason}`", row.status, row.public, row.fault, retry, str(row.exit_code), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def page() -> str:
    """The whole page."""
    return HEAD + "".join(line(kind) for kind in CATALOGUE)


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text("utf-8") != page():
            sys.exit("docs/errors.md is not what gateway/errors.py says: run python docs/make_errors.py")
    else:
        PAGE.write_text(page(), "utf-8")
