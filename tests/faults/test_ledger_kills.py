"""S4: no answer is unpaid however often a process is killed between question and document: 10,000 kills."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.extras import ROOT

# Minutes: `make slow` runs it, and `make bench ONLY=S4` with the times of a charge.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_ten_thousand_kills_leave_no_unpaid_answer_and_no_account_that_does_not_add_up() -> None:
    # A process of its own: the bench forks, which no process with gRPC's threads may.
    command = [sys.executable, "-m", "bench", "--only", "S4.kills"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["id"], row["value"], row["met"]) == ("S4.kills", 0, True), row
    killed = int(row["against"].split(" ", 1)[0].replace(",", ""))
    assert killed >= 10_000, row["against"]
