"""Faults planted in a node, one at a time, and the one sentence with its fix that `limen doctor` has for each.

Planted for real wherever a test can: a certificate made with a past clock, a closed port, a key file others may read.
What belongs to the machine (its C library, a library that judges points, a full disk) is read through `doctor.Machine`;
the full disk is also a real one where the tests may mount it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.cli.acts import doctor
from gateway.cli.acts.doctor import MACHINE, Finding, Machine
from gateway.cli.main import run
from gateway.clock import SystemClock
from gateway.errors import Malformed
from gateway.federation import certificates
from gateway.federation.certificates import KeyPair
from gateway.keyring import files
from gateway.primitives import group
from gateway.rpc.convert.peers import SUITE
from gateway.terms.exchange import Description
from gateway.terms.ids import EpochId, PeerId
from gateway.terms.words import KeyType

DAY_NS = 86_400 * 10**9
WELL = replace(MACHINE, glibc=lambda: "glibc 2.36", free_bytes=lambda folder: 1 << 40)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PAN, a peer of HND; neither runs. HND's address is a port of this machine that nobody listens on."""
    root = tmp_path_factory.mktemp("made")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for state in ("PAN", "HND"):
        assert run(["init", "--state", state, str(root / state), "-q"]) == 0
    cards = []
    for state, endpoint in (("PAN", "127.0.0.1:7401"), ("HND", f"127.0.0.1:{port}"), ("UTO", "gw.uto.invalid:7401")):
        if state == "UTO":
            assert run(["init", "--state", state, str(root / state), "-q"]) == 0
        cards.append(str(root / f"{state}.card"))
        assert run(["federation", "card", "--config", str(root / state), "--endpoint", endpoint, "-o", cards[-1]]) == 0
    listing(root, cards, version=1, days=90)
    (root / "port").write_text(str(port))
    return root


def listing(root: Path, cards: list[str], *, version: int, days: int) -> None:
    baseline = str(root / "PAN/policy/baseline.tar.gz")
    out = str(root / f"list-{version}")
    make = ["--version", str(version), "--threshold", "2", "--baseline", baseline, "--days", str(days), "-o", out]
    assert run(["federation", "make", *cards, *make]) == 0
    for state in ("PAN", "HND"):
        assert (
            run(["federation", "sign", out, "--state", state, "--key", str(root / state / "anchor/federation.key")])
            == 0
        )
    assert run(["federation", "accept", out, "--config", str(root / "PAN")]) == 0


@dataclass
class Ill:
    """A copy of the region to plant faults in."""

    root: Path
    machine: Machine = WELL
    offline: bool = True

    @property
    def pan(self) -> Path:
        return self.root / "PAN"

    @property
    def port(self) -> str:
        return (self.root / "port").read_text()

    def findings(self) -> list[Finding]:
        settings = config.load(self.pan, environ={})
        return list(doctor.examine(settings, offline=self.offline, machine=self.machine))

    def sentence(self, check: str) -> str:
        """What an operator reads of a check, with the folder and the port written as names."""
        (found,) = (one for one in self.findings() if one.check == check)
        told = f"{found.state}: {found.detail}" + (f" -> {found.fix}" if found.fix else "")
        told = told.replace(str(self.root), "DIR").replace(self.port, "PORT")
        return re.sub(r"stands \d+ s before", "stands N s before", told)

    def leaf(self, made_ns: int, days: int = 90, by: str = "PAN") -> None:
        """Another gateway certificate with its key."""
        folder = self.root / by / "anchor"
        anchor = KeyPair((folder / "anchor.key").read_bytes(), (folder / "anchor.crt").read_bytes())
        leaf = certificates.issue_leaf(anchor, PeerId(by), "gateway", made_ns, days=days)
        (self.root / by / "tls/gateway.crt").write_bytes(leaf.certificate_pem)
        (self.root / by / "tls/gateway.key").write_bytes(leaf.key_pem)


@pytest.fixture
def ill(made: Path, tmp_path: Path) -> Ill:
    return Ill(Path(shutil.copytree(made, tmp_path / "r")))


def clock_behind(ill: Ill) -> None:
    ahead_s = SystemClock().now_ns() // 10**9 + 600
    for path in (ill.pan / "store").iterdir():
        os.utime(path, (ahead_s, ahead_s))


def certificate_expired(ill: Ill) -> None:
    ill.leaf(SystemClock().now_ns() - 20 * DAY_NS, days=10)


def certificate_of_tomorrow(ill: Ill) -> None:
    ill.leaf(SystemClock().now_ns() + 3 * DAY_NS)


def wrong_pin(ill: Ill) -> None:
    ill.leaf(SystemClock().now_ns())


def closed_port(ill: Ill) -> None:
    ill.offline = False


def no_policy(ill: Ill) -> None:
    (ill.pan / "policy/national.tar.gz").unlink()


def full_disk(ill: Ill) -> None:
    ill.machine = replace(WELL, free_bytes=lambda folder: 3 << 20)


def open_key(ill: Ill) -> None:
    (ill.pan / "keys/message.key").chmod(0o644)


def open_tls_key(ill: Ill) -> None:
    (ill.pan / "tls/gateway.key").chmod(0o644)


def open_seed(ill: Ill) -> None:
    files.SeedFiles(ill.pan / "keys/seeds").draw(PeerId("HND"), EpochId("20260101-00000000"))
    (ill.pan / "keys/seeds/HND/20260101-00000000.key").chmod(0o640)


def no_key(ill: Ill) -> None:
    (ill.pan / "keys/log.key").unlink()


def old_list(ill: Ill) -> None:
    """A list that held for a day, and the clock is two days on."""
    cards = [str(ill.root / f"{state}.card") for state in ("HND", "PAN", "UTO")]
    listing(ill.root, cards, version=2, days=1)
    (ill.root / "shift").write_text(f"{3 * DAY_NS}\n")
    file = ill.pan / config.FILE_NAME
    file.write_text(file.read_text() + f'\n[clock]\nkind = "virtual"\nfile = "{ill.root / "shift"}"\n')


def lenient_library(ill: Ill) -> None:
    ill.machine = replace(WELL, is_point=lambda encoding: True, carrier=lambda: "libsodium.so.23")


def old_libc(ill: Ill) -> None:
    ill.machine = replace(WELL, glibc=lambda: "glibc 2.31")


def no_glibc(ill: Ill) -> None:
    ill.machine = replace(WELL, glibc=lambda: "")


def no_store(ill: Ill) -> None:
    shutil.rmtree(ill.pan / "store")


def foreign_baseline(ill: Ill) -> None:
    shutil.copy(ill.root / "HND/policy/baseline.tar.gz", ill.pan / "policy/baseline.tar.gz")
    for key in (ill.root / "HND/policy/keys").glob("baseline-*.pem"):
        shutil.copy(key, ill.pan / "policy/keys")


GOLDEN: dict[tuple[Callable[[Ill], None], str], str] = {
    (clock_behind, "clock"): "fail: stands N s before the store's last change -> set it right and run a time service "
    "(chrony): messages more than 30 s off are refused",
    (
        certificate_expired,
        "certificate gateway",
    ): "fail: is not in force: it ended 10 days ago -> issue it anew for the same key: `limen node renew --anchor DIR`",
    (
        certificate_of_tomorrow,
        "certificate gateway",
    ): "fail: is not in force yet: this machine's clock is wrong -> set it "
    "right and run a time service (chrony): messages more than 30 s off are refused",
    (
        wrong_pin,
        "own card",
    ): "fail: the gateway's certificate is not pinned in the list: every peer will refuse this node "
    "-> put the listed certificate back into tls/, or have the others list a new card (limen federation card)",
    (closed_port, "peer HND"): "warn: 127.0.0.1:PORT: Connection refused -> ask the state whether its gateway runs and "
    "listens there, or see `limen doctor --ports`",
    (
        closed_port,
        "peer UTO",
    ): "warn: no name server knows gw.uto.invalid -> have the name entered in this site's DNS, or ask UTO for another",
    (
        no_policy,
        "policy national",
    ): "fail: there is no national bundle: everything is denied -> get a signed bundle and "
    "put it in force with `limen policy activate`",
    (full_disk, "disk"): "fail: the store's disk is full (3 MiB free): no entry can be written and no answer leaves -> "
    "make room; the node goes on by itself, nothing was half done",
    (open_key, "keys"): "fail: DIR/PAN/keys/message.key: others may read this key -> `chmod 600 "
    "DIR/PAN/keys/message.key`, and take the key for known if anybody else has been on this machine",
    (open_tls_key, "keys"): "fail: DIR/PAN/tls/gateway.key: others may read this key -> `chmod 600 "
    "DIR/PAN/tls/gateway.key`, and take the key for known if anybody else has been on this machine",
    (open_seed, "keys"): "fail: DIR/PAN/keys/seeds/HND/20260101-00000000.key: others may read this key -> `chmod 600 "
    "DIR/PAN/keys/seeds/HND/20260101-00000000.key`, and take the key for known if anybody else has been on this "
    "machine",
    (no_key, "keys"): "fail: DIR/PAN/keys/log.key: the log key cannot be read (No such file or directory) -> put the "
    "folder keys back from the backup (limen node restore)",
    (old_list, "federation version 2"): "fail: expired 2 days ago: no peer is spoken to and none is let in -> get the "
    "list that the members signed since, and `limen federation accept` it",
    (
        lenient_library,
        "group arithmetic",
    ): "warn: ristretto255 by libsodium.so.23, self-test passed; it takes for points "
    "what is none (bit 255 set, not reduced, negative), which this gateway refuses itself -> install libsodium "
    "1.0.19 or newer when you can, or set LIMEN_LIBSODIUM to its path",
    (old_libc, "C library"): "fail: is glibc 2.31, and the policy engine needs 2.34 -> update the operating system "
    "(Debian 12 or newer), or use the OPA server as policy engine",
    (no_glibc, "C library"): "fail: is not glibc -> run the gateway on a Linux with glibc 2.34 or newer (Debian 12)",
    (no_store, "store"): "fail: there is no store in DIR/PAN/store -> `limen init` makes one, a backup restores one",
    (
        foreign_baseline,
        "policy baseline",
    ): "fail: is not the one the federation names: peers refuse this node -> get the region's bundle",
}


@pytest.mark.parametrize(("plant", "check"), GOLDEN, ids=lambda one: getattr(one, "__name__", one))
def test_each_fault_has_one_sentence_with_the_fix(plant: Callable[[Ill], None], check: str, ill: Ill) -> None:
    plant(ill)
    assert ill.sentence(check) == GOLDEN[plant, check]


def test_a_node_without_a_fault_has_no_failure(ill: Ill) -> None:
    assert [one for one in ill.findings() if one.state == "fail"] == []
    assert ill.sentence("C library") == "ok: glibc 2.36"
    ill.machine = MACHINE
    assert ill.sentence("C library").startswith("ok: glibc 2.")
    assert ill.sentence("group arithmetic").startswith("ok: ristretto255 by ")


def test_the_judge_of_libraries_has_points_that_are_none() -> None:
    assert len(group.NO_POINTS) == 3
    assert not any(_is_element(encoding) for encoding in group.NO_POINTS.values())
    assert _is_element(group.GENERATOR) and group.carrier_accepts(group.GENERATOR)


def _is_element(encoding: bytes) -> bool:
    try:
        group.GROUP.check([encoding])
    except Malformed:
        return False
    return True


def test_a_library_that_is_none_is_told_by_its_path(ill: Ill) -> None:
    """Another shared library in libsodium's place, for real."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "doctor", "--offline", "--json", "--config", str(ill.pan)],
        env={**os.environ, "LIMEN_LIBSODIUM": "libm.so.6"}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    told = done.stderr + done.stdout
    assert done.returncode != 0
    assert "libm.so.6 is not a libsodium with ristretto255; correct the path or unset it" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"protocol_majors": (2, 3), "release": "9.0.0"}, "release 9.0.0 and ours share no protocol"),
        ({"suites": ()}, "release 0.0.9 and ours share no suite"),
        ({"key_types": ()}, "release 0.0.9 and ours share no kind of key"),
    ],
)
def test_a_peer_of_another_time_is_told_by_what_is_missing(change: dict[str, Any], told: str | None) -> None:
    said = Description(PeerId("HND"), "0.0.9", (1,), (SUITE,), (KeyType.DOC_1,), (8,), bytes(32), 1)
    assert doctor.unlike(replace(said, **change)) == told


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A real disk of 16 MiB; only root may mount one."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "limen-test", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no small disk can be mounted here: " + done.stderr.decode("utf-8", "replace").strip())
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_found(ill: Ill) -> None:
    store = ill.pan / "store"
    kept = shutil.copytree(store, ill.root / "kept")
    with small_disk(store):
        shutil.copytree(kept, store, dirs_exist_ok=True)
        (store / "something-else").write_bytes(bytes(9 << 20))
        ill.machine = MACHINE
        assert ill.sentence("disk").startswith("fail: the store's disk is full (")


# The firewall form


def test_a_new_node_can_be_reached_from_this_machine_alone(ill: Ill) -> None:
    rows = doctor.ports(config.load(ill.pan, environ={}))
    assert {row["reach"] for row in rows if row["direction"] == "in"} == {"this machine"}


def test_a_node_that_was_told_its_name_has_one_outside_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pan"
    assert run(["init", "--state", "PAN", "--host", "gw.pan.example", str(folder), "-q"]) == 0
    capsys.readouterr()
    assert run(["doctor", "--ports", "--config", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["port"] for row in rows if row["direction"] == "in" and row["reach"] == "outside"] == ["7401"]
    assert all(row[name] for row in rows for name in ("direction", "port", "protocol", "who", "why", "reach"))
    assert run(["doctor", "--ports", "--config", str(folder)]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "Firewall form of the gateway of PAN"
    assert "1 port is open to the outside: 7401." in told
    # Peers are told the name, not the wildcard.
    assert run(["federation", "card", "--config", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["endpoints"] == ["gw.pan.example:7401"]


def test_a_second_outside_port_is_called_by_name(ill: Ill, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    outside = ["--set", "listeners.peers=0.0.0.0:7401", "--set", "listeners.metrics=[::]:7404"]
    assert run(["doctor", "--ports", "--config", str(ill.pan), *outside]) == 0
    told = capsys.readouterr().out
    assert "2 ports are open to the outside: 7401, 7404." in told and "Only listeners.peers has to be" in told


@pytest.mark.parametrize("name", ["run", "store"])
def test_a_folder_that_cannot_be_written_is_found(ill: Ill, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # For root every folder can be written: what the system would say to another user is said here.
    folder = ill.pan / name
    folder.mkdir(exist_ok=True)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and real(path, mode))
    (finding,) = [one for one in ill.findings() if one.check == name and one.state == "fail"]
    assert "cannot be written" in finding.detail and f"chmod u+rwx {folder}" in finding.fix


def test_an_opa_server_that_is_not_there_is_found(ill: Ill) -> None:
    with (ill.pan / config.FILE_NAME).open("a") as file:
        file.write(f'\n[policy]\nengine = "opa"\nserver = "unix://{ill.pan}/run/opa.sock"\n')
    told = ill.sentence("policy engine")
    assert told.startswith("fail: unix://DIR/PAN/run/opa.sock: ")
    assert "everything is denied" in told and "opa-config" in told


def test_a_disk_that_is_nearly_full_is_not_called_full(ill: Ill) -> None:
    ill.machine = replace(WELL, free_bytes=lambda folder: 45 << 20)
    assert ill.sentence("disk").startswith("fail: 45 MiB free on the store's disk, and the log may need 64 at once")
