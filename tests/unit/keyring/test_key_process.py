"""The key process as a process: nobody reads its memory, and what it is asked is judged."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import EpochRefused, KeysUnavailable, Malformed
from gateway.federation import envelope
from gateway.ipc import Channel
from gateway.keyring import files
from gateway.keyring.client import KeysClient
from gateway.keyring.memory import MemoryKeys, SeedsInMemory
from gateway.keyring.operations import LockedSigner, Operations, Secrets
from gateway.ports import ReplyFrame
from gateway.primitives.secret import Locked
from gateway.pseudonym import oprf
from gateway.terms.exchange import KeyScope
from gateway.terms.ids import EpochId, PeerId, PurposeGroup
from gateway.terms.words import ListId

pytestmark = pytest.mark.asyncio

PAN, HND = PeerId("PAN"), PeerId("HND")
EPOCH = EpochId("20260302-0a0b0c0d")
SCOPE = KeyScope(PAN, ListId.PERSONS, PurposeGroup("WATCH"), EPOCH, HND)

PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.keyring import process
folder, *points = sys.argv[1:]
class Die:
    def reach(self, name):
        if name in points:
            os.kill(os.getpid(), signal.SIGKILL)
config = process.KeyringConfig("PAN", Path(folder) / "keys", Path(folder) / "keys.sock", Die())
asyncio.run(process.run(config, ready=lambda: print("ready", flush=True)))
"""


@asynccontextmanager
async def started(*points: str) -> AsyncIterator[tuple[KeysClient, asyncio.subprocess.Process, Path]]:
    """A real key process of PAN's."""
    with tempfile.TemporaryDirectory(prefix="limen") as name:
        folder = Path(name)
        (folder / "keys").mkdir(mode=0o700)
        files.create(folder / "keys", bytes(32), 1)
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, name, *points, stdout=asyncio.subprocess.PIPE
        )
        assert running.stdout is not None
        assert await asyncio.wait_for(running.stdout.readline(), 15) == b"ready\n"
        client = KeysClient(folder / "keys.sock", wait_s=0.2)
        yield client, running, folder
        await client.close()
        if running.returncode is None:
            running.kill()
        await running.wait()


def frame(public: bytes) -> ReplyFrame:
    return ReplyFrame(b"", b"", b"", envelope.reply_fields("/a.B/C", PAN, HND, public, 1, bytes(32), bytes(64)))


async def test_no_core_file_and_no_other_process_reads_its_memory() -> None:
    async with started() as (client, running, _):
        assert (await client.status())["dumpable"] is False
        limits = Path(f"/proc/{running.pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "core file" in line).split()[4] == "0"
        # What is not dumpable belongs to root in /proc, whoever runs it.
        assert Path(f"/proc/{running.pid}/mem").stat().st_uid == 0


@pytest.mark.parametrize("point", ["before_sign", "after_sign"])
async def test_a_process_that_dies_in_a_call_gives_no_answer(point: str) -> None:
    async with started(point) as (client, running, _):
        public = (await client.public_keys())["message"]
        await client.open_epoch(HND, EPOCH)
        blinded = b"".join(oprf.blind([b"x"], [(2).to_bytes(32, "little")]))
        with pytest.raises(KeysUnavailable):
            await client.evaluate_and_sign(SCOPE, blinded, frame(public))
        assert await running.wait() == -signal.SIGKILL


async def test_keys_outlive_the_process_and_the_handle_does_too() -> None:
    async with started() as (client, running, folder):
        await client.open_epoch(HND, EPOCH)
        before = await client.public_key(SCOPE), await client.handles(SCOPE, ["e1"]), await client.public_keys()
        running.kill()
        await running.wait()
        again = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, str(folder), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert again.stdout is not None
            await asyncio.wait_for(again.stdout.readline(), 15)
            after = await client.public_key(SCOPE), await client.handles(SCOPE, ["e1"]), await client.public_keys()
            assert before == after
        finally:
            again.kill()
            await again.wait()


async def test_what_it_is_asked_is_judged() -> None:
    async with started() as (client, _, folder):
        channel = Channel(folder / "keys.sock")
        for operation, argument in (
            ("export", None),
            ("sign", None),
            ("sign", [{}, "text"]),
            ("public_key", ["PAN", "KINGS", "WATCH", EPOCH, "HND"]),
            ("public_key", ["PAN"]),
            ("derive", [["PAN", "PERSONS", "WATCH", EPOCH, 7], []]),
            ("open_epoch", ["HND", "../log"]),
            ("destroy", ".."),
        ):
            with pytest.raises(Malformed):
                await channel.call(operation, argument)
        await channel.close()
        assert sorted(path.name for path in (folder / "keys" / "seeds").iterdir()) == []
        assert len(await client.public_keys()) == 4


async def test_the_socket_is_its_users_only() -> None:
    async with started() as (_, _, folder):
        assert (folder / "keys.sock").stat().st_mode & 0o777 == 0o600
        assert (folder / "keys.sock").stat().st_uid == os.getuid()


async def test_the_oldest_derived_keys_make_room_and_come_back_the_same() -> None:
    one, two, three, four = (LockedSigner(Locked(bytes([n]) * 32)) for n in range(1, 5))
    made = Secrets(one, two, three, four, Locked(bytes(32)), Locked(bytes(32)))
    operations = Operations(PAN, made, SeedsInMemory(), scopes_kept=2)
    operations.open_epoch(HND, EPOCH)
    scopes = [KeyScope(PAN, ListId.PERSONS, PurposeGroup(f"G{n}"), EPOCH, HND) for n in range(4)]
    public = [operations.public_key(scope) for scope in scopes]
    assert public == [operations.public_key(scope) for scope in scopes]
    operations.destroy(HND)
    with pytest.raises(EpochRefused):
        operations.public_key(scopes[-1])


async def test_keys_drawn_from_one_source_are_the_same_in_every_run() -> None:
    def source() -> MemoryKeys:
        state = [0]

        def draw(size: int) -> bytes:
            state[0] += 1
            return bytes([state[0]]) * size

        return MemoryKeys(PAN, draw)

    assert await source().public_keys() == await source().public_keys()
