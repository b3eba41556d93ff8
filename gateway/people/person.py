"""Persons and documents, as far as a question or a list entry needs them. Values hide themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from gateway.errors import InputRefused
from gateway.people import codes
from gateway.people.dates import UNKNOWN, PartialDate, Precision, years_between
from gateway.people.names import Name
from gateway.terms.hidden import Hidden
from gateway.terms.words import ProtectionTag

NUMBER_CHARACTERS_MAX = 24
_NUMBER_DROP = re.compile(r"[^A-Z0-9]")
_NUMBER = re.compile(r"[A-Z0-9]{1,24}\Z")


class Sex(StrEnum):
    """Doc 9303's sex field; X and `<` are unspecified."""

    FEMALE = "F"
    MALE = "M"
    UNSPECIFIED = "X"


@dataclass(frozen=True, slots=True)
class Document:
    """A travel or identity document. `number` is in normal form: A-Z and 0-9, at most 24 characters.

    `nationality` is what the document itself says, "" where it says nothing.
    """

    issuer: str
    number: Hidden[str]
    nationality: str = ""
    code: str = ""
    expiry: str = ""

    def __post_init__(self) -> None:
        if not codes.is_code(self.issuer):
            raise InputRefused("the issuer is not a state code", field="issuer", code="ISSUER")
        if self.nationality and not codes.is_code(self.nationality):
            raise InputRefused("is not a state code", field="nationality", code="STATE_CODE")
        if not _NUMBER.match(self.number.open()):
            raise InputRefused("a document number has 1 to 24 letters and digits", field="document_no", code="NUMBER")

    @property
    def is_protection(self) -> bool:
        """True for a refugee's document (nationality XXB or XXC)."""
        return self.nationality in codes.PROTECTED_NATIONALITIES


def document_number(text: str) -> Hidden[str]:
    """The normal form of a document number: capitals and digits only (Doc 9303 part 3, section 4.3).

    Raises:
        InputRefused: nothing is left, or too much.
    """
    number = _NUMBER_DROP.sub("", text.upper())
    if not 1 <= len(number) <= NUMBER_CHARACTERS_MAX:
        raise InputRefused("a document number has 1 to 24 letters and digits", field="document_no", code="NUMBER")
    return Hidden(number)


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a record or a question is about.

    `names.open()[0]` is the primary name, the rest are aliases; `other_births` are further birth dates a source gives
    (one in six entries of the United Nations' list has some). A nationality XXB or XXC is a protection of its own: the
    tag REFUGEE is then always among `tags`, whoever built the person.
    """

    names: Hidden[tuple[Name, ...]]
    birth: Hidden[PartialDate] = field(default_factory=lambda: Hidden(UNKNOWN))
    sex: Sex = Sex.UNSPECIFIED
    nationalities: tuple[str, ...] = ()
    birth_country: str = ""
    residence_countries: tuple[str, ...] = ()
    tags: frozenset[ProtectionTag] = frozenset()
    other_births: Hidden[tuple[PartialDate, ...]] = field(default_factory=lambda: Hidden(()))

    def __post_init__(self) -> None:
        for name, given in (
            ("nationality", self.nationalities),
            ("residence_country", self.residence_countries),
            ("birth_country", (self.birth_country,) if self.birth_country else ()),
        ):
            if not all(codes.is_code(code) for code in given):
                raise InputRefused("is not a state code", field=name, code="STATE_CODE")
        if not codes.PROTECTED_NATIONALITIES.isdisjoint(self.nationalities):
            object.__setattr__(self, "tags", self.tags | {ProtectionTag.REFUGEE})

    def births(self) -> tuple[PartialDate, ...]:
        """Every birth date that is known of, the primary one first. Never format the result."""
        return (self.birth.open(), *self.other_births.open())


def could_be_child(person: Person, on: date) -> bool:
    """True where the person may be under 18 on that day, by any of the dates. Unknown counts as a child (T21)."""
    ends = [birth.latest() for birth in person.births() if birth.precision is not Precision.UNKNOWN]
    return not ends or any(end is None or years_between(end, on) < 18 for end in ends)
