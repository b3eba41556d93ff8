"""Every derived value depends on everything it must, and on nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac

import pytest

from gateway.primitives.lp import lp, split
from gateway.pseudonym import oprf, schedule
from gateway.terms import EpochId, ListId, PeerId, PurposeGroup, RequestId
from gateway.terms.exchange import KeyScope

Y = bytes(range(64))
PAN, HND, CRI = PeerId("PAN"), PeerId("HND"), PeerId("CRI")
EPOCH = EpochId("20260101-0a1b2c3d")
SCOPE = KeyScope(owner=HND, list_id=ListId.PERSONS, group=PurposeGroup("WATCH"), epoch=EPOCH, peer=PAN)


def test_each_part_of_a_scope_makes_another_key() -> None:
    """T1: nothing evaluated for one peer, list, group or epoch means anything in another."""
    scopes = [
        SCOPE,
        dataclasses.replace(SCOPE, owner=CRI),
        dataclasses.replace(SCOPE, list_id=ListId.DOCUMENTS),
        dataclasses.replace(SCOPE, group=PurposeGroup("DOCUMENT")),
        dataclasses.replace(SCOPE, epoch=EpochId("20260131-0a1b2c3d")),
        dataclasses.replace(SCOPE, peer=CRI),
    ]
    outputs = {oprf.evaluate(oprf.derive_key_pair(bytes(32), schedule.info(scope))[0], b"x") for scope in scopes}
    assert len(outputs) == len(scopes)
    assert split(schedule.info(SCOPE)) == (b"psi/1", b"HND", b"PERSONS", b"WATCH", EPOCH.encode(), b"PAN")


def test_parts_of_a_scope_cannot_run_into_each_other() -> None:
    one = dataclasses.replace(SCOPE, group=PurposeGroup("AB"), epoch=EpochId("C"))
    two = dataclasses.replace(SCOPE, group=PurposeGroup("A"), epoch=EpochId("BC"))
    assert schedule.info(one) != schedule.info(two)


def test_uses_of_an_output_are_apart() -> None:
    rows = [schedule.label_row(Y, 1), schedule.label_row(Y, 2), schedule.label_row(Y, 256), schedule.delta_row(Y, 1)]
    derived = [*(key for _, key in rows), schedule.token_key(Y)]
    tags = [schedule.tag(Y), *(tag for tag, _ in rows)]
    assert len(set(derived)) == len(set(tags)) == 5
    assert all(len(key) == 32 for key in derived) and all(len(tag) == 16 for tag in tags)
    assert schedule.tag(Y) == Y[:16]
    # A ticket's tag is told to the owner: no key may be computed from it alone.
    other = Y[:16] + bytes(48)
    assert schedule.label_row(other, 1) != schedule.label_row(Y, 1)
    assert schedule.token_key(other) != schedule.token_key(Y)


@pytest.mark.parametrize("y", [b"", Y[:63], Y + b"\0"])
def test_an_output_has_64_bytes(y: bytes) -> None:
    for use in (schedule.tag, schedule.token_key, lambda one: schedule.label_row(one, 1)):
        with pytest.raises(ValueError, match="64 bytes"):
            use(y)


def test_a_token_is_for_one_pair_and_one_request() -> None:
    key, request = schedule.token_key(Y), RequestId(bytes(16))
    tokens = {
        schedule.hit_token(key, PAN, HND, request, bytes(64)),
        schedule.hit_token(key, HND, PAN, request, bytes(64)),
        schedule.hit_token(key, CRI, HND, request, bytes(64)),
        schedule.hit_token(key, PAN, HND, RequestId(b"\1" * 16), bytes(64)),
        schedule.hit_token(key, PAN, HND, request, b"\1" * 64),
        schedule.hit_token(schedule.token_key(Y[::-1]), PAN, HND, request, bytes(64)),
    }
    assert len(tokens) == 6
    assert all(len(token) == schedule.TOKEN_BYTES for token in tokens)


@pytest.mark.parametrize("size", [32, 64])
def test_many_handles_are_the_same_as_one_by_one(size: int) -> None:
    key, ids = b"k" * size, ["WHND0001", "", "W\u00c9", "x" * 300]
    made = [hmac.digest(key, lp("psi/1 handle", PAN, EPOCH, one), "sha256")[:8] for one in ids]
    assert schedule.handles(key, PAN, EPOCH, ids) == made == [schedule.handle(key, PAN, EPOCH, one) for one in ids]
    with pytest.raises(ValueError, match="32"):
        schedule.handles(b"k" * 65, PAN, EPOCH, ids)


def test_a_handle_is_for_one_peer_epoch_and_entry() -> None:
    key = b"k" * 32
    handles = {
        schedule.handle(key, PAN, EPOCH, "WHND0001"),
        schedule.handle(key, PAN, EPOCH, "WHND0002"),
        schedule.handle(key, CRI, EPOCH, "WHND0001"),
        schedule.handle(key, PAN, EpochId("20260131-0a1b2c3d"), "WHND0001"),
        schedule.handle(b"l" * 32, PAN, EPOCH, "WHND0001"),
    }
    assert len(handles) == 5
    assert all(len(handle) == 8 for handle in handles)
    with pytest.raises(ValueError):
        schedule.handle(b"short", PAN, EPOCH, "WHND0001")


def test_a_seed_commitment_is_sha_512_256() -> None:
    # FIPS 180-4: not SHA-512 cut to 32 bytes.
    assert schedule.seed_commitment(bytes(32)) == hashlib.new("sha512_256", bytes(32)).digest()
    assert schedule.seed_commitment(bytes(32)) != hashlib.sha512(bytes(32)).digest()[:32]
    with pytest.raises(ValueError):
        schedule.seed_commitment(bytes(31))
