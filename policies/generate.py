"""Write the files here that are made from the gateway's tables: `python policies/generate.py [--check]`.

`--check` writes nothing and exits 1 where a file differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.opa import sources


def main(check: bool) -> int:
    """Write or compare; returns the exit code."""
    folder = Path(__file__).parent
    stale = 0
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
