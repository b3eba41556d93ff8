"""`limen audit pack`: everything that a yearly audit needs, in one folder; the same input gives the same bytes."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gateway.audit import copy as copies
from gateway.audit import months, trust, verify
from gateway.audit.copy import Copy
from gateway.audit.entry import Phase
from gateway.audit.leaf import Leaf
from gateway.audit.months import Months
from gateway.audit.seal import Opener
from gateway.cli import inputs
from gateway.cli.acts.audit import reader_key
from gateway.cli.main import OK, Refused
from gateway.cli.output import Bar, emit
from gateway.errors import GatewayError, InputRefused, Malformed
from gateway.opa import bundle
from gateway.opa.bundle import Bundle
from gateway.opa.engine import EmbeddedEngine
from gateway.policy import catalogue
from gateway.policy.decision import Deny, Permit
from gateway.policy.question import Question, Stage
from gateway.store.folder import DirectoryFolder
from gateway.terms import BATCH_CLASSES, AgencyId, PeerId, Purpose, Role, peer_id
from gateway.terms.words import ListId

FORMAT: Final = "limen.pack/1"

_PARTS: Final = ("format", "checkpoint", "history", "receipts", "tile", "payloads")
"""What an export consists of; whatever else lies in its folder stays there."""

README: Final = """# Audit pack of {origin}

{size} entries, up to {until}. Made by `limen audit pack`; the same input gives the same bytes, so whoever has the
export, the card and the bundles can make it again and compare `SHA256SUMS`.

| file | what it is |
|---|---|
| `export/` | the copy of the log, as `limen audit export` wrote it |
| `card` | the trust card it was judged by. Compare its words by telephone; do not believe it because it is here |
| `verification.json` | what `limen audit verify` said of the copy |
| `months/` | each month in plain words: what was used, refused, left undone, read, kept too long |
| `policy/` | the rules that were in force, as files where they were given, and `policy.json` with every digest |
| `replay.json` | decisions of a sample, made again by the rules that were in force |
| `SHA256SUMS` | every other file (`sha256sum -c SHA256SUMS`) |

Verify the copy yourself, with a program and a card that you did not get from the office under audit:

    python3 limen_verify.py export --trust YOUR_CARD

The sample of the replay is drawn by the root of the newest checkpoint, which the office could not choose: an entry is
in it where SHA-256 of the root and its number is among the {sample} smallest.
"""

CANNOT: Final = (
    "The types of match keys of a peer's question: they stand in its signed request and not in the entry; those of the "
    "catalogue are taken.",
    "Whether a case reference was given, without a reader's key: it is taken as given.",
    "How many persons signed a question of a purpose that takes two: as many as it takes.",
    "Guards that follow from the person asked about (candidate origins, protection, purposes used before): what they "
    "read is sealed or was never kept, so a refusal of theirs is not made again.",
    "Decisions of cases, lists and releases: their facts lie in records that may have changed since.",
)
"""What the replay does not recover, or takes as given."""


def run(args: argparse.Namespace) -> int:
    """Do it. A copy that does not verify is packed too, and ends with its fault."""
    if args.out.exists() and any(args.out.iterdir()):
        raise InputRefused(f"{args.out} is not empty; a pack goes into a new folder")
    if args.sample < 0:
        raise Refused("--sample: write 0 or more")
    if args.bundle and args.policy_keys is None:
        raise Refused("--policy-keys: name the folder with the policy authorities' public keys (*.pem)")
    state = peer_id(args.state)
    folder = DirectoryFolder(args.path)
    text = inputs.bytes_of(args.trust).decode("utf-8", "replace")
    key = reader_key(args.reader_key)
    try:
        with Bar(args, "entries") as bar:
            report = verify.inspect(folder, trust.Card.parse(text), reader_key=key, progress=bar.show)
    except Malformed as cause:
        raise InputRefused(f"{args.path}: is not an export of a log ({cause})") from None
    copy = Copy(folder, str(args.path))
    read = _Reading(copy, key)
    for leaf, payload in copy.entries(0):
        read.add(leaf, payload)
    read.months.finish()
    given = _bundles(args, state, read.activated)
    sample = _sample(read.decisions, copy.head.root, args.sample)
    until = months.utc(copy.leaf(copy.head.size - 1).time_ns) if copy.head.size else "nothing"
    files: dict[str, bytes] = {
        "README.md": README.format(
            origin=copy.head.origin, size=copy.head.size, until=until, sample=args.sample
        ).encode(),
        "card": text.encode(),
        "verification.json": _json(report.as_json()),
        "policy/policy.json": _json(_policy(read.activated, given)),
        "replay.json": _json(_replay(sample, read.activated, given, state)),
        **{f"months/{name}.md": page for name, page in _pages(read)},
        **{f"policy/{one.digest.hex()}.tar.gz": raw for raw, one in given.values()},
    }
    _write(args.out, files, args.path)
    emit(
        args,
        {"folder": str(args.out), "ok": report.ok, "months": sorted(read.months.by_name)},
        [f"{args.out}: {len(read.months.by_name)} months of {copy.head.origin}; begin with README.md"],
    )
    fault = report.fault()
    if fault is not None:
        raise fault
    return OK


# -- What the entries say ---------------------------------------------------------------------------------------------


@dataclass
class _Reading:
    """One pass over the copy: months, rules, decisions."""

    copy: Copy
    key: bytes | None

    def __post_init__(self) -> None:
        self.months = Months(self.key is not None)
        self.activated: list[Leaf] = []
        self.decisions: list[tuple[Leaf, Mapping[str, Any]]] = []
        self._opener = Opener(self.key) if self.key is not None else None
        self._earlier = replace(self.copy)

    def add(self, leaf: Leaf, payload: bytes | None) -> None:
        """The next entry."""
        opened = copies.opened(leaf, payload, self._opener)
        keys = None
        if opened.get("hits"):
            intent = leaf.public.get("intent_seq")
            if isinstance(intent, int) and 0 <= intent < leaf.seq:
                asked = self._earlier.leaf(intent)
                keys = copies.opened(asked, self._earlier.payload(intent), self._opener).get("keys")
        self.months.add(leaf, payload is not None, opened, keys)
        if leaf.kind == "policy.activated":
            self.activated.append(leaf)
        elif _is_decision(leaf):
            self.decisions.append((leaf, {"case": opened["case"]} if "case" in opened else {}))


def _is_decision(leaf: Leaf) -> bool:
    if leaf.kind in ("check.ask", "check.answer"):
        return leaf.phase is Phase.INTENT
    return leaf.kind == "check.refused" and bool(leaf.public.get("reasons")) and "role" in leaf.public


def _pages(read: _Reading) -> Iterator[tuple[str, bytes]]:
    titles = {code: row.title for code, row in catalogue.CATALOGUE.items()}
    rules: dict[str, str] = {}
    for name, month in sorted(read.months.by_name.items()):
        yield name, months.page(name, month, titles, sorted(rules.items())).encode()
        rules.update({layer: digest for _, layer, digest in month.rules})


# -- Rules ------------------------------------------------------------------------------------------------------------


def _bundles(args: argparse.Namespace, state: PeerId, activated: Sequence[Leaf]) -> dict[bytes, tuple[bytes, Bundle]]:
    """The bundles that were given, by digest. Raises InputRefused for one that was never in force."""
    known = {leaf.public["digest"]: leaf for leaf in activated}
    keys = {}
    for path in sorted(args.policy_keys.glob("*.pem")) if args.policy_keys is not None else ():
        keys[path.stem] = inputs.bytes_of(path)
    found: dict[bytes, tuple[bytes, Bundle]] = {}
    for path in args.bundle:
        raw = inputs.bytes_of(path)
        leaf = known.get(hashlib.sha256(raw).digest())
        if leaf is None:
            raise InputRefused(f"{path}: these rules were never in force in this log", code="POLICY")
        scope = bundle.BASELINE if leaf.public["layer"] == "baseline" else bundle.national_scope(str(state))
        opened = bundle.open_(raw, keys, scope, 0, leaf.time_ns)
        found[opened.digest] = (raw, opened)
    return found


def _policy(activated: Sequence[Leaf], given: Mapping[bytes, Any]) -> dict[str, Any]:
    return {
        "activated": [
            {
                "entry": leaf.seq,
                "time": months.utc(leaf.time_ns),
                "layer": leaf.public["layer"],
                "sequence": leaf.public["sequence"],
                "digest": _hex(leaf.public["digest"]),
                "file": leaf.public["digest"] in given,
            }
            for leaf in activated
        ]
    }


# -- Replay -----------------------------------------------------------------------------------------------------------


_GATES: Final = frozenset({"not_the_owner", "purpose_group"})
"""Refusals that the gateway makes before it asks the rules."""

Decision = tuple[Leaf, Mapping[str, Any]]


def _sample(decisions: Sequence[Decision], root: bytes, count: int) -> list[Decision]:
    """Those whose number the root draws."""
    drawn = sorted(decisions, key=lambda one: hashlib.sha256(root + one[0].seq.to_bytes(8, "big")).digest())
    return sorted(drawn[:count], key=lambda one: one[0].seq)


def _replay(
    sample: Sequence[Decision],
    activated: Sequence[Leaf],
    given: Mapping[bytes, tuple[bytes, Bundle]],
    state: PeerId,
) -> dict[str, Any]:
    engines: dict[tuple[object, object], EmbeddedEngine | None] = {}
    rows = []
    for leaf, opened in sample:
        # A refusal names no rules: it was made by those that the log says were in force.
        before = {one.public["layer"]: one.public["digest"] for one in activated if one.seq < leaf.seq}
        digests: tuple[object, object] = (
            leaf.public.get("baseline", before.get("baseline")),
            leaf.public.get("national", before.get("national")),
        )
        if digests not in engines:
            engines[digests] = _engine(digests, given, leaf.time_ns)
        engine = engines[digests]
        rows.append({"entry": leaf.seq, "kind": leaf.kind, **_again(leaf, opened, engine, state)})
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["result"]] = totals.get(row["result"], 0) + 1
    return {"sample": len(rows), "results": dict(sorted(totals.items())), "decisions": rows,
            "not_recovered": list(CANNOT)}  # fmt: skip


def _engine(
    digests: tuple[object, object], given: Mapping[bytes, tuple[bytes, Bundle]], now_ns: int
) -> EmbeddedEngine | None:
    baseline, national = (given.get(one) if isinstance(one, bytes) else None for one in digests)
    if baseline is None or national is None:
        return None
    return EmbeddedEngine.load(baseline[1], national[1], now_ns=now_ns)


def _again(leaf: Leaf, opened: Mapping[str, Any], engine: EmbeddedEngine | None, state: PeerId) -> dict[str, Any]:
    """The decision made again, beside the one in the log."""
    logged = str(leaf.public.get("reasons", "")) or "permitted, " + str(leaf.public.get("agreement", ""))
    if _GATES & set(logged.split(",")):
        return {"logged": logged, "result": "not of the rules"}
    if engine is None:
        return {"logged": logged, "result": "rules not given"}
    try:
        decision = engine.decide_now(_question(leaf, opened, state))
    except (GatewayError, ValueError, KeyError) as cause:
        return {"logged": logged, "result": "not recovered", "why": type(cause).__name__}
    made = _said(decision)
    return {"logged": logged, "again": made, "result": "the same" if made == logged else "another"}


def _said(decision: Permit | Deny) -> str:
    if isinstance(decision, Deny):
        return ",".join(decision.reasons)
    return f"permitted, {decision.agreement}"


def _question(leaf: Leaf, opened: Mapping[str, Any], state: PeerId) -> Question:
    """The question as far as the entry and the catalogue have it. Raises ValueError, KeyError."""
    public = leaf.public
    is_ask = leaf.kind == "check.ask"
    purpose = Purpose(str(public["purpose"]))
    peer = PeerId(leaf.peer)
    return Question(
        stage=Stage.ASK if is_ask else Stage.ANSWER,
        purpose=purpose,
        operation=catalogue.check_operation(purpose),
        legal_basis=str(public["basis"]),
        list_id=ListId(str(public["list"])),
        key_types=catalogue.key_types_of(purpose),
        class_size=BATCH_CLASSES[0] if is_ask else int(str(public["class"])),
        asker=state if is_ask else peer,
        owner=peer if is_ask else state,
        agency=AgencyId(str(public["agency"])),
        role=Role(str(public["role"])),
        has_case=bool(opened.get("case", True)),
        signers=catalogue.signers_of(purpose, Stage.ASK) if is_ask else 0,
        time_ns=leaf.time_ns,
    )


# -- Files ------------------------------------------------------------------------------------------------------------


def _write(out: Path, files: Mapping[str, bytes], export: Path) -> None:
    """All of it; only its owner may read it."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    out.chmod(0o700)
    sums: dict[str, str] = {}
    for name, data in (*files.items(), *_copied(export)):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sums[name] = hashlib.sha256(data).hexdigest()
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (out / "SHA256SUMS").write_text(listed, "ascii")


def _copied(export: Path) -> Iterator[tuple[str, bytes]]:
    for part in _PARTS:
        top = export / part
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                yield f"export/{path.relative_to(export).as_posix()}", path.read_bytes()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else ""
