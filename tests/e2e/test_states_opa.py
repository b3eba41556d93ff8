"""Two states whose rules are evaluated by OPA servers: they answer as ever, and not at all while a server is gone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway import config
from gateway.cli.acts.nodes import Nodes, Ran, limen, must
from gateway.terms import ListId
from tests import extras
from tests.support.states import SETTINGS, States, owners, running

pytestmark = pytest.mark.extra("opa")

TWO = {"PAN": "SNM", "HND": "INM"}


@dataclass
class Servers:
    """Each state's OPA server, run by the very command that `limen policy opa-config` prints."""

    commands: dict[str, list[str]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def configure(self, nodes: Nodes) -> None:
        for state, node in nodes.nodes.items():
            address = f"unix://{node.folder / 'run' / 'opa.sock'}"
            with (node.folder / config.FILE_NAME).open("a") as file:
                file.write(f'\n[policy]\nengine = "opa"\nserver = "{address}"\ntimeout_ms = 2000\n')
            self.write(nodes, state)
            self.start(state)

    def write(self, nodes: Nodes, state: str) -> None:
        folder = nodes[state].folder
        told = must("--json", "policy", "opa-config", "-o", str(folder / "opa"), "--config", str(folder)).json
        self.commands[state] = [extras.path("opa"), *told["command"][1:]]

    def start(self, state: str) -> None:
        socket = Path(self.commands[state][self.commands[state].index("--addr") + 1].removeprefix("unix://"))
        socket.unlink(missing_ok=True)
        self.running[state] = subprocess.Popen(
            self.commands[state], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, state: str) -> None:
        self.running[state].kill()
        self.running[state].wait()


@pytest.fixture(scope="module")
def region() -> Iterator[tuple[States, Servers]]:
    servers = Servers()
    try:
        with running(TWO, settings=SETTINGS, before_start=servers.configure) as states:
            yield states, servers
    finally:
        for state in servers.running:
            servers.kill(state)


def test_a_node_asks_and_answers_by_the_rules_of_its_opa_server(region: tuple[States, Servers]) -> None:
    states, _ = region
    states.whole("PAN")
    ran = states.ask("document_wanted")
    assert ran.code == 0 and ran.json["complete"]
    assert owners(ran)
    miss = states.ask("miss")
    assert miss.code == 0 and miss.json["outcome"] == "NOTHING_TO_REPORT"


def asked(states: States, purpose: str, *more: str) -> Ran:
    return limen("--json", "policy", "ask", "--purpose", purpose, "--basis", "bilateral agreement", "--owner", "HND",
                 "--role", "border.frontline", "--config", str(states.folder("PAN")), *more)  # fmt: skip


def test_commands_decide_by_the_same_server_and_by_nothing_else(region: tuple[States, Servers]) -> None:
    states, servers = region
    ran = asked(states, "SEC.WATCH")
    assert ran.code == 0 and all(row["allowed"] and row["agreement"] == "AGR-HND-PAN" for row in ran.json)
    ran = asked(states, "SEC.WATCH", "--no-case")
    assert ran.code == 3 and all(row["national"] or row["baseline"] or row["floors"] for row in ran.json)
    servers.kill("PAN")
    ran = asked(states, "SEC.WATCH")
    assert ran.code == 3 and ran.json == {"error": "POLICY_UNAVAILABLE", "reasons": []}
    with pytest.raises(RuntimeError, match="exit 3"):
        states.load("PAN", ListId.PERSONS, b"entry_id,category\n")
    servers.start("PAN")
    states.whole("PAN")


def test_while_the_owners_server_is_gone_it_permits_nothing(region: tuple[States, Servers]) -> None:
    states, servers = region
    servers.kill("HND")
    start = states.size("HND")
    ran = states.ask("document_wanted")
    assert ran.code != 0
    assert not [leaf for leaf in states.leaves("HND", start, "check.answer") if leaf.phase == "outcome"]
    servers.start("HND")
    states.whole("PAN")


def test_while_our_own_server_is_gone_nothing_leaves(region: tuple[States, Servers]) -> None:
    states, servers = region
    servers.kill("PAN")
    start = states.size("HND")
    ran = states.ask("document_wanted")
    assert ran.code != 0
    assert not states.leaves("HND", start, "check.answer")
    servers.start("PAN")
    states.whole("PAN")


def test_a_node_whose_server_never_comes_does_not_start(region: tuple[States, Servers]) -> None:
    states, servers = region
    states.nodes.stop("HND")
    servers.kill("HND")
    with pytest.raises(RuntimeError, match="OPA server"):
        states.nodes.start("HND")
    servers.start("HND")
    states.nodes.start("HND")
    states.whole("PAN")


def test_settings_that_cannot_work_are_told_at_once(region: tuple[States, Servers], tmp_path: Path) -> None:
    states, _ = region
    text = (states.folder("PAN") / config.FILE_NAME).read_text()
    file = tmp_path / config.FILE_NAME
    address = json.dumps(f"unix://{states.folder('PAN') / 'run' / 'opa.sock'}")
    for changed, word in (
        (text.replace(address, '""'), "policy.server is missing"),
        (text.replace(address, '"http://127.0.0.1:8181"'), "policy.server"),
        (text.replace(address, '"https://127.0.0.1:8181"'), "policy.server_ca"),
    ):
        file.write_text(changed)
        ran = limen("config", "show", "--config", str(file))
        assert ran.code == 8 and word in ran.err
