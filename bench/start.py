"""E10: how soon the command line answers: `limen --help`, a whole process each time.

Wall time is what a person waits; the CPU time beside it is what remains of it where the machine does other things too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.node import row

Row = dict[str, Any]

IDS: Final = ("E10", "E10.cpu")


def run(smoke: bool) -> list[Row]:
    """The rows of E10. The short form asserts nothing about speed."""
    took = [_helped() for _ in range(3 if smoke else 21)]
    wall_s, cpu_s = (median(one[place] for one in took) for place in (0, 1))
    return [
        row("E10", wall_s, "s, `limen --help`, median", f"{len(took)} processes, one after the other", goal=0.3),
        row("E10.cpu", cpu_s, "s of CPU", "for information"),
    ]


def _helped() -> tuple[float, float]:
    """(wall, CPU) of one process, seconds."""
    began = time.perf_counter()
    process = subprocess.Popen([Path(sys.executable).with_name("limen"), "--help"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("limen --help failed")
    return took, used.ru_utime + used.ru_stime
