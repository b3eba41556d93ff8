"""`/metrics`, `/healthz` and `/readyz`, and what the app adds (log tiles, the witness), on the node's loopback port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from gateway.web.edge import Edge, Page, Show, Take


class Numbers(Protocol):
    """Where the metrics come from."""

    content_type: str

    def exposition(self) -> bytes:
        """All of them, as they stand."""


class MetricsDoor:
    """The HTTP edge of a node. `pages` are further routes by prefix (log tiles), `posts` paths that take a body."""

    def __init__(
        self,
        numbers: Numbers,
        *,
        ready: Callable[[], bool],
        pages: Mapping[str, Show] | None = None,
        posts: Mapping[str, Take] | None = None,
    ) -> None:
        self._numbers = numbers
        self._ready = ready
        self._edge = Edge(
            {"/metrics": self._metrics, "/healthz": self._live, "/readyz": self._answering, **(pages or {})}, posts
        )

    async def start(self, host: str, port: int) -> int:
        """Listen on a loopback address and return the port taken. Raises ConfigRefused."""
        return await self._edge.start(host, port)

    async def stop(self) -> None:
        """Take no more connections."""
        await self._edge.stop()

    def _metrics(self, rest: str) -> Page | None:
        return None if rest else Page(self._numbers.exposition(), self._numbers.content_type)

    def _live(self, rest: str) -> Page | None:
        return None if rest else Page(b"ok\n")

    def _answering(self, rest: str) -> Page | None:
        if rest:
            return None
        return Page(b"ready\n") if self._ready() else Page(b"not ready\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
