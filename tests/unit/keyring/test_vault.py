"""The sealed stream of a backup: comes back as it was, or not at all."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputRefused, VerificationFailed
from gateway.keyring import vault
from gateway.keyring.vault import CHUNK_BYTES, Opener, Sealer
from gateway.terms.hidden import Hidden

PASSPHRASE = Hidden("correct horse battery")


def sealed(plain: bytes, *, step: int = 5000) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, {"schema": "test"}, PASSPHRASE)
    for start in range(0, len(plain), step):
        sealer.write(plain[start : start + step])
    sealer.close()
    return out.getvalue()


def opened(data: bytes, passphrase: Hidden[str] = PASSPHRASE) -> bytes:
    source = io.BytesIO(data)
    opener = Opener(source, vault.header(source), passphrase)
    found = b""
    while part := opener.read(7000):
        found += part
    opener.finish()
    return found


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_was_sealed_comes_back(size: int) -> None:
    plain = bytes(n * 7 % 251 for n in range(size))
    data = sealed(plain)
    assert opened(data) == plain
    assert plain[:64] not in data or size == 0 or size < 8


def test_another_passphrase_or_a_short_one_is_refused() -> None:
    data = sealed(b"x")
    with pytest.raises(VerificationFailed, match="does not open this file"):
        opened(data, Hidden("another horse battery"))
    with pytest.raises(InputRefused, match="at least 12"):
        Sealer(io.BytesIO(), {}, Hidden("short"))


def test_one_text_is_sealed_differently_each_time() -> None:
    assert sealed(b"x" * 100) != sealed(b"x" * 100)


THREE = sealed(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c" * 100)
HEAD = len(THREE.split(b"\n", 1)[0]) + 1
PIECE = CHUNK_BYTES + 16


@pytest.mark.parametrize(
    "data",
    [
        THREE[: HEAD + 2 * PIECE],
        THREE[: HEAD + PIECE],
        THREE[:-1],
        THREE + b"\0",
        THREE[: HEAD + PIECE] + THREE[HEAD + 2 * PIECE :],
        THREE[:HEAD] + THREE[HEAD + PIECE : HEAD + 2 * PIECE] + THREE[HEAD : HEAD + PIECE] + THREE[HEAD + 2 * PIECE :],
        THREE.replace(b'"test"', b'"else"', 1),
    ],
    ids=["last gone", "two gone", "a byte less", "a byte more", "one left out", "two exchanged", "another header"],
)
def test_a_file_that_was_cut_or_put_together_anew_does_not_open(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        opened(data)


@settings(max_examples=12)
@given(st.integers(HEAD, len(THREE) - 1), st.integers(1, 255))
def test_no_changed_byte_opens(place: int, bits: int) -> None:
    data = bytearray(THREE)
    data[place] ^= bits
    with pytest.raises(VerificationFailed):
        opened(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    with pytest.raises(InputRefused):
        vault.header(io.BytesIO(data))


@pytest.mark.parametrize("line", [b'{"salt":"00","passes":1,"memory_bytes":8192}\n', b'{"passes":1}\n', b"[]\n", b"{}"])
def test_a_header_that_asks_for_too_much_or_too_little_is_refused(line: bytes) -> None:
    good = b'{"salt":"' + b"0" * 32 + b'","passes":1,"memory_bytes":8192}\n'
    assert vault.header(io.BytesIO(good)).line == good
    for one in (line, good.replace(b"8192", b"9999999999"), good.replace(b'"passes":1', b'"passes":99')):
        with pytest.raises(InputRefused):
            vault.header(io.BytesIO(one))
