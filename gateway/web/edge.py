"""The HTTP edge: metrics, health, the log's tiles, and the witness. No logic, no secrets; GET, and POST where declared.

A server of HTTP/1.1's smallest part, on a loopback address: what it shows (how much is asked of which state) is the
operator's business. It closes the connection after each answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway.errors import ConfigRefused

HEAD_BYTES_MAX: Final = 8_192
HEAD_S: Final = 5.0
OPEN_MAX: Final = 64
LENGTH_DIGITS_MAX: Final = 9

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """What a path shows. `cache_s` for what never changes (full tiles); 0 says that it must not be kept."""

    body: bytes
    content_type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    cache_s: int = 0


Show = Callable[[str], Page | None]
"""Gets the rest of the path after its route's prefix, undecoded; None is 404."""


@dataclass(frozen=True, slots=True)
class Take:
    """What a path does with a posted body of at most `bytes_max`."""

    bytes_max: int
    take: Callable[[bytes], Awaitable[Page]]


class Edge:
    """One listener. Routes are prefixes of the path; the longest that fits is asked. `posts` are whole paths."""

    def __init__(self, routes: Mapping[str, Show], posts: Mapping[str, Take] | None = None) -> None:
        self._routes = sorted(routes.items(), key=lambda route: -len(route[0]))
        self._posts = dict(posts or {})
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port taken.

        Raises:
            ConfigRefused: not a loopback address, or it cannot be bound.
        """
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ConfigRefused("listeners.metrics: write a loopback address such as 127.0.0.1")
        try:
            self._server = await asyncio.start_server(self._connected, host, port, limit=HEAD_BYTES_MAX)
        except OSError as cause:
            raise ConfigRefused(f"listeners.metrics: cannot listen on {host}:{port} ({cause.strerror})") from None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections and drop the open ones."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            if self._open < OPEN_MAX:
                self._open += 1
                try:
                    async with asyncio.timeout(HEAD_S):
                        writer.write(await self._answer(reader))
                        await writer.drain()
                finally:
                    self._open -= 1
        except (TimeoutError, ConnectionError):
            pass
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _reply(Page(b"bad request\n", status=HTTPStatus.BAD_REQUEST))
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1.") or not words[1].startswith(b"/"):
            return _reply(Page(b"bad request\n", status=HTTPStatus.BAD_REQUEST))
        try:
            path = words[1].decode("ascii")
        except UnicodeDecodeError:
            return _reply(Page(b"bad request\n", status=HTTPStatus.BAD_REQUEST))
        if words[0] == b"POST" and path in self._posts:
            return _reply(await self._posted(self._posts[path], head, reader))
        if words[0] not in (b"GET", b"HEAD"):
            return _reply(Page(b"only GET\n", status=HTTPStatus.METHOD_NOT_ALLOWED))
        return _reply(self._page(path), body=words[0] == b"GET")

    async def _posted(self, route: Take, head: bytes, reader: asyncio.StreamReader) -> Page:
        size = _content_length(head)
        if size is None:
            return Page(b"length required\n", status=HTTPStatus.LENGTH_REQUIRED)
        if size > route.bytes_max:
            return Page(b"too large\n", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            body = await reader.readexactly(size)
        except asyncio.IncompleteReadError:
            return Page(b"bad request\n", status=HTTPStatus.BAD_REQUEST)
        try:
            return await route.take(body)
        except Exception:
            return Page(b"failed\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)

    def _page(self, path: str) -> Page:
        for prefix, show in self._routes:
            if path.startswith(prefix):
                try:
                    page = show(path[len(prefix) :])
                except Exception:
                    # What went wrong is the operator's to find in the process's own log, not the caller's.
                    return Page(b"failed\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)
                if page is not None:
                    return page
        return Page(b"not found\n", status=HTTPStatus.NOT_FOUND)


def _content_length(head: bytes) -> int | None:
    """The one length a head declares; None where it declares none, several, or another coding of the body."""
    found = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"transfer-encoding":
            return None
        if name.lower() == b"content-length":
            found.append(value.strip())
    if len(found) != 1 or not found[0].isdigit() or len(found[0]) > LENGTH_DIGITS_MAX:
        return None
    return int(found[0])


def _reply(page: Page, *, body: bool = True) -> bytes:
    cache = f"max-age={page.cache_s}, immutable" if page.cache_s else "no-store"
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        f"Cache-Control: {cache}\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (page.body if body else b"")
