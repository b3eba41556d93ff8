"""Candidate origins: the states a person may have fled from (T2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.people import codes
from gateway.people.person import Document, Person


@dataclass(frozen=True, slots=True)
class Origins:
    """`states` by ISO code. With `all_but_issuer` every state counts but those in `issuers`, who gave the person
    a document: no code named a nationality, so any peer may be the one."""

    states: frozenset[str]
    all_but_issuer: bool = False
    issuers: frozenset[str] = frozenset()

    def includes(self, state: str, /) -> bool:
        """True where the state may be the one the person fled from."""
        return state in self.states or (self.all_but_issuer and state not in self.issuers)


def candidate_origins(person: Person | None, documents: Iterable[Document], declared: Iterable[str] = ()) -> Origins:
    """Every nationality claimed or recorded, document issuer, country of birth, former residence, and what the booth
    declared. XXA, XXB, XXC, XXX, a refugee's document and no nationality at all count as every peer but the issuer.

    A refugee's document is issued by the state of refuge: its issuer is not an origin.
    """
    documents = tuple(documents)
    named: set[str] = set(declared)
    nationalities: list[str] = [document.nationality for document in documents if document.nationality]
    if person is not None:
        nationalities.extend(person.nationalities)
        named.update(person.residence_countries)
        named.add(person.birth_country)
    vague = not nationalities or any(code in codes.NO_NATIONALITY for code in nationalities)
    named.update(nationalities)
    issuers: set[str] = set()
    for document in documents:
        if document.is_protection:
            issuers.add(codes.iso(document.issuer))
        else:
            named.add(document.issuer)
    states = frozenset(codes.iso(code) for code in named if code not in codes.NO_NATIONALITY)
    return Origins(states, all_but_issuer=vague, issuers=frozenset(issuers - states))
