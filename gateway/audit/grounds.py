"""What has to stand in the log before a disclosure and before a release.

A disclosure rests on a hit (the case was opened over a batch that we answered and logged), on a permit (the rules that
it names are those in force at its place in the log) and on two acts of persons that were entered in the case. A release
rests on its charge: one, made before anything is counted. Which persons count is judged in `audit.persons`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.audit.entry import Phase
from gateway.audit.leaf import Leaf
from gateway.errors import Malformed
from gateway.primitives import cbor

RELEASED: Final = frozenset({"GRANTED", "PARTLY_GRANTED", "CORRECTED"})
"""States of a case in which a decision discloses fields, the first time or corrected."""

LAYERS: Final = ("baseline", "national")
"""Layers of rules that a permit names."""


def is_disclosure(leaf: Leaf) -> bool:
    """True for a decision that gives the other side fields of a record."""
    public = leaf.public
    return leaf.kind == "case.sent" and public["message"] == "decision" and public["state"] in RELEASED


@dataclass(slots=True)
class Disclosures:
    """What a disclosure may rest on, as the log goes on. `counted` disclosures were judged; `unnamed` of them stand in
    cases whose opening names no answer: those of logs from before openings did."""

    answered: set[tuple[str, object]] = field(default_factory=set)
    """Batches that were answered: peer, the request's hash."""
    named: bool = False
    """An opening has named its answer; from then on every one has to."""
    opened: dict[tuple[str, object], tuple[object, bool]] = field(default_factory=dict)
    """Cases by peer and number: their purpose, and whether the answer is named."""
    acts: dict[tuple[str, object], set[object]] = field(default_factory=dict)
    """Statements that persons signed in a case, as they were entered."""
    in_force: dict[object, object] = field(default_factory=dict)
    """The digest of the rules of each layer."""
    counted: int = 0
    unnamed: int = 0

    def fault(self, leaf: Leaf) -> str:
        """Why an entry's grounds do not hold, or ""."""
        public = leaf.public
        kind = leaf.kind
        if kind == "check.answer":
            if leaf.phase is Phase.OUTCOME:
                self.answered.add((leaf.peer, public["request_hash"]))
        elif kind == "policy.activated":
            self.in_force[public["layer"]] = public["digest"]
        elif kind == "case.act":
            self.acts.setdefault((leaf.peer, public["case_id"]), set()).add(public["statement"])
        elif kind == "case.taken":
            if public["message"] == "open" and public["side"] == "owner":
                return self._opened(leaf)
        elif kind == "case.sent" and is_disclosure(leaf):
            return self._disclosed(leaf)
        return ""

    def _opened(self, leaf: Leaf) -> str:
        place = (leaf.peer, leaf.public["case_id"])
        if place in self.opened:
            return ""  # it came again, and nothing moved
        answer = leaf.public.get("answered")
        self.opened[place] = (leaf.public["purpose"], answer is not None)
        if answer is None:
            return "a case was opened over a hit in no answer that it names" if self.named else ""
        self.named = True
        if (leaf.peer, answer) not in self.answered:
            return "a case was opened over a hit in a batch that was not answered before"
        return ""

    def _disclosed(self, leaf: Leaf) -> str:
        public = leaf.public
        place = (leaf.peer, public["case_id"])
        self.counted += 1
        opened = self.opened.get(place)
        if opened is None:
            return "a disclosure in a case that no hit has opened"
        purpose, is_named = opened
        self.unnamed += not is_named
        if purpose != public["purpose"]:
            return "a disclosure for another purpose than its hit's"
        for layer in LAYERS:
            if self.in_force.get(layer) != public[layer]:
                return f"a disclosure without a permit: the {layer} rules it names are not those in force here"
        try:
            statements = {one[2] for one in cbor.decode(_bytes(public["persons"]))}
        except (Malformed, TypeError, IndexError, KeyError):
            return "the persons of a disclosure cannot be read"
        if not statements or not statements <= self.acts.get(place, set()):
            return "a disclosure with a signature that was not entered as an act before"
        return ""


@dataclass(slots=True)
class Charges:
    """Releases of statistics by query and snapshot, as the log goes on."""

    charged: dict[tuple[object, object], tuple[object, object]] = field(default_factory=dict)
    """What was charged: the data set, the cost."""
    made: set[tuple[object, object]] = field(default_factory=set)
    given: dict[tuple[object, object, str], object] = field(default_factory=dict)
    """The hash of what each recipient was given first."""
    sent: int = 0

    def fault(self, leaf: Leaf) -> str:
        """Why a charge, a release or its delivery does not hold, or ""."""
        public = leaf.public
        kind = leaf.kind
        if not kind.startswith("release.") or kind not in _CHARGED:
            return ""
        place = (public["query_digest"], public["snapshot"])
        charge = self.charged.get(place)
        if kind == "release.charged":
            if charge is not None:
                return "a release is charged a second time"
            self.charged[place] = (public["dataset"], public["cost_micro_rho"])
            return ""
        if charge is None:
            return "a release without its charge before it"
        if kind == "release.made":
            if (public["dataset"], public["cost_micro_rho"]) != charge:
                return "a release of another data set or cost than was charged"
            if leaf.phase is Phase.OUTCOME:
                self.made.add(place)
            return ""
        self.sent += 1
        if place not in self.made:
            return "a release is given that was not made before"
        first = self.given.setdefault((*place, leaf.peer), public["release_hash"])
        if first != public["release_hash"]:
            return "a release is given in other bytes than before"
        return ""


_CHARGED: Final = frozenset({"release.charged", "release.made", "release.sent"})


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("bytes are wanted")
    return value
