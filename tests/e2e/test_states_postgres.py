"""A state whose database is on a PostgreSQL server: moved there while its node is stopped, asked, backed up, back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.acts.nodes import limen, must
from gateway.store import db as database
from gateway.store import postgres
from gateway.store.recheck import recheck
from tests.support import postgres as servers
from tests.support.states import States

pytestmark = pytest.mark.extra("postgres")

STATE = "HND"


@dataclass(frozen=True, slots=True)
class Moved:
    states: States
    folder: Path
    entries: int


@pytest.fixture(scope="module")
def moved(states: States, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    place = tmp_path_factory.mktemp("server")
    servers.running().place(place)
    folder = states.folder(STATE)
    states.nodes.stop(STATE)
    told = json.loads(
        must("--json", "node", "database", "--server", str(place / postgres.FILE), "--config", str(folder)).out
    )
    states.nodes.start(STATE)
    states.whole()
    yield Moved(states, folder, told["entries"])
    states.nodes.stop(STATE)
    must("node", "database", "--file", "--config", str(folder))
    assert (folder / "store" / database.FILE).exists() and not (folder / "store" / postgres.FILE).exists()
    states.nodes.start(STATE)
    states.whole()


def test_it_is_asked_and_asks_as_before(moved: Moved) -> None:
    assert not (moved.folder / "store" / database.FILE).exists()
    miss, hit = moved.states.ask("miss"), moved.states.ask("document_wanted")
    assert (miss.code, hit.code) == (0, 0) and hit.json["hits"]
    assert moved.states.size(STATE) > moved.entries


def test_the_doctor_says_where_it_is(moved: Moved) -> None:
    ran = limen("--json", "doctor", "--config", str(moved.folder))
    (found,) = [one for one in json.loads(ran.out)["checks"] if one["check"] == "database"]
    assert found["state"] == "ok" and "PostgreSQL" in found["detail"]


def test_it_is_exported_verified_and_hashed_again(moved: Moved, tmp_path: Path) -> None:
    moved.states.settled()
    export = moved.states.export(STATE, tmp_path / "export")
    assert moved.states.verify(export, moved.states.card(STATE, tmp_path / "card")).code == 0
    assert must("node", "recheck", "--config", str(moved.folder)).code == 0


def test_a_backup_of_it_is_a_file_as_any_other(moved: Moved, tmp_path: Path) -> None:
    passphrase = ("--passphrase-file", str(moved.states.nodes.passphrase_file))
    must("node", "backup", str(tmp_path / "b"), "--config", str(moved.folder), *passphrase)
    must("node", "restore", str(tmp_path / "b"), str(tmp_path / "again"), *passphrase)
    assert recheck(tmp_path / "again" / "store").size >= moved.entries


def test_a_server_that_is_started_anew_is_found_again(moved: Moved) -> None:
    server = servers.running()
    server.stop()
    try:
        # While it is away the node answers nobody.
        ran = moved.states.ask("miss")
        assert ran.code != 0 or "HND" in str(ran.json["unreachable"])
        time.sleep(12)
    finally:
        server.start()
    moved.states.whole()
    assert moved.states.ask("miss").code == 0


def test_a_running_node_is_not_moved(moved: Moved) -> None:
    ran = limen("node", "database", "--file", "--config", str(moved.folder))
    assert ran.code == 8 and "stop it first" in ran.err
