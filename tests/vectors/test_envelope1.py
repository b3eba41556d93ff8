"""docs/protocol/envelope.md against its vectors, and the vectors against the script that makes them."""

from __future__ import annotations

import json
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import CapabilityMissing, GatewayError, Malformed, VerificationFailed
from gateway.federation import envelope
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId
from tests.vectors import generate_envelope1 as maker

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("envelope1.json").read_text("utf-8"))
DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol" / "envelope.md"


def verify(case: dict[str, Any], now_ns: int | None = None) -> envelope.Header:
    is_reply = case["reply"]
    sender, receiver = ("HND", "PAN") if is_reply else ("PAN", "HND")
    return envelope.verify(
        SignedMessage(bytes.fromhex(case["body"]), bytes.fromhex(case["header"]), bytes.fromhex(case["signature"])),
        method=DATA["method"],
        sender=PeerId(sender),
        receiver=PeerId(receiver),
        keys=[bytes.fromhex(DATA["keys"][sender]["public"])],
        now_ns=DATA["now_ns"] if now_ns is None else now_ns,
        request_hash=sha512(maker.REQUEST_BODY).digest() if is_reply else None,
    )


def refusal(error: GatewayError) -> str:
    return error.step if isinstance(error, VerificationFailed) else error.row.reason


def test_the_file_is_what_the_script_makes() -> None:
    assert maker.main(["--check"]) == 0


@pytest.mark.parametrize("case", DATA["accepted"], ids=lambda case: case["name"])
def test_accepted(case: dict[str, Any]) -> None:
    header = verify(case)
    assert header.body_hash == sha512(bytes.fromhex(case["body"])).digest()


@pytest.mark.parametrize("case", DATA["refused"], ids=lambda case: case["name"])
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises((Malformed, CapabilityMissing, VerificationFailed)) as refused:
        verify(case)
    assert refusal(refused.value) == case["refusal"]


def test_every_refusal_has_a_vector() -> None:
    assert {case["refusal"] for case in DATA["refused"]} == {
        "MALFORMED",
        "CAPABILITY_MISSING",
        "envelope.key",
        "envelope.signature",
        "envelope.method",
        "envelope.sender",
        "envelope.receiver",
        "envelope.time",
        "envelope.body",
        "envelope.request",
    }


def test_the_document_shows_the_first_vector() -> None:
    text = DOCUMENT.read_text("utf-8")
    request = DATA["accepted"][0]
    header = envelope.decode(bytes.fromhex(request["header"]))
    assert header.key_id.hex() in text
    assert header.body_hash.hex()[:8] in text
    assert header.checkpoint.hex()[:8] in text
    assert f"{len(bytes.fromhex(request['header']))} bytes in canonical CBOR" in text
    assert f"{len(bytes.fromhex(request['body']))} bytes in this example" in text
