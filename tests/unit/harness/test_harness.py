"""The harness itself: a fault that does not happen would make every fault test pass."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.region import (
    CLEAN,
    LOOPBACK,
    Plan,
    Proxy,
    free_port,
    free_ports,
    proxied,
    wait_for,
    wait_for_listener,
    wait_for_port_file,
)


@contextlib.asynccontextmanager
async def shouting() -> AsyncIterator[int]:
    """A server that answers every piece with the same in capitals."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece.upper())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ask(port: int, said: bytes, *, timeout_s: float = 5.0) -> bytes:
    """What comes back until the other end closes. ConnectionResetError where it resets."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(said)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), timeout_s)
    finally:
        writer.close()


@pytest.mark.asyncio
async def test_a_clean_proxy_passes_all_bytes_and_records_both_directions() -> None:
    long = bytes(range(97, 123)) * 20_000
    async with shouting() as port, Proxy(LOOPBACK, port) as proxy:
        assert await ask(proxy.port, b"hello") == b"HELLO"
        assert await ask(proxy.port, long) == long.upper()
        assert (bytes(proxy.captures[0].up), bytes(proxy.captures[0].down)) == (b"hello", b"HELLO")
        assert bytes(proxy.captures[1].down) == long.upper()
        assert (proxy.sent, proxy.received) == (5 + len(long), 5 + len(long))
        assert proxy.saw(b"ELL") and not proxy.saw(b"elloh")
        proxy.forget()
        assert proxy.captures == [] and not proxy.saw(b"ELL")


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_stall_holds_back_until_the_plan_changes(direction: str) -> None:
    async with shouting() as port, Proxy(LOOPBACK, port) as proxy:
        setattr(proxy, direction, Plan(stalled=True))
        asking = asyncio.create_task(ask(proxy.port, b"hello"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asking), 0.2)
        setattr(proxy, direction, CLEAN)
        assert await asking == b"HELLO"


@pytest.mark.asyncio
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_cut_lets_exactly_so_many_bytes_through_and_resets(count: int) -> None:
    async with shouting() as port, Proxy(LOOPBACK, port, down=Plan(cut_after=count)) as proxy:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        writer.write(b"hello")
        got = b""
        with pytest.raises(ConnectionResetError):
            while piece := await asyncio.wait_for(reader.read(1), 5):
                got += piece
        # A reset may overtake bytes that were on their way; more than planned never pass.
        assert len(got) <= count and b"HELLO".startswith(got)
        writer.close()


@pytest.mark.asyncio
async def test_a_cut_upwards_reaches_the_server_as_so_many_bytes() -> None:
    async with shouting() as port, Proxy(LOOPBACK, port, up=Plan(cut_after=3)) as proxy:
        with pytest.raises(ConnectionResetError):
            await ask(proxy.port, b"hello")
        assert bytes(proxy.captures[0].up) == b"hello"
        assert len(proxy.captures[0].down) <= 3


@pytest.mark.asyncio
async def test_garbage_and_a_flipped_bit_stand_where_planned() -> None:
    async with shouting() as port:
        async with Proxy(LOOPBACK, port, down=Plan(garbage=b"<noise>", garbage_at=2)) as proxy:
            assert await ask(proxy.port, b"hello") == b"HE<noise>LLO"
            assert bytes(proxy.captures[0].down) == b"HELLO"
        async with Proxy(LOOPBACK, port, up=Plan(flip_at=0)) as proxy:
            assert await ask(proxy.port, b"hello") == b"IELLO"


@pytest.mark.asyncio
async def test_a_delay_takes_its_time() -> None:
    async with shouting() as port, Proxy(LOOPBACK, port, down=Plan(delay_s=0.15)) as proxy:
        started = time.monotonic()
        assert await ask(proxy.port, b"hello") == b"HELLO"
        assert time.monotonic() - started >= 0.15


@pytest.mark.asyncio
async def test_refusing_a_stopped_target_and_a_cut_now_all_reset() -> None:
    async with shouting() as port, Proxy(LOOPBACK, port) as proxy:
        proxy.refusing = True
        with pytest.raises(ConnectionResetError):
            await ask(proxy.port, b"hello")
        proxy.refusing = False
        proxy.up = Plan(stalled=True)
        asking = asyncio.create_task(ask(proxy.port, b"hello"))
        while not proxy.captures:
            await asyncio.sleep(0.01)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await asking
    async with Proxy(LOOPBACK, free_port()) as nowhere:
        with pytest.raises(ConnectionResetError):
            await ask(nowhere.port, b"hello")
        assert nowhere.captures == []


@pytest.fixture
def echo() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.sendall(connection.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_proxy_of_its_own_thread_serves_a_test_that_blocks(echo: int) -> None:
    with proxied(LOOPBACK, echo) as proxy:
        with socket.create_connection((LOOPBACK, proxy.port), 5) as connection:
            connection.sendall(b"ping")
            assert connection.recv(100) == b"ping"
        proxy.down = Plan(stalled=True)
        with socket.create_connection((LOOPBACK, proxy.port), 5) as connection:
            connection.settimeout(0.2)
            connection.sendall(b"ping")
            with pytest.raises(TimeoutError):
                connection.recv(100)
            connection.settimeout(5)
            proxy.down = CLEAN
            assert connection.recv(100) == b"ping"
        assert proxy.saw(b"ping")


def test_free_ports_are_different_and_can_be_taken() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.create_server((LOOPBACK, ports[0])):
        pass


def test_a_port_file_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "peers.port"

    def write() -> None:
        time.sleep(0.05)
        path.write_text("418")
        time.sleep(0.1)
        path.write_text("41801\n")

    writer = threading.Thread(target=write)
    writer.start()
    assert wait_for_port_file(path, timeout_s=5) == 41801
    writer.join()


def test_waiting_ends_with_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"port file home\.port: not within 0\.05 s"):
        wait_for_port_file(tmp_path / "home.port", timeout_s=0.05)
    with (
        subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as ended,
        pytest.raises(RuntimeError, match="ended with 3"),
    ):
        wait_for(lambda: False, what="a node", timeout_s=10, process=ended)
    with pytest.raises(TimeoutError, match="listener on port"):
        wait_for_listener(free_port(), timeout_s=0.05)


def test_a_listener_is_found(echo: int) -> None:
    wait_for_listener(echo, timeout_s=5)
