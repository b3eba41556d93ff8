"""The shared words: values that are wrong cannot be built, and values that are secret cannot be shown."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.terms import words
from gateway.terms.exchange import (
    CheckReply,
    CheckRequest,
    KeyScope,
    Manifest,
    SignedMessage,
)
from gateway.terms.hidden import Hidden
from gateway.terms.ids import AgencyId, EpochId, PeerId, Purpose, PurposeGroup, RequestId, peer_id
from gateway.terms.words import BATCH_CLASSES, KeyType, ListId, MatchClass, Role

SECRET = "GARCIA<<MARIA"

SCOPE = KeyScope(PeerId("HND"), ListId.PERSONS, PurposeGroup("WATCH"), EpochId("20260101-0a1b2c3d"), PeerId("PAN"))

REQUEST = CheckRequest(
    leg_id=RequestId(bytes(16)),
    batch=0,
    batches=1,
    asker=PeerId("PAN"),
    owner=PeerId("HND"),
    agency=AgencyId("PAN-BORDER"),
    role=Role.BORDER_FRONTLINE,
    purpose=Purpose("SEC.WATCH"),
    legal_basis="AGR-2026-1 art. 5",
    list_id=ListId.PERSONS,
    group=PurposeGroup("WATCH"),
    epoch=SCOPE.epoch,
    key_types=(KeyType.DOC_1,),
    known_version=1,
    blinded=b"\x5a" * 32 * 8,
    seed_commitment=b"\xa5" * 32,
    pair_seq=1,
    baseline_digest=b"\x5a" * 32,
    national_digest=b"\xa5" * 32,
    permit_expires_ns=1,
)


# --- hidden values ----------------------------------------------------------------------------------------------------


def test_a_hidden_value_opens_to_the_very_value() -> None:
    value = object()
    assert Hidden(value).open() is value


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        ascii,
        "{0}".format,
        "{0!r:>40}".format,
        "{0:>40}".format,
        lambda hidden: f"{hidden}",
        lambda hidden: f"{hidden:>30}",
        lambda hidden: "%s %r" % (hidden, hidden),  # noqa: UP031 (logging formats this way)
        lambda hidden: repr([{"name": hidden}]),
        lambda hidden: json.dumps(hidden, default=str),
        lambda hidden: str(ValueError(hidden)),
    ],
)
@pytest.mark.parametrize("value", [SECRET, SECRET.encode(), (SECRET,), 19740812])
def test_a_hidden_value_shows_only_that_something_is_hidden(show: Callable[[Any], str], value: Any) -> None:
    text = show(Hidden(value))
    assert "hidden" in text
    assert "GARCIA" not in text and "1974" not in text


@pytest.mark.parametrize(
    "leak",
    [
        lambda hidden: hidden == SECRET,
        lambda hidden: hidden != SECRET,
        lambda hidden: hidden == hidden,
        lambda hidden: hidden in [SECRET],
        hash,
        lambda hidden: {hidden},
        lambda hidden: {hidden: 1},
        list,
        tuple,
        lambda hidden: [*hidden],
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda hidden: hidden < hidden,
        lambda hidden: hidden + hidden,
        lambda hidden: hidden[0],
        len,
        lambda hidden: bytes(hidden),
        vars,
    ],
)
def test_a_hidden_value_cannot_be_compared_kept_or_carried_off(leak: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError) as caught:
        leak(Hidden(SECRET))
    assert SECRET not in str(caught.value)


def test_a_traceback_through_hidden_values_does_not_name_them() -> None:
    @dataclasses.dataclass(frozen=True)
    class Person:
        name: Hidden[str]

    try:
        raise ValueError(Person(Hidden(SECRET)))
    except ValueError:
        assert SECRET not in traceback.format_exc()


def test_hidden_cannot_be_subclassed_into_something_that_talks() -> None:
    # `final` speaks to the type checker; the slots see to it that nothing is attached to an instance.
    with pytest.raises(AttributeError):
        Hidden(SECRET).note = SECRET  # type: ignore[attr-defined]


# --- identifiers ------------------------------------------------------------------------------------------------------


@given(st.from_regex(r"\A[A-Z]{3}\Z"))
def test_three_capital_letters_are_a_state_code(text: str) -> None:
    assert peer_id(text) == text


@given(st.text().filter(lambda text: not (len(text) == 3 and all("A" <= c <= "Z" for c in text))))
def test_nothing_else_is_and_the_refusal_does_not_repeat_it(text: str) -> None:
    with pytest.raises(ValueError, match="a state code is three capital letters") as caught:
        peer_id(text)
    assert caught.value.args == ("a state code is three capital letters",)


@pytest.mark.parametrize("text", ["PAN\n", "pan", "PÁN", "\uff30\uff21\uff2e", "P N", "", "PANA"])
def test_near_state_codes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        peer_id(text)


@given(st.binary(min_size=16, max_size=16))
def test_a_request_id_reads_back_from_its_text(value: bytes) -> None:
    text = str(RequestId(value))
    assert RequestId.parse(text) == RequestId(value)
    assert len(text) == 36


@given(st.binary().filter(lambda value: len(value) != 16))
def test_a_request_id_of_another_size_cannot_be_built(value: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        RequestId(value)


@given(st.text())
def test_any_text_is_a_request_id_or_a_value_error(text: str) -> None:
    for candidate in (text, "req_" + text):
        try:
            read = RequestId.parse(candidate)
        except ValueError:
            continue
        assert bytes.fromhex(candidate[4:]) == read.value


# --- closed vocabularies ----------------------------------------------------------------------------------------------


def test_every_key_type_has_its_match_class_and_only_a_document_is_exact() -> None:
    assert {MatchClass.of(key) for key in KeyType} == set(MatchClass)
    assert [of for of in MatchClass if of.is_exact] == [MatchClass.DOCUMENT]


def test_key_types_carry_their_version() -> None:
    assert all(key.value.split("/")[1].isdigit() for key in KeyType)


@pytest.mark.parametrize(
    ("vocabulary", "numbers"),
    [
        (
            words.RecordKind,
            {
                "WANTED_ARREST": 1,
                "REFUSE_ENTRY": 2,
                "SMUGGLER_SUSPECT": 3,
                "MISSING_CHILD": 4,
                "LOST_STOLEN": 5,
                "REVOKED": 6,
            },
        ),
        (
            words.Action,
            {"WAIT_FOR_OWNER": 1, "DO_NOT_DETAIN_CALL_OWNER": 2, "HOLD_DOCUMENT_SECOND_LINE": 3, "SECOND_LINE": 4},
        ),
        (words.Handling, {"APPROVAL": 1, "FOUR_EYES": 2}),
    ],
)
def test_numbers_inside_labels_never_change(vocabulary: Any, numbers: dict[str, int]) -> None:
    # They stand in sealed labels at other states: a number may be added, never moved, and 0 is no member.
    now = {member.name: member.value for member in vocabulary}
    assert now.items() >= numbers.items()
    assert len(set(now.values())) == len(now) and 0 not in now.values()


def test_outcome_knows_no_clearance() -> None:
    assert {outcome.value for outcome in words.Outcome} == {"HIT", "NOTHING_TO_REPORT"}


# --- what gateways say to each other ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", BATCH_CLASSES)
def test_a_batch_of_each_class_can_be_built(size: int) -> None:
    assert dataclasses.replace(REQUEST, blinded=bytes(32 * size)).class_size == size


@given(st.integers(min_value=0, max_value=1300 * 32).filter(lambda n: n not in {32 * size for size in BATCH_CLASSES}))
def test_a_batch_of_any_other_size_cannot(length: int) -> None:
    with pytest.raises(ValueError, match="8, 32, 320 or 1,280"):
        dataclasses.replace(REQUEST, blinded=bytes(length))


@pytest.mark.parametrize(("batch", "batches"), [(-1, 1), (1, 1), (2, 1), (0, 0)])
def test_a_batch_number_lies_within_the_declared_count(batch: int, batches: int) -> None:
    with pytest.raises(ValueError, match="outside the declared count"):
        dataclasses.replace(REQUEST, batch=batch, batches=batches)


def test_a_request_names_the_key_made_for_its_asker() -> None:
    assert REQUEST.scope == SCOPE


@pytest.mark.parametrize(
    "message",
    [
        REQUEST,
        CheckReply(b"\x5a" * 32, b"\xa5" * 256, b"\x5a" * 64, SCOPE.epoch, 1, 10, 1),
        SignedMessage(b"\x5a" * 9, b"\xa5" * 9, b"\x5a" * 64),
        Manifest(
            SCOPE,
            1,
            b"\x5a" * 32,
            (KeyType.DOC_1,),
            64,
            4096,
            (b"\xa5" * 32,),
            b"\x5a" * 32,
            b"\xa5" * 32,
            1,
            2,
            "AGR-2026-1 art. 9",
        ),
    ],
    ids=lambda message: type(message).__name__,
)
def test_the_bytes_of_a_message_stay_out_of_its_repr(message: Any) -> None:
    text = repr(message)
    assert r"\x5a" not in text and r"\xa5" not in text and "Z" * 8 not in text


@pytest.mark.parametrize("kind", [KeyScope, CheckRequest, CheckReply, Manifest, SignedMessage])
def test_messages_do_not_change_after_they_were_judged(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen
