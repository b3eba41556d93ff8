"""Backup, erase, restore with real nodes (T15): no seed comes back, no log forks, a new epoch opens.

Two states of their own, because a node is erased here. The tests build on each other: a copy made while the node ran
is too old to go on from, the one made after it had stopped is not.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from gateway.cli.acts.nodes import PASSPHRASE, Ran, limen
from gateway.keyring import vault
from gateway.store.lock import RESTORED
from gateway.store.reader import Reader
from gateway.terms.hidden import Hidden
from tests.support.states import States, running

AGENCIES = {"PAN": "SNM", "HND": "INM"}


@dataclass(frozen=True, slots=True)
class Lost:
    """The region, and PAN's backups."""

    states: States

    @property
    def pan(self) -> Path:
        return self.states.folder("PAN")

    def node(self, verb: str, *more: object, code: int = 0) -> Any:
        ran = limen(
            "--json", "node", verb, *map(str, more), "--passphrase-file", str(self.states.nodes.passphrase_file)
        )
        assert ran.code == code, ran.err
        return json.loads(ran.out) if code == 0 else ran.err

    def backup(self, to: Path) -> Any:
        return self.node("backup", to, "--config", self.pan)

    def erase(self) -> None:
        """What belongs off the node is kept by those who hold it: the tests go on with it."""
        for name in ("anchor", "handover", "policy-authority", "booth"):
            shutil.rmtree(self.states.root / name, ignore_errors=True)
            shutil.move(self.pan / name, self.states.root / name)
        shutil.rmtree(self.pan)

    def restore(self, backup: Path) -> Any:
        done = self.node("restore", backup, self.pan)
        for name in ("anchor", "handover", "policy-authority", "booth"):
            shutil.copytree(self.states.root / name, self.pan / name)
        return done

    def seeds(self) -> dict[str, str]:
        """Each epoch seed of PAN's: its place, and the secret in hexadecimal."""
        root = self.pan / "keys" / "seeds"
        return {
            str(path.relative_to(root)): path.read_text().split("secret: ")[1].strip() for path in root.rglob("*.key")
        }

    def checkpoint_size(self) -> int:
        with self.states.reading("PAN") as reader:
            held = reader.last_checkpoint()
        return 0 if held is None else int(held[0].split(b"\n")[1])

    def ask(self) -> Ran:
        """A question of HND's to which PAN has the answer."""
        return self.states.ask("document_wanted")


@pytest.fixture(scope="module")
def lost() -> Iterator[Lost]:
    with running(AGENCIES, entries=20) as states:
        yield Lost(states)


def plain(backup: Path) -> bytes:
    """All that a backup holds, opened: the tar, with the database in it."""
    with backup.open("rb") as source:
        opener = vault.Opener(source, vault.header(source), Hidden(PASSPHRASE))
        found = b""
        while part := opener.read(1 << 20):
            found += part
        return found


def test_a_running_node_is_backed_up_whole_and_without_a_seed(lost: Lost) -> None:
    assert lost.ask().json["outcome"] == "HIT"
    backup = lost.states.root / "running.backup"
    done = lost.backup(backup)
    assert done["logged"] and done["bytes"] == backup.stat().st_size
    assert lost.states.leaves("PAN", kind="node.backup")[-1].public["digest"] == bytes.fromhex(done["sha256"])
    assert backup.stat().st_mode & 0o777 == 0o600

    seeds = lost.seeds()
    assert seeds
    held = plain(backup)
    for secret in seeds.values():
        assert secret.encode() not in held and bytes.fromhex(secret) not in held
    with tarfile.open(fileobj=cast(BinaryIO, io.BytesIO(held))) as tar:
        names = tar.getnames()
    assert names[:3] == ["manifest.json", "limen.toml", "store/node.db"]
    left_out = ("keys/seeds", "periods", "tables", "copies", "lock", "run", "anchor")
    assert not [name for name in names if name.startswith(left_out)]
    assert {f"keys/{one}.key" for one in ("message", "log", "token", "witness", "handle", "case")} <= set(names)
    # Sealed: neither the state's list nor a key stands in the file.
    listed = lost.states.data.lists["PAN"].persons[0]
    assert listed.entry_id.encode() in held
    assert listed.entry_id.encode() not in backup.read_bytes()
    assert (lost.pan / "keys/message.key").read_bytes() not in backup.read_bytes()
    assert "is there already" in lost.node("backup", backup, "--config", lost.pan, code=8)


def test_a_backup_comes_back_whole_or_not_at_all(lost: Lost, tmp_path: Path) -> None:
    backup = lost.states.root / "running.backup"
    data = backup.read_bytes()
    place = tmp_path / "pan"
    for name, bent in (("cut", data[:-1000]), ("changed", data[:5000] + b"\0" + data[5001:]), ("none", b"hello\n")):
        (tmp_path / name).write_bytes(bent)
        lost.node("restore", tmp_path / name, place, code=8 if name == "none" else 6)
        assert not place.exists() and not list(tmp_path.glob(".*"))
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase\n")
    ran = limen("node", "restore", str(backup), str(place), "--passphrase-file", str(wrong))
    assert (ran.code, ran.err.count("\n")) == (6, 1) and "does not open this file" in ran.err
    assert "there is something already" in lost.node("restore", backup, lost.pan, code=8)


def test_a_restored_node_signs_nothing_until_a_witness_has_answered(lost: Lost) -> None:
    states = lost.states
    old_seeds = lost.seeds()
    states.nodes.stop("PAN")
    backup = states.root / "stopped.backup"
    assert lost.backup(backup)["logged"] is False
    size, signed = states.size("PAN"), lost.checkpoint_size()
    lost.erase()
    lost.restore(backup)
    assert lost.seeds() == {} and (lost.pan / "lock" / RESTORED).exists()

    with states.unreachable("HND"):
        states.nodes.start("PAN")
        states.until(lambda: b"waiting for a witness" in states.nodes["PAN"].log_file.read_bytes(), "PAN waits")
        ran = lost.ask()
        assert ran.code == 5 and ran.json["unreachable"] == ["PAN"]
        assert lost.checkpoint_size() == signed
        # Its own start is all that its log has more; no entry, no answer.
        assert [leaf.kind for leaf in states.leaves("PAN", size)] == ["node.started"]
        said = limen("--json", "peer", "test", "PAN", "--config", str(states.folder("HND")))
        assert said.code == 5 and said.json["failed"] == "message"
        doctor = limen("--json", "doctor", "--offline", "--config", str(lost.pan)).json["checks"]
        assert [row["state"] for row in doctor if row["check"] == "log"] == ["warn"]

    # HND can be reached again: it has seen no more of PAN's log than the backup has.
    states.until(lambda: not (lost.pan / "lock" / RESTORED).exists(), "a witness has answered")
    states.until(lambda: lost.checkpoint_size() > signed, "PAN signs again")
    (entry,) = states.leaves("PAN", size, kind="node.restored")
    assert int(entry.public["their_size"]) <= signed and entry.public["size"] == signed

    # Restore means a new epoch: new seeds, new tables, and the same answers.
    states.until(lambda: bool(lost.seeds()), "a new epoch")
    assert not set(lost.seeds().values()) & set(old_seeds.values())
    states.settled()
    states.whole("HND")
    assert lost.ask().json["outcome"] == "HIT"


def test_the_log_of_a_restored_node_verifies_to_its_beginning(lost: Lost, tmp_path: Path) -> None:
    ran = lost.states.audit("PAN", tmp_path)
    assert ran.code == 0, ran.err


def test_a_copy_that_is_too_old_ends_the_log_instead_of_forking_it(lost: Lost) -> None:
    states = lost.states
    states.nodes.stop("PAN")
    with states.reading("HND") as reader:
        held = reader.witness("limen/PAN/log")
    assert held is not None
    seen = held.size
    lost.erase()
    lost.restore(states.root / "running.backup")
    states.nodes.start("PAN")
    mark = lost.pan / "lock" / RESTORED
    process = states.nodes["PAN"].process
    assert process is not None
    # At its first start, with one sentence: nobody has to start it again to be told.
    assert process.wait(60) == 1
    assert mark.read_text().startswith("ended: ") and f"HND has seen {seen} entries" in mark.read_text()
    told = states.nodes["PAN"].log_file.read_text("utf-8", errors="replace")
    assert told.count(f"limen PAN: HND has seen {seen} entries of this log") == 1, told
    assert told.count("going on would fork it") == 1, told
    ran = lost.ask()
    assert ran.code == 5 and ran.json["unreachable"] == ["PAN"]
    assert lost.checkpoint_size() < seen
    # HND was shown no other log: it has nothing to hold against PAN.
    assert states.leaves("HND", kind="checkpoint.fault") == []
    states.nodes.stop("PAN")
    # Whatever happens to the network: it does not start again with this log.
    started = subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--config", str(lost.pan)],
        env={**os.environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert started.returncode == 1 and "going on would fork it" in started.stderr
    doctor = limen("--json", "doctor", "--offline", "--config", str(lost.pan))
    (found,) = [row for row in doctor.json["checks"] if row["check"] == "log"]
    assert doctor.code == 1 and found["state"] == "fail" and "going on would fork it" in found["detail"]


def _decide(lost: Lost, name: str, *more: str, code: int = 0) -> Path:
    out = lost.states.root / f"decision-{name}"
    ran = limen(
        "--json", "node", "decide", "--reason", "older_copy", "--decision", "D-2026-7", "--key",
        str(lost.states.nodes["PAN"].officers[name]), "-o", str(out), "--config", str(lost.pan),
        "--passphrase-file", str(lost.states.nodes.passphrase_file), *more,
    )  # fmt: skip
    assert ran.code == code, ran.err
    return out


def _recover(lost: Lost, *signatures: Path, reason: str = "older_copy") -> Ran:
    given = [part for one in signatures for part in ("--signature", str(one))]
    return limen(
        "--json", "node", "recover", "--reason", reason, "--decision", "D-2026-7", *given, "--config", str(lost.pan)
    )


def test_two_supervisors_begin_a_new_log_and_one_does_not(lost: Lost) -> None:
    """The node of the test above, whose log has ended."""
    one, other = _decide(lost, "list-1"), _decide(lost, "list-2")
    assert _recover(lost, one).code == 3
    assert _recover(lost, one, one).code == 6
    # Signed about an older copy, and not about anything else.
    assert _recover(lost, one, other, reason="damaged").code == 6
    held = lost.states.size("PAN")
    signed = lost.checkpoint_size()
    ran = _recover(lost, one, other)
    assert ran.code == 0, ran.err
    assert ran.json == {
        "origin": "limen/PAN/log/2", "former": "limen/PAN/log", "signed_size": signed, "held": held,
        "reason": "older_copy",
    }  # fmt: skip
    (begun,) = lost.states.leaves("PAN")
    assert begun.kind == "log.begun" and begun.public["former"] == "limen/PAN/log"
    with closing(Reader(lost.pan / "store" / "ended-1")) as reader:
        assert reader.size() == held and reader.origin() == "limen/PAN/log"
    # What was decided about is gone, so the same two signatures begin no third log.
    assert _recover(lost, one, other).code == 6


def test_the_new_log_goes_on_and_peers_log_it_when_the_list_of_members_names_it(lost: Lost, tmp_path: Path) -> None:
    states = lost.states
    states.nodes.start("PAN")
    with states.reading("HND") as reader:
        former = reader.witness("limen/PAN/log")
    assert former is not None
    states.nodes.federate(2)
    states.until(lambda: bool(states.leaves("HND", kind="log.replaced")), "HND has adopted the new list")
    (replaced,) = states.leaves("HND", kind="log.replaced")
    assert replaced.peer == "PAN"
    assert replaced.public == {
        "former": "limen/PAN/log", "origin": "limen/PAN/log/2", "version": 2, "size": former.size, "root": former.root,
    }  # fmt: skip

    # HND witnesses the new log, and PAN answers again.
    def cosigned() -> bool:
        with states.reading("PAN") as reader:
            return reader.quorum_time(1) is not None

    states.until(cosigned, "HND has cosigned the new log")
    with states.reading("HND") as reader:
        assert reader.witness("limen/PAN/log") == former and reader.witness("limen/PAN/log/2") is not None
    states.settled()
    states.whole("HND")
    assert lost.ask().json["outcome"] == "HIT"
    assert states.leaves("HND", kind="checkpoint.fault") == []
    # Officers and bundles are in the new log; it verifies from its first entry on.
    kinds = {leaf.kind for leaf in states.leaves("PAN")}
    assert {"officer.enrolled", "policy.activated", "federation.adopted", "node.started"} <= kinds
    ran = states.audit("PAN", tmp_path)
    assert ran.code == 0, ran.err

    # The former log is exported beside it, and that is an act in the new one.
    ran = limen(
        "--json", "audit", "export", str(tmp_path / "former"), "--config", str(lost.pan),
        "--set", f"paths.store={lost.pan / 'store' / 'ended-1'}",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert (tmp_path / "former" / "checkpoint").read_bytes().startswith(b"limen/PAN/log\n")
    assert states.leaves("PAN", kind="audit.exported")[-1].public["size"] == ran.json["size"]
