"""A log of some hundred entries with everything an export can hold, made in memory from fixed keys."""

from __future__ import annotations

import asyncio
import hashlib

from gateway.audit import checkpoint, export, note, seal, trust
from gateway.audit.cosign import line
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.ports import Change
from gateway.primitives import ed25519
from gateway.primitives.kdf import expand
from gateway.store.memory import MemoryStore

ORIGIN = "pan.example/log"
LOG = ed25519.Signer(bytes(range(32)))
LOG_KEY = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)
WITNESSES = {name: ed25519.Signer(bytes([n]) * 32) for n, name in enumerate(("HND", "UTO"), 1)}
WITNESS_KEYS = {
    name: note.Verifier(f"{name.lower()}.example/witness", note.WITNESS_KEY, signer.public)
    for name, signer in WITNESSES.items()
}
CARD = trust.card(LOG_KEY, WITNESS_KEYS, 2)
READERS = {role: bytes([n]) * 32 for n, role in enumerate(seal.ROLES, 11)}


def recipients() -> seal.Recipients:
    from nacl.bindings import crypto_scalarmult_base

    return seal.Recipients(*(crypto_scalarmult_base(READERS[role]) for role in seal.ROLES))


class Chance:
    """A stream of bytes from a seed."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return expand(self._seed, b"%d" % self._count, size)


class Ticks:
    """One millisecond a commit."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000 * 10**9

    def __call__(self) -> int:
        self.wall += 10**6
        return self.wall


def ask(n: int, phase: Phase, intent_seq: int = 0) -> Entry:
    public: dict[str, Scalar] = {
        "purpose": "SEC.WATCH", "basis": "agreement art. 4", "agency": "SNM", "list": "PERSONS", "class": 8,
        "batches": 1, "leg": n.to_bytes(16, "big"), "agreement": "PAN-HND", "baseline": bytes(32),
        "national": bytes(32),
    }  # fmt: skip
    if phase is Phase.INTENT:
        return Entry(
            "check.ask", phase, "HND" if n % 3 else "UTO", public=public,
            secret={"officer": "P-77", "case": f"C-{n}", "justification": "shift", "seeds": [bytes(32)],
                    "keys": [b"doc/1 AB123456"]},
            guard={"guarded": n % 5 == 0, "why": ["0:origin"] if n % 5 == 0 else []}, sealed_bytes=512,
        )  # fmt: skip
    more: dict[str, Scalar] = {"intent_seq": intent_seq, "reply": "answered", "reason": "", "request_hashes": bytes(64)}
    return Entry(
        "check.ask", phase, "HND" if n % 3 else "UTO", public=public | more,
        secret={"hits": ["0:HND-0011:DOCUMENT"] if n % 7 == 0 else []}, sealed_bytes=512,
    )  # fmt: skip


def table(peer: str, body: bytes) -> Entry:
    return Entry(
        "table.received", Phase.EVENT, peer,
        public={"list": "PERSONS", "group": "WATCH", "epoch": "e", "version": 1, "padded_count": 64,
                "table_hash": bytes(32), "manifest_hash": hashlib.sha256(body).digest(), "basis": "b", "fault": ""},
    )  # fmt: skip


class Made:
    """The store, the receipts, and how to sign what it holds."""

    def __init__(self, legs: int, seed: bytes = bytes(32)) -> None:
        self.store = MemoryStore(Ticks(), origin=ORIGIN, recipients=recipients(), chance=Chance(seed))
        self.receipt = export.Receipt("HND", b"manifest", b"header", b"signature")
        asyncio.run(self._fill(legs))

    async def _fill(self, legs: int) -> None:
        await self.store.commit([table("HND", b"manifest")])
        for n in range(legs):
            (intent,) = (await self.store.commit([ask(n, Phase.INTENT)])).seqs
            await self.store.commit([Entry("filler", Phase.EVENT)])
            await self.store.commit([ask(n, Phase.OUTCOME, intent)])
            if n % 40 == 39:
                await self.sign(["HND"])
        await self.sign(["HND", "UTO"])

    async def sign(self, cosigners: list[str]) -> bytes:
        """Publish a checkpoint of everything, cosigned."""
        await self.store.put_heads()
        size = self.store.size()
        head = checkpoint.Checkpoint(ORIGIN, size, self.store.tree().root())
        self.store.put_checkpoint(size, note.sign(head.encode(), LOG_KEY, LOG.sign), head.digest)
        for name in cosigners:
            key = WITNESS_KEYS[name]
            one = line(head.encode(), 1_700_000_100, key, WITNESSES[name].sign)
            put = {"size": size, "name": key.name, "witness": name, "line": one}
            await self.store.commit([], [Change("cosignature.put", put)])
        noted = self.store.checkpoint(size)
        assert noted is not None
        return noted

    def pair(self, peer: str, *, payloads: bool = True) -> export.MemoryFolder:
        """The files that show one pair."""
        return export.MemoryFolder(export.pair_files(self.store, peer, payloads=payloads, receipts=[self.receipt]))

    def export(self, *, payloads: bool = True) -> export.MemoryFolder:
        """The files."""
        return export.MemoryFolder(export.files(self.store, payloads=payloads, receipts=[self.receipt]))
