"""Alerts at a real node: abuse is seen, a supervisor follows it, and the log says who looked (docs/alerts.md)."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from examples.region.generate import DEFAULT_CLOCK
from gateway.audit.leaf import Leaf
from gateway.cli.acts.nodes import Nodes, Ran, limen
from gateway.store.reader import Reader
from gateway.terms import Role
from tests.region import wait_for
from tests.support.states import watched


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two states without lists: what is found plays no part."""
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    shift_ns = int(DEFAULT_CLOCK.timestamp() * 1e9) - time.time_ns()
    with ExitStack() as stack:
        stack.enter_context(watched(root))
        made = Nodes(root, {"PAN": "SNM", "HND": "INM"}, shift_ns=shift_ns, settings={"alerts.every_s": "1"})
        made.make()
        stack.callback(made.stop)
        made.start()
        for name in ("chief-1", "chief-2"):
            made.enrol("PAN", name, (Role.SUPERVISOR,))
        made.login("PAN")
        yield made


def alert(nodes: Nodes, name: str, verb: str, *more: str, words: str = "") -> Ran:
    """`limen alert VERB --json` as that person."""
    reasons = ["--words", "-"] if words else []
    return limen(
        "--json", "alert", verb, *more, "--booth", str(nodes.desk("PAN", name)), *reasons, stdin=words.encode()
    )


def asked(nodes: Nodes, number: str, case: str = "SHIFT-1", surname: str = "DOE") -> None:
    """The booth asks about somebody; whatever is answered."""
    lines = f"surname: {surname}\ngiven_names: JO\nbirth_date: 1980-05-06\nnationality: NIC\n"
    lines += f"document_number: {number}\nissuer: NIC\n"
    ran = nodes.check("PAN", "SEC.WATCH", lines.encode(), case=case)
    assert ran.code in (0, 5), ran.err


def found(nodes: Nodes, rule: str) -> dict[str, Any]:
    """The open alert of a rule, once it is there."""
    held: list[dict[str, Any]] = []

    def there() -> bool:
        ran = alert(nodes, "chief-1", "list")
        assert ran.code == 0, ran.err
        held[:] = [one for one in ran.json["alerts"] if one["rule"] == rule]
        return bool(held)

    wait_for(there, what=f"an alert of {rule}", timeout_s=20)
    return held[0]


def leaves(nodes: Nodes, kind: str) -> list[Leaf]:
    reader = Reader(nodes["PAN"].folder / "store")
    try:
        read = (Leaf.parse(data) for data in reader.leaves(0, reader.size()))
        return [leaf for leaf in read if leaf.kind == kind]
    finally:
        reader.close()


def test_an_officer_who_asks_about_a_declared_relative_is_looked_at(nodes: Nodes) -> None:
    person = {"surname": "DOE", "given_names": "JO", "birth_date": "1980-05-06"}
    circle = json.dumps(person | {"document_number": "C7700123", "issuer": "NIC"})
    ran = limen("--json", "officer", "declare", "--config", str(nodes["PAN"].folder), "--officer", "PAN-booth-1",
                stdin=circle.encode())  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["logged"]
    folder = nodes["PAN"].folder / "officers"
    assert (folder / "declared.key").stat().st_mode & 0o777 == 0o600
    for name in ("declared.json", "declared.key"):
        assert not any(word in (folder / name).read_bytes() for word in (b"DOE", b"C7700123", b"1980"))
    assert leaves(nodes, "officer.declared")
    time.sleep(2.5)  # the node looks at its files once a second
    asked(nodes, "C7700123")
    seen = found(nodes, "own_circle")
    assert seen["officers"] == ["PAN-booth-1"]
    shown = alert(nodes, "chief-1", "show", seen["alert"])
    assert shown.json == seen
    assert "DOE" not in shown.out


def test_numbers_one_after_the_other_are_found_and_closed_with_a_reason(nodes: Nodes) -> None:
    read = len(leaves(nodes, "alert.read"))
    for number in range(13):
        asked(nodes, f"D{8_100_200 + number}", surname=f"N{'ABCDEFGHIJKLM'[number]}")
    seen = found(nodes, "sequence")
    assert (seen["state"], seen["officers"], seen["count"] >= 12) == ("new", ["PAN-booth-1"], True)
    entry = next(leaf for leaf in leaves(nodes, "check.ask") if leaf.seq == seen["entry"])
    assert entry.phase == "intent"
    given = alert(nodes, "chief-1", "assign", seen["alert"], "--to", "PAN-chief-2")
    assert (given.code, given.json["state"], given.json["assigned"]) == (0, "assigned", "PAN-chief-2"), given.err
    closed = alert(nodes, "chief-2", "close", seen["alert"], "--reason", "misuse", words="the officer was interviewed")
    assert (closed.code, closed.json["state"], closed.json["reason"]) == (0, "closed", "misuse"), closed.err
    again = alert(nodes, "chief-2", "close", seen["alert"], "--reason", "lawful")
    assert again.code != 0
    assert [leaf.public["act"] for leaf in leaves(nodes, "alert.acted")] == ["assign", "close"]
    assert len(leaves(nodes, "alert.read")) > read
    for leaf in [one for kind in ("alert.raised", "alert.acted", "alert.read") for one in leaves(nodes, kind)]:
        assert "chief" not in repr(leaf.public) and "booth" not in repr(leaf.public)
    listed = alert(nodes, "chief-1", "list", "--closed").json["alerts"]
    assert seen["alert"] in [one["alert"] for one in listed]


def test_whoever_is_no_supervisor_and_whoever_it_is_about_sees_nothing(nodes: Nodes) -> None:
    asked(nodes, "E5550001", case="-")
    seen = found(nodes, "reference")
    for verb, more in (("list", ()), ("show", (seen["alert"],)), ("close", (seen["alert"], "--reason", "lawful"))):
        ran = alert(nodes, "booth-1", verb, *more)
        assert ran.code == 3, (verb, ran.code, ran.err)
    assert alert(nodes, "chief-1", "assign", seen["alert"], "--to", "PAN-booth-1").code != 0
    assert alert(nodes, "chief-1", "show", "alert_" + "0" * 32).code != 0
    assert alert(nodes, "chief-1", "show", "no number").code == 2
    assert alert(nodes, "chief-1", "show", seen["alert"]).json["state"] == "new"
