"""Candidate origins: the states a person may have fled from (T2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.people import codes
from gateway.people.person import Document, Person


@dataclass(frozen=True, slots=True)
class Origins:
    """`states` by the code peers know them by. With `all_but_issuer` every other state counts too, except those in
    `issuers`, which gave a document to a person without a nationality of its own to state."""

    states: frozenset[str]
    all_but_issuer: bool = False
    issuers: frozenset[str] = frozenset()

    def includes(self, state: str, /) -> bool:
        """True where the state may be the one the person fled from."""
        state = codes.iso(state)
        return state in self.states or (self.all_but_issuer and state not in self.issuers)


def candidate_origins(person: Person | None, documents: Iterable[Document], declared: Iterable[str] = ()) -> Origins:
    """Every nationality claimed or recorded, document issuer, country of birth, former residence, and what the booth
    declared. Where no nationality is known or a code names no state, every state counts.

    One issuer does not: a document which itself says stateless, refugee or unspecified (XXA, XXB, XXC, XXX) comes from
    the state of refuge. The issuer of any other document counts, also when nobody wrote down the holder's nationality:
    it is then the likeliest origin of all. What is named in one place counts, whatever another place says.
    """
    documents = tuple(documents)
    nationalities = [document.nationality for document in documents if document.nationality]
    named = set(declared)
    if person is not None:
        nationalities.extend(person.nationalities)
        named.update(person.residence_countries)
        if person.birth_country:
            named.add(person.birth_country)
    named.update(nationalities)
    # A misspelt code protects from nobody, so it counts as unknown.
    vague = not nationalities or not all(codes.names_a_state(code) for code in named)
    issuers: set[str] = set()
    for document in documents:
        if document.nationality and document.nationality in codes.NO_NATIONALITY:
            issuers.add(codes.iso(document.issuer))
        else:
            named.add(document.issuer)
    states = frozenset(codes.iso(code) for code in named if code not in codes.NO_NATIONALITY)
    return Origins(states, all_but_issuer=vague, issuers=frozenset(issuers) - states)
