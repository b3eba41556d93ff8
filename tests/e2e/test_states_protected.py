"""A guarded question beside one that found nothing: equal from every vantage, and told apart by two keys alone (T4)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import seal
from gateway.audit.leaf import Leaf
from gateway.cli.acts.nodes import BASIS, Ran, limen
from gateway.errors import ConfigRefused, VerificationFailed
from gateway.keyring import files
from gateway.primitives import cbor
from gateway.wire.v1 import watchlist_pb2
from tests.support.states import Liar, States, mrz, replaced

OWNER = "UTO"
"""The state fled from: what it sees of a guarded question must be what it sees of any."""

DRAWN = {"request_id", "blinded", "seed_commitment", "permit_expires_ns", "pair_sequence"}
"""Fields of a request on the wire that are new in every one."""


@dataclass(frozen=True)
class Pair:
    """A guarded question and an ordinary one, put by the same state in the same words."""

    asker: str
    guarded: str
    ordinary: str
    flags: tuple[str, ...] = ()
    purpose: str = "SEC.WATCH"

    def ask(self, states: States, *, guarded: bool, json_: bool = True) -> Ran:
        """One of the two."""
        who = states.data.traveller(self.guarded if guarded else self.ordinary)
        if json_:
            return states.scan(self.asker, who.passport, *self.flags, purpose=self.purpose)
        states.login(self.asker)
        return limen("check", "--booth", str(states.nodes[self.asker].booth), "--purpose", self.purpose, "--basis",
                     BASIS, "--case", "SHIFT-1", *self.flags, stdin=mrz(who.passport))  # fmt: skip


PAIRS = {
    "declared at the booth": Pair("HND", "protected", "miss", ("--protection",)),
    "declared, a document's status": Pair("HND", "protected", "miss", ("--protection",), "DOC.STATUS"),
    "a refugee's document": Pair("PAN", "refugee", "miss"),
    "a child": Pair("HND", "child", "miss"),
}


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return PAIRS[request.param]


def shape(leaf: Leaf) -> dict[str, object]:
    """What of an entry does not change from one question to the next: words whole, bytes by their size."""
    public = {
        name: len(value) if isinstance(value, bytes) and name not in ("baseline", "national") else value
        for name, value in leaf.public.items()
        if type(value) is not int or name in ("class", "batch", "batches", "table_version")
    }
    numbers = {name: "number" for name, value in leaf.public.items() if type(value) is int and name not in public}
    return {
        "kind": leaf.kind,
        "phase": leaf.phase,
        "peer": leaf.peer,
        "public": public | numbers,
        "commitments": sorted(leaf.commitments),
        "sealed": len(leaf.sealed),
        "retention": leaf.retention,
    }


def parts(payload: bytes) -> list[int]:
    """Sizes of a payload's wraps and parts; what is left is its number in the session, which only counts."""
    return [len(part) for part in cbor.decode(payload)[2:]]


def counted(page: bytes) -> dict[str, float]:
    """The numbers of calls of a check, home and abroad, by name and labels. Times are not compared here."""
    found = {}
    for line in page.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if "/Check" in name and "seconds" not in name and "created" not in name:
            found[name] = float(value)
    return found


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What a question added."""
    return {name: value - before.get(name, 0.0) for name, value in after.items() if value != before.get(name, 0.0)}


@dataclass(frozen=True)
class Seen:
    """What every vantage saw of one question."""

    officer: tuple[int, str, str]
    owner_log: list[dict[str, object]]
    owner_sealed: list[int]
    owner_metrics: dict[str, float]
    owner_lines: list[dict[str, Any]]
    home_log: list[dict[str, object]]
    home_sealed: list[list[int]]
    home_metrics: dict[str, float]
    home_lines: list[dict[str, Any]]
    home_reply: int
    other_log: list[dict[str, object]]


def lines(states: States, state: str, at: int) -> list[dict[str, Any]]:
    """The operational log's lines of checks from byte `at` on, without times."""
    found = []
    for line in states.nodes[state].log_file.read_bytes()[at:].splitlines():
        if b"/Check" in line and b'"reason"' not in line:
            said = json.loads(line)
            found.append({key: value for key, value in said.items() if key not in ("at", "ms")})
    return sorted(found, key=str)


def look(states: States, pair: Pair, ask: Callable[[], Ran]) -> Seen:
    """Ask, and gather what everybody could see of it."""
    home = pair.asker
    other = next(state for state in states.nodes.nodes if state not in (home, OWNER))
    sizes = {state: states.size(state) for state in states.nodes.nodes}
    pages = {state: counted(states.metrics(state)) for state in (home, OWNER)}
    ends = {state: states.nodes[state].log_file.stat().st_size for state in (home, OWNER)}
    ran = ask()
    wanted = {home: 3, OWNER: 1}
    written = lambda: all(len(lines(states, state, ends[state])) == wanted[state] for state in ends)  # noqa: E731
    states.until(written, "home, two legs and the owner have written their lines")
    after = {state: counted(states.metrics(state)) for state in (home, OWNER)}
    said = re.sub(r"req_[0-9a-f]{32}", "req", ran.out)
    owner_log = states.leaves(OWNER, sizes[OWNER], "check.answer")
    home_log = [leaf for leaf in states.leaves(home, sizes[home], "check.ask") if leaf.peer == OWNER]
    with states.reading(home) as reader:
        (reply,) = reader._db.execute("SELECT length(sealed) FROM home_reply ORDER BY rowid DESC LIMIT 1").fetchone()
    return Seen(
        officer=(ran.code, said, ran.err),
        owner_log=[shape(leaf) for leaf in owner_log],
        owner_sealed=[len(states.payload(OWNER, leaf.seq)) for leaf in owner_log],
        owner_metrics=grown(pages[OWNER], after[OWNER]),
        owner_lines=lines(states, OWNER, ends[OWNER]),
        home_log=[shape(leaf) for leaf in home_log],
        home_sealed=[parts(states.payload(home, leaf.seq)) for leaf in home_log],
        home_metrics=grown(pages[home], after[home]),
        home_lines=lines(states, home, ends[home]),
        home_reply=reply,
        other_log=[shape(leaf) for leaf in states.leaves(other, sizes[other], "check.answer")],
    )


def test_without_the_guard_the_same_person_would_have_been_found(states: States) -> None:
    """What is compared below is a hit that did not happen, not a person whom nobody lists."""
    ran = states.scan("HND", states.data.traveller("protected").passport)
    assert [hit["owner"] for hit in ran.json["hits"]] == [OWNER]


def test_every_vantage_sees_what_it_sees_of_a_miss(states: States, pair: Pair) -> None:
    # Numbers in bodies grow; a pair of questions whose numbers are of one length is compared.
    for _ in range(3):
        miss = look(states, pair, lambda: pair.ask(states, guarded=False))
        guarded = look(states, pair, lambda: pair.ask(states, guarded=True))
        if (miss.owner_lines, miss.home_lines) == (guarded.owner_lines, guarded.home_lines):
            break
    assert guarded == miss
    assert miss.officer[0] == 0 and json.loads(miss.officer[1])["outcome"] == "NOTHING_TO_REPORT"
    # Nothing was compared with nothing.
    assert len(miss.owner_log) == len(miss.home_log) == 2 and miss.owner_log[0]["kind"] == "check.answer"
    assert all(len(sealed) == 5 and sealed[-2] > 1000 for sealed in miss.home_sealed) and miss.home_reply >= 2048
    assert any("limen_calls_total" in name for name in miss.owner_metrics)
    assert any("limen_call_bytes" in name for name in miss.home_metrics)
    assert len(miss.owner_lines) == 1 and len(miss.home_lines) >= 2 and miss.owner_lines[0]["in"] > 300
    assert len(miss.other_log) == 2


def test_the_officers_words_are_the_same(states: States, pair: Pair) -> None:
    said = [pair.ask(states, guarded=guarded, json_=False) for guarded in (False, True)]
    assert said[0].out == said[1].out != "" and said[0].err == said[1].err and said[0].code == said[1].code == 0


def test_the_line_carries_as_many_bytes_both_ways(states: States) -> None:
    """Timers of both nodes use the same line and gRPC pings on it, which only ever adds: the least of many is the
    question's own size. What is left of the deadline travels in digits, whose code has two lengths."""
    pair, proxy = PAIRS["declared at the booth"], states.proxies[OWNER]
    least = {True: [1 << 30, 1 << 30], False: [1 << 30, 1 << 30]}

    def are_equal() -> bool:
        return all(abs(least[True][way] - least[False][way]) <= 8 for way in (0, 1))

    for number in range(30):
        for guarded in (False, True):
            before = (proxy.sent, proxy.received)
            assert pair.ask(states, guarded=guarded).code == 0
            for way, size in enumerate((proxy.sent - before[0], proxy.received - before[1])):
                least[guarded][way] = min(least[guarded][way], size)
        if number >= 5 and are_equal():
            break
    assert are_equal() and min(least[False]) > 500, least


@dataclass(frozen=True)
class Entries:
    """The home log's intents of a guarded and an ordinary question, and the folder they were exported to."""

    export: Path
    guarded: int
    ordinary: int


@pytest.fixture(scope="module")
def entries(states: States, tmp_path_factory: pytest.TempPathFactory) -> Entries:
    pair = PAIRS["declared at the booth"]
    numbers = []
    for guarded in (True, False):
        start = states.size("HND")
        pair.ask(states, guarded=guarded)
        numbers += [
            leaf.seq
            for leaf in states.leaves("HND", start, "check.ask")
            if leaf.peer == OWNER and leaf.phase == "intent"
        ]
    export = states.export("HND", tmp_path_factory.mktemp("home") / "export")
    return Entries(export, *numbers)


def opened(entries: Entries, key: Path) -> dict[int, dict[str, Any]]:
    """What a reader's key opens of the two entries."""
    ran = limen("--json", "audit", "show", str(entries.export), "--kind", "check.ask", "--reader-key", str(key))
    assert ran.code == 0, ran.err
    return {row["seq"]: row["opened"] for row in ran.json if row["seq"] in (entries.guarded, entries.ordinary)}


@pytest.mark.parametrize("reader", ["auditor", "protection"])
def test_auditor_and_protection_desk_see_which_was_guarded(states: States, entries: Entries, reader: str) -> None:
    said = opened(entries, states.folder("HND") / "handover" / f"{reader}.key")
    assert said[entries.guarded]["guarded"] is True and said[entries.ordinary]["guarded"] is False
    assert said[entries.guarded]["why"] and not said[entries.ordinary]["why"]
    if reader == "protection":
        # The desk learns that, and neither who asked nor what.
        assert said[entries.guarded].keys() == {"guarded", "why"}
    else:
        # No key of the person was in the guarded batch; the ordinary one had some.
        assert said[entries.guarded]["keys"] == [] and said[entries.ordinary]["keys"]


def test_no_key_of_the_node_opens_it(states: States, entries: Entries) -> None:
    keys = sorted((states.folder("HND") / "keys").rglob("*.key"))
    assert len(keys) >= 6
    payloads = [states.payload("HND", number) for number in (entries.guarded, entries.ordinary)]
    tried = 0
    for path in keys:
        purpose = re.search(r"purpose: (.+)", path.read_text("ascii"))
        assert purpose is not None
        held = files.read_secret(path, purpose[1])
        secret = held.copy()
        held.free()
        for payload in payloads:
            with pytest.raises(VerificationFailed):
                seal.Opener(secret).open(payload)
            tried += 1
        ran = limen("audit", "show", str(entries.export), "--reader-key", str(path))
        assert ran.code == ConfigRefused.row.exit_code and len(ran.err.splitlines()) == 1
    assert tried == 2 * len(keys)


def test_the_owners_readers_see_an_ordinary_question(states: States, tmp_path: Path) -> None:
    start = states.size(OWNER)
    PAIRS["declared at the booth"].ask(states, guarded=True)
    seqs = [leaf.seq for leaf in states.leaves(OWNER, start, "check.answer")]
    export = states.export(OWNER, tmp_path / "export")
    for reader in ("auditor", "supervisor", "protection"):
        key = states.folder(OWNER) / "handover" / f"{reader}.key"
        ran = limen("--json", "audit", "show", str(export), "--kind", "check.answer", "--reader-key", str(key))
        assert ran.code == 0
        rows = [row for row in ran.json if row["seq"] in seqs]
        assert len(rows) == 2 and not any("guard" in name for row in rows for name in str(row).split())


@pytest.fixture(scope="module")
def glass(states: States) -> Iterator[Liar]:
    """The owner's gateway with its own keys, answering honestly and keeping every byte it got."""
    with replaced(states, OWNER, asked_by="HND") as made:
        states.whole("PAN")
        yield made


def test_the_bytes_that_reach_the_owner_are_of_one_form(states: States, glass: Liar, pair: Pair) -> None:
    seen = {}
    for guarded in (False, True):
        before = len(glass.seen())
        assert pair.ask(states, guarded=guarded).code == 0
        (said,) = [one for one in glass.seen()[before:] if watchlist_pb2.CheckRequest.FromString(
            bytes.fromhex(one["body"])).asker == pair.asker]  # fmt: skip
        seen[guarded] = said
    bodies = {which: watchlist_pb2.CheckRequest.FromString(bytes.fromhex(said["body"])) for which, said in seen.items()}
    fields = {which: {field.name: value for field, value in body.ListFields()} for which, body in bodies.items()}
    assert fields[True].keys() == fields[False].keys() and fields[True].keys() >= DRAWN
    for name, value in fields[False].items():
        if name not in DRAWN:
            assert fields[True][name] == value, name
        elif isinstance(value, bytes):
            assert len(fields[True][name]) == len(value) and fields[True][name] != value, name
    # No point comes twice: dummies are drawn anew, so that two cover legs are not known by their elements.
    points = [bytes(value["blinded"][at : at + 32]) for value in fields.values() for at in range(0, 256, 32)]
    assert len(set(points)) == 16
    assert len(seen[True]["header"]) - len(seen[False]["header"]) in (0, 2), "but for the entry's number"
    assert len(seen[True]["signature"]) == len(seen[False]["signature"]) == 128
    grown_by = len(seen[True]["body"]) - len(seen[False]["body"])
    assert grown_by in (0, 2), "but for a counter that has come to another length"
