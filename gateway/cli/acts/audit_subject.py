"""`limen audit subject`: who asked about a person, told to that person (T18). Offline, on a copy, with a reader's key.

Every run reads the whole copy, writes the same files and ends on a tick, whatever there is to tell.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway_adapters import traveller

from gateway.app import parts
from gateway.audit import bundle, search, subject, trust, verify
from gateway.audit import copy as copies
from gateway.audit.copy import Copy
from gateway.audit.entry import Entry, Phase
from gateway.audit.leaf import Leaf
from gateway.audit.seal import Opener
from gateway.audit.search import SUBJECT_KEYS, Query, Tagger, What
from gateway.audit.subject import Event, Unknowable
from gateway.cli import inputs, node
from gateway.cli.acts.audit import reader_key
from gateway.cli.acts.audit_search import indexed
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, utc
from gateway.clock import SystemClock
from gateway.errors import InputRefused, Malformed, PolicyDenied
from gateway.keyring import files
from gateway.people.origins import candidate_origins
from gateway.policy import catalogue
from gateway.pseudonym import matchkeys
from gateway.store.client import WriterClient
from gateway.store.folder import DirectoryFolder

SUBJECT_BYTES_MAX: Final = 64 << 10
ROWS_MAX: Final = 10_000
"""Entries about one person that are looked at."""

_LINK_BYTES: Final = 8


def run(args: argparse.Namespace) -> int:
    """Do it."""
    begun = time.monotonic()
    key = reader_key(args.reader_key)
    if key is None:
        raise Refused("--reader-key: give the key of a supervisor or a home auditor")
    if args.tick < 0:
        raise Refused("--tick: write 0 or more seconds")
    if args.out.exists() and any(args.out.iterdir()):
        raise InputRefused(f"{args.out} is not empty; an answer goes into a new folder")
    withheld = _withheld(args.withhold)
    # 1. Who it is, and where the answer goes. What is refused here is refused before the log is looked at.
    tags = _tags(args, Tagger(key))
    # 2. The copy, whole and as the card has it.
    folder = DirectoryFolder(args.path)
    text = inputs.bytes_of(args.trust).decode("utf-8", "replace")
    try:
        verify.verify(folder, trust.Card.parse(text))
    except Malformed as cause:
        raise InputRefused(f"{args.path}: is not an export of a log ({cause})") from None
    copy = Copy(folder, str(args.path))
    # 3. What there is about the person, and what of it may be told.
    told = subject.told(_events(copy, args.index, key, tags), withheld, SystemClock().now_ns())
    purposes = {code: row.title for code, row in catalogue.CATALOGUE.items()}
    newest = copy.leaf(copy.head.size - 1).time_ns if copy.head.size else 0
    answer = {
        "form": subject.FORMAT,
        "log": copy.head.origin,
        "entries": copy.head.size,
        "until": utc(newest),
        "identified": args.proofing,
        "told": [subject.sentence(row, purposes, utc(row.time_ns)) for row in told],
        "cannot_be_told": list(subject.cannot_know(_unknowable(copy))),
    }
    evidence = bundle.make(folder, [row.seq for row in told if row.kind == subject.EVIDENT], card=text)
    # 4. In the node's log, before it is told.
    if args.record:
        asyncio.run(_record(args, copy))
    # 5. On the tick, in the same files.
    spent = time.monotonic() - begun
    time.sleep(math.ceil(spent / args.tick) * args.tick - spent if args.tick else 0)
    args.out.mkdir(parents=True, exist_ok=True)
    files.replace(args.out / "answer.json", (json.dumps(answer, indent=2) + "\n").encode(), mode=0o600)
    files.replace(args.out / "evidence.limen", evidence.encode(), mode=0o600)
    emit(args, {"folder": str(args.out)}, [f"{args.out}: the answer, and its evidence"])
    return OK


def _tags(args: argparse.Namespace, tagger: Tagger) -> tuple[bytes, ...]:
    """The person's tags, from standard input alone. Raises InputRefused, PolicyDenied."""
    data = inputs.data_of("-", SUBJECT_BYTES_MAX)
    if len(data) > SUBJECT_BYTES_MAX:
        raise InputRefused("is too long", field="standard input", code="SIZE")
    seen = traveller.read_one(data, inputs.day(""))
    keys = matchkeys.for_asking(seen.person, seen.documents, SUBJECT_KEYS)
    if not keys:
        raise InputRefused("give a document number with its issuer, or a name with a birth year", field="subject")
    # Through a consulate or a portal of the state a person may have fled from nothing is answered, whatever there is.
    if args.via is not None and candidate_origins(seen.person, seen.documents).includes(args.via):
        raise PolicyDenied(("origin",))
    return tuple(tagger.tag(What.SUBJECT, key.input.open()) for key in keys)


def _withheld(path: Path | None) -> frozenset[bytes]:
    """Cases that the supervisor keeps back, one number (`case_...`) a line."""
    if path is None:
        return frozenset()
    found = set()
    for number, line in enumerate(inputs.bytes_of(path).decode("utf-8", "replace").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        tag = search.read_tag(What.NUMBER, line.strip())
        if tag is None:
            raise InputRefused("is no case's number", field=str(path), line=number)
        found.add(tag[:_LINK_BYTES])
    return frozenset(found)


def _events(copy: Copy, index: Path | None, key: bytes, tags: tuple[bytes, ...]) -> Iterator[Event]:
    """Every entry about the person that could be told, with the matter it belongs to."""
    finder = indexed(copy, index, key)
    try:
        rows = finder.find(Query(tags=[(What.SUBJECT, tags)]), ROWS_MAX, oldest=True)
    finally:
        finder.close()
    opener, tagger = Opener(key), Tagger(key)
    earlier = replace(copy)
    for row in rows:
        if row.kind not in subject.KINDS:
            continue
        number = copy.leaf(row.seq).public.get("case_id")
        if isinstance(number, bytes):
            yield Event(row, number[:_LINK_BYTES])
            continue
        asked = earlier.leaf(row.intent_seq)
        hits = copies.opened(copy.leaf(row.seq), copy.payload(row.seq), opener).get("hits")
        keys = copies.opened(asked, earlier.payload(row.intent_seq), opener).get("keys")
        cases = [case for case, own in search.found_keys(hits, keys)
                 if any(tagger.tag(What.SUBJECT, one) in tags for one in own)]  # fmt: skip
        for case in cases or [b""]:
            yield Event(row, case or row.seq.to_bytes(_LINK_BYTES, "big"))


def _unknowable(copy: Copy) -> Unknowable:
    asked = answered = erased = 0
    for leaf, payload in copy.entries(0):
        asked += _ended(leaf, "check.ask")
        answered += _ended(leaf, "check.answer")
        erased += bool(leaf.sealed) and payload is None
    return Unknowable(asked, answered, erased)


def _ended(leaf: Leaf, kind: str) -> bool:
    return leaf.kind == kind and leaf.phase is Phase.OUTCOME


async def _record(args: argparse.Namespace, copy: Copy) -> None:
    """That somebody was answered, and how they were identified; nothing of whom, or of what was told."""
    settings = node.load(args)
    public: Mapping[str, str | int | bytes] = {
        "size": copy.head.size, "root": copy.head.root, "proofing": args.proofing, "via": args.via or "",
    }  # fmt: skip
    uow = WriterClient(settings.socket("writer"), parts.recipients_of(settings))
    try:
        await uow.commit([Entry("subject.answered", Phase.EVENT, public=public, secret={"officer": "operator"})])
    finally:
        await uow.close()
