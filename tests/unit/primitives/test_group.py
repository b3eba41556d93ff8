"""The carrier: published multiples, own refusals, a self-test that can fail, and where the library comes from."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigRefused, Malformed
from gateway.primitives import group, sodium
from gateway.primitives.group import GENERATOR, GROUP, ORDER, invert, judge_scalar, locked_scalar, scalar_of

# RFC 9496 appendix A.1: the first multiples of the generator.
MULTIPLES = [
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
]
IDENTITY = bytes(32)


def test_multiples_of_the_generator() -> None:
    for number, expected in enumerate(MULTIPLES, 1):
        scalar = scalar_of(number)
        assert GROUP.mul_base(scalar).hex() == expected
        assert GROUP.mul(scalar, [GENERATOR])[0].hex() == expected
    assert GROUP.add(GENERATOR, bytes.fromhex(MULTIPLES[1])).hex() == MULTIPLES[2]
    assert GROUP.combine([scalar_of(5), scalar_of(ORDER - 2)], [GENERATOR, GENERATOR]).hex() == MULTIPLES[2]


def test_a_scalar_in_locked_memory_is_used_where_it_is() -> None:
    locked = locked_scalar(scalar_of(3))
    assert GROUP.mul_base(locked).hex() == MULTIPLES[2]
    assert GROUP.mul(locked, [GENERATOR])[0].hex() == MULTIPLES[2]
    assert GROUP.respond(scalar_of(10), scalar_of(2), locked) == scalar_of(4)
    assert GROUP.inverse_of_sum(locked, scalar_of(4)) == scalar_of(pow(7, -1, ORDER))
    locked.free()
    with pytest.raises(ValueError, match="wiped"):
        GROUP.mul_base(locked)


def test_sums_that_are_the_identity_are_refused() -> None:
    minus = GROUP.mul_base(scalar_of(-1))
    with pytest.raises(Malformed):
        GROUP.add(GENERATOR, minus)
    with pytest.raises(Malformed):
        GROUP.combine([scalar_of(1), scalar_of(1)], [GENERATOR, minus])
    # A sum that only passes through the identity is fine.
    assert GROUP.combine([scalar_of(1)] * 3, [GENERATOR, minus, GENERATOR]) == GENERATOR


def test_the_library_takes_what_we_refuse_so_our_judgement_is_needed() -> None:
    """libsodium 1.0.18 takes bit 255; every version takes the identity and unreduced scalars."""
    library = sodium.library()
    assert library.crypto_core_ristretto255_is_valid_point(IDENTITY) == 1
    out = ctypes.create_string_buffer(32)
    assert library.crypto_scalarmult_ristretto255(out, scalar_of(2), GENERATOR) == 0
    with pytest.raises(Malformed):
        GROUP.check([IDENTITY])
    with pytest.raises(Malformed):
        GROUP.mul(scalar_of(2), [GENERATOR[:31] + bytes([GENERATOR[31] | 0x80])])
    with pytest.raises(ValueError):
        GROUP.mul((1 + ORDER).to_bytes(32, "little"), [GENERATOR])


@pytest.mark.parametrize("bad", [IDENTITY, b"\xff" * 32, GENERATOR[:31], GENERATOR + b"\0", b"\x02" + bytes(31), b""])
def test_every_operation_refuses_what_is_no_element(bad: bytes) -> None:
    one = scalar_of(1)
    for attempt in (
        lambda: GROUP.check([GENERATOR, bad]),
        lambda: GROUP.mul(one, [GENERATOR, bad]),
        lambda: GROUP.mul_each([one, one], [GENERATOR, bad]),
        lambda: GROUP.add(GENERATOR, bad),
        lambda: GROUP.add(bad, GENERATOR),
        lambda: GROUP.combine([one, one], [GENERATOR, bad]),
    ):
        with pytest.raises(Malformed):
            attempt()


def test_the_position_is_named_and_the_value_is_not() -> None:
    with pytest.raises(Malformed, match="element 3") as refused:
        GROUP.check([GENERATOR, GENERATOR, GENERATOR, b"\xff" * 32])
    assert "ff" * 8 not in str(refused.value)


def test_lists_of_other_lengths_are_mistakes() -> None:
    with pytest.raises(ValueError):
        GROUP.mul_each([scalar_of(1)], [GENERATOR, GENERATOR])
    with pytest.raises(ValueError):
        GROUP.combine([], [])
    with pytest.raises(ValueError):
        GROUP.hash_to_group([bytes(63)])


def test_inverses() -> None:
    scalars = [scalar_of(n) for n in (1, 2, 3, ORDER - 1, 12345)]
    for scalar, inverse in zip(scalars, invert(scalars), strict=True):
        product = int.from_bytes(scalar, "little") * int.from_bytes(inverse, "little") % ORDER
        assert product == 1
    assert invert([]) == []
    for bad in (bytes(32), ORDER.to_bytes(32, "little"), b"\xff" * 32, b"\1"):
        with pytest.raises(ValueError):
            invert([scalar_of(2), bad])
        with pytest.raises(ValueError):
            judge_scalar(bad)


class Lying:
    """A libsodium with one function that does something else."""

    def __init__(self, name: str, answer: object) -> None:
        self._name = name
        self._answer = answer

    def __getattr__(self, name: str) -> object:
        return self._answer if name == self._name else getattr(sodium.library(), name)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("crypto_scalarmult_ristretto255", lambda out, scalar, element: 0),
        ("crypto_scalarmult_ristretto255_base", lambda out, scalar: 0),
        ("crypto_core_ristretto255_add", lambda out, left, right: 0),
        ("crypto_scalarmult_ristretto255", lambda out, scalar, element: -1),
    ],
)
def test_a_library_that_computes_wrongly_is_not_started(name: str, answer: object) -> None:
    with pytest.raises((ConfigRefused, Malformed)):
        group._self_test(Lying(name, answer))  # type: ignore[arg-type]


def test_a_wrapper_that_forgot_its_own_refusals_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """libsodium 1.0.18 alone would take the point with bit 255 set, and every version the identity."""
    monkeypatch.setattr(group, "_judge_encoding", lambda element, position: None)
    with pytest.raises(ConfigRefused, match="self-test"):
        group._self_test(sodium.library())


PROBE = (
    "import tempfile, os; before = set(os.listdir(tempfile.gettempdir()))\n"
    "from gateway.primitives.group import GROUP\n"
    "print(GROUP.load())\n"
    "print(sorted(set(os.listdir(tempfile.gettempdir())) - before))\n"
)


def probe(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    own = tmp_path / "tmp"
    own.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(own), **environment},
        cwd=Path(group.__file__).parents[2],
    )


WITHOUT_SYSTEM = "from gateway.primitives import sodium; sodium._SYSTEM = ('libnone.so.1',)\n"


def test_without_a_system_library_the_wheels_is_unpacked_once_and_nothing_stays_in_temp(tmp_path: Path) -> None:
    code = f"import sys; sys.prefix = {str(tmp_path)!r}\n" + WITHOUT_SYSTEM + PROBE
    first = probe(code, tmp_path)
    assert first.returncode == 0, first.stderr
    where, left = first.stdout.splitlines()
    assert where.startswith(f"rbcl, {tmp_path}/lib/limen/libsodium-")
    assert left == "[]"
    (file,) = (tmp_path / "lib" / "limen").iterdir()
    made = file.stat().st_mtime_ns
    assert probe(code, tmp_path).stdout == first.stdout
    (again,) = (tmp_path / "lib" / "limen").iterdir()
    assert again.stat().st_mtime_ns == made


def test_where_the_environment_cannot_be_written_the_wheels_library_stays_in_memory(tmp_path: Path) -> None:
    # A file where the folder would have to be: not writable for root either.
    (tmp_path / "lib").write_text("")
    done = probe(f"import sys; sys.prefix = {str(tmp_path)!r}\n" + WITHOUT_SYSTEM + PROBE, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["rbcl, in memory", "[]"]


def test_a_configured_library_is_taken_alone_or_refused_in_one_sentence(tmp_path: Path) -> None:
    bad = probe(PROBE, tmp_path, LIMEN_LIBSODIUM="/nowhere/libsodium.so")
    assert bad.returncode != 0
    assert bad.stderr.rstrip().splitlines()[-1].endswith("correct the path or unset it")
    # A library, but not this one.
    other = probe(PROBE, tmp_path, LIMEN_LIBSODIUM="libc.so.6")
    assert "is not a libsodium with ristretto255" in other.stderr
    try:
        ctypes.CDLL("libsodium.so.23")
    except OSError:
        pytest.skip("no libsodium of the operating system here")
    assert probe(PROBE, tmp_path, LIMEN_LIBSODIUM="libsodium.so.23").stdout.startswith("libsodium.so.23\n")


def test_with_nothing_at_all_it_refuses_in_one_sentence(tmp_path: Path) -> None:
    code = WITHOUT_SYSTEM + "sodium.importlib.util.find_spec = lambda name: None\n" + PROBE
    done = probe(code, tmp_path)
    assert done.returncode != 0
    assert "install libsodium23, or set LIMEN_LIBSODIUM" in done.stderr


def test_importing_loads_nothing(tmp_path: Path) -> None:
    code = "from gateway.primitives import group, sodium; print(sodium._loaded, group.GROUP._ready)"
    assert probe(code, tmp_path).stdout == "None None\n"


def test_a_call_keeps_the_interpreters_lock() -> None:
    """Given up at each operation, it is waited for behind a busy thread: 60 took up to 570 ms instead of 13."""
    assert type(sodium.library()) is ctypes.PyDLL
