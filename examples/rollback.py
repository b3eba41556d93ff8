"""A log that is rolled back or forked, and what its lock record and its witness say: a block of docs/protocol/log.md.

    python -m examples.rollback

A log of 32 entries is cosigned. Its database is then put back to a copy of 16 entries, with the lock record of that
time, as somebody would who wants the last 16 entries gone: the log starts, and goes on another way. The witness is
asked as over HTTP (C2SP tlog-witness), by the gateway's own door.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.audit import checkpoint, cosign, note, witness
from gateway.audit.witness import Seen
from gateway.errors import VerificationFailed
from gateway.primitives import ed25519
from gateway.store import writer
from gateway.store.reader import Reader
from gateway.store.writer import Log, WriterConfig
from gateway.web.tlog import Submission, WitnessDoor

ORIGIN: Final = "pan.example/log"
LOG: Final = ed25519.Signer(bytes(range(32)))
LOG_KEY: Final = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)
WITNESS: Final = ed25519.Signer(bytes([1]) * 32)
WITNESS_KEY: Final = note.Verifier("hnd.example/witness", note.WITNESS_KEY, WITNESS.public)
TIME_S: Final = 1_760_000_000


class Clock:
    """Stands still."""

    def __init__(self, time_s: int) -> None:
        self._ns = time_s * 10**9

    def now_ns(self) -> int:
        """The same always."""
        return self._ns

    def monotonic_ns(self) -> int:
        """The same always."""
        return 0

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Nothing here waits."""


class Witness:
    """Remembers the head it signed last; nothing else."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self.door = WitnessDoor(self._cosign)

    async def _cosign(self, origin: str, asked: Submission) -> bytes:
        opened = note.open_note(asked.noted, [LOG_KEY])
        head = checkpoint.parse(opened.text)
        witness.judge(self.seen, asked.old_size, head.size, head.root, asked.proof)
        self.seen = Seen(head.size, head.root)
        return cosign.line(opened.text, TIME_S, WITNESS_KEY, WITNESS.sign)

    def asked(self, folder: Path, old_size: int) -> str:
        """The answer to add-checkpoint, as one line: status and body."""
        with closing(Reader(folder / "store")) as reader:
            held = reader.last_checkpoint()
            assert held is not None
            size = checkpoint.parse(note.parse(held[0]).text).size
            proof = reader.consistency(old_size, size) if 0 < old_size < size else []
        lines = [b"old %d" % old_size, *(base64.b64encode(one) for one in proof)]
        page = asyncio.run(self.door.add_checkpoint(b"\n".join(lines) + b"\n\n" + held[0]))
        said = page.body.decode().strip() if page.status != 200 else "cosigned"
        return f"old {old_size}, size {size}: {page.status.value} {said}"


def _config(folder: Path) -> WriterConfig:
    return WriterConfig(folder / "store", folder / "lock", folder / "periods", folder / "run", ORIGIN, round_to=16)


def _grow(folder: Path, clock: Clock, roots: dict[int, bytes]) -> str:
    """One checkpoint more, as a line. `roots` has the first root of each size that was ever signed."""
    with closing(Log(_config(folder), clock)) as log:
        head = log.agree()
        log.publish(head, note.sign(head.encode(), LOG_KEY, LOG.sign))
    another = roots.setdefault(head.size, head.root) != head.root
    return f"size {head.size}{', another root than before' if another else ''}"


def _copied(source: Path, target: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(target / name, ignore_errors=True)
        shutil.copytree(source / name, target / name)


def lines(folder: Path) -> Iterator[str]:
    """What happens, line by line."""
    pan, copy, hnd = folder / "pan", folder / "copy", Witness()
    roots: dict[int, bytes] = {}
    writer.create(_config(pan))
    yield f"log      {_grow(pan, Clock(TIME_S), roots)}"
    yield f"witness  {hnd.asked(pan, 0)}"
    _copied(pan, copy, "store", "lock")
    yield f"log      {_grow(pan, Clock(TIME_S), roots)}"
    yield f"witness  {hnd.asked(pan, 16)}"
    yield "         the store is put back to the copy of 16 entries"
    _copied(copy, pan, "store")
    try:
        Log(_config(pan), Clock(TIME_S)).close()
    except VerificationFailed as refusal:
        yield f"log      refused: {str(refusal).partition('. ')[0]}"
    yield "         the lock record too; the log goes on another way, a second later"
    _copied(copy, pan, "lock")
    yield f"log      {_grow(pan, Clock(TIME_S + 1), roots)}"
    yield f"witness  {hnd.asked(pan, 16)}"
    yield f"witness  {hnd.asked(pan, 32)}"
    yield f"log      {_grow(pan, Clock(TIME_S + 1), roots)}"
    yield f"witness  {hnd.asked(pan, 32)}"


def main() -> None:
    """Print them."""
    with tempfile.TemporaryDirectory(prefix="limen-") as made:
        for line in lines(Path(made)):
            print(line)


if __name__ == "__main__":
    main()
