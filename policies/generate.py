"""Write the files here that are made from the gateway's tables: `python policies/generate.py [--check]`.

`--check` writes nothing and exits 1 where a file differs. Both exit 1 where a rule that gives a reason does not say
what it depends on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.errors import GatewayError
from gateway.opa import depends, sources


def main(check: bool) -> int:
    """Write or compare; returns the exit code."""
    folder = Path(__file__).parent
    stale = 0
    for path in sorted(folder.rglob("*.rego")):
        try:
            depends.judge(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))
        except GatewayError as refusal:
            print(f"policies/{refusal}", file=sys.stderr)
            stale = 1
    for name, body in sources.generated().items():
        path = folder / name
        if path.is_file() and path.read_bytes() == body:
            continue
        if check:
            print(f"policies/{name} is not what the code says; run python policies/generate.py", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    return stale


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
