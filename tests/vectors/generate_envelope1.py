"""Makes tests/vectors/envelope1.json (docs/protocol/envelope.md). `--check` compares instead of writing.

Everything in it is fixed: seeds, times and bodies. No key here is used anywhere else.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.federation import envelope
from gateway.primitives import cbor, ed25519
from gateway.terms.exchange import SignedMessage
from gateway.terms.ids import PeerId

FILE = Path(__file__).with_name("envelope1.json")

PAN_SEED = sha256(b"limen envelope1 vector PAN").digest()
HND_SEED = sha256(b"limen envelope1 vector HND").digest()
CHECK = "/gateway.wire.v1.WatchlistService/Check"
TIME_NS = 1_760_000_000_000_000_000
PAN, HND, UTO = PeerId("PAN"), PeerId("HND"), PeerId("UTO")
REQUEST_BODY = b"request body"
REPLY_BODY = b"reply body"


def _signer(seed: bytes) -> Any:  # noqa: ANN401 (a callable of bytes)
    return lambda data: ed25519.sign(seed, data)


def request(**changes: Any) -> SignedMessage:  # noqa: ANN401 (header values)
    """PAN's request to HND, with header values changed before it is signed."""
    fields = envelope.request_fields(CHECK, PAN, HND, ed25519.public(PAN_SEED), TIME_NS, sha256(b"PAN head").digest())
    return envelope.seal(fields | changes, REQUEST_BODY, _signer(PAN_SEED))


def reply(**changes: Any) -> SignedMessage:  # noqa: ANN401 (header values)
    """HND's reply."""
    fields = envelope.reply_fields(
        CHECK,
        HND,
        PAN,
        ed25519.public(HND_SEED),
        TIME_NS + 1_000_000,
        envelope.NO_CHECKPOINT,
        envelope.body_hash(REQUEST_BODY),
    )
    return envelope.seal(fields | changes, REPLY_BODY, _signer(HND_SEED))


def _signed_anyway(fields: dict[str, Any], *, encoded: bytes | None = None) -> SignedMessage:
    """A header that `encode` would refuse to make, signed all the same."""
    header = encoded if encoded is not None else cbor.encode(fields)
    return SignedMessage(REQUEST_BODY, header, ed25519.sign(PAN_SEED, envelope.to_sign(header)))


def _with_signature(message: SignedMessage, signature: bytes) -> SignedMessage:
    return SignedMessage(message.body, message.header, signature)


def make() -> dict[str, Any]:
    """The whole file."""
    good_request, good_reply = request(), reply()
    whole = cbor.decode(good_request.header)
    flipped = bytearray(good_request.signature)
    flipped[0] ^= 1
    # 0x18 0x01 is the integer 1 in two bytes: the same value, not the canonical encoding.
    loose = good_request.header.replace(b"\x67version\x01", b"\x67version\x18\x01")
    refused: list[tuple[str, str, SignedMessage, dict[str, Any]]] = [
        ("not CBOR", "MALFORMED", SignedMessage(REQUEST_BODY, b"\xff\x00", good_request.signature), {}),
        ("not canonical", "MALFORMED", _signed_anyway({}, encoded=loose), {}),
        ("trailing byte", "MALFORMED", _signed_anyway({}, encoded=good_request.header + b"\x00"), {}),
        ("field missing", "MALFORMED", _signed_anyway({k: v for k, v in whole.items() if k != "checkpoint"}), {}),
        ("field too many", "MALFORMED", _signed_anyway(whole | {"extra": 1}), {}),
        ("receiver's shape", "MALFORMED", _signed_anyway(whole | {"receiver": "hnd"}), {}),
        ("request hash null", "MALFORMED", _signed_anyway(whole | {"request_hash": None}), {}),
        ("version 2", "CAPABILITY_MISSING", _signed_anyway(whole | {"version": 2}), {}),
        ("unknown key id", "envelope.key", request(key_id=bytes(8)), {}),
        ("one bit of the signature", "envelope.signature", _with_signature(good_request, bytes(flipped)), {}),
        (
            "signed without the domain",
            "envelope.signature",
            _with_signature(good_request, ed25519.sign(PAN_SEED, good_request.header)),
            {},
        ),
        (
            "signed by another member",
            "envelope.signature",
            _with_signature(good_request, ed25519.sign(HND_SEED, envelope.to_sign(good_request.header))),
            {},
        ),
        ("another method", "envelope.method", request(method="/gateway.wire.v1.WatchlistService/GetManifest"), {}),
        ("another sender", "envelope.sender", request(sender=UTO), {}),
        ("another receiver", "envelope.receiver", request(receiver=UTO), {}),
        ("31 s early", "envelope.time", request(time_ns=TIME_NS - 31 * 10**9), {}),
        ("31 s late", "envelope.time", request(time_ns=TIME_NS + 31 * 10**9), {}),
        ("another body", "envelope.body", SignedMessage(b"other", good_request.header, good_request.signature), {}),
        ("a reply sent as a request", "envelope.request", request(request_hash=bytes(64)), {}),
        ("a reply to another request", "envelope.request", reply(request_hash=bytes(64)), {"reply": True}),
        (
            "a request sent as a reply",
            "envelope.request",
            envelope.seal(
                envelope.request_fields(CHECK, HND, PAN, ed25519.public(HND_SEED), TIME_NS, envelope.NO_CHECKPOINT),
                REPLY_BODY,
                _signer(HND_SEED),
            ),
            {"reply": True},
        ),
    ]
    return {
        "description": "docs/protocol/envelope.md, version 1. Byte strings are hexadecimal.",
        "keys": {
            "PAN": {"seed": PAN_SEED.hex(), "public": ed25519.public(PAN_SEED).hex()},
            "HND": {"seed": HND_SEED.hex(), "public": ed25519.public(HND_SEED).hex()},
        },
        "method": CHECK,
        "now_ns": TIME_NS,
        "accepted": [
            _case("request", good_request) | {"reply": False},
            _case("reply", good_reply) | {"reply": True},
            _case("request 30 s late", request(time_ns=TIME_NS + 30 * 10**9)) | {"reply": False},
        ],
        "refused": [
            _case(name, message) | {"reply": extra.get("reply", False), "refusal": refusal}
            for name, refusal, message, extra in refused
        ],
    }


def _case(name: str, message: SignedMessage) -> dict[str, Any]:
    return {
        "name": name,
        "body": message.body.hex(),
        "header": message.header.hex(),
        "signature": message.signature.hex(),
    }


def main(arguments: list[str]) -> int:
    """0 when the file is as it should be, or was written."""
    text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
    if arguments == ["--check"]:
        same = FILE.is_file() and FILE.read_text("utf-8") == text
        print("envelope1.json is as made" if same else "envelope1.json differs: run generate_envelope1.py")
        return 0 if same else 1
    FILE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
