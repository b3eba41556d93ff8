"""A writer process under load that can be killed at a named place. Started by test_writer.py, never by hand.

    python -m tests.faults.writer_child FOLDER [POINT NUMBER]

Sixteen writers commit as fast as they are answered. Each acknowledged entry is one line in FOLDER/acked (written after
the acknowledgement), each signed checkpoint text is appended to FOLDER/signed (before the signature is given).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from gateway.audit import note, seal
from gateway.audit.entry import Entry, Phase
from gateway.ports import Change
from gateway.primitives import ed25519
from gateway.store import writer
from gateway.store.client import WriterClient

ORIGIN = "pan.example/log"
LOG = ed25519.Signer(bytes(32))
LOG_KEY = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)
READER_PUBLIC = bytes((9,)) + bytes(31)
RECIPIENTS = seal.Recipients(READER_PUBLIC, READER_PUBLIC, READER_PUBLIC)
WRITERS = 16
TODAY = time.time_ns() // (24 * 3600 * 10**9)


class Clock:
    """The machine's."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0, monotonic_ns - time.monotonic_ns()) / 1e9)


class KillAt:
    """SIGKILL ourselves when a place is reached for the n-th time."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._left = number

    def reach(self, name: str) -> None:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def config(folder: Path, points: writer.Points = writer.NO_POINTS, pages_max: int = 0) -> writer.WriterConfig:
    return writer.WriterConfig(
        folder / "store", folder / "lock", folder / "periods", folder / "run", ORIGIN,
        checkpoint_every_s=0.03, round_to=16, erase_every_s=0.05, pages_max=pages_max, points=points,
    )  # fmt: skip


def entry(text: str) -> Entry:
    """An entry that can be recognised in its leaf, with a payload, numbered with a peer."""
    return Entry(
        "check.denied", Phase.EVENT, "HND",
        public={"purpose": text, "basis": "B", "agency": "SNM", "reasons": "role"},
        secret={"officer": "P-1", "case": "C-1"}, sealed_bytes=256,
    )  # fmt: skip


def charge(text: str) -> Change:
    args = {"peer": "HND", "list": text, "group": "WATCH", "day": TODAY, "amount": 1, "limit": 1}
    return Change("quota.charge", args)


async def main(folder: Path, points: writer.Points) -> None:
    settings = config(folder, points)
    signed = os.open(folder / "signed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    acked = os.open(folder / "acked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def sign(text: bytes) -> bytes:
        os.write(signed, text)
        return note.sign(text, LOG_KEY, LOG.sign)

    clock = Clock()
    process = writer.Writer(writer.Log(settings, clock), settings, clock, sign)
    await process.start()
    client = WriterClient(settings.run_dir / writer.SOCKET, RECIPIENTS)

    async def load(number: int) -> None:
        for n in range(1_000_000):
            text = f"{os.getpid()}-{number}-{n}"
            done = await client.commit([entry(text)], [charge(text)])
            os.write(acked, f"{done.seqs[0]} {done.pair_seqs[0]} {text}\n".encode())

    await asyncio.gather(*(load(number) for number in range(WRITERS)))


if __name__ == "__main__":
    place: writer.Points = KillAt(sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 2 else writer.NO_POINTS
    asyncio.run(main(Path(sys.argv[1]), place))
