"""An operator enrols a person into a running log and the person logs in, with the real processes and commands."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.app import parts
from gateway.cli.acts import booth
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.errors import NodeUnreachable
from gateway.federation import certificates, token
from gateway.federation.certificates import KeyPair
from gateway.federation.document import key_id
from gateway.flows import login
from gateway.flows.login import Challenges, LoginWorld
from gateway.keyring.client import KeysClient
from gateway.keyring.files import read_public
from gateway.rpc.doors import HomeCall, NodeStatus
from gateway.rpc.home_server import HomeServer
from gateway.store.client import WriterClient
from gateway.store.reader import Reader
from gateway.terms.ids import OfficerId

pytestmark = pytest.mark.asyncio

ANA = OfficerId("4711")


@dataclass
class Door:
    """The home door of a node that does nothing but log people in."""

    world: LoginWorld

    async def challenge(self, officer: OfficerId, call: HomeCall) -> tuple[bytes, int]:
        return login.challenge(officer, call.certificate, self.world)

    async def login(self, officer: OfficerId, challenge: bytes, signature: bytes, call: HomeCall) -> tuple[str, int]:
        return await login.login(officer, challenge, signature, call.certificate, self.world)

    async def check(self, inquiry: object, call: HomeCall) -> Any:
        raise AssertionError("nobody asks here")

    async def status(self, call: HomeCall) -> NodeStatus:
        raise AssertionError("nobody asks here")


@dataclass
class Node:
    """PAN's folder with its key and writer processes running."""

    folder: Path
    settings: Config

    async def limen(self, *command: object, code: int = 0) -> Any:
        """Run a command as people do; its JSON, or its sentence when it fails as it should."""
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *map(str, command), "--json",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, err = await asyncio.wait_for(running.communicate(), 30)
        assert running.returncode == code, err.decode()
        return json.loads(out) if code == 0 else err.decode()

    def reader(self) -> Reader:
        return Reader(self.settings.paths.store)


@asynccontextmanager
async def process(name: str, folder: Path) -> AsyncIterator[None]:
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway.app", name, "--config", str(folder))
    try:
        async with asyncio.timeout(20):
            while not (folder / "run" / f"{name}.ready").exists():
                assert running.returncode is None, f"{name} ended"
                await asyncio.sleep(0.02)
        yield
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
        await asyncio.wait_for(running.wait(), 10)


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    with tempfile.TemporaryDirectory(prefix="limen") as name:
        folder = Path(name) / "pan"
        made = Node(folder, None)  # type: ignore[arg-type]  # read below, when the folder is there
        await made.limen("init", "--state", "PAN", "--agency", "SNM", "--home", "127.0.0.1:0", folder)
        made.settings = config.load(folder, environ={})
        (Path(name) / "passphrase").write_text("correct horse battery\n")
        async with process("keys", folder), process("writer", folder):
            yield made


@asynccontextmanager
async def home_door(node: Node) -> AsyncIterator[None]:
    settings, reader = node.settings, node.reader()
    keys = KeysClient(settings.socket("keys"))
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))

    def logged(officer: OfficerId) -> bytes | None:
        row = reader.officer(officer)
        return None if row is None else row.body

    world = LoginWorld(
        state=settings.state,
        register=lambda: parts.register_of(settings),
        logged=logged,
        challenges=Challenges(),
        keys=keys,
        uow=uow,
        clock=SystemClock(),
        chance=parts.SystemChance(),
    )
    leaf = KeyPair((settings.paths.tls / "home.key").read_bytes(), (settings.paths.tls / "home.crt").read_bytes())
    server = HomeServer(
        state=settings.state,
        door=Door(world),
        anchor_pem=(settings.paths.tls / "anchor.crt").read_bytes(),
        leaf=lambda: leaf,
        clock=SystemClock(),
        observe=print,
    )
    port = await server.start("127.0.0.1:0")
    settings.port_file("home").write_text(f"{port}\n")
    try:
        yield
    finally:
        await server.drain(0.0)
        await keys.close()
        await uow.close()
        reader.close()


async def test_a_person_is_enrolled_logs_in_and_is_retired() -> None:
    async with node() as pan:
        key = pan.folder / "booth" / "4711.key"
        passphrase = pan.folder.parent / "passphrase"
        person = ("--key", key, "--passphrase-file", passphrase)
        workstation = ("--booth", pan.folder / "booth")
        found = await pan.limen(
            "officer", "enrol", "--config", pan.folder, "--officer", ANA, "--role", "border.frontline", *person
        )
        assert found["logged"] is True
        reader = pan.reader()
        row = reader.officer(ANA)
        assert row is not None and row.body + b"\n" == (pan.folder / "officers/register.jsonl").read_bytes()
        reader.close()

        assert "does not run" in await pan.limen("officer", "login", *person, *workstation, code=8)
        async with home_door(pan):
            found = await pan.limen("officer", "login", *person, *workstation)
            file = pan.folder / "booth" / "token"
            assert found["token_file"] == str(file)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            place = booth.read(pan.folder / "booth")
            public = read_public(pan.settings.paths.keys).token
            read = token.verify(
                place.token(),
                keys={key_id(public): public},
                state=pan.settings.state,
                now_ns=SystemClock().now_ns(),
                certificate=place.certificate,
            )
            assert (read.officer, read.agency) == (ANA, "SNM")

            passphrase.write_text("incorrect horse battery\n")
            assert "passphrase" in await pan.limen("officer", "login", *person, *workstation, code=3)
            passphrase.write_text("correct horse battery\n")

            assert (await pan.limen("officer", "retire", "--config", pan.folder, "--officer", ANA))["logged"] is True
            assert "not identified" in await pan.limen("officer", "login", *person, *workstation, code=3)

            # Another state's workstation does not even get to ask.
            stranger = certificates.make_anchor(pan.settings.state, SystemClock().now_ns())
            leaf = certificates.issue_leaf(
                stranger, pan.settings.state, "workstation", SystemClock().now_ns(), server=False
            )
            (pan.folder / "booth/client.key").write_bytes(leaf.key_pem)
            (pan.folder / "booth/client.crt").write_bytes(leaf.certificate_pem)
            told = await pan.limen("officer", "login", *person, *workstation, code=NodeUnreachable.row.exit_code)
            assert "did not answer" in told


async def test_a_list_of_members_enters_a_running_nodes_log() -> None:
    async with node() as pan:
        folder = pan.folder.parent
        await pan.limen("federation", "card", "--config", pan.folder, "-o", folder / "card")
        baseline = pan.folder / "policy" / "baseline.tar.gz"
        make = ("federation", "make", folder / "card", "--threshold", 1, "--baseline", baseline)
        sign = ("--state", "PAN", "--key", pan.folder / "anchor" / "federation.key")
        for version in (1, 2):
            file = folder / f"list-{version}"
            await pan.limen(*make, "--version", version, "-o", file)
            await pan.limen("federation", "sign", file, *sign)
            assert (await pan.limen("federation", "accept", file, "--config", pan.folder))["logged"] is True
        reader = pan.reader()
        assert reader.federation() == (2, (folder / "list-2").read_bytes())
        reader.close()

        # Whoever puts the old file back is found out: the log knows what was in force.
        (pan.folder / "federation" / "document.note").write_bytes((folder / "list-1").read_bytes())
        assert "version 1" in await pan.limen("federation", "accept", folder / "list-1", "--config", pan.folder, code=6)
        found = await pan.limen("federation", "accept", folder / "list-2", "--config", pan.folder)
        assert found["version"] == 2

        report = {row["check"]: row for row in (await pan.limen("doctor", "--config", pan.folder))["checks"]}
        assert report["memory"]["state"] == "ok" and "the key process" in report["memory"]["detail"]
        assert "does not run" not in report["memory"]["detail"]


async def test_without_the_writer_an_enrolment_waits_for_the_next_start() -> None:
    async with node() as pan:
        passphrase = pan.folder.parent / "passphrase"
        command = ("officer", "enrol", "--config", pan.folder, "--role", "supervisor", "--passphrase-file", passphrase)
        # A socket that a crash left behind is no running node.
        socket = pan.settings.socket("writer")
        socket.rename(socket.with_name("away"))
        found = await pan.limen(*command, "--officer", "1", "--key", pan.folder / "1.key")
        assert found["logged"] is False
        socket.with_name("away").rename(socket)
        found = await pan.limen(*command, "--officer", "2", "--key", pan.folder / "2.key")
        assert found["logged"] is True
        reader = pan.reader()
        assert [row.officer for row in reader.officers()] == ["1", "2"]
        reader.close()
