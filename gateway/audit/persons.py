"""What persons signed, as the log shows it: a disclosure stands on two of them or it is no disclosure (T7).

Enrolments are entries of the same log, so the keys are known from it; nobody who runs the gateway holds a private half.
Who runs a node could still log an enrolment of a key of his own: where the trust card names the persons of the agency's
register, only theirs count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.audit.grounds import is_disclosure
from gateway.audit.leaf import Leaf
from gateway.errors import Malformed, VerificationFailed
from gateway.primitives import cbor, ed25519

DOMAIN: Final = b"limen/personal/1\x00"
"""Stands before what a person signs (docs/protocol/envelope.md, persons)."""

PREPARE: Final = "limen/case/prepare/1"
APPROVE: Final = "limen/case/approve/1"
REVEAL: Final = "limen/reveal/1"
RECOVERY: Final = "limen/recovery/1"

ACTIVATION: Final = "limen/activation/1"

_RULES: Final = ("layer", "digest", "sequence", "impact")
"""What two persons sign about rules, as the entry has it too."""

_BEGUN: Final = ("former", "size", "root", "held", "origin", "reason", "decision")

RETENTION: Final = {
    "hold.set": ("limen/retention/hold/1", ("hold_id", "first", "last", "authority", "decision", "review_ns")),
    "hold.lifted": ("limen/retention/lift/1", ("hold_id", "authority", "decision")),
    "epoch.rotated": ("limen/rotation/1", ("epochs", "emergency", "decision")),
    "erasure.ordered": ("limen/retention/erase/1", ("class", "first", "last", "authority", "decision", "ground")),
}
"""What two persons sign about payloads and about a change of keys, and the entry's fields that their statements say
too, by the entry's kind."""


@dataclass(slots=True)
class Persons:
    """The persons of one log as it goes on: key thumbprints that were ever enrolled, and those retired since. `known`
    are those of the trust card; none where it names nobody."""

    known: frozenset[bytes] = frozenset()
    enrolled: set[bytes] = field(default_factory=set)
    retired: set[bytes] = field(default_factory=set)
    signatures: int = 0
    disclosures: int = 0

    def fault(self, leaf: Leaf) -> str:
        """Why an entry's persons do not hold, or "". Entries without persons' work pass."""
        thumbprint = leaf.public.get("key_thumbprint")
        if leaf.kind == "officer.enrolled" and isinstance(thumbprint, bytes):
            self.enrolled.add(thumbprint)
        elif leaf.kind == "officer.retired" and isinstance(thumbprint, bytes):
            self.retired.add(thumbprint)
        try:
            if leaf.kind == "case.act":
                return self._act(leaf)
            if leaf.kind == "case.sent":
                return self._sent(leaf)
            if leaf.kind == "audit.revealed":
                return self._revealed(leaf)
            if leaf.kind == "log.begun":
                return self._begun(leaf)
            if leaf.kind in RETENTION:
                return self._retained(leaf)
            if leaf.kind == "policy.activated" and "persons" in leaf.public:
                return self._activated(leaf)
        except (Malformed, ValueError, TypeError, KeyError):
            return "what persons signed cannot be read"
        return ""

    def _act(self, leaf: Leaf) -> str:
        public = leaf.public
        if not public["statement"]:
            return ""
        if hashlib.sha256(_bytes(public["signer"])).digest() in self.retired:
            return "signed with a key that was retired before"
        said, why = self._person(public["signer"], public["statement"], public["signature"])
        if not why and (said["act"], said["case"]) != (f"limen/case/{public['act']!s}/1", public["case_id"]):
            return "the signature is on another act or case than the entry's"
        return why

    def _sent(self, leaf: Leaf) -> str:
        public = leaf.public
        persons = cbor.decode(_bytes(public["persons"]))
        keys: dict[str, bytes] = {}
        for act, key, statement, signature in persons:
            said, why = self._person(key, statement, signature)
            if why:
                return why
            if (said["act"], said["case"], said["peer"]) != (act, public["case_id"], leaf.peer):
                return "a signature is on another act, case or peer than the entry's"
            keys[act] = key
            if act in (PREPARE, APPROVE) and (
                ",".join(said["fields"]),
                said["recipient"],
                said["record_version"],
            ) != (public["fields"], public["recipient"], public["record_version"]):
                return "a signature is on other fields, another recipient or another version of the record"
        if is_disclosure(leaf):
            if keys.keys() != {PREPARE, APPROVE} or len(set(keys.values())) != 2:
                return "a disclosure without the signatures of two distinct persons"
            self.disclosures += 1
        return ""

    def _revealed(self, leaf: Leaf) -> str:
        public = leaf.public
        keys: set[bytes] = set()
        for act, key, statement, signature in cbor.decode(_bytes(public["persons"])):
            said, why = self._person(key, statement, signature)
            if why:
                return why
            facts = (said["act"], said["entry"], said["purpose"])
            if act != REVEAL or facts != (REVEAL, public["entry"], public["purpose"]):
                return "a signature is on another act, entry or purpose than the entry's"
            keys.add(_bytes(key))
        return "" if len(keys) == 2 else "what was sealed was given without the signatures of two distinct persons"

    def _retained(self, leaf: Leaf) -> str:
        wanted, names = RETENTION[leaf.kind]
        keys: set[bytes] = set()
        for act, key, statement, signature in cbor.decode(_bytes(leaf.public["persons"])):
            said, why = self._person(key, statement, signature)
            if why:
                return why
            if (act, said["act"]) != (wanted, wanted) or any(
                cbor.encode(said[name]) != cbor.encode(leaf.public[name]) for name in names
            ):
                return "a signature is on another act or other facts than the entry's"
            keys.add(_bytes(key))
        return "" if len(keys) == 2 else "an act of two persons without the signatures of two distinct ones"

    def _activated(self, leaf: Leaf) -> str:
        keys: set[bytes] = set()
        for act, key, statement, signature in cbor.decode(_bytes(leaf.public["persons"])):
            said, why = self._person(key, statement, signature)
            if why:
                return why
            if (act, said["act"]) != (ACTIVATION, ACTIVATION) or any(
                cbor.encode(said[name]) != cbor.encode(leaf.public[name]) for name in _RULES
            ):
                return "a signature is on another act, other rules or another report than the entry's"
            keys.add(_bytes(key))
        return "" if len(keys) == 2 else "rules were put in force without the signatures of two distinct persons"

    def _begun(self, leaf: Leaf) -> str:
        """The first entry of a log that follows another. Nobody is enrolled in it yet: where the card names persons,
        they are theirs, and else their signatures hold."""
        public = leaf.public
        if leaf.seq:
            return "a log begins with the entry that says so, and nowhere else"
        keys: set[bytes] = set()
        for act, key, statement, signature in cbor.decode(_bytes(public["persons"])):
            said, why = self._person(key, statement, signature, enrolled=False)
            if why:
                return why
            if (act, said["act"]) != (RECOVERY, RECOVERY) or any(said[name] != public[name] for name in _BEGUN):
                return "a signature is on another beginning than the entry's"
            keys.add(_bytes(key))
        return "" if len(keys) == 2 else "a new log without the signatures of two distinct persons"

    def _person(
        self, key: Any, statement: Any, signature: Any, *, enrolled: bool = True
    ) -> tuple[Mapping[str, Any], str]:
        """(the statement, why it does not count or ""). `enrolled` where the key must be in this log before."""
        thumbprint = hashlib.sha256(_bytes(key)).digest()
        if enrolled and thumbprint not in self.enrolled:
            return {}, "signed with a key that nobody was enrolled with"
        if self.known and thumbprint not in self.known:
            return {}, "signed with a key that the log enrols and the trust card's register does not know"
        try:
            ed25519.verify(key, DOMAIN + _bytes(statement), _bytes(signature))
        except VerificationFailed:
            return {}, "a person's signature does not hold"
        said = cbor.decode(statement)
        if not isinstance(said, dict) or said.get("key") != hashlib.sha256(key).digest():
            return {}, "a statement names another key than the one that signed it"
        self.signatures += 1
        return said, ""


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("bytes are wanted")
    return value
