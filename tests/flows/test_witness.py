"""Gateways see one another's logs grow, and a log that does not is caught (docs/flows/witness.md)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.audit import checkpoint, note
from gateway.audit.entry import Entry, Phase
from gateway.audit.forked import is_forked
from gateway.errors import AuditUnavailable, Malformed, NotFoundOrNotPermitted, PeerUnreachable, VerificationFailed
from gateway.federation import names
from gateway.flows import witness
from gateway.primitives import ed25519
from gateway.terms import PeerId, RequestId
from gateway.terms.exchange import CheckpointRequest
from tests.flows.world import HND, PAN, UTO, State, Wire, World, shipped

pytestmark = pytest.mark.asyncio


async def grow(state: State, count: int = 3, word: str = "") -> None:
    """Entries, then the timer's checkpoint."""
    for number in range(count):
        await state.store.commit([Entry("node.started", Phase.EVENT, public={"release": f"{word}{number}"})])
    await state.checkpoint()


async def region() -> World:
    """PAN has a log of three entries; HND and UTO are its peers."""
    world = await World.of(PAN, HND, UTO)
    await grow(world[PAN])
    return world


async def collect(world: World, by: PeerId = HND) -> bool:
    return await witness.collect(by, world[PAN].collecting())


def asked(state: State, old_size: int, size: int | None = None) -> CheckpointRequest:
    """What PAN would send about one of its checkpoints."""
    store = state.store
    size = store.size() if size is None else size
    noted = store.checkpoint(size)
    assert noted is not None
    proof = store.consistency(old_size, size) if 0 < old_size < size else []
    return CheckpointRequest(RequestId(bytes(16)), old_size, tuple(proof), noted)


def held(world: World, by: PeerId = HND) -> Any:
    return world[by].store.witness(names.log_origin(PAN))


async def restored(world: World, word: str, count: int) -> State:
    """PAN after its disk was put back to nothing: the same keys, another history."""
    state = await State(world, PAN, shipped(PAN), "").open()
    world.states[PAN] = state
    await grow(state, count, word)
    return state


# -- Growing ----------------------------------------------------------------------------------------------------------


async def test_a_log_that_grows_is_cosigned_and_the_line_verifies_under_the_witness_key() -> None:
    world = await region()
    assert await collect(world) is True
    assert held(world).size == 3
    await grow(world[PAN], 4)
    assert await collect(world) is True
    assert held(world).size == 7
    noted, _ = world[PAN].store.last_checkpoint() or (b"", b"")
    verifiers = [note.Verifier.parse(vkey) for vkey in (world.log_vkey(PAN), world.witness_vkey(HND))]
    opened = note.open_note(noted, verifiers)
    assert {one.verifier.name for one in opened.verified} == {"limen/PAN/log", "limen/HND/witness"}
    assert checkpoint.parse(opened.text).size == 7


async def test_several_witnesses_stand_under_one_checkpoint() -> None:
    world = await region()
    for by in (HND, UTO):
        await collect(world, by)
    assert world[PAN].store.last_checkpoint(cosignatures=2) is not None


async def test_what_was_cosigned_already_is_not_asked_for_again() -> None:
    world = await World.of(PAN, HND)
    assert await collect(world) is False
    await grow(world[PAN])
    await collect(world)
    world.sent.clear()
    assert await collect(world) is False
    assert world.sent == []


async def test_cosigning_writes_no_entry_or_two_logs_would_feed_each_other_for_ever() -> None:
    world = await region()
    await collect(world)
    assert (world[HND].store.size(), world[PAN].store.size()) == (0, 3)


async def test_a_witness_that_does_not_answer_leaves_nothing_behind() -> None:
    world = await region()
    world.line(PAN, HND).down = True
    with pytest.raises(PeerUnreachable):
        await collect(world)
    assert (world[PAN].store.witnessed_size(HND), world[PAN].logged("witness.disputed")) == (0, [])


async def test_a_cosignature_that_was_lost_on_the_way_is_made_up_for_from_where_the_witness_stands() -> None:
    world = await region()
    await witness.cosign(PAN, asked(world[PAN], 0), world[HND].witnessing())
    await grow(world[PAN], 2)
    assert world[PAN].store.witnessed_size(HND) == 0
    assert await collect(world) is True
    assert (held(world).size, world[PAN].store.witnessed_size(HND)) == (5, 5)
    assert world[PAN].logged("witness.disputed") == world[HND].logged("checkpoint.fault") == []
    # And also when it is the same checkpoint.
    world[PAN].store._tables.cosignatures.clear()
    assert await collect(world) is True


# -- Racing and rolling back ----------------------------------------------------------------------------------------


async def test_of_two_requests_from_one_old_head_one_wins_and_the_head_never_goes_back() -> None:
    world = await region()
    pan, hnd = world[PAN], world[HND]
    await collect(world)
    await grow(pan, 2)
    smaller = asked(pan, 3)
    await grow(pan, 2)
    larger = asked(pan, 3)
    for pair in ((smaller, larger), (larger, smaller)):
        await _forget(hnd, pan)
        results = await asyncio.gather(
            *(witness.cosign(PAN, one, hnd.witnessing()) for one in pair), return_exceptions=True
        )
        (line,) = [result for result in results if isinstance(result, bytes)]
        (conflict,) = [result for result in results if isinstance(result, VerificationFailed)]
        signed = pair[0] if results[0] == line else pair[1]
        head = checkpoint.parse(note.parse(signed.note).text)
        assert (conflict.step, conflict.position) == ("old_size", head.size) == ("old_size", held(world).size)
    assert hnd.logged("checkpoint.fault") == []


async def _forget(hnd: State, pan: State) -> None:
    hnd.store._tables.witnessed.clear()
    first = asked(pan, 0, 3)
    await witness.cosign(PAN, first, hnd.witnessing())


async def test_an_older_checkpoint_is_not_cosigned_again() -> None:
    world = await region()
    await grow(world[PAN], 2)
    await collect(world)
    for old_size, step in ((0, "old_size"), (3, "old_size"), (5, "bad_request")):
        with pytest.raises(VerificationFailed) as caught:
            await witness.cosign(PAN, asked(world[PAN], old_size, 3), world[HND].witnessing())
        assert caught.value.step == step
    assert held(world).size == 5


async def test_a_head_that_is_not_durable_is_not_signed() -> None:
    world = await region()

    class Full:
        async def witness(self, *_: Any, **__: Any) -> None:
            raise AuditUnavailable("the disk is full")

    around = replace(world[HND].witnessing(), store=Full())
    with pytest.raises(AuditUnavailable):
        await witness.cosign(PAN, asked(world[PAN], 0), around)


# -- Forks ------------------------------------------------------------------------------------------------------------


async def fault_of(world: World, fork: CheckpointRequest) -> Entry:
    """HND refuses to sign, keeps the head it has, and logs the note that PAN's own key signed."""
    before = held(world)
    with pytest.raises(VerificationFailed):
        await witness.cosign(PAN, fork, world[HND].witnessing())
    assert held(world) == before
    (fault,) = world[HND].logged("checkpoint.fault")
    assert (fault.peer, fault.public["note"]) == (PAN, fork.note)
    opened = note.open_note(bytes(fault.public["note"]), [note.Verifier.parse(world.log_vkey(PAN))])  # type: ignore[arg-type]
    assert checkpoint.parse(opened.text).root == fault.public["root"]
    return fault


async def test_a_forked_log_of_another_size_is_a_fault_and_its_signed_note_is_kept() -> None:
    world = await region()
    await collect(world)
    fork = await restored(world, "fork", 5)
    fault = await fault_of(world, asked(fork, 3))
    assert (fault.public["step"], fault.public["size"]) == ("proof", 5)


async def test_a_forked_log_of_the_same_size_is_a_fault_too() -> None:
    world = await region()
    await collect(world)
    fork = await restored(world, "fork", 3)
    fault = await fault_of(world, asked(fork, 3))
    assert (fault.public["step"], fault.public["size"]) == ("old_size", 3)


async def test_a_checkpoint_smaller_than_the_size_it_claims_to_grow_from_is_a_fault() -> None:
    world = await region()
    await collect(world)
    fork = await restored(world, "fork", 2)
    fault = await fault_of(world, asked(fork, 3))
    assert fault.public["step"] == "bad_request"


@pytest.mark.parametrize(
    ("count", "step", "their_size"), [(2, "old_size", 3), (3, "old_size", 3), (5, "proof", 0)],
    ids=["shorter", "as long", "longer"],
)  # fmt: skip
async def test_a_log_that_was_put_back_is_disputed_and_nothing_is_repaired(
    count: int, step: str, their_size: int
) -> None:
    world = await region()
    await collect(world)
    back = await restored(world, "after", count)
    for times in (1, 2):
        with pytest.raises(VerificationFailed):
            await collect(world)
        disputes = back.logged("witness.disputed")
        assert len(disputes) == times
        assert disputes[0].peer == HND
        assert disputes[0].public == {"step": step, "our_size": count, "their_size": their_size}
    assert back.store.witnessed_size(HND) == 0
    assert held(world).size == 3


async def test_a_witness_that_says_it_saw_more_than_there_is_lies_or_we_forgot() -> None:
    world = await region()

    class Liar(Wire):
        async def add_checkpoint(self, *_: Any, **__: Any) -> bytes:
            raise VerificationFailed("old_size", "knows another", position=900)

    around = replace(world[PAN].collecting(), peers=Liar(world[PAN]))
    with pytest.raises(VerificationFailed):
        await witness.collect(HND, around)
    assert world[PAN].logged("witness.disputed")[0].public["their_size"] == 900


# -- After a backup ---------------------------------------------------------------------------------------------------


async def known(world: World, by: PeerId = HND) -> int:
    return await witness.known(by, world[PAN].collecting())


async def test_a_witness_that_has_seen_all_of_a_restored_log_says_so() -> None:
    world = await region()
    await collect(world)
    assert await known(world) == 3
    assert held(world).size == 3


async def test_a_witness_that_has_seen_less_is_given_the_proof_and_says_so() -> None:
    world = await region()
    assert await known(world, UTO) == 0
    await collect(world)
    await grow(world[PAN], 5)
    assert await known(world) == 3
    assert held(world).size == 8


async def test_a_log_that_was_put_back_learns_it_and_nothing_is_cosigned() -> None:
    world = await region()
    await grow(world[PAN], 4)
    await collect(world)
    for word, count, their_size in (("0", 3, 7), ("after", 9, None), ("after", 7, 7)):
        await restored(world, word, count)
        with pytest.raises(VerificationFailed, match="going on would fork it") as refused:
            await known(world)
        assert (refused.value.step, refused.value.position) == (witness.RESTORED, their_size)
    assert held(world).size == 7


async def test_without_a_checkpoint_or_an_answer_nothing_is_known() -> None:
    world = await World.of(PAN, HND)
    with pytest.raises(NotFoundOrNotPermitted):
        await known(world)
    await grow(world[PAN])
    world.line(PAN, HND).down = True
    with pytest.raises(PeerUnreachable):
        await known(world)


async def test_an_answer_that_cannot_be_trusted_is_no_word_about_the_log() -> None:
    world = await region()

    class Bent(Wire):
        async def add_checkpoint(self, *given: Any, **more: Any) -> bytes:
            line = await super().add_checkpoint(*given, **more)
            return line[:-10] + b"AAAAAAAA=\n"

    class Deaf(Wire):
        async def add_checkpoint(self, *_: Any, **__: Any) -> bytes:
            raise VerificationFailed("signature", "so the other side says")

    for wire in (Bent, Deaf):
        with pytest.raises((VerificationFailed, Malformed)) as refused:
            await witness.known(HND, replace(world[PAN].collecting(), peers=wire(world[PAN])))
        assert getattr(refused.value, "step", "") != witness.RESTORED


# -- Whose log, whose line -------------------------------------------------------------------------------------------


async def test_nobody_gets_another_states_log_cosigned() -> None:
    world = await region()
    with pytest.raises(VerificationFailed):
        await witness.cosign(UTO, asked(world[PAN], 0), world[HND].witnessing())
    with pytest.raises(NotFoundOrNotPermitted):
        await witness.cosign(PeerId("XOM"), asked(world[PAN], 0), world[HND].witnessing())
    assert held(world) is None


async def test_a_states_key_vouches_for_its_own_origin_only() -> None:
    world = await region()
    signer = ed25519.Signer(b"l" * 32)
    key = note.Verifier(names.log_origin(PAN), note.LOG_KEY, signer.public)
    head = checkpoint.Checkpoint(names.log_origin(UTO), 3, bytes(32))
    forged = CheckpointRequest(RequestId(bytes(16)), 0, (), note.sign(head.encode(), key, signer.sign))

    class Members:
        def log_vkey(self, state: PeerId) -> str:
            return key.vkey

        def witness_vkey(self, state: PeerId) -> str:
            raise NotImplementedError

    with pytest.raises(NotFoundOrNotPermitted):
        await witness.cosign(PAN, forged, replace(world[HND].witnessing(), log_keys=Members()))
    assert world[HND].store.witness(names.log_origin(UTO)) is None


async def test_a_line_that_is_not_the_witness_own_is_not_kept() -> None:
    world = await region()
    text = note.parse(world[PAN].store.checkpoint(3) or b"").text
    other = await world[UTO].keys.cosign(text, 1)
    stale = await world[HND].keys.cosign(text.replace(b"3\n", b"2\n"), 1)

    class Bent(Wire):
        line = b""

        async def add_checkpoint(self, *_: Any, **__: Any) -> bytes:
            return self.line

    bent = Bent(world[PAN])
    for line in (other, stale):
        bent.line = line
        with pytest.raises(VerificationFailed):
            await witness.collect(HND, replace(world[PAN].collecting(), peers=bent))
    assert world[PAN].store.witnessed_size(HND) == 0
    assert len(world[PAN].logged("witness.disputed")) == 2


async def test_two_roots_of_one_size_are_kept_as_a_proof_that_needs_no_log() -> None:
    world = await region()
    await collect(world)
    held_note = world[HND].store.witness_note(names.log_origin(PAN))
    assert held_note is not None
    size = checkpoint.parse(note.parse(held_note).text).size
    fork = await restored(world, "fork", size)
    fault = await fault_of(world, asked(fork, size))
    one, other = bytes(fault.public["known_note"]), bytes(fault.public["note"])  # type: ignore[arg-type]
    key = note.Verifier.parse(world.log_vkey(PAN))
    assert one == held_note and fault.public["known_size"] == size
    assert is_forked(one, other, key) and is_forked(other, one, key)
    assert not is_forked(one, one, key)
    # Under another key, or with a byte of the other's changed, it proves nothing.
    with pytest.raises(VerificationFailed):
        is_forked(one, other, note.Verifier.parse(world.log_vkey(HND)))
    with pytest.raises(VerificationFailed):
        is_forked(one, other.replace(note.parse(other).text, note.parse(one).text), key)
