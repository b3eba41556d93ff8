"""Strategies for the terms that cross between gateways, and one fixed example of each."""

from __future__ import annotations

import time

from hypothesis import strategies as st

from gateway.terms import BATCH_CLASSES, KeyType, ListId, RequestId, Role
from gateway.terms.exchange import (
    CheckpointRequest,
    CheckReply,
    CheckRequest,
    ChunkRequest,
    Delta,
    DescribeRequest,
    Description,
    DryRun,
    DryRunDecision,
    KeyScope,
    Manifest,
    ManifestRequest,
    PairHead,
    PairHeadRequest,
)
from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, PurposeGroup

NOW_NS = int(time.time()) * 10**9
"""TLS judges certificates by the system's clock, so the tests' now is the real one, held still."""

states = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3).map(PeerId)
groups = st.from_regex(r"[A-Z0-9][A-Z0-9._]{0,31}", fullmatch=True).map(PurposeGroup)
epochs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True).map(EpochId)
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=128)
ids = st.binary(min_size=16, max_size=16).map(RequestId)
hashes32 = st.binary(min_size=32, max_size=32)
hashes64 = st.binary(min_size=64, max_size=64)
times = st.integers(1, (1 << 63) - 1)
counts = st.integers(1, (1 << 63) - 1)
key_types = st.lists(st.sampled_from(list(KeyType)), min_size=1, unique=True).map(tuple)
scopes = st.builds(KeyScope, states, st.sampled_from(list(ListId)), groups, epochs, states)


@st.composite
def check_requests(draw: st.DrawFn) -> CheckRequest:
    batches = draw(st.integers(1, 64))
    return CheckRequest(
        leg_id=draw(ids),
        batch=draw(st.integers(0, batches - 1)),
        batches=batches,
        asker=draw(states),
        owner=draw(states),
        agency=AgencyId(draw(st.from_regex(r"[A-Z0-9][A-Z0-9._-]{0,31}", fullmatch=True))),
        role=draw(st.sampled_from(list(Role))),
        purpose=Purpose(draw(groups)),
        legal_basis=draw(texts),
        list_id=draw(st.sampled_from(list(ListId))),
        group=draw(groups),
        epoch=draw(epochs),
        key_types=draw(key_types),
        known_version=draw(st.integers(0, (1 << 64) - 1)),
        blinded=draw(st.binary(min_size=32, max_size=32)) * draw(st.sampled_from(BATCH_CLASSES)),
        seed_commitment=draw(hashes32),
        pair_seq=draw(counts),
        baseline_digest=draw(hashes32),
        national_digest=draw(hashes32),
        permit_expires_ns=draw(times),
    )


check_replies = st.builds(
    CheckReply,
    request_hash=hashes64,
    evaluated=st.builds(lambda point, size: point * size, hashes32, st.sampled_from(BATCH_CLASSES)),
    proof=hashes64,
    epoch=epochs,
    table_version=st.integers(0, (1 << 64) - 1),
    quota_left=st.integers(0, (1 << 64) - 1),
    pair_seq=counts,
)

manifest_requests = st.builds(ManifestRequest, ids, states, st.sampled_from(list(ListId)), groups)
chunk_requests = st.builds(ChunkRequest, ids, scopes, counts, st.integers(0, 4095))
checkpoint_requests = st.builds(
    CheckpointRequest,
    ids,
    st.integers(0, (1 << 63) - 1),
    st.lists(hashes32, max_size=63).map(tuple),
    st.binary(min_size=1, max_size=8192),
)

pair_head_requests = st.builds(PairHeadRequest, ids, st.sets(counts, max_size=64).map(sorted).map(tuple))


@st.composite
def pair_heads(draw: st.DrawFn, hashes: int) -> PairHead:
    count = draw(st.integers(0, (1 << 63) - 1))
    size = 32 if count else 0
    return PairHead(
        note=draw(st.binary(min_size=1, max_size=8192)),
        leaf=draw(st.binary(min_size=1, max_size=1024)),
        proof=tuple(draw(st.lists(hashes32, max_size=63))),
        count=count,
        head=draw(st.binary(min_size=size, max_size=size)),
        salt=draw(st.binary(min_size=size, max_size=size)),
        siblings=tuple(draw(st.lists(hashes32, min_size=15, max_size=15))) if count else (),
        reached=draw(counts),
        hashes=tuple(draw(st.lists(hashes32 | st.just(b""), min_size=hashes, max_size=hashes))),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    made_ns = draw(st.integers(1, (1 << 62)))
    return Manifest(
        scope=draw(scopes),
        version=draw(counts),
        public_key=draw(hashes32),
        key_types=draw(key_types),
        padded_count=draw(st.integers(0, 1 << 20)),
        chunk_bytes=draw(st.integers(1024, 1 << 20)),
        chunk_hashes=tuple(draw(st.lists(hashes32, min_size=1, max_size=8))),
        table_hash=draw(hashes32),
        previous=draw(hashes32),
        made_ns=made_ns,
        expires_ns=made_ns + draw(st.integers(1, 1 << 61)),
        transfer_basis=draw(texts),
        source=draw(hashes32),
        delta_number=draw(st.integers(0, (1 << 63) - 1)),
        delta_hash=draw(hashes32),
    )


dry_runs = st.builds(
    DryRun,
    purpose=st.from_regex(r"[A-Z0-9][A-Z0-9._]{0,31}", fullmatch=True).map(Purpose),
    legal_basis=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128),
    agency=st.from_regex(r"[A-Z0-9][A-Z0-9._-]{0,31}", fullmatch=True).map(AgencyId),
    role=st.sampled_from(list(Role)),
)
describe_requests = st.builds(DescribeRequest, ids, st.none() | dry_runs)
dry_run_decisions = st.builds(
    DryRunDecision,
    permitted=st.booleans(),
    reasons=st.lists(st.from_regex(r"[a-z_]{1,64}", fullmatch=True), max_size=5).map(tuple),
    agreement=st.from_regex(r"[A-Z0-9-]{0,64}", fullmatch=True),
)

descriptions = st.builds(
    Description,
    state=states,
    release=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,31}", fullmatch=True),
    protocol_majors=st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=8).map(tuple),
    suites=st.just(("voprf/ristretto255-sha512",)),
    key_types=key_types,
    classes=st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=8).map(tuple),
    baseline_digest=hashes32,
    time_ns=times,
    methods=st.lists(st.from_regex(r"/[A-Za-z0-9_.]{1,96}/[A-Za-z0-9_]{1,64}", fullmatch=True), max_size=4).map(tuple),
    dry_run=st.none() | dry_run_decisions,
)


def a_check_request(**changes: object) -> CheckRequest:
    """PAN asks HND about one traveller."""
    values: dict[str, object] = {
        "leg_id": RequestId(bytes(range(16))),
        "batch": 0,
        "batches": 1,
        "asker": PeerId("PAN"),
        "owner": PeerId("HND"),
        "agency": AgencyId("SNM"),
        "role": Role.BORDER_FRONTLINE,
        "purpose": Purpose("SEC.WATCH"),
        "legal_basis": "PAN-HND agreement, article 4",
        "list_id": ListId.PERSONS,
        "group": PurposeGroup("WATCH"),
        "epoch": EpochId("68e6a400-0badcafe"),
        "key_types": (KeyType.DOC_1, KeyType.NAME_YEAR_1),
        "known_version": 3,
        "blinded": bytes(32 * 8),
        "seed_commitment": bytes(32),
        "pair_seq": 7,
        "baseline_digest": b"b" * 32,
        "national_digest": b"n" * 32,
        "permit_expires_ns": NOW_NS + 900 * 10**9,
    }
    return CheckRequest(**(values | changes))  # type: ignore[arg-type]


def a_check_reply(request_hash: bytes, **changes: object) -> CheckReply:
    """HND answers it."""
    values: dict[str, object] = {
        "request_hash": request_hash,
        "evaluated": b"e" * 32 * 8,
        "proof": b"p" * 64,
        "epoch": EpochId("68e6a400-0badcafe"),
        "table_version": 3,
        "quota_left": 992,
        "pair_seq": 9,
    }
    return CheckReply(**(values | changes))  # type: ignore[arg-type]


def a_manifest(**changes: object) -> Manifest:
    """HND's table for PAN."""
    values: dict[str, object] = {
        "scope": KeyScope(
            PeerId("HND"), ListId.PERSONS, PurposeGroup("WATCH"), EpochId("68e6a400-0badcafe"), PeerId("PAN")
        ),
        "version": 3,
        "public_key": b"k" * 32,
        "key_types": (KeyType.DOC_1, KeyType.NAME_YEAR_1),
        "padded_count": 1024,
        "chunk_bytes": 262_144,
        "chunk_hashes": (b"c" * 32,),
        "table_hash": b"t" * 32,
        "previous": bytes(32),
        "made_ns": NOW_NS,
        "expires_ns": NOW_NS + 30 * 86_400 * 10**9,
        "transfer_basis": "PAN-HND agreement, annex 2",
    }
    return Manifest(**(values | changes))  # type: ignore[arg-type]


def a_delta(**changes: object) -> Delta:
    """A change of HND's table for PAN."""
    values: dict[str, object] = {
        "scope": a_manifest().scope,
        "number": 1,
        "delta_id": b"d" * 16,
        "previous": bytes(32),
        "rows": b"r" * 4096,
        "made_ns": NOW_NS,
    }
    return Delta(**(values | changes))  # type: ignore[arg-type]


def a_pair_head(hashes: int) -> PairHead:
    """Where HND's entries about PAN stand."""
    found = (b"h" * 32, b"", b"i" * 32) * hashes
    return PairHead(
        b"HND/log\n5\n", b"leaf", (b"p" * 32,), 9, b"e" * 32, b"s" * 32, (b"b" * 32,) * 15, 2, found[:hashes]
    )
