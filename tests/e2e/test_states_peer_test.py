"""`limen peer test` against real nodes: each step that can fail, failing, with its fix and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.cli.acts.nodes import Ran, limen
from gateway.clock import set_shift
from tests.region import LOOPBACK
from tests.support.states import States

STEPS = [
    "own node", "name", "port", "TLS", "identity", "message", "clock", "versions", "baseline", "policy here",
    "policy there",
]  # fmt: skip


def peer_test(states: States, *more: str, peer: str = "HND") -> Ran:
    return limen("--json", "peer", "test", peer, "--config", str(states.folder("PAN")), *more)


def failed(ran: Ran, step: str, code: int) -> dict[str, str]:
    """The failing step of a run that failed there and nowhere else."""
    assert (ran.json["ok"], ran.json["failed"], ran.code) == (False, step, code), ran.err
    *before, last = ran.json["steps"]
    assert [one["step"] for one in before] == STEPS[: len(before)]
    assert all(one["state"] != "fail" for one in before)
    assert last["fix"] and ran.err == f"limen: {step}: {last['detail']}; {last['fix']}\n"
    return dict(last)


@contextmanager
def behind(states: States, state: str, port: int) -> Iterator[None]:
    """Something else stands behind a state's address meanwhile."""
    proxy = states.proxies[state]
    target, proxy.target = proxy.target, (LOOPBACK, port)
    proxy.cut()
    try:
        yield
    finally:
        proxy.target = target
        proxy.cut()
        states.whole()


def test_every_step_holds_between_two_states_with_an_agreement(states: States) -> None:
    before = {state: states.size(state) for state in ("PAN", "HND")}
    ran = peer_test(states, "--purpose", "SEC.WATCH")
    assert ran.code == 0, ran.out
    assert [one["step"] for one in ran.json["steps"]] == STEPS
    assert {one["state"] for one in ran.json["steps"]} == {"ok"}
    assert all(one["ms"] >= 0 and one["fix"] == "" for one in ran.json["steps"])
    found = {one["step"]: one["detail"] for one in ran.json["steps"]}
    assert "TLS 1.3 with X25519MLKEM768" in found["TLS"]
    assert found["policy here"] == "would ask SEC.WATCH under AGR-HND-PAN"
    assert found["policy there"] == "would answer SEC.WATCH under AGR-HND-PAN"
    assert not any(sign in detail for detail in found.values() for sign in "[]'")
    for state, side in (("PAN", "ask"), ("HND", "answer")):
        (entry,) = states.leaves(state, before[state], kind="policy.dry_run")
        assert (entry.public["side"], entry.public["permitted"], entry.public["purpose"]) == (side, True, "SEC.WATCH")
        # The rules were asked and nothing else: no question, no charge, no answer.
        assert not [leaf for leaf in states.leaves(state, before[state]) if leaf.kind.startswith("check.")]


def test_a_purpose_that_the_rules_do_not_permit_is_a_no_of_the_rules(states: States) -> None:
    ran = peer_test(states, "--purpose", "SEC.WATCH", "--basis", "no such basis")
    step = failed(ran, "policy here", 3)
    assert "our policy permits no SEC.WATCH: " in step["detail"]
    # Without a purpose of the operator's own the line is what counts.
    ran = peer_test(states, "--basis", "no such basis")
    assert ran.code == 0 and [one["state"] for one in ran.json["steps"]][-2:] == ["warn", "warn"]
    assert limen("peer", "test", "HND", "--purpose", "NONE", "--config", str(states.folder("PAN"))).code == 2


def test_nobody_at_the_address(states: States) -> None:
    with states.unreachable("HND"):
        ran = peer_test(states)
    # The proxy takes the connection and cuts it, now or at the first byte.
    step = failed(ran, "port" if ran.json["failed"] == "port" else "TLS", 5)
    assert "limen doctor --ports" in step["fix"] or "let TLS through untouched" in step["fix"]


def test_something_else_at_the_address(states: States) -> None:
    with behind(states, "HND", states.nodes["UTO"].ports["metrics"]):
        ran = peer_test(states)
    step = failed(ran, "TLS", 5)
    assert "is no gateway: it does not speak TLS 1.3" in step["detail"]


def test_another_state_at_the_address(states: States) -> None:
    with behind(states, "HND", states.nodes["UTO"].ports["peers"]):
        ran = peer_test(states)
    step = failed(ran, "identity", 6)
    assert "is not HND's" in step["detail"] and "Do not go on before" in step["fix"]


@pytest.mark.parametrize("shift_s", [-60, 60])
def test_two_clocks_a_minute_apart(states: States, shift_s: int) -> None:
    shifted = states.root / "shifted"
    set_shift(shifted, int(states.nodes.clock_file.read_text()) + shift_s * 10**9)
    ran = peer_test(states, "--set", f"clock.file={shifted}")
    step = failed(ran, "message", 5)
    assert "compare the clocks first (date -u on both machines" in step["fix"]


def test_two_clocks_some_seconds_apart_are_told(states: States) -> None:
    shifted = states.root / "shifted"
    set_shift(shifted, int(states.nodes.clock_file.read_text()) - 10 * 10**9)
    ran = peer_test(states, "--set", f"clock.file={shifted}")
    (step,) = [one for one in ran.json["steps"] if one["step"] == "clock"]
    assert ran.code == 0 and step["state"] == "warn" and step["detail"].endswith("s ahead of ours")
    assert 9.0 < float(step["detail"].split()[0]) < 11.5


def test_a_state_that_is_no_member(states: States) -> None:
    step = failed(peer_test(states, peer="GTM"), "own node", 4)
    assert "is not a member" in step["detail"]
    assert limen("peer", "test", "PAN", "--config", str(states.folder("PAN"))).code == 2


def test_people_read_a_table_and_what_to_do(states: States) -> None:
    ran = limen("peer", "test", "HND", "--config", str(states.folder("PAN")))
    assert ran.code == 0 and ran.err == ""
    head, *rows, last = ran.out.splitlines()
    assert head.split() == ["STEP", "MS", "FOUND"] and last == "HND and PAN are connected."
    assert len(rows) == len(STEPS)
    json.dumps(rows)


def test_the_doctor_finds_both_peers_well(states: States) -> None:
    ran = limen("--json", "doctor", "--config", str(states.folder("PAN")))
    rows = {row["check"]: row for row in ran.json["checks"]}
    assert rows["peer HND"]["state"] == rows["peer UTO"]["state"] == "ok", rows


def test_a_tls_key_that_others_may_read_is_not_taken(states: States) -> None:
    key = states.folder("PAN") / "tls" / "gateway.key"
    told = f"{key}: others may read this key; run `chmod 600 {key}`"
    log = states.nodes["PAN"].log_file
    try:
        # A node that runs goes on with the one it has, and says so.
        key.chmod(0o644)
        assert peer_test(states).code == 0
        assert states.ask("undeclared").code == 0
        states.until(lambda: told.encode() in log.read_bytes(), "the notice")
        states.nodes.stop("PAN")
        started = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", "--config", str(states.folder("PAN"))],
            env={**os.environ}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert started.returncode == 1 and f"limen gateway: {told}" in started.stderr
    finally:
        key.chmod(0o600)
        states.nodes.start("PAN")
    states.whole()


def test_a_node_is_named_for_its_status_and_its_rules(states: States) -> None:
    node = ("--config", str(states.folder("PAN")))
    ran = limen("--json", "status", *node)
    assert (ran.code, ran.json["state"], ran.json["ready"]) == (0, "PAN", True)
    rows = {row["purpose"]: row for row in limen("--json", "policy", "list", *node).json}
    assert "HND" in rows["SEC.WATCH"]["with"] and rows["SEC.WATCH"]["offered"] == "yes"
    assert "with" not in limen("--json", "policy", "list").json[0]
