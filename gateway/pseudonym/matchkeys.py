"""Match keys: the few exact strings that stand for a person or a document (docs/protocol/matching.md, inputs).

The owner expands what it knows (aliases, several birth dates, ranges of years); the asker sends what the traveller
shows. A key's input is `lp(type, parts...)`; its tables of the normal form are frozen for the type's version
(`people.names.TABLES_DIGEST`).

* `doc/1`: issuing state, number. Nine-digit numbers of two states meet each other (docs/adr/0015-match-keys.md).
* `name_year/1`: all name tokens sorted, joined by one space; birth year.
* `met2_dob/1`: the metaphones of two of the tokens, sorted; full birth date. 1 January is a placeholder: no key.
* `met2_year/1`: the same two metaphones; birth year. Too loose for anybody but a missing child (T16).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations

from jellyfish import metaphone

from gateway.people import codes
from gateway.people.dates import PartialDate
from gateway.people.names import Name
from gateway.people.person import Document, Person
from gateway.primitives.lp import lp
from gateway.pseudonym.key import MatchKey
from gateway.terms.hidden import Hidden
from gateway.terms.words import KeyType

PAIR_TOKENS_MAX = 8
"""Tokens of one name that are paired: 28 keys at most."""


@lru_cache(maxsize=65536)
def _sound(token: str) -> str:
    return str(metaphone(token)).replace(" ", "").upper()


def for_person(person: Person, key_types: frozenset[KeyType]) -> Iterator[MatchKey]:
    """Every name-based key of a person, all names, without repeats. Used alike by the asker and the owner."""
    births = person.births()
    seen: set[bytes] = set()
    for name in person.names.open():
        for key_type, data in _of_name(name, births, key_types):
            if data not in seen:
                seen.add(data)
                yield MatchKey(key_type, Hidden(data))


def for_documents(documents: Iterable[Document], key_types: frozenset[KeyType]) -> Iterator[MatchKey]:
    """`doc/1` of each document."""
    if KeyType.DOC_1 not in key_types:
        return
    seen: set[bytes] = set()
    for document in documents:
        data = lp(KeyType.DOC_1.value, codes.iso(document.issuer), document.number.open())
        if data not in seen:
            seen.add(data)
            yield MatchKey(KeyType.DOC_1, Hidden(data))


def for_asking(
    person: Person | None, documents: Iterable[Document], key_types: frozenset[KeyType]
) -> tuple[MatchKey, ...]:
    """The keys of one traveller, documents first. A booth traveller has up to 8 (PROTOCOL, a check on the wire)."""
    keys = list(for_documents(documents, key_types))
    if person is not None:
        keys.extend(for_person(person, key_types))
    return tuple(keys)


def _of_name(
    name: Name, births: tuple[PartialDate, ...], key_types: frozenset[KeyType]
) -> Iterator[tuple[KeyType, bytes]]:
    tokens = name.tokens()
    if not tokens:
        return
    if KeyType.NAME_YEAR_1 in key_types:
        joined = " ".join(tokens)
        for year in sorted({year for birth in births for year in birth.years}):
            yield KeyType.NAME_YEAR_1, lp(KeyType.NAME_YEAR_1.value, joined, f"{year:04}")
    if KeyType.MET2_DOB_1 in key_types:
        days = sorted({"{:04}{:02}{:02}".format(*full) for birth in births if (full := birth.full) is not None})
        if days:
            pairs = _pairs(tokens)
            for day in days:
                for left, right in pairs:
                    yield KeyType.MET2_DOB_1, lp(KeyType.MET2_DOB_1.value, left, right, day)
    if KeyType.MET2_YEAR_1 in key_types:
        for year in sorted({year for birth in births for year in birth.years}):
            for left, right in _pairs(tokens):
                yield KeyType.MET2_YEAR_1, lp(KeyType.MET2_YEAR_1.value, left, right, f"{year:04}")


def _pairs(tokens: tuple[str, ...]) -> list[tuple[str, str]]:
    """The sounds of every two of the tokens."""
    sounds = [sound for token in tokens[:PAIR_TOKENS_MAX] if (sound := _sound(token))]
    return sorted({(min(pair), max(pair)) for pair in combinations(sounds, 2)})
