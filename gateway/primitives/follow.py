"""A process of a node ends with its supervisor, however that ended.

A supervisor that is killed cannot stop anybody. A gateway that went on without it would hold the ports and the log's
lock, and the node that is started in its place would not come up. So the kernel is asked to kill each process when the
one that started it is gone; nothing is lost by that, because every process of a node may be killed at any time.

A worker process of the gateway follows the gateway in the same way.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal this process gets when its parent ends. Kept over exec, not inherited by fork."""


def follow(parent: int) -> None:
    """From now on the kernel kills this process when its parent ends.

    Raises:
        SystemExit: `parent`, a process id, is not our parent any more: it ended before we could ask.
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise SystemExit(1)
