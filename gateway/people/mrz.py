"""The machine readable zone of travel documents (ICAO Doc 9303 parts 3 to 7): lines to fields, check digits judged.

A reading never fails on content: it says what is wrong, with line and column, and gives the fields it could take. The
text of the zone stands in no error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from gateway.errors import InputRefused
from gateway.people import codes
from gateway.people.dates import UNKNOWN, PartialDate, Precision
from gateway.people.names import Name
from gateway.people.person import Document, Person, Sex
from gateway.terms.hidden import Hidden
from gateway.terms.words import ProtectionTag

TEXT_CHARACTERS_MAX = 256 * 1024
"""A text with some three thousand zones."""

_WEIGHTS = (7, 3, 1)
_VALUES = {**{str(n): n for n in range(10)}, **{chr(ord("A") + n): 10 + n for n in range(26)}, "<": 0}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: line and column from 1, 0 for the zone as a whole."""

    code: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One zone. `checks` says of each check digit by name whether it holds; `valid` that nothing is wrong at all."""

    format: str
    surname: Hidden[str]
    given_names: Hidden[str]
    document_code: str
    document_number: Hidden[str]
    issuer: str
    nationality: str
    birth: Hidden[PartialDate]
    sex: Sex
    expiry: PartialDate
    optional: Hidden[str]
    checks: dict[str, bool]
    truncated: bool
    faults: tuple[Fault, ...] = field(default=())

    @property
    def valid(self) -> bool:
        """No fault."""
        return not self.faults

    def person(self) -> Person:
        """The holder. A nationality XXB or XXC is a protection tag of its own."""
        protected = self.nationality in codes.PROTECTED_NATIONALITIES
        return Person(
            names=Hidden((Name(self.surname.open(), self.given_names.open()),)),
            birth=self.birth,
            sex=self.sex,
            nationalities=(self.nationality,) if self.nationality else (),
            tags=frozenset({ProtectionTag.REFUGEE} if protected else ()),
        )

    def document(self) -> Document:
        """The document itself. Raises InputRefused when its issuer or number could not be read."""
        if not self.document_number.open():
            raise InputRefused("the document number is empty", field="mrz", code="NUMBER")
        return Document(
            issuer=self.issuer,
            number=self.document_number,
            nationality=self.nationality,
            code=self.document_code,
            expiry=self.expiry.iso or "",
        )


def check_digit(text: str) -> str:
    """The check digit of a field: weights 7, 3, 1 over the characters' values, modulo 10 (part 3, section 4.9)."""
    return str(sum(_VALUES[char] * _WEIGHTS[place % 3] for place, char in enumerate(text)) % 10)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields of a format stand: (line, first column, column after), from 0."""

    name: str
    lines: int
    width: int
    names: tuple[int, int, int]
    number: tuple[int, int, int]
    birth: tuple[int, int, int]
    sex: tuple[int, int]
    expiry: tuple[int, int, int]
    nationality: tuple[int, int, int]
    optional: tuple[tuple[int, int, int], ...]
    optional_check: tuple[int, int] | None
    composite: tuple[int, int] | None
    composite_over: tuple[tuple[int, int, int], ...]
    long_number: bool


_TD1 = _Layout(
    "TD1", 3, 30, (2, 0, 30), (0, 5, 14), (1, 0, 6), (1, 7), (1, 8, 14), (1, 15, 18),
    ((0, 15, 30), (1, 18, 29)), None, (1, 29), ((0, 5, 30), (1, 0, 7), (1, 8, 15), (1, 18, 29)), True,
)  # fmt: skip
_TD2 = _Layout(
    "TD2", 2, 36, (0, 5, 36), (1, 0, 9), (1, 13, 19), (1, 20), (1, 21, 27), (1, 10, 13),
    ((1, 28, 35),), None, (1, 35), ((1, 0, 10), (1, 13, 20), (1, 21, 35)), True,
)  # fmt: skip
_TD3 = _Layout(
    "TD3", 2, 44, (0, 5, 44), (1, 0, 9), (1, 13, 19), (1, 20), (1, 21, 27), (1, 10, 13),
    ((1, 28, 42),), (1, 42), (1, 43), ((1, 0, 10), (1, 13, 20), (1, 21, 43)), False,
)  # fmt: skip
_MRVA = _Layout(
    "MRVA", 2, 44, (0, 5, 44), (1, 0, 9), (1, 13, 19), (1, 20), (1, 21, 27), (1, 10, 13),
    ((1, 28, 44),), None, None, (), False,
)  # fmt: skip
_MRVB = _Layout(
    "MRVB", 2, 36, (0, 5, 36), (1, 0, 9), (1, 13, 19), (1, 20), (1, 21, 27), (1, 10, 13),
    ((1, 28, 36),), None, None, (), False,
)  # fmt: skip


def split(text: str) -> list[list[str]]:
    """Zones of a text: lines parted by empty ones; where more than three follow each other, by their length.

    Raises:
        InputRefused: nothing there, or too much.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise InputRefused("the text is too long for machine readable zones", code="MRZ_LONG")
    blocks: list[list[str]] = [[]]
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if stripped := line.strip():
            blocks[-1].append(stripped)
        elif blocks[-1]:
            blocks.append([])
    zones: list[list[str]] = []
    for block in blocks:
        while block:
            # A block of up to three lines is one zone, also where a line is too short to say of which format.
            count = len(block) if len(block) <= 3 else 3 if len(block[0]) == _TD1.width else 2
            zones.append(block[:count])
            block = block[count:]
    if not zones:
        raise InputRefused("there is no machine readable zone", code="MRZ_EMPTY")
    return zones


def parse(lines: list[str], on: date) -> Reading:
    """Read one zone as of the day `on`, which decides the century of a birth date (never in the future).

    Raises:
        InputRefused: not two or three lines of text at all. Everything else is a fault of the reading.
    """
    if not 1 <= len(lines) <= 4 or any(len(line) > 200 for line in lines):
        raise InputRefused("a machine readable zone has two or three lines", code="MRZ_LINES")
    layout, faults = _layout(lines)
    if layout is None:
        return _unreadable(faults)
    return _Parser(layout, lines, on).read()


def _layout(lines: list[str]) -> tuple[_Layout | None, tuple[Fault, ...]]:
    for number, line in enumerate(lines, 1):
        for column, char in enumerate(line, 1):
            if char not in _VALUES:
                return None, (Fault("CHARACTER", number, column),)
    widths = {len(line) for line in lines}
    visa = lines[0][:1] == "V"
    if len(lines) == 3 and widths == {30}:
        return _TD1, ()
    if len(lines) == 2 and widths == {44}:
        return (_MRVA if visa else _TD3), ()
    if len(lines) == 2 and widths == {36}:
        return (_MRVB if visa else _TD2), ()
    wanted = 30 if len(lines) == 3 else 44 if max(widths) > 36 else 36
    for number, line in enumerate(lines, 1):
        if len(line) != wanted:
            return None, (Fault("LINE_LENGTH", number, min(len(line), wanted) + 1),)
    return None, (Fault("LINE_COUNT", len(lines), 0),)


def _unreadable(faults: tuple[Fault, ...]) -> Reading:
    return Reading(
        format="",
        surname=Hidden(""),
        given_names=Hidden(""),
        document_code="",
        document_number=Hidden(""),
        issuer="",
        nationality="",
        birth=Hidden(UNKNOWN),
        sex=Sex.UNSPECIFIED,
        expiry=UNKNOWN,
        optional=Hidden(""),
        checks={},
        truncated=False,
        faults=faults,
    )


class _Parser:
    def __init__(self, layout: _Layout, lines: list[str], on: date) -> None:
        self.layout = layout
        self.lines = lines
        self.on = on
        self.faults: list[Fault] = []
        self.checks: dict[str, bool] = {}

    def read(self) -> Reading:
        layout = self.layout
        code = self.lines[0][0:2].replace("<", "")
        if not code[:1].isalpha():
            self.fault("DOCUMENT_CODE", 0, 0)
        issuer = self.state((0, 2, 5), "ISSUER")
        number, optional = self.number()
        birth = self.date(layout.birth, "birth_date", birth=True)
        expiry = self.date(layout.expiry, "expiry_date", birth=False)
        nationality = self.state(layout.nationality, "NATIONALITY", may_be_empty=True)
        sex = self.sex()
        surname, given, truncated = self.names()
        if layout.optional_check is not None:
            self.optional_check()
        if layout.composite is not None:
            line, column = layout.composite
            over = "".join(self.at(place) for place in layout.composite_over)
            self.check("composite", over, line, column)
        return Reading(
            format=layout.name,
            surname=Hidden(surname),
            given_names=Hidden(given),
            document_code=code,
            document_number=Hidden(number),
            issuer=issuer,
            nationality=nationality,
            birth=Hidden(birth),
            sex=sex,
            expiry=expiry,
            optional=Hidden(optional),
            checks=self.checks,
            truncated=truncated,
            faults=tuple(sorted(self.faults, key=lambda fault: (fault.line, fault.column))),
        )

    def at(self, place: tuple[int, int, int]) -> str:
        line, first, after = place
        return self.lines[line][first:after]

    def fault(self, code: str, line: int, column: int) -> None:
        self.faults.append(Fault(code, line + 1, column + 1))

    def check(self, name: str, text: str, line: int, column: int) -> None:
        holds = self.lines[line][column] == check_digit(text)
        self.checks[name] = holds
        if not holds:
            self.fault(f"CHECK_{name.upper()}", line, column)

    def state(self, place: tuple[int, int, int], code: str, *, may_be_empty: bool = False) -> str:
        text = self.at(place).rstrip("<")
        if (text == "" and may_be_empty) or codes.is_code(text):
            return text
        self.fault(code, place[0], place[1])
        return ""

    def number(self) -> tuple[str, str]:
        """The document number and the optional data. In TD1 and TD2 a `<` for the check digit says that the number
        continues in the optional data, which then holds the rest and the check digit (parts 5 and 6)."""
        layout = self.layout
        line, first, after = layout.number
        field_text = self.at(layout.number)
        optionals = [self.at(place) for place in layout.optional]
        if layout.long_number and self.lines[line][after] == "<" and optionals[0].rstrip("<"):
            rest = optionals[0].split("<", 1)[0]
            number = field_text + rest[:-1]
            holds = rest[-1:] == check_digit(number)
            self.checks["document_number"] = holds
            if not holds:
                self.fault("CHECK_DOCUMENT_NUMBER", layout.optional[0][0], layout.optional[0][1] + len(rest) - 1)
            optionals[0] = optionals[0][len(rest) :]
        else:
            number = field_text
            self.check("document_number", field_text, line, after)
        if not number.rstrip("<"):
            self.fault("NUMBER", line, first)
        return number.replace("<", ""), "".join(text.replace("<", "") for text in optionals)

    def optional_check(self) -> None:
        """Empty optional data may carry `<` or 0 (part 4, section 4.2.2)."""
        assert self.layout.optional_check is not None
        line, column = self.layout.optional_check
        text = self.at(self.layout.optional[0])
        if not text.strip("<") and self.lines[line][column] in "<0":
            self.checks["optional"] = True
            return
        self.check("optional", text, line, column)

    def sex(self) -> Sex:
        line, column = self.layout.sex
        char = self.lines[line][column]
        if char in "MF":
            return Sex(char)
        if char not in "<X":
            self.fault("SEX", line, column)
        return Sex.UNSPECIFIED

    def names(self) -> tuple[str, str, bool]:
        text = self.at(self.layout.names)
        surname, _, given = text.rstrip("<").partition("<<")
        if not surname.replace("<", ""):
            self.fault("NAME", self.layout.names[0], self.layout.names[1])
        for offset, char in enumerate(text):
            if char.isdigit():
                self.fault("NAME", self.layout.names[0], self.layout.names[1] + offset)
                break
        return (
            " ".join(surname.split("<")).strip(),
            " ".join(part for part in given.split("<") if part),
            not text.endswith("<"),
        )

    def date(self, place: tuple[int, int, int], name: str, *, birth: bool) -> PartialDate:
        """YYMMDD with unknown parts as `<<`, from the day backwards (part 3, section 4.8)."""
        line, first, after = place
        text = self.at(place)
        self.check(name, text, line, after)
        code = f"{name.upper()}"
        parts = [text[0:2], text[2:4], text[4:6]]
        known = [part for part in parts if part != "<<"]
        if known != parts[: len(known)] or any(not part.isdigit() for part in known):
            self.fault(code, line, first)
            return UNKNOWN
        if not known:
            return UNKNOWN
        numbers = [int(part) for part in known]
        year = self.century(numbers, birth=birth)
        precision = (Precision.YEAR, Precision.MONTH, Precision.DAY)[len(numbers) - 1]
        try:
            _, month, day = (*numbers, 0, 0)[:3]
            return PartialDate(precision, year, month, day)
        except InputRefused:
            self.fault(code, line, first)
            return UNKNOWN

    def century(self, numbers: list[int], *, birth: bool) -> int:
        """A birth is the latest that is not in the future; an expiry is within fifty years ahead."""
        if not birth:
            return 2000 + numbers[0] if 2000 + numbers[0] <= self.on.year + 50 else 1900 + numbers[0]
        ahead = [2000 + numbers[0], *numbers[1:]]
        today = [self.on.year, self.on.month, self.on.day][: len(ahead)]
        return ahead[0] if ahead <= today else ahead[0] - 100
