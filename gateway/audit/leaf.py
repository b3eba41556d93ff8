"""The leaf: what of an entry goes into the tree for ever.

    leaf = canonical CBOR {"schema": "limen.leaf/2", "seq", "time_ns", "kind", "phase", "peer", "pair_seq", "pair_hash",
                           "public": {...}, "commitments": {name: 32 bytes}, "sealed": 32 bytes or none, "retention"}

`pair_hash` is the leaf hash of the entry before with the same peer, so that the entries of one pair are a chain of
their own. Leaves of the form before, "limen.leaf/1", have none; they are read, and written no more.

    salt(name)       = HMAC-SHA-256(record key, name)[:16]
    commitment(name) = SHA-256(salt | 2-byte length of name | name | canonical CBOR of the value)

Every secret and guard field of the kind has a commitment, a missing one to null, so that neither a hit, nor a guarded
leg, nor an absent reason can be told from a leaf. `sealed` is the SHA-256 of the payload, which may be erased: leaf,
proofs and checkpoints hold without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import cbor2

from gateway.audit.entry import Entry, Phase, Scalar
from gateway.audit.kinds import KINDS, RETENTION_NS, Kind, judge
from gateway.audit.seal import Sealer, mac, pads
from gateway.errors import InputRefused, Malformed, VerificationFailed
from gateway.primitives import cbor

SCHEMA: Final = "limen.leaf/2"
SCHEMA_BEFORE: Final = "limen.leaf/1"
"""The form that a log may begin with: without `pair_hash`."""

NO_ENTRY: Final = bytes(32)
"""`pair_hash` of a pair's first entry."""

LEAF_BYTES_MAX: Final = (1 << 16) - 1
"""Longest leaf: an entry bundle's length prefix has two bytes (C2SP tlog-tiles)."""

GUARD_BYTES_MIN: Final = 512
"""Smallest room for a guard part, bytes."""

_SALT_BYTES: Final = 16
_PLAIN: Final = frozenset((str, int, bool, bytes))
_NULL: Final = b"\xf6"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry ready for the writer: everything but number, time and place in its pair, which only the writer
    knows.

    `public` has plain values only; `commitments` is a canonical CBOR map; `sealed` is the payload, b"" for kinds that
    have none.
    """

    kind: str
    phase: str
    peer: str
    retention: str
    public: Mapping[str, Scalar]
    commitments: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


def guard_room(sealed_bytes: int) -> int:
    """Size of the guard part, bytes: follows from the secret part's, so that it tells nothing of its own."""
    return max(GUARD_BYTES_MIN, sealed_bytes // 6)


def prepare(entry: Entry, record_key: bytes, sealer: Sealer) -> Prepared:
    """Judge an entry, commit to its secret fields and seal them.

    `record_key` is 32 fresh random bytes; it is kept nowhere, the salts stand in the sealed payload.

    Raises:
        InputRefused: not an entry of the catalogue, or its secret fields do not fit `sealed_bytes`.
    """
    kind = judge(entry)
    public = _plain(entry.public)
    retention = entry.retention or kind.retention
    if not kind.is_sealed:
        return Prepared(entry.kind, entry.phase.value, entry.peer, retention, public, b"\xa0", b"")
    shape = _SHAPES[(entry.kind, entry.phase.value)]
    # One pass in canonical order gives the commitments and both parts, spliced; cbor.encode of the maps says the same.
    commitments = [shape.head]
    secret, guard = [shape.secret_head], [shape.guard_head]
    key_pads = pads(record_key)
    for name, encoded_name, hashed_name, is_guard in shape.fields:
        value = (entry.guard if is_guard else entry.secret).get(name)
        encoded = _NULL if value is None else _encoded(value)
        salt = mac(key_pads, hashed_name[2:])[:_SALT_BYTES]
        commitments += (encoded_name, b"\x58\x20", hashlib.sha256(salt + hashed_name + encoded).digest())
        (guard if is_guard else secret).extend((encoded_name, b"\x82\x50", salt, encoded))
    sealed = sealer.seal(
        b"".join(secret),
        b"".join(guard),
        entry.sealed_bytes if kind.secret else 0,
        guard_room(entry.sealed_bytes) if kind.guard else 0,
    )
    return Prepared(
        entry.kind,
        entry.phase.value,
        entry.peer,
        retention,
        public,
        b"".join(commitments),
        sealed,
    )


def commitment(salt: bytes, name: str, value: Any) -> bytes:
    """The commitment to one field's value, 32 bytes. `value` is what CBOR can hold, None for absent."""
    encoded_name = name.encode()
    return hashlib.sha256(salt + len(encoded_name).to_bytes(2, "big") + encoded_name + cbor.encode(value)).digest()


@dataclass(frozen=True, slots=True)
class _Shape:
    """What of a kind's encoding never changes: its fields in canonical order, and the heads of the three maps."""

    kind: Kind
    fields: tuple[tuple[str, bytes, bytes, bool], ...]
    head: bytes
    secret_head: bytes
    guard_head: bytes
    mandatory: frozenset[str]
    allowed: frozenset[str]
    sealed: frozenset[str]


def _shape(kind: Kind) -> _Shape:
    names = sorted((*kind.secret, *kind.guard), key=cbor.encode)
    fields = tuple(
        (name, cbor.encode(name), len(name.encode()).to_bytes(2, "big") + name.encode(), name in kind.guard)
        for name in names
    )
    return _Shape(
        kind,
        fields,
        bytes((0xA0 + len(names),)),
        bytes((0xA0 + len(kind.secret),)),
        bytes((0xA0 + len(kind.guard),)),
        frozenset(kind.public),
        frozenset((*kind.public, *kind.optional)),
        frozenset((*kind.secret, *kind.guard)),
    )


_SHAPES: Final = {(name, phase.value): _shape(kind) for (name, phase), kind in KINDS.items()}


def _encoded(value: object) -> bytes:
    """`cbor.encode` with a short way for short text and bytes, which nearly all secret fields are."""
    kind = type(value)
    if kind is str:
        raw = value.encode("utf-8")  # type: ignore[attr-defined]
        if len(raw) < 24:
            return bytes((0x60 + len(raw),)) + raw  # type: ignore[no-any-return]
    elif kind is bool:
        return b"\xf5" if value else b"\xf4"
    elif kind is list and not value:
        return b"\x80"
    return cbor.encode(value)


def _plain(fields: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The fields with exact types: a word of a closed vocabulary is text here. Raises InputRefused for other types."""
    if _PLAIN.issuperset(map(type, fields.values())):
        return dict(fields)
    plain: dict[str, Scalar] = {}
    for name, value in fields.items():
        if isinstance(value, str):
            plain[name] = str.__str__(value)
        elif isinstance(value, int) and type(value) is not bool:
            plain[name] = int(value)
        elif type(value) in _PLAIN:
            plain[name] = value
        else:
            raise InputRefused(f"the public field {name} is not text, number, truth or bytes", code="ENTRY_FIELD")
    return plain


@lru_cache(maxsize=1024)
def _order(names: tuple[str, ...]) -> tuple[str, ...]:
    """The canonical order of a map's keys. There are a few dozen sets of them."""
    return tuple(sorted(names, key=cbor.encode))


def _flat(fields: Mapping[str, Scalar]) -> bytes:
    """Canonical CBOR of a flat map of plain scalars: with its keys in order, the encoder's plain mode is canonical."""
    names = tuple(fields)
    order = _order(names)
    return cbor2.dumps(fields if names == order else {name: fields[name] for name in order})


# Canonical order of a leaf's keys: shorter first, then by letter (RFC 8949 section 4.2.1, text keys under 24 letters).
_KEYS: Final = (
    "seq",
    "kind",
    "peer",
    "phase",
    "public",
    "schema",
    "sealed",
    "time_ns",
    "pair_seq",
    "pair_hash",
    "retention",
    "commitments",
)
_KEYS_OF: Final = {SCHEMA: frozenset(_KEYS), SCHEMA_BEFORE: frozenset(_KEYS) - {"pair_hash"}}
_HEAD: Final = bytes((0xA0 + len(_KEYS),))
_K: Final = {key: cbor.encode(key) for key in _KEYS}
_SCHEMA_FIELD: Final = _K["schema"] + cbor.encode(SCHEMA)


@lru_cache(maxsize=1024)
def _text(value: str) -> bytes:
    """Encodings of the few dozen words that kinds, phases, peers and retention classes are."""
    return cbor.encode(value)


def _number(value: int) -> bytes:
    return cbor2.dumps(value)


def encode(prepared: Prepared, seq: int, time_ns: int, pair_seq: int, pair_hash: bytes) -> bytes:
    """The leaf's bytes. Put together from ready pieces in canonical order; the same as encoding the whole map.

    `pair_hash` is 32 bytes, `NO_ENTRY` for a pair's first entry; b"" where `pair_seq` is 0.

    Raises:
        InputRefused: longer than `LEAF_BYTES_MAX`.
        ValueError: text that is not Unicode.
    """
    leaf = b"".join(
        (
            _HEAD,
            _K["seq"], _number(seq),
            _K["kind"], _text(prepared.kind),
            _K["peer"], _text(prepared.peer),
            _K["phase"], _text(prepared.phase),
            _K["public"], _flat(prepared.public),
            _SCHEMA_FIELD,
            _K["sealed"], b"\x58\x20" + hashlib.sha256(prepared.sealed).digest() if prepared.sealed else b"\x40",
            _K["time_ns"], _number(time_ns),
            _K["pair_seq"], _number(pair_seq),
            _K["pair_hash"], b"\x58\x20" + pair_hash if pair_hash else b"\x40",
            _K["retention"], _text(prepared.retention),
            _K["commitments"], prepared.commitments,
        )
    )  # fmt: skip
    if len(leaf) > LEAF_BYTES_MAX:
        raise InputRefused("the leaf is too long", field=prepared.kind, code="ENTRY_ROOM")
    return leaf


_PEER_LETTERS_MAX: Final = 64


def judge_prepared(prepared: Prepared) -> None:
    """Say whether a prepared entry from another process makes a leaf that `Leaf.parse` reads.

    The writer asks this of every entry: one bad leaf in a log that is never changed would spoil it for ever.

    Raises:
        Malformed: it does not.
    """
    shape = _SHAPES.get((prepared.kind, prepared.phase))
    if shape is None:
        raise Malformed("kind", "no such kind of entry in this phase")
    if prepared.retention not in RETENTION_NS:
        raise Malformed("retention", "no such class")
    if type(prepared.peer) is not str or len(prepared.peer) > _PEER_LETTERS_MAX:
        raise Malformed("peer", "not a state")
    public = prepared.public
    if type(public) is not dict or not shape.mandatory <= public.keys() or not shape.allowed >= public.keys():
        raise Malformed("public", "not the kind's fields")
    if not _PLAIN.issuperset(map(type, public.values())):
        raise Malformed("public", "not a map of plain values")
    for value in public.values():
        if type(value) is int and not -(1 << 64) <= value < 1 << 64:
            raise Malformed("public", "a number needs more than 64 bits")
    at = 1
    commitments = prepared.commitments
    for _, encoded_name, _, _ in shape.fields:
        stop = at + len(encoded_name)
        if commitments[at:stop] != encoded_name or commitments[stop : stop + 2] != b"\x58\x20":
            raise Malformed("commitments", "not the kind's commitments")
        at = stop + 34
    if commitments[:1] != shape.head or len(commitments) != at:
        raise Malformed("commitments", "not the kind's commitments")
    if type(prepared.sealed) is not bytes or bool(prepared.sealed) != shape.kind.is_sealed:
        raise Malformed("sealed", "not the kind's payload")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf read back. `peer` is "" and `pair_seq` 0 where no other state is named; `sealed` b"" without payload.

    `is_chained` is False for the form without `pair_hash`, which is b"" there and where no other state is named.
    """

    seq: int
    time_ns: int
    kind: str
    phase: Phase
    peer: str
    pair_seq: int
    public: Mapping[str, Scalar]
    commitments: Mapping[str, bytes]
    sealed: bytes
    retention: str
    pair_hash: bytes = b""
    is_chained: bool = True

    @classmethod
    def parse(cls, data: bytes) -> Leaf:
        """Read strictly: canonical, complete, of the catalogue's shape. Raises Malformed."""
        value = cbor.decode(data, field="leaf", limit=LEAF_BYTES_MAX)
        schema = value.get("schema") if isinstance(value, dict) else None
        if not isinstance(schema, str) or value.keys() != _KEYS_OF.get(schema):
            raise Malformed("leaf", "not a leaf of a known form")
        for name in ("seq", "time_ns", "pair_seq"):
            if type(value[name]) is not int or value[name] < 0:
                raise Malformed(name, "not a number of at least 0")
        for name in ("kind", "phase", "peer", "retention"):
            if not isinstance(value[name], str):
                raise Malformed(name, "not text")
        shape = _SHAPES.get((value["kind"], value["phase"]))
        if shape is None:
            raise Malformed("kind", "not in the catalogue in this phase")
        if value["retention"] not in RETENTION_NS:
            raise Malformed("retention", "no such class")
        public, commitments, sealed = value["public"], value["commitments"], value["sealed"]
        if not isinstance(public, dict) or not shape.mandatory <= public.keys() or not shape.allowed >= public.keys():
            raise Malformed("public", "not the kind's fields")
        if not _PLAIN.issuperset(map(type, public.values())):
            raise Malformed("public", "not a map of plain values")
        if (
            not isinstance(commitments, dict)
            or commitments.keys() != shape.sealed
            or not all(isinstance(hash_, bytes) and len(hash_) == 32 for hash_ in commitments.values())
        ):
            raise Malformed("commitments", "not the kind's commitments")
        if not isinstance(sealed, bytes) or len(sealed) != (32 if shape.kind.is_sealed else 0):
            raise Malformed("sealed", "not a payload's digest")
        if bool(value["peer"]) != bool(value["pair_seq"]):
            raise Malformed("pair_seq", "a pair number belongs to a peer")
        pair_hash = value.get("pair_hash", b"")
        if schema == SCHEMA and (type(pair_hash) is not bytes or len(pair_hash) != (32 if value["peer"] else 0)):
            raise Malformed("pair_hash", "not the hash of an entry")
        return cls(
            value["seq"], value["time_ns"], value["kind"], shape.kind.phase, value["peer"], value["pair_seq"],
            public, commitments, sealed, value["retention"], pair_hash, schema == SCHEMA,
        )  # fmt: skip

    @property
    def due_ns(self) -> int:
        """When the payload's term ends, UTC ns."""
        return self.time_ns + RETENTION_NS[self.retention]


def open_fields(leaf: Leaf, part: bytes) -> dict[str, Any]:
    """The values of one opened part, each checked against the leaf's commitment.

    Raises:
        Malformed: not a part of a payload.
        VerificationFailed: a value is not the one committed to. Position is the leaf's number.
    """
    return {name: value for name, (_, value) in _opened(leaf, part).items()}


def opened_pairs(leaf: Leaf, part: bytes) -> dict[str, tuple[bytes, bytes]]:
    """The salts of one opened part with the canonical CBOR of their values: what shows a field to somebody who has the
    leaf alone (`audit.bundle`). Raises as `open_fields`."""
    return {name: (salt, cbor.encode(value)) for name, (salt, value) in _opened(leaf, part).items()}


def _opened(leaf: Leaf, part: bytes) -> dict[str, tuple[bytes, Any]]:
    if not part:
        return {}
    value = cbor.decode(part, field="payload", limit=16 << 20)
    if not isinstance(value, dict):
        raise Malformed("payload", "not a map")
    fields: dict[str, tuple[bytes, Any]] = {}
    for name, pair in value.items():
        if not (
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], bytes) and len(pair[0]) == _SALT_BYTES
        ):
            raise Malformed("payload", "not a salt and a value")
        if leaf.commitments.get(name) != commitment(pair[0], name, pair[1]):
            raise VerificationFailed("commitments", f"{name} is not what was committed to", position=leaf.seq)
        fields[name] = (pair[0], pair[1])
    return fields
