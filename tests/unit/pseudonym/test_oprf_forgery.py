"""An owner that cheats is caught, and a batch that is caught is void as a whole (psi.md section 9, tests 3 to 5)."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed, VerificationFailed
from gateway.primitives.group import GENERATOR, GROUP, ORDER, locked_scalar, scalar_of
from gateway.pseudonym import batch, oprf

SEED = bytes(range(32))
SECRET, PUBLIC = oprf.derive_key_pair(b"k" * 32, b"scope")
OTHER_SECRET, OTHER_PUBLIC = oprf.derive_key_pair(b"k" * 32, b"another scope")
KEYS = [b"first key", b"second key", b"third key"]
BLINDED = batch.blinded_elements(KEYS, SEED, 8)
ELEMENTS = oprf.split(BLINDED)
NONCE = scalar_of(7_777_777)
EVALUATED, PROOF = oprf.evaluate_with_proof(SECRET, PUBLIC, ELEMENTS, NONCE)
REPLY = b"".join(EVALUATED)
IDENTITY = bytes(32)


def finish(evaluated: bytes = REPLY, proof: bytes = PROOF, public: bytes = PUBLIC) -> list[bytes]:
    return batch.outputs(KEYS, SEED, 8, BLINDED, evaluated, proof, public)


def test_an_honest_reply_gives_the_owners_own_outputs() -> None:
    assert finish() == oprf.evaluate_batch(SECRET, KEYS)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 8 * len(REPLY) - 1))
def test_any_flipped_bit_of_any_element_voids_the_batch(bit: int) -> None:
    bad = bytearray(REPLY)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationFailed):
        finish(evaluated=bytes(bad))


@pytest.mark.parametrize("bit", range(0, 8 * len(PROOF), 3))
def test_a_flipped_bit_of_the_proof_voids_the_batch(bit: int) -> None:
    bad = bytearray(PROOF)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationFailed):
        finish(proof=bytes(bad))


def test_two_elements_swapped_void_the_batch() -> None:
    swapped = [EVALUATED[1], EVALUATED[0], *EVALUATED[2:]]
    with pytest.raises(VerificationFailed):
        finish(evaluated=b"".join(swapped))


def test_another_key_voids_the_batch_with_and_without_its_own_proof() -> None:
    evaluated, proof = oprf.evaluate_with_proof(OTHER_SECRET, OTHER_PUBLIC, ELEMENTS, NONCE)
    with pytest.raises(VerificationFailed):
        finish(evaluated=b"".join(evaluated), proof=proof)
    with pytest.raises(VerificationFailed):
        finish(public=OTHER_PUBLIC)
    # One element alone under another key, the others honest.
    with pytest.raises(VerificationFailed):
        finish(evaluated=b"".join([*EVALUATED[:-1], evaluated[-1]]))


@pytest.mark.parametrize("slot", range(8))
def test_one_dishonest_slot_is_found_even_if_the_owner_proves_what_it_can(slot: int) -> None:
    cheating = list(EVALUATED)
    cheating[slot] = GROUP.mul(OTHER_SECRET, [ELEMENTS[slot]])[0]
    # The owner runs the prover over its dishonest elements.
    proof = oprf._prove(SECRET, PUBLIC, ELEMENTS, cheating, NONCE, oprf.Mode.VOPRF)
    with pytest.raises(VerificationFailed):
        finish(evaluated=b"".join(cheating), proof=proof)


def test_the_reply_to_another_batch_is_void_here() -> None:
    theirs = batch.blinded_elements(KEYS, bytes(32), 8)
    evaluated, proof = oprf.evaluate_with_proof(SECRET, PUBLIC, oprf.split(theirs), NONCE)
    with pytest.raises(VerificationFailed):
        finish(evaluated=b"".join(evaluated), proof=proof)


@pytest.mark.parametrize(
    ("what", "bad"),
    [
        ("identity", IDENTITY),
        ("bit 255", EVALUATED[2][:31] + bytes([EVALUATED[2][31] | 0x80])),
        ("all ones", b"\xff" * 32),
        ("negative", bytes([EVALUATED[2][0] ^ 1]) + EVALUATED[2][1:]),
    ],
)
def test_an_impossible_element_voids_the_batch(what: str, bad: bytes) -> None:
    with pytest.raises(VerificationFailed):
        finish(evaluated=b"".join([*EVALUATED[:2], bad, *EVALUATED[3:]]))


@pytest.mark.parametrize("public", [IDENTITY, b"\xff" * 32, PUBLIC[:31], PUBLIC[:31] + bytes([PUBLIC[31] | 0x80])])
def test_an_impossible_public_key_voids_the_batch(public: bytes) -> None:
    with pytest.raises(VerificationFailed):
        finish(public=public)


@pytest.mark.parametrize("reply", [REPLY[:-32], REPLY + EVALUATED[0], REPLY[:-1], b"", REPLY + b"\0"])
def test_another_number_of_elements_voids_the_batch(reply: bytes) -> None:
    with pytest.raises(VerificationFailed):
        finish(evaluated=reply)


@pytest.mark.parametrize("at", [0, 32])
@pytest.mark.parametrize("scalar", [bytes(32), ORDER.to_bytes(32, "little"), b"\xff" * 32])
def test_a_zero_or_unreduced_scalar_in_the_proof_voids_the_batch(at: int, scalar: bytes) -> None:
    with pytest.raises(VerificationFailed):
        finish(proof=PROOF[:at] + scalar + PROOF[at + 32 :])


def test_a_response_that_is_right_but_not_reduced_voids_the_batch() -> None:
    # s + L is the same scalar to libsodium, so only our own judgement refuses it.
    s = int.from_bytes(PROOF[32:], "little") + ORDER
    with pytest.raises(VerificationFailed):
        finish(proof=PROOF[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("proof", [b"", PROOF[:63], PROOF + b"\0"])
def test_a_proof_of_another_size_voids_the_batch(proof: bytes) -> None:
    with pytest.raises(VerificationFailed):
        finish(proof=proof)


def test_the_owner_evaluates_nothing_of_a_batch_with_one_bad_element() -> None:
    for bad in (IDENTITY, ELEMENTS[3][:31] + bytes([ELEMENTS[3][31] | 0x80]), b"\x02" + bytes(31), ELEMENTS[3][:31]):
        with pytest.raises(Malformed) as refused:
            oprf.evaluate_with_proof(SECRET, PUBLIC, [*ELEMENTS[:3], bad, *ELEMENTS[4:]], NONCE)
        assert bad.hex() not in str(refused.value)


def test_batch_sizes() -> None:
    with pytest.raises(ValueError, match="1 to 65,535"):
        oprf.blind([], [])
    with pytest.raises(ValueError, match="1 to 65,535"):
        oprf.blind_evaluate(SECRET, [GENERATOR] * 65_536)
    with pytest.raises(ValueError, match="1 to 65,535"):
        oprf.evaluate_with_proof(SECRET, PUBLIC, [], NONCE)
    with pytest.raises(ValueError, match="65,535"):
        oprf.evaluate(SECRET, bytes(65_536))
    assert len(oprf.evaluate(SECRET, bytes(65_535))) == 64


@pytest.mark.parametrize("scalar", [bytes(32), ORDER.to_bytes(32, "little"), b"\x01", b"\xff" * 32])
def test_bad_blinds_nonces_and_keys_are_mistakes(scalar: bytes) -> None:
    good = scalar_of(5)
    for attempt in (
        lambda: oprf.blind([b"x"], [scalar]),
        lambda: oprf.blind_evaluate(scalar, [GENERATOR]),
        lambda: oprf.evaluate_with_proof(SECRET, PUBLIC, [GENERATOR], scalar),
        lambda: oprf.finalize_batch([b"x"], [scalar], [GENERATOR]),
        lambda: locked_scalar(scalar),
        lambda: GROUP.mul_each([good, scalar], [GENERATOR, GENERATOR]),
    ):
        with pytest.raises(ValueError, match="scalar"):
            attempt()


def test_the_same_point_twice_is_allowed() -> None:
    evaluated, proof = oprf.evaluate_with_proof(SECRET, PUBLIC, [GENERATOR, GENERATOR], NONCE)
    oprf.verify_proof(PUBLIC, [GENERATOR, GENERATOR], evaluated, proof)
    assert evaluated[0] == evaluated[1]


def test_drawn_blinds_and_nonces_are_fresh_and_in_range() -> None:
    blinds = oprf.draw_blinds(os.urandom, 50)
    assert len(set(blinds)) == 50
    assert all(0 < int.from_bytes(blind, "little") < ORDER for blind in blinds)
    # A zero draw is drawn again.
    draws = iter([bytes(64), b"\x05" + bytes(63)])
    assert oprf.draw_blinds(lambda size: next(draws), 1) == [scalar_of(5)]


def test_a_stuck_random_source_does_not_repeat_a_nonce_for_another_batch() -> None:
    def stuck(size: int) -> bytes:
        return bytes(size)

    first = oprf.draw_nonce(stuck, SECRET, ELEMENTS)
    assert oprf.draw_nonce(stuck, SECRET, ELEMENTS[::-1]) != first
    assert oprf.draw_nonce(stuck, OTHER_SECRET, ELEMENTS) != first
    assert oprf.draw_nonce(stuck, locked_scalar(SECRET), ELEMENTS) == first


def test_mode_0_has_no_proof() -> None:
    with pytest.raises(ValueError):
        oprf.evaluate_with_proof(SECRET, PUBLIC, ELEMENTS, NONCE, oprf.Mode.OPRF)
    with pytest.raises(ValueError):
        oprf.verify_proof(PUBLIC, ELEMENTS, EVALUATED, PROOF, oprf.Mode.OPRF)


def test_modes_and_infos_do_not_mix() -> None:
    one = b"the same input"
    assert len({oprf.evaluate(SECRET, one, mode, info) for mode in oprf.Mode for info in (b"", b"x")}) == 4
    nonce = scalar_of(9)
    evaluated, proof = oprf.evaluate_with_proof(SECRET, PUBLIC, ELEMENTS, nonce, oprf.Mode.POPRF, b"a")
    oprf.verify_proof(PUBLIC, ELEMENTS, evaluated, proof, oprf.Mode.POPRF, b"a")
    with pytest.raises(VerificationFailed):
        oprf.verify_proof(PUBLIC, ELEMENTS, evaluated, proof, oprf.Mode.POPRF, b"b")
    with pytest.raises(VerificationFailed):
        oprf.verify_proof(PUBLIC, ELEMENTS, evaluated, proof)


def test_a_key_seed_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        oprf.derive_key_pair(bytes(31), b"")
