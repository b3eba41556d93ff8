"""Finding and loading libsodium, once, for `group` and `secret`.

Order: the file named in LIMEN_LIBSODIUM (then nothing else is tried), the operating system's library, else the copy
inside the `rbcl` wheel. That wheel's own import writes 2.8 MB into the temporary folder each time and leaves them
there, so it is never imported: its library is unpacked once into the environment, or into memory where the environment
cannot be written.

`ctypes.PyDLL`, not `CDLL`: each call takes 15 to 60 us, and CDLL would give up the interpreter's lock before every one
and then queue for it behind whatever thread is busy. Sixty multiplications, 3.5 ms alone, took 4 to 13 ms beside a busy
thread with PyDLL and 4 to 570 ms with CDLL. Long batches belong into a process of their own, where the lock disturbs
nobody.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Final

from gateway.errors import ConfigRefused

LIBRARY_VARIABLE: Final = "LIMEN_LIBSODIUM"
"""Environment variable with the path of a libsodium to use instead of all others."""

_SYSTEM: Final = ("libsodium.so.26", "libsodium.so.23")

_POINTER: Final = ctypes.c_void_p
_SIZE: Final = ctypes.c_size_t
_INT: Final = ctypes.c_int

# name -> (result, arguments). Pointers are c_void_p, which takes bytes, buffers and addresses alike.
_FUNCTIONS: Final[dict[str, tuple[type | None, tuple[type, ...]]]] = {
    "sodium_init": (_INT, ()),
    "sodium_memcmp": (_INT, (_POINTER, _POINTER, _SIZE)),
    "sodium_malloc": (_POINTER, (_SIZE,)),
    "sodium_free": (None, (_POINTER,)),
    "sodium_mlock": (_INT, (_POINTER, _SIZE)),
    "sodium_mprotect_readonly": (_INT, (_POINTER,)),
    "crypto_sign_seed_keypair": (_INT, (_POINTER, _POINTER, _POINTER)),
    "crypto_sign_detached": (_INT, (_POINTER, _POINTER, _POINTER, ctypes.c_ulonglong, _POINTER)),
    "crypto_core_ristretto255_is_valid_point": (_INT, (_POINTER,)),
    "crypto_core_ristretto255_from_hash": (_INT, (_POINTER, _POINTER)),
    "crypto_core_ristretto255_add": (_INT, (_POINTER, _POINTER, _POINTER)),
    "crypto_core_ristretto255_scalar_add": (None, (_POINTER, _POINTER, _POINTER)),
    "crypto_core_ristretto255_scalar_sub": (None, (_POINTER, _POINTER, _POINTER)),
    "crypto_core_ristretto255_scalar_mul": (None, (_POINTER, _POINTER, _POINTER)),
    "crypto_core_ristretto255_scalar_invert": (_INT, (_POINTER, _POINTER)),
    "crypto_scalarmult_ristretto255": (_INT, (_POINTER, _POINTER, _POINTER)),
    "crypto_scalarmult_ristretto255_base": (_INT, (_POINTER, _POINTER)),
}

_loaded: tuple[ctypes.PyDLL, str] | None = None


def library() -> ctypes.PyDLL:
    """The loaded library with its functions declared.

    Raises:
        ConfigRefused: none can be loaded, or it lacks ristretto255. Says what to install or set.
    """
    return _load()[0]


def source() -> str:
    """Where the library came from, for `limen doctor`."""
    return _load()[1]


def _load() -> tuple[ctypes.PyDLL, str]:
    global _loaded
    if _loaded is None:
        # Two threads may both get here: they load the same library, and sodium_init is safe to call twice.
        _loaded = _find()
    return _loaded


def _find() -> tuple[ctypes.PyDLL, str]:
    configured = os.environ.get(LIBRARY_VARIABLE)
    if configured:
        try:
            return _declare(ctypes.PyDLL(configured)), configured
        except (OSError, AttributeError):
            raise ConfigRefused(
                f"{LIBRARY_VARIABLE}: {configured} is not a libsodium with ristretto255; correct the path or unset it"
            ) from None
    for name in _SYSTEM:
        try:
            return _declare(ctypes.PyDLL(name)), name
        except (OSError, AttributeError):
            continue  # not installed, or built in its minimal form, which has no ristretto255
    try:
        return _from_wheel()
    except (OSError, AttributeError, ValueError):
        raise ConfigRefused(
            f"no libsodium with ristretto255 found; install libsodium23, or set {LIBRARY_VARIABLE} to its path"
        ) from None


def _declare(library: ctypes.PyDLL) -> ctypes.PyDLL:
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    if library.sodium_init() < 0:
        raise OSError("sodium_init failed")
    return library


def _from_wheel() -> tuple[ctypes.PyDLL, str]:
    """The library inside rbcl, read out of its module's text without running it."""
    # The library is one hexadecimal literal in rbcl/_sodium.py; the name of the unpacked file carries its digest.
    package = importlib.util.find_spec("rbcl")
    if package is None or not package.submodule_search_locations:
        raise OSError("rbcl is not installed")
    module = Path(package.submodule_search_locations[0]) / "_sodium.py"
    stat = module.stat()
    mark = hashlib.sha256(f"{module}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:16]
    target = Path(sys.prefix) / "lib" / "limen" / f"libsodium-{mark}.so"
    if not target.exists():
        found = re.search(rb"fromhex\('([0-9a-f]+)'\)", module.read_bytes())
        if found is None:
            raise OSError("rbcl holds no library in the known form")
        image = bytes.fromhex(found.group(1).decode("ascii"))
        try:
            _keep(target, image)
        except OSError:
            return _from_memory(image), "rbcl, in memory"
    return _declare(ctypes.PyDLL(str(target))), f"rbcl, {target}"


def _keep(target: Path, image: bytes) -> None:
    """Write beside and rename, so that two processes starting at once never load half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(image)
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _from_memory(image: bytes) -> ctypes.PyDLL:
    descriptor = os.memfd_create("libsodium")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(image)
        return _declare(ctypes.PyDLL(f"/proc/self/fd/{descriptor}"))
    finally:
        os.close(descriptor)
