"""psi/1 against vectors that a second implementation made (generate_psi1.py), and that implementation against RFCs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.primitives.group import GROUP
from gateway.primitives.lp import lp
from gateway.pseudonym import batch, delta, label, oprf, schedule, table
from gateway.terms import EpochId, ListId, PeerId, PurposeGroup, RequestId
from gateway.terms.exchange import KeyScope
from tests.vectors import psi1_reference as ref

HERE = Path(__file__).parent
PSI = json.loads((HERE / "psi1.json").read_text("ascii"))
RFC9497 = json.loads((HERE / "oprf" / "ristretto255-SHA512.json").read_text("ascii"))
PAN, HND = PeerId("PAN"), PeerId("HND")
SECRET = bytes.fromhex(PSI["secret_key"])
PUBLIC = bytes.fromhex(PSI["public_key"])


def test_the_file_is_what_its_script_makes() -> None:
    done = subprocess.run([sys.executable, HERE / "generate_psi1.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_second_implementation_passes_the_vectors_of_rfc_9497() -> None:
    suite = RFC9497[1]
    k, public = ref.derive_key_pair(bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]))
    assert public.hex() == suite["pkSm"]
    for vector in suite["vectors"]:
        blinded = [bytes.fromhex(one) for one in vector["BlindedElement"].split(",")]
        evaluated = [bytes.fromhex(one) for one in vector["EvaluationElement"].split(",")]
        nonce = int.from_bytes(bytes.fromhex(vector["Proof"]["r"]), "little")
        assert ref.prove(k, public, blinded, evaluated, nonce).hex() == vector["Proof"]["proof"]
        outputs = [ref.evaluate(k, bytes.fromhex(one)).hex() for one in vector["Input"].split(",")]
        assert outputs == vector["Output"].split(",")


def test_the_second_implementation_seals_as_rfc_8439_section_2_8_2() -> None:
    plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    plain += b"sunscreen would be it."
    sealed = ref.aead_seal(
        bytes(range(0x80, 0xA0)),
        bytes.fromhex("070000004041424344454647"),
        bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
        plain,
    )
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


def test_keys_and_outputs() -> None:
    scope = PSI["scope"]
    info = schedule.info(
        KeyScope(
            owner=PeerId(scope["owner"]),
            list_id=ListId(scope["list"]),
            group=PurposeGroup(scope["group"]),
            epoch=EpochId(scope["epoch"]),
            peer=PeerId(scope["peer"]),
        )
    )
    assert info.hex() == PSI["info"]
    assert oprf.derive_key_pair(bytes.fromhex(PSI["key_seed"]), info) == (SECRET, PUBLIC)


@pytest.mark.parametrize("key", PSI["keys"], ids=lambda key: key["parts"][0])
def test_what_is_derived_from_an_output(key: dict[str, Any]) -> None:
    assert lp(*key["parts"]).hex() == key["input"]
    y = oprf.evaluate(SECRET, bytes.fromhex(key["input"]))
    assert y.hex() == key["output"]
    tag, label_key = schedule.label_row(y, PSI["table"]["version"])
    assert (tag.hex(), label_key.hex()) == (key["tag"], key["label_key"])
    assert schedule.tag(y).hex() == key["ticket_tag"]
    assert schedule.token_key(y).hex() == key["token_key"]


def test_handle_and_token() -> None:
    handle = PSI["handle"]
    made = schedule.handle(bytes.fromhex(handle["key"]), PAN, EpochId(PSI["scope"]["epoch"]), handle["entry"])
    assert made.hex() == handle["handle"]
    token = PSI["token"]
    request_id = RequestId(bytes.fromhex(token["request_id"]))
    key = bytes.fromhex(PSI["keys"][0]["token_key"])
    assert schedule.hit_token(key, PAN, HND, request_id, bytes.fromhex(token["request_hash"])).hex() == token["token"]


def test_a_delta() -> None:
    expected = PSI["delta"]
    delta_id, number = bytes.fromhex(expected["delta_id"]), expected["number"]
    entered, withdrawn, absent = (bytes.fromhex(key["output"]) for key in PSI["keys"])
    assert (entered.hex(), withdrawn.hex()) == (expected["entered"]["output"], expected["withdrawn"]["output"])
    said = label.decode(bytes.fromhex(PSI["label"]["encoded"]))
    rows = [delta.seal_row(entered, delta_id, number, said), delta.seal_row(withdrawn, delta_id, number, None)]
    assert [row.hex() for row in rows] == [expected["entered"]["row"], expected["withdrawn"]["row"]]
    made = delta.build(rows, bytes.fromhex(expected["filler_seed"]))
    assert (hashlib.sha256(made).hexdigest(), made[:64].hex()) == (expected["rows_sha256"], expected["first_row"])
    found = delta.newest([entered, withdrawn, absent], [(number, delta_id, made)])
    assert found == [said.encode(), delta.WITHDRAWN, None]


def test_label_and_table() -> None:
    expected, made = PSI["table"], label.decode(bytes.fromhex(PSI["label"]["encoded"]))
    assert made.encode().hex() == PSI["label"]["encoded"]
    for name in ("kind", "action", "urgency", "handling", "expiry_day", "contact", "flags"):
        assert getattr(made, name) == PSI["label"][name]
    table_id = bytes.fromhex(expected["table_id"])
    outputs = [bytes.fromhex(key["output"]) for key in PSI["keys"]]
    version = expected["version"]
    tags = [schedule.label_row(y, version)[0] for y in outputs]
    entries = [(tag, label.seal_label(y, table_id, version, made)) for tag, y in zip(tags, outputs, strict=True)]
    assert [sealed.hex() for _, sealed in entries] == [entry["sealed"] for entry in expected["entries"]]
    file = table.build(
        entries,
        table_id=table_id,
        version=expected["version"],
        padded_count=expected["padded_count"],
        filler_seed=bytes.fromhex(expected["filler_seed"]),
    )
    assert file.hex() == expected["file"]
    assert hashlib.sha256(file).hexdigest() == expected["sha256"]
    hashes = table.chunk_hashes(file, expected["chunk_bytes"])
    assert [one.hex() for one in hashes] == expected["chunk_hashes"]
    view = table.TableView(file)
    for tag, y in zip(tags, outputs, strict=True):
        sealed = view.find(tag)
        assert sealed is not None
        assert label.open_label(y, view.table_id, view.version, sealed) == made


@pytest.mark.parametrize("case", PSI["batches"], ids=lambda case: case["name"])
def test_a_batch_at_every_step(case: dict[str, Any]) -> None:
    seed, keys = bytes.fromhex(case["seed"]), [bytes.fromhex(key) for key in case["keys"]]
    assert schedule.seed_commitment(seed).hex() == case["seed_commitment"]
    blinded = batch.blinded_elements(keys, seed, case["class"])
    assert blinded.hex() == case["blinded"]
    evaluated, proof = oprf.evaluate_with_proof(SECRET, PUBLIC, oprf.split(blinded), bytes.fromhex(case["nonce"]))
    assert b"".join(evaluated).hex() == case["evaluated"]
    assert proof.hex() == case["proof"]
    outputs = batch.outputs(keys, seed, case["class"], blinded, b"".join(evaluated), proof, PUBLIC)
    assert [y.hex() for y in outputs] == case["outputs"]


@pytest.mark.parametrize("case", PSI["refused_elements"], ids=lambda case: case["why"])
def test_refused_elements(case: dict[str, str]) -> None:
    bad = bytes.fromhex(case["element"])
    good = bytes.fromhex(PSI["batches"][0]["blinded"])[:32]
    for attempt in (
        lambda: GROUP.check([good, bad]),
        lambda: GROUP.mul(SECRET, [good, bad]),
        lambda: oprf.blind_evaluate(SECRET, [bad]),
        lambda: oprf.evaluate_with_proof(SECRET, PUBLIC, [good, bad], SECRET),
    ):
        with pytest.raises(Malformed):
            attempt()


EDGES = st.one_of(
    st.binary(min_size=32, max_size=32),
    # Around the field's order, zero and bit 255, where carriers differ.
    st.integers(-40, 40).map(lambda n: ((ref.P + n) % 2**256).to_bytes(32, "little")),
    st.integers(0, 200).map(lambda n: n.to_bytes(32, "little")),
    st.integers(0, 200).map(lambda n: (n | 1 << 255).to_bytes(32, "little")),
    st.integers(1, 2**64).map(lambda n: ref.encode(ref.multiply(n, ref.BASE))),
    st.integers(1, 2**64)
    .map(lambda n: ref.encode(ref.multiply(n, ref.BASE)))
    .map(lambda good: good[:31] + bytes([good[31] | 0x80])),
)


@settings(max_examples=400, deadline=None)
@given(EDGES)
def test_the_carrier_takes_exactly_the_encodings_of_rfc_9496_but_the_identity(data: bytes) -> None:
    point = ref.decode(data)
    expected = point is not None and any(data)
    try:
        GROUP.check([data])
        product = GROUP.mul((3).to_bytes(32, "little"), [data])
    except Malformed:
        assert not expected
    else:
        assert expected
        assert point is not None
        assert product == [ref.encode(ref.multiply(3, point))]
