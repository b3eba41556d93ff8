"""Names into their normal form: ASCII capitals, tokens (docs/protocol/matching.md, normal form).

The tables are frozen per key-type version: two gateways must spell a name alike. `TABLES_DIGEST` pins them, and a test
compares it.
"""

# ruff: noqa: RUF001 (the tables below are made of look-alikes on purpose)

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from anyascii import anyascii

from gateway.errors import InputRefused

NAME_CHARACTERS_MAX = 120
TOKENS_MAX = 12
"""Most tokens of a name that make keys; the rest is cut, in order."""

_TABLE = {
    # Doc 9303 part 3, section 6: national characters to the letters of the machine readable zone.
    "Å": "AA", "Ä": "AE", "Æ": "AE", "Ð": "D", "Ö": "OE", "Ø": "OE", "Œ": "OE", "Þ": "TH", "ß": "SS", "ẞ": "SS",
    "Ü": "UE", "Ĳ": "IJ", "ĸ": "Q", "Ŋ": "N", "Ł": "L", "Đ": "D", "Ħ": "H", "Ŧ": "T", "ı": "I", "İ": "I",
    # Section 6 B: Cyrillic.
    "А": "A", "Б": "B", "В": "V", "Г": "G", "Д": "D", "Е": "E", "Ё": "E", "Ж": "ZH", "З": "Z", "И": "I", "І": "I",
    "Й": "I", "К": "K", "Л": "L", "М": "M", "Н": "N", "О": "O", "П": "P", "Р": "R", "С": "S", "Т": "T", "У": "U",
    "Ф": "F", "Х": "KH", "Ц": "TS", "Ч": "CH", "Ш": "SH", "Щ": "SHCH", "Ъ": "IE", "Ы": "Y", "Ь": "", "Э": "E",
    "Ю": "IU", "Я": "IA", "Є": "IE", "Ї": "I", "Ґ": "G", "Ў": "U", "Ђ": "D", "Ѓ": "G", "Ѕ": "DZ", "Ј": "J",
    "Љ": "LJ", "Њ": "NJ", "Ћ": "C", "Ќ": "K", "Џ": "DZ", "Ѫ": "U", "Ѵ": "Y", "Ғ": "G", "Һ": "C",
    # Section 6 C: Arabic, without the X that makes the zone's form reversible: 54 % of 12,994 given names then sound as
    # their Latin spelling does, 46 % with it, 47 % by anyascii (docs/adr/0015-match-keys.md). Vowel marks vanish.
    "ء": "E", "آ": "AA", "أ": "AE", "ؤ": "U", "إ": "I", "ئ": "I", "ا": "A", "ب": "B", "ة": "AH", "ت": "T", "ث": "TH",
    "ج": "J", "ح": "H", "خ": "KH", "د": "D", "ذ": "DH", "ر": "R", "ز": "Z", "س": "S", "ش": "SH", "ص": "SS", "ض": "DZ",
    "ط": "TT", "ظ": "ZZ", "ع": "E", "غ": "G", "ـ": "", "ف": "F", "ق": "Q", "ك": "K", "ل": "L", "م": "M", "ن": "N",
    "ه": "H", "و": "W", "ى": "AY", "ي": "Y", "ٱ": "A", "پ": "P", "ک": "K", "گ": "G", "ی": "Y",
    **dict.fromkeys(map(chr, range(0x064B, 0x0653)), ""),
}  # fmt: skip

TABLES_DIGEST = hashlib.sha256(
    "\n".join(f"{key}={value}" for key, value in sorted(_TABLE.items())).encode()
).hexdigest()
"""SHA-256 of the frozen table of `name_year/1` and `met2_dob/1`; the fallback is anyascii 0.3.3, pinned."""


@dataclass(frozen=True, slots=True)
class Name:
    """One spelling of one person's name, as recorded. `surname` is Doc 9303's primary identifier."""

    surname: str
    given_names: str = ""

    def __repr__(self) -> str:
        return "<name>"

    __str__ = __repr__

    def __post_init__(self) -> None:
        if len(self.surname) + len(self.given_names) > NAME_CHARACTERS_MAX:
            raise InputRefused(f"a name has at most {NAME_CHARACTERS_MAX} characters", field="name", code="NAME_LONG")
        if any("\ud800" <= char <= "\udfff" for char in self.surname + self.given_names):
            # Half a character out of a JSON escape: it has no UTF-8, so it could be neither stored nor hashed.
            raise InputRefused("a character of the name is broken", field="name", code="NAME_LETTERS")

    def tokens(self) -> tuple[str, ...]:
        """Sorted distinct tokens of the whole name, order of names set aside."""
        return tuple(sorted(set(tokens(f"{self.surname} {self.given_names}"))))


_VANISH = "'’ʼ`´ʻ."
_ASCII_VANISH = str.maketrans("", "", "'`.")
_NOT_A_LETTER = re.compile(r"[^A-Z]+")


def ascii_form(text: str) -> str:
    """ASCII capitals, one space between tokens; apostrophes vanish, hyphens part (Doc 9303 part 3, section 4.6)."""
    if text.isascii():
        # Most names by far; the same result as below, ten times as fast.
        return _NOT_A_LETTER.sub(" ", text.upper().translate(_ASCII_VANISH)).strip()
    out: list[str] = []
    for char in unicodedata.normalize("NFC", text).upper():
        if char in _TABLE:
            out.append(_TABLE[char])
        elif "A" <= char <= "Z" or char == " ":
            out.append(char)
        elif char in _VANISH:
            continue
        elif char.isalpha() or unicodedata.category(char).startswith("M"):
            base = unicodedata.normalize("NFD", char)[0]
            out.append(base if "A" <= base <= "Z" else anyascii(char).upper())
        else:
            out.append(" ")
    return _NOT_A_LETTER.sub(" ", "".join(out)).strip()


def tokens(text: str) -> tuple[str, ...]:
    """The tokens of the ASCII form, in order, at most `TOKENS_MAX`."""
    return tuple(ascii_form(text).split()[:TOKENS_MAX])
