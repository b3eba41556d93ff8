"""What an auditor can look for in a log: the words of an entry, keyed tags for what is sealed, and the question.

A leaf's public words are searched as they stand. Who asked, for which case, about which record and about whom is
sealed; whoever holds a reader's key makes **tags** of it at home, sixteen bytes each:

    tag = HMAC-SHA-256(index key, lp(what, value))[0:16]     index key = HKDF-Expand(reader's private key, INFO)

A subject has tags only where something was found about it: the keys of a traveller whose check ended with a hit. What
was asked without one is never tagged, and no tag is ever on the node (T11, docs/adr/0021).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gateway.audit.entry import Phase
from gateway.audit.leaf import Leaf
from gateway.audit.seal import mac, pads
from gateway.primitives.kdf import expand
from gateway.primitives.lp import lp
from gateway.terms.words import KeyType

INFO: Final = b"limen.index/1"
TAG_BYTES: Final = 16

SUBJECT_KEYS: Final = frozenset({KeyType.DOC_1, KeyType.NAME_YEAR_1})
"""The match keys a person is looked for by: the document, and name with year of birth. Keys by sound meet too many."""

_SUBJECT_PREFIXES: Final = tuple(lp(key_type.value) for key_type in SUBJECT_KEYS)


class What(StrEnum):
    """What a tag stands for. `NUMBER` is a case's public number, `CASE` the office's own reference, which is sealed."""

    OFFICER = "officer"
    CASE = "case"
    NUMBER = "number"
    RECORD = "record"
    SUBJECT = "subject"


_PREFIX: Final = {
    What.OFFICER: "officer",
    What.CASE: "reference",
    What.NUMBER: "case",
    What.RECORD: "record",
    What.SUBJECT: "subject",
}
_TAG: Final = re.compile(r"[0-9a-f]{32}")


class Outcome(StrEnum):
    """How an entry's matter ended, as far as the entry says. An intent has ended only with its outcome."""

    BEGUN = "begun"
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


_DENIED: Final = frozenset(
    {
        "check.denied", "check.refused", "list.denied", "call.refused", "case.denied", "release.denied",
        "audit.denied", "protection.denied",
    }
)  # fmt: skip
_FAILED: Final = frozenset({"release.failed", "case.dropped", "witness.disputed", "checkpoint.fault", "counters.lost"})
_TO_THE_PEER: Final = frozenset({"check.answer", "case.sent", "release.sent", "table.published", "delta.published"})
"""Kinds whose other state is given something."""

OFFICER_FIELDS: Final = ("officer", "officers", "by", "to")
"""Sealed fields that hold personnel numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as it is searched and shown. Empty words stand for what the kind does not say.

    `basis` is the legal basis; `fields` the record fields named, joined by commas; `decision` the word of a decision
    (a case's state, a leg's reply, an act); `reasons` the codes of a refusal, joined by commas. `baseline` and
    `national` are digests in hex. `intent_seq` is the intent that an outcome ends, -1 for none.
    """

    seq: int
    time_ns: int
    kind: str
    phase: str
    peer: str
    outcome: str
    agency: str = ""
    role: str = ""
    purpose: str = ""
    basis: str = ""
    recipient: str = ""
    fields: str = ""
    decision: str = ""
    reasons: str = ""
    agreement: str = ""
    baseline: str = ""
    national: str = ""
    retention: str = ""
    intent_seq: int = -1


WORDS: Final = (
    "kind", "phase", "peer", "outcome", "agency", "role", "purpose", "basis", "recipient", "fields", "decision",
    "reasons", "agreement", "baseline", "national", "retention",
)  # fmt: skip
"""Fields of a row that are words."""

LISTS: Final = frozenset({"fields", "reasons"})
"""Of these, those that hold several, joined by commas."""

GROUPS: Final = ("purpose", "agency", "month", "outcome", "kind", "peer", "role", "basis", "decision", "officer")
"""What entries can be counted by."""


def row(seq: int, time_ns: int, words: Sequence[str], intent_seq: int) -> Row:
    """A row from its words, in the order of `WORDS`."""
    named: dict[str, Any] = dict(zip(WORDS, words, strict=True))
    return Row(seq=seq, time_ns=time_ns, intent_seq=intent_seq, **named)


def row_of(leaf: Leaf) -> Row:
    """The words of an entry."""
    public = leaf.public
    return Row(
        seq=leaf.seq,
        time_ns=leaf.time_ns,
        kind=leaf.kind,
        phase=leaf.phase.value,
        peer=leaf.peer,
        outcome=outcome_of(leaf).value,
        agency=_word(public, "agency"),
        role=_word(public, "role"),
        purpose=_word(public, "purpose"),
        basis=_word(public, "basis"),
        recipient=_word(public, "recipient") or (leaf.peer if _gives(leaf) else ""),
        fields=_word(public, "fields"),
        decision=_word(public, "state") or _word(public, "reply") or _word(public, "act"),
        reasons=_word(public, "reasons") or _word(public, "reason"),
        agreement=_word(public, "agreement"),
        baseline=_hex(public, "baseline"),
        national=_hex(public, "national"),
        retention=leaf.retention,
        intent_seq=_intent(leaf),
    )


def outcome_of(leaf: Leaf) -> Outcome:
    """How it ended."""
    public = leaf.public
    if leaf.phase is Phase.INTENT:
        return Outcome.BEGUN
    if leaf.kind in _DENIED or public.get("granted") is False or public.get("permitted") is False:
        return Outcome.DENIED
    if public.get("reply") == "refused":
        return Outcome.DENIED
    if leaf.kind in _FAILED or public.get("reply") == "unreachable" or public.get("fault"):
        return Outcome.FAILED
    return Outcome.DONE


def _gives(leaf: Leaf) -> bool:
    return leaf.kind in _TO_THE_PEER and leaf.phase is not Phase.INTENT


def _word(public: Mapping[str, Any], name: str) -> str:
    value = public.get(name)
    return value if isinstance(value, str) else ""


def _hex(public: Mapping[str, Any], name: str) -> str:
    value = public.get(name)
    return value.hex() if isinstance(value, bytes) else ""


def _intent(leaf: Leaf) -> int:
    value = leaf.public.get("intent_seq")
    return value if leaf.phase is Phase.OUTCOME and type(value) is int else -1


# -- Tags -------------------------------------------------------------------------------------------------------------


class Tagger:
    """Tags under one reader's key. `private` is that reader's private key, 32 bytes."""

    __slots__ = ("_pads",)

    def __init__(self, private: bytes) -> None:
        self._pads = pads(expand(private, INFO, 32))

    def tag(self, what: What, value: str | bytes) -> bytes:
        """The tag of a value, 16 bytes. Tells nothing without the key."""
        return mac(self._pads, lp(what.value, value))[:TAG_BYTES]

    @property
    def mark(self) -> bytes:
        """Names the key, so that an index is not searched under another one's. 16 bytes."""
        return mac(self._pads, lp("mark"))[:TAG_BYTES]


def shown(what: What, tag: bytes) -> str:
    """A tag as people see and type it. A case's number is its tag, and looks as everywhere else (`case_...`)."""
    return f"{_PREFIX[what]}_{tag.hex()}"


def read_tag(what: What, text: str) -> bytes | None:
    """A tag as typed, or None where it is none of this kind."""
    prefix, _, digits = text.rpartition("_")
    return bytes.fromhex(digits) if prefix == _PREFIX[what] and _TAG.fullmatch(digits) else None


def number_tag(case_id: bytes) -> bytes:
    """The tag of a case's number, which is public: no key is needed."""
    return case_id[:TAG_BYTES].ljust(TAG_BYTES, b"\0")


Entry = tuple[Leaf, Mapping[str, Any]]
"""A leaf and its opened sealed fields."""

_LINK_BYTES: Final = 8
"""So much of a case's number stands behind the hit that it is a candidate of."""


@dataclass(slots=True)
class Indexer:
    """Finds the tags of entries as they go by, in order.

    `entry` reads an earlier entry again, None where it cannot be opened any more. `links` keeps the subject's tags of
    a case, by the beginning of its number. Without a tagger only what is public has tags.
    """

    tagger: Tagger | None
    entry: Callable[[int], Entry | None]
    links: MutableMapping[bytes, bytes]

    def tags(self, leaf: Leaf, opened: Mapping[str, Any]) -> list[tuple[What, bytes]]:
        """What an entry can be found by besides its words, each once; officers in the order of their fields."""
        found: dict[tuple[What, bytes], None] = {}
        number = leaf.public.get("case_id")
        if isinstance(number, bytes) and number:
            found[What.NUMBER, number_tag(number)] = None
            held = self.links.get(number[:_LINK_BYTES], b"")
            for at in range(0, len(held), TAG_BYTES):
                found[What.SUBJECT, held[at : at + TAG_BYTES]] = None
        if self.tagger is not None:
            for what, value in _sealed(opened):
                found[what, self.tagger.tag(what, value)] = None
            if leaf.kind == "check.ask" and leaf.phase is Phase.OUTCOME and opened.get("hits"):
                for tag in self._subjects(leaf, opened["hits"], self.tagger):
                    found[What.SUBJECT, tag] = None
        return list(found)

    def _subjects(self, leaf: Leaf, hits: object, tagger: Tagger) -> Iterator[bytes]:
        asked = self.entry(_intent(leaf))
        keys = asked[1].get("keys") if asked is not None and asked[0].kind == leaf.kind else None
        for number, found in found_keys(hits, keys):
            tags = [tagger.tag(What.SUBJECT, key) for key in found]
            if number:
                self.links[number] = b"".join(tags)
            yield from tags


def _sealed(opened: Mapping[str, Any]) -> Iterator[tuple[What, str]]:
    for name in OFFICER_FIELDS:
        value = opened.get(name)
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str) and one:
                yield What.OFFICER, one
    for name, what in (("case", What.CASE), ("entry_id", What.RECORD)):
        value = opened.get(name)
        if isinstance(value, str) and value:
            yield what, value


def found_keys(hits: object, keys: object) -> list[tuple[bytes, list[bytes]]]:
    """(the beginning of the case's number or nothing, the keys) of each traveller something was found about.

    A hit says `<traveller>:<reference>:<class>:<first>+<count>:<case>`: its traveller's keys are `count` of the
    intent's from number `first` on. A row that was met and not read, and hits of logs from before hits said so, name
    none.
    """
    if not isinstance(hits, list) or not isinstance(keys, list):
        return []
    found: list[tuple[bytes, list[bytes]]] = []
    for hit in hits:
        said = _HIT.fullmatch(hit) if isinstance(hit, str) else None
        if said is None:
            continue
        first, count = int(said[1]), int(said[2])
        own = [one for one in keys[first : first + count] if isinstance(one, bytes)]
        found.append((bytes.fromhex(said[3]), [one for one in own if one.startswith(_SUBJECT_PREFIXES)]))
    return found


_HIT: Final = re.compile(r"[0-9]+:[^:]+:[A-Z_]+:([0-9]{1,6})\+([0-9]{1,6}):((?:[0-9a-f]{16})?)")


# -- The question -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. Within a filter one of its words is enough; between filters all must hold.

    `words` has the fields of `WORDS`; `policy` is the beginning of a digest in hex, or the name of an agreement. Times
    are UTC ns, `since_ns` included and `until_ns` not. Each of `tags` is a set of tags, one of which must be there.
    `unpaired` are intents without an outcome.
    """

    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policy: tuple[str, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    first: int | None = None
    last: int | None = None
    unpaired: bool = False
    tags: Sequence[tuple[What, tuple[bytes, ...]]] = ()

    def names(self) -> tuple[str, ...]:
        """Which filters are used, without their values: what the log may say of a reading."""
        found = [name for name in WORDS if self.words.get(name)]
        found += ["policy"] if self.policy else []
        found += ["time"] if (self.since_ns, self.until_ns) != (None, None) else []
        found += ["seq"] if (self.first, self.last) != (None, None) else []
        found += ["unpaired"] if self.unpaired else []
        return (*found, *(what.value for what, _ in self.tags))


SHIPPED: Final[Mapping[str, Mapping[str, object]]] = {
    "denied-this-month": {"denied": True, "since": "30d"},
    "unfinished": {"unpaired": True},
    "disclosures": {"kind": ["case.sent"], "decision": ["GRANTED", "PARTLY_GRANTED", "CORRECTED"]},
}
"""Questions that come with the program, under their names."""
