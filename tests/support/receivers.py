"""What notices go to: a webhook's server and a mail server, each its smallest part, that keep what they were sent."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.federation import certificates
from gateway.terms import PeerId


@dataclass
class Sink:
    """A server that keeps what it was sent, byte for byte."""

    port: int = 0
    connections: int = 0
    got: list[bytes] = field(default_factory=list)


def make_pki(folder: Path) -> Path:
    """A private CA and a server's certificate by it; another CA beside them."""
    anchor = certificates.make_anchor(PeerId("UTO"), time.time_ns())
    leaf = certificates.issue_leaf(anchor, PeerId("UTO"), "home", time.time_ns())
    other = certificates.make_anchor(PeerId("PAN"), time.time_ns())
    (folder / "ca.pem").write_bytes(anchor.certificate_pem)
    (folder / "other.pem").write_bytes(other.certificate_pem)
    (folder / "server.pem").write_bytes(leaf.certificate_pem)
    (folder / "server.key").write_bytes(leaf.key_pem)
    return folder


def server_tls(pki: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pki / "server.pem", pki / "server.key")
    return made


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], sink: Sink, tls: ssl.SSLContext | None
) -> AsyncIterator[Sink]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sink.connections += 1
        try:
            await serve(reader, writer)  # type: ignore[misc]
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


@asynccontextmanager
async def https(pki: Path, answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n") -> AsyncIterator[Sink]:
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
        sink.got.append(head + await reader.readexactly(size))
        writer.write(answer)
        await writer.drain()

    async with listening(serve, sink, server_tls(pki)):
        yield sink


@asynccontextmanager
async def smtp(pki: Path, *, offers_tls: bool = True) -> AsyncIterator[Sink]:
    """A submission server's smallest part (RFC 5321, RFC 3207). `got` holds every line, and messages whole."""
    sink = Sink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            sink.got.append(line)
            word = line.strip().upper()
            if word.startswith(b"EHLO"):
                writer.write(b"250-sink\r\n250 STARTTLS\r\n" if offers_tls else b"250 sink\r\n")
            elif word == b"STARTTLS":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(server_tls(pki))
            elif word == b"DATA":
                writer.write(b"354 go\r\n")
                await writer.drain()
                sink.got.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                writer.write(b"250 taken\r\n")
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()

    async with listening(serve, sink, None):
        yield sink


@contextmanager
def receiving(pki: Path) -> Iterator[tuple[Sink, Sink]]:
    """A webhook's server and a mail server in a thread of their own, for tests that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receivers", daemon=True)
    thread.start()
    stack = AsyncExitStack()

    async def start() -> tuple[Sink, Sink]:
        return await stack.enter_async_context(https(pki)), await stack.enter_async_context(smtp(pki))

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
