"""`limen audit pack`: one folder, the same bytes from the same input; months in plain words; decisions made again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from examples import limen_verify as one
from gateway.audit import export
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.cli.acts.nodes import Ran
from gateway.cli.acts.nodes import limen as run_command
from gateway.keyring import files
from gateway.opa import bundle, sources
from gateway.policy import agreement
from gateway.store.memory import MemoryStore
from gateway.terms import PeerId
from tests.policies.world import REGION, REGION_PUBLIC, STATE, STATE_PUBLIC
from tests.unit.audit import log
from tests.unit.cli.test_audit_search import written

DAY_NS = 86_400 * 10**9
BEGUN_NS = 1_782_864_000 * 10**9  # 2026-07-01
PAN, HND = PeerId("PAN"), PeerId("HND")


@cache
def rules() -> dict[str, bytes]:
    """A baseline and a state's own rules, as files."""
    signed = [agreement.starter(PAN, HND, agencies={PAN: ["SNM"], HND: ["INM"]}, valid_from_ns=BEGUN_NS - DAY_NS,
                                valid_until_ns=BEGUN_NS + 400 * DAY_NS)]  # fmt: skip
    made = {
        "baseline": (sources.baseline(), bundle.BASELINE, REGION, "region-1"),
        "national": (sources.starter_national(PAN, signed), bundle.national_scope(PAN), STATE, "state-1"),
    }
    return {
        layer: bundle.build(files_, scope=scope, sequence=1, not_after_ns=BEGUN_NS + 400 * DAY_NS,
                            signing_key_pem=key, key_id=key_id)
        for layer, (files_, scope, key, key_id) in made.items()
    }  # fmt: skip


class Year(log.Made):
    """July and August of a node: questions answered and refused, an alert, a reading, a hit that nobody looked at."""

    def __init__(self) -> None:
        self._ticks = log.Ticks()
        self.store = MemoryStore(
            self._ticks, origin=log.ORIGIN, recipients=log.recipients(), chance=log.Chance(bytes(32))
        )
        self.receipt = export.Receipt("HND", b"manifest", b"header", b"signature")
        asyncio.run(self._fill(0))

    async def _fill(self, legs: int) -> None:
        clock = self._ticks
        clock.wall = BEGUN_NS
        digests = {layer: hashlib.sha256(raw).digest() for layer, raw in rules().items()}
        for layer, digest in digests.items():
            public: dict[str, Scalar] = {"layer": layer, "digest": digest, "sequence": 1}
            await self.store.commit([Entry("policy.activated", Phase.EVENT, public=public)])
        about: dict[str, Scalar] = {
            "purpose": "SEC.WATCH", "basis": "bilateral agreement", "agency": "INM", "role": "border.frontline",
            "list": "PERSONS", "class": 8, "batch": 0, "peer_seq": 1,
        }  # fmt: skip
        for n in range(4):
            asked: dict[str, Scalar] = {
                **about, "batches": 1, "request_hash": bytes([n]) * 64, "epoch": "e", "seed_commitment": bytes(32),
                "agreement": "AGR-HND-PAN", **digests,
            }  # fmt: skip
            (seq,) = (await self.store.commit([Entry("check.answer", Phase.INTENT, "HND", public=asked)])).seqs
            more: dict[str, Scalar] = {"intent_seq": seq, "reply_hash": bytes(64), "table_version": 1}
            await self.store.commit([Entry("check.answer", Phase.OUTCOME, "HND", public={**asked, **more})])
        clock.wall = BEGUN_NS + 40 * DAY_NS
        refused: dict[str, Scalar] = {**about, "purpose": "FAM.TRACE", "request_hash": bytes(64),
                                      "reason": "POLICY_DENIED", "reasons": "no_agreement,purpose_unknown"}  # fmt: skip
        await self.store.commit([Entry("check.refused", Phase.EVENT, "HND", public=refused)] * 2)
        made = log.ask(7, Phase.INTENT)
        (seq,) = (
            await self.store.commit(
                [
                    Entry(
                        made.kind, made.phase, made.peer, made.public, made.secret, made.guard, "30d", made.sealed_bytes
                    )
                ]
            )
        ).seqs
        outcome = log.ask(7, Phase.OUTCOME, seq)
        hit: dict[str, Scalar | list[Scalar]] = {"hits": ["0:HND-0011223344556677:DOCUMENT:0+1:0123456789abcdef"]}
        await self.store.commit(
            [Entry(outcome.kind, outcome.phase, outcome.peer, outcome.public, hit, {}, "30d", 512)]
        )  # fmt: skip
        alert: dict[str, Scalar] = {"alert_id": b"a" * 16, "rule": "same_pair", "times": 3}
        await self.store.commit([Entry("alert.raised", Phase.EVENT, public=alert)])
        await self.store.commit([Entry("audit.read", Phase.EVENT, public={"first": 0, "count": 3})])
        taken: dict[str, Scalar] = {
            "case_id": b"c" * 16, "side": "asker", "purpose": "SEC.WATCH", "message": "decision", "state": "GRANTED",
            "request_hash": bytes(64), "fields": "names",
        }  # fmt: skip
        await self.store.commit([Entry("case.taken", Phase.EVENT, "HND", taken, {"entry_id": "", "code": ""})])
        clock.wall = BEGUN_NS + 60 * DAY_NS
        await self.store.commit([Entry("filler", Phase.EVENT)])
        await self.sign(["HND", "UTO"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    written(Year(), folder / "export")
    (folder / "card").write_text(log.CARD.encode())
    files.write_secret(folder / "auditor.key", "auditor", log.READERS["auditor"])
    (folder / "keys").mkdir()
    (folder / "keys" / "region-1.pem").write_bytes(REGION_PUBLIC)
    (folder / "keys" / "state-1.pem").write_bytes(STATE_PUBLIC)
    for layer, raw in rules().items():
        (folder / f"{layer}.tar.gz").write_bytes(raw)
    (folder / "export" / "notes.txt").write_text("not a part of the copy")
    return folder


def pack(desk: Path, out: Path, *more: str) -> Ran:
    return run_command(
        "audit", "pack", str(desk / "export"), "--trust", str(desk / "card"), "--state", "PAN", "-o", str(out), *more
    )


def whole(desk: Path, out: Path) -> Ran:
    return pack(
        desk, out, "--reader-key", str(desk / "auditor.key"), "--policy-keys", str(desk / "keys"), "--bundle",
        str(desk / "baseline.tar.gz"), str(desk / "national.tar.gz"),
    )  # fmt: skip


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def replayed(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "replay.json").read_bytes())
    return told


def test_the_same_input_gives_the_same_bytes(desk: Path, tmp_path: Path) -> None:
    first = whole(desk, tmp_path / "a")
    assert first.code == 0, first.err
    time.sleep(1.1)
    assert whole(desk, tmp_path / "b").code == 0
    made = held(tmp_path / "a")
    assert made == held(tmp_path / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    sums = made.pop("SHA256SUMS").decode().splitlines()
    assert sums == [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(made.items())]
    assert {"README.md", "card", "verification.json", "replay.json", "policy/policy.json", "months/2026-07.md",
            "months/2026-08.md", "export/checkpoint"} <= made.keys() and "export/notes.txt" not in made  # fmt: skip


def test_what_is_in_it_verifies_with_the_one_file(desk: Path, tmp_path: Path) -> None:
    whole(desk, tmp_path / "a")
    assert one.main([str(tmp_path / "a" / "export"), "--trust", str(desk / "card")]) == 0
    assert json.loads((tmp_path / "a" / "verification.json").read_bytes())["ok"] is True
    assert "limen_verify.py export --trust" in (tmp_path / "a" / "README.md").read_text()


def test_a_month_says_in_plain_words_what_was_used_refused_and_left_undone(desk: Path, tmp_path: Path) -> None:
    whole(desk, tmp_path / "a")
    july = (tmp_path / "a" / "months" / "2026-07.md").read_text()
    august = (tmp_path / "a" / "months" / "2026-08.md").read_text()
    assert "| SEC.WATCH | " in july and " | 0 | 0 | 4 | 0 | 0 |" in july
    assert "No attempt was refused" in july and "purpose_unknown" not in july
    assert (
        "refused 2 times: check.refused by HND, purpose FAM.TRACE, because of no_agreement,purpose_unknown"
    ) in august
    assert "alert same_pair: raised 1 times" in august and "1 alerts were raised and 0 closed" in august
    assert "1 questions found something that nobody has looked at" in august
    assert "1 disclosures had no outcome within seven days" in august
    assert "audit.read, purpose none was given: 1 times" in august
    for layer, raw in rules().items():
        assert f"at its beginning: {layer} {hashlib.sha256(raw).hexdigest()}" in august
    # Without a reader's key the sealed counts are said to be sealed, and nothing is guessed.
    pack(desk, tmp_path / "b")
    august = (tmp_path / "b" / "months" / "2026-08.md").read_text()
    assert "Whether every hit was looked at is sealed" in august and "| sealed |" in august


def test_decisions_are_made_again_by_the_rules_that_were_in_force(desk: Path, tmp_path: Path) -> None:
    whole(desk, tmp_path / "a")
    told = replayed(tmp_path / "a")
    by_kind = {row["kind"]: row for row in told["decisions"]}
    assert by_kind["check.answer"]["result"] == by_kind["check.refused"]["result"] == "the same", by_kind
    assert by_kind["check.ask"]["result"] == "rules not given"  # this log's question names rules of its own
    assert told["sample"] == 7 and any("match keys" in line for line in told["not_recovered"])
    pack(desk, tmp_path / "b", "--sample", "3")
    told = replayed(tmp_path / "b")
    assert told["sample"] == 3 and told["results"] == {"rules not given": 3}


def test_a_decision_that_the_rules_do_not_make_is_another(tmp_path: Path, desk: Path) -> None:
    class Bent(Year):
        async def _fill(self, legs: int) -> None:
            await super()._fill(legs)
            digests = {layer: hashlib.sha256(raw).digest() for layer, raw in rules().items()}
            asked: dict[str, Scalar] = {
                "purpose": "SEC.WATCH", "basis": "because", "agency": "INM", "role": "border.frontline",
                "list": "PERSONS", "class": 8, "batch": 0, "peer_seq": 2, "batches": 1, "request_hash": b"z" * 64,
                "epoch": "e", "seed_commitment": bytes(32), "agreement": "AGR-HND-PAN", **digests,
            }  # fmt: skip
            await self.store.commit([Entry("check.answer", Phase.INTENT, "HND", public=asked)])
            await self.sign(["HND", "UTO"])

    written(Bent(), tmp_path / "export")
    ran = run_command(
        "audit", "pack", str(tmp_path / "export"), "--trust", str(desk / "card"), "--state", "PAN", "-o",
        str(tmp_path / "a"), "--policy-keys", str(desk / "keys"), "--bundle", str(desk / "baseline.tar.gz"),
        str(desk / "national.tar.gz"),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (row,) = [row for row in replayed(tmp_path / "a")["decisions"] if row["result"] == "another"]
    assert row["again"] == "legal_basis" and row["logged"].startswith("permitted")


def test_a_copy_that_does_not_verify_is_packed_with_its_fault(tmp_path: Path, desk: Path) -> None:
    made = Year().export()
    made["history"] = made["history"] + b"\0"
    for name, data in made.items():
        (tmp_path / "export" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "export" / name).write_bytes(data)
    ran = run_command("audit", "pack", str(tmp_path / "export"), "--trust", str(desk / "card"), "--state", "PAN",
                      "-o", str(tmp_path / "a"))  # fmt: skip
    assert ran.code == 6 and json.loads((tmp_path / "a" / "verification.json").read_bytes())["ok"] is False


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--bundle", "{desk}/card", "--policy-keys", "{desk}/keys"), 8, "never in force"),
        (("--bundle", "{desk}/national.tar.gz"), 2, "--policy-keys"),
        (("--sample", "-1"), 2, "--sample"),
    ],
)
def test_what_does_not_belong_is_refused(
    desk: Path, tmp_path: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    ran = pack(desk, tmp_path / "a", *(word.format(desk=desk) for word in more))
    assert ran.code == code and said in ran.err and not (tmp_path / "a").exists()
