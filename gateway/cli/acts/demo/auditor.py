"""An auditor with nothing but public keys, and what he catches."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from gateway.app import parts
from gateway.audit import checkpoint, note
from gateway.cli.acts.demo import cases, vantage
from gateway.cli.acts.demo.run import NAMES, SETTLE_S, Run
from gateway.cli.acts.nodes import Node, limen, must
from gateway.cli.report.record import Learned, LogSize
from gateway.disclosure.case import Case, State
from gateway.federation import statement
from gateway.flows import casework
from gateway.primitives import cbor
from gateway.store.client import WriterClient


def audit(run: Run) -> None:
    """Every log verified offline; a changed one and a cut one caught."""
    # The auditor is a folder of its own: cards of public keys, exports, and no node.
    auditor = run.nodes.root / "auditor"
    auditor.mkdir()
    _whole(run, auditor)
    _changed(run, auditor)
    _cut(run, auditor)


def _whole(run: Run, auditor: Path) -> None:
    def verify() -> tuple[str, bool]:
        good = True
        lines = []
        for state, node in run.nodes.nodes.items():
            if node.process is None:
                continue
            export, card = auditor / state, auditor / f"{state}.card"
            must("audit", "export", str(export), "--config", str(node.folder), "--cosignatures", "1")
            must(
                "audit",
                "card",
                "--federation",
                str(run.nodes.members),
                "--state",
                state,
                "--quorum",
                "1",
                "-o",
                str(card),
            )
            ran = limen("--json", "audit", "verify", str(export), "--trust", str(card))
            run.verified(f"{NAMES[state]}'s log", ran, expected_ok=True)
            told = ran.json
            good = good and ran.code == 0 and told["ok"]
            lines.append(f"{state}: {told['size']} entries, cosigned by {len(told['cosignatures'])}, ok {told['ok']}")
            run.logs.append(LogSize(state, told["size"], told["size"], len(told["cosignatures"])))
        return "\n".join(lines), good

    run.step(
        "An auditor verifies, offline",
        "With nothing but public keys: no node, no network, no account.",
        "limen audit verify HND/audit-export --trust HND.card",
        "every step ok",
        verify,
        (Learned("auditor", "that each log is whole and unchanged, and a peer saw the same one"),),
    )


def _changed(run: Run, auditor: Path) -> None:
    def tampered() -> tuple[str, bool]:
        copy = auditor / "HND-tampered"
        shutil.copytree(auditor / "HND", copy)
        bundle = max(
            (copy / "tile" / "entries").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0
        )
        data = bytearray(bundle.read_bytes())
        at = data.index(b"SEC.WATCH") if b"SEC.WATCH" in data else len(data) // 2
        data[at] ^= 1
        bundle.write_bytes(data)
        ran = limen("--json", "audit", "verify", str(copy), "--trust", str(auditor / "HND.card"))
        run.verified("A copy of Honduras' log with one bit changed", ran, expected_ok=False)
        return f"{ran.err.strip()} (exit {ran.code})", ran.code == 6

    run.step(
        "A changed log is caught",
        "One bit of one entry of a copy is changed.",
        "limen audit verify HND-tampered --trust HND.card",
        "exit 6, with the step and the entry",
        tampered,
    )


def _cut(run: Run, auditor: Path) -> None:
    def cut() -> tuple[str, bool]:
        # An operator may drop the newest entries and show an older, correctly signed log. The witness knows better.
        card = str(auditor / "HND.card")
        size = limen("--json", "audit", "verify", str(auditor / "HND"), "--trust", card).json["size"]
        until = time.monotonic() + SETTLE_S
        while True:
            head = must("--json", "audit", "head", "--config", str(run.nodes["HND"].folder)).json
            if head["size"] > size and head["cosignatures"]:
                break
            if time.monotonic() > until:
                return "no newer checkpoint was cosigned", False
            time.sleep(0.1)
        held = auditor / "held-by-a-witness"
        held.write_text(head["note"], "utf-8")
        ran = limen("--json", "audit", "verify", str(auditor / "HND"), "--trust", card, "--witnessed", str(held))
        run.verified("An older log of Honduras shown as the newest", ran, expected_ok=False)
        return f"{ran.err.strip()} (exit {ran.code})", ran.code == 6

    run.step(
        "A cut tail is caught",
        "A log as it was some minutes ago, whole and correctly signed, beside the head that a witness holds.",
        "limen audit verify HND-older --trust HND.card --witnessed CHECKPOINT",
        "exit 6",
        cut,
    )


def operator(run: Run) -> None:
    """Root at Panama bends the gateway itself: logs, publishes, gets it cosigned. The signature stays his own."""
    nodes = run.nodes

    def act() -> tuple[str, bool]:
        # A node of his own from a copy of Panama's disk, in the true one's place; the true one is left as it was.
        true = nodes["PAN"]
        nodes.stop("PAN")
        copy = nodes.root / "op" / "PAN"
        shutil.copytree(true.folder, copy, ignore=shutil.ignore_patterns("*.sock", "*.ready", "*.port"))
        nodes.nodes["PAN"] = replace(true, folder=copy, process=None)
        try:
            nodes.start("PAN")
            number = run.carried["forged"]
            case = cases.held(run, "PAN", number)
            assert case is not None
            size = asyncio.run(_log_a_release(nodes["PAN"], replace(case, released=case.fields), nodes.now_ns()))
            return _caught(run, size)
        finally:
            nodes.stop("PAN")
            nodes.nodes["PAN"] = true

    run.step(
        "A second signature forged in the log",
        "The operator's last means: his own program on Panama's keys. It logs a release as signed by two and "
        "publishes it; Honduras, a witness, sees a log that only grew, and cosigns.",
        "limen audit verify PAN --trust PAN.card",
        "exit 6, step persons, and the entry",
        act,
        (Learned("auditor", "which entry claims a signature that no enrolled person made"),),
    )


async def _log_a_release(node: Node, case: Case, now_ns: int) -> int:
    """Enter a release of this case, with one true signature and one forged; returns the log's size then."""
    persons = [one for one in case.signatures if one.act == statement.CASE_ACTS["prepare"]]
    persons.append(cases.approval(case, now_ns))
    settings = node.settings
    writer = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await writer.commit(
            [
                casework.entry(
                    "case.sent",
                    case,
                    public={
                        "message": "decision",
                        "state": State.GRANTED.value,
                        "fields": ",".join(case.released),
                        "recipient": sha256(case.recipient).digest(),
                        "record_version": case.record_version,
                        "persons": cbor.encode([[one.act, one.key, one.statement, one.signature] for one in persons]),
                        "baseline": bytes(32),
                        "national": bytes(32),
                    },
                )
            ]
        )
        return int((await writer.status())["size"])
    finally:
        await writer.close()


def _caught(run: Run, size: int) -> tuple[str, bool]:
    """Verify the operator's log as an auditor does, once a witness has cosigned it at this size."""
    node, auditor = run.nodes["PAN"], run.nodes.root / "auditor"
    export, card = auditor / "PAN-operator", auditor / "PAN-operator.card"
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        with vantage.reading(node) as reader:
            noted = reader.last_checkpoint(1)
        if noted is not None and checkpoint.parse(note.parse(noted[0]).text).size >= size:
            break
        time.sleep(0.1)
    else:
        return "no witness cosigned the operator's log", False
    must("audit", "export", str(export), "--config", str(node.folder), "--cosignatures", "1")
    must("audit", "card", "--federation", str(run.nodes.members), "--state", "PAN", "--quorum", "1", "-o", str(card))
    ran = limen("--json", "audit", "verify", str(export), "--trust", str(card))
    run.verified("Panama's log with a signature that the operator made", ran, expected_ok=False)
    faults = [one["step"] for one in ran.json["steps"] if not one["ok"]]
    # The second approval was never logged as an act either, which is a fault of its own.
    ok = ran.code == 6 and "persons" in faults and set(faults) <= {"persons", "disclosures"}
    return f"{ran.err.strip()} (exit {ran.code})", ok
