"""M1 and M2: what a verifiable evaluation costs, in raw scalar multiplications of the same carrier and the same round.

CPU time of this thread; a round measures the raw multiplication before and after the work, the figure is the median of
the rounds' ratios.
"""

from __future__ import annotations

import ctypes
import secrets
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from gateway.primitives import sodium
from gateway.primitives.group import GENERATOR, GROUP
from gateway.pseudonym import batch, oprf

Row = dict[str, Any]


def run(smoke: bool) -> list[Row]:
    """The rows of M1 (owner and asker) and M2. The short form asserts nothing about speed."""
    GROUP.load()
    rounds, repeats, size = (2, 5, 8) if smoke else (15, 100, 1280)
    seed = secrets.token_bytes(32)
    secret, public = oprf.derive_key_pair(seed, b"bench")
    owner, asker = _single(secret, public, rounds, repeats)
    both = _batch(secret, public, rounds, size)
    against = f"one raw scalar multiplication ({sodium.source()})"
    unit = "multiplications"
    return [
        _row("M1.owner", owner, unit, 6.0, against),
        _row("M1.asker", asker, unit, 10.0, against),
        _row("M2", both, f"{unit} a key, both sides, {size:,} keys", 8.0, against),
    ]


def _row(name: str, value: float, unit: str, goal: float, against: str) -> Row:
    return {
        "id": name,
        "value": round(value, 2),
        "unit": unit,
        "goal": f"<= {goal:g}",
        "met": value <= goal,
        "against": against,
    }


def _cpu(work: Callable[[], object], repeats: int) -> float:
    start = time.thread_time()
    for _ in range(repeats):
        work()
    return (time.thread_time() - start) / repeats


def _raw(count: int) -> float:
    times = sodium.library().crypto_scalarmult_ristretto255
    out = ctypes.create_string_buffer(32)
    scalar = oprf.draw_blinds(secrets.token_bytes, 1)[0]
    return _cpu(lambda: times(out, scalar, GENERATOR), count)


def _single(secret: bytes, public: bytes, rounds: int, repeats: int) -> tuple[float, float]:
    one = [secrets.token_bytes(24)]
    owner, asker = [], []
    for _ in range(rounds):
        blinds = oprf.draw_blinds(secrets.token_bytes, 1)
        blinded = oprf.blind(one, blinds)

        def evaluate(blinded: list[bytes] = blinded) -> tuple[list[bytes], bytes]:
            nonce = oprf.draw_nonce(secrets.token_bytes, secret, blinded)
            return oprf.evaluate_with_proof(secret, public, blinded, nonce)

        evaluated, proof = evaluate()

        def ask(
            blinds: list[bytes] = blinds,
            blinded: list[bytes] = blinded,
            evaluated: list[bytes] = evaluated,
            proof: bytes = proof,
        ) -> list[bytes]:
            oprf.blind(one, blinds)
            oprf.verify_proof(public, blinded, evaluated, proof)
            return oprf.finalize_batch(one, blinds, evaluated)

        before = _raw(4 * repeats)
        owner_s, asker_s = _cpu(evaluate, repeats), _cpu(ask, repeats)
        raw = (before + _raw(4 * repeats)) / 2
        owner.append(owner_s / raw)
        asker.append(asker_s / raw)
    return median(owner), median(asker)


def _batch(secret: bytes, public: bytes, rounds: int, size: int) -> float:
    keys = [secrets.token_bytes(24) for _ in range(size)]
    ratios = []
    for _ in range(rounds):
        seed = secrets.token_bytes(32)

        def whole(seed: bytes = seed) -> list[bytes]:
            blinded = batch.blinded_elements(keys, seed, size)
            elements = oprf.split(blinded)
            nonce = oprf.draw_nonce(secrets.token_bytes, secret, elements)
            evaluated, proof = oprf.evaluate_with_proof(secret, public, elements, nonce)
            return batch.outputs(keys, seed, size, blinded, b"".join(evaluated), proof, public)

        before = _raw(size)
        both_s = _cpu(whole, 1)
        raw = (before + _raw(size)) / 2
        ratios.append(both_s / raw / size)
    return median(ratios)
