"""What a desk officer types and reads: words that are never surer than the facts, and nothing personal in arguments."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest

from gateway import errors
from gateway.cli.acts import case
from gateway.cli.main import run
from gateway.cli.verbs import SIGNED
from gateway.disclosure import codes
from gateway.federation import statement
from gateway.keyring import personal
from gateway.primitives import cbor, ed25519
from gateway.rpc.doors import CaseView
from gateway.terms import Hidden, MatchClass, RecordKind
from gateway.terms.ids import OfficerId
from tests.unit.cli.conftest import at_home
from tests.unit.rpc.test_home_cases import CASE, Desk, a_line, a_view, an_act

CASE_TEXT = "case_" + CASE.hex()
HOUR_NS = 3600 * 10**9


@pytest.fixture
def desk(pan: Path) -> Iterator[Desk]:
    """PAN's home listener with a desk that answers from memory."""
    made = Desk()
    with at_home(pan, cases=made):
        yield made


@pytest.fixture
def limen(pan: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def ask(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["case", *argv, "--booth", str(pan / "booth")])
        found = capsys.readouterr()
        return code, found.out, found.err

    return ask


Limen = Callable[..., tuple[int, str, str]]


def test_the_inbox_lists_cases_with_time_left(desk: Desk, limen: Limen) -> None:
    code, out, _ = limen("list", "--mine", "--due")
    assert code == 0
    assert CASE_TEXT in out and "under review" in out and "HND" in out and "PAN-desk-1 -> PAN-desk-2" in out
    code, out, _ = limen("list", "--json")
    told = json.loads(out)
    assert told["more"] is False
    assert told["cases"] == [case.line_document(a_line())]


def test_one_case_says_all_that_may_be_seen(desk: Desk, limen: Limen) -> None:
    code, out, _ = limen("show", CASE_TEXT)
    assert code == 0
    for part in (
        "HND asks us",
        "possible: same name and year of birth",
        "URGENT: CUSTODY",
        "a protection officer screens",
        "REFUSED, R06: the purpose does not cover it",
        "PARTIAL: withheld by the owner: photo",
        "names: Eriksson Anna",
        "condition: PURPOSE_ONLY",
        "category SUSPECT, basis FACT, reliability CONFIRMED, as of 2026-05-04",
        "possible now: prepare, hand-over",
    ):
        assert part in out
    assert json.loads(limen("show", CASE_TEXT, "--json")[1]) == case.document(a_view())


@pytest.mark.parametrize(
    ("side", "state", "words"),
    [("asker", "CANDIDATE", "may be asked for"), ("asker", "CONFIRMED", "may be asked for"),
     ("asker", "REQUESTED", "asked for"), ("owner", "UNDER_REVIEW", "asked for")],
)  # fmt: skip
def test_fields_that_nobody_asked_for_yet_read_so(side: str, state: str, words: str) -> None:
    lines = list(case.told(a_view(line=a_line(side=side, state=state)), 0))
    assert f"  {words}: names, birth_date" in lines


@pytest.mark.parametrize("match", [kind for kind in MatchClass if not kind.is_exact])
def test_a_possible_hit_never_reads_like_an_exact_one(match: MatchClass) -> None:
    possible, exact = case.about(a_line(match=match)), case.about(a_line(match=MatchClass.DOCUMENT))
    assert "possible" in possible and "possible" not in exact
    assert case.line_document(a_line(match=match))["exact"] is False


@pytest.mark.parametrize("kind", list(RecordKind))
def test_every_kind_has_words(kind: RecordKind) -> None:
    assert case.about(a_line(kind=kind))


@pytest.mark.parametrize("verb", sorted(codes.OF_ACT))
def test_a_code_that_is_none_is_answered_with_those_there_are(
    desk: Desk, limen: Limen, person: Path, verb: str
) -> None:
    option = {"confirm": "--measure", "request": "--urgency"}.get(verb, "--code")
    code, _, err = limen(verb, CASE_TEXT, option, "SUAREZ", *signed(person))
    assert code == 2 and err.startswith(f"limen: {option}: write one of: ") and "SUAREZ" not in err
    assert all(f"{name} {told}" in err for name, told in codes.OF_ACT[verb].items())
    assert not desk.acts


@pytest.mark.parametrize(
    ("after_ns", "said"),
    [
        (90 * 60 * 10**9, "(1 h 30 min left)"),
        (59 * 10**9, "(0 min left)"),
        (26 * HOUR_NS, "(1 d 2 h left)"),
        (-HOUR_NS, "(1 h 0 min OVERDUE)"),
    ],
)
def test_times_are_utc_with_what_is_left(after_ns: int, said: str) -> None:
    now_ns = 1_790_000_000 * 10**9
    shown = case.when(now_ns + after_ns, now_ns)
    assert shown.endswith(said) and " UTC " in shown
    assert case.when(0, now_ns) == "-"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (errors.NotFoundOrNotPermitted("x"), 4),
        (errors.PolicyDenied(("case_state",)), 3),
        (errors.NotIdentified("x"), 3),
        (errors.VersionMoved("x"), 1),
        (errors.AuditUnavailable("x"), 1),
    ],
)
def test_a_refusal_is_one_sentence_and_a_code(
    desk: Desk, limen: Limen, trouble: errors.GatewayError, code: int
) -> None:
    desk.trouble = trouble
    for verb in (("list",), ("show", CASE_TEXT), ("deliver", CASE_TEXT)):
        got, out, err = limen(*verb)
        assert (got, out) == (code, "")
        assert err.startswith("limen: ") and err.count("\n") == 1


def test_an_act_that_needs_no_signature_is_done_at_the_version_seen(desk: Desk, limen: Limen) -> None:
    code, out, _ = limen("hand-over", CASE_TEXT, "--to", "PAN-desk-2")
    assert code == 0 and "hand-over is done" in out
    (done,) = desk.acts
    assert (done.act, done.version, dict(done.arguments), done.signatures) == (
        "hand-over",
        a_line().version,
        {"to": ("PAN-desk-2",)},
        (),
    )


@pytest.mark.parametrize("typed", ["case_12", "Garcia", "CASE_" + CASE.hex(), CASE.hex()])
def test_a_number_of_another_form_is_not_repeated(limen: Limen, typed: str) -> None:
    code, out, err = limen("show", typed)
    assert (code, out) == (2, "")
    assert typed not in err


def test_reasons_come_by_file_or_standard_input_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "why"
    file.write_text("seen at the booth,\n  second line\n")
    args = type("Args", (), {"words": str(file)})()
    assert case._words(args).open() == "seen at the booth, second line"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"by hand\n"), "utf-8"))
    args.words = "-"
    assert case._words(args).open() == "by hand"
    file.write_bytes(b"\xff")
    args.words = str(file)
    with pytest.raises(errors.InputRefused):
        case._words(args)
    file.write_text("x" * 2_049)
    with pytest.raises(errors.InputRefused):
        case._words(args)


def test_a_view_without_anything_is_still_a_view() -> None:
    empty = CaseView(a_line(due_ns=0, expires_ns=0, urgency="", assigned="", offered_to=""), "basis")
    shown = "\n".join(case.told(empty, 1))
    assert "nobody" in shown and "PARTIAL" not in shown and "REFUSED" not in shown


def test_disclosed_values_are_shown_to_people_and_programs_alone() -> None:
    view: Any = replace(a_view(), disclosed=(("names", Hidden(("Canary",))),))
    assert "Canary" not in repr(view) and "Canary" in "\n".join(case.told(view, 1))
    assert case.document(view)["disclosed"] == {"names": ["Canary"]}
    assert "Canary" not in repr(an_act(words=Hidden("Canary")))


# -- Signing ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def person(pan: Path) -> Path:
    """The key file of somebody at PAN's desk, and beside it the passphrase."""
    data, _ = personal.create(OfficerId("PAN-desk-1"), Hidden("correct horse battery"))
    (pan / "desk-1.key").write_bytes(data)
    (pan / "passphrase").write_text("correct horse battery\n")
    return pan / "desk-1.key"


def signed(person: Path) -> tuple[str, ...]:
    return "--key", str(person), "--passphrase-file", str(person.parent / "passphrase")


@pytest.mark.parametrize("verb", sorted(SIGNED))
def test_a_person_signs_what_the_screen_says(desk: Desk, limen: Limen, person: Path, verb: str) -> None:
    given = {"refuse": "R06", "outcome": "NOT_FOUND", "screen": "CLEAR"}.get(verb, "")
    more = ("--code", given) if given else ()
    code, _, err = limen(verb, CASE_TEXT, *more, *signed(person))
    assert code == 0, err
    (done,) = desk.acts
    (made,) = done.signatures
    view = a_view()
    release = verb in ("prepare", "approve", "correct")
    named = {"request": view.fields, "prepare": view.fields, "approve": view.released, "correct": view.released}
    fields = named.get(verb, ())
    said = cbor.decode(made.statement)
    # A correction is the preparation of a release once more.
    word = "prepare" if verb == "correct" else verb
    assert said["act"] == f"limen/case/{word}/1" == statement.CASE_ACTS[word]
    facts = {name: said[name] for name in said.keys() - {"act", "key", "role", "signed_ns"}}
    assert facts == {
        "case": CASE,
        "state": "PAN",
        "peer": "HND",
        "purpose": "SEC.WATCH",
        "legal_basis": "bilateral agreement",
        "fields": list(fields),
        "withheld": ["birth_date"] if verb in ("approve", "correct") else [],
        "recipient": b"r" * 32 if release else b"",
        "record_version": 2 if release or verb == "refuse" else 0,
        "code": given,
        "words": b"",
    }
    ed25519.verify(personal.officer_of(person.read_bytes())[1], statement.DOMAIN + made.statement, made.signature)
    usual = {"approve": "supervisor", "screen": "protection.officer"}
    assert said["role"] == usual.get(verb, "desk.national")


def test_of_words_only_the_digest_is_signed_and_the_words_go_hidden(
    desk: Desk, limen: Limen, person: Path, tmp_path: Path
) -> None:
    (tmp_path / "why").write_text("seen twice\n")
    limen("confirm", CASE_TEXT, "--measure", "M1", "--words", str(tmp_path / "why"), *signed(person))
    (done,) = desk.acts
    assert done.words.open() == "seen twice"
    said = cbor.decode(done.signatures[0].statement)
    assert said["words"] == sha512(b"seen twice").digest()
    assert said["code"] == "M1"


def test_fields_are_taken_in_the_cases_own_order(desk: Desk, limen: Limen, person: Path) -> None:
    limen("prepare", CASE_TEXT, "--field", "birth_date", "--field", "names", *signed(person))
    assert desk.acts[0].arguments["fields"] == ("names", "birth_date")
    code, _, err = limen("prepare", CASE_TEXT, "--field", "photo", *signed(person))
    assert code == 2 and "names, birth_date" in err


def test_another_passphrase_signs_nothing(desk: Desk, limen: Limen, person: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("another passphrase\n")
    code, _, err = limen("confirm", CASE_TEXT, "--key", str(person), "--passphrase-file", str(tmp_path / "wrong"))
    assert code == 3 and "passphrase does not open" in err
    assert not desk.acts and not desk.calls


def test_anothers_key_is_told_before_anything_is_asked(desk: Desk, limen: Limen, person: Path, pan: Path) -> None:
    body = base64.urlsafe_b64encode(json.dumps({"sub": "PAN-desk-2"}).encode()).rstrip(b"=").decode()
    (pan / "booth" / "token").write_text(f"a.{body}.c", "ascii")
    try:
        code, _, err = limen("confirm", CASE_TEXT, "--key", str(person), "--passphrase-file", "/nowhere")
    finally:
        (pan / "booth" / "token").write_text("a.b.c", "ascii")
    assert code == 3 and f"the key of {person} is not that of the person logged in here" in err
    assert not desk.acts and not desk.calls


def test_an_unknown_role_is_told(desk: Desk, limen: Limen, person: Path) -> None:
    code, _, err = limen("confirm", CASE_TEXT, "--role", "king", *signed(person))
    assert code == 2 and "desk.national" in err and not desk.acts
