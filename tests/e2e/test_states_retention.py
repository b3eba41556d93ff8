"""Holds and erasure by two persons at a running node, and the report of what should have gone."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.region.generate import DEFAULT_CLOCK
from gateway.cli.acts.nodes import Nodes, Ran, limen
from gateway.store.reader import Reader
from gateway.terms import Role
from tests.region import wait_for
from tests.support.states import watched

PERSONS = {"chief-1": "supervisor", "auditor-1": "auditor"}
WANTED = ("--authority", "Court 3", "--decision", "D-1")


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
        for name, role in PERSONS.items():
            made.enrol("PAN", name, (Role(role),))
        yield made


def audit(nodes: Nodes, verb: str, *more: object) -> Ran:
    return limen("--json", "audit", verb, *map(str, more), "--config", str(nodes["PAN"].folder))


def signed(nodes: Nodes, verb: str, *words: object) -> list[object]:
    files: list[object] = []
    for name, role in PERSONS.items():
        out = nodes.root / f"{verb}.{name}"
        key = ("--key", nodes["PAN"].officers[name], "--passphrase-file", nodes.passphrase_file)
        ran = audit(nodes, verb, *words, "--sign", out, *key, "--role", role)
        assert ran.code == 0, ran.err
        files += ["--signature", out]
    return files


def test_two_persons_hold_and_lift_and_the_log_verifies(nodes: Nodes, tmp_path: Path) -> None:
    words = ("--first", 0, "--last", 3, "--review", "2020-01-31", *WANTED)
    files = signed(nodes, "hold", *words)
    alone = audit(nodes, "hold", *words, *files[:2], *files[:2])
    assert alone.code == 6 and "one person signed twice" in alone.err
    other = audit(nodes, "hold", "--first", 0, "--last", 4, *words[4:], *files)
    assert other.code == 6 and "other facts" in other.err
    held = audit(nodes, "hold", *words, *files)
    assert held.code == 0, held.err
    said = audit(nodes, "retention")
    assert said.code == 0 and said.json["overdue"] == 0, said.err
    assert [one["hold"] for one in said.json["holds"]] == said.json["holds_to_review"] == [held.json["hold_id"]]
    again = audit(nodes, "hold", *words, *files)
    assert again.code != 0 and "in force already" in again.err
    lift = (held.json["hold_id"], *WANTED)
    assert audit(nodes, "lift", *lift, *signed(nodes, "lift", *lift)).code == 0
    assert audit(nodes, "retention").json["holds"] == []

    federation = next(iter(sorted((nodes["PAN"].folder / "federation").iterdir())))
    card = tmp_path / "card"
    made = limen("audit", "card", "--federation", str(federation), "--state", "PAN", "--quorum", "0", "-o", str(card))
    assert made.code == 0, made.err

    def shown() -> bool:
        folder = tmp_path / str(time.monotonic_ns())
        assert audit(nodes, "export", folder, "--cosignatures", 0).code == 0
        ran = limen("--json", "audit", "verify", str(folder), "--trust", str(card))
        assert ran.code == 0, ran.err
        kinds = {row["kind"] for row in limen("--json", "audit", "show", str(folder)).json}
        return {"hold.set", "hold.lifted"} <= kinds

    wait_for(shown, what="a checkpoint with the hold", timeout_s=30)


def test_nothing_is_erased_before_its_minimum(nodes: Nodes) -> None:
    with contextlib.closing(Reader(nodes["PAN"].folder / "store")) as reader:
        last = reader.size() - 1
    words = ("--class", "10y", "--first", 0, "--last", last, "--ground", "court", *WANTED)
    ran = audit(nodes, "erase", *words, *signed(nodes, "erase", *words))
    assert ran.code != 0 and "younger than the minimum of class 10y" in ran.err


def test_wrong_words_are_told_apart(nodes: Nodes) -> None:
    base = ("--first", 0, "--last", 3, "--review", "2020-01-31")
    assert "two persons sign first" in audit(nodes, "hold", *base, *WANTED).err
    assert "--authority" in audit(nodes, "hold", *base, "--authority", "", "--decision", "D").err
    assert "--review" in audit(nodes, "hold", "--first", 0, "--last", 3, "--review", "soon", *WANTED).err
    assert "--first, --last" in audit(nodes, "hold", "--first", 5, "--last", 3, *base[4:], *WANTED).err
    assert "HOLD" in audit(nodes, "lift", "zz", *WANTED).err
