"""Every kind says what to do, whom to call and by when; a possible hit never reads like an exact one."""

from __future__ import annotations

import pytest

from gateway.people import messages
from gateway.terms.words import Action, MatchClass, RecordKind
from gateway.watchlist.entry import ACTION_OF


@pytest.mark.parametrize("kind", list(RecordKind))
def test_every_kind_has_every_word_so_that_none_is_told_by_what_is_missing(kind: RecordKind) -> None:
    said = messages.KINDS[kind]
    assert said.code == f"M.{kind.name}"
    assert said.kind and said.sentence.endswith(".") and said.limit_s > 0
    assert messages.ACTIONS[ACTION_OF[kind]]
    assert "or the case is escalated" in messages.limit(kind)


def test_codes_are_each_one_kinds() -> None:
    assert len({said.code for said in messages.KINDS.values()}) == len(RecordKind) == len(messages.KINDS)
    assert set(messages.ACTIONS) == set(Action)


def test_a_missing_child_is_not_detained_and_its_desk_answers_within_an_hour() -> None:
    said = messages.KINDS[RecordKind.MISSING_CHILD]
    assert said.sentence.startswith("Do not detain. Call the owner's desk at once")
    assert "never a ground for refusal" in said.sentence.lower()
    assert said.limit_s == 3600
    assert messages.limit(RecordKind.MISSING_CHILD).startswith("the owner's desk answers within 1 hour,")
    assert messages.ACTIONS[ACTION_OF[RecordKind.MISSING_CHILD]].startswith("do not detain")


@pytest.mark.parametrize("match", list(MatchClass))
def test_a_possible_hit_says_so_first_and_an_exact_one_never(match: MatchClass) -> None:
    text = messages.MATCHES[match]
    assert text.startswith("possible") != match.is_exact
    assert ("name differs" in text) == (match in (MatchClass.NAME_SOUND_AND_DATE, MatchClass.NAME_SOUND_AND_YEAR))


def test_silence_is_never_a_clearance_nor_a_false() -> None:
    assert "never means valid" in messages.nothing("DOC.STATUS")
    assert "never means that the person is no national" in messages.nothing("READ.IDENT")
    for purpose in ("SEC.WATCH", "API.PRESCREEN", "MISS.CHILD"):
        assert "not a clearance" in messages.nothing(purpose)
    assert "false" not in " ".join(messages.NOTHING.values()).lower()


def test_no_sentence_tells_the_officer_to_refuse_or_to_arrest() -> None:
    for said in messages.KINDS.values():
        words = said.sentence.lower()
        assert "arrest" not in words
        assert "refuse" not in words.replace("nothing is refused", "").replace("ground for refusal", "")
