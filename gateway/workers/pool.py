"""`ports.Compute`: short functions inline, long ones in a worker process.

A crypto thread is worse than none: libsodium through ctypes drops the interpreter's lock at each operation and waits
for it behind a busy loop (docs/adr/0013). So long work goes to a process, started by exec ("spawn") and never by fork:
a forked gRPC process hangs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from gateway.primitives.follow import follow

T = TypeVar("T")


class Pool:
    """One lazily started worker process; `heavy` work goes there, the rest runs inline."""

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._executor: ProcessPoolExecutor | None = None

    async def run(self, fn: Callable[..., T], *values: Any, heavy: bool = False) -> T:
        """`fn(*values)`. `fn` is a module-level function of plain values. Its exceptions come through."""
        if not heavy:
            return fn(*values)
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=follow,
                initargs=(os.getpid(),),
            )
        return await asyncio.get_running_loop().run_in_executor(self._executor, fn, *values)

    def close(self) -> None:
        """Stop the workers; unfinished work is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


class Inline:
    """Everything inline: for flow tests and small nodes."""

    async def run(self, fn: Callable[..., T], *values: Any, heavy: bool = False) -> T:
        """`fn(*values)`, now."""
        return fn(*values)
