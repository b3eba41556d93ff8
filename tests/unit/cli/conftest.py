"""What the tests of the command line share."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.acts import booth
from gateway.cli.main import run
from gateway.clock import SystemClock
from gateway.federation.certificates import KeyPair
from gateway.rpc.home_server import HomeServer
from gateway.terms import PeerId
from tests.unit.rpc.test_home_server import Door


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json and check its code; give its document, or where it has none its one sentence.

    A command may speak to a person on standard error before: the sentence is the last line, and the only one of them.
    """

    def ask(*command: object, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([*map(str, command), "--json"]) == code, capsys.readouterr().err
        found = capsys.readouterr()
        if found.out or not code:
            return json.loads(found.out)
        said = [line for line in found.err.splitlines() if line.startswith("limen: ")]
        assert said == found.err.splitlines()[-1:]
        return said[0]

    return ask


@pytest.fixture(scope="module")
def pan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node of PAN as `init` leaves it, with somebody logged in at its workstation."""
    folder = tmp_path_factory.mktemp("made") / "pan"
    assert run(["init", "--state", "PAN", "--agency", "SNM", str(folder), "-q"]) == 0
    (folder / "booth" / "token").write_text("a.b.c", "ascii")
    return folder


@contextmanager
def at_home(pan: Path, **doors: Any) -> Iterator[None]:
    """PAN's home listener with `cases` or `releases` that answer from memory, in a thread of its own."""
    loop, is_ready, port = asyncio.new_event_loop(), threading.Event(), list[int]()
    leaf = KeyPair((pan / "tls" / "home.key").read_bytes(), (pan / "tls" / "home.crt").read_bytes())
    stop = asyncio.Event()

    async def serve() -> None:
        server = HomeServer(
            state=PeerId("PAN"),
            door=Door(),
            anchor_pem=(pan / "tls" / "anchor.crt").read_bytes(),
            leaf=lambda: leaf,
            clock=SystemClock(),
            observe=lambda call: None,
            **doors,
        )
        port.append(await server.start("127.0.0.1:0"))
        is_ready.set()
        await stop.wait()
        await server.drain(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert is_ready.wait(10)
    (pan / "booth" / booth.FILE_NAME).write_text(f'state = "PAN"\nhome = "127.0.0.1:{port[0]}"\n')
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
