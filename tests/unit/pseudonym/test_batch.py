"""A batch is its seed and its keys, and nothing else; a cover batch costs and looks like any other."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import VerificationFailed
from gateway.primitives.group import GROUP, SodiumGroup, scalar_of
from gateway.primitives.lp import lp
from gateway.pseudonym import batch, oprf
from gateway.pseudonym.key import MatchKey
from gateway.terms import BATCH_CLASSES, Hidden, KeyType

SEED = b"s" * 32
SECRET, PUBLIC = oprf.derive_key_pair(b"k" * 32, b"scope")
NONCE = scalar_of(4242)


def keys(count: int) -> list[MatchKey]:
    return [MatchKey(KeyType.DOC_1, Hidden(lp("doc/1", "VEN", f"T{n:08d}"))) for n in range(count)]


def answer(blinded: bytes) -> tuple[bytes, bytes]:
    evaluated, proof = oprf.evaluate_with_proof(SECRET, PUBLIC, oprf.split(blinded), NONCE)
    return b"".join(evaluated), proof


@pytest.mark.parametrize(
    ("count", "size", "batches"),
    [(0, 8, 1), (1, 8, 1), (8, 8, 1), (9, 32, 1), (32, 32, 1), (33, 320, 1), (320, 320, 1), (321, 1280, 1),
     (1280, 1280, 1), (1281, 1280, 2), (2560, 1280, 2), (2561, 1280, 3)],
)  # fmt: skip
def test_the_class_is_the_smallest_that_holds_the_keys(count: int, size: int, batches: int) -> None:
    assert batch.class_for(count) == size
    assert batch.batches_for(count) == batches


def test_finish_gives_each_key_its_output_in_the_order_of_the_keys() -> None:
    asked = keys(5)
    plan = batch.BatchPlan.make(asked, SEED, 8)
    found = plan.finish(*answer(plan.blinded), PUBLIC)
    assert all(key is declared for (key, _), declared in zip(found, asked, strict=True))
    assert [y for _, y in found] == [oprf.evaluate(SECRET, key.input.open()) for key in asked]


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 32))
def test_an_auditor_with_seed_and_keys_makes_the_same_bytes(seed: bytes, count: int) -> None:
    plan = batch.BatchPlan.make(keys(count), seed, 32)
    inputs = [key.input.open() for key in keys(count)]
    assert batch.recompute(seed, inputs, 32, batch.seed_commitment(seed)) == plan.blinded
    assert len(set(oprf.split(plan.blinded))) == 32


def test_an_auditor_sees_a_smuggled_slot() -> None:
    inputs = [key.input.open() for key in keys(3)]
    honest = batch.blinded_elements(inputs, SEED, 8)
    smuggled = batch.blinded_elements([*inputs, lp("doc/1", "VEN", "a fourth")], SEED, 8)
    assert smuggled != honest
    # Exactly the slot of the first dummy differs: dummies do not move when a key takes the place of one.
    differing = [a != b for a, b in zip(oprf.split(honest), oprf.split(smuggled), strict=True)]
    assert sum(differing) == 1
    # Keys in another order than committed are other bytes too.
    assert batch.blinded_elements(inputs[::-1], SEED, 8) != honest


def test_an_auditor_refuses_a_seed_that_was_not_committed() -> None:
    with pytest.raises(VerificationFailed):
        batch.recompute(SEED, [], 8, batch.seed_commitment(b"t" * 32))


def test_two_seeds_share_no_point() -> None:
    one = batch.BatchPlan.make(keys(8), SEED, 8).blinded
    two = batch.BatchPlan.make(keys(8), b"t" * 32, 8).blinded
    assert not set(oprf.split(one)) & set(oprf.split(two))


def test_the_place_of_a_key_is_spread_over_all_slots() -> None:
    # 400 seeds, 8 slots: each expects 50; outside 15 to 100 has a chance below 1e-8.
    counts = [0] * 8
    for number in range(400):
        counts[batch._slots([b"key"], number.to_bytes(32, "big"), 8).places[0]] += 1
    assert all(15 < count < 100 for count in counts)


def test_a_cover_batch_is_all_dummies_and_finishes_empty() -> None:
    plan = batch.cover(SEED, 8)
    assert len(plan.blinded) == 8 * 32
    assert plan.finish(*answer(plan.blinded), PUBLIC) == []
    assert batch.recompute(SEED, [], 8, batch.seed_commitment(SEED)) == plan.blinded


def test_a_void_cover_batch_is_noticed_like_any_other() -> None:
    plan = batch.cover(SEED, 8)
    evaluated, proof = answer(plan.blinded)
    with pytest.raises(VerificationFailed):
        plan.finish(evaluated[32:] + evaluated[:32], proof, PUBLIC)


class Counting:
    """Counts the group operations that a batch costs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.operations: dict[str, int] = {}
        for name in ("hash_to_group", "mul", "mul_each", "mul_base", "add", "combine"):
            monkeypatch.setattr(SodiumGroup, name, self._counted(name, getattr(SodiumGroup, name)))

    def _counted(self, name: str, inner: Any) -> Any:  # noqa: ANN401
        def call(group: SodiumGroup, *arguments: Any) -> Any:  # noqa: ANN401
            size = max((len(a) for a in arguments if isinstance(a, (list, tuple))), default=1)
            self.operations[name] = self.operations.get(name, 0) + size
            return inner(group, *arguments)

        return call


@pytest.mark.parametrize("size", [8, 32])
def test_a_cover_batch_costs_both_sides_the_same_operations_as_a_full_one(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = []
    for count in (0, 1, size):
        with monkeypatch.context() as patch:
            counting = Counting(patch)
            plan = batch.BatchPlan.make(keys(count), SEED, size)
            plan.finish(*answer(plan.blinded), PUBLIC)
            costs.append(counting.operations)
    assert costs[0] == costs[1] == costs[2]
    assert costs[0]["hash_to_group"] == size


def test_plain_values_go_through_a_worker_process() -> None:
    inputs = [key.input.open() for key in keys(2)]
    function, arguments = pickle.loads(pickle.dumps((batch.blinded_elements, (inputs, SEED, 8))))
    blinded = function(*arguments)
    evaluated, proof = answer(blinded)
    function, arguments = pickle.loads(
        pickle.dumps((batch.outputs, (inputs, SEED, 8, blinded, evaluated, proof, PUBLIC)))
    )
    assert function(*arguments) == oprf.evaluate_batch(SECRET, inputs)


@pytest.mark.parametrize(
    ("count", "seed", "size"),
    [(9, SEED, 8), (0, SEED, 9), (0, SEED, 0), (0, SEED[:31], 8), (0, SEED + b"x", 8), (1281, SEED, 1280)],
)
def test_a_batch_that_cannot_be_is_a_mistake(count: int, seed: bytes, size: int) -> None:
    with pytest.raises(ValueError):
        batch.blinded_elements([b"key"] * count, seed, size)
    with pytest.raises(ValueError):
        batch.class_for(-1)


def test_nothing_of_a_plan_is_shown() -> None:
    plan = batch.BatchPlan.make(keys(2), SEED, 8)
    shown = repr(plan) + str(plan)
    assert SEED.hex() not in shown and repr(SEED) not in shown and "T0000000" not in shown


def test_the_classes_are_the_protocols() -> None:
    assert BATCH_CLASSES == (8, 32, 320, 1280)
    GROUP.load()
