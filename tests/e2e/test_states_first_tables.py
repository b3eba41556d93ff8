"""First tables wait for no tick: two nodes whose ticks are a quarter of an hour apart can check within seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.acts.nodes import Nodes, limen
from gateway.policy import catalogue

SLOW = {"ticks.publish_s": "900", "ticks.fetch_s": "900"}

ZONE = b"P<UTOBELUMARO<<TISANDELA<<<<<<<<<<<<<<<<<<<<\nX730000016UTO8406192F3506307<<<<<<<<<<<<<<06\n"
"""Of the sandbox's traveller whom nobody lists."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with tempfile.TemporaryDirectory(prefix="limen-", dir="/tmp") as folder:
        made = Nodes(Path(folder), {"PAN": "SNM", "HND": "INM"}, settings=SLOW)
        made.make()
        try:
            yield made
        finally:
            made.stop()


def held(nodes: Nodes, state: str, owner: str) -> set[str]:
    """The tables of the owner's that a state holds."""
    return tables(nodes[state].folder / "copies" / owner)


def tables(folder: Path) -> set[str]:
    """Each table in a folder, by its list, group and version."""
    return {str(path.relative_to(folder)) for path in folder.glob("*/*.table")}


def until_held(nodes: Nodes, state: str, owner: str) -> None:
    until = time.monotonic() + 60
    while len(held(nodes, state, owner)) < len(catalogue.tables()):
        assert time.monotonic() < until, nodes[state].log_file.read_text(errors="replace")[-2000:]
        time.sleep(0.1)


def test_a_peer_that_comes_later_is_asked_between_the_ticks(nodes: Nodes) -> None:
    # Neither side's rules permit anything yet: no table is made, and each asks the other in vain.
    for state in ("PAN", "HND"):
        nodes.activate(state, [])
    nodes.start()
    nodes.login("PAN")
    ran = nodes.check("PAN", "SEC.WATCH", ZONE)
    assert ran.code == 3 and held(nodes, "PAN", "HND") == set()
    told = limen("peer", "test", "HND", "--config", str(nodes["PAN"].folder))
    assert told.code == 0 and "HND's first table is not here yet" in told.out

    nodes.activate("PAN")
    deadline = time.monotonic() + 30
    while (ran := nodes.check("PAN", "SEC.WATCH", ZONE)).code == 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert ran.code == 5 and ran.json["unreachable"] == ["HND"]
    assert "its first table is not here yet" in ran.err

    nodes.activate("HND")
    until_held(nodes, "PAN", "HND")
    until_held(nodes, "HND", "PAN")
    ran = nodes.check("PAN", "SEC.WATCH", ZONE)
    assert ran.code == 0 and ran.json["complete"], ran.err
    told = limen("--json", "peer", "test", "HND", "--config", str(nodes["PAN"].folder))
    assert told.json["tables"] == len(catalogue.tables())


def test_a_list_that_changes_later_waits_for_the_tick(nodes: Nodes) -> None:
    before = held(nodes, "PAN", "HND")
    # A new bundle of the same agreements: what is made early is first tables alone.
    (nodes["HND"].folder / "tables" / "met").write_text("another\n")
    met = nodes["HND"].folder / "tables" / "met"
    until = time.monotonic() + 60
    while met.read_text() == "another\n":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert held(nodes, "PAN", "HND") == before
    assert tables(nodes["HND"].folder / "tables" / "PAN") == before
