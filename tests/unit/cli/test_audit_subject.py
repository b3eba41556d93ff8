"""`limen audit subject`: a person is told who asked; who was never asked about, is covert, or is kept back cannot tell
which of them it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from examples import limen_verify as one
from gateway.audit import bundle, search, subject
from gateway.audit.search import Row, What
from gateway.audit.subject import COVER_NS, Event
from gateway.cli.acts.nodes import Ran
from gateway.cli.acts.nodes import limen as run_command
from gateway.keyring import files
from gateway.policy import catalogue
from tests.unit.audit import log
from tests.unit.cli.test_audit_search import CASE, DAY_NS, FOUND, MISSED, Logged, written

SUBJECT = "issuer: HND\ndocument_number: {}\nnationality: HND\n"
NEVER = "EF0000001"


class Recent(Logged):
    """The same matters, five days ago."""

    def since(self) -> int:
        return time.time_ns() - 5 * DAY_NS


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two copies of logs, an old one and a recent one; a card, a reader's key, a list of cases kept back."""
    folder = tmp_path_factory.mktemp("desk")
    written(Logged(), folder / "old")
    written(Recent(), folder / "recent")
    (folder / "card").write_text(log.CARD.encode())
    files.write_secret(folder / "auditor.key", "auditor", log.READERS["auditor"])
    (folder / "kept").write_text(f"# by order\n{search.shown(What.NUMBER, CASE)}\n")
    return folder


def asked(desk: Path, copy: str, out: Path, number: str, *more: str, tick: int = 0) -> Ran:
    return run_command(
        "audit", "subject", str(desk / copy), "--trust", str(desk / "card"), "--reader-key", str(desk / "auditor.key"),
        "--proofing", "in-person", "--tick", str(tick), "-o", str(out), *more,
        stdin=SUBJECT.format(number).encode(),
    )  # fmt: skip


def answer(out: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((out / "answer.json").read_bytes())
    return told


def test_a_person_is_told_when_who_what_for_and_what_was_told_and_never_the_officer(desk: Path, tmp_path: Path) -> None:
    ran = asked(desk, "old", tmp_path / "a", FOUND)
    assert ran.code == 0, ran.err
    said = answer(tmp_path / "a")
    assert said["identified"] == "in-person" and len(said["told"]) == 2
    question, disclosure = said["told"]
    assert question["what"] == "SNM asked HND and something was found" and question["purpose"] == "SEC.WATCH"
    assert question["when"].startswith("2023-11-1") and question["legal_basis"] == "agreement art. 4"
    assert disclosure["fields"] == ["birth_date", "photo"] and "GRANTED" in disclosure["what"]
    whole = b"".join(path.read_bytes() for path in (tmp_path / "a").iterdir())
    whole = whole.replace(b"P-77".ljust(16, b"\0"), b"")  # the number that this log's question goes by
    for hidden in (b"P-77", b"P-78", FOUND.encode(), b"C-1", b"shift"):
        assert hidden not in whole
    assert any("under nobody's name" in line for line in said["cannot_be_told"])


def test_what_is_told_comes_with_its_proof(desk: Path, tmp_path: Path) -> None:
    asked(desk, "old", tmp_path / "a", FOUND)
    data = (tmp_path / "a" / "evidence.limen").read_bytes()
    found = bundle.inspect(data, log.CARD)
    told = [row["entry"] for row in answer(tmp_path / "a")["told"] if row["evidence"]]
    assert found.report.ok and [leaf.seq for leaf, _ in found.entries] == told != []
    assert one.main([str(tmp_path / "a" / "evidence.limen"), "--trust", str(desk / "card")]) == 0


def alike(outs: list[Path], ran: list[Ran]) -> None:
    assert len({one_.code for one_ in ran}) == 1 and ran[0].code == 0, ran
    assert len({one_.err for one_ in ran}) == 1
    for name in ("answer.json", "evidence.limen"):
        assert len({(out / name).read_bytes() for out in outs}) == 1, name
    assert len({tuple(sorted(path.name for path in out.iterdir())) for out in outs}) == 1
    assert answer(outs[0])["told"] == []


def test_never_asked_found_nothing_about_covert_and_kept_back_are_alike(desk: Path, tmp_path: Path) -> None:
    outs = [tmp_path / name for name in ("never", "nothing", "covert")]
    alike(outs, [
        asked(desk, "recent", out, number) for out, number in zip(outs, (NEVER, MISSED, FOUND), strict=True)
    ])  # fmt: skip
    outs = [tmp_path / name for name in ("never-2", "kept-back")]
    alike(outs, [asked(desk, "old", out, number, "--withhold", str(desk / "kept"))
                 for out, number in zip(outs, (NEVER, FOUND), strict=True)])  # fmt: skip


def test_the_answer_comes_on_a_tick(desk: Path, tmp_path: Path) -> None:
    for number in (NEVER, FOUND):
        begun = time.monotonic()
        assert asked(desk, "old", tmp_path / number, number, tick=2).code == 0
        assert time.monotonic() - begun >= 2


def test_nothing_is_answered_through_a_state_that_the_person_may_have_fled_from(desk: Path, tmp_path: Path) -> None:
    said = set()
    for number in (NEVER, MISSED, FOUND):
        ran = asked(desk, "old", tmp_path / number, number, "--via", "HND")
        said.add((ran.code, ran.out, ran.err))
        assert not (tmp_path / number).exists()
    assert len(said) == 1 and said.pop()[0] == 3
    assert asked(desk, "old", tmp_path / "other", FOUND, "--via", "UTO").code == 0


@pytest.mark.parametrize(("stdin", "code"), [(b"", 8), (b"surname: PAZ\n", 8), (b"\xff\xfe", 8)])
def test_what_names_no_person_is_refused_and_not_repeated(desk: Path, tmp_path: Path, stdin: bytes, code: int) -> None:
    ran = run_command(
        "audit", "subject", str(desk / "old"), "--trust", str(desk / "card"), "--reader-key",
        str(desk / "auditor.key"), "--proofing", "in-person", "-o", str(tmp_path / "a"), stdin=stdin,
    )  # fmt: skip
    assert ran.code == code and "PAZ" not in ran.err and not (tmp_path / "a").exists()


def test_a_copy_that_does_not_verify_answers_nobody(desk: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    made = Logged().export()
    made["tile/entries/000.p/" + str(Logged().store.size())] += b"\0"
    for name, data in made.items():
        (bad / name).parent.mkdir(parents=True, exist_ok=True)
        (bad / name).write_bytes(data)
    ran = run_command(
        "audit", "subject", str(bad), "--trust", str(desk / "card"), "--reader-key", str(desk / "auditor.key"),
        "--proofing", "in-person", "-o", str(tmp_path / "a"), stdin=SUBJECT.format(FOUND).encode(),
    )  # fmt: skip
    assert ran.code == 6 and not (tmp_path / "a").exists()


def row(seq: int, purpose: str, at_ns: int, kind: str = "check.ask") -> Row:
    return Row(seq=seq, time_ns=at_ns, kind=kind, phase="outcome", peer="HND", outcome="done", purpose=purpose)


def test_a_matter_is_told_when_the_last_of_its_entries_may_be() -> None:
    late = COVER_NS["SEC.WATCH"]
    events = [Event(row(1, "SEC.WATCH", 0), b"m"), Event(row(2, "SEC.WATCH", 50, "case.sent"), b"m"),
              Event(row(3, "DOC.STATUS", 60), b"n")]  # fmt: skip
    assert [one_.seq for one_ in subject.told(events, frozenset(), late + 49)] == [3]
    assert [one_.seq for one_ in subject.told(events, frozenset(), late + 50)] == [1, 2, 3]
    # One answer with two hits: the covert one keeps the other back as well.
    both = [Event(row(1, "SEC.WATCH", 0), b"m"), Event(row(1, "SEC.WATCH", 0), b"k")]
    assert subject.told(both, frozenset([b"k"]), late) == []
    assert [one_.seq for one_ in subject.told(both, frozenset(), late)] == [1]
    # What nobody has thought about is not told.
    assert subject.told([Event(row(1, "RISK.IBC", 0), b"m")], frozenset(), 1 << 62) == []


def test_every_offered_purpose_about_persons_has_a_cover() -> None:
    assert {one_ for one_ in catalogue.OFFERED if not catalogue.is_aggregate(one_)} == COVER_NS.keys()
