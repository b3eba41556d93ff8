"""Keys change while officers ask: no check fails, the old key serves for a day, and an emergency ends it at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

from gateway.cli.acts.nodes import Ran, limen, must
from gateway.rpc.convert import peers as convert
from gateway.store.tables import TableFiles
from gateway.terms import ListId, PeerId
from gateway.terms.ids import EpochId, PurposeGroup
from gateway.terms.words import EpochState
from tests.support.hostile_asker import Asker
from tests.support.states import States

HND, UTO = PeerId("HND"), PeerId("UTO")
AFTER = 2
"""How often the booth asks again once it has the new tables."""


def ordered(states: States, owner: str, peer: str, to: Path, *more: str) -> list[str]:
    """The order of a change of keys, and both persons' signatures over it."""
    order = ["epoch", "rotate", "--peer", peer, "--decision", "K-2027-3", "--config", str(states.folder(owner)), *more]
    signatures = []
    for name in ("list-1", "list-2"):
        out = to / f"{name}.sig"
        key = str(states.nodes[owner].officers[name])
        must(*order, "--sign", str(out), "--key", key, "--passphrase-file", str(states.nodes.passphrase_file))
        signatures += ["--signature", str(out)]
    return [*order, *signatures]


def held(states: States, owner: PeerId, peer: PeerId) -> dict[EpochState, EpochId]:
    with states.reading(owner) as reader:
        return {one.state: one.epoch for one in reader.epochs() if one.peer == peer}


def fetched(states: States, owner: PeerId, peer: PeerId) -> EpochId | None:
    """The epoch of the peer's own copy of the owner's table."""
    copies = TableFiles(states.nodes[peer].settings.paths.copies, lambda message: convert.manifest(message.body))
    signed = copies.current(owner, ListId.PERSONS, PurposeGroup("WATCH"))
    return signed.manifest.scope.epoch if signed is not None else None


def test_no_check_fails_while_keys_change(states: States, tmp_path: Path) -> None:
    states.whole(HND)
    asker = Asker(states, HND, UTO)
    before = held(states, UTO, HND)[EpochState.ACTIVE]
    old = asker.request()
    assert old.epoch == before
    order = ordered(states, UTO, HND, tmp_path)
    answers: list[Ran] = []
    stop = threading.Event()

    def booth() -> None:
        while not stop.is_set():
            answers.append(states.ask("undeclared"))

    officer = threading.Thread(target=booth)
    officer.start()
    try:
        states.until(lambda: len(answers) >= 1, "the booth asks")
        # A process of its own: the booth's commands run in this one.
        entered = subprocess.run(
            [sys.executable, "-m", "gateway", "--json", *order], capture_output=True, text=True, timeout=60, check=True
        )
        (opened,) = json.loads(entered.stdout)["opened"]
        states.until(lambda: fetched(states, UTO, HND) == opened["epoch"], "HND has the new tables")
        count = len(answers)
        states.until(lambda: len(answers) >= count + 1 + AFTER, "the booth has asked under them")
    finally:
        stop.set()
        officer.join()
    assert {(one.code, one.json["outcome"], one.json["complete"]) for one in answers} == {(0, "HIT", True)}

    assert held(states, UTO, HND) == {EpochState.ACTIVE: opened["epoch"], EpochState.RETIRED: before}
    # Whoever has not fetched yet is answered all the same.
    assert asker.send(asker.sign(convert.encode_check_request(old))).ok
    assert asker.ask().ok
    listed = must("--json", "epoch", "list", "--config", str(states.folder(UTO))).json
    assert {(one["epoch"], one["state"]) for one in listed if one["peer"] == HND} == {
        (before, "retired"), (opened["epoch"], "active"),
    }  # fmt: skip
    (said,) = states.leaves(UTO, kind="epoch.rotated")
    assert said.public["epochs"] == f"HND/{before}"
    assert states.audit(UTO, tmp_path / "audit").code == 0
    states.settled()


def test_one_person_and_an_order_that_was_used_change_nothing(states: States, tmp_path: Path) -> None:
    size = states.size(UTO)
    order = ordered(states, UTO, HND, tmp_path)
    one = order.index("--signature")
    assert limen(*order[: one + 2]).code == 2
    twice = [*order[:one], *order[one : one + 2] * 2]
    assert limen(*twice).code == 6
    assert limen(*order, "--emergency").code == 6
    assert states.leaves(UTO, size, "epoch.rotated") == []


def test_an_emergency_ends_the_old_keys_and_the_asker_comes_back_by_itself(states: States, tmp_path: Path) -> None:
    owner = PeerId("PAN")
    states.whole(HND)
    asker = Asker(states, HND, owner)
    body, before = asker.body(), held(states, owner, HND)
    must(*ordered(states, owner, HND, tmp_path, "--emergency"))
    assert asker.send(asker.sign(body)).reason == "EPOCH_REFUSED"
    seeds = {path.stem for path in (states.folder(owner) / "keys" / "seeds" / HND).glob("*.key")}
    assert seeds.isdisjoint(before.values()) and len(seeds) == 1
    assert {str(leaf.public["epoch"]) for leaf in states.leaves(owner, kind="keys.destroyed")} >= set(before.values())
    states.whole(HND)
    assert fetched(states, owner, HND) not in before.values()
    assert states.ask("document_wanted").json["outcome"] == "HIT"
    states.settled()
