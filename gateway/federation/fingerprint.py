"""A fingerprint that two people can read to each other: eight words of four or five letters.

A word is two syllables, so that it is said as it is written in most languages: one of 64 first and one of 32 second
syllables, 2,048 words, 11 bits each, made by the rule below and kept in no file. Letters that sound alike or that some
languages do not have (c q v w x z h j, the vowel e beside i) do not occur.

Eight words are 88 bits. Whoever changes a file on its way must find another text with the same words before the
telephone call ends, because the text it must meet is fixed before (`invitation`: the inviter's words are compared
before the invited side shows anything, so that nobody can try both ends against each other, which would halve the
bits). Each try costs 100,000 rounds of HMAC-SHA-512 (PBKDF2, RFC 8018), a tenth of a second here and 2^17 times the
work of a plain hash everywhere: 2^105 in all. With plain hashing, 80 bits would be the least one could defend.
"""

from __future__ import annotations

from hashlib import pbkdf2_hmac
from typing import Final

from gateway.errors import InputRefused, VerificationFailed

WORDS: Final = 8
WORD_BITS: Final = 11
ROUNDS: Final = 100_000

_ONSETS: Final = ("b", "br", "d", "dr", "f", "fl", "g", "gl", "k", "l", "n", "p", "pl", "r", "s", "t")
_MIDDLES: Final = ("b", "d", "f", "l", "m", "n", "r", "s")
_VOWELS: Final = ("a", "i", "o", "u")

FIRST: Final = tuple(onset + vowel for onset in _ONSETS for vowel in _VOWELS)
SECOND: Final = tuple(middle + vowel for middle in _MIDDLES for vowel in _VOWELS)
LIST: Final = tuple(first + second for first in FIRST for second in SECOND)
"""Every word, in order of its number."""

_KNOWN: Final = frozenset(LIST)


def words(purpose: str, text: bytes) -> tuple[str, ...]:
    """The eight words of a text. `purpose` keeps the words of an invitation and of a list of members apart."""
    digest = pbkdf2_hmac("sha512", text, f"limen/words/1\n{purpose}".encode("ascii"), ROUNDS)
    number = int.from_bytes(digest, "big") >> (8 * len(digest) - WORDS * WORD_BITS)
    places = range((WORDS - 1) * WORD_BITS, -1, -WORD_BITS)
    return tuple(LIST[number >> place & (1 << WORD_BITS) - 1] for place in places)


def compare(typed: str, expected: tuple[str, ...]) -> None:
    """Judge what a person heard and typed: any case, any of spaces, dashes and commas between.

    Raises:
        InputRefused: not eight words, or one that is no word of the list: heard or typed wrong, nothing is proved.
        VerificationFailed: step `words`: words of the list, and not these: the two sides hold different texts.
    """
    given = typed.lower().replace("-", " ").replace(",", " ").split()
    if len(given) != WORDS:
        raise InputRefused(f"{WORDS} words are needed, {len(given)} were typed; ask for them again", field="words")
    for place, word in enumerate(given, 1):
        if word not in _KNOWN:
            raise InputRefused(
                f"word {place} is no word of the list; ask for it again, letter by letter", field="words"
            )
    if tuple(given) != expected:
        raise VerificationFailed(
            "words", "the two sides hold different keys: somebody changed a file on its way, or one is not the newest"
        )
