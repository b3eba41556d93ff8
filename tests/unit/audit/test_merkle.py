"""The published proof cases, the classic eight-leaf tree, and agreement between the ways to compute a root."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import merkle
from gateway.errors import VerificationFailed

VECTORS = Path(__file__).parents[2] / "vectors" / "merkle"


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(json.loads(path.read_text()), id=str(path.relative_to(VECTORS / kind)))
        for path in sorted((VECTORS / kind).rglob("*.json"))
    ]


def _b64(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_all_published_cases_are_here() -> None:
    assert len(_cases("inclusion")) == 98
    assert len(_cases("consistency")) == 98


@pytest.mark.parametrize("case", _cases("inclusion"))
def test_published_inclusion_case(case: dict[str, Any]) -> None:
    def check() -> None:
        merkle.verify_inclusion(
            case["leafIdx"],
            case["treeSize"],
            _b64(case["leafHash"]),
            [_b64(part) for part in case["proof"] or []],
            _b64(case["root"]),
        )

    if case["wantErr"]:
        with pytest.raises(VerificationFailed):
            check()
    else:
        check()


@pytest.mark.parametrize("case", _cases("consistency"))
def test_published_consistency_case(case: dict[str, Any]) -> None:
    def check() -> None:
        merkle.verify_consistency(
            case["size1"],
            case["size2"],
            _b64(case["root1"]),
            _b64(case["root2"]),
            [_b64(part) for part in case["proof"] or []],
        )

    if case["wantErr"]:
        with pytest.raises(VerificationFailed):
            check()
    else:
        check()


# The known-answer tree of RFC 6962 implementations (certificate-transparency's own tests).
LEAVES = [
    bytes.fromhex(x)
    for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _memory(hashes: list[bytes]) -> merkle.Subtree:
    return lambda level, index: merkle.root_of(hashes[index << level : (index + 1) << level])


def test_the_classic_tree_has_its_known_roots() -> None:
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    assert [merkle.root_of(hashes[: n + 1]).hex() for n in range(8)] == ROOTS
    assert merkle.root_of([]) == merkle.EMPTY_ROOT


@given(st.integers(1, 200), st.data())
def test_every_proof_that_is_made_verifies_and_no_other_leaf_fits_it(size: int, data: st.DataObject) -> None:
    hashes = [merkle.leaf_hash(n.to_bytes(2, "big")) for n in range(size)]
    root = merkle.root_of(hashes)
    subtree = _memory(hashes)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, subtree)
    merkle.verify_inclusion(index, size, hashes[index], proof, root)
    with pytest.raises(VerificationFailed):
        merkle.verify_inclusion(index, size, merkle.leaf_hash(b"other"), proof, root)

    old = data.draw(st.integers(1, size))
    old_root = merkle.root_of(hashes[:old])
    assert merkle.range_hash(0, old, subtree) == old_root
    steps = merkle.consistency_proof(old, size, subtree)
    merkle.verify_consistency(old, size, old_root, root, steps)
    with pytest.raises(VerificationFailed):
        merkle.verify_consistency(old, size, merkle.leaf_hash(b"other"), root, steps)


@given(st.integers(2, 64), st.integers(0, 63), st.integers(0, 255), st.integers(0, 7))
def test_a_bit_flipped_anywhere_in_a_proof_is_found(size: int, index: int, at: int, bit: int) -> None:
    hashes = [merkle.leaf_hash(bytes([n])) for n in range(size)]
    index %= size
    proof = merkle.inclusion_proof(index, size, _memory(hashes))
    flat = bytearray(b"".join(proof))
    flat[at % len(flat)] ^= 1 << bit
    broken = [bytes(flat[n : n + 32]) for n in range(0, len(flat), 32)]
    with pytest.raises(VerificationFailed) as caught:
        merkle.verify_inclusion(index, size, hashes[index], broken, merkle.root_of(hashes))
    assert caught.value.position == index
