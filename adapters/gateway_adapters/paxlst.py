"""Passenger and crew lists as carriers send them: UN/EDIFACT PAXLST (WCO/IATA/ICAO API Guidelines).

Tolerant where carriers are sloppy (teletype wrapping, other separators, no UNA or UNG, a count that does not match, a
message cut off): what is sound is kept, the rest is a warning by code and segment number. Free text is never kept. Only
elements that stand in a travel document's zone are read (ICAO Annex 9, standard 9.8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from gateway.errors import InputRefused
from gateway.people import dates
from gateway.terms import Hidden
from gateway_adapters import traveller
from gateway_adapters.traveller import Seen

MESSAGE_BYTES_MAX: Final = 4 << 20
TRAVELLERS_MAX: Final = 1_000
_START: Final = re.compile(r"UN[AB]")
_PASSENGERS, _CREW = "745", "250"
_ROLES: Final = {"FL": "passenger", "FM": "crew"}
_SEX: Final = {"M": "M", "F": "F"}


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a carrier got wrong. `segment` counts from 1; no value is repeated."""

    code: str
    segment: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg: places as in the message, times ISO 8601 as far as known."""

    origin: str = ""
    destination: str = ""
    departure: str = ""
    arrival: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One person of the list: the fields of `limen document read`, and the segment that names the person."""

    fields: Hidden[dict[str, Any]]
    segment: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message, read."""

    flight: str
    carrier: str
    crew: bool
    legs: tuple[Leg, ...]
    listed: tuple[Listed, ...] = field(repr=False)
    warnings: tuple[Warned, ...] = ()

    def travellers(self) -> Iterator[tuple[int, Seen]]:
        """Segment number and traveller, as a check takes them. Raises InputRefused with the segment as line."""
        for one in self.listed:
            known = {name: value for name, value in one.fields.open().items() if value}
            yield one.segment, traveller.from_fields(known, one.segment)


def is_message(data: bytes) -> bool:
    """True where the bytes are a message and no CSV: it names PAXLST behind its service segments."""
    head = data[:4096].replace(b"\n", b"").replace(b"\r", b"")
    return b"PAXLST" in head and _START.search(head.decode("latin-1")) is not None


def read(data: bytes, on: date) -> Message:
    """Read one message as of the day `on`, which decides the century of a birth date.

    Raises:
        InputRefused: too long, no message, another kind, or nobody in it.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise InputRefused("the message is too long", code="SIZE")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Older carriers send the letters of their region; a name's are judged where they are used.
        text = data.decode("latin-1")
    reader = _Reader(on)
    for number, segment in enumerate(_segments(text, reader.warnings), 1):
        reader.take(number, segment)
        if segment[0][0] == "UNZ":
            break
    return reader.message()


Segment = list[list[str]]
"""Elements of components; the first element is the tag."""


def _segments(text: str, warnings: list[Warned]) -> Iterator[Segment]:
    """The segments from UNA or UNB on. Lines are joined: a wrapped line may end inside a tag."""
    found = _START.search(text)
    if found is None:
        raise InputRefused("this is no UN/EDIFACT message", code="FORM")
    # A header of a teletype stands in front, its line breaks are not the message's.
    body = text[found.start() :].replace("\r", "").replace("\n", "")
    component, element, release, end = ":", "+", "?", "'"
    if body.startswith("UNA"):
        if len(body) < 9:
            raise InputRefused("the message ends in its first segment", code="CUT")
        component, element, release, end = body[3], body[4], body[6], body[8]
        body = body[9:]
    segment: Segment = [[""]]
    number = 1
    letters = iter(body)
    for letter in letters:
        if letter == release and release != " ":
            segment[-1][-1] += next(letters, "")
        elif letter == end:
            segment[0][0] = segment[0][0].strip()
            if re.fullmatch("[A-Z]{3}", segment[0][0]):
                yield segment
                if segment[0][0] == "UNZ":
                    return
            else:
                warnings.append(Warned("SEGMENT", number))
            number += 1
            segment = [[""]]
        elif letter == element:
            segment.append([""])
        elif letter == component:
            segment[-1].append("")
        else:
            segment[-1][-1] += letter
    warnings.append(Warned("CUT", number))


class _Reader:
    """The message as it goes by."""

    def __init__(self, on: date) -> None:
        self.on = on
        self.warnings: list[Warned] = []
        self.kind = ""
        self.is_paxlst = False
        self.flight = self.carrier = ""
        self.legs: list[dict[str, str]] = []
        self.people: list[tuple[int, dict[str, Any]]] = []
        self.counts: list[tuple[int, str]] = []
        self.in_document = False

    def take(self, number: int, segment: Segment) -> None:
        """One segment. Whatever is not named here is dropped."""
        tag, qualifier = segment[0][0], _at(segment, 1)
        match tag:
            case "UNH":
                self.is_paxlst = _at(segment, 2) == "PAXLST"
            case "BGM":
                self.kind = qualifier
            case "TDT" if qualifier == "20":
                self.flight, self.carrier = _at(segment, 2), _at(segment, 5)
            case "NAD" if qualifier in _ROLES:
                self._person(number, segment)
            case "NAD":
                # A reporting party: free text, and its contact comes behind it.
                self.in_document = False
            case "ATT" if self.people and qualifier == "2":
                self.people[-1][1]["sex"] = _SEX.get(_at(segment, 3).upper(), "X")
            case "NAT" if self.people and qualifier == "2":
                self.people[-1][1]["nationality"] = _at(segment, 2).upper()
            case "DOC" if self.people:
                self.in_document = True
                if not self.people[-1][1]["document_number"]:
                    self.people[-1][1].update(document_code=qualifier, document_number=_at(segment, 2))
            case "DTM":
                self._time(number, qualifier, _at(segment, 1, 1))
            case "LOC":
                self._place(qualifier, _at(segment, 2))
            case "CNT" if qualifier in ("41", "42"):
                self.counts.append((number, _at(segment, 1, 1)))

    def _person(self, number: int, segment: Segment) -> None:
        if len(self.people) == TRAVELLERS_MAX:
            raise InputRefused(f"more than {TRAVELLERS_MAX} persons; send the list in parts", code="COUNT")
        self.in_document = False
        self.people.append(
            (
                number,
                {
                    "surname": _at(segment, 4).strip(),
                    "given_names": " ".join(filter(None, (_at(segment, 4, 1), _at(segment, 4, 2)))),
                    "birth_date": {"value": None, "precision": "unknown"},
                    "sex": "X",
                    "nationality": "",
                    "document_code": "",
                    "document_number": "",
                    "issuer": "",
                    "expiry_date": None,
                },
            )
        )
        if not self.people[-1][1]["surname"]:
            self.warnings.append(Warned("NAME", number))

    def _time(self, number: int, qualifier: str, value: str) -> None:
        if qualifier in ("189", "232"):
            self._leg("departure" if qualifier == "189" else "arrival", _moment(value))
        elif self.people and qualifier == "329":
            read, sound = _partial(value, self.on, birth=True)
            self.people[-1][1]["birth_date"] = {"value": read.iso, "precision": read.precision.value}
            if not sound:
                self.warnings.append(Warned("DATE", number))
        elif self.people and qualifier == "36":
            read, sound = _partial(value, self.on, birth=False)
            self.people[-1][1]["expiry_date"] = read.iso
            if not sound:
                self.warnings.append(Warned("DATE", number))

    def _place(self, qualifier: str, place: str) -> None:
        if self.people and qualifier == "91":
            self.people[-1][1]["issuer"] = place.upper()
        elif not self.people and qualifier in ("125", "87", "92"):
            self._leg("origin" if qualifier == "125" else "destination", place)

    def _leg(self, name: str, value: str) -> None:
        if self.people:
            return
        if not self.legs or name in self.legs[-1]:
            self.legs.append({})
        self.legs[-1][name] = value

    def message(self) -> Message:
        """The whole. Raises InputRefused where it is no list of passengers or crew."""
        if not self.is_paxlst or self.kind not in (_PASSENGERS, _CREW):
            raise InputRefused("this is no list of passengers or crew (PAXLST, BGM 745 or 250)", code="FORM")
        if not self.people:
            raise InputRefused("the list has no travellers", code="EMPTY")
        for number, count in self.counts:
            if count != str(len(self.people)):
                self.warnings.append(Warned("COUNT", number))
        return Message(
            flight=self.flight,
            carrier=self.carrier,
            crew=self.kind == _CREW,
            legs=tuple(Leg(**leg) for leg in self.legs),
            listed=tuple(Listed(Hidden(fields), number) for number, fields in self.people),
            warnings=tuple(self.warnings),
        )


def _at(segment: Sequence[Sequence[str]], element: int, component: int = 0) -> str:
    """A component, "" where the segment is shorter."""
    if element >= len(segment) or component >= len(segment[element]):
        return ""
    return segment[element][component].strip()


def _moment(value: str) -> str:
    """`yymmddhhmm` as ISO 8601, UTC unsaid; "" for anything else."""
    if not re.fullmatch("[0-9]{10}", value):
        return ""
    return f"20{value[:2]}-{value[2:4]}-{value[4:6]}T{value[6:8]}:{value[8:]}"


def _partial(value: str, on: date, *, birth: bool) -> tuple[dates.PartialDate, bool]:
    """`yymmdd` as far as it is sound, and whether all of it is. A birth is never in the future."""
    if not re.fullmatch("[0-9]{6}", value):
        return dates.UNKNOWN, not value
    year = 2000 + int(value[:2])
    if birth and f"{year:04}{value[2:]}" > on.strftime("%Y%m%d"):
        year -= 100
    for text in (f"{year:04}-{value[2:4]}-{value[4:]}", f"{year:04}-{value[2:4]}", f"{year:04}"):
        try:
            return dates.parse(text), len(text) == len("yyyy-mm-dd")
        except InputRefused:
            continue
    return dates.UNKNOWN, False
