"""Askers that break the protocol with their own true keys: nothing is evaluated, nothing is charged twice."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from gateway.cli.acts.nodes import LISTING_BASIS
from gateway.federation import envelope
from gateway.primitives import ed25519
from gateway.pseudonym import oprf
from gateway.rpc.convert import cases
from gateway.rpc.convert import peers as convert
from gateway.terms import KeyType, ListId, PeerId, RequestId
from gateway.terms.exchange import DeltasRequest, KeyScope, SignedMessage
from gateway.terms.ids import EpochId, PurposeGroup
from gateway.wire.v1 import watchlist_pb2
from tests.support.hostile_asker import Asker, Said, again
from tests.support.states import States

PAN, UTO, HND = PeerId("PAN"), PeerId("UTO"), PeerId("HND")
LIMIT = 200_000
"""Slots a day of a starter agreement (`policy.agreement`)."""


@pytest.fixture(scope="module")
def asker(states: States) -> Asker:
    return Asker(states, UTO, PAN)


def answered(states: States, start: int) -> list[tuple[str, bytes]]:
    """Evaluations in the owner's log since then: phase and request hash."""
    return [(leaf.phase, bytes(leaf.public["request_hash"])) for leaf in states.leaves("PAN", start, "check.answer")]  # type: ignore[arg-type]


def test_a_good_question_is_answered_and_charged_once(states: States, asker: Asker) -> None:
    before, start = asker.used(), states.size("PAN")
    request = asker.request()
    body = convert.encode_check_request(request)
    said = asker.send(asker.sign(body))
    assert said.ok and len(convert.check_reply(said.message.body, bytes(64)).evaluated) == 8 * 32
    assert asker.used() == before + 8
    hash_ = envelope.body_hash(body)
    assert answered(states, start) == [("intent", hash_), ("outcome", hash_)]


def test_a_replay_gets_the_same_bytes_and_costs_nothing(states: States, asker: Asker) -> None:
    message = asker.sign(asker.body())
    first = asker.send(message)
    before, start = asker.used(), states.size("PAN")
    # The very bytes, then the same body under a fresh header, then many at once.
    again_ = [asker.send(message), asker.send(asker.sign(message.body)), *asker.send_all([message] * 8)]
    assert first.ok and {one.message for one in again_} == {first.message}
    assert asker.used() == before and answered(states, start) == []


def test_other_bytes_under_a_used_id_are_refused_and_cost_nothing(states: States, asker: Asker) -> None:
    request = asker.request()
    assert asker.send(asker.sign(convert.encode_check_request(request))).ok
    before, start = asker.used(), states.size("PAN")
    larger = asker.request(size=32).blinded
    for changed in ({"pair_seq": 2}, {"blinded": asker.request().blinded}, {"blinded": larger}, {"batches": 4}):
        assert asker.send(asker.sign(again(request, **changed))).reason == "REQUEST_REUSED"
    assert asker.used() == before and answered(states, start) == []
    refused = states.leaves("PAN", start, "check.refused")
    assert {leaf.public["reason"] for leaf in refused} == {"REQUEST_REUSED"} and refused


def _flip(message: SignedMessage) -> SignedMessage:
    return dataclasses.replace(message, signature=bytes([message.signature[0] ^ 1]) + message.signature[1:])


Sends = Callable[[Asker], Said]

UNREAD: dict[str, tuple[Sends, str]] = {
    "is not signed": (lambda a: a.send(a.sign(a.body()), metadata=()), "NOT_IDENTIFIED"),
    "has a header and no signature": (
        lambda a: a.send(a.sign(a.body()), metadata=((envelope.HEADER_KEY, a.sign(a.body()).header),)),
        "NOT_IDENTIFIED",
    ),
    "has a flipped bit in its signature": (lambda a: a.send(_flip(a.sign(a.body()))), "NOT_IDENTIFIED"),
    "has another body than was signed": (
        lambda a: a.send(dataclasses.replace(a.sign(a.body()), body=a.body())),
        "NOT_IDENTIFIED",
    ),
    "is signed with another key": (lambda a: a.send(a.sign(a.body(), seed=bytes(32))), "NOT_IDENTIFIED"),
    "names another key": (
        lambda a: a.send(a.sign(a.body(), seed=bytes(32), key_id=envelope.key_id(ed25519.public(bytes(32))))),
        "NOT_IDENTIFIED",
    ),
    "is to another receiver": (lambda a: a.send(a.sign(a.body(), receiver=HND)), "NOT_IDENTIFIED"),
    "is from another sender": (lambda a: a.send(a.sign(a.body(), sender=HND)), "NOT_IDENTIFIED"),
    "is of another method": (lambda a: a.send(a.sign(a.body(), method=convert.DESCRIBE)), "NOT_IDENTIFIED"),
    "is 31 s old": (lambda a: a.send(a.sign(a.body(), time_ns=a.clock.now_ns() - 31 * 10**9)), "NOT_IDENTIFIED"),
    "is 31 s ahead": (lambda a: a.send(a.sign(a.body(), time_ns=a.clock.now_ns() + 31 * 10**9)), "NOT_IDENTIFIED"),
    "comes with another state's certificate": (lambda a: a.send(a.sign(a.body()), leaf_of="HND"), "NOT_IDENTIFIED"),
    "has no deadline": (lambda a: a.send(a.sign(a.body()), timeout_s=None), "DEADLINE_MISSING"),
    "is empty": (lambda a: a.send(a.sign(b"")), "MALFORMED"),
    "is garbage": (lambda a: a.send(a.sign(bytes(range(256)))), "MALFORMED"),
    "has bytes behind it": (lambda a: a.send(a.sign(a.body() + b"\x0a")), "MALFORMED"),
    "is too long for a check": (lambda a: a.send(a.sign(a.body() + bytes(49_152))), "MALFORMED"),
    "is too long for the door": (lambda a: a.send(a.sign(bytes(4 << 20))), "RESOURCE_EXHAUSTED"),
    "asks in another state's name": (lambda a: a.send(a.sign(a.body(asker=HND))), "MALFORMED"),
    "asks another owner": (lambda a: a.send(a.sign(a.body(owner=HND))), "MALFORMED"),
    "comes with a permit that has ended": (
        lambda a: a.send(a.sign(a.body(permit_expires_ns=a.clock.now_ns() - 60 * 10**9))),
        "MALFORMED",
    ),
    "has no element": (lambda a: _wire(a, blinded=b""), "MALFORMED"),
    "has nine elements": (lambda a: _wire(a, blinded=a.request().blinded + bytes(32)), "MALFORMED"),
    "has half an element": (lambda a: _wire(a, blinded=a.request().blinded[:-16]), "MALFORMED"),
    "goes to a method of another shape": (
        lambda a: a.send(a.sign(a.body(), method=cases.OPEN_CASE), method=cases.OPEN_CASE),
        "MALFORMED",
    ),
    "goes to a method that is none": (lambda a: a.send(a.sign(a.body()), method="/x.Y/Z"), "METHOD_UNKNOWN"),
}
"""What never reaches the flow, and what its sender is told."""


def _wire(asker: Asker, **changed: Any) -> Said:
    """Values that no `CheckRequest` can hold."""
    wire = watchlist_pb2.CheckRequest.FromString(asker.body())
    for name, value in changed.items():
        setattr(wire, name, value)
    return asker.send(asker.sign(wire.SerializeToString()))


@pytest.mark.parametrize("what", UNREAD)
def test_a_question_that_is_none_is_refused_unread(states: States, asker: Asker, what: str) -> None:
    sends, reason = UNREAD[what]
    before, start = asker.used(), states.size("PAN")
    said = sends(asker)
    assert said.reason == reason, said.words
    assert "Traceback" not in said.words and len(said.words) < 200
    assert asker.used() == before and answered(states, start) == []


def test_what_was_refused_unread_is_counted_in_the_log(states: States, asker: Asker) -> None:
    start = states.size("PAN")
    messages = [asker.sign(b"", method=convert.DESCRIBE)] * 30
    assert {one.reason for one in asker.send_all(messages, method=convert.DESCRIBE, metadata=())} == {"NOT_IDENTIFIED"}

    def found() -> list[int]:
        entries = states.leaves("PAN", start, "call.refused")
        said = [(leaf.peer, leaf.public["reason"], leaf.public["method"], leaf.public["count"]) for leaf in entries]
        return [int(n) for *what, n in said if what == ["UTO", "NOT_IDENTIFIED", convert.DESCRIBE.rpartition(".")[2]]]

    states.until(lambda: sum(found()) == 30, "30 refusals are counted")
    # Together, not one by one: a flood does not fill the log.
    assert len(found()) <= 3


GATED: dict[str, tuple[dict[str, Any], str]] = {
    "another epoch": ({"epoch": "20200101-00000000"}, "EPOCH_REFUSED"),
    "another group's key": ({"group": "DOCUMENT"}, "POLICY_DENIED"),
    "another list": ({"purpose": "SEC.WATCH", "list_id": ListId.DOCUMENTS}, "POLICY_DENIED"),
    "a key type that is not the purpose's": ({"key_types": (KeyType.MET2_YEAR_1,)}, "POLICY_DENIED"),
    "a purpose that is not agreed": ({"purpose": "READ.IDENT", "group": "READMISSION"}, "POLICY_DENIED"),
    "a purpose that is none": ({"purpose": "SEC.OTHER"}, "POLICY_DENIED"),
    "an agency that is none": ({"agency": "NOBODY"}, "POLICY_DENIED"),
    "a legal basis that is not agreed": ({"legal_basis": "because"}, "POLICY_DENIED"),
    "an older baseline": ({"baseline_digest": bytes(32)}, "BASELINE_OUTDATED"),
}
"""What a gate refuses: in the log, not charged, not evaluated."""


@pytest.mark.parametrize("what", GATED)
def test_a_question_that_may_not_be_asked_is_refused_in_the_log_and_not_charged(
    states: States, asker: Asker, what: str
) -> None:
    changed, reason = GATED[what]
    before, start = asker.used(), states.size("PAN")
    said = asker.ask(**changed)
    assert said.reason == reason
    (entry,) = states.leaves("PAN", start, "check.refused")
    assert (entry.peer, entry.public["reason"]) == ("UTO", reason)
    assert asker.used() == before and answered(states, start) == []


POINTS: dict[str, Callable[[bytes], bytes]] = {
    "the identity": lambda first: bytes(32),
    "bit 255": lambda first: first[:31] + bytes([first[31] | 0x80]),
    "a negative element": lambda first: bytes([first[0] | 1]) + first[1:],
    "the field's order": lambda first: (2**255 - 19).to_bytes(32, "little"),
    "all ones": lambda first: b"\xff" * 32,
    "no square": lambda first: (2).to_bytes(32, "little"),
}
"""Encodings that stand for no element, or for the one that must not be evaluated (RFC 9496 section 4.3.1)."""


@pytest.mark.parametrize("what", POINTS)
def test_a_point_that_is_none_is_not_evaluated(states: States, asker: Asker, what: str) -> None:
    blinded = asker.request().blinded
    start = states.size("PAN")
    for place in (0, 7):
        one = oprf.split(blinded)[place]
        bent = blinded[: 32 * place] + POINTS[what](one) + blinded[32 * place + 32 :]
        request = asker.request(blinded=bent)
        before = asker.used()
        message = asker.sign(convert.encode_check_request(request))
        assert asker.send(message).reason == "MALFORMED"
        # Paid for the attempt, once however often it is tried; good points under the same id do not come for free.
        assert asker.send(message).reason == "MALFORMED"
        assert asker.send(asker.sign(again(request, blinded=blinded))).reason == "REQUEST_REUSED"
        assert asker.used() <= before + 8
    assert "outcome" not in {phase for phase, _ in answered(states, start)}


def test_one_point_many_times_over_is_allowed(states: States, asker: Asker) -> None:
    said = asker.ask(blinded=asker.request().blinded[:32] * 8)
    evaluated = oprf.split(convert.check_reply(said.message.body, bytes(64)).evaluated)
    assert said.ok and len(set(evaluated)) == 1


def test_a_later_batch_cannot_come_first_or_use_more_than_was_paid(asker: Asker) -> None:
    assert asker.ask(batch=1, batches_=2).reason == "QUOTA_EXHAUSTED"
    first = asker.request(batches_=2)
    assert asker.send(asker.sign(convert.encode_check_request(first))).ok
    assert asker.send(asker.sign(again(first, batch=1))).ok
    larger = asker.request(size=320).blinded
    third = asker.request(batches_=2)
    assert asker.send(asker.sign(convert.encode_check_request(third))).ok
    assert asker.send(asker.sign(again(third, batch=1, blinded=larger))).reason == "QUOTA_EXHAUSTED"


def test_over_the_quota_nothing_is_evaluated_and_a_restart_forgets_nothing(states: States, asker: Asker) -> None:
    purpose = "DOC.STATUS"
    # Two questions of 64 large batches leave room for small ones only.
    messages = [asker.sign(asker.body(purpose, size=1280, batches_=64)) for _ in range(3)]
    first, second, third = (asker.send(message) for message in messages)
    assert (first.reason, second.reason, third.reason) == ("OK", "OK", "QUOTA_EXHAUSTED")
    used = asker.used(purpose)
    assert used == 2 * 64 * 1280 < LIMIT

    for process in ("gateway", "keys", "writer"):
        states.kill("PAN", process)
    states.until(lambda: asker.ask().ok, "PAN answers again")
    start = states.size("PAN")
    # The stored answer is the same bytes, the refusal is the same refusal, and nothing was charged for either.
    assert asker.send(asker.sign(messages[0].body)).message == first.message
    assert asker.send(asker.sign(messages[2].body)).reason == "QUOTA_EXHAUSTED"
    assert asker.used(purpose) == used and answered(states, start) == []
    assert [leaf.public["reason"] for leaf in states.leaves("PAN", start, "check.refused")] == ["QUOTA_EXHAUSTED"]

    # Up to the last slots, then twenty at once: together they never take more than is left.
    room = (LIMIT - used - 1000) // 1280
    assert asker.ask(purpose, size=1280, batches_=room).ok
    fitting = (LIMIT - asker.used(purpose)) // 512
    assert 0 < fitting < 20
    said = [one.reason for one in asker.send_all([asker.sign(asker.body(purpose, batches_=64)) for _ in range(20)])]
    assert said.count("OK") == fitting and said.count("QUOTA_EXHAUSTED") == 20 - fitting
    left = LIMIT - asker.used(purpose)
    assert 0 <= left < 512
    assert asker.ask(purpose).ok == (left >= 8)
    # Another list's allowance is another's.
    assert asker.ask().ok
    states.whole("UTO")


def test_deltas_are_given_to_their_own_peer_and_in_their_order_only(states: States, asker: Asker) -> None:
    with states.reading("PAN") as reader:
        epochs = {one.peer: one.epoch for one in reader.epochs()}
    scope = KeyScope(PAN, ListId.DOCUMENTS, PurposeGroup("DOCUMENT"), epochs[UTO], UTO)

    def fetch(after: int, **changes: Any) -> Said:
        request = DeltasRequest(RequestId(secrets.token_bytes(16)), dataclasses.replace(scope, **changes), after)
        body = convert.encode_deltas_request(request)
        return asker.send(asker.sign(body, method=convert.GET_DELTAS), method=convert.GET_DELTAS)

    with states.reading("PAN") as reader:
        last = reader.delta_number(UTO, scope.list_id, scope.group, scope.epoch)
    assert fetch(last).reason == "NOT_FOUND"
    record = {
        "entry_id": "DASKER", "category": "LOST_STOLEN_DOC", "document_no": "PA7409999", "document_issuer": "PAN",
        "valid_until": "2029-12-31", "originator": "PAN", "provenance": "NATIONAL", "decision_ref": "J-2026-77",
        "legal_basis": LISTING_BASIS,
    }  # fmt: skip
    assert states.nodes.add("PAN", ListId.DOCUMENTS, json.dumps(record).encode()).code == 0
    try:
        said = fetch(last)
        assert said.ok
        (one,) = convert.deltas_reply(said.message.body)
        assert (one.delta.scope, one.delta.number, len(one.delta.rows)) == (scope, last + 1, 4096)
        refused = {
            "another peer's": fetch(last, peer=HND, epoch=epochs[HND]),
            "another peer's epoch": fetch(last, epoch=epochs[HND]),
            "an epoch that is none": fetch(last, epoch=EpochId("20200101-00000000")),
            "another list's": fetch(last, list_id=ListId.PERSONS),
            "a group that waits for the tick": fetch(last, group=PurposeGroup("WATCH")),
            "what is not there yet": fetch(last + 1),
            "what never will be": fetch(1 << 40),
        }
        assert {what: said.reason for what, said in refused.items()} == dict.fromkeys(refused, "NOT_FOUND")
        assert fetch(last, owner=HND).reason == "MALFORMED"
    finally:
        assert states.nodes.withdraw("PAN", ListId.DOCUMENTS, "DASKER", "J-2026-78").code == 0
