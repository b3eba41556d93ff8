"""A log month by month, counted for people: what was used and for what, what was refused, what is left undone.

The counts follow from the entries alone, so that the same copy gives the same pages. What is sealed is counted only
where a reader's key has opened it: `Month.found` and `Month.unopened` are None otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from gateway.audit.entry import Phase
from gateway.audit.grounds import RELEASED, is_disclosure
from gateway.audit.leaf import Leaf
from gateway.audit.search import Outcome, found_keys, outcome_of

READINGS: Final = ("audit.read", "audit.revealed", "audit.exported", "audit.denied")
OUTCOME_NS: Final = 7 * 86_400 * 10**9
"""How long the asker has to say what came of a case, ns from the decision's arrival (docs/flows/disclose.md)."""

LINK_BYTES: Final = 8


@dataclass(slots=True)
class Month:
    """One month's counts. `denied` by kind, purpose, whose, and reasons; `alerts` by rule; `readings` by kind and
    purpose; `overdue` are entries that should have lost their sealed part."""

    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    found: Counter[str] | None = None
    given: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    releases: Counter[str] = field(default_factory=Counter)
    denied: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    closed: int = 0
    readings: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: list[tuple[int, str, str]] = field(default_factory=list)
    unopened: list[int] | None = None
    late: list[int] = field(default_factory=list)
    overdue: list[int] = field(default_factory=list)
    erased: int = 0


@dataclass(slots=True)
class Months:
    """All months of a copy. `with_key` says whether sealed fields are opened."""

    with_key: bool
    by_name: dict[str, Month] = field(default_factory=dict)
    _hits: list[tuple[str, int, bytes]] = field(default_factory=list)
    _cases: set[bytes] = field(default_factory=set)
    _due: dict[tuple[str, object], tuple[str, int, int]] = field(default_factory=dict)
    _kept: list[tuple[str, int, int]] = field(default_factory=list)
    _last_ns: int = 0

    def add(self, leaf: Leaf, has_payload: bool, opened: Mapping[str, Any], keys: object) -> None:
        """The next entry; `keys` are those of the intent that an outcome ends, where they could be opened."""
        name = f"{datetime.fromtimestamp(leaf.time_ns // 10**9, UTC):%Y-%m}"
        month = self.by_name.get(name)
        if month is None:
            month = self.by_name[name] = Month(
                found=Counter() if self.with_key else None, unopened=[] if self.with_key else None
            )
        self._last_ns = max(self._last_ns, leaf.time_ns)
        if has_payload:
            self._kept.append((name, leaf.seq, leaf.due_ns))
        number = leaf.public.get("case_id")
        if isinstance(number, bytes) and leaf.kind in ("case.act", "case.read"):
            self._cases.add(number[:LINK_BYTES])
        self._count(month, name, leaf, opened, keys)

    def _count(self, month: Month, name: str, leaf: Leaf, opened: Mapping[str, Any], keys: object) -> None:
        public = leaf.public
        purpose = str(public.get("purpose", ""))
        if outcome_of(leaf) is Outcome.DENIED:
            whose = leaf.peer if leaf.kind in ("check.refused", "call.refused") else str(public.get("agency", ""))
            reasons = str(public.get("reasons") or public.get("reason") or "")
            month.denied[leaf.kind, purpose, whose, reasons] += 1
        if leaf.kind == "check.ask" and leaf.phase is Phase.OUTCOME:
            month.asked[purpose] += 1
            hits = opened.get("hits")
            if month.found is not None and hits:
                month.found[purpose] += 1
                self._hits += [(name, leaf.seq, case) for case, _ in found_keys(hits, keys) if case]
        elif leaf.kind == "check.answer" and leaf.phase is Phase.OUTCOME:
            month.answered[purpose] += 1
        elif leaf.kind == "case.sent":
            month.given[purpose] += is_disclosure(leaf)
            if public["message"] == "close":
                self._answered(leaf)
        elif leaf.kind == "case.taken" and public["message"] == "decision" and public["state"] in RELEASED:
            month.received[purpose] += 1
            self._due[leaf.peer, public["case_id"]] = (name, leaf.seq, leaf.time_ns + OUTCOME_NS)
        elif leaf.kind == "case.act" and public["act"] == "outcome":
            self._answered(leaf)
        elif leaf.kind in ("release.charged", "release.sent"):
            month.releases[leaf.kind] += 1
        elif leaf.kind == "alert.raised":
            month.alerts[str(public["rule"])] += 1
        elif leaf.kind == "alert.acted":
            month.closed += public["act"] == "close"
        elif leaf.kind in READINGS:
            month.readings[leaf.kind, purpose or "none was given"] += 1
        elif leaf.kind == "policy.activated":
            digest = public["digest"]
            month.rules.append((leaf.seq, str(public["layer"]), digest.hex() if isinstance(digest, bytes) else ""))
        elif leaf.kind == "payloads.erased":
            count = public["count"]
            month.erased += count if isinstance(count, int) else 0

    def _answered(self, leaf: Leaf) -> None:
        held = self._due.get((leaf.peer, leaf.public["case_id"]))
        if held is not None:
            del self._due[leaf.peer, leaf.public["case_id"]]
            if leaf.time_ns > held[2]:
                self.by_name[held[0]].late.append(held[1])

    def finish(self) -> None:
        """Once every entry was added: what was never looked at, came late, or should have gone."""
        for name, seq, due_ns in self._due.values():
            if due_ns < self._last_ns:
                self.by_name[name].late.append(seq)
        for name, seq, case in self._hits:
            unopened = self.by_name[name].unopened
            if unopened is not None and case not in self._cases and seq not in unopened:
                unopened.append(seq)
        for name, seq, due_ns in self._kept:
            if due_ns < self._last_ns:
                self.by_name[name].overdue.append(seq)


def utc(time_ns: int) -> str:
    """A time to the second."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"


def page(name: str, month: Month, titles: Mapping[str, str], rules: Iterable[tuple[str, str]]) -> str:
    """One month in plain words, in Markdown. `titles` are purposes in words; `rules` were in force when it began."""
    return "\n".join(_lines(name, month, titles, rules)) + "\n"


def _lines(name: str, month: Month, titles: Mapping[str, str], rules: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"# {name}"
    yield ""
    yield "## What was used, and for what"
    yield ""
    purposes = sorted({*month.asked, *month.answered, *month.given, *month.received})
    if purposes:
        yield "| purpose | in words | asked | of these found something | answered | disclosed | received |"
        yield "|---|---|---|---|---|---|---|"
    for purpose in purposes:
        found = "sealed" if month.found is None else str(month.found[purpose])
        yield (
            f"| {purpose} | {titles.get(purpose, '')} | {month.asked[purpose]} | {found} | {month.answered[purpose]} "
            f"| {month.given[purpose]} | {month.received[purpose]} |"
        )
    if not purposes:
        yield "Nobody asked, and nobody was answered."
    if month.releases:
        charged, sent = month.releases["release.charged"], month.releases["release.sent"]
        yield ""
        yield f"Statistics: {charged} releases were charged, and releases were given {sent} times."
    yield ""
    yield "## What was not permitted, or needs a look"
    yield ""
    for (kind, purpose, whose, reasons), count in sorted(month.denied.items()):
        who = f" by {whose}" if whose else ""
        yield f"- refused {count} times: {kind}{who}, purpose {purpose or 'none'}, because of {reasons or 'no code'}"
    if not month.denied:
        yield "- No attempt was refused."
    for rule, count in sorted(month.alerts.items()):
        yield f"- alert {rule}: raised {count} times"
    yield f"- {sum(month.alerts.values())} alerts were raised and {month.closed} closed."
    if month.unopened is None:
        yield "- Whether every hit was looked at is sealed; give a reader's key."
    else:
        yield f"- {len(month.unopened)} questions found something that nobody has looked at{_named(month.unopened)}."
    yield f"- {len(month.late)} disclosures had no outcome within seven days{_named(month.late)}."
    yield ""
    yield "## Rules in force"
    yield ""
    for layer, digest in rules:
        yield f"- at its beginning: {layer} {digest}"
    for seq, layer, digest in month.rules:
        yield f"- from entry {seq}: {layer} {digest}"
    if not month.rules:
        yield "- Nothing changed in this month."
    yield ""
    yield "## Who read the log"
    yield ""
    for (kind, purpose), count in sorted(month.readings.items()):
        yield f"- {kind}, purpose {purpose}: {count} times"
    if not month.readings:
        yield "- Nobody."
    yield ""
    yield "## What was kept too long"
    yield ""
    yield f"- {month.erased} sealed parts were erased in this month."
    yield (
        f"- {len(month.overdue)} sealed parts of its entries are past their term and still in this copy"
        f"{_named(month.overdue)}."
    )


def _named(seqs: list[int]) -> str:
    """The first few numbers of entries."""
    if not seqs:
        return ""
    more = f" and {len(seqs) - 10} more" if len(seqs) > 10 else ""
    return f" (entries {', '.join(map(str, sorted(seqs)[:10]))}{more})"
