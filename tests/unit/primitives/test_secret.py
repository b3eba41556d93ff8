"""Locked memory is wiped, read-only and not pickled; a process with keys leaves no core file."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.primitives import secret
from gateway.primitives.secret import Locked, equal

ROOT = Path(secret.__file__).parents[2]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


def test_a_secret_is_kept_and_given_back_once_wiped() -> None:
    locked = Locked(b"a key of some size")
    assert len(locked) == 18
    assert locked.copy() == b"a key of some size"
    locked.free()
    locked.free()
    for attempt in (locked.copy, lambda: locked.address):
        with pytest.raises(ValueError, match="wiped"):
            attempt()


def test_a_secret_shows_nothing() -> None:
    locked = Locked(b"very secret")
    assert "secret" not in repr(locked)
    with pytest.raises(TypeError):
        pickle.dumps(locked)


def test_forgetting_a_secret_frees_it() -> None:
    for _ in range(3000):  # two guard pages each: would run into the limit on maps within a few rounds
        Locked(b"x" * 32)
    gc.collect()


def test_an_empty_secret_is_a_mistake() -> None:
    with pytest.raises(MemoryError):
        Locked(b"")


@pytest.mark.parametrize("offset", [0, 32, -1])
def test_writing_over_or_beside_a_secret_ends_the_process(offset: int) -> None:
    """Read-only pages, a guard page behind; in front a canary that is checked when it is freed."""
    done = run(
        "import ctypes, resource\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "from gateway.primitives.secret import Locked\n"
        "locked = Locked(b'x' * 32)\n"
        f"ctypes.memset(locked.address + {offset}, 0, 1)\n"
        "print('written')\n"
    )
    assert done.returncode == -signal.SIGSEGV
    assert done.stdout == ""


def test_equal() -> None:
    assert equal(b"", b"")
    assert equal(b"abc", b"abc")
    assert not equal(b"abc", b"abd")
    assert not equal(b"abc", b"abcd")
    assert not equal(b"\0", b"")


def test_a_protected_process_is_not_dumpable_and_says_what_is_locked() -> None:
    done = run(
        "import resource\n"
        "from gateway.primitives import secret\n"
        "before = secret.report()\n"
        "after = secret.protect_process()\n"
        "secret.Locked(b'x' * 32)\n"
        "core = resource.getrlimit(resource.RLIMIT_CORE)[0]\n"
        "print(before.dumpable, after.dumpable, secret.report().buffers_locked, core)\n"
        "status = open('/proc/self/status').read()\n"
        "print(after.all_locked == (int(status.split('VmLck:')[1].split()[0]) > 1000))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True False True 0", "True"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to lower a limit and drop the right to pass it")
def test_where_memory_cannot_be_locked_it_says_so_and_works() -> None:
    done = run(
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))\n"
        "from gateway.primitives import secret, sodium\n"
        "sodium.library()\n"
        "os.setuid(65534)\n"
        "locked = secret.Locked(b'x' * 32)\n"
        "print(locked.copy() == b'x' * 32, locked.is_locked, secret.lock_all())\n"
        "print(secret.report().all_locked, secret.report().buffers_locked)\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True False False", "False False"]
