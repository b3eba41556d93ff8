"""Which key exchange a TLS server would use with us, asked without agreeing on any."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.acts import probing
from gateway.federation import certificates
from gateway.terms.ids import PeerId

NOW = 1_790_000_000 * 10**9


@contextmanager
def listening(answer: bytes | ssl.SSLContext) -> Iterator[int]:
    """A server that speaks TLS, or says some bytes to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            line, _ = server.accept()
            with line:
                try:
                    if isinstance(answer, ssl.SSLContext):
                        answer.wrap_socket(line, server_side=True)
                    else:
                        line.recv(4096)
                        line.sendall(answer)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def context(folder: Path, curve: str) -> ssl.SSLContext:
    anchor = certificates.make_anchor(PeerId("HND"), NOW)
    leaf = certificates.issue_leaf(anchor, PeerId("HND"), "gateway", NOW)
    (folder / "key").write_bytes(leaf.key_pem)
    (folder / "crt").write_bytes(leaf.certificate_pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(folder / "crt", folder / "key")
    made.set_ecdh_curve(curve)
    return made


@pytest.mark.parametrize(("curve", "name"), [("prime256v1", "P-256"), ("X25519", "X25519")])
def test_a_server_names_the_group_it_wants(tmp_path: Path, curve: str, name: str) -> None:
    with listening(context(tmp_path, curve)) as port:
        assert probing.GROUPS[probing.negotiated_group("127.0.0.1", port)] == name


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_what_is_no_gateway_is_told_apart(answer: bytes) -> None:
    with listening(answer) as port, pytest.raises((OSError, ValueError)):
        probing.negotiated_group("127.0.0.1", port, timeout_s=2)


def test_nobody_there_is_an_error_of_the_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        probing.negotiated_group("127.0.0.1", port)


@given(st.integers(0, 255), st.binary(max_size=200))
def test_any_record_is_a_group_or_a_value_error(kind: int, body: bytes) -> None:
    for one in (body, b"\x02" + body):
        try:
            assert 0 <= probing.group_in(kind, one) < 1 << 16
        except ValueError:
            continue


def test_a_hello_that_lies_about_its_length_is_a_value_error() -> None:
    hello = b"\x02\x00\x00\x40\x03\x03" + bytes(32) + b"\x00" + b"\x13\x01\x00"
    with pytest.raises(ValueError, match="too early"):
        probing.group_in(22, hello + b"\x00\x08" + struct.pack(">HH", 51, 2))
    with pytest.raises(ValueError, match="no key exchange group"):
        probing.group_in(22, hello + b"\x00\x00")
    assert probing.group_in(22, hello + b"\x00\x06" + struct.pack(">HHH", 51, 2, 29)) == 29
