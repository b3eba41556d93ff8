"""Leaves, commitments and sealed payloads: what can be seen, what can be opened, and by whom."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import leaf, seal
from gateway.audit.entry import Entry, Phase
from gateway.audit.kinds import CATALOGUE, KINDS, PAIRED, RETENTION_NS, Kind
from gateway.audit.leaf import Leaf
from gateway.errors import GatewayError, InputRefused, Malformed, VerificationFailed
from gateway.primitives import cbor
from tests.unit.audit.log import READERS, ask, recipients

SUPERVISOR, AUDITOR, DESK = (seal.Opener(READERS[role]) for role in seal.ROLES)


def sealer(seed: int = 0) -> seal.Sealer:
    return seal.Sealer(recipients(), bytes([seed]) * 32)


def made(entry: Entry, seq: int = 5, key: bytes = bytes(32), seed: int = 0) -> tuple[Leaf, bytes, leaf.Prepared]:
    prepared = leaf.prepare(entry, key, sealer(seed))
    data = leaf.encode(
        prepared, seq, 1_700_000_000_000_000_000, 3 if entry.peer else 0, bytes(32) if entry.peer else b""
    )
    return Leaf.parse(data), data, prepared


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=40), st.integers(-(1 << 63), (1 << 63) - 1), st.booleans(), st.binary(max_size=40)
)
SECRETS: st.SearchStrategy[Any] = st.one_of(VALUES, st.lists(VALUES, max_size=4))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(CATALOGUE))
    names = [*kind.public, *draw(st.lists(st.sampled_from(kind.optional or ("",)), unique=True))]

    def some(of: tuple[str, ...]) -> dict[str, Any]:
        return {name: draw(SECRETS) for name in of if draw(st.booleans())}

    return Entry(
        kind.name, kind.phase, draw(st.sampled_from(("", "HND"))),
        public={name: draw(VALUES) for name in names if name}, secret=some(kind.secret), guard=some(kind.guard),
        retention=draw(st.sampled_from(("", *RETENTION_NS))), sealed_bytes=4096,
    )  # fmt: skip


@given(entries(), st.binary(min_size=32, max_size=32), st.integers(0, 1 << 40))
def test_any_entry_of_the_catalogue_makes_a_canonical_leaf_that_reads_back(entry: Entry, key: bytes, seq: int) -> None:
    read, data, prepared = made(entry, seq, key)
    kind = KINDS[(entry.kind, entry.phase)]
    assert cbor.encode(cbor.decode(data)) == data
    assert (read.seq, read.kind, read.phase, read.peer) == (seq, entry.kind, entry.phase, entry.peer)
    assert dict(read.public) == dict(entry.public)
    assert set(read.commitments) == {*kind.secret, *kind.guard}
    assert read.retention == (entry.retention or kind.retention)
    assert bool(prepared.sealed) == kind.is_sealed
    if not kind.is_sealed:
        return
    assert read.sealed == hashlib.sha256(prepared.sealed).digest()
    for opener in (SUPERVISOR, AUDITOR):
        opened = opener.open(prepared.sealed)
        assert cbor.encode(cbor.decode(opened.secret)) == opened.secret if kind.secret else opened.secret == b""
        secret = leaf.open_fields(read, opened.secret)
        guard = leaf.open_fields(read, opened.guard)
        assert secret == {name: entry.secret.get(name) for name in kind.secret}
        assert guard == {name: entry.guard.get(name) for name in kind.guard}
    desk = DESK.open(prepared.sealed)
    assert desk.secret == b""
    assert set(leaf.open_fields(read, desk.guard)) == set(kind.guard)


def _shape(entry: Entry) -> tuple[int, int, tuple[str, ...]]:
    read, data, prepared = made(entry)
    return len(data), len(prepared.sealed), tuple(read.commitments)


def test_a_guarded_leg_and_a_hit_look_like_any_other() -> None:
    """T4, T11: sizes and fields of a leaf and its payload do not depend on what is sealed."""
    plain = ask(1, Phase.INTENT)
    guarded = Entry(
        plain.kind, plain.phase, plain.peer, public=plain.public, sealed_bytes=plain.sealed_bytes,
        secret=dict(plain.secret) | {"justification": "x" * 120, "keys": []},
        guard={"guarded": True, "why": ["0:origin", "1:child"]},
    )  # fmt: skip
    absent = Entry(plain.kind, plain.phase, plain.peer, public=plain.public, sealed_bytes=plain.sealed_bytes)
    assert _shape(plain) == _shape(guarded) == _shape(absent)
    miss = ask(1, Phase.OUTCOME, 4)
    hit = Entry(
        miss.kind, miss.phase, miss.peer, public=miss.public, sealed_bytes=miss.sealed_bytes,
        secret={"hits": ["0:HND-00112233:DOCUMENT"] * 4},
    )  # fmt: skip
    assert _shape(miss) == _shape(hit)


def test_equal_secrets_have_different_commitments() -> None:
    one, _, _ = made(ask(1, Phase.INTENT), key=bytes([1]) * 32)
    two, _, _ = made(ask(1, Phase.INTENT), key=bytes([2]) * 32)
    assert one.commitments["officer"] != two.commitments["officer"]
    assert len(set(one.commitments.values())) == len(one.commitments)


def test_a_leaf_holds_nothing_of_what_is_sealed() -> None:
    _, data, prepared = made(ask(1, Phase.INTENT))
    for secret in (b"P-77", b"C-1", b"shift", b"AB123456"):
        assert secret not in data and secret not in prepared.sealed


def test_a_changed_value_is_not_the_one_committed_to() -> None:
    read, _, prepared = made(ask(1, Phase.INTENT), seq=9)
    part = cbor.decode(SUPERVISOR.open(prepared.sealed).secret)
    part["case"][1] = "C-2"
    with pytest.raises(VerificationFailed) as caught:
        leaf.open_fields(read, cbor.encode(part))
    assert caught.value.position == 9
    with pytest.raises(VerificationFailed):
        leaf.open_fields(read, cbor.encode({"surname": [bytes(16), "MARTA"]}))


def test_a_session_ends_and_every_record_of_it_opens_in_any_order() -> None:
    session = sealer()
    sealed = []
    while not session.is_spent:
        sealed.append(session.seal(b"%d" % session.records, b"", 300, 0))
    with pytest.raises(ValueError, match="spent"):
        session.seal(b"", b"", 300, 0)
    opener = seal.Opener(READERS["auditor"])
    for number in (255, 0, 128, 3):
        assert opener.open(sealed[number]).secret == b"%d" % number
    assert len({one[-100:] for one in sealed}) == seal.SESSION_RECORDS_MAX


def test_a_later_key_of_a_session_opens_no_earlier_record() -> None:
    """What is in memory after a record (the chains) does not lead back."""
    session = sealer()
    session.seal(b"first", b"", 300, 0)
    chain = session._secret
    first = seal.Sealer(recipients(), bytes(32))
    box_key, next_chain = seal._step(first._secret)
    assert next_chain == chain
    assert box_key not in (seal._step(chain)[0], chain)


def test_a_stranger_opens_nothing_and_a_changed_payload_does_not_open() -> None:
    payload = sealer().seal(b"secret", b"guard", 300, 300)
    with pytest.raises(VerificationFailed):
        seal.Opener(bytes([77]) * 32).open(payload)
    flipped = bytearray(payload)
    flipped[-350] ^= 1
    with pytest.raises(VerificationFailed):
        seal.Opener(READERS["supervisor"]).open(bytes(flipped))


def test_libsodium_opens_our_wraps() -> None:
    """The deterministic inner form is crypto_box_seal, byte for byte in layout."""
    from nacl.public import PrivateKey, SealedBox

    private = PrivateKey(bytes([5]) * 32)
    wrapped = seal._wrap(bytes(private.public_key), b"content", bytes([6]) * 32)
    assert SealedBox(private).decrypt(wrapped) == b"content"


def test_what_does_not_fit_its_room_is_refused_not_lengthened() -> None:
    with pytest.raises(InputRefused, match="secret fields need"):
        made(Entry("check.denied", Phase.EVENT, "HND", secret={"case": "x" * 300}, sealed_bytes=256,
                   public={"purpose": "p", "basis": "b", "agency": "a", "reasons": "r"}))  # fmt: skip


def test_hmac_by_hand_is_hmac() -> None:
    import hmac

    for key in (b"", b"k", bytes(range(64))):
        assert seal.mac(seal.pads(key), b"message") == hmac.digest(key, b"message", "sha256")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_leaf_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        Leaf.parse(data)
    with contextlib.suppress(GatewayError):
        SUPERVISOR.open(data)


@settings(max_examples=300)
@given(st.data())
def test_a_spoiled_leaf_is_malformed_or_another_leaf(data: st.DataObject) -> None:
    _, good, prepared = made(ask(1, Phase.INTENT))
    for whole, read in ((good, Leaf.parse), (prepared.sealed, SUPERVISOR.open)):
        spoiled = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            spoiled[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(Malformed, VerificationFailed):
            read(bytes(spoiled))


@pytest.mark.parametrize(
    "fields",
    [
        {"schema": "limen.leaf/1"}, {"schema": "limen.leaf/3"}, {"schema": 2},
        {"seq": -1}, {"seq": True}, {"seq": "5"}, {"phase": "later"}, {"kind": "gossip"},
        {"kind": 5}, {"retention": "for ever"}, {"public": []}, {"public": {"reason": []}}, {"public": {}},
        {"public": {"reason": "a", "name": "MARTA"}}, {"commitments": {"name": bytes(32)}}, {"sealed": bytes(32)},
        {"sealed": 5}, {"peer": "HND"}, {"pair_seq": 5}, {"extra": 1}, {"pair_hash": bytes(32)},
        {"pair_hash": 5},
    ],
)  # fmt: skip
def test_a_leaf_of_another_shape_is_malformed(fields: dict[str, object]) -> None:
    _, data, _ = made(Entry("counters.lost", Phase.EVENT, public={"reason": "start"}))
    with pytest.raises(Malformed):
        Leaf.parse(cbor.encode(cbor.decode(data) | fields))


def test_the_catalogue_is_in_order() -> None:
    numbers = [kind.number for kind in CATALOGUE]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    assert len(KINDS) == len(CATALOGUE)
    for kind in CATALOGUE:
        names = (*kind.public, *kind.optional, *kind.secret, *kind.guard)
        assert len(set(names)) == len(names)
        assert kind.retention in RETENTION_NS and kind.meaning.endswith(".")
    for name in PAIRED:
        assert "intent_seq" in KINDS[(name, Phase.OUTCOME)].public


PERSONAL = ("name", "surname", "officer", "case", "document", "birth", "subject", "key", "hit", "guarded")


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: f"{kind.name}.{kind.phase}")
def test_no_public_field_sounds_like_a_person(kind: Kind) -> None:
    for name in (*kind.public, *kind.optional):
        assert name.rstrip("s") not in PERSONAL
