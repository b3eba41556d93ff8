"""Memory for keys: locked, guarded, wiped; and a process that leaves no core file."""

from __future__ import annotations

import ctypes
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, final

from gateway.primitives import sodium

_PR_SET_DUMPABLE: Final = 4
_PR_GET_DUMPABLE: Final = 3
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_CAP_IPC_LOCK: Final = 14

_unlocked_buffers = 0


def equal(left: bytes, right: bytes) -> bool:
    """Whether two byte strings are equal, in a time that depends on their lengths only (`sodium_memcmp`)."""
    return len(left) == len(right) and sodium.library().sodium_memcmp(left, right, len(left)) == 0


@final
class Locked:
    """A secret in memory of its own (`sodium_malloc`): between guard pages, not swapped, wiped when freed, read-only.

    `address` is for libsodium calls, so that using the secret makes no copy. `copy()` gives ordinary bytes, which the
    interpreter may leave in its heap: only for what Python itself must compute.
    """

    __slots__ = ("_address", "_size", "is_locked")

    def __init__(self, value: bytes | bytearray) -> None:
        global _unlocked_buffers
        library = sodium.library()
        self._size = len(value)
        address = library.sodium_malloc(self._size) if value else None
        if address is None:
            self._address = 0
            raise MemoryError("no guarded memory for a key")
        self._address = int(address)
        ctypes.memmove(self._address, bytes(value), self._size)
        # sodium_malloc asks for the lock too, but does not say whether it got it.
        self.is_locked: bool = library.sodium_mlock(self._address, self._size) == 0
        if not self.is_locked:
            _unlocked_buffers += 1
        library.sodium_mprotect_readonly(self._address)

    @property
    def address(self) -> int:
        """Where the bytes are. Raises ValueError after `free`."""
        if not self._address:
            raise ValueError("the secret was wiped")
        return self._address

    def __len__(self) -> int:
        return self._size

    def copy(self) -> bytes:
        """The bytes. Raises ValueError after `free`."""
        return ctypes.string_at(self.address, self._size)

    def free(self) -> None:
        """Wipe and give back. Calling it again does nothing."""
        address, self._address = self._address, 0
        if address:
            sodium.library().sodium_free(address)

    def __del__(self) -> None:
        if getattr(self, "_address", 0):
            self.free()

    def __repr__(self) -> str:
        return "<locked>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a locked secret is not pickled")


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What could be done for the secrets of this process; `limen doctor` says it in words.

    `all_locked`: the whole process stays out of swap. `buffers_locked`: every key buffer made so far does.
    `dumpable`: the kernel would write a core file, or let another process of this user read the memory.
    """

    all_locked: bool
    buffers_locked: bool
    dumpable: bool


_all_locked = False


def protect_process() -> MemoryReport:
    """No core file and no debugger, and all memory out of swap where the limits allow it. Call once, at the start."""
    no_dump()
    lock_all()
    return report()


def report() -> MemoryReport:
    """The state of things now."""
    dumpable = _libc().prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0
    return MemoryReport(_all_locked, _unlocked_buffers == 0, dumpable)


def no_dump() -> None:
    """No core file is written of this process, and only root can attach to it.

    Raises:
        OSError: the kernel refused; the process must not hold keys then.
    """
    if _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def lock_all() -> bool:
    """Keep the whole process out of swap; False where that is not allowed here.

    Only without a limit on locked memory: under a limit the lock would succeed now and let an allocation fail later.
    """
    global _all_locked
    if not _all_locked and _may_lock_without_limit():
        # On fault: a page that was never touched holds no secret and need not be brought in.
        _all_locked = _libc().mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0
    return _all_locked


def _may_lock_without_limit() -> bool:
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        return True
    for line in Path("/proc/self/status").read_bytes().splitlines():
        if line.startswith(b"CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    return False


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
