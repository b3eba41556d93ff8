"""What a no means in five languages: every sentence in every one, and none that says more than its code."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.cli import advice, languages, main
from gateway.errors import Malformed, PolicyDenied
from gateway.policy.reasons import REASONS

OTHERS = sorted(set(languages.LANGUAGES) - {"en"})
SENTENCES = dict(advice.sentences())

TYPED = re.compile(r"`[^`]+`|--[a-z]+|LIMEN_[A-Z]+|UTC|PROTECTED")

CLAIM = re.compile(
    r"asyl|asil|refug|réfug|protecci|protect|proteç|persecu|perséc|persegui|لجوء|لاجئ|حماية|اضطهاد", re.IGNORECASE
)
"""Words of a claim for protection."""


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_there_for_the_english_one_as_it_is(language: str) -> None:
    held = languages.catalogue(language)
    assert set(held) == {(context, english) for context, english in SENTENCES.items()}


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_typed_is_the_same_in_every_language(language: str) -> None:
    for (_, english), said in languages.catalogue(language).items():
        assert sorted(TYPED.findall(said)) == sorted(TYPED.findall(english)), said
        assert said.endswith(".") == english.endswith(".")


def test_each_language_is_written_in_its_own_letters() -> None:
    for said in languages.catalogue("ar").values():
        plain = re.sub(TYPED, "", said)
        assert len(re.findall(r"[\u0600-\u06ff]", plain)) > 0.6 * len(plain.replace(" ", ""))
    words = {language: {*languages.catalogue(language).values()} for language in OTHERS}
    for one in OTHERS:
        assert not words[one] & {*SENTENCES.values()}
        assert all(not words[one] & words[other] for other in OTHERS if other != one)


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_no_reason_of_the_rules_speaks_of_a_claim_for_protection(language: str) -> None:
    for code in REASONS:
        assert not CLAIM.search(advice.sentence(code, language)) and not CLAIM.search(advice.step(code, language))


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_a_code_is_explained(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--json", "policy", "explain", "legal_basis", "role", "--language", language]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["code"] for row in said["reasons"]] == ["legal_basis", "role"]
    english = advice.sentence("role", "en")
    assert (said["reasons"][1]["cause"] == english) is (language == "en")


def test_without_a_code_every_one_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["policy", "explain"]) == 0
    told = capsys.readouterr().out
    assert all(f"{code}: " in told for code in (*REASONS, *advice.MORE))


def test_a_code_that_is_none_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["policy", "explain", "MARTA"]) == 2
    said = capsys.readouterr().err
    assert "legal_basis" in said and "MARTA" not in said


@pytest.mark.parametrize(
    ("value", "language"), [("fr", "fr"), ("pt_BR.UTF-8", "pt"), ("es-PA", "es"), ("", "en"), ("xx", "en"), ("C", "en")]
)
def test_the_environment_chooses_the_language(monkeypatch: pytest.MonkeyPatch, value: str, language: str) -> None:
    monkeypatch.setenv(languages.VARIABLE, value)
    assert languages.chosen() == language
    denied = advice.told(PolicyDenied(("no_agreement",)))
    assert languages.VARIABLE in config.ENVIRONMENT_OF_OTHERS, "a node with it in its environment starts"
    assert advice.step("no_agreement", language) in denied and "no_agreement (" in denied


def test_a_catalogue_is_read_as_gettext_writes_it() -> None:
    text = """# A translator's words.
msgid ""
msgstr "Language: fr\\n"

msgctxt "a.cause"
msgid "One "
"sentence."
msgstr "Une \\"phrase\\"."

#, fuzzy
msgctxt "b.cause"
msgid "Old."
msgstr "Vieux."

msgid "Not translated."
msgstr ""
"""
    assert languages.parse(text) == {("a.cause", "One sentence."): 'Une "phrase".'}


@pytest.mark.parametrize("text", ['msgid "a"\nmsgid "b"', "msgid a", '"a"', 'msgplural "a"', 'msgid "a'])
def test_what_is_no_catalogue_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(Malformed, match="line "):
        languages.parse(text)


@given(st.text())
def test_any_text_is_a_catalogue_or_refused(text: str) -> None:
    with contextlib.suppress(Malformed):
        languages.parse(text)
