"""A witness outside the federation, over HTTPS: the gateway's own door (`web.tlog`) with a key and store of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit import checkpoint, cosign, note, witness
from gateway.audit.witness import Seen
from gateway.errors import NotFoundOrNotPermitted
from gateway.primitives import ed25519
from gateway.web.tlog import Submission, WitnessDoor
from tests.support.receivers import Sink, listening, server_tls

NAME = "university.example/witness"


@dataclass
class Outsider:
    """Knows one log; `mood` says how it behaves."""

    log: note.Verifier
    signer: ed25519.Signer = field(default_factory=lambda: ed25519.Signer(bytes(range(32))))
    name: str = NAME
    seen: Seen | None = None
    mood: str = ""
    asked: int = 0

    @property
    def key(self) -> note.Verifier:
        return note.Verifier(self.name, note.WITNESS_KEY, self.signer.public)

    async def cosign(self, origin: str, asked: Submission) -> bytes:
        self.asked += 1
        if origin != self.log.name:
            raise NotFoundOrNotPermitted("no such log")
        opened = note.open_note(asked.noted, [self.log])
        head = checkpoint.parse(opened.text)
        witness.judge(self.seen, asked.old_size, head.size, head.root, asked.proof)
        self.seen = Seen(head.size, head.root)
        signer = ed25519.Signer(bytes(32)) if self.mood == "lying" else self.signer
        return cosign.line(opened.text, int(time.time()), self.key, signer.sign)


@asynccontextmanager
async def served(outsider: Outsider, pki: Path) -> AsyncIterator[Sink]:
    """It listens at the sink's port."""
    route = WitnessDoor(outsider.cosign).route

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
        body = await reader.readexactly(size)
        if outsider.mood == "slow":
            await asyncio.sleep(30)
        page = await route.take(body)
        if outsider.mood == "garbage":
            writer.write(b"\x00" * 100)
        elif outsider.mood == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1 << 20))
        else:
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (page.status, page.content_type.encode(), len(page.body), page.body)
            )
        await writer.drain()

    async with listening(serve, Sink(), server_tls(pki)) as sink:
        yield sink


@contextmanager
def served_beside(outsider: Outsider, pki: Path) -> Iterator[int]:
    """The same in a thread, for tests that block; gives the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="outsider", daemon=True)
    thread.start()
    opened = served(outsider, pki)
    sink = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(10)
    try:
        yield sink.port
    finally:
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
