"""Messages between gateways: what is encoded is decoded again; what is not a message is Malformed and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.federation import envelope
from gateway.rpc.convert import Sender, peers
from gateway.terms.exchange import CheckReply, ChunkRequest, DeltasRequest, DescribeRequest, Manifest, SignedMessage
from gateway.terms.ids import PeerId, RequestId
from gateway.wire.v1 import describe_pb2, watchlist_pb2, witness_pb2
from tests.unit.rpc import terms

REQUEST_HASH = b"h" * 64

ROUND_TRIPS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "check_request": (terms.check_requests(), peers.encode_check_request, peers.check_request),
    "manifest_request": (terms.manifest_requests, peers.encode_manifest_request, peers.manifest_request),
    "manifest": (terms.manifests(), peers.encode_manifest, peers.manifest),
    "chunk_request": (terms.chunk_requests, peers.encode_chunk_request, peers.chunk_request),
    "describe_request": (terms.describe_requests, peers.encode_describe_request, peers.describe_request),
    "describe_reply": (terms.descriptions, peers.encode_describe_reply, peers.describe_reply),
    "checkpoint_request": (terms.checkpoint_requests, peers.encode_checkpoint_request, peers.checkpoint_request),
    "pair_head_request": (terms.pair_head_requests, peers.encode_pair_head_request, peers.pair_head_request),
    "pair_head": (terms.pair_heads(64), peers.encode_pair_head, lambda body: peers.pair_head(body, 64)),
    "known_size": (st.integers(0, (1 << 63) - 1), peers.encode_checkpoint_reply, peers.checkpoint_reply),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@given(data=st.data())
def test_what_is_encoded_is_decoded_again(name: str, data: st.DataObject) -> None:
    strategy, encode, decode = ROUND_TRIPS[name]
    said = data.draw(strategy)
    assert decode(encode(said)) == said


@given(terms.check_replies)
def test_a_reply_comes_back_with_the_request_hash_of_its_header(reply: CheckReply) -> None:
    assert peers.check_reply(peers.encode_check_reply(reply), reply.request_hash) == reply


@given(terms.manifests(), st.binary(min_size=1, max_size=200), st.binary(min_size=64, max_size=64))
def test_a_manifest_keeps_its_owner_s_signature(manifest: Manifest, header: bytes, signature: bytes) -> None:
    message = SignedMessage(peers.encode_manifest(manifest), header, signature)
    back = peers.manifest_reply(peers.encode_manifest_reply(message))
    assert (back.manifest, back.message) == (manifest, message)


DECODERS: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "check_request": (peers.encode_check_request(terms.a_check_request()), peers.check_request),
    "check_reply": (
        peers.encode_check_reply(terms.a_check_reply(REQUEST_HASH)),
        lambda body: peers.check_reply(body, REQUEST_HASH),
    ),
    "manifest_request": (
        watchlist_pb2.GetManifestRequest(
            request_id=bytes(16),
            owner="HND",
            list=1,  # type: ignore[arg-type]
            group="WATCH",
        ).SerializeToString(),
        peers.manifest_request,
    ),
    "manifest": (peers.encode_manifest(terms.a_manifest()), peers.manifest),
    "manifest_reply": (
        peers.encode_manifest_reply(SignedMessage(peers.encode_manifest(terms.a_manifest()), b"h", b"s" * 64)),
        peers.manifest_reply,
    ),
    "delta": (peers.encode_delta(terms.a_delta()), peers.delta),
    "deltas_request": (
        peers.encode_deltas_request(DeltasRequest(RequestId(bytes(16)), terms.a_manifest().scope, 5)),
        peers.deltas_request,
    ),
    "deltas_reply": (
        peers.encode_deltas_reply([SignedMessage(peers.encode_delta(terms.a_delta()), b"h", b"s" * 64)] * 2),
        peers.deltas_reply,
    ),
    "chunk_request": (
        peers.encode_chunk_request(ChunkRequest(RequestId(bytes(16)), terms.a_manifest().scope, 3, 0)),
        peers.chunk_request,
    ),
    "chunk_reply": (
        watchlist_pb2.GetTableChunkResponse(version=3, number=1, chunk=b"x" * 100).SerializeToString(),
        lambda body: peers.chunk_reply(body, 3, 1),
    ),
    "describe_request": (peers.encode_describe_request(DescribeRequest(RequestId(bytes(16)))), peers.describe_request),
    "describe_reply": (
        describe_pb2.DescribeResponse(
            state="HND",
            release="0.1.0",
            protocol_majors=[1],
            suites=[1],  # type: ignore[list-item]
            key_types=[1, 2],  # type: ignore[list-item]
            classes=[8],
            methods=[peers.CHECK],
            baseline_digest=bytes(32),
            time_ns=1,
        ).SerializeToString(),
        peers.describe_reply,
    ),
    "checkpoint_request": (
        witness_pb2.AddCheckpointRequest(
            request_id=bytes(16), old_size=4, proof=[bytes(32)], note=b"HND/log\n5\n"
        ).SerializeToString(),
        peers.checkpoint_request,
    ),
    "pair_head_request": (
        witness_pb2.GetPairHeadRequest(request_id=bytes(16), numbers=[1, 5, 700]).SerializeToString(),
        peers.pair_head_request,
    ),
    "pair_head": (peers.encode_pair_head(terms.a_pair_head(3)), lambda body: peers.pair_head(body, 3)),
    "checkpoint_reply": (
        peers.encode_checkpoint_reply("— HND/witness AAAA\n".encode()),
        peers.checkpoint_reply,
    ),
}


@pytest.mark.parametrize("name", DECODERS)
@given(body=st.binary(max_size=400))
def test_any_bytes_parse_or_are_malformed(name: str, body: bytes) -> None:
    try:
        DECODERS[name][1](body)
    except Malformed as refused:
        assert refused.__cause__ is None


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_a_damaged_message_parses_or_is_malformed(name: str, data: st.DataObject) -> None:
    good, decode = DECODERS[name]
    decode(good)
    at = data.draw(st.integers(0, len(good) - 1))
    insert = data.draw(st.binary(max_size=4))
    bad = good[:at] + insert + good[at + data.draw(st.integers(0, 3)) :]
    try:
        decode(bad)
    except Malformed as refused:
        assert refused.__cause__ is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_id", bytes(15)),
        ("request_id", bytes(17)),
        ("batch", 1),
        ("batches", 0),
        ("batches", 65),
        ("asker", "pan"),
        ("asker", "PAN\n"),
        ("owner", ""),
        ("agency", ""),
        ("agency", "S" * 33),
        ("role", 0),
        ("role", 99),
        ("purpose", "sec.watch"),
        ("legal_basis", ""),
        ("legal_basis", "x" * 129),
        ("legal_basis", "line\nline"),
        ("list", 0),
        ("list", 3),
        ("group", ""),
        ("epoch", "UPPER"),
        ("suite", 0),
        ("suite", 2),
        ("seed_commitment", bytes(31)),
        ("pair_sequence", 0),
        ("permit_expires_ns", 0),
        ("permit_expires_ns", -1),
        ("blinded", b""),
        ("blinded", bytes(32 * 9)),
        ("blinded", bytes(32 * 8 - 1)),
    ],
)
def test_a_check_with_one_field_out_of_bounds_is_refused_by_that_field(field: str, value: object) -> None:
    wire = watchlist_pb2.CheckRequest.FromString(peers.encode_check_request(terms.a_check_request()))
    setattr(wire, field, value)
    with pytest.raises(Malformed) as refused:
        peers.check_request(wire.SerializeToString())
    assert refused.value.field == field


@pytest.mark.parametrize("key_types", [[], [0], [1, 0], [1, 1], [9]])
def test_key_types_are_each_once_and_known(key_types: list[int]) -> None:
    wire = watchlist_pb2.CheckRequest.FromString(peers.encode_check_request(terms.a_check_request()))
    del wire.key_types[:]
    wire.key_types.extend(key_types)  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        peers.check_request(wire.SerializeToString())


def test_a_manifest_of_a_newer_release_keeps_the_key_types_we_know() -> None:
    wire = watchlist_pb2.Manifest.FromString(peers.encode_manifest(terms.a_manifest()))
    wire.key_types.append(77)  # type: ignore[arg-type]
    assert peers.manifest(wire.SerializeToString()).key_types == terms.a_manifest().key_types


def test_an_unspecified_key_type_is_refused_even_where_unknown_ones_are_passed_over() -> None:
    wire = watchlist_pb2.Manifest.FromString(peers.encode_manifest(terms.a_manifest()))
    wire.key_types.append(0)  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        peers.manifest(wire.SerializeToString())


def test_a_longer_message_than_a_method_takes_is_refused_before_it_is_parsed() -> None:
    body = peers.encode_check_request(terms.a_check_request(blinded=bytes(32 * 1280)))
    assert peers.check_request(body).class_size == 1280
    with pytest.raises(Malformed, match="longer than"):
        peers.check_request(body + bytes(peers.CHECK_BYTES_MAX))


def test_no_refusal_shows_a_value() -> None:
    wire = watchlist_pb2.CheckRequest.FromString(peers.encode_check_request(terms.a_check_request()))
    wire.legal_basis = "GARCIA LOPEZ\n1974"
    with pytest.raises(Malformed) as refused:
        peers.check_request(wire.SerializeToString())
    assert "GARCIA" not in str(refused.value)


@pytest.mark.parametrize("chunk", [(4, 1), (3, 2)])
def test_a_chunk_for_another_question_is_refused(chunk: tuple[int, int]) -> None:
    body = watchlist_pb2.GetTableChunkResponse(version=3, number=1, chunk=b"x").SerializeToString()
    with pytest.raises(Malformed):
        peers.chunk_reply(body, *chunk)


@pytest.mark.parametrize("class_size", [8, 32, 320, 1280])
def test_a_frame_around_points_and_proof_is_the_whole_reply(class_size: int) -> None:
    sender = Sender(PeerId("HND"), b"m" * 32, lambda: envelope.NO_CHECKPOINT)
    request = terms.a_check_request(blinded=bytes(32 * class_size))
    whole = terms.a_check_reply(REQUEST_HASH, evaluated=b"e" * 32 * class_size)
    frame = sender.frame(request, terms.a_check_reply(REQUEST_HASH, evaluated=b"", proof=b""), terms.NOW_NS)
    body = frame.before + frame.evaluated_tag + whole.evaluated + frame.proof_tag + whole.proof
    assert body == peers.encode_check_reply(whole)
    header = envelope.decode(envelope.encode(frame.header_fields, body))
    assert (header.method, header.sender, header.receiver) == (peers.CHECK, "HND", "PAN")
    assert header.request_hash == REQUEST_HASH


@pytest.mark.parametrize("numbers", [[0], [2, 1], [1, 1], list(range(1, 66))])
def test_a_question_about_a_pair_names_at_most_64_entries_once_and_in_order(numbers: list[int]) -> None:
    with pytest.raises(Malformed):
        peers.pair_head_request(
            witness_pb2.GetPairHeadRequest(request_id=bytes(16), numbers=numbers).SerializeToString()
        )


def test_an_answer_about_a_pair_has_a_hash_for_each_number_and_no_more() -> None:
    body = peers.encode_pair_head(terms.a_pair_head(3))
    for asked in (2, 4):
        with pytest.raises(Malformed):
            peers.pair_head(body, asked)
