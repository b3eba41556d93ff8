"""`limen audit search` and `reads`: filters, tags made at home, pages, files, counts, saved queries, errors."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audit import checkpoint, export, note, trust
from gateway.audit import search as search_words
from gateway.audit.entry import Entry, Phase, Scalar
from gateway.cli.acts.nodes import Ran
from gateway.cli.acts.nodes import limen as run_command
from gateway.cli.main import run
from gateway.errors import InputRefused
from gateway.keyring import files
from gateway.primitives.lp import lp
from gateway.store.finder import Finder
from gateway.store.memory import MemoryStore
from tests.extras import ROOT
from tests.unit.audit import log

DAY_NS = 86_400 * 10**9
CASE = bytes.fromhex("0123456789abcdef0123456789abcdef")
FOUND, MISSED = "AB1234567", "CD7654321"
KEYS = [lp("doc/1", "HND", MISSED), lp("doc/1", "HND", FOUND), lp("name_year/1", "ANA PAZ", "1984")]
SUBJECT = "issuer: HND\ndocument_number: {}\n"


class Logged(log.Made):
    """A check with a hit, one without, one that never ended, one that was denied; a case that ended with a release."""

    async def _fill(self, legs: int) -> None:
        self._ticks.wall += DAY_NS
        hit = [f"1:HND-00112233445566ff:DOCUMENT:1+2:{CASE[:8].hex()}"]
        await self.ask("P-77", "C-1", KEYS, hit)
        await self.ask("P-78", "C-2", [KEYS[0]], [])
        self._ticks.wall += DAY_NS
        await self.store.commit([self.intent("P-77", "C-3", [KEYS[0]], b"\3" * 16)])
        denied: dict[str, Scalar] = {"purpose": "READ.IDENT", "basis": "b", "agency": "INM", "reasons": "role,basis"}
        await self.store.commit(
            [Entry("check.denied", Phase.EVENT, "UTO", denied, {"officer": "P-9", "case": "C-4"}, retention="24h")]
        )
        await self.store.commit([self.taken()])
        await self.store.commit([Entry("audit.read", Phase.EVENT, public={"first": 0, "count": 5},
                                       secret={"officer": "court", "case": ""})])  # fmt: skip
        for _ in range(legs):
            await self.store.commit([Entry("filler", Phase.EVENT)])
        await self.sign(["HND", "UTO"])

    def __init__(self, legs: int = 0) -> None:
        self._ticks = log.Ticks()
        self._ticks.wall = self.since()
        self.store = MemoryStore(
            self._ticks, origin=log.ORIGIN, recipients=log.recipients(), chance=log.Chance(bytes(32))
        )
        self.receipt = export.Receipt("HND", b"manifest", b"header", b"signature")
        asyncio.run(self._fill(legs))

    def since(self) -> int:
        """When it begins, UTC ns."""
        return log.Ticks().wall

    def intent(self, officer: str, case: str, keys: list[bytes], leg: bytes) -> Entry:
        made = log.ask(1, Phase.INTENT)
        secret: dict[str, Any] = {**made.secret, "officer": officer, "case": case, "keys": list(keys)}
        return Entry(
            made.kind, made.phase, "HND", {**made.public, "leg": leg}, secret, made.guard, "30d", made.sealed_bytes
        )

    async def ask(self, officer: str, case: str, keys: list[bytes], hits: list[str]) -> None:
        leg = officer.encode().ljust(16, b"\0")
        (seq,) = (await self.store.commit([self.intent(officer, case, keys, leg)])).seqs
        made = log.ask(1, Phase.OUTCOME, seq)
        public = {**made.public, "leg": leg}
        await self.store.commit([Entry(made.kind, made.phase, "HND", public, {"hits": list(hits)}, {}, "30d", 512)])

    def taken(self) -> Entry:
        public: dict[str, Scalar] = {
            "case_id": CASE, "side": "asker", "purpose": "SEC.WATCH", "message": "decision", "state": "GRANTED",
            "request_hash": bytes(64), "fields": "birth_date,photo",
        }  # fmt: skip
        return Entry("case.taken", Phase.EVENT, "HND", public, {"entry_id": "", "code": ""})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(Logged(), tmp_path_factory.mktemp("log") / "export")


def written(made: log.Made, folder: Path, **given: bool) -> Path:
    for name, data in made.export(**given).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "auditor.key"
    files.write_secret(path, "auditor", log.READERS["auditor"])
    return path


Search = Callable[..., Any]


def limen(*words: object, stdin: bytes = b"") -> Ran:
    return run_command(*map(str, words), stdin=stdin)


@pytest.fixture
def search(told: Search, folder: Path) -> Search:
    def ask(*more: object, code: int = 0) -> Any:
        return told("audit", "search", folder, *more, code=code)

    return ask


def seqs(found: Any) -> list[int]:
    return [row["seq"] for row in found["rows"]]


def typed(folder: Path, text: str, *more: object) -> Any:
    ran = limen("--json", "audit", "search", folder, *more, stdin=text.encode())
    assert ran.code == 0, ran.err
    return ran.json


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--kind", "check.ask"), [4, 3, 2, 1, 0]),
        (("--kind", "check.ask", "--outcome", "begun"), [4, 2, 0]),
        (("--kind", "check.denied", "--kind", "audit.read"), [7, 5]),
        (("--state", "UTO"), [5]),
        (("--purpose", "READ.IDENT"), [5]),
        (("--agency", "INM"), [5]),
        (("--basis", "agreement art. 4"), [4, 3, 2, 1, 0]),
        (("--policy", "PAN-HND"), [4, 3, 2, 1, 0]),
        (("--policy", "0000"), [4, 3, 2, 1, 0]),
        (("--policy", "abcd"), []),
        (("--field", "photo"), [6]),
        (("--decision", "GRANTED"), [6]),
        (("--reason", "basis"), [5]),
        (("--retention", "24h"), [5]),
        (("--denied",), [5]),
        (("--unpaired",), [4]),
        (("--query", "unfinished"), [4]),
        (("--since", "12h"), [8, 7, 6, 5, 4]),
        (("--until", "12h", "--outcome", "begun"), [2, 0]),
        (("--since", "2023-11-16", "--until", "2023-11-17"), [8, 7, 6, 5, 4]),
        (("--since", "2030-01-01"), []),
        (("--case", f"case_{CASE.hex()}"), [6]),
        (("--oldest", "--kind", "check.ask", "--limit", "2"), [0, 1]),
        (("--kind", "check.ask", "--denied"), []),
    ],
)
def test_each_filter_finds_what_it_says(search: Search, filters: tuple[str, ...], found: list[int]) -> None:
    assert seqs(search(*filters)) == found


def test_what_is_sealed_is_found_by_tags_made_at_home(folder: Path, key: Path) -> None:
    def by(option: str, text: str) -> list[int]:
        return seqs(typed(folder, text, "--reader-key", key, option, "-"))

    assert by("--officer", "P-77\n") == [4, 0]
    assert by("--officer", "P-0") == []
    assert by("--case", "C-2") == [2]
    assert by("--subject", SUBJECT.format(FOUND)) == [6, 1]
    assert by("--subject", "surname: PAZ\ngiven_names: ANA\nbirth_date: 1984\n") == [6, 1]


def test_what_was_asked_without_a_hit_has_no_tag(folder: Path, key: Path, tmp_path: Path) -> None:
    """T11: the document stands sealed in three intents, one of them of a question where another had the hit."""
    index = tmp_path / "index"
    found = typed(folder, SUBJECT.format(MISSED), "--reader-key", key, "--subject", "-", "--index", index)
    assert found["rows"] == []
    held = index.read_bytes()
    for text in (MISSED, FOUND, "P-77", "C-1", "PAZ"):
        assert text.encode() not in held
    tagger = search_tagger()
    assert tagger.tag("subject", KEYS[1]) in held and tagger.tag("subject", KEYS[0]) not in held


def search_tagger() -> Any:
    from gateway.audit.search import Tagger, What

    class Words(Tagger):
        def tag(self, what: Any, value: str | bytes) -> bytes:
            return super().tag(What(what), value)

    return Words(log.READERS["auditor"])


def test_a_tag_that_was_shown_can_be_typed_and_another_readers_is_another(
    search: Search, key: Path, tmp_path: Path
) -> None:
    (row,) = search("--reader-key", key, "--denied")["rows"]
    assert row["officer"].startswith("officer_") and row["case"].startswith("reference_")
    assert seqs(search("--reader-key", key, "--officer", row["officer"], "--case", row["case"])) == [5]
    other = tmp_path / "supervisor.key"
    files.write_secret(other, "supervisor", log.READERS["supervisor"])
    (same,) = search("--reader-key", other, "--denied")["rows"]
    assert same["officer"] != row["officer"]


def test_nothing_sealed_is_shown_in_any_form(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "jsonl", "csv", "ocsf"):
        assert run(["audit", "search", str(folder), "--reader-key", str(key), "--format", form]) == 0
        said = capsys.readouterr().out
        assert said and not any(text in said for text in (FOUND, MISSED, "P-77", "P-9", "C-1", "PAZ", "shift", "court"))


# What holds


def test_rows_say_what_is_proved_of_them(search: Search, folder: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.write_text(log.CARD.encode())
    found = search("--trust", card, "--kind", "check.ask")
    assert found["checkpoint"] == {
        "origin": log.ORIGIN, "size": 9, "signed": True, "cosigned": ["HND", "UTO"], "witnesses": 2, "quorum": True,
        "extends_seen": None,
    }  # fmt: skip
    assert {(row["included"], row["payload"]) for row in found["rows"]} == {(True, "intact")}
    assert search("--denied")["checkpoint"]["signed"] is None


def test_a_row_that_was_changed_is_not_included_and_a_payload_that_was_changed_says_so(tmp_path: Path) -> None:
    folder = written(Logged(), tmp_path / "export")
    bundle = folder / "tile" / "entries" / "000.p" / "9"
    bundle.write_bytes(bundle.read_bytes().replace(b"READ.IDENT", b"RISK.IBC  "))
    (payloads,) = (folder / "payloads").iterdir()
    data = bytearray(payloads.read_bytes())
    data[-1] ^= 1
    payloads.write_bytes(bytes(data))
    ran = limen("audit", "search", folder, "--kind", "check.denied", "--kind", "audit.read")
    assert ran.code == 0 and "NOT INCLUDED" in ran.out and "payload CHANGED" in ran.out


def test_a_payload_past_its_term_was_erased_and_one_before_it_is_missing(tmp_path: Path) -> None:
    made = Logged()
    made._ticks.wall += 2 * DAY_NS
    asyncio.run(made.store.commit([Entry("filler", Phase.EVENT)]))
    asyncio.run(made.sign(["HND"]))
    folder = written(made, tmp_path / "export")
    for file in (folder / "payloads").iterdir():
        file.unlink()
    rows = limen("--json", "audit", "search", folder, "--kind", "check.denied", "--kind", "audit.read").json["rows"]
    assert [row["payload"] for row in rows] == ["missing", "erased"]
    left = written(made, tmp_path / "leaves", payloads=False)
    (row,) = limen("--json", "audit", "search", left, "--denied").json["rows"]
    assert row["payload"] == "left out"


# Pages, files, counts


def test_pages_follow_each_other_without_a_gap(search: Search) -> None:
    first = search("--limit", 3)
    second = search("--limit", 3, "--after", first["next"])
    third = search("--limit", 3, "--after", second["next"])
    assert seqs(first) + seqs(second) + seqs(third) == [8, 7, 6, 5, 4, 3, 2, 1, 0] and third["next"] is None
    assert seqs(search("--oldest", "--after", 5)) == [6, 7, 8]


def test_files_hold_all_that_answers(folder: Path, key: Path, tmp_path: Path) -> None:
    def saved(form: str) -> str:
        out = tmp_path / form
        assert limen("audit", "search", folder, "--format", form, "-o", out, "--reader-key", key).code == 0
        return out.read_text()

    assert [json.loads(line)["seq"] for line in saved("jsonl").splitlines()] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    rows = list(csv.DictReader(io.StringIO(saved("csv"))))
    assert [row["seq"] for row in rows] == [str(n) for n in range(8, -1, -1)] and rows[3]["reasons"] == "role,basis"
    events = [json.loads(line) for line in saved("ocsf").splitlines()]
    assert len(events) == 9
    for event in events:
        # What the class requires, and what the schema's base event does.
        assert {"activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id", "src_endpoint",
                "time", "type_uid"} <= event.keys()  # fmt: skip
        assert event["class_uid"] == 6003 and event["category_uid"] == 6
        assert event["type_uid"] == 600300 + event["activity_id"] and event["api"]["operation"]
        assert event["metadata"]["version"] == "1.6.0" and "uid" not in event["metadata"]
        assert set(event) <= OCSF
    denied = events[3]
    assert (denied["status_id"], denied["status_detail"]) == (2, "role,basis")
    assert denied["actor"]["user"]["uid"].startswith("officer_") and denied["unmapped"]["purpose"] == "READ.IDENT"


OCSF = {
    "activity_id", "activity_name", "actor", "api", "category_uid", "class_uid", "dst_endpoint", "metadata",
    "severity_id", "src_endpoint", "status", "status_detail", "status_id", "time", "type_uid", "unmapped",
}  # fmt: skip
"""Of the class's attributes those that are used: their names are the schema's."""


def test_entries_are_counted_by_what_is_named(search: Search, key: Path) -> None:
    found = search("--by", "kind,outcome")
    assert found["total"] == 9 and {"kind": "check.ask", "outcome": "begun", "count": 3} in found["groups"]
    assert search("--kind", "check.ask", "--by", "month,state")["groups"] == [
        {"month": "2023-11", "state": "HND", "count": 5}
    ]
    by = search("--kind", "check.ask", "--outcome", "begun", "--reader-key", key, "--by", "officer")["groups"]
    assert sorted(one["count"] for one in by) == [1, 2]


# The index


def test_an_index_goes_on_where_it_was_and_finds_the_same(tmp_path: Path, key: Path, told: Search) -> None:
    made = Logged()
    early = written(made, tmp_path / "early")
    index = tmp_path / "index"
    first = told("audit", "search", early, "--reader-key", key, "--index", index)
    asyncio.run(made.ask("P-77", "C-1", KEYS, []))
    asyncio.run(made.sign(["HND"]))
    late = written(made, tmp_path / "late")
    kept = told("audit", "search", late, "--reader-key", key, "--index", index)
    assert kept == told("audit", "search", late, "--reader-key", key)
    assert seqs(kept)[3:] == seqs(first)
    assert "an older copy" in told("audit", "search", early, "--reader-key", key, "--index", index, code=8)
    assert "another reader's key" in told("audit", "search", late, "--index", index, code=8)
    elsewhere = written(log.Made(9), tmp_path / "other")
    assert "no continuation" in told("audit", "search", elsewhere, "--reader-key", key, "--index", index, code=8)
    index.write_bytes(b"not an index")
    assert "is not an index" in told("audit", "search", late, "--reader-key", key, "--index", index, code=8)


def test_tags_last_no_longer_than_what_they_are_of(tmp_path: Path, key: Path) -> None:
    made = Logged()
    index = tmp_path / "index"
    early = written(made, tmp_path / "early")
    assert seqs(typed(early, "P-9", "--reader-key", key, "--officer", "-", "--index", index)) == [5]
    made._ticks.wall += 31 * DAY_NS
    asyncio.run(made.store.commit([Entry("filler", Phase.EVENT)]))
    asyncio.run(made.sign(["HND"]))
    late = written(made, tmp_path / "late")
    for officer in ("P-9", "P-77"):
        assert seqs(typed(late, officer, "--reader-key", key, "--officer", "-", "--index", index)) == []
    tagger = search_tagger()
    held = index.read_bytes()
    assert tagger.tag("officer", "P-77") not in held and tagger.tag("case", "C-1") not in held
    # What a case of three years says of its subject is still found.
    assert seqs(typed(late, SUBJECT.format(FOUND), "--reader-key", key, "--subject", "-", "--index", index)) == [6]


# Saved queries


def test_a_query_is_saved_without_a_word_in_clear_and_asked_again(folder: Path, key: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.json"
    asked = ("--reader-key", key, "--queries", queries)
    first = typed(folder, "P-77", *asked, "--officer", "-", "--kind", "check.ask", "--save", "seventy-seven")
    assert "P-77" not in queries.read_text()
    again = limen("--json", "audit", "search", folder, *asked, "--query", "seventy-seven").json
    assert seqs(first) == seqs(again) == [4, 0]
    narrower = limen("--json", "audit", "search", folder, *asked, "--query", "seventy-seven", "--unpaired").json
    assert seqs(narrower) == [4]


# Who read


def test_the_readings_say_what_for_and_to_the_supervisor_who(folder: Path, key: Path, told: Search) -> None:
    (read,) = told("audit", "reads", folder)["reads"]
    assert read["kind"] == "audit.read" and read["what"] == "5 entries from 0" and "who" not in read
    assert told("audit", "reads", folder, "--reader-key", key)["reads"][0]["who"] == "court"
    assert told("audit", "reads", folder, "--since", "2030-01-01")["reads"] == []


# Errors


@pytest.mark.parametrize(
    ("typed_words", "code", "said"),
    [
        (("--kind", "check.aks"), 2, "did you mean check.ask?"),
        (("--outcome", "no"), 2, "There are begun, done, denied, failed"),
        (("--role", "boss"), 2, "There are border.frontline"),
        (("--purpose", "SEC.WACH"), 2, "did you mean SEC.WATCH?"),
        (("--retention", "2y"), 2, "There are none, 24h"),
        (("--state", "Honduras"), 2, "three capital letters"),
        (("--policy", "x"), 2, "four hex digits"),
        (("--since", "yesterday"), 2, "write YYYY-MM-DD"),
        (("--by", "colour"), 2, "write some of purpose, agency, month"),
        (("--limit", "0"), 2, "at least 1"),
        (("--after", "-3"), 2, "the number of an entry"),
        (("--officer", "-"), 2, "give --reader-key FILE"),
        (("--subject", "AB1234567"), 2, "give --reader-key FILE"),
        (("--query", "nope"), 2, "There are denied-this-month"),
        (("--save", "x"), 2, "--queries FILE"),
        (("--save", "unfinished", "--queries", "q"), 2, "choose another name"),
        (("--by", "kind", "--format", "ocsf"), 2, "counts are no events"),
    ],
)
def test_a_word_that_is_none_is_refused_with_those_that_are(
    search: Search, typed_words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in search(*typed_words, code=code)


def test_files_that_are_not_what_they_must_be_are_named(told: Search, folder: Path, key: Path, tmp_path: Path) -> None:
    assert "is not a folder" in told("audit", "search", tmp_path / "none", code=8)
    assert "is not what `limen audit export` wrote" in told("audit", "search", tmp_path, code=8)
    bad = tmp_path / "bad"
    bad.write_text("{}")
    assert "is not the key of a reader" in told("audit", "search", folder, "--reader-key", bad, code=8)
    assert "trust card" in told("audit", "search", folder, "--trust", bad, code=8)
    bad.write_text('{"mine": {"colour": ["red"]}}')
    assert "an option that is none" in told("audit", "search", folder, "--queries", bad, "--query", "mine", code=8)
    bad.write_text("[")
    assert "is not JSON" in told("audit", "search", folder, "--queries", bad, "--query", "mine", code=8)


def test_what_is_sealed_is_not_looked_for_where_it_is_not_or_with_a_key_that_does_not_open_it(
    told: Search, key: Path, folder: Path, tmp_path: Path
) -> None:
    leaves = written(Logged(), tmp_path / "leaves", payloads=False)
    tag = f"officer_{bytes(16).hex()}"
    assert "holds leaves only" in told("audit", "search", leaves, "--reader-key", key, "--officer", tag, code=8)
    assert seqs(told("audit", "search", leaves, "--case", f"case_{CASE.hex()}")) == [6]
    desk = tmp_path / "protection.key"
    files.write_secret(desk, "protection", log.READERS["desk"])
    said = told("audit", "search", folder, "--reader-key", desk, "--officer", tag, code=8)
    assert "(supervisor, auditor)" in said


def test_what_is_typed_on_standard_input_is_never_repeated(folder: Path, key: Path) -> None:
    for option, text in (("--officer", "two\nlines"), ("--officer", ""), ("--subject", "surname: PAZ\n")):
        ran = limen("audit", "search", folder, "--reader-key", key, option, "-", stdin=text.encode())
        assert ran.code == 8 and "PAZ" not in ran.err and "lines" not in ran.err.replace("one line", "")
    ran = limen("audit", "search", folder, "--reader-key", key, "--officer", "-", "--case", "-", stdin=b"x")
    assert ran.code == 2 and "standard input can be one of them" in ran.err


def test_nothing_found_is_said_with_the_filters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "search", str(folder), "--state", "GTM", "--denied"]) == 0
    assert "no entry answers to peer, outcome together" in capsys.readouterr().out


def test_a_copy_says_whether_it_goes_on_from_the_head_seen_last(tmp_path: Path, told: Search) -> None:
    made = Logged()
    card = tmp_path / "card"
    noted = made.store.checkpoint(made.store.size())
    assert noted is not None
    head = checkpoint.parse(note.parse(noted).text)
    card.write_text(trust.Card(log.CARD.logs, log.CARD.quorum, (head,)).encode())
    asyncio.run(made.ask("P-77", "C-9", KEYS, []))
    asyncio.run(made.sign(["HND", "UTO"]))
    found = told("audit", "search", written(made, tmp_path / "on"), "--trust", card)
    assert found["checkpoint"]["extends_seen"] is True
    other = told("audit", "search", written(log.Made(9), tmp_path / "other"), "--trust", card)
    assert other["checkpoint"]["extends_seen"] is False


def test_an_entry_has_each_tag_once_whoever_is_named_in_how_many_fields(tmp_path: Path, key: Path) -> None:
    def lines() -> Iterator[list[int]]:
        made = Logged()
        secret: dict[str, Any] = {"officers": ["P-1", "P-2"], "decision": "d"}
        public: dict[str, Scalar] = {"list": "PERSONS", "file_hash": bytes(64), "reasons": "role"}
        asyncio.run(made.store.commit([Entry("list.denied", Phase.EVENT, public=public, secret=secret)]))
        asyncio.run(made.sign(["HND"]))
        folder = written(made, tmp_path / "export")
        for officer in ("P-1", "P-2"):
            yield seqs(typed(folder, officer, "--reader-key", key, "--officer", "-"))

    assert list(lines()) == [[9], [9]]


# The page

SECTIONS = ("Finding entries", "Who has read it")


def test_the_commands_of_the_page_do_what_it_says(
    folder: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "auditing.md").read_text("utf-8")
    searching, reading = (text.partition(f"## {name}\n")[2].split("\n## ")[0] for name in SECTIONS)
    part = searching + reading
    typed_there = [line.strip() for line in part.splitlines() if line.startswith("    ") and "limen audit" in line]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EXPORT").symlink_to(folder)
    (tmp_path / "card").write_text(log.CARD.encode())
    (tmp_path / "traveller.txt").write_text(SUBJECT.format(FOUND))
    for reader in ("auditor", "supervisor"):
        files.write_secret(tmp_path / f"{reader}.key", reader, log.READERS[reader])
    assert len(typed_there) == 9
    for line in typed_there:
        before, piped, command = line.rpartition(" | ")
        command, _, source = command.partition(" < ")
        stdin = before.removeprefix("echo ").encode() if piped else b""
        ran = limen(*command.split()[1:], stdin=(tmp_path / source).read_bytes() if source else stdin)
        assert ran.code == 0, (line, ran.err)
    assert (tmp_path / "disclosures.csv").read_text().count("\n") == 1
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 0


# Foreign bytes


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(min_size=1, max_size=4000))
def test_any_bytes_are_no_index(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "index"
    path.write_bytes(data)
    with pytest.raises(InputRefused):
        Finder(path)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 1 << 30), put=st.binary(min_size=1, max_size=64))
def test_a_damaged_index_answers_or_is_refused(tmp_path: Path, folder: Path, at: int, put: bytes) -> None:
    path = tmp_path / "damaged"
    path.unlink(missing_ok=True)
    run_command("audit", "search", str(folder), "--index", str(path))
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at : at + len(put)] = put
    path.write_bytes(data)
    ran = run_command("audit", "search", str(folder), "--index", str(path))
    assert ran.code in (0, 8), ran.err


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_export_is_searched_or_refused_in_one_sentence(tmp_path: Path, folder: Path, data: Any) -> None:
    spoiled = tmp_path / "spoiled"
    shutil.rmtree(spoiled, ignore_errors=True)
    shutil.copytree(folder, spoiled)
    file = data.draw(st.sampled_from(sorted(path for path in spoiled.rglob("*") if path.is_file())))
    held = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(held)))
    held[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=8))
    file.write_bytes(held)
    ran = run_command("audit", "search", str(spoiled))
    assert ran.code in (0, 6, 8) and ran.err.count("\n") <= 1


@given(hits=st.lists(st.text(max_size=60)), keys=st.lists(st.binary(max_size=40)))
def test_any_words_are_hits_or_none(hits: list[str], keys: list[bytes]) -> None:
    for number, found in search_words.found_keys(hits, keys):
        assert len(number) in (0, 8) and set(found) <= set(keys)


def test_an_entry_out_of_its_place_and_a_number_of_no_log_are_named() -> None:
    finder = Finder()
    with pytest.raises(InputRefused, match="entry 0 has a time"), finder.building({}):
        finder.add([(search_words.Row(0, 1 << 63, "filler", "event", "", "done"), ())])
    assert finder.size() == 0
