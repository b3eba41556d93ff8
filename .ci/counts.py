"""The closing line of .ci/run: how every step ended, and each test counted once.

    python3 .ci/counts.py FOLDER

FOLDER holds `steps` (name, exit code, seconds a line) and a JUnit report `<step>.xml` for each step that ran pytest. A
test that ran in several steps counts as failed if it failed in one, as skipped only if it ran in none. A step without
a report counts as one. Exit 0 only if all passed. Standard library only: it must work where set-up failed.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

RANK = {"skipped": 0, "passed": 1, "failed": 2}


def outcomes(report: Path) -> dict[str, str]:
    """Each test of a JUnit report with how it ended; nothing when pytest died before it wrote one."""
    try:
        cases = ElementTree.parse(report).iter("testcase")
    except (OSError, ElementTree.ParseError):
        return {}
    found: dict[str, str] = {}
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        ended = {child.tag for child in case}
        outcome = "failed" if ended & {"failure", "error"} else "skipped" if "skipped" in ended else "passed"
        found[name] = max(found.get(name, outcome), outcome, key=RANK.__getitem__)
    return found


def main(folder: Path) -> int:
    """Print the table of steps and the closing line."""
    tests: dict[str, str] = {}
    print("\n=== steps")
    for line in (folder / "steps").read_text("utf-8").splitlines():
        name, code, seconds = line.split()
        print(f"{'ok    ' if code == '0' else 'FAILED'} {name} ({seconds} s)")
        ran = outcomes(folder / f"{name}.xml")
        if code != "0" and "failed" not in ran.values():
            ran[f"step {name}"] = "failed"
        elif not ran:
            ran[f"step {name}"] = "passed"
        for test, outcome in ran.items():
            tests[test] = max(tests.get(test, outcome), outcome, key=RANK.__getitem__)
    counts = Counter(tests.values())
    print(f"\nlimen: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


sys.exit(main(Path(sys.argv[1])))
