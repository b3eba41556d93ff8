"""The signed header of every message between gateways (docs/protocol/envelope.md).

A header names what the bytes are, who sent them to whom and when, and their hash; it is canonical CBOR, so that there
is one byte string for one meaning. The sender signs the header, and the header holds the body's hash: nothing is ever
serialised again to verify it. Here is only arithmetic on values; keys and clocks are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256, sha512
from typing import Any, Final

from gateway.errors import CapabilityMissing, Malformed, VerificationFailed
from gateway.primitives import cbor, ed25519
from gateway.terms.exchange import Named, SignedMessage
from gateway.terms.ids import PeerId

VERSION: Final = 1

HEADER_KEY: Final = "limen-header-bin"
"""Name of the metadata entry that holds the header."""

SIGNATURE_KEY: Final = "limen-signature-bin"
"""Name of the metadata entry that holds the signature."""

DOMAIN: Final = b"limen/envelope/1\x00"
"""In front of the header when it is signed, so that no signature of another kind can stand for one of these."""

ACCEPTS_KEY: Final = "limen-accepts"
"""Name of the metadata entry in which a gateway says that it reads headers with `entry`: with every call and reply."""

ACCEPTS: Final = "entry/1"

HEADER_BYTES_MAX: Final = 1024

SKEW_NS: Final = 30 * 10**9
"""How far a sender's clock may stand from ours, either way (ARCHITECTURE, decision 16)."""

KEY_ID_BYTES: Final = 8
CHECKPOINT_BYTES: Final = 32
HASH_BYTES: Final = 64

NO_CHECKPOINT: Final = bytes(CHECKPOINT_BYTES)
"""The checkpoint digest of a sender that has not published one yet."""

MANIFEST: Final = "gateway.wire.v1.Manifest"
"""The method of a manifest's own header: a standing document names its type, which no method's path can equal."""

DELTA: Final = "gateway.wire.v1.Delta"
"""The method of a delta's own header (`pseudonym.delta`): it stands as a manifest does."""

RELEASE: Final = "gateway.wire.v1.ReleaseDocument"
"""The method of a release's own header (`statistics.release`): it stands as a manifest does."""

_METHOD = re.compile(r"/?[A-Za-z0-9_.]{1,96}(?:/[A-Za-z0-9_]{1,64})?\Z")
_STATE = re.compile(r"[A-Z]{3}\Z")
_TIME_MAX = (1 << 63) - 1
_FIELDS = frozenset({"version", "method", "sender", "receiver", "key_id", "time_ns", "checkpoint", "body_hash"})
_REPLY_FIELDS = _FIELDS | {"request_hash"}
_KNOWN = (_FIELDS, _REPLY_FIELDS, _FIELDS | {"entry"}, _REPLY_FIELDS | {"entry"})


def about(fields: Mapping[str, Any]) -> bytes:
    """SHA-256 over the canonical CBOR of the fields."""
    return sha256(cbor.encode(dict(fields))).digest()


@dataclass(frozen=True, slots=True)
class Header:
    """What a sender signs about one message.

    `method` is the path of the method (`/gateway.wire.v1.WatchlistService/Check`) or, for a standing document, the full
    name of its type. `key_id` is the first 8 bytes of SHA-256 over the sender's raw public key; `time_ns` the sender's
    clock, UTC; `checkpoint` the SHA-256 of the last checkpoint it published (32 zero bytes before the first);
    `body_hash` SHA-512 of the exact body; `request_hash`, on replies only, SHA-512 of the exact body answered.
    """

    method: str
    sender: PeerId
    receiver: PeerId
    key_id: bytes = field(repr=False)
    time_ns: int
    checkpoint: bytes = field(repr=False)
    body_hash: bytes = field(repr=False)
    request_hash: bytes | None = field(repr=False)
    version: int = VERSION
    entry: Named | None = None


def body_hash(body: bytes) -> bytes:
    """SHA-512 of a message's exact bytes, 64 bytes: its name in headers and in both logs."""
    return sha512(body).digest()


@lru_cache(maxsize=256)
def key_id(public_key: bytes) -> bytes:
    """The 8-byte name of a message key: the start of SHA-256 over the raw 32-byte Ed25519 public key."""
    return sha256(public_key).digest()[:KEY_ID_BYTES]


def request_fields(
    method: str, sender: PeerId, receiver: PeerId, public_key: bytes, time_ns: int, checkpoint: bytes
) -> dict[str, Any]:
    """The header's values of a request or a standing document, all but the body's hash. Whoever wants to name its
    entry adds `{"entry": named.value}`, and only for a peer that has said `ACCEPTS`."""
    return {
        "version": VERSION,
        "method": method,
        "sender": sender,
        "receiver": receiver,
        "key_id": key_id(public_key),
        "time_ns": time_ns,
        "checkpoint": checkpoint,
    }


def reply_fields(
    method: str,
    sender: PeerId,
    receiver: PeerId,
    public_key: bytes,
    time_ns: int,
    checkpoint: bytes,
    request_hash: bytes,
) -> dict[str, Any]:
    """The header's values of a reply, all but the body's hash."""
    return request_fields(method, sender, receiver, public_key, time_ns, checkpoint) | {"request_hash": request_hash}


def encode(fields: Mapping[str, Any], body: bytes) -> bytes:
    """The header's bytes for a body. `fields` are `request_fields` or `reply_fields`.

    Raises:
        Malformed: a value is not one of a header's, so that what is signed can always be read again.
    """
    whole = {**fields, "body_hash": body_hash(body)}
    _judge(whole)
    return cbor.encode(whole)


def decode(data: bytes) -> Header:
    """Read a header strictly.

    Raises:
        CapabilityMissing: it is of another version.
        Malformed: anything that `encode` does not make.
    """
    fields = cbor.decode(data, field="header", limit=HEADER_BYTES_MAX)
    if not isinstance(fields, dict):
        raise Malformed("header", "not a map")
    version = fields.get("version")
    if type(version) is int and version != VERSION:
        raise CapabilityMissing("the header is of another version")
    _judge(fields)
    return Header(
        method=fields["method"],
        sender=PeerId(fields["sender"]),
        receiver=PeerId(fields["receiver"]),
        key_id=fields["key_id"],
        time_ns=fields["time_ns"],
        checkpoint=fields["checkpoint"],
        body_hash=fields["body_hash"],
        request_hash=fields.get("request_hash"),
        entry=Named(*fields["entry"]) if "entry" in fields else None,
    )


def _judge(fields: Mapping[str, Any]) -> None:
    """Exactly a header's fields, each of its type and size."""
    if fields.keys() not in _KNOWN:
        raise Malformed("header", "not the fields of a header")
    if type(fields["version"]) is not int or fields["version"] != VERSION:
        raise Malformed("header.version", "not this version")
    for name, shape in (("method", _METHOD), ("sender", _STATE), ("receiver", _STATE)):
        value = fields[name]
        if not isinstance(value, str) or not shape.match(value):
            raise Malformed(f"header.{name}", "wrong shape")
    time_ns = fields["time_ns"]
    if type(time_ns) is not int or not 0 <= time_ns <= _TIME_MAX:
        raise Malformed("header.time_ns", "not a time")
    for name, size in (
        ("key_id", KEY_ID_BYTES),
        ("checkpoint", CHECKPOINT_BYTES),
        ("body_hash", HASH_BYTES),
        ("request_hash", HASH_BYTES),
    ):
        value = fields.get(name)
        if value is None and name == "request_hash" and name not in fields:
            continue
        if type(value) is not bytes or len(value) != size:
            raise Malformed(f"header.{name}", f"not {size} bytes")

    if "entry" in fields:
        entry = fields["entry"]
        if not isinstance(entry, list) or len(entry) != 3 or type(entry[0]) is not int or not 0 < entry[0] <= _TIME_MAX:
            raise Malformed("header.entry", "not a number and two hashes")
        if any(type(one) is not bytes or len(one) != 32 for one in entry[1:]):
            raise Malformed("header.entry", "not a number and two hashes")


def to_sign(header: bytes) -> bytes:
    """The bytes that Ed25519 signs: the domain, then the header."""
    return DOMAIN + header


def seal(fields: Mapping[str, Any], body: bytes, sign: Callable[[bytes], bytes]) -> SignedMessage:
    """Make a signed message. `sign` is Ed25519 under the key that `fields["key_id"]` names.

    Raises:
        Malformed: a value is not one of a header's.
    """
    header = encode(fields, body)
    return SignedMessage(body, header, sign(to_sign(header)))


def verify(
    message: SignedMessage,
    *,
    method: str,
    sender: PeerId,
    receiver: PeerId,
    keys: Iterable[bytes],
    now_ns: int | None,
    request_hash: bytes | None = None,
) -> Header:
    """Return the header if the message is exactly what it must be here; numbers as in docs/protocol/envelope.md.

    `keys` are the sender's raw public message keys in force; `now_ns` is None for a standing document, whose age its
    own expiry bounds; `request_hash` is given when the message is a reply.

    Raises:
        Malformed, CapabilityMissing: not a header of this version.
        VerificationFailed: step `envelope.<what>`.
    """
    # 1. One canonical header of our version.
    header = decode(message.header)
    # 2. Signed by a key of the sender in force.
    public_key = next((key for key in keys if key_id(key) == header.key_id), None)
    if public_key is None:
        raise VerificationFailed("envelope.key", "no such message key of the sender")
    try:
        ed25519.verify(public_key, to_sign(message.header), message.signature)
    except VerificationFailed:
        raise VerificationFailed("envelope.signature", "does not hold") from None
    # 3. For this method, from this sender, to this receiver.
    for what, is_said, must_be in (
        ("method", header.method, method),
        ("sender", header.sender, sender),
        ("receiver", header.receiver, receiver),
    ):
        if is_said != must_be:
            raise VerificationFailed(f"envelope.{what}", "is another than this message's")
    # 4. Now.
    if now_ns is not None and abs(header.time_ns - now_ns) > SKEW_NS:
        raise VerificationFailed("envelope.time", "is more than 30 s from our clock")
    # 5. Over these bytes.
    if header.body_hash != body_hash(message.body):
        raise VerificationFailed("envelope.body", "is not the body that was signed")
    # 6. In answer to this request, or to none.
    if header.request_hash != request_hash:
        raise VerificationFailed("envelope.request", "answers another request")
    return header
