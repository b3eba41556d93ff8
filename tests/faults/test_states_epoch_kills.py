"""A change of keys that is interrupted: nobody's check fails by it, and the next run of the job finishes it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.acts.nodes import must
from gateway.terms import PeerId
from gateway.terms.ids import EpochId
from gateway.terms.words import EpochState
from tests.support.states import States, running

ASKER, OWNER = PeerId("HND"), PeerId("UTO")


@pytest.fixture(scope="module")
def states() -> Iterator[States]:
    """A region of its own: keys are changed here, and who is asked under the old ones fetches tables at a tick."""
    with running() as made:
        yield made


def epochs(states: States) -> dict[EpochId, EpochState]:
    with states.reading(OWNER) as reader:
        return {one.epoch: one.state for one in reader.epochs() if one.peer == ASKER}


def order(states: States, to: Path) -> list[str]:
    words = ["epoch", "rotate", "--peer", ASKER, "--decision", "K-2027-9", "--config", str(states.folder(OWNER))]
    signatures = []
    for name in ("list-1", "list-2"):
        out, key = to / f"{name}.sig", str(states.nodes[OWNER].officers[name])
        must(*words, "--sign", str(out), "--key", key, "--passphrase-file", str(states.nodes.passphrase_file))
        signatures += ["--signature", str(out)]
    return [*words, *signatures]


SLOW = pytest.mark.slow


@pytest.mark.parametrize("process", ["writer", pytest.param("keys", marks=SLOW)])
def test_a_kill_in_the_middle_of_a_change_of_keys_is_gone_on_from(process: str, states: States, tmp_path: Path) -> None:
    """Killed again and again from before the order until the new epoch is in force."""
    states.whole(ASKER)
    before, size = _active(states), states.size(OWNER)
    words = [sys.executable, "-m", "gateway", *order(states, tmp_path)]
    kills = 0
    entered = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while kills < 3:
        states.kill(OWNER, process)
        kills += 1
        time.sleep(0.3)
    if entered.wait(60) != 0 and not states.leaves(OWNER, size, kind="epoch.rotated"):
        # The log or the keys were gone when it asked. What it drew has made nothing; entered again it counts once.
        assert _active(states) == before
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True, timeout=60)
    states.until(lambda: not before & _active(states), "the new epoch is in force")
    assert all(epochs(states)[epoch] is EpochState.RETIRED for epoch in before)
    assert len(states.leaves(OWNER, size, kind="epoch.rotated")) == 1
    states.whole(ASKER)
    assert states.ask("undeclared").json["outcome"] == "HIT"
    assert states.audit(OWNER, tmp_path / "audit").code == 0


def _active(states: States) -> set[EpochId]:
    return {epoch for epoch, state in epochs(states).items() if state is EpochState.ACTIVE}
