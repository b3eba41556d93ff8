"""`limen audit search` and `limen audit reads`: find, count and export entries of a copy, and say what of them holds.

Nothing sealed is ever shown: who, which case and about whom are tags, made at home under the reader's key.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway_adapters import traveller

from gateway import __version__
from gateway.audit import copy as copies
from gateway.audit import ocsf, search, trust
from gateway.audit.copy import Copy, Standing
from gateway.audit.kinds import CATALOGUE, RETENTION_NS
from gateway.audit.leaf import Leaf
from gateway.audit.seal import Opener
from gateway.audit.search import GROUPS, SHIPPED, SUBJECT_KEYS, Indexer, Outcome, Query, Row, Tagger, What
from gateway.cli import inputs
from gateway.cli.acts.audit import plain, reader_key
from gateway.cli.main import OK, Refused
from gateway.cli.output import emit, note, table, utc
from gateway.errors import InputRefused
from gateway.keyring import files
from gateway.policy import catalogue
from gateway.primitives import strict_json
from gateway.pseudonym import matchkeys
from gateway.store.finder import Finder
from gateway.store.folder import DirectoryFolder
from gateway.terms.words import Role

PAGE: Final = 50
"""Rows a person is shown at once."""

BLOCK: Final = 1_000
"""Rows that are fetched at once for a file."""

FEED: Final = 20_000
"""Entries that are put into an index at once."""

LARGE: Final = 50_000
"""Above so many entries it is worth saying that an index can be kept."""

CLEAR_BYTES_MAX: Final = 64 << 10
QUERIES_BYTES_MAX: Final = 1 << 20

READS: Final = ("audit.read", "audit.revealed", "audit.exported", "audit.denied")
"""Kinds that say that somebody read the log, or was refused."""

_WORDS: Final = {"state": "peer", "field": "fields", "reason": "reasons"}
"""What an option is called in an index, where that is another name."""

_LISTED: Final = (
    "kind", "outcome", "state", "agency", "role", "purpose", "basis", "recipient", "field", "policy", "decision",
    "reason", "retention",
)  # fmt: skip
_TAGGED: Final = ("officer", "case", "record", "subject")
_FLAGS: Final = ("denied", "unpaired")
_TIMES: Final = ("since", "until")

_RELATIVE = re.compile(r"([1-9][0-9]{0,4})([hdw])\Z")
_UNIT_NS: Final = {"h": 3600 * 10**9, "d": 86_400 * 10**9, "w": 7 * 86_400 * 10**9}
_STATE = re.compile(r"[A-Z]{3}\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_DIGEST = re.compile(r"[0-9a-f]{4,128}\Z")


def run(args: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    return _reads(args) if args.verb == "reads" else _search(args)


# -- Searching --------------------------------------------------------------------------------------------------------


def _search(args: argparse.Namespace) -> int:
    _judge(args)
    groups = _groups(args.by)
    wanted = _wanted(args)
    if args.live is not None:
        _bring_up_to_date(args, wanted)
    copy = Copy(DirectoryFolder(args.path), str(args.path))
    key = reader_key(args.reader_key, ("supervisor", "auditor"))
    tagger = Tagger(key) if key is not None else None
    tags = _tags(args, wanted, tagger, copy)
    card = trust.Card.parse(inputs.bytes_of(args.trust).decode("utf-8", "replace")) if args.trust else None
    standing = copy.standing(card)
    finder = indexed(copy, args.index, key)
    try:
        if args.index is None and copy.head.size > LARGE:
            note(args, f"{copy.head.size} entries were read; with --index FILE only new ones are, next time")
        with finder.whole():
            query = _query(wanted, tags, finder.last_ns())
            if args.save is not None:
                _save(args, wanted, tags)
            if groups:
                return _counted(args, finder, query, groups)
            found = Found(copy, finder, standing)
            if args.format != "table":
                return _written(args, found, query)
            return _shown(args, found, query)
    finally:
        finder.close()


def _bring_up_to_date(args: argparse.Namespace, wanted: Mapping[str, Any]) -> None:
    """Read what is new at the node. It is told, and logs, by which filters is searched, and never what for."""
    from gateway.cli.acts import audit_live

    audit_live.fetch(args, args.path, audit_live.purpose_of(args.live, "--live"), sorted(wanted))


def indexed(copy: Copy, path: Path | None, key: bytes | None) -> Finder:
    """An index of all that the copy has, in a file or in memory; a file is gone on with.

    Raises:
        InputRefused: the file is no index, or of another log, of another reader, or of a log that this one is no
            continuation of.
        VerificationFailed: what is sealed is not what was committed to; `limen audit verify` says more.
    """
    finder = Finder(path)
    try:
        mark = Tagger(key).mark if key is not None else b""
        with finder.whole():
            _judge_index(finder, copy, mark)
            _feed(finder, copy, key, mark)
    except BaseException:
        finder.close()
        raise
    return finder


def _judge_index(finder: Finder, copy: Copy, mark: bytes) -> None:
    about = finder.about()
    if not about:
        return
    where = f"{finder.path}: "
    if about["origin"] != copy.head.origin:
        raise InputRefused(f"{where}is an index of {about['origin']}, and {copy.name} is of {copy.head.origin}")
    if about["mark"] != mark:
        raise InputRefused(f"{where}was made with another reader's key, or with none; give that one, or another index")
    if about["size"] > copy.head.size:
        raise InputRefused(f"{where}knows {about['size']} entries, and {copy.name} has {copy.head.size}: an older copy")
    if copy.root(about["size"]) != about["root"]:
        raise InputRefused(f"{where}is of a log that {copy.name} is no continuation of; verify both")


def _feed(finder: Finder, copy: Copy, key: bytes | None, mark: bytes) -> None:
    opener = Opener(key) if key is not None else None
    # Intents are read again, so by a view of their own: the bundle that is being read stays at hand.
    earlier = replace(copy)

    def entry(seq: int) -> search.Entry | None:
        if not 0 <= seq < copy.head.size:
            return None
        leaf = earlier.leaf(seq)
        return leaf, copies.opened(leaf, earlier.payload(seq), opener)

    indexer = Indexer(Tagger(key) if key is not None else None, entry, finder.links)
    about = {"origin": copy.head.origin, "size": copy.head.size, "root": copy.head.root, "mark": mark}
    with finder.building(about):
        block: list[tuple[Row, Sequence[tuple[What, bytes]]]] = []
        for leaf, payload in copy.entries(finder.size()):
            block.append((search.row_of(leaf), indexer.tags(leaf, copies.opened(leaf, payload, opener))))
            if len(block) == FEED:
                finder.add(block)
                block = []
        finder.add(block)
        finder.forget()


@dataclass(frozen=True, slots=True)
class Found:
    """What rows are shown from."""

    copy: Copy
    finder: Finder
    standing: Standing

    def document(self, row: Row) -> dict[str, Any]:
        """One row for programs: its words, its public fields, its tags, and what of it holds."""
        leaf = self.copy.leaf(row.seq)
        said: dict[str, Any] = {"seq": row.seq, "time": utc(row.time_ns)}
        said |= {name: value for name in search.WORDS if (value := getattr(row, name))}
        said |= {what.value: search.shown(what, tag) for what, tag in self.finder.tags(row.seq).items()}
        said["public"] = {name: plain(value) for name, value in leaf.public.items()}
        said["included"] = self.copy.is_included(row.seq)
        said["payload"] = self.copy.payload_state(leaf).value
        return said

    def checkpoint(self) -> dict[str, Any]:
        """What is known of the checkpoint that all rows stand under."""
        held = self.standing
        return {
            "origin": self.copy.head.origin,
            "size": self.copy.head.size,
            "signed": held.signed,
            "cosigned": list(held.cosigned),
            "witnesses": held.witnesses,
            "quorum": held.quorum,
            "extends_seen": held.extends,
        }

    def told(self) -> str:
        """The same as a sentence."""
        held = self.standing
        where = f"{self.copy.head.origin}, {self.copy.head.size} entries: "
        if held.signed is None:
            return where + "the checkpoint was not judged (--trust CARD judges it)"
        if not held.signed:
            return where + "the checkpoint is NOT signed by the card's key"
        return where + (
            f"signed, cosigned {len(held.cosigned)}/{held.witnesses}"
            + ("" if held.quorum else ", NOT the card's quorum")
            + {None: "", True: ", goes on from the head seen last", False: ", does NOT go on from the head seen last"}[
                held.extends
            ]
        )


def _shown(args: argparse.Namespace, found: Found, query: Query) -> int:
    limit = args.limit if args.limit is not None else PAGE
    rows = found.finder.find(query, limit + 1, **_page(args))
    more, rows = len(rows) > limit, rows[:limit]
    documents = [found.document(row) for row in rows]
    lines = [
        {
            "seq": str(row.seq),
            "time": utc(row.time_ns),
            "kind": f"{row.kind} {row.phase}",
            "state": row.peer or "-",
            "purpose": row.purpose or "-",
            "agency": row.agency or "-",
            "outcome": row.outcome + (f": {row.reasons}" if row.reasons else ""),
            "officer": _brief(said.get("officer")),
            "holds": _badge(said),
        }
        for row, said in zip(rows, documents, strict=True)
    ]
    shown = table(lines, ("seq", "time", "kind", "state", "purpose", "agency", "outcome", "officer", "holds"))
    following = rows[-1].seq if more and rows else None
    emit(
        args,
        {"checkpoint": found.checkpoint(), "rows": documents, "next": following},
        [*(shown or [_nothing(query)]), found.told()],
    )
    if following is not None:
        note(args, f"there are more; the next page: --after {following}")
    return OK


def _nothing(query: Query) -> str:
    used = ", ".join(dict.fromkeys(query.names()))
    return f"no entry answers to {used} together" if used else "the log has no entries"


def _badge(said: Mapping[str, Any]) -> str:
    payload = said["payload"]
    sealed = (
        "" if payload == "none" else f", payload {payload.upper() if payload in ('changed', 'missing') else payload}"
    )
    return ("included" if said["included"] else "NOT INCLUDED") + sealed


def _brief(tag: object) -> str:
    return f"{tag[:16]}..." if isinstance(tag, str) else "-"


def _page(args: argparse.Namespace) -> dict[str, Any]:
    place = {"above" if args.oldest else "below": args.after} if args.after is not None else {}
    return {"oldest": args.oldest, **place}


# -- Files ------------------------------------------------------------------------------------------------------------

COLUMNS: Final = ("seq", "time", *search.WORDS, "officer", "case", "included", "payload")


def _written(args: argparse.Namespace, found: Found, query: Query) -> int:
    """All that answers, a line each, as it is found."""
    lines = _lines(args, found, query)
    if args.out is None:
        args.emitted = True
        for line in lines:
            sys.stdout.write(line)
        return OK
    text = "".join(lines)
    files.replace(args.out, text.encode("utf-8"), mode=0o600)
    count = text.count("\n") - (args.format == "csv")
    emit(args, {"file": str(args.out), "rows": count}, [f"{args.out}: {count} entries", found.told()])
    return OK


def _lines(args: argparse.Namespace, found: Found, query: Query) -> Iterator[str]:
    if args.format == "csv":
        yield _csv(COLUMNS)
    for row in _all(args, found.finder, query):
        if args.format == "ocsf":
            officer = found.finder.tags(row.seq).get(What.OFFICER)
            tag = search.shown(What.OFFICER, officer) if officer is not None else ""
            origin = found.copy.head.origin
            yield json.dumps(ocsf.event(row, origin, _state_of(origin), tag, __version__), ensure_ascii=False) + "\n"
            continue
        said = found.document(row)
        if args.format == "jsonl":
            yield json.dumps(said, ensure_ascii=False) + "\n"
        else:
            yield _csv([str(said.get(name, "")) for name in COLUMNS])


def _all(args: argparse.Namespace, finder: Finder, query: Query) -> Iterator[Row]:
    left = args.limit
    page = _page(args)
    while left is None or left > 0:
        block = finder.find(query, BLOCK if left is None else min(BLOCK, left), **page)
        yield from block
        if not block:
            return
        left = None if left is None else left - len(block)
        page["above" if args.oldest else "below"] = block[-1].seq


def _csv(values: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def _state_of(origin: str) -> str:
    """The state that a log is of, by its name."""
    return origin.split("/")[1] if origin.count("/") > 1 else origin


# -- Counting ---------------------------------------------------------------------------------------------------------


def _groups(text: str | None) -> tuple[str, ...]:
    groups = tuple(dict.fromkeys(text.split(","))) if text else ()
    groups = tuple("peer" if one == "state" else one for one in groups)
    if not set(groups) <= set(GROUPS):
        raise Refused(f"--by: write some of {', '.join('state' if one == 'peer' else one for one in GROUPS)}")
    return groups


def _counted(args: argparse.Namespace, finder: Finder, query: Query, groups: Sequence[str]) -> int:
    if args.format == "ocsf":
        raise Refused("--by: counts are no events; write them as table, jsonl or csv")
    names = ["state" if one == "peer" else one for one in groups]
    found = finder.count(query, groups)
    documents = [dict(zip(names, keys, strict=True)) | {"count": number} for keys, number in found]
    if args.format == "table":
        rows = [{name: str(value) or "-" for name, value in one.items()} for one in documents]
        shown = table(rows, (*names, "count")) or [_nothing(query)]
        emit(args, {"groups": documents, "total": sum(number for _, number in found)}, shown)
        return OK
    lines = [json.dumps(one) + "\n" for one in documents]
    if args.format == "csv":
        lines = [_csv((*names, "count")), *(_csv([str(value) for value in one.values()]) for one in documents)]
    if args.out is not None:
        files.replace(args.out, "".join(lines).encode("utf-8"), mode=0o600)
        emit(args, {"file": str(args.out), "rows": len(documents)}, [f"{args.out}: {len(documents)} groups"])
        return OK
    args.emitted = True
    sys.stdout.write("".join(lines))
    return OK


# -- The question -----------------------------------------------------------------------------------------------------


def _judge(args: argparse.Namespace) -> None:
    if args.limit is not None and args.limit < 1:
        raise Refused("--limit: write a number of at least 1")
    if args.after is not None and args.after < 0:
        raise Refused("--after: write the number of an entry")
    if args.save is not None and args.queries is None:
        raise Refused("--save: name your file of queries with --queries FILE")
    if args.save is not None and not _NAME.match(args.save):
        raise Refused("--save: write a name of small letters, digits and -, at most 40")
    if args.save in SHIPPED:
        raise Refused(f"--save: {args.save} comes with the program; choose another name")


def _wanted(args: argparse.Namespace) -> dict[str, Any]:
    """The words of a query, saved ones and typed ones together: what is typed stands beside what was saved."""
    wanted: dict[str, Any] = dict(_saved(args.query, args.queries)) if args.query is not None else {}
    for name in _LISTED:
        held = [*wanted.get(name, []), *getattr(args, name)]
        if held:
            wanted[name] = held
    for name in _FLAGS:
        if getattr(args, name):
            wanted[name] = True
    for name in (*_TIMES, *_TAGGED):
        if getattr(args, name) is not None:
            wanted[name] = getattr(args, name)
    judge(wanted)
    return wanted


def judge(wanted: Mapping[str, Any]) -> None:
    """Refuse words that no entry can have, and name those that there are. Raises Refused."""
    kinds = sorted({kind.name for kind in CATALOGUE})
    tables: Mapping[str, Sequence[str]] = {
        "kind": kinds,
        "outcome": [*Outcome],
        "role": [*Role],
        "purpose": [*catalogue.CATALOGUE],
        "retention": [*RETENTION_NS],
    }
    for name, known in tables.items():
        for word in wanted.get(name, ()):
            if word not in known:
                near = difflib.get_close_matches(word, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise Refused(f"--{name}: there is no such {name}{hint} There are {', '.join(known)}")
    if not all(_STATE.match(word) for word in wanted.get("state", ())):
        raise Refused("--state: write the code of a state, three capital letters")
    if not all(_DIGEST.match(word) or "/" in word or "-" in word for word in wanted.get("policy", ())):
        raise Refused("--policy: write at least four hex digits of a digest, or the name of an agreement")
    for name in _TIMES:
        if name in wanted:
            moment(name, wanted[name], 0)


def _query(wanted: Mapping[str, Any], tags: Sequence[tuple[What, tuple[bytes, ...]]], newest_ns: int) -> Query:
    words = {_WORDS.get(name, name): tuple(wanted[name]) for name in _LISTED if name != "policy" and wanted.get(name)}
    if wanted.get("denied"):
        words["outcome"] = (Outcome.DENIED.value,)
    return Query(
        words=words,
        policy=tuple(wanted.get("policy", ())),
        since_ns=moment("since", wanted["since"], newest_ns) if "since" in wanted else None,
        until_ns=moment("until", wanted["until"], newest_ns) if "until" in wanted else None,
        unpaired=bool(wanted.get("unpaired")),
        tags=tags,
    )


def moment(name: str, text: str, newest_ns: int) -> int:
    """A time as typed, UTC ns; so many hours, days or weeks are counted back from the newest entry. Raises Refused."""
    relative = _RELATIVE.match(text)
    if relative is not None:
        return newest_ns - int(relative[1]) * _UNIT_NS[relative[2]]
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"--{name}: write YYYY-MM-DD, YYYY-MM-DDTHH:MM (UTC), or 24h, 30d, 2w") from None
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()) * 10**9


def _tags(
    args: argparse.Namespace, wanted: Mapping[str, Any], tagger: Tagger | None, copy: Copy
) -> list[tuple[What, tuple[bytes, ...]]]:
    """What is sealed, as tags. Standard input is read for one of them; what stood there is never repeated."""
    clear = [name for name in _TAGGED if wanted.get(name) == "-"]
    if len(clear) > 1:
        raise Refused(f"--{clear[0]}, --{clear[1]}: standard input can be one of them; type the other as its tag")
    found: list[tuple[What, tuple[bytes, ...]]] = []
    for name in _TAGGED:
        text = wanted.get(name)
        if text is None:
            continue
        what = What(name)
        public = search.read_tag(What.NUMBER, text) if what is What.CASE else None
        if public is not None:
            found.append((What.NUMBER, (public,)))
            continue
        if not copy.has_payloads:
            raise InputRefused(f"{args.path}: holds leaves only, and --{name} is sealed; give one with payloads")
        if tagger is None:
            raise Refused(f"--{name}: is sealed; give --reader-key FILE, of a supervisor or a home auditor")
        if text == "-":
            found.append((what, _from_clear(what, tagger)))
            continue
        tag = search.read_tag(what, text)
        if tag is None:
            example = search.shown(what, bytes(16)).rpartition("_")[0]
            raise Refused(f"--{name}: write - and give it on standard input, or a tag: {example}_ and 32 hex digits")
        found.append((what, (tag,)))
    return found


def _from_clear(what: What, tagger: Tagger) -> tuple[bytes, ...]:
    data = inputs.data_of("-", CLEAR_BYTES_MAX)
    if len(data) > CLEAR_BYTES_MAX:
        raise InputRefused("is too long", field="standard input", code="SIZE")
    if what is What.SUBJECT:
        seen = traveller.read_one(data, inputs.day(""))
        keys = matchkeys.for_asking(seen.person, seen.documents, SUBJECT_KEYS)
        if not keys:
            raise InputRefused("give a document number with its issuer, or a name with a birth year", field="subject")
        return tuple(tagger.tag(what, key.input.open()) for key in keys)
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise InputRefused("is not UTF-8 text", field="standard input") from None
    if not text or "\n" in text:
        raise InputRefused(f"write one {what.value} on one line", field="standard input")
    return (tagger.tag(what, text),)


# -- Saved queries ----------------------------------------------------------------------------------------------------


def _saved(name: str, path: Path | None) -> Mapping[str, Any]:
    held = {**SHIPPED, **(_read_queries(path) if path is not None else {})}
    if name not in held:
        raise Refused(f"--query: there is no query of this name. There are {', '.join(held)}")
    return held[name]


def _read_queries(path: Path) -> dict[str, Mapping[str, Any]]:
    """Everybody's query by its name. Raises InputRefused."""
    if not path.exists():
        return {}
    try:
        table_ = strict_json.loads(inputs.data_of(str(path), QUERIES_BYTES_MAX).decode("utf-8"))
    except (UnicodeDecodeError, ValueError):
        raise InputRefused(f"{path}: is not JSON") from None
    if not isinstance(table_, dict) or not all(_NAME.match(name) for name in table_):
        raise InputRefused(f"{path}: is not a file of queries: names, each with the options of `limen audit search`")
    for name, query in table_.items():
        if not isinstance(query, dict) or not all(_is_word(option, value) for option, value in query.items()):
            raise InputRefused(f"{path}: the query {name} has an option that is none, or a value of another form")
    return table_


def _is_word(option: str, value: object) -> bool:
    if option in _LISTED:
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
    if option in _FLAGS:
        return value is True
    return option in (*_TIMES, *_TAGGED) and isinstance(value, str) and value != "-"


def _save(args: argparse.Namespace, wanted: Mapping[str, Any], tags: Sequence[tuple[What, tuple[bytes, ...]]]) -> None:
    """Keep the query under its name. What was given in clear is kept as its tag."""
    kept = dict(wanted)
    for name in _TAGGED:
        if kept.get(name) == "-":
            ((what, found),) = [one for one in tags if one[0] is What(name)]
            if len(found) != 1:
                raise Refused("--save: a person has several tags; save the query with one of them")
            kept[name] = search.shown(what, found[0])
    if not kept:
        raise Refused("--save: the query has no filter")
    held = {**_read_queries(args.queries), args.save: kept}
    files.replace(args.queries, (json.dumps(held, indent=2, sort_keys=True) + "\n").encode("utf-8"), mode=0o600)
    note(args, f"{args.queries}: {args.save} is saved")


# -- Who read the log -------------------------------------------------------------------------------------------------


def _reads(args: argparse.Namespace) -> int:
    copy = Copy(DirectoryFolder(args.path), str(args.path))
    key = reader_key(args.reader_key)
    opener = Opener(key) if key is not None else None
    newest_ns = copy.leaf(copy.head.size - 1).time_ns if copy.head.size else 0
    since_ns = moment("since", args.since, newest_ns) if args.since is not None else 0
    rows: list[dict[str, Any]] = []
    for leaf, payload in copy.entries(0):
        if leaf.kind in READS and leaf.time_ns >= since_ns:
            rows.append(_read_row(leaf, copies.opened(leaf, payload, opener)))
    totals: dict[tuple[str, str, str], int] = {}
    for row in rows:
        place = (row["kind"], row["purpose"] or "none was given", row.get("who", "-"))
        totals[place] = totals.get(place, 0) + 1
    lines = [
        {
            "seq": str(row["seq"]),
            "time": row["time"],
            "kind": row["kind"],
            "purpose": row["purpose"] or "-",
            "what": row["what"],
            "who": row.get("who", "sealed"),
        }
        for row in rows
    ]
    shown = table(lines, ("seq", "time", "kind", "purpose", "what", "who")) or ["nobody has read the log"]
    shown += [f"{number} times {kind}, purpose {why}, by {who}" for (kind, why, who), number in sorted(totals.items())]
    emit(args, {"reads": rows}, shown)
    return OK


def _read_row(leaf: Leaf, opened: Mapping[str, Any]) -> dict[str, Any]:
    public: Mapping[str, Any] = leaf.public
    if leaf.kind == "audit.exported":
        what = f"the log of {public['size']} entries" + (", with payloads" if public.get("payloads") else "")
    elif leaf.kind == "audit.revealed":
        what = f"the sealed part of entry {public['entry']}"
    elif leaf.kind == "audit.denied":
        what = f"nothing: {public['reasons']}"
    else:
        what = f"{public['count']} entries from {public['first']}" + (
            f" (by {public['filter']})" if public.get("filter") else ""
        )
    row = {
        "seq": leaf.seq,
        "time": utc(leaf.time_ns),
        "kind": leaf.kind,
        "purpose": public.get("purpose", ""),
        "what": what,
    }
    who = opened.get("officer") or opened.get("officers")
    if who:
        row["who"] = ", ".join(who) if isinstance(who, list) else str(who)
    return row


__all__ = ["indexed", "run"]
