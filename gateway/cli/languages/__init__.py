"""What a no means, in the language of whoever reads it. English is in the code; each other language is a gettext
catalogue (`fr.po`) that a translator's tools open.

A sentence is looked up by its context and by the English one itself, so a translation of a sentence that has changed
since is not shown. A test holds every catalogue to every sentence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from gateway.errors import Malformed

LANGUAGES: Final[Mapping[str, str]] = {
    "en": "English",
    "fr": "français",
    "es": "español",
    "pt": "português",
    "ar": "العربية",
}
"""ISO 639-1 code to the language's own name."""

VARIABLE: Final = "LIMEN_LANGUAGE"
"""The environment's variable with the code of the language; English without it, and for a code that is not here."""

_LINE: Final = re.compile(r'(?:(msgctxt|msgid|msgstr) )?"((?:[^"\\]|\\.)*)"\Z')
_ESCAPES: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def chosen() -> str:
    """The language that the environment names."""
    code = os.environ.get(VARIABLE, "").partition("_")[0].partition("-")[0].lower()
    return code if code in LANGUAGES else "en"


def say(context: str, english: str, language: str = "") -> str:
    """A sentence in a language (default: the environment's); the English one where there is none of it."""
    return catalogue(language or chosen()).get((context, english), english)


@cache
def catalogue(language: str) -> Mapping[tuple[str, str], str]:
    """A language's sentences by context and English sentence; none for English."""
    if language == "en":
        return {}
    from importlib import resources  # here, because help answers at once

    return parse(resources.files(__name__).joinpath(f"{language}.po").read_text("utf-8"))


def parse(text: str) -> dict[tuple[str, str], str]:
    """The entries of a gettext catalogue (GNU gettext manual, "The Format of PO Files") of which each has a context and
    one form. Comments and the header are left out, and so is what is marked fuzzy or has no translation.

    Raises Malformed, with the line.
    """
    found: dict[tuple[str, str], str] = {}
    entry: dict[str, str] = {}
    word, is_fuzzy = "", False

    def end() -> None:
        nonlocal word, is_fuzzy
        if entry.get("msgid") and entry.get("msgstr") and not is_fuzzy:
            found[entry.get("msgctxt", ""), entry["msgid"]] = entry["msgstr"]
        entry.clear()
        word, is_fuzzy = "", False

    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line:
            end()
        elif line.startswith("#"):
            is_fuzzy = is_fuzzy or (line.startswith("#,") and "fuzzy" in line)
        elif (match := _LINE.match(line)) and (match[1] or word):
            if match[1] and match[1] in entry:
                raise Malformed("po", f"line {number}: {match[1]} comes twice in one entry")
            word = match[1] or word
            entry[word] = entry.get(word, "") + re.sub(r"\\(.)", _escaped, match[2])
        else:
            raise Malformed("po", f"line {number}: is none of a catalogue")
    end()
    return found


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])
