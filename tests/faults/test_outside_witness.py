"""A witness outside the federation is asked over HTTPS, counts in the node's own tlog-policy, and can only refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.app.outside import outside, policy_of
from gateway.app.quorum import Quorum
from gateway.audit import cosign, note
from gateway.audit.trust import Card
from gateway.config import Witnesses
from gateway.errors import ConfigRefused, PeerUnreachable, VerificationFailed, WitnessesSilent
from gateway.flows import witness
from gateway.primitives import ed25519
from gateway.web.witness import HttpsWitness, read_head
from tests.flows.test_witness import grow, restored
from tests.flows.world import HND, PAN, UTO, World, shipped
from tests.support.outside import NAME, Outsider, served
from tests.support.receivers import make_pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@dataclass
class Field:
    world: World
    outsider: Outsider
    asked: HttpsWitness
    policy: cosign.Quorum

    def quorum(self) -> Quorum:
        return Quorum(Witnesses(0, 100), self.world[PAN].store, self.world.clock, lambda: [HND, UTO], self.policy)

    async def collect(self, timeout_s: float = 5.0) -> bool:
        around = self.world[PAN].collecting()
        around = type(around)(around.log, around.log_keys, around.peers, around.uow, around.state, timeout_s)
        return await witness.collect_outside(self.asked, around)


@pytest_asyncio.fixture
async def field_(pki: Path) -> AsyncIterator[Field]:
    world = await World.of(PAN, HND, UTO, policy=lambda _: shipped(PAN))
    await grow(world[PAN])
    outsider = Outsider(note.Verifier.parse(world.log_vkey(PAN)))
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(served(outsider, pki))
        text = (
            f"log {world.log_vkey(PAN)}\nwitness HND {world.witness_vkey(HND)}\nwitness UTO {world.witness_vkey(UTO)}\n"
            f"witness university {outsider.key.vkey} https://127.0.0.1:{sink.port}/\n"
            "group peers any HND UTO\ngroup enough all peers university\nquorum enough\n"
        )
        card = Card.parse(text)
        assert Card.parse(card.encode()) == card
        (name,) = card.urls
        asked = HttpsWitness.of(card.quorum.witnesses[name], card.urls[name], pki / "ca.pem")
        yield Field(world, outsider, asked, card.quorum)


@pytest.mark.asyncio
async def test_the_quorum_of_the_policy_needs_the_outsider_and_a_peer(field_: Field) -> None:
    quorum = field_.quorum()
    assert quorum.needed == 2
    await witness.collect(HND, field_.world[PAN].collecting())
    await witness.collect(UTO, field_.world[PAN].collecting())
    # Two members are more than half of the members, and not what the policy asks for.
    assert quorum.reached()[0] == 0
    assert await field_.collect() is True
    assert quorum.reached()[0] == field_.world[PAN].store.size()
    field_.world.clock.pass_ns(10**9 * 10**9)
    with pytest.raises(WitnessesSilent):
        quorum.judge()


@pytest.mark.asyncio
async def test_it_is_asked_from_where_it_stands_and_not_twice_for_one_checkpoint(field_: Field) -> None:
    assert await field_.collect() is True
    assert await field_.collect() is False
    await grow(field_.world[PAN], 4)
    assert await field_.collect() is True
    # Its answer was lost on the way: 409 says where it stands, and the proof goes on from there.
    field_.world[PAN].store._tables.cosignatures.clear()
    await grow(field_.world[PAN], 2)
    before = field_.outsider.asked
    assert await field_.collect() is True
    assert field_.outsider.asked == before + 2
    assert field_.world[PAN].logged("witness.disputed") == []


@pytest.mark.parametrize(("count", "step"), [(2, "old_size"), (5, "proof")])
@pytest.mark.asyncio
async def test_a_log_that_was_put_back_is_disputed_by_the_outsider_too(field_: Field, count: int, step: str) -> None:
    await field_.collect()
    back = await restored(field_.world, "after", count)
    with pytest.raises(VerificationFailed):
        await field_.collect()
    (dispute,) = back.logged("witness.disputed")
    assert (dispute.peer, dispute.public["witness"], dispute.public["step"]) == ("", NAME, step)


@pytest.mark.parametrize("mood", ["slow", "garbage", "endless"])
@pytest.mark.asyncio
async def test_an_outsider_that_does_not_answer_changes_nothing(field_: Field, mood: str) -> None:
    field_.outsider.mood = mood
    with pytest.raises(PeerUnreachable):
        await field_.collect(0.5)
    assert field_.world[PAN].logged("witness.disputed") == []
    assert field_.world[PAN].store.witnessed_size(NAME) == 0


@pytest.mark.asyncio
async def test_an_outsider_that_lies_is_disputed_and_its_line_is_not_kept(field_: Field) -> None:
    field_.outsider.mood = "lying"
    with pytest.raises(VerificationFailed):
        await field_.collect()
    assert field_.world[PAN].store.witnessed_size(NAME) == 0
    assert len(field_.world[PAN].logged("witness.disputed")) == 1


@pytest.mark.asyncio
async def test_an_outsider_that_does_not_know_the_log_says_404(field_: Field) -> None:
    field_.outsider.log = note.Verifier("other.example/log", note.LOG_KEY, ed25519.Signer(bytes(32)).public)
    with pytest.raises(VerificationFailed) as caught:
        await field_.collect()
    assert caught.value.step == "origin"


@pytest.mark.asyncio
async def test_another_ca_than_the_one_named_is_not_believed(field_: Field, pki: Path) -> None:
    asked = field_.asked
    other = HttpsWitness.of(asked.key, f"https://{asked.host}:{asked.port}/", pki / "other.pem")
    with pytest.raises(PeerUnreachable):
        await other.add_checkpoint(0, [], b"", timeout_s=5)
    assert field_.outsider.asked == 0


@pytest.mark.parametrize("url", [
    "http://w.example/", "https://w.example:0/", "https://w.example:70000/", "https://u@w.example/", "https:///x", "",
    "https://w.example/?q=1", "https://w.example/" + "a" * 2000,
])  # fmt: skip
@pytest.mark.asyncio
async def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ConfigRefused):
        HttpsWitness.of(note.Verifier(NAME, note.WITNESS_KEY, ed25519.Signer(bytes(32)).public), url, None)


def _settings(folder: Path, policy: str) -> config.Config:
    (folder / "policy.txt").write_text(policy)
    (folder / "limen.toml").write_text('state = "PAN"\nagencies = ["SNM"]\n[witnesses]\npolicy = "policy.txt"\n')
    return config.load(folder, environ={})


@pytest.mark.asyncio
async def test_the_settings_name_the_policy_and_a_wrong_one_is_refused_with_its_line(tmp_path: Path) -> None:
    signer = ed25519.Signer(bytes(32))
    log = note.Verifier("limen/PAN/log", note.LOG_KEY, signer.public).vkey
    key = note.Verifier(NAME, note.WITNESS_KEY, ed25519.Signer(bytes([1]) * 32).public).vkey
    good = f"log {log}\nwitness university {key} https://witness.example/limen\nquorum university\n"
    settings = _settings(tmp_path, good)
    card = policy_of(settings)
    assert card is not None and card.quorum.least == 1
    (one,) = outside(settings, card)
    assert (one.host, one.port, one.path) == ("witness.example", 443, "/limen/add-checkpoint")
    another = note.Verifier("limen/HND/log", note.LOG_KEY, signer.public).vkey
    for spoiled, told in (
        (good.replace(log, another), "other logs than limen/PAN/log"),
        (good.replace("quorum university\n", ""), "quorum line is missing"),
        (good.replace("quorum university", "quorum nobody"), "line 3"),
        (good + "witness again " + key + "\n", "line 4"),
    ):
        with pytest.raises(ConfigRefused, match=told):
            policy_of(_settings(tmp_path, spoiled))
    assert policy_of(config.load(tmp_path, environ={}, flags={"witnesses.policy": ""})) is None
    with pytest.raises(ConfigRefused, match="cannot be read"):
        policy_of(config.load(tmp_path, environ={}, flags={"witnesses.policy": "nowhere"}))


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda one: b"HTTP/1.1 200 OK\r\n" + one + b"\r\n\r\n"))
def test_any_head_is_read_or_refused(head: bytes) -> None:
    try:
        status, length = read_head(head)
    except ValueError:
        return
    assert 0 <= status <= 999 and (length is None or length >= 0)


@given(st.lists(st.tuples(st.sampled_from("abcdz"), st.integers(0, 50)), max_size=6, unique_by=lambda one: one[0]))
def test_a_policy_is_reached_at_the_time_from_which_the_newest_cosignatures_are_enough(lines: list[Any]) -> None:
    keys = {one: note.Verifier(one, note.WITNESS_KEY, ed25519.Signer(one.encode() * 32).public) for one in "abcd"}
    groups = {"pair": cosign.Group(1, ("a", "b")), "rest": cosign.Group(2, ("pair", "c", "d"))}
    quorum = cosign.Quorum("rest", keys, groups)
    assert quorum.least == 2
    found = quorum.reached(lines)
    times = sorted({time for _, time in lines}, reverse=True)
    slow = [time for time in times if quorum.holds(name for name, at in lines if at >= time)]
    assert found == (slow[0] if slow else None)
