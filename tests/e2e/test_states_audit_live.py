"""An auditor at a running node: reads for a purpose, searches, opens an entry with a second person, and is reviewed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.region.generate import DEFAULT_CLOCK
from gateway.audit.copy import Copy
from gateway.cli.acts.nodes import Nodes, Ran, limen
from gateway.store.folder import DirectoryFolder
from gateway.terms import Role
from tests.extras import ROOT
from tests.region import wait_for
from tests.support.states import watched

TRAVELLER = (
    b"surname: DOE\ngiven_names: JO\nbirth_date: 1980-05-06\nnationality: NIC\ndocument_number: C77\nissuer: NIC\n"
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two states without lists: what is found plays no part."""
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    shift_ns = int(DEFAULT_CLOCK.timestamp() * 1e9) - time.time_ns()
    with ExitStack() as stack:
        stack.enter_context(watched(root))
        made = Nodes(root, {"PAN": "SNM", "HND": "INM"}, shift_ns=shift_ns)
        made.make()
        stack.callback(made.stop)
        made.start()
        made.enrol("PAN", "auditor-1", (Role.AUDITOR,))
        made.enrol("PAN", "chief-1", (Role.SUPERVISOR,))
        made.login("PAN")
        yield made


@pytest.fixture
def copy(nodes: Nodes) -> Iterator[Path]:
    folder = nodes.root / "copy"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def audit(nodes: Nodes, verb: str, *more: object, stdin: bytes = b"") -> Ran:
    booth = nodes["PAN"].folder / "auditor"
    live = ("--booth", str(booth)) if verb != "reads" else ()
    return limen("--json", "audit", verb, *map(str, more), *live, stdin=stdin)


def asked(nodes: Nodes, case: str) -> None:
    assert nodes.check("PAN", "SEC.WATCH", TRAVELLER, case=case).code in (0, 3, 5)


def denied_or_asked(nodes: Nodes, copy: Path) -> int:
    """The number of a sealed entry in the copy, once one is published."""
    held: list[int] = []

    def there() -> bool:
        ran = audit(nodes, "search", copy, "--live", "integrity", "--kind", "check.ask", "--kind", "check.denied")
        assert ran.code == 0, ran.err
        held[:] = [row["seq"] for row in ran.json["rows"]]
        return bool(held)

    wait_for(there, what="a published question", timeout_s=30)
    return held[-1]


def test_a_copy_is_read_for_a_purpose_grows_and_verifies(nodes: Nodes, copy: Path) -> None:
    wait_for(lambda: audit(nodes, "fetch", copy, "--purpose", "integrity").code == 0, what="a checkpoint", timeout_s=30)
    first = Copy(DirectoryFolder(copy), "copy").head.size
    asked(nodes, "SHIFT-1")
    assert denied_or_asked(nodes, copy) >= 0
    grown = Copy(DirectoryFolder(copy), "copy")
    assert grown.head.size > first and not grown.has_payloads
    card = nodes.root / "card"
    nodes_card(nodes, card)
    ran = limen("--json", "audit", "verify", str(copy), "--trust", str(card))
    assert ran.code == 0, ran.err
    found = audit(nodes, "search", copy, "--trust", card, "--live", "lawfulness", "--kind", "audit.read").json
    assert found["checkpoint"]["signed"] is True and all(row["included"] for row in found["rows"])
    assert {row["purpose"] for row in found["rows"]} == {"integrity"}
    assert "kind" in {row["public"]["filter"] for row in found["rows"]}


def nodes_card(nodes: Nodes, card: Path) -> None:
    federation = next(iter(sorted((nodes["PAN"].folder / "federation").iterdir())))
    ran = limen("audit", "card", "--federation", str(federation), "--state", "PAN", "--quorum", "0", "-o", str(card))
    assert ran.code == 0, ran.err


def test_without_a_purpose_the_node_tells_nothing(nodes: Nodes, copy: Path) -> None:
    ran = audit(nodes, "fetch", copy, "--purpose", "curiosity")
    assert ran.code == 2 and "lawfulness, self-monitoring" in ran.err and not copy.exists()


def test_what_is_sealed_is_opened_by_two_persons_and_reviewed(nodes: Nodes, copy: Path) -> None:
    asked(nodes, "SECRET-CASE-1")
    seq = denied_or_asked(nodes, copy)
    place = nodes["PAN"].folder / "handover"
    words = ("--purpose", "lawfulness", "--passphrase-file", nodes.passphrase_file)

    def sign(who: str, *role: str) -> Path:
        out = nodes.root / f"{who}.reveal"
        ran = audit(nodes, "reveal", copy, seq, *words, "--sign", out, "--key", nodes["PAN"].officers[who], *role)
        assert ran.code == 0, ran.err
        return out

    own, other = sign("auditor-1"), sign("chief-1", "--role", "supervisor")
    opening = ("--purpose", "lawfulness", "--reader-key", place / "auditor.key")
    alone = audit(nodes, "reveal", copy, seq, *opening, "--signature", own, "--signature", own)
    assert alone.code == 3 and alone.json["reasons"] == ["signers"]
    ran = audit(nodes, "reveal", copy, seq, *opening, "--signature", own, "--signature", other)
    assert ran.code == 0, ran.err
    assert ran.json["opened"]["officer"] == "PAN-booth-1"

    def reviewed() -> bool:
        assert audit(nodes, "fetch", copy, "--purpose", "integrity").code == 0
        kinds = [read["kind"] for read in audit(nodes, "reads", copy).json["reads"]]
        return "audit.revealed" in kinds and "audit.denied" in kinds

    wait_for(reviewed, what="the readings in the log", timeout_s=30)
    export = nodes.root / "export"
    assert limen("audit", "export", str(export), "--config", str(nodes["PAN"].folder), "--cosignatures", "0").code == 0
    reads = audit(nodes, "reads", export, "--reader-key", place / "supervisor.key").json["reads"]
    (revealed,) = [read for read in reads if read["kind"] == "audit.revealed"]
    card = nodes.root / "card"
    nodes_card(nodes, card)
    judged = subprocess.run(
        [sys.executable, "examples/limen_verify.py", export, "--trust", card], cwd=ROOT, check=False
    )
    assert judged.returncode == 0
    assert revealed["who"] == "PAN-auditor-1, PAN-chief-1" and revealed["purpose"] == "lawfulness"


def test_a_workstation_of_officers_reads_nothing(nodes: Nodes, copy: Path) -> None:
    booth = nodes.root / "wrong"
    shutil.copytree(nodes["PAN"].booth, booth)
    (booth / "booth.toml").write_text((nodes["PAN"].folder / "auditor" / "booth.toml").read_text().replace(
        "../run", str(nodes["PAN"].folder / "run")))  # fmt: skip
    ran = limen("audit", "fetch", str(copy), "--purpose", "integrity", "--booth", str(booth))
    assert ran.code == 3 and not copy.exists()


def test_a_folder_that_is_no_copy_is_named(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ran = audit(nodes, "fetch", tmp_path, "--purpose", "integrity")
    assert ran.code == 8 and "name a new folder" in ran.err


def test_a_node_that_shows_less_than_the_copy_is_refused(nodes: Nodes, copy: Path) -> None:
    assert audit(nodes, "fetch", copy, "--purpose", "integrity").code == 0
    other = nodes["HND"].folder / "auditor"
    ran = limen("audit", "fetch", str(copy), "--purpose", "integrity", "--booth", str(other))
    assert ran.code == 6
