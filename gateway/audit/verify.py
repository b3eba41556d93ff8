"""Verify an exported log with nothing but public keys (`limen audit verify`).

The steps, in this order; each looks at everything, so that a fault is not only found but located:

 1. signature    the checkpoint is signed by the log's key on the trust card
 2. quorum       enough witnesses of the card have cosigned it
 3. root         leaves hash to the tiles, tiles to the checkpoint's root
 4. sequence     every leaf is of a known form and says its own number; no gap, also per pair
 5. time         the leaves' times never go back
 6. pairs        every outcome names one earlier intent about the same thing
 7. payloads     every payload is the one its leaf has the digest of, or was erased lawfully
 8. receipts     every signed message is named by a leaf
 9. history      the log extends every head that was signed, seen or held by a witness before
10. commitments  with a reader's private key: every sealed field is the one committed to
11. persons      every act of a case carries its person's own signature, and every disclosure those of two
12. disclosures  before every disclosure stand its hit, its permit and the acts of both persons
13. charges      before every release stands its one charge
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.audit import checkpoint, export, merkle, note, pairs, tiles
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.entry import Phase
from gateway.audit.erasure import Erased, Erasures
from gateway.audit.grounds import Charges, Disclosures
from gateway.audit.kinds import KINDS, PAIRED
from gateway.audit.leaf import NO_ENTRY, Leaf, open_fields
from gateway.audit.persons import Persons
from gateway.audit.seal import Opener
from gateway.audit.trust import Card
from gateway.errors import GatewayError, Malformed, VerificationFailed
from gateway.primitives import cbor

STEPS: Final = (
    "signature", "quorum", "root", "sequence", "time", "pairs", "payloads", "receipts", "history", "commitments",
    "persons", "disclosures", "charges",
)  # fmt: skip
"""Names of the steps, in order."""


_HOLDS: Final = r"(no )?payloads\n(?:receipts (0|[1-9][0-9]{0,8})\n)?\Z"
_FORM: Final = re.compile(rf"{re.escape(export.FORMAT)}\n{_HOLDS}".encode())

_WHOLE: Final = ("signature", "quorum", "root")
_PLACED: Final = ("root", "sequence", "time", "pairs", "history", "persons", "disclosures", "charges")


@dataclass(frozen=True, slots=True)
class Step:
    """One step's result; `position` is the number of the first entry that is wrong, where one can be named."""

    step: str
    ok: bool
    detail: str
    position: int | None = None
    exact: bool = True
    """False where the place is only known to be at or before `position`."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `proved` and `not_proved` are for people; `as_json` is a promise to scripts."""

    origin: str
    size: int
    root: bytes
    cosignatures: tuple[tuple[str, int], ...]
    steps: tuple[Step, ...]
    proved: tuple[str, ...]
    not_proved: tuple[str, ...]
    erased: tuple[Erased, ...] = ()
    """Payloads that were erased lawfully, by class and day."""

    @property
    def ok(self) -> bool:
        """True when every step holds."""
        return all(step.ok for step in self.steps)

    def fault(self) -> VerificationFailed | None:
        """The first step that does not hold, with the place of the fault; where that step cannot name one, the first
        that another step names. None when every step holds."""
        failed = [step for step in self.steps if not step.ok]
        if not failed:
            return None
        first = failed[0]
        position = first.position
        if first.step in _WHOLE and not first.exact:
            # These judge the log as a whole; the entry that contradicts itself first is nearer to the place.
            places = [step.position for step in failed if step.step in _PLACED and step.position is not None]
            position = min(places, default=None)
        return VerificationFailed(first.step, first.detail, position=position)

    def as_json(self) -> dict[str, Any]:
        """The document of `limen audit verify --json`."""
        return {
            "ok": self.ok,
            "origin": self.origin,
            "size": self.size,
            "root": base64.b64encode(self.root).decode(),
            "cosignatures": [{"name": name, "time": time_s} for name, time_s in self.cosignatures],
            "steps": [
                {"step": s.step, "ok": s.ok, "detail": s.detail}
                | ({} if s.position is None else {"position": s.position})
                for s in self.steps
            ],
            "erased": [one.as_json() for one in self.erased],
            "proved": list(self.proved),
            "not_proved": list(self.not_proved),
        }


def verify(
    folder: export.Folder, card: Card, *, witnessed: Sequence[bytes] = (), reader_key: bytes | None = None
) -> Report:
    """As `inspect`, but a log that does not verify is an error.

    Raises:
        VerificationFailed: the first step that does not hold, with the position of the fault; where that step cannot
            name one, the first that another step names.
        Malformed: not an export at all.
    """
    report = inspect(folder, card, witnessed=witnessed, reader_key=reader_key)
    fault = report.fault()
    if fault is not None:
        raise fault
    return report


def _silent(_done: int, _of: int) -> None:
    """Nobody looks on."""


def inspect(
    folder: export.Folder,
    card: Card,
    *,
    witnessed: Sequence[bytes] = (),
    reader_key: bytes | None = None,
    progress: Callable[[int, int], None] = _silent,
) -> Report:
    """Take every step and say how each went.

    `witnessed` are notes of this log as witnesses hold them; `reader_key` is the private key of the supervisor or of
    the home auditor (X25519, 32 bytes). `progress` is told how many entries of how many were read.

    Raises:
        Malformed: there is no checkpoint that can be read: not an export of a log.
    """
    audit = (_PairAudit if export.is_pair(folder) else _Audit)(card, folder=folder, persons=Persons(card.persons))
    audit.checkpoint()
    audit.known(witnessed)
    audit.walk(Opener(reader_key) if reader_key is not None else None, progress)
    audit.compare()
    audit.receipts()
    return audit.report(reader_key is not None)


@dataclass(slots=True)
class Head:
    """Whose checkpoint it is and who saw it: the first two steps, of a whole copy and of evidence alike. `faults` keeps
    the first fault of each step."""

    card: Card
    faults: dict[str, Step] = field(default_factory=dict)
    head: Checkpoint = field(default_factory=lambda: Checkpoint("?", 0, merkle.EMPTY_ROOT))
    cosigned: list[tuple[str, int]] = field(default_factory=list)

    def fault(self, step: str, why: str, position: int | None = None, *, exact: bool = True) -> None:
        """Keep one fault of each step: an exact place before a rough one, and of two the one further to the front."""
        new = Step(step, False, why, position, exact and position is not None)
        held = self.faults.get(step)
        if held is None or _rank(new) < _rank(held):
            self.faults[step] = new

    def judge(self, noted: bytes) -> None:
        """Who signed the checkpoint and who cosigned it. Raises Malformed: it cannot be read."""
        parsed = note.parse(noted)
        self.head = checkpoint.parse(parsed.text)
        log = self.card.log(self.head.origin)
        if log is None:
            self.fault("signature", f"the trust card names no log {self.head.origin}")
        elif not self._signed(parsed):
            self.fault("signature", "the log's key on the trust card has not signed this checkpoint")
        names = self._cosigners(parsed)
        if not self.card.quorum.holds(names):
            self.fault(
                "quorum",
                f"cosigned by {', '.join(names) or 'nobody'}; the trust card asks for {self.card.quorum.name}",
                None,
            )

    def _signed(self, parsed: note.Note) -> bool:
        log = self.card.log(self.head.origin)
        try:
            return log is not None and bool(note.verify(parsed, [log]))
        except VerificationFailed:
            return False

    def _cosigners(self, parsed: note.Note) -> list[str]:
        names: list[str] = []
        for name, witness in self.card.quorum.witnesses.items():
            try:
                good = note.verify(parsed, [witness])
            except VerificationFailed:
                self.fault("quorum", f"the cosignature of {name} does not hold")
                continue
            if good:
                names.append(name)
                self.cosigned.append((name, good[0].time_s))
        return names

    def steps(self, names: Sequence[str], details: Mapping[str, str]) -> tuple[Step, ...]:
        """How each step went; `details` say it where the step holds."""
        details = {
            "signature": f"signed by {self.head.origin}",
            "quorum": f"cosigned by {', '.join(name for name, _ in self.cosigned) or 'nobody, as the card allows'}",
            **details,
        }
        return tuple(self.faults.get(name) or Step(name, True, details[name]) for name in names)


@dataclass(slots=True)
class _Audit(Head):
    """One verification of a whole copy as it goes."""

    folder: export.Folder = field(default_factory=export.MemoryFolder)
    heads: list[tuple[Checkpoint, str]] = field(default_factory=list)
    """Heads that this log must extend, by size, each with where it is known from."""
    roots: dict[int, bytes] = field(default_factory=dict)
    """Recomputed roots at those heads' sizes."""
    edge: tiles.Edge = field(default_factory=tiles.Edge)
    pairs: dict[str, tuple[int, bytes, int]] = field(default_factory=dict)
    """Of the last entry of each pair: its number in the pair, its leaf hash, its number in the log."""
    is_chained: bool = False
    """Whether a leaf of the form with `pair_hash` has come; all after it are."""
    intents: dict[int, Leaf] = field(default_factory=dict)
    last_ns: int = 0
    last_seq_time: int = 0
    manifests: set[tuple[str, bytes]] = field(default_factory=set)
    erasures: Erasures = field(default_factory=Erasures)
    persons: Persons = field(default_factory=Persons)
    disclosures: Disclosures = field(default_factory=Disclosures)
    charges: Charges = field(default_factory=Charges)
    with_payloads: bool = True
    receipts_said: int | None = None
    """How many receipts the export says it has; None where it is of a form that does not say."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(
        ("entries", "outcomes", "payloads", "opened", "receipts"), 0))  # fmt: skip

    # 1, 2

    def checkpoint(self) -> None:
        form = _FORM.match(self.folder.read("format") or b"")
        if form is None:
            raise Malformed("format", f"not a folder of the form {export.FORMAT}")
        self.with_payloads, self.receipts_said = form[1] is None, None if form[2] is None else int(form[2])
        noted = self.folder.read("checkpoint")
        if noted is None:
            raise Malformed("checkpoint", "there is none")
        self.judge(noted)

    # 9, first half

    def known(self, witnessed: Sequence[bytes]) -> None:
        """Gather every head this log is bound to."""
        for head in self.card.seen:
            if head.origin == self.head.origin:
                self.heads.append((head, "the trust card"))
        held = [(noted, "a witness") for noted in witnessed]
        try:
            for noted in export.split_records(self.folder.read("history") or b"", "history"):
                held.append((noted, "the log's own history"))
        except Malformed as why:
            self.fault("history", str(why))
        cosigned: dict[int, list[int]] = {self.head.size: [time_s for _, time_s in self.cosigned]}
        for noted, where in held:
            try:
                parsed = note.parse(noted)
                head = checkpoint.parse(parsed.text)
            except Malformed as why:
                self.fault("history", f"a note from {where} cannot be read: {why}")
                continue
            if head.origin != self.head.origin:
                continue
            if not self._signed(parsed):
                self.fault("history", f"a note of {head.size} entries from {where} is not signed by the log")
                continue
            try:
                good = note.verify(parsed, self.card.quorum.witnesses.values())
                cosigned.setdefault(head.size, []).extend(one.time_s for one in good)
            except VerificationFailed as why:
                self.fault("history", f"a note of {head.size} entries from {where}: {why.why}")
            self.heads.append((head, where))
        self.heads.append((self.head, "the checkpoint"))
        self.heads.sort(key=lambda one: one[0].size)
        if self.card.quorum.witnesses:
            self.erasures.cosigned = {size: max(times) * 10**9 for size, times in cosigned.items() if times}

    # 3 to 7, 10

    def walk(self, opener: Opener | None, progress: Callable[[int, int], None]) -> None:
        """One pass over all bundles, with the tree growing beside it."""
        sizes = sorted({head.size for head, _ in self.heads if head.size <= self.head.size})
        if sizes and sizes[0] == 0:
            self.roots[0] = merkle.EMPTY_ROOT
        upper: dict[tuple[int, int], bytes] = {}
        for number in range(-(-self.head.size // tiles.WIDTH)):
            start = number * tiles.WIDTH
            width = min(tiles.WIDTH, self.head.size - start)
            leaves = self._bundle(number, width)
            payloads = self._payloads(number)
            hashes = [merkle.leaf_hash(data) for data in leaves]
            self._tile(0, number, hashes, width)
            for offset, (data, hash_) in enumerate(zip(leaves[:width], hashes, strict=False)):
                for level, n, row, _ in self.edge.append(hash_):
                    if level:
                        upper[(level, n)] = b"".join(row)
                size = self.edge.size
                at = bisect.bisect_left(sizes, size)
                if at < len(sizes) and sizes[at] == size:
                    self.roots[size] = self.edge.root()
                self._entry(start + offset, data, hash_, payloads.pop(start + offset, None), opener)
            for seq in payloads:
                self.fault("payloads", "a payload for an entry that has none", seq)
            progress(start + len(leaves), self.head.size)
            if len(leaves) < width:
                break
        for level, row in enumerate(self.edge.levels):
            if level and row:
                upper[(level, self.head.size >> tiles.HEIGHT * (level + 1))] = b"".join(row)
        for (level, number), data in sorted(upper.items()):
            # Where the leaves themselves are at fault, the rows above them tell nothing new.
            if "root" in self.faults:
                break
            if self.folder.read(tiles.path(level, number, len(data) // 32)) != data:
                self.fault("root", f"tile {level}/{number} is not the one its leaves make",
                           number << tiles.HEIGHT * (level + 1), exact=False)  # fmt: skip
        self._judge_missing()

    def _judge_missing(self) -> None:
        if self.with_payloads:
            for seq, why in self._gone():
                self.fault("payloads", why, seq)

    def _gone(self) -> list[tuple[int, str]]:
        return self.erasures.faults()

    def _bundle(self, number: int, width: int) -> list[bytes]:
        start = number * tiles.WIDTH
        data = self._any_width(tiles.entries_path, number, width)
        if data is None:
            self.fault("root", f"the entries from {start} on are not there", start, exact=False)
            return []
        try:
            leaves = tiles.decode_bundle(data)
        except Malformed:
            # A broken length: everything before it can still be compared with the tile.
            leaves = _readable(data)
            self.fault("root", "the entries cannot be read on from here", start + len(leaves))
        if len(leaves) < width:
            self.fault("root", f"{len(leaves)} of {width} entries are in this bundle", start + len(leaves), exact=False)
        return leaves

    def _tile(self, level: int, number: int, hashes: Sequence[bytes], width: int) -> None:
        start = number * tiles.WIDTH
        data = self._any_width(lambda n, w: tiles.path(level, n, w), number, width)
        if data is None:
            self.fault("root", f"tile {level}/{number} is not there", start, exact=False)
            return
        for offset in range(width):
            row = data[32 * offset : 32 * offset + 32]
            if offset >= len(hashes) or len(row) < 32:
                self.fault("root", "entries and tree end at different places", start + offset, exact=False)
                return
            if hashes[offset] != row:
                self.fault("root", "the entry does not hash to what the tree has here", start + offset)
                return
        if len(hashes) > width or len(data) > 32 * width:
            self.fault("root", "there is more than the checkpoint's size", start + width, exact=False)

    def _any_width(self, path: Callable[[int, int], str], number: int, width: int) -> bytes | None:
        """The file under its right name, else one of another width: not right, but it helps to find the place."""
        for other in (width, *range(tiles.WIDTH, 0, -1)):
            data = self.folder.read(path(number, other))
            if data is not None:
                return data
        return None

    def _payloads(self, number: int) -> dict[int, bytes]:
        data = self.folder.read(export.payloads_path(number)) if self.with_payloads else None
        return self._kept(data, number * tiles.WIDTH)

    def _kept(self, data: bytes | None, start: int) -> dict[int, bytes]:
        kept: dict[int, bytes] = {}
        last = -1
        try:
            for record in export.split_records(data or b"", "payloads"):
                seq = int.from_bytes(record[:8], "big")
                if len(record) < 8 or seq <= last:
                    raise Malformed("payloads", "not in the order of their numbers")
                kept[seq] = record[8:]
                last = seq
        except Malformed as why:
            self.fault("payloads", str(why), start)
            return {}
        return kept

    def _entry(self, seq: int, data: bytes, hash_: bytes, payload: bytes | None, opener: Opener | None) -> None:
        self.counts["entries"] += 1
        try:
            leaf = Leaf.parse(data)
        except Malformed as why:
            self.fault("sequence", f"the leaf cannot be read: {why}", seq)
            return
        if leaf.seq != seq:
            self.fault("sequence", f"the leaf says it is number {leaf.seq}", seq)
        if leaf.is_chained:
            self.is_chained = True
        elif self.is_chained:
            self.fault("sequence", "a leaf of the form before, after one of the newer form", seq)
        if leaf.peer:
            last, before, at = self.pairs.get(leaf.peer, (0, NO_ENTRY, seq))
            if leaf.pair_seq != last + 1:
                self.fault("sequence", f"number {leaf.pair_seq} with {leaf.peer} where {last + 1} is due", seq)
            elif leaf.is_chained and leaf.pair_hash != before:
                self.fault("sequence", f"the next entry with {leaf.peer} names another one before it", at)
            self.pairs[leaf.peer] = (leaf.pair_seq, hash_, seq)
        if leaf.time_ns < self.last_ns:
            self.fault("time", "the time goes back", seq)
        self.last_ns = max(self.last_ns, leaf.time_ns)
        self._pair(leaf, seq)
        unsigned = self.persons.fault(leaf)
        for step, said in (
            ("payloads", self.erasures.fault(seq, leaf, is_signed=not unsigned)),
            ("persons", unsigned),
            ("disclosures", self.disclosures.fault(leaf)),
            ("charges", self.charges.fault(leaf)),
        ):
            if said:
                self.fault(step, said, seq)
        manifest = leaf.public.get("manifest_hash")
        if isinstance(manifest, bytes):
            self.manifests.add((leaf.peer, manifest))
        self._payload(leaf, seq, payload, opener)

    def _pair(self, leaf: Leaf, seq: int) -> None:
        if leaf.kind not in PAIRED:
            return
        if leaf.phase is Phase.INTENT:
            self.intents[seq] = leaf
            return
        self.counts["outcomes"] += 1
        named = leaf.public.get("intent_seq")
        intent = self.intents.pop(named, None) if type(named) is int else None
        if intent is None:
            self.fault("pairs", "the outcome names no open intent before it", seq)
            return
        same = ("purpose", "basis", "list", "class", "request_hash", "leg", "batch", "query_digest", "snapshot")
        if (intent.kind, intent.peer) != (leaf.kind, leaf.peer) or any(
            intent.public.get(name) != leaf.public.get(name) for name in same
        ):
            self.fault("pairs", f"the outcome is about another thing than its intent {intent.seq}", seq)

    def _payload(self, leaf: Leaf, seq: int, payload: bytes | None, opener: Opener | None) -> None:
        if not leaf.sealed:
            if payload is not None:
                self.fault("payloads", "a payload for an entry that has none", seq)
            return
        if payload is None:
            self.erasures.missing(seq, leaf)
            return
        self.counts["payloads"] += 1
        if hashlib.sha256(payload).digest() != leaf.sealed:
            self.fault("payloads", "the payload is not the one that was logged", seq)
            return
        if opener is None:
            return
        try:
            opened = opener.open(payload)
            kind = KINDS[(leaf.kind, leaf.phase)]
            for names, part in ((kind.secret, opened.secret), (kind.guard, opened.guard)):
                if set(open_fields(leaf, part)) != set(names):
                    self.fault("commitments", "the sealed fields are not the kind's", seq)
            self.counts["opened"] += 1
        except GatewayError as why:
            self.fault("commitments", str(why), seq)

    # 3 and 9, second half

    def compare(self) -> None:
        """Hold the recomputed roots against every known head; the bracket between good and bad locates a rewriting."""
        good = 0
        for head, where in self.heads:
            root = self.roots.get(head.size)
            if head.size > self.head.size:
                self.fault(
                    "history",
                    f"{where} has seen {head.size} entries of this log; this copy ends before that: its tail was cut",
                    self.head.size,
                )
            elif root == head.root:
                good = max(good, head.size)
            elif where == "the checkpoint":
                if "root" not in self.faults:
                    self.fault(
                        "root", "the entries make another root than the one signed", self._suspect(good), exact=False
                    )
            else:
                self.fault(
                    "history",
                    f"entries {good} to {head.size} are not those that {where} has seen: the log was rewritten",
                    self._suspect(good) if root is not None else self.edge.size,
                )

    def _suspect(self, good: int) -> int:
        """The best guess for a place: the first entry that contradicts itself, else the first not known to be good."""
        places = [self.faults[step].position for step in ("sequence", "time", "pairs") if step in self.faults]
        return min([place for place in places if place is not None and place >= good], default=good)

    # 8

    def receipts(self) -> None:
        try:
            items = export.split_records(self.folder.read("receipts") or b"", "receipts")
        except Malformed as why:
            self.fault("receipts", str(why))
            return
        if self.receipts_said not in (None, len(items)):
            self.fault("receipts", f"the export says {self.receipts_said} messages and {len(items)} are here")
        for number, item in enumerate(items):
            try:
                receipt = export.Receipt.parse(item)
            except Malformed:
                self.fault("receipts", f"receipt {number} cannot be read")
                continue
            if (receipt.peer, receipt.digest) not in self.manifests:
                self.fault("receipts", f"receipt {number} is of a message that no entry names")
                continue
            self.counts["receipts"] += 1

    @property
    def names(self) -> tuple[str, ...]:
        """The steps that are asked."""
        return STEPS

    def details(self, with_key: bool) -> dict[str, str]:
        """What each step found where it holds."""
        counts = self.counts
        opened = f"{counts['opened']} payloads opened and as committed"
        if not with_key:
            opened = "skipped: no reader's key was given"
        return {
            "root": f"{counts['entries']} leaves make the signed root",
            "sequence": f"0 to {self.head.size - 1} without a gap" if self.head.size else "the log is empty",
            "time": "never goes back",
            "pairs": f"{counts['outcomes']} outcomes follow their intents, {len(self.intents)} intents have none",
            "payloads": "; ".join([f"{counts['payloads']} as logged", *map(str, self.erased())])
            if self.with_payloads
            else "not in this export",
            "receipts": f"{counts['receipts']} messages are named by entries",
            "history": f"extends {sum(head.size < self.head.size for head, _ in self.heads)} earlier heads",
            "commitments": opened,
            "persons": f"{self.persons.signatures} signatures hold, {self.persons.disclosures} disclosures are of two",
            "disclosures": f"{self.disclosures.counted} rest on a hit, a permit and two acts before them",
            "charges": f"{len(self.charges.charged)} charges, {self.charges.sent} deliveries of what was charged and "
            "made",
        }

    def report(self, with_key: bool) -> Report:
        steps = self.steps(self.names, self.details(with_key))
        ok = not self.faults
        return Report(
            self.head.origin, self.head.size, self.head.root, tuple(self.cosigned), steps,
            self._proved(with_key) if ok else (), self._not_proved(with_key), self.erased(),
        )  # fmt: skip

    def erased(self) -> tuple[Erased, ...]:
        """By day and class."""
        return tuple(sorted(self.erasures.erased.values(), key=lambda one: (one.date, one.retention)))

    def _proved(self, with_key: bool) -> tuple[str, ...]:
        witnesses = ", ".join(name for name, _ in self.cosigned)
        said = [
            f"These {self.head.size} entries are exactly those {self.head.origin} has signed; none was changed, "
            "removed, inserted or reordered since.",
        ]
        if witnesses:
            said.append(f"{witnesses} saw the same log, so its operator has not shown another one to them.")
        said.append(f"Each of {self.counts['outcomes']} outcomes was preceded by its intent.")
        if self.with_payloads:
            said.append(f"{self.counts['payloads']} sealed payloads are the ones that were logged.")
        said += [f"Payloads: {one}." for one in self.erased()]
        if self.persons.disclosures:
            said.append(f"Each of {self.persons.disclosures} disclosures was signed by two persons enrolled before.")
        if self.disclosures.counted:
            said.append(
                f"Before each of {self.disclosures.counted} disclosures stand the opening of its case over a hit, "
                "rules in force that it names, and the acts of both persons."
            )
        if self.charges.charged:
            said.append(f"Each of {len(self.charges.charged)} releases was charged once, before it was made or given.")
        if with_key:
            said.append(f"The sealed fields of {self.counts['opened']} entries are the ones committed to at the time.")
        return tuple(said)

    def _not_proved(self, with_key: bool) -> tuple[str, ...]:
        said = [
            "That everything that happened was logged: compare with the other state's log.",
            "That what an entry says is true.",
            f"Anything after entry {self.head.size - 1}." if self.head.size else "Anything: the log is empty.",
        ]
        if not self.cosigned:
            said.append("That the operator shows everybody the same log: no witness has cosigned.")
        if self.persons.signatures and not self.card.persons:
            said.append("That those enrolled are persons of the agency's register: the card names none.")
        if self.disclosures.counted:
            said.append("That a disclosure's hit was a true one: what was found stands in no log in clear.")
        if self.disclosures.unnamed:
            said.append(
                f"Over which answers {self.disclosures.unnamed} disclosures' hits were: their openings are of an older "
                "form."
            )
        if self.receipts_said is None:
            said.append("That no signed message was taken out: this export does not say how many it has.")
        if not with_key:
            said.append("What the sealed fields say: no reader's key was given.")
        gone = sum(one.count for one in self.erased())
        if gone:
            said.append(f"What {gone} erased payloads said: only their digests are left.")
        if self.erasures.lost:
            said.append(f"What {self.erasures.lost} payloads said whose keys were lost when the node was restored.")
        return tuple(said)


PAIR_STEPS: Final = (
    "signature", "quorum", "root", "sequence", "tail", "time", "pairs", "payloads", "receipts", "commitments",
)  # fmt: skip
"""Names of the steps for a folder that shows one pair, in order."""

_PAIR_FORM: Final = re.compile(rf"{re.escape(export.PAIR_FORMAT)}\n([A-Z]{{3}})\n{_HOLDS}".encode())


@dataclass(slots=True)
class _PairAudit(_Audit):
    """One verification of the entries about one peer. What needs other entries is not asked."""

    peer: str = ""
    unchained: int = 0

    def fault(self, step: str, why: str, position: int | None = None, *, exact: bool = True) -> None:
        if step in PAIR_STEPS:
            _Audit.fault(self, step, why, position, exact=exact)

    def checkpoint(self) -> None:
        form = _PAIR_FORM.match(self.folder.read("format") or b"")
        noted = self.folder.read("checkpoint")
        if form is None or noted is None:
            raise Malformed("format", f"not a folder of the form {export.PAIR_FORMAT}")
        self.peer, self.with_payloads = form[1].decode(), form[2] is None
        self.receipts_said = None if form[3] is None else int(form[3])
        self.judge(noted)

    def walk(self, opener: Opener | None, progress: Callable[[int, int], None]) -> None:
        payloads = self._kept(self.folder.read("payloads") if self.with_payloads else None, 0)
        before = -1
        try:
            for number, record in enumerate(export.split_records(self.folder.read("entries") or b"", "entries"), 1):
                data, proof = _with_proof(record, 2)
                leaf = Leaf.parse(data)
                if leaf.seq <= before or leaf.peer != self.peer:
                    self.fault("sequence", f"entry {number} with {self.peer} is not in its place", leaf.seq)
                before = leaf.seq
                self.unchained += not leaf.is_chained
                self._included(leaf.seq, data, proof)
                self._entry(leaf.seq, data, merkle.leaf_hash(data), payloads.pop(leaf.seq, None), opener)
                progress(leaf.seq + 1, self.head.size)
        except Malformed as why:
            self.fault("sequence", f"the entries cannot be read on: {why}", before + 1)
        for seq in payloads:
            self.fault("payloads", "a payload for an entry that is not here", seq)
        self._tail(before)
        self._judge_missing()

    def _gone(self) -> list[tuple[int, str]]:
        # What says that something was erased is about no peer, and so not here.
        return self.erasures.past(self.last_ns)

    def _included(self, seq: int, data: bytes, proof: Sequence[bytes]) -> None:
        try:
            merkle.verify_inclusion(seq, self.head.size, merkle.leaf_hash(data), proof, self.head.root)
        except VerificationFailed:
            self.fault("root", "the entry is not in the tree that was signed", seq)

    def _tail(self, last: int) -> None:
        """The last entry of the tree says where the pair stands."""
        try:
            data, proof, salt, siblings = _with_proof(self.folder.read("heads") or b"", 4)
            ending = Leaf.parse(data)
            count, hash_, _ = self.pairs.get(self.peer, (0, NO_ENTRY, 0))
            root = pairs.root_of(self.peer, pairs.Head(count, hash_), pairs.Opening(salt, tuple(siblings)))
        except Malformed as why:
            self.fault("tail", f"where the pair ends cannot be read: {why}", last + 1, exact=False)
            return
        self._included(self.head.size - 1, data, proof)
        self.last_ns = max(self.last_ns, ending.time_ns)
        if ending.kind != pairs.KIND or ending.seq != self.head.size - 1:
            self.fault("tail", "the last entry of the tree does not say where pairs stand", ending.seq)
        elif ending.public["root"] != root:
            self.fault("tail", f"the log has other entries with {self.peer} after this one", last + 1, exact=False)

    def compare(self) -> None:
        """Nothing: a head seen before is held against a whole copy."""

    def details(self, with_key: bool) -> dict[str, str]:
        count = self.counts["entries"]
        return _Audit.details(self, with_key) | {
            "root": f"{count} entries are in the signed tree",
            "sequence": f"1 to {count} with {self.peer} without a gap",
            "tail": f"the log has {count} entries with {self.peer}",
        }

    @property
    def names(self) -> tuple[str, ...]:
        return PAIR_STEPS

    def _proved(self, with_key: bool) -> tuple[str, ...]:
        said = [
            f"These {self.counts['entries']} entries are all that {self.head.origin} has about {self.peer} in the "
            f"{self.head.size} entries it has signed; none was left out, changed, inserted or reordered.",
            f"Each of {self.counts['outcomes']} outcomes was preceded by its intent.",
        ]
        if self.with_payloads:
            said.append(f"{self.counts['payloads']} sealed payloads are the ones that were logged.")
        return tuple(said)

    def _not_proved(self, with_key: bool) -> tuple[str, ...]:
        said = [
            "That everything that happened was logged: reconcile with the other state's log.",
            "That what an entry says is true.",
            "Who may sign, on what a disclosure rests, and that the log extends what was seen before: a copy of the "
            "whole log says that.",
        ]
        if self.unchained:
            said.append(f"That none of the first {self.unchained} entries stands for another: they are of a form "
                        "without a chain.")  # fmt: skip
        if not self.cosigned:
            said.append("That the operator shows everybody the same log: no witness has cosigned.")
        if not with_key:
            said.append("What the sealed fields say: no reader's key was given.")
        if self.erasures.unsaid:
            said.append(
                f"That {self.erasures.unsaid} payloads that are not here were erased lawfully: their term was over, "
                "and a copy of the whole log says how they went."
            )
        return tuple(said)


def _with_proof(data: bytes, parts: int) -> list[Any]:
    """Parts in turn bytes and lists of bytes. Raises Malformed."""
    value = cbor.decode(data, field="proof", limit=1 << 20)
    if not isinstance(value, list) or len(value) != parts:
        raise Malformed("proof", "not an entry with its proof")
    for n, part in enumerate(value):
        whole = part if n % 2 else [part]
        if not isinstance(whole, list) or not all(isinstance(one, bytes) for one in whole):
            raise Malformed("proof", "not an entry with its proof")
    return value


def _rank(fault: Step) -> tuple[bool, int]:
    return (not fault.exact, 1 << 62 if fault.position is None else fault.position)


def _readable(data: bytes) -> list[bytes]:
    """The entries before the place where a bundle's lengths break."""
    leaves: list[bytes] = []
    at = 0
    while at + 2 <= len(data) and len(leaves) < tiles.WIDTH:
        stop = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if stop > len(data):
            break
        leaves.append(data[at + 2 : stop])
        at = stop
    return leaves
