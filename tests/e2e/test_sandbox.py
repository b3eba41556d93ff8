"""The sandbox as a developer on a bare machine has it: every published traveller, and a node of his own.

What docs/sandbox.md tells people to type for a node of their own is what is typed here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.leaf import Leaf
from gateway.cli.acts.nodes import limen
from gateway.cli.acts.travellers import ABSENT, CASES, DOWN, OWNER, REFUSED, TRAVELLERS, Published
from gateway.cli.verbs import SIGNED
from gateway.store.reader import Reader
from tests.extras import ROOT
from tests.region import free_ports, wait_for
from tests.support.states import watched

PAGE = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
LISTENERS = ("peers", "home", "auditors", "metrics")
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"}


@dataclass(frozen=True)
class Box:
    """A sandbox that runs, and the folder it was started in."""

    at: Path
    said: dict[str, Any]

    def check(self, one: Published, booth: str = "") -> Any:
        return limen("--json", "check", "--booth", booth or self.said["booth"], "--purpose", one.purpose, "--basis",
                     one.basis, "--case", "TEST-1", *one.options, stdin="\n".join(one.zone).encode())  # fmt: skip


@contextlib.contextmanager
def running(at: Path) -> Iterator[Box]:
    """`limen sandbox --json` in a folder, until the end of the block; then as Ctrl-C ends it."""
    with (at / "sandbox.err").open("ab") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "sandbox", "--port", "0", "--json"],
            cwd=at, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        assert lines, (at / "sandbox.err").read_text()
        yield Box(at, json.loads("".join(lines)))
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(60) == 0, (at / "sandbox.err").read_text()


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    # Not pytest's own folder: a socket's path has to be short.
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    with watched(root):
        with running(root):
            pass
        # Ended and started again: the folder is the same sandbox.
        with running(root) as again:
            yield again


def shown(answer: Any) -> list[tuple[object, ...]]:
    return [(hit["owner"], hit["kind"], hit["class"], hit["action"], hit["screening_required"])
            for hit in answer["hits"]]  # fmt: skip


@pytest.mark.parametrize("one", TRAVELLERS, ids=lambda one: one.name)
def test_every_published_traveller_comes_out_as_the_table_says(box: Box, one: Published) -> None:
    assert (Path(box.said["folder"]) / "travellers" / f"{one.name}.mrz").read_text().splitlines() == list(one.zone)
    ran = box.check(one)
    assert ran.code == one.exit_code, ran.err
    if one.exit_code == 3:
        return
    answer = ran.json
    assert answer["outcome"] == one.outcome
    assert answer["unreachable"] == list(one.unreachable)
    assert shown(answer) == [(hit.owner, hit.kind, hit.match, hit.action, hit.screening_required) for hit in one.hits]
    assert [row["owner"] for row in answer["refused"]] == ([] if one.basis == DOWN else [ABSENT])


def test_what_a_peer_refuses_left_our_node_and_was_refused_there(box: Box) -> None:
    (one,) = (one for one in TRAVELLERS if one.basis == REFUSED)
    with contextlib.closing(Reader(Path(box.said["folder"]) / OWNER / "store")) as reader:
        before = reader.size()
        assert box.check(one).code == 3
        kinds = {Leaf.parse(data).kind for data in reader.leaves(before, reader.size())}
    assert "check.refused" in kinds


def test_the_table_is_printed_without_a_sandbox(tmp_path: Path) -> None:
    told = limen("--json", "sandbox", str(tmp_path / "none"), "--travellers").json
    assert [row["name"] for row in told] == [one.name for one in TRAVELLERS]
    assert not (tmp_path / "none").exists()


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    assert limen("sandbox", str(tmp_path)).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_started_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = limen("-q", "sandbox", str(tmp_path / "box"), "--port", str(port))
    assert ran.code == 2 and f"port {port}" in ran.err
    deep = tmp_path / ("d" * 90)
    ran = limen("-q", "sandbox", str(deep / "box"), "--port", "0")
    assert ran.code == 1 and "write a shorter folder" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "box").exists() and not (deep / "box").exists()


def test_a_screen_of_the_sandbox_says_so(box: Box) -> None:
    assert box.check(TRAVELLERS[0]).err.startswith("SANDBOX: everybody here is invented")


def act(box: Box, name: str, verb: str, *more: str) -> Any:
    """`limen case` as a person of SBY's desk, at a workstation of their own."""
    folder = Path(box.said["folder"])
    booth = folder / f"{name}.place"
    signed = ["--key", box.said["desk"][name], "--passphrase-file", box.said["passphrase_file"]]
    if not booth.exists():
        shutil.copytree(box.said["booth"], booth)
        assert limen("officer", "login", "--booth", str(booth), *signed).code == 0
    ran = limen("--json", "case", verb, *more, "--booth", str(booth), *(signed if verb in SIGNED else ()))
    assert ran.code == 0, ran.err
    return ran.json


@pytest.mark.parametrize("entry", CASES)
def test_what_follows_a_hit_comes_out_as_the_page_says(box: Box, entry: str) -> None:
    follow = CASES[entry]
    (one,) = (one for one in TRAVELLERS if one.name == follow.traveller)
    (hit,) = box.check(one).json["hits"]
    number, asker = hit["case"], "child-1" if hit["kind"] == "MISSING_CHILD" else "desk-1"
    if hit["screening_required"]:
        act(box, "protection-1", "screen", number, "--code", "CLEAR")
    act(box, "desk-1", "confirm", number)
    act(box, asker, "request", number)
    wait_for(lambda: act(box, asker, "show", number)["state"] == follow.ends, what=follow.ends, timeout_s=60)
    got = act(box, asker, "show", number)
    if follow.code:
        assert got["refusal"] == follow.code and got["disclosed"] == {}
    else:
        assert set(follow.fields) <= set(got["disclosed"]) and bool(got["withheld"]) == bool(follow.fields)
    assert re.search(rf"^\| `{follow.traveller}` \| .* \| `{follow.ends}`", PAGE, re.MULTILINE)


def test_a_live_node_is_not_admitted(box: Box, tmp_path: Path) -> None:
    live = tmp_path / "live"
    assert limen("init", "--state", "HND", str(live)).code == 0
    card = str(tmp_path / "HND.card")
    assert limen("federation", "card", "--config", str(live), "-o", card).code == 0
    ran = limen("sandbox", box.said["folder"], "--admit", card)
    assert ran.code == 6 and "the two never meet" in ran.err
    # Nor does it take the sandbox's list, were it to be handed one.
    members = next((Path(box.said["folder"]) / "members").glob("*.list"))
    ran = limen("federation", "accept", str(members), "--config", str(live))
    assert ran.code == 6 and "the two never meet" in ran.err


def test_a_node_of_ones_own_joins_by_the_pages_commands(box: Box) -> None:
    found = re.search(r"<!-- own-node:begin -->\n```text\n(.*?)```\n<!-- own-node:end -->", PAGE, re.DOTALL)
    assert found is not None
    commands = found[1].splitlines()
    ports = [f" --{name} 127.0.0.1:{port}" for name, port in zip(LISTENERS, free_ports(4), strict=True)]
    assert commands[0].startswith("limen init ")
    commands[0] += "".join(ports)
    (served,) = (command for command in commands if command.startswith("limen serve"))
    program = f'limen() {{ {sys.executable} -m gateway "$@"; }}\n'
    process = None
    try:
        for command in commands:
            if command == served:
                with (box.at / "pan.log").open("wb") as log:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "gateway", *command.split()[1:]],
                        cwd=box.at, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    )  # fmt: skip
                wait_for((box.at / "pan" / "run" / "node.ready").exists, what="pan", timeout_s=60, process=process)
                continue
            done = subprocess.run(
                ["sh", "-c", program + command],
                cwd=box.at,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                check=False,
            )
            if command.startswith("limen check"):
                break
            assert done.returncode == 0, (command, done.stderr)
        booth = str(box.at / "pan" / "booth")
        (specimen,) = (one for one in TRAVELLERS if one.name == "specimen")
        wait_for(lambda: box.check(specimen, booth).code == 0, what="SBX's tables", timeout_s=60)
        done = subprocess.run(
            ["sh", "-c", program + command], cwd=box.at, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and "HIT SBX" in done.stdout, done.stderr
        # The travellers come out as at SBY's desk; SBY itself has no agreement with us.
        for one in TRAVELLERS:
            ran = box.check(one, booth)
            assert ran.code == one.exit_code, (one.name, ran.err)
            if one.exit_code != 3:
                assert shown(ran.json) == [
                    (hit.owner, hit.kind, hit.match, hit.action, hit.screening_required) for hit in one.hits
                ]
                assert ran.json["unreachable"] == list(one.unreachable)
                assert "SBY" in {row["owner"] for row in ran.json["refused"]}
    finally:
        if process is not None:
            process.terminate()
            process.wait(30)
        shutil.rmtree(box.at / "pan", ignore_errors=True)
