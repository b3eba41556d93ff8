"""The loopback HTTP edge: what it shows, and that hostile bytes get a short no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import ConfigRefused
from gateway.web.edge import OPEN_MAX, Page, Take
from gateway.web.metrics import MetricsDoor

pytestmark = pytest.mark.asyncio


class Numbers:
    content_type = "text/plain; version=0.0.4"

    def exposition(self) -> bytes:
        return b"limen_calls_total 1.0\n"


def tile(rest: str) -> Page | None:
    if rest == "broken":
        raise KeyError("a secret")
    return Page(b"tile " + rest.encode(), "application/octet-stream", cache_s=86400) if rest == "0/000" else None


@asynccontextmanager
async def an_edge(ready: bool = True) -> AsyncIterator[int]:
    door = MetricsDoor(Numbers(), ready=lambda: ready, pages={"/tile/": tile})
    try:
        yield await door.start("127.0.0.1", 0)
    finally:
        await door.stop()


async def send(port: int, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if writer.can_write_eof():
        writer.write_eof()
    got = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    head, _, body = got.partition(b"\r\n\r\n")
    first, *rest = head.decode("ascii").split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body


async def get(port: int, path: str) -> tuple[int, dict[str, str], bytes]:
    return await send(port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode("latin-1"))


async def test_metrics_health_and_pages_are_shown() -> None:
    async with an_edge() as port:
        status, headers, body = await get(port, "/metrics")
        assert (status, body) == (200, b"limen_calls_total 1.0\n")
        assert headers["Content-Type"] == Numbers.content_type
        assert headers["Cache-Control"] == "no-store"
        assert (await get(port, "/healthz"))[0] == 200
        assert (await get(port, "/readyz"))[2] == b"ready\n"
        status, headers, body = await get(port, "/tile/0/000")
        assert (status, body, headers["Cache-Control"]) == (200, b"tile 0/000", "max-age=86400, immutable")


async def test_a_posted_body_is_taken_where_it_is_declared() -> None:
    async def doubled(body: bytes) -> Page:
        if body == b"broken":
            raise KeyError("a secret")
        return Page(body * 2)

    door = MetricsDoor(Numbers(), ready=lambda: True, posts={"/double": Take(8, doubled)})
    port = await door.start("127.0.0.1", 0)
    head = b"POST /double HTTP/1.1\r\nContent-Length: "
    try:
        status, _, body = await send(port, head + b"3\r\n\r\nabc")
        assert (status, body) == (200, b"abcabc")
        assert (await send(port, head + b"9\r\n\r\nabcdefghi"))[0] == 413
        assert (await send(port, head + b"4\r\n\r\nabc"))[0] == 400
        assert (await send(port, head + b"+3\r\n\r\nabc"))[0] == 411
        assert (await send(port, head + b"3\r\nContent-Length: 3\r\n\r\nabc"))[0] == 411
        assert (await send(port, b"POST /double HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))[0] == 411
        assert (await send(port, b"POST /double HTTP/1.1\r\n\r\n"))[0] == 411
        assert (await send(port, b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n"))[0] == 405
        assert (await get(port, "/double"))[0] == 404
        status, _, body = await send(port, head + b"6\r\n\r\nbroken")
        assert (status, body) == (500, b"failed\n")
    finally:
        await door.stop()


async def test_a_node_that_is_not_ready_lives_all_the_same() -> None:
    async with an_edge(ready=False) as port:
        assert (await get(port, "/healthz"))[0] == 200
        assert (await get(port, "/readyz"))[0] == 503


async def test_a_head_has_the_length_and_no_body() -> None:
    async with an_edge() as port:
        status, headers, body = await send(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
        assert (status, headers["Content-Length"], body) == (200, "22", b"")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/x HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics?x=1 HTTP/1.1\r\n\r\n", 404),
        (b"GET /tile/../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x16\x03\x01" + b"\xff" * 100, 400),
        (b"", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_anything_else_gets_a_short_no(sent: bytes, status: int) -> None:
    async with an_edge() as port:
        assert (await send(port, sent))[0] == status
        assert (await get(port, "/healthz"))[0] == 200


async def test_a_page_that_fails_says_nothing_of_why() -> None:
    async with an_edge() as port:
        status, _, body = await get(port, "/tile/broken")
        assert (status, body) == (500, b"failed\n")


async def test_only_a_loopback_address_is_taken() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(ConfigRefused, match="loopback"):
            await MetricsDoor(Numbers(), ready=lambda: True).start(host, 0)


async def test_a_port_in_use_is_a_plain_sentence() -> None:
    async with an_edge() as port:
        with pytest.raises(ConfigRefused, match=str(port)):
            await MetricsDoor(Numbers(), ready=lambda: True).start("127.0.0.1", port)


async def test_more_connections_than_we_hold_are_dropped_and_the_next_is_served() -> None:
    async with an_edge() as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(OPEN_MAX)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        for _, one in idle:
            one.close()
            await one.wait_closed()
        await asyncio.sleep(0.1)
        assert (await get(port, "/healthz"))[0] == 200
