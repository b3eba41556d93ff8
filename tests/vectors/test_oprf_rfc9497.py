"""Every ristretto255-SHA512 vector of RFC 9497, in its three modes, batches included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.primitives.group import locked_scalar
from gateway.pseudonym import oprf

SUITES = json.loads((Path(__file__).parent / "oprf" / "ristretto255-SHA512.json").read_text("utf-8"))
CASES = [(suite, vector) for suite in SUITES for vector in suite["vectors"]]


def many(text: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in text.split(",")]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: f"mode {suite['mode']}")
def test_key_pairs_are_derived_as_published(suite: dict[str, Any]) -> None:
    secret, public = oprf.derive_key_pair(
        bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]), oprf.Mode(suite["mode"])
    )
    assert secret.hex() == suite["skSm"]
    assert public == oprf.public_key(secret)
    if suite["mode"]:
        assert public.hex() == suite["pkSm"]


@pytest.mark.parametrize(("suite", "vector"), CASES, ids=lambda part: str(part.get("mode", part.get("Batch"))))
def test_a_run_gives_the_published_bytes_at_every_step(suite: dict[str, Any], vector: dict[str, Any]) -> None:
    mode = oprf.Mode(suite["mode"])
    secret, public = oprf.derive_key_pair(bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]), mode)
    info = bytes.fromhex(vector.get("Info", ""))
    inputs, blinds = many(vector["Input"]), many(vector["Blind"])

    blinded = oprf.blind(inputs, blinds, mode)
    assert blinded == many(vector["BlindedElement"])

    if mode is oprf.Mode.OPRF:
        evaluated = oprf.blind_evaluate(locked_scalar(secret), blinded)
    else:
        nonce = bytes.fromhex(vector["Proof"]["r"])
        evaluated, proof = oprf.evaluate_with_proof(locked_scalar(secret), public, blinded, nonce, mode, info)
        assert proof.hex() == vector["Proof"]["proof"]
        oprf.verify_proof(public, blinded, evaluated, proof, mode, info)
    assert evaluated == many(vector["EvaluationElement"])

    assert oprf.finalize_batch(inputs, blinds, evaluated, mode, info) == many(vector["Output"])
    assert oprf.evaluate_batch(secret, inputs, mode, info) == many(vector["Output"])


def test_all_three_modes_are_here_and_each_verifiable_one_has_a_batch() -> None:
    assert [suite["mode"] for suite in SUITES] == [0, 1, 2]
    assert [max(vector["Batch"] for vector in suite["vectors"]) for suite in SUITES] == [1, 2, 2]
    assert len(CASES) == 8
