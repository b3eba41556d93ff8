"""A node whose disk takes no more: no answer leaves, it is unreachable, and space makes it whole again."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.audit.entry import Phase
from gateway.store import db as database
from tests.faults.test_states_kills import hold
from tests.support.states import States

# Nodes are killed and filled up again and again: `make slow` runs these, with time to recover between them.
pytestmark = pytest.mark.slow

TRIES = 40
"""How many checks fill what little room is left."""


@contextlib.contextmanager
def bounded(states: States, state: str, pages: int) -> Iterator[None]:
    """The database may grow by so many pages (SQLite's own bound: what a full disk is to it)."""
    file = states.folder(state) / "limen.toml"
    before = file.read_text()
    with states.reading(state) as reader:
        (held,) = reader._db.execute("PRAGMA page_count").fetchone()
    file.write_text(f"{before}\n[store]\npages_max = {held + pages}\n")
    try:
        states.kill(state, "writer")
        yield
    finally:
        file.write_text(before)
        states.kill(state, "writer")


@contextlib.contextmanager
def full(states: States, state: str, room: int) -> Iterator[None]:
    """No file of the node's grows beyond what the write-ahead log has now, and `room` bytes.

    A reader keeps its moment meanwhile, or the log would be begun anew, with room, as often as the writer starts.
    """
    node = states.nodes[state]
    wal = node.folder / "store" / f"{database.FILE}-wal"
    assert node.process is not None
    pids = [node.process.pid, node.pids()["writer"]]
    _, hard = resource.prlimit(pids[0], resource.RLIMIT_FSIZE)
    bound = max(wal.stat().st_size, node.log_file.stat().st_size) + room
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (bound, hard))
    try:
        with states.reading(state) as reader:
            reader._db.execute("BEGIN")
            reader.size()
            yield
    finally:
        resource.prlimit(pids[0], resource.RLIMIT_FSIZE, (hard, hard))
        with contextlib.suppress(ProcessLookupError, KeyError):
            resource.prlimit(node.pids()["writer"], resource.RLIMIT_FSIZE, (hard, hard))


def fill(states: States) -> None:
    """Ask until the owner takes no more; every answer before that is a whole one."""
    for _ in range(TRIES):
        ran = states.ask("undeclared")
        if ran.code != 0:
            break
        assert ran.json["outcome"] == "HIT"
    else:
        raise AssertionError("the disk is not full")
    assert ran.code == 5 and (ran.json["unreachable"], ran.json["hits"]) == (["UTO"], [])


def nothing_leaves(states: States) -> None:
    """While it is full, no check is answered and none is half entered."""
    start = states.size("UTO")
    for _ in range(2):
        ran = states.ask("undeclared")
        assert ran.code == 5 and (ran.json["unreachable"], ran.json["hits"]) == (["UTO"], [])
        assert "UTO could not be reached" in ran.err
    assert not [leaf for leaf in states.leaves("UTO", start, "check.answer") if leaf.phase is Phase.OUTCOME]


def whole_again(states: States, tmp_path: Path, start: int) -> None:
    """Space is back: answers too, and the log verifies."""
    states.whole("HND")
    assert states.ask("undeclared").json["outcome"] == "HIT"
    hold(states, "HND", "UTO", start)
    ran = states.audit("UTO", tmp_path)
    assert ran.code == 0 and ran.json["ok"], ran.err


def test_a_database_at_its_bound_answers_nobody(states: States, tmp_path: Path) -> None:
    start = states.size("HND")
    with bounded(states, "UTO", pages=2):
        states.until(lambda: states.ask("undeclared").code in (0, 5), "the node is up")
        fill(states)
        nothing_leaves(states)
        # The writer lives on; others' checks are answered as before.
        assert states.nodes["UTO"].pids()["writer"]
        assert states.ask("document_wanted").json["hits"]
    whole_again(states, tmp_path, start)


def test_a_disk_that_takes_nothing_at_commit_stops_the_writer_and_not_the_node(states: States, tmp_path: Path) -> None:
    node, start = states.nodes["UTO"], states.size("HND")
    with full(states, "UTO", room=100_000):
        fill(states)
        nothing_leaves(states)
        said = node.log_file.read_text(errors="replace")
        assert "COMMIT failed" in said and "the writer process stopped (exit 70)" in said
        assert node.process is not None and node.process.poll() is None
    whole_again(states, tmp_path, start)
