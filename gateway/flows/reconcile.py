"""Two states' logs held against each other (docs/flows/reconcile.md): what one has and the other has not, and whose
doing it is.

A message's signed header names the sender's log entry (`terms.exchange.Named`); the receiver's log keeps the header.
So of what was received nobody can say later that he sent, or logged, something else: the sender is held by his own
signature, the receiver by what the signature is over. A pair's entries are a hash chain, so the newest message that
names an entry binds all before it too. What no signature decides is told without blame, and what may only have been
lost on the way is not told as a fault at all.

Here is only arithmetic on entries; that each log is whole and signed is `audit.verify`'s to say, before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from gateway.audit.entry import Phase
from gateway.audit.export import Receipt
from gateway.audit.leaf import Leaf
from gateway.errors import CapabilityMissing, Malformed, VerificationFailed
from gateway.federation import envelope
from gateway.primitives import cbor, ed25519

CLOCK_NS: Final = 30 * 10**9
"""How far a header's time and the log's may differ: the log's clock never goes back."""

CHECK: Final = "/gateway.wire.v1.WatchlistService/Check"
HASH: Final = envelope.HASH_BYTES


class What(StrEnum):
    """What was done to an entry."""

    WITHHELD = "withheld"
    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    FORKED = "forked"
    """It named a checkpoint in a message that is none of the log's: somebody else was shown another log."""
    UNMATCHED = "unmatched"
    """The two logs differ, and no signature says which of them is right."""


@dataclass(frozen=True, slots=True)
class Written:
    """An entry about the other side as a log has it: the leaf and its hash."""

    leaf: Leaf
    hash: bytes = field(repr=False)


@dataclass(frozen=True)
class Log:
    """One side: its entries about the other in order, the public keys that signed its messages, and the signed messages
    that its export carries."""

    state: str
    entries: Sequence[Written]
    keys: Sequence[bytes] = field(repr=False)
    receipts: Sequence[Receipt] = ()
    since_ns: int = 0
    until_ns: int | None = None
    """When the copy's last entry was written, UTC ns: two copies are not made at the same moment, and what was signed
    after this one's end need not be in it. None for a log that is there to its end."""
    checkpoints: frozenset[bytes] | None = field(default=None, repr=False)
    """Digests of every checkpoint that this log can have published; None where a copy does not show them."""

    def ends_before(self, header: envelope.Header) -> bool:
        """Whether what a message of this state names may be newer than the copy."""
        return self.until_ns is not None and header.time_ns > self.until_ns - CLOCK_NS

    @cached_property
    def by_pair(self) -> Mapping[int, Written]:
        """Entries by their number in the pair."""
        return {one.leaf.pair_seq: one for one in self.entries}

    def of(self, kind: str, phase: Phase = Phase.EVENT) -> Iterator[Written]:
        """Entries of one kind, in order."""
        return (one for one in self.entries if one.leaf.kind == kind and one.leaf.phase is phase)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `fault` is the state whose log is wrong, "" where that cannot be said; `log`, `position` and
    `until` are where: in that state's log, from one entry's number to another's. `signer`, `header` and `signature` are
    the message that proves it, to whoever has the signer's key."""

    what: What
    fault: str
    log: str
    position: int
    until: int
    said: str
    signer: str = ""
    header: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """`matched` messages and documents stand in both logs alike; `open` entries have no counterpart and need none: what
    was not delivered, not answered, or broken off by a crash looks like this."""

    findings: tuple[Finding, ...]
    matched: int
    open: tuple[tuple[str, int], ...]
    bound: Mapping[str, int]
    """By state: how many of its entries are bound by its own signed messages in the other's log."""
    newer: Mapping[str, int] = field(default_factory=dict)
    """By state: how many of its messages in the other's log are newer than its copy, and judged by a later one."""


@dataclass(frozen=True, slots=True)
class _Sort:
    """How a sort of message stands in the two logs: what the sender wrote before it left, and what it is about."""

    kind: str
    phase: Phase
    method: str
    about: tuple[str, ...]


_QUESTION: Final = _Sort(
    "check.ask",
    Phase.INTENT,
    CHECK,
    ("purpose", "basis", "agency", "role", "list", "class", "batches", "epoch"),
)
_CASE: Final = _Sort("case.sent", Phase.EVENT, "/gateway.wire.v1.CaseService/", ("case_id", "message"))
_RELEASE: Final = _Sort(
    "release.asked",
    Phase.EVENT,
    "/gateway.wire.v1.StatisticsService/",
    ("purpose", "basis", "agency", "role", "query_digest", "act", "request_id"),
)
_RECEIVED: Final = {
    ("check.answer", Phase.INTENT): _QUESTION,
    ("check.refused", Phase.EVENT): _QUESTION,
    ("case.taken", Phase.EVENT): _CASE,
    ("case.dropped", Phase.EVENT): _CASE,
    ("release.requested", Phase.EVENT): _RELEASE,
}
"""What a receiver writes of a message, by kind and phase."""

_STANDING: Final = (
    ("table.published", "table.received", "manifest_hash"),
    ("delta.published", "delta.received", "delta_hash"),
    ("release.sent", "release.received", "release_hash"),
)
"""Documents that stand in both logs by their hash: the owner's kind, the other's, the field."""


def compare(one: Log, other: Log) -> Result:
    """Hold two whole logs of a pair against each other, in both directions."""
    pair = _Comparison()
    for asker, owner in ((one, other), (other, one)):
        pair.messages(asker, owner)
        pair.answers(asker, owner)
        pair.documents(owner, asker)
    bound = {log.state: pair.judge(log) for log in (one, other)}
    pair.leftovers((one, other))
    findings = sorted(pair.findings, key=lambda found: (found.log, found.position, found.said))
    newer = {log.state: len(pair.newer.get(log.state, ())) for log in (one, other)}
    return Result(tuple(findings), pair.matched, tuple(sorted(pair.open)), bound, newer)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a message says of its sender's log: which entry, of what sort, about what."""

    pair_seq: int
    leaf_hash: bytes
    sort: _Sort
    about: bytes
    message: tuple[bytes, bytes]

    def fits(self, one: Written | None) -> bool:
        """Whether an entry says what the message says, wherever it stands."""
        if one is None:
            return False
        return (one.leaf.kind, one.leaf.phase) == (self.sort.kind, self.sort.phase) and (
            _about(one.leaf, self.sort) == self.about
        )


class _Doubt(Exception):
    """A message does not prove what stands beside it. `blames` is False where the key is not known."""

    def __init__(self, why: str, *, blames: bool = True) -> None:
        super().__init__(why)
        self.blames = blames


@dataclass
class _Comparison:
    """One comparison as it goes. `used` are entries that a message of the sender's names, `claims` what messages say of
    their senders' logs."""

    findings: list[Finding] = field(default_factory=list)
    matched: int = 0
    open: set[tuple[str, int]] = field(default_factory=set)
    used: set[tuple[str, int]] = field(default_factory=set)
    claims: dict[str, list[_Claim]] = field(default_factory=dict)
    newer: dict[str, set[tuple[bytes, bytes]]] = field(default_factory=dict)

    def find(
        self, what: What, fault: str, log: Log, position: int, said: str, signer: str = "",
        message: tuple[bytes, bytes] = (b"", b""), until: int | None = None,
    ) -> None:  # fmt: skip
        new = Finding(what, fault, log.state, position, position if until is None else until, said, signer, *message)
        if new not in self.findings:
            self.findings.append(new)

    def is_newer(self, log: Log, header: envelope.Header, message: tuple[bytes, bytes]) -> bool:
        """Whether a message names an entry behind the end of its sender's copy. Told, and nobody's fault."""
        named = header.entry
        if not log.ends_before(header) or (named is not None and named.pair_seq <= len(log.entries)):
            return False
        self.newer.setdefault(log.state, set()).add(message)
        return True

    def shown(self, sender: Log, header: envelope.Header, message: tuple[bytes, bytes], one: Written, at: Log) -> None:
        """The checkpoint that a message names is one of its sender's log (T13: everybody is shown the same)."""
        if sender.checkpoints is None or header.checkpoint in (envelope.NO_CHECKPOINT, *sender.checkpoints):
            return
        if header.time_ns < sender.since_ns or sender.ends_before(header):
            return
        said = f"{sender.state} signed a message that names a checkpoint which is none of the log it shows here"
        self.find(What.FORKED, sender.state, at, one.leaf.seq, said, sender.state, message)

    # What `sender` has sent, as `receiver` has it

    def messages(self, sender: Log, receiver: Log) -> None:
        acknowledged = {hash_ for one in sender.of("check.ask", Phase.OUTCOME) for hash_ in _hashes(one.leaf.public)}
        answered = {one.leaf.public["intent_seq"] for one in receiver.of("check.answer", Phase.OUTCOME)}
        first: dict[bytes, Leaf] = {}
        for one in receiver.entries:
            sort = _RECEIVED.get((one.leaf.kind, one.leaf.phase))
            hash_ = one.leaf.public.get("request_hash")
            if sort is None or not hash_:
                continue
            assert isinstance(hash_, bytes)
            try:
                message = _message(one.leaf.public.get("signed"))
            except Malformed:
                self.find(What.CHANGED, receiver.state, receiver, one.leaf.seq, "its message cannot be read")
                continue
            if not message[0]:
                self._unsigned(one, hash_ in acknowledged, receiver, sender)
                continue
            try:
                header = _judged(message, sender, receiver, sort.method, body_hash=hash_)
            except _Doubt as doubt:
                what = What.CHANGED if hash_ in acknowledged else What.ADDED
                blamed = receiver.state if doubt.blames else ""
                self.find(what if blamed else What.UNMATCHED, blamed, receiver, one.leaf.seq, str(doubt))
                continue
            self.shown(sender, header, message, one, receiver)
            if one.leaf.kind == "check.answer":
                before = first.setdefault(hash_, one.leaf)
            if one.leaf.kind == "check.answer" and before is not one.leaf and before.seq in answered:
                said = f"the batch was answered before, as entry {before.seq}; what comes again is not logged again"
                self.find(What.ADDED, receiver.state, receiver, one.leaf.seq, said, sender.state, message)
            self._named(one, sort, header, message, sender, receiver, hash_ in acknowledged)

    def _unsigned(self, one: Written, is_acknowledged: bool, receiver: Log, sender: Log) -> None:
        if is_acknowledged:
            self.matched += 1
        else:
            said = f"no message that {sender.state} signed stands beside it"
            self.find(What.UNMATCHED, "", receiver, one.leaf.seq, said)

    def _named(
        self, one: Written, sort: _Sort, header: envelope.Header, message: tuple[bytes, bytes], sender: Log,
        receiver: Log, is_acknowledged: bool,
    ) -> None:  # fmt: skip
        """The header's word against both logs."""
        named = header.entry
        if named is None:
            # Of a sender that named no entries yet: its number stands in the body, which no log keeps.
            target = sender.by_pair.get(_number(one.leaf.public.get("peer_seq")))
            if is_acknowledged or (target is not None and _about(target.leaf, sort) == _about(one.leaf, sort)):
                self.matched += 1
            elif not self.is_newer(sender, header, message):
                said = f"{sender.state}'s log has no such question, and the message does not name its entry"
                self.find(What.UNMATCHED, "", receiver, one.leaf.seq, said, sender.state, message)
            return
        theirs = _about(one.leaf, sort)
        number = one.leaf.public.get("peer_seq", named.pair_seq)
        if number != named.pair_seq or (theirs is not None and theirs != named.about):
            said = f"it says something else than the message that {sender.state} signed"
            self.find(What.CHANGED, receiver.state, receiver, one.leaf.seq, said, sender.state, message)
            return
        if self.is_newer(sender, header, message):
            return
        claim = _Claim(named.pair_seq, named.leaf_hash, sort, named.about, message)
        self.claims.setdefault(sender.state, []).append(claim)

    def judge(self, log: Log) -> int:
        """A log against everything that its own signed messages say of it. Returns how many entries are bound."""
        good = bound = 0
        bad: list[_Claim] = []
        for claim in sorted(self.claims.get(log.state, ()), key=lambda one: one.pair_seq):
            bound = max(bound, claim.pair_seq)
            target = log.by_pair.get(claim.pair_seq)
            if target is None or target.hash != claim.leaf_hash:
                bad.append(claim)
            elif not claim.fits(target):
                said = "it says something else than the message that was signed for it"
                self.find(What.CHANGED, log.state, log, target.leaf.seq, said, log.state, claim.message)
            else:
                self.used.add((log.state, target.leaf.seq))
                self.matched += 1
                good = claim.pair_seq if not bad else good
        if bad:
            self._rewritten(log, good, bad)
        return min(bound, len(log.entries))

    def _rewritten(self, log: Log, good: int, bad: Sequence[_Claim]) -> None:
        """Entries after the `good`-th up to the first bad claim's are others than were signed for."""
        end = log.entries[-1].leaf.seq + 1 if log.entries else 0
        before, last = log.by_pair.get(good), log.by_pair.get(bad[0].pair_seq)
        start = before.leaf.seq + 1 if before is not None else 0
        stop = max(start, last.leaf.seq if last is not None else end)
        rest = bad[1:] or bad
        by_shift = {
            What.CHANGED: all(claim.fits(log.by_pair.get(claim.pair_seq)) for claim in rest),
            What.WITHHELD: all(claim.fits(log.by_pair.get(claim.pair_seq - 1)) for claim in rest)
            or bad[-1].pair_seq > len(log.entries),
            What.ADDED: all(claim.fits(log.by_pair.get(claim.pair_seq + 1)) for claim in rest),
        }
        likely = [what for what, fits in by_shift.items() if fits]
        # Entries that are all about the same fit every shift; the count then says it.
        what = likely[0] if len(likely) == 1 else What.CHANGED if likely else What.MOVED
        if bad[-1].pair_seq > len(log.entries):
            what = What.WITHHELD
        said = (
            f"entries {good + 1} to {bad[0].pair_seq} of the pair are not those that {log.state} has signed a message "
            "for: one was withheld, added, changed or moved"
        )
        self.find(what, log.state, log, start, said, log.state, bad[0].message, until=stop)
        for claim in bad:
            self.used.update((log.state, one.leaf.seq) for one in log.entries if claim.fits(one))

    # What `owner` has answered, as `asker` has it

    def answers(self, asker: Log, owner: Log) -> None:
        answered: dict[bytes, list[Written]] = {}
        for one in owner.of("check.answer", Phase.OUTCOME):
            answered.setdefault(_bytes(one.leaf.public["request_hash"]), []).append(one)
        intents = {one.leaf.seq: one for one in asker.of("check.ask", Phase.INTENT)}
        for one in asker.of("check.ask", Phase.OUTCOME):
            public = one.leaf.public
            hashes = _hashes(public)
            if "replies" not in public:
                for hash_ in hashes:
                    if public["reply"] == "answered" and hash_ not in answered:
                        said = f"no answer that {owner.state} signed stands beside it, and its log has none"
                        self.find(What.UNMATCHED, "", asker, one.leaf.seq, said)
                continue
            try:
                replies = _messages(public["replies"])
            except Malformed:
                self.find(What.CHANGED, asker.state, asker, one.leaf.seq, "its answers cannot be read")
                continue
            batches = _number(public["batches"])
            if public["reply"] == "answered" and len(replies) != batches:
                said = f"{batches} batches are said to be answered and {len(replies)} answers stand beside it"
                self.find(What.CHANGED, asker.state, asker, one.leaf.seq, said)
            intent = intents.get(_number(public["intent_seq"]))
            for number, message in enumerate(replies):
                hash_ = hashes[number] if number < len(hashes) else b""
                self._answer(one, intent, hash_, message, answered.get(hash_, []), asker, owner)

    def _answer(
        self, one: Written, intent: Written | None, hash_: bytes, message: tuple[bytes, bytes],
        answered: Sequence[Written], asker: Log, owner: Log,
    ) -> None:  # fmt: skip
        try:
            header = _judged(message, owner, asker, CHECK, request_hash=hash_)
        except _Doubt as doubt:
            blamed = asker.state if doubt.blames else ""
            self.find(What.CHANGED if blamed else What.UNMATCHED, blamed, asker, one.leaf.seq, str(doubt))
            return
        self.shown(owner, header, message, one, asker)
        named = header.entry
        if named is not None and intent is not None and _about(intent.leaf, _QUESTION) != named.about:
            said = f"its question is another than the one {owner.state} signed an answer to"
            self.find(What.CHANGED, asker.state, asker, intent.leaf.seq, said, owner.state, message)
            return
        if self.is_newer(owner, header, message):
            return
        if not answered and owner.ends_before(header):
            # The intent may be the copy's last entry and the outcome the next one.
            self.newer.setdefault(owner.state, set()).add(message)
            return
        if not answered:
            held = owner.by_pair.get(named.pair_seq) if named is not None else None
            end = owner.entries[-1].leaf.seq + 1 if owner.entries else 0
            at = held.leaf.seq if held is not None else end
            said = f"{owner.state} has signed an answer that its log does not have"
            self.find(What.WITHHELD, owner.state, owner, at, said, owner.state, message, until=end)
            return
        if not any(found.leaf.public["reply_hash"] == header.body_hash for found in answered):
            said = f"it is of another answer than the one {owner.state} signed"
            self.find(What.CHANGED, owner.state, owner, answered[0].leaf.seq, said, owner.state, message)
            return
        if named is not None:
            sort = _Sort("check.answer", Phase.INTENT, CHECK, _QUESTION.about)
            claim = _Claim(named.pair_seq, named.leaf_hash, sort, named.about, message)
            self.claims.setdefault(owner.state, []).append(claim)

    # What stands by its hash

    def documents(self, owner: Log, other: Log) -> None:
        for made, received, name in _STANDING:
            there = {_bytes(one.leaf.public[name]) for one in owner.of(made)}
            for one in other.of(received):
                if one.leaf.public["fault"] or _bytes(one.leaf.public[name]) in there:
                    self.matched += not one.leaf.public["fault"]
                    continue
                if owner.until_ns is not None and one.leaf.time_ns > owner.until_ns - CLOCK_NS:
                    self.newer.setdefault(owner.state, set()).add((_bytes(one.leaf.public[name]), b""))
                    continue
                self._document(one, _bytes(one.leaf.public[name]), made, owner, other)

    def _document(self, one: Written, digest: bytes, made: str, owner: Log, other: Log) -> None:
        for receipt in (*other.receipts, *owner.receipts):
            if receipt.digest != digest:
                continue
            message = (receipt.header, receipt.signature)
            try:
                _judged(message, owner, other, envelope.MANIFEST, body_hash=envelope.body_hash(receipt.body))
            except _Doubt:
                continue
            at = owner.entries[-1].leaf.seq + 1 if owner.entries else 0
            said = f"{owner.state} has signed a document that its log does not have as {made}"
            self.find(What.WITHHELD, owner.state, owner, at, said, owner.state, message)
            return
        said = f"{owner.state}'s log has no {made} of this hash, and no signed document is with either copy"
        self.find(What.UNMATCHED, "", other, one.leaf.seq, said)

    def leftovers(self, logs: Sequence[Log]) -> None:
        """What was sent, as far as a log says, and what the other side does not have: nobody's fault."""
        for log in logs:
            for sort in (_QUESTION, _CASE, _RELEASE):
                for one in log.of(sort.kind, sort.phase):
                    place = (log.state, one.leaf.seq)
                    if place not in self.used:
                        self.open.add(place)


def _judged(
    message: tuple[bytes, bytes], sender: Log, receiver: Log, method: str, *, body_hash: bytes | None = None,
    request_hash: bytes | None = None,
) -> envelope.Header:  # fmt: skip
    """The header, where the sender signed it and it is about this. Raises _Doubt."""
    signed, signature = message
    try:
        header = envelope.decode(signed)
    except (Malformed, CapabilityMissing):
        raise _Doubt(f"the message beside it is none that {sender.state} can have signed") from None
    key = next((key for key in sender.keys if envelope.key_id(key) == header.key_id), None)
    if key is None:
        raise _Doubt("the list of members has not the key with which the message beside it is signed", blames=False)
    try:
        ed25519.verify(key, envelope.to_sign(signed), signature)
    except VerificationFailed:
        raise _Doubt(f"{sender.state} has not signed the message beside it") from None
    whose = (header.sender, header.receiver) == (sender.state, receiver.state)
    if not whose or not (header.method == method or (method.endswith("/") and header.method.startswith(method))):
        raise _Doubt("the message beside it is another than it is said to be")
    if body_hash is not None and header.body_hash != body_hash:
        raise _Doubt("the message beside it has another hash than it says")
    if request_hash is not None and header.request_hash != request_hash:
        raise _Doubt("the answer beside it is to another question than it says")
    return header


def _about(leaf: Leaf, sort: _Sort) -> bytes | None:
    """What an entry is about, None where it does not say all of it."""
    if any(name not in leaf.public for name in sort.about):
        return None
    fields = {name: leaf.public[name] for name in sort.about}
    if fields.get("message") == "correction":
        # Its sender enters a correction as a decision, on the same two signatures.
        fields["message"] = "decision"
    return envelope.about(fields)


def _message(value: Any) -> tuple[bytes, bytes]:
    """(header, signature), both b"" where there is none. Raises Malformed."""
    if value is None:
        return b"", b""
    read = cbor.decode(_bytes(value), field="signed", limit=1 << 16)
    return _two(read)


def _messages(value: Any) -> list[tuple[bytes, bytes]]:
    read = cbor.decode(_bytes(value), field="replies", limit=1 << 16)
    if not isinstance(read, list):
        raise Malformed("replies", "not a list")
    return [_two(one) for one in read]


def _two(value: Any) -> tuple[bytes, bytes]:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(one, bytes) for one in value):
        raise Malformed("signed", "not a header and a signature")
    return value[0], value[1]


def _hashes(public: Mapping[str, Any]) -> list[bytes]:
    whole = _bytes(public["request_hashes"])
    return [whole[at : at + HASH] for at in range(0, len(whole), HASH) if any(whole[at : at + HASH])]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""


def _number(value: Any) -> int:
    return value if type(value) is int else -1
