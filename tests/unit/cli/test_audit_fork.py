"""`limen audit fork`: two notes, or an export that has kept them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.audit import checkpoint, export, note, trust
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.cli import main
from gateway.primitives import ed25519
from tests.unit.audit.log import Made

PAN = ed25519.Signer(b"p" * 32)
PAN_KEY = note.Verifier("pan.example/log", note.LOG_KEY, PAN.public)


def noted(size: int, root: bytes) -> bytes:
    return note.sign(checkpoint.Checkpoint(PAN_KEY.name, size, root).encode(), PAN_KEY, PAN.sign)


ONE, OTHER, LATER = noted(64, b"a" * 32), noted(64, b"b" * 32), noted(128, b"c" * 32)


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "card"
    path.write_text(trust.card(PAN_KEY, {}, 0).encode())
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, object]]]:
    code = main.run(["--json", "audit", "fork", *words])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else []


def test_two_roots_of_one_size_are_a_fork_and_others_are_not(
    tmp_path: Path, card: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in (("one", ONE), ("other", OTHER), ("later", LATER), ("cut", ONE[:-10] + b"\n")):
        (tmp_path / name).write_bytes(data)
    one, other, later = (str(tmp_path / name) for name in ("one", "other", "later"))
    code, rows = run(capsys, one, other, "--trust", card)
    assert (code, rows[0]["forked"]) == (6, True)
    for pair in ((one, one), (one, later)):
        code, rows = run(capsys, *pair, "--trust", card)
        assert (code, rows[0]["forked"]) == (0, False)
    assert run(capsys, one, "--trust", card)[0] == 2
    assert run(capsys, one, str(tmp_path / "cut"), "--trust", card)[0] == 8


def test_an_export_s_entries_are_judged_and_their_proofs_written(
    tmp_path: Path, card: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made(3)
    public: dict[str, Scalar] = {
        "origin": PAN_KEY.name, "size": 64, "root": b"b" * 32, "step": "proof", "note": OTHER, "known_note": ONE,
    }  # fmt: skip
    entries = [
        Entry("checkpoint.fault", Phase.EVENT, "PAN", public=public),
        Entry("checkpoint.fault", Phase.EVENT, "PAN", public=public | {"note": LATER}),
    ]

    async def enter() -> list[int]:
        seqs = list((await made.store.commit(entries)).seqs)
        await made.sign(["HND", "UTO"])
        return seqs

    seqs = asyncio.run(enter())
    folder = tmp_path / "export"
    for name, data in export.files(made.store):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    code, rows = run(capsys, str(folder), "--trust", card, "-o", str(tmp_path / "proofs"))
    assert code == 6 and [(row["seq"], row["forked"]) for row in rows] == list(zip(seqs, (True, False), strict=True))
    assert (tmp_path / "proofs" / f"{seqs[0]}.one").read_bytes() == ONE
    assert sorted(path.name for path in (tmp_path / "proofs").iterdir()) == [f"{seqs[0]}.one", f"{seqs[0]}.other"]
