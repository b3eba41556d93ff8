"""Witnesses that are down, slow, lying or in league with a log that forks: what a quorum of k of n still shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import pytest

from gateway.app.quorum import Quorum
from gateway.audit import checkpoint, cosign, note, trust
from gateway.audit.export import MemoryFolder, files
from gateway.audit.verify import verify
from gateway.config import Witnesses
from gateway.errors import GatewayError, PeerUnreachable, VerificationFailed, WitnessesSilent
from gateway.federation import names
from gateway.flows import witness
from gateway.terms import PeerId
from tests.flows.test_witness import grow, restored
from tests.flows.world import PAN, State, Wire, World, shipped

pytestmark = pytest.mark.asyncio

NAMES: Final = tuple(PeerId(name) for name in ("HND", "UTO", "MEX", "GTM"))


class Crowd(Wire):
    """The wires to four witnesses, each in a mood of its own."""

    def __init__(self, state: State, moods: Mapping[PeerId, str]) -> None:
        super().__init__(state)
        self.moods = moods

    async def add_checkpoint(self, peer: PeerId, *args: Any, timeout_s: float, **more: Any) -> bytes:
        mood = self.moods.get(peer, "")
        if mood == "down":
            raise PeerUnreachable(f"{peer} does not answer")
        if mood == "slow":
            try:
                await asyncio.wait_for(asyncio.Event().wait(), timeout_s)
            except TimeoutError:
                raise PeerUnreachable(f"{peer} did not answer in time") from None
        line = await super().add_checkpoint(peer, *args, timeout_s=timeout_s, **more)
        if mood == "lying":
            # Its own key, over another tree.
            return line[:-9] + (b"AAAAAAAA" if line[-9:-1] != b"AAAAAAAA" else b"BBBBBBBB") + line[-1:]
        return line


async def _region() -> World:
    world = await World.of(PAN, *NAMES, policy=lambda _: shipped(PAN))
    await grow(world[PAN])
    return world


async def _ask_all(world: World, moods: Mapping[PeerId, str]) -> dict[PeerId, object]:
    around = world[PAN].collecting()
    around = type(around)(around.log, around.log_keys, Crowd(world[PAN], moods), around.uow, around.state, 0.05)
    said: dict[PeerId, object] = {}
    for name in NAMES:
        try:
            said[name] = await witness.collect(name, around)
        except GatewayError as refusal:
            said[name] = type(refusal)
    return said


def _quorum(world: World, k: int) -> Quorum:
    return Quorum(Witnesses(k, 100), world[PAN].store, world.clock, lambda: list(NAMES))


def _card(world: World, k: int) -> trust.Card:
    log = note.Verifier.parse(world.log_vkey(PAN))
    return trust.card(log, {name: note.Verifier.parse(world.witness_vkey(name)) for name in NAMES}, k)


def _step(world: World, k: int) -> bool:
    """Whether an auditor's quorum of k holds for what PAN shows."""
    copy = MemoryFolder(files(world[PAN].store, payloads=False))
    try:
        report = verify(copy, _card(world, k))
    except VerificationFailed as refusal:
        assert refusal.step == "quorum"
        return False
    return next(step.ok for step in report.steps if step.step == "quorum")


async def test_one_down_one_slow_one_lying_leave_one_of_four() -> None:
    world = await _region()
    down, slow, lying, honest = NAMES
    said = await _ask_all(world, {down: "down", slow: "slow", lying: "lying"})
    assert said == {down: PeerUnreachable, slow: PeerUnreachable, lying: VerificationFailed, honest: True}
    # The liar's line is not kept, and the log says what it did.
    assert [entry.peer for entry in world[PAN].logged("witness.disputed")] == [lying]
    noted = world[PAN].store.last_checkpoint()
    assert noted is not None
    assert [one.name for one in note.parse(noted[0]).signatures[1:]] == [names.witness_name(honest)]
    assert (_step(world, 1), _step(world, 2)) == (True, False)
    assert _quorum(world, 1).reached()[0] > 0
    assert _quorum(world, 2).reached()[0] == 0


async def test_disclosures_stop_when_the_quorum_has_been_away_for_too_long_and_go_on_when_it_is_back() -> None:
    world = await _region()
    two = _quorum(world, 2)
    await _ask_all(world, {NAMES[0]: "down", NAMES[1]: "slow", NAMES[2]: "lying"})
    two.judge()
    world.clock.pass_ns(101 * 10**9)
    with pytest.raises(WitnessesSilent):
        two.judge()
    await grow(world[PAN])
    await _ask_all(world, {NAMES[0]: "down", NAMES[1]: "slow"})
    two.judge()
    assert _step(world, 2)


async def test_a_fork_needs_more_witnesses_in_league_than_a_quorum_allows() -> None:
    """PAN shows one history to HND and UTO, and another to MEX, who is in league with it and signs both."""
    world = await _region()
    league = NAMES[2]
    await _ask_all(world, {NAMES[3]: "down"})
    first = world[PAN].store.last_checkpoint()
    assert first is not None
    fork = await restored(world, "fork", 3)
    # Who is in league forgets what it signed.
    world.states[league] = await State(world, league, world[league].policy, "").open()
    said = await _ask_all(world, {NAMES[3]: "down"})
    assert said[NAMES[0]] is said[NAMES[1]] is VerificationFailed and said[league] is True
    second = fork.store.last_checkpoint()
    assert second is not None
    one, other = (checkpoint.parse(note.parse(noted[0]).text) for noted in (first, second))
    assert one.size == other.size and one.root != other.root
    # Two of three hold for the first history and never for the second, whatever one of them signs.
    card = _card(world, 3)
    quorum = cosign.Quorum("q", card.quorum.witnesses, {"q": cosign.Group(2, tuple(map(str, NAMES[:3])))})

    def cosigners(noted: bytes) -> list[str]:
        signed = {line.name for line in note.parse(noted).signatures}
        return [name for name, key in quorum.witnesses.items() if key.name in signed]

    assert quorum.holds(cosigners(first[0])) and not quorum.holds(cosigners(second[0]))
    # And the honest ones hold PAN's own signature under both.
    assert world[NAMES[0]].logged("checkpoint.fault")[0].public["root"] == other.root
