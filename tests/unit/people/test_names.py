"""Two gateways spell a name alike, for ever: the tables are frozen and their digests stand here."""

# ruff: noqa: RUF001 (names in other scripts are the subject)

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jellyfish import metaphone

from gateway.errors import InputRefused
from gateway.people import names
from gateway.people.names import NAME_CHARACTERS_MAX, TABLES_DIGEST, TOKENS_MAX, Name, ascii_form, tokens

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_the_table_of_the_first_key_types_is_frozen() -> None:
    # A changed table makes a changed key: it needs a new version of name_year and met2_dob, not a new digest here.
    assert TABLES_DIGEST == "e0b6f9d3745b70bf716821875cff3e28aba33adec2d218a47386b10b310e13c3"


def test_the_whole_normal_form_is_frozen() -> None:
    # Table, marks, and the fallback together, over every character that Unicode 3.2 had.
    digest = hashlib.sha256()
    for number in range(0x11000):
        char = chr(number)
        if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Cs", "Co"):
            digest.update(f"{number:x}={ascii_form(char)}\n".encode())
    assert digest.hexdigest() == "533f960260515238e281f0b969e13f9f0a2ccffb1505e21491f3c8f80c24844b"


def test_the_metaphone_is_frozen() -> None:
    digest = hashlib.sha256()
    for first in LETTERS:
        for second in LETTERS:
            for third in LETTERS:
                for token in (first + second + third, f"A{first}{second}{third}E", f"{first}{second}I{third}H"):
                    digest.update(f"{token}={metaphone(token)}\n".encode())
    assert digest.hexdigest() == "0e35ab9bb7607a9fe8a810fdd64e2d0a6cc800e3bc114091853de78ea1e03df9"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Müller-Lüdenscheidt", "MUELLER LUEDENSCHEIDT"),
        ("O'Connor", "OCONNOR"),
        ("O’Connor", "OCONNOR"),
        ("d’Arc, Jeanne", "DARC JEANNE"),
        ("Ångström", "AANGSTROEM"),
        ("Þórður Æsir", "THORDUR AESIR"),
        ("Łukasz Đorđe", "LUKASZ DORDE"),
        ("Straße", "STRASSE"),
        ("İSTANBUL ışık", "ISTANBUL ISIK"),
        ("Núñez Peña", "NUNEZ PENA"),
        ("Nguyễn Thị Ánh", "NGUYEN THI ANH"),
        ("Щербаков Юрий", "SHCHERBAKOV IURII"),
        ("Ґалаґан Їжак", "GALAGAN IZHAK"),
        ("محمد شريف", "MHMD SHRYF"),
        ("مُحَمَّد", "MHMD"),
        ("Müller".encode().decode(), "MUELLER"),
        ("Mu\u0308ller", "MUELLER"),
        ("St. Clair", "ST CLAIR"),
        ("  two   spaces ", "TWO SPACES"),
        ("NA", "NA"),
        ("123 !?", ""),
    ],
)
def test_the_form_of_a_name(text: str, form: str) -> None:
    assert ascii_form(text) == form


def test_any_other_script_is_romanised() -> None:
    for text in ("李小龙", "김철수", "コバヤシ", "שרה", "Γεώργιος", "გიორგი", "प्रिया"):
        assert ascii_form(text).replace(" ", "").isalpha()


def test_tokens_have_no_order_and_stand_once() -> None:
    assert (
        Name("GARCIA LOPEZ", "ANA").tokens() == Name("LOPEZ", "ANA GARCIA ANA").tokens() == ("ANA", "GARCIA", "LOPEZ")
    )


def test_a_name_shows_nothing_of_itself() -> None:
    assert "ERIKSSON" not in f"{Name('ERIKSSON', 'ANNA')!r} {Name('ERIKSSON', 'ANNA')}"


@pytest.mark.parametrize(
    "parts", [("A" * (NAME_CHARACTERS_MAX + 1), ""), ("A", "B" * NAME_CHARACTERS_MAX), ("\ud800", "")]
)
def test_a_name_that_is_none_is_refused(parts: tuple[str, str]) -> None:
    with pytest.raises(InputRefused):
        Name(*parts)


@given(st.text(max_size=60))
def test_the_form_is_ascii_capitals_and_its_own_form(text: str) -> None:
    form = ascii_form(text)
    assert set(form) <= set(LETTERS + " ") and form == " ".join(form.split())
    assert ascii_form(form) == form
    assert len(tokens(text)) <= TOKENS_MAX


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    # A letter beyond ASCII in front sends the same text the long way.
    assert ascii_form("Ж" + text) == ("ZH" + ascii_form("A" + text)[1:])


@given(st.text(max_size=40))
def test_composed_and_decomposed_are_one_name(text: str) -> None:
    assert ascii_form(unicodedata.normalize("NFD", text)) == ascii_form(unicodedata.normalize("NFC", text))


def test_every_row_of_the_table_is_one_character_to_capitals() -> None:
    for char, form in names._TABLE.items():
        assert len(char) == 1 and not char.isascii()
        assert set(form) <= set(LETTERS)
