"""The catalogue of what can be logged: each kind's fields, and how long its payload is kept.

docs/audit-events.md is checked against this table. An entry that lacks a mandatory field or has an undeclared one is
refused before it reaches the log, so that nothing personal can slip into a leaf under a new name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.audit.entry import Entry, Phase
from gateway.errors import InputRefused

DAY_NS: Final = 24 * 3600 * 10**9

RETENTION_NS: Final = {
    "none": 0,
    "24h": DAY_NS,
    "30d": 30 * DAY_NS,
    "1y": 365 * DAY_NS,
    "3y": 3 * 365 * DAY_NS,
    "10y": 10 * 365 * DAY_NS,
}
"""How long a sealed payload stays, ns from the leaf's time. Leaves stay for ever: they hold nothing personal."""

MINIMUM_NS: Final = {name: min(term, 365 * DAY_NS) for name, term in RETENTION_NS.items()}
"""Before this age nothing is destroyed, whoever orders it: records of access stay for review at the earliest one year
(Regulation (EC) 1987/2006 article 12(4)), or their whole term where that is shorter."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: what an entry of this kind and phase says.

    `public` stand in every leaf, `optional` may; `secret` and `guard` stand in every leaf as commitments, whether the
    entry has a value for them or not, so that presence tells nothing.
    """

    number: int
    name: str
    phase: Phase
    meaning: str
    public: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    guard: tuple[str, ...] = ()
    retention: str = "3y"

    @property
    def is_sealed(self) -> bool:
        """True where an entry has a payload."""
        return bool(self.secret or self.guard)


_QUESTION = ("purpose", "basis", "agency", "list", "class", "batches")
_RULES = ("agreement", "baseline", "national")
_VERSIONS = ("baseline", "national")
_STATISTIC = ("purpose", "basis", "agency", "role", "query_digest")
_TABLE = ("list", "group", "epoch", "version", "padded_count", "table_hash", "manifest_hash", "basis")

CATALOGUE: Final[tuple[Kind, ...]] = (
    Kind(
        1,
        "check.ask",
        Phase.INTENT,
        "We are about to put one padded batch (or several) to one owner.",
        public=(*_QUESTION, *_RULES),
        optional=("leg", "role", "seed_commitments", "epoch", "version", "key_types", "permit_expires_ns"),
        secret=("officer", "case", "justification", "seeds", "keys"),
        guard=("guarded", "why"),
        retention="30d",
    ),
    Kind(
        2,
        "check.ask",
        Phase.OUTCOME,
        "How that leg ended; whether anything was found is sealed.",
        public=(*_QUESTION, *_RULES, "intent_seq", "reply", "reason", "request_hashes"),
        optional=("leg", "role", "reply_hashes", "replies"),
        secret=("hits",),
        retention="30d",
    ),
    Kind(
        3,
        "check.denied",
        Phase.EVENT,
        "Our own rules forbade putting a question to this owner.",
        public=("purpose", "basis", "agency", "reasons"),
        optional=("list", "role", "class"),
        secret=("officer", "case"),
        retention="30d",
    ),
    Kind(
        4,
        "check.answer",
        Phase.INTENT,
        "We are about to evaluate a peer's batch; its quota is charged.",
        public=(*_QUESTION, *_RULES, "role", "batch", "peer_seq", "request_hash", "seed_commitment", "epoch"),
        optional=("signed",),
    ),
    Kind(
        5,
        "check.answer",
        Phase.OUTCOME,
        "The evaluated batch and its proof are stored and may leave.",
        public=(
            *_QUESTION,
            *_RULES,
            "role",
            "batch",
            "peer_seq",
            "request_hash",
            "seed_commitment",
            "epoch",
            "intent_seq",
            "reply_hash",
            "table_version",
        ),
    ),
    Kind(
        6,
        "check.refused",
        Phase.EVENT,
        "We refused a peer's batch; nothing was evaluated.",
        public=("purpose", "request_hash", "reason"),
        optional=("basis", "agency", "class", "peer_seq", "reasons", "list", "role", "batch", "count", "signed"),
    ),
    Kind(
        7,
        "table.published",
        Phase.EVENT,
        "A table for one peer is signed and may be fetched.",
        public=(*_TABLE, *_RULES),
        optional=("previous", "public_key"),
        secret=("told", "withheld"),
        retention="3y",
    ),
    Kind(
        8,
        "table.received",
        Phase.EVENT,
        "A peer's table was fetched; `fault` is empty where it is in use.",
        public=(*_TABLE, "fault"),
        optional=("previous",),
    ),
    Kind(
        9,
        "list.loaded",
        Phase.EVENT,
        "Two persons' file changed our own list; one `list.entry` follows for each row.",
        public=("list", "mode", "file_hash", "basis", "added", "changed", "withdrawn", "signers"),
        secret=("officers", "decision"),
        retention="3y",
    ),
    Kind(
        10,
        "list.entry",
        Phase.EVENT,
        "One entry of our list was entered, altered or withdrawn.",
        public=("list", "act", "basis"),
        optional=("file_hash",),
        secret=("entry_id", "originator", "decision", "officers", "before", "after"),
        retention="3y",
    ),
    Kind(
        11,
        "list.denied",
        Phase.EVENT,
        "A change of our list was refused by the rules or a floor.",
        public=("list", "file_hash", "reasons"),
        secret=("officers", "decision"),
        retention="3y",
    ),
    Kind(
        12,
        "policy.activated",
        Phase.EVENT,
        "A signed bundle is in force; its sequence is anchored here (T6).",
        public=("layer", "digest", "sequence"),
        optional=("signer", "not_after_ns", "impact", "persons"),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        13,
        "officer.enrolled",
        Phase.EVENT,
        "A person's key was entered in the register.",
        public=("agency", "roles", "key_thumbprint"),
        secret=("officer", "by"),
        retention="10y",
    ),
    Kind(
        14,
        "officer.retired",
        Phase.EVENT,
        "A person's key is no longer valid.",
        public=("agency", "key_thumbprint"),
        optional=("roles",),
        secret=("officer", "by"),
        retention="10y",
    ),
    Kind(
        15,
        "officer.login",
        Phase.EVENT,
        "A person proved the enrolled key and was given a short token.",
        public=("agency", "granted"),
        optional=("reason", "token_hash", "expires_ns"),
        secret=("officer",),
        retention="1y",
    ),
    Kind(
        16,
        "peer.suspended",
        Phase.EVENT,
        "A peer was suspended or admitted again; evaluation stops at the next call.",
        public=("suspended",),
        optional=("reason",),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        17,
        "federation.adopted",
        Phase.EVENT,
        "A signed list of members is in force.",
        public=("version", "digest"),
        optional=("members", "expires_ns", "signers"),
    ),
    Kind(18, "epoch.opened", Phase.EVENT, "A fresh pseudonym key for one peer.", public=("epoch", "expires_ns")),
    Kind(
        19,
        "keys.destroyed",
        Phase.EVENT,
        "A peer's seeds are gone; there is no way back.",
        public=("seeds",),
        optional=("epoch", "reason"),
    ),
    Kind(
        20,
        "witness.cosigned",
        Phase.EVENT,
        "We cosigned a peer's checkpoint.",
        public=("origin", "old_size", "size", "root"),
    ),
    Kind(
        21,
        "witness.disputed",
        Phase.EVENT,
        "A witness refused our checkpoint: one of us was rolled back or lies.",
        public=("step", "our_size", "their_size"),
        optional=("note_hash", "witness"),
    ),
    Kind(
        22,
        "checkpoint.fault",
        Phase.EVENT,
        "A peer showed a checkpoint that contradicts an earlier one.",
        public=("origin", "size", "root"),
        optional=("known_size", "known_root", "known_note", "step", "note"),
    ),
    Kind(
        23,
        "audit.read",
        Phase.EVENT,
        "Somebody read the log.",
        public=("first", "count"),
        optional=("filter", "purpose"),
        secret=("officer", "case"),
        retention="3y",
    ),
    Kind(
        24,
        "audit.exported",
        Phase.EVENT,
        "The log left the node as a folder.",
        public=("size", "root"),
        optional=("payloads", "about"),
        secret=("officer",),
        retention="10y",
    ),
    Kind(25, "node.started", Phase.EVENT, "The log is open for writing.", public=("release",), optional=("size",)),
    Kind(26, "node.stopped", Phase.EVENT, "The log was closed in order.", optional=("reason",)),
    Kind(
        27,
        "clock.step",
        Phase.EVENT,
        "The wall clock moved against the monotonic one by more than 2 s.",
        public=("step_ms",),
    ),
    Kind(28, "filler", Phase.EVENT, "Nothing happened: a checkpoint's size is rounded up (T14)."),
    Kind(
        29,
        "counters.lost",
        Phase.EVENT,
        "A start began with empty counters per subject (T16).",
        public=("reason",),
    ),
    Kind(
        30,
        "document.read",
        Phase.EVENT,
        "A document was read without asking anybody.",
        public=("agency", "format", "valid"),
        secret=("officer",),
        retention="24h",
    ),
    Kind(
        31,
        "payloads.erased",
        Phase.EVENT,
        "Payloads of one class and period were destroyed, with the keys of every copy of them; the data is not named.",
        public=("class", "period", "first", "last", "count", "ground", "until_ns", "checkpoint"),
    ),
    Kind(
        32,
        "alert.raised",
        Phase.EVENT,
        "A rule that watches the node or its people has fired; never about whom, and alike for a hit and none.",
        public=("alert_id", "rule", "times"),
        secret=("officers", "count", "seq"),
        retention="1y",
    ),
    Kind(
        33,
        "call.refused",
        Phase.EVENT,
        "Calls of a peer that never reached a flow, coalesced.",
        public=("reason", "count"),
        optional=("method",),
    ),
    Kind(
        34,
        "protection.changed",
        Phase.EVENT,
        "A line was added to the history of a record's protection tags; which, whose and by whom is sealed (T10).",
        public=("list", "basis"),
        secret=("entry_id", "act", "tag", "source", "decision", "officers", "persons"),
        retention="3y",
    ),
    Kind(
        35,
        "protection.denied",
        Phase.EVENT,
        "An act upon a record's protection tags was denied; nothing was changed.",
        public=("list", "basis"),
        secret=("entry_id", "act", "tag", "decision", "officers", "reasons"),
        retention="3y",
    ),
    Kind(
        36,
        "protection.read",
        Phase.EVENT,
        "A person is about to see the history of a record's protection tags.",
        public=("list",),
        secret=("entry_id", "officers"),
        retention="3y",
    ),
    Kind(
        37,
        "list.impact",
        Phase.EVENT,
        "A person consulted what entries would find among past travellers; the answer was a band (T9).",
        public=("list", "basis"),
        secret=("officer", "case", "entries", "travellers", "file_hash", "traffic_hash", "band"),
        retention="3y",
    ),
    Kind(
        38,
        "pair.compared",
        Phase.EVENT,
        "A peer's word of where its entries about us stand was held against its messages; `fault` says what differs.",
        public=("origin", "size", "count", "head", "asked", "unchecked", "fault"),
        optional=("reason", "number", "named", "statement"),
    ),
    Kind(
        39,
        "pair.told",
        Phase.EVENT,
        "A peer was told where our entries about it stand, and the hashes of those that our messages named.",
        public=("size", "count", "asked"),
    ),
    Kind(
        40,
        "case.act",
        Phase.EVENT,
        "A person acted in a case, or its time ran out; what counts carries the person's own signature (T7).",
        public=(
            "case_id",
            "side",
            "purpose",
            "act",
            "state",
            "version",
            "fields",
            "statement",
            "signature",
            "signer",
            "baseline",
            "national",
        ),
        secret=("officer", "code", "words", "to"),
        retention="3y",
    ),
    Kind(
        41,
        "case.denied",
        Phase.EVENT,
        "An act or a message of a case was denied by the rules, a role or a floor; nothing was done.",
        public=("case_id", "side", "purpose", "act", "reasons"),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        42,
        "case.read",
        Phase.EVENT,
        "A person is about to see the inbox, a case, or what was disclosed in it.",
        public=("case_id", "what"),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        43,
        "case.sent",
        Phase.EVENT,
        "A message of a case is about to leave: the request, the decision with its approvals, or the outcome.",
        public=(
            "case_id",
            "side",
            "purpose",
            "message",
            "state",
            "fields",
            "recipient",
            "record_version",
            "persons",
            "baseline",
            "national",
        ),
        retention="3y",
    ),
    Kind(
        44,
        "case.taken",
        Phase.EVENT,
        "A message of a case came from the other side and moved the case here.",
        public=("case_id", "side", "purpose", "message", "state", "request_hash"),
        optional=("signed", "persons", "record_version", "fields", "answered"),
        secret=("entry_id", "code"),
        retention="3y",
    ),
    Kind(
        45,
        "case.dropped",
        Phase.EVENT,
        "A message of a case was not taken; towards the other side all causes look alike.",
        public=("case_id", "message", "request_hash"),
        optional=("signed",),
        secret=("cause",),
        retention="3y",
    ),
    Kind(
        60,
        "release.dataset",
        Phase.EVENT,
        "Two persons' declaration and events of a data set for statistics are in force.",
        public=("dataset", "snapshot", "declaration", "by_person", "file_hash", "basis", "signers", *_VERSIONS),
        secret=("officers", "decision", "rows"),
        retention="3y",
    ),
    Kind(
        61,
        "release.asked",
        Phase.EVENT,
        "We are about to ask another state for a statistic: for its plan, to make it, or for what was made.",
        public=(*_STATISTIC, "act", "request_id", *_RULES),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        62,
        "release.requested",
        Phase.EVENT,
        "Somebody asks us for a statistic; the answer tells the cost and where the release stands, and no number.",
        public=(*_STATISTIC, "act", "dataset", "request_id", "request_hash", "peer_seq", *_RULES),
        optional=("signed",),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        63,
        "release.denied",
        Phase.EVENT,
        "A data set or a statistic was denied: by the rules, by a floor, by an allowance or by the privacy budget.",
        public=(*_STATISTIC, "act", "request_hash", "reason", "reasons"),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        64,
        "release.charged",
        Phase.EVENT,
        "The privacy of a data set's units is spent for one release, before anything is counted.",
        public=("query_digest", "snapshot", "dataset", "unit", "period", "cost_micro_rho", "salt_commitment"),
        retention="3y",
    ),
    Kind(
        65,
        "release.made",
        Phase.INTENT,
        "We are about to count for a charged release and to draw its noise.",
        public=("query_digest", "snapshot", "dataset", "cost_micro_rho"),
    ),
    Kind(
        66,
        "release.made",
        Phase.OUTCOME,
        "The whole document is stored; its noise is drawn once.",
        public=("query_digest", "snapshot", "dataset", "cost_micro_rho", "intent_seq", "release_hash", "shown_ns"),
    ),
    Kind(
        67,
        "release.failed",
        Phase.EVENT,
        "A charged release could not be made. It stays charged, and is made at no cost when it is asked for again.",
        public=("query_digest", "snapshot", "dataset", "code"),
    ),
    Kind(
        68,
        "release.sent",
        Phase.EVENT,
        "A release is about to be given to one recipient, in the same bytes as ever (T20).",
        public=(*_STATISTIC, "snapshot", "release_hash", "request_hash", *_RULES),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        69,
        "release.received",
        Phase.EVENT,
        "Another state's release is here and is its owner's; or it was refused, and `fault` says why.",
        public=(*_STATISTIC, "snapshot", "release_hash", "fault"),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        70,
        "delta.published",
        Phase.EVENT,
        "A change of our list is signed for one peer and may be fetched; each peer with a table gets as many.",
        public=("list", "group", "epoch", "number", "delta_hash", "agreement", "baseline", "national"),
        secret=("rows",),
        retention="3y",
    ),
    Kind(
        71,
        "delta.received",
        Phase.EVENT,
        "A peer's delta was fetched; `fault` is empty where it is in use.",
        public=("list", "group", "epoch", "number", "delta_hash", "fault"),
    ),
    Kind(
        75,
        "policy.dry_run",
        Phase.EVENT,
        "Rules were asked what they would say to a peer's questions, or to ours to it; no traveller, no charge.",
        public=("purpose", "basis", "agency", "role", "side", "permitted", "reasons", "baseline", "national"),
    ),
    Kind(
        76,
        "node.backup",
        Phase.EVENT,
        "A sealed copy of the node's store, keys and settings was made; it holds no epoch seed.",
        public=("digest", "files", "bytes"),
    ),
    Kind(
        77,
        "node.restored",
        Phase.EVENT,
        "The node came back from a backup, and a witness had seen no more of its log than the backup has.",
        public=("digest", "size", "their_size"),
    ),
    Kind(
        78,
        "witnesses.silent",
        Phase.EVENT,
        "Too few witnesses have seen our log for too long, and nothing is disclosed; or enough have seen it again.",
        public=("silent", "quorum", "size", "reached_ns"),
    ),
    Kind(
        79,
        "alert.acted",
        Phase.EVENT,
        "A supervisor assigned an alert, or closed it with a reason.",
        public=("alert_id", "rule", "act", "state", "version"),
        secret=("officer", "to", "reason", "words"),
        retention="3y",
    ),
    Kind(
        80,
        "alert.read",
        Phase.EVENT,
        "A supervisor is about to see the alerts, or one of them.",
        public=("alert_id", "what"),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        81,
        "officer.declared",
        Phase.EVENT,
        "The agency declared, as keyed hashes, whom an officer may not look up; who they are is nowhere.",
        public=("agency",),
        secret=("officer", "hashes"),
        retention="10y",
    ),
    Kind(
        85,
        "pair.heads",
        Phase.EVENT,
        "Where each pair stands, as one hash; the last entry of every tree that is signed.",
        public=("root",),
    ),
    Kind(
        86,
        "audit.announced",
        Phase.EVENT,
        "A sample of questions was announced; it is drawn from the witnesses' next signatures.",
        public=("about", "count"),
        secret=("officer",),
        retention="10y",
    ),
    Kind(
        87,
        "former.erased",
        Phase.EVENT,
        "The period keys of a log that this one follows were destroyed after their last payload's term.",
        public=("former", "class", "period", "until_ns", "checkpoint"),
    ),
    Kind(
        90,
        "payloads.lost",
        Phase.EVENT,
        "The node was restored from a backup, and the keys of these payloads were not there any more.",
        public=("class", "period", "first", "last", "count"),
    ),
    Kind(
        91,
        "hold.set",
        Phase.EVENT,
        "Two persons keep the payloads of entries `first` to `last` for an authority; to be reviewed at `review_ns`.",
        public=("hold_id", "first", "last", "authority", "decision", "review_ns", "persons"),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        92,
        "hold.lifted",
        Phase.EVENT,
        "Two persons lifted a hold; terms decide again.",
        public=("hold_id", "authority", "decision", "persons"),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        93,
        "erasure.ordered",
        Phase.EVENT,
        "Two persons had payloads of one class destroyed before their term, with the keys of every copy of them.",
        public=(
            "class",
            "first",
            "last",
            "authority",
            "decision",
            "ground",
            "until_ns",
            "checkpoint",
            "persons",
        ),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        100,
        "audit.revealed",
        Phase.EVENT,
        "The sealed part of one entry is about to be given to an auditor, for whom two persons have signed (T7).",
        public=("entry", "kind", "purpose", "persons"),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        101,
        "audit.denied",
        Phase.EVENT,
        "Somebody was refused a reading of the log, or what is sealed of an entry; nothing was read.",
        public=("purpose", "what", "reasons"),
        secret=("officer",),
        retention="10y",
    ),
    Kind(
        102,
        "epoch.rotated",
        Phase.EVENT,
        "Two persons ordered new pseudonym keys; in an emergency the old ones ended with this entry.",
        public=("epochs", "emergency", "decision", "persons"),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        103,
        "epoch.activated",
        Phase.EVENT,
        "A peer's new tables are all made; the epoch before is answered until `until_ns`, then its key is destroyed.",
        public=("epoch", "retired", "until_ns"),
    ),
    Kind(
        105,
        "subject.answered",
        Phase.EVENT,
        "A person was told who had asked about them; neither who, nor what, nor whether there was anything.",
        public=("size", "root", "proofing", "via"),
        secret=("officer",),
        retention="3y",
    ),
    Kind(
        110,
        "log.begun",
        Phase.EVENT,
        "Two persons decided that this log follows one that cannot go on; `size` and `root` were signed for last.",
        public=("former", "size", "root", "held", "origin", "reason", "decision", "persons"),
        secret=("officers",),
        retention="10y",
    ),
    Kind(
        111,
        "log.replaced",
        Phase.EVENT,
        "The list of members names another log of a peer; `size` and `root` are what we cosigned last of the former.",
        public=("former", "origin", "version", "size", "root"),
        retention="10y",
    ),
)

KINDS: Final[Mapping[tuple[str, Phase], Kind]] = {(kind.name, kind.phase): kind for kind in CATALOGUE}
"""By name and phase."""

PAIRED: Final = frozenset(kind.name for kind in CATALOGUE if kind.phase is Phase.INTENT)
"""Kinds whose outcome names its intent by number."""


def judge(entry: Entry) -> Kind:
    """The row of an entry that may be logged.

    Raises:
        InputRefused: unknown kind or phase, a mandatory field missing, or a field that is not declared.
    """
    kind = KINDS.get((entry.kind, entry.phase))
    if kind is None:
        raise InputRefused("no such kind of entry in this phase", field=entry.kind, code="ENTRY_KIND")
    for name in kind.public:
        if name not in entry.public:
            raise InputRefused(f"the public field {name} is missing", field=entry.kind, code="ENTRY_FIELD")
    for name in entry.public:
        if name not in kind.public and name not in kind.optional:
            raise InputRefused(f"the public field {name} is not declared", field=entry.kind, code="ENTRY_FIELD")
    for name in entry.secret:
        if name not in kind.secret:
            raise InputRefused(f"the secret field {name} is not declared", field=entry.kind, code="ENTRY_FIELD")
    for name in entry.guard:
        if name not in kind.guard:
            raise InputRefused(f"the guard field {name} is not declared", field=entry.kind, code="ENTRY_FIELD")
    if entry.retention and entry.retention not in RETENTION_NS:
        raise InputRefused("no such retention class", field=entry.kind, code="ENTRY_RETENTION")
    return kind
