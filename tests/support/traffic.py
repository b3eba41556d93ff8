"""A month of a state's ordinary questions, made from a seed: what the rules of `gateway.alerts` must leave in peace.

Nobody in it exists. It has what ordinary work has and a naive rule would take for abuse: families and teams whose
passports were printed one after the other, commuters and drivers who cross many times a day, questions put again after
a timeout, travellers who are asked about again at the second line, shift references used hundreds of times.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.alerts.detector import Asked
from gateway.terms.ids import OfficerId

DAY_NS = 24 * 3600 * 10**9
SECOND_NS = 10**9
BEGAN_NS = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z."""

ISSUERS = ("PAN", "HND", "GTM", "UTO", "NIC", "SLV", "CRI", "MEX", "COL", "USA")
SHIFTS = ((6, 14), (14, 22))


@dataclass(frozen=True, slots=True)
class Size:
    """How large a state. The whole one has about 20,000 questions a day."""

    posts: int = 3
    booths: int = 8
    """At each post, with one officer a shift."""
    visa_officers: int = 10
    flights: int = 20
    commuters: int = 300
    drivers: int = 20
    pause_s: tuple[int, int] = (45, 90)
    """How long a traveller takes at a booth."""


@dataclass(frozen=True, slots=True)
class Person:
    """A traveller: one document, and the key of name and year."""

    issuer: str
    number: str
    name: bytes

    @property
    def keys(self) -> tuple[bytes, ...]:
        """As `flows.alerting.pieces` gives them."""
        return (f"doc/1 {self.issuer} {self.number}".encode(), b"name_year/1 " + self.name)


class Traffic:
    """The same questions for the same seed and size."""

    def __init__(self, seed: int, size: Size = Size()) -> None:
        self._draw = random.Random(seed)
        self._size = size
        self._commuters = [self._person() for _ in range(size.commuters)]
        self._drivers = [self._person() for _ in range(size.drivers)]
        self.questions = 0
        self.travellers = 0

    def day(self, number: int) -> list[Asked]:
        """A day's pieces of questions in the order of time."""
        began = BEGAN_NS + number * DAY_NS
        found: list[Asked] = []
        for post in range(self._size.posts):
            for shift, hours in enumerate(SHIFTS):
                found += self._post(number, began, post, shift, hours)
        found += self._visas(number, began)
        found += self._flights(number, began)
        self.questions += sum(one.is_first for one in found)
        self.travellers += sum(len(one.subjects) for one in found)
        return sorted(found, key=lambda one: one.at_ns)

    def month(self, days: int = 30) -> Iterator[Asked]:
        """Every day's."""
        for number in range(days):
            yield from self.day(number)

    # -- Where people are asked about ---------------------------------------------------------------------------------

    def _post(self, day: int, began: int, post: int, shift: int, hours: tuple[int, int]) -> Iterator[Asked]:
        draw = self._draw
        reference = f"SHIFT-{post}-{day}-{shift}"
        # Officers change booths and shifts from day to day; a post has some more than it has booths.
        staff = [f"F{post}{number:02}" for number in range(3 * self._size.booths)]
        on_duty = draw.sample(staff, self._size.booths)
        second = f"S{post}{draw.randrange(4)}"
        line = self._line(post)
        for booth, officer in enumerate(on_duty):
            at = began + hours[0] * 3600 * SECOND_NS + draw.randrange(60) * SECOND_NS
            end = began + hours[1] * 3600 * SECOND_NS
            while at < end:
                person = next(line)
                one = self._asked(officer, f"booth-{post}-{booth}", reference, (person,), at, shift=True)
                yield one
                if draw.random() < 0.02:
                    # A peer did not answer: asked again, now and then twice.
                    for again in range(draw.choice((1, 1, 1, 2))):
                        yield replace(one, at_ns=at + (20 + 20 * again) * SECOND_NS)
                if draw.random() < 0.03:
                    later = at + draw.randrange(120, 900) * SECOND_NS
                    yield self._asked(second, f"second-{post}", f"2L-{post}-{day}-{at}", (person,), later, shift=True)
                at += draw.randint(*self._size.pause_s) * SECOND_NS

    def _line(self, post: int) -> Iterator[Person]:
        """Who comes next at a post: at its booths a family stands one behind the other."""
        draw = self._draw
        while True:
            kind = draw.random()
            if kind < 0.02:
                yield draw.choice(self._commuters)
            elif kind < 0.021:
                yield draw.choice(self._drivers)
            elif kind < 0.12:
                yield from self._printed(draw.randint(2, 6))
            elif kind < 0.1201:
                yield from self._printed(draw.randint(8, 11))
            else:
                yield self._person()

    def _visas(self, day: int, began: int) -> Iterator[Asked]:
        draw = self._draw
        for number in range(self._size.visa_officers):
            at = began + 8 * 3600 * SECOND_NS
            for application in range(draw.randint(15, 40)):
                people = self._printed(draw.randint(1, 5) if draw.random() < 0.2 else 1)
                for person in people:
                    reference = f"VISA-{day}-{number}-{application}"
                    yield self._asked(f"V{number:02}", f"visa-{number}", reference, (person,), at, words="first visa")
                    at += draw.randint(60, 600) * SECOND_NS

    def _flights(self, day: int, began: int) -> Iterator[Asked]:
        draw = self._draw
        for number in range(self._size.flights):
            people: list[Person] = []
            while len(people) < draw.randint(80, 250):
                people += self._printed(draw.randint(2, 6)) if draw.random() < 0.1 else [self._person()]
            at = began + draw.randrange(24 * 3600) * SECOND_NS
            for start in range(0, len(people), 50):
                part = tuple(people[start : start + 50])
                one = self._asked(f"T{number % 3}", "targeting", f"FLIGHT-{day}-{number}", part, at, shift=True)
                # A list knows people by their documents only.
                yield replace(one, subjects=tuple(person.keys[:1] for person in part), is_first=start == 0)

    # -- Who they are -------------------------------------------------------------------------------------------------

    def _person(self) -> Person:
        draw = self._draw
        # Two million names, the commonest one of 1,400 people's, in fifty years of birth.
        name = 50 * int(2_000_000 * draw.random() ** 2) + draw.randrange(50)
        return Person(draw.choice(ISSUERS), f"{draw.randrange(10**8):08}", str(name).encode())

    def _printed(self, count: int) -> list[Person]:
        """People whose documents were printed one after the other."""
        first = self._person()
        number = int(first.number)
        return [replace(self._person(), issuer=first.issuer, number=f"{number + one:08}") for one in range(count)]

    def _asked(
        self,
        officer: str,
        unit: str,
        reference: str,
        people: tuple[Person, ...],
        at_ns: int,
        *,
        shift: bool = False,
        words: str = "",
    ) -> Asked:
        return Asked(
            officer=OfficerId(officer),
            unit=unit,
            shift=shift,
            case_ref=reference,
            justification=f"{words} {reference}" if words else "",
            subjects=tuple(person.keys for person in people),
            numbers=tuple((person.issuer, person.number) for person in people),
            is_first=True,
            seq=0,
            at_ns=at_ns,
        )
