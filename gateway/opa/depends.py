"""What a no depends on: each rule that gives a reason says so, and rules that do not are not built (T4, decision 7).

A reason that depends on the request is spoken aloud. One that depends on the person asked about, or on a record, would
tell the asker something by being spoken, so it may never be one of `reasons`: such rules stand in `withheld`, which
only the home auditor reads, and the answer has the face of a miss or of the refusal without a code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.errors import InputRefused
from gateway.opa.content import heads_at

SPOKEN: Final[Mapping[str, str]] = {"reasons": "request", "withheld": "person"}
"""The sets of codes that rules give, and what each of their rules must depend on."""

_ANNOTATION: Final = re.compile(r"^#\s+depends_on:\s*(\w+)\s*$")


def judge(name: str, text: str) -> None:
    """Raise InputRefused, with the line, unless every rule that gives a reason says in its METADATA what it depends on.

    Raises:
        VerificationFailed: the module does not parse.
    """
    written = text.splitlines()
    for head, line in heads_at(name, text):
        if head not in SPOKEN:
            continue
        above = []
        at = line - 2
        while at >= 0 and written[at].startswith("#"):
            above.append(written[at])
            at -= 1
        said = [found[1] for found in map(_ANNOTATION.match, above) if found] if "# METADATA" in above else []
        if said != [SPOKEN[head]]:
            raise InputRefused(
                f"{name}: a rule of {head} must say depends_on: {SPOKEN[head]} under custom in its METADATA",
                line=line,
                code="POLICY",
            )
