"""A8: an export of a million entries, verified offline on one core, by the gateway's verifier and by the single file.

The export is written here as a node writes one: half of the entries are questions asked (an intent with seven
commitments, its outcome), half are questions answered, from four peers, with every chain and number in order, and two
witnesses' lines on the checkpoint. It has no payloads: `limen audit export --no-payloads`. Each verifier runs in a
process of its own and is timed by the CPU that the process used, from its first line to its verdict, the start of
Python included. The single file's time has no goal and stands beside it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench.audit import ORIGIN, ROOT, entry, recipients
from gateway.audit import checkpoint, cosign, export, merkle, note, tiles, trust
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.leaf import NO_ENTRY, encode, prepare
from gateway.audit.seal import Sealer
from gateway.primitives import ed25519

Row = dict[str, Any]

IDS: Final = ("A8",)
FULL, SHORT = 1_000_000, 4_000
GOAL_S: Final = 60
PEERS: Final = ("GTM", "HND", "MEX", "UTO")
LOG: Final = ed25519.Signer(bytes(32))
WITNESSES: Final = {name: ed25519.Signer(bytes([n]) * 32) for n, name in enumerate(("HND", "UTO"), 1)}


def run(smoke: bool) -> list[Row]:
    """The rows of A8. The short form asserts nothing about speed."""
    count = SHORT if smoke else FULL
    with tempfile.TemporaryDirectory(prefix="limen-bench-") as name:
        folder = Path(name)
        (folder / "card").write_text(_written(folder / "export", count).encode())
        product = _timed([sys.executable, "-m", "gateway", "audit", "verify"], folder)
        single = _timed([sys.executable, "-I", "-S", str(ROOT / "examples" / "limen_verify.py")], folder)
    size = f"{count:,} entries without payloads, one core"
    return [
        _row("A8", product, None if smoke else GOAL_S, f"limen audit verify, {size}"),
        _row("A8.single", single, None, f"limen_verify.py, {size}"),
    ]


def _row(name: str, value: float, goal: float | None, against: str) -> Row:
    return {
        "id": name, "value": round(value, 1), "unit": "s CPU", "goal": "" if goal is None else f"< {goal}",
        "met": None if goal is None else value < goal, "against": against,
    }  # fmt: skip


def _timed(command: list[str], folder: Path) -> float:
    """CPU seconds of one verification. Raises CalledProcessError where it does not end well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, str(folder / "export"), "--trust", str(folder / "card")], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _asked() -> tuple[Entry, Entry]:
    """A question as its intent, and its outcome, which sealed whether anything was found."""
    ask = entry("ask")
    more: dict[str, Scalar] = {"intent_seq": 0, "reply": "answered", "reason": "", "request_hashes": bytes(64)}
    return ask, Entry("check.ask", Phase.OUTCOME, "HND", public={**ask.public, **more}, secret={"hits": []})


def _answered() -> tuple[Entry, Entry]:
    """A peer's batch, about to be evaluated and evaluated."""
    outcome = entry("answer")
    intent = {name: value for name, value in outcome.public.items()
              if name not in ("intent_seq", "reply_hash", "table_version")}  # fmt: skip
    return Entry("check.answer", Phase.INTENT, "HND", public=intent), outcome


def _leaves(count: int) -> Iterator[bytes]:
    """Leaves in their order, each intent followed by its outcome."""
    sealer = Sealer(recipients(), bytes(32))
    kinds = [[prepare(one, bytes(32), sealer) for one in pair] for pair in (_asked(), _answered())]
    pairs = dict.fromkeys(PEERS, (0, NO_ENTRY))
    for seq in range(count):
        peer = PEERS[seq // 2 % len(PEERS)]
        number, before = pairs[peer]
        made = kinds[seq // 2 // len(PEERS) % 2][seq % 2]
        public = dict(made.public)
        if seq % 2:
            public["intent_seq"] = seq - 1
        name = "leg" if made.kind == "check.ask" else "request_hash"
        public[name] = (seq // 2).to_bytes(16 if name == "leg" else 64, "big")
        data = encode(replace(made, peer=peer, public=public), seq, 10**18 + seq, number + 1, before)
        pairs[peer] = (number + 1, merkle.leaf_hash(data))
        yield data


def _written(folder: Path, count: int) -> trust.Card:
    """The export on disk; returns the auditor's card."""
    row: list[bytes] = []
    bundle: list[bytes] = []

    def put(name: str, data: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    for data in _leaves(count):
        row.append(merkle.leaf_hash(data))
        bundle.append(data)
        if len(bundle) == tiles.WIDTH or len(row) == count:
            put(tiles.entries_path((len(row) - 1) // tiles.WIDTH, len(bundle)), tiles.encode_bundle(bundle))
            bundle = []
    level = 0
    whole = row
    while row:
        for start in range(0, len(row), tiles.WIDTH):
            part = row[start : start + tiles.WIDTH]
            put(tiles.path(level, start // tiles.WIDTH, len(part)), b"".join(part))
        row = [merkle.root_of(row[at : at + tiles.WIDTH]) for at in range(0, len(row) // tiles.WIDTH * tiles.WIDTH,
                                                                          tiles.WIDTH)]  # fmt: skip
        level += 1
    head = checkpoint.Checkpoint(ORIGIN, count, merkle.root_of(whole))
    log = note.Verifier(ORIGIN, note.LOG_KEY, LOG.public)
    keys = {name: note.Verifier(f"{name.lower()}.example/witness", note.WITNESS_KEY, one.public)
            for name, one in WITNESSES.items()}  # fmt: skip
    lines = [cosign.line(head.encode(), 1_700_000_000, keys[name], one.sign) for name, one in WITNESSES.items()]
    put("checkpoint", note.sign(head.encode(), log, LOG.sign) + b"".join(lines))
    put("format", f"{export.FORMAT}\nno payloads\n".encode())
    return trust.card(log, keys, 2)
