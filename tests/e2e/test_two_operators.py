"""The README's "Two states in ten minutes", line by line, under two user accounts that cannot read each other's files.

Run as root (as in CI) each side is another user with a home of mode 0700; without root both run as the one user there
is, and the test of the two accounts is skipped, visibly. Files travel as they would by mail: what one command wrote is
copied into the other's home. Words are typed at a terminal.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from gateway.cli.acts.nodes import free_ports
from gateway.store.reader import Reader
from tests.extras import ROOT

UIDS = {"PAN": 64_101, "HND": 64_102}
TRAVEL = (".invitation", ".answer", ".list", ".agreement")
LISTENERS = ("peers", "home", "auditors", "metrics")
PAGE = (ROOT / "README.md").read_text("utf-8")
HOUR = (ROOT / "docs" / "first-hour.md").read_text("utf-8")


BECOME = """
import os, sys
number = int(sys.argv[1])
os.setgroups([])
os.setgid(number)
os.setuid(number)
os.execv(sys.argv[2], sys.argv[2:])
"""


def become(state: str) -> list[str]:
    """What stands before a command to run it as the state's operator. Not `subprocess`'s own `user`: that forks, and a
    fork of a process in which gRPC works may end by SIGSEGV before it becomes the command."""
    return [sys.executable, "-c", BECOME, str(UIDS[state])]


def lines(name: str = "two-states", page: str = PAGE) -> list[tuple[str, list[str]]]:
    """(who, what) of each line of a block of a page."""
    block = re.search(rf"<!-- {name}:begin -->\n```text\n(.*?)```\n<!-- {name}:end -->", page, re.DOTALL)
    assert block is not None
    return [(line[:3], line.removeprefix(f"{line[:3]}$ ").split()) for line in block[1].splitlines()]


@cache
def interpreter() -> str | None:
    """A Python of this version that another user can run with our packages; None where there is none."""
    for candidate in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")):
        if candidate is None:
            continue
        version = sys.version_info[:2]
        tried = f"import sys, gateway.app.node, gateway.cli.acts.demo; assert sys.version_info[:2] == {version}"
        try:
            done = subprocess.run(
                [*become("PAN"), candidate, "-c", tried], env=environment(), cwd="/", capture_output=True, check=False,
                timeout=60,
            )  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None


def environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "adapters"), sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]]
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(dict.fromkeys(paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
        "GRPC_VERBOSITY": "NONE",
    }


@dataclass
class Operator:
    """One side: a home, an account, and ports of its own that the environment names (README: the listeners' flags)."""

    state: str
    home: Path
    python: str
    ports: list[int]
    become: list[str]
    """What makes a command the operator's own; empty where there is one account."""

    words: str = ""
    serving: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            f"LIMEN_LISTENERS_{name.upper()}": f"127.0.0.1:{port}"
            for name, port in zip(LISTENERS, self.ports, strict=True)
        }
        return {**environment(), **own, "HOME": str(self.home)}

    def expanded(self, word: str) -> list[str]:
        """As a shell would."""
        return sorted(str(path.relative_to(self.home)) for path in self.home.glob(word)) if "*" in word else [word]

    def start(self, command: list[str], **streams: object) -> subprocess.Popen[bytes]:
        assert command[0] == "limen"
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [*self.become, self.python, "-m", "gateway", *command[1:]],
            cwd=self.home, env=self.environment, start_new_session=True, **streams,
        )  # fmt: skip

    def run(self, command: list[str], heard: str = "") -> str:
        """A command at a terminal, where the words that were heard are typed."""
        ours, theirs = pty.openpty()
        try:
            running = self.start(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if heard:
                os.write(ours, heard.encode() + b"\n")
            try:
                out, err = running.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                out, err = running.communicate()
                raise AssertionError((command, heard, out.decode(), err.decode())) from None
        finally:
            os.close(ours)
            os.close(theirs)
        assert running.returncode == 0, (command, out.decode(), err.decode())
        return out.decode()

    def serve(self, command: list[str]) -> None:
        with (self.home / "log").open("wb") as log:
            self.serving.append(self.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        until = time.monotonic() + 45
        ready = self.home / self.state.lower() / "run" / "node.ready"
        while not ready.exists():
            assert self.serving[-1].poll() is None and time.monotonic() < until, (self.home / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        for one in self.serving:
            one.terminate()
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(one.pid, signal.SIGKILL)
                one.wait()


def follow(operators: dict[str, Operator], typed: list[tuple[str, list[str]]]) -> dict[str, str]:
    """Every line in order; returns what the last command of each side said."""
    said: dict[str, str] = {}
    for who, command in typed:
        operator = operators[who]
        command = [path for word in command for path in operator.expanded(word)]
        other = next(one for state, one in operators.items() if state != who)
        if command[-1] == "&":
            operator.serve(command[:-1])
            continue
        before = set(operator.home.iterdir())
        accepts = command[1:3] == ["peer", "accept"]
        said[who] = operator.run(command, heard=other.words if accepts else "")
        if accepts:
            other.words = ""
        read_out = [line.strip() for line in said[who].splitlines() if line.startswith("    ")]
        if "read these words" in said[who]:
            operator.words = " ".join(read_out)
        for path in set(operator.home.iterdir()) - before:
            if path.suffix in TRAVEL:
                post(path, other)
    return said


def post(path: Path, to: Operator) -> None:
    """By mail: the bytes arrive, and belong to whom they were sent."""
    arrived = to.home / path.name
    arrived.write_bytes(path.read_bytes())
    if to.become:
        os.chown(arrived, UIDS[to.state], UIDS[to.state])


@pytest.fixture(scope="module")
def operators() -> Iterator[dict[str, Operator]]:
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    root.chmod(0o755)
    two = os.geteuid() == 0
    python = interpreter() if two else sys.executable
    if python is None:
        shutil.rmtree(root)
        pytest.skip("no Python here that another user may run: the interpreter or the repository is root's alone")
    numbers = free_ports(8)
    made = {}
    for place, state in enumerate(UIDS):
        home = root / state
        home.mkdir(mode=0o700)
        if two:
            os.chown(home, UIDS[state], UIDS[state])
        made[state] = Operator(state, home, python, numbers[4 * place : 4 * place + 4], become(state) if two else [])
    try:
        yield made
    finally:
        for one in made.values():
            one.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def said(operators: dict[str, Operator]) -> dict[str, str]:
    return follow(operators, lines())


def test_the_readme_has_at_most_four_commands_a_side() -> None:
    for state in UIDS:
        typed = [command for who, command in lines() if who == state and command[1] != "serve"]
        assert len(typed) == 4, typed
        assert typed[0][1] == "init" and typed[-1][1:3] == ["peer", "test"]


def test_the_readmes_lines_connect_two_states(said: dict[str, str]) -> None:
    for state, other in (("PAN", "HND"), ("HND", "PAN")):
        assert said[state].rstrip().endswith(f"{other} and {state} are connected.")
        rows = {line.split("  ")[0]: line for line in said[state].splitlines() if not line.startswith("->")}
        for step in ("name", "port", "TLS", "identity", "message", "clock", "versions", "baseline"):
            assert re.match(rf"{step} +ok +[0-9]+\.[0-9] ", rows[step]), rows[step]
        # No agreement yet: both sides' rules say so, and the line is up all the same.
        assert "no_agreement" in rows["policy here"] and "no_agreement" in rows["policy there"]
        assert "[" not in said[state] and "('" not in said[state]


def test_both_logs_know_of_the_dry_run(operators: dict[str, Operator], said: dict[str, str]) -> None:
    assert said
    for operator in operators.values():
        database = operator.home / operator.state.lower() / "store" / "node.db"
        assert database.stat().st_size > 0
        kinds = subprocess.run(
            [*operator.become, operator.python, "-c", KINDS, str(database.parent)], env=operator.environment, cwd="/",
            text=True, capture_output=True, check=True,
        )  # fmt: skip
        assert json.loads(kinds.stdout).count("policy.dry_run") >= 2


KINDS = """
import json, sys
from pathlib import Path
from gateway.audit.leaf import Leaf
from gateway.store.reader import Reader
reader = Reader(Path(sys.argv[1]))
print(json.dumps([Leaf.parse(data).kind for data in reader.leaves(0, reader.size())]))
"""


def test_neither_side_can_read_the_others_files(operators: dict[str, Operator], said: dict[str, str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to run the two sides as two users; both ran as one")
    assert said
    for state, other in (("PAN", "HND"), ("HND", "PAN")):
        theirs = operators[other].home
        for path in (theirs, theirs / other.lower() / "limen.toml", theirs / other.lower() / "keys" / "message.key"):
            done = subprocess.run([*become(state), "/usr/bin/head", "-c1", str(path)], capture_output=True, check=False)
            assert done.returncode != 0 and b"ermission denied" in done.stderr, path
        # And every file is its own user's.
        assert {path.stat().st_uid for path in (theirs / other.lower()).rglob("*")} == {UIDS[other]}


def test_the_first_hours_agreement_lets_both_sides_rules_say_yes(
    operators: dict[str, Operator], said: dict[str, str]
) -> None:
    assert said
    *first, pan, hnd = lines("agreement", HOUR)
    follow(operators, first)
    until = time.monotonic() + 20
    while True:
        # A running node follows a new bundle within a second or two.
        try:
            told = follow(operators, [pan, hnd])
            break
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
    for state, other in (("PAN", "HND"), ("HND", "PAN")):
        assert "would ask SEC.WATCH under AGR-HND-PAN" in told[state]
        assert "would answer SEC.WATCH under AGR-HND-PAN" in told[state]
        assert told[state].rstrip().endswith(f"{other} and {state} are connected.")


def test_the_first_hours_backup_comes_back(operators: dict[str, Operator], said: dict[str, str]) -> None:
    assert said
    pan = operators["PAN"]
    file = pan.home / "passphrase"
    file.write_text("correct horse battery\n")
    if pan.become:
        os.chown(file, UIDS["PAN"], UIDS["PAN"])
    until = time.monotonic() + 30
    doctor, form, backup, restore = lines("backup", HOUR)
    # The log must have been signed once: the first checkpoint leaves after ten seconds.
    while not _is_signed(pan) and time.monotonic() < until:
        time.sleep(0.2)
    told = follow(operators, [doctor, form])
    assert told["PAN"].startswith("Firewall form of the gateway of PAN")
    follow(operators, [backup, restore])
    again = pan.home / "again"
    assert (again / "keys" / "log.key").read_bytes() == (pan.home / "pan" / "keys" / "log.key").read_bytes()
    assert not list((again / "keys" / "seeds").iterdir())


def _is_signed(operator: Operator) -> bool:
    reader = Reader(operator.home / operator.state.lower() / "store")
    try:
        return reader.last_digest() is not None
    finally:
        reader.close()


def test_peer_test_names_the_step_that_fails_when_the_other_side_is_gone(
    operators: dict[str, Operator], said: dict[str, str]
) -> None:
    assert said
    operators["HND"].stop()
    running = operators["PAN"].start(
        ["limen", "peer", "test", "HND", "--config", "pan", "--json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = running.communicate(timeout=60)
    told = json.loads(out)
    assert (running.returncode, told["ok"], told["failed"]) == (5, False, "port")
    assert [step["state"] for step in told["steps"]] == ["ok", "ok", "fail"]
    assert err.decode().count("\n") == 1 and "connection refused" in err.decode()
