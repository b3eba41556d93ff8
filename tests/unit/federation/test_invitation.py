"""Two files and a telephone call make one list of members: every key is in the words, every change is caught."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, InputRefused, Malformed, VerificationFailed
from gateway.federation import document, fingerprint, invitation
from gateway.federation.document import Member, SignedDocument
from gateway.federation.invitation import Baseline, Invitation, SignedInvitation
from gateway.terms.ids import AgencyId, PeerId
from tests.unit.federation.test_federation_document import DAY, NOW, member, seed

BASELINE = Baseline(
    b"a bundle" * 40, "baseline-0011aabb", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
)


def authority(state: str) -> bytes:
    return seed(state, "authority")


def offer(
    inviter: str = "PAN", invited: str = "HND", *, listed: SignedDocument | None = None, days: int = 7, nonce: int = 1
) -> SignedInvitation:
    made = Invitation(
        inviter=PeerId(inviter),
        invited=PeerId(invited),
        made_ns=NOW,
        expires_ns=NOW + days * DAY,
        nonce=bytes([nonce]) * 16,
        card=member(inviter),
        listed=listed,
        baseline=BASELINE,
    )
    return invitation.parse(invitation.make(made, authority(inviter)))


def rendered(signed: SignedInvitation) -> bytes:
    return invitation.make(signed.invitation, authority(signed.invitation.inviter))


def answered(signed: SignedInvitation, card: Member | None = None) -> bytes:
    state = signed.invitation.invited
    return invitation.encode_answer(signed, card or member(state), authority(state))


def agreed(signed: SignedInvitation) -> SignedDocument:
    """The list with both signatures."""
    made = invitation.combine(signed, invitation.decode_answer(answered(signed)))
    return document.sign(made, signed.invitation.inviter, authority(signed.invitation.inviter))


# The words


def test_the_list_has_2048_different_words_of_four_or_five_letters() -> None:
    assert len(set(fingerprint.LIST)) == 2048
    assert all(re.fullmatch(r"[a-z]{4,5}", word) for word in fingerprint.LIST)
    assert fingerprint.WORDS * fingerprint.WORD_BITS >= 80


def test_words_are_always_the_same_for_a_text_and_its_purpose() -> None:
    assert " ".join(fingerprint.words("list", b"PAN and HND")) == WORDS_OF_A_TEXT
    assert fingerprint.words("list", b"a") != fingerprint.words("invitation", b"a") != fingerprint.words("list", b"b")


WORDS_OF_A_TEXT = "flolu koba baru dodo glomu sifo glari bosi"


def test_words_may_be_typed_as_people_type() -> None:
    words = fingerprint.words("list", b"x")
    for typed in (" ".join(words), "-".join(words).upper(), ", ".join(words) + "\n"):
        fingerprint.compare(typed, words)


@pytest.mark.parametrize(
    ("typed", "error", "told"),
    [
        (lambda words: words[:7], InputRefused, "8 words are needed, 7 were typed"),
        (lambda words: (*words[:2], "zebra", *words[3:]), InputRefused, "word 3 is no word of the list"),
        (lambda words: (*words[:7], "baba" if words[7] != "baba" else "babi"), VerificationFailed, "different keys"),
        (lambda words: words[::-1], VerificationFailed, "different keys"),
    ],
)
def test_other_words_are_told_apart_from_words_that_were_misheard(
    typed: Callable[[tuple[str, ...]], tuple[str, ...]], error: type[GatewayError], told: str
) -> None:
    words = fingerprint.words("list", b"x")
    with pytest.raises(error, match=told):
        fingerprint.compare(" ".join(typed(words)), words)


KEYS_OF_A_CARD: dict[str, Any] = {
    "endpoints": ("127.0.0.1:9",),
    "tls_pins": (bytes(32),),
    "anchor_pem": member("UTO").anchor_pem,
    "authority": bytes(31) + b"\1",
    "message_keys": member("UTO").message_keys,
    "log_vkey": "limen/PAN/log+00000000+AAAA",
    "witness_vkey": "limen/PAN/witness+00000000+AAAA",
    "case_key": bytes(32),
    "agencies": (AgencyId("ABC"),),
}


@pytest.mark.parametrize("field", KEYS_OF_A_CARD)
def test_every_key_of_both_sides_is_in_the_words(field: str) -> None:
    assert set(KEYS_OF_A_CARD) == {f.name for f in dataclasses.fields(Member)} - {"state", "status", "realm"}
    signed = offer()
    before = fingerprint.words("list", invitation.draft(signed.invitation, member("HND")).text)
    for state in ("PAN", "HND"):
        bent = dataclasses.replace(member(state), **{field: KEYS_OF_A_CARD[field]})
        offered = dataclasses.replace(signed.invitation, card=bent) if state == "PAN" else signed.invitation
        text = invitation.draft(offered, bent if state == "HND" else member("HND")).text
        assert fingerprint.words("list", text) != before


# Invitation, answer, list


def test_two_states_sign_one_list_and_both_are_needed() -> None:
    signed = offer()
    assert invitation.verify(signed, PeerId("HND"), NOW) == signed.invitation
    half = invitation.combine(signed, invitation.decode_answer(answered(signed)))
    assert half.text == invitation.draft(signed.invitation, member("HND")).text
    with pytest.raises(VerificationFailed, match="1 of 2"):
        document.verify(half, None, NOW)
    whole = document.sign(half, PeerId("PAN"), authority("PAN"))
    listed = document.verify(whole, None, NOW)
    assert [str(one.state) for one in listed.members] == ["HND", "PAN"]
    assert (listed.version, listed.threshold, listed.baseline) == (1, 2, BASELINE.digest)


def test_a_third_state_needs_the_threshold_of_those_who_were_there() -> None:
    first = agreed(offer())
    signed = offer("PAN", "UTO", listed=first, nonce=2)
    joined = invitation.combine(signed, invitation.decode_answer(answered(signed)))
    joined = document.sign(joined, PeerId("PAN"), authority("PAN"))
    assert (joined.document.version, joined.document.threshold) == (2, 2)
    with pytest.raises(VerificationFailed, match="1 of 2 members of the version in force"):
        document.verify(joined, first.document, NOW)
    joined = document.sign(joined, PeerId("HND"), authority("HND"))
    assert document.verify(joined, first.document, NOW).version == 2


@pytest.mark.parametrize("count", range(2, 8))
def test_the_threshold_stays_above_half_however_many_join(count: int) -> None:
    states = ("PAN", "HND", "UTO", "GTM", "MEX", "CRI", "SLV")[:count]
    listed: SignedDocument | None = None
    for number, state in enumerate(states[1:], 1):
        signed = offer("PAN", state, listed=listed, nonce=number)
        made = invitation.draft(signed.invitation, member(state))
        for one in states[: number + 1]:
            made = document.sign(made, PeerId(one), authority(one))
        listed = made
    assert listed is not None and count // 2 < listed.document.threshold == count // 2 + 1


def test_signatures_of_two_files_of_one_list_come_together() -> None:
    signed = offer()
    left = document.sign(invitation.draft(signed.invitation, member("HND")), PeerId("PAN"), authority("PAN"))
    right = invitation.combine(signed, invitation.decode_answer(answered(signed)))
    assert document.signed_by(invitation.merged(left, right), left.document) == ("HND", "PAN")
    with pytest.raises(ValueError, match="two lists"):
        invitation.merged(left, agreed(offer(nonce=3, days=8, invited="UTO")))


def test_what_a_list_changes_is_said_in_sentences() -> None:
    first = agreed(offer())
    joined = invitation.draft(offer("PAN", "UTO", listed=first).invitation, member("UTO")).document
    assert invitation.changes(first.document, joined) == ["UTO becomes a member, at " + member("UTO").endpoints[0]]
    assert len(invitation.changes(None, first.document)) == 3
    gone = dataclasses.replace(joined, members=first.document.members[:1], threshold=1, baseline=bytes(32))
    assert invitation.changes(joined, gone) == [
        "PAN is no longer a member",
        "UTO is no longer a member",
        "the regional baseline is another one",
        "lists are valid when 1 of 1 have signed",
    ]


@pytest.mark.parametrize(
    ("signed", "us", "at_ns", "error", "told"),
    [
        (offer(), "UTO", NOW, InputRefused, "for HND, and this node is UTO"),
        (offer(), "HND", NOW + 7 * DAY, InputRefused, "time is over; ask PAN for a new one"),
        (offer(), "HND", NOW - 2 * DAY, InputRefused, "time is over"),
        (dataclasses.replace(offer(), signature=bytes(64)), "HND", NOW, VerificationFailed, "changed after"),
        (dataclasses.replace(offer(), key_id="0" * 16), "HND", NOW, VerificationFailed, "another key"),
    ],
)
def test_an_invitation_that_may_not_be_answered_is_refused_in_one_sentence(
    signed: SignedInvitation, us: str, at_ns: int, error: type[GatewayError], told: str
) -> None:
    with pytest.raises(error, match=told):
        invitation.verify(signed, PeerId(us), at_ns)


def test_an_invitation_may_not_hold_for_months() -> None:
    with pytest.raises(VerificationFailed, match="30 days"):
        offer(days=31)


def test_an_invitations_list_must_name_the_inviter_and_the_baseline() -> None:
    first = agreed(offer())
    with pytest.raises(VerificationFailed, match="does not name the inviter"):
        offer("GTM", "UTO", listed=first)
    other = dataclasses.replace(offer().invitation, listed=first, baseline=dataclasses.replace(BASELINE, bundle=b"x"))
    with pytest.raises(VerificationFailed, match="baseline"):
        invitation.make(other, authority("PAN"))


def test_an_answer_is_good_for_one_invitation_and_for_one_card() -> None:
    signed = offer()
    answer = invitation.decode_answer(answered(signed))
    with pytest.raises(VerificationFailed, match="another invitation"):
        invitation.combine(offer(nonce=2), answer)
    with pytest.raises(VerificationFailed, match="changed on its way"):
        invitation.combine(
            signed, dataclasses.replace(answer, card=dataclasses.replace(answer.card, case_key=bytes(32)))
        )
    with pytest.raises(VerificationFailed, match="changed on its way"):
        invitation.combine(signed, dataclasses.replace(answer, list_signature=bytes(64)))
    with pytest.raises(InputRefused, match="UTO's, and HND was invited"):
        invitation.combine(signed, dataclasses.replace(answer, card=member("UTO")))


def test_a_card_with_another_members_key_makes_no_list() -> None:
    signed = offer()
    with pytest.raises(InputRefused, match="a case key is listed twice"):
        answered(signed, dataclasses.replace(member("HND"), case_key=member("PAN").case_key))


def test_files_read_back_as_they_were_written() -> None:
    for signed in (offer(), offer("PAN", "UTO", listed=agreed(offer()))):
        assert invitation.parse(rendered(signed)) == signed
        assert invitation.decode_answer(answered(signed)).invitation == signed.digest


@settings(max_examples=150)
@given(st.integers(0, len(rendered(offer())) - 1), st.integers(1, 255))
def test_no_changed_byte_of_an_invitation_goes_unnoticed(place: int, bits: int) -> None:
    data = bytearray(rendered(offer()))
    data[place] ^= bits
    with pytest.raises((Malformed, VerificationFailed, InputRefused)):
        invitation.verify(invitation.parse(bytes(data)), PeerId("HND"), NOW)


@settings(max_examples=150)
@given(st.integers(0, len(answered(offer())) - 1), st.integers(1, 255))
def test_no_changed_byte_of_an_answer_goes_unnoticed(place: int, bits: int) -> None:
    data = bytearray(answered(offer()))
    data[place] ^= bits
    with pytest.raises((Malformed, VerificationFailed, InputRefused)):
        invitation.combine(offer(), invitation.decode_answer(bytes(data)))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for read in (invitation.parse, invitation.decode_answer):
        with pytest.raises(Malformed):
            read(data)
