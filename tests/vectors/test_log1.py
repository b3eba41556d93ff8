"""The log's vectors, read by the code that has to live with them, and by plain hashing beside it."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.public import PrivateKey, SealedBox
from nacl.signing import VerifyKey

from gateway.audit import checkpoint, export, leaf, merkle, note, seal, tiles, trust, witness
from gateway.audit.leaf import Leaf
from gateway.audit.verify import verify
from gateway.errors import Malformed, VerificationFailed
from gateway.primitives import cbor

V: dict[str, Any] = json.loads(Path(__file__).with_name("log1.json").read_text("ascii"))
ENTRIES: list[dict[str, Any]] = V["entries"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e['seq']}-{e['kind']}")
def test_leaves_read_and_hash(entry: dict[str, Any]) -> None:
    data = bytes.fromhex(entry["leaf"])
    read = Leaf.parse(data)
    assert (read.seq, read.kind, read.phase.value, read.peer) == (
        entry["seq"], entry["kind"], entry["phase"], entry["peer"],
    )  # fmt: skip
    assert hashlib.sha256(b"\x00" + data).hexdigest() == entry["leaf_hash"]
    payload = bytes.fromhex(entry["payload"])
    assert read.sealed == (hashlib.sha256(payload).digest() if payload else b"")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e['seq']}-{e['kind']}")
def test_commitments_by_plain_hashing(entry: dict[str, Any]) -> None:
    read = Leaf.parse(bytes.fromhex(entry["leaf"]))
    assert set(entry["fields"]) == set(read.commitments)
    for name, field in entry["fields"].items():
        salt = hmac.digest(bytes.fromhex(entry["record_key"]), name.encode(), "sha256")[:16]
        assert salt.hex() == field["salt"]
        value = bytes.fromhex(field["value"])
        plain = hashlib.sha256(salt + len(name).to_bytes(2, "big") + name.encode() + value)
        assert plain.hexdigest() == field["commitment"] == read.commitments[name].hex()


def test_a_payload_opens_by_the_published_steps_alone() -> None:
    """No code of ours but the CBOR reader: sealed box, chain, AEAD, padding."""
    payload = cbor.decode(bytes.fromhex(ENTRIES[1]["payload"]))
    assert payload[:2] == ["limen.sealed/1", V["sealing"]["number"]]
    for place, role in enumerate(("supervisor", "auditor", "desk")):
        private = PrivateKey(bytes.fromhex(V["keys"]["readers"][role]["private"]))
        assert bytes(private.public_key).hex() == V["keys"]["readers"][role]["public"]
        chains = SealedBox(private).decrypt(payload[2 + place])
        parts = {"guard": (chains[-32:], payload[6])}
        if role != "desk":
            parts["secret"] = (chains[:32], payload[5])
        for name, (chain, box) in parts.items():
            key = hmac.digest(chain, b"key", "sha256")
            plain = ChaCha20Poly1305(key).decrypt(bytes(12), box, b"limen.sealed/1 " + name.encode())
            size = int.from_bytes(plain[:4], "big")
            assert plain[4 : 4 + size].hex() == V["sealing"][name] and not any(plain[4 + size :])


def test_the_second_record_of_the_session_is_one_step_on() -> None:
    second = cbor.decode(bytes.fromhex(ENTRIES[2]["payload"]))
    assert second[1] == 1
    opener = seal.Opener(bytes.fromhex(V["keys"]["readers"]["auditor"]["private"]))
    read = Leaf.parse(bytes.fromhex(ENTRIES[2]["leaf"]))
    assert leaf.open_fields(read, opener.open(bytes.fromhex(ENTRIES[2]["payload"])).secret) == {"hits": []}


def test_the_tree_and_its_proofs() -> None:
    hashes = [bytes.fromhex(entry["leaf_hash"]) for entry in ENTRIES]
    roots = [bytes.fromhex(root) for root in V["tree"]["roots"]]
    assert [merkle.root_of(hashes[:n]) for n in range(6)] == roots
    inclusion = [bytes.fromhex(step) for step in V["tree"]["inclusion_of_1_in_5"]]
    merkle.verify_inclusion(1, 5, hashes[1], inclusion, roots[5])
    consistency = [bytes.fromhex(step) for step in V["tree"]["consistency_from_3_to_5"]]
    merkle.verify_consistency(3, 5, roots[3], roots[5], consistency)


def test_the_checkpoint_and_its_cosignature_by_plain_ed25519() -> None:
    text = V["checkpoint"]["text"].encode()
    head = checkpoint.parse(text)
    assert (head.size, head.root.hex(), head.digest.hex()) == (5, V["tree"]["roots"][5], V["checkpoint"]["digest"])
    log = note.Verifier.parse(V["keys"]["log_vkey"])
    cosigner = note.Verifier.parse(V["keys"]["witness_vkey"])
    parsed = note.parse((V["checkpoint"]["note"] + V["checkpoint"]["cosignature"]).encode())
    assert parsed.text == text
    VerifyKey(log.public).verify(text, parsed.signatures[0].raw)
    stamp, signature = parsed.signatures[1].raw[:8], parsed.signatures[1].raw[8:]
    assert int.from_bytes(stamp, "big") == V["checkpoint"]["cosignature_time_s"]
    VerifyKey(cosigner.public).verify(V["checkpoint"]["cosigned_message"].encode(), signature)


def test_the_bundle_is_the_leaves() -> None:
    assert [data.hex() for data in tiles.decode_bundle(bytes.fromhex(V["bundle"]))] == [e["leaf"] for e in ENTRIES]


def test_the_export_verifies_under_the_card() -> None:
    folder = export.MemoryFolder({path: bytes.fromhex(data) for path, data in V["export"].items()})
    card = trust.Card.parse(V["trust_card"])
    report = verify(folder, card, reader_key=bytes.fromhex(V["keys"]["readers"]["supervisor"]["private"]))
    assert (report.ok, report.size, report.root.hex()) == (True, 5, V["tree"]["roots"][5])


@pytest.mark.parametrize("case", V["witness"], ids=lambda case: case["name"])
def test_a_witness_judges_as_written(case: dict[str, Any]) -> None:
    held = case["held"]
    seen = None if held is None else witness.Seen(held["size"], bytes.fromhex(held["root"]))
    proof = [bytes.fromhex(step) for step in case["proof"]]

    def judge() -> None:
        witness.judge(seen, case["old_size"], case["size"], bytes.fromhex(case["root"]), proof)

    if case["refused"] is None:
        judge()
        return
    with pytest.raises(VerificationFailed) as caught:
        judge()
    assert (caught.value.step, caught.value.position) == (case["refused"], case["held_size_told"])


@pytest.mark.parametrize("case", V["refused_leaves"], ids=lambda case: case["why"])
def test_a_leaf_that_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Leaf.parse(bytes.fromhex(case["leaf"]))
