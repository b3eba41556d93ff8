"""The policy engine that the settings name, with the node's bundles in force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.app import bundles
from gateway.config import Config
from gateway.errors import PolicyUnavailable
from gateway.opa.bundle import Bundle
from gateway.opa.engine import EmbeddedEngine
from gateway.opa.remote import OpaEngine
from gateway.opa.server import Endpoint, OpaServer
from gateway.store.reader import Reader

Engine = EmbeddedEngine | OpaEngine

START_S: Final = 15.0
"""How long a starting process waits for an OPA server that starts beside it."""

PAUSE_S: Final = 0.1


def engine_of(settings: Config) -> Engine:
    """The engine, with nothing in force yet. Raises ConfigRefused where the server's settings cannot be used."""
    policy = settings.policy
    if policy.engine == "embedded":
        return EmbeddedEngine()
    endpoint = Endpoint.of(policy.server, policy.server_ca, policy.server_certificate, policy.server_key)
    return OpaEngine(OpaServer(endpoint), policy.timeout_ms / 1000)


@asynccontextmanager
async def ready(
    settings: Config, baseline: Bundle, national: Bundle, *, now_ns: int, pinned_baseline: bytes = b""
) -> AsyncIterator[Engine]:
    """The engine with these two bundles in force, for one act of a command; closed at the end.

    Raises:
        VerificationFailed: a bundle is not what it must be, or a golden decision comes out otherwise.
        PolicyUnavailable: the OPA server is not there, or holds other bundles: nothing is decided elsewhere instead.
    """
    engine = engine_of(settings)
    try:
        enforce = await engine.prepare(baseline, national, now_ns=now_ns, pinned_baseline=pinned_baseline)
        enforce()
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def of_node(settings: Config, reader: Reader, *, now_ns: int, pinned_baseline: bytes) -> AsyncIterator[Engine]:
    """The engine with the node's own bundles in force. Raises as `ready` and `bundles.open_bundle`."""
    rules = [bundles.open_bundle(settings, layer, reader, now_ns) for layer in ("baseline", "national")]
    async with ready(settings, *rules, now_ns=now_ns, pinned_baseline=pinned_baseline) as engine:
        yield engine


async def patiently(prepare: Callable[[], Awaitable[None]]) -> None:
    """Do it at a start: while the server is not ready it is asked again. Raises PolicyUnavailable when time is up."""
    until = asyncio.get_running_loop().time() + START_S
    while True:
        try:
            return await prepare()
        except PolicyUnavailable:
            if asyncio.get_running_loop().time() > until:
                raise
        await asyncio.sleep(PAUSE_S)
